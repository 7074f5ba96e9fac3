"""What a flat format lists: open findings and, beside them, what could not be read or judged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mldebt.finding import Finding, ScanError, Severity
from mldebt.report.regions import Region, Regions
from mldebt.report.result import Report
from mldebt.settings.selectors import META

# What XML 1.0 does not allow, nor JSON readers like: control characters and halves of surrogate pairs.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a flat report. ``finding`` is None for an error; ``region.path`` is then "" for a crashed rule."""

    code: str
    name: str
    message: str
    severity: Severity
    region: Region
    finding: Finding | None = None


def entries(report: Report, regions: Regions) -> list[Entry]:
    """Everything open, by path, line and column."""
    found = [of_finding(finding, report, regions) for finding in report.ordered]
    found += [of_error(error, report) for error in report.errors]
    return sorted(found, key=_reading_order)


def worst_first(given: list[Entry]) -> list[Entry]:
    """Critical before major before minor, and else in reading order."""
    return sorted(given, key=lambda entry: (-entry.severity, *_reading_order(entry)))


def of_finding(finding: Finding, report: Report, regions: Regions) -> Entry:
    """An open finding; in a notebook the message says the cell too, because nobody knows lines of JSON."""
    region = regions.of(finding.place)
    message = finding.message + cell_note(finding, report)
    return Entry(finding.code, finding.name, message, finding.severity, region, finding)


def of_error(error: ScanError, report: Report) -> Entry:
    """A file that cannot be read counts as minor (DESIGN 5); a rule that crashed makes the whole scan doubtful."""
    name = META[error.code][0] if error.code in META else "error"
    severity = Severity.MINOR if error.code == "MLD001" else Severity.CRITICAL
    line = max(1, error.line)
    path = report.prefix + error.path if error.path else ""
    return Entry(error.code, name, error.message, severity, Region(path, line, end_line=line))


def cell_note(finding: Finding, report: Report) -> str:
    lines = report.notebooks.get(finding.place.path)
    cell = finding.cell or (lines.cell(finding.place.span.line) if lines else None)
    if cell is None or not finding.place.path.endswith(".ipynb"):
        return ""
    identity = f" ({cell.id})" if cell.id else ""
    return f" [cell {cell.index}{identity}, line {cell.line}]"


def escaped(text: str, table: Iterable[tuple[str, str]]) -> str:
    """The text with each of the table's characters replaced, in the table's order."""
    for character, replacement in table:
        text = text.replace(character, replacement)
    return text


def fit(text: str) -> str:
    """Text any XML or JSON reader takes: what they refuse is U+FFFD."""
    return _UNFIT.sub("\ufffd", text)


def _reading_order(entry: Entry) -> tuple[str, int, int, str, str]:
    region = entry.region
    return (region.path, region.line, region.column or 0, entry.code, entry.message)
