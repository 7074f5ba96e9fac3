"""The options argparse parsers declare, wherever they are declared: functions, other files, groups, loops, parents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.constants import evaluate
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assign,
    Build,
    Call,
    Expr,
    For,
    Ref,
    Starred,
    Stmt,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.project.callers import Site
from mldebt.rule import Analysis

from .lineage import CALL, INSTANCE, NAMED, PARAMETER, SELF, UNTOLD, Creation, Lineage
from .owners import receiver_of

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

ARGPARSE = "argparse.ArgumentParser"
_GROUPS = frozenset({"add_argument_group", "add_mutually_exclusive_group"})
_ADDERS = frozenset({"add_argument"})

Place = tuple[str, int, int]


class Declared(Struct, frozen=True, eq=False):
    """One ``add_argument``. ``flags`` None: not constant. ``given``: what a loop over a table puts in for its names."""

    module: Module
    scope: int
    statement: Stmt
    call: Call
    receiver: Expr
    flags: tuple[str, ...] | None
    given: Mapping[str, Expr]

    @property
    def hidden(self) -> bool:
        """Whether ``**options`` may hold any keyword."""
        return any(keyword.name is None for keyword in self.call.keywords)

    def keyword(self, name: str) -> Expr | None:
        """The expression of a keyword, loop variables put in."""
        found = next((keyword.value for keyword in self.call.keywords if keyword.name == name), None)
        return self.given.get(found.name, found) if isinstance(found, Ref) else found

    def constant(self, name: str) -> Any | Unknown | None:
        """The constant value of a keyword; None when it is absent, UNKNOWN when it cannot be told."""
        value = self.keyword(name)
        if value is None:
            return UNKNOWN if self.hidden else None
        return _value(self.module, self.scope, value, self.given)

    def names(self, name: str) -> tuple[str, ...]:
        """The linked names of a keyword's value: ``("builtins.bool",)``."""
        value = self.keyword(name)
        return self.module.names(self.scope, value) if value is not None else ()

    @property
    def is_positional(self) -> bool:
        return bool(self.flags) and not any(flag.startswith("-") for flag in self.flags or ())

    @property
    def dest(self) -> str:
        """The namespace's attribute."""
        explicit = self.constant("dest")
        if isinstance(explicit, str):
            return explicit
        flags = self.flags or ()
        long = next((flag for flag in flags if flag.startswith("--")), flags[0] if flags else "")
        return long.lstrip("-").replace("-", "_") if long.startswith("-") else long


class Parser(Struct, frozen=True):
    """A parser by where it is made: a call of the class ``name``, or of ``add_parser``."""

    path: str
    scope: int
    call: Call
    name: str
    is_command: bool = False

    @property
    def key(self) -> Place:
        return (self.path, self.call.line, self.call.column)


class Origins(Struct, frozen=True):
    """What a receiver may be: parsers by place, classes whose objects are parsers themselves, and whether more."""

    parsers: Mapping[Place, Parser]
    classes: frozenset[str]
    unknown: bool


