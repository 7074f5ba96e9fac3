"""``mldebt entries``: what can be run in a repository, and what mldebt knows about each of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mldebt.cli.main import OK, TROUBLE
from mldebt.cli.options import GroupedCommand, grouped, place_options, talk_options
from mldebt.cli.session import Session, opened
from mldebt.cli.showing import within
from mldebt.cli.terminal import emit, say
from mldebt.pipeline import Outcome
from mldebt.project.entries import Entry
from mldebt.rule import Analysis


@click.command("entries", cls=GroupedCommand)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATHS]...")
@grouped("Results")(
    "--output-format", type=click.Choice(("text", "json")), default="text", help="How to show them.", show_default=True
)
@place_options
@talk_options
def command(paths: tuple[Path, ...], **given: Any) -> int:
    """List what can be run, and what each entry does: its roles, seeds, draws and launchers.

    The default of PATHS is the whole repository around the working directory.
    """
    as_json = given.pop("output_format") == "json"
    session = opened(paths, given)
    # No rule has to run: entries are known once the repository is linked.
    outcome = session.scan(session.request(config=session.config.only()))
    below = session.request().paths_below()
    entries = [_described(entry, session, outcome) for entry in outcome.project.entries if _asked(entry, below)]
    if as_json:
        emit(json.dumps(entries, indent=2))
    else:
        emit("\n".join(_text(entry) for entry in entries))
        if not entries and not session.quiet:
            say("no entries found: nothing here looks as if it were run")
    return TROUBLE if outcome.crashed else OK


def _asked(entry: Entry, below: tuple[str, ...]) -> bool:
    return not below or within(entry.definition.module.path, below)


def _described(entry: Entry, session: Session, outcome: Outcome) -> dict[str, Any]:
    """An entry as plain values; ``facts`` are what the installed analyses say of it."""
    facts = [
        (label, text)
        for analysis in session.registry.analyses
        if analysis.describe_entry is not Analysis.describe_entry
        for label, text in outcome.project[analysis].describe_entry(entry)
    ]
    return {
        "path": entry.definition.module.path,
        "line": entry.line,
        "name": entry.name,
        "kind": entry.kind,
        "roles": sorted(outcome.project.roles(entry)),
        "launchers": [{"path": place.path, "line": place.span.line} for place in entry.launchers],
        "facts": [{"label": label, "text": text} for label, text in facts],
    }


def _text(entry: dict[str, Any]) -> str:
    rows = [("roles", ", ".join(entry["roles"]) or "none seen")]
    rows += [(fact["label"], fact["text"]) for fact in entry["facts"]]
    rows += [("launched by", f"{place['path']}:{place['line']}") for place in entry["launchers"]]
    width = max(len(label) for label, _ in rows)
    head = f"{entry['path']}:{entry['line']} {entry['name']} ({entry['kind']})"
    return "\n".join([head, *(f"  {label.ljust(width)}  {text}" for label, text in rows)]) + "\n"
