"""What the facts of two copies that differ in names and literals have in common: compared before any text is read."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from mldebt.facts.schema import Const, Define, Expr, Format, Opaque, Ref, Unary
from mldebt.facts.walk import children, expressions, statements
from mldebt.module import Module

# What a literal may be read as: ``-1`` is one number and ``-True`` is not, an f-string has parts.
_LITERALS = frozenset({Const, Opaque, Format})


def outline(module: Module, index: int) -> Hashable:
    """The size of a function, by its scope alone; of a file (0), those of all its scopes."""
    facts = module.facts
    scope = facts.scopes[index]
    if index:
        return (len(scope.parameters), len(scope.uses), len(scope.bindings))
    return tuple((one.kind, len(one.parameters), len(one.uses)) for one in facts.scopes)


def kinds(module: Module, index: int) -> tuple[type, ...]:
    """The kinds of the statements of a body, in source order."""
    return tuple(map(type, statements(module.body(index))))


def skeleton(module: Module, index: int) -> Hashable:
    """The kinds of the expressions of a body without its literals; equal wherever the tokens are, but for those."""
    found: list[object] = []
    for stmt in statements(module.body(index)):
        found.append(None)
        if type(stmt) is not Define:
            for expr in expressions(stmt):
                found += _parts(expr)
    return tuple(found)


def _parts(expr: Expr) -> Iterator[object]:
    stack = [expr]
    while stack:
        node = stack.pop()
        kind = type(node)
        if isinstance(node, Ref):
            yield node.name.count(".")
        elif kind not in _LITERALS:
            if kind is not Unary:
                yield kind
            stack.extend(children(node))
