"""Under which tests a statement runs, and whether such a test is a switch somebody can set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mldebt.facts.schema import Boolean, Call, Conditional, Expr, For, If, Jump, Match, Ref, Return, Stmt, Unary, While
from mldebt.facts.walk import blocks, walk

_SWITCH = re.compile(
    r"debug|dbg|pdb|verbos|trace|interactive|anomal|dry_?run|smoke|sanity|fast_?dev|is_?test|testing|inspect|breakpoint"
    r"|quick|profil|nan_?check|check_?nan|\bdev\b",
    re.IGNORECASE,
)
_OBJECTS = frozenset("args cfg config conf opt opts options hparams flags settings FLAGS hps environ getenv".split())


class Guarded(NamedTuple):
    """A statement, the tests it runs under (outermost first), and the loops it stands in."""

    stmt: Stmt
    tests: tuple[Expr, ...]
    loops: tuple[For | While, ...]


def guarded(body: Sequence[Stmt]) -> Iterator[Guarded]:
    """Every statement of a body with its tests: also those of an ``if`` above it that leaves the block."""
    stack: list[tuple[Sequence[Stmt], tuple[Expr, ...], tuple[For | While, ...]]] = [(body, (), ())]
    while stack:
        block, tests, loops = stack.pop()
        for stmt in block:
            yield Guarded(stmt, tests, loops)
            inner = tests
            if isinstance(stmt, If) and not _runs_main(stmt.test):
                inner = (*tests, stmt.test)
            elif isinstance(stmt, Match):
                inner = (*tests, stmt.subject)
            around = (*loops, stmt) if isinstance(stmt, (For, While)) else loops
            stack += [(one, inner, around) for one in reversed(blocks(stmt)) if one]
            if isinstance(stmt, If) and any(_leaves(arm) for arm in (stmt.body, stmt.orelse)):
                tests = (*tests, stmt.test)


def is_switch(test: Expr) -> bool:
    """Whether a test asks what somebody set: an option, a flag, a parameter that is true or false."""
    if any(
        isinstance(node, Ref) and (_SWITCH.search(node.name) or not _OBJECTS.isdisjoint(node.name.split(".")))
        for node in walk(test)
    ):
        return True
    parts: Sequence[Expr] = test.values if isinstance(test, Boolean) else (test,)
    return any(isinstance(part.operand if isinstance(part, Unary) else part, Ref) for part in parts)


def chooses(expr: Expr) -> bool:
    """Whether an expression takes one value or another."""
    return any(isinstance(node, (Conditional, Boolean)) for node in walk(expr))


def called(call: Call) -> str:
    """The last identifier of what is called; "" when that has no name."""
    return getattr(call.function, "name", "").rpartition(".")[2]


def _runs_main(test: Expr) -> bool:
    return any(isinstance(node, Ref) and node.name == "__name__" for node in walk(test))


def _leaves(block: Sequence[Stmt]) -> bool:
    return bool(block) and isinstance(block[-1], (Return, Jump))
