"""Frames and arrays: subscripts, assignments to columns, and methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import Binary, Boolean, Build, Call, Compare, Const, Expr, Ref, Slice, Stmt, Subscript, Unary
from mldebt.facts.walk import walk

from .columns import dropped, single, taken, written
from .joining import as_data
from .outliers import LOSING, drawn, masks
from .positions import at_positions
from .rows import (
    MISSING,
    TEST,
    TRAIN,
    Data,
    Grouped,
    Index,
    Items,
    Known,
    Mark,
    Marks,
    Names,
    Stat,
    Value,
    View,
    part_of,
)

if TYPE_CHECKING:
    from .evaluating import Evaluator

TIME = re.compile(
    r"(^|_|\b)(date|datetime|time|timestamp|ts|day|dt|week|month|year|hour|period)s?(_|\b|$)", re.IGNORECASE
)
_ROW_NAMES = re.compile(r"(^|_)(mask|msk|idx|idxs|index|indices|ids|inds|rows|perm|keep|valid_rows|sel|fold)(_|$)")
_LEAST_ROWS = 20
_MISSING = frozenset({"isnull", "isna", "notnull", "notna"})
EMBEDDINGS = frozenset({"TSNE", "MulticoreTSNE", "TRIMAP", "MDS", "SpectralEmbedding", "UMAP"})
_SELECTORS = frozenset({"corr", "corrwith", "var", "std", "cov"})


class Frames:
    """What happens to frames and arrays."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    dropped = staticmethod(dropped)

    def names_of(self, value: Value) -> list[str] | None:
        """Column names that are known."""
        if isinstance(value, Known):
            return [value.value] if isinstance(value.value, str) else None
        if isinstance(value, Items):
            found = [one.value for one in value.values if isinstance(one, Known) and isinstance(one.value, str)]
            return found if len(found) == len(value.values) else None
        if isinstance(value, Names) and not value.columns.whole:
            return sorted(value.columns.names)
        return None

    def column(self, data: Data, name: str) -> Data:
        columns = data.columns
        return replace(data, columns=single(columns, name) if columns is not None and not columns.series else None)

    # Reading.

    def subscript(self, expr: Subscript, value: Value) -> Value:
        index = None if isinstance(expr.index, (Slice, Build)) else self.evaluator.of(expr.index)
        if isinstance(value, Data):
            return self.item(expr, value, expr.index, index)
        if isinstance(value, View):
            return self.located(expr, value)
        if isinstance(value, Grouped):
            names = self.names_of(self.evaluator.of(expr.index))
            return replace(value, column=names[0] if names and len(names) == 1 else None)
        if isinstance(value, Items):
            return self.member(value, expr.index, index)
        if isinstance(value, Names):
            return self.position(value, expr.index)
        if value is None and isinstance(expr.value, Ref) and isinstance(expr.index, Build):
            return self.side_by_side(expr.value, expr.index)
        return value if isinstance(value, Stat) else None

    def side_by_side(self, function: Ref, given: Build) -> Value:
        """``np.c_[x, y]``."""
        run = self.evaluator.run
        if "numpy.c_" not in run.project.resolve(run.frame.module, run.frame.scope, function.name):
            return None
        data = [one for one in map(as_data, map(self.evaluator.of, given.items)) if one is not None]
        return replace(self.evaluator.callables.library.merge_values(data), columns=None) if data else None

    def member(self, value: Items, expr: Expr, index: Value) -> Value:
        if isinstance(index, Known):
            if value.keys:
                return value.values[value.keys.index(index.value)] if index.value in value.keys else None
            if isinstance(index.value, int) and -len(value.values) <= index.value < len(value.values):
                return value.values[index.value]
        if isinstance(expr, Slice):
            whole = as_data(value)
            return self.subset(whole, expr, "slice") if whole is not None and value.appended else value
        return None

    def position(self, value: Names, expr: Expr) -> Value:
        return None

    def item(self, expr: Subscript, data: Data, index: Expr, value: Value) -> Value:
        """``frame[...]`` or ``array[...]``."""
        if isinstance(index, Slice):
            return self.sliced(expr, data, index)
        if isinstance(index, Build) and index.kind == "tuple" and index.items:
            first = index.items[0]
            rows = self.item(expr, data, first, None if isinstance(first, Slice) else self.evaluator.of(first))
            return self.placed(rows, index.items) if isinstance(rows, Data) else rows
        if isinstance(index, Build):
            value = self.evaluator.of(index)
        names = self.names_of(value)
        if names is not None and isinstance(value, Known):
            return self.column(data, names[0])
        if isinstance(value, Index):
            return self.part(expr, data, value)
        if names is not None or isinstance(value, Names):
            return self.chosen(data, value, names)
        if isinstance(value, Data):
            return self.masked(data, value, expr)
        if isinstance(value, Stat):
            marks = [mark for mark in value.marks if mark.label in _SELECTORS]
            return replace(data.marked(marks), columns=None)
        if isinstance(value, Known):
            return replace(data, columns=None)
        if self.selects_rows(index):
            return self.subset(data, expr, "rows", index)
        return replace(data, columns=None)

    def selects_rows(self, index: Expr) -> bool:
        if isinstance(index, (Unary, Compare, Boolean)) or (isinstance(index, Binary) and index.op in "&|"):
            return True
        name = index.name.rpartition(".")[2] if isinstance(index, Ref) else ""
        return bool(name) and (_ROW_NAMES.search(name.lower()) is not None or bool(part_of(name)))

    def chosen(self, data: Data, value: Value, names: list[str] | None) -> Data:
        columns = data.columns
        if columns is None or columns.series:
            return replace(data, columns=None)
        if isinstance(value, Names):
            same = value.columns.frame == columns.frame
            found = replace(value.columns, derived=columns.derived) if same else None
            return replace(data, columns=found, site=self.evaluator.run.site(None))
        return replace(data, columns=taken(columns, names or ()), site=self.evaluator.run.site(None))

    def sliced(self, expr: Subscript, data: Data, index: Slice) -> Data:
        if index.lower is None and index.upper is None:
            return data
        both = index.lower is not None and index.upper is not None
        if both and isinstance(index.lower, (Ref, Binary)) and isinstance(index.upper, Binary):
            return replace(data, columns=None, window=True)
        bound = index.upper if index.lower is None else index.lower
        joined = any(outer.how == "join" for one in data.rows for outer, _ in one.ancestry())
        if both or joined or index.step is not None or not _cuts(bound):
            return self.subset(data, expr, "slice")
        return self.cut(data, expr, TRAIN if index.lower is None else TEST, _spelled(bound))

    def cut(self, data: Data, expr: Subscript, part: str, bound: str) -> Data:
        """``rows[:n]`` or ``rows[n:]``: a split, if there is the other one too."""
        run = self.evaluator.run
        rows = frozenset(run.rows("split", run.site(expr), frozenset((one,)), part) for one in data.rows)
        found = replace(data, rows=rows, window=False)
        run.event("cut", expr, (data, Known(bound), found), part=part)
        return found

    def located(self, expr: Subscript, view: View) -> Value:
        data, index = view.data, expr.index
        if view.name not in ("loc", "iloc", "ix"):
            return data
        parts = index.items if isinstance(index, Build) and index.kind == "tuple" else [index]
        if isinstance(parts[0], Slice):
            rows = self.sliced(expr, data, parts[0])
        else:
            value = self.evaluator.of(parts[0])
            if isinstance(value, Index):
                rows = self.part(expr, data, value)
            elif isinstance(value, Data):
                rows = self.masked(data, value, expr)
            else:
                rows = self.subset(data, expr, "rows", parts[0])
        if len(parts) < 2:
            return rows
        if view.name == "iloc":
            return self.placed(rows, parts)
        if isinstance(parts[1], Slice):
            whole = parts[1].lower is None and parts[1].upper is None
            return rows if whole else replace(rows, columns=None)
        value = self.evaluator.of(parts[1])
        names = self.names_of(value)
        if isinstance(value, Known) and names:
            return self.column(rows, names[0])
        return self.chosen(rows, value, names) if names or isinstance(value, Names) else replace(rows, columns=None)

    def placed(self, rows: Data, parts: Sequence[Expr]) -> Data:
        """The columns of an array, or of ``iloc``, by their positions."""
        if len(parts) != 2:
            return replace(rows, columns=None)
        second = parts[1]
        if not isinstance(second, Slice):
            return at_positions(rows, second, self.evaluator.of(second), (None, None))
        if second.lower is None and second.upper is None:
            return rows
        ends = [None if one is None else self.evaluator.of(one) for one in (second.lower, second.upper)]
        return at_positions(rows, second, None, (ends[0], ends[1]))

    # Selecting rows.

    def subset(self, data: Data, fact: object, label: str, index: object = None, random: bool = False) -> Data:
        run = self.evaluator.run
        site = run.site(fact)
        rows = frozenset(run.rows("subset", site, frozenset((one,)), label, random) for one in data.rows)
        return replace(data, rows=rows, window=False)

    def masked(self, data: Data, mask: Data, expr: Subscript) -> Data:
        ours = masks(mask, data)
        partial = bool(ours) and all(one.label in _MISSING for one in ours) and not _compares(expr.index)
        random = drawn(mask) and mask.rows.isdisjoint(data.rows)
        found = self.subset(data, expr, MISSING if partial else "mask", None, random)
        if not random and not _is_kin(mask, data):  # made of something else: perhaps the names of columns
            found = replace(found, columns=None)
        losing = [one for one in ours if one.label in LOSING]
        if losing:
            first = min(losing, key=lambda one: one.label)
            column = first.column if len(losing) == 1 and first.label in _MISSING else None
            found = found.marked([self.evaluator.mark("lost", data, expr, f"the filter on {first.label}", column)])
        return found

    def part(self, expr: Subscript, data: Data, index: Index) -> Data:
        run = self.evaluator.run
        rows = run.rows("split", index.site, data.rows, index.part, index.random)
        return replace(data, rows=frozenset((rows,)))

    def windows(self, data: Data, fact: object) -> Data:
        """Overlapping windows: each row stands in several."""
        mark = self.evaluator.mark("windows", data, fact, "overlapping windows")
        return replace(data.marked([mark]), window=False)

    # Writing.

    def store(self, target: Subscript, value: Value, stmt: Stmt) -> None:
        """``frame["c"] = value``, ``frame.loc[m, "c"] = value``, ``table[k] = value``."""
        owner, view = target.value, ""
        held: Value = self.evaluator.of(owner)
        if isinstance(held, View):
            view, held = held.name, held.data
            owner = _owner(owner)
        if not isinstance(owner, Ref):
            return
        if isinstance(held, Items) and not view:
            self.evaluator.run.set(owner.name, self.put(held, self.evaluator.of(target.index), value))
        if not isinstance(held, Data):
            return
        index = target.index
        if view and isinstance(index, Build) and index.items:
            index = index.items[-1]
        names = None if isinstance(index, Slice) else self.names_of(self.evaluator.of(index))
        marks: Marks = frozenset()
        if isinstance(value, (Data, Stat)):
            out = ("mask", "lost", "predicted") if view else ("mask", "lost")  # some rows: values that were missing
            fills = bool(view) and isinstance(value, Stat) and self.is_missing(target.index)
            kept = (mark for mark in value.marks if mark.kind not in out)
            marks = frozenset(replace(mark, mild=True) if fills else mark for mark in kept)
            if names is not None and len(names) == 1:
                marks = beside(marks - held.marks, names[0]) | (marks & held.marks)
            elif names:  # of several columns only what a model says, or a projection
                marks |= {one for name in names for one in beside(marks - held.marks, name) if one.column == name}
        columns = held.columns
        if columns is not None and names is not None:
            given = value.columns if isinstance(value, Data) else None
            for name in names:
                columns = written(columns, name, given)
        self.evaluator.run.set(owner.name, replace(held.marked(marks), columns=columns))

    def is_missing(self, index: Expr) -> bool:
        """Whether rows are taken by what they lack: ``frame.loc[frame["age"].isna(), "age"]``."""
        rows = index.items[0] if isinstance(index, Build) and index.items else index
        value = None if isinstance(rows, Slice) else self.evaluator.of(rows)
        return isinstance(value, Data) and any(one.kind == "mask" and one.label in _MISSING for one in value.marks)

    def put(self, held: Items, key: Value, value: Value) -> Items:
        if held.kind != "dict":
            return held
        name = key.value if isinstance(key, Known) else None
        if name is not None and name in held.keys:
            at = held.keys.index(name)
            return replace(held, values=(*held.values[:at], value, *held.values[at + 1 :]))
        return replace(held, values=(*held.values, value), keys=(*held.keys, name))


