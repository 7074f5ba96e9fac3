"""Constants that reach an argument, a division or a comparison whose quantity excludes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from math import isnan
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import (
    Attribute,
    Binary,
    Boolean,
    Build,
    Call,
    Compare,
    Conditional,
    Const,
    Expr,
    If,
    Jump,
    Raise,
    Ref,
    Return,
    Starred,
    Stmt,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.finding import Place
from mldebt.module import CallSite
from mldebt.rule import Analysis

from .knowledge import Named, Slot, SlotRow, canonical
from .partials import prepared
from .quantities import Quantities, agreed
from .returns import truth
from .values import Constant, Evidence, Values, Where

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_TEMPERATURE = frozenset({"temperature", "tau", "softmax_temperature", "sampling_temperature"})
_PROBABILITY = frozenset({"softmax", "sigmoid", "Softmax", "Sigmoid", "predict_proba", "expit"})
_THRESHOLD = frozenset({"threshold", "thresh", "thr", "cutoff", "THRESHOLD", "THRESH", "CUTOFF"})
_FRAMES = frozenset({"pandas", "polars", "torch", "xarray", "dask", "geopandas", "modin", "cudf"})
_SCHEDULED = frozenset({"LambdaLR", "MultiplicativeLR"})
_CLIPPED = frozenset({"clip_grad_norm_", "clip_grad_norm", "clip_grad_value_", "LightningModule", "clip_gradients"})
_PARAMETERS = frozenset({"parameters", "trainable_parameters", "named_parameters"})
_DEEPEST = 12
_NUMBER_CONTEXTS, _NUMBER_CALLERS = 10, 2
_NUMBER_STEPS = 150  # a number that is computed further away is no constant


class Excess(Struct, frozen=True):
    """A number where its quantity cannot be: ``constant`` wrote it, ``slot`` is where it arrives."""

    value: float
    constant: Place
    slot: Place
    target: str  # what it reaches: ``Dropout(p)``
    quantity: str
    range: str
    by: Evidence | None = None


class Ranges(Analysis):
    """Finds every such constant; literal arguments first, then those that arrive from elsewhere."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._quantities = project[Quantities]
        self._evaluation = self._quantities.evaluation

    @cached_property
    def _rows(self) -> Mapping[str, SlotRow]:
        return self._quantities.knowledge.rows(self._quantities.knowledge.slots)

    @cached_property
    def _names(self) -> Named:
        return Named.of(self._rows)

    @cached_property
    def excesses(self) -> tuple[Excess, ...]:
        """In the order of paths and lines."""
        found: list[Excess] = []
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                found += self._arguments(module)
                found += self._divisions(module)
                found += self._comparisons(module)
        return tuple(sorted(found, key=lambda one: (one.constant, one.slot)))

    # Arguments.

    def _arguments(self, module: Module) -> Iterator[Excess]:
        percentiles: list[tuple[CallSite, str, Slot, list[float]]] = []
        called = (module.calls_of(self._names), prepared(module, self._names), self._quantile_methods(module))
        for name, site in chain.from_iterable(called):
            row = self._rows[canonical(name)]
            for slot in row.slots:
                given = argument(site.call, slot.argument, slot.position)
                if given is None or given is NOT_KNOWN or isinstance(given, Starred):
                    continue
                if slot.quantity == "percentile":
                    percentiles.append((site, name, slot, self._numbers(module, site.scope, given)))
                if self._applies(module, site, slot):
                    yield from self._reaching(module, site, name, slot, given)
        yield from _fractions(module, percentiles)

    def _quantile_methods(self, module: Module) -> Iterator[tuple[str, CallSite]]:
        """``x.quantile(95)`` of what is nobody's class: every data frame's quantile wants a fraction."""
        tops = {fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level}
        if _FRAMES.isdisjoint(tops):
            return
        for index in module.scopes_using(("quantile",)):
            for site in module.call_sites(index):
                function = site.call.function
                if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] != "quantile":
                    continue
                if (isinstance(function, Attribute) or "." in function.name) and not module.names(index, function):
                    yield "pandas.Series.quantile", site

    def _applies(self, module: Module, site: CallSite, slot: Slot) -> bool:
        """Learning rates: only of an optimiser that certainly trains a model."""
        if slot.unclipped and not _CLIPPED.isdisjoint(module.facts.mentions):
            return False
        if slot.trains:
            first = argument(site.call, "params", 0)
            if first is None or first is NOT_KNOWN or not _SCHEDULED.isdisjoint(module.facts.mentions):
                return False
            return self._are_parameters(module, site.scope, first)
        if slot.compiled:
            return bool(module.scopes_using(("compile",))) and "apply_gradients" not in module.facts.mentions
        return True

    def _are_parameters(self, module: Module, scope: int, expr: Expr, depth: int = 3) -> bool:
        for node in walk(expr):
            function = node.function if isinstance(node, Call) else None
            if isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in _PARAMETERS:
                return True
        if isinstance(expr, Ref) and depth:
            origins = self.project.flow(module.definition(scope)).origins(expr)
            values = [origin.value for origin in origins if origin.kind == "assign" and origin.value is not None]
            return bool(values) and all(self._are_parameters(module, scope, value, depth - 1) for value in values)
        return False

    def _reaching(self, module: Module, site: CallSite, name: str, slot: Slot, given: Expr) -> Iterator[Excess]:
        target = f"{name.rpartition('.')[2]}({slot.argument})"
        items = given.items if slot.elements and isinstance(given, Build) and given.kind != "dict" else [given]
        for item in items:
            if isinstance(item, Const):
                if _is_number(item.value) and not slot.admits(item.value):  # type: ignore[arg-type]
                    here = module.place(site.call)
                    yield Excess(item.value, here, here, target, slot.quantity, slot.range)  # type: ignore[arg-type]
                continue
            if isinstance(item, Starred):
                continue
            for number, place in self._arriving(module, site.scope, site.statement, item):
                if not slot.admits(number):
                    here = module.place(site.call)
                    yield Excess(number, place or here, here, target, slot.quantity, slot.range)
                    break

    def _numbers(self, module: Module, scope: int, given: Expr) -> list[float]:
        value = module.constant(scope, given)
        items = value if isinstance(value, (list, tuple)) else [value]
        return [float(item) for item in items if isinstance(item, (int, float)) and _is_number(item)]

    def _arriving(self, module: Module, scope: int, stmt: Stmt, expr: Expr) -> Iterator[tuple[float, Place | None]]:
        """The numbers an expression is certainly worth: in each context of its callers one."""
        constant = module.constant(scope, expr)
        if constant is not NOT_KNOWN and not isinstance(expr, Ref):
            if _is_number(constant):
                yield constant, None
            return

        def ask(where: Where) -> tuple[Constant | None, Mapping[str, Definition]]:
            (values,), needs = self._evaluation.ask(where, expr, steps=_NUMBER_STEPS)
            found = _only_number(values)
            if found is None or not self._runs(where, stmt, expr):
                return None, needs
            return found, needs

        for found in self._quantities.settled(
            module, scope, ask, defaults=True, most=_NUMBER_CONTEXTS, deepest=_NUMBER_CALLERS
        ):
            yield found.value, found.place  # type: ignore[misc]

    def _runs(self, where: Where, stmt: Stmt, expr: Expr) -> bool:
        """Whether tests of the same value let this value through to the statement."""
        names = {node.name for node in walk(expr) if isinstance(node, Ref)}
        if not names or _tested_inside(stmt, names):
            return not names
        for other in statements(where.module.body(where.scope)):
            if not isinstance(other, If) or other.line > stmt.line or not _mentions(other.test, names):
                continue
            sure = truth(self._evaluation, where, other.test, _DEEPEST)
            inside = _branch(other, stmt)
            if inside is not None:
                if sure is not inside:
                    return False
            elif _leaves(other.body) or _leaves(other.orelse):
                taken = other.body if sure else other.orelse
                if sure is None or _leaves(taken):
                    return False
        return True

    # Divisions by a temperature.

    def _divisions(self, module: Module) -> Iterator[Excess]:
        for index in module.scopes_using(_TEMPERATURE):
            for stmt in statements(module.body(index)):
                for expr in expressions(stmt):
                    for node in walk(expr):
                        if isinstance(node, Binary) and node.op == "/" and isinstance(node.right, Ref):
                            yield from self._divided(module, index, stmt, node, node.right)

    def _divided(self, module: Module, scope: int, stmt: Stmt, node: Binary, temperature: Ref) -> Iterator[Excess]:
        if temperature.name.rpartition(".")[2] not in _TEMPERATURE:
            return
        for number, place in self._arriving(module, scope, stmt, temperature):
            if number == 0:
                here = module.place(node)
                yield Excess(number, place or here, here, f"a division by {temperature.name}", "temperature", "above 0")
                return

    # Thresholds on probabilities.

    def _comparisons(self, module: Module) -> Iterator[Excess]:
        for index in module.scopes_using(self.project.spellings(_PROBABILITY) | _THRESHOLD):
            for stmt in statements(module.body(index)):
                for expr in expressions(stmt):
                    for node in walk(expr):
                        if isinstance(node, Compare) and len(node.ops) == 1 and node.ops[0] in ("<", "<=", ">", ">="):
                            yield from self._compared(module, index, stmt, node)

    def _compared(self, module: Module, scope: int, stmt: Stmt, node: Compare) -> Iterator[Excess]:
        sides = (node.left, node.comparators[0])
        for bound, other in (sides, sides[::-1]):
            if isinstance(bound, (Const, Ref, Attribute)) and not isinstance(other, Const):
                found = self._threshold(module, scope, stmt, bound, other)
                if found is not None:
                    constant, evidence = found
                    here = module.place(node)
                    yield Excess(
                        constant.value,  # type: ignore[arg-type]
                        constant.place or here,
                        here,
                        "a comparison",
                        f"probability from {evidence.by.rpartition('.')[2]}",
                        "in [0, 1]",
                        evidence,
                    )
                    return

    def _threshold(
        self, module: Module, scope: int, stmt: Stmt, bound: Expr, other: Expr
    ) -> tuple[Constant, Evidence] | None:
        if isinstance(bound, Const) and (not _is_number(bound.value) or 0 <= bound.value <= 1):  # type: ignore[operator]
            return None

        def ask(where: Where) -> tuple[tuple[Constant, Evidence] | None, Mapping[str, Definition]]:
            (bounds,), needs = self._evaluation.ask(where, bound, steps=_NUMBER_STEPS)
            constant = _only_number(bounds)
            if constant is None or 0 <= constant.value <= 1:  # type: ignore[operator]
                return None, needs if constant is None else {}
            (values,), needs = self._evaluation.ask(where, other)
            evidence = agreed(values)
            if evidence is None or evidence.quantity != "prob":
                return None, needs if evidence is None else {}
            return ((constant, evidence) if self._runs(where, stmt, bound) else None), {}

        return next(
            self._quantities.settled(module, scope, ask, defaults=True, most=_NUMBER_CONTEXTS, deepest=_NUMBER_CALLERS),
            None,
        )