class Parsers(Analysis):
    """Every declaration of the project, and which parsers each belongs to."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._lineage = project[Lineage]
        self._declared: dict[str, tuple[Declared, ...]] = {}
        self._origins: dict[int, Origins] = {}

    def declared(self, module: Module) -> tuple[Declared, ...]:
        """The declarations of one file, one for each round of a loop over a constant table."""
        known = self._declared.get(module.path)
        if known is None:
            known = self._declared[module.path] = tuple(_declarations(module))
        return known

    @cached_property
    def all(self) -> tuple[Declared, ...]:
        return tuple(
            one
            for module in self.project.modules.values()
            if module.role == "project" and not module.is_test
            for one in self.declared(module)
        )

    @cached_property
    def by_dest(self) -> dict[str, list[Declared]]:
        found: dict[str, list[Declared]] = {}
        for one in self.all:
            if one.flags:
                found.setdefault(one.dest, []).append(one)
        return found

    def owners(self, declared: Declared) -> Origins:
        """The parsers a declaration belongs to."""
        known = self._origins.get(id(declared.call))
        if known is None:
            known = self._origins[id(declared.call)] = self.of(declared.module, declared.scope, declared.receiver)
        return known

    def of(self, module: Module, scope: int, expr: Expr) -> Origins:
        """The parsers an expression may be; a group is its parser."""
        parsers: dict[Place, Parser] = {}
        classes: set[str] = set()
        unknown = False
        seen: set[tuple[str, int, int]] = set()
        pending = [(module, scope, expr)]
        while pending:
            creations = self._lineage.of(*pending.pop())
            told = [one for one in creations if one.kind not in (PARAMETER, SELF)]
            for one in told or creations:
                inner = self._group(one)
                if inner is not None:
                    if (one.path, one.line, one.column) not in seen:
                        seen.add((one.path, one.line, one.column))
                        pending.append(inner)
                elif one.kind == SELF and not one.section and self._is_parser(one.name):
                    classes.add(one.name)
                elif isinstance(one.expr, Call) and (found := self._parser(one, one.expr)) is not None:
                    parsers[found.key] = found
                elif (
                    one.kind == INSTANCE
                    and len(one.section) == 1
                    and (held := self._lineage.attribute(one.name, *one.section))
                ):
                    for where in held:
                        at = (where[0].path, getattr(where[2], "line", 0), getattr(where[2], "column", 0))
                        if at not in seen:
                            seen.add(at)
                            pending.append(where)
                else:
                    unknown = True
        return Origins(parsers, frozenset(classes), unknown)

    def made_by(self, module: Module, scope: int, expr: Expr, places: Collection[Place]) -> bool:
        """Whether an expression may be what one of the calls at these places made, or is not known at all."""
        creations = [one for one in self._lineage.of(module, scope, expr) if one.kind != PARAMETER]
        return not creations or any(
            (one.path, one.line, one.column) in places or one.kind == UNTOLD for one in creations
        )

    def callers_of(self, definition: Definition) -> tuple[Site, ...] | None:
        """The calls that run a function, as far as they are resolved; None when there are too many of its name."""
        return self._lineage.callers.of(definition)

    def _group(self, creation: Creation) -> tuple[Module, int, Expr] | None:
        if creation.kind != CALL or not isinstance(creation.expr, Call) or creation.section:
            return None
        receiver = receiver_of(creation.expr)
        if last_segment(creation.expr.function) not in _GROUPS or receiver is None:
            return None
        return self.project.modules[creation.path], creation.scope, receiver

    def _parser(self, creation: Creation, call: Call) -> Parser | None:
        if creation.section:
            return None
        if creation.kind == CALL and last_segment(call.function) == "add_parser":
            return Parser(creation.path, creation.scope, call, "add_parser", True)
        if creation.kind in (CALL, INSTANCE, NAMED) and (
            self._is_parser(creation.name) or creation.name.endswith("ArgumentParser")
        ):
            return Parser(creation.path, creation.scope, call, creation.name)
        return None

    def _is_parser(self, name: str) -> bool:
        return name == ARGPARSE or ARGPARSE in self.project.mro(name)


def _declarations(module: Module) -> Iterator[Declared]:
    for index in module.scopes_using(_ADDERS):
        bound = _bound_methods(module, index)
        for stmt in statements(module.body(index)):
            for root in expressions(stmt, module.facts.scopes):
                for node in walk(root):
                    if not isinstance(node, Call):
                        continue
                    receiver = receiver_of(node) if last_segment(node.function) == "add_argument" else None
                    if receiver is None and isinstance(node.function, Ref):
                        receiver = bound.get(node.function.name)
                    if receiver is not None and (node.args or node.keywords):
                        yield from _rounds(module, index, stmt, node, receiver)


def _bound_methods(module: Module, index: int) -> dict[str, Expr]:
    """``add = parser.add_argument``: the parser by the name of the bound method."""
    found: dict[str, Expr] = {}
    for stmt in statements(module.body(index)):
        if isinstance(stmt, Assign) and isinstance(stmt.value, Ref) and stmt.value.name.endswith(".add_argument"):
            for target in stmt.targets:
                if isinstance(target, Ref):
                    value = stmt.value
                    found[target.name] = Ref(value.name.rpartition(".")[0], value.line, value.column)
    return found


def _rounds(module: Module, scope: int, stmt: Stmt, call: Call, receiver: Expr) -> Iterator[Declared]:
    """One declaration, or one for each row of the constant table the call's loop goes over."""
    names = {node.name for value in (*call.args, *(k.value for k in call.keywords)) for node in walk(value)
             if isinstance(node, Ref)}  # fmt: skip
    loop = next((one for one in _loops(module, scope, stmt) if names & set(_names(one.target))), None)
    rows = list(_rows(module, scope, loop)) if loop is not None else [{}]
    for given in rows or [{}]:
        yield Declared(module, scope, stmt, call, receiver, _flags(module, scope, call, given), given)


