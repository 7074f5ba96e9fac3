"""Which files mention an identifier: one index for the questions that go through all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module


class Mentions(Analysis):
    """Files by identifier; tests are left out."""

    @cached_property
    def _files(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, module in enumerate(self._modules):
            for name in module.facts.mentions:
                if name in found:
                    found[name].append(number)
                else:
                    found[name] = [number]
        return found

    @cached_property
    def _modules(self) -> list[Module]:
        return [module for module in self.project.modules.values() if not module.is_test]

    def modules(self, names: Iterable[str]) -> list[Module]:
        """The files that mention any of the identifiers, in the order of paths."""
        numbers = {number for name in names for number in self._files.get(name, ())}
        return [self._modules[number] for number in sorted(numbers)]

    def scopes(self, names: frozenset[str]) -> Iterator[tuple[Module, int]]:
        """The scopes that read a chain ending in one of the identifiers."""
        for module in self.modules(names):
            for index in module.scopes_using(names):
                yield module, index
