"""Tables of features and labels that libraries learn from, and the functions that learn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from .joining import as_data
from .rows import Data, Event, Fit, Instance, Items, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .calling import Given
    from .evaluating import Evaluator
    from .running import Run

TABLE = "table"  # the kind of Items that hold features and labels
# Where the features and the labels stand among the arguments: names and positions.
_TABLES = {
    "xgboost.DMatrix": ("data", "label"),
    "xgboost.QuantileDMatrix": ("data", "label"),
    "lightgbm.Dataset": ("data", "label"),
    "catboost.Pool": ("data", "label"),
    "torch.utils.data.TensorDataset": ("", ""),
    "torch.utils.data.dataset.TensorDataset": ("", ""),
}
_TRAINS = {
    "xgboost.train": "dtrain",
    "xgboost.cv": "dtrain",
    "lightgbm.train": "train_set",
    "lightgbm.cv": "train_set",
}
_TENSORS = frozenset("tensor from_numpy as_tensor Tensor FloatTensor DoubleTensor LongTensor".split())
_STEPS = frozenset("batch shuffle prefetch repeat map cache".split())


class Tables:
    """What calls with such tables return; events of kind ``tensor`` are what a network may learn from."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def of(self, name: str, given: Given) -> Value:
        """None where a call is about something else."""
        if name in _TABLES:
            return self.table(name, given)
        if name in _TRAINS:
            return self.trained(name, given)
        library, _, last = name.partition(".")
        if library == "torch" and last in _TENSORS:
            data = as_data(given.get("data", 0))
            return self.told([data], given) if data is not None else None
        if last.endswith("data.Dataset.from_tensor_slices"):
            pair = given.get("tensors", 0)
            return self.pair(*pair.values) if isinstance(pair, Items) and len(pair.values) == 2 else None
        if library == "torch" and last.endswith("DataLoader"):
            held = given.get("dataset", 0)
            inside = list(held.values.values()) if isinstance(held, Instance) else []
            self.told([one for one in map(as_data, inside) if one is not None], given)
        return None

    def table(self, name: str, given: Given) -> Value:
        x, y = (given.get(one, at) for at, one in enumerate(_TABLES[name]))
        found = self.pair(x, y)
        if name.startswith("torch"):
            self.told([one for one in map(as_data, given.args[:2]) if one is not None], given)
        return found

    def pair(self, x: Value, y: Value) -> Value:
        features, label = as_data(x), as_data(y)
        return features if features is None or label is None else Items((features, label), TABLE)

    def told(self, data: list[Data], given: Given) -> Value:
        if data:
            self.evaluator.run.event("tensor", given.call, data, label="a network")
        return data[0] if data else None

    def trained(self, name: str, given: Given) -> Value:
        """``xgboost.train(params, table)``."""
        x, y = unpacked(given.get(_TRAINS[name], 1))
        if x is None or y is None:
            return None
        fit = Fit("Booster", self.evaluator.run.site(given.call), kind="model")
        estimators = self.evaluator.callables.estimators
        estimators.trained(fit, name.rpartition(".")[2], x, replace(given, args=[x, y]))
        return fit

    @staticmethod
    def method(table: Items, name: str) -> Value:
        return table if name in _STEPS else None


def unpacked(value: Value) -> tuple[Data | None, Data | None]:
    """Features and labels of a table; rows alone have no labels."""
    if isinstance(value, Items) and value.kind == TABLE:
        return as_data(value.values[0]), as_data(value.values[1])
    return as_data(value), None


def fits(run: Run) -> Iterator[Event]:
    """The events a model or network learns from: tensors count in programs that go backward."""
    modules = [run.project.modules[path] for path in run.globals]
    trains = any("backward" in one.mentions for one in modules if not one.is_test)
    for event in run.events:
        if event.kind == "fit" or (trains and event.kind == "tensor"):
            yield event if event.kind == "fit" else replace(event, kind="fit", part="model")
