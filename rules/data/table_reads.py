"""Calls that read tables: which, with what options, and who runs them (MLD610, MLD612)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Expr
from mldebt.finding import Place
from mldebt.rule import Analysis

from ..glue.reach import Reach  # noqa: TID252 - installed under another name

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.entries import Entry

FILES = frozenset(
    f"{library}.read_{form}"
    for library in ("pandas", "polars", "dask.dataframe", "modin.pandas", "cudf")
    for form in ("csv", "table", "excel", "json", "fwf", "ndjson", "parquet", "feather", "ipc", "orc")
)
QUERIES = frozenset({"pandas.read_sql", "pandas.read_sql_query", "pandas.read_sql_table", "pandas.read_gbq"})
OTHERS = frozenset({"pandas.json_normalize"})
_UNTYPED = frozenset({"csv", "table", "excel", "json", "fwf", "ndjson"})
_RUNS = frozenset({"train", "tune", "serve", "predict"})


class TableRead(Struct, frozen=True, eq=False):
    """A call that reads a table. ``name`` is the linked name of what is called."""

    name: str
    module: Module
    site: CallSite

    @property
    def place(self) -> Place:
        return self.module.place(self.site)

    @property
    def path(self) -> Expr | None:
        """The expression of what is read; None when it is not given, or through ``*args``."""
        for name in ("filepath_or_buffer", "io", "path_or_buf", "path", "source", "sql", "data"):
            given = argument(self.site.call, name, 0)
            if given is not None:
                return None if given is UNKNOWN else given
        return None

    @property
    def is_untyped(self) -> bool:
        """Whether the file does not say itself what types its columns have."""
        return self.name.rpartition("_")[2] in _UNTYPED

    @property
    def options(self) -> Mapping[str, Expr] | None:
        """The options it states; None when ``**options`` may state more."""
        keywords = self.site.call.keywords
        if any(one.name is None for one in keywords):
            return None
        return {one.name: one.value for one in keywords if one.name is not None}


class TableReads(Analysis):
    """All of a project's own files, tests left out."""

    @cached_property
    def all(self) -> tuple[TableRead, ...]:
        return tuple(self._found())

    def _found(self) -> Iterator[TableRead]:
        names = FILES | QUERIES | OTHERS
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for name, site in module.calls_of(names):
                    yield TableRead(name, module, site)

    def entries(self, read: TableRead) -> tuple[Entry, ...]:
        """The programs that train, answer or predict and run the read."""
        found = self.project[Reach].entries(read.module, read.site.scope, read.site.statement)
        return tuple(entry for entry in found if self.project.roles(entry) & _RUNS)
