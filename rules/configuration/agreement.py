"""Whether two fallbacks of one option mean the same to their readers, and whether they can meet in one program."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mldebt.facts.schema import Conditional, If, Jump, Raise, Ref, Return, Stmt, Try
from mldebt.facts.walk import blocks, expressions, walk

from .fallbacks import Fallback
from .uses import TEST, VALUE, Use

if TYPE_CHECKING:
    from mldebt.project.project import Project

BOOLEAN_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "0", "1", "t", "f", "y", "n"})
FALSE_WORDS = frozenset({"false", "no", "off", "0", "none", "null", "f", "n"})
_OLD = re.compile(r"migrat|upgrad|legacy|compat|deprecat|convert|backward|(^|[._/])(old|v\d+_to)", re.IGNORECASE)


def agree(one: Use, other: Use) -> bool:
    """Whether two fallbacks are the same, are made the same, or nobody can tell them apart."""
    if normal(one.value) == normal(other.value):
        return not _mixed(one, other)
    if _mixed(one, other):
        return False
    if (one.is_converted or other.is_converted) and normal(one.converted) == normal(other.converted):
        words = all(str(use.value).strip().lower() in BOOLEAN_WORDS | {""} for use in (one, other))
        if words or not isinstance(one.converted, bool):
            return True
    if one.converted is None or other.converted is None:
        return not all(use.how == {VALUE} for use in (one, other) if use.converted is None or not other.converted)
    if not one.converted and not other.converted:
        return not (one.how == {VALUE} and other.how == {VALUE})
    return False


def _mixed(one: Use, other: Use) -> bool:
    """A text such as "false" in one place, and a real boolean whose plain truth counts in the other."""
    for text, flag in ((one, other), (other, one)):
        if isinstance(text.value, str) and isinstance(flag.value, bool) and not flag.is_converted:
            return text.value.strip().lower() in BOOLEAN_WORDS and bool(flag.how & {TEST, VALUE})
    return False


def differ_in_kind(one: Use, other: Use) -> bool:
    """Whether a reader of one would misread the other: a text for a boolean, a number for a text."""
    if _mixed(one, other):
        return True
    values = (one.converted, other.converted)
    if any(isinstance(value, str) and value.lower() in FALSE_WORDS for value in values) and TEST in one.how | other.how:
        return True
    kinds = {_kind(value) for value in values}
    return len(kinds) == 2 and "" not in kinds


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else ""


def normal(value: Any) -> Any:
    """One form for what is the same however it is spelled: 4, 4.0 and "4"; "data/" and "./data"; (1, 2) and [1, 2]."""
    if isinstance(value, str):
        text = value.strip()
        try:
            return float(text)
        except ValueError:
            return posixpath.normpath(text) if "/" in text and "://" not in text else text
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(normal, value))
    return value


def may_meet(one: Fallback, other: Fallback, project: Project) -> bool:
    """Whether two reads are about one decision: not two arms of a branch, siblings to choose from, or an upgrade."""
    if any(_OLD.search(f"{read.module.path}.{read.module.scope(read.scope).qualname}") for read in (one, other)):
        return False
    if one.module is other.module and one.scope == other.scope and _exclusive(one, other):
        return False
    return not _alternatives(one, other, project)


def _exclusive(one: Fallback, other: Fallback) -> bool:
    if one.statement is other.statement:
        roots = expressions(one.statement, one.module.facts.scopes)
        return any(isinstance(node, Conditional) for root in roots for node in walk(root))
    body = one.module.body(one.scope)
    arms, others = (list(_arms(body, read.statement)) for read in (one, other))
    for branch, arm, leaves in arms:
        for where, side, _ in others:
            if branch is where and arm != side:
                return True
        if leaves and not any(where is branch for where, _, _ in others) and other.statement.line > branch.line:
            return True
    return any(
        leaves and not any(where is branch for where, _, _ in arms) and one.statement.line > branch.line
        for branch, _, leaves in others
    )


def _arms(body: Sequence[Stmt], wanted: Stmt) -> Iterator[tuple[Stmt, int, bool]]:
    """The branches a statement stands in: the statement that branches, the arm, and whether the arm leaves."""
    for stmt in body:
        for number, arm in enumerate(blocks(stmt)):
            if any(one is wanted for one in _all(arm)):
                if isinstance(stmt, (If, Try)):
                    yield stmt, number, isinstance(stmt, If) and isinstance(arm[-1], (Return, Raise, Jump))
                yield from _arms(arm, wanted)


def _all(body: Sequence[Stmt]) -> Iterator[Stmt]:
    for stmt in body:
        yield stmt
        for arm in blocks(stmt):
            yield from _all(arm)


def _alternatives(one: Fallback, other: Fallback, project: Project) -> bool:
    """Methods of sibling classes, or functions of one registry: the option's default belongs to the chosen one."""
    first, second = (_owner(read, project) for read in (one, other))
    if first is not None and second is not None and first != second:
        bases = set(project.mro(first)) - {first}
        shared = bases & set(project.mro(second))
        return any(":" in base and second not in bases and base != second for base in shared) or (
            any(base.endswith((".Module", ".LightningModule", ".Model", ".Dataset")) for base in shared)
            and first not in project.mro(second)
            and second not in bases
            and _method(one) == _method(other)
            and not _builds(one, second, project)
            and not _builds(other, first, project)
        )
    names = [_registered(read) for read in (one, other)]
    return (
        bool(names[0])
        and names[0] == names[1]
        and one.module.definition(one.scope) != other.module.definition(other.scope)
    )


def _owner(read: Fallback, project: Project) -> str | None:
    scopes, index = read.module.facts.scopes, read.scope
    while index > 0 and scopes[index].kind != 2:
        index = scopes[index].parent
    return read.module.definition(index).name if index > 0 else None


def _method(read: Fallback) -> str:
    return read.module.scope(read.scope).name


def _registered(read: Fallback) -> str:
    """The name of the decorator that registers the function a read stands in."""
    for decorator in read.module.scope(read.scope).decorators:
        function = getattr(decorator, "function", decorator)
        if isinstance(function, Ref) and "regist" in function.name.lower():
            return function.name
    return ""


def _builds(read: Fallback, cls: str, project: Project) -> bool:
    """Whether a function makes an instance of a class itself: a part of it is no alternative to it."""
    edges = project.calls.edges(read.module.definition(read.scope))
    return any(edge.target.parent is not None and edge.target.parent.name == cls for edge in edges)
