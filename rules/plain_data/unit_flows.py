"""Numbers of one unit where another is meant: from what calls give and take, against names, other calls and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from math import tau
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import (
    FUNCTION,
    Annotate,
    Assign,
    Augment,
    Binary,
    Build,
    Call,
    Compare,
    Const,
    Expr,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .asking import Asking
from .carriers import Carried, Carriers
from .conflicts import Conflict, sufficient
from .knowledge import Named, canonical
from .schedules import steps_each_batch
from .units import UnitNames, WantedSlot
from .values import API, NAME, RANGE, Constant, Display, Evidence, Instance, Values, Where

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_READINGS = frozenset({"total_seconds", "elapsed_time"})
_MEASURED = frozenset({"time", "angle", "size", "frequency", "brightness", "share"})
_COMMON = frozenset({"angle", "share"})  # wanted by calls that every file has: asked only near such names
_COMPARED = frozenset({"<", "<=", ">", ">=", "==", "!="})
_RATES_IN_KHZ = frozenset({8, 16, 22, 24, 32, 44, 48, 96, 11.025, 22.05, 44.1})


class UnitFlows(Analysis):
    """Finds them: backward from arguments of a unit, forward from what gives one."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._asking = project[Asking]
        self._units = self._asking.units
        self._mentions = project[UnitNames]

    def of(self, *dimensions: str) -> Iterator[Conflict]:
        """The conflicts in some dimensions, in the order of paths and lines."""
        for dimension, conflict in self._conflicts:
            if dimension in dimensions:
                yield conflict

    @cached_property
    def _conflicts(self) -> tuple[tuple[str, Conflict], ...]:
        found: dict[object, tuple[str, Conflict]] = {}
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for conflict in self._wanted(module):
                    self._keep(found, conflict)
        seeds = Named.of(self._units.sources(_MEASURED))
        fields = frozenset(
            name for name, row in self.project.rows(self._units.fields).items() if self._is_unit(row.gives)
        )
        callers = self._asking.quantities.callers
        for carried in Carriers(self.project, callers, seeds, _READINGS, self._is_measured, fields=fields).scopes():
            if not carried.module.is_test:
                for conflict in self._in_scope(carried):
                    self._keep(found, conflict)
        return tuple(sorted(found.values(), key=lambda one: one[1].place))

    def _keep(self, found: dict[object, tuple[str, Conflict]], conflict: Conflict) -> None:
        dimension = self._units.dimension(conflict.evidences[0].quantity) or ""
        found.setdefault((conflict.place.path, conflict.place.span.line, dimension), (dimension, conflict))

    def _is_unit(self, quantity: str) -> bool:
        return self._units.dimension(quantity) in _MEASURED

    def _is_measured(self, module: Module, scope: int, expr: Expr) -> bool:
        return self._asking.may_be(module, scope, expr, self._units.rows)

    # Backward.

    @cached_property
    def _names(self) -> Named:
        return Named.of(self._units.wanted)

    def _wanted(self, module: Module) -> Iterator[Conflict]:
        for name, site in module.calls_of(self._names):
            for slot in self._units.wanted[canonical(name)].slots:
                given = argument(site.call, slot.argument, slot.position)
                if given is None or given is NOT_KNOWN or isinstance(given, Starred) or slot.called:
                    continue
                if isinstance(given, Const):
                    yield from self._literal(module, site.call, name, slot, given)
                elif self._is_worth_asking(module, site.scope, given, slot.quantity):
                    yield from self._slot(module, site.scope, site.call, name, slot, given)

    def _is_worth_asking(self, module: Module, scope: int, given: Expr, unit: str) -> bool:
        """Whether a name of another unit of the dimension gets there; asked of dimensions every file has calls of."""
        dimension = self._units.dimension(unit)
        if dimension is None or dimension not in _COMMON:
            return True
        carried = self._named.get(unit)
        if carried is None:
            carried = self._named[unit] = self._carrying(dimension, unit)
        here = carried.get((module.path, scope))
        return here is not None and here.carries(given)

    @cached_property
    def _named(self) -> dict[str, dict[tuple[str, int], Carried]]:
        return {}

    def _carrying(self, dimension: str, unit: str) -> dict[tuple[str, int], Carried]:
        """The scopes that names of the dimension's other units get to."""
        names = self._mentions.naming(dimension, unit)
        callers = self._asking.quantities.callers
        carriers = Carriers(self.project, callers, frozenset(), frozenset(), _anything, fields=names)
        return {(one.module.path, one.scope): one for one in carriers.scopes()}

    def _literal(self, module: Module, call: Call, name: str, slot: WantedSlot, given: Const) -> Iterator[Conflict]:
        if slot.quantity == "hertz" and given.value in _RATES_IN_KHZ and given.value is not True:
            if slot.argument.startswith("f"):
                return  # the ends of a band may be low
            target = f"{name.rpartition('.')[2]}({slot.argument})"
            wanted = Evidence("hertz", f"{name}({slot.argument})", module.place(call))
            said = Evidence("kilohertz", f"a rate of {given.value}", module.place(call), RANGE)
            yield Conflict(module.place(call), f"{target} takes Hz, but gets {given.value}", (wanted, said), target)

    def _slot(
        self, module: Module, scope: int, call: Call, name: str, slot: WantedSlot, given: Expr
    ) -> Iterator[Conflict]:
        target = f"{name.rpartition('.')[2]}({slot.argument})"

        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (values,), needs = self._asking.of(where, given)
            found = self._asking.evidence(values)
            if found is None or not self._differ(found, slot.quantity):
                return None, needs
            numbers, callers = self._numbers_named(where, given, found)
            if callers or any((number <= 1) is (found.quantity == "percent") for number in numbers):
                return None, callers  # ``val_percent=0.1``: the number shows that the name means the other unit
            if slot.quantity == "steps" and not steps_each_batch(module, call):
                return None, {}
            wanted = Evidence(slot.quantity, f"{name}({slot.argument})", module.place(call))
            what = f"{target} takes {self._short(wanted)}, but {_by(found)} is in {self._short(found)}"
            return Conflict(module.place(call), what, (wanted, found), target), {}

        yield from self._asking.settled(module, scope, ask)

    def _numbers_named(
        self, where: Where, given: Expr, found: Evidence
    ) -> tuple[list[float], Mapping[str, Definition]]:
        """The numbers behind a name that speaks of a share, and who would tell them."""
        if found.weight != NAME or self._units.dimension(found.quantity) != "share":
            return [], {}
        (values,), needs = self._asking.plain(where, given)
        numbers = [one.value for one in values if isinstance(one, Constant) and isinstance(one.value, (int, float))]
        return numbers, needs if None in values else {}

    def _differ(self, evidence: Evidence, unit: str) -> bool:
        dimension = self._units.dimension(evidence.quantity)
        return dimension is not None and evidence.quantity != unit and dimension == self._units.dimension(unit)

    # Forward.

    def _in_scope(self, carried: Carried) -> Iterator[Conflict]:
        module, scope = carried.module, carried.scope
        function = module.facts.scopes[scope]
        for stmt in statements(module.body(scope)):
            for expr in expressions(stmt):
                if carried.carries(expr):
                    for node in walk(expr):
                        yield from self._node(carried, stmt, node)
            if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None and carried.carries(stmt.value):
                for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
                    yield from self._called(module, scope, stmt.value, _name(target), stmt)
            elif isinstance(stmt, Return) and stmt.value is not None and function.kind == FUNCTION:
                if carried.carries(stmt.value):
                    yield from self._called(module, scope, stmt.value, function.name, stmt)
            elif isinstance(stmt, Augment) and stmt.op in ("+", "-") and carried.carries(stmt.value):
                yield from self._called(module, scope, stmt.value, _name(stmt.target), stmt)

    def _node(self, carried: Carried, stmt: Stmt, node: Expr) -> Iterator[Conflict]:
        module, scope = carried.module, carried.scope
        if isinstance(node, Compare) and len(node.ops) == 1 and node.ops[0] in _COMPARED and carried.carries(node):
            yield from self._mixed(module, scope, node.left, node.comparators[0], "compared with", node)
        elif isinstance(node, Binary) and node.op in ("+", "-", "/") and carried.carries(node):
            verb = {"+": "added to", "-": "subtracted from", "/": "divided by"}[node.op]
            yield from self._mixed(module, scope, node.left, node.right, verb, node)
        elif isinstance(node, Call):
            for keyword in node.keywords:
                if keyword.name is not None and carried.carries(keyword.value):
                    yield from self._called(module, scope, keyword.value, keyword.name, node)
            if any(carried.carries(arg) for arg in node.args):
                yield from self._positional(module, scope, node)
        elif isinstance(node, Build) and node.kind == "dict":
            for key, item in zip(node.keys, node.items, strict=True):
                if isinstance(key, Const) and isinstance(key.value, str) and carried.carries(item):
                    yield from self._called(module, scope, item, key.value, stmt)

    def _mixed(
        self, module: Module, scope: int, left: Expr, right: Expr, verb: str, node: Binary | Compare
    ) -> Iterator[Conflict]:
        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (lefts, rights), needs = self._asking.of(where, left, right)
            one, other = self._asking.evidence(lefts), self._asking.evidence(rights)
            if one is None and other is not None and verb == "compared with":
                one, other, lefts, rights = other, None, rights, lefts
            if one is None or not self._is_unit(one.quantity):
                return None, needs
            if other is None:
                return self._against_number(module, node, one, rights), needs
            if verb == "divided by" or not self._differ(one, other.quantity) or not sufficient((one, other)):
                return None, needs
            pair = f"{_by(one)} in {self._short(one)} and {_by(other)} in {self._short(other)}"
            what = f"{pair} are {verb.partition(' ')[0]}"
            return Conflict(module.place(node), what, (one, other), verb), {}

        yield from self._asking.settled(module, scope, ask)

    def _against_number(self, module: Module, node: Binary | Compare, one: Evidence, others: Values) -> Conflict | None:
        """A measured number against numbers that only another unit has: 45 of an angle in radians."""
        numbers = _numbers(others)
        if not numbers or one.weight < API:
            return None
        said, shown = None, f"{numbers[0]:g}"
        op = node.op if isinstance(node, Binary) else "compare"
        if one.quantity == "radians" and op == "compare" and all(tau < abs(number) <= 360 for number in numbers):
            said = "degrees"
        elif one.quantity == "fraction" and op == "compare" and all(1 < number <= 100 for number in numbers):
            said = "percent"
        elif one.quantity == "byte pixels" and op == "-" and all(0 < number < 1 for number in numbers):
            said = "unit pixels"
        elif one.quantity == "unit pixels" and op == "/" and all(number in (255, 127.5) for number in numbers):
            said = "byte pixels"
        if said is None:
            return None
        evidence = Evidence(said, f"the number {shown}", module.place(node), RANGE)
        what = f"{_by(one)} is in {self._short(one)}, but {shown} is of {self._units.rows[said].short}"
        return Conflict(module.place(node), what, (one, evidence), "number")

    def _called(self, module: Module, scope: int, value: Expr, name: str, at: Stmt | Call) -> Iterator[Conflict]:
        """A value given a name of another unit."""
        unit = self._units.named(name) if name else None
        if unit is None:
            return

        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (values,), needs = self._asking.of(where, value)
            found = self._asking.evidence(values)
            if found is None or found.weight < API or not self._differ(found, unit):
                return None, needs
            said = Evidence(unit, name, module.place(at), NAME)
            what = f"{name} says {self._short(said)}, but {_by(found)} is in {self._short(found)}"
            return Conflict(module.place(at), what, (found, said), name), {}

        yield from self._asking.settled(module, scope, ask)

    def _positional(self, module: Module, scope: int, call: Call) -> Iterator[Conflict]:
        """Arguments by position: of the project's functions by their parameters' names, of instances by their rows."""
        for edge in self.project.calls.targets(module, scope, call):
            target = edge.target
            if edge.confidence == "cha" or not target.is_function:
                continue
            names = [one.name for one in target.scope.parameters]
            skip = 1 if names and names[0] in ("self", "cls") else 0
            for name, arg in zip(names[skip:], call.args, strict=False):
                if isinstance(arg, Starred):
                    break
                yield from self._called(module, scope, arg, name, call)
        (callees,), _ = self._asking.of(self._asking.quantities.here(module, scope), call.function)
        for callee in callees:
            row = self._units.wanted.get(canonical(callee.name)) if isinstance(callee, Instance) else None
            for slot in row.slots if row is not None else ():
                given = argument(call, slot.argument, slot.position)
                if slot.called and given is not None and given is not NOT_KNOWN and isinstance(callee, Instance):
                    yield from self._slot(module, scope, call, callee.name, slot, given)

    def _short(self, evidence: Evidence) -> str:
        return self._units.rows[evidence.quantity].short


def _anything(_module: Module, _scope: int, _expr: Expr) -> bool:
    return True


def _by(evidence: Evidence) -> str:
    return evidence.by if evidence.weight < API else evidence.by.rpartition(".")[2]


def _name(target: Expr) -> str:
    if isinstance(target, Ref):
        return target.name.rpartition(".")[2]
    if isinstance(target, Subscript) and isinstance(target.index, Const) and isinstance(target.index.value, str):
        return target.index.value
    return ""


def _numbers(values: Values) -> list[float]:
    """The numbers all alternatives are, or hold; [] when one is none."""
    found: list[float] = []
    for value in values:
        items = value.build.items if isinstance(value, Display) and value.build.kind != "dict" else [value]
        for item in items:
            number = item.value if isinstance(item, (Const, Constant)) else None
            if not isinstance(number, (int, float)) or isinstance(number, bool):
                return []
            found.append(number)
    return found
