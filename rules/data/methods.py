"""Methods of frames, groups, transformers, models and splitters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import Expr, Lambda, Ref, Subscript

from .columns import classes, written
from .frames import TIME, beside
from .outliers import COMPARES, lost
from .rows import (
    Cutter,
    Data,
    Fit,
    Grouped,
    Items,
    Known,
    Mark,
    Names,
    Stat,
    Value,
    View,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

REDUCERS = frozenset(
    "mean std min max median var quantile mode sum prod skew kurt sem mad value_counts corr corrwith cov describe "
    "nunique unique ptp nlargest_mean idxmax idxmin argmax argmin percentile nanmean nanstd nanmedian nanmin nanmax "
    "average nanpercentile nanquantile amax amin any all count item".split()
)
COUNTS = frozenset("nunique unique sum any all count idxmax idxmin argmax argmin prod item".split())
NOTHING = frozenset(
    "info plot hist boxplot to_csv to_parquet to_pickle to_excel to_sql to_feather to_hdf to_json to_dict save show "
    "scatter memory_usage keys items iterrows itertuples equals duplicated".split()
)
SUBSETS = frozenset(
    "head tail query nlargest nsmallest filter truncate between_time take first last sample dropna "
    "drop_duplicates drop_nulls drop_nans".split()
)
TIMELY = frozenset("shift diff pct_change rolling ewm expanding resample asfreq tshift".split())
CENTRED = frozenset("savgol_filter filtfilt sosfiltfilt gaussian_filter1d medfilt".split())
CHOOSES = frozenset({"replace", "isin"})
MISSING = frozenset("isnull isna notnull notna isfinite".split())
NEW_VALUES = frozenset("to_datetime cumsum cumcount cummax cummin cumprod rank".split())
KEEPS_COLUMNS = frozenset(
    "copy astype fillna replace reset_index set_index sort_values sort_index round clip abs infer_objects sample head "
    "tail query dropna drop_duplicates convert_dtypes to_numpy interpolate ffill bfill select_dtypes reindex shuffle "
    "map apply str cat codes where mask sub add div mul".split()
)


class Methods:
    """What methods of known values return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def of(self, receiver: Value, name: str, given: Given, owner: Expr | None) -> Value:
        if isinstance(receiver, Data):
            return self.data(receiver, name, given, owner)
        if isinstance(receiver, View):
            return self.view(receiver, name, given, owner)
        if isinstance(receiver, Fit):
            return self.evaluator.callables.estimators.of(receiver, name, given)
        if isinstance(receiver, Cutter):
            return self.evaluator.callables.containers.cutter(receiver, name, given)
        if isinstance(receiver, Grouped):
            return self.grouped(receiver, name, given)
        if isinstance(receiver, Items):
            return self.evaluator.callables.containers.items(receiver, name, given, owner)
        if isinstance(receiver, Names):
            return self.evaluator.callables.containers.names(receiver, name, given, owner)
        return receiver if isinstance(receiver, Stat) else None

    # Frames.

    def data(self, data: Data, name: str, given: Given, owner: Expr | None) -> Value:
        if name in NOTHING:
            if name.startswith("to_"):
                self.evaluator.callables.storing.written(data, given)
            return None
        if name in REDUCERS:
            return self.reduced(data, name, given)
        if name == "groupby":
            return Grouped(data)
        if name == "pipe":
            return self.evaluator.callables.applying.piped(data, given)
        if name in ("pop", "drop", "merge", "join", "append", "repeat", "train_test_split", "assign"):
            return self.reshaped(data, name, given, owner)
        if name in SUBSETS:
            found: Value = self.subset(data, name, given)
        elif name in ("fit", "predict", "transform", "score", "evaluate"):
            return None
        else:
            found = self.elementwise(data, name, given)
        if given.constant("inplace") is True and isinstance(found, Data) and owner is not None:
            self.replace(owner, found, given)
        whole = isinstance(found, Data) and not (found.columns is not None and found.columns.series)
        return View(found, name) if name == "resample" and whole else found  # type: ignore[arg-type]

    def reduced(self, data: Data, name: str, given: Given) -> Value:
        if given.constant("axis", 0 if name not in ("quantile",) else 1) in (1, "columns", -1):
            return replace(data, columns=None)
        column = data.columns.own if data.columns is not None else None
        kind = "count" if name in COUNTS else "fit"
        return Stat(frozenset((self.evaluator.mark(kind, data, given.call, name, column),)), data.rows)

    def reshaped(self, data: Data, name: str, given: Given, owner: Expr | None) -> Value:
        frames, run = self.evaluator.frames, self.evaluator.run
        if name == "pop":
            names = frames.names_of(given.get("item", 0))
            if names and data.columns is not None and isinstance(owner, Ref):
                run.set(owner.name, replace(data, columns=frames.dropped(data.columns, names)))
            return frames.column(data, names[0]) if names else None
        if name == "drop":
            return self.drop(data, given, owner)
        if name == "train_test_split":
            return self.evaluator.callables.cutting.parts([data], given, keyed=True)
        if name in ("merge", "join"):
            return self.evaluator.callables.combining.merged(data, given, name)
        if name == "append":
            return self.evaluator.callables.combining.concatenated([data, *given.args[:1]], given, 0)
        if name == "repeat":
            return data.marked([self.evaluator.mark("copies", data, given.call, "repeat")])
        columns, marks = data.columns, [mark for one in given.args for mark in getattr(one, "marks", ())]
        for key, stated in given.keywords.items():
            function, value = given.expr(key), stated
            if isinstance(function, Lambda):
                value = self.evaluator.callables.applying.inlined(function, [replace(data, columns=columns)])
            if columns is not None:
                columns = written(columns, key, value.columns if isinstance(value, Data) else None)
            marks += beside(getattr(value, "marks", ()), key)
        return replace(data.marked(mark for mark in marks if mark.kind != "mask"), columns=columns)

    def drop(self, data: Data, given: Given, owner: Expr | None) -> Value:
        frames = self.evaluator.frames
        labels = given.get("columns") if "columns" in given.keywords else given.get("labels", 0)
        by_row = isinstance(labels, View) or "index" in given.keywords
        if by_row:
            index = labels if isinstance(labels, View) else given.get("index")
            random = isinstance(index, View) and any(rows.random for rows in index.data.rows)
            found = frames.subset(data, given.call, "rest", None, random)
            found = found.marked(one for one in lost(getattr(getattr(index, "data", None), "marks", ())))
        else:
            names = frames.names_of(labels)
            across = "columns" in given.keywords or given.constant("axis", 1) in (1, "columns")
            known = data.columns is not None and names is not None and across
            columns = frames.dropped(data.columns, names) if known else None  # type: ignore[arg-type]
            found = replace(data, columns=columns, site=self.evaluator.run.site(None))
            if not across and not given.open and labels is None:
                found = frames.subset(data, given.call, "rest")
        if given.constant("inplace") is True and owner is not None:
            self.replace(owner, found, given)
            return None
        return found

    def subset(self, data: Data, name: str, given: Given) -> Value:
        frames = self.evaluator.frames
        if name == "filter" and given.keywords.keys() & {"items", "like", "regex"}:
            return replace(data, columns=None)
        if name == "dropna" and given.constant("axis", 0) in (1, "columns"):
            return replace(data, columns=None)
        if name == "sample":
            return self.sampled(data, given)
        found = frames.subset(data, given.call, name)
        if name == "drop_duplicates":  # one row of each: no longer a series in time
            found = replace(found, marks=frozenset(one for one in found.marks if one.kind != "time"))
        lags = any(mark.kind == "time" and mark.label in TIMELY for mark in data.marks)  # the first rows have none
        nulls = name in ("dropna", "drop_nulls", "drop_nans") or (name == "query" and _asks(given))
        if name == "drop_duplicates" or (nulls and not lags):
            named = self.evaluator.frames.names_of(given.get("subset")) if name == "dropna" else None
            column = named[0] if named is not None and len(named) == 1 else None
            found = found.marked([self.evaluator.mark("lost", data, given.call, name, column)])
        return found

    def sampled(self, data: Data, given: Given) -> Value:
        size = given.get("frac") if "frac" in given.keywords else None
        copies = given.constant("replace") is True
        if isinstance(size, Known) and isinstance(size.value, (int, float)):
            if size.value == 1 and not copies:
                return data  # shuffles
            copies = copies or size.value > 1
        found = self.evaluator.frames.subset(data, given.call, "sample", None, random=True)
        return found.marked([self.evaluator.mark("copies", data, given.call, "sample")]) if copies else found

    def elementwise(self, data: Data, name: str, given: Given) -> Value:
        mark = self.evaluator.mark
        marks: list[Mark] = []
        for stat in given.stats:
            if name in CHOOSES and given.args and stat is given.args[0]:
                continue  # the values that are meant: the rare ones, by their counts
            fills = name in ("fillna", "replace")
            kept = [replace(one, mild=fills) for one in stat.marks if name == "fillna" or one.kind != "count"]
            marks += [replace(one, kind="mask") for one in kept] if name in COMPARES else kept
        for one in given.args[:1]:
            if isinstance(one, Data):
                grouped = [made for made in one.marks if made.kind == "group"]
                marks += [replace(made, kind="fit", grouped=name != "fillna") for made in grouped]
                if name == "fillna":
                    marks += [replace(made, grouped=False) for made in one.marks if made.grouped]
        columns = data.columns
        timely = self.timed(data, name, given)
        marks += [mark("time", data, given.call, name)] if timely else []
        if name in ("bfill", "backfill", "interpolate") or given.constant("method") in ("bfill", "backfill"):
            marks.append(mark("future", data, given.call, name))
        if name == "rolling" and given.constant("center") is True:
            marks.append(mark("future", data, given.call, "centred rolling window"))
        if name in MISSING:
            own = data.columns.own if data.columns is not None else None
            return data.marked([mark("mask", data, given.call, name, own)])
        if columns is not None and (name == "rename" or name not in KEEPS_COLUMNS):
            moved = columns.moved or name in TIMELY
            columns = replace(columns, own=None, moved=moved) if columns.series else None
        columns = classes(columns) if name == "map" else columns
        if name == "select_dtypes" and columns is not None:
            columns = columns if _numeric(given) else None
        return replace(data.marked(marks), columns=columns)

    def timed(self, data: Data, name: str, given: Given) -> bool:
        if name in TIMELY:
            return True
        if name in ("sort_values", "set_index", "sort"):
            by = given.get("keys" if name == "set_index" else "by", 0)
            if isinstance(by, Data):
                return name == "set_index" and self.is_in_time(by)
            return any(TIME.search(one) for one in self.evaluator.frames.names_of(by) or ())
        return False

    @staticmethod
    def is_in_time(value: Value) -> bool:
        """Whether a series holds points in time, as its name says."""
        own = value.columns.own if isinstance(value, Data) and value.columns is not None else None
        return own is not None and TIME.search(own) is not None

    def replace(self, owner: Expr, found: Data, given: Given) -> None:
        """A method that changes its receiver."""
        if isinstance(owner, Ref):
            head, _, rest = owner.name.partition(".")
            held = self.evaluator.run.lookup(head)
            if rest and isinstance(held, Data):
                self.evaluator.run.set(head, held.marked(found.marks))
            else:
                self.evaluator.run.set(owner.name, found)
        elif isinstance(owner, Subscript):
            self.evaluator.frames.store(owner, found, given.call)  # type: ignore[arg-type]

    def view(self, view: View, name: str, given: Given, owner: Expr | None) -> Value:
        if view.name == "plot":
            return None
        if view.name == "resample" and name in REDUCERS:
            return replace(view.data, columns=None)  # one row for each span of time
        if view.name == "index":
            return (
                View(view.data.marked([self.evaluator.mark("copies", view.data, given.call, "repeat")]), "rows")
                if (name == "repeat")
                else None
            )
        return self.data(view.data, name, given, None)

    # Groups.

    def grouped(self, group: Grouped, name: str, given: Given) -> Value:
        data, mark = group.data, self.evaluator.mark
        if name in ("transform", "apply", "cumsum", "cumcount", "shift", "diff", "rolling", "rank", "ffill", "bfill"):
            how = given.constant("func", 0) if name == "transform" else name
            if how in REDUCERS:
                made = replace(mark("fit", data, given.call, str(how), group.column), grouped=True)
                return replace(data.marked([made]), columns=None)
            if name in TIMELY:
                moved = data.columns and replace(data.columns, moved=True, series=True, own=None)
                return replace(data.marked([mark("time", data, given.call, name)]), columns=moved)
            return replace(data, columns=None)
        if name in ("agg", "aggregate", *REDUCERS, "size", "first", "last"):
            run = self.evaluator.run
            rows = run.rows("group", run.site(given.call), data.rows)
            made = mark("group", data, given.call, f"groupby.{name}", group.column)
            return Data(frozenset((rows,)), data.marks | {made}, self.evaluator.fresh_columns())
        if name in ("filter", "head", "tail", "sample"):
            return self.evaluator.frames.subset(data, given.call, name)
        return group


def _asks(given: Given) -> bool:
    """``query("age.notna()")``."""
    text = given.constant("expr", 0)
    return isinstance(text, str) and any(one in text for one in ("notna()", "notnull()"))


def _numeric(given: Given) -> bool:
    kinds = given.get("include", 0)
    values = kinds.values if isinstance(kinds, Items) else (kinds,)
    text = {one.value for one in values if isinstance(one, Known)}
    return "exclude" not in given.keywords and not text & {"object", "category", "datetime", "O"}
