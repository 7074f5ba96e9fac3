"""Code that a flag keeps from running: its value followed through variables, attributes and parameters to tests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import (
    CLASS,
    PARAMETER,
    Assign,
    Attribute,
    Call,
    Compare,
    Const,
    Define,
    Expr,
    Match,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import calls, expressions, statements, walk
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

from ..configuration.config_objects import Event  # noqa: TID252 - installed under another name
from ..configuration.declarations import COMMAND, FIELD  # noqa: TID252 - installed under another name
from ..configuration.namespaces import Namespaces  # noqa: TID252 - installed under another name
from .flags import LEAF, VARIABLE, EnvironmentReads, Flag, Subscripts
from .outcomes import OTHER, TEXT_METHODS, Arm, Known, Values, dead_arms, outcomes
from .selections import Selections

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_CONFIG = re.compile(
    r"(?:^|_)(?:args?|cfgs?|configs?|conf|opts?|options|hparams|hps|flags|settings|params|configuration|namespace)$",
    re.I,
)
_ROUNDS = 4  # functions a value is followed through
_MOST_SHOWN = 3
# Values that say what to do in this run, or on which machine.
_PHASES = frozenset(
    """train training test testing eval evaluate val valid validation dev develop development debug prod production
    predict prediction infer inference submit submission serve export all none auto cpu cuda gpu mps tpu info warning
    error""".split()
)
_GETTERS = frozenset({"get", "getattr", "pop"})

Unit = tuple["Module", int]


class DeadArm(NamedTuple):
    """An arm that never runs, and where it stands."""

    module: Module
    scope: int
    arm: Arm

    @property
    def statements(self) -> int:
        """How many statements it holds, those of functions defined in it too."""
        return sum(_size(self.module, stmt) for stmt in self.arm.stmts)


def _size(module: Module, stmt: Stmt) -> int:
    found = 0
    for one in statements([stmt]):
        found += 1
        if isinstance(one, Define):
            first, last = module.scope(one.scope).line, module.scope(one.scope).end_line
            found += sum(
                sum(1 for _ in statements(module.body(index)))
                for index, scope in enumerate(module.facts.scopes)
                if index and first <= scope.line and scope.end_line <= last
            )
    return found


class Programs(Analysis):
    """Answers which files run together with a declaration: what else is called alike is another flag."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[frozenset[str], tuple[str, ...]] = {}

    def of(self, declaring: frozenset[str]) -> tuple[str, ...]:
        """The files that import one of these, at any distance, and these."""
        if declaring not in self._known:
            reaches = self.project.imports.reaches
            modules = self.project.modules if declaring else ()
            self._known[declaring] = tuple(path for path in modules if any(reaches(path, one) for one in declaring))
        return self._known[declaring]


class FlaggedCode(Analysis):
    """Answers which code never runs because nobody gives a flag another value."""

    def of(self, flag: Flag) -> tuple[DeadArm, ...]:
        """The arms a flag's value keeps from running, in the order of places; () when somebody switches it."""
        return self._judged(flag)[0]

    def unchosen(self, flag: Flag) -> tuple[str, ...]:
        """The values of a choice that nobody gives it, though code waits for them."""
        return self._judged(flag)[1]

    def _judged(self, flag: Flag) -> tuple[tuple[DeadArm, ...], tuple[str, ...]]:
        known = self._known.get(flag)
        if known is None:
            is_choice = isinstance(flag.default, str) and flag.kind != VARIABLE
            known = self._known[flag] = self._of_choice(flag) if is_choice else (self._of_switch(flag), ())
        return known

    @cached_property
    def _known(self) -> dict[Flag, tuple[tuple[DeadArm, ...], tuple[str, ...]]]:
        return {}

    def _of_switch(self, flag: Flag) -> tuple[DeadArm, ...]:
        arms = _Search(self.project, flag, flag.values, self._events.get(flag.name, ())).arms()
        selections = self.project[Selections]
        if not arms or selections.is_switched(flag) or (flag.kind == LEAF and selections.is_defaulted(flag)):
            return ()
        return arms

    def _of_choice(self, flag: Flag) -> tuple[tuple[DeadArm, ...], tuple[str, ...]]:
        """Of the values a flag is compared with, those nobody gives it."""
        events = self._events.get(flag.name, ())
        search = _Search(self.project, flag, frozenset({*flag.values, OTHER, None}), events)
        selections = self.project[Selections]
        if not search.arms() or (flag.kind == LEAF and selections.is_defaulted(flag)):
            return (), ()
        wanted = {one for one in (*search.compared(), *flag.choices) if one not in flag.values}
        chosen = {one for one in wanted if one.lower() in _PHASES or selections.is_chosen(flag, one)}
        values: set[Any] = {*flag.values, *chosen, OTHER, None}
        arms = _Search(self.project, flag, frozenset(values), events).arms()
        return arms, tuple(sorted(wanted - chosen))

    @cached_property
    def _events(self) -> dict[str, tuple[Event, ...]]:
        found: dict[str, list[Event]] = {}
        for event in self.project[Namespaces].reads:
            found.setdefault(event.names[-1], []).append(event)
        return {name: tuple(events) for name, events in found.items()}


