"""The program a loader is part of: what declares its options there, and whether anything runs the code around it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import FUNCTION

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project


class Programs:
    """Tells the programs of a repository apart by what imports what."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._around: dict[str, frozenset[str]] = {}
        self._strange: dict[frozenset[str], frozenset[str]] = {}
        self._folders: dict[frozenset[str], frozenset[str]] = {}

    def around(self, module: Module) -> frozenset[str]:
        """Paths of the modules that can run together with one: all that its importers import, and itself."""
        known = self._around.get(module.path)
        if known is None:
            imports = self._project.imports
            closures = [imports.closure(path) for path in self._reaching(module)]
            known = self._around[module.path] = frozenset().union(*closures)
        return known

    def may_use(self, program: frozenset[str], path: str, line: int = 0) -> bool:
        """Whether a configuration file or a command is the program's, for all that is known.

        It is not if it starts other modules, or stands nearer to the entries of programs that share no module with it.
        """
        started = self._launched.get((path, line))
        if started is not None:
            return not started.isdisjoint(program)
        strange = self._strangers(program)
        if not strange:
            return True
        near = self._folders.get(program)
        if near is None:
            near = self._folders[program] = _folders(program)
        return _nearness(path, near) >= _nearness(path, strange)

    def is_unused(self, module: Module, scope: int) -> bool:
        """Whether code is in a function that nothing calls or names, in a project that has entries and is no library.

        Methods and decorated functions may be called by what is not seen.
        """
        project, scopes = self._project, module.facts.scopes
        outer = scope
        while outer > 0 and scopes[outer].parent > 0:
            outer = scopes[outer].parent
        if outer <= 0 or scopes[outer].kind != FUNCTION or scopes[outer].decorators or project.library:
            return False
        if not self._entries or any(start == (module.path, outer) for start in self._starts):
            return False
        name = scopes[outer].name
        inside = range(scopes[outer].first_line, scopes[outer].end_line + 1)
        outside = [one for index, one in enumerate(scopes) if index == 0 or one.first_line not in inside]
        if any(chain.partition(".")[0] == name for one in outside for chain in one.uses):
            return False
        others = (one for one in project.modules.values() if one is not module and name in one.facts.mentions)
        return not any(self._may_mean(one, module, name) for one in others) and not self._is_named(name)

    def _may_mean(self, other: Module, module: Module, name: str) -> bool:
        """Whether a name another module mentions may be this module's."""
        imported = [fact for fact in other.facts.imports if fact.attribute == name]
        if not imported and self._project.imports.reaches(other, module):
            return True
        near = module.path.removesuffix(".py").split("/")[-2:]
        for fact in imported or [fact for fact in other.facts.imports if fact.attribute == "*"]:
            targets = self._project.imports.targets(other.path, fact)
            if any(target == module.path or self._project.imports.reaches(target, module) for target in targets):
                return True
            if not targets and fact.module.rpartition(".")[2] in near:
                return True
        return False

    def _is_named(self, name: str) -> bool:
        """Whether a string names it."""
        ends = (f".{name}", f":{name}")
        texts = [leaf.value for config in self._project.repository.configs for leaf in config.leaves]
        texts += [text for module in self._project.modules.values() for text in module.facts.strings]
        return any(isinstance(text, str) and (text == name or text.endswith(ends)) for text in texts)

    def _reaching(self, module: Module) -> list[str]:
        imports = self._project.imports
        return [path for path in self._project.modules if path == module.path or imports.reaches(path, module)]

    # Entries.

    @cached_property
    def _entries(self) -> tuple[str, ...]:
        entries = [one for one in self._project.entries if not one.is_test]
        return tuple(dict.fromkeys(entry.definition.module.path for entry in entries))

    @cached_property
    def _starts(self) -> frozenset[tuple[str, int]]:
        starts = [one for entry in self._project.entries for one in (*entry.starts, *entry.scripts)]
        return frozenset((one.module.path, one.index) for one in starts)

    @cached_property
    def _launched(self) -> dict[tuple[str, int], frozenset[str]]:
        """What a command at a place runs."""
        found: dict[tuple[str, int], frozenset[str]] = {}
        for entry in self._project.entries:
            for place in entry.launchers:
                key = (place.path, place.span.line)
                closure = self._project.imports.closure(entry.definition.module)
                found[key] = found.get(key, frozenset()) | closure | {entry.definition.module.path}
        return found

    def _strangers(self, program: frozenset[str]) -> frozenset[str]:
        """The directories of entries that share no module with a program; none if there are no such entries."""
        known = self._strange.get(program)
        if known is None:
            closure = self._project.imports.closure
            known = self._strange[program] = _folders(
                path for path in self._entries if path not in program and program.isdisjoint(closure(path))
            )
        return known


def _folders(paths: Iterable[str]) -> frozenset[str]:
    """The directories that files are in, at any depth; the root is "", which holds all of them."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return frozenset(found)


def _nearness(path: str, folders: frozenset[str]) -> int:
    """How many directories a file shares with the nearest of the files in these directories."""
    folder = path.rpartition("/")[0]
    while folder and folder not in folders:
        folder = folder.rpartition("/")[0]
    return folder.count("/") + bool(folder)
