"""Class hierarchies over project and library names."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import CLASS, Expr, Ref, Subscript

if TYPE_CHECKING:
    from mldebt.project.resolution import Resolver

UNKNOWN_BASE = "?"
_DEEPEST = 40


class Classes:
    """Linearised bases, subclasses and methods of the project's classes."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._mro: dict[str, tuple[str, ...]] = {}
        self._active: set[str] = set()
        self._subclasses: dict[str, tuple[str, ...]] = {}

    def bases(self, name: str) -> tuple[str, ...]:
        """Direct bases by name; "?" stands for those that cannot be told. () for a library class."""
        found = self._resolver.definition(name)
        if found is None:
            return ()
        path, index = found
        scope = self._resolver.facts[path].scopes[index]
        bases: list[str] = []
        for expr in scope.bases if scope.kind == CLASS else ():
            names = self._resolver.resolve(path, scope.parent, chain) if (chain := _chain(expr)) else ()
            bases += names or (UNKNOWN_BASE,)
            if len(names) > 1:
                bases.append(UNKNOWN_BASE)
        return tuple(base for base in dict.fromkeys(bases) if base != name)

    def mro(self, name: str) -> tuple[str, ...]:
        """The class and its bases in method resolution order; library classes end their branch, "?" ends the whole.

        A hierarchy Python would refuse is given depth first.
        """
        mro = self._mro.get(name)
        if mro is None:
            if name in self._active or len(self._active) > _DEEPEST:
                return (name, UNKNOWN_BASE)
            self._active.add(name)
            bases = self.bases(name)
            rows = [self.mro(base) for base in bases if base != UNKNOWN_BASE]
            self._active.discard(name)
            unknown = UNKNOWN_BASE in bases or any(row[-1] == UNKNOWN_BASE for row in rows)
            known = [[base for base in row if base != UNKNOWN_BASE] for row in rows]
            order = _merge([*known, [base for base in bases if base != UNKNOWN_BASE]])
            mro = (name, *order, *([UNKNOWN_BASE] if unknown else []))
            if not self._active and not self._resolver.answering:
                self._mro[name] = mro
        return mro

    @cached_property
    def _direct_subclasses(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self._resolver.facts):
            for scope in self._resolver.facts[path].scopes:
                if scope.kind == CLASS and scope.bases:
                    name = f"{path}:{scope.qualname}"
                    for base in self.bases(name):
                        found.setdefault(base, []).append(name)
        return found

    def subclasses(self, name: str) -> tuple[str, ...]:
        """Project classes derived from a project or library class, at any distance, nearest first."""
        known = self._subclasses.get(name)
        if known is None:
            found: dict[str, None] = {}
            pending = [name]
            for current in pending:
                for derived in self._direct_subclasses.get(current, ()):
                    if derived not in found and derived != name:
                        found[derived] = None
                        pending.append(derived)
            known = self._subclasses[name] = tuple(found)
        return known

    def method(self, name: str, method: str) -> str | None:
        """The first project class in the MRO that defines the method, as ``path:Class.method``."""
        for base in self.mro(name):
            candidate = f"{base}.{method}"
            if ":" in base and self._resolver.definition(candidate) is not None:
                return candidate
        return None


def _chain(expr: Expr) -> str | None:
    """``Base`` and ``Base[T]``; None for computed bases."""
    while isinstance(expr, Subscript):
        expr = expr.value
    return expr.name if isinstance(expr, Ref) else None


def _merge(rows: list[list[str]]) -> list[str]:
    """C3 linearisation; where it fails, the first remaining head is taken all the same."""
    rows = [row[:] for row in rows if row]
    order: list[str] = []
    while rows:
        heads = [row[0] for row in rows]
        head = next((head for head in heads if not any(head in row[1:] for row in rows)), heads[0])
        order.append(head)
        rows = [rest for row in rows if (rest := [name for name in row if name != head])]
    return order
