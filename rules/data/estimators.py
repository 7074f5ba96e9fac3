"""Methods of transformers, models and samplers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .joining import as_data
from .rows import (
    TEST,
    Data,
    Fit,
    Items,
    Mark,
    Rows,
    Sets,
    Stat,
    Value,
)
from .tables import unpacked

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

_FILLERS = frozenset({"SimpleImputer", "Imputer"})  # one figure of each column; others predict what is missing


class Estimators:
    """What fitting, transforming and predicting return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def of(self, fit: Fit, name: str, given: Given) -> Value:
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
            origin = fit.at if fit.sure and fit.kind == "model" else None
            made = Mark("predicted", fit.trained, self.evaluator.run.site(given.call), fit.name, origin=origin)
            return replace(data.marked([made]), columns=None)
        if name in ("score", "evaluate"):
            return self.evaluator.callables.scoring.scored(given.all, given)
        if name in ("save", "save_model", "load_model"):
            self.kept(fit, name, given)
        if name == "get_support":
            return Stat(fit.fitted, frozenset())
        if name in ("fit", "set_params", "partial_fit", "set_output"):
            return fit
        return replace(data, columns=None) if name == "inverse_transform" and data is not None else None

    def kept(self, fit: Fit, name: str, given: Given) -> None:
        """A model that is written to a file by a method of its own, or read from one."""
        storing = self.evaluator.callables.storing
        file = storing.file_name(given)
        if name != "load_model":
            storing.dumped(fit, file)
        elif (held := storing.loaded(file, given)) is not None:
            self.evaluator.run.changes += 1
            fit.at = held.at

    def trained(self, fit: Fit, name: str, data: Data | None, given: Given) -> None:
        run = self.evaluator.run
        y = unpacked(given.get("X", 0))[1] or given.get("y", 1)
        chosen = picked(fit, data)
        kind = "" if not fit.sure or (chosen is None and picks_columns(fit)) else fit.kind
        run.event("fit", given.call, (chosen or data, y, *given.keywords.values()), label=fit.name, part=kind)
        if fit.folds is not None:
            grouped = "grouped" * fit.folds.row.grouped
            label = fit.folds.row.name.rpartition(".")[2]
            run.event("folds", given.call, (data, y, fit.folds), random=fit.folds.random, label=label, part=grouped)
        run.changes += 1
        fit.at = run.site(given.call)
        fit.trained = data.rows if data is not None else frozenset()
        library = self.evaluator.callables.library
        if data is None:
            fit.fitted = frozenset()
            return
        fit.seen = tuple(mark for mark in data.kinds("fit") if mark.label[:1].isupper())
        self.stopped_early(fit, given)
        share = given.get("validation_split")
        if share is not None:
            run.event("split", given.call, (data, y), label="validation_split")
        if fit.kind == "model" or not library.learns(fit):
            fit.fitted = frozenset()
            return
        label = library.learned(fit)
        made = Mark("fit", data.rows, run.site(given.call), label, mild=fit.kind == "encoder" or label in _FILLERS)
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


def _within(value: Value) -> list[Data]:
    if isinstance(value, Items):
        return [data for one in value.values for data in _within(one)]
    return [value] if isinstance(value, Data) else []


def picked(fit: Fit, data: Data | None) -> Data | None:
    """The columns a pipeline takes, where it lists them; None where it takes all, or nobody knows which."""
    taker = fit
    while taker.picks is None:
        takers = [one for one in taker.inner if picks_columns(one)]
        if len(takers) != 1:
            return None
        taker = takers[0]
    return taker.picks.of(data) if data is not None else None


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
