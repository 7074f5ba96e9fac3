"""How often one value changes its library on its way through a function."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mldebt.facts.schema import (
    Assign,
    Attribute,
    Binary,
    Build,
    Call,
    Comprehension,
    Conditional,
    Do,
    Expr,
    Ref,
    Starred,
    Stmt,
    Subscript,
    Unary,
    Wait,
)
from mldebt.facts.walk import statements
from mldebt.module import Module

from .conversions import Operations
from .crossings import TELLS, Crossings, converted
from .evidence import owner
from .spoken import Spoken
from .statements import StatementReader

FRAMEWORKS = frozenset({"pandas", "polars", "numpy", "torch", "tensorflow", "jax", "pyspark", "arrow"})
_DEEPEST = 60


class Step(Struct, frozen=True):
    """One change of library on the way."""

    at: Expr
    source: str
    target: str


Journey = tuple[Step, ...]


class Journeys:
    """Answers for the functions of one module."""

    def __init__(self, known: Operations, module: Module) -> None:
        self._module = module
        self._reader = StatementReader(known, module)
        self._crossings = Crossings(known, module)
        self._known: dict[int, Journey] = {}
        self._stored: dict[int, dict[str, list[tuple[int, Expr]]]] = {}

    def longest(self, scope: int) -> Journey:
        """The journey with most steps that any value of a function makes; of two, the earlier."""
        found: Journey = ()
        for said in self._module.project[Spoken].of(self._module, scope):
            for node in said.nodes:
                if self._converts(scope, node) is not None:
                    journey = self._to(scope, node, _DEEPEST)
                    found = journey if len(journey) > len(found) else found
        return found

    def _converts(self, scope: int, node: Expr) -> tuple[str, str, Expr] | None:
        """Name, target library and value of a conversion between frameworks; None for all else."""
        if isinstance(node, Call):
            row = self._reader.operation(scope, node)
            value = converted(row, node) if row is not None and row.crosses and row.to in FRAMEWORKS else None
            return (row.name, row.to, value) if row is not None and value is not None else None
        if isinstance(node, (Ref, Attribute)) and node.name.endswith(".values"):
            before = owner(node)
            return ("values", "numpy", before) if before is not None else None
        return None

    def _to(self, scope: int, expr: Expr, depth: int) -> Journey:
        """The longest journey a value made before it is what ``expr`` gives."""
        if depth <= 0:
            return ()
        key = id(expr)
        known = self._known.get(key)
        if known is None:
            self._known[key] = ()  # a loop adds nothing to itself
            known = self._known[key] = self._found(scope, expr, depth)
        return known

    def _found(self, scope: int, expr: Expr, depth: int) -> Journey:
        conversion = self._converts(scope, expr)
        if conversion is None:
            return max((self._to(scope, part, depth - 1) for part in self._parts(scope, expr)), key=len, default=())
        name, target, value = conversion
        before = self._to(scope, value, depth - 1)
        source = self._crossings.library(scope, value) or (before[-1].target if before else self._told(name))
        if source is None or source == target or source not in FRAMEWORKS:
            return before
        return (*before, Step(expr, source, target))

    def _told(self, name: str) -> str | None:
        if name == "values":
            return "pandas" if "pandas" in self._crossings.imported else None
        return self._crossings.told(name) if name in TELLS or name == "torch.from_numpy" else None

    def _parts(self, scope: int, expr: Expr) -> Iterator[Expr]:
        """What a value is made of: one step back."""
        if isinstance(expr, Call):
            before = owner(expr.function) if isinstance(expr.function, (Ref, Attribute)) else None
            yield from [*expr.args, *(keyword.value for keyword in expr.keywords), *([before] if before else [])]
        elif isinstance(expr, (Subscript, Starred, Attribute, Wait)):
            yield from [expr.value] if expr.value is not None else ()
        elif isinstance(expr, Unary):
            yield expr.operand
        elif isinstance(expr, Binary):
            yield from (expr.left, expr.right)
        elif isinstance(expr, Conditional):
            yield from (expr.then, expr.orelse)
        elif isinstance(expr, Build):
            yield from expr.items
        elif isinstance(expr, Comprehension):
            yield from (expr.element, *(generator.iterable for generator in expr.generators))
        elif isinstance(expr, Ref):
            flow = self._module.project.flow(self._module.definition(scope))
            for origin in flow.origins(expr):
                if origin.value is not None:
                    yield origin.value
            for line, value in self._put(scope).get(expr.name, ()):
                if line < expr.line:
                    yield value

    def _put(self, scope: int) -> dict[str, list[tuple[int, Expr]]]:
        """What a body puts into its variables, by line: ``rows.append(x)``, ``frame["score"] = x``."""
        known = self._stored.get(scope)
        if known is None:
            known = self._stored[scope] = {}
            for stmt in statements(self._module.body(scope)):
                for name, value in _puts(stmt):
                    known.setdefault(name, []).append((stmt.line, value))
        return known


def _puts(stmt: Stmt) -> Iterator[tuple[str, Expr]]:
    if isinstance(stmt, Do) and isinstance(stmt.value, Call) and isinstance(stmt.value.function, Ref):
        name, _, method = stmt.value.function.name.rpartition(".")
        if name and method in ("append", "extend") and len(stmt.value.args) == 1:
            yield name, stmt.value.args[0]
    elif isinstance(stmt, Assign):
        for target in stmt.targets:
            if isinstance(target, Subscript) and isinstance(target.value, Ref):
                yield target.value.name, stmt.value
