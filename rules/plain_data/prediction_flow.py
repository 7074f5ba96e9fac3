"""Follows predictions through functions to where they leave the process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from mldebt.facts.arguments import argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    FUNCTION,
    Annotate,
    Assign,
    Attribute,
    Augment,
    Binary,
    Boolean,
    Call,
    Conditional,
    Do,
    Expr,
    For,
    Format,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
    Unary,
    Wait,
    With,
)
from mldebt.facts.walk import calls, statements
from mldebt.rule import Analysis

from .prediction_sinks import IDENTITY, ROUTES, elements, is_remote, is_source, keeps, keyed_model, leaves, words

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DEEPEST = 3  # calls from a prediction to the function that writes it
_MOST = 40  # functions that predictions of one function are followed into
_ASKING = frozenset(
    """predict predict_proba generate decision_function model net predict_log_proba predict_on_batch inplace_predict
    forecast recommend transcribe""".split()
)
_FILLS = frozenset({"append", "extend", "update", "add", "insert", "setdefault"})


_VERBS = frozenset({"get", "post", "put", "patch"})
_VIEWS = frozenset({"APIView", "View", "Resource", "MethodView", "HTTPEndpoint", "GenericAPIView"})
# Files of the model itself or of metrics say nothing of the predictions beside them.
_MODEL_FILES = frozenset({"write", "execute", "save"})


class Leak(NamedTuple):
    """Predictions made at ``source`` leave at ``place``; ``said``: the words written with them."""

    source: Place
    place: Place
    module: Module
    scope: int
    how: str
    remote: bool
    said: frozenset[str]
    named: bool


class Held(NamedTuple):
    """What is known of a variable: the prediction in it, if any, and the words that went into it."""

    source: Place | None
    said: frozenset[str]
    keyed: bool


_EMPTY = Held(None, frozenset(), False)


class PredictionFlow(Analysis):
    """Answers what leaves from one function, and what calls of it give."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._plain: dict[Definition, tuple[list[Leak], Held]] = {}
        self._steps = 0

    def leaks(self, definitions: Iterable[Definition]) -> Iterator[Leak]:
        """Predictions made in these functions that leave in them, in what they call, or in who calls them."""
        seen: set[Definition] = set()
        waiting = [(definition, _DEEPEST) for definition in definitions]
        while waiting:
            definition, depth = waiting.pop()
            if definition in seen:
                continue
            seen.add(definition)
            self._steps = 0
            found, returned = self._known(definition, _DEEPEST)
            yield from found
            if returned.source is not None and depth:
                callers = self.project.callers.of(definition) or ()
                waiting += [(site.module.definition(site.scope), depth - 1) for site in callers]
                if definition.scope.name == "__call__":
                    waiting += [(one, depth - 1) for one in self._users_of_instances(definition)]

    def _users_of_instances(self, definition: Definition) -> Iterator[Definition]:
        """The functions that may call an instance of the class of a ``__call__`` by its variable."""
        owner = definition.parent
        if owner is None or not owner.is_class:
            return
        bound: set[str] = set()
        called = self.project.spellings((owner.name,))
        for module in self.project.callers.mentioning(called):
            for index in module.scopes_using(called):
                for stmt in statements(module.body(index)):
                    made = stmt.value if isinstance(stmt, Assign) else None
                    if isinstance(made, Call) and last_segment(made.function) in called:
                        assert isinstance(stmt, Assign)
                        bound |= {last_segment(target) for target in stmt.targets} - {""}
        reaches = self.project.imports.reaches
        for module in self.project.callers.mentioning(bound) if bound else ():
            if module is definition.module or reaches(module, definition.module):
                yield from (module.definition(index) for index in module.scopes_using(bound))

    def _known(self, definition: Definition, depth: int) -> tuple[list[Leak], Held]:
        """What a function does whose arguments hold nothing; remembered, so the first depth asked decides."""
        if definition not in self._plain:
            self._plain[definition] = ([], _EMPTY)  # a function that calls itself
            self._plain[definition] = self._run(definition, {}, depth)
        return self._plain[definition]

    def _run(self, definition: Definition, given: dict[str, Held], depth: int) -> tuple[list[Leak], Held]:
        """The leaks of a function whose parameters hold ``given``, and what it returns."""
        body = _Body(self, definition, given, depth)
        for _ in range(2):  # loops: what a later line puts in is read by an earlier one
            for stmt in statements(definition.body):
                body.read(stmt)
        return body.found(), body.returned

    def called(self, module: Module, scope: int, call: Call, args: list[Held], depth: int) -> tuple[list[Leak], Held]:
        """What a call of one of the project's own functions leaks and gives."""
        tainted = any(one.source for one in args)
        self._steps += tainted
        if depth <= 0 or self._steps > _MOST or not (tainted or self._names_predictor(module, scope, call)):
            return [], _EMPTY
        edges = self.project.calls.targets(module, scope, call)
        targets = {edge.target for edge in edges if edge.confidence in ("exact", "method")}
        if len(targets) != 1:
            return [], _EMPTY
        target = targets.pop()
        if not tainted:
            return self._known(target, depth - 1) if _may_predict(target) else ([], _EMPTY)
        names = [one.name for one in target.scope.parameters]
        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        given = dict(zip(names, args, strict=False))
        given |= {
            keyword.name: args[len(call.args) + at] for at, keyword in enumerate(call.keywords) if keyword.name in names
        }
        return self._run(target, given, depth - 1)

    def _names_predictor(self, module: Module, scope: int, call: Call) -> bool:
        """Whether a call may run a function that predicts: by its name, or as an object that can be called."""
        function = call.function
        name = last_segment(function)
        held = isinstance(function, Ref) and any(function.name in module.scope(one).bindings for one in (scope, 0))
        return name in self._predictors or (held and "__call__" in self._predictors)

    @cached_property
    def _predictors(self) -> frozenset[str]:
        """What functions that may predict are called, also where they are imported under another name."""
        found = {
            scope.name
            for module in self.project.callers.mentioning(_ASKING)
            for index in module.scopes_using(_ASKING)
            if (scope := module.scope(index)).kind == FUNCTION
        }
        for module in self.project.modules.values():
            found |= {fact.bound for fact in module.facts.imports if fact.renamed and fact.attribute in found}
        return frozenset(found)


