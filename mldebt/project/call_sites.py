"""The calls a body makes, those of the class bodies in it included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mldebt.facts.schema import CLASS, Call, Define, Scope
from mldebt.facts.walk import calls, statements

if TYPE_CHECKING:
    from mldebt.module import Module


def calls_made(module: Module, index: int) -> Iterator[tuple[int, Call]]:
    """Calls a body makes, with the scope they are read in; those of class bodies where the class is defined."""
    scopes = module.facts.scopes
    if not any(scope.kind == CLASS and scope.parent == index for scope in _inside(scopes, index)):
        for site in module.call_sites(index):
            yield index, site.call
        return
    for stmt in statements(module.body(index)):
        for call in calls(stmt, scopes):
            yield index, call
        if isinstance(stmt, Define) and scopes[stmt.scope].kind == CLASS:
            yield from calls_made(module, stmt.scope)


def _inside(scopes: Sequence[Scope], index: int) -> Iterator[Scope]:
    """The scopes in a scope, at any depth: they are numbered outside in."""
    for scope in islice(scopes, index + 1, None):
        if scope.parent < index:
            return
        yield scope
