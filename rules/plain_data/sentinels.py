"""Numbers that stand for missing values in columns: filled in, compared with, or put in first as "empty"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import argument
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Augment,
    Build,
    Call,
    Compare,
    Const,
    Expr,
    For,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import calls_in, expressions, statements, walk
from mldebt.rule import Analysis, FileParts

from .sentinel_looks import is_replaced, kept_in, makes_missing, only_looks

if TYPE_CHECKING:
    from mldebt.module import Module

FILLED, COMPARED, EMPTY = "filled", "compared", "empty"
_NUMBERS = frozenset({-1, -9, -99, -999, -9999, -99999, -999999, 999, 9999, 99999, 999999})
_STRIKING = frozenset({-999, -9999, -99999, -999999})
# Each begins with a literal, which the engine searches for fast.
_TEXTS = (
    re.compile(r"== ?-?(?:1|9{3,6})\b"),
    re.compile(r"""\"\] = (?:0(?:\.0)?|-1(?:\.0)?|""|'')[ \t]*(?:#.*)?$""", re.MULTILINE),
    re.compile(r"""'\] = (?:0(?:\.0)?|-1(?:\.0)?|""|'')[ \t]*(?:#.*)?$""", re.MULTILINE),
)
# Codes, classes and positions: -1 and 0 are values of theirs.
_CODES = re.compile(
    r"""(?i)(?:^|_)(?:ids?|idx|index|label|labels|target|y|class|cluster|fold|split|rank|pos|position|token|mask|pad
    |code|group|key|sign|side|direction|trend|signal|pred|prediction|oof|flag|is|has|type|cat|category|year|month|day
    |port|status|version|parent|level|color|colour|state|county|zip|zipcode|postcode)(?:$|_)""".replace("\n    ", "")
)
# Measures, of which 0 is no likely value.
_MEASURE = re.compile(
    r"""(?i)(?:^|_)(?:age|income|salary|wage|price|height|weight|bmi|temp|temperature|pressure|humidity|glucose|insulin
    |cholesterol|thickness|area|size|sqft|distance|speed|fare|rating|score|gpa|rent|value|mileage|horsepower|lat|lon
    |latitude|longitude|heart_rate|blood|tenure|rate|ratio|mean|avg|prob|proba|velocity)(?:$|_)""".replace("\n    ", "")
)
_WHOLE = frozenset({"read_csv", "read_parquet", "read_excel", "read_table", "read_sql", "read_feather", "read_json"})
# After these a missing value often is a zero.
_MAKES_ZEROS = frozenset(
    """merge join groupby pivot pivot_table unstack reindex get_dummies crosstab value_counts resample shift diff
    rolling pct_change map concat append corr cumsum size count nunique agg aggregate stack explode""".split()
)
_ALL_ROWS = frozenset({"len", "index", "iterrows", "itertuples", "shape"})


class Sentinel(NamedTuple):
    """``how``: filled, compared or empty; ``column`` is "" where no single one is named."""

    module: Module
    scope: int
    stmt: Stmt
    node: Call | Compare | Stmt
    how: str
    column: str
    value: float | str


class SentinelTexts(Analysis):
    """Lines that seem to compare with a sentinel or to fill a new column with one."""

    collected = list[int]

    @classmethod
    def collect(cls, file: FileParts) -> list[int] | None:
        text = file.source.text
        found = [text.count("\n", 0, match.start()) + 1 for pattern in _TEXTS for match in pattern.finditer(text)]
        return sorted(found) or None


def sentinels(module: Module, lines: Sequence[int]) -> Iterator[Sentinel]:
    """What a file does with sentinels, in source order of each scope; ``lines`` are those of ``SentinelTexts``."""
    filling = set(module.scopes_using({"fillna"}))
    for index in sorted(filling | {module.scope_at(line) for line in lines}):
        found: list[Sentinel] = []
        kept = kept_in(module, index, lines)
        for stmt in statements(module.body(index)):
            for root in expressions(stmt, module.facts.scopes):
                if index in filling:
                    found += [one for call in calls_in(root) for one in _filled(module, index, stmt, call)]
                if any(stmt.line <= line <= stmt.end_line for line in lines):
                    found += _compared(module, index, stmt, root, kept)
        marks = _marks(module) if any(one.how == COMPARED for one in found) else set()
        yield from (one for one in found if one.how != COMPARED or one.value not in marks)
        yield from _empty(module, index, lines)


def _filled(module: Module, index: int, stmt: Stmt, call: Call) -> Iterator[Sentinel]:
    function = call.function
    if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] != "fillna":
        return
    value = argument(call, "value", 0)
    column = _column(_receiver(function))
    if isinstance(value, Build) and value.kind == "dict":
        for key, item in zip(value.keys, value.items, strict=True):
            named = key.value if isinstance(key, Const) and isinstance(key.value, str) else ""
            number = _number(module, index, item)
            if number and named and not _CODES.search(named):
                yield Sentinel(module, index, stmt, call, FILLED, named, number)
    elif value:
        number = _number(module, index, value)
        if number is not None and _may_fill(module, index, column, number):
            yield Sentinel(module, index, stmt, call, FILLED, column, number)


