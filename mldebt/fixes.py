"""Fixes onto texts: which can go in together, what they make of the files, and that as a diff. No I/O."""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from mldebt.finding import Edit, Fix, Span

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_NEWLINE = re.compile(r"\r\n|\r|\n")


class StaleEditError(ValueError):
    """An edit's span is not in the text it was made for."""


class Dropped(Struct, frozen=True):
    """A fix that cannot be applied, and why."""

    fix: Fix
    reason: str


class Applied(Struct, frozen=True):
    """``texts`` holds the changed files only. ``waiting`` fixes overlap applied ones: find again, then mend again."""

    texts: Mapping[str, str]
    applied: tuple[Fix, ...] = ()
    waiting: tuple[Fix, ...] = ()
    dropped: tuple[Dropped, ...] = ()


def apply(texts: Mapping[str, str], fixes: Iterable[Fix]) -> Applied:
    """Apply fixes in the given order, each whole or not at all; every Python file must parse afterwards.

    A fix that overlaps an earlier one waits. Two insertions at one point count as an overlap: their order would be a
    guess, and the second is often not needed any more (an import).
    """
    chosen: list[Fix] = []
    waiting: list[Fix] = []
    dropped: list[Dropped] = []
    files = {path: _File(text) for path, text in texts.items()}
    for fix in fixes:
        try:
            ranges = _ranges(fix, files)
        except StaleEditError as error:
            dropped.append(Dropped(fix, str(error)))
            continue
        if any(files[path].taken(*one) for path, one in ranges):
            waiting.append(fix)
            continue
        for path, one in ranges:
            files[path].take(*one)
        chosen.append(fix)
    changed = _changed(texts, chosen)
    if _broken(texts, changed) is None:
        return Applied(changed, tuple(chosen), tuple(waiting), tuple(dropped))
    return _one_by_one(texts, chosen, waiting, dropped)


def splice(text: str, edits: Iterable[Edit]) -> str:
    """``text`` with edits that do not overlap. New line ends follow the text's own. Raises StaleEditError."""
    starts = _starts(text)
    newline = match[0] if (match := _NEWLINE.search(text)) else "\n"
    pieces: list[str] = []
    end = 0
    placed = [(_offsets(edit.place.span, starts, text), edit.text) for edit in edits]
    for (first, last), new in sorted(placed, key=lambda one: one[0]):
        if first < end:
            raise StaleEditError("edits overlap")
        pieces += (text[end:first], _NEWLINE.sub(lambda _: newline, new))
        end = last
    return "".join((*pieces, text[end:]))


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """A unified diff of the files in ``after``, in path order, that ``git apply`` and ``patch -p1`` take."""
    pieces: list[str] = []
    for path in sorted(after):
        old, new = (_LINE.findall(texts.get(path, "")) for texts in (before, after))
        changes = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
        pieces += (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in changes)
    return "".join(pieces)


class _File:
    """The offsets of one text, and the ranges that are spoken for, sorted."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = _starts(text)
        self._ranges: list[tuple[int, int]] = []

    def offsets(self, span: Span) -> tuple[int, int]:
        return _offsets(span, self.starts, self.text)

    def taken(self, first: int, last: int) -> bool:
        index = bisect_left(self._ranges, (first, last))
        near = self._ranges[max(0, index - 1) : index + 1]
        return any(_collide((first, last), other) for other in near)

    def take(self, first: int, last: int) -> None:
        self._ranges.insert(bisect_left(self._ranges, (first, last)), (first, last))


def _collide(one: tuple[int, int], other: tuple[int, int]) -> bool:
    touching = one[0] <= other[1] and other[0] <= one[1]
    insertion = one[0] == one[1] or other[0] == other[1]
    return touching and (insertion or (one[0] < other[1] and other[0] < one[1]))


def _ranges(fix: Fix, files: Mapping[str, _File]) -> list[tuple[str, tuple[int, int]]]:
    ranges: list[tuple[str, tuple[int, int]]] = []
    for edit in fix.edits:
        if edit.place.path not in files:
            raise StaleEditError(f"{edit.place.path} cannot be edited")
        one = files[edit.place.path].offsets(edit.place.span)
        # Edits of one fix may touch: they go in as listed.
        if any(path == edit.place.path and one[0] < other[1] and other[0] < one[1] for path, other in ranges):
            raise StaleEditError("its own edits overlap")
        ranges.append((edit.place.path, one))
    return ranges


def _starts(text: str) -> list[int]:
    return [0, *(match.end() for match in _NEWLINE.finditer(text))]


def _offsets(span: Span, starts: Sequence[int], text: str) -> tuple[int, int]:
    first = _offset(span.line, span.column, starts, text)
    last = _offset(span.end_line, span.end_column, starts, text)
    if first > last:
        raise StaleEditError("an edit ends before it begins")
    return first, last


def _offset(line: int, column: int, starts: Sequence[int], text: str) -> int:
    if not 1 <= line <= len(starts) or column < 1:
        raise StaleEditError(f"line {line}, column {column} is not in the file")
    offset = starts[line - 1] + column - 1
    end = starts[line] if line < len(starts) else len(text)
    if offset > starts[line - 1] + len(text[starts[line - 1] : end].rstrip("\r\n")):
        raise StaleEditError(f"line {line}, column {column} is not in the file")
    return offset


def _changed(texts: Mapping[str, str], fixes: Iterable[Fix]) -> dict[str, str]:
    edits: defaultdict[str, list[Edit]] = defaultdict(list)
    for fix in fixes:
        for edit in fix.edits:
            edits[edit.place.path].append(edit)
    spliced = {path: splice(texts[path], edits[path]) for path in sorted(edits)}
    return {path: text for path, text in spliced.items() if text != texts[path]}


def _one_by_one(texts: Mapping[str, str], fixes: Iterable[Fix], waiting: list[Fix], dropped: list[Dropped]) -> Applied:
    # Rare: some fix breaks a file. Adding them singly finds which, at one parse a fix.
    chosen: list[Fix] = []
    for fix in fixes:
        paths = {edit.place.path for edit in fix.edits}
        touching = [one for one in (*chosen, fix) if any(edit.place.path in paths for edit in one.edits)]
        changed = {path: text for path, text in _changed(texts, touching).items() if path in paths}
        reason = _broken(texts, changed)
        if reason is None:
            chosen.append(fix)
        elif _broken(texts, _changed(texts, [fix])) is None:
            waiting.append(fix)
        else:
            dropped.append(Dropped(fix, reason))
    return Applied(_changed(texts, chosen), tuple(chosen), tuple(waiting), tuple(dropped))


def _broken(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """Why one of the changed files is no Python any more; None when all are."""
    for path, text in after.items():
        if not _is_python(path, before[path]):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a dubious escape: SyntaxWarning, and DeprecationWarning before 3.12
                ast.parse(text)
        except SyntaxError as error:
            return f"{path} would not parse: line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            return f"{path} would not parse: {str(error) or type(error).__name__}"
    return None


def _is_python(path: str, text: str) -> bool:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in {".py", ".pyi", ".pyw"} or (not suffix and text.startswith("#!") and "python" in text[:200])
