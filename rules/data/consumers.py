"""Artefacts that pass from one owner's code to another's with nothing that both agree on (MLD607)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from mldebt_rules.glue.accesses import TABLE
from mldebt_rules.glue.artefacts import Access, Artefacts, Flow
from mldebt_rules.glue.orderings import Orderings
from msgspec import Struct

from mldebt.facts.schema import CLASS, Call, Ref
from mldebt.finding import Confidence
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .models import Models
from .owners import Owners, Part
from .provenance import Provenance
from .stores import Stores

_ASIDE = re.compile(
    r"(?:^|/)(?:te?mp|scratch|\.cache)/|(?:^|[/_.-])(?:logs?|fig(?:ure)?s?|plots?|debug)(?=[/_.-]|$)", re.IGNORECASE
)
_CONTRACT = re.compile(r"schema|contract|catalog|registry|interface|proto|datasets?_def|feature_?store", re.IGNORECASE)
_SETTINGS = re.compile(r"(?:^|/)(?:__init__|paths?|settings?|config|constants?|consts?|env|locations?)\.py$")
_MODELS = ("pydantic.", "pandera.", "typing.TypedDict", "typing.NamedTuple", "typing_extensions.TypedDict", "sqlmodel.")
_SCHEMAS = frozenset(
    "DataFrameSchema Schema schema StructType dataclass BaseModel DataFrameModel SchemaModel Contract".split()
)


class Handover(Struct, frozen=True, eq=False):
    """``writer`` owns what writes an artefact, ``reader`` what reads it. ``predicted``: a model's output is in it."""

    write: Access
    read: Access
    writer: Part
    reader: Part
    predicted: bool


class Consumers(Analysis):
    """Finds the hand-overs nothing declares."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._graph = project[Artefacts]
        self._owners = project[Owners]

    @cached_property
    def undeclared(self) -> tuple[Handover, ...]:
        """One for an artefact and a pair of owners, in the order of artefacts."""
        if not self._are_several:
            return ()
        found: dict[tuple[str, Part, Part], Handover] = {}
        for write, read, confidence in self._graph.links:
            ends = self._ends(write, read, confidence)
            if ends is not None and (write.node, *ends) not in found and not self._is_agreed(write, read):
                found[write.node, ends[0], ends[1]] = Handover(write, read, *ends, self._is_predicted(write))
        return tuple(found[key] for key in sorted(found))

    @property
    def _are_several(self) -> bool:
        parts = {self._owners.part(module) for module in self.project.modules.values() if module.role == "project"}
        return len(parts - {None}) > 1

    def _ends(self, write: Access, read: Access, confidence: Confidence) -> tuple[Part, Part] | None:
        """The owners of both ends, where they differ and the artefact is one that counts."""
        one, other = write.definition.module, read.definition.module
        if one.is_test or other.is_test or one.is_example or other.is_example:
            return None
        kinds = {"data", "model"} if self._owners.stated else {"data"}
        if not {write.kind, read.kind} <= kinds or "*" in write.node.rpartition("/")[2]:
            return None
        if confidence is not Confidence.HIGH and write.node != read.node:
            return None
        if write.form != TABLE and _ASIDE.search(write.node):
            return None
        writer, reader = self._owners.part(one), self._owners.part(other)
        if writer is None or reader is None or writer == reader or self._also_writes(reader, write.node):
            return None
        return writer, reader

    def _also_writes(self, reader: Part, node: str) -> bool:
        """Whether the reader's own code writes the artefact too: then it is as much theirs."""
        return any(self._owners.part(one.definition.module) == reader for one in self._graph.run[node].writes)

    # What both agree on.

    def _is_agreed(self, write: Access, read: Access) -> bool:
        one, other = write.definition.module, read.definition.module
        if self._graph.declared(write.node) or self._graph.declared(read.node) or self._is_listed(write, read):
            return True
        if self._is_orchestrated(write, read):
            return True
        writer, reader = self._owners.part(one), self._owners.part(other)
        if self._imports(writer, reader) or self._imports(reader, writer):
            return True
        if write.via is not None and read.via is not None and write.via.path == read.via.path:
            return True
        return any(
            self._is_contract(path) for path in self.project.imports.closure(one) & self.project.imports.closure(other)
        )

    def _is_listed(self, write: Access, read: Access) -> bool:
        """Whether a catalogue, or a configuration file of neither part alone, names the artefact."""
        names = {write.node, read.node}
        ends = {self._owners.part(access.definition.module) for access in (write, read)}
        return any(
            isinstance(leaf.value, str) and leaf.value.removeprefix("./") in names
            for file in self.project.repository.configs
            if _CONTRACT.search(file.path) or self._owners.of(file.path) not in ends
            for leaf in file.leaves
        )

    def _is_orchestrated(self, write: Access, read: Access) -> bool:
        orders = self.project[Orderings]
        if any(True for _ in orders.orchestrators(write.definition, read.definition)):
            return True
        return any(
            orders.is_orchestrated(flow.writer) or orders.is_declared(flow.writer, flow.reader)
            for flow in self._flows
            if flow.write is write and flow.read is read
        )

    @cached_property
    def _flows(self) -> tuple[Flow, ...]:
        flows: tuple[Flow, ...] = self._graph.flows
        return flows

    def _imports(self, importer: Part | None, imported: Part | None) -> bool:
        """Whether any file of one part imports one of the other."""
        return (importer, imported) in self._edges

    @cached_property
    def _edges(self) -> frozenset[tuple[Part | None, Part | None]]:
        return frozenset(
            (self._owners.part(module), self._owners.part(self.project.modules[path]))
            for module in self.project.modules.values()
            if module.role == "project" and not module.is_test
            for path in self.project.imports.imported(module)
        )

    def _is_contract(self, path: str) -> bool:
        """Whether a file says what an artefact holds: a schema, a record class, or a module that is called one."""
        if _CONTRACT.search(path):
            return True
        module = self.project.modules[path]
        if _SETTINGS.search(path) and module.mentions.isdisjoint(_SCHEMAS):
            return False
        for scope in module.facts.scopes:
            if scope.kind == CLASS:
                decorated = any(_last(one) in ("dataclass", "define", "attrs", "s") for one in scope.decorators)
                if decorated or any(self._is_model(module, base) for base in scope.bases):
                    return True
        return not module.mentions.isdisjoint({"DataFrameSchema", "StructType", "DataFrameModel"})

    @staticmethod
    def _is_model(module: Module, base: object) -> bool:
        return isinstance(base, Ref) and any(name.startswith(_MODELS) for name in module.names(0, base))

    def _is_predicted(self, write: Access) -> bool:
        """Whether a model's output is in the artefact."""

        def stop(module: Module, scope: int, call: Call) -> str:
            return "predict" if self.project[Models].is_prediction(module, scope, call) else ""

        provenance = self.project[Provenance]
        return any(self._predictions(provenance, write, stop))

    def _predictions(self, provenance: Provenance, write: Access, stop) -> Iterator[bool]:  # type: ignore[no-untyped-def]
        for put in self.project[Stores].puts(write):
            for start in provenance.of(put.module, put.scope, put.value, stop, (), put.users):
                yield start.kind == "predict"


def _last(decorator: object) -> str:
    named = decorator.function if isinstance(decorator, Call) else decorator
    return named.name.rpartition(".")[2] if isinstance(named, Ref) else ""
