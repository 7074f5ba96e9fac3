"""Scores, and choices among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Lambda,
)

from .joining import as_data, elements
from .rows import (
    TEST,
    VALIDATION,
    Items,
    Mark,
    Stat,
    Value,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator


class Scoring:
    """What scores are measured on, and what is chosen by them."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def scored(self, values: list[Value], given: Given) -> Value:
        data = [one for one in map(as_data, values) if one is not None]
        rows = frozenset(rows for one in data for rows in one.rows)
        parts = {found.part for one in rows for found, _ in one.ancestry() if found.how == "split"}
        test = TEST if TEST in parts else VALIDATION if VALIDATION in parts else ""
        marks = frozenset((Mark("score", rows, self.evaluator.run.site(given.call), "score"),))
        if data:
            self.evaluator.run.event("score", given.call, data, label=test)
        return Stat(marks, rows, test)

    def keyed(self, given: Given) -> Value:
        """What ``key=lambda c: score(c)`` gives."""
        key = given.expr("key")
        if not isinstance(key, Lambda):
            return None
        names = self.evaluator.run.frame.names
        before = dict(names)
        names.update({name: elements(given.args[0]) for name in key.parameters})
        value = self.evaluator.of(key.body)
        names.clear()
        names.update(before)
        return value

    def decides(self, last: str, values: list[Value], given: Given) -> None:
        """A choice among scores."""
        for one in _stats(values):
            if one.test:
                self.evaluator.run.event("decide", given.call, (one,), label=last)
                return


def _stats(values: list[Value]) -> list[Stat]:
    found: list[Stat] = []
    for value in values:
        if isinstance(value, Stat):
            found.append(value)
        elif isinstance(value, Items):
            found += _stats(list(value.values))
    return found
