"""Which files mention an identifier, tests left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module


class Mentions(Analysis):
    """Files by identifier; tests are left out."""

    def modules(self, names: Iterable[str]) -> list[Module]:
        """The files that mention any of the identifiers, in the order of paths."""
        return [module for module in self.project.callers.mentioning(names) if not module.is_test]

    def scopes(self, names: frozenset[str]) -> Iterator[tuple[Module, int]]:
        """The scopes that read a chain ending in one of the identifiers."""
        for module in self.modules(names):
            for index in module.scopes_using(names):
                yield module, index
