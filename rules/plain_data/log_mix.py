"""Values of log space in linear arithmetic, and the reverse: what is compared, added, sampled from or handed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import (
    FUNCTION,
    Attribute,
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
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .asking import Asking
from .carriers import Carried, Carriers
from .conflicts import Conflict
from .knowledge import Named, canonical
from .units import WantedSlot
from .values import API, NAME, RANGE, Constant, Evidence, Values, Where

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_SOURCES = frozenset({"log_softmax", "predict_log_proba", "log_prob"})
_LAYERS = frozenset({"torch.nn.LogSoftmax", "torch.nn.LogSigmoid"})
_MADE_BY_LOG = frozenset({"softmax", "sigmoid", "predict_proba", "Softmax", "Sigmoid", "expit"})
_ORDER = frozenset({"<", "<=", ">", ">="})
_ADDED = frozenset({"+", "-"})
_PRODUCTS = frozenset({"prod", "cumprod", "reduce_prod", "nanprod"})
_LOG, _LINEAR = "logprob", "prob"
_DISTRIBUTION = ("softmax", "predict_proba", "exp")
_FROM_LOGITS = frozenset({"decision_function()", "torch.logit", "scipy.special.logit"})


class LogMix(Analysis):
    """Finds them: forward from what gives log-probabilities, backward from what wants one space."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._asking = project[Asking]
        self._knowledge = self._asking.quantities.knowledge
        self._units = self._asking.units

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """One for each place, in the order of paths and lines."""
        found: dict[object, Conflict] = {}
        for carried in self._carriers().scopes():
            if not carried.module.is_test:
                for conflict in self._in_scope(carried):
                    found.setdefault((conflict.place, conflict.cause), conflict)
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for conflict in self._wanted(module):
                    found.setdefault((conflict.place, conflict.cause), conflict)
        used = {one.evidences[0].place for one in found.values() if one.evidences[1].weight != NAME}
        kept = [one for one in found.values() if one.evidences[1].weight != NAME or one.evidences[0].place not in used]
        return tuple(sorted(kept, key=lambda one: one.place))

    def _carriers(self) -> Carriers:
        rows = self._knowledge.rows(self._knowledge.functions)
        gives = {name for name, row in rows.items() if row.gives == _LOG}
        logs = {name for name, row in rows.items() if row.converts.get(_LINEAR) == _LOG}
        fields = frozenset(self.project.rows(self._units.fields))
        return Carriers(
            self.project,
            self._asking.quantities.callers,
            Named.of(gives | _LAYERS),
            _SOURCES,
            self._is_log,
            fields=fields,
            derived=Named.of(logs),
            partners=_MADE_BY_LOG,
        )

    def _is_log(self, module: Module, scope: int, expr: Expr) -> bool:
        """Whether an expression may be a log-probability, as far as its own scope tells."""
        return self._asking.may_be(module, scope, expr, frozenset({_LOG}))

    # Forward.

    def _in_scope(self, carried: Carried) -> Iterator[Conflict]:
        module, scope = carried.module, carried.scope
        for stmt in statements(module.body(scope)):
            for expr in expressions(stmt):
                if not carried.carries(expr):
                    continue
                for node in walk(expr):
                    if isinstance(node, Compare) and len(node.ops) == 1 and node.ops[0] in _ORDER:
                        yield from self._compared(module, scope, node)
                    elif isinstance(node, Binary) and carried.carries(node):
                        yield from self._combined(module, scope, node.op, node.left, node.right, node)
                    elif isinstance(node, Call):
                        yield from self._named_arguments(carried, node)
                        yield from self._reduced(carried, node)
                    elif isinstance(node, Build) and node.kind == "dict":
                        yield from self._entries(carried, stmt, node)
            if isinstance(stmt, Augment) and stmt.op in ("+", "-") and carried.carries(stmt.value):
                yield from self._combined(module, scope, stmt.op, stmt.target, stmt.value, stmt)
            if isinstance(stmt, Return) and stmt.value is not None and carried.carries(stmt.value):
                yield from self._returned(module, scope, stmt.value)

    def _compared(self, module: Module, scope: int, node: Compare) -> Iterator[Conflict]:
        left, right = node.left, node.comparators[0]

        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (lefts, rights), needs = self._asking.of(where, left, right)
            for one, other, bound in ((lefts, rights, right), (rights, lefts, left)):
                given = self._asking.evidence(one)
                if given is None or given.quantity != _LOG:
                    continue
                limit = _threshold(other)
                if limit is not None and given.weight >= API:
                    place = limit.place or module.place(bound if hasattr(bound, "line") else node)
                    said = Evidence(_LINEAR, f"the threshold {limit.value:g}", place, RANGE)
                    what = (
                        f"a log-probability from {_short(given)} is compared with {limit.value:g}: it is never above 0"
                    )
                    return Conflict(module.place(node), what, (given, said), "threshold"), {}
                partner = self._asking.evidence(other)
                if partner is not None and partner.quantity == _LINEAR:
                    return self._mixed(module, node, "compared", given, partner), {}
            return None, needs

        yield from self._asking.settled(module, scope, ask)

    def _combined(
        self, module: Module, scope: int, op: str, left: Expr, right: Expr, node: Binary | Augment
    ) -> Iterator[Conflict]:
        if op not in ("+", "-", "*"):
            return

        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (lefts, rights), needs = self._asking.of(where, left, right)
            one, other = self._asking.evidence(lefts), self._asking.evidence(rights)
            if other is not None and other.quantity == _LOG and op == "-" and _is_one(lefts) and other.weight >= API:
                said = Evidence(_LINEAR, "1 - x, the complement of a probability", module.place(node), RANGE)
                what = f"a log-probability from {_short(other)} is taken from 1, as if it were a probability"
                return Conflict(module.place(node), what, (other, said), "complement"), {}
            if one is None or other is None:
                return None, needs
            if op in _ADDED and {one.quantity, other.quantity} == {_LOG, _LINEAR}:
                log, linear = (one, other) if one.quantity == _LOG else (other, one)
                return self._mixed(module, node, "added" if op == "+" else "subtracted", log, linear), {}
            both = one.quantity == other.quantity == _LOG and one.place != other.place
            if op == "*" and both and min(one.weight, other.weight) >= API:
                what = f"two log-probabilities are multiplied, from {_short(one)} and {_short(other)}"
                return Conflict(module.place(node), what, (one, other), "product"), {}
            return None, needs

        yield from self._asking.settled(module, scope, ask)

    def _reduced(self, carried: Carried, call: Call) -> Iterator[Conflict]:
        """The product of log-probabilities along an axis: ``log_probs.prod()``; functions are looked at backward."""
        module, scope, function = carried.module, carried.scope, call.function
        if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in _PRODUCTS:
            return
        head = function.name.rpartition(".")[0]
        ref = Ref(head, function.line, function.column)
        subject: Expr = function.value if isinstance(function, Attribute) else ref
        if not carried.carries(subject):
            return

        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (values,), needs = self._asking.of(where, subject)
            given = self._asking.evidence(values)
            if given is None or given.quantity != _LOG or given.weight < API:
                return None, needs
            said = Evidence(_LINEAR, "a product, as of probabilities", module.place(call), RANGE)
            what = f"log-probabilities from {_short(given)} are multiplied with each other"
            return Conflict(module.place(call), what, (given, said), "product"), {}

        yield from self._asking.settled(module, scope, ask)

    def _mixed(
        self, module: Module, node: Binary | Augment | Compare, verb: str, log: Evidence, linear: Evidence
    ) -> Conflict | None:
        if max(log.weight, linear.weight) < API or (log.by, log.place) == (linear.by, linear.place):
            return None
        what = f"a log-probability from {_short(log)} is {verb} with a probability from {_short(linear)}"
        return Conflict(module.place(node), what, (log, linear), "mix")

    # Names that promise a probability.

    def _returned(self, module: Module, scope: int, value: Expr) -> Iterator[Conflict]:
        function = module.facts.scopes[scope]
        told = any("log" in parameter.name for parameter in function.parameters)  # ``log_probs=True`` says which
        if function.kind == FUNCTION and self._promises(function.name) and not told:
            yield from self._promised(module, scope, value, function.name, value, function)

    def _entries(self, carried: Carried, stmt: Stmt, node: Build) -> Iterator[Conflict]:
        for key, item in zip(node.keys, node.items, strict=True):
            name = key.value if isinstance(key, Const) else None
            if isinstance(name, str) and self._promises(name) and carried.carries(item):
                yield from self._promised(carried.module, carried.scope, item, name, item, stmt)

    def _named_arguments(self, carried: Carried, call: Call) -> Iterator[Conflict]:
        for keyword in call.keywords:
            if keyword.name is not None and self._promises(keyword.name) and carried.carries(keyword.value):
                value = keyword.value
                yield from self._promised(carried.module, carried.scope, value, keyword.name, value, call)

    def _promises(self, name: str) -> bool:
        return self._knowledge.named(name) == _LINEAR and "log" not in name.lower()

    def _promised(
        self, module: Module, scope: int, value: Expr, name: str, at: Expr, owner: object
    ) -> Iterator[Conflict]:
        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (values,), needs = self._asking.of(where, value)
            given = self._asking.evidence(values)
            if given is None or given.quantity != _LOG or given.weight < API:
                return None, needs
            said = Evidence(_LINEAR, name, module.place(owner), NAME)
            what = f"a log-probability from {_short(given)} is handed on as {name}"
            return Conflict(module.place(at), what, (given, said), name), {}

        yield from self._asking.settled(module, scope, ask)

    # Backward.

    def _wanted(self, module: Module) -> Iterator[Conflict]:
        rows = self.project.rows(self._units.spaces)
        for name, site in module.calls_of(self._names):
            row = rows[canonical(name)]
            for slot in row.slots:
                given = argument(site.call, slot.argument, slot.position)
                if given is None or given is NOT_KNOWN or isinstance(given, (Starred, Const)):
                    continue
                if name.endswith(".KLDivLoss"):
                    continue
                yield from self._slot(module, site.scope, site.call, name, slot, given)

    @cached_property
    def _names(self) -> Named:
        return Named.of(self.project.rows(self._units.spaces))

    def _slot(
        self, module: Module, scope: int, call: Call, name: str, slot: WantedSlot, given: Expr
    ) -> Iterator[Conflict]:
        short = name.rpartition(".")[2]
        wants = slot.quantity
        if short == "kl_div" and slot.argument == "target":
            switch = argument(call, "log_target")
            if switch is not None:
                if not isinstance(switch, Const):
                    return
                wants = _LOG if switch.value else _LINEAR

        def ask(where: Where) -> tuple[Conflict | None, Mapping[str, Definition]]:
            (values,), needs = self._asking.of(where, given)
            found = self._asking.evidence(values)
            if found is None or found.weight < API or not _clashes(short, wants, found):
                return None, needs
            said = Evidence(wants, f"{name}({slot.argument})", module.place(call))
            given_words = f"{_WORDS[found.quantity]} from {_short(found)}"
            what = f"{given_words} goes into {short}({slot.argument}), which takes {_WORDS[wants]}"
            return Conflict(module.place(call), what, (found, said), short), {}

        yield from self._asking.settled(module, scope, ask)


