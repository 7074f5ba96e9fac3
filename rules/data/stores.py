"""Stores that rows pass through: files of the artefact graph, tables of databases, collections and mapped classes.

``project[Stores].is_read(module, scope, call)`` says whether a call reads one; ``written(start)`` gives, for a value
that starts there, the values that were put in.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Set
from functools import cached_property

from mldebt_rules.glue.accesses import TABLE
from mldebt_rules.glue.artefacts import Access, Artefacts
from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Build, Call, Expr, Ref, Subscript
from mldebt.finding import Place
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from . import queries
from .mutations import called, owner
from .provenance import Keys, Start
from .stored_values import stored

_EXECUTES = frozenset({"execute", "executemany", "read_sql", "read_sql_query", "query", "sql", "mogrify", "fetch_all"})
_READERS = frozenset({"execute", "read_sql", "read_sql_query", "query", "sql", "fetch_all"})
_INSERTS = frozenset({"insert_one", "insert_many", "insert", "bulk_write"})
_FINDS = frozenset({"find", "find_one", "aggregate"})
_ADDS = frozenset({"add", "add_all", "bulk_save_objects", "merge"})
_SELECTS = frozenset({"query", "select", "scalars"})
_COLLECTIONS = frozenset({"pymongo", "motor", "tinydb", "mongoengine"})
_COLLECTION = 150  # programs in one directory
_PARTS = frozenset({"train", "test", "validation"})  # what ``datasets`` gives a file's rows as
_TABLES = frozenset({"to_sql", "read_sql_table", "saveAsTable", "insertInto", "table"})


class Put(Struct, frozen=True, eq=False):
    """A value that goes into a store.

    Args:
        store: How the store is called: a path, ``table predictions``.
        place: The call that writes it.
        value: What is written.
        keys: What of ``value`` is read again.
        users: Calls (``id``) that lead to the writing, where it stands in a function many use.
    """

    store: str
    module: Module
    scope: int
    place: Place
    value: Expr
    keys: Keys
    users: frozenset[int] = frozenset()


class _Event(Struct, frozen=True, eq=False):
    """A call that writes to a named store: values by column, or one value that holds them."""

    module: Module
    scope: int
    call: Call
    columns: tuple[tuple[str, Expr], ...]
    whole: Expr | None = None


class Stores(Analysis):
    """The stores of a project."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._graph = project[Artefacts]

    def is_read(self, module: Module, scope: int, call: Call) -> bool:
        return (module.path, call.line, call.column) in self._read_places or bool(self._named_read(module, scope, call))

    def written(self, start: Start) -> Iterator[Put]:
        """What was written to the store a value is read from."""
        seen: set[tuple[str, int, int]] = set()
        for write in self._file_writes(start):
            raw = write.via or write.place
            key = (raw.path, raw.span.line, raw.span.column)
            if key not in seen:
                seen.add(key)
                yield from self._put(write, start)
        name = self._named_read(start.module, start.scope, start.call)
        text = self._sql(start.module, start.scope, start.call)
        for event in self._events.get(name, ()) if name else ():
            yield from self._from_event(event, name, self._sql_keys(text, start.keys) if text else start.keys)

    def readers(self, writers: Set[str]) -> frozenset[str]:
        """Files that may read what one of these files writes."""
        found: set[str] = set()
        for write, read in self._file_links:
            if write.definition.module.path in writers or (write.via or write.place).path in writers:
                found |= {read.definition.module.path, (read.via or read.place).path}
        if self._events:
            words = _READERS | _FINDS | _SELECTS | _TABLES
            found |= {path for path, module in self.project.modules.items() if not module.mentions.isdisjoint(words)}
        return frozenset(found)

    @cached_property
    def _file_links(self) -> list[tuple[Access, Access]]:
        """Writes and reads of one artefact, but for those of different people's programs in one collection."""
        directories = Counter(posixpath.dirname(entry.definition.module.path) for entry in self.project.entries)
        found = []
        for write, read, _ in self._graph.links:
            one, other = write.definition.module.path, read.definition.module.path
            directory = posixpath.dirname(one)
            if one == other or directories[directory] <= _COLLECTION or directory != posixpath.dirname(other):
                found.append((write, read))
        return found

    # Files.

    @cached_property
    def _read_places(self) -> frozenset[tuple[str, int, int]]:
        """Where files and tables are read: path, line and byte column of the call."""
        return frozenset(
            (module.path, call.line, call.column)
            for node in self._graph.run.values()
            for access in node.reads
            for module, call in [self._raw(access)]
            if call is not None
        )

    def _raw(self, access: Access) -> tuple[Module, Call | None]:
        """The call that touches the artefact."""
        if access.via is None:
            return access.bound.module, access.bound.call
        module = self.project.modules[access.via.path]
        return module, self._call_at(module, access.via)[1]

    @staticmethod
    def _call_at(module: Module, place: Place) -> tuple[int, Call | None]:
        scope = module.scope_at(place.span.line)
        for index in (scope, *range(len(module.facts.scopes))):
            for site in module.call_sites(index):
                if site.call.line == place.span.line and module.span(site.call) == place.span:
                    return index, site.call
        return scope, None

    @cached_property
    def _links(self) -> dict[tuple[str, int, int], list[tuple[Access, Access]]]:
        found: dict[tuple[str, int, int], list[tuple[Access, Access]]] = {}
        for write, read in self._file_links:
            if {write.kind, read.kind} & {"figure", "log"} and write.node != read.node:
                continue
            module, call = self._raw(read)
            if call is not None:
                found.setdefault((module.path, call.line, call.column), []).append((write, read))
        return found

    def links(self, module: Module, call: Call) -> list[tuple[Access, Access]]:
        """The writings of what a call reads."""
        return self._links.get((module.path, call.line, call.column), [])

    def _file_writes(self, start: Start) -> Iterator[Access]:
        calls = {id(step.call) for step in start.stack} | {id(start.call)}
        pairs = self._links.get((start.module.path, start.call.line, start.call.column), [])
        inner = [pair for pair in pairs if id(pair[1].bound.call) in calls]
        for write, _ in inner or pairs:
            yield write

    def _put(self, write: Access, start: Start) -> Iterator[Put]:
        keys = self._read_keys(start, write)
        for put, columns in self._stored(write):
            taken = keys
            if columns and keys and keys[0] in columns:
                taken = (columns.index(str(keys[0])), *keys[1:])
            yield Put(put.store, put.module, put.scope, put.place, put.value, taken, put.users)

    def puts(self, write: Access) -> Iterator[Put]:
        """The values a writing writes."""
        for put, _ in self._stored(write):
            yield put

    def _stored(self, write: Access) -> Iterator[tuple[Put, tuple[str, ...]]]:
        if write.via is None:
            module, scope, call = write.bound.module, write.bound.scope, write.bound.call
        else:
            module = self.project.modules[write.via.path]
            scope, found = self._call_at(module, write.via)
            if found is None:
                return
            call = found
        path = next((arg for arg in call.args if self._is_path(module, scope, arg)), None)
        store = f"table {write.node}" if write.form == TABLE else write.node
        users = frozenset({id(write.bound.call)})
        for one in stored(module, scope, call, path):
            yield Put(store, module, scope, module.place(call), one.value, (), users), one.columns

    @staticmethod
    def _is_path(module: Module, scope: int, arg: Expr) -> bool:
        value = module.constant(scope, arg)
        return isinstance(value, str)

    @staticmethod
    def _read_keys(start: Start, write: Access) -> Keys:
        """What is read, in the terms of what was written: names a reader gives to columns become their numbers."""
        loads = called(start.module, start.scope, start.call.function) in ("load_dataset", "load_from_disk")
        if loads and start.keys and start.keys[0] in _PARTS:
            return start.keys[1:]
        names = argument(start.call, "names")
        if names is None or names is UNKNOWN or not start.keys or write.api.startswith("to_"):
            return start.keys
        value = start.module.constant(start.scope, names)
        if isinstance(value, (list, tuple)) and start.keys[0] in value:
            return (value.index(start.keys[0]), *start.keys[1:])
        return start.keys

    # Databases.

    def _sql(self, module: Module, scope: int, call: Call) -> str:
        """The constant text of a query."""
        if called(module, scope, call.function) not in _EXECUTES:
            return ""
        given: Expr | None = call.args[0] if call.args else None
        for name in ("sql", "query") if given is None else ():
            found = argument(call, name)
            given = None if found is UNKNOWN else found
        return queries.text_of(module, scope, given)

    def _named_read(self, module: Module, scope: int, call: Call) -> str:
        """The store of a call that reads a table, a collection or a mapped class; "" for any other call."""
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return ""
        last = called(module, scope, function)
        if last in _READERS:
            text = self._sql(module, scope, call)
            tables = queries.read(text)[0] if text else ()
            if tables:
                return f"table {tables[0]}"
        if last in ("read_sql_table", "table", "read_sql") and call.args:
            value = module.constant(scope, call.args[0])
            if isinstance(value, str) and " " not in value:
                return f"table {queries.bare(value)}"
        if last in _SELECTS and call.args:
            mapped = self._mapped(module, scope, call.args[0])
            if mapped:
                return mapped
        if last in _FINDS:
            return self._collection(module, scope, function)
        return ""

    def _mapped(self, module: Module, scope: int, expr: Expr) -> str:
        """``class Name`` for a class of the project that an object-relational mapper keeps."""
        if not isinstance(expr, Ref):
            return ""
        for name in module.names(scope, Ref(expr.name.partition(".")[0], expr.line, expr.column)):
            definition = self.project.definition(name) if ":" in name else None
            if definition is not None and definition.is_class and "__tablename__" in definition.scope.bindings:
                return f"class {definition.scope.name}"
        return ""

    def _collection(self, module: Module, scope: int, function: Expr) -> str:
        """``collection predictions`` of ``db["predictions"].find``, ``db.predictions.find`` and a name for either."""
        held = owner(function)
        if isinstance(held, Ref) and "." not in held.name:
            origins = self.project.flow(module.definition(scope)).origins(held)
            if not origins and scope:
                origins = self.project.flow(module.definition(0)).definitions(held.name)
            held = origins[0].value if len(origins) == 1 else None
        if isinstance(held, Subscript):
            value = module.constant(scope, held.index)
            return f"collection {value}" if isinstance(value, str) else ""
        if isinstance(held, Ref) and "." in held.name and not held.name.startswith("self."):
            return f"collection {held.name.rpartition('.')[2]}"
        return ""

    @cached_property
    def _events(self) -> dict[str, list[_Event]]:
        """Writes to named stores, by store."""
        found: dict[str, list[_Event]] = {}
        for module in self.project.modules.values():
            words = self._writing(module)
            for scope in module.scopes_using(words) if words else ():
                for site in module.call_sites(scope):
                    if last_segment(site.call.function) in words:
                        for name, event in self._write_events(module, scope, site.call):
                            found.setdefault(name, []).append(event)
        return found

    def _writing(self, module: Module) -> frozenset[str]:
        """The methods by which a file may write to a named store."""
        if module.role != "project" or module.is_test:
            return frozenset()
        words = frozenset({"execute", "executemany", "to_sql", "saveAsTable", "insertInto"})
        if not module.mentions.isdisjoint(self._mapped_names):
            words |= _ADDS
        if self._has_collections:
            words |= _INSERTS
        return words & module.mentions

    @cached_property
    def _mapped_names(self) -> frozenset[str]:
        """The names of classes an object-relational mapper keeps."""
        return self.project.spellings(
            frozenset(
                module.definition(index).name
                for module in self.project.modules.values()
                if "__tablename__" in module.mentions
                for index, scope in enumerate(module.facts.scopes)
                if "__tablename__" in scope.bindings
            )
        )

    @cached_property
    def _has_collections(self) -> bool:
        modules = self.project.modules.values()
        return any(fact.module.partition(".")[0] in _COLLECTIONS for module in modules for fact in module.facts.imports)

    def _write_events(self, module: Module, scope: int, call: Call) -> Iterator[tuple[str, _Event]]:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return
        last = called(module, scope, function)
        if last in _EXECUTES:
            found = queries.written(self._sql(module, scope, call))
            if found is not None and len(call.args) > 1:
                yield f"table {found.table}", self._inserted(module, scope, call, found)
        elif last in _INSERTS and call.args:
            name = self._collection(module, scope, function)
            if name:
                yield name, _Event(module, scope, call, (), call.args[0])
        elif last in ("to_sql", "saveAsTable", "insertInto") and call.args:
            value, held = module.constant(scope, call.args[0]), owner(function)
            if isinstance(value, str) and held is not None:
                yield f"table {queries.bare(value)}", _Event(module, scope, call, (), held)
        elif last in _ADDS and call.args:
            for made in self._made(module, scope, call.args[0]):
                name = self._mapped(module, scope, made.function)
                if name:
                    columns = tuple((one.name, one.value) for one in made.keywords if one.name)
                    yield name, _Event(module, scope, call, columns)

    def _made(self, module: Module, scope: int, expr: Expr) -> Iterator[Call]:
        """The constructor calls a value stands for."""
        if isinstance(expr, Call):
            yield expr
        elif isinstance(expr, Ref):
            for origin in self.project.flow(module.definition(scope)).origins(expr):
                if isinstance(origin.value, Call) and not origin.path:
                    yield origin.value

    @staticmethod
    def _inserted(module: Module, scope: int, call: Call, found: queries.Written) -> _Event:
        values = call.args[1]
        if (
            isinstance(values, Build)
            and values.kind in ("tuple", "list")
            and len(values.items) >= len(found.columns) > 0
        ):
            return _Event(module, scope, call, tuple(zip(found.columns, values.items, strict=False)))
        return _Event(module, scope, call, tuple((name, values) for name in found.columns[:0]), values)

    def _sql_keys(self, text: str, keys: Keys) -> Keys:
        """Column numbers of a query as names, and names as they are in the table."""
        columns = queries.read(text)[1]
        for at, key in enumerate(keys):
            if isinstance(key, int) and 0 <= key < len(columns):
                return (columns[key], *keys[at + 1 :])
            if isinstance(key, str):
                return (queries.source(text, key), *keys[at + 1 :])
        return keys

    @staticmethod
    def _from_event(event: _Event, name: str, keys: Keys) -> Iterator[Put]:
        place = event.module.place(event.call)
        column = next((key for key in keys if isinstance(key, str)), None)
        for written, value in event.columns:
            if column is None or written == column:
                yield Put(name, event.module, event.scope, place, value, ())
        if event.whole is not None:
            yield Put(name, event.module, event.scope, place, event.whole, (column,) if column else ())
