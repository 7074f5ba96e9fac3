"""Comparisons with a sentinel that only look for what is missing, keep it in a column of its own, or take it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Assert,
    Assign,
    Attribute,
    Binary,
    Call,
    Compare,
    Const,
    Do,
    Expr,
    Ref,
    Stmt,
    Subscript,
    Unary,
)
from mldebt.facts.walk import expressions, statements, walk

if TYPE_CHECKING:
    from mldebt.module import Module

# What these make of a comparison is a count, a look at the data.
_COUNTS = frozenset({"sum", "any", "all", "mean", "count_nonzero", "value_counts"})
_NAN = frozenset({"nan", "NaN", "NAN", "NA", "NaT", "null"})


def kept_in(module: Module, index: int, lines: Sequence[int]) -> frozenset[str]:
    """Names whose value is put into a column as it is or as a number: with a comparison in them, indicators."""
    if not any(module.scope_at(line) == index for line in lines):
        return frozenset()
    return frozenset(
        name
        for stmt in statements(module.body(index))
        if isinstance(stmt, Assign)
        and isinstance(stmt.targets[0], Subscript)
        and isinstance(value := _bare(stmt.value), Ref)
        for name in (value.name, value.name.removesuffix(".astype"))
    )


def _bare(expr: Expr) -> Expr:
    """``x`` of ``x.astype(int)``, ``(x) * 1`` and ``~x``."""
    while True:
        if isinstance(expr, Call) and isinstance(expr.function, Attribute) and expr.function.name == "astype":
            expr = expr.function.value
        elif isinstance(expr, Call) and isinstance(expr.function, Ref) and expr.function.name.endswith(".astype"):
            expr = expr.function
        elif isinstance(expr, Binary) and expr.op == "*":
            expr = expr.left
        elif isinstance(expr, Unary):
            expr = expr.operand
        else:
            return expr


def only_looks(stmt: Stmt, nodes: Sequence[Expr], kept: frozenset[str]) -> bool:
    """Whether what is missing is counted, shown, or kept in a column of its own."""
    if isinstance(stmt, Assert) or (isinstance(stmt, Do) and not _in_place(nodes)):
        return True
    if isinstance(stmt, Assign) and isinstance(_bare(stmt.value), Compare):
        target = stmt.targets[0]
        return isinstance(target, Subscript) or (isinstance(target, Ref) and target.name in kept)
    return any(isinstance(one, Call) and _counts(one) for one in nodes)


def _counts(call: Call) -> bool:
    """``(x == -1).astype(int).sum()`` and ``np.sum(x == -1)``."""
    function = call.function
    if not isinstance(function, (Attribute, Ref)) or function.name.rpartition(".")[2] not in _COUNTS:
        return False
    counted = [function.value] if isinstance(function, Attribute) else call.args
    return any(isinstance(_bare(one), Compare) for one in counted)


def _in_place(nodes: Sequence[Expr]) -> bool:
    return any(isinstance(one, Call) and any(word.name == "inplace" for word in one.keywords) for one in nodes)


def is_replaced(stmt: Stmt, node: Compare) -> bool:
    """``x[x == -999] = usual``: the sentinel goes."""
    return (
        isinstance(stmt, Assign)
        and not isinstance(stmt.value, Const)
        and any(part is node for target in stmt.targets for part in walk(target))
    )


def makes_missing(stmt: Stmt, module: Module) -> bool:
    """Whether a statement turns something into NaN: that is the way out."""
    parts = [part for root in expressions(stmt, module.facts.scopes) for part in walk(root)]
    names = {one.name.rpartition(".")[2] for one in parts if isinstance(one, (Ref, Attribute))}
    none = isinstance(stmt, Assign) and isinstance(stmt.value, Const) and stmt.value.value is None
    return none or bool(names & _NAN) or bool(names & {"mask", "isna", "isnull", "replace"})