def _number(module: Module, index: int, expr: Expr) -> float | None:
    """The sentinel, or 0, an expression is worth, also by a constant's name."""
    value = module.constant(index, expr) if isinstance(expr, (Const, Ref)) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and (value in _NUMBERS or value == 0):
        return value
    return None


def _may_fill(module: Module, index: int, column: str, value: object) -> bool:
    """Whether a number put in place of what is missing is no value the column may well have."""
    if _CODES.search(column):
        return False
    if value != 0:
        return True
    segments = module.segments(index)
    if segments & _MAKES_ZEROS:
        return False
    return bool(_MEASURE.search(column)) if column else bool(segments & _WHOLE)


def _receiver(function: Ref | Attribute) -> Expr:
    head, _, _ = function.name.rpartition(".")
    if isinstance(function, Ref):
        return Ref(head, function.line, function.column)
    if not head:
        return function.value
    return Attribute(function.value, head, function.line, function.column, function.end_line, function.end_column)


def _column(expr: Expr) -> str:
    """``age`` of ``df["age"]``, ``df.age`` and ``df.loc[rows, "age"]``; "" of a frame and of several columns."""
    if isinstance(expr, Subscript):
        index = expr.index
        if isinstance(index, Build) and index.kind == "tuple" and index.items:
            index = index.items[-1]
        if isinstance(index, Const) and isinstance(index.value, str):
            return index.value
        if isinstance(index, Build) and len(index.items) == 1 and isinstance(index.items[0], Const):
            return str(index.items[0].value)
    return ""


def _marks(module: Module) -> set[float | None]:
    """Numbers the file itself fills gaps with: a comparison finds these again."""
    return {
        _number(module, index, value)
        for index in module.scopes_using({"fillna"})
        for site in module.call_sites(index)
        if getattr(site.call.function, "name", "").rpartition(".")[2] == "fillna"
        and (value := argument(site.call, "value", 0))
    }


def _compared(module: Module, index: int, stmt: Stmt, root: Expr, kept: frozenset[str]) -> Iterator[Sentinel]:
    nodes = walk(root)
    if only_looks(stmt, nodes, kept) or makes_missing(stmt, module):
        return
    chosen = {id(part) for node in nodes if isinstance(node, Call) and _is_where(node) for part in walk(node)}
    for node in nodes:
        if not isinstance(node, Compare) or node.ops != ["=="] or not isinstance(node.comparators[0], Const):
            continue
        value = node.comparators[0].value
        if type(value) not in (int, float) or value not in _NUMBERS:
            continue
        column = _column(node.left)
        if _CODES.search(column):
            continue
        if column and (value in _STRIKING or abs(value) >= 999 or (id(node) in chosen and _MEASURE.search(column))):
            yield Sentinel(module, index, stmt, node, COMPARED, column, value)
        elif value in _STRIKING and isinstance(node.left, (Ref, Subscript)) and not is_replaced(stmt, node):
            yield Sentinel(module, index, stmt, node, COMPARED, "", value)


def _is_where(call: Call) -> bool:
    return isinstance(call.function, Ref) and call.function.name.rpartition(".")[2] == "where"


def _empty(module: Module, index: int, lines: Sequence[int]) -> Iterator[Sentinel]:
    """``df["new"] = 0`` where some rows get their value later: the others keep a number that is none."""
    wanted = {line for line in lines if module.scope_at(line) == index}
    if not wanted or not module.segments(index) & {"loc", "at", "iloc", "iat"}:
        return
    first: dict[tuple[str, str], Sentinel] = {}
    every_row = [
        stmt
        for stmt in statements(module.body(index))
        if isinstance(stmt, For)
        and any(
            name in _ALL_ROWS
            for part in walk(stmt.iterable)
            if isinstance(part, (Ref, Attribute))
            for name in part.name.split(".")
        )
    ]
    for stmt in statements(module.body(index)):
        target = stmt.targets[0] if isinstance(stmt, Assign) else getattr(stmt, "target", None)
        if not isinstance(target, Subscript) or not isinstance(target.value, Ref):
            continue
        frame, _, accessor = target.value.name.rpartition(".")
        column = _column(target)
        if isinstance(stmt, Augment):
            first.pop((target.value.name, column), None)
            first.pop((frame, column), None)
        elif isinstance(stmt, Assign) and stmt.line in wanted and isinstance(stmt.value, Const) and column:
            value = stmt.value.value
            if not _CODES.search(column) and isinstance(value, (int, float, str)) and not isinstance(value, bool):
                key = (target.value.name, column)
                first[key] = Sentinel(module, index, stmt, stmt, EMPTY, column, value)
        elif accessor in ("loc", "at") and (frame, column) in first and isinstance(stmt, Assign):
            start = first.pop((frame, column))
            if any(loop.line < stmt.line <= loop.end_line for loop in every_row):
                continue
            # A zero may well be true: of a count, a flag, a sum.
            if not isinstance(stmt.value, Const) and (start.value != 0 or _MEASURE.search(column)):
                yield start
        else:
            first.pop((target.value.name, column), None)
