"""Scripts and notebooks whose names say their order: ``01_clean.ipynb``, ``2_features.py``, ``step3_train.py``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.rule import Analysis

from .artefacts import Flow
from .declarations import Declarations
from .handoffs import Handoffs
from .orderings import ORCHESTRATED, Orderings
from .teaching import Teaching, is_numbered_lesson

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_NUMBERED = re.compile(
    r"^(?:(?:step|stage|phase|part|s|p|nb|notebook|script|pipeline)[_.\s-]?)?(\d{1,3})(?:[._](\d{1,2}))?([a-z])?(?=[_.\s-]|$)",
    re.IGNORECASE,
)
_ENDING = re.compile(r"(?:^|[_.\s-])(?:step|stage|phase)[_.\s-]?(\d{1,2})(?=[_.\s-]|$)", re.IGNORECASE)
_MOST_STEPS = 20  # more are chapters or experiments


class Chain(Struct, frozen=True):
    """Numbered programs of one directory, in their order, and what they hand to each other."""

    members: tuple[Module, ...]
    flows: tuple[Flow, ...]


class ScriptChains(Analysis):
    """Finds the chains nothing runs."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._orders = project[Orderings]

    @cached_property
    def unordered(self) -> tuple[Chain, ...]:
        """Chains of at least three programs with hand-offs from earlier to later ones, in the order of directories."""
        if not self._candidates or self._has_orchestrator:
            return ()
        found = []
        for members in self._candidates:
            numbers = {module.path: number for number, module in members}
            flows = [
                flow
                for flow in self.project[Handoffs].all
                if (one := numbers.get(flow.writer.definition.module.path)) is not None
                and (other := numbers.get(flow.reader.definition.module.path)) is not None
                and one < other
            ]
            connected = {end.definition.module.path for flow in flows for end in (flow.writer, flow.reader)}
            if not connected or 2 * len(connected) < len(members):
                continue
            if not self._runs(set(numbers)) and not self.project[Teaching].is_course(members[0][1]):
                flows.sort(key=lambda flow: (numbers[flow.writer.definition.module.path], flow.write.place))
                found.append(Chain(tuple(module for _, module in members), tuple(flows)))
        return tuple(found)

    @cached_property
    def _candidates(self) -> list[list[tuple[tuple[int, int, str], Module]]]:
        found: dict[str, list[tuple[tuple[int, int, str], Module]]] = {}
        entries = {entry.definition.module.path for entry in self.project.entries}
        for path, module in self.project.modules.items():
            number = _number(path)
            own = path in entries and module.role == "project" and not module.is_test
            if number is not None and own and not is_numbered_lesson(path):
                found.setdefault(posixpath.dirname(path), []).append((number, module))
        groups = [sorted(group, key=lambda one: (one[0], one[1].path)) for group in found.values()]
        return [group for group in groups if 3 <= len({number for number, _ in group}) <= len(group) <= _MOST_STEPS]

    @cached_property
    def _has_orchestrator(self) -> bool:
        """Whether a pipeline is declared at all, or a program of a pipeline framework stands in the project."""
        if {"dvc", "snakemake", "kedro", "mlproject", "luigi"} & self._declaring:
            return True
        return any(self._orders.uses_framework(module) for module in self.project.modules.values()) or any(
            entry.kind in ORCHESTRATED for entry in self.project.entries
        )

    @cached_property
    def _declaring(self) -> frozenset[str]:
        found = {one.tool for one in self.project[Declarations].all if not one.place.path.endswith(".dvc")}
        return frozenset(found)

    def _runs(self, paths: set[str]) -> bool:
        """Whether one script, Makefile, CI file or program runs two of these, or runs files it finds."""
        return any(len(paths & set(ran)) > 1 for ran in self._orders.runners) or self._sweeps

    @cached_property
    def _sweeps(self) -> bool:
        """Whether a script runs Python files or notebooks by a pattern or a variable."""
        return any(True for _ in self._swept())

    def _swept(self) -> Iterator[str]:
        for command in self.project.repository.commands:
            if command.kind in ("readme", "notebook"):
                continue
            words = [word.rpartition("/")[2] for word in command.words]
            runs = any(
                word in ("nbconvert", "papermill", "jupytext", "ipython") or word.startswith("python") for word in words
            )
            if runs and any(set(word) & set("$*") for word in command.words[1:]):
                yield command.path


def _number(path: str) -> tuple[int, int, str] | None:
    stem = posixpath.basename(path).rpartition(".")[0]
    match = _NUMBERED.match(stem)
    if match is not None:
        return int(match[1]), int(match[2] or 0), (match[3] or "").lower()
    match = _ENDING.search(stem)
    return (int(match[1]), 0, "") if match is not None else None


def entries_of(chain: Chain) -> list[Entry]:
    """The entries at the ends of a chain's hand-offs, once each."""
    return list(dict.fromkeys(end for flow in chain.flows for end in (flow.writer, flow.reader)))
