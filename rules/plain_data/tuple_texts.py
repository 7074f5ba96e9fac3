"""Where files seem to return tuples and to unpack what a call returns, read off their text; ``tuples`` looks closer."""

from __future__ import annotations

import re

import msgspec

from mldebt.rule import Analysis, FileParts

from .mode_texts import Lines

# Both begin with a literal, which the engine searches for fast.
_RETURN = re.compile(r"return (?:\(\s*)?[\w.]+(?:\[[^\]\n]*\]|\([^()\n]*\))*\s*,")
_UNPACK = re.compile(r",[\s\w.*\])]+ = (?:await )?([\w.]+)\((?:[^()\n]*\)\.([\w.]+)\()?")


class TupleText(msgspec.Struct, frozen=True):
    """Lines that return tuples, and the calls whose results are unpacked: the last name of each, and its line."""

    returns: list[int]
    unpacked: list[tuple[str, int]]


class TupleTexts(Analysis):
    """``project.collected(TupleTexts)``: where to look."""

    collected = TupleText

    @classmethod
    def collect(cls, file: FileParts) -> TupleText | None:
        text = file.source.text
        line_of = Lines(text)
        returns = [line_of(match.start()) for match in _RETURN.finditer(text)]
        unpacked = [
            ((match[2] or match[1]).rpartition(".")[2], line_of(match.start(1))) for match in _UNPACK.finditer(text)
        ]
        return TupleText(returns, unpacked) if returns or unpacked else None
