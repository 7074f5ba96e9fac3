"""What scikit-learn draws at random (``sklearn.toml``), and whether one call of it does in its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.schema import Assign, Attribute, Call, Expr, If, Ref, Starred, Stmt
from mldebt.facts.walk import expressions, statements, walk
from mldebt.module import CallSite
from mldebt.rule import Analysis, Row, Table

from .callable_tables import CallableTable, CallableTables, Entry, Made, displays

if TYPE_CHECKING:
    from mldebt.finding import Place, Span
    from mldebt.module import Module
    from mldebt.project.project import Project

OWNER = "random_state"
NONE = "None"  # how the table spells None
SPLITTER, PARTIAL = "splitter", "partial"
_MANY = 5  # so many arguments by position may reach random_state in a version that still allowed it
_SEED = re.compile(r"(^|_)(seed|random_state|rng)$", re.IGNORECASE)
_VARIADIC = frozenset({"train_test_split", "shuffle", "resample"})
_ASKED_ONLY = frozenset({"get_params", "get_metadata_routing", "__class__"})

Scalar = bool | int | float | str


class SklearnRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One callable that takes ``random_state``; see the head of ``sklearn.toml``."""

    draws: str
    kind: str = "estimator"
    positions: dict[str, int] = msgspec.field(default_factory=dict)
    defaults: dict[str, Scalar] = msgspec.field(default_factory=dict)
    when: tuple[dict[str, tuple[Scalar, ...]], ...] = ()
    unless: dict[str, tuple[Scalar, ...]] = msgspec.field(default_factory=dict)
    passes: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def is_class(self) -> bool:
        return self.short[:1].isupper()


