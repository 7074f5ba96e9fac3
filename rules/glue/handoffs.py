"""Which artefacts pass between programs as part of a pipeline, and which of them nothing declares."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.project.committed import committed
from mldebt.rule import Analysis

from .accesses import DIRECTORY
from .artefacts import Access, Artefacts, Flow
from .declarations import Declarations
from .orderings import Orderings
from .patterns import matches
from .workplaces import Workplaces

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_PASSING = frozenset({"data", "model"})
_ASIDE = re.compile(
    r"(?:^|/)(?:te?mp|scratch|\.cache|__pycache__)/"
    r"|(?:^|[/_.-])(?:logs?|results?|reports?|fig(?:ure)?s?|plots?|vis(?:uali[sz]ations?)?|metrics?|history|histories"
    r"|summary|summaries|eval(?:uation)?s?|profil\w*|debug|screenshots?|benchmark\w*|leaderboard)(?=[/_.-]|$)",
    re.IGNORECASE,
)
# Files about the project itself.
_ABOUT = re.compile(r"(?:^|/)(?:_?version|requirements[\w-]*|readme|changelog|license|setup)\.\w+$", re.IGNORECASE)
_COLLECTION = 150  # programs in one directory
_GENERIC = frozenset(
    """data dataset datasets output outputs out model models checkpoint checkpoints ckpt ckpts weights files
    input inputs raw saved save artifacts artefacts train test val processed""".split()
)
# Directories nobody means: what an option is called by until somebody says where the data are.
_STAND_IN = re.compile(
    r"(?:^|[/_.-])(?:synthetic|dummy|toy|fake|mock|placeholder|path_?to|your|example)(?=[/_.-])[^/]*/", re.IGNORECASE
)
_NAMED = re.compile(r"[^\W\d_]{2}")


class Handoffs(Analysis):
    """Answers what one entry leaves for another."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._graph = project[Artefacts]

    @cached_property
    def all(self) -> tuple[Flow, ...]:
        """Flows of data and models between different programs, results and caches left out."""
        return tuple(flow for flow in self._graph.flows if self._passes(flow))

    @cached_property
    def undeclared(self) -> tuple[Flow, ...]:
        """Those that no pipeline file names and no pipeline framework runs."""
        return tuple(flow for flow in self.all if not self._graph.declared(flow.node) and not self._orchestrated(flow))

    @cached_property
    def tools(self) -> tuple[str, ...]:
        """The pipeline files that were searched."""
        return tuple(dict.fromkeys(one.place.path for one in self.project[Declarations].all))

    def together(self, flow: Flow) -> Entry | None:
        """A program that makes both accesses itself, one after the other."""
        readers = {entry.definition.name for entry in self._graph.entries(flow.read)}
        return next((one for one in self._graph.entries(flow.write) if one.definition.name in readers), None)

    def _passes(self, flow: Flow) -> bool:
        write, read = flow.write, flow.read
        if not {write.kind, read.kind} <= _PASSING or flow.writer.is_example != flow.reader.is_example:
            return False
        if not all(_is_intermediate(pattern) for pattern in (write.node, read.node)):
            return False
        if _is_elsewhere(write.node) and not self._are_together(flow):
            return False
        if self._is_collection(flow.writer) or self._is_collection(flow.reader):
            return False
        if self.project.roles(flow.reader) == {"plot"}:
            return False
        if _is_placeholder(flow) or self._is_kept(write.node):
            return False
        return not self._writes(flow.reader, flow)

    def _is_kept(self, pattern: str) -> bool:
        """Whether the repository keeps the file itself: every checkout has it, and who wrote it need not run."""
        if "*" in pattern or _is_elsewhere(pattern) or not (self.project.root / pattern).is_file():
            return False
        return self._committed is None or pattern in self._committed

    @cached_property
    def _committed(self) -> frozenset[str] | None:
        """The files git keeps; None for a copy without git, where what lies there came with it."""
        return committed(self.project.root)

    def _are_together(self, flow: Flow) -> bool:
        """Whether both programs are of one project: ``/data`` in two containers is not one directory."""
        places = self.project[Workplaces]
        one, other = (places.project_of(end.definition.module.path) for end in (flow.writer, flow.reader))
        return one == other or not one or not other

    def _is_collection(self, entry: Entry) -> bool:
        """Whether an entry is one of very many in its directory: programs of different people, not one's steps."""
        return self._beside[posixpath.dirname(entry.definition.module.path)] > _COLLECTION

    @cached_property
    def _beside(self) -> Counter[str]:
        paths = {entry.definition.module.path for entry in self.project.entries}
        return Counter(posixpath.dirname(path) for path in paths)

    def _writes(self, entry: Entry, flow: Flow) -> bool:
        """Whether the reader makes the artefact itself: a cache, or a file it works on."""
        return any(
            matches(access.node, flow.read.node)
            and any(one.definition.name == entry.definition.name for one in self._graph.entries(access))
            for access in self._written
        )

    @cached_property
    def _written(self) -> tuple[Access, ...]:
        return tuple(access for node in self._graph.run.values() for access in node.writes)

    def _orchestrated(self, flow: Flow) -> bool:
        orders = self.project[Orderings]
        if orders.is_orchestrated(flow.writer) or orders.is_orchestrated(flow.reader):
            return True
        if orders.is_declared(flow.writer, flow.reader):
            return True
        return any(True for _ in orders.orchestrators(flow.write.definition, flow.read.definition))


def _is_intermediate(pattern: str) -> bool:
    """Whether a path may be a step between two programs, by its name."""
    if pattern.startswith("*") or _ASIDE.search(pattern) or _ABOUT.search(pattern):
        return False
    return _says_enough(pattern)


def _is_placeholder(flow: Flow) -> bool:
    """Whether all that two programs share is the bare name of a directory: a default that both happen to have."""
    ends = flow.write, flow.read
    if any(_STAND_IN.search(end.node) for end in ends):
        return True
    if any(end.form != DIRECTORY and posixpath.splitext(end.node)[1] for end in ends):
        return False
    return any("/" not in end.node.strip("/") for end in ends)


def _is_elsewhere(pattern: str) -> bool:
    return pattern.startswith(("/", "~")) or pattern[1:3] == ":/"


def _says_enough(pattern: str) -> bool:
    """Whether a pattern with holes names more than a directory everybody has: ``data/*.csv`` does not."""
    if "*" not in pattern:
        return True
    folder, _, name = pattern.rpartition("/")
    if name == "*":
        return False
    stem = name.rpartition(".")[0] or name
    if _NAMED.search(stem.replace("*", "/")):
        return True
    last = folder.rpartition("/")[2]
    return "*" not in folder and last not in _GENERIC and bool(_NAMED.search(last))
