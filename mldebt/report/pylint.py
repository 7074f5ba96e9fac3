"""Lines as pylint's ``parseable`` format writes them: ``path:line: [CODE] message``."""

from __future__ import annotations

from mldebt.report.entries import Entry, entries
from mldebt.report.regions import Regions
from mldebt.report.result import Report
from mldebt.report.snippet import harmless


def render(report: Report) -> str:
    """One line for each finding, by path and line; a notebook's line is the one in the .ipynb."""
    return "".join(f"{harmless(_line(entry))}\n" for entry in entries(report, Regions(report)))


def _line(entry: Entry) -> str:
    return f"{entry.region.path or '.'}:{entry.region.line}: [{entry.code}] {entry.message}"