class Configured(Struct, frozen=True):
    """One call of a row's callable, with what its arguments are worth.

    Args:
        partial: It stands inside ``functools.partial``.
        table: Where the table is that the callable was looked up in: ``MODELS[name]()``.
    """

    row: SklearnRow
    module: Module
    site: CallSite
    partial: bool = False
    table: Place | None = None

    @property
    def owner(self) -> Expr | Unknown | None:
        """What is given for ``random_state``; None when nothing is, and the default is None."""
        given = self._argument(OWNER)
        if given is None and OWNER in self.row.defaults:
            return UNKNOWN  # seeded by default
        if given is None and OWNER not in self.row.positions and self.row.short not in _VARIADIC:
            args = self.site.call.args
            if len(args) >= _MANY or any(isinstance(arg, Starred) for arg in args):
                return UNKNOWN
        return given

    def draws(self) -> bool:
        """Whether it certainly draws; False also where an argument's value is not known."""
        for name, values in self.row.unless.items():
            value = self._value(name)
            if value is UNKNOWN or _is_one_of(value, values):
                return False
        return not self.row.when or any(self._holds(condition) for condition in self.row.when)

    def _holds(self, condition: Mapping[str, tuple[Scalar, ...]]) -> bool:
        return all(
            value is not UNKNOWN and _is_one_of(value, values)
            for name, values in condition.items()
            for value in (self._value(name),)
        )

    def _argument(self, name: str) -> Expr | Unknown | None:
        return argument(self.site.call, name, self.row.positions.get(name))

    def _value(self, name: str) -> Scalar | Unknown:
        given = self._argument(name)
        if given is None:
            return self.row.defaults.get(name, NONE)
        if given is UNKNOWN:
            return UNKNOWN
        built = _built(self.module, self.site.scope, given)
        if built is not None:
            names = self.module.names(self.site.scope, built.function)
            return f"call:{names[0]}" if len(names) == 1 else UNKNOWN
        constant = self.module.constant(self.site.scope, given)
        if constant is None:
            return NONE
        return constant if isinstance(constant, (bool, int, float, str)) else UNKNOWN

    # What makes its own random_state matter less.

    def is_only_asked(self) -> bool:
        """``RandomForestClassifier().get_params()``: built to be looked at, never fitted."""
        return any(
            isinstance(node, Attribute) and node.value is self.site.call and node.name in _ASKED_ONLY
            for expr in expressions(self.site.statement, self.module.facts.scopes)
            for node in walk(expr)
        )

    def is_never_read(self) -> bool:
        """``forest = RandomForestClassifier()`` and no more of it: never fitted."""
        stmt = self.site.statement
        if not self.row.is_class or not isinstance(stmt, Assign) or stmt.value is not self.site.call:
            return False
        target = stmt.targets[0]
        if len(stmt.targets) != 1 or not isinstance(target, Ref) or "." in target.name:
            return False
        if self.site.scope == 0 and self.module.project.imports.importers(self.module):
            return False
        name = target.name
        heads = {chain.partition(".")[0] for scope in self.module.facts.scopes for chain in scope.uses}
        return name not in heads and name not in (self.module.facts.exports or ())

    def is_other_way(self) -> bool:
        """``if seed is None: resample(x) else: resample(x, random_state=seed)``: somebody chose to go without."""
        return any(
            isinstance(node, Ref) and _SEED.search(node.name.rpartition(".")[2])
            for test in _tests(self.module.body(self.site.scope), self.site.statement.line)
            for node in walk(test)
        )

    def is_given_later(self) -> bool:
        """Whether what ``functools.partial`` makes of it may be given a ``random_state``, or goes out of sight."""
        stmt, module = self.site.statement, self.module
        held = module.project[CallableTables].holding(module, self.site)
        if held is not None:
            runs = self.made()
            hidden = module.project[CallableTables].uses(held[0]).hidden
            return hidden or not runs or any(argument(one.site.call, OWNER) is not None for one in runs)
        target = stmt.targets[0] if isinstance(stmt, Assign) and len(stmt.targets) == 1 else None
        if not isinstance(target, Ref) or "." in target.name:
            return True
        if any(
            target.name in module.project.modules[path].facts.mentions
            for path in module.project.imports.importers(module)
        ):
            return True
        uses = [chain for scope in module.facts.scopes for chain in scope.uses if chain == target.name]
        calls = [site.call for index in module.scopes_using({target.name}) for site in module.call_sites(index)]
        made = [call for call in calls if isinstance(call.function, Ref) and call.function.name == target.name]
        handed = any(
            isinstance(value, Ref) and value.name == target.name
            for call in calls
            for value in (*call.args, *(keyword.value for keyword in call.keywords))
        )
        return handed or not uses or not made or any(argument(call, OWNER) is not None for call in made)

    def made(self) -> tuple[Made, ...]:
        """The calls of a table's entry that is a ``functools.partial``."""
        tables = self.module.project[CallableTables]
        held = tables.holding(self.module, self.site) if self.partial else None
        if held is None:
            return ()
        table, entry = held
        return tuple(one for one in tables.uses(table).made if one.runs(entry))

    def is_part(self, rows: Mapping[str, SklearnRow]) -> bool:
        """Whether an ensemble around it sets its ``random_state`` when it is fitted."""
        return any(_is_part(one.module, one.site, rows) for one in self.made()) or _is_part(
            self.module, self.site, rows
        )


def _is_part(module: Module, site: CallSite, rows: Mapping[str, SklearnRow]) -> bool:
    """Whether what a call makes is handed to an ensemble as one of the parts it seeds."""
    call = site.call
    last = {row.short: row for row in rows.values() if row.passes}
    spellings = module.project.spellings(tuple(row.name for row in last.values()))
    for around in module.call_sites(site.scope):
        function = around.call.function
        if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in spellings:
            continue
        for name in module.names(around.scope, function):
            row = rows.get(name)
            for part in row.passes if row is not None else ():
                given = argument(around.call, part, row.positions.get(part) if row is not None else None)
                if isinstance(given, Call | Ref) and _built(module, around.scope, given) is call:
                    return True
    return False


