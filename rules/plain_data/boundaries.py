"""Functions that other modules call with bare floats that mean something: a probability, a threshold, a duration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import FUNCTION, PARAMETER, Attribute, Binary, Const, Expr, Ref, Subscript
from mldebt.finding import Place
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

from .asking import Asking
from .knowledge import Knowledge, canonical
from .units import Units
from .values import ANNOTATION, API, NAME, Evidence

if TYPE_CHECKING:
    from mldebt.facts.schema import Scope
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_PLAIN = frozenset({"float", "int", "builtins.float", "builtins.int"})
_OPTIONAL = frozenset({"Optional", "typing.Optional"})
_SAID = {
    "prob": "probability", "logprob": "log-probability", "logit": "logit", "fraction": "fraction", "percent": "percent",
    "temperature": "temperature", "threshold": "threshold", "lr": "learning rate",
}  # fmt: skip
_DURATIONS = frozenset({"timeout", "duration", "delay", "elapsed", "latency", "interval"})
_RATES = frozenset({"dropout", "momentum", "discount", "quantile"})
_ANY_TIME = ("seconds", "milliseconds")
_LEAST_CALLERS = 2
_MOST_ASKED = 60
_MOST_FILES = 80
_MOST_BARE, _MOST_SITES = 30, 8
_MEASURABLE = frozenset(
    "probability log-probability fraction percent duration seconds milliseconds microseconds nanoseconds".split()
)


class Slot(Struct, frozen=True):
    """A parameter, or (``name`` "return") the result, of a plain number that has a quantity."""

    name: str
    quantity: str
    annotation: Expr | None
    evidences: tuple[Evidence, Evidence]


class Boundary(Struct, frozen=True):
    """A function with such parameters, and the modules other than its own that call it."""

    definition: Definition
    slots: tuple[Slot, ...]
    callers: tuple[str, ...]
    calls: tuple[Place, ...]


_Named = tuple[str, str, "Expr | None"]
_Candidate = tuple[int, str, "Definition", "list[_Named]"]


class Boundaries(Analysis):
    """Finds them, most called first."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._units = project[Units]
        self._knowledge = Knowledge(project)
        self._asking = project[Asking]
        self._said: dict[str, str | None] = {}

    @cached_property
    def ranked(self) -> tuple[Boundary, ...]:
        """By how many modules call them, then by place."""
        annotated: list[_Candidate] = []
        bare: list[_Candidate] = []
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test or module.is_example:
                continue
            for index, scope in enumerate(module.facts.scopes):
                plain = self._plain(scope) if scope.kind == FUNCTION and _is_public(scope) else []
                if plain:
                    definition = module.definition(index)
                    files = self._mentioned(definition)
                    if _LEAST_CALLERS < files <= _MOST_FILES:  # its own file is one of them
                        told = any(annotation is not None for _, _, annotation in plain)
                        (annotated if told else bare).append((files, definition.name, definition, plain))
        chosen = [*sorted(annotated, key=_by_files)[:_MOST_ASKED], *sorted(bare, key=_by_files)[:_MOST_BARE]]
        found = [self._boundary(definition, plain) for _, _, definition, plain in chosen]
        kept = [one for one in found if one is not None]
        return tuple(sorted(kept, key=lambda one: (-len(one.callers), one.definition.name)))

    def _plain(self, scope: Scope) -> list[_Named]:
        """The parameters of a bare number, or of nobody knows what, whose names say a quantity, and the result's."""
        found: list[_Named] = []
        for one in scope.parameters:
            said = self._quantity(one.name)
            if said is not None and one.annotation is not None and _is_plain(one.annotation):
                found.append((one.name, said, one.annotation))
            elif said in _MEASURABLE and one.annotation is None:
                found.append((one.name, said, None))
        if scope.returns is not None and (said := self._quantity(scope.name)) and _is_plain(scope.returns):
            found.append(("return", said, scope.returns))
        return found

    def _quantity(self, name: str) -> str | None:
        """The quantity a name speaks of, in words."""
        if name not in self._said:
            last = name.rpartition("_")[2].lower()
            unit = self._units.named(name)
            # Sizes in bytes are whole numbers of what the name says, and "degrees" are of parallelism as well.
            if unit is not None and self._units.dimension(unit) not in ("time", "share"):
                unit = None
            quantity = unit or _SAID.get(self._knowledge.named(name) or "")
            if quantity is None and last in _DURATIONS:
                quantity = "duration"
            if quantity is None and name.startswith("p_"):
                quantity = "probability"
            self._said[name] = quantity or (last if last in _RATES else None)
        return self._said[name]

    def _mentioned(self, definition: Definition) -> int:
        """In how many files the function's name, or for a constructor its class's, stands at all."""
        owner = definition.parent
        name = definition.scope.name
        if name == "__init__" and owner is not None:
            name = owner.scope.name
        return len(self.project.callers.mentioning((name,)))

    def _boundary(self, definition: Definition, plain: list[_Named]) -> Boundary | None:
        sites = [
            site
            for site in self.project.callers.of(definition) or ()
            if site.module is not definition.module and not site.module.is_test and site.module.role == "project"
        ]
        callers = tuple(sorted({site.module.path for site in sites}))
        if len(callers) < _LEAST_CALLERS:
            return None
        slots = tuple(
            slot
            for name, quantity, annotation in plain
            for slot in self._slot(definition, name, quantity, annotation, sites)
        )
        if not slots:
            return None
        return Boundary(definition, slots, callers, tuple(site.module.place(site.call) for site in sites))

    def _slot(
        self, definition: Definition, name: str, quantity: str, annotation: Expr | None, sites: Sequence[Site]
    ) -> Iterator[Slot]:
        """A parameter with its evidence: a bare annotation, or a call that measures what it is given."""
        module = definition.module
        if name != "return" and not self._is_given(definition, name, sites):
            return
        place = module.place(annotation if annotation is not None else definition.scope)
        named = Evidence(quantity, definition.scope.name if name == "return" else name, place, NAME)
        if annotation is not None:
            bare = Evidence(f"a bare {_shown(annotation)}", f"{name}'s annotation", place, ANNOTATION)
            yield Slot(name, quantity, annotation, (bare, named))
            return
        measured = next(self._measured(definition, name, sites), None) or self._wanted(definition, name, quantity)
        if measured is not None:
            yield Slot(name, quantity, None, (measured, named))

    def _is_given(self, definition: Definition, name: str, sites: Sequence[Site]) -> bool:
        """Whether calls in two other modules give it a value: a default that nobody changes crosses nothing."""
        spellings = self.project.callers.spellings(definition)
        giving = {site.module.path for site in sites if given(site, definition, name, spellings) is not None}
        return len(giving) >= _LEAST_CALLERS

    def _measured(self, definition: Definition, name: str, sites: Sequence[Site]) -> Iterator[Evidence]:
        """What APIs say of the values that calls give a parameter."""
        spellings = self.project.callers.spellings(definition)
        for site in sites[:_MOST_SITES]:
            value = given(site, definition, name, spellings)
            if value is None or value is NOT_KNOWN or isinstance(value, Const):
                continue
            (values,), _ = self._asking.of(self._asking.quantities.here(site.module, site.scope), value)
            found = self._asking.evidence(values)
            if found is not None and found.weight >= API:
                yield found

    def _wanted(self, definition: Definition, name: str, quantity: str) -> Evidence | None:
        """What a library's function that the parameter is handed to takes: ``time.sleep(delay_s)``."""
        module = definition.module
        bound_again = definition.scope.bindings.get(name) != PARAMETER
        if bound_again or module.segments(definition.index).isdisjoint(self._takers):
            return None
        for site in module.call_sites(definition.index):
            function = site.call.function
            if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in self._takers:
                continue
            for linked in module.names(definition.index, function):
                row = self._units.wanted.get(canonical(linked))
                for slot in row.slots if row is not None and not any(one.called for one in row.slots) else ():
                    value = argument(site.call, slot.argument, slot.position)
                    if isinstance(value, Ref) and value.name == name and slot.quantity in (quantity, *_ANY_TIME):
                        return Evidence(slot.quantity, f"{linked}({slot.argument})", module.place(site))
        return None

    @cached_property
    def _takers(self) -> frozenset[str]:
        """What functions that take a unit may be called."""
        return self.project.spellings(frozenset(self._units.wanted))


