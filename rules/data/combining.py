"""Rows put side by side, one below the other, joined by a key, or drawn with repetition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mldebt.facts.schema import Attribute, Ref, Subscript

from .joining import as_data
from .rows import (
    Data,
    Items,
    Mark,
    Rows,
    Value,
)

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator

JOINS = {
    "pandas.concat": 0, "numpy.concatenate": 0, "numpy.append": None, "numpy.vstack": 0, "numpy.r_": 0,
    "numpy.hstack": 1, "numpy.column_stack": 1, "numpy.dstack": 1, "scipy.sparse.hstack": 1, "scipy.sparse.vstack": 0,
    "torch.cat": 0, "numpy.row_stack": 0,
}  # fmt: skip


class Combining:
    """What joins return."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.repeated: set[Rows] = set()  # what a loop reads: each time another table

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
        default = JOINS[name]
        if axis is None:
            axis = None if given.has("axis") else default
        return self.concatenated(parts, given, axis)

    def concatenated(self, values: list[Value], given: Given, axis: object) -> Value:
        parts = [as_data(one) for one in values]
        data = [one for one in parts if one is not None]
        if not data:
            return None
        whole = self.evaluator.callables.library.merge_values(data)
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
            if chance and not given.open and (_unrelated(left, right) or self.are_two(left, right, given)):
                marks.append(self.evaluator.mark("join", left, given.call, name))
        if right is not None and self.is_inner(given, name) and _unrelated(left, right):
            marks.append(self.evaluator.mark("lost", left, given.call, "the inner merge"))
        return replace(left.marked(marks), columns=None)

    @staticmethod
    def is_inner(given: Given, name: str) -> bool:
        """Whether rows without a partner go: said so, or merged by a key with nothing else said."""
        checked = given.open or not {"validate", "indicator"}.isdisjoint(given.keywords)
        how = given.constant("how") if "how" in given.keywords else "inner" if name == "merge" else "left"
        keyed = name == "join" or not {"on", "left_on", "right_on"}.isdisjoint(given.keywords)
        return how == "inner" and keyed and not checked

    def are_two(self, left: Data, right: Data, given: Given) -> bool:
        """Whether rows that one place reads are those of two tables: of a list's items, or of a dict's."""
        ones, others = ({rows for one in data.rows for rows, _ in one.ancestry()} for data in (left, right))
        if not ones & others <= self.repeated:
            return False
        if left.element is not right.element:
            return True
        function, other = given.call.function, given.expr("right", 0)
        table = function.value if isinstance(function, Attribute) else other
        pair = [table, given.expr("right", 1) if table is other else other]
        names = [
            (one.value.name, one.index) for one in pair if isinstance(one, Subscript) and isinstance(one.value, Ref)
        ]
        return len(names) == 2 and names[0][0] == names[1][0] and names[0][1] != names[1][1]

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
