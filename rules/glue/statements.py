"""What the statements of a module are made of: conversion, attribute forward, call forward, or logic."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Augment,
    Build,
    Call,
    Const,
    Do,
    Expr,
    Ref,
    Return,
    Slice,
    Starred,
    Stmt,
    Subscript,
    Wait,
)
from mldebt.facts.walk import children, statements
from mldebt.module import Module

from .conversions import Operation, Operations
from .evidence import owner


class Kind(Enum):
    """What a statement does."""

    CONVERSION = "conversion"
    ATTRIBUTE = "attribute forward"
    CALL = "call forward"
    LOGIC = "logic"


class Statement(Struct, frozen=True):
    """A simple statement; ``value`` is its right side."""

    kind: Kind
    scope: int
    statement: Stmt
    value: Expr


_SIMPLE = frozenset({Assign, Annotate, Augment, Return, Do})
_SHAPES = (Ref, Const, Attribute, Subscript, Build, Starred, Slice)


def valued(module: Module, scope: int) -> Iterator[tuple[Stmt, Expr]]:
    """The assignments, returns and expression statements of one scope, with their right sides."""
    for stmt in statements(module.body(scope)):
        value = getattr(stmt, "value", None) if type(stmt) in _SIMPLE else None
        if value is not None:
            yield stmt, value


def is_value(stmt: Stmt, expr: Expr) -> bool:
    """Whether an expression is the right side of such a statement."""
    return type(stmt) in _SIMPLE and getattr(stmt, "value", None) is expr


class StatementReader:
    """Tells the kinds of the statements of one module."""

    def __init__(self, known: Operations, module: Module) -> None:
        self._known, self._module = known, module
        self._words = frozenset(module.project.spellings(known.functions))

    def statements(self) -> Iterator[Statement]:
        """Every assignment, return and expression statement of the module, nested functions and classes included."""
        for scope in range(len(self._module.facts.scopes)):
            for stmt, value in valued(self._module, scope):
                kind = Kind.LOGIC if isinstance(stmt, Augment) else self.kind(scope, value)
                yield Statement(kind, scope, stmt, value)

    def kind(self, scope: int, value: Expr) -> Kind:
        """The kind of a statement by its right side."""
        if isinstance(value, Wait) and value.kind == "await" and value.value is not None:
            value = value.value
        converts = self._shape(scope, value)
        if converts is not None:
            return Kind.CONVERSION if converts else Kind.ATTRIBUTE
        if not isinstance(value, Call) or not isinstance(value.function, (Ref, Attribute)):
            return Kind.LOGIC
        before = owner(value.function)
        parts = [*value.args, *(keyword.value for keyword in value.keywords), *([before] if before else [])]
        return Kind.CALL if all(self._shape(scope, part) is not None for part in parts) else Kind.LOGIC

    def _shape(self, scope: int, expr: Expr) -> bool | None:
        """Whether an expression of names, parts, containers and conversions alone converts; None for any other."""
        converts = False
        stack = [expr]
        while stack:
            node = stack.pop()
            if isinstance(node, Call):
                if self.operation(scope, node) is None:
                    return None
                converts = True
                before = owner(node.function) if isinstance(node.function, (Ref, Attribute)) else None
                stack += [*node.args, *(keyword.value for keyword in node.keywords), *([before] if before else [])]
            elif isinstance(node, _SHAPES):
                stack += children(node)
            else:
                return None
        return converts

    def operation(self, scope: int, call: Call) -> Operation | None:
        """The conversion a call is; None when it is none."""
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return None
        last = function.name.rpartition(".")[2]
        if isinstance(function, Ref) and last in self._words:
            names = self._module.project.resolve(self._module, scope, function.name)
            if names:
                return self._known.functions.get(names[0]) if len(names) == 1 else None
        row = self._known.methods.get(last)
        if row is None or owner(function) is None:
            return None
        if isinstance(function, Ref) and self._module.project.resolve(self._module, scope, function.name):
            return None  # a function of a module: of a project's own, or one the table does not know
        return row
