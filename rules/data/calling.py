"""Calls: of the project's functions and classes, of methods of known values, of libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import KWARGS, VARARGS, Attribute, Call, Expr, Ref, Starred

from .applying import Applying
from .combining import Combining
from .containers import Containers
from .cutting import Cutting
from .estimators import Estimators
from .library import Library
from .methods import Methods
from .rows import VALIDATION, Bound, Data, Instance, Items, Known, Stat, Value, part_of
from .scoring import Scoring
from .storing import Storing
from .tables import Tables

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition

    from .evaluating import Evaluator


class Given(Struct, frozen=True, eq=False):
    """The values a call gives."""

    call: Call
    args: list[Value]
    keywords: dict[str, Value]
    open: bool  # ``*args`` or ``**kwargs`` of unknown content

    def get(self, name: str, position: int | None = None) -> Value:
        if name in self.keywords:
            return self.keywords[name]
        return self.args[position] if position is not None and position < len(self.args) else None

    def has(self, name: str, position: int | None = None) -> bool:
        return self.open or name in self.keywords or (position is not None and position < len(self.args))

    def constant(self, name: str, position: int | None = None) -> object:
        value = self.get(name, position)
        return value.value if isinstance(value, Known) else None

    def expr(self, name: str, position: int | None = None) -> Expr | None:
        for keyword in self.call.keywords:
            if keyword.name == name:
                return keyword.value
        return self.call.args[position] if position is not None and position < len(self.call.args) else None

    @property
    def all(self) -> list[Value]:
        return [*self.args, *self.keywords.values()]

    @property
    def stats(self) -> list[Stat]:
        return [one for one in self.all if isinstance(one, Stat)]


class Callables:
    """What calls return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.methods = Methods(evaluator)
        self.library = Library(evaluator)
        self.storing, self.combining = Storing(evaluator), Combining(evaluator)
        self.tables = Tables(evaluator)
        self.cutting, self.scoring = Cutting(evaluator), Scoring(evaluator)
        self.estimators, self.containers = Estimators(evaluator), Containers(evaluator)
        self.applying = Applying(evaluator)

    def of(self, call: Call) -> Value:
        function = call.function
        receiver: Value = None
        method = ""
        owner: Expr | None = None
        if isinstance(function, Attribute):
            inner, _, method = function.name.rpartition(".")
            receiver, owner = self.evaluator.of(function.value), function.value
            if inner:
                receiver = self.evaluator.attributes(receiver, inner)
        elif isinstance(function, Ref) and "." in function.name:
            head, _, method = function.name.rpartition(".")
            owner = Ref(head, function.line, function.column)
            first = self.evaluator.run.lookup(head.partition(".")[0])
            receiver = self.evaluator.of(owner) if first is not None else None
        elif not isinstance(function, Ref):
            receiver = self.evaluator.of(function)
        given = self.given(call)
        if receiver is not None and method:
            return self.method(receiver, method, given, owner)
        return self.function(function, given)

    def given(self, call: Call) -> Given:
        args: list[Value] = []
        keywords: dict[str, Value] = {}
        is_open = False
        for arg in call.args:
            value = self.evaluator.of(arg)
            if isinstance(arg, Starred):
                if isinstance(value, Items) and not value.keys:
                    args += value.values
                else:
                    is_open = True
            else:
                args.append(value)
        for keyword in call.keywords:
            value = self.evaluator.of(keyword.value)
            if keyword.name is not None:
                keywords[keyword.name] = value
            elif isinstance(value, Items):
                keywords.update({str(key): one for key, one in zip(value.keys, value.values, strict=False)})
            else:
                is_open = True
        return Given(call, args, keywords, is_open)

    def method(self, receiver: Value, name: str, given: Given, owner: Expr | None) -> Value:
        if isinstance(receiver, Instance):
            member = self.evaluator.member(receiver, name)
            if isinstance(member, Bound):
                return self.bound(member, given)
            if member is None and name in ("fit_transform", "fit_predict"):
                return self.fit_transform(receiver, name, given)
            return None
        if isinstance(receiver, Bound):
            definition = self.evaluator.run.project.method(receiver.name, name)
            return self.bound(Bound(definition.name), given) if definition is not None else None
        return self.methods.of(receiver, name, given, owner)

    def fit_transform(self, receiver: Instance, name: str, given: Given) -> Value:
        """What TransformerMixin adds to a class with ``fit`` and ``transform``."""
        fit, last = (self.evaluator.member(receiver, one) for one in ("fit", name.removeprefix("fit_")))
        if isinstance(fit, Bound) and isinstance(last, Bound):
            self.bound(fit, given)
            return self.bound(last, Given(given.call, given.args[:1], {}, given.open))
        return None

    def function(self, function: Expr, given: Given) -> Value:
        if not isinstance(function, (Ref, Attribute)):
            return None
        run = self.evaluator.run
        value = run.lookup(function.name) if isinstance(function, Ref) and "." not in function.name else None
        if isinstance(value, Bound):
            return self.bound(value, given)
        if value is not None:
            return None
        if not isinstance(function, Ref):
            return None
        callee = run.links.callee(run.frame.module, run.frame.scope, function.name)
        if isinstance(callee, str):
            return self.library.of(callee, given)
        return self.defined(callee, None, given) if callee is not None else None

    # The project's own.

    def bound(self, bound: Bound, given: Given) -> Value:
        definition = self.evaluator.run.project.definition(bound.name)
        return self.defined(definition, bound.receiver, given) if definition is not None else None

    def defined(self, definition: Definition, receiver: Instance | None, given: Given) -> Value:
        if definition.is_class:
            return self.instance(definition, given)
        kinds = [one.name.rpartition(".")[2] for one in definition.scope.decorators if isinstance(one, Ref)]
        args = given.args
        parent = definition.parent
        if parent is not None and parent.is_class and "staticmethod" not in kinds:
            first: Value = receiver
            if first is None and "classmethod" not in kinds:
                first, args = (args[0], args[1:]) if args else (None, [])
            return self.run_method(definition, first, args, given.keywords, given)
        return self.run_function(definition, args, given.keywords, given)

    def instance(self, definition: Definition, given: Given) -> Value:
        run = self.evaluator.run
        made = Instance(definition.name)
        start = run.project.method(definition.name, "__init__")
        if start is not None:
            self.run_method(start, made, given.args, given.keywords, given)
        else:
            run.changes += 1
            made.values.update(given.keywords)
        return made

    def run_method(
        self, definition: Definition, receiver: Value, args: list[Value], keywords: dict[str, Value],
        given: Given | None = None,
    ) -> Value:  # fmt: skip
        return self.run_function(definition, [receiver, *args], keywords, given)

    def run_function(
        self, definition: Definition, args: list[Value], keywords: dict[str, Value], given: Given | None
    ) -> Value:
        run = self.evaluator.run
        names: dict[str, Value] = {}
        position = 0
        scope = definition.scope
        for parameter in scope.parameters:
            if parameter.kind == VARARGS:
                names[parameter.name] = Items(tuple(args[position:]))
                position = len(args)
            elif parameter.kind == KWARGS:
                names[parameter.name] = None
            elif parameter.name in keywords:
                names[parameter.name] = keywords[parameter.name]
            elif position < len(args):
                names[parameter.name] = args[position]
                position += 1
            else:
                names[parameter.name] = self.evaluator.of(parameter.default) if parameter.default is not None else None
        run.validated |= any(isinstance(one, Data) and part_of(name) == VALIDATION for name, one in names.items())
        before = dict(names)
        value, after = run.call(definition, names)
        if given is not None:
            self.write_back(definition, given, before, after)
        return value

    def write_back(
        self, definition: Definition, given: Given, before: dict[str, Value], after: dict[str, Value]
    ) -> None:
        """What a function changed in the frames it was given."""
        if all(after.get(name) is old for name, old in before.items()):
            return
        parameters = [parameter.name for parameter in definition.scope.parameters]
        skip = len(parameters) and definition.parent is not None and definition.parent.is_class
        places = dict(zip(parameters[1 if skip else 0 :], given.call.args, strict=False))
        places |= {one.name: one.value for one in given.call.keywords if one.name}
        for name, expr in places.items():
            old, new = before.get(name), after.get(name)
            same = isinstance(old, Data) and isinstance(new, Data) and old.rows == new.rows
            if same and isinstance(expr, Ref) and new.marks - old.marks and not self.rebound(definition, name):  # type: ignore[union-attr]
                self.evaluator.run.set(expr.name, new)

    def rebound(self, definition: Definition, name: str) -> bool:
        """Whether a function binds its parameter to something else."""
        flow = self.evaluator.run.project.flow(definition)
        return any(origin.kind != "parameter" for origin in flow.definitions(name))
