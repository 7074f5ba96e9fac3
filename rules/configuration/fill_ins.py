"""Assignments that give an option a value where it has none: ``if cfg.x is None: cfg.x = 8``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Boolean,
    Build,
    Call,
    Compare,
    Conditional,
    Const,
    Expr,
    If,
    Ref,
    Stmt,
    Subscript,
    Unary,
)
from mldebt.facts.walk import blocks, walk

if TYPE_CHECKING:
    from .config_objects import Event

_ASKING = frozenset({"getattr", "get", "hasattr", "pop", "setdefault", "contains", "is_missing", "isset"})
_EMPTY = (None, "", "auto", "???")


def fills_in(event: Event) -> bool:
    """Whether an assignment only supplies what is missing, or says again what the option said."""
    name = event.names[-1] if event.names else ""
    value = event.statement.value if isinstance(event.statement, Assign) else None
    if value is not None and name and _supplies(value, name):
        return True
    for test, holds in tests_around(event.module.body(event.scope), event.statement.line):
        if _says_missing(test, name, holds):
            return True
        if holds and _asks(test, name) and isinstance(value, Const) and value.value is True:
            return True
    return False


def tests_around(body: Sequence[Stmt], line: int) -> Iterator[tuple[Expr, bool]]:
    """The tests a line is behind, outermost first, and whether they hold there."""
    while True:
        around = next((one for one in body if one.line <= line <= one.end_line and any(blocks(one))), None)
        if around is None:
            return
        if isinstance(around, If):
            holds = any(one.line <= line <= one.end_line for one in around.body)
            yield around.test, holds
            body = around.body if holds else around.orelse
        else:
            body = [stmt for block in blocks(around) for stmt in block]


def _supplies(value: Expr, name: str) -> bool:
    """``cfg.x or 8``, ``8 if cfg.x is None else cfg.x``, ``getattr(args, "x", 512)``."""
    if isinstance(value, Boolean):
        return value.op == "or" and _asks(value.values[0], name)
    if isinstance(value, Conditional):
        if _says_missing(value.test, name, True) or _says_missing(value.test, name, False):
            return True
        value = value.then
    if isinstance(value, Call) and last_segment(value.function) in ("getattr", "get", "pop", "setdefault"):
        return any(isinstance(node, Const) and node.value == name for arg in value.args for node in walk(arg))
    return False


def _says_missing(test: Expr, name: str, holds: bool) -> bool:
    """Whether a test that holds, or does not, says that an option has no value."""
    if isinstance(test, Boolean):
        return any(_says_missing(one, name, holds) for one in test.values)
    if isinstance(test, Unary) and test.op == "not":
        return _says_missing(test.operand, name, not holds)
    if isinstance(test, Compare) and len(test.ops) == 1:
        op, other = test.ops[0], test.comparators[0]
        if op in ("in", "not in"):
            if isinstance(test.left, Const):
                return test.left.value == name and (op == "not in") is holds
            return op == "in" and holds and _asks(test.left, name) and _has_empty(other)
        missing = isinstance(other, Const) and other.value in _EMPTY and _asks(test.left, name)
        return missing and (op in ("is", "==")) is holds
    return not holds and _asks(test, name)


def _has_empty(expr: Expr) -> bool:
    return isinstance(expr, Build) and any(isinstance(one, Const) and one.value in _EMPTY for one in expr.items)


def _asks(expr: Expr, name: str) -> bool:
    """Whether an expression is the option, or asks whether there is one."""
    if isinstance(expr, (Ref, Attribute)):
        return expr.name.rpartition(".")[2] == name
    if isinstance(expr, Subscript):
        return isinstance(expr.index, Const) and expr.index.value == name
    if isinstance(expr, Call) and last_segment(expr.function) in _ASKING:
        return any(isinstance(arg, Const) and arg.value == name for arg in expr.args)
    return False
