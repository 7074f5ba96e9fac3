"""Which functions may seed or draw at all, so that the others are neither compiled nor called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mldebt.facts.schema import CLASS

from .events import Events

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_ENDS = frozenset({"exit", "_exit", "quit"})


class Relevant:
    """The definitions from which a call that may be an event can be reached, and all that was not looked at."""

    def __init__(self, project: Project, events: Events) -> None:
        self._project, self._events = project, events
        self._seen: set[str] = set()
        self._names: set[str] = set()
        self._seeding: set[str] = set()
        self._judged: set[str] = set()  # identifiers, of which these may seed, and these may draw
        self._seeds: set[str] = set()
        self._acting: set[str] = set()

    def __contains__(self, definition: Definition) -> bool:
        name = definition.name
        return name not in self._seen or name in self._names

    def may_seed(self, definition: Definition) -> bool:
        """Whether a call that may seed can be reached from a definition; true of what was not looked at."""
        name = definition.name
        return name not in self._seen or name in self._seeding

    def is_known(self, definition: Definition) -> bool:
        return definition.name in self._seen

    def limit(self, roots: Iterable[Definition]) -> None:
        """Look only at what can be reached from here."""
        callers: dict[str, list[str]] = {}
        pending = list(roots)
        seen = {definition.name for definition in pending}
        acting: list[str] = []
        seeding: list[str] = []
        for definition in pending:
            acts, seeds = self._does(definition)
            if acts:
                acting.append(definition.name)
            if seeds:
                seeding.append(definition.name)
            for edge in self._project.calls.edges(definition):
                callers.setdefault(edge.target.name, []).append(definition.name)
                if edge.target.name not in seen:
                    seen.add(edge.target.name)
                    pending.append(edge.target)
        self._seen, self._names, self._seeding = seen, _reaching(acting, callers), _reaching(seeding, callers)

    def _does(self, definition: Definition) -> tuple[bool, bool]:
        """Whether it may act, and whether it may seed: by the identifiers it reads.

        A decorator may run anything around a function.
        """
        if definition.scope.decorators:
            return True, True
        module = definition.module
        scopes = module.facts.scopes
        segments = module.segments(definition.index)
        if definition.is_module or any(one.kind == CLASS for one in scopes[definition.index + 1 :]):
            classes = [
                index for index, scope in enumerate(scopes) if scope.kind == CLASS and scope.parent == definition.index
            ]
            segments = segments.union(*map(module.segments, classes))
        if self.may_mention_seed(segments):
            return True, True
        return not (segments.isdisjoint(_ENDS) and segments.isdisjoint(self._acting)), False

    def may_mention_seed(self, names: frozenset[str]) -> bool:
        """Whether one of these identifiers may be of something that seeds; each is judged once."""
        for name in names - self._judged:
            if self._events.may_seed(name):
                self._seeds.add(name)
            elif self._events.mentioned(name):
                self._acting.add(name)
        self._judged |= names
        return not names.isdisjoint(self._seeds)


def _reaching(names: Iterable[str], callers: Mapping[str, list[str]]) -> set[str]:
    """The names, and those that lead to them."""
    pending = list(names)
    found = set(pending)
    while pending:
        fresh = [name for name in callers.get(pending.pop(), ()) if name not in found]
        found.update(fresh)
        pending += fresh
    return found
