"""Defaults nobody ever gets: every call passes the parameter, and what it passes is an option with another default."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Assign, Attribute, Build, Call, Const, Expr, Parameter, Ref, Stmt, Unary
from mldebt.facts.walk import expressions, named_in, statements, walk
from mldebt.finding import Span
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

from .config_classes import Field
from .config_objects import CLASS, FILE, HYDRA, SPREAD, Event, Given, Names, Root
from .declarations import CLI, COMMAND, Declaration, Declarations, leaf_place
from .fill_ins import tests_around
from .namespaces import Namespaces

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DEEPEST = 3  # functions that hand a parameter on
# Numbers that keep a layer from dividing by zero: each has a customary one, and models set their own.
_STABILITY = re.compile(r"(?:\w+_)?eps(?:ilon)?$")
_HARMLESS = frozenset({"staticmethod", "classmethod", "torch.no_grad", "torch.inference_mode", "override"})


class Source(Struct, frozen=True):
    """The option a call passes: how users call it, its default, and where it is declared."""

    name: str
    default: Any
    place: Place


class Shadowed(Struct, frozen=True):
    """A default nobody gets.

    Args:
        owner: The function, or the class of the field.
        name, value: The parameter and its default.
        place: Where that stands.
        sources: The options that are passed, by name.
        constants: What else calls pass.
        sites: The places of the calls.
    """

    owner: Definition
    name: str
    value: Any
    place: Place
    sources: tuple[Source, ...]
    constants: tuple[Any, ...]
    sites: tuple[Place, ...]


Passed = tuple[tuple[Source, ...], tuple[Any, ...]]
NOTHING_PASSED: Passed = ((), ())


class ShadowedDefaults(Analysis):
    """Answers which defaults are always overridden by others."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._namespaces = project[Namespaces]
        self._declarations = project[Declarations]
        self._callers = project.callers

    @cached_property
    def all(self) -> tuple[Shadowed, ...]:
        found = [one for pair in self._candidates for one in self._judged(*pair)]
        found += self._fields()
        return tuple(sorted(found, key=lambda one: (one.place, one.name)))

    # Parameters that are given an option somewhere.

    @cached_property
    def _candidates(self) -> list[tuple[Definition, Parameter]]:
        found: dict[tuple[str, int, str], tuple[Definition, Parameter]] = {}
        pending = list(self._sites)
        for _ in range(_DEEPEST):
            passed: dict[tuple[str, int], tuple[Definition, set[str]]] = {}
            for site in pending:
                for edge in self.project.calls.targets(site.module, site.scope, site.call):
                    if edge.confidence == "cha":
                        continue
                    names = {one.name for one in edge.target.scope.parameters}
                    passed.setdefault((edge.target.module.path, edge.target.index), (edge.target, set()))[1].update(
                        names
                    )
                    for parameter in edge.target.scope.parameters:
                        if parameter.default is not None and _is_plain(parameter.default):
                            key = (edge.target.module.path, edge.target.index, parameter.name)
                            found.setdefault(key, (edge.target, parameter))
            pending = [site for definition, names in passed.values() for site in _handing(definition, names)]
        return [found[key] for key in sorted(found)]

    @cached_property
    def _sites(self) -> list[Site]:
        """Calls that are given an option."""
        found: dict[tuple[str, int, int, int, int], Site] = {}
        every = [(one.module, one.scope, one.call) for one in self._namespaces.given]
        every += [
            (event.module, event.scope, event.node)
            for event in self._namespaces.reads
            if event.how == SPREAD and isinstance(event.node, Call)
        ]
        every += list(self._from_commands())
        for module, scope, call in every:
            found.setdefault(
                (module.path, call.line, call.column, call.end_line, call.end_column), Site(module, scope, call)
            )
        return list(found.values())

    def _from_commands(self) -> Iterator[tuple[Module, int, Call]]:
        """Calls in the functions of click and typer commands, whose parameters are options themselves."""
        for definition, names in self._commands.values():
            for site in definition.module.call_sites(definition.index):
                values = (*site.call.args, *(keyword.value for keyword in site.call.keywords))
                if any(isinstance(value, Ref) and value.name in names for value in values):
                    yield definition.module, definition.index, site.call

    @cached_property
    def _commands(self) -> dict[tuple[str, int], tuple[Definition, dict[str, Declaration]]]:
        found: dict[tuple[str, int], tuple[Definition, dict[str, Declaration]]] = {}
        for one in self._declarations.all:
            if one.kind == COMMAND:
                key = (one.what.module.path, one.what.index)
                found.setdefault(key, (one.what, {}))[1][one.name] = one
        return found

    # One parameter.

    def _judged(self, definition: Definition, parameter: Parameter) -> Iterator[Shadowed]:
        module, scope = definition.module, definition.scope
        default = module.constant(max(scope.parent, 0), parameter.default) if parameter.default is not None else UNKNOWN
        if default is UNKNOWN or default is None or default == "" or not self._is_ours(definition):
            return
        if _STABILITY.match(parameter.name) and self._is_layer(definition):
            return
        sites = self._callers.of(definition)
        if not sites or not self._is_all(definition, sites):
            return
        spellings = self._callers.spellings(definition)
        values = ((site, given(site, definition, parameter.name, spellings)) for site in sites)
        sources, constants = self._passed(parameter.name, default, values)
        if sources:
            place = _parameter_place(definition, parameter.name)
            places = tuple(sorted(site.module.place(site.call) for site in sites))
            yield Shadowed(definition, parameter.name, default, place, sources, constants, places)

    def _is_ours(self, definition: Definition) -> bool:
        """Whether only calls decide what a parameter is: no framework, no decorator, no other implementation."""
        module = definition.module
        if module.role != "project" or module.is_test:
            return False
        for one in definition.scope.decorators:
            function = one.function if isinstance(one, Call) else one
            if getattr(function, "name", "?") not in _HARMLESS:
                return False
        parent = definition.parent
        if parent is None or not parent.is_class:
            return True
        name = definition.scope.name
        if name == "__init__":
            return not parent.scope.decorators
        for base in self.project.mro(parent.name)[1:]:
            if base == "?" or (":" in base and self.project.method(base, name) is not None):
                return False
        if any(name in one.scope.bindings for one in self.project.subclasses(parent.name)):
            return False
        return not parent.scope.decorators

    def _is_layer(self, definition: Definition) -> bool:
        """Whether a method is one of a class that derives from a library's: a building block used in many models."""
        parent = definition.parent
        return parent is not None and parent.is_class and any(":" not in base for base in self.project.mro(parent.name))

    def _is_all(self, definition: Definition, sites: tuple[Site, ...]) -> bool:
        """Whether these calls are all there are: nobody hands the function on, or calls what may be it."""
        known = {(site.module.path, site.call.line, site.call.column) for site in sites}
        known_functions = {id(site.call.function) for site in sites}
        spellings = self._callers.spellings(definition)
        for module in self.project.modules.values():
            if module.mentions.isdisjoint(spellings):
                continue
            for index in module.scopes_using(spellings):
                for stmt in statements(module.body(index)):
                    for root in expressions(stmt, module.facts.scopes):
                        for node in named_in(root, spellings):
                            if not self._is_known(module, index, node, spellings, known, known_functions, definition):
                                return False
        last = (
            definition.parent.scope.name
            if definition.scope.name == "__init__" and definition.parent
            else definition.scope.name
        )
        return not self._is_configured(last)

    def _is_known(
        self,
        module: Module,
        scope: int,
        node: Expr,
        spellings: frozenset[str],
        known: set[tuple[str, int, int]],
        functions: set[int],
        definition: Definition,
    ) -> bool:
        """Whether an expression is no other use of the function."""
        if not isinstance(node, (Ref, Attribute)) or node.name.rpartition(".")[2] not in spellings:
            return True
        if id(node) in functions or (module.path, node.line, node.column) in known:
            return True
        if node.name.rpartition(".")[2] == "__init__" and definition.parent is not None:
            return not self.project.subclasses(definition.parent.name)
        if isinstance(node, Ref) and "." in node.name and self.project.resolve(module, scope, node.name):
            return all(self._is_other(name, definition) for name in self.project.resolve(module, scope, node.name))
        if isinstance(node, Ref):
            names = module.names(scope, node)
            owner = definition.parent.name if definition.parent is not None and definition.parent.is_class else ""
            if names and definition.name not in names and owner not in names:
                return True
            if owner in names and definition.scope.name != "__init__":
                return True
            return not names and "." not in node.name and node.name not in spellings
        return False

    def _is_other(self, name: str, definition: Definition) -> bool:
        """Whether a linked name is a library's or that of another definition; one nobody defines may be this."""
        if definition.name == name or definition.name.startswith(f"{name}."):
            return False
        return ":" not in name or self.project.definition(name) is not None

    def _is_configured(self, name: str) -> bool:
        """Whether a configuration file names the function or class: ``_target_: nets.Net``."""
        return name in self._targets

    @cached_property
    def _targets(self) -> frozenset[str]:
        return frozenset(
            leaf.value.rpartition(".")[2].rpartition(":")[2]
            for config in self.project.repository.configs
            for leaf in config.leaves
            if isinstance(leaf.value, str)
            and leaf.keys[-1:]
            and leaf.keys[-1] in ("_target_", "class_path", "type", "name", "target")
        )

    def _passed(self, name: str, default: Any, given: Iterable[tuple[Site, Expr | Unknown | None]]) -> Passed:
        """The options all calls pass, and their constants; none when a call passes the same or what is not known."""
        sources: dict[str, Source] = {}
        constants: dict[str, Any] = {}
        for site, value in given:
            if value is None:
                return NOTHING_PASSED
            source = self._spread(site, name) if value is UNKNOWN else self._source(site, value)
            if source is UNKNOWN:
                return NOTHING_PASSED
            if source is None:
                constant = UNKNOWN if value is UNKNOWN else site.module.constant(site.scope, value)
                if constant is UNKNOWN or _same(constant, default):
                    return NOTHING_PASSED
                constants.setdefault(repr(constant), constant)
                continue
            assert isinstance(source, Source)
            if source.default is UNKNOWN or _is_sentinel(source.default) or _same(source.default, default):
                return NOTHING_PASSED
            if value is not UNKNOWN and _is_tested(site, value):
                return NOTHING_PASSED
            sources[source.name] = source
        return tuple(sources[name] for name in sorted(sources)), tuple(constants.values())

    # Where a value comes from.

    @cached_property
    def _options(self) -> dict[tuple[str, int], list[Given]]:
        found: dict[tuple[str, int], list[Given]] = {}
        for one in self._namespaces.given:
            found.setdefault((one.module.path, id(one.value)), []).append(one)
        return found

    def _source(self, site: Site, value: Expr, depth: int = _DEEPEST) -> Source | Unknown | None:
        """The option an argument is; None when it is none, UNKNOWN when it may be several."""
        found = {
            (source.name, str(source.place)): source
            for one in self._options.get((site.module.path, id(value)), ())
            if (source := self._declared(one.root, one.names)) is not None
        }
        wanted = self._options.get((site.module.path, id(value)))
        if wanted:
            return next(iter(found.values())) if len(found) == 1 else UNKNOWN
        command = self._commands.get((site.module.path, site.scope))
        if command is not None and isinstance(value, Ref) and value.name in command[1]:
            one = command[1][value.name]
            rebound = any(_binds(stmt, value.name) for stmt in statements(command[0].body))
            return UNKNOWN if rebound else Source(f"--{one.name.replace('_', '-')}", one.default, one.place)
        return self._through(site, value, depth) if depth else None

    def _through(self, site: Site, value: Expr, depth: int) -> Source | Unknown | None:
        """A parameter handed on: what all callers of the function give it."""
        definition = site.module.definition(site.scope)
        parameter = next(
            (one for one in definition.scope.parameters if isinstance(value, Ref) and one.name == value.name), None
        )
        if parameter is None or any(_binds(stmt, parameter.name) for stmt in statements(definition.body)):
            return None
        sites = self._callers.of(definition)
        spellings = self._callers.spellings(definition)
        found: dict[str, Source] = {}
        for outer in sites or ():
            inner = given(outer, definition, parameter.name, spellings)
            if inner is None or inner is UNKNOWN:
                return UNKNOWN
            source = self._source(outer, inner, depth - 1)
            if not isinstance(source, Source):
                return source
            found[source.name] = source
        return next(iter(found.values())) if len(found) == 1 else UNKNOWN if found else None

    def _spread(self, site: Site, name: str) -> Source | Unknown | None:
        """``train(**vars(args))``."""
        for event in self._spreads.get((site.module.path, site.call.line, site.call.column), ()):
            if event.names[-1] == name and event.root.kind not in (FILE, HYDRA):
                source = self._declared(event.root, event.names)
                return source if source is not None else UNKNOWN
        return UNKNOWN

    @cached_property
    def _spreads(self) -> dict[tuple[str, int, int], list[Event]]:
        found: dict[tuple[str, int, int], list[Event]] = {}
        for event in self._namespaces.reads:
            if event.how == SPREAD:
                found.setdefault(event.order, []).append(event)
        return found

    def _declared(self, root: Root, names: Names) -> Source | None:
        """The one declaration of an option of an object; None when there are several, or it is assigned elsewhere."""
        if any(event.root == root and event.names == names for event in self._namespaces.writes):
            return None
        if root.kind in (FILE, HYDRA):
            found = [
                Source(f"{'.'.join(names)} of {config.path}", leaf.value, leaf_place(config, leaf))
                for config, leaf, spelled in self._declarations.leaves(root)
                if names in spelled
            ]
            return found[0] if len(found) == 1 else None
        if root.kind == CLASS:
            field = self._namespaces.schemas.classes.fields(root.key).get(names[-1])
            return (
                None
                if field is None
                else Source(f"{field.owner.qualname}.{field.name}", self._of_field(field), field.place)
            )
        same = [
            one for one in self._by_name.get(names[-1], ()) if one.kind == CLI and self._declarations.related(one)(root)
        ]
        if len(same) != 1:
            return None
        flag = next((one for one in same[0].spellings if one.startswith("--")), same[0].spellings[0])
        return Source(flag, same[0].default, same[0].place)

    def _of_field(self, field: Field) -> Any:
        """A field's default, if its objects are made without giving it."""
        return UNKNOWN if self._is_given(field) else field.default

    def _is_given(self, field: Field) -> bool:
        spellings = self.project.spellings(frozenset({field.owner.name}))
        for module in self.project.modules.values():
            for index in module.scopes_using(spellings):
                for site in module.call_sites(index):
                    if last_segment(site.call.function) in spellings and (
                        site.call.args or any(keyword.name in (field.name, None) for keyword in site.call.keywords)
                    ):
                        return True
        return False

    @cached_property
    def _by_name(self) -> dict[str, list[Declaration]]:
        found: dict[str, list[Declaration]] = {}
        for one in self._declarations.all:
            found.setdefault(one.name, []).append(one)
        return found

    # Fields of classes.

    def _fields(self) -> Iterator[Shadowed]:
        """Fields every constructor call gives an option."""
        schemas = self._namespaces.schemas
        called = {last_segment(site.call.function) for site in self._sites}
        for name, definition in schemas.classes.all.items():
            if (
                called.isdisjoint(self.project.spellings(frozenset({name})))
                or not schemas.classes.is_schema(name)
                or name in schemas.classes.registered
            ):
                continue
            if definition.module.is_test or self.project.subclasses(name) or self._is_configured(definition.scope.name):
                continue
            if "__init__" in definition.scope.bindings:
                continue
            sites = list(self._constructed(definition))
            for field in schemas.classes.own(name).values() if sites and None not in sites else ():
                shadowed = self._field(field, [site for site in sites if site is not None])
                if shadowed is not None:
                    yield shadowed

    def _constructed(self, definition: Definition) -> Iterator[Site | None]:
        """The calls that build a class; None for a use that is none."""
        spellings = self.project.spellings(frozenset({definition.name}))
        for module in self.project.modules.values():
            for index in module.scopes_using(spellings):
                called: set[int] = set()
                for site in module.call_sites(index):
                    if definition.name in module.names(index, site.call.function):
                        called.add(id(site.call.function))
                        yield Site(module, index, site.call)
                for stmt in statements(module.body(index)):
                    for root in expressions(stmt, module.facts.scopes):
                        for node in walk(root):
                            if (
                                isinstance(node, Ref)
                                and id(node) not in called
                                and definition.name in module.names(index, node)
                            ):
                                yield None

    def _field(self, field: Field, sites: list[Site]) -> Shadowed | None:
        default = field.default
        if default is UNKNOWN or default is None or default == "" or isinstance(default, (dict, list, tuple)):
            return None
        if any(site.call.args or any(keyword.name is None for keyword in site.call.keywords) for site in sites):
            return None
        values = (
            (site, next((keyword.value for keyword in site.call.keywords if keyword.name == field.name), None))
            for site in sites
        )
        sources, constants = self._passed(field.name, default, values)
        places = tuple(sorted(site.module.place(site.call) for site in sites))
        return Shadowed(field.owner, field.name, default, field.place, sources, constants, places) if sources else None