def _fractions(module: Module, percentiles: list[tuple[CallSite, str, Slot, list[float]]]) -> Iterator[Excess]:
    """Percentiles that are fractions: 0.95 where 95 is meant, unless its like are about: 0.5 beside 99.5."""
    every = [number for _, _, _, numbers in percentiles for number in numbers]
    for site, name, slot, numbers in percentiles:
        found = [number for number in numbers if 0 < number < 1]
        if not found or any(number > 1 for number in numbers):
            continue
        paired = any(abs(100 - number - other) < 1e-6 for number in found for other in every)
        low = all(number <= 0.5 for number in found) and any(other > 1 for other in every)
        if not paired and not low:
            here = module.place(site.call)
            target = f"{name.rpartition('.')[2]}({slot.argument})"
            yield Excess(found[0], here, here, target, "percentile", "a number up to 100: this one is below 1")


def _only_number(values: Values) -> Constant | None:
    """The number all alternatives are: one, or the first when all are numbers."""
    if len(values) == 1 and isinstance(values[0], Constant) and _is_number(values[0].value):
        return values[0]
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not isnan(value)


def _mentions(expr: Expr, names: set[str]) -> bool:
    return any(isinstance(node, Ref) and node.name in names for node in walk(expr))


def _tested_inside(stmt: Stmt, names: set[str]) -> bool:
    """Whether the statement itself chooses by the value: ``x / t if t else x``, ``t or 1``."""
    for expr in expressions(stmt):
        for node in walk(expr):
            if isinstance(node, Conditional) and _mentions(node.test, names):
                return True
            if isinstance(node, Boolean) and any(_mentions(part, names) for part in node.values):
                return True
    return False


def _branch(outer: If, stmt: Stmt) -> bool | None:
    """Which branch a statement is in; None when it is in neither."""
    for way, block in ((True, outer.body), (False, outer.orelse)):
        if block and block[0].line <= stmt.line <= block[-1].end_line:
            return way
    return None


def _leaves(block: list[Stmt]) -> bool:
    return any(isinstance(stmt, (Return, Raise, Jump)) for stmt in statements(block))
