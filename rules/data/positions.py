"""Columns that are taken by their position: ``frame.iloc[:, -1]``, ``array[:, 0:8]``."""

from __future__ import annotations

from msgspec.structs import replace

from mldebt.facts.schema import Expr, Slice

from .rows import Columns, Data, Items, Known, Value


def at_positions(data: Data, index: Expr, value: Value, bounds: tuple[Value, Value]) -> Data:
    """The columns at a slice, a number or a list of numbers; unknown where any were dropped before.

    Args:
        value: What the index is worth, ``bounds``: what its two ends are worth, for a slice.
    """
    columns = data.columns
    if columns is None or columns.series or not columns.whole or columns.names or columns.span is not None:
        return replace(data, columns=None)
    if isinstance(index, Slice):
        ends = [one.value if isinstance(one, Known) else None for one in bounds]
        known = all(
            isinstance(end, int) == (expr is not None)
            for end, expr in zip(ends, (index.lower, index.upper), strict=True)
        )
        span = (ends[0], ends[1])
        return replace(data, columns=replace(columns, span=span) if known and index.step is None else None)
    if isinstance(value, Known) and isinstance(value.value, int):
        name = f"column {value.value}"
        return replace(data, columns=Columns(columns.frame, False, frozenset((name,)), True, own=name))
    if isinstance(value, Items) and value.values and not value.keys:
        given = [one.value for one in value.values if isinstance(one, Known) and isinstance(one.value, int)]
        if len(given) == len(value.values):
            names = frozenset(f"column {one}" for one in given)
            return replace(data, columns=Columns(columns.frame, False, names))
    return replace(data, columns=None)
