"""What ``DataLoader(data, **options)`` gives an option: dictionaries, settings objects, sections of configurations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import KWARGS, PARAMETER, Attribute, Build, Call, Const, Expr, Ref, Subscript
from mldebt.facts.walk import expressions, statements, walk
from mldebt.project.attributes import Attributes

from .objects import Instance, Objects, Read

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DUMPS = frozenset({"model_dump", "dict", "to_dict", "_asdict", "asdict"})  # methods without arguments
_UNWRAPS = frozenset({"asdict", "vars", "to_container", "to_object", "dict"})  # functions of the object
_MOST_CALLERS = 3  # how many ``**kwargs`` are followed up


class LoaderOptions:
    """Finds the expressions an option is worth in a call that spreads its options."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._objects = project[Objects]
        self._attributes = Attributes(project)

    def of(self, module: Module, scope: int, call: Call, option: str) -> Iterator[Read]:
        """The expressions known, and where each is read; none when nothing tells."""
        yield from self._spread(module, scope, call, option, _MOST_CALLERS)

    def _spread(self, module: Module, scope: int, call: Call, option: str, depth: int) -> Iterator[Read]:
        spread = [one.value for one in call.keywords if one.name is None]
        found = list(self._written(module, scope, spread, option))
        yield from found
        for value in spread if not found else ():
            yield from self._settings(module, scope, value, option)
            if isinstance(value, Ref) and depth > 0:
                yield from self._handed(module, scope, value, option, depth)

    # Dictionaries.

    def _written(self, module: Module, scope: int, spread: list[Expr], option: str) -> Iterator[Read]:
        """Dictionaries in the same function, or the class's, that name the option."""
        facts = module.facts
        places = [scope]
        for name in (one.name.partition(".")[0] for one in spread if isinstance(one, Ref)):
            bound = binding_scope(facts, scope, name)
            if bound is not None and bound not in places:
                places.append(bound)
            if bound is not None and facts.scopes[bound].bindings.get(name) == PARAMETER and name in ("self", "cls"):
                parent = facts.scopes[bound].parent
                places += [index for index, one in enumerate(facts.scopes) if one.parent == parent and index != bound]
        for place in places:
            for stmt in statements(module.body(place)):
                for expr in expressions(stmt, facts.scopes):
                    for node in walk(expr):
                        yield from (Read(module, place, value) for value in _named_in(node, option))

    def _handed(self, module: Module, scope: int, ref: Ref, option: str, depth: int) -> Iterator[Read]:
        """``def loader(data, **kwargs): return DataLoader(data, **kwargs)``: what the callers give."""
        bound = binding_scope(module.facts, scope, ref.name)
        facts = module.facts.scopes[bound] if bound is not None else None
        if bound is None or facts is None or not any(one.name == ref.name for one in facts.parameters):
            return
        if not any(one.name == ref.name and one.kind == KWARGS for one in facts.parameters):
            return
        if any(one.name == option for one in facts.parameters):
            return  # it never gets into **kwargs
        for site in self._objects.callers.of(module.definition(bound)) or ():
            given = None if site.module.is_test else argument(site.call, option)
            if given is UNKNOWN:
                yield from self._spread(site.module, site.scope, site.call, option, depth - 1)
            elif given is not None:
                yield Read(site.module, site.scope, given)

    # Settings objects and sections.

    def _settings(self, module: Module, scope: int, value: Expr, option: str) -> Iterator[Read]:
        """``**cfg.loader.model_dump()``, ``**asdict(cfg.loader)``: the fields of the object's class."""
        dumped = _dumped(value)
        if dumped is not None:
            objects = self._objects.of(module, scope, dumped)
            names = [one.name for one in objects if isinstance(one, Instance)]
            names += [name for name in self._project.types.of(module, scope, dumped) if ":" in name]
            for name in dict.fromkeys(names):
                yield from self._field(name, option)
            if names:
                return
        section = _last(value if dumped is None else dumped)
        if section:
            yield from self._section(module, section, option)

    def _field(self, name: str, option: str) -> Iterator[Read]:
        """The default of a field, and what the constructions of the class give it instead."""
        for base in self._project.mro(name):
            definition = self._project.definition(base) if ":" in base else None
            bindings = self._attributes.bindings(definition).get(option, ()) if definition is not None else ()
            if definition is not None and bindings:
                yield from self._constructed(name, option)
                for one in bindings:
                    default = _default(one.value)
                    if default is not None:
                        yield Read(definition.module, one.scope, default)
                return

    def _constructed(self, name: str, option: str) -> Iterator[Read]:
        definition: Definition | None = self._project.definition(name)
        for module in self._project.modules.values() if definition is not None else ():
            for _, site in module.calls_of({name}) if not module.is_test else ():
                given = argument(site.call, option)
                if given is not None and given is not UNKNOWN:
                    yield Read(module, site.scope, given)

    def _section(self, module: Module, section: str, option: str) -> Iterator[Read]:
        """``**cfg.loader`` in a configuration file: ``loader: {num_workers: 4}``, or the group's own file."""
        for config in self._project.repository.configs:
            group = section in config.path.split("/")[:-1]
            for leaf in config.leaves:
                keys = tuple(leaf.keys[-2:])
                if isinstance(leaf.value, int) and (keys == (section, option) or (group and keys == (option,))):
                    yield Read(module, 0, Const(leaf.value))


def _dumped(value: Expr) -> Expr | None:
    """The object a dictionary of fields is made of; None when all of it is not certainly in there."""
    if isinstance(value, Ref) and value.name.endswith(".__dict__"):
        return Ref(value.name.rpartition(".")[0], value.line, value.column)
    if not isinstance(value, Call) or not isinstance(value.function, (Ref, Attribute)):
        return None
    head, _, last = value.function.name.rpartition(".")
    if last in _UNWRAPS and len(value.args) >= 1:
        return value.args[0]
    if last in _DUMPS and not value.args and not value.keywords:
        if isinstance(value.function, Attribute):
            return value.function.value
        return Ref(head, value.function.line, value.function.column) if head else None
    return None


def _last(value: Expr) -> str:
    """The section a chain ends in: ``loader`` of ``cfg.loader`` and ``cfg["loader"]``."""
    if isinstance(value, Subscript):
        return value.index.value if isinstance(value.index, Const) and isinstance(value.index.value, str) else ""
    if isinstance(value, Attribute):
        return value.name
    return value.name.rpartition(".")[2] if isinstance(value, Ref) and "." in value.name else ""


def _default(value: Expr | None) -> Expr | None:
    """The default of a field: itself, or what ``field(default=...)`` is given."""
    if isinstance(value, Call):
        inner = argument(value, "default", 0)
        return None if inner is UNKNOWN else inner
    return value


def _named_in(node: Expr, option: str) -> Iterator[Expr]:
    """The value of an option in a dictionary."""
    if isinstance(node, Build) and node.kind == "dict":
        for key, value in zip(node.keys, node.items, strict=True):
            if isinstance(key, Const) and key.value == option:
                yield value
    elif isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
        last = node.function.name.rpartition(".")[2]
        if last in ("dict", "update"):
            yield from (keyword.value for keyword in node.keywords if keyword.name == option)
