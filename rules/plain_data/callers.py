"""The calls that run a function: who gives its parameters their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import Attribute, Call, Expr, Ref
from mldebt.project.attributes import is_class_method

from .mentions import Mentions

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MOST_SITES = 200  # a name with more calls says nothing about its callers
_MOST_FILES = 150
_BY_INSTANCE = frozenset({"forward", "__call__"})  # run by calls of instances, which are ``learn``ed
_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})


class Site(Struct, frozen=True):
    """A call that runs a function; ``skip``: how many of its parameters are filled by the receiver."""

    module: Module
    scope: int
    call: Call
    skip: int


class Callers:
    """Finds the calls of functions by the names they may be called by, once each."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, tuple[Site, ...]] = {}

    def of(self, definition: Definition) -> tuple[Site, ...]:
        """The calls known to run a function; () when none is, or too many are to tell."""
        key = f"{definition.name}@{definition.index}"
        if key not in self._known:
            self._known[key] = tuple(self._find(definition))
        return self._known[key]

    def learn(self, definition: Definition, sites: tuple[Site, ...]) -> None:
        """Calls of instances of a class, found by whoever followed them: they run its ``forward``."""
        self._known[f"{definition.name}@{definition.index}"] = sites

    def _find(self, definition: Definition) -> Iterator[Site]:
        if definition.is_module or definition.is_class or definition.scope.name in _BY_INSTANCE:
            return
        spellings = self._project.spellings(self._names(definition))
        modules = self._project[Mentions].modules(spellings)
        if len(modules) > _MOST_FILES:
            return
        home, reaches = definition.module, self._project.imports.reaches
        bare = definition.parent is None or not definition.parent.is_class

        def wanted(module: Module, scope: int, call: Call) -> bool:
            function = call.function
            if not isinstance(function, (Ref, Attribute)):
                return False
            head, _, last = function.name.rpartition(".")
            return last in spellings and (not bare or not head or self._is_module(module, scope, function, head))

        near = (module for module in modules if module is home or reaches(module, home))
        for site in self._project.callers.search(definition, spellings, near, wanted, _MOST_SITES) or ():
            yield Site(site.module, site.scope, site.call, self._skip(definition, site.call.function))

    def _is_module(self, module: Module, scope: int, function: Ref | Attribute, head: str) -> bool:
        """Whether what stands before the name resolves: a function of a module is no method."""
        return isinstance(function, Ref) and bool(self._project.resolve(module, scope, head))

    def _names(self, definition: Definition) -> tuple[str, ...]:
        owner = definition.parent
        if owner is not None and owner.is_class and definition.scope.name in _CONSTRUCTORS:
            # Constructors run by a subclass's own are followed from there.
            return (owner.name, *[one.name for one in self._project.subclasses(owner.name)])
        return (definition.name,)

    def _skip(self, definition: Definition, function: Expr) -> int:
        owner = definition.parent
        if owner is None or not owner.is_class:
            return 0
        if any(isinstance(one, Ref) and one.name == "staticmethod" for one in definition.scope.decorators):
            return 0
        if definition.scope.name in _CONSTRUCTORS or is_class_method(definition):
            return 1
        head = function.name.rpartition(".")[0] if isinstance(function, Ref) else ""
        return 0 if head and head.rpartition(".")[2] == owner.scope.name else 1
