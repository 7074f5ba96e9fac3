"""Comprehensions over rows and over the names of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import (
    Compare,
    Comprehension,
    Jump,
    Ref,
)

from .joining import as_data, elements
from .rows import (
    Data,
    Fit,
    Names,
    Stat,
    Value,
)

if TYPE_CHECKING:
    from .evaluating import Evaluator

_AT = Jump(1, 0, 1, "break")  # stands for the statement of a default's comprehension


class Comprehensions:
    """What comprehensions give."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def of(self, expr: Comprehension) -> Value:
        run = self.evaluator.run
        before = run.frame.names
        run.frame.names = dict(before)
        sources: list[Value] = []
        chosen = False
        with run.loop():
            for generator in expr.generators:
                source, picked = self.evaluator.of(generator.iterable), None
                if isinstance(source, Data) and source.columns is not None and not source.columns.series:
                    picked = self.chosen(Names(source.columns), expr)  # a frame gives the names of its columns
                    source = picked if picked is not None else source
                if isinstance(source, Names):
                    run.frame.names = before
                    return self.chosen(source, expr) if picked is None else picked
                sources.append(source)
                run.bind(generator.target, elements(source), run.frame.stmt or _AT)
                chosen = chosen or bool(generator.conditions)
                for condition in generator.conditions:
                    self.evaluator.of(condition)
            element = self.evaluator.of(expr.element)
        run.frame.names = before
        return self.listed(expr, sources, element, chosen)

    def listed(self, expr: Comprehension, sources: list[Value], element: Value, chosen: bool) -> Value:
        inner = as_data(element)
        if inner is not None:
            return inner if not inner.window else self.evaluator.frames.windows(inner, expr)
        if isinstance(element, Stat):
            return element
        outer = as_data(sources[0]) if sources else None
        if outer is None or isinstance(element, Fit):
            return None
        return None if chosen else replace(outer, columns=None)

    def chosen(self, source: Names, expr: Comprehension) -> Value:
        """``[c for c in frame.columns if c != "y"]``."""
        target = expr.generators[0].target
        if (
            len(expr.generators) > 1
            or not isinstance(target, Ref)
            or (expr.element != target and not (isinstance(expr.element, Ref) and expr.element.name == target.name))
        ):
            return None
        columns = source.columns
        for condition in expr.generators[0].conditions:
            if not (isinstance(condition, Compare) and isinstance(condition.left, Ref)):
                return None
            if condition.left.name != target.name or condition.ops[0] not in ("!=", "not in"):
                return None
            out = self.evaluator.frames.names_of(self.evaluator.of(condition.comparators[0]))
            if out is None:
                return None
            columns = self.evaluator.frames.dropped(columns, out)
        return Names(columns)
