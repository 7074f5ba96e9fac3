"""Calls that cut rows into parts: ``train_test_split``, ``KFold``, ``cross_val_score``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from .joining import as_data
from .rows import (
    TEST,
    TRAIN,
    VALIDATION,
    Cutter,
    Items,
    Value,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator


class Cutting:
    """What splitters return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

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
