"""Which comparisons of one name are of one variable: an option of one declaration, or what is handed on by calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import CLASS, FUNCTION, Const, Ref, Subscript
from mldebt.project.callers import given
from mldebt.rule import Analysis

from .mode_tests import CLOSED, OPTION, OWN, PARAMETERS, Comparison

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

_NEAR_IMPORTERS = 40
_FEWEST_FILES = 3  # of a group that is worth a search
_MOST_SITES = 60  # of one name: callers of more are not asked for


class ModeLinks(Analysis):
    """Groups comparisons of one name by the variable they are of."""

    def groups(self, sites: Sequence[Comparison], declared: bool) -> list[tuple[Comparison, ...]]:
        """Comparisons linked with each other, in the order of places.

        Options of settings objects are one where one program reads them and they are declared once, or have a word in
        common; parameters and attributes are one with what callers hand them under the same name, and with each other
        where one file gives them their words.
        """
        sites = [site for site in sites if site.how != CLOSED]
        if len({site.module.path for site in sites}) < _FEWEST_FILES:
            return []
        options = [site for site in sites if site.how == OPTION]
        linked = _Linked()
        program = set(self._program(sorted({site.module.path for site in options})))
        if not declared:
            program = {site.module.path for site in _in_common(options) if site.module.path in program}
        for site in options:
            if site.module.path in program:
                linked.join("option", _key(site))
        known: dict[tuple[str, int], list[str]] = {}
        for site in sites if len(sites) <= _MOST_SITES else ():
            definition = self._function(site) if site.how in (PARAMETERS, OWN) else None
            if definition is not None:
                key = (definition.module.path, definition.index)
                if key not in known:
                    known[key] = list(self._giving(definition, site.name))
                for other in known[key]:
                    linked.join(_key(site), other)
        return [tuple(group) for group in linked.groups(sites)]

    def _giving(self, definition: Definition, name: str) -> Iterator[str]:
        """Keys of what gives a parameter its value."""
        yield f"{definition.module.path}:{definition.qualname}"
        callers = self.project.callers
        calls = callers.of(definition)
        spellings = callers.spellings(definition) if calls else frozenset[str]()
        for call in calls or ():
            value = given(call, definition, name, spellings)
            if isinstance(value, Const) and isinstance(value.value, str):
                yield f"{call.module.path}:"
            elif isinstance(value, (Ref, Subscript)) and _last(value) == name:
                yield from self._holding(call.module, call.scope, value)

    def _holding(self, module: Module, scope: int, value: Ref | Subscript) -> Iterator[str]:
        """What a call hands on: an option, or a parameter of the function around it."""
        head = value.name.rpartition(".")[0] if isinstance(value, Ref) else "cfg"
        scopes = module.facts.scopes
        if head and head != "self":
            yield "option"
            return
        at = scope
        while at > 0 and not (scopes[at].kind == CLASS if head else scopes[at].kind == FUNCTION):
            at = scopes[at].parent
        yield f"{module.path}:{scopes[at].qualname}" + (".__init__" if head else "")

    def _function(self, site: Comparison) -> Definition | None:
        """The function whose parameter a comparison reads: its own, or the constructor of its class."""
        scopes, at = site.module.facts.scopes, site.scope
        if site.how == PARAMETERS:
            while at > 0 and not any(one.name == site.name for one in scopes[at].parameters):
                at = scopes[at].parent
            return site.module.definition(at) if at > 0 else None
        while at > 0 and scopes[at].kind != CLASS:
            at = scopes[at].parent
        built = self.project.method(site.module.definition(at).name, "__init__") if at > 0 else None
        known = built is not None and any(one.name == site.name for one in built.scope.parameters)
        return built if known else None

    def _program(self, paths: Sequence[str]) -> list[str]:
        """The files that one module brings together; the most of them."""
        if not paths:
            return []
        imports = self.project.imports
        for start in paths:
            if all(imports.reaches(start, path) for path in paths):
                return list(paths)
        near: dict[str, None] = dict.fromkeys(paths)
        for path in paths:
            near.update(dict.fromkeys(sorted(imports.importers(path))[:_NEAR_IMPORTERS]))
        for path in list(near)[:_NEAR_IMPORTERS]:
            near.update(dict.fromkeys(sorted(imports.importers(path))[:_NEAR_IMPORTERS]))
        best: list[str] = []
        for start in near:
            together = [path for path in paths if imports.reaches(start, path)]
            if len(together) > len(best):
                best = together
            if len(best) == len(paths):
                break
        return best


class _Linked:
    """A union of keys."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def top(self, key: str) -> str:
        while (above := self._above.get(key, key)) != key:
            key = above
        return key

    def join(self, one: str, other: str) -> None:
        one, other = self.top(one), self.top(other)
        if one != other:
            self._above[one] = other

    def groups(self, sites: Iterable[Comparison]) -> list[list[Comparison]]:
        found: dict[str, list[Comparison]] = {}
        for site in sites:
            found.setdefault(self.top(_key(site)), []).append(site)
        return list(found.values())


def _key(site: Comparison) -> str:
    scope = site.module.facts.scopes[site.scope]
    return f"{site.module.path}:{site.how}:{scope.qualname}"


def _last(value: Ref | Subscript) -> str | None:
    if isinstance(value, Ref):
        return value.name.rpartition(".")[2]
    return value.index.value if isinstance(value.index, Const) and isinstance(value.index.value, str) else None


def _in_common(sites: Sequence[Comparison]) -> list[Comparison]:
    """Those in files that have a word in common with another file."""
    files: dict[str, set[str]] = {}
    for site in sites:
        for word in site.literals:
            files.setdefault(word, set()).add(site.module.path)
    return [site for site in sites if any(len(files[word]) > 1 for word in site.literals)]
