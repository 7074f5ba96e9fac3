"""Functions and classes of libraries, by linked name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Call

from .columns import classes
from .combining import JOINS
from .frames import TIME, beside
from .joining import as_data, either, elements
from .methods import CENTRED, REDUCERS
from .outliers import NOT_THERE
from .picking import picks
from .rows import (
    Cutter,
    Data,
    Fit,
    Instance,
    Items,
    Known,
    Names,
    Stat,
    Value,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

_PLAIN = frozenset({"numpy", "pandas", "scipy", "torch", "tensorflow", "math", "cupy", "dask", "jax"})
_PASSES = frozenset({"list", "tuple", "sorted", "abs", "round", "iter", "copy", "deepcopy", "shuffle", "tqdm", "array"})
_MODELS = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "ngboost", "tensorflow", "keras"})
_BOOSTERS = frozenset({"xgboost", "lightgbm", "catboost"})
_TABLES = frozenset({"DMatrix", "QuantileDMatrix", "DeviceQuantileDMatrix", "Dataset", "Pool"})
_IN_TIME = frozenset({"yfinance.download", "pandas_datareader.data.DataReader", "pandas_datareader.DataReader"})
_PICKLES = frozenset(
    f"{library}.{verb}" for library in ("joblib", "pickle", "cloudpickle", "dill") for verb in ("dump", "load")
)
_NEW = frozenset(
    {"zeros", "ones", "full", "arange", "linspace", "empty", "eye", "unique", "histogram", "DataFrame_empty"}
)


class Library:
    """What calls of libraries return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def of(self, name: str, given: Given) -> Value:
        run = self.evaluator.run
        knowledge = run.knowledge
        if name in knowledge.splitters:
            return self.evaluator.callables.cutting.splitter(name, given)
        if name in knowledge.samplers:
            return Fit(name.rpartition(".")[2], run.site(given.call), kind="sampler")
        if name in knowledge.fitters:
            return self.fitter(name, given)
        if name == "numpy.save" and isinstance(given.get("arr", 1), Data):
            self.evaluator.callables.storing.written(given.get("arr", 1), given)  # type: ignore[arg-type]
            return None
        if name in JOINS:
            return self.evaluator.callables.combining.joined(name, given)
        if name == "pandas.merge":
            left = given.get("left", 0)
            return self.evaluator.callables.combining.merged(left, given, "merge") if isinstance(left, Data) else None
        if name == "functools.reduce":
            return self.evaluator.callables.applying.reduced(given)
        if name == "sklearn.utils.resample":
            return self.evaluator.callables.combining.resample(given)
        if name in _PICKLES:
            return self.kept(name, given)
        table = self.evaluator.callables.tables.of(name, given)
        if table is not None:
            return table
        head, _, last = name.rpartition(".")
        if head == "builtins":
            return self.builtin(last, given)
        if head.startswith("sklearn.metrics"):
            return self.evaluator.callables.scoring.scored(given.all, given)
        return self.other(name, head.partition(".")[0] or name, last, given)

    def other(self, name: str, library: str, last: str, given: Given) -> Value:
        run = self.evaluator.run
        data = [one for one in map(as_data, given.all) if one is not None]
        if last == "load_model" or (last == "Booster" and given.has("model_file", 1)):
            storing = self.evaluator.callables.storing
            return storing.loaded(storing.file_name(given, 0 if last == "load_model" else 1), given)
        if library in _BOOSTERS and data and last in _TABLES:
            return data[0]  # the features, whose labels go along
        if library in _BOOSTERS and data and last in ("train", "cv"):
            fit = Fit("Booster", run.site(given.call), kind="model")
            self.evaluator.callables.estimators.trained(fit, last, data[0], replace(given, args=[data[0]]))
            return fit
        if last in _PASSES and data:
            return data[0] if len(given.args) < 2 or last != "shuffle" else Items(tuple(given.args))
        if library in _PLAIN and last[:1].islower():
            return self.plain(name, last, data, given)
        if last[:1].isupper():
            if data and (last.endswith(("Dataset", "DataLoader")) or library == "pandas"):
                return self.framed(given) or self.merge_values(data)
            if library == "pandas":
                return self.source(given, last)
            inner = tuple(one for one in _fits(given.all))
            return Fit(
                last,
                run.site(given.call),
                inner=inner,
                kind="model",
                sure=library in _MODELS,
                stops="early_stopping_rounds" in given.keywords,
                folds=next((one for one in given.all if isinstance(one, Cutter)), None),
            )
        if not data and not given.stats and last != "load":  # a pickle may hold anything
            found = self.source(given, last)
            if name in _IN_TIME and isinstance(found, Data):
                found = found.marked([self.evaluator.mark("time", found, given.call, name)])
            return found
        return None

    def framed(self, given: Given) -> Data | None:
        """``DataFrame({"age": ages, "score": scores})``."""
        table = given.get("data", 0)
        if not isinstance(table, Items) or table.kind != "dict" or as_data(table) is None:
            return None
        named = [
            replace(one, marks=beside(one.marks, str(key)))
            for key, value in zip(table.keys, table.values, strict=False)
            if (one := as_data(value)) is not None
        ]
        return self.merge_values(named)

    def kept(self, name: str, given: Given) -> Value:
        """``joblib.dump(model, path)`` and ``joblib.load(path)``; a pickle may hold anything else."""
        storing = self.evaluator.callables.storing
        if name.endswith("load"):
            return storing.loaded(storing.file_name(given), given)
        value = given.get("value" if name.startswith("joblib") else "obj", 0)
        if isinstance(value, Fit):
            storing.dumped(value, storing.file_name(given, 1))
        return None

    def plain(self, name: str, last: str, data: list[Data], given: Given) -> Value:
        """A function of numpy, pandas or the like."""
        if last in ("argmax", "argmin", "nanargmax", "nanargmin"):
            self.evaluator.callables.scoring.decides(last, given.args[:1], given)
        if last in REDUCERS and data:
            return self.evaluator.callables.methods.reduced(data[0], last, _shifted(given))
        if last.startswith("read_") or (not data and not given.stats and last not in _NEW):
            return self.source(given, "drawn" if name.startswith("numpy.random.ran") else last)
        if last in _NEW:
            return None
        if not data:
            return given.stats[0] if given.stats else None
        found = self.merge_values(data)
        if last in NOT_THERE:
            return found.marked([self.evaluator.mark("mask", found, given.call, last)])
        if last in CENTRED:
            found = found.marked([self.evaluator.mark("future", found, given.call, last)])
        if last in ("repeat", "tile"):
            return found.marked([self.evaluator.mark("copies", found, given.call, last)])
        if last == "sliding_window_view":
            return self.evaluator.frames.windows(found, given.call)
        if last == "get_dummies" or len(data) == 1:
            columns = data[0].columns
            found = replace(found, columns=classes(columns) if last in ("cut", "qcut", "digitize") else columns)
        return found.marked(mark for stat in given.stats for mark in stat.marks if mark.kind == "fit")

    def merge_values(self, data: list[Data]) -> Data:
        found = data[0]
        for one in data[1:]:
            found = Data(found.rows | one.rows, found.marks | one.marks)
        return replace(found, marks=beside(found.marks)) if len(data) > 1 else found

    def source(self, given: Given, label: str) -> Value:
        if label in ("seed", "set_option", "filterwarnings", "getLogger", "now", "time", "rand", "random"):
            return None
        run = self.evaluator.run
        rows = run.rows("source", run.site(given.call))
        if any(frame.loops > 0 for frame in run.frames):
            self.evaluator.callables.combining.repeated.add(rows)
        found = Data(frozenset((rows,)), columns=self.evaluator.fresh_columns())
        index = given.constant("index_col")
        dated = isinstance(index, str) and TIME.search(index) and given.has("parse_dates")
        if index is not None and given.constant("parse_dates") is True:
            dated = True
        if dated:
            found = found.marked([self.evaluator.mark("time", found, given.call, f"index_col={index!r}")])
        if label.startswith("read_") or label == "load":
            found = self.evaluator.callables.storing.read(found, given)
        if given.constant("on_bad_lines") == "skip" or given.constant("error_bad_lines") is False:
            found = found.marked([self.evaluator.mark("lost", found, given.call, "on_bad_lines='skip'")])
        return found

    # Fitting.

    def fitter(self, name: str, given: Given) -> Value:
        run = self.evaluator.run
        row, label = run.knowledge.fitters[name], name.rpartition(".")[2]
        if row.function:
            data = as_data(given.get("x", 0)) or as_data(given.get("X", 0))
            if data is None or given.constant("axis") == 1:
                return data
            return replace(data.marked([self.evaluator.mark("fit", data, given.call, label)]), columns=None)
        inner = tuple(_fits(given.all)) if row.kind == "composite" else ()
        known = row.kind != "composite" or not _unknown(given.all)
        kind = "model" if row.kind == "composite" and inner and inner[-1].kind == "model" else row.kind
        if row.free_with and given.has(row.free_with) and not given.open:
            kind = "free"
        if given.open and row.free_with:
            kind = "free"
        chosen = picks(self.evaluator, label, given)
        return Fit(label, run.site(given.call), row, inner=inner, kind=kind, sure=known, picks=chosen)

    def learns(self, fit: Fit) -> bool:
        """Whether a transformer takes something from all rows that may mislead."""
        if fit.kind == "composite":
            return any(self.learns(one) for one in fit.inner)
        return fit.kind not in ("free", "model", "sampler", "")

    def learned(self, fit: Fit) -> str:
        inner = [one.name for one in fit.inner if self.learns(one)]
        return f"{fit.name} with {', '.join(dict.fromkeys(inner))}" if inner else fit.name

    def builtin(self, last: str, given: Given) -> Value:
        values = given.args
        if last in ("max", "min", "sorted") and len(values) == 1:
            self.evaluator.callables.scoring.decides(
                last, [*values, self.evaluator.callables.scoring.keyed(given)], given
            )
        if last in ("enumerate", "zip"):
            inner = [elements(one) for one in values]
            return Items((None, *inner[:1]) if last == "enumerate" else tuple(inner), "each")
        if last in ("list", "set", "tuple", "sorted", "reversed", "iter"):
            value = values[0] if values else Items((), "list", (), self.evaluator.run.frame.loops)
            if isinstance(value, Data) and value.columns is not None and _is_table(value):
                return Names(value.columns)
            return replace(value, kind="list") if isinstance(value, Items) and value.kind != "each" else value
        if last in ("max", "min", "round", "abs", "float", "sum"):
            found: Value = None
            for one in values:
                found = either(found, one) if isinstance(one, (Stat, Data)) else found
            return found if isinstance(found, Stat) or last in ("abs", "round") else None
        if last == "open" and values:
            return Known(self.evaluator.callables.storing.file_name(given)) if given.call.args else None
        if last == "dict":
            return Items(tuple(given.keywords.values()), "dict", tuple(given.keywords))
        return None


def _is_table(data: Data) -> bool:
    """Whether rows are surely a frame's, whose items are the names of its columns."""
    sources = [one.site.fact for rows in data.rows for one, _ in rows.ancestry() if one.how == "source"]
    frames = [isinstance(one, Call) and last_segment(one.function).startswith("read_") for one in sources]
    return bool(frames) and all(frames) and data.columns is not None and not data.columns.series


def _fits(values: list[Value]) -> list[Fit]:
    """Transformers and models among values and the lists they stand in."""
    found: list[Fit] = []
    for value in values:
        if isinstance(value, Fit):
            found.append(value)
        elif isinstance(value, Items):
            found += _fits(list(value.values))
    return found


def _unknown(values: list[Value]) -> bool:
    """Whether something among the steps is not known."""
    return any(
        _unknown(list(one.values)) if isinstance(one, Items) else one is None or isinstance(one, Instance)
        for one in values
    )


def _shifted(given: Given) -> Given:
    """The arguments of ``numpy.mean(x, axis)`` as those of ``x.mean(axis)``."""
    return replace(given, args=given.args[1:])
