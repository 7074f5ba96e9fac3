"""The parts of a repository that different people own: by CODEOWNERS, else by top-level package."""

from __future__ import annotations

from functools import cached_property

from pathspec import GitIgnoreSpec

from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

_FILES = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_LONGEST = 100_000
# Directories that hold what belongs to no part of its own, or that only sort the parts.
_SORTING = frozenset(
    {"src", "lib", "python", "packages", "projects", "apps", "services", "teams", "components", "libs"}
)
_NO_PART = frozenset(
    """scripts script tools tool bin notebooks notebook nbs examples example tests test docs doc benchmarks benchmark
    experiments experiment demo demos
    sandbox scratch utils util common shared core conf config configs research""".split()
)


class Part(str):
    """The name of a part: ``@acme/risk``, or the directory ``risk``."""

    __slots__ = ()


class Owners(Analysis):
    """Answers which part a file belongs to."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[str, Part | None] = {}

    def part(self, module: Module) -> Part | None:
        """The part of a file; None when it belongs to none, or to the program at the root."""
        return self.of(module.path)

    def of(self, path: str) -> Part | None:
        """The part of any file."""
        if path not in self._known:
            self._known[path] = self._owned(path) if self.stated else self._package(path)
        return self._known[path]

    @property
    def stated(self) -> bool:
        """Whether the repository says who owns what."""
        return len({owners for _, owners in self._lines}) > 1

    @cached_property
    def _lines(self) -> list[tuple[GitIgnoreSpec, str]]:
        path = next((path for path in _FILES if path in self.project.every), None)
        text = self.project.content(path, _LONGEST).decode("utf-8", "replace") if path else ""
        found = []
        for line in text.splitlines():
            words = line.partition(" #")[0].split()
            if words and not words[0].startswith(("#", "[", "^[", "!")):
                found.append((GitIgnoreSpec.from_lines([words[0]]), " ".join(sorted(words[1:]))))
        return found

    def _owned(self, path: str) -> Part | None:
        """The owners of the last line that names a file."""
        for spec, owners in reversed(self._lines):
            if spec.match_file(path):
                return Part(owners) if owners else None
        return None

    def _package(self, path: str) -> Part | None:
        """The top-level package or directory of a file."""
        parts = path.split("/")[:-1]
        at = 0
        while at < len(parts) and parts[at].lower() in _SORTING:
            at += 1
        if at >= len(parts) or parts[at].lower() in _NO_PART or parts[at].startswith("."):
            return None
        return Part("/".join(parts[: at + 1])) if self._is_part("/".join(parts[: at + 1])) else None

    def _is_part(self, directory: str) -> bool:
        """Whether a directory is a package, or a project with a manifest of its own."""
        names = ("__init__.py", "pyproject.toml", "setup.py", "requirements.txt", "Dockerfile")
        return any(f"{directory}/{name}" in self.project.every for name in names)