def beside(marks: Iterable[Mark], column: str | None = None) -> Marks:
    """Marks of values that are put beside others, in a column of a name if that is known."""
    return frozenset(
        replace(mark, column=column, mixed=True) if mark.kind == "predicted" or mark.label in EMBEDDINGS else mark
        for mark in marks
    )


def _compares(mask: Expr) -> bool:
    """Whether a mask asks for more than missing values."""
    return any(
        isinstance(one, (Boolean, Compare)) or (isinstance(one, Binary) and one.op in "&|") for one in walk(mask)
    )


def _is_kin(mask: Data, data: Data) -> bool:
    """Whether a mask is made of the rows it is put on, or of rows they come from."""
    ours = {rows for one in data.rows for rows, _ in one.ancestry()}
    return any(rows in ours for one in mask.rows for rows, _ in one.ancestry())


def _cuts(bound: Expr | None) -> bool:
    """Whether a bound may be the size of a training part: not the 1 or -1 that moves a series by a step."""
    if isinstance(bound, Const):
        return isinstance(bound.value, int) and abs(bound.value) >= _LEAST_ROWS
    return bound is not None


def _spelled(bound: Expr | None) -> str:
    """A bound as text, to tell the two sides of one cut; empty when it is more than names, figures and calls."""
    if isinstance(bound, Const):
        return str(bound.value)
    if isinstance(bound, Ref):
        return bound.name
    if isinstance(bound, Unary):
        inner = [_spelled(bound.operand)]
        return f"{bound.op}{inner[0]}" if all(inner) else ""
    if isinstance(bound, Binary):
        inner = [_spelled(bound.left), _spelled(bound.right)]
        return f"({inner[0]}{bound.op}{inner[1]})" if all(inner) else ""
    if isinstance(bound, Subscript):
        inner = [_spelled(bound.value), _spelled(bound.index)]
        return f"{inner[0]}[{inner[1]}]" if all(inner) else ""
    if isinstance(bound, Call) and not bound.keywords:
        inner = [_spelled(one) for one in (bound.function, *bound.args)]
        return f"{inner[0]}({','.join(inner[1:])})" if all(inner) else ""
    return ""


def _owner(expr: Expr) -> Expr:
    """``frame`` of ``frame.loc``."""
    if isinstance(expr, Ref) and "." in expr.name:
        return Ref(expr.name.rpartition(".")[0], expr.line, expr.column)
    return expr
