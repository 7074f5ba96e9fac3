"""The columns a ``ColumnTransformer`` takes, where the code lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from .columns import dropped, taken
from .rows import Data, Items, Known

if TYPE_CHECKING:
    from .calling import Given
    from .evaluating import Evaluator


class Picks(Struct, frozen=True):
    """``names`` are taken; ``out`` are not; with ``rest`` all others are."""

    names: frozenset[str]
    out: frozenset[str]
    rest: bool

    def of(self, data: Data) -> Data:
        columns = data.columns
        if columns is None or columns.series:
            return data
        found = dropped(columns, self.out) if self.rest else taken(columns, sorted(self.names))
        return replace(data, columns=found, site=None)


def picks(evaluator: Evaluator, name: str, given: Given) -> Picks | None:
    """None when not all columns are known."""
    made = name.endswith("make_column_transformer")
    if not made and not name.endswith("ColumnTransformer"):
        return None
    listed = Items(tuple(given.args)) if made else given.get("transformers", 0)
    if not isinstance(listed, Items) or given.open or not listed.values:
        return None
    names: set[str] = set()
    out: set[str] = set()
    for one in listed.values:
        if not isinstance(one, Items) or len(one.values) != (2 if made else 3):
            return None
        found = evaluator.frames.names_of(one.values[-1])
        if found is None:
            return None
        gone = one.values[-2] == Known("drop")
        (out if gone else names).update(found)
    rest = given.get("remainder", None if made else 1)
    return Picks(frozenset(names), frozenset(out), rest is not None and rest != Known("drop"))