def _loops(module: Module, scope: int, wanted: Stmt) -> Iterator[For]:
    for stmt in statements(module.body(scope)):
        if isinstance(stmt, For) and stmt.line <= wanted.line <= stmt.end_line and stmt is not wanted:
            yield stmt


def _names(target: Expr) -> list[str]:
    return [node.name for node in walk(target) if isinstance(node, Ref)]


def _rows(module: Module, scope: int, loop: For) -> Iterator[dict[str, Expr]]:
    """What each round of a loop binds, when it goes over a display; nothing when that is not known."""
    table, pairs = loop.iterable, False
    if isinstance(table, Call) and last_segment(table.function) == "items" and not table.args:
        table, pairs = receiver_of(table) or table, True
    display = _display(module, scope, table)
    if display is None:
        return
    if display.kind == "dict":
        if any(key is None for key in display.keys):
            return
        for key, item in zip(display.keys, display.items, strict=True):
            if key is not None:
                yield _bind(loop.target, Build("tuple", [key, item], []) if pairs else key)
    else:
        for item in display.items:
            if not isinstance(item, Starred):
                yield _bind(loop.target, item)


def _display(module: Module, scope: int, expr: Expr) -> Build | None:
    if isinstance(expr, Build):
        return expr
    if not isinstance(expr, Ref) or "." in expr.name:
        return None
    found = [
        stmt.value
        for index in {scope, 0}
        for stmt in statements(module.body(index))
        if isinstance(stmt, Assign) and any(isinstance(t, Ref) and t.name == expr.name for t in stmt.targets)
    ]
    return found[0] if len(found) == 1 and isinstance(found[0], Build) else None


def _bind(target: Expr, value: Expr) -> dict[str, Expr]:
    if isinstance(target, Ref):
        return {target.name: value}
    if isinstance(target, Build) and isinstance(value, Build) and len(target.items) == len(value.items):
        return {name: one for t, v in zip(target.items, value.items, strict=True) for name, one in _bind(t, v).items()}
    return {}


def _value(module: Module, scope: int, expr: Expr, given: Mapping[str, Expr]) -> Any | Unknown:
    def lookup(ref: Ref) -> Any:
        inner = given.get(ref.name)
        return module.constant(scope, ref) if inner is None else _value(module, scope, inner, {})

    return evaluate(expr, lookup)


def _flags(module: Module, scope: int, call: Call, given: Mapping[str, Expr]) -> tuple[str, ...] | None:
    found: list[str] = []
    for arg in call.args:
        value = _value(module, scope, arg.value if isinstance(arg, Starred) else arg, given)
        if isinstance(arg, Starred) and isinstance(value, (list, tuple)):
            found += [one for one in value if isinstance(one, str)]
        elif isinstance(value, str) and not isinstance(arg, Starred):
            found.append(value)
        else:
            return None
    if not found:
        dest = next((keyword.value for keyword in call.keywords if keyword.name == "dest"), None)
        value = _value(module, scope, dest, given) if dest is not None else UNKNOWN
        return (value,) if isinstance(value, str) else None
    return tuple(found)