def _handing(definition: Definition, names: set[str]) -> Iterator[Site]:
    """The calls in a function that are given one of its parameters as it is."""
    for site in definition.module.call_sites(definition.index):
        values = (*site.call.args, *(keyword.value for keyword in site.call.keywords))
        if any(isinstance(value, Ref) and value.name in names for value in values):
            yield Site(definition.module, definition.index, site.call)


def _is_tested(site: Site, value: Expr) -> bool:
    """Whether a call is made only when what it passes passes a test: ``if p > 0: quantize(p=p)``."""
    return isinstance(value, Ref) and any(
        isinstance(node, Ref) and node.name == value.name
        for test, _ in tests_around(site.module.body(site.scope), site.call.line)
        for node in walk(test)
    )


def _is_plain(expr: Expr) -> bool:
    if isinstance(expr, Unary):
        return isinstance(expr.operand, Const)
    if isinstance(expr, Build):
        return bool(expr.items) and all(_is_plain(item) for item in expr.items)
    return isinstance(expr, (Const, Ref)) and not (isinstance(expr, Const) and expr.value is None)


def _is_sentinel(default: object) -> bool:
    """Whether an option's default says "not given": what arrives is then decided elsewhere."""
    return default is None or default in ("", -1)


def _same(one: Any, other: Any) -> bool:
    """Whether two defaults are worth the same: ``0.001`` and ``1e-3``, ``(1, 2)`` and ``[1, 2]``."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other)


def _binds(stmt: Stmt, name: str) -> bool:
    targets = stmt.targets if isinstance(stmt, Assign) else [getattr(stmt, "target", None)]
    return any(
        isinstance(node, Ref) and node.name == name for target in targets if target is not None for node in walk(target)
    )


def _parameter_place(definition: Definition, name: str) -> Place:
    """Where a parameter stands in the header of its function."""
    module, scope = definition.module, definition.scope
    word = re.compile(rf"(?<![\w.]){re.escape(name)}(?=\s*[:=,)]|\s*$)")
    for number in range(scope.line, max(scope.body_line, scope.line) + 1):
        row = module.text_lines[number - 1] if number <= len(module.text_lines) else ""
        start = row.find("(") if number == scope.line else 0
        match = word.search(row, max(start, 0))
        if match is not None:
            return module.place(Span(number, match.start() + 1, number, match.end() + 1))
    return module.place(Span(scope.line))
