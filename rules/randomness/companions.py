"""Which files are of one program: imported together, launched together, or handing data to each other."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import FUNCTION, IMPORTED
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module

# A file of the project's own by its name: not a download, and not what lies beside the project for all to read.
_DATA = re.compile(
    r"^(?!\.\./)(?!/)(?![A-Za-z]:)(?!.*://)[^\s{}%*]+\.(csv|tsv|parquet|feather|npy|npz|pkl|pickle|joblib|jsonl?|h5|hdf5|pth?|ckpt|arrow|db|xlsx?)$"
)
_LIBRARIES = frozenset("catboost jax keras lightgbm numpy pandas polars scipy sklearn tensorflow torch xgboost".split())
_PROSE = (".md", ".rst", ".txt")


class Companions(Analysis):
    """``project[Companions].groups(paths)``."""

    def groups(self, paths: Collection[str]) -> list[frozenset[str]]:
        """The paths, parted so that those with positive evidence of belonging together stay together; in order."""
        owner = {path: path for path in sorted(paths)}
        seen: dict[tuple[str, str], str] = {}
        for path in owner:
            for sign in self._signs(self.project.modules[path]):
                _join(owner, seen.setdefault(sign, path), path)
        for path in self.project.modules:
            inside = [one for one in owner if self.project.imports.reaches(path, one)]
            for one in inside[1:]:
                _join(owner, inside[0], one)
        found: dict[str, set[str]] = {}
        for path in owner:
            found.setdefault(_root(owner, path), set()).add(path)
        return [frozenset(group) for group in found.values()]

    def _signs(self, module: Module) -> Iterator[tuple[str, str]]:
        """What a file shares with those it belongs to."""
        folder, _, name = module.path.rpartition("/")
        for path in sorted(self.project.imports.closure(module)):
            if path != module.path and self._is_work(self.project.modules[path]):
                yield "imports", path
        if module.path not in self._launchers:
            yield "folder", folder  # a library's files; what runs by itself may stand anywhere
        for launcher in self._launchers.get(module.path, ()):
            yield "launcher", launcher
        if name.removesuffix(".py").isidentifier():  # ``801.reference.py`` is a script that somebody keeps
            for text in module.facts.strings:
                if _DATA.match(text):
                    yield "data", posixpath.normpath(text)

    def _is_work(self, module: Module) -> bool:
        """Whether a file computes with data, or is settings; what checks the environment serves any program."""
        facts = module.facts
        if not any(bits & ~IMPORTED for bits in facts.scopes[0].bindings.values()):
            return False  # hands names on
        computes = any(fact.module.partition(".")[0] in _LIBRARIES for fact in facts.imports)
        return computes or not any(one.kind == FUNCTION for one in facts.scopes)

    @cached_property
    def _launchers(self) -> dict[str, tuple[str, ...]]:
        """The files that start each program, by the program's path."""
        found: dict[str, dict[str, None]] = {}
        for entry in self.project.entries:
            places = found.setdefault(entry.definition.module.path, {})
            places.update((one.path, None) for one in entry.launchers if not one.path.endswith(_PROSE))
        return {path: tuple(places) for path, places in found.items()}


def _root(owner: dict[str, str], path: str) -> str:
    while owner[path] != path:
        path = owner[path]
    return path


def _join(owner: dict[str, str], one: str, other: str) -> None:
    first, second = sorted((_root(owner, one), _root(owner, other)))
    owner[second] = first
