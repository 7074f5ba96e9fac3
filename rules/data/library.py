"""Functions and classes of libraries, by linked name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mldebt.facts.schema import Binary, Lambda

from .frames import TIME
from .joining import as_data, either, elements
from .methods import REDUCERS
from .rows import (
    TEST,
    TRAIN,
    VALIDATION,
    Cutter,
    Data,
    Fit,
    Instance,
    Items,
    Known,
    Mark,
    Site,
    Stat,
    Value,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

_JOINS = {
    "pandas.concat": 0, "numpy.concatenate": 0, "numpy.append": None, "numpy.vstack": 0, "numpy.r_": 0,
    "numpy.hstack": 1, "numpy.column_stack": 1, "numpy.dstack": 1, "scipy.sparse.hstack": 1, "scipy.sparse.vstack": 0,
    "torch.cat": 0, "numpy.row_stack": 0,
}  # fmt: skip
_PLAIN = frozenset({"numpy", "pandas", "scipy", "torch", "tensorflow", "math", "cupy", "dask", "jax"})
_PASSES = frozenset({"list", "tuple", "sorted", "abs", "round", "iter", "copy", "deepcopy", "shuffle", "tqdm", "array"})
_MODELS = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "ngboost", "tensorflow", "keras"})
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
            return self.splitter(name, given)
        if name in knowledge.samplers:
            return Fit(name.rpartition(".")[2], run.site(given.call), kind="sampler")
        if name in knowledge.fitters:
            return self.fitter(name, given)
        if name == "numpy.save" and isinstance(given.get("arr", 1), Data):
            self.written(given.get("arr", 1), given)  # type: ignore[arg-type]
            return None
        if name in _JOINS:
            return self.joined(name, given)
        if name == "pandas.merge":
            left = given.get("left", 0)
            return self.merged(left, given, "merge") if isinstance(left, Data) else None
        if name == "sklearn.utils.resample":
            return self.resample(given)
        head, _, last = name.rpartition(".")
        if head == "builtins":
            return self.builtin(last, given)
        if head.startswith("sklearn.metrics"):
            return self.scored(given.all, given)
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
                return self.merge_values(data)
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

    def plain(self, name: str, last: str, data: list[Data], given: Given) -> Value:
        """A function of numpy, pandas or the like."""
        if last in ("argmax", "argmin", "nanargmax", "nanargmin"):
            self.decides(last, given.args[:1], given)
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
        return found

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
            found = self.read(found, given)
        if given.constant("on_bad_lines") == "skip" or given.constant("error_bad_lines") is False:
            found = found.marked([self.evaluator.mark("lost", found, given.call, "on_bad_lines='skip'")])
        return found

    def file_name(self, given: Given, position: int = 0) -> str:
        """The name of the file a call is given, directories left out; empty when not known."""
        names = ("path", "path_or_buf", "filepath_or_buffer", "file", "fname", "io")
        expr = next((one for one in map(given.expr, names) if one is not None), None) or given.expr("", position)
        if isinstance(expr, Binary) and expr.op == "/":
            expr = expr.right
        run = self.evaluator.run
        value = run.frame.module.constant(run.frame.scope, expr) if expr is not None else None
        if not isinstance(value, str) and isinstance(found := given.get("", position), Known):
            value = found.value
        name = value.rpartition("/")[2] if isinstance(value, str) else ""
        return name if "." in name and "*" not in name else ""

    def written(self, data: Data, given: Given, position: int = 0) -> None:
        """Rows in a file: whoever reads it gets what was fitted on all of them."""
        name = self.file_name(given, position)
        marks = frozenset(
            mark
            for mark in data.kinds("fit")
            if mark.rows and all(not rows.is_part() for rows in (*mark.rows, *data.rows))
        )
        if name and marks:
            files = self.evaluator.run.files
            files[name] = files.get(name, frozenset()) | marks

    def read(self, data: Data, given: Given) -> Data:
        run = self.evaluator.run
        name = self.file_name(given)
        run.reads |= {name} - {""}
        return data.marked(replace(mark, rows=data.rows) for mark in run.files.get(name, ()))

    def skipped(self, data: Data | None, site: Site) -> Data:
        """An item of a list that lacks those whose reading failed."""
        run = self.evaluator.run
        if data is None:
            data = Data(frozenset((run.rows("source", site),)))
        return data.marked([Mark("lost", data.rows, site, "the handler that goes on")])

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

    # Splitting.

    def splitter(self, name: str, given: Given) -> Value:
        run = self.evaluator.run
        row = run.knowledge.splitters[name]
        random = row.shuffle == "always"
        if row.shuffle in ("true", "false"):
            stated = given.has("shuffle", row.position)
            value = given.constant("shuffle", row.position)
            random = value is True if stated else row.shuffle == "true"
        label = name.rpartition(".")[2]
        if row.form == "folds":
            return Cutter(row, random, run.site(given.call))
        if row.form == "cross":
            pipeline = given.get("estimator", 0)
            x, y = given.get("X", 1), given.get("y", 2)
            cv = given.get("cv")
            random = isinstance(cv, Cutter) and cv.random
            kind = "grouped" if isinstance(cv, Cutter) and cv.row.grouped else label
            run.event("split", given.call, (x, y, pipeline, cv), random=random, label=label, part=kind)
            run.event("fit", given.call, (x, y), label=label, part="model")
            return None
        return self.parts(given.args if row.form == "parts" else given.args[:1], given, random=random, label=label)

    def parts(
        self, values: list[Value], given: Given, random: bool = True, label: str = "train_test_split",
        keyed: bool = False,
    ) -> Value:  # fmt: skip
        run = self.evaluator.run
        data = [as_data(one) for one in values]
        run.event("split", given.call, data, random=random, label=label)
        found: list[Value] = []
        for one in data:
            for part in (TRAIN, TEST) if label != "random_split" else (TRAIN, TEST, VALIDATION):
                if one is None:
                    found.append(None)
                    continue
                rows = run.rows("split", run.site(given.call), one.rows, part, random)
                found.append(replace(one, rows=frozenset((rows,))))
        if label == "random_split":
            lengths = given.get("lengths", 1)
            found = found[: len(lengths.values)] if isinstance(lengths, Items) else found[:2]
        return Items(tuple(found), "dict", ("train", "test")) if keyed else Items(tuple(found))

    # Joining.

    def joined(self, name: str, given: Given) -> Value:
        values = given.get("objs", 0)
        parts = list(values.values) if isinstance(values, Items) else list(given.args)
        axis = given.constant("axis", 1 if name == "pandas.concat" else None)
        if name != "numpy.append" and not isinstance(values, (Items, Data)):
            return None
        if isinstance(values, Data):
            return values
        if name == "numpy.append":
            parts, axis = given.args[:2], given.constant("axis", 2) or 0
        default = _JOINS[name]
        if axis is None:
            axis = None if given.has("axis") else default
        return self.concatenated(parts, given, axis)

    def concatenated(self, values: list[Value], given: Given, axis: object) -> Value:
        parts = [as_data(one) for one in values]
        data = [one for one in parts if one is not None]
        if not data:
            return None
        whole = self.merge_values(data)
        if axis != 0 or len(data) == 1:
            return replace(whole, columns=None)
        run = self.evaluator.run
        rows = run.rows("join", run.site(given.call), whole.rows)
        found = replace(whole, rows=frozenset((rows,)), columns=data[0].columns)
        if any(_overlap(one, other) for at, one in enumerate(data) for other in data[at + 1 :]):
            found = found.marked([self.evaluator.mark("copies", whole, given.call, "concatenation with a copy")])
        return found

    def merged(self, left: Data, given: Given, name: str) -> Value:
        at = 1 if given.args and given.args[0] is left else 0
        right = as_data(given.get("right" if name == "merge" else "other", at))
        marks: list[Mark] = []
        if right is not None:
            marks += [replace(one, kind="fit", grouped=True) if one.kind == "group" else one for one in right.marks]
            keyed = {"on", "left_on", "right_on", "left_index", "right_index"} & given.keywords.keys()
            chance = not keyed and len(given.args) <= at + 1 and not {"how", "validate"} & given.keywords.keys()
            # join takes the index, which somebody chose; merge takes whatever names the tables share.
            chance = chance and name == "merge"
            if chance and not given.open and not (left.rows & right.rows) and _unrelated(left, right):
                marks.append(self.evaluator.mark("join", left, given.call, name))
        return replace(left.marked(marks), columns=None)

    def resample(self, given: Given) -> Value:
        found: list[Value] = []
        for value in given.args:
            data = as_data(value)
            if data is None:
                found.append(None)
                continue
            one = self.evaluator.frames.subset(data, given.call, "resample", None, random=True)
            if given.constant("replace") is not False and not (given.has("replace") and given.get("replace") is None):
                one = one.marked([self.evaluator.mark("copies", data, given.call, "resample")])
            found.append(one)
        return found[0] if len(found) == 1 else Items(tuple(found))

    # Scores and builtins.

    def scored(self, values: list[Value], given: Given) -> Value:
        data = [one for one in map(as_data, values) if one is not None]
        rows = frozenset(rows for one in data for rows in one.rows)
        parts = {found.part for one in rows for found, _ in one.ancestry() if found.how == "split"}
        test = TEST if TEST in parts else VALIDATION if VALIDATION in parts else ""
        marks = frozenset((Mark("score", rows, self.evaluator.run.site(given.call), "score"),))
        if data:
            self.evaluator.run.event("score", given.call, data, label=test)
        return Stat(marks, rows, test)

    def keyed(self, given: Given) -> Value:
        """What ``key=lambda c: score(c)`` gives."""
        key = given.expr("key")
        if not isinstance(key, Lambda):
            return None
        names = self.evaluator.run.frame.names
        before = dict(names)
        names.update({name: elements(given.args[0]) for name in key.parameters})
        value = self.evaluator.of(key.body)
        names.clear()
        names.update(before)
        return value

    def decides(self, last: str, values: list[Value], given: Given) -> None:
        """A choice among scores."""
        for one in _stats(values):
            if one.test:
                self.evaluator.run.event("decide", given.call, (one,), label=last)
                return

    def builtin(self, last: str, given: Given) -> Value:
        values = given.args
        if last in ("max", "min", "sorted") and len(values) == 1:
            self.decides(last, [*values, self.keyed(given)], given)
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


def _stats(values: list[Value]) -> list[Stat]:
    found: list[Stat] = []
    for value in values:
        if isinstance(value, Stat):
            found.append(value)
        elif isinstance(value, Items):
            found += _stats(list(value.values))
    return found


def _unknown(values: list[Value]) -> bool:
    """Whether something among the steps is not known."""
    return any(
        _unknown(list(one.values)) if isinstance(one, Items) else one is None or isinstance(one, Instance)
        for one in values
    )


def _overlap(left: Data, right: Data) -> bool:
    """Whether rows of one certainly stand in the other too."""
    ones, others = left.rows, right.rows
    if ones & others:
        return True
    inside = any(outer in others for one in ones for outer, split in one.ancestry() if split is None)
    return inside or any(outer in ones for one in others for outer, split in one.ancestry() if split is None)


def _unrelated(left: Data, right: Data) -> bool:
    ones = {rows for one in left.rows for rows, _ in one.ancestry()}
    return not any(rows in ones for one in right.rows for rows, _ in one.ancestry())


def _shifted(given: Given) -> Given:
    """The arguments of ``numpy.mean(x, axis)`` as those of ``x.mean(axis)``."""
    return replace(given, args=given.args[1:])
