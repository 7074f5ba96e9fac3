"""Which ways through a function its constants leave open: the returns and definitions decided tests rule out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Boolean,
    Compare,
    Const,
    Expr,
    If,
    Raise,
    Ref,
    Return,
    Stmt,
    Try,
    Unary,
    With,
)
from mldebt.facts.walk import blocks, statements

from .values import Constant, Display, Instance, Named, Where

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin

    from .evaluation import Evaluation


def truth(evaluation: Evaluation, where: Where, test: Expr, depth: int) -> bool | None:
    """Whether a test holds; None when that depends."""
    if isinstance(test, Unary) and test.op == "not":
        inner = truth(evaluation, where, test.operand, depth)
        return None if inner is None else not inner
    if isinstance(test, Boolean):
        parts = [truth(evaluation, where, part, depth) for part in test.values]
        decides = test.op == "or"
        if decides in parts:
            return decides
        return None if None in parts else not decides
    if isinstance(test, Compare):
        return _compared(evaluation, where, test, depth)
    if isinstance(test, Const):
        return bool(test.value)
    answers = {_says(value) for value in evaluation.of(where, test, depth)}
    return answers.pop() if len(answers) == 1 else None


def _says(value: object) -> bool | None:
    if isinstance(value, Constant):
        return bool(value.value)
    return True if isinstance(value, (Named, Instance)) else None


def _compared(evaluation: Evaluation, where: Where, test: Compare, depth: int) -> bool | None:
    if len(test.ops) != 1:
        return None
    op = test.ops[0]
    answers = set()
    rights = evaluation.of(where, test.comparators[0], depth)
    for left in evaluation.of(where, test.left, depth):
        for right in rights:
            answers.add(_holds(op, left, right))
    return answers.pop() if len(answers) == 1 else None


def _holds(op: str, left: object, right: object) -> bool | None:
    if op in ("is", "is not") and isinstance(right, Constant) and right.value is None:
        if isinstance(left, (Instance, Named, Display)):
            return op == "is not"
        if isinstance(left, Constant):
            return (left.value is None) == (op == "is")
        return None
    if isinstance(left, Constant) and isinstance(right, Constant):
        equal = left.value == right.value
        if op in ("==", "is"):
            return equal
        if op in ("!=", "is not"):
            return not equal
        numbers = (left.value, right.value)
        if all(isinstance(one, (int, float)) for one in numbers):
            a, b = numbers
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}.get(op)  # type: ignore[operator]
    return None


def returns(evaluation: Evaluation, where: Where, body: Sequence[Stmt], depth: int) -> tuple[list[Return], bool]:
    """The returns that may be reached, and whether the end of ``body`` may be."""
    found: list[Return] = []
    for stmt in body:
        if isinstance(stmt, Return):
            found.append(stmt)
            return found, False
        if isinstance(stmt, Raise):
            return found, False
        if isinstance(stmt, If):
            sure = _decided(evaluation, where, stmt, depth)
            ways = (stmt.body, stmt.orelse) if sure is None else (stmt.body,) if sure else (stmt.orelse,)
            goes_on = False
            for way in ways:
                inner, through = returns(evaluation, where, way, depth)
                found += inner
                goes_on = goes_on or through
            if not goes_on:
                return found, False
        elif isinstance(stmt, With):
            inner, through = returns(evaluation, where, stmt.body, depth)
            found += inner
            if not through:
                return found, False
        else:
            inners = [returns(evaluation, where, block, depth) for block in blocks(stmt)]
            found += [one for inner, _ in inners for one in inner]
            if isinstance(stmt, Try) and not _passes(stmt, [through for _, through in inners]):
                return found, False
    return found, True


def _passes(stmt: Try, through: Sequence[bool]) -> bool:
    """Whether control may go on after a ``try``; ``through`` says it of its blocks in source order."""
    body, *handlers, orelse, final = through
    return final and ((body and orelse) or any(handlers))


def _decided(evaluation: Evaluation, where: Where, stmt: If, depth: int) -> bool | None:
    """The test's answer, asked only where it can matter: something returns below."""
    if not any(isinstance(one, (Return, Raise)) for way in (stmt.body, stmt.orelse) for one in statements(way)):
        return None
    return truth(evaluation, where, stmt.test, depth)


def reached(evaluation: Evaluation, where: Where, ref: Ref, origins: Sequence[Origin], depth: int) -> Sequence[Origin]:
    """The origins that decided tests around them leave; what a certain one overwrites is dropped too."""
    if len(origins) < 2:
        return origins
    body = where.module.body(where.scope)
    kept: list[Origin] = []
    for origin in origins:
        tests = list(_around(body, origin.statement)) if origin.statement is not None else []
        inside = [(stmt, way) for stmt, way in tests if not stmt.line < ref.line <= _last(stmt, way)]
        answers = [_answer(evaluation, where, stmt, way, depth) for stmt, way in inside]
        if False in answers:
            continue
        if inside and all(answers):
            first = inside[0][0].line
            kept = [one for one in kept if one.statement is not None and one.statement.line > first]
        kept.append(origin)
    return kept


def _last(stmt: If, way: bool) -> int:
    block = stmt.body if way else stmt.orelse
    return block[-1].end_line if block else stmt.line


def _answer(evaluation: Evaluation, where: Where, stmt: If, way: bool, depth: int) -> bool | None:
    sure = truth(evaluation, where, stmt.test, depth)
    return None if sure is None else sure == way


def _around(body: Sequence[Stmt], wanted: Stmt) -> Iterator[tuple[If, bool]]:
    """The ``if`` statements around a statement, outermost first, with the branch it is in."""
    for stmt in body:
        if not stmt.line <= wanted.line <= stmt.end_line or stmt is wanted:
            continue
        if isinstance(stmt, If):
            way = any(one.line <= wanted.line <= one.end_line for one in stmt.body)
            yield stmt, way
            yield from _around(stmt.body if way else stmt.orelse, wanted)
        else:
            for block in blocks(stmt):
                yield from _around(block, wanted)
