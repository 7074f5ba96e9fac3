"""Methods of frames, groups, transformers, models and splitters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mldebt.facts.schema import Expr, Ref, Subscript

from .frames import TIME
from .joining import as_data, either
from .rows import (
    TEST,
    Cutter,
    Data,
    Fit,
    Folds,
    Grouped,
    Items,
    Known,
    Mark,
    Names,
    Rows,
    Sets,
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
    "drop_duplicates".split()
)
TIMELY = frozenset("shift diff pct_change rolling ewm expanding resample asfreq tshift".split())
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
            return self.fit(receiver, name, given)
        if isinstance(receiver, Cutter):
            return self.cutter(receiver, name, given)
        if isinstance(receiver, Grouped):
            return self.grouped(receiver, name, given)
        if isinstance(receiver, Items):
            return self.items(receiver, name, given, owner)
        if isinstance(receiver, Names):
            return self.names(receiver, name, given, owner)
        return receiver if isinstance(receiver, Stat) else None

    # Frames.

    def data(self, data: Data, name: str, given: Given, owner: Expr | None) -> Value:
        if name in NOTHING:
            if name.startswith("to_"):
                self.evaluator.callables.library.written(data, given)
            return None
        if name in REDUCERS:
            return self.reduced(data, name, given)
        if name == "groupby":
            return Grouped(data)
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
        return found

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
            return self.evaluator.callables.library.parts([data], given, keyed=True)
        if name in ("merge", "join"):
            return self.evaluator.callables.library.merged(data, given, name)
        if name == "append":
            return self.evaluator.callables.library.concatenated([data, *given.args[:1]], given, 0)
        if name == "repeat":
            return data.marked([self.evaluator.mark("copies", data, given.call, "repeat")])
        columns, marks = data.columns, [mark for one in given.all for mark in getattr(one, "marks", ())]
        for key, value in given.keywords.items():
            from .columns import written

            if columns is not None:
                columns = written(columns, key, value.columns if isinstance(value, Data) else None)
        return replace(data.marked(mark for mark in marks if mark.kind != "mask"), columns=columns)

    def drop(self, data: Data, given: Given, owner: Expr | None) -> Value:
        frames = self.evaluator.frames
        labels = given.get("columns") if "columns" in given.keywords else given.get("labels", 0)
        by_row = isinstance(labels, View) or "index" in given.keywords
        if by_row:
            index = labels if isinstance(labels, View) else given.get("index")
            random = isinstance(index, View) and any(rows.random for rows in index.data.rows)
            found = frames.subset(data, given.call, "rest", None, random)
        else:
            names = frames.names_of(labels)
            across = "columns" in given.keywords or given.constant("axis", 1) in (1, "columns")
            known = data.columns is not None and names is not None and across
            found = replace(data, columns=frames.dropped(data.columns, names) if known else None)  # type: ignore[arg-type]
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
        if name == "drop_duplicates" or (name == "dropna" and not lags):
            found = found.marked([self.evaluator.mark("lost", data, given.call, name)])
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
            marks += [one for one in stat.marks if one.kind != "count" or name == "fillna"]
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
            return data.marked([mark("mask", data, given.call, name)])
        if columns is not None and (name == "rename" or name not in KEEPS_COLUMNS):
            moved = columns.moved or name in TIMELY
            columns = replace(columns, own=None, moved=moved) if columns.series else None
        if name == "select_dtypes" and columns is not None:
            columns = columns if _numeric(given) else None
        return replace(data.marked(marks), columns=columns)

    def timed(self, data: Data, name: str, given: Given) -> bool:
        if name in TIMELY:
            return True
        if name in ("sort_values", "set_index"):
            by = given.get("by" if name == "sort_values" else "keys", 0)
            return any(TIME.search(one) for one in self.evaluator.frames.names_of(by) or ())
        return False

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

    # Transformers and models.

    def fit(self, fit: Fit, name: str, given: Given) -> Value:
        data = as_data(given.get("X", 0)) or as_data(given.get("x", 0)) or as_data(given.get("raw_documents", 0))
        if name in ("fit", "partial_fit", "train", "fit_resample", "fit_sample", "fit_transform", "fit_predict"):
            self.trained(fit, name, data, given)
        if fit.kind == "sampler" and name in ("fit_resample", "fit_sample"):
            return self.resampled(fit, given)
        if name in ("transform", "fit_transform"):
            return self.transformed(fit, data, given)
        if name in ("predict", "predict_proba", "decision_function", "predict_on_batch", "fit_predict"):
            if data is None:
                return None
            self.evaluator.run.event("predict", given.call, (data,), label=fit.name)
            made = Mark("predicted", fit.trained, self.evaluator.run.site(given.call), fit.name)
            return replace(data.marked([made]), columns=None)
        if name in ("score", "evaluate"):
            return self.evaluator.callables.library.scored(given.all, given)
        if name == "get_support":
            return Stat(fit.fitted, frozenset())
        if name in ("fit", "set_params", "partial_fit", "set_output"):
            return fit
        return replace(data, columns=None) if name == "inverse_transform" and data is not None else None

    def trained(self, fit: Fit, name: str, data: Data | None, given: Given) -> None:
        run = self.evaluator.run
        y = given.get("y", 1)
        kind = "" if not fit.sure or picks_columns(fit) else fit.kind
        run.event("fit", given.call, (data, y, *given.keywords.values()), label=fit.name, part=kind)
        fit.trained = data.rows if data is not None else frozenset()
        library = self.evaluator.callables.library
        if data is None:
            fit.fitted = frozenset()
            return
        self.stopped_early(fit, given)
        share = given.get("validation_split")
        if share is not None:
            run.event("split", given.call, (data, y), label="validation_split")
        if fit.kind == "model" or not library.learns(fit):
            fit.fitted = frozenset()
            return
        label = library.learned(fit)
        made = Mark("fit", data.rows, run.site(given.call), label)
        fit.fitted = fit.fitted | {made} if name == "partial_fit" else frozenset((made,))

    def stopped_early(self, fit: Fit, given: Given) -> None:
        """Early stopping, or keeping the best epoch, by rows that are called the test part."""
        shown = [given.get(name) for name in ("eval_set", "validation_data", "eval_data", "valid_sets")]
        rows = [rows for value in shown for data in _within(value) for rows in data.rows]
        callbacks = given.get("callbacks")
        named = {one.name for one in (callbacks.values if isinstance(callbacks, Items) else ()) if isinstance(one, Fit)}
        stops = "early_stopping_rounds" in given.keywords or fit.stops or named & {"EarlyStopping", "early_stopping"}
        if stops and rows and all(one.how == "split" and one.part == TEST for one in rows):
            value = Stat(frozenset(), frozenset(rows), TEST)
            self.evaluator.run.event("decide", given.call, (value,), label="early stopping")

    def transformed(self, fit: Fit, data: Data | None, given: Given) -> Value:
        if data is None:
            return None
        self.leaks(fit.fitted, data, given)
        keeps = fit.kind in ("scaler", "imputer", "free")  # the same columns, in other units
        return replace(data.marked(fit.fitted), columns=data.columns if keeps else None)

    def leaks(self, marks: Iterable[Mark], data: Data, given: Given) -> None:
        """What was learned from rows is applied to a part that was split from them."""
        for mark in marks:
            for split in splits_between(mark.rows, data.rows):
                self.evaluator.run.event("leak", given.call, (data,), mark=mark, label=split.part)
                self.evaluator.run.events[-1] = replace(self.evaluator.run.events[-1], site=split.site)

    def resampled(self, fit: Fit, given: Given) -> Value:
        run = self.evaluator.run
        found: list[Value] = []
        for value in given.args[:2] or list(given.keywords.values())[:2]:
            data = as_data(value)
            if data is None:
                found.append(None)
                continue
            rows = run.rows("copy", run.site(given.call), data.rows)
            made = self.evaluator.mark("copies", data, given.call, fit.name)
            found.append(replace(data.marked([made]), rows=frozenset((rows,))))
        return Items(tuple(found))

    # Splitters, lists and names.

    def cutter(self, cutter: Cutter, name: str, given: Given) -> Value:
        if name != "split":
            return None
        data = as_data(given.get("X", 0))
        if data is None:
            return None
        run = self.evaluator.run
        y = given.get("y", 1)
        label = cutter.row.name.rpartition(".")[2]
        run.event(
            "split", given.call, (data, y), random=cutter.random, label=label, part="grouped" * cutter.row.grouped
        )
        return Folds(data, run.site(given.call), cutter.random)

    def items(self, items: Items, name: str, given: Given, owner: Expr | None) -> Value:
        if items.kind == "list" and name in ("append", "extend", "remove") and isinstance(owner, Ref):
            value = given.get("object", 0)
            if name == "remove":
                kept = tuple(one for one in items.values if one != value)
                self.evaluator.run.set(owner.name, replace(items, values=kept, appended=()))
                return None
            added = value.values if name == "extend" and isinstance(value, Items) else (value,)
            self.evaluator.run.set(owner.name, self.longer(items, added, given))
            return None
        if items.kind == "dict" and name in ("items", "values", "get", "keys"):
            if name == "get":
                key = given.constant("key", 0)
                return items.values[items.keys.index(key)] if key in items.keys else None
            found: Value = None
            for one in items.values:
                found = either(found, one)
            return (
                Items((None, found), "each")
                if name == "items"
                else Items((found,), "list")
                if name == "values"
                else None
            )
        return Items(items.values, items.kind, items.keys) if name == "copy" else None

    def longer(self, items: Items, added: tuple[Value, ...], given: Given) -> Items:
        depth = self.evaluator.run.frame.loops
        values, appended = items.values, items.appended
        for value in added:
            one = value
            if isinstance(one, Data) and one.window and depth > items.depth:
                one = self.evaluator.frames.windows(one, given.call)
            silent = self.evaluator.run.silent
            if silent and depth > items.depth:
                one = self.evaluator.callables.library.skipped(as_data(one), silent[-1])
            if isinstance(one, Data) and one.element and depth > items.depth:
                twin = [held for held in values if isinstance(held, Data) and held.rows == one.rows]
                if twin and depth in appended:
                    one = one.marked([self.evaluator.mark("copies", one, given.call, "append")])
            values, appended = (*values, one), (*appended, depth)
        return replace(items, values=values, appended=appended)

    def names(self, names: Names, name: str, given: Given, owner: Expr | None) -> Value:
        frames = self.evaluator.frames
        if name in ("drop", "difference", "remove"):
            out = frames.names_of(given.get("labels", 0))
            found = Names(frames.dropped(names.columns, out)) if out is not None else None
            if name == "remove" and isinstance(owner, Ref):
                self.evaluator.run.set(owner.name, found)
                return None
            return found
        return names if name in ("tolist", "to_list", "copy") else None


def _within(value: Value) -> list[Data]:
    if isinstance(value, Items):
        return [data for one in value.values for data in _within(one)]
    return [value] if isinstance(value, Data) else []


def picks_columns(fit: Fit) -> bool:
    """Whether a pipeline takes some columns only."""
    names = fit.name in ("ColumnTransformer", "make_column_transformer", "FeatureUnion", "FunctionTransformer")
    return names or fit.kind == "selector" or any(picks_columns(one) for one in fit.inner)


def splits_between(fitted: Sets, rows: Sets) -> list[Rows]:
    """The splits that part ``rows`` from the larger set something was fitted on."""
    found = []
    for one in rows:
        for outer, split in one.ancestry():
            if split is not None and outer is not split and outer in fitted:
                found.append(split)
    return found


def _numeric(given: Given) -> bool:
    kinds = given.get("include", 0)
    values = kinds.values if isinstance(kinds, Items) else (kinds,)
    text = {one.value for one in values if isinstance(one, Known)}
    return "exclude" not in given.keywords and not text & {"object", "category", "datetime", "O"}
