"""Folders of old experiments inside a product, of which nothing is used any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from mldebt.module import Module
from mldebt.rule import Analysis

_OLD = (
    r"archived?|attic|old|backup|bak|deprecated|legacy|scratch(?:pad)?|sandbox|playground|tmp|temp|wip|unused|obsolete"
)
_NAME = re.compile(
    rf"_?(?:{_OLD}|experiments?|prototypes?|trials?|drafts?)(?:[_-]?v?\d+)?|(?:\w+[_-])(?:old|bak|backup|deprecated|legacy)"
    rf"|(?:old|legacy|deprecated|backup|bak)[_-]\w+",
    re.IGNORECASE,
)
_PAST = re.compile(rf".*(?:{_OLD}).*", re.IGNORECASE)
_TEXTS = frozenset(".yaml .yml .json .toml .cfg .ini .sh .bash .mk .sbatch .slurm .bat .ps1 .tf .j2".split())
_MOST_BYTES = 1 << 18
_YEAR = 365


class StaleArea(NamedTuple):
    """A folder: its Python files, how many lines of code, files and bytes it holds, and its age in days if known."""

    folder: str
    modules: tuple[Module, ...]
    lines: int
    files: int
    size: int
    age: int | None


class StaleAreas(Analysis):
    """Answers which folders hold experiments nobody uses, in the middle of what is used."""

    @cached_property
    def all(self) -> tuple[StaleArea, ...]:
        found: list[StaleArea] = []
        for folder, members in sorted(self._folders.items()):
            inside = any(folder.startswith(f"{other.folder}/") for other in found)
            area = None if inside else self._stale(folder, members)
            if area is not None:
                found.append(area)
        return tuple(found)

    @cached_property
    def _folders(self) -> dict[str, list[Module]]:
        """The Python files of folders so named, or configured as experiments."""
        chosen = self.project.options.experiment_dirs
        found: dict[str, list[Module]] = {}
        for path, module in self.project.modules.items():
            for folder in PurePosixPath(path).parents:
                if folder.name and (_NAME.fullmatch(folder.name) or any(fnmatch(str(folder), one) for one in chosen)):
                    found.setdefault(str(folder), []).append(module)
        return found

    def _stale(self, folder: str, members: list[Module]) -> StaleArea | None:
        own = [module for module in members if module.role == "project" and not module.is_test]
        # A folder at the top that nothing outside uses is quarantine: where experiments belong.
        if not own or "/" not in folder or any(one.is_example for one in own) or not self._is_within_product(folder):
            return None
        if self._is_used(folder, own):
            return None
        age = self._age(own)
        if age is not None and age < _YEAR and not _PAST.fullmatch(PurePosixPath(folder).name):
            return None  # somebody is trying something out there
        paths = [path for path in self.project.every if path.startswith(f"{folder}/")]
        size = sum(len(self.project.content(path, _MOST_BYTES)) for path in paths)
        return StaleArea(folder, tuple(own), sum(map(_size, own)), len(paths), size, age)

    def _is_within_product(self, folder: str) -> bool:
        """Whether code that is no experiment stands beside the folder or above it: it ships with it."""
        parents = [str(one) for one in PurePosixPath(folder).parents if one.name]
        if any(_NAME.fullmatch(PurePosixPath(one).name) for one in parents):
            return False
        packages = self.project.packages.packages
        return any(one in packages or one.partition("/")[0] in ("src", "lib") for one in parents) or any(
            not path.startswith(f"{folder}/") and path.startswith(f"{parents[0]}/") and not module.is_test
            for path, module in self.project.modules.items()
        )

    def _is_used(self, folder: str, members: list[Module]) -> bool:
        """Whether anything outside imports, runs, scans or names what is in the folder."""
        project = self.project
        for module in members:
            if any(not other.startswith(f"{folder}/") for other in project.imports.importers(module.path)):
                return True
            if module.path in self._run:
                return True
        name = PurePosixPath(folder).name
        named = re.compile(rf"(?<![\w.-]){re.escape(name)}[/.]\w|[\"'./]{re.escape(name)}[\"'/]")
        return any(not path.startswith(f"{folder}/") and named.search(text) for path, text in self._texts(name))

    def _texts(self, name: str) -> Iterator[tuple[str, str]]:
        """What may name a folder: launchers and configuration, and code that loads by name."""
        for path in sorted(self.project.every):
            place = PurePosixPath(path)
            if place.suffix.lower() in _TEXTS or (not place.suffix and place.name[:1].isupper()):
                text = self.project.content(path, _MOST_BYTES).decode("utf-8", "replace")
                if name in text:
                    yield path, text
        for module in self.project.modules.values():
            for text in module.facts.strings:
                if name in text:
                    yield module.path, f'"{text}"'

    @cached_property
    def _run(self) -> frozenset[str]:
        """Files that commands, manifests, scans and tests reach."""
        project = self.project
        launched = {entry.definition.module.path for entry in project.entries if entry.launchers}
        tested = {path for path, module in project.modules.items() if module.is_test}
        reached = {other for path in tested for other in project.imports.closure(path)}
        return frozenset(launched | set(project.imports.scanned) | reached)

    def _age(self, members: list[Module]) -> int | None:
        """The days since the last change of any of the files; None where git does not tell."""
        project = self.project
        ages = [project.age(one.path, line) for one in members for line in range(1, len(one.text_lines) + 1)]
        return min((age for age in ages if age is not None), default=None) if ages and None not in ages else None


def _size(module: Module) -> int:
    """Lines of code; of a file that does not parse, all its lines."""
    return module.facts.code_lines or module.facts.lines or len(module.text_lines)
