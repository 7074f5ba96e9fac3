"""``mldebt init``: set a repository up, after showing what would be written and asking."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from mldebt import __version__
from mldebt.adopting.draft import Change, Draft
from mldebt.adopting.hooks import CONFIG, add_hooks
from mldebt.adopting.seen import Seen
from mldebt.adopting.toml_files import add_ruff_external, add_settings
from mldebt.adopting.workflow import add_workflow, default_branch
from mldebt.baseline import FILE, Baseline
from mldebt.baseline_format import render
from mldebt.cli.main import OK, TROUBLE
from mldebt.cli.options import GroupedCommand, grouped, place_options, talk_options
from mldebt.cli.rendering import prefix
from mldebt.cli.session import Session, opened
from mldebt.cli.terminal import emit, say, write
from mldebt.errors import UsageError
from mldebt.finding import Severity
from mldebt.fixes import diff
from mldebt.pipeline import Outcome

_MOST_LINES = 30  # of one new file that are shown
_what = grouped("What is written")


@click.command("init", cls=GroupedCommand)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]")
@_what("--yes", is_flag=True, help="Write without asking.")
@_what("--no-baseline", is_flag=True, help="Accept none of the debt there is.")
@_what("--no-pre-commit", is_flag=True, help=f"Leave {CONFIG} alone.")
@_what("--no-workflow", is_flag=True, help="Write no workflow for GitHub.")
@place_options
@talk_options
def command(paths: tuple[Path, ...], **given: Any) -> int:
    """Set the repository around PATH up: settings, baseline, pre-commit hooks and a workflow.

    Shows what would be written and asks. What is there already is never overwritten: settings, a baseline, hooks and
    workflows of yours stay as they are, and so do comments and the order of things in files that are added to. Where
    there is nobody to ask and no --yes, nothing is written.
    """
    session = opened(paths, given)
    outcome = session.scan(session.request(paths=()))
    if outcome.crashed:
        say("error: a rule crashed, so what the baseline has to hold is unknown; nothing written")
        return TROUBLE
    draft = _drafted(session, outcome, given)
    changes = draft.changes()
    for note in dict.fromkeys(draft.notes):
        say(f"note: {note}")
    if not changes:
        emit(f"{session.root}: nothing to do")
        return OK
    emit("".join(_shown(changes)))
    _say_baseline(changes, outcome)
    if not given["yes"] and not _agreed(changes):
        return OK
    for change in changes:
        _write(session.root, change)
    emit(f"wrote {', '.join(change.path for change in changes)}")
    return OK


def _drafted(session: Session, outcome: Outcome, given: dict[str, Any]) -> Draft:
    draft = Draft(session.root)
    add_ruff_external(draft)
    add_settings(draft, Seen.of(outcome.project))
    if not given["no_baseline"]:
        draft.create(FILE, render(_accepted(outcome), __version__))
    below = prefix(session.root)
    if below and not (given["no_pre_commit"] and given["no_workflow"]):
        draft.notes.append(f"{below} is a folder of a git repository: hooks and workflows belong at its top")
        return draft
    if not given["no_pre_commit"]:
        add_hooks(draft, __version__)
    if not given["no_workflow"]:
        add_workflow(draft, __version__, default_branch(session.root))
    return draft


def _accepted(outcome: Outcome) -> Baseline:
    side = outcome.side
    pairs = zip(side.found, side.keys, strict=True)
    return Baseline.of(key for finding, key in pairs if finding.severity < Severity.CRITICAL)


def _shown(changes: Sequence[Change]) -> Iterator[str]:
    """The diff; of a long new file its beginning."""
    for change in changes:
        lines = diff({change.path: change.before or ""}, {change.path: change.after}).splitlines(keepends=True)
        if change.before is None and len(lines) > _MOST_LINES:
            left = len(lines) - _MOST_LINES
            lines = [*lines[:_MOST_LINES], f"... {left} more line{'' if left == 1 else 's'}\n"]
        yield "".join(lines)


def _say_baseline(changes: Sequence[Change], outcome: Outcome) -> None:
    if all(change.path != FILE for change in changes):
        return
    accepted = _accepted(outcome).size
    critical = len(outcome.side.found) - accepted
    say(f"{FILE} accepts {accepted} finding{'' if accepted == 1 else 's'}: scans will report new ones only")
    if critical:
        verb = "finding is" if critical == 1 else "findings are"
        say(f"{critical} {verb} critical and not accepted; `mldebt baseline update --force --include-critical` does")


def _agreed(changes: Sequence[Change]) -> bool:
    files = f"{len(changes)} file{'' if len(changes) == 1 else 's'}"
    if not _is_terminal():
        say(f"nothing written: there is nobody to ask; --yes writes {'it' if len(changes) == 1 else f'these {files}'}")
        return False
    if click.confirm(f"Write {'it' if len(changes) == 1 else f'these {files}'}?", err=True):
        return True
    say("nothing written")
    return False


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _write(root: Path, change: Change) -> None:
    """Write one file, if it is still as it was when it was shown."""
    path = root / change.path
    try:
        now = path.read_bytes().decode("utf-8") if path.exists() else None
        if now != change.before:
            raise UsageError(f"{change.path}: not written: it changed meanwhile")
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{change.path}: not written: {error}") from None
    write(path, change.after.encode("utf-8"))