class _Search:
    """Follows one flag, whose value is one of ``values``."""

    def __init__(self, project: Project, flag: Flag, values: Values, events: Iterable[Event]) -> None:
        self._project, self._flag, self._values = project, flag, values
        self._reads = {event.order: event for event in events}
        self._locals: dict[tuple[str, int], dict[str, Values]] = {}
        self._attributes: dict[str, dict[str, Values]] = {}
        self._globals: dict[str, Values] = {}
        self._units: dict[tuple[str, int], Unit] = {}
        self._found: tuple[DeadArm, ...] | None = None

    def arms(self) -> tuple[DeadArm, ...]:
        if self._found is None:
            self._seed()
            done: set[tuple[str, int, int]] = set()
            for _ in range(_ROUNDS):
                pending = [key for key in self._units if (*key, self._held(*key)) not in done]
                if not pending:
                    break
                for path, index in pending:
                    done.add((path, index, self._held(path, index)))
                    self._follow(*self._units[(path, index)])
            found = {
                (module.path, arm.guard.line, arm.guard.column): DeadArm(module, index, arm)
                for module, index in self._units.values()
                if module.role == "project" and not module.is_test
                for arm in dead_arms(module.body(index), self._known(module, index))
            }
            self._found = tuple(found[key] for key in sorted(found))
        return self._found

    def compared(self) -> set[str]:
        """The texts the flag is compared with."""
        found: set[str] = set()
        for module, index in self._units.values():
            known = self._known(module, index)
            for stmt in statements(module.body(index)):
                if isinstance(stmt, Match) and known(stmt.subject) is not None:
                    found |= _texts([one for case in stmt.cases for one in case.values])
                for expr in expressions(stmt, module.facts.scopes):
                    for node in walk(expr):
                        if isinstance(node, Compare) and any(known(one) is not None for one in walk(node)):
                            found |= _texts([one for side in (node.left, *node.comparators) for one in walk(side)])
        return found

    # Where the flag is read.

    def _seed(self) -> None:
        flag = self._flag
        for one in flag.declarations:
            module = self._project.modules[one.place.path]
            if one.kind == COMMAND:
                definition: Definition = one.what
                self._hold(definition.module, definition.index, flag.name, self._values)
            elif one.kind == FIELD:
                owner: Definition = one.what.owner
                self._attributes.setdefault(owner.name, {})[flag.name] = self._values
                self._visit(module, self._methods(owner))
        if flag.kind == VARIABLE:
            for access in self._project[EnvironmentReads].of(flag.name):
                self._visit(access.module, [access.scope])
            return
        programs = self._project[Programs].of(frozenset(one.place.path for one in flag.declarations))
        reaches = self._project.imports.reaches
        modules = {
            module.path: module
            for module in self._project.callers.mentioning({flag.name})
            if not programs or any(reaches(program, module) for program in programs)
        }
        modules.update((event.module.path, event.module) for event in self._reads.values())
        for _, module in sorted(modules.items()):
            if module.role == "project":
                self._visit(module, self._naming(module))
        for module, index in self._project[Subscripts].all.get(flag.name, ()) if flag.kind == LEAF else ():
            self._visit(module, [index])

    def _naming(self, module: Module) -> list[int]:
        inside = f".{self._flag.name}"
        read = {event.scope for event in self._reads.values() if event.module is module}
        named = [
            index
            for index, scope in enumerate(module.facts.scopes)
            if any(chain.endswith(inside) or f"{inside}." in chain for chain in scope.uses)
        ]
        return sorted({*read, *named})

    def _visit(self, module: Module, indexes: Iterable[int]) -> None:
        for index in indexes:
            self._units.setdefault((module.path, index), (module, index))

    def _methods(self, owner: Definition) -> list[int]:
        scopes = owner.module.facts.scopes
        return [index for index, scope in enumerate(scopes) if index and scope.parent == owner.index]

    def _known(self, module: Module, scope: int) -> Known:
        def known(expr: Expr) -> Values | None:
            if isinstance(expr, Ref):
                return self._of_name(module, scope, expr)
            if isinstance(expr, (Subscript, Call)):
                return self._values if self._is_read(module, scope, expr) else None
            return None

        return known

    def _of_name(self, module: Module, scope: int, ref: Ref) -> Values | None:
        flag = self._flag
        head, dot, last = ref.name.rpartition(".")
        if dot and last in TEXT_METHODS:
            return self._of_name(module, scope, Ref(head, ref.line, ref.column))
        if flag.kind != VARIABLE and dot and last == flag.name:
            told = (module.path, ref.line, ref.column) in self._reads
            if told or any(_CONFIG.search(part) for part in head.split(".")):
                return self._values
        at = scope
        while at >= 0:
            held = self._locals.get((module.path, at), {}).get(ref.name)
            if held is not None:
                return held
            if not dot and ref.name in module.scope(at).bindings:
                break
            at = module.scope(at).parent
        if head in ("self", "cls"):
            return self._of_attribute(module, scope, last)
        if self._globals and last in self._global_names:
            names = self._project.resolve(module, scope, ref.name)
            return self._globals.get(names[0]) if len(names) == 1 else None
        return None

    @property
    def _global_names(self) -> set[str]:
        return {name.rpartition(":")[2] for name in self._globals}

    def _of_attribute(self, module: Module, scope: int, attribute: str) -> Values | None:
        at = scope
        while at > 0 and module.scope(at).kind != CLASS:
            at = module.scope(at).parent
        if at <= 0 or not any(attribute in held for held in self._attributes.values()):
            return None
        for base in self._project.mro(module.definition(at).name):
            held = self._attributes.get(base, {}).get(attribute)
            if held is not None:
                return held
        return None

    def _is_read(self, module: Module, scope: int, expr: Subscript | Call) -> bool:
        """``cfg["name"]``, ``cfg.get("name")``, ``getattr(cfg, "name")``, and reads of the environment."""
        flag = self._flag
        event = self._reads.get((module.path, expr.line, expr.column))
        if event is not None and type(event.node) is type(expr):
            return True
        if isinstance(expr, Subscript):
            text = expr.index.value if isinstance(expr.index, Const) else None
            return flag.kind != VARIABLE and text == flag.name and _is_config(expr.value)
        name = getattr(expr.function, "name", "")
        head, _, last = name.rpartition(".")
        if flag.kind == VARIABLE:
            reads = bool(expr.args) and expr.args[0] == Const(flag.name)
            return reads and any(one.startswith("os.") for one in module.names(scope, expr.function))
        if last not in _GETTERS or not any(arg == Const(flag.name) for arg in expr.args[:2]):
            return False
        if last == "getattr" and expr.args:
            return _is_config(expr.args[0])
        owner = expr.function.value if isinstance(expr.function, Attribute) else Ref(head, 0, 0)
        return _is_config(owner)

    # Where its value goes.

    def _held(self, path: str, index: int) -> int:
        attributes = sum(len(one) for one in self._attributes.values())
        return len(self._locals.get((path, index), ())) + len(self._globals) + attributes

    def _hold(self, module: Module, scope: int, name: str, values: Values) -> None:
        self._locals.setdefault((module.path, scope), {})[name] = values
        self._visit(module, [scope])
        inner = [
            index for index, one in enumerate(module.facts.scopes) if index and self._is_inside(module, index, scope)
        ]
        self._visit(
            module, [index for index in inner if any(_heads(chain, name) for chain in module.scope(index).uses)]
        )

    @staticmethod
    def _is_inside(module: Module, index: int, outer: int) -> bool:
        while index > 0:
            index = module.scope(index).parent
            if index == outer:
                return True
        return False

    def _follow(self, module: Module, scope: int) -> None:
        known = self._known(module, scope)
        for stmt in statements(module.body(scope)):
            target = stmt.targets[0] if isinstance(stmt, Assign) and len(stmt.targets) == 1 else None
            if isinstance(stmt, Assign) and isinstance(target, Ref) and _depends(stmt.value, known):
                values = outcomes(stmt.value, known)
                if values is not None:
                    self._assigned(module, scope, target.name, values)
            for call in calls(stmt):
                for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                    if _depends(value, known) and outcomes(value, known) is not None:
                        self._passed(module, scope, call, value)

    def _assigned(self, module: Module, scope: int, name: str, values: Values) -> None:
        head, dot, last = name.partition(".")
        if not dot:
            if _assignments(module, scope, name) != 1:
                return
            self._hold(module, scope, name, values)
            if scope == 0:
                self._globals[f"{module.path}:{name}"] = values
                for other in self._project.callers.mentioning({name}):
                    self._visit(other, other.scopes_using({name}))
            return
        parent = module.scope(scope).parent
        if head != "self" or "." in last or parent < 1 or module.scope(parent).kind != CLASS:
            return
        owner = module.definition(parent)
        if last in self._attributes.get(owner.name, ()):
            return
        found: set[Any] = set()
        for there, binding in self._project.types.bindings(owner.name, last):
            one = outcomes(binding.value, self._known(there, binding.scope)) if binding.value is not None else None
            if one is None:
                return
            found |= one
        self._attributes.setdefault(owner.name, {})[last] = frozenset(found)
        for definition in (owner, *self._project.subclasses(owner.name)):
            self._visit(definition.module, self._methods(definition))

    def _passed(self, module: Module, scope: int, call: Call, value: Expr) -> None:
        for edge in self._project.calls.targets(module, scope, call):
            target = edge.target
            if edge.confidence == "cha" or not target.is_function or target.module.role != "project":
                continue
            spellings = self._project.callers.spellings(target)
            for parameter in target.scope.parameters:
                if given(Site(module, scope, call), target, parameter.name, spellings) is not value:
                    continue
                name = parameter.name
                if name in self._locals.get((target.module.path, target.index), ()):
                    continue
                values = self._parameter(target, name, parameter.default)
                if values is not None and target.scope.bindings.get(name) == PARAMETER:
                    self._hold(target.module, target.index, name, values)

    def _parameter(self, target: Definition, name: str, default: Expr | None) -> Values | None:
        """All the values a parameter is given; None when one of them cannot be told."""
        spellings = self._project.callers.spellings(target)
        found: set[Any] = set()
        for site in self._project.callers.of(target) or ():
            value = given(site, target, name, spellings)
            if value is UNKNOWN:
                return None
            value = default if value is None else value
            if not isinstance(value, Expr):
                return None
            one = outcomes(value, self._known(site.module, site.scope))
            if one is None:
                return None
            found |= one
        return frozenset(found) or None


