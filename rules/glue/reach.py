"""What runs when an entry runs: functions it reaches, and the bodies of the files it imports."""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import Ref, Stmt
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project


class Reach(Analysis):
    """Answers whether an entry reaches a statement."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._reached: dict[str, frozenset[str]] = {}
        self._importers: dict[str, list[Entry]] = {}
        self._handed: dict[str, tuple[Definition, ...]] = {}

    def entries(self, module: Module, scope: int, statement: Stmt | None = None) -> tuple[Entry, ...]:
        """The entries that run a statement, tests left out, in order."""
        name = module.definition(scope).name
        found = []
        only_as_main = scope == 0 and statement is not None and _in_main(module, statement)
        for entry in self._importing(module):
            if only_as_main and entry.definition.module is not module:
                continue
            if name in self.of(entry):
                found.append(entry)
        return tuple(found)

    def _importing(self, module: Module) -> list[Entry]:
        """The entries that may run something of a file."""
        known = self._importers.get(module.path)
        if known is None:
            reaches = self.project.imports.reaches
            known = self._importers[module.path] = [
                entry
                for entry in self.project.entries
                if not entry.is_test and (entry.definition.module is module or reaches(entry.definition.module, module))
            ]
        return known

    @cached_property
    def all(self) -> frozenset[str]:
        """Names of everything that runs with any entry, tests left out."""
        return frozenset[str]().union(*(self.of(entry) for entry in self.project.entries if not entry.is_test))

    def of(self, entry: Entry) -> frozenset[str]:
        """Names of everything that runs with an entry."""
        key = entry.definition.name
        known = self._reached.get(key)
        if known is None:
            known = self._reached[key] = self._walk(entry)
        return known

    def _walk(self, entry: Entry) -> frozenset[str]:
        own = entry.definition.module
        modules = self.project.modules
        bodies = [modules[path].definition(0) for path in self.project.imports.order(own)]
        starts = [*entry.starts, *bodies]
        found = {definition.name for definition in starts}
        pending = deque(starts)
        while pending:
            definition = pending.popleft()
            module = definition.module
            main = None if definition.index or module is own else module.facts.main
            for edge in self.project.calls.edges(definition):
                line = edge.call.line if edge.call is not None else 0
                if main is not None and main[0] <= line <= main[1]:
                    continue
                if edge.target.name not in found:
                    found.add(edge.target.name)
                    pending.append(edge.target)
            for target in self._given(definition):
                if target.name not in found:
                    found.add(target.name)
                    pending.append(target)
        return frozenset(found)

    def _given(self, definition: Definition) -> tuple[Definition, ...]:
        """Functions handed to calls as they are: ``pool.map(convert, files)``."""
        known = self._handed.get(definition.name)
        if known is None:
            module, found = definition.module, []
            for site in module.call_sites(definition.index):
                for value in (*site.call.args, *(keyword.value for keyword in site.call.keywords)):
                    names = self.project.resolve(module, definition.index, value.name) if isinstance(value, Ref) else ()
                    for name in names:
                        target = self.project.definition(name) if ":" in name else None
                        if target is not None and target.is_function:
                            found.append(target)
            known = self._handed[definition.name] = tuple(found)
        return known


def _in_main(module: Module, statement: Stmt) -> bool:
    main = module.facts.main
    return main is not None and main[0] <= statement.line <= main[1]
