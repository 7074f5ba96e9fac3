"""The call graph read backwards: which calls run a function, and what they give its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.names import last_segment
from mldebt.facts.schema import KEYWORD_ONLY, KWARGS, VARARGS, Attribute, Build, Call, Expr, Ref, Starred

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MOST_SITES = 300  # a method name with more calls than this says nothing about its callers
_MOST_FILES = 80  # the same, without looking at the calls
_CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})
_STATIC = frozenset({"staticmethod"})
# What runs the function it is given: how many parameters it fills itself, and where the others are.
_RUNNERS = {"spawn": 1, "Process": 0, "Thread": 0, "launch": 0, "start_processes": 1, "notebook_launcher": 0}


class Site(NamedTuple):
    """A call that runs a function, and the scope it is evaluated in."""

    module: Module
    scope: int
    call: Call


class Callers:
    """Finds the calls of a function when asked, by the names it may be called by."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[Definition, tuple[Site, ...] | None] = {}
        self._spellings: dict[Definition, frozenset[str]] = {}

    def of(self, definition: Definition) -> tuple[Site, ...] | None:
        """The calls known to run a function, also by handing it on; None when too many are of that name to tell."""
        if definition not in self._known:
            self._known[definition] = self._of(definition)
        return self._known[definition]

    def _of(self, definition: Definition) -> tuple[Site, ...] | None:
        if len(self._names(definition)) > _MOST_FILES:
            return None  # each stands in the file that defines it
        spellings = self.spellings(definition)
        if sum(len(self._files.get(name, ())) for name in spellings) > _MOST_FILES:
            return None

        def wanted(_module: Module, _scope: int, call: Call) -> bool:
            return _mentions(call, spellings)

        return self.search(definition, spellings, self.mentioning(spellings), wanted, _MOST_SITES)

    def search(
        self,
        definition: Definition,
        spellings: frozenset[str],
        modules: Iterable[Module],
        wanted: Callable[[Module, int, Call], bool],
        most: int,
    ) -> tuple[Site, ...] | None:
        """The calls in ``modules`` known to run a function; None when more than ``most`` are ``wanted``."""
        found: list[Site] = []
        asked = 0
        for module in modules:
            for index in module.scopes_using(spellings):
                for site in module.call_sites(index):
                    if not wanted(module, index, site.call):
                        continue
                    asked += 1
                    if asked > most:
                        return None
                    edges = self._project.calls.targets(module, index, site.call)
                    if any(edge.target == definition and edge.confidence != "cha" for edge in edges):
                        found.append(Site(module, index, site.call))
        return tuple(found)

    def mentioning(self, names: Iterable[str]) -> list[Module]:
        """The files that mention any of the identifiers, in the order of paths."""
        numbers = {number for name in names for number in self._files.get(name, ())}
        return [self._modules[number] for number in sorted(numbers)]

    @property
    def identifiers(self) -> Iterable[str]:
        """Every identifier of the project, once."""
        return self._files.keys()

    @cached_property
    def _modules(self) -> list[Module]:
        return [module for _, module in sorted(self._project.modules.items())]

    @cached_property
    def _files(self) -> dict[str, list[int]]:
        """Identifiers to the files that mention them, by their place in ``_modules``."""
        found: dict[str, list[int]] = {}
        for number, module in enumerate(self._modules):
            for name in module.facts.mentions:
                found.setdefault(name, []).append(number)
        return found

    def spellings(self, definition: Definition) -> frozenset[str]:
        """The identifiers a call of the function may use."""
        known = self._spellings.get(definition)
        if known is None:
            known = self._spellings[definition] = self._project.spellings(frozenset(self._names(definition)))
        return known

    def _names(self, definition: Definition) -> set[str]:
        parent = definition.parent
        names = {definition.name}
        if parent is not None and parent.is_class and definition.scope.name in _CONSTRUCTORS:
            names |= {parent.name, *self._project.resolver.classes.subclasses(parent.name)}
        return names


def _mentions(call: Call, spellings: frozenset[str]) -> bool:
    """Whether a call is of one of the names, or hands it on; asked of every call near a name, hence the plain loop."""
    values: list[Expr] = [call.function, *call.args]
    for value in (*values, *[keyword.value for keyword in call.keywords]) if call.keywords else values:
        kind = type(value)
        if kind is Ref or kind is Attribute:
            name: str = value.name  # type: ignore[union-attr]
            if name[name.rfind(".") + 1 :] in spellings:
                return True
    return False


def given(site: Site, definition: Definition, parameter: str, spellings: frozenset[str]) -> Expr | Unknown | None:
    """What a call gives a parameter of the function it runs: None for its default, UNKNOWN when it cannot be told."""
    parameters = definition.scope.parameters
    found = next(((i, one) for i, one in enumerate(parameters) if one.name == parameter), None)
    if found is None or found[1].kind in (VARARGS, KWARGS):
        return UNKNOWN
    position, declared = found
    call = site.call
    position -= _bound(call, definition)
    args: list[Expr] = list(call.args)
    last = last_segment(call.function)
    if last not in spellings and last != definition.scope.name:
        handed = _handed(call, last)
        if handed is None:
            return UNKNOWN
        skipped, args = handed
        position -= skipped
    else:
        for keyword in call.keywords:
            if keyword.name == parameter:
                return keyword.value
    if declared.kind != KEYWORD_ONLY and position >= 0:
        for index, arg in enumerate(args[: position + 1]):
            if isinstance(arg, Starred):
                return UNKNOWN
            if index == position:
                return arg
    return UNKNOWN if any(keyword.name is None for keyword in call.keywords) else None


def _bound(call: Call, definition: Definition) -> int:
    """How many leading parameters the receiver fills: 1 for a method called on an instance or by its class's name."""
    parent = definition.parent
    if parent is None or not parent.is_class:
        return 0
    decorators = {one.name for one in definition.scope.decorators if isinstance(one, Ref)}
    if decorators & _STATIC:
        return 0
    function = call.function
    if isinstance(function, Ref) and "classmethod" not in decorators:
        owner, _, last = function.name.rpartition(".")
        if last == definition.scope.name and owner.rpartition(".")[2] == parent.scope.name:
            return 0
    return 1


def _handed(call: Call, runner: str) -> tuple[int, list[Expr]] | None:
    """The arguments a runner such as ``mp.spawn(worker, args=(cfg,))`` passes on, and how many it adds before them."""
    if runner == "partial":
        return 0, list(call.args[1:])
    if runner not in _RUNNERS:
        return None
    values = [keyword.value for keyword in call.keywords if keyword.name == "args"]
    values += [arg for arg in call.args[1:] if isinstance(arg, Build) and arg.kind == "tuple"][:1]
    if not values or not isinstance(values[0], Build):
        return None
    return _RUNNERS[runner], list(values[0].items)