_WORDS = {_LOG: "a log-probability", _LINEAR: "a probability", "logit": "a raw score"}


def _clashes(function: str, wants: str, given: Evidence) -> bool:
    """Whether a function certainly gets a value of another space."""
    if function in ("log", "log2", "log10"):
        return given.quantity == _LOG or (given.quantity == "logit" and given.by in _FROM_LOGITS)
    if function == "exp":
        return given.quantity == _LINEAR and given.by.rpartition(".")[2].strip("()") in _DISTRIBUTION
    if wants == "logit":
        return given.quantity == _LINEAR
    return {wants, given.quantity} == {_LOG, _LINEAR}


def _threshold(values: Values) -> Constant | None:
    """The number in (0, 1] all alternatives are."""
    if len(values) != 1 or not isinstance(values[0], Constant):
        return None
    number = values[0].value
    fits = isinstance(number, (int, float)) and not isinstance(number, bool) and 0 < number <= 1
    return values[0] if fits else None


def _is_one(values: Values) -> bool:
    return (
        len(values) == 1
        and isinstance(values[0], Constant)
        and values[0].value in (1, 1.0)
        and values[0].value is not True
    )


def _short(evidence: Evidence) -> str:
    return evidence.by.rpartition(".")[2] if not evidence.by.endswith(".log_prob()") else evidence.by
