"""Which functions may seed or draw at all, so that the others are neither compiled nor called."""

from __future__ import annotations

from collections.abc import Iterable
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

    def __contains__(self, definition: Definition) -> bool:
        name = definition.name
        return name not in self._seen or name in self._names

    def limit(self, roots: Iterable[Definition]) -> None:
        """Look only at what can be reached from here."""
        callers: dict[str, list[str]] = {}
        pending = list(roots)
        seen = {definition.name for definition in pending}
        found: list[str] = []
        for definition in pending:
            if self._acts(definition):
                found.append(definition.name)
            for edge in self._project.calls.edges(definition):
                callers.setdefault(edge.target.name, []).append(definition.name)
                if edge.target.name not in seen:
                    seen.add(edge.target.name)
                    pending.append(edge.target)
        names = set(found)
        while found:
            fresh = [name for name in callers.get(found.pop(), ()) if name not in names]
            names.update(fresh)
            found += fresh
        self._seen, self._names = seen, names

    def _acts(self, definition: Definition) -> bool:
        """A cheap test: by the identifiers it reads. A decorator may run anything around a function."""
        if definition.scope.decorators:
            return True
        module = definition.module
        scopes = enumerate(module.facts.scopes)
        classes = [index for index, scope in scopes if scope.kind == CLASS and scope.parent == definition.index]
        segments = module.segments(definition.index).union(*map(module.segments, classes))
        return not segments.isdisjoint(_ENDS) or any(map(self._events.mentioned, segments))
