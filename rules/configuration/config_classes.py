"""Classes whose fields are options: dataclasses and models called configuration, or handed to a command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.schema import CLASS, Annotate, Assign, Call, Expr, Ref, Stmt
from mldebt.facts.walk import walk
from mldebt.rule import Analysis

from .dataclass_options import HF_PARSERS

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_NAME = re.compile(
    r"(?:Config|Configuration|Cfg|CFG|CONFIG|Conf|Args|Arguments|Options|Opts|Opt|Settings|HParams|Hparams|"
    r"HyperParameters|Hyperparameters|HyperParams|Params|Flags)$"
)
_DECORATORS = frozenset(
    """dataclasses.dataclass pydantic.dataclasses.dataclass attr.s attr.attrs attr.define attr.frozen attr.mutable
    attr.dataclass attrs.define attrs.frozen attrs.mutable chex.dataclass flax.struct.dataclass gin.configurable
    simple_parsing.helpers.dataclass tyro.conf.configure""".split()
)
_BASES = frozenset(
    """pydantic.BaseModel pydantic.main.BaseModel pydantic.BaseSettings pydantic_settings.BaseSettings
    typing.NamedTuple msgspec.Struct tap.Tap simple_parsing.Serializable""".split()
)
_PLAIN = frozenset({"builtins.object", "object", "abc.ABC", "typing.Generic", "?"})
# Calls that make a command line or a schema of the classes they are given.
COMMAND_LINES = HF_PARSERS | frozenset(
    """tyro.cli tyro.extras.subcommand_cli simple_parsing.parse simple_parsing.ArgumentParser draccus.parse draccus.wrap
    pyrallis.parse pyrallis.wrap jsonargparse.CLI jsonargparse.auto_cli hydra.core.config_store.ConfigStore.store
    omegaconf.OmegaConf.structured chz.entrypoint chz.nested_entrypoint""".split()
)
_FEWEST = 2  # fields that make a plain class of constants a configuration
_MOST_DERIVED = 25  # a base with more subclasses is a framework's, whose users we do not see


class Field(Struct, frozen=True, eq=False):
    """One option a class declares."""

    name: str
    owner: Definition
    statement: Stmt
    annotation: Expr | None
    value: Expr | None

    @property
    def place(self) -> Place:
        return self.owner.module.place(self.statement)

    @property
    def default(self) -> Any | Unknown:
        """What it is when nobody says; UNKNOWN when that cannot be told or there is none."""
        value = self.value
        module, scope = self.owner.module, self.owner.index
        if isinstance(value, Call):
            given = next((k.value for k in value.keywords if k.name == "default"), None)
            if (
                given is None
                and value.args
                and any(one.startswith("pydantic") for one in module.names(scope, value.function))
            ):
                given = value.args[0]
            return UNKNOWN if given is None else module.constant(scope, given)
        return UNKNOWN if value is None else module.constant(scope, value)


class ConfigClasses(Analysis):
    """Answers which classes are configuration, and what options they have."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._fields: dict[str, Mapping[str, Field]] = {}
        self._every: dict[str, dict[str, Field]] = {}

    @cached_property
    def all(self) -> Mapping[str, Definition]:
        """The configuration classes by name, in the order of files; those of tests are left out."""
        found: dict[str, Definition] = {}
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for index, scope in enumerate(module.facts.scopes):
                if scope.kind == CLASS and _NAME.search(scope.name) and self._is_own(module):
                    definition = module.definition(index)
                    if self._is_configuration(definition):
                        found[definition.name] = definition
        for name in self.registered:
            known = self.project.definition(name)
            if known is not None and self._kind(known):
                found.setdefault(name, known)
        return self._nested(found)

    def _is_own(self, module: Module) -> bool:
        """Whether all users of a file's classes are here: those of a library's may be anywhere."""
        return not self.project.library or module.facts.main is not None or module.is_example

    def _nested(self, found: dict[str, Definition]) -> Mapping[str, Definition]:
        """And the classes of their fields: ``model: Model`` of a configuration class is a section of it."""
        pending = list(found)
        while pending:
            for field in self.own(pending.pop()).values():
                for name in self.types(field.owner.module, field.owner.index, field.annotation):
                    definition = self.project.definition(name)
                    if name not in found and definition is not None and self._kind(definition) == "schema":
                        found[name] = definition
                        pending.append(name)
        return dict(sorted(found.items()))

    @cached_property
    def registered(self) -> frozenset[str]:
        """Classes a command line is made of."""
        found: set[str] = set()
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test or (self.project.library and module.is_example):
                continue
            for _, site in module.calls_of(COMMAND_LINES):
                for value in (*site.call.args, *(keyword.value for keyword in site.call.keywords)):
                    for node in walk(value):
                        if isinstance(node, Ref):
                            found.update(name for name in module.names(site.scope, node) if ":" in name)
        return frozenset(found)

    def _is_configuration(self, definition: Definition) -> bool:
        kind = self._kind(definition)
        if kind == "plain":
            return len(self.own(definition.name)) >= _FEWEST and not _defines_functions(definition)
        return bool(kind) and len(self.project.subclasses(definition.name)) <= _MOST_DERIVED

    def _kind(self, definition: Definition) -> str:
        """schema (a dataclass or model), plain (a class of constants), or "" when a framework owns the class."""
        if not definition.is_class:
            return ""
        mro = self.project.mro(definition.name)
        outside = {name for name in mro if ":" not in name} - _PLAIN
        if outside & _BASES:
            return "schema" if outside - _BASES <= {"builtins.tuple", "argparse.ArgumentParser"} else ""
        if outside:
            return ""
        owners = [found for name in mro if ":" in name and (found := self.project.definition(name)) is not None]
        if any(self._decorated(owner) for owner in owners):
            return "schema"
        return "plain" if "?" not in mro and len(owners) == 1 else ""

    def _decorated(self, definition: Definition) -> bool:
        outer = max(definition.scope.parent, 0)
        for one in definition.scope.decorators:
            names = definition.module.names(outer, one.function if isinstance(one, Call) else one)
            if any(name in _DECORATORS or name.endswith(".dataclass") for name in names):
                return True
        return False

    def own(self, name: str) -> Mapping[str, Field]:
        """The options a class itself declares."""
        known = self._fields.get(name)
        if known is None:
            definition = self.project.definition(name)
            found = _declared(definition) if definition is not None and definition.is_class else ()
            known = self._fields[name] = {field.name: field for field in found}
        return known

    def fields(self, name: str) -> Mapping[str, Field]:
        """Its options and those of its bases, each as the nearest class declares it."""
        found = self._every.get(name)
        if found is None:
            found = self._every[name] = {}
            for one in reversed(self.project.mro(name)):
                if ":" in one:
                    found.update(self.own(one))
        return found

    def is_schema(self, name: str) -> bool:
        """Whether its constructor takes its fields."""
        definition = self.project.definition(name)
        return definition is not None and self._kind(definition) == "schema"

    def types(self, module: Module, scope: int, annotation: Expr | None) -> tuple[str, ...]:
        """The project classes an annotation names: ``Optional[ModelConfig]``."""
        if annotation is None:
            return ()
        return tuple(name for name in self.project.types.annotated(module, scope, annotation) if ":" in name)


def _declared(definition: Definition) -> Iterator[Field]:
    for stmt in definition.body:
        if isinstance(stmt, Annotate) and isinstance(stmt.target, Ref) and "." not in stmt.target.name:
            if "ClassVar" not in repr(stmt.annotation):
                yield Field(stmt.target.name, definition, stmt, stmt.annotation, stmt.value)
        elif isinstance(stmt, Assign):
            for target in stmt.targets:
                if isinstance(target, Ref) and "." not in target.name:
                    yield Field(target.name, definition, stmt, None, stmt.value)


def _defines_functions(definition: Definition) -> bool:
    scopes = definition.module.facts.scopes
    return any(scope.parent == definition.index for scope in scopes[definition.index + 1 :])
