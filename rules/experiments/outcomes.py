"""What a test can come to when an option has only the values somebody gives it, and which arms then never run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from mldebt.facts.schema import (
    Attribute,
    Boolean,
    Build,
    Call,
    Compare,
    Conditional,
    Const,
    Expr,
    If,
    Jump,
    Match,
    Raise,
    Ref,
    Return,
    Stmt,
    Unary,
    While,
)
from mldebt.facts.walk import blocks, expressions, walk

Values = frozenset[Any]
Known = Callable[[Expr], "Values | None"]

OTHER = object()  # a value nobody compares with
_BOTH: Values = frozenset({True, False})
_NEVER: Values = frozenset({False})
_ALWAYS: Values = frozenset({True})
_MOST = 64  # combinations of values one comparison is tried with
TEXT_METHODS = frozenset({"lower", "upper", "strip", "casefold"})


class Arm(NamedTuple):
    """Code that never runs: statements, or the arm of a conditional expression in ``guard``."""

    guard: Stmt
    stmts: tuple[Stmt, ...]
    expr: Expr | None


def outcomes(expr: Expr, known: Known) -> Values | None:
    """The values an expression can have; None when they cannot be told."""
    given = known(expr)
    if given is not None:
        return given
    if isinstance(expr, Const):
        return frozenset({expr.value})
    if isinstance(expr, Unary) and expr.op == "not":
        inner = _truths(expr.operand, known)
        return None if inner is None else frozenset(not one for one in inner)
    if isinstance(expr, Boolean):
        return _joined(expr, known)
    if isinstance(expr, Compare) and len(expr.ops) == 1:
        return _compared(expr, known)
    if isinstance(expr, Call):
        return _called(expr, known)
    if isinstance(expr, Conditional):
        return _chosen(expr, known)
    return None


def _truths(expr: Expr, known: Known) -> Values | None:
    values = outcomes(expr, known)
    if values is None:
        return None
    return _BOTH if OTHER in values else frozenset(bool(one) for one in values)


def _joined(expr: Boolean, known: Known) -> Values | None:
    deciding = expr.op == "or"
    parts = [_truths(part, known) for part in expr.values]
    if frozenset({deciding}) in parts:
        return frozenset({deciding})
    if None in parts:
        return None
    return frozenset({not deciding}) if set(parts) == {frozenset({not deciding})} else _BOTH


def _chosen(expr: Conditional, known: Known) -> Values | None:
    truths = _truths(expr.test, known) or _BOTH
    parts = [outcomes(arm, known) for arm, side in ((expr.then, True), (expr.orelse, False)) if side in truths]
    found: set[Any] = set()
    for part in parts:
        if part is None:
            return None
        found |= part
    return frozenset(found)


def _compared(expr: Compare, known: Known) -> Values | None:
    op, right = expr.ops[0], expr.comparators[0]
    left_values = outcomes(expr.left, known)
    if left_values is None:
        return None
    if op in ("in", "not in"):
        if not isinstance(right, Build) or not all(isinstance(item, Const) for item in right.items):
            return None
        items = [item.value for item in right.items if isinstance(item, Const)]
        return frozenset((one in items) == (op == "in") for one in left_values)
    right_values = outcomes(right, known)
    if right_values is None or len(left_values) * len(right_values) > _MOST:
        return None
    pairs = product(left_values, right_values)
    if op in ("==", "is"):
        return frozenset(one == other for one, other in pairs)
    return frozenset(one != other for one, other in pairs) if op in ("!=", "is not") else None


def _called(expr: Call, known: Known) -> Values | None:
    function = expr.function
    if isinstance(function, Ref) and function.name in ("bool", "int", "str") and len(expr.args) == 1:
        values = outcomes(expr.args[0], known)
        if values is None or OTHER in values:
            return None
        if function.name == "bool":
            return frozenset(bool(one) for one in values)
        if function.name == "str":
            return frozenset(str(one) for one in values)
        plain = all(isinstance(one, int) or (isinstance(one, str) and one.lstrip("-").isdigit()) for one in values)
        return frozenset(int(one) for one in values) if plain else None
    if isinstance(function, (Ref, Attribute)) and not expr.args and not expr.keywords:
        head, _, last = function.name.rpartition(".")
        inner: Expr | None = function.value if isinstance(function, Attribute) and not head else None
        if isinstance(function, Ref) and head:
            inner = Ref(head, function.line, function.column)
        values = outcomes(inner, known) if inner is not None and last in TEXT_METHODS else None
        if values is not None and all(one in (OTHER, None) or isinstance(one, str) for one in values):
            return frozenset(one if one is OTHER else getattr(one, last)() for one in values if one is not None)
    return None


def dead_arms(body: Sequence[Stmt], known: Known) -> Iterator[Arm]:
    """The code of a body that tests over known values keep from running; arms inside of dead arms are not told."""
    stack: list[Sequence[Stmt]] = [body]
    while stack:
        block = stack.pop()
        for at, stmt in enumerate(block):
            found = _dead_blocks(stmt, known)
            yield from (Arm(stmt, tuple(dead), None) for dead in found if dead)
            stack += [inner for inner in blocks(stmt) if inner and not any(inner is dead for dead in found)]
            for expr in expressions(stmt):
                yield from _dead_expressions(stmt, expr, known)
            if isinstance(stmt, If) and _always_leaves(stmt, found) and block[at + 1 :]:
                yield Arm(stmt, tuple(block[at + 1 :]), None)
                break


def _dead_blocks(stmt: Stmt, known: Known) -> list[Sequence[Stmt]]:
    if isinstance(stmt, (If, While)):
        truths = _decided(stmt.test, known)
        if truths == _NEVER:
            return [stmt.body]
        return [stmt.orelse] if truths == _ALWAYS and isinstance(stmt, If) else []
    if isinstance(stmt, Match):
        values = known(stmt.subject)
        if values is not None:
            return [
                case.body
                for case in stmt.cases
                if case.values and all(isinstance(one, Const) and one.value not in values for one in case.values)
            ]
    return []


def _dead_expressions(stmt: Stmt, expr: Expr, known: Known) -> Iterator[Arm]:
    for node in walk(expr):
        if isinstance(node, Conditional):
            truths = _decided(node.test, known)
            if truths is not None and len(truths) == 1:
                yield Arm(stmt, (), node.orelse if True in truths else node.then)


def _decided(test: Expr, known: Known) -> Values | None:
    """What a test can come to, if what is known has a part in it."""
    if not any(known(node) is not None for node in walk(test)):
        return None
    return _truths(test, known)


def _always_leaves(stmt: If, dead: list[Sequence[Stmt]]) -> bool:
    """Whether the arm that is left always leaves the block: ``if not flag: return``."""
    if len(dead) != 1:
        return False
    live = stmt.orelse if dead[0] is stmt.body else stmt.body
    return bool(live) and isinstance(live[-1], (Return, Jump, Raise))
