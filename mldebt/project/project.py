"""The whole repository, linked: what project rules and analyses ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct, field
from packaging.specifiers import SpecifierSet

from mldebt.facts.flow import Flow
from mldebt.facts.schema import ModuleFacts
from mldebt.module import Module
from mldebt.project.ages import Ages
from mldebt.project.callers import Callers
from mldebt.project.calls import CallGraph
from mldebt.project.constants import Constants
from mldebt.project.definitions import Definition
from mldebt.project.entries import Entries, Entry
from mldebt.project.imports import ImportGraph
from mldebt.project.knowledge import Knowledge
from mldebt.project.packages import Packages
from mldebt.project.resolution import Resolver
from mldebt.project.roles import Roles, Sink
from mldebt.project.scans import Scans
from mldebt.project.search_path import added_directories
from mldebt.project.spellings import Spellings
from mldebt.project.types import Types
from mldebt.sources.artefacts import Repository
from mldebt.sources.text import Source

if TYPE_CHECKING:
    from mldebt.inference import Inference
    from mldebt.rule import Analysis, RowT, Table

AnalysisT = TypeVar("AnalysisT", bound="Analysis")


class ProjectOptions(Struct, frozen=True):
    """Settings that shape the project, from the root's configuration. ``assume``: library versions by name."""

    knowledge: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    library: bool | None = None
    experiment_dirs: tuple[str, ...] = ()
    single_file_implementations: bool = False
    assume: Mapping[str, str] = field(default_factory=dict)


