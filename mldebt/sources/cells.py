"""Cells and magics of Python files that are notebooks in disguise: Databricks exports and the percent format.

Their magics are comments already, so the text stays as it is. Formats:
https://docs.databricks.com/notebooks/notebook-export-import.html and
https://jupytext.readthedocs.io/en/latest/formats-scripts.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from mldebt.sources.decoding import lines
from mldebt.sources.source import CodeCell, Magic

_DATABRICKS = "# Databricks notebook source"
_COMMAND = re.compile(r"# COMMAND -{10}\s*$")
_MAGIC = re.compile(r"# MAGIC(?: |$)")
_EMPTY = re.compile(r"\s*$")
_DECORATION = re.compile(r"\s*$|# DBTITLE\b")
_PERCENT = re.compile(r"#\s?%%(?:\s|$)|# In\[[\d ]*\]:?\s*$")
_PROSE = re.compile(r"#\s?%%.*\[(?:markdown|md|raw)\]")
_COMMENTED = re.compile(r"# ?((?:%%?[A-Za-z]|!\s?[\w./])\S*.*)$")
_LINE_MAGIC = re.compile(r"%(?!%)|!")
_PROSE_MAGIC = re.compile(r"%md(?:-sandbox)?\b")
# Databricks magics that speak for the whole cell; the others (%pip, %run, %conda) for their own line.
_CELL_MAGIC = re.compile(r"%(?:sh|sql|scala|r|python|html|fs|javascript)\b|%%")


class Cells(Struct, frozen=True):
    """The code cells and the magics of one file; both empty for an ordinary script."""

    cells: tuple[CodeCell, ...] = ()
    magics: tuple[Magic, ...] = ()


def read(text: str) -> Cells:
    """Find the cells of a Databricks source or of a script with ``# %%`` marks."""
    if text.startswith(_DATABRICKS):
        return _databricks(lines(text))
    if "# %%" in text or "#%%" in text or "# In[" in text:
        return _percent(lines(text))
    return Cells()


def _databricks(rows: Sequence[str]) -> Cells:
    cells: list[CodeCell] = []
    magics: list[Magic] = []
    marks = [0, *(number for number, row in enumerate(rows, 1) if row.startswith("# C") and _COMMAND.match(row))]
    first = 1  # text line 1 is the format's own header
    for index, start in enumerate(marks, 1):
        end = marks[index] - 1 if index < len(marks) else len(rows)
        span = _trimmed(rows, max(start, first) + 1, end, _DECORATION)
        if span is None:
            continue
        numbered = enumerate(rows[span[0] - 1 : span[1]], span[0])
        said = [(number, row[7:].strip()) for number, row in numbered if _MAGIC.match(row)]
        if said and _PROSE_MAGIC.match(said[0][1]):
            continue
        cells.append(CodeCell(index, None, *span))
        magics += _spoken(said)
    return Cells(tuple(cells), tuple(magics))


def _spoken(said: Sequence[tuple[int, str]]) -> Iterator[Magic]:
    """Give the magics of one cell: one for a cell magic and all lines under it, else one for each magic line."""
    if said and _CELL_MAGIC.match(said[0][1]):
        yield Magic(said[0][0], "\n".join(text for _, text in said))
        return
    for number, text in said:
        if _LINE_MAGIC.match(text):
            yield Magic(number, text)


def _percent(rows: Sequence[str]) -> Cells:
    marks = [number for number, row in enumerate(rows, 1) if row.startswith("#") and _PERCENT.match(row)]
    if not marks:
        return Cells()
    cells: list[CodeCell] = []
    magics: list[Magic] = []
    starts = marks if _only_comments(rows[: marks[0] - 1]) else [0, *marks]
    for index, start in enumerate(starts, 1):
        end = starts[index] - 1 if index < len(starts) else len(rows)
        if start and _PROSE.match(rows[start - 1]):
            continue
        span = _trimmed(rows, start + 1, end, _EMPTY)
        if span is None:
            continue
        cells.append(CodeCell(index, None, *span))
        magics += _commented(rows, *span)
    return Cells(tuple(cells), tuple(magics))


def _commented(rows: Sequence[str], line: int, end_line: int) -> Iterator[Magic]:
    """Give the magics Jupytext wrote as comments; a ``# %%bash`` takes the commented lines under it along."""
    number = line
    while number <= end_line:
        found = _COMMENTED.match(rows[number - 1])
        said, start = [found[1]] if found else [], number
        number += 1
        if not said:
            continue
        while said[0].startswith("%%") and number <= end_line and rows[number - 1].startswith("#"):
            said.append(rows[number - 1][1:].removeprefix(" "))
            number += 1
        yield Magic(start, "\n".join(said))


def _trimmed(rows: Sequence[str], line: int, end_line: int, empty: re.Pattern[str]) -> tuple[int, int] | None:
    """Narrow a range of lines to what is not empty at either end; None when nothing is left."""
    while line <= end_line and empty.match(rows[line - 1]):
        line += 1
    while line <= end_line and empty.match(rows[end_line - 1]):
        end_line -= 1
    return (line, end_line) if line <= end_line else None


def _only_comments(rows: Sequence[str]) -> bool:
    return all(not row.strip() or row.lstrip().startswith("#") for row in rows)
