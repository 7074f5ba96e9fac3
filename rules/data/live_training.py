"""Which fits learn from a live source that nothing keeps a copy of (MLD605)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from mldebt_rules.glue.accesses import WRITE
from mldebt_rules.glue.artefacts import Access, Artefacts
from mldebt_rules.glue.reach import Reach
from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Call
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .learning import Learning, Learnings
from .live_sources import LiveSources, Source
from .provenance import Provenance, Start
from .stores import Stores
from .together import together

_LIVE, _READ = "live", "read"
# What keeps a copy, or a version, of the data a run used.
_KEEPS = frozenset(
    """log_input log_artifact log_artifacts log_table Artifact versionAsOf timestampAsOf lakefs lakefs_client
    lakefs_sdk dvc log_dataset create_snapshot copy_expert unload UNLOAD save_snapshot write_snapshot
    to_snapshot""".split()
)


class LiveFit(Struct, frozen=True, eq=False):
    """A fit, and the call that reads its data from a live source."""

    learning: Learning
    start: Start
    source: Source


class LiveTraining(Analysis):
    """Finds them."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._provenance = project[Provenance]

    @cached_property
    def all(self) -> tuple[LiveFit, ...]:
        live = frozenset(path for path, module in self.project.modules.items() if self._reads_live(module))
        return tuple(self._found(together(self.project, live))) if live else ()

    def _reads_live(self, module: Module) -> bool:
        sources = self.project[LiveSources]
        words = sources.spellings
        if module.role != "project" or module.is_test or module.mentions.isdisjoint(words):
            return False
        heads = {fact.module.partition(".")[0] for fact in module.facts.imports}
        if heads.isdisjoint(_LIBRARIES):
            return False
        return any(
            last_segment(site.call.function) in words and sources.of(module, scope, site.call) is not None
            for scope in module.scopes_using(words)
            for site in module.call_sites(scope)
        )

    def _found(self, near: frozenset[str]) -> Iterator[LiveFit]:
        seen: set[tuple[str, int, int]] = set()
        for learning in self.project[Learnings].within(near):
            for expr, keys in ((learning.features, ()), (learning.label, learning.keys)):
                if expr is None:
                    continue
                module, scope = learning.module, learning.scope
                for start in self._provenance.of(module, scope, expr, self._stop, keys, columns=False):
                    place = (start.module.path, start.call.line, start.call.column)
                    if start.kind != _LIVE or place in seen:
                        continue
                    seen.add(place)
                    source = self.project[LiveSources].of(start.module, start.scope, start.call)
                    if source is not None and not self._is_kept(learning, start):
                        yield LiveFit(learning, start, source)

    def _stop(self, module: Module, scope: int, call: Call) -> str:
        if self.project[LiveSources].of(module, scope, call) is not None:
            return _LIVE
        return _READ if self.project[Stores].is_read(module, scope, call) else ""

    def _is_kept(self, learning: Learning, start: Start) -> bool:
        """Whether what is read is also written down, or its version is."""
        around = [learning.module, start.module, *(one.module for one in start.via)]
        if any(module.mentions & _KEEPS for module in around):
            return True
        graph = self.project[Artefacts]
        entries = {one.name for one in self.project[Reach].entries(learning.module, learning.scope)}
        for node in graph.run.values():
            for access in node.accesses:
                if access.direction != WRITE or access.kind not in ("data", "any"):
                    continue
                near = any(access.definition.module is module for module in around)
                if (near or entries & {one.name for one in graph.entries(access)}) and self._holds(access, start):
                    return True
        return False

    def _holds(self, access: Access, start: Start) -> bool:
        """Whether a writing writes what is read there."""
        for put in self.project[Stores].puts(access):
            for one in self._provenance.of(put.module, put.scope, put.value, self._stop, (), put.users):
                if one.call is start.call:
                    return True
        return False


_LIBRARIES = frozenset(
    """pandas polars pyspark psycopg psycopg2 pymysql MySQLdb mysql snowflake clickhouse_driver clickhouse_connect
    pyodbc sqlalchemy google requests httpx urllib kafka confluent_kafka aiokafka awswrangler trino databricks
    connectorx pandas_gbq""".split()
)
