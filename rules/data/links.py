"""What names stand for in a file, asked again and again by every run: answered once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

Callee = Union["Definition", str, None]


class Links(Analysis):
    """Functions that calls name, and variables of other files."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._callees: dict[tuple[str, int, str], Callee] = {}
        self._variables: dict[tuple[str, int, str], tuple[tuple[Module, str], ...]] = {}
        self._bound: dict[str, frozenset[str]] = {}

    def callee(self, module: Module, scope: int, name: str) -> Callee:
        """What a call of a name runs: a definition, a function of a library by its name, or nobody knows."""
        key = (module.path, scope, name)
        if key not in self._callees:
            linked = next(iter(self.project.resolve(module, scope, name)), None)
            ours = linked is not None and ":" in linked
            self._callees[key] = self.project.definition(linked) if ours else linked  # type: ignore[arg-type]
        return self._callees[key]

    def variables(self, module: Module, scope: int, name: str) -> tuple[tuple[Module, str], ...]:
        """The variables of other files, or of this one, that an undotted name may stand for: file and name."""
        key = (module.path, scope, name)
        known = self._variables.get(key)
        if known is None:
            known = self._variables[key] = self._find(module, scope, name)
        return known

    def _find(self, module: Module, scope: int, name: str) -> tuple[tuple[Module, str], ...]:
        bound = self._bound.get(module.path)
        if bound is None:
            bound = self._bound[module.path] = frozenset(one.bound for one in module.facts.imports)
        if not scope and name not in bound and "*" not in bound:
            return ()
        found = []
        for linked in self.project.resolve(module, scope, name):
            path, colon, qualname = linked.partition(":")
            other = self.project.modules.get(path) if colon else None
            if other is not None and qualname and "." not in qualname and self.project.definition(linked) is None:
                found.append((other, qualname))
        return tuple(found)
