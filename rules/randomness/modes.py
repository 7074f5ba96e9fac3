"""Modes of one program that exclude each other: the draws of ``serve`` are none of ``train``'s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mldebt.facts.schema import Call, If, Jump, Match, Raise, Return, Stmt
from mldebt.facts.walk import statements

from .programs import Site
from .states import Path


def is_other_mode(one: Path, other: Path) -> bool:
    """Whether two ways part at a choice, so that a run that takes one does not take the other."""
    shared: Site | None = None
    for here, there in zip((*one.hops, one.site), (*other.hops, other.site), strict=False):
        if here.position != there.position:
            return _are_exclusive(here, there, shared)
        shared = here
    return False


def _are_exclusive(here: Site, there: Site, caller: Site | None) -> bool:
    module, lines = here.module, {here.fact.line, there.fact.line}
    scope = module.scope_at(here.fact.line)
    if module is not there.module or scope != module.scope_at(there.fact.line):
        return caller is not None and isinstance(caller.fact, Call)  # one call that may end in either function
    return len(lines) > 1 and any(_part(stmt, lines) for stmt in statements(module.body(scope)))


def _part(stmt: Stmt, lines: set[int]) -> bool:
    """Whether the lines are in different arms of a statement, or one in an arm that leaves and one behind it."""
    inside = [{line for line in lines if _holds(arm, line)} for arm in _arms(stmt)]
    if sum(map(bool, inside)) > 1:
        return True
    behind = {line for line in lines if line > stmt.end_line}
    return any(found and behind and _leaves(arm) for found, arm in zip(inside, _arms(stmt), strict=True))


def _arms(stmt: Stmt) -> Iterator[Sequence[Stmt]]:
    if isinstance(stmt, If):
        yield stmt.body
        yield stmt.orelse
    elif isinstance(stmt, Match):
        yield from (case.body for case in stmt.cases)


def _holds(arm: Sequence[Stmt], line: int) -> bool:
    return bool(arm) and arm[0].line <= line <= arm[-1].end_line


def _leaves(arm: Sequence[Stmt]) -> bool:
    return isinstance(arm[-1], (Return, Raise, Jump))
