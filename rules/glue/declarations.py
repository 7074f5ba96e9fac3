"""What pipeline files say of artefacts: dvc, MLproject, Make, Snakemake, Kedro catalogs, CI, Luigi targets."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.finding import Place, Span
from mldebt.rule import Analysis
from mldebt.sources.artefacts import Command, ConfigFile, Leaf
from mldebt.sources.dvc_templates import Templates

from .paths import Paths
from .patterns import is_telling, matches, normal, plain
from .workplaces import Workplaces

if TYPE_CHECKING:
    from mldebt.project.project import Project

OUT, IN, NAMED = "out", "in", "named"
_DVC_OUTS = frozenset({"outs", "metrics", "plots", "outs_persist"})
_CATALOG = re.compile(r"(?:^|/)(?:[\w-]*catalog[\w-]*|catalog/.*)\.ya?ml$")
_CATALOG_KEYS = frozenset({"filepath", "path", "table_name", "table"})
_CI = re.compile(r"(?:^|/)\.gitlab-ci|^\.gitlab/|^\.github/|azure-pipelines|^\.circleci/")
_TEMPLATE = re.compile(r"\$\{[^{}]*\}|\{\{[^{}]*\}\}")
_PIPELINE_COMMANDS = frozenset({"make", "dvc", "mlproject"})
_TARGETS = frozenset({"luigi.LocalTarget", "luigi.local_target.LocalTarget", "luigi.contrib.s3.S3Target"})


class Declaration(Struct, frozen=True):
    """A pipeline file names an artefact.

    Args:
        tool: dvc, make, snakemake, kedro, mlproject, ci or luigi.
        stage: The stage's, rule's or data set's name.
        role: out, in, or named where that cannot be told.
        pattern: As the file gives it, relative to the root.
    """

    tool: str
    stage: str
    role: str
    pattern: str
    place: Place


class Declarations(Analysis):
    """Answers which pipeline files name an artefact."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[str, tuple[Declaration, ...]] = {}

    def of(self, pattern: str) -> tuple[Declaration, ...]:
        """Declarations of an artefact, of a pattern it is one of, or of a directory around it."""
        known = self._known.get(pattern)
        if known is None:
            exact = self._by_pattern.get(pattern, [])
            loose = [one for one in self.all if one.pattern != pattern and _covers(one.pattern, pattern)]
            known = self._known[pattern] = tuple(sorted((*exact, *loose), key=lambda one: one.place))
        return known

    @cached_property
    def _by_pattern(self) -> dict[str, list[Declaration]]:
        found: dict[str, list[Declaration]] = {}
        for one in self.all:
            found.setdefault(one.pattern, []).append(one)
        return found

    @cached_property
    def tools(self) -> frozenset[str]:
        """The tools with any declaration."""
        return frozenset(one.tool for one in self.all)

    @cached_property
    def all(self) -> tuple[Declaration, ...]:
        found = [*self._configs(), *self._tracked(), *self._recipes(), *self._commands(), *self._targets()]
        return tuple(sorted(set(found), key=lambda one: (one.place, one.pattern, one.role)))

    def _configs(self) -> Iterator[Declaration]:
        for config in self.project.repository.configs:
            name = posixpath.basename(config.path)
            if name in ("dvc.yaml", "dvc.yml"):
                yield from self._dvc(config)
            elif _CATALOG.search(config.path):
                yield from self._catalog(config)
            elif name == "MLproject":
                yield from self._parameters(config)
            elif _CI.search(config.path):
                yield from self._kept(config)

    def _dvc(self, config: ConfigFile) -> Iterator[Declaration]:
        own = posixpath.dirname(config.path)
        templates = Templates(config.leaves, own, self._leaves)
        where = {leaf.keys[1]: leaf.value for leaf in config.leaves if leaf.keys[2:] == ("wdir",)}
        for leaf in config.leaves:
            keys = leaf.keys
            if keys[:1] == ("artifacts",) and keys[2:] == ("path",) and isinstance(leaf.value, str):
                yield from _made("dvc", keys[1], OUT, leaf.value, config.path, leaf.line, own)
            if keys[:1] != ("stages",) or len(keys) < 4:
                continue
            rest = keys[3:] if keys[2] == "do" else keys[2:]
            section = rest[0]
            if section not in _DVC_OUTS and section != "deps":
                continue
            # ``outs: [a, {b: {cache: false}}]``
            given = rest[2] if len(rest) > 2 else leaf.value
            if isinstance(given, str):
                directory = where.get(keys[1])
                base = posixpath.join(own, directory) if isinstance(directory, str) else own
                role = IN if section == "deps" else OUT
                path = templates.fill(keys, given)
                yield from _made("dvc", keys[1], role, path, config.path, leaf.line, base)

    def _leaves(self, path: str) -> Sequence[Leaf]:
        return next((one.leaves for one in self.project.repository.configs if one.path == path), ())

    @staticmethod
    def _catalog(config: ConfigFile) -> Iterator[Declaration]:
        """A Kedro catalog: paths are relative to the directory that holds ``conf``."""
        base = config.path.partition("conf/")[0].rstrip("/") if "conf/" in config.path else ""
        for leaf in config.leaves:
            if len(leaf.keys) > 1 and leaf.keys[-1] in _CATALOG_KEYS and isinstance(leaf.value, str):
                yield from _made("kedro", leaf.keys[0], NAMED, leaf.value, config.path, leaf.line, base)

    @staticmethod
    def _parameters(config: ConfigFile) -> Iterator[Declaration]:
        own = posixpath.dirname(config.path)
        for leaf in config.leaves:
            if leaf.keys[:1] == ("entry_points",) and "parameters" in leaf.keys and isinstance(leaf.value, str):
                yield from _made("mlproject", leaf.keys[1], NAMED, leaf.value, config.path, leaf.line, own)

    @staticmethod
    def _kept(config: ConfigFile) -> Iterator[Declaration]:
        """Artefacts that CI passes from job to job."""
        for leaf in config.leaves:
            if "artifacts" in leaf.keys and "paths" in leaf.keys and isinstance(leaf.value, str):
                yield from _made("ci", leaf.keys[0], OUT, leaf.value, config.path, leaf.line, "")

    def _tracked(self) -> Iterator[Declaration]:
        """``data/raw.csv.dvc``."""
        for path in sorted(self.project.every):
            if path.endswith(".dvc") and not path.endswith("/.dvc"):
                yield from _made("dvc", posixpath.basename(path), OUT, path.removesuffix(".dvc"), path, 1, "")

    def _recipes(self) -> Iterator[Declaration]:
        for recipe in self.project.repository.recipes:
            for role, paths in ((OUT, recipe.outputs), (IN, recipe.inputs)):
                for path in paths:
                    yield from _made(
                        recipe.kind, recipe.name, role, path, recipe.path, recipe.line, recipe.directory
                    )  # fmt: skip

    def _commands(self) -> Iterator[Declaration]:
        """Paths in the commands of a Makefile's rules, of dvc's stages and of MLproject."""
        for command in self.project.repository.commands:
            if command.kind in _PIPELINE_COMMANDS:
                for path in _words(command):
                    yield from _made(
                        command.kind, "", NAMED, path, command.path, command.line, command.directory
                    )  # fmt: skip

    def _targets(self) -> Iterator[Declaration]:
        paths, places = self.project[Paths], self.project[Workplaces]
        for module in self.project.modules.values():
            if "luigi" not in module.mentions:
                continue
            for _, site in module.calls_of(_TARGETS):
                for text in paths.texts(module, site.scope, site.call.args[0]) if site.call.args else ():
                    pattern = normal(plain(text), lambda one, module=module: places.base(module, one))  # type: ignore[misc]
                    if pattern is not None:
                        yield Declaration("luigi", "", OUT, pattern, module.place(site))


def _made(tool: str, stage: str, role: str, path: str, file: str, line: int, base: str) -> Iterator[Declaration]:
    pattern = normal(_TEMPLATE.sub("*", path).rstrip("/"), lambda _: base)
    if pattern is not None:
        yield Declaration(tool, stage, role, pattern, Place(file, Span(line)))


def _words(command: Command) -> Iterator[str]:
    for word in command.words[1:]:
        value = word.partition("=")[2] if "=" in word else word
        if ("/" in value or "." in value) and not value.startswith("-") and not value.endswith((".py", ".sh")):
            yield value


def _covers(declared: str, pattern: str) -> bool:
    if declared.startswith("*") or not is_telling(declared):
        return False
    return pattern.startswith(f"{declared}/") or matches(declared, pattern)
