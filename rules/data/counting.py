"""Whether a program says how many rows it has: prints, logs, asserts, returns or keeps a length."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assert,
    Assign,
    Attribute,
    Augment,
    Binary,
    Build,
    Call,
    Const,
    Do,
    Expr,
    If,
    Raise,
    Ref,
    Return,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .rows import Site

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition

_SAYS = frozenset(
    "print display info debug warning warn error log write echo log_metric log_metrics log_param log_params critical "
    "exception secho report append_metric record".split()
)
_SIZES = frozenset({"shape", "size"})
_COUNTS = frozenset({"len", "info", "count", "nunique", "isnull", "isna"})
_NUMBER = re.compile(
    r"(^|_)(n|num|count|counts|rows|before|after|lost|dropped|removed|kept|skipped|bad|failed|total|size)(_|$)"
)
_HIGHEST = 3  # callers above a function that are looked into


class Counting(Analysis):
    """Asked for the places where rows are lost."""

    def near(self, sites: Iterable[Site]) -> bool:
        """Whether one of the functions, a caller of theirs, or their modules' bodies say how many rows there are."""
        seen: set[tuple[str, int]] = set()
        for site in sites:
            for definition in self._around(site):
                key = (definition.module.path, definition.index)
                if key not in seen:
                    seen.add(key)
                    if self._says(definition):
                        return True
        return False

    def _around(self, site: Site) -> Iterator[Definition]:
        """The function, its module's body, and those who call it."""
        yield site.module.definition(0)
        waiting = [site.module.definition(site.scope)]
        for _ in range(_HIGHEST):
            yield from waiting
            above = [caller for one in waiting if one.is_function for caller in self.project.callers.of(one) or ()]
            waiting = [one.module.definition(one.scope) for one in above if not one.module.is_test]

    def _says(self, definition: Definition) -> bool:
        return any(_counts(stmt) or self._hands_on(definition, stmt) for stmt in statements(definition.body))

    def _hands_on(self, definition: Definition, stmt: Stmt) -> bool:
        """``report(raw, kept)``: a function of the project that says how many rows its arguments have."""
        call = stmt.value if isinstance(stmt, Do) else None
        if not isinstance(call, Call) or len(call.args) + len(call.keywords) < 2:
            return False
        edges = self.project.calls.targets(definition.module, definition.index, call)
        return any(_counts(inner) for edge in edges[:1] for inner in statements(edge.target.body))


def _counts(stmt: Stmt) -> bool:
    if isinstance(stmt, Do):
        call = stmt.value
        if isinstance(call, Call) and isinstance(call.function, (Ref, Attribute)):
            last = call.function.name.rpartition(".")[2]
            return last in ("len", "info", "count") or (
                last in _SAYS and _sized(call.args + [k.value for k in call.keywords])
            )
        return _sized([stmt.value])  # the last line of a notebook's cell
    if isinstance(stmt, (Assign, Augment)):
        return _is_kept(stmt)
    if isinstance(stmt, Return):
        return stmt.value is not None and _has_table(stmt.value)
    if isinstance(stmt, (Assert, Raise, If)):
        return _sized(expressions(stmt))
    return False


def _is_kept(stmt: Assign | Augment) -> bool:
    """``n = len(rows)``, ``before = rows.shape[0]``, ``report["lost"] = before - len(rows)``."""
    value = stmt.value
    if _is_size(value) or _has_table(value):
        return isinstance(stmt, Assign) and (not isinstance(value, Subscript) or _is_number(stmt.targets[0]))
    target = stmt.targets[0] if isinstance(stmt, Assign) else stmt.target
    differs = isinstance(value, Binary) and value.op == "-" and (_is_size(value.left) or _is_size(value.right))
    return (differs or _is_size(value)) and _is_number(target)


def _is_number(target: Expr) -> bool:
    if isinstance(target, Subscript):
        return isinstance(target.index, Const)
    return isinstance(target, Ref) and _NUMBER.search(target.name.rpartition(".")[2].lower()) is not None


def _is_size(expr: Expr) -> bool:
    if isinstance(expr, Subscript):
        return last_segment(expr.value) == "shape"
    return isinstance(expr, Call) and isinstance(expr.function, Ref) and expr.function.name == "len"


def _has_table(expr: Expr) -> bool:
    """``{"rows_in": len(raw), "rows_out": len(kept)}``."""
    return any(
        isinstance(part, Build) and part.kind == "dict" and sum(map(_is_size, part.items)) > 1 for part in walk(expr)
    )


def _sized(exprs: Iterable[Expr]) -> bool:
    for expr in exprs:
        for part in walk(expr):
            if isinstance(part, Call) and isinstance(part.function, (Ref, Attribute)):
                if part.function.name.rpartition(".")[2] in _COUNTS:
                    return True
            elif isinstance(part, (Ref, Attribute)) and part.name.rpartition(".")[2] in _SIZES:
                return True
    return False
