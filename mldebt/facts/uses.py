"""Which scopes of a file read a name."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from mldebt.facts.schema import Scope


class Uses:
    """The chains the scopes of a file read, joined to one text: searching it takes less than an index would to build.

    Args:
        scopes: ``ModuleFacts.scopes``.
    """

    def __init__(self, scopes: Sequence[Scope]) -> None:
        rows = ["\n".join([*scope.uses, ""]) for scope in scopes]
        self._text = "\n" + "".join(rows)
        self._starts = list(accumulate(map(len, rows), initial=1))

    def of(self, segments: Iterable[str]) -> list[int]:
        """The scopes, in order, that read a chain ending in one of these identifiers."""
        text, starts = self._text, self._starts
        found: set[int] = set()
        for segment in segments:
            row = f"{segment}\n"
            at = text.find(row)
            while at >= 0:
                if text[at - 1] in ".\n":
                    index = bisect_right(starts, at) - 1
                    found.add(index)
                    at = starts[index + 1] - 1  # on to the next scope
                at = text.find(row, at + 1)
        return sorted(found)