def _may_predict(definition: Definition) -> bool:
    return not _ASKING.isdisjoint(definition.module.segments(definition.index))


class _Body:
    """One function being read: what its variables hold."""

    def __init__(self, flow: PredictionFlow, definition: Definition, given: dict[str, Held], depth: int) -> None:
        self._flow, self._definition, self._depth = flow, definition, depth
        self._module, self._scope = definition.module, definition.index
        self._held = dict(given)
        self._leaks: dict[Place, Leak] = {}
        self._headers: frozenset[str] = frozenset()
        self._beside: frozenset[str] = frozenset()  # what other files say that the function writes
        self.returned = _EMPTY
        self._serves = _is_route(definition)
        for one in definition.scope.decorators:
            schema = argument(one, "response_model") if isinstance(one, Call) else None
            if isinstance(schema, (Ref, Attribute)):
                self._headers |= frozenset(self._fields(schema))

    def _unaliased(self, call: Call) -> Call:
        """The call by the name its function was imported from."""
        function = call.function
        if not isinstance(function, Ref):
            return call
        head, dot, _ = function.name.partition(".")
        if dot and not any(one.renamed and one.bound == head for one in self._module.facts.imports):
            return call
        names = self._module.names(self._scope, function)
        if len(names) != 1 or ":" in names[0] or "(" in names[0]:
            return call
        return structs.replace(call, function=Ref(names[0], function.line, function.column))

    def found(self) -> list[Leak]:
        beside = self._headers | self._beside
        return [one._replace(said=one.said | (self._headers if one.remote else beside)) for one in self._leaks.values()]

    def read(self, stmt: Stmt) -> None:
        if isinstance(stmt, (Assign, Annotate, Augment)) and stmt.value is not None:
            held = self._value(stmt.value)
            for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
                self._bind(target, held)
        elif isinstance(stmt, For):
            self._bind(stmt.target, self._value(stmt.iterable))
        elif isinstance(stmt, With):
            for item in stmt.items:
                if item.target is not None:
                    self._bind(item.target, self._plain(item.context))
        for call in calls(stmt):
            self._called(stmt, call)
        if isinstance(stmt, Return) and stmt.value is not None:
            self._return(stmt, self._value(stmt.value))

    def _bind(self, target: Expr, held: Held) -> None:
        if isinstance(target, Subscript):
            held = _joined(held, Held(None, frozenset(words(target.index)), keyed_model(target)))
        name = _base(target)
        if name.endswith("headers"):
            self._headers |= held.said
        name = name.removesuffix(".attrs")
        if name:
            self._held[name] = _joined(self._held.get(name, _EMPTY), held)
        elif hasattr(target, "items"):
            for item in target.items:
                self._bind(item, held)

    def _called(self, stmt: Stmt, site: Call) -> None:
        call = self._unaliased(site)
        function = call.function
        if isinstance(function, Ref) and function.name.rpartition(".")[2] in _FILLS:
            head = function.name.rpartition(".")[0]
            for arg in call.args:
                self._bind(Ref(head, 0, 0), self._value(arg))
        out = leaves(call)
        if out:
            held = _EMPTY
            for part in out:
                held = _joined(held, self._value(part))
            if held.source is not None:
                self._leak(call, held, self._around(call), is_remote(call))
            elif last_segment(call.function) not in _MODEL_FILES:
                self._beside |= held.said
        elif isinstance(stmt, Do) and stmt.value is site:
            self._value(call)

    def _around(self, call: Call) -> Held:
        """What the call says itself: the file's name, the topic, the table."""
        found = _EMPTY
        parts: list[Expr] = [*call.args, *[keyword.value for keyword in call.keywords], call.function]
        for part in parts:
            found = _joined(found, self._plain(part))
        return found

    def _leak(self, what: Call | Stmt, held: Held, around: Held, remote: bool) -> None:
        if held.source is None:
            return
        place = self._module.place(what)
        said = held.said | around.said
        name = getattr(getattr(what, "function", None), "name", "the response").rpartition(".")[2]
        self._leaks[place] = Leak(
            held.source, place, self._module, self._scope, name, remote, said, held.keyed or around.keyed
        )

    def _return(self, stmt: Return, held: Held) -> None:
        self.returned = _joined(self.returned, held)
        if self._serves and held.source is not None:
            self._leak(stmt, held, _EMPTY, True)

    def _plain(self, expr: Expr) -> Held:
        """The words of an expression and of the variables in it, whatever it is worth."""
        said = set(words(expr))
        for name in [word for word in said if word in self._held]:
            said |= self._held[name].said
        return Held(None, frozenset(said), False)

    def _value(self, expr: Expr) -> Held:
        if isinstance(expr, Call):
            return self._result(expr)
        if isinstance(expr, Ref):
            return self._variable(expr)
        parts = _parts(expr)
        held = Held(None, frozenset(_own_words(expr)), keyed_model(expr) if hasattr(expr, "keys") else False)
        for part in parts:
            held = _joined(held, self._value(part))
        return held

    def _variable(self, ref: Ref) -> Held:
        name = ref.name
        while name:
            if name in self._held:
                return _joined(self._held[name], Held(None, frozenset({ref.name.rpartition(".")[2]}), False))
            name = name.rpartition(".")[0]
        return Held(None, frozenset({ref.name.rpartition(".")[2]}), False)

    def _result(self, call: Call) -> Held:
        call = self._unaliased(call)
        if is_source(self._module, self._scope, call):
            return Held(self._module.place(call), frozenset(), False)
        own = Held(None, frozenset(keyword.name for keyword in call.keywords if keyword.name), False)
        kept = keeps(call)
        if kept:
            for part in kept:
                own = _joined(own, self._value(part))
            return own._replace(keyed=own.keyed or keyed_model(call))
        args = [self._value(arg) for arg in call.args]
        args += [self._value(keyword.value) for keyword in call.keywords]
        leaks, returned = self._flow.called(self._module, self._scope, call, args, self._depth)
        for leak in leaks:
            self._leaks.setdefault(leak.place, leak)
        if returned.source is not None:
            return _joined(own, returned)
        if _is_record(call):
            for arg in args:
                own = _joined(own, arg)
            own = _joined(own, Held(None, frozenset(self._fields(call.function)), False))
            return own._replace(keyed=own.keyed or keyed_model(call))
        return Held(None, frozenset(words(call)), False)

    def _fields(self, expr: Expr) -> Iterator[str]:
        """The fields of a class, also those it fills by default and those of its bases."""
        names = self._module.names(self._scope, expr) if isinstance(expr, (Ref, Attribute)) else ()
        for name in names[:1]:
            definition = self._module.project.definition(name)
            if definition is not None and definition.is_class:
                yield from definition.scope.bindings
                for base in definition.scope.bases:
                    if isinstance(base, (Ref, Attribute)):
                        for one in definition.module.names(0, base)[:1]:
                            parent = self._module.project.definition(one)
                            yield from parent.scope.bindings if parent is not None and parent.is_class else ()


