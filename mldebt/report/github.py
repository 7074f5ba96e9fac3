"""Workflow commands: GitHub turns them into annotations on the lines of a pull request.

Syntax: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands; escaping: ``command.ts``
of actions/toolkit. A step shows ten annotations of a kind and drops the others silently, so the worst come first.
"""

from __future__ import annotations

from mldebt.finding import Severity
from mldebt.report.entries import Entry, entries, escaped, fit, worst_first
from mldebt.report.regions import Regions
from mldebt.report.result import Report

MOST = 10  # of a kind in a step
KINDS = {Severity.CRITICAL: "error", Severity.MAJOR: "warning", Severity.MINOR: "notice", Severity.INFO: "notice"}
_MESSAGE = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_MESSAGE, (":", "%3A"), (",", "%2C"))


def render(report: Report) -> str:
    """At most ten errors, warnings and notices each; the last notice counts what is not shown."""
    ranked = worst_first(entries(report, Regions(report)))
    by_kind: dict[str, list[Entry]] = {"error": [], "warning": [], "notice": []}
    for entry in ranked:
        by_kind[KINDS[entry.severity]].append(entry)
    left_over = any(len(found) > MOST for found in by_kind.values())
    room = {"error": MOST, "warning": MOST, "notice": MOST - left_over}
    shown = [entry for kind, found in by_kind.items() for entry in found[: room[kind]]]
    lines = [_command(entry) for entry in shown]
    if left_over:
        more = len(ranked) - len(shown)
        words = f"{more} more; GitHub shows {MOST} annotations of a kind. The job's summary or the SARIF file has all."
        lines.append(f"::notice title=mldebt::{escaped(words, _MESSAGE)}")
    return "".join(f"{line}\n" for line in lines)


def _command(entry: Entry) -> str:
    region = entry.region
    properties: list[tuple[str, object]] = []
    if region.path:
        properties += [("file", region.path), ("line", region.line), ("endLine", region.end_line)]
        # Columns on a range of lines make GitHub drop the annotation.
        if region.line == region.end_line and region.column is not None:
            properties.append(("col", region.column))
            properties += [("endColumn", region.end_column)] if region.end_column is not None else []
    properties.append(("title", f"{entry.code} {entry.name}"))
    written = ",".join(f"{name}={escaped(str(value), _PROPERTY)}" for name, value in properties)
    return f"::{KINDS[entry.severity]} {written}::{escaped(fit(entry.message), _MESSAGE)}"