def _depends(expr: Expr, known: Known) -> bool:
    return any(known(node) is not None for node in walk(expr))


def _heads(chain: str, name: str) -> bool:
    return chain == name or chain.startswith(f"{name}.")


def _texts(nodes: Iterable[Expr]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, Const) and isinstance(node.value, str)}


def _assignments(module: Module, scope: int, name: str) -> int:
    """How often a name is bound in a scope."""
    count = 0
    for stmt in statements(module.body(scope)):
        targets: list[Expr] = getattr(stmt, "targets", None) or [getattr(stmt, "target", None)]
        for target in targets:
            if target is not None:
                count += sum(isinstance(node, Ref) and node.name == name for node in walk(target))
    return count + bool(module.scope(scope).bindings.get(name, 0) & PARAMETER)


def _is_config(expr: Expr) -> bool:
    """Whether an expression is called configuration, or a section of it."""
    return any(
        isinstance(node, Ref) and any(_CONFIG.search(part) for part in node.name.split(".")) for node in walk(expr)
    )


def stands(project: Project, flag: Flag) -> str:
    """How a flag stands, for messages: ``False``; ``l1, never sl1``."""
    if flag.default is None:
        return "not set"
    values = sorted(map(str, flag.values))
    shown = "/".join(values[:_MOST_SHOWN]) + ("/..." if len(values) > _MOST_SHOWN else "")
    never = project[FlaggedCode].unchosen(flag)
    return f"{shown}, never {'/'.join(never[:_MOST_SHOWN])}" if never else shown
