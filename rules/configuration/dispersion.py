"""How far the hyperparameters of a program are spread over its files."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

from .configuration_table import CONSTANT, Bound, ConfigurationTable

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_CLASSES = frozenset({"contract", "tuning"})
_FEWEST = 2  # hyperparameters that make a file one of a program's homes of configuration
_WORTH_A_LOOK = 3  # homes, at which it is worth asking which defaults are used
_MOST_ELSEWHERE = 0.4  # of what is counted may stand in files the program does not run itself
_PARSED = frozenset({"cli", "command", "flag", "set_defaults"})
_FORMATS = frozenset({"yaml", "json", "toml", "ini"})
_FOLDER = re.compile(r"conf|cfg|hparam|hyper|setting|param|recipe|experiment", re.IGNORECASE)
_ARTEFACT = re.compile(r"\.(?:pth?|ckpt|joblib|pkl|pickle|onnx|h5|keras|safetensors|bin|npz|npy|parquet|pb|tflite)$")
_READERS = frozenset(
    {"yaml", "json", "toml", "tomllib", "tomli", "hydra", "omegaconf", "OmegaConf", "configparser", "jsonargparse"}
)


class Spread(Struct, frozen=True):
    """The hyperparameters of one program that trains.

    Args:
        entry: The program.
        bindings: What is bound in the files it runs and the configuration it reads, one for each knob and home.
        files: How many homes bind two or more. A folder of configuration files is one home.
        dispersion: The Gini-Simpson index of the bindings over the homes, 0 (all in one) to 1.
        largest: The share of the home that binds most among parsers, configuration classes and configuration files.
    """

    entry: Entry
    bindings: tuple[tuple[str, Bound], ...]
    files: int
    dispersion: float
    largest: float

    @property
    def homes(self) -> list[tuple[str, list[Bound]]]:
        """The homes with their bindings, the fullest first."""
        found: dict[str, list[Bound]] = {}
        for home, one in self.bindings:
            found.setdefault(home, []).append(one)
        return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


class Dispersion(Analysis):
    """Answers how scattered the configuration of each program is."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._table = project[ConfigurationTable]
        self._known: dict[str, tuple[list[Bound], list[tuple[int, Bound]]]] = {}
        self._closures: dict[str, frozenset[str]] = {}
        self._sites: dict[tuple[str, int], tuple[Site, ...] | None] = {}

    def scattered(self, files: int, settings: int) -> tuple[Spread, ...]:
        """One for each program that trains and binds so many settings in so many homes, in the order of entries."""
        found: dict[str, Spread] = {}
        for entry in self.project.entries:
            module = entry.definition.module
            if module.path in found or module.is_test or module.is_example or module.role != "project":
                continue
            # What entries do is dear to tell; most bind their settings in too few places for it to matter.
            if (
                self._may_scatter(entry, files, settings, effective=False)
                and self._trains(entry)
                and self._may_scatter(entry, files, settings, effective=True)
            ):
                found[module.path] = self._spread(entry)
        return tuple(one for one in found.values() if one.files >= files and len(one.bindings) >= settings)

    def _may_scatter(self, entry: Entry, files: int, settings: int, *, effective: bool) -> bool:
        """Whether all the files a program may consist of bind that much: those it does consist of bind no more."""
        if effective and files < _WORTH_A_LOOK:
            return True  # ``_spread`` then counts defaults nobody uses, too
        measured = _measured(entry, self._bound(entry, self._program(entry, whole=True), effective=effective))
        return measured.files >= files and len(measured.bindings) >= settings

    def _trains(self, entry: Entry) -> bool:
        return not self.project.roles(entry).isdisjoint(("train", "tune"))

    def _spread(self, entry: Entry) -> Spread:
        """What the programs that share files with an entry bind; of parameters only defaults that are used."""
        paths = self._program(entry)
        found = _measured(entry, self._bound(entry, paths, effective=False))
        if found.files >= _WORTH_A_LOOK:
            found = _measured(entry, self._bound(entry, paths, effective=True))
        own = self._files_of(entry.definition.module.path)
        elsewhere = sum(one.place.path in paths and one.place.path not in own for _, one in found.bindings)
        if elsewhere > _MOST_ELSEWHERE * len(found.bindings):
            return _measured(entry, self._bound(entry, own, effective=True))
        return found

    def _program(self, entry: Entry, *, whole: bool = False) -> frozenset[str]:
        """The files of an entry, and of those beside or below it that have a file in common with it.

        Those that train are programs of their own; ``whole``: they are not told apart.
        """
        module = entry.definition.module
        directory = posixpath.dirname(module.path)
        own = self._files_of(module.path)
        shared = {
            path
            for path in own
            if not path.endswith("__init__.py") and (not directory or path.startswith(f"{directory}/"))
        }
        found = set(own)
        for other in self.project.entries:
            path = other.definition.module.path
            beside = not directory or path.startswith(f"{directory}/")
            if not beside or other.definition.module.is_test or path in self._parsing:
                continue
            if not shared.isdisjoint(self._files_of(path)):
                files = self._files_of(path)
                if not files <= found and (whole or not self._is_training(path)):
                    found |= files
        stored = {text for path in shared | {module.path} for text in self._artefacts(path)}
        for path, beside_it in self.project.modules.items():
            linked = posixpath.dirname(path) == directory and not beside_it.is_test and path not in self._parsing
            if linked and not stored.isdisjoint(self._artefacts(path)) and (whole or not self._is_training(path)):
                found |= self._files_of(path)
        return frozenset(found)

    @cached_property
    def _parsing(self) -> frozenset[str]:
        """Programs with a command line of their own: it is where theirs are, and nobody looks there for another's."""
        return frozenset(one.place.path for one in self._table.declared if one.kind in _PARSED) & self._entries.keys()

    def _artefacts(self, path: str) -> frozenset[str]:
        """The model and data files a Python file names."""
        module = self.project.modules.get(path)
        return frozenset(text for text in module.facts.strings if _ARTEFACT.search(text)) if module else frozenset()

    def _is_training(self, path: str) -> bool:
        """Whether a file has an entry that trains."""
        return any(self._trains(entry) for entry in self._entries.get(path, ()))

    @cached_property
    def _entries(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.project.entries:
            found.setdefault(entry.definition.module.path, []).append(entry)
        return found

    def _files_of(self, path: str) -> frozenset[str]:
        known = self._closures.get(path)
        if known is None:
            known = self._closures[path] = frozenset({path, *self.project.imports.closure(path)})
        return known

    def _bound(self, entry: Entry, paths: frozenset[str], *, effective: bool) -> list[tuple[str, Bound]]:
        modules = self.project.modules
        reads = any(not modules[path].mentions.isdisjoint(_READERS) for path in paths if path in modules)
        directory = posixpath.dirname(entry.definition.module.path)
        bound: dict[tuple[str, str], tuple[str, Bound]] = {}
        for one in self._bindings(paths, effective=effective):
            path = one.place.path
            folder = posixpath.dirname(path)
            if one.kind == "json" and folder not in ("", directory) and not _FOLDER.search(folder):
                continue  # a stored model or result describes itself in one
            is_file = one.kind in _FORMATS or (
                one.kind == CONSTANT and _FOLDER.search(posixpath.dirname(path)) is not None
            )
            if one.kind in _PARSED and path in self._parsing and path != entry.definition.module.path:
                continue
            if path in paths or (is_file and reads and self._is_near(path, directory)):
                home = _home(path, directory) if is_file else path
                bound.setdefault((home, one.knob), (home, one))
        return list(bound.values())

    def _bindings(self, paths: frozenset[str], *, effective: bool) -> Iterator[Bound]:
        """The bindings that count: contract and tuning parameters, in these files and in all configuration."""
        modules = self.project.modules
        for path in sorted(paths | self._settings_modules):
            module = modules.get(path)
            if module is not None and not module.is_test and module.role == "project":
                loose, parameters = self._own(module)
                yield from loose
                if path in paths:
                    for index, one in parameters:
                        if not effective or self._is_used(module, index, one.name):
                            yield one
        yield from self._shared

    def _own(self, module: Module) -> tuple[list[Bound], list[tuple[int, Bound]]]:
        """The hyperparameters a file binds itself, and the defaults of its functions."""
        known = self._known.get(module.path)
        if known is None:
            known = self._known[module.path] = (
                [one for one in self._table.loose(module) if self._is_hyper(one)],
                [(index, one) for index, one in self._table.parameters(module) if self._is_hyper(one)],
            )
        return known

    @cached_property
    def _shared(self) -> list[Bound]:
        return [one for one in (*self._table.declared, *self._table.files) if self._is_hyper(one)]

    def _is_used(self, module: Module, index: int, name: str) -> bool:
        """Whether a function's default is what it runs with: some call is known, and none passes the parameter."""
        key = (module.path, index)
        if key not in self._sites:
            self._sites[key] = self.project.callers.of(module.definition(index))
        definition = module.definition(index)
        spellings = self.project.callers.spellings(definition)
        sites = self._sites[key]
        return bool(sites) and all(given(site, definition, name, spellings) is None for site in sites or ())

    def _is_hyper(self, one: Bound) -> bool:
        return self._table.kind(one.knob) in _CLASSES

    @cached_property
    def _settings_modules(self) -> frozenset[str]:
        """Python files in folders of configuration, which a program may execute rather than import."""
        return frozenset(path for path in self.project.modules if _FOLDER.search(posixpath.dirname(path)))

    def _is_near(self, path: str, directory: str) -> bool:
        """Whether a configuration file lies beside or below a program, or in a folder of the root's."""
        return not directory or path.startswith(f"{directory}/") or path.count("/") <= 1 or directory.startswith("src")


def _home(path: str, directory: str) -> str:
    """What counts as one home: a folder of configuration files below a program, or of Python files called so."""
    if not path.endswith(".py"):
        base = f"{directory}/" if directory and path.startswith(f"{directory}/") else ""
        first, slash, _ = path[len(base) :].partition("/")
        return f"{base}{first}/" if slash else path
    parts = path.split("/")[:-1]
    at = next((index for index, part in enumerate(parts) if _FOLDER.search(part)), None)
    return path if at is None else "/".join(parts[: at + 1]) + "/"


def _measured(entry: Entry, bindings: Iterable[tuple[str, Bound]]) -> Spread:
    ordered = sorted(bindings, key=lambda item: (item[0], item[1].place, item[1].knob))
    counts = Counter(home for home, _ in ordered)
    structured = Counter(home for home, one in ordered if one.structured or home.endswith("/"))
    total = max(len(ordered), 1)
    return Spread(
        entry,
        tuple(ordered),
        sum(count >= _FEWEST for count in counts.values()),
        1 - sum((count / total) ** 2 for count in counts.values()),
        max(structured.values(), default=0) / total,
    )
