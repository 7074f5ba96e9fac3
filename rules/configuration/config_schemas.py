"""What parts configuration objects have: which are options, which are sections, which are methods."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Expr, Ref

from .config_classes import ConfigClasses, Field
from .config_objects import CLASS, FILE, HYDRA, PARSER, Hold, Names, Root

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project
    from mldebt.sources.artefacts import ConfigFile

_SETTERS = frozenset({"set_defaults"})


class Schemas:
    """Answers what the flow has to know of an object to follow it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.classes = project[ConfigClasses]
        self._roots: dict[str, Root] = {}
        self._leaves: dict[str, frozenset[Names]] = {}
        self._sections: dict[str, frozenset[Names]] = {}

    def root_of(self, name: str) -> Root | None:
        """The root of a configuration class."""
        if name not in self.classes.all:
            return None
        known = self._roots.get(name)
        if known is None:
            scope = self.classes.all[name].scope
            known = self._roots[name] = Root(CLASS, name, name.partition(":")[0], scope.line, scope.column)
        return known

    def is_leaf(self, hold: Hold) -> bool:
        """Whether a hold is the value of one option, which nobody has to follow."""
        if hold.path or not hold.section:
            return False
        if hold.root.kind in (PARSER, CLASS):
            return True
        return hold.section in self.leaves(hold.root)

    def moves(self, hold: Hold) -> bool:
        """Whether a hold is followed into functions and attributes: a whole object, or a section known to be one."""
        if not hold.section:
            return True
        return hold.root.kind in (FILE, HYDRA) and hold.section in self.sections(hold.root)

    def part(self, hold: Hold, names: Names) -> Hold:
        """What an option or section of an object is itself."""
        if hold.root.kind == CLASS and len(names) == 1:
            field = self.classes.fields(hold.root.key).get(names[0])
            if field is not None:
                for inner in self.annotated(field.owner.module, field.owner.index, field.annotation):
                    return inner._replace(copied=hold.copied, sure=hold.sure)
        return hold._replace(section=names)

    def annotated(self, module: Module, scope: int, annotation: Expr | None) -> Iterator[Hold]:
        """The objects a parameter or a field of this type holds."""
        for name in self.classes.types(module, scope, annotation):
            root = self.root_of(name)
            if root is not None:
                yield Hold(root)

    def method(self, hold: Hold, name: str) -> Definition | None:
        """A method the object's class has itself."""
        if hold.root.kind != CLASS or hold.section:
            return None
        return self._project.method(hold.root.key, name)

    def fields_of(self, name: str) -> Mapping[str, Field] | None:
        """The parameters of a dataclass's constructor; None for other classes."""
        return self.classes.fields(name) if self.classes.is_schema(name) else None

    def functions(self, hold: Hold, name: str) -> Sequence[Definition]:
        """The functions ``set_defaults(func=run)`` puts into a namespace."""
        return self._set.get(name, ()) if hold.root.kind == PARSER else ()

    @cached_property
    def _set(self) -> dict[str, list[Definition]]:
        found: dict[str, list[Definition]] = {}
        for module in self._project.modules.values():
            for index in module.scopes_using(_SETTERS):
                for site in module.call_sites(index):
                    for keyword in site.call.keywords if last_segment(site.call.function) == "set_defaults" else ():
                        names = module.names(index, keyword.value) if isinstance(keyword.value, Ref) else ()
                        for name in names:
                            definition = self._project.definition(name) if ":" in name else None
                            if keyword.name is not None and definition is not None and definition.is_function:
                                found.setdefault(keyword.name, []).append(definition)
        return found

    # Files.

    def leaves(self, root: Root) -> frozenset[Names]:
        """The options a file or a Hydra configuration has, by their full names; a list of scalars is one option."""
        known = self._leaves.get(root.key)
        if known is None:
            found: set[Names] = set()
            for config, prefixes in self.files(root):
                for leaf in config.leaves:
                    keys = leaf.keys
                    while keys and keys[-1].isdigit():
                        keys = keys[:-1]
                    found.update((*prefix, *keys) for prefix in prefixes)
            known = self._leaves[root.key] = frozenset(
                found - {names[:at] for names in found for at in range(len(names))}
            )
        return known

    def sections(self, root: Root) -> frozenset[Names]:
        """The names that have options below them."""
        known = self._sections.get(root.key)
        if known is None:
            leaves = self.leaves(root)
            known = self._sections[root.key] = frozenset(names[:at] for names in leaves for at in range(1, len(names)))
        return known

    def files(self, root: Root) -> Iterator[tuple[ConfigFile, tuple[Names, ...]]]:
        """The configuration files an object is made of, and below which names their leaves are found in it."""
        configs = self._project.repository.configs
        if root.kind == FILE:
            for config in configs:
                if config.path == root.key or config.path.endswith(f"/{root.key}"):
                    yield config, ((),)
        elif root.kind == HYDRA:
            folder = posixpath.dirname(root.key)
            for config in configs:
                if config.format == "yaml" and (not folder or config.path.startswith(f"{folder}/")):
                    group = posixpath.dirname(config.path[len(folder) + 1 if folder else 0 :])
                    own: Names = tuple(group.split("/")) if group else ()
                    # A group's file lies below its group's name, or at the top if it says so in a comment.
                    yield config, tuple(dict.fromkeys([own, (), *(own[at:] for at in range(1, len(own)))]))
