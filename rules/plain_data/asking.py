"""Questions about measures: what expressions are, in each context that callers give, with names and units read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from mldebt.facts.schema import Const, Expr, Starred
from mldebt.rule import Analysis

from .quantities import Quantities
from .units import Units
from .values import API, Constant, Display, Evidence, Tensor, Value, Values, Where

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

AnswerT = TypeVar("AnswerT")

_STEPS = 400
_MOST_ITEMS = 8
_CONTEXTS, _CALLERS = 8, 2


class Asking(Analysis):
    """Asks the evaluation in its measuring mode."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.quantities = project[Quantities]
        self.units = project[Units]

    def of(self, where: Where, *exprs: Expr) -> tuple[list[Values], Mapping[str, Definition]]:
        """The alternatives of each expression, and the functions whose callers would tell more."""
        evaluation = self.quantities.evaluation
        evaluation.measuring = True
        try:
            return evaluation.ask(where, *exprs, steps=_STEPS)
        finally:
            evaluation.measuring = False

    def plain(self, where: Where, *exprs: Expr) -> tuple[list[Values], Mapping[str, Definition]]:
        """The same, without names and units: numbers stay numbers."""
        return self.quantities.evaluation.ask(where, *exprs, steps=_STEPS)

    def settled(
        self, module: Module, scope: int, ask: Callable[[Where], tuple[AnswerT | None, Mapping[str, Definition]]]
    ) -> Iterator[AnswerT]:
        """The first answer of any context the question depends on."""
        answers = self.quantities.settled(module, scope, ask, defaults=True, most=_CONTEXTS, deepest=_CALLERS)
        found = next(answers, None)
        if found is not None:
            yield found

    def may_be(self, module: Module, scope: int, expr: Expr, quantities: Collection[str]) -> bool:
        """Whether an expression, as far as its own scope tells, may be of one of the quantities, by an API's word."""
        if isinstance(expr, Const):
            return False
        (values,), _ = self.of(self.quantities.here(module, scope), expr)
        return any(
            isinstance(one, Tensor) and one.evidence.quantity in quantities and one.evidence.weight >= API
            for one in self._displayed(values)
        )

    def _displayed(self, values: Values) -> Iterator[Value]:
        """The alternatives, and the items of tuples and dicts among them."""
        for value in values:
            yield value
            if isinstance(value, Display) and len(value.build.items) <= _MOST_ITEMS:
                for item in value.build.items:
                    if not isinstance(item, Starred):
                        (inner,), _ = self.of(value.where, item)
                        yield from inner

    @staticmethod
    def evidence(values: Values) -> Evidence | None:
        """The evidence all alternatives agree on; plain numbers among them take the others' quantity."""
        tensors = [value.evidence for value in values if isinstance(value, Tensor)]
        others = [value for value in values if not isinstance(value, (Tensor, Constant))]
        if not tensors or others or len({one.quantity for one in tensors}) > 1:
            return None
        return max(tensors, key=lambda one: one.weight)
