"""Parameters and fields that get a fraction at some calls and a percentage at others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import (
    FUNCTION,
    KEYWORD_ONLY,
    KWARGS,
    VARARGS,
    Annotate,
    Attribute,
    Binary,
    Call,
    Compare,
    Const,
    Expr,
    Parameter,
    Ref,
    Starred,
    Subscript,
)
from mldebt.facts.walk import expressions, given_values, statements, walk
from mldebt.finding import Place
from mldebt.rule import Analysis

from .asking import Asking
from .conflicts import Conflict
from .share_options import ShareOptions
from .units import Units
from .values import ANNOTATION, API, NAME, RANGE, Constant, Evidence, Tensor, Values

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_SHARES = re.compile(
    r"(^|_)(pct|percent|percentage|frac|fraction|share|coverage|accuracy|acc|precision|recall|confidence|prob|"
    r"probability|proportion|quantile|discount|auc|f1)$"
)
_BOUNDED = frozenset({"le", "lt", "ub", "max_value"})
_TYPES = {
    "Percent": "percent", "Percentage": "percent", "Pct": "percent", "Fraction": "fraction", "Share": "fraction",
    "Probability": "fraction", "Prob": "fraction", "UnitInterval": "fraction",
}  # fmt: skip
_FEW = 40
_COUNTS_TOO = frozenset({"test_size", "train_size"})


class Shares(Analysis):
    """Finds them: two calls that differ by the hundred, and an API or annotation that says which is meant."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._asking = project[Asking]
        self._units: Units = self._asking.units
        self._options = project[ShareOptions]

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """One for each parameter or field, in the order of paths and lines."""
        found: list[Conflict] = []
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for index, scope in enumerate(module.facts.scopes):
                    if scope.kind == FUNCTION and any(_SHARES.search(one.name) for one in scope.parameters):
                        found += self._of_function(module, index)
                    elif index and scope.kind != FUNCTION and any(_SHARES.search(name) for name in scope.bindings):
                        found += self._of_class(module, index)
        for name, numbers in self._options.mixed():
            found += self._of_option(name, numbers)
        return tuple(sorted(found, key=lambda one: one.place))

    def _of_function(self, module: Module, index: int) -> Iterator[Conflict]:
        definition = module.definition(index)
        scope = module.facts.scopes[index]
        named = [(at, one) for at, one in enumerate(scope.parameters) if _SHARES.search(one.name)]
        for at, parameter in named:
            if parameter.kind in (VARARGS, KWARGS):
                continue
            default = self._number(module, scope.parent, parameter.default, scope)
            numbers, measured = self._given(definition, parameter.name, at, parameter.kind)
            numbers += default
            if self._is_mixed(numbers, measured):
                yield from self._conflict(definition, parameter, numbers, measured)

    def _of_class(self, module: Module, index: int) -> Iterator[Conflict]:
        """Fields of dataclasses and models: given where instances are made."""
        definition = module.definition(index)
        if any(one.scope.name == "__init__" for one in self._members(module, index)):
            return
        fields = [stmt for stmt in module.body(index) if isinstance(stmt, Annotate) and isinstance(stmt.target, Ref)]
        for at, field in enumerate(fields):
            assert isinstance(field.target, Ref)
            if not _SHARES.search(field.target.name):
                continue
            numbers, measured = self._given(definition, field.target.name, at, 0)
            numbers += self._number(module, index, field.value, field)
            if self._is_mixed(numbers, measured):
                parameter = Parameter(field.target.name, 0, field.value, field.annotation)
                yield from self._conflict(definition, parameter, numbers, measured)

    def _of_option(self, name: str, numbers: list[tuple[float, Place]]) -> Iterator[Conflict]:
        """An option: what the code does with it tells which number is meant."""
        for module in self._options.readers(name):
            for index in range(len(module.facts.scopes)):
                for chain in (name, f".{name}", f"[{name}"):
                    for meant in self._used(module, index, chain):
                        if meant.weight >= API:
                            yield from self._told(name, meant, numbers, [])
                            return

    def _members(self, module: Module, index: int) -> Iterator[Definition]:
        for inner, scope in enumerate(module.facts.scopes):
            if scope.parent == index and scope.kind == FUNCTION:
                yield module.definition(inner)

    # What is given.

    def _given(
        self, definition: Definition, name: str, at: int, kind: int
    ) -> tuple[list[tuple[float, Place]], list[Evidence]]:
        """The constants given to a parameter and where, and what APIs say of the others."""
        numbers: list[tuple[float, Place]] = []
        measured: list[Evidence] = []
        for module, scope, call, skip in self._sites(definition):
            if module.is_test:
                continue
            given = argument(call, name, None if kind == KEYWORD_ONLY or at < skip else at - skip)
            if given is None or given is NOT_KNOWN or isinstance(given, Starred):
                continue
            found = self._number(module, scope, given, call)
            numbers += found
            if not found:
                (values,), _ = self._asking.of(self._asking.quantities.here(module, scope), given)
                evidence = _share(values)
                if evidence is not None:
                    measured.append(evidence)
        return numbers, measured

    def _sites(self, definition: Definition) -> Iterator[tuple[Module, int, Call, int]]:
        if definition.is_class:
            spellings = self.project.spellings(frozenset({definition.name}))
            modules = self.project.callers.mentioning(spellings)
            for module in modules[:_FEW]:
                for _, site in module.calls_of(frozenset({definition.name})):
                    yield module, site.scope, site.call, 0
            return
        for one in self._asking.quantities.callers.of(definition):
            yield one.module, one.scope, one.call, one.skip

    def _number(self, module: Module, scope: int, expr: Expr | None, at: object) -> list[tuple[float, Place]]:
        value = module.constant(scope, expr) if expr is not None else None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 100:
            return []
        return [(value, module.place(at))]

    def _is_mixed(self, numbers: list[tuple[float, Place]], measured: list[Evidence]) -> bool:
        small = any(value < 1 for value, _ in numbers) or any(one.quantity == "fraction" for one in measured)
        large = any(value > 1 for value, _ in numbers) or any(one.quantity == "percent" for one in measured)
        return small and large

    # What is meant.

    def _conflict(
        self, definition: Definition, parameter: Parameter, numbers: list[tuple[float, Place]], measured: list[Evidence]
    ) -> Iterator[Conflict]:
        meant = next(self._meant(definition, parameter), None) or next(iter(measured), None)
        if meant is not None:
            yield from self._told(f"{definition.scope.name}({parameter.name})", meant, numbers, measured)

    def _told(
        self, what: str, meant: Evidence, numbers: list[tuple[float, Place]], measured: list[Evidence]
    ) -> Iterator[Conflict]:
        wrong = [(v, place) for v, place in numbers if (v > 1 if meant.quantity == "fraction" else v < 1)]
        others = [one for one in measured if one.quantity != meant.quantity]
        if wrong:
            value, place = wrong[0]
            said = "percent" if meant.quantity == "fraction" else "fraction"
            contrary = Evidence(said, f"the number {value:g}", place, RANGE)
        elif others:
            contrary = others[0]
        else:
            return
        right = [f"{v:g}" for v, _ in numbers if (v < 1 if meant.quantity == "fraction" else v > 1)]
        usual = f", elsewhere {right[0]}" if right else ""
        shown = contrary.by.rpartition(".")[2].removeprefix("the number ")
        if contrary.place != meant.place and max(meant.weight, contrary.weight) >= ANNOTATION:
            message = f"{what} is a {meant.quantity}{usual}, but gets {shown} here"
            yield Conflict(contrary.place, message, (meant, contrary), what)

    def _meant(self, definition: Definition, parameter: Parameter) -> Iterator[Evidence]:
        """What an annotation, a conversion or a call in the function says of a parameter."""
        module, name = definition.module, parameter.name
        said = _annotated(parameter.annotation)
        if said is not None:
            yield Evidence(said, f"the annotation of {name}", module.place(definition.scope), ANNOTATION)
        scopes = [definition.index]
        if definition.is_class:
            scopes += [one.index for one in self._members(module, definition.index)]
            users = self.project.callers.mentioning((name,))[:_FEW]
            others = [(other, at) for other in users if not other.is_test for at in other.scopes_using((name,))]
            chains = [(module, at, f"self.{name}") for at in scopes] + [(other, at, f".{name}") for other, at in others]
        else:
            chains = [(module, definition.index, name)]
        for other, at, chain in chains:
            yield from self._used(other, at, chain)

    def _used(self, module: Module, scope: int, chain: str) -> Iterator[Evidence]:
        for stmt in statements(module.body(scope)):
            for expr in expressions(stmt):
                for node in walk(expr):
                    if isinstance(node, Binary) and node.op in ("*", "/") and _is_read(node.left, node.right, chain):
                        if node.op == "*" and (_is_count(node.right) or _is_count(node.left)):
                            yield Evidence("fraction", "a share of len()", module.place(node), API)
                        factor = node.right if _is_chain(node.left, chain) else node.left
                        if isinstance(factor, Const) and factor.value in (100, 100.0):
                            unit = "fraction" if node.op == "*" else "percent"
                            yield Evidence(unit, f"the conversion {node.op} 100", module.place(node), API)
                    elif isinstance(node, Call):
                        yield from self._handed(module, scope, node, chain)
                    elif isinstance(node, Compare) and len(node.ops) == 1:
                        yield from self._compared(module, scope, node, chain)
            yield from self._formatted(module, stmt.line, stmt.end_line, chain)

    def _handed(self, module: Module, scope: int, call: Call, chain: str) -> Iterator[Evidence]:
        function = call.function
        given = given_values(call)
        if not isinstance(function, (Ref, Attribute)) or not any(_is_chain(arg, chain) for arg in given):
            return
        for name in module.names(scope, function):
            row = self._units.wanted.get(name)
            for slot in row.slots if row is not None else ():
                if slot.quantity in ("fraction", "percent") and slot.argument not in _COUNTS_TOO:
                    arg = argument(call, slot.argument, slot.position)
                    if arg is not None and arg is not NOT_KNOWN and _is_chain(arg, chain):
                        yield Evidence(slot.quantity, f"{name}({slot.argument})", module.place(call), API)

    def _compared(self, module: Module, scope: int, node: Compare, chain: str) -> Iterator[Evidence]:
        sides = (node.left, node.comparators[0])
        for one, other in (sides, sides[::-1]):
            if _is_chain(one, chain) and not isinstance(other, Const):
                (values,), _ = self._asking.of(self._asking.quantities.here(module, scope), other)
                evidence = _share(values)
                if evidence is not None:
                    yield evidence

    def _formatted(self, module: Module, first: int, last: int, chain: str) -> Iterator[Evidence]:
        """``{coverage:.1%}`` multiplies by 100; ``{coverage:.1f}%`` shows what is a percentage already."""
        name = re.escape(chain)
        for line in range(first, min(last, first + _FEW) + 1):
            text = module.text_lines[line - 1] if line <= len(module.text_lines) else ""
            if "%" not in text:
                continue
            if re.search(rf"\{{[^{{}}]*{name}(:[^{{}}]*)?%\}}", text):
                yield Evidence("fraction", f"the format {chain.lstrip('.')}:%", _line(module, first), API)
            elif re.search(rf"\{{[^{{}}*/]*{name}(:[^{{}}]*)?\}} ?%", text):
                yield Evidence("percent", f"the text {chain.lstrip('.')}%", _line(module, first), NAME)