def _is_record(call: Call) -> bool:
    """``Prediction(label=...)``: a class that holds what it is given."""
    name = last_segment(call.function)
    return name[:1].isupper() and not name.isupper() and bool(call.keywords)


def _parts(expr: Expr) -> list[Expr]:
    """The parts of an expression that its value holds."""
    if isinstance(expr, Subscript):
        return [expr.value]
    if isinstance(expr, Binary):
        return [expr.left, expr.right]
    if isinstance(expr, Conditional):
        return [expr.then, expr.orelse]
    if isinstance(expr, Boolean):
        return list(expr.values)
    if isinstance(expr, Format):
        return list(expr.parts)
    if isinstance(expr, Unary):
        return [expr.operand]
    if isinstance(expr, (Attribute, Starred, Wait)):
        return [expr.value] if expr.value is not None else []
    return elements(expr)


def _own_words(expr: Expr) -> Iterator[str]:
    for key in getattr(expr, "keys", ()):
        if key is not None:
            yield from words(key)
    if isinstance(expr, Subscript):
        yield from words(expr.index)
    elif not _parts(expr):
        yield from words(expr)


def _joined(one: Held, other: Held) -> Held:
    return Held(one.source or other.source, one.said | other.said, one.keyed or other.keyed)


def _base(target: Expr) -> str:
    while isinstance(target, Subscript):
        target = target.value
    if isinstance(target, Starred):
        return _base(target.value)
    if not isinstance(target, Ref):
        return ""
    head, _, last = target.name.rpartition(".")
    return head if last in ("loc", "iloc", "at") else target.name


def _is_route(definition: Definition) -> bool:
    """Whether a framework answers requests with what the function returns."""
    for one in definition.scope.decorators:
        function = one.function if isinstance(one, Call) else one
        if isinstance(function, Ref) and "." in function.name and function.name.rpartition(".")[2] in ROUTES:
            return True
    scope, names = definition.scope, [one.name for one in definition.scope.parameters]
    if scope.name == "lambda_handler" or names == ["event", "context"]:
        return True
    owner = definition.parent
    if owner is not None and owner.is_class:
        bases = {last_segment(base) for base in owner.scope.bases}
        return (scope.name in _VERBS and not _VIEWS.isdisjoint(bases)) or (
            scope.name[:1].isupper() and names == ["self", "request", "context"]  # gRPC
        )
    return scope.name == "run" and len(names) == 1 and "init" in definition.module.scope(0).bindings  # Azure ML


def identified(leak: Leak) -> bool:
    """Whether something written with the predictions says which model made them, or when."""
    return leak.named or any(IDENTITY.search(word) for word in leak.said)
