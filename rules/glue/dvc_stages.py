"""The pipeline a repository has without saying so, as a ``dvc.yaml`` to begin with.

Source: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mldebt.finding import Place
from mldebt.rule import Analysis

from .accesses import TABLE
from .artefacts import Access, Artefacts
from .patterns import is_telling, is_uri

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_PLAIN = re.compile(r"[\w./][\w./ =-]*")
_KEPT = frozenset({"data", "model"})


class Stage(Struct):
    """One entry as a stage. Paths are relative to the root, directories where only those are known."""

    entry: Entry
    name: str
    command: str
    deps: list[str] = field(default_factory=list)
    outs: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)  # what the author has to decide


class Stages(Analysis):
    """Answers what a ``dvc.yaml`` of the project would say."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._artefacts = project[Artefacts]

    @cached_property
    def all(self) -> tuple[Stage, ...]:
        """The stages of every entry that passes an artefact on or gets one, in an order that runs."""
        chosen = {end.definition.name: end for flow in self._artefacts.flows for end in (flow.writer, flow.reader)}
        return self.of([entry for entry in self.project.entries if entry.definition.name in chosen])

    def of(self, entries: Iterable[Entry]) -> tuple[Stage, ...]:
        """The stages of these entries, producers before consumers where there is such an order."""
        taken: set[str] = set()
        stages = [Stage(entry, _unique(entry, taken), self._command(entry)) for entry in entries]
        owned: dict[str, str] = {}
        for stage in stages:
            self._write(stage, owned)
        for stage in stages:
            self._read(stage, owned)
        return tuple(_ordered(stages))

    def _write(self, stage: Stage, owned: dict[str, str]) -> None:
        for access in self._artefacts.written_by(stage.entry):
            path = _stated(access)
            if access.kind not in _KEPT or path is None or path in stage.outs:
                continue
            around = next((one for one in owned if path == one or path.startswith(f"{one}/")), None)
            if path.startswith(("/", "~")) or is_uri(path):
                stage.doubtful.append(f"also writes {path}, which lies outside the repository")
            elif around is not None:
                stage.doubtful.append(f"also writes {path}, an output of {owned[around]}")
            else:
                owned[path] = stage.name
                stage.outs.append(path)

    def _read(self, stage: Stage, owned: dict[str, str]) -> None:
        stage.deps.append(stage.entry.definition.module.path)
        for access in self._artefacts.read_by(stage.entry):
            path = _stated(access)
            if path is None or path in stage.deps or path in stage.outs or path.startswith("~"):
                continue
            if owned.get(path) == stage.name or any(path.startswith(f"{out}/") for out in stage.outs):
                continue
            known = path in self.project.every or access.kind in _KEPT
            if known:
                stage.deps.append(path)

    def _command(self, entry: Entry) -> str:
        """How the entry is run: as a command of the repository does it, else plainly."""
        path = entry.definition.module.path
        for place in entry.launchers:
            words = self._commands.get(place)
            if words is not None and any(posixpath.basename(path) in word for word in words):
                return " ".join(words)
        if path.endswith(".ipynb"):
            return f"jupyter nbconvert --to notebook --execute --inplace {path}"
        name = entry.definition.qualname
        return f"python {path}" + (f" {name.replace('_', '-')}" if entry.kind in ("click", "typer") and name else "")

    @cached_property
    def _commands(self) -> dict[Place, Sequence[str]]:
        found: dict[Place, Sequence[str]] = {}
        for command in self.project.repository.commands:
            if not command.directory and not any(set(word) & set("$`;&|<>") for word in command.words):
                for place in (one for entry in self.project.entries for one in entry.launchers):
                    if (place.path, place.span.line) == (command.path, command.line):
                        found[place] = command.words
        return found


def yaml_text(stages: Sequence[Stage]) -> str:
    """The stages as a dvc.yaml."""
    rows = ["stages:"]
    for stage in stages:
        rows.append(f"  {stage.name}:")
        rows.append(f"    cmd: {_quoted(stage.command)}")
        for name, paths in (("deps", stage.deps), ("outs", stage.outs)):
            if paths:
                rows.append(f"    {name}:")
                rows += [f"      - {_quoted(path)}" for path in paths]
        rows += [f"    # {line}" for line in stage.doubtful]
    return "\n".join(rows) + "\n" if stages else ""


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and not text.endswith(" ") else json.dumps(text)


def _stated(access: Access) -> str | None:
    """The path to state: dvc knows no patterns, so a directory stands for those."""
    path = access.node
    if access.form == TABLE:
        return None
    while "*" in path:
        path = posixpath.dirname(path)
        if not path or not is_telling(path):
            return None
    return path


def _unique(entry: Entry, taken: set[str]) -> str:
    stem = posixpath.basename(entry.definition.module.path).rpartition(".")[0]
    parts = [stem, *([entry.definition.qualname] if entry.kind in ("click", "typer") else [])]
    name = re.sub(r"[^\w-]+", "_", "_".join(parts)).strip("_") or "stage"
    while name in taken:
        head, _, number = name.rpartition("_")
        name = f"{head}_{int(number) + 1}" if number.isdigit() and head else f"{name}_2"
    taken.add(name)
    return name


def _ordered(stages: Sequence[Stage]) -> list[Stage]:
    """Producers first; stages in a cycle keep the order of files."""
    left, found = list(stages), list[Stage]()
    while left:
        ready = next((one for one in left if not _waits(one, left)), left[0])
        left.remove(ready)
        found.append(ready)
    return found


def _waits(stage: Stage, others: Collection[Stage]) -> bool:
    return any(
        dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/")
        for other in others
        if other is not stage
        for out in other.outs
        for dep in stage.deps
    )
