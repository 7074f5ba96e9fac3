"""Functions and classes of libraries, by linked name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from .combining import JOINS
from .frames import TIME, beside
from .joining import as_data, either, elements
from .methods import REDUCERS
from .rows import (
    Data,
    Fit,
    Instance,
    Items,
    Known,
    Stat,
    Value,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

_PLAIN = frozenset({"numpy", "pandas", "scipy", "torch", "tensorflow", "math", "cupy", "dask", "jax"})
_PASSES = frozenset({"list", "tuple", "sorted", "abs", "round", "iter", "copy", "deepcopy", "shuffle", "tqdm", "array"})
_MODELS = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "ngboost", "tensorflow", "keras"})
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
        if name == "sklearn.utils.resample":
            return self.evaluator.callables.combining.resample(given)
        if name in _PICKLES:
            return self.kept(name, given)
        head, _, last = name.rpartition(".")
        if head == "builtins":
            return self.builtin(last, given)
        if head.startswith("sklearn.metrics"):
            return self.evaluator.callables.scoring.scored(given.all, given)
        return self.other(name, head.partition(".")[0] or name, last, given)

    def other(self, name: str, library: str, last: str, given: Given) -> Value:
        run = self.evaluator.run
        data = [one for one in map(as_data, given.all) if one is not None]
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
            )
        if not data and not given.stats and last != "load":  # a pickle may hold anything
            return self.source(given, last)
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
            return self.source(given, last)
        if last in _NEW:
            return None
        if not data:
            return given.stats[0] if given.stats else None
        found = self.merge_values(data)
        if last in ("repeat", "tile"):
            return found.marked([self.evaluator.mark("copies", found, given.call, last)])
        if last == "sliding_window_view":
            return self.evaluator.frames.windows(found, given.call)
        if last == "get_dummies" or len(data) == 1:
            found = replace(found, columns=data[0].columns)
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
        found = Data(frozenset((rows,)), columns=self.evaluator.fresh_columns())
        index = given.constant("index_col")
        if isinstance(index, str) and TIME.search(index) and given.has("parse_dates"):
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
        return Fit(label, run.site(given.call), row, inner=inner, kind=kind, sure=known)

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
