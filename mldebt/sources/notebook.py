"""Jupyter notebooks: code cells as one Python text, each line traceable to its line in the JSON.

Format: https://nbformat.readthedocs.io/en/latest/format_description.html (4; 3 with its worksheets is read too).
"""

from __future__ import annotations

import ast
import codecs
import json
import re
import warnings
from bisect import bisect_right
from collections.abc import Iterator

from msgspec import Struct, field

from mldebt.errors import UnreadableError
from mldebt.sources.decoding import lines
from mldebt.sources.jsoncursor import Cursor
from mldebt.sources.magics import mask
from mldebt.sources.source import CodeCell, Magic, Source

_STRING = re.compile(r"\s*\"")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class _Cell(Struct):
    """A cell as the JSON says it; ``strings`` are (physical line, text) in order."""

    kind: str = ""
    language: str = ""
    id: str | None = None
    count: int | None = None
    strings: list[tuple[int, str]] = field(default_factory=list)


class _Text(Struct):
    """The Python text of a notebook while it grows; each list but ``rows`` and ``physical`` is by cell."""

    rows: list[str] = field(default_factory=list)
    physical: list[int] = field(default_factory=list)
    cells: list[CodeCell] = field(default_factory=list)
    counts: list[int | None] = field(default_factory=list)
    magics: list[Magic] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def add(self, index: int, cell: _Cell) -> None:
        rows, physical = _rows(cell.strings)
        if not rows:
            return
        before = len(self.rows)
        plain, magics, problem = _python(rows)
        self.rows += plain
        self.physical += physical
        self.cells.append(CodeCell(index, cell.id, before + 1, before + len(rows)))
        self.counts.append(cell.count)
        self.magics += (Magic(before + 1 + row, _encodable(text)) for row, text in magics)
        if problem:
            self.problems.append((before + problem[0], f"cell {index}: {problem[1]}"))


def read(path: str, data: bytes) -> Source:
    """Read a notebook.

    A cell that does not parse becomes blank lines and an entry in ``problems``. A notebook in another language has no
    text.

    Raises:
        UnreadableError: The file is not JSON, or not shaped like a notebook; with the line in the JSON.
    """
    json_text = _json_text(data)
    try:
        language, cells = _document(Cursor(json_text))
    except json.JSONDecodeError as error:
        raise UnreadableError(f"the notebook is not valid JSON: {error.msg}", error.lineno) from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of more digits than int() takes
        raise UnreadableError(f"the notebook's JSON cannot be read: {error}") from None
    if not _is_python(language):
        return Source(path, "", notebook=True)
    text = _Text()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        for index, cell in enumerate(cells, 1):
            if cell.kind == "code" and _is_python(cell.language):
                text.add(index, cell)
    return Source(
        path,
        "\n".join(text.rows) + "\n" if text.rows else "",
        cells=tuple(text.cells),
        magics=tuple(text.magics),
        physical=tuple(text.physical),
        notebook=True,
        problems=tuple(text.problems),
        execution_counts=tuple(text.counts),
    )


def _json_text(data: bytes) -> str:
    if data.startswith(b"version https://git-lfs"):
        raise UnreadableError("a Git LFS pointer stands where the notebook should be")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise UnreadableError(f"not utf-8: byte 0x{error.object[error.start]:02x}", line) from None
    if "\r" in text:  # never inside a JSON string, so no value changes
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _document(cursor: Cursor) -> tuple[str, list[_Cell]]:
    """Read the whole file: the language its metadata names ("" if none) and all cells."""
    language, cells = "", None
    if not cursor.peek():
        raise UnreadableError("the notebook is empty: not even JSON")
    for key in cursor.members("the top level"):
        if key == "cells":
            cells = [_cell(cursor) for _ in cursor.items("cells")]
        elif key == "worksheets":
            cells = [cell for _ in cursor.items(key) for cell in _worksheet(cursor)]
        elif key == "metadata":
            language = _language(cursor.value())
        else:
            cursor.value()
    if cursor.peek():
        raise json.JSONDecodeError("Extra data", cursor.text, cursor.at)
    if cells is None:
        raise UnreadableError("not a notebook: no cells")
    return language, cells


