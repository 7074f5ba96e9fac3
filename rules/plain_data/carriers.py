"""Where the results of some calls may arrive: followed forward by name, so that only those scopes are evaluated.

A scope with such a call is reached; so are the callers of a function that returns what it got, the methods of a class
that keeps it in an attribute, and the functions it is handed to. Evaluating what stands there decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    CLASS,
    WALRUS,
    Annotate,
    Assign,
    Attribute,
    Augment,
    Bind,
    Build,
    Call,
    Const,
    Expr,
    For,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import calls, expressions, given_values, statements, walk

from .callers import Callers
from .holders import Holders
from .mentions import Mentions

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MOST_SCOPES = 1500
_FARTHEST = 3  # how many returns, attributes and arguments away
_MOST_CALLERS, _MOST_SUBCLASSES = 40, 4
_MOST_MODULES = 12  # an attribute read in more files is everybody's


class Carried(Struct, frozen=True):
    """A scope, and the identifiers that may stand there for what was given."""

    module: Module
    scope: int
    names: frozenset[str]

    def carries(self, expr: Expr) -> bool:
        """Whether an expression reads any of the identifiers."""
        for node in walk(expr):
            if isinstance(node, (Ref, Attribute)) and not self.names.isdisjoint(node.name.split(".")):
                return True
        return False


class Carriers:
    """Follows what calls of ``seeds`` (linked names) and of methods named ``methods`` give, and ``fields`` hold.

    ``confirm`` says whether an expression of a scope is worth following out of it. ``derived`` are seeds only in those
    scopes that also mention one of ``partners``.
    """

    def __init__(
        self,
        project: Project,
        callers: Callers,
        seeds: frozenset[str],
        methods: frozenset[str],
        confirm: Callable[[Module, int, Expr], bool],
        *,
        fields: frozenset[str] = frozenset(),
        derived: frozenset[str] = frozenset(),
        partners: frozenset[str] = frozenset(),
    ) -> None:
        self._project, self._callers = project, callers
        self._seeds, self._methods, self._fields = seeds, methods, fields
        self._derived, self._partners, self._confirm = derived, partners, confirm
        self._classes: dict[str, int] = {}
        self._names: dict[tuple[str, int], set[str]] = {}
        self._waiting: list[tuple[Module, int, frozenset[str]]] = []

    def scopes(self) -> list[Carried]:
        """The scopes that are reached, in the order of paths and lines."""
        spellings = self._project.spellings(self._seeds) | self._methods | self._fields
        logs = self._project.spellings(self._derived) | {"log"} if self._derived else frozenset()
        for module in self._project[Mentions].modules(spellings | self._partners):
            if module.role != "project":
                continue
            for index in module.scopes_using(spellings):
                names = frozenset(self._called(module, index, spellings)) | (self._fields & module.segments(index))
                if names:
                    self._waiting.append((module, index, names))
            for index in module.scopes_using(self._partners) if self._derived else ():
                names = module.segments(index) & logs
                if names:
                    self._waiting.append((module, index, names))
        for distance in range(_FARTHEST + 1):
            waiting, self._waiting = self._waiting, []
            for module, scope, names in waiting:
                known = self._names.setdefault((module.path, scope), set())
                if not names <= known and len(self._names) < _MOST_SCOPES:
                    known |= names
                    self._read(module, scope, known, leave=distance < _FARTHEST)
            self._to_instances()
        modules = self._project.modules
        return [Carried(modules[path], scope, frozenset(names)) for (path, scope), names in sorted(self._names.items())]

    def _called(self, module: Module, scope: int, spellings: frozenset[str]) -> Iterator[str]:
        """The last names of calls that are of a seed, or are written as one of the methods."""
        for site in module.call_sites(scope):
            function = site.call.function
            if not isinstance(function, (Ref, Attribute)):
                continue
            last = function.name.rpartition(".")[2]
            if last not in spellings:
                continue
            method = isinstance(function, Attribute) or "." in function.name
            if (last in self._methods and method) or not self._seeds.isdisjoint(module.names(scope, function)):
                yield last

    # One scope.

    def _read(self, module: Module, scope: int, names: set[str], *, leave: bool) -> None:
        body = list(statements(module.body(scope)))
        walruses = any(bits & WALRUS for bits in module.facts.scopes[scope].bindings.values())
        size = -1
        while size != len(names):
            size = len(names)
            carried = Carried(module, scope, frozenset(names))
            for stmt in body:
                names.update(_bound(carried, stmt, walruses))
        if leave and not module.is_test:
            carried = Carried(module, scope, frozenset(names))
            for stmt in body:
                self._leave(carried, stmt)

    def _leave(self, carried: Carried, stmt: Stmt) -> None:
        """Where a statement takes what it carries: to callers, to attributes, to callees."""
        module, scope = carried.module, carried.scope
        if isinstance(stmt, Return) and stmt.value is not None and self._goes(carried, stmt.value):
            self._to_callers(module.definition(scope))
        if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None:
            for target in _targets(stmt):
                if isinstance(target, Ref) and "." in target.name and self._goes(carried, stmt.value):
                    self._to_attribute(module, target)
        if module.facts.scopes[scope].kind != CLASS:
            for call in calls(stmt):
                self._to_callee(carried, call)

    def _goes(self, carried: Carried, expr: Expr) -> bool:
        return carried.carries(expr) and self._confirm(carried.module, carried.scope, expr)

    def _to_callers(self, definition: Definition) -> None:
        owner = definition.parent
        if not definition.is_function:
            return
        if owner is not None and owner.is_class and definition.scope.name in ("forward", "__call__", "call"):
            self._classes.setdefault(owner.name, 2)
            for derived in self._project.subclasses(owner.name)[:_MOST_SUBCLASSES]:
                self._classes.setdefault(derived.name, 2)
        else:
            self._follow((site.module, site.scope, site.call) for site in self._callers.of(definition)[:_MOST_CALLERS])

    def _to_instances(self) -> None:
        """To the calls of instances of the classes whose ``forward`` gives it."""
        classes = {name: level for name, level in self._classes.items() if level}
        if classes:
            sites = Holders(self._project, classes, dispatched=False).calls()
            self._follow((module, site.scope, site.call) for module, site in sites)
            self._classes.update(dict.fromkeys(classes, 0))

    def _follow(self, sites: Iterable[tuple[Module, int, Call]]) -> None:
        for module, index, call in sites:
            name = last_segment(call.function)
            if name and module.role == "project":
                self._waiting.append((module, index, frozenset({name})))

    def _to_attribute(self, module: Module, target: Ref) -> None:
        head, _, name = target.name.rpartition(".")
        modules = self._project[Mentions].modules((name,))
        near = modules if len(modules) <= _MOST_MODULES and "." not in head else [module]
        for other in near:
            if other.role == "project" and (other is module or self._project.imports.reaches(other, module)):
                for index in other.scopes_using((name,)):
                    self._waiting.append((other, index, frozenset({name})))

    def _to_callee(self, carried: Carried, call: Call) -> None:
        module, scope = carried.module, carried.scope
        near = [arg for arg in given_values(call) if type(arg) is not Const and carried.carries(arg)]
        edges = self._project.calls.targets(module, scope, call) if near else ()
        targets = [edge.target for edge in edges if edge.confidence != "cha" and edge.target.is_function]
        targets = [target for target in targets if target.module.role == "project"]
        going = [arg for arg in near if self._confirm(module, scope, arg)] if targets else []
        for target in targets if going else ():
            parameters = [one.name for one in target.scope.parameters]
            skip = 1 if parameters and parameters[0] in ("self", "cls") else 0
            pairs = [*zip(parameters[skip:], call.args, strict=False)]
            pairs += [(one.name, one.value) for one in call.keywords if one.name in parameters]
            names = frozenset(name for name, arg in pairs if arg in going)
            if names:
                self._waiting.append((target.module, target.index, names))


def _bound(carried: Carried, stmt: Stmt, walruses: bool) -> Iterator[str]:
    """The identifiers a statement gives what it carries."""
    if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None and carried.carries(stmt.value):
        for target in _targets(stmt):
            yield from _identifiers(target)
    elif isinstance(stmt, (Augment, For)):
        value = stmt.value if isinstance(stmt, Augment) else stmt.iterable
        if carried.carries(value):
            yield from _identifiers(stmt.target)
    for expr in expressions(stmt) if walruses else ():
        for node in walk(expr):
            if isinstance(node, Bind) and carried.carries(node.value):
                yield node.name


def _targets(stmt: Stmt) -> list[Expr]:
    if isinstance(stmt, Assign):
        return stmt.targets
    return [stmt.target] if isinstance(stmt, (Annotate, Augment)) else []


def _identifiers(target: Expr) -> Iterator[str]:
    if isinstance(target, Ref):
        yield target.name.rpartition(".")[2]
    elif isinstance(target, Subscript):
        yield from _identifiers(target.value)
    elif isinstance(target, Build):
        for item in target.items:
            yield from _identifiers(item)
    elif isinstance(target, Starred):
        yield from _identifiers(target.value)
