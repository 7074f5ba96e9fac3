"""Positions of the language server protocol: lines from 0, characters in the client's units (UTF-16 unless agreed)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lsprotocol.types import Position, Range

from mldebt.finding import Span

# The protocol's line ends and Python's are the same three; `str.splitlines` knows ten more.
_LINE_END = re.compile(r"\r\n|\r|\n")
_BYTES = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2)}


def units(text: str, encoding: str) -> int:
    """How long a text is in the units of an encoding."""
    if encoding not in _BYTES or text.isascii():
        return len(text)
    codec, size = _BYTES[encoding]
    return len(text.encode(codec, "surrogatepass")) // size


def code_points(text: str, character: int, encoding: str) -> int:
    """How many code points stand before a character; one in the middle of a code point counts as before it."""
    if encoding not in _BYTES or text.isascii():
        return max(0, min(character, len(text)))
    at = 0
    for index, point in enumerate(text):
        width = units(point, encoding)
        if at + width > character:
            return index
        at += width
    return len(text)


@dataclass(frozen=True)
class Text:
    """A document's text, with positions in the client's units."""

    text: str
    encoding: str = "utf-16"

    @cached_property
    def starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    @cached_property
    def rows(self) -> list[str]:
        """The lines without their ends; one more than there are line ends."""
        return _LINE_END.split(self.text)

    def row(self, line: int) -> str:
        """A line by its number from 1; "" when there is none."""
        return self.rows[line - 1] if 1 <= line <= len(self.rows) else ""

    def offset(self, position: Position) -> int:
        """Where a position is in the text; one beyond a line's or the text's end is that end."""
        if position.line >= len(self.rows):
            return len(self.text)
        row = self.rows[max(0, position.line)]
        return self.starts[max(0, position.line)] + code_points(row, position.character, self.encoding)

    def changed(self, start: Position, end: Position, text: str) -> Text:
        """The text with a range replaced."""
        first, last = sorted((self.offset(start), self.offset(end)))
        return Text(self.text[:first] + text + self.text[last:], self.encoding)

    def position(self, line: int, column: int) -> Position:
        """The position of a line and column from 1 in code points."""
        row = self.row(line)
        return Position(max(0, line - 1), units(row[: max(0, column - 1)], self.encoding))

    def range(self, span: Span) -> Range:
        """The range of a span; all of the line where the span is empty."""
        if (span.line, span.column) == (span.end_line, span.end_column):
            return self.whole_line(span.line)
        return Range(self.position(span.line, span.column), self.position(span.end_line, span.end_column))

    def whole_line(self, line: int) -> Range:
        row = self.row(line)
        indent = len(row) - len(row.lstrip())
        return Range(self.position(line, indent + 1), self.position(line, len(row.rstrip()) + 1))


def covers(one: Range, other: Range) -> bool:
    """Whether two ranges touch."""
    return _key(one.start) <= _key(other.end) and _key(other.start) <= _key(one.end)


def _key(position: Position) -> tuple[int, int]:
    return position.line, position.character