def _tests(body: Sequence[Stmt], line: int) -> Iterator[Expr]:
    """The conditions around a line."""
    for stmt in statements(body):
        if isinstance(stmt, If) and stmt.line < line <= stmt.end_line:
            yield stmt.test


def _built(module: Module, scope: int, value: Expr) -> Call | None:
    """The call that built a value: itself, or the one assignment of its variable."""
    if isinstance(value, Call):
        return value
    if isinstance(value, Ref) and "." not in value.name:
        origins = module.project.flow(module.definition(scope)).origins(value)
        if len(origins) == 1 and origins[0].kind == "assign" and not origins[0].path:
            built = origins[0].value
            return built if isinstance(built, Call) else None
    return None


def _is_one_of(value: Scalar, values: tuple[Scalar, ...]) -> bool:
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)


_Position = tuple[int, int, int, int]
_Where = tuple[str, int, int, int, int]


class SklearnCalls(Analysis):
    """``project[SklearnCalls].at(module, span)``: calls of what the table knows, by where they are."""

    table: ClassVar[Table[SklearnRow]] = Table("sklearn.toml", "sklearn", SklearnRow)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.rows = project.rows(self.table)
        self._known: dict[str, dict[_Position, Configured]] = {}

    def of(self, module: Module) -> Iterable[Configured]:
        """The calls in a file, of names and of entries of tables."""
        known = self._known.get(module.path)
        if known is None:
            known = self._known[module.path] = dict(self._in(module))
            for one in self._looked_up.get(module.path, ()):
                known.setdefault(_position(one.site.call), one)
        return known.values()

    def at(self, module: Module, span: Span) -> Configured | None:
        """The call of ``module`` at a call's place."""
        for one in self.of(module):
            if one.site.call.line == span.line and module.span(one.site.call) == span:
                return one
        return None

    def _in(self, module: Module) -> Iterator[tuple[_Position, Configured]]:
        for name, site in module.calls_of(self.rows):
            call, row = site.call, self.rows[name]
            place = _position(call)
            if row.kind != PARTIAL:
                yield place, Configured(row, module, site)
            elif call.args and not isinstance(call.args[0], Starred):
                held = next(
                    (self.rows[one] for one in module.names(site.scope, call.args[0]) if one in self.rows), None
                )
                if held is not None:
                    inner = Call(call.args[0], call.args[1:], call.keywords, *place)
                    yield place, Configured(held, module, CallSite(inner, site.statement, site.scope), partial=True)

    @cached_property
    def _looked_up(self) -> Mapping[str, list[Configured]]:
        """``MODELS[name]()`` by file: of the first class in the table that draws when it is called so."""
        found: dict[_Where, Configured] = {}
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for table, entries in self._tables(module):
                for made in self.project[CallableTables].uses(table).made:
                    for entry, row in entries:
                        place = module.place(entry.value)
                        one = Configured(row, made.module, made.site, table=place)
                        if made.runs(entry) and one.owner is None and one.draws():
                            found.setdefault((made.module.path, *_position(made.site.call)), one)
        by_path: dict[str, list[Configured]] = {}
        for (path, *_), one in found.items():
            by_path.setdefault(path, []).append(one)
        return by_path

    def _tables(self, module: Module) -> Iterator[tuple[CallableTable, list[tuple[Entry, SklearnRow]]]]:
        """Tables that hold classes themselves; what ``functools.partial`` holds is a call of its own."""
        for index in module.scopes_using(self.project.spellings(self.rows)):
            for stmt in statements(module.body(index)):
                for table in displays(module, index, stmt):
                    entries = [
                        (entry, self.rows[name])
                        for entry in table.entries
                        if isinstance(entry.value, (Ref, Attribute))
                        for name in module.names(index, entry.value)
                        if name in self.rows
                    ]
                    if entries:
                        yield table, entries


def _position(call: Call) -> _Position:
    return call.line, call.column, call.end_line, call.end_column
