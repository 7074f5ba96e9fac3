"""Which expressions of a body are written in the words of conversions: one walk for all that look for these."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from mldebt.facts.schema import Expr, Stmt
from mldebt.facts.walk import expressions, named_in, statements
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .conversions import Conversions, Operations

ATTRIBUTES = frozenset({"T", "values", "data"})


class Said(Struct, frozen=True):
    """An expression of a statement that says such words. ``nodes``: what is named so, or calls that, parts first."""

    statement: Stmt
    root: Expr
    nodes: tuple[Expr, ...]


class Spoken(Analysis):
    """Answers what one body says."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        back = (words for _, words in project[Conversions].pairs)
        self._words = project[Operations].words.union(ATTRIBUTES, *back)
        self._encoded = {word: (b"." + word.encode(), msgspec.msgpack.encode(word)) for word in self._words}
        self._said: dict[tuple[str, int], tuple[Said, ...]] = {}

    def is_said(self, module: Module, scopes: Iterable[int], words: Iterable[str], times: int) -> bool:
        """Whether bodies may say some of the words so often: told of the bodies as they are encoded."""
        patterns = [pattern for word in words for pattern in self._encoded.get(word, ())]
        for scope in scopes:
            body = bytes(module.facts.bodies[scope])
            for pattern in patterns:
                times -= body.count(pattern)
            if times <= 0:
                return True
        return False

    def of(self, module: Module, scope: int) -> tuple[Said, ...]:
        """What the statements of a scope say, in their order."""
        key = (module.path, scope)
        known = self._said.get(key)
        if known is None:
            known = self._said[key] = tuple(self._read(module, scope))
        return known

    def _read(self, module: Module, scope: int) -> list[Said]:
        words = self._words
        found: list[Said] = []
        for stmt in statements(module.body(scope)):
            for root in expressions(stmt, module.facts.scopes):
                nodes = named_in(root, words)
                if nodes:
                    found.append(Said(stmt, root, tuple(nodes)))
        return found