def _by_files(candidate: _Candidate) -> tuple[int, str]:
    return (-candidate[0], candidate[1])


def _is_public(scope: Scope) -> bool:
    return not scope.name.startswith("_") or scope.name == "__init__"


def _is_plain(annotation: Expr) -> bool:
    """``float``, ``int``, ``float | None``, ``Optional[float]``."""
    if isinstance(annotation, Ref):
        return annotation.name in _PLAIN
    if isinstance(annotation, Binary) and annotation.op == "|":
        parts = (annotation.left, annotation.right)
        return all(_is_plain(part) or (isinstance(part, Const) and part.value is None) for part in parts)
    if isinstance(annotation, Subscript) and isinstance(annotation.value, Ref):
        return annotation.value.name in _OPTIONAL and _is_plain(annotation.index)
    return False


def number_of(annotation: Expr) -> Iterator[Ref]:
    """The ``float`` or ``int`` in a plain annotation."""
    if isinstance(annotation, Ref):
        yield annotation
    elif isinstance(annotation, Binary):
        yield from number_of(annotation.left)
        yield from number_of(annotation.right)
    elif isinstance(annotation, Subscript):
        yield from number_of(annotation.index)


def _shown(annotation: Expr) -> str:
    return next((ref.name for ref in number_of(annotation)), "float")