def _worksheet(cursor: Cursor) -> list[_Cell]:
    cells: list[_Cell] = []
    for key in cursor.members("a worksheet"):
        if key == "cells":
            cells = [_cell(cursor) for _ in cursor.items(key)]
        else:
            cursor.value()
    return cells


def _cell(cursor: Cursor) -> _Cell:
    cell = _Cell()
    for key in cursor.members("a cell"):
        if key in ("source", "input"):  # "input" is format 3's name for a code cell's source
            cell.strings = list(_strings(cursor))
            continue
        value = cursor.value()
        if key == "cell_type":
            cell.kind = str(value)
        elif key == "id" and isinstance(value, str):
            cell.id = _encodable(value)
        elif key in ("execution_count", "prompt_number") and isinstance(value, int):
            cell.count = value
        elif key == "metadata":
            cell.language = _text_at(value, "vscode", "languageId")
    return cell


def _strings(cursor: Cursor) -> Iterator[tuple[int, str]]:
    start, first = cursor.at, cursor.line()
    if cursor.peek() == "[":
        value = cursor.value()
        rows = cursor.text[start : cursor.at].strip().split("\n")
        # No string spans lines. So when as many lines as there are strings each start with one, each holds just one.
        if (
            isinstance(value, list)
            and len(rows) == len(value) + 2
            and rows[0] == "["
            and all(map(_STRING.match, rows[1:-1]))
        ):
            yield from enumerate(value, first + 1)
            return
        cursor.at = start
    places = cursor.items("a cell's source") if cursor.peek() == "[" else iter([first])
    for line in places:
        value = cursor.value()
        if not isinstance(value, str):
            raise UnreadableError("not a notebook: a cell's source is not text", line)
        yield line, value


def _language(metadata: object) -> str:
    for keys in (("kernelspec", "language"), ("language_info", "name"), ("kernelspec", "name"), ("language",)):
        if name := _text_at(metadata, *keys):
            return name
    return ""


def _text_at(value: object, *keys: str) -> str:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _is_python(language: str) -> bool:
    name = language.lower()
    return not name or "python" in name or name.startswith(("conda", "pyspark", "sage"))


def _rows(strings: list[tuple[int, str]]) -> tuple[list[str], list[int]]:
    """Split a cell's source into lines and the physical line of each: that of the string its first character is in."""
    joined = "".join(text for _, text in strings)
    rows = lines(joined)
    if len(rows) == len(strings) and all(text.endswith("\n") for _, text in strings[:-1]):
        return rows, [line for line, _ in strings]
    starts = [0, *(found.end() for found in _NEWLINE.finditer(joined))][: len(rows)]
    offsets, offset = list[int](), 0
    filled = [(line, text) for line, text in strings if text]
    for _, text in filled:
        offsets.append(offset)
        offset += len(text)
    return rows, [filled[bisect_right(offsets, start) - 1][0] for start in starts]


def _python(rows: list[str]) -> tuple[list[str], list[tuple[int, str]], tuple[int, str] | None]:
    """Turn a cell into Python of as many lines: the lines, its magics, and (line, message) if it had to be blanked."""
    if _problem(rows) is None:
        return rows, [], None
    masked = mask(_dedented(rows))
    problem = _problem(masked.lines)
    return ([""] * len(rows) if problem else masked.lines), masked.magics, problem


def _dedented(rows: list[str]) -> list[str]:
    """Take off the first line's indent from all lines, as IPython does before it runs a cell."""
    indent = rows[0][: len(rows[0]) - len(rows[0].lstrip(" \t"))]
    return [row.removeprefix(indent) for row in rows] if indent else rows


def _problem(rows: list[str]) -> tuple[int, str] | None:
    try:
        compile("\n".join(rows), "<cell>", "exec", _FLAGS, dont_inherit=True)
    except SyntaxError as error:
        return min(max(error.lineno or 1, 1), len(rows)), error.msg
    except (ValueError, RecursionError, MemoryError) as error:  # NUL, lone surrogates, nesting
        return 1, f"cannot be parsed: {error}"
    return None


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and no file can hold."""
    return text.encode(errors="replace").decode()
