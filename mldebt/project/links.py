"""One module's facts, indexed for linking."""

from __future__ import annotations

from functools import cached_property

from mldebt.facts.extract import decode_body
from mldebt.facts.schema import (
    GLOBAL,
    Annotate,
    Assign,
    Augment,
    Build,
    Expr,
    For,
    Import,
    ModuleFacts,
    Ref,
    Stmt,
    With,
)
from mldebt.facts.walk import statements


class Links:
    """One module's facts, indexed for linking."""

    def __init__(self, facts: ModuleFacts) -> None:
        self.facts = facts

    @cached_property
    def imports(self) -> dict[tuple[int, str], list[Import]]:
        """Imports by the scope they bind in (``global`` taken into account) and the name they bind."""
        found: dict[tuple[int, str], list[Import]] = {}
        scopes = self.facts.scopes
        for fact in self.facts.imports:
            scope = 0 if scopes[fact.scope].bindings.get(fact.bound, 0) & GLOBAL else fact.scope
            found.setdefault((scope, fact.bound), []).append(fact)
        return found

    @cached_property
    def stars(self) -> list[Import]:
        return [fact for fact in self.facts.imports if fact.bound == "*"]

    @cached_property
    def aliases(self) -> frozenset[tuple[int, str]]:
        return frozenset((alias.scope, alias.name) for alias in self.facts.aliases)

    @cached_property
    def definitions(self) -> dict[str, int]:
        """Scope indexes by qualified name. Of several the last is what stays, but a setter is not its property."""
        found: dict[str, int] = {}
        for index, scope in enumerate(self.facts.scopes):
            if scope.qualname in found and any(_suffix(d) in ("setter", "deleter") for d in scope.decorators):
                continue
            found[scope.qualname] = index
        return found

    @cached_property
    def global_bits(self) -> dict[str, int]:
        """How functions bind the module's names through ``global``."""
        found: dict[str, int] = {}
        for scope in self.facts.scopes:
            for name, bits in scope.bindings.items():
                if bits & GLOBAL:
                    found[name] = found.get(name, 0) | (bits & ~GLOBAL)
        return found

    def assigned(self, scope: int) -> dict[str, list[Expr | None]]:
        """Values assigned to each name in a scope's own body; None for what an unpacking or a loop gives."""
        if scope not in self._assigned:
            self._assigned[scope] = _assigned(self.facts, scope)
        return self._assigned[scope]

    @cached_property
    def _assigned(self) -> dict[int, dict[str, list[Expr | None]]]:
        return {}

    def public(self, name: str) -> bool:
        """Whether ``from module import *`` brings the name along."""
        return name in self.facts.exports if self.facts.exports is not None else not name.startswith("_")


def _suffix(expr: Expr) -> str:
    return expr.name.rpartition(".")[2] if isinstance(expr, Ref) else ""


def _assigned(facts: ModuleFacts, scope: int) -> dict[str, list[Expr | None]]:
    found: dict[str, list[Expr | None]] = {}
    for stmt in statements(decode_body(facts.bodies[scope])):
        for target, value in _stores(stmt):
            if isinstance(target, Ref):
                found.setdefault(target.name, []).append(value)
            elif isinstance(target, Build):
                for item in target.items:
                    if isinstance(item, Ref):
                        found.setdefault(item.name, []).append(None)
    return found


def _stores(stmt: Stmt) -> list[tuple[Expr, Expr | None]]:
    if isinstance(stmt, Assign):
        return [(target, stmt.value) for target in stmt.targets]
    if isinstance(stmt, Annotate):
        return [(stmt.target, stmt.value)] if stmt.value is not None else []
    if isinstance(stmt, (Augment, For)):
        return [(stmt.target, None)]
    return [(item.target, None) for item in stmt.items if item.target is not None] if isinstance(stmt, With) else []
