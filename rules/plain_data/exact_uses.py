"""Uses of a value that need it exact: joining and grouping by it, looking it up, subtracting times, summing money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Augment,
    Binary,
    Build,
    Call,
    Compare,
    Const,
    Expr,
    Ref,
    Return,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk

from .narrowing import COUNT, ID, MONEY, TIME, kind_of

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

    from .callers import Callers

_BY_COLUMN = frozenset(
    "merge join groupby group_by groupBy set_index drop_duplicates pivot pivot_table merge_asof sort_values".split()
)
_OF_VALUE = {
    ID: frozenset(
        "isin map unique nunique value_counts duplicated tolist to_dict long int64 searchsorted in1d set dict Counter "
        "intersect1d factorize get_indexer".split()
    ),
    TIME: frozenset("diff to_datetime argsort searchsorted fromtimestamp utcfromtimestamp datetime_as_string".split()),
    MONEY: frozenset(),
    COUNT: frozenset(),
}
_COLUMNS = frozenset({"col", "column"})
_SUMS = frozenset({"sum", "cumsum", "fsum"})
_WIDE = frozenset("int int64 uint64 Int64 i8 long int32".split())
_ACCOUNTS = frozenset(
    "balance balances ledger invoice revenue payout settlement owed due paid billing bill charge total totals "
    "refund statement".split()
)
_FARTHEST, _MOST = 3, 30


class Held(Struct, frozen=True):
    """A variable that holds the cast value, or the frame with it, from a line on."""

    module: Module
    scope: int
    name: str  # "" when only ``call`` gives it
    line: int
    call: Call | None = None


class Use(Struct, frozen=True):
    """A use that needs the value exact, in words."""

    module: Module
    node: Expr | Stmt
    by: str


class ExactUses:
    """Follows a cast value through one function, to its callers and callees, and finds such a use."""

    def __init__(self, project: Project, callers: Callers) -> None:
        self._project, self._callers = project, callers

    def first(self, helds: Iterable[Held], kind: str, column: str) -> tuple[Use, str] | None:
        """The first use, and the column used (``column`` "" : any column whose name says it must be exact)."""
        waiting = [(held, 0) for held in helds]
        seen: set[tuple[str, int, str]] = set()
        while waiting and len(seen) < _MOST:
            here, distance = waiting.pop(0)
            key = (here.module.path, here.scope, here.name)
            if key in seen:
                continue
            seen.add(key)
            for use in self._in_scope(here, kind, column):
                return use
            if distance < _FARTHEST:
                waiting += [(one, distance + 1) for one in self._onward(here)]
        return None

    def _in_scope(self, held: Held, kind: str, column: str) -> Iterator[tuple[Use, str]]:
        names, aliases = {held.name} - {""}, {held.name: column} if held.name else {}
        owner = held.module.facts.scopes[held.scope].name
        for stmt in statements(held.module.body(held.scope)):
            if stmt.line <= held.line and held.call is None:
                continue
            for expr in expressions(stmt):
                nodes = walk(expr)
                if held.call is not None and not names and not any(node is held.call for node in nodes):
                    continue
                for node in nodes:
                    found = self._used(stmt, node, names, aliases, kind, column, owner)
                    if found is not None:
                        by, what = found
                        yield Use(held.module, node if hasattr(node, "line") else stmt, by), what
                        return
            if isinstance(stmt, Augment) and kind in (MONEY, COUNT) and _is_subject(stmt.target, aliases, ""):
                yield Use(held.module, stmt, f"{stmt.op}= adds up"), column or held.name
                return
            if isinstance(stmt, Assign) and isinstance(stmt.targets[0], Ref):
                target = stmt.targets[0].name
                source = _column(stmt.value, names)
                if source is not None:
                    aliases[target] = source
                elif target in names and not _mentions(stmt.value, names):
                    return  # another value by the same name

    def _used(
        self, stmt: Stmt, node: Expr, names: set[str], aliases: dict[str, str], kind: str, column: str, owner: str
    ) -> tuple[str, str] | None:
        if isinstance(node, Call):
            return self._called(stmt, node, names, aliases, kind, column, owner)
        if isinstance(node, Compare) and len(node.ops) == 1:
            for side in (node.left, node.comparators[0]):
                found = _subject(side, aliases, column)
                if found is not None and _is_kind(found, kind, {"==": (ID, MONEY), "!=": (ID,), "in": (ID,)}, node):
                    return f"the comparison {node.ops[0]}", found
        if isinstance(node, Binary) and node.op == "-":
            for side in (node.left, node.right):
                found = _subject(side, aliases, column)
                if found is not None and (kind or kind_of(found)) == TIME:
                    return "a difference of times", found
        if isinstance(node, Build) and node.kind == "dict" and (kind in ("", ID)):
            for key, item in zip(node.keys, node.items, strict=True):
                found = _subject(item, aliases, column)
                if isinstance(key, Const) and found and kind_of(found) == ID and kind_of(str(key.value)) == ID:
                    return "a record keyed by it", found
        return None

    def _called(
        self, stmt: Stmt, call: Call, names: set[str], aliases: dict[str, str], kind: str, column: str, owner: str
    ) -> tuple[str, str] | None:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return None
        last = function.name.rpartition(".")[2]
        if last in _BY_COLUMN and (_mentions(call, names) or not names):
            keys = [*call.args, *[one.value for one in call.keywords if one.name != "how"]]
            texts = [n.value for arg in keys for n in walk(arg) if isinstance(n, Const) and isinstance(n.value, str)]
            for text in texts:
                wanted = TIME if last in ("sort_values", "merge_asof") else ID
                if (text == column if column else kind_of(text) == wanted) and (kind or kind_of(text)) == wanted:
                    return f"{last}({text!r})", text
        receiver = function.value if isinstance(function, Attribute) else _head(function)
        for one in (receiver, *call.args):
            found = _subject(one, aliases, column) if one is not None else None
            if found is None:
                continue
            said = kind or kind_of(found) or ""
            if last in _OF_VALUE.get(said, ()):
                return f"{last}()", found
            if (
                last == "astype"
                and said == ID
                and any(last_segment(arg) in _WIDE or _text(arg) in _WIDE for arg in call.args)
            ):
                return "astype(int) after the cast", found
            if last in _SUMS and said == MONEY and (_is_account(stmt) or _speaks_of_accounts(f"{owner}_{found}")):
                return f"{last}() for an account", found
        return None

    def _onward(self, held: Held) -> Iterator[Held]:
        """Where a scope hands it on: its callers, and the functions it calls."""
        module, scope = held.module, held.scope
        definition = module.definition(scope)
        for stmt in statements(module.body(scope)):
            if stmt.line < held.line or (stmt.line == held.line and not isinstance(stmt, Return)):
                continue
            if isinstance(stmt, Return) and stmt.value is not None and definition.is_function:
                if _is_ref(stmt.value, held.name) or _made(stmt.value, held):
                    for site in self._callers.of(definition):
                        name, line = _assigned(site.module, site.scope, site.call) or ("", 0)
                        yield Held(site.module, site.scope, name, line, None if name else site.call)
                elif isinstance(stmt.value, Build) and stmt.value.kind == "dict":
                    yield from self._by_key(module, stmt.value, held.name)
            for expr in expressions(stmt):
                for node in walk(expr):
                    if isinstance(node, Call) and any(_is_ref(arg, held.name) for arg in node.args):
                        yield from self._into(module, scope, node, held.name)

    def _by_key(self, module: Module, record: Build, name: str) -> Iterator[Held]:
        """Who reads the entry of a returned record: in the files that import this one, and in what they import."""
        entries = zip(record.keys, record.items, strict=True)
        keys = [key.value for key, item in entries if isinstance(key, Const) and _is_ref(item, name)]
        near = {module.path}
        for importer in self._project.imports.importers(module):
            near |= {importer, *self._project.imports.imported(importer)}
        for path in sorted(near):
            other = self._project.modules.get(path)
            for index in range(len(other.facts.scopes)) if other is not None and other.role == "project" else ():
                assert other is not None
                for stmt in statements(other.body(index)):
                    for node in (node for expr in expressions(stmt) for node in walk(expr)):
                        if isinstance(node, Subscript) and isinstance(node.value, Ref) and _text(node.index) in keys:
                            yield Held(other, index, node.value.name, stmt.line - 1)

    def _into(self, module: Module, scope: int, call: Call, name: str) -> Iterator[Held]:
        for edge in self._project.calls.targets(module, scope, call):
            target = edge.target
            if edge.confidence == "cha" or not target.is_function:
                continue
            parameters = [one.name for one in target.scope.parameters]
            skip = 1 if parameters and parameters[0] in ("self", "cls") else 0
            for parameter, arg in zip(parameters[skip:], call.args, strict=False):
                if _is_ref(arg, name):
                    yield Held(target.module, target.index, parameter, 0)


def _made(value: Expr, held: Held) -> bool:
    """Whether an expression that is returned is the cast itself, of no variable."""
    return not held.name and held.call is not None and any(node is held.call for node in walk(value))


def _assigned(module: Module, scope: int, call: Call) -> tuple[str, int] | None:
    for stmt in statements(module.body(scope)):
        if isinstance(stmt, Assign) and stmt.value is call and isinstance(stmt.targets[0], Ref):
            return stmt.targets[0].name, stmt.line
    return None


def _subject(expr: Expr, aliases: dict[str, str], column: str) -> str | None:
    """The column or variable an expression reads, if it holds the cast value."""
    while isinstance(expr, Attribute) and expr.name == "values":
        expr = expr.value
    if isinstance(expr, Ref):
        name = expr.name.removesuffix(".values")
        if name in aliases:
            return aliases[name] or name
        head, _, last = name.rpartition(".")
        return last if head in aliases and (last == column if column else kind_of(last) is not None) else None
    if isinstance(expr, Call) and last_segment(expr.function) in _COLUMNS and expr.args:
        text = _text(expr.args[0])
        return text if text and (text == column if column else kind_of(text) is not None) else None
    if isinstance(expr, Subscript) and isinstance(expr.value, Call) and _mentions(expr.value, set(aliases)):
        text = _text(expr.index)  # df.groupby(...)["balance"]
        return text if text and (text == column if column else kind_of(text) is not None) else None
    if isinstance(expr, Subscript) and isinstance(expr.value, Ref) and expr.value.name in aliases:
        text = _text(expr.index)
        if text is None:
            return aliases[expr.value.name] or expr.value.name if not column else None
        return text if (text == column if column else kind_of(text) is not None) else None
    return None


def _is_subject(expr: Expr, aliases: dict[str, str], column: str) -> bool:
    return _subject(expr, aliases, column) is not None


def _is_kind(name: str, kind: str, allowed: dict[str, tuple[str, ...]], node: Compare) -> bool:
    return (kind or kind_of(name) or "") in allowed.get(node.ops[0], ())


def _column(expr: Expr, names: set[str]) -> str | None:
    """``df["user_id"]`` of one of the frames."""
    if isinstance(expr, Subscript) and isinstance(expr.value, Ref) and expr.value.name in names:
        return _text(expr.index)
    return None


def _is_account(stmt: Stmt) -> bool:
    texts = [text for expr in expressions(stmt) for node in walk(expr) if (text := _text(node)) is not None]
    if any(_speaks_of_accounts(text) for text in texts):
        return True
    if isinstance(stmt, Assign):
        names: Sequence[str] = [
            last_segment(target) or _text(getattr(target, "index", None)) or "" for target in stmt.targets
        ]
    elif isinstance(stmt, Augment):
        names = [last_segment(stmt.target)]
    else:
        return False
    return any(_speaks_of_accounts(name) for name in names)


def _speaks_of_accounts(name: str) -> bool:
    return not _ACCOUNTS.isdisjoint(name.lower().split("_"))


def _mentions(expr: Expr, names: set[str]) -> bool:
    return any(isinstance(node, Ref) and node.name.partition(".")[0] in names for node in walk(expr))


def _is_ref(expr: Expr | None, name: str) -> bool:
    return isinstance(expr, Ref) and expr.name == name


def _head(function: Ref) -> Ref | None:
    head = function.name.rpartition(".")[0]
    return Ref(head, function.line, function.column) if head else None


def _text(expr: object) -> str | None:
    return expr.value if isinstance(expr, Const) and isinstance(expr.value, str) else None