def _line(module: Module, line: int) -> Place:
    held = module.statement_at(line)
    return module.place(held[0]) if held is not None else module.place(Ref("x", line, 0))


def _share(values: Values) -> Evidence | None:
    """What an API says of a share; a probability is a fraction."""
    tensors = [one.evidence for one in values if isinstance(one, Tensor)]
    if not tensors or any(not isinstance(one, (Tensor, Constant)) for one in values):
        return None
    quantities = {"fraction" if one.quantity == "prob" else one.quantity for one in tensors}
    if len(quantities) > 1 or not quantities <= {"fraction", "percent"} or tensors[0].weight < API:
        return None
    return Evidence(quantities.pop(), tensors[0].by, tensors[0].place, tensors[0].weight)


def _annotated(annotation: Expr | None) -> str | None:
    """``Annotated[float, Field(ge=0, le=1)]``, ``confloat(le=100)``, ``Percent``."""
    if annotation is None:
        return None
    for node in walk(annotation):
        if isinstance(node, Ref) and node.name.rpartition(".")[2] in _TYPES:
            return _TYPES[node.name.rpartition(".")[2]]
        if isinstance(node, Call):
            for keyword in node.keywords:
                if keyword.name in _BOUNDED and isinstance(keyword.value, Const):
                    return {1: "fraction", 100: "percent"}.get(keyword.value.value)  # type: ignore[arg-type]
    return None


def _is_count(expr: Expr) -> bool:
    return isinstance(expr, Call) and isinstance(expr.function, Ref) and expr.function.name == "len"


def _is_chain(expr: Expr, chain: str) -> bool:
    if chain.startswith("["):
        index: Expr | None = expr.index if isinstance(expr, Subscript) else None
        if isinstance(expr, Call) and isinstance(expr.function, Ref) and expr.function.name.endswith(".get"):
            index = expr.args[0] if expr.args else None
        return isinstance(index, Const) and index.value == chain[1:]
    if not isinstance(expr, (Ref, Attribute)):
        return False
    return expr.name == chain or (chain.startswith(".") and f".{expr.name}".endswith(chain))


def _is_read(left: Expr, right: Expr, chain: str) -> bool:
    return _is_chain(left, chain) or _is_chain(right, chain)
