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
    Lambda,
    Ref,
    Return,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk

from .exactness import COUNT, ID, MONEY, TIME, kind_of
from .narrowed import linked

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
        "intersect1d factorize get_indexer unique_consecutive bincount eq equal array_equal union1d setdiff1d reindex "
        "get int str frozenset".split()
    ),
    TIME: frozenset(
        "diff to_datetime argsort searchsorted fromtimestamp utcfromtimestamp datetime_as_string unique "
        "unique_consecutive nunique duplicated isin ediff1d from_unixtime".split()
    ),
    MONEY: frozenset({"Decimal", "from_float"}),
    COUNT: frozenset(),
}
_COLUMNS = frozenset({"col", "column"})
_SUMS = frozenset({"sum", "cumsum", "fsum"})
_AGGREGATES = frozenset({"agg", "aggregate", "pivot_table"})
_WIDE = frozenset("int int64 uint64 Int64 i8 long int32 str string category object".split())
_TO_TYPE = frozenset({"astype", "to", "type", "cast"})
_ROUNDS = frozenset({60, 3600, 86400, 604800})  # t // 3600: the hour of an epoch time
# A whole frame is followed through what keeps its columns; after anything else they may be others.
_KEEPS_COLUMNS = frozenset(
    """sort_values drop query fillna copy dropna head tail sample drop_duplicates replace set_index clip round
    sort_index nlargest nsmallest astype cast filter sort interpolate ffill bfill""".split()
)
_INDEXES = frozenset({"set_index", "groupby", "group_by", "pivot", "pivot_table", "crosstab", "unstack"})
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


class _Look(Struct, frozen=True):
    """What is looked for in a scope: the frames, what variables hold of them, the kind and the column (or "")."""

    module: Module
    scope: int
    names: set[str]
    aliases: dict[str, str]
    kind: str
    column: str

    @property
    def owner(self) -> str:
        return self.module.facts.scopes[self.scope].name

    def called(self, function: Ref | Attribute) -> str:
        """The last segment of a function's name, also of one imported under another name."""
        bare = isinstance(function, Ref) and "." not in function.name
        return linked(self.module, self.scope, function) if bare else function.name.rpartition(".")[2]


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
                waiting += [(one, distance + 1) for one in self._onward(here, not kind and not column)]
        return None

    def _in_scope(self, held: Held, kind: str, column: str) -> Iterator[tuple[Use, str]]:
        names, aliases = {held.name} - {""}, {held.name: column} if held.name else {}
        look = _Look(held.module, held.scope, names, aliases, kind, column)
        whole = not kind and not column
        restored = set(_indexed_by(held)) if whole else set()
        for stmt in statements(held.module.body(held.scope)):
            if stmt.line <= held.line and held.call is None:
                continue
            for expr in expressions(stmt):
                nodes = walk(expr)
                if held.call is not None and not names and not any(node is held.call for node in nodes):
                    continue
                for node in nodes:
                    found = _used(look, stmt, node)
                    if found is not None and found[1] not in restored:
                        by, what = found
                        yield Use(held.module, node if hasattr(node, "line") else stmt, by), what
                        return
            if isinstance(stmt, Augment) and kind in (MONEY, COUNT) and _is_subject(stmt.target, aliases, ""):
                yield Use(held.module, stmt, f"{stmt.op}= adds up"), column or held.name
                return
            if whole and (read := _set_aside(stmt, names)) and read not in restored:
                yield Use(held.module, stmt, f"{read} is read from it"), read
                return
            restored |= _restored(stmt, names)
            if column in restored or _is_lost(stmt, held.name, whole):
                return
            if isinstance(stmt, Assign) and isinstance(stmt.targets[0], Ref):
                source = _column(stmt.value, names)
                if source is not None:
                    aliases[stmt.targets[0].name] = source

    def _onward(self, held: Held, whole: bool) -> Iterator[Held]:
        """Where a scope hands it on: its callers, and the functions it calls."""
        module, scope = held.module, held.scope
        definition = module.definition(scope)
        lost = False
        for stmt in statements(module.body(scope)):
            if stmt.line < held.line or (stmt.line == held.line and not isinstance(stmt, Return)):
                continue
            lost = lost or (stmt.line > held.line and _is_lost(stmt, held.name, whole))
            if lost:
                return
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


def _used(look: _Look, stmt: Stmt, node: Expr) -> tuple[str, str] | None:
    aliases, kind, column = look.aliases, look.kind, look.column
    if isinstance(node, Call):
        return _called(look, stmt, node)
    if isinstance(node, Compare) and len(node.ops) == 1:
        for side in (node.left, node.comparators[0]):
            found = _subject(side, aliases, column)
            if found is not None and _is_kind(found, kind, {"==": (ID, MONEY), "!=": (ID,), "in": (ID,)}, node):
                return f"the comparison {node.ops[0]}", found
    if isinstance(node, Binary) and node.op in ("//", "%") and _text_or_number(node.right) in _ROUNDS:
        found = _subject(node.left, aliases, column)
        if found is not None and (kind or kind_of(found)) == TIME:
            return f"its {node.op} of a whole time", found
    if isinstance(node, Subscript) and kind in ("", ID):
        found = _subject(node.index, aliases, column)
        if found is not None and (kind or kind_of(found)) == ID and not _is_subject(node.value, aliases, ""):
            return "a look-up by it", found
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


