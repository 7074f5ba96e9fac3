"""Programs that fit or predict on tables from elsewhere which nothing checks (MLD612)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import Assert, Attribute, Call, Expr, If, Raise, Ref, Return, Stmt, Try
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from ..glue.artefacts import Artefacts  # noqa: TID252 - installed under another name
from ..glue.reach import Reach  # noqa: TID252 - installed under another name
from ..glue.teaching import Teaching  # noqa: TID252 - installed under another name
from .table_reads import FILES, QUERIES, TableRead, TableReads

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry

_LIBRARIES = frozenset(
    """pandera great_expectations tensorflow_data_validation deepchecks evidently pydantic cerberus frictionless
    jsonschema marshmallow whylogs dataenforce pointblank patito soda voluptuous typeguard schema attrs_strict
    ydata_profiling""".split()
)
_CHECKS = re.compile(
    r"valid|verif|(^|_)check|assert|schema|expect|sanity|quality|ensure|conform|integrity", re.IGNORECASE
)
_TOYS = re.compile(
    r"(^|[/_-])(iris|titanic|mnist|diamonds|penguins|boston|wine|tips|mpg|adult|digits|housing|planets|exercise|"
    r"flights|heart|diabetes|breast[_-]?cancer)", re.IGNORECASE,
)  # fmt: skip
# Where projects keep what they made themselves, and what a competition hands out.
_OWN = re.compile(r"(^|/)(\w*processed|interim|clean(ed)?|features?|outputs?|artifacts?|splits?|cache|tmp|input)/")
_KEPT = re.compile(
    r"://(raw\.githubusercontent\.com|github\.com|gitlab\.com|bitbucket\.org|gist\.\w+\.com|huggingface\.co)/"
)
_SHOWN = frozenset("info describe isna isnull value_counts nunique dtypes ProfileReport msno".split())
_TABLES = frozenset(
    {"pandas.DataFrame", "pandas.DataFrame.from_records", "pandas.DataFrame.from_dict", "polars.DataFrame"}
)
_NORMALISE = "pandas.json_normalize"
_CLIENTS = frozenset({"requests", "httpx", "aiohttp", "urllib3", "flask", "fastapi", "starlette", "quart", "sanic"})
_STRONG = frozenset("columns isnull isna notnull notna issubset duplicated nunique dtypes isfinite isnan".split())
_LOOKS = frozenset(
    """columns isnull isna notnull notna empty shape len duplicated between isin min max any all dtypes dtype nunique
    is_unique issubset difference is_monotonic_increasing keys set""".split()
)


class Ingest(Struct, frozen=True):
    """A read, and the programs that work with what it gives."""

    read: TableRead
    entries: tuple[Entry, ...]


class Ingests(Analysis):
    """All unchecked ones of a project, in the order of places."""

    @cached_property
    def all(self) -> tuple[Ingest, ...]:
        found: dict[str, Ingest] = {}
        reads = self.project[TableReads]
        for read in reads.all:
            in_notebook = read.module.path.endswith(".ipynb")
            if (in_notebook and not self._is_foreign(read)) or not self._is_external(read):
                continue
            for entry in reads.entries(read):
                notebook = entry.kind == "notebook"
                if notebook is not in_notebook or entry.name in found or self._is_checked(entry):
                    continue
                if (read.name != _NORMALISE or self._asks(entry)) and not (notebook and self._is_looked_at(read)):
                    found[entry.name] = Ingest(read, (entry,))
        for read in self._payloads():
            for entry in reads.entries(read):
                if entry.name not in found and self._asks(entry) and not self._is_checked(entry):
                    found[entry.name] = Ingest(read, (entry,))
        by_read: dict[tuple[str, int], Ingest] = {}
        for ingest in found.values():
            key = ingest.read.module.path, ingest.read.site.call.line
            held = by_read.get(key)
            by_read[key] = Ingest(ingest.read, (*held.entries, *ingest.entries)) if held else ingest
        return tuple(by_read[key] for key in sorted(by_read))

    def _payloads(self) -> Iterator[TableRead]:
        """Tables made of what a service answers or is sent: ``DataFrame(request.get_json())``."""
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test and not module.path.endswith(".ipynb"):
                for name, site in module.calls_of(_TABLES):
                    read = TableRead(name, module, site)
                    if read.path is not None and self._is_payload(module, site.scope, read.path):
                        yield read

    def _is_payload(self, module: Module, scope: int, expr: Expr, depth: int = 3) -> bool:
        flow = self.project.flow(module.definition(scope))
        for node in walk(expr):
            if _is_body(node):
                return not _is_guarded(module, scope)
            for origin in flow.origins(node) if isinstance(node, Ref) and "." not in node.name and depth else ():
                value = origin.value if origin.kind == "assign" else None
                if value is not None and self._is_payload(module, scope, value, depth - 1):
                    return True
        return False

    def _is_foreign(self, read: TableRead) -> bool:
        """Whether a notebook asks a database or an address for its table; files it names lie where somebody put them.

        A lesson's is the same for all who follow it, and so is a file of a repository.
        """
        if read.name in QUERIES and "sqlite3" in read.module.mentions:
            return False  # a file as well
        if read.name not in QUERIES:
            value = read.module.constant(read.site.scope, read.path) if read.path is not None else None
            if not isinstance(value, str) or "://" not in value or _KEPT.search(value):
                return False
        teaching = self.project[Teaching]
        shows = read.module.is_example or self.project.library
        return not (shows or teaching.is_exercise(read.module) or teaching.is_course(read.module))

    @staticmethod
    def _is_looked_at(read: TableRead) -> bool:
        """Whether whoever runs the notebook is shown what is missing, or the ranges."""
        return not read.module.mentions.isdisjoint(_SHOWN)

    def _is_external(self, read: TableRead) -> bool:
        """Whether the table comes from outside: no file of the repository's, no output of the project's own."""
        if read.path is None:
            return False
        value = read.module.constant(read.site.scope, read.path)
        if isinstance(value, str) and read.name in FILES and ("://" not in value or _TOYS.search(value)):
            return False  # a fixed local file, as it was when somebody put it there
        place = read.place
        for pattern, written in self._nodes.get((place.path, place.span.line, place.span.column), []):
            if written or self._is_committed(pattern) or _TOYS.search(pattern) or _OWN.search(pattern):
                return False
        return True

    def _is_committed(self, pattern: str) -> bool:
        return pattern in self.project.every

    @cached_property
    def _nodes(self) -> dict[tuple[str, int, int], list[tuple[str, bool]]]:
        """The artefacts of a read, by its place, and whether the project writes them."""
        found: dict[tuple[str, int, int], list[tuple[str, bool]]] = {}
        graph = self.project[Artefacts]
        written = {pattern.rpartition("/")[2] for pattern, node in graph.nodes.items() if node.writes}
        linked = {read.node for _, read, _ in graph.links}
        for pattern, node in graph.nodes.items():
            own = bool(node.writes) or pattern in linked or pattern.rpartition("/")[2] in written
            for access in node.reads:
                place = access.via or access.place
                key = place.path, place.span.line, place.span.column
                found.setdefault(key, []).append((pattern, own))
        return found

    def _asks(self, entry: Entry) -> bool:
        """Whether a program asks a service for what it puts into a table."""
        heads = {fact.module.partition(".")[0] for one in self._definitions(entry) for fact in one.module.facts.imports}
        return not heads.isdisjoint(_CLIENTS)

    # Checks.

    def _is_checked(self, entry: Entry) -> bool:
        known = self._known.get(entry.definition.name)
        if known is None:
            known = self._known[entry.definition.name] = any(map(self._checks, self._definitions(entry)))
        return known

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    def _definitions(self, entry: Entry) -> Iterator[Definition]:
        for name in sorted(self.project[Reach].of(entry)):
            definition = self.project.definition(name)
            if definition is not None:
                yield definition

    def _checks(self, definition: Definition) -> bool:
        """Whether a function looks at the data it has before it goes on."""
        module: Module = definition.module
        if definition.is_module and _imports(module):
            return True
        if definition.is_function and _CHECKS.search(definition.scope.name):
            return True
        if any(_CHECKS.search(word) for word in module.segments(definition.index) if not word.startswith("cross_val")):
            return True
        looks = not _STRONG.isdisjoint(module.segments(definition.index))
        return any(_looks(stmt, looks) for stmt in statements(module.body(definition.index)))


def _imports(module: Module) -> bool:
    return any(fact.module.partition(".")[0] in _LIBRARIES for fact in module.facts.imports if not fact.level)


def _looks(stmt: Stmt, near: bool) -> bool:
    """``assert``, or ``raise`` behind a look at columns, sizes, ranges or missing values. ``near``: in its function."""
    if isinstance(stmt, Assert):
        return True
    if not isinstance(stmt, If):
        return False
    if not any(isinstance(one, Raise) or _exits(one) for one in (*statements(stmt.body), *statements(stmt.orelse))):
        return False
    names = {node.name.rpartition(".")[2] for node in _nodes(stmt) if isinstance(node, (Ref, Attribute))}
    return near or not names.isdisjoint(_LOOKS)


def _is_body(node: Expr) -> bool:
    """``response.json()``, ``request.get_json()`` or ``request.json``."""
    if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
        return node.function.name.rpartition(".")[2] in ("json", "get_json")
    return isinstance(node, Ref) and node.name == "request.json"


def _is_guarded(module: Module, scope: int) -> bool:
    """Whether a function turns away some of what it is sent."""
    found = list(statements(module.body(scope)))
    turns = (Raise, Return) if scope else (Raise,)
    return any(
        isinstance(stmt, Try)
        or (isinstance(stmt, If) and any(isinstance(one, turns) or _exits(one) for one in statements(stmt.body)))
        for stmt in found
    )


def _exits(stmt: Stmt) -> bool:
    called = [node.function for node in _nodes(stmt) if isinstance(node, Call)]
    return any(isinstance(one, Ref) and one.name.rpartition(".")[2] in ("exit", "abort") for one in called)


def _nodes(stmt: Stmt) -> Iterator[Expr]:
    for expr in expressions(stmt):
        yield from walk(expr)
