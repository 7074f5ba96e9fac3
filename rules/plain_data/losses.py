"""Calls that compute a loss from a model's outputs, what the loss expects there and what it gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import Call, Expr, Ref, Starred
from mldebt.module import CallSite
from mldebt.project.annotations import is_class_like
from mldebt.rule import Analysis

from .callers import Site
from .holders import Holders
from .knowledge import LossRow, canonical
from .knowledge import Named as Names
from .mentions import Mentions
from .quantities import Quantities, agreed
from .values import Constant, Evidence, Instance, Method, Named, Partial, Super, Value, Where

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MOST_WRAPPERS = 20
_ACTIVATIONS = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "softmax", "log_softmax", "sigmoid"})


class Expectation(Struct, frozen=True):
    """A loss found at a call: its name, the row that knows it, and what it expects of its input."""

    name: str
    row: LossRow
    expects: str
    inferred: bool = False


class Clash(Struct, frozen=True):
    """A loss gets something else than it expects, whoever runs the call."""

    module: Module
    call: Call
    loss: Expectation
    given: Evidence


class Losses(Analysis):
    """Finds every loss call whose input is certainly of the wrong quantity."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._quantities = project[Quantities]
        self._evaluation = self._quantities.evaluation
        self._knowledge = self._quantities.knowledge
        self._near_activation: dict[str, bool] = {}

    @cached_property
    def _rows(self) -> Mapping[str, LossRow]:
        return self._knowledge.rows(self._knowledge.losses)

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        """Losses by the strings ``compile`` takes."""
        return {row.text: name for name, row in reversed(list(self._rows.items())) if row.text}

    @cached_property
    def clashes(self) -> tuple[Clash, ...]:
        """One for each loss call, in the order of paths and lines."""
        seeds = {name: 2 if is_class_like(name) else 1 for name in Names.of(self._rows)}
        found = list(self._among(Holders(self.project, seeds, dispatched=True).calls(), set()))
        found += self._compiled()
        unique = {(one.module.path, one.call.line, one.call.column, one.call.end_column): one for one in found}
        return tuple(unique[key] for key in sorted(unique))

    def _among(self, calls: list[tuple[Module, CallSite]], seen: set[str]) -> Iterator[Clash]:
        """Clashes at candidate calls. A project's loss module that wants its callers' values is followed to them."""
        for module, site in calls:
            wanting: dict[str, Definition] = {}
            found = self._clash(module, site, wanting)
            if found is None and self._follow(wanting, seen):
                found = self._clash(module, site, {})
            if found is not None:
                yield found

    def _follow(self, wanting: Mapping[str, Definition], seen: set[str]) -> bool:
        """Learn which calls of instances run the ``forward`` of the loss classes that want to know."""
        learned = False
        for name, definition in wanting.items():
            owner = definition.parent
            if name in seen or len(seen) >= _MOST_WRAPPERS or owner is None or not owner.is_class:
                continue
            seen.add(name)
            if definition.scope.name != self.project.types.call_method(owner.name):
                continue
            sites = []
            for module, site in Holders(self.project, {owner.name: 2}, dispatched=False).calls():
                where = self._quantities.here(module, site.scope)
                if any(self._runs(value, definition) for value in self._callees(where, site.call)):
                    sites.append(Site(module, site.scope, site.call, 1))
            if sites:
                self._quantities.callers.learn(definition, tuple(sites))
                learned = True
        return learned

    def _callees(self, where: Where, call: Call) -> tuple[Value, ...]:
        (values,), needs = self._evaluation.ask(where, call.function)
        # An open question is no obstacle here: in the caller's context the callee is asked for again.
        return values if any(value is not None for value in values) or not needs else (None,)

    def _runs(self, value: Value, definition: Definition) -> bool:
        if not isinstance(value, Instance) or ":" not in value.name:
            return False
        return self.project.method(value.name, definition.scope.name) == definition

    # One call.

    def _clash(self, module: Module, site: CallSite, wanting: dict[str, Definition]) -> Clash | None:
        def ask(where: Where) -> tuple[Clash | None, Mapping[str, Definition]]:
            return self._asked(where, site.call, wanting)

        return next(self._quantities.settled(module, site.scope, ask), None)

    def _asked(
        self, where: Where, call: Call, wanting: dict[str, Definition]
    ) -> tuple[Clash | None, Mapping[str, Definition]]:
        (functions,), needs = self._evaluation.ask(where, call.function)
        needs = dict(needs)
        expected = [self._at_call(value, where, call) for value in functions]
        inferred = False
        if functions == (None,) or any(one is None for one in functions):
            expected = [self._expectation(Instance(name)) for name in self._inferred(where, call.function)] or expected
            inferred = True
        if not expected or any(one is None for one in expected):
            return None, needs
        found = None
        for one in expected:
            assert one is not None
            given = self._given(where, call, one, needs, wanting)
            if given is None or not contradicts(one, given):
                return None, needs
            found = found or Clash(where.module, call, _marked(one, inferred), given)
        return found, needs

    def _given(
        self, where: Where, call: Call, loss: Expectation, needs: dict[str, Definition], wanting: dict[str, Definition]
    ) -> Evidence | None:
        """What the loss gets, when all alternatives agree; else who would know goes to ``needs``."""
        expr = _input(call, loss)
        if expr is None:
            return None
        (values,), more = self._evaluation.ask(where, expr)
        needs.update(more)
        wanting.update(more)
        found = agreed(values)
        if found is None and None in values and self._has_activated(where.module):
            self._evaluation.inferring = True
            try:
                (values,), _ = self._evaluation.ask(where, expr)
            finally:
                self._evaluation.inferring = False
            found = agreed(values)
        return found

    def _inferred(self, where: Where, function: Expr) -> tuple[str, ...]:
        """The class of a loss that linked facts leave open: a table of losses read by a computed key."""
        return self._evaluation.calls.inferred(where, function) if self._has_activated(where.module) else ()

    def _has_activated(self, module: Module) -> bool:
        """Whether a module's imports hold a model that may end in an activation: else no class is worth inferring."""
        if module.path not in self._near_activation:
            reaches = self.project.imports.reaches
            self._near_activation[module.path] = any(
                path == module.path or reaches(module, path) for path in self._activated
            )
        return self._near_activation[module.path]

    @cached_property
    def _activated(self) -> tuple[str, ...]:
        names = self.project.spellings(_ACTIVATIONS)
        return tuple(dict.fromkeys(module.path for module, _ in self.project[Mentions].scopes(names)))

    def _expectation(self, value: Value) -> Expectation | None:
        """What a callee expects of its input, if it is a loss."""
        if isinstance(value, Partial):
            inner = self._expectation(value.function)
            return self._switched(inner, value.call, None) if inner is not None and len(value.call.args) == 1 else None
        if isinstance(value, Named) and ":" not in value.name:
            name = canonical(value.name)
            row = self._rows.get(name)
            return Expectation(name, row, row.expects) if row is not None and not is_class_like(name) else None
        if isinstance(value, Method) or not isinstance(value, (Instance, Super)):
            return None
        instance = value.instance if isinstance(value, Super) else value
        for base in self.project.mro(instance.name) or (instance.name,):
            if ":" in base:
                if self.project.definition(f"{base}.{self.project.types.call_method(instance.name)}") is not None:
                    return None  # the project's own formula: evaluated where it calls a library's loss
                continue
            row = self._rows.get(canonical(base))
            if row is not None:
                found = Expectation(canonical(base), row, row.expects)
                return self._switched(found, instance.call, instance.where)
        return None

    def _at_call(self, value: Value, where: Where, call: Call) -> Expectation | None:
        """What a callee expects in this call: functions are switched by their own arguments."""
        found = self._expectation(value)
        return self._switched(found, call, where) if found is not None and isinstance(value, Named) else found

    def _switched(self, loss: Expectation, call: Call | None, where: Where | None) -> Expectation | None:
        """``from_logits=True`` turns what a loss expects; an unknown value leaves it open."""
        row = loss.row
        if not row.switch or call is None:
            return loss
        position = row.switch_position if where is not None else None
        given = argument(call, row.switch, position)
        if given is None:
            return loss
        if given is NOT_KNOWN:
            return None
        (values,), _ = self._evaluation.ask(where, given) if where is not None else ([()], {})
        if len(values) != 1 or not isinstance(values[0], Constant) or not isinstance(values[0].value, bool):
            return None
        return Expectation(loss.name, row, "logit") if values[0].value else loss

    # Keras ``compile``.

    def _compiled(self) -> Iterator[Clash]:
        for module, index in self.project[Mentions].scopes(frozenset({"compile"})):
            for site in module.call_sites(index) if module.role == "project" else ():
                function = site.call.function
                if isinstance(function, Ref) and function.name.endswith(".compile"):
                    given = argument(site.call, "loss", 1)
                    if given is not None and given is not NOT_KNOWN and not isinstance(given, Starred):
                        found = self._compile(module, site, function, given)
                        if found is not None:
                            yield found

    def _compile(self, module: Module, site: CallSite, function: Ref, given: Expr) -> Clash | None:
        receiver = Ref(function.name.rpartition(".")[0], function.line, function.column)

        def ask(where: Where) -> tuple[Clash | None, Mapping[str, Definition]]:
            (models, losses), needs = self._evaluation.ask(where, receiver, given)
            expected = [self._named_loss(value) for value in losses]
            if not models or not expected or any(one is None for one in expected):
                return None, needs
            outputs = [one for model in models for one in self._output(where, site.call, model)]
            found = agreed(tuple(outputs))
            if found is None:
                return None, needs
            for one in expected:
                if one is None or not contradicts(one, found):
                    return None, needs
            assert expected[0] is not None
            return Clash(module, site.call, expected[0], found), needs

        return next(self._quantities.settled(module, site.scope, ask), None)

    def _output(self, where: Where, call: Call, model: Value) -> tuple[Value, ...]:
        """A model's output; a file's own ``compile`` method is somebody else's."""
        if not isinstance(model, Instance):
            return (None,)
        if ":" in model.name and not any(canonical(one).startswith("keras.") for one in self.project.mro(model.name)):
            return (None,)
        blank = Call(call.function, [], [], call.line, call.column, call.end_line, call.end_column)
        return self._evaluation.calls.apply(where, blank, model, 30)

    def _named_loss(self, value: Value) -> Expectation | None:
        if isinstance(value, Constant) and isinstance(value.value, str):
            name = self._texts.get(value.value.lower())
            return None if name is None else Expectation(value.value, self._rows[name], self._rows[name].expects)
        return self._expectation(value)


def contradicts(loss: Expectation, given: Evidence) -> bool:
    """Whether a loss certainly gets the wrong quantity."""
    if loss.expects == "logit":
        if given.quantity == "logprob":  # log(p) of a computed p is a legal logit; log_softmax twice changes nothing
            return "log_softmax" in given.by.lower() or "logsoftmax" in given.by.lower() or loss.row.link == "sigmoid"
        return given.quantity == "prob"
    return given.quantity in {"prob", "logprob", "logit"} - {loss.expects}


def _input(call: Call, loss: Expectation) -> Expr | None:
    found = argument(call, loss.row.input, loss.row.position)
    if found is None:
        # Keyword names of the loss classes differ a little between versions; only positions are sure.
        return None
    return None if found is NOT_KNOWN or isinstance(found, Starred) else found


def _marked(loss: Expectation, inferred: bool) -> Expectation:
    return Expectation(loss.name, loss.row, loss.expects, inferred)
