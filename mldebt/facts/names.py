"""Names in the facts: which scope binds one that is read in another, and how a chain ends."""

from __future__ import annotations

from collections.abc import Iterable

from mldebt.facts.schema import CLASS, GLOBAL, NONLOCAL, Attribute, Expr, ModuleFacts, Ref


def binding_scope(facts: ModuleFacts, scope_index: int, head: str) -> int | None:
    """Return the index of the scope that binds ``head`` as read in ``scopes[scope_index]``.

    Class scopes are seen only from their own body. ``global`` names belong to the module, also when only a function
    ever binds them. None when nothing in the file binds the name (a builtin, or a star import's), and when the answer
    depends on where in the scope the name stands: comprehensions and lambdas bind it too (``rebound_inside``).
    """
    scopes = facts.scopes
    scope = scopes[scope_index]
    if scope.inner and head in scope.inner:
        return None
    index = scope_index
    while True:
        if index == 0 or scope.kind != CLASS or index == scope_index:
            bits = scope.bindings.get(head)
            if bits is not None:
                if bits & GLOBAL:
                    return 0
                if not bits & NONLOCAL:
                    return index
        index = scope.parent
        if index < 0:
            return None
        scope = scopes[index]


def rebound_inside(facts: ModuleFacts, scope_index: int, head: str) -> bool:
    """Whether a comprehension or lambda of the scope binds ``head`` too, so that its reads there mean either."""
    return head in facts.scopes[scope_index].inner


def last_segment(expr: Expr) -> str:
    """``c`` of ``a.b.c`` and of ``a().c``; "" for what is no name."""
    return expr.name[expr.name.rfind(".") + 1 :] if isinstance(expr, (Ref, Attribute)) else ""


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names in order, each once."""
    return tuple(dict.fromkeys(names))
