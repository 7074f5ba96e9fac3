"""How far code reaches into what certain calls gave it: attributes and keys, through variables and loops."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    Attribute,
    Boolean,
    Build,
    Call,
    Comprehension,
    Const,
    Expr,
    Ref,
    Subscript,
    Wait,
)
from mldebt.facts.walk import children, expressions, statements
from mldebt.module import Module
from mldebt.project.callers import given
from mldebt.project.definitions import Definition

from .evidence import owner
from .vendor_calls import SelfAttributes

Steps = tuple["str | int", ...]

_FARTHEST = 6
_TEMPORAL = (datetime.datetime, datetime.date, datetime.timedelta)
# What values of the language have: calling these says nothing about a library.
_PLAIN = frozenset(
    name for kind in (str, bytes, int, float, list, dict, set, tuple, Path, *_TEMPORAL) for name in dir(kind)
)
# Built-ins that give the values they are given, or one of them.
_PASSES = frozenset({"next", "iter", "list", "tuple", "sorted", "reversed", "enumerate", "max", "min", "filter"})


# Of arrays and tensors, which are everybody's language: what a key gave is one.
_ARRAYS = frozenset({"shape", "dtype", "device", "ndim", "T"})


class Key(str):
    """A step by ``["key"]``."""


class Reach(Struct, frozen=True):
    """A place that reaches into what a function returned: ``choices.message.content``."""

    module: Module
    line_of: Expr
    hops: tuple[str, ...]


def peeled(expr: Expr) -> tuple[Expr, Steps, list[Expr]]:
    """What a chain of attributes and keys begins at, its steps, and the expressions aside: keys and defaults.

    ``response.get("Metadata", {})`` and ``getattr(run, "info")`` are steps too; positions are numbers.
    """
    steps: list[str | int] = []
    aside: list[Expr] = []
    while True:
        if isinstance(expr, Attribute):
            steps += reversed(expr.name.split("."))
            expr = expr.value
        elif isinstance(expr, Subscript):
            if not isinstance(expr.index, Const):
                aside.append(expr.index)
            elif isinstance(expr.index.value, str):
                steps.append(Key(expr.index.value))
            elif isinstance(expr.index.value, int):
                steps.append(expr.index.value)
            expr = expr.value
        elif isinstance(expr, Wait) and expr.value is not None:
            expr = expr.value
        elif isinstance(expr, Boolean) and expr.op == "or":
            aside += expr.values[1:]
            expr = expr.values[0]
        elif isinstance(expr, Call) and (asked := _asked(expr)) is not None:
            steps.append(Key(asked[1]))
            aside += expr.args[1:]
            expr = asked[0]
        else:
            break
    if isinstance(expr, Ref):
        kept = 2 if expr.name.startswith(("self.", "cls.")) else 1
        parts = expr.name.split(".")
        steps += reversed(parts[kept:])
        expr = Ref(".".join(parts[:kept]), expr.line, expr.column)
    return expr, tuple(reversed(steps)), aside


def _asked(call: Call) -> tuple[Expr, str] | None:
    """What ``mapping.get("Key")`` or ``getattr(value, "name")`` asks, and for what."""
    function = call.function
    if not isinstance(function, (Ref, Attribute)) or not call.args or call.keywords:
        return None
    if function.name == "getattr" and len(call.args) > 1:
        key, value = call.args[1], call.args[0]
    elif function.name.rpartition(".")[2] == "get":
        before = owner(function)
        if before is None:
            return None
        key, value = call.args[0], before
    else:
        return None
    return (value, key.value) if isinstance(key, Const) and isinstance(key.value, str) else None


def passed(expr: Expr) -> Expr | None:
    """The expression whose values a comprehension, a display or ``next(iter(runs))`` gives back."""
    if isinstance(expr, Comprehension):
        return expr.element if expr.kind in ("list", "generator") else None
    if isinstance(expr, Build):
        return expr.items[0] if expr.kind == "list" and expr.items else None
    if isinstance(expr, Call) and isinstance(expr.function, Ref) and expr.function.name in _PASSES and expr.args:
        return expr.args[1 if expr.function.name == "filter" and len(expr.args) > 1 else 0]
    return None


class Reaches:
    """Answers for one file.

    Args:
        results: The ids of the calls whose value is looked into, and which element of it (None: all of it).
        asked: A property whose value is looked into.
    """

    def __init__(self, module: Module, results: Mapping[int, int | None], asked: Definition | None = None) -> None:
        self._module, self._project, self._results, self._asked = module, module.project, results, asked

    def all(self) -> Iterator[Reach]:
        """Every chain that begins at a result, of any length, in the order of scopes."""
        module = self._module
        for index in range(len(module.facts.scopes)):
            for stmt in statements(module.body(index)):
                for expr in expressions(stmt, module.facts.scopes):
                    for root, steps, method, node in _chains(expr):
                        way = self._follow(index, root, steps, _FARTHEST)
                        if way is not None:
                            yield Reach(module, node, _hops(way, method))

    def _follow(self, scope: int, root: Expr, steps: Steps, depth: int) -> Steps | None:
        """The steps from a result to what ``steps`` lead to from a root; None where the root comes from no result."""
        if not depth:
            return None
        if self._asked is not None and self._asked.scope.name in steps:
            return self._after(self._asked, scope, root, steps)
        if isinstance(root, Call) and id(root) in self._results:
            element = self._results[id(root)]
            if element is None:
                return steps
            return steps[1:] if steps[:1] == (element,) else None
        if isinstance(root, Ref):
            way = self._variable(scope, root, depth)
        else:
            inner = passed(root)
            way = self._read(scope, inner, (), depth) if inner is not None else None
        return None if way is None else (*way, *steps)

    def _after(self, asked: Definition, scope: int, root: Expr, steps: Steps) -> Steps | None:
        """The steps after the property, where what stands before it is an instance of its class."""
        at = steps.index(asked.scope.name)
        types = self._project.types
        classes = types.of(self._module, scope, root)
        for step in steps[:at]:
            classes = types.attribute(classes, step) if isinstance(step, str) else ()
        holder = asked.parent.name if asked.parent is not None else ""
        return steps[at + 1 :] if any(holder in self._project.mro(name) for name in classes) else None

    def _read(self, scope: int, value: Expr, path: Steps, depth: int) -> Steps | None:
        """The steps to an element of a value."""
        root, steps, _ = peeled(value)
        return self._follow(scope, root, (*steps, *path), depth - 1)

    def _variable(self, scope: int, ref: Ref, depth: int) -> Steps | None:
        module, facts = self._module, self._module.facts
        head, _, attribute = ref.name.partition(".")
        if attribute:
            return self._first(self._stored(scope, head, attribute), depth)
        if head in facts.scopes[scope].bindings or head in facts.scopes[scope].inner:
            bound, origins = scope, self._project.flow(module.definition(scope)).origins(ref)
        else:
            found = binding_scope(facts, scope, head)
            if found is None:
                return None
            bound, origins = found, self._project.flow(module.definition(found)).definitions(head)
        if any(origin.kind == "parameter" for origin in origins):
            return self._first(self._given(bound, head), depth)
        values = [(bound, origin.value, origin.path) for origin in origins if origin.value is not None]
        return self._first(values, depth)

    def _first(self, values: Iterable[tuple[int, Expr, Steps]], depth: int) -> Steps | None:
        ways = (self._read(scope, value, path, depth) for scope, value, path in values)
        return next((way for way in ways if way is not None), None)

    def _stored(self, scope: int, head: str, attribute: str) -> Iterator[tuple[int, Expr, Steps]]:
        """The values of ``self.attribute`` in the class around a scope."""
        name = self._project.types.owner_of(self._module, scope, head)
        definition = self._project.definition(name) if name is not None else None
        if definition is not None and definition.module is self._module:
            for index, values in self._project[SelfAttributes].stored(definition, attribute):
                for value in values:
                    yield index, value, ()

    def _given(self, scope: int, parameter: str) -> Iterator[tuple[int, Expr, Steps]]:
        """What the calls in this file give a function's parameter."""
        definition = self._module.definition(scope)
        if not definition.is_function:
            return
        callers = self._project.callers
        for site in callers.of(definition) or ():
            if site.module is self._module:
                value = given(site, definition, parameter, callers.spellings(definition))
                if value is not None and value is not UNKNOWN:
                    yield site.scope, value, ()


