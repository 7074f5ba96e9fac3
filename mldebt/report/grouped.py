"""Findings under the name of their file, for a quick look through one file after another."""

from __future__ import annotations

from itertools import groupby

from mldebt.report.entries import Entry, entries
from mldebt.report.regions import Regions
from mldebt.report.result import Report
from mldebt.report.snippet import harmless, printable


def render(report: Report) -> str:
    """One block a file, one line a finding: where, how bad, what."""
    found = entries(report, Regions(report))
    blocks = [
        "".join((f"{harmless(path or 'mldebt')}:\n", *_rows(list(members))))
        for path, members in groupby(found, lambda entry: entry.region.path)
    ]
    return "\n".join(blocks)


def _rows(members: list[Entry]) -> list[str]:
    places = [f"{entry.region.line}:{entry.region.column or 1}" for entry in members]
    wide = max(map(len, places))
    return [
        f"  {place:<{wide}}  {entry.severity.label:<8}  {entry.code}  {printable(entry.message)}\n"
        for place, entry in zip(places, members, strict=True)
    ]
