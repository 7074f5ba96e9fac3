"""``mldebt baseline``: accept the debt there is, see it, and forget what was paid back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from mldebt import baseline
from mldebt.baseline import Baseline, Entry, Key
from mldebt.cli.baselines import BaselineFile, could_be_found, located, read
from mldebt.cli.main import OK, TROUBLE
from mldebt.cli.options import GroupedCommand, applied, grouped, place_options, talk_options
from mldebt.cli.session import Session, opened
from mldebt.cli.terminal import emit
from mldebt.errors import ConfigurationError, UsageError
from mldebt.finding import Finding, Severity
from mldebt.pipeline import Outcome
from mldebt.report.result import reading_order

F = TypeVar("F", bound=Callable[..., Any])
_accept = grouped("What is accepted")
_HELP = "Work on this file, not on mldebt-baseline.json at the root."

_common: Callable[[F], F] = applied(
    click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]"),
    grouped("Where things are")("--baseline", type=click.Path(path_type=Path), metavar="FILE", help=_HELP),
    place_options,
    talk_options,
)
_critical = _accept("--include-critical", is_flag=True, help="Accept critical findings too.")


class _Commands(GroupedCommand, click.Group):
    """A group whose help looks as that of the other commands."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)


@click.group("baseline", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Accept the debt there is, so that scans report new debt only.

    The baseline is the file mldebt-baseline.json at the repository's root. Commit it. Its entries name files, scopes
    and hashes of code and no lines, so they stand while code moves. Critical findings are accepted only when asked.
    """


@command.command("create", cls=GroupedCommand)
@_accept("--force", is_flag=True, help="Write it anew although there is one that accepts less.")
@_critical
@_common
def create(paths: tuple[Path, ...], force: bool, include_critical: bool, **given: Any) -> int:
    """Accept all debt of the repository around PATH."""
    session = opened(paths, given)
    file = _there_may_be(session, given, force=force)
    outcome = _scanned(session, None)
    if outcome.crashed:
        return _crashed(outcome)
    chosen = [i for i, f in enumerate(outcome.side.found) if include_critical or f.severity < Severity.CRITICAL]
    keys = [outcome.side.keys[index] for index in chosen]
    if file.exists and not force:
        added = baseline.match(keys, file.baseline.entries).entry_of.count(None)
        if added:
            raise UsageError(f"{file.label} exists, and {_findings(added)} not in it; --force accepts them too")
    written = file.write(Baseline.of(keys))
    emit(f"{file.label}: {_accepted(keys)}{'' if written else '; it said so already'}")
    _say_critical(len(outcome.side.found) - len(chosen))
    return OK


@command.command("update", cls=GroupedCommand)
@_accept("--force", is_flag=True, help="Accept new findings too.")
@_critical
@_common
def update(paths: tuple[Path, ...], force: bool, include_critical: bool, **given: Any) -> int:
    """Follow moved code and forget paid debt; new debt is accepted with --force only."""
    session = opened(paths, given)
    file = _there_must_be(session, given)
    outcome = _scanned(session, file.baseline)
    if outcome.crashed:
        return _crashed(outcome)
    side, matched = outcome.side, outcome.compared.matched
    new = [i for i, entry in enumerate(matched.entry_of) if entry is None]
    chosen = [i for i in new if include_critical or side.found[i].severity < Severity.CRITICAL] if force else []
    kept = baseline.renewed(file.baseline.entries, side.keys, matched, could_be_found(outcome))
    whole = Baseline.of([*kept.counts().elements(), *(side.keys[index] for index in chosen)])
    written = file.write(whole)
    gone = sum(entry.count for entry in outcome.compared.stale)
    emit(f"{file.label}: {_accepted(list(whole.counts().elements()))}{'' if written else '; nothing changed'}")
    emit(f"  {gone} removed, {len(chosen)} added")
    if not force and new:
        emit(f"  {_findings(len(new))} new and not accepted; --force accepts them")
    _say_critical(len(new) - len(chosen) if force else 0)
    return OK


@command.command("prune", cls=GroupedCommand)
@_common
def prune(paths: tuple[Path, ...], **given: Any) -> int:
    """Forget paid debt, and change nothing else."""
    session = opened(paths, given)
    file = _there_must_be(session, given)
    outcome = _scanned(session, file.baseline)
    if outcome.crashed:
        return _crashed(outcome)
    left = baseline.pruned(file.baseline.entries, outcome.compared.matched, could_be_found(outcome))
    written = file.write(left)
    gone = sum(entry.count for entry in outcome.compared.stale)
    emit(f"{file.label}: {gone} removed, {left.size} left" if written else f"{file.label}: nothing to remove")
    return OK


@command.command("show", cls=GroupedCommand)
@grouped("Results")(
    "--output-format", type=click.Choice(("text", "json")), default="text", help="How to show it.", show_default=True
)
@_common
def show(paths: tuple[Path, ...], **given: Any) -> int:
    """Show what is accepted, where it is today, and what of it is gone."""
    as_json = given.pop("output_format") == "json"
    session = opened(paths, given)
    file = _there_must_be(session, given)
    outcome = _scanned(session, file.baseline)
    entries, where = file.baseline.entries, _places(outcome)
    if as_json:
        rows = [_described(entry, where[index], outcome) for index, entry in enumerate(entries)]
        emit(json.dumps({"file": file.label, "entries": rows}, indent=2))
    else:
        emit("".join(_lines(file, where, outcome)))
    return TROUBLE if outcome.crashed else OK


def _there_may_be(session: Session, given: dict[str, Any], *, force: bool) -> BaselineFile:
    """The file to create; with ``force`` one that is damaged is no obstacle."""
    try:
        return read(session, given)
    except ConfigurationError as error:
        path, label = located(session, given)
        if not force or error.line is None:
            raise
        return BaselineFile(path, label, Baseline(name=label), exists=False)


def _there_must_be(session: Session, given: dict[str, Any]) -> BaselineFile:
    file = read(session, given)
    if not file.exists:
        raise UsageError(f"{file.label}: no such file; `mldebt baseline create` makes one")
    return file


def _scanned(session: Session, known: Baseline | None) -> Outcome:
    return session.scan(session.request(paths=(), baseline=known))


def _crashed(outcome: Outcome) -> int:
    for error in outcome.report.errors:
        if error.code == "MLD005":
            emit(error.message)
    emit("nothing written: what the crashed rule would have found is unknown")
    return TROUBLE


def _accepted(keys: Sequence[Key]) -> str:
    files = len({key.path for key in keys})
    return f"{len(keys)} finding{'' if len(keys) == 1 else 's'} in {files} file{'' if files == 1 else 's'} accepted"


def _findings(number: int) -> str:
    return f"{number} finding{' is' if number == 1 else 's are'}"


def _say_critical(number: int) -> None:
    if number:
        emit(f"  {_findings(number)} critical and not accepted; --include-critical accepts them too")


def _places(outcome: Outcome) -> dict[int, list[Finding]]:
    """What each entry stands for today, by the entry's index."""
    found: defaultdict[int, list[Finding]] = defaultdict(list)
    for finding, index in zip(outcome.side.found, outcome.compared.matched.entry_of, strict=True):
        if index is not None:
            found[index].append(finding)
    return found


def _described(entry: Entry, found: Sequence[Finding], outcome: Outcome) -> dict[str, Any]:
    key = entry.key
    return {
        "path": key.path,
        "rule": key.rule,
        "scope": key.scope,
        "code": key.code,
        "n": entry.count,
        "found": [
            {"path": f.place.path, "line": outcome.report.physical(f.place.path, f.place.span.line)} for f in found
        ],
        "stale": entry.count - len(found) if could_be_found(outcome)(key) else 0,
    }


def _lines(file: BaselineFile, where: dict[int, list[Finding]], outcome: Outcome) -> list[str]:
    found = sorted((finding for group in where.values() for finding in group), key=reading_order)
    lines = [
        f"{outcome.report.where(f.place, column=False)}: {f.code} [{f.severity.label}] {f.message}\n" for f in found
    ]
    stale = outcome.compared.stale
    lines += [
        f"stale: {entry.key.path}{f' in {entry.key.scope}' if entry.key.scope else ''}: {entry.key.rule}"
        f"{f' ({entry.count} times)' if entry.count > 1 else ''}\n"
        for entry in stale
    ]
    gone = sum(entry.count for entry in stale)
    rest = file.baseline.size - len(found) - gone
    unknown = f", {rest} of rules that did not run" if rest else ""
    lines.append(f"{file.label}: {file.baseline.size} accepted: {len(found)} still there, {gone} stale{unknown}\n")
    return lines
