"""Where things are in the files as they lie on disk, in the units the readers of a format count in.

A span counts code points of the text Python reads. SARIF takes those, rdjson counts UTF-8 bytes, Sonar and editors
count UTF-16 units. A notebook's lines are strings in its JSON, where quotes and escapes shift the columns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from mldebt.errors import UnreadableError
from mldebt.finding import Place
from mldebt.report.result import Report
from mldebt.sources.text import decode, lines

Unit = Literal["utf-8", "utf-16"]

# One character of a JSON string: a surrogate pair is one character of the text.
_JSON_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\"\\]"
)
_STRING_ALONE = re.compile(r'\s*"(?P<body>(?:[^"\\]|\\.)*)"\s*,?\s*')


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of a file: 1-based lines, 1-based columns in code points, ends exclusive.

    Without ``column`` it is whole lines; without ``end_column`` it reaches to the end of its last line.
    """

    path: str
    line: int
    column: int | None = None
    end_line: int = 0
    end_column: int | None = None

    @property
    def is_exact(self) -> bool:
        return self.column is not None and self.end_column is not None


class Regions:
    """The regions of one report's places. Files are decoded once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rows: dict[str, list[str] | None] = {}

    def of(self, place: Place) -> Region:
        """The region of a place; whole lines where columns would mislead."""
        report, span = self._report, place.span
        path, last, end_column = place.path, span.end_line, span.end_column
        past = last > span.line and end_column <= 1  # it ends with its last line's newline
        last -= past
        line, end_line = report.physical(path, span.line), report.physical(path, last)
        column = self._column(path, span.line, span.column)
        end = None if past else self._column(path, last, end_column)
        if (column == 1 and end is None) or (span.line, span.column) == (last, end_column) == (span.line, 1):
            column = end = None
        if end_line < line or (end_line == line and end is not None and column is not None and end <= column):
            end = None
        return Region(report.prefix + path, line, column, max(line, end_line), end if column is not None else None)

    def in_units(self, region: Region, unit: Unit) -> Region | None:
        """The same in other units; None when the file's text is not at hand or does not reach that far."""
        path = region.path.removeprefix(self._report.prefix)
        rows = self.rows(path)
        if rows is None or not region.is_exact or region.column is None or region.end_column is None:
            return None
        start = _units(rows, region.line, region.column, unit)
        end = _units(rows, region.end_line, region.end_column, unit)
        return None if start is None or end is None else Region(region.path, region.line, start, region.end_line, end)

    def rows(self, path: str) -> list[str] | None:
        """The lines of a file on disk, or None."""
        if path not in self._rows:
            data = self._report.contents.get(path)
            self._rows[path] = None if data is None else lines(text_of(data))
        return self._rows[path]

    def _column(self, path: str, line: int, column: int) -> int | None:
        """A column of the text as one of the file."""
        if path not in self._report.notebooks:
            return column
        rows, physical = self.rows(path), self._report.physical(path, line)
        text = self._report.snippets.get((path, line))
        if rows is None or text is None or not 1 <= physical <= len(rows):
            return None
        return _json_column(rows[physical - 1], text, column)


def text_of(data: bytes) -> str:
    """A file's text, whatever it holds."""
    try:
        return decode(data)[0]
    except UnreadableError:
        return data.decode("utf-8", "replace")


def _units(rows: list[str], line: int, column: int, unit: Unit) -> int | None:
    if not 1 <= line <= len(rows) or column > len(rows[line - 1]) + 1:
        return None
    before = rows[line - 1][: column - 1]
    if unit == "utf-16":
        return utf16_length(before) + 1
    return len(before.encode("utf-8", "surrogatepass")) + 1


def utf16_length(text: str) -> int:
    """How many UTF-16 units a text has."""
    return len(text) + sum(character > "\uffff" for character in text)


def _json_column(row: str, text: str, column: int) -> int | None:
    """The column in a line of JSON that is one string, the ``text`` with its newline; None when it is not."""
    match = _STRING_ALONE.fullmatch(row)
    if match is None:
        return None
    try:
        value = json.loads(f'"{match["body"]}"')
    except ValueError:
        return None
    if value.rstrip("\r\n") != text.rstrip("\r\n"):
        return None
    at = match.start("body")
    for _ in range(column - 1):
        character = _JSON_CHARACTER.match(row, at)
        if character is None:
            return None
        at = character.end()
    return at + 1