def _chains(expr: Expr) -> Iterator[tuple[Expr, Steps, str, Expr]]:
    """The longest chains in an expression: what they begin at, the steps, the method called at last, the whole."""
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, called = stack.pop()
        root, steps, aside = peeled(node)
        method = ""
        if called and steps and isinstance(node, (Ref, Attribute)):
            method, steps = str(steps[-1]), steps[:-1]
        if steps or method:
            yield root, steps, method, node
        stack += [(part, False) for part in aside]
        if isinstance(root, Call):
            stack.append((root.function, True))
            stack += [(arg, False) for arg in root.args]
            stack += [(keyword.value, False) for keyword in root.keywords]
        elif not isinstance(root, Ref):
            stack += [(part, False) for part in children(root)]


def _hops(way: Steps, method: str) -> tuple[str, ...]:
    """The attributes and keys of a way.

    The method called at its end counts where it is one of what a key gave, and of no value of the language:
    ``response["Body"].read()``.
    """
    hops: list[str] = []
    for step in way:
        if isinstance(step, str):
            if step in _ARRAYS and hops and isinstance(hops[-1], Key):
                return tuple(hops)
            hops.append(step)
    if method and way and isinstance(way[-1], Key) and method not in _PLAIN:
        hops.append(f"{method}()")
    return tuple(hops)
