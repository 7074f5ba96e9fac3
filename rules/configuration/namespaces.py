"""Every configuration object of a project, followed from where it is made to everything that is done to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import FUNCTION, Call, Expr
from mldebt.rule import Analysis

from .config_flow import ConfigFlow
from .config_objects import FILE, HYDRA, NOTHING, PARSER, Event, Given, Hold, Holds, Journal, Root
from .config_schemas import Schemas
from .owners import DATA_LOADERS, LOADERS, PARSE_METHODS, Owners, receiver_of
from .parsers import Parser, Parsers

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_HYDRA = frozenset({"hydra.main", "hydra.main.main"})
_COMPOSE = frozenset({"hydra.compose", "hydra.experimental.compose"})
_CLOSED = frozenset({"parse_args", "parse_intermixed_args"})
_TUPLES = frozenset({"parse_args_into_dataclasses", "parse_dict", "parse_json_file", "parse_yaml_file"})


class Namespaces(Analysis):
    """Answers which options of configuration objects are read, written and handed on, and by whom."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.schemas = Schemas(project)
        self.made_by: dict[Root, dict[tuple[str, int, int], Parser]] = {}
        self.places: dict[Root, list[tuple[Module, int]]] = {}  # the scopes whose calls make each object
        self.loose: set[Root] = set()  # namespaces that may have options no parser declares
        self._first: dict[str, tuple[int, int]] = {}
        self.parsers: dict[Root, frozenset[tuple[str, int, int]] | None] = {}

    @cached_property
    def journal(self) -> Journal:
        made: dict[tuple[object, ...], Holds] = {}
        flow = ConfigFlow(self.project, self.schemas, made)
        for module in self.project.modules.values():
            if module.role != "project":
                continue
            if not module.is_test:
                self._parsed(module, made, flow)
                self._loaded(module, made, flow)
                self._composed(module, flow)
            self._instances(module, made, flow)
        return flow.run()

    # Where objects are made.

    def _parsed(self, module: Module, made: dict[tuple[object, ...], Holds], flow: ConfigFlow) -> None:
        """``parser.parse_args()`` and its like."""
        for index in module.scopes_using(PARSE_METHODS):
            for site in module.call_sites(index):
                method = last_segment(site.call.function)
                if method not in PARSE_METHODS or any(":" in one for one in module.names(index, site.call.function)):
                    continue
                receiver = receiver_of(site.call)
                if receiver is None:
                    continue
                if method in _TUPLES:
                    self._make(
                        made, flow, module, index, site.call, frozenset(self._of_classes(module, index, receiver))
                    )
                    continue
                root = self._root(module, index, site.call, receiver)
                path: tuple[int | str, ...] = () if method in ("parse_args", "parse_intermixed_args") else (0,)
                self._make(made, flow, module, index, site.call, frozenset({Hold(root, (), path)}))

    def _root(self, module: Module, scope: int, call: Call, receiver: Expr) -> Root:
        """One root for all that the same parsers give, or for all of one function if the parser is not told."""
        origins = self.project[Parsers].of(module, scope, receiver)
        known = bool(origins.parsers) and not origins.unknown and not origins.classes
        if known:
            path, line, column = min(origins.parsers)
            key = " ".join(f"{one[0]}:{one[1]}:{one[2]}" for one in sorted(origins.parsers))
        else:
            path, line, column, key = module.path, call.line, call.column, f"?{module.definition(scope).name}"
            line, column = self._first.setdefault(key, (line, column))
        root = Root(PARSER, key, path, line, column)
        self.parsers[root] = frozenset(origins.parsers) if known else None
        self.made_by[root] = dict(origins.parsers) if known else {}
        if last_segment(call.function) not in _CLOSED or call.args[1:] or any(k.name != "args" for k in call.keywords):
            self.loose.add(root)
        return root

    def _of_classes(self, module: Module, scope: int, receiver: Expr) -> Iterator[Hold]:
        """The dataclasses Hugging Face's parser was made with, as the tuple it gives back."""
        origins = self.project[Parsers].of(module, scope, receiver)
        for parser in origins.parsers.values():
            given = self.project.modules[parser.path]
            values = [*parser.call.args[:1], *(k.value for k in parser.call.keywords if k.name == "dataclass_types")]
            for value in values:
                items = getattr(value, "items", [value])
                for position, item in enumerate(items):
                    for name in given.names(parser.scope, item):
                        root = self.schemas.root_of(name)
                        if root is not None:
                            yield Hold(root, (), (position,))

    def _loaded(self, module: Module, made: dict[tuple[object, ...], Holds], flow: ConfigFlow) -> None:
        """``yaml.safe_load(f)``, where what is loaded is configuration; a library's files are its users'."""
        if self.project.library and module.facts.main is None:
            return
        for _, site in module.calls_of(LOADERS | DATA_LOADERS):
            for owner in self.project[Owners].of(module, site.scope, site.call):
                if owner[0] == "file":
                    root = Root(FILE, owner[1], module.path, site.call.line, site.call.column)
                    self._make(made, flow, module, site.scope, site.call, frozenset({Hold(root)}))

    def _composed(self, module: Module, flow: ConfigFlow) -> None:
        """The parameter of a Hydra main function."""
        if "hydra" not in module.mentions:
            return
        for index, scope in enumerate(module.facts.scopes):
            if scope.kind != FUNCTION or not scope.parameters:
                continue
            outer = max(scope.parent, 0)
            for one in scope.decorators:
                if not _HYDRA.isdisjoint(module.names(outer, one.function if isinstance(one, Call) else one)):
                    name = self.project[Owners].hydra_config(module, one) or module.definition(index).name
                    root = Root(HYDRA, name, module.path, scope.line, scope.column)
                    flow.variables.bind(module, index, scope.parameters[0].name, {Hold(root)})

    def _instances(self, module: Module, made: dict[tuple[object, ...], Holds], flow: ConfigFlow) -> None:
        """Instances of configuration classes: constructed, annotated, ``self`` of their methods, the class itself."""
        classes = self.schemas.classes.all
        here = [one for one in classes.values() if one.module is module]
        for definition in here:
            root = self.schemas.root_of(definition.name)
            if root is None:
                continue
            flow.variables.bind(module, max(definition.scope.parent, 0), definition.scope.name, {Hold(root)})
            for index, scope in enumerate(module.facts.scopes):
                if scope.parent == definition.index and scope.kind == FUNCTION and scope.parameters:
                    flow.variables.bind(module, index, scope.parameters[0].name, {Hold(root)})
        spellings = self._spellings
        if not spellings or module.mentions.isdisjoint(spellings):
            return
        for index in module.scopes_using(spellings):
            for site in module.call_sites(index):
                if last_segment(site.call.function) in spellings:
                    self._constructed(module, index, site.call, made, flow)
        for index, scope in enumerate(module.facts.scopes):
            for parameter in scope.parameters:
                if parameter.annotation is not None:
                    holds = set(self.schemas.annotated(module, max(scope.parent, 0), parameter.annotation))
                    flow.variables.bind(module, index, parameter.name, holds)

    def _constructed(
        self, module: Module, scope: int, call: Call, made: dict[tuple[object, ...], Holds], flow: ConfigFlow
    ) -> None:
        roots = [self.schemas.root_of(name) for name in module.names(scope, call.function) if ":" in name]
        self._make(made, flow, module, scope, call, frozenset(Hold(root) for root in roots if root is not None))

    @cached_property
    def _spellings(self) -> frozenset[str]:
        names = frozenset(self.schemas.classes.all)
        return self.project.spellings(names) if names else frozenset()

    def _make(
        self,
        made: dict[tuple[object, ...], Holds],
        flow: ConfigFlow,
        module: Module,
        scope: int,
        call: Call,
        holds: Holds,
    ) -> None:
        if holds:
            for hold in holds:
                self.places.setdefault(hold.root, []).append((module, scope))
            key = (module.path, call.line, call.column, call.end_line, call.end_column)
            made[key] = made.get(key, NOTHING) | holds
            flow.variables.push_call(module.path, scope, last_segment(call.function))

    # Answers.

    @cached_property
    def roots(self) -> frozenset[Root]:
        """Every object that was made or used."""
        books = (self.journal.reads, self.journal.writes, self.journal.escapes)
        return frozenset({event.root for book in books for event in book.values()} | set(self.parsers))

    @cached_property
    def reads(self) -> tuple[Event, ...]:
        return tuple(sorted(self.journal.reads.values(), key=lambda event: event.order))

    @cached_property
    def writes(self) -> tuple[Event, ...]:
        return tuple(sorted(self.journal.writes.values(), key=lambda event: event.order))

    @cached_property
    def escapes(self) -> tuple[Event, ...]:
        return tuple(sorted(self.journal.escapes.values(), key=lambda event: event.order))

    @cached_property
    def given(self) -> tuple[Given, ...]:
        found = self.journal.given.values()
        return tuple(sorted(found, key=lambda one: (one.module.path, one.call.line, one.call.column, one.names)))
