"""What a report is made of: plain frozen values, so that a format needs no project, no file and no clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field

from mldebt.finding import Cell, Confidence, Finding, Place, ScanError, Severity, Span, Waived
from mldebt.score import Coverage, Score, ScoreReason
from mldebt.sources.text import CodeCell, Source


class PracticeResult(Struct, frozen=True):
    """The state of one practice, by its ``State`` value: wired, present, missing or not-visible."""

    id: str
    title: str
    state: str
    evidence: tuple[Place, ...] = ()
    next: str = ""


class NotebookLines(Struct, frozen=True):
    """Where the lines of a notebook's joined code are: in which cell, and on which line of the .ipynb."""

    physical: tuple[int, ...]
    cells: tuple[CodeCell, ...]

    @classmethod
    def of(cls, source: Source) -> NotebookLines:
        return cls(source.physical, source.cells)

    def physical_line(self, line: int) -> int:
        return self.physical[line - 1] if 1 <= line <= len(self.physical) else line

    def cell(self, line: int) -> Cell | None:
        """The cell a line is in; the separator after a cell counts with it."""
        index = bisect_right(self.cells, line, key=lambda cell: cell.line) - 1
        if index < 0:
            return None
        cell = self.cells[index]
        return Cell(cell.index, cell.id, line - cell.line + 1)


class Sheet(Struct, frozen=True):
    """What a rule says about itself, for formats that carry rules beside findings; ``page`` is Markdown."""

    code: str
    name: str
    family: str
    summary: str
    page: str
    severity: Severity
    confidence: Confidence
    minutes: int
    preview: bool = False


class Before(Struct, frozen=True):
    """What the scan is compared with: how the user calls it, its commit, and its score over the same families."""

    name: str
    commit: str
    score: Score | None = None


class Report(Struct, frozen=True):
    """The outcome of a scan, ready to be shown.

    Args:
        root: The scanned root, as the user should see it.
        version: mldebt's version.
        findings: Open findings, already filtered by severity and confidence.
        waived: Waived and baselined findings.
        score: None with a ``score_reason``.
        files: How many files were read.
        snippets: Source lines by (path, line of text) to quote; a line that is not there is not quoted.
        notebooks: Line maps of the notebooks among the paths.
        previous_lines: Live lines of the scan this one is compared with, if there is one.
        before: What this scan is compared with; findings are new ones only then.
        compared: A baseline or an older revision was compared with, so that open findings are new ones.
        sheets: The rules that ran, by code; for formats that carry them.
        contents: The files findings are in, as they are on disk; for formats that count in other units or hash lines.
        prefix: From the top of the git checkout to the root, with a slash at the end; for formats read from there.
    """

    root: str
    version: str
    findings: tuple[Finding, ...] = ()
    waived: tuple[Waived, ...] = ()
    score: Score | None = None
    score_reason: ScoreReason | None = None
    practices: tuple[PracticeResult, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    files: int = 0
    errors: tuple[ScanError, ...] = ()
    snippets: Mapping[tuple[str, int], str] = field(default_factory=lambda: MappingProxyType({}))
    notebooks: Mapping[str, NotebookLines] = field(default_factory=lambda: MappingProxyType({}))
    previous_lines: int | None = None
    before: Before | None = None
    compared: bool = False
    sheets: Mapping[str, Sheet] = field(default_factory=lambda: MappingProxyType({}))
    contents: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    prefix: str = ""

    @property
    def ordered(self) -> list[Finding]:
        """Findings in reading order."""
        return sorted(self.findings, key=reading_order)

    def physical(self, path: str, line: int) -> int:
        """The line in the file itself; another one than the text's only in a notebook."""
        lines = self.notebooks.get(path)
        return lines.physical_line(line) if lines else line

    def where(self, place: Place, *, column: bool = True) -> str:
        """``path:line:column``, for a notebook ``path:cell index:line:column``."""
        lines = self.notebooks.get(place.path)
        cell = lines.cell(place.span.line) if lines else None
        line = f"cell {cell.index}:{cell.line}" if cell else str(place.span.line)
        return f"{place.path}:{line}:{place.span.column}" if column else f"{place.path}:{line}"

    def in_file(self, place: Place) -> str:
        """`` (line 13)``: where a notebook's place is in the .ipynb itself, and nothing for other files."""
        return f" (line {self.physical(place.path, place.span.line)})" if place.path in self.notebooks else ""

    def quoted(self, path: str, span: Span, most: int) -> list[tuple[int, str]]:
        """Up to ``most`` source lines of a span with their numbers, those within the cell for a notebook."""
        lines = self.notebooks.get(path)
        numbers = range(span.line, min(span.end_line, span.line + most - 1) + 1)
        found = [(number, self.snippets[path, number]) for number in numbers if (path, number) in self.snippets]
        return [((cell.line if lines and (cell := lines.cell(n)) else n), text) for n, text in found]


def reading_order(finding: Finding) -> tuple[str, int, int, str, str]:
    span = finding.place.span
    return (finding.place.path, span.line, span.column, finding.code, finding.fingerprint)
