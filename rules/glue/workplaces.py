"""Where a relative path starts: the directory a program is run from, as far as the repository tells."""

from __future__ import annotations

import posixpath
import re
from functools import cached_property

from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

# What stands at the top of a project of its own, in whatever directory.
_MARKERS = re.compile(
    r"(?:readme(?:\.\w+)?|requirements[\w.-]*\.txt|pyproject\.toml|setup\.(?:py|cfg)|makefile|dvc\.yaml|params\.yaml"
    r"|mlproject|snakefile|environment\.ya?ml|dockerfile|pipfile|license(?:\.\w+)?|config\.ya?ml|run\.sh)$",
    re.IGNORECASE,
)


class Workplaces(Analysis):
    """Answers the directory that relative paths of a file are relative to."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[tuple[str, str], str] = {}

    def base(self, module: Module, pattern: str) -> str:
        """A directory relative to the root, ``""`` for the root itself."""
        first = pattern.removeprefix("./").partition("/")[0]
        key = (module.path, first if "/" in pattern.removeprefix("./") else "")
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find(module, first, bool(key[1]))
        return known

    def _find(self, module: Module, first: str, nested: bool) -> str:
        launched = self._launched.get(module.path, frozenset())
        if len(launched) == 1:
            return next(iter(launched))
        own = posixpath.dirname(module.path)
        if not own or first == "..":
            return own
        project = self._project_of(own)
        if module.path.endswith(".ipynb"):
            beside = nested and self._exists(project, first) and not self._exists(own, first)
            return project if beside else own
        if not nested:
            imported = bool(self.project.imports.importers(module.path))
            return project if imported or self._is_source(own, project) else own
        if self._exists(project, first) or not self._exists(own, first):
            return project
        return own

    def has(self, module: Module, name: str) -> bool:
        """Whether a directory of this name stands where a path of a file may begin."""
        own = posixpath.dirname(module.path)
        return any(
            self._exists(place, name) for place in {own, self._project_of(own), self.base(module, f"{name}/_"), ""}
        )

    def _exists(self, directory: str, name: str) -> bool:
        return posixpath.join(directory, name) in self._directories

    @staticmethod
    def _is_source(own: str, project: str) -> bool:
        """Whether a directory is a project's place for code, from which nobody runs anything."""
        return own in {posixpath.join(project, name) for name in ("src", "scripts", "code", "bin", "pipeline")}

    def project_of(self, path: str) -> str:
        """The directory of the project a file belongs to, ``""`` for the root's."""
        return self._project_of(posixpath.dirname(path))

    def _project_of(self, directory: str) -> str:
        """The nearest directory above that looks like the top of a project."""
        while directory:
            if directory in self._tops:
                return directory
            directory = posixpath.dirname(directory)
        return ""

    @cached_property
    def _directories(self) -> frozenset[str]:
        found: set[str] = set()
        for path in self.project.every:
            directory = posixpath.dirname(path)
            while directory and directory not in found:
                found.add(directory)
                directory = posixpath.dirname(directory)
        return frozenset(found)

    @cached_property
    def _tops(self) -> frozenset[str]:
        # A README or a Dockerfile in a directory of data or configuration is no project's.
        code = {posixpath.dirname(path) for path in self.project.modules}
        tops = {posixpath.dirname(path) for path in self.project.every if _MARKERS.match(posixpath.basename(path))}
        return frozenset(top for top in tops if top in code or any(one.startswith(f"{top}/") for one in code))

    @cached_property
    def _launched(self) -> dict[str, frozenset[str]]:
        """The directories commands run a file from, where that is sure."""
        found: dict[str, set[str]] = {}
        for command in self.project.repository.commands:
            if command.sure:
                for path in self.project.scans.launched(command):
                    found.setdefault(path, set()).add(command.directory)
        return {path: frozenset(directories) for path, directories in found.items()}
