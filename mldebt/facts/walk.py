"""Iteration over the body IR: every expression, every statement, every call, in evaluation order.

All of it is iterative and dispatches on the exact type: these loops run once per node of a repository.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from mldebt.facts.schema import (
    Annotate,
    Assert,
    Assign,
    Attribute,
    Augment,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Const,
    Define,
    Delete,
    Do,
    Expr,
    For,
    Format,
    If,
    Lambda,
    Match,
    Raise,
    Ref,
    Return,
    Scope,
    Slice,
    Starred,
    Stmt,
    Subscript,
    Try,
    Unary,
    Wait,
    While,
    With,
)


def _some(*parts: Expr | None) -> list[Expr]:
    return [part for part in parts if part is not None]


def _build(node: Build) -> Sequence[Expr]:
    if not node.keys:
        return node.items
    return [part for pair in zip(node.keys, node.items, strict=True) for part in pair if part is not None]


def _comprehension(node: Comprehension) -> Sequence[Expr]:
    parts: list[Expr] = []
    for generator in node.generators:
        parts += (generator.iterable, generator.target, *generator.conditions)
    return [*parts, *_some(node.key), node.element]


# Leaves are absent: a missing entry means no children.
_CHILDREN: dict[type, Callable[[Any], Sequence[Expr]]] = {
    Attribute: lambda node: (node.value,),
    Call: lambda node: (
        [node.function, *node.args, *[keyword.value for keyword in node.keywords]]
        if node.keywords
        else [node.function, *node.args]
    ),
    Subscript: lambda node: (node.value, node.index),
    Binary: lambda node: (node.left, node.right),
    Boolean: lambda node: node.values,
    Compare: lambda node: [node.left, *node.comparators],
    Build: _build,
    Conditional: lambda node: (node.test, node.then, node.orelse),
    Comprehension: _comprehension,
    Lambda: lambda node: (node.body,),
    Starred: lambda node: (node.value,),
    Unary: lambda node: (node.operand,),
    Bind: lambda node: (node.value,),
    Wait: lambda node: _some(node.value),
    Format: lambda node: node.parts,
    Slice: lambda node: _some(node.lower, node.upper, node.step),
}


def children(expr: Expr) -> Sequence[Expr]:
    """The direct parts of an expression, in evaluation order."""
    parts = _CHILDREN.get(type(expr))
    return parts(expr) if parts is not None else ()


def walk(expr: Expr) -> list[Expr]:
    """The expression and all its parts, parts first: evaluation order, branches not told apart.

    Bodies of lambdas and comprehensions are included.
    """
    table = _CHILDREN
    kind = type(expr)
    if kind is Ref or kind is Const:
        return [expr]
    stack, found = [expr], []
    while stack:
        node = stack.pop()
        found.append(node)
        kind = type(node)
        if kind is not Ref and kind is not Const:
            parts = table.get(kind)
            if parts is not None:
                stack.extend(parts(node))
    found.reverse()
    return found


def calls_in(expr: Expr) -> list[Call]:
    """The calls in an expression, in evaluation order: ``walk`` without a list of everything else."""
    kind = type(expr)
    if kind is Ref or kind is Const:
        return []
    found: list[Call] = []
    table = _CHILDREN
    stack = [expr]
    while stack:
        node = stack.pop()
        kind = type(node)
        if isinstance(node, Call):
            found.append(node)
            # The usual call, of names on names, has nothing inside it to look for.
            if type(node.function) is not Ref:
                stack.append(node.function)
            for arg in node.args:
                kind = type(arg)
                if kind is not Ref and kind is not Const:
                    stack.append(arg)
            for keyword in node.keywords:
                value = keyword.value
                kind = type(value)
                if kind is not Ref and kind is not Const:
                    stack.append(value)
        elif kind is not Ref and kind is not Const:
            parts = table.get(kind)
            if parts is not None:
                stack.extend(parts(node))
    found.reverse()
    return found


def named_in(expr: Expr, names: Collection[str]) -> list[Expr]:
    """The parts of an expression that end in one of these names, or are calls of such, in evaluation order.

    ``f()()`` counts as a call of ``f``.
    """
    found: list[Expr] = []
    table = _CHILDREN
    stack: list[Any] = [expr]
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is Const:
            continue
        named = node
        if kind is Call:
            named = node.function
            if type(named) is Call:
                named = named.function
        if kind is Ref or type(named) is Ref or type(named) is Attribute:
            name = named.name
            if name[name.rfind(".") + 1 :] in names:
                found.append(node)
            if kind is Ref:
                continue
        parts = table.get(kind)
        if parts is not None:
            stack.extend(parts(node))
    found.reverse()
    return found


def given_values(call: Call) -> list[Expr]:
    """What a call is given, by position and then by keyword."""
    return [*call.args, *[keyword.value for keyword in call.keywords]]


_COMPOUND = frozenset({If, For, While, With, Try, Match})


def blocks(stmt: Stmt) -> tuple[Sequence[Stmt], ...]:
    """The bodies inside a compound statement, in source order. Bodies of functions and classes are not among them."""
    kind = type(stmt)
    if kind is If or kind is For or kind is While:
        return (stmt.body, stmt.orelse)  # type: ignore[union-attr]
    if kind is With:
        return (stmt.body,)  # type: ignore[union-attr]
    if isinstance(stmt, Try):
        return (stmt.body, *[handler.body for handler in stmt.handlers], stmt.orelse, stmt.final)
    if isinstance(stmt, Match):
        return tuple(case.body for case in stmt.cases)
    return ()


def statements(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """Every statement of a body and of the compound statements in it, in source order."""
    stack = [iter(body)]
    while stack:
        for stmt in stack[-1]:
            yield stmt
            if type(stmt) in _COMPOUND and (inner := [block for block in blocks(stmt) if block]):
                stack.extend(iter(block) for block in reversed(inner))
                break
        else:
            stack.pop()


def returned_values(body: Sequence[Stmt]) -> list[Expr]:
    """What the body of a function returns, in source order."""
    return [stmt.value for stmt in statements(body) if isinstance(stmt, Return) and stmt.value is not None]


def _assign(stmt: Assign) -> Sequence[Expr]:
    return [stmt.value, *stmt.targets]


def _match(stmt: Match) -> Sequence[Expr]:
    parts: list[Expr] = [stmt.subject]
    for case in stmt.cases:
        parts += (*case.values, *_some(case.guard))
    return parts


def _with(stmt: With) -> Sequence[Expr]:
    return [part for item in stmt.items for part in (item.context, item.target) if part is not None]


_OWN: dict[type, Callable[[Any], Sequence[Expr]]] = {
    Do: lambda stmt: (stmt.value,),
    Assign: _assign,
    Augment: lambda stmt: (stmt.target, stmt.value),
    Annotate: lambda stmt: _some(stmt.value, stmt.target),
    Return: lambda stmt: _some(stmt.value),
    Raise: lambda stmt: _some(stmt.value),
    If: lambda stmt: (stmt.test,),
    For: lambda stmt: (stmt.iterable, stmt.target),
    While: lambda stmt: (stmt.test,),
    With: _with,
    Try: lambda stmt: _some(*[handler.kind for handler in stmt.handlers]),
    Assert: lambda stmt: (stmt.test,),
    Delete: lambda stmt: stmt.targets,
    Match: _match,
}


def _define(scope: Scope) -> list[Expr]:
    defaults = [parameter.default for parameter in scope.parameters]
    return [
        *scope.decorators,
        *_some(*defaults),
        *scope.bases,
        *[keyword.value for keyword in scope.keywords],
    ]


def expressions(stmt: Stmt, scopes: Sequence[Scope] = ()) -> Sequence[Expr]:
    """The expressions a statement evaluates itself, in evaluation order; not those of statements in it.

    Targets come after values. Annotations are left out. With ``scopes`` (``ModuleFacts.scopes``) a definition gives its
    decorators, defaults and bases; without, nothing.
    """
    if type(stmt) is Define:
        return _define(scopes[stmt.scope]) if scopes else ()
    own = _OWN.get(type(stmt))
    return own(stmt) if own is not None else ()


def calls(stmt: Stmt, scopes: Sequence[Scope] = ()) -> list[Call]:
    """The calls a statement makes itself, in evaluation order."""
    return [node for expr in expressions(stmt, scopes) for node in calls_in(expr)]


def position(expr: Expr) -> tuple[int, int] | None:
    """Line and byte column of the first positioned part of an expression; None for a bare literal."""
    found = None
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        line = getattr(node, "line", None)
        if line is not None:
            here = (line, node.column)  # type: ignore[union-attr]
            found = here if found is None or here < found else found
            if type(node) is not Ref:
                continue
        stack.extend(children(node))
    return found
