"""Choices that are made by scores on the test part (MLD603)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from mldebt.facts.schema import Assign, Attribute, Build, Compare, Do, Expr, For, If, Ref, Stmt, While
from mldebt.facts.walk import blocks, calls_in, expressions, statements, walk
from mldebt.finding import Place
from mldebt.module import Module
from mldebt.rule import Analysis

from .row_flow import RowFlow
from .rows import TEST, VALIDATION, Data, Event, Site, Stat, part_of
from .running import Run

_SEARCHES = frozenset("GridSearchCV RandomizedSearchCV cross_val_score cross_validate HalvingGridSearchCV".split())
_SAVES = frozenset("save save_checkpoint save_model save_weights dump save_pretrained state_dict deepcopy".split())


class Choice(Struct, frozen=True):
    """A choice, how it is made, and the name of what it is made by."""

    place: Place
    how: str
    by: str


class TestReuse(Analysis):
    """All choices by test scores, in the order of places."""

    __test__ = False  # no test class

    @cached_property
    def all(self) -> tuple[Choice, ...]:
        found: dict[Place, Choice] = {}
        for run in self.project[RowFlow].runs:
            for choice in _choices(run):
                found.setdefault(choice.place, choice)
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test and _has_words(module):
                for choice in _best_epochs(module):
                    found.setdefault(choice.place, choice)
        return tuple(found[place] for place in sorted(found, key=lambda place: (place.path, place.span.line)))


def _choices(run: Run) -> Iterator[Choice]:
    decisions = [event for event in run.events if event.kind == "decide"]
    if not decisions or _validates(run):
        return
    for event in decisions:
        value = event.data[0]
        if isinstance(value, Stat) and value.test == TEST:
            yield Choice(event.site.place, event.label, "a score on the test part")


def _validates(run: Run) -> bool:
    """Whether something else than the test part is there to choose by."""
    return run.validated or any(
        (event.kind == "fit" and event.label in _SEARCHES)
        or (event.kind == "cut" and event.part == VALIDATION)
        or (event.kind == "split" and any(_again(event, data) for data in event.data))
        for event in run.events
    )


def _again(event: Event, data: object) -> bool:
    return isinstance(data, Data) and any(rows.is_part() for rows in data.rows)


# Loops over epochs in torch, where the test part is known by its name.


def _has_words(module: Module) -> bool:
    names = module.mentions
    if not any("best" in name.lower() for name in names):
        return False
    parts = {
        part_of(name) for name in names if "test" in name.lower() or "val" in name.lower() or "dev" in name.lower()
    }
    return TEST in parts and VALIDATION not in parts


def _best_epochs(module: Module) -> Iterator[Choice]:
    for index in range(len(module.facts.scopes)):
        uses = module.scope(index).uses
        if not any("best" in name.lower() for name in uses) or not any("test" in name.lower() for name in uses):
            continue
        body = module.body(index)
        for stmt, looped in _ifs(body, False):
            by = _by(stmt, body)
            if by and (looped or _loops_over_test(body)) and _keeps(stmt):
                yield Choice(
                    Site(module, index, stmt.test if hasattr(stmt.test, "line") else stmt).place, "the best epoch", by
                )


def _ifs(body: Sequence[Stmt], looped: bool) -> Iterator[tuple[If, bool]]:
    for stmt in body:
        if isinstance(stmt, If):
            yield stmt, looped
        inner = looped or isinstance(stmt, (For, While))
        for block in blocks(stmt):
            yield from _ifs(block, inner)


def _by(stmt: If, body: Sequence[Stmt]) -> str:
    """The test score that is compared with the best so far."""
    for part in walk(stmt.test):
        if isinstance(part, Compare) and len(part.comparators) == 1 and part.ops[0] in ("<", ">", "<=", ">="):
            sides = [one.name for one in (part.left, part.comparators[0]) if isinstance(one, Ref)]
            best = [name for name in sides if "best" in name.lower()]
            score = [name for name in sides if name not in best]
            if len(best) == 1 and len(score) == 1 and _is_test_score(score[0], body):
                return score[0]
    return ""


def _is_test_score(name: str, body: Sequence[Stmt]) -> bool:
    if part_of(name.rpartition(".")[2]) == TEST:
        return True
    for stmt in statements(body):
        if isinstance(stmt, Assign) and any(name == one for target in stmt.targets for one in _names(target)):
            for call in calls_in(stmt.value):
                if any(isinstance(arg, Ref) and part_of(arg.name.rpartition(".")[2]) == TEST for arg in call.args):
                    return True
    return _loops_over_test(body)


def _names(target: Expr) -> list[str]:
    if isinstance(target, Ref):
        return [target.name]
    return [name for one in target.items for name in _names(one)] if isinstance(target, Build) else []


def _loops_over_test(body: Sequence[Stmt]) -> bool:
    for stmt in statements(body):
        if isinstance(stmt, For):
            parts = walk(stmt.iterable)
            if any(isinstance(one, Ref) and part_of(one.name.rpartition(".")[2]) == TEST for one in parts):
                return True
    return False


def _keeps(stmt: If) -> bool:
    """Whether the model is kept: saved or copied."""
    for inner in statements(stmt.body):
        if isinstance(inner, (Do, Assign)):
            for call in (call for expr in expressions(inner) for call in calls_in(expr)):
                if isinstance(call.function, (Ref, Attribute)) and call.function.name.rpartition(".")[2] in _SAVES:
                    return True
    return False