def _called(look: _Look, stmt: Stmt, call: Call) -> tuple[str, str] | None:
    names, aliases, kind, column = look.names, look.aliases, look.kind, look.column
    function = call.function
    if not isinstance(function, (Ref, Attribute)):
        return None
    last = look.called(function)
    if last in _BY_COLUMN and (_mentions(call, names) or not names):
        keys = [*call.args, *[one.value for one in call.keywords if one.name != "how"]]
        texts = [n.value for arg in keys for n in walk(arg) if isinstance(n, Const) and isinstance(n.value, str)]
        wanted = (TIME,) if last in ("sort_values", "merge_asof") else (ID, TIME)
        for text in texts:
            said = kind if column else kind_of(text)
            if text == (column or text) and said in wanted and (column or kind in ("", said)):
                return f"{last}({text!r})", text
    if last in _AGGREGATES and kind in ("", MONEY) and _mentions(call, names):
        summed = _aggregated(call, column)
        if summed and (_is_account(stmt) or _speaks_of_accounts(look.owner)):
            return f"{last}({summed!r}) for an account", summed
    receiver = function.value if isinstance(function, Attribute) else _head(function)
    groups = [one.value for one in call.keywords if one.name in ("groups", "group")]
    for one in (receiver, *call.args, *groups):
        found = _subject(one, aliases, column) if one is not None else None
        if found is None:
            continue
        said = kind or kind_of(found) or ""
        if said == ID and one in groups:
            return f"the groups of {last}()", found
        if last in _OF_VALUE.get(said, ()):
            return f"{last}()", found
        if (
            last in _TO_TYPE
            and said == ID
            and any(last_segment(arg) in _WIDE or _text(arg) in _WIDE for arg in call.args)
        ):
            return f"{last}({_written(call.args[-1])}) after the cast", found
        if last in _SUMS and said == MONEY and (_is_account(stmt) or _speaks_of_accounts(f"{look.owner}_{found}")):
            return f"{last}() for an account", found
    return None


def _is_lost(stmt: Stmt, name: str, whole: bool) -> bool:
    """Whether a statement gives the name another value: of a whole frame also one that may have other columns."""
    if not isinstance(stmt, Assign) or not name or not _is_ref(stmt.targets[0], name):
        return False
    if not _mentions(stmt.value, {name.partition(".")[0]}):
        return True
    return whole and not _keeps_columns(stmt.value)


def _keeps_columns(value: Expr) -> bool:
    while True:
        if isinstance(value, Subscript):
            value = value.value
        elif isinstance(value, Call) and isinstance(value.function, (Ref, Attribute)):
            last, function = last_segment(value.function), value.function
            dropped = last == "reset_index" and any(
                one.name == "drop" and isinstance(one.value, Const) and one.value.value for one in value.keywords
            )
            if not dropped and last not in _KEEPS_COLUMNS:
                return False
            value = function.value if isinstance(function, Attribute) else _head(function) or Const(None)
        else:
            return isinstance(value, Ref)


def _set_aside(stmt: Stmt, names: set[str]) -> str | None:
    """The column of ids a statement keeps for itself: ``ids = df["user_id"].to_numpy()``."""
    if not isinstance(stmt, Assign) or not isinstance(stmt.targets[0], Ref):
        return None
    value = stmt.value
    if isinstance(value, Call) and isinstance(value.function, Attribute) and not value.args:
        value = value.function.value if value.function.name in ("to_numpy", "copy") else value
    if isinstance(value, Attribute) and value.name == "values":
        value = value.value
    text = _column(value, names)
    return text if text is not None and kind_of(text) == ID else None


def _restored(stmt: Stmt, names: set[str]) -> set[str]:
    """The columns a statement puts into a held frame from elsewhere: ``df["user_id"] = ids``."""
    found = set()
    if isinstance(stmt, Assign) and isinstance(stmt.targets[0], Subscript) and not _mentions(stmt.value, names):
        target = stmt.targets[0]
        text = _text(target.index)
        if isinstance(target.value, Ref) and target.value.name in names and text is not None:
            found.add(text)
    for expr in expressions(stmt):
        for node in walk(expr):
            if not isinstance(node, Call) or not _mentions(node, names):
                continue
            last = last_segment(node.function)
            if last == "insert" and len(node.args) > 2 and (text := _text(node.args[1])):
                found.add(text)
            elif last == "assign":
                given = [one for one in node.keywords if one.name and not _mentions(one.value, names)]
                found |= {one.name for one in given if one.name and not isinstance(one.value, Lambda)}
    return found


def _indexed_by(held: Held) -> Iterator[str]:
    """The columns that a frame's index was made of before it was cast: an index keeps its type."""
    for stmt in statements(held.module.body(held.scope)):
        if stmt.line <= held.line and isinstance(stmt, Assign):
            for node in walk(stmt.value):
                by_index = isinstance(node, Call) and last_segment(node.function) in _INDEXES
                keyed = (
                    [one.value for one in node.keywords if one.name == "index_col"] if isinstance(node, Call) else []
                )
                for part in (*(walk(node) if by_index else ()), *keyed):
                    if (text := _text(part)) is not None:
                        yield text


def _aggregated(call: Call, column: str) -> str:
    """The money an aggregation sums: ``agg({"amount": "sum"})``, ``agg(total=("amount", "sum"))``."""
    given: list[tuple[str | None, Expr]] = []
    for node in (node for arg in call.args for node in walk(arg)):
        if isinstance(node, Build) and node.kind == "dict":
            given += [(_text(key), item) for key, item in zip(node.keys, node.items, strict=True)]
    for one in call.keywords:
        if isinstance(one.value, Build) and one.value.kind == "tuple" and len(one.value.items) == 2:
            given.append((_text(one.value.items[0]), one.value.items[1]))
    for text, how in given:
        if text and any(_text(node) == "sum" for node in walk(how)) and kind_of(text) == MONEY:
            return text if column in ("", text) else ""
    return ""


def _text_or_number(expr: Expr) -> object:
    return expr.value if isinstance(expr, Const) else None


def _written(expr: Expr) -> str:
    return _text(expr) or last_segment(expr)


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
