"""What a class's own body and methods bind on its instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from mldebt.facts.graph import displayed, targets
from mldebt.facts.schema import FUNCTION, Annotate, Assign, Expr, Ref, Stmt, With
from mldebt.facts.walk import statements

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_STATIC = frozenset({"staticmethod", "builtins.staticmethod"})


class Binding(msgspec.Struct, frozen=True, eq=False):
    """One assignment to an attribute. ``scope`` is where ``value`` and ``annotation`` are read; value None: unknown."""

    scope: int
    value: Expr | None
    annotation: Expr | None


class Attributes:
    """Attribute bindings by class, collected on the first question about the class."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, dict[str, list[Binding]]] = {}

    def bindings(self, definition: Definition) -> dict[str, list[Binding]]:
        """Attribute name to its bindings, the class body's first, then the methods' in source order."""
        known = self._known.get(definition.name)
        if known is None:
            known = self._known[definition.name] = {}
            for name, binding in _collect(definition):
                known.setdefault(name, []).append(binding)
        return known


def self_name(definition: Definition) -> str | None:
    """The first parameter of a method: ``self``, or ``cls`` in a class method; None for anything else."""
    scope = definition.scope
    if scope.kind != FUNCTION or not scope.parameters:
        return None
    parent = definition.parent
    if parent is None or not parent.is_class:
        return None
    if any(isinstance(decorator, Ref) and decorator.name in _STATIC for decorator in scope.decorators):
        return None
    return scope.parameters[0].name


def is_class_method(definition: Definition) -> bool:
    scope = definition.scope
    return scope.name in ("__new__", "__init_subclass__", "__class_getitem__") or any(
        isinstance(decorator, Ref) and decorator.name == "classmethod" for decorator in scope.decorators
    )


def _collect(definition: Definition) -> Iterator[tuple[str, Binding]]:
    module, index = definition.module, definition.index
    for stmt in statements(definition.body):
        for name, value, annotation in _assigned(stmt):
            if "." not in name:
                yield name, Binding(index, value, annotation)
    for number, scope in enumerate(module.facts.scopes):
        if scope.parent != index or scope.kind != FUNCTION:
            continue
        method = module.definition(number)
        receiver = self_name(method)
        if receiver is None:
            continue
        for stmt in statements(method.body):
            for name, value, annotation in _assigned(stmt):
                head, _, attribute = name.partition(".")
                if head == receiver and attribute and "." not in attribute:
                    yield attribute, Binding(number, value, annotation)


def _assigned(stmt: Stmt) -> Iterator[tuple[str, Expr | None, Expr | None]]:
    if isinstance(stmt, Assign):
        for target in stmt.targets:
            for name, path in targets(target):
                value, rest = displayed(stmt.value, path)
                yield name, None if rest else value, None
    elif isinstance(stmt, Annotate):
        if isinstance(stmt.target, Ref):
            yield stmt.target.name, stmt.value, stmt.annotation
    elif isinstance(stmt, With):
        for item in stmt.items:
            for name, path in targets(item.target) if item.target is not None else ():
                yield name, None if path else item.context, None
