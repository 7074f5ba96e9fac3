"""Which files may be versions of one file, told from their names alone: the pairs worth reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import PurePosixPath

from msgspec import Struct

from mldebt.facts.schema import Annotate, Assign, Call, Imports
from mldebt.facts.walk import calls
from mldebt.module import Module
from mldebt.project.project import Project

from .variant_names import (
    Version,
    counts_migrations,
    file_version,
    folder_version,
    initials,
)

_MOST_IN_A_GROUP = 60  # of more files with one base name, the first ones: pairs grow with the square
_FEWEST_LINES = 10


class Candidates(Struct, frozen=True):
    """Two files whose names are versions of one name.

    ``sure``: the name means a version, not perhaps a model. ``history``: it says anything of history at all;
    ``build_double.py`` beside ``build.py`` does not. ``initials``: it may end in a person's.
    ``named``: the code speaks of its version itself, as ``inception_v2.py`` does of ``inception_v2``.
    """

    first: str
    second: str
    sure: bool
    history: bool = True
    initials: bool = False
    named: bool = False


def candidates(project: Project) -> Iterator[Candidates]:
    """The pairs, each once; tests, other people's code and pure configuration are in none."""
    modules = {path: module for path, module in project.modules.items() if _eligible(module, project)}
    seen: set[tuple[str, str]] = set()
    for read in (file_version, folder_version):
        for members in _named_alike(modules, read):
            for first, second in combinations(members[:_MOST_IN_A_GROUP], 2):
                if (first.path, second.path) not in seen and not _served_versions(first.path, second.path):
                    seen.add((first.path, second.path))
                    sure = first.version.sure and second.version.sure
                    named = any(_names_itself(modules[one.path], one.version) for one in (first, second))
                    yield Candidates(first.path, second.path, sure and not named, named=named)
    for path in modules:
        for shorter, personal in _shorter(path, modules):
            if (shorter, path) not in seen and (path, shorter) not in seen:
                yield Candidates(shorter, path, False, personal, personal)


def _served_versions(first: str, second: str) -> bool:
    """``v1/predict.py`` and ``v2/predict.py``: versions of an interface stand side by side for their callers."""
    folders = {PurePosixPath(path).parent.name for path in (first, second)}
    return len(folders) == 2 and all(re.fullmatch(r"v\d+", folder) for folder in folders)


class _Member(Struct, frozen=True):
    path: str
    version: Version


def _named_alike(modules: Iterable[str], read: Callable[[str], Version]) -> Iterator[list[_Member]]:
    groups: dict[str, list[_Member]] = {}
    for path in modules:
        found = read(path)
        groups.setdefault(found.base.lower(), []).append(_Member(path, found))
    for members in groups.values():
        if len(members) > 1 and any(member.version.marks for member in members):
            yield members


def _shorter(path: str, modules: Mapping[str, Module]) -> Iterator[tuple[str, bool]]:
    """Files beside this one whose name is the beginning of its name: ``train.py`` of ``train_jd.py``."""
    place = PurePosixPath(path)
    words = place.stem.split("_")
    for count in range(1, len(words)):
        beside = str(place.with_name("_".join(words[:count]) + place.suffix))
        if beside in modules:
            mark = initials(place.stem) if count == len(words) - 1 else None
            personal = mark is not None and not _speaks_of(modules[path], mark[1])
            yield beside, personal


def _names_itself(module: Module, version: Version) -> bool:
    """Whether identifiers carry the version in the file's name: one of a thing, such as a published model."""
    counts = [mark.lower() for mark in version.marks if re.fullmatch(r"[vV]\d+", mark)]
    things = [word for word in re.findall(r"[a-z]{3,}", PurePosixPath(version.base).stem) if counts]
    return any(
        re.search(rf"{mark}(?!\d)", name.lower()) and any(thing in name.lower() for thing in things)
        for mark in counts
        for name in module.facts.mentions
    )


def _speaks_of(module: Module, word: str) -> bool:
    """Whether the code uses the word: ``train_ddp.py`` with ``DDP`` in it is about that, not a person's mark."""
    return any(word in re.split(r"[_\d]+", name.lower()) or word == name.lower() for name in module.facts.mentions)


def _eligible(module: Module, project: Project) -> bool:
    if module.role != "project" or module.is_test or module.facts.code_lines < _FEWEST_LINES:
        return False
    path = PurePosixPath(module.path)
    if path.suffix != ".ipynb" and str(path.with_suffix(".ipynb")) in project.modules:
        return False  # a script exported from, or paired with, the notebook beside it
    return (
        path.name != "__init__.py"
        and path.suffix != ".pyi"
        and not counts_migrations(module.path)
        and not _is_configuration(module)
    )


def _is_configuration(module: Module) -> bool:
    """Only assignments of values: a configuration file in Python (MLD313 compares those)."""
    if len(module.facts.scopes) > 1:
        return False
    return all(
        isinstance(stmt, Imports)
        or (isinstance(stmt, (Assign, Annotate)) and all(_is_display(call) for call in calls(stmt)))
        for stmt in module.body(0)
    )


def _is_display(call: Call) -> bool:
    return getattr(call.function, "name", "") in ("dict", "list", "tuple", "set", "_deepcopy", "deepcopy")