class Project:
    """All modules and artefacts of a repository. Everything is computed on the first question and kept.

    Args:
        root: The directory paths are relative to.
        facts: The facts of every Python source, by path.
        repository: What manifests, scripts and configuration files say.
        every: All listed paths, also of files that are not read.
        options: Settings from the root's configuration.
        load: Reads a source again, for positions and concrete syntax.
        collected: What analyses collected of each file: encoded values by the analysis's qualified name.
        collecting: The analyses that did; others collect when they are asked.
        content: The first bytes of any file; None: as it is on disk.
    """

    def __init__(
        self,
        root: Path,
        facts: Mapping[str, ModuleFacts],
        repository: Repository,
        every: frozenset[str],
        options: ProjectOptions,
        load: Callable[[str], Source],
        collected: Mapping[str, Mapping[str, msgspec.Raw]] | None = None,
        collecting: Collection[type[Analysis]] = (),
        content: Callable[[str, int], bytes] | None = None,
    ) -> None:
        self.root, self.repository, self.every, self.options = root, repository, every, options
        self.modules: dict[str, Module] = {path: Module(path, facts[path], self, load) for path in sorted(facts)}
        self._facts: dict[str, ModuleFacts] = {path: facts[path] for path in self.modules}
        self._collected, self._collecting = collected or {}, collecting
        self._content = content
        self._definitions: dict[tuple[str, int], Definition] = {}
        self._flows: dict[tuple[str, int], Flow] = {}
        self._analyses: dict[type[Analysis], Analysis] = {}
        self._spellings: dict[int, tuple[Collection[str], frozenset[str]]] = {}

    def content(self, path: str, limit: int) -> bytes:
        """The first ``limit`` bytes of a listed file, in the tree that is scanned; empty when it cannot be read."""
        if path not in self.every:
            return b""
        try:
            if self._content is not None:
                return self._content(path, limit)
            with (self.root / path).open("rb") as file:
                return file.read(limit)
        except OSError:
            return b""

    @cached_property
    def _ages(self) -> Ages:
        return Ages(self.root)

    def age(self, path: str, line: int) -> int | None:
        """How many days before HEAD a line of a module was committed last; None where git does not say."""
        module = self.modules.get(path)
        if module is None or path.endswith(".ipynb"):  # the lines of a notebook's text are not its file's
            return None
        return self._ages.of(path, line, module.text_lines)

    # Names.

    @cached_property
    def packages(self) -> Packages:
        """Where import names lead."""
        repository = self.repository
        distributions = {dependency.name for dependency in repository.dependencies}
        packages = Packages(self._facts, repository.packages, distributions, _namesakes(self._facts))
        directories = packages.directories
        packages.search_also({path: added_directories(path, facts, directories) for path, facts in self._facts.items()})
        return packages

    @cached_property
    def resolver(self) -> Resolver:
        return Resolver(self._facts, self.packages)

    def resolve(self, module: Module, scope: int, dotted: str) -> tuple[str, ...]:
        """The names a dotted chain read in a scope may stand for; () when unknown."""
        return self.resolver.resolve(module.path, scope, dotted)

    def import_name(self, path: str) -> str:
        return self.packages.name(path)

    def spellings(self, names: Collection[str]) -> frozenset[str]:
        """Every identifier a thing of these names may be called by somewhere in the project."""
        known = self._spellings.get(id(names))
        if known is None or known[0] is not names:
            known = self._spellings[id(names)] = (names, self._spelled.of(names))
        return known[1]

    @cached_property
    def _spelled(self) -> Spellings:
        return Spellings(self._facts.values())

    @cached_property
    def _by_name(self) -> dict[str, str]:
        # Of modules with one name, the one nearest to the root; the sort makes that the last to be set.
        paths = sorted(self.packages.files, key=lambda path: (path.count("/"), path), reverse=True)
        return {self.packages.name(path): path for path in paths}

    def module_named(self, dotted: str) -> Module | None:
        """The module of an import name."""
        return self.modules.get(self._by_name.get(dotted, ""))

    def linked(self, dotted: str) -> tuple[str, ...]:
        """The project names of an absolute name such as ``acme.repro.seed_all``; () if it is not the project's."""
        parts = dotted.split(".")
        fallback: tuple[str, ...] = ()
        for count in range(1, len(parts) + 1):
            module = self.module_named(".".join(parts[:count]))
            if module is not None:
                names = self.resolver.attribute((f"{module.path}:",), ".".join(parts[count:]))
                if names and all(":" not in name or self.resolver.definition(name) for name in names):
                    return names
                fallback = fallback or names
        return fallback

    # Definitions.

    def definition_at(self, module: Module, index: int) -> Definition:
        key = (module.path, index)
        definition = self._definitions.get(key)
        if definition is None:
            definition = self._definitions[key] = Definition(module, index)
        return definition

    def definition(self, name: str) -> Definition | None:
        """The function, class or module of a project name; None for variables and library names."""
        found = self.resolver.definition(name)
        return None if found is None else self.modules[found[0]].definition(found[1])

    def mro(self, class_name: str) -> tuple[str, ...]:
        """The class and its bases in method resolution order; "?" at the end when some are unknown."""
        return self.resolver.classes.mro(class_name)

    def method(self, class_name: str, method: str) -> Definition | None:
        """The first project class in the MRO that defines the method."""
        name = self.resolver.classes.method(class_name, method)
        return None if name is None else self.definition(name)

    def subclasses(self, class_name: str) -> tuple[Definition, ...]:
        """Project classes derived from a class, at any distance, nearest first."""
        found = (self.definition(name) for name in self.resolver.classes.subclasses(class_name))
        return tuple(definition for definition in found if definition is not None)

    # What runs what.

    @cached_property
    def scans(self) -> Scans:
        return Scans(self._facts, self.packages, self.repository)

    @cached_property
    def imports(self) -> ImportGraph:
        return ImportGraph(self.resolver, self.scans.dynamic, self.scans.scanned)

    @cached_property
    def calls(self) -> CallGraph:
        return CallGraph(self)

    @cached_property
    def callers(self) -> Callers:
        return Callers(self)

    @cached_property
    def types(self) -> Types:
        return Types(self)

    @cached_property
    def inference(self) -> Inference:
        """astroid, for a receiver's class that linked facts do not tell."""
        from mldebt.inference import Inference  # few scans ask, and astroid is a tenth of the start-up

        return Inference(self)

    def close(self) -> None:
        """Forget what astroid keeps in the process."""
        if "inference" in self.__dict__:
            self.inference.close()

    @cached_property
    def constants(self) -> Constants:
        return Constants(self)

    def flow(self, definition: Definition) -> Flow:
        """Reaching definitions in one function, class or module body."""
        module, index = definition.module, definition.index
        key = (module.path, index)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = Flow.of(module.facts, index, module.body(index))
        return flow

    # Entries.

    @cached_property
    def _entries(self) -> Entries:
        return Entries(self)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What somebody can run, in the order of paths and lines."""
        return self._entries.all

    @property
    def launches_understood(self) -> float:
        """The share of launch commands whose script or module is known; 1 when there are none."""
        return self._entries.understood

    @cached_property
    def _roles(self) -> Roles:
        return Roles(self)

    def roles(self, entry: Entry) -> frozenset[str]:
        """What an entry does, from the sinks it reaches.

        Some of train, tune, split, preprocess, eval, predict, serve, export and plot.
        """
        return self._roles.of(entry)

    def sinks(self, entry: Entry) -> tuple[Sink, ...]:
        """The (role, place) pairs an entry's roles stand on."""
        return self._roles.sinks(entry)

    @cached_property
    def library(self) -> bool:
        """Whether what nothing here runs is still used: an installable package that exports names."""
        if self.options.library is not None:
            return self.options.library
        if not self.repository.installable:
            return False
        directories = [directory for directory in self.repository.packages if directory]
        top = directories or [package for package in self.packages.packages if "/" not in package.removeprefix("src/")]
        inits = (self.modules.get(f"{directory}/__init__.py") for directory in top)
        return any(not init.is_test and _exports(init.facts) for init in inits if init is not None)

    # Knowledge.

    @cached_property
    def _knowledge(self) -> Knowledge:
        return Knowledge(self)

    def declared(self, library: str) -> SpecifierSet | None:
        """The declared requirement of a library by distribution name; None when it is not declared or not readable."""
        return self._knowledge.declared(library)

    def rows(self, table: Table[RowT]) -> Mapping[str, RowT]:
        """A table's rows by name, the user's on top; names of the project's own definitions in their linked form.

        Raises:
            ConfigurationError: A user's row does not fit the table.
        """
        return self._knowledge.rows(table)

    # Analyses.

    def __getitem__(self, analysis: type[AnalysisT]) -> AnalysisT:
        built = self._analyses.get(analysis)
        if built is None:
            built = self._analyses[analysis] = analysis(self)
        assert isinstance(built, analysis)
        return built

    def collected(self, analysis: type[Analysis]) -> Mapping[str, Any]:
        """What an analysis collected, by path, in the order of paths; files that gave nothing are absent."""
        if analysis not in self._collecting:
            own = (module for module in self.modules.values() if module.role == "project")
            late = ((module.path, analysis.collect_late(module)) for module in own)
            return {path: value for path, value in late if value is not None}
        key = f"{analysis.__module__}.{analysis.__qualname__}"
        decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(analysis.collected)
        return {
            path: decoder.decode(self._collected[path][key])
            for path in self.modules
            if key in self._collected.get(path, ())
        }


def _namesakes(facts: Mapping[str, ModuleFacts]) -> frozenset[str]:
    """Files and packages in which something of their own name is imported by that name alone."""
    found = set()
    for path, module in facts.items():
        for head in {fact.module.partition(".")[0] for fact in module.imports if not fact.level}:
            if path.endswith(f"/{head}.py"):
                found.add(path)
            elif (at := path.rfind(f"/{head}/")) >= 0:
                found.add(f"{path[:at]}/{head}/__init__.py")
    return frozenset(found)


def _exports(facts: ModuleFacts) -> bool:
    """Whether a package's ``__init__`` offers names of its own, or all of another module's."""
    return (
        bool(facts.exports)
        or any(not name.startswith("_") for name in facts.scopes[0].bindings)
        or any(fact.bound == "*" for fact in facts.imports)
    )
