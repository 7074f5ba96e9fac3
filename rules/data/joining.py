"""How abstract values meet: alternatives of branches, elements of iterables, items of tuples."""

from __future__ import annotations

from msgspec.structs import replace

from .rows import TEST, TRAIN, Data, Folds, Index, Instance, Items, Stat, Value


def either(left: Value, right: Value) -> Value:
    """What holds one value or the other: marks of both, for rows of both."""
    if left is right or right is None:
        return left
    if left is None:
        return right
    if isinstance(left, Items) and isinstance(right, Items):
        if len(left.values) == len(right.values) and left.keys == right.keys:
            return replace(left, values=tuple(map(either, left.values, right.values)))
        return left if len(left.values) > len(right.values) else right
    if isinstance(left, Data) and isinstance(right, Data):
        columns = left.columns if left.columns == right.columns else None
        return Data(left.rows | right.rows, left.marks | right.marks, columns, left.site or right.site)
    if isinstance(left, Stat) and isinstance(right, Stat):
        return Stat(left.marks | right.marks, left.rows | right.rows, left.test or right.test)
    if isinstance(left, Stat) or isinstance(right, Stat):
        return left if isinstance(left, Stat) else right
    return left if type(left) is type(right) and not isinstance(left, Instance) else right


def item(value: Value, position: int, count: int) -> Value:
    """One item of what is unpacked into ``count`` names."""
    if isinstance(value, Items):
        return value.values[position] if len(value.values) == count else None
    if isinstance(value, Data):
        return replace(value, columns=None)
    return value if isinstance(value, Stat) else None


def elements(value: Value) -> Value:
    """What a loop over a value sees."""
    if isinstance(value, Items):
        if value.kind == "each":
            return Items(value.values)
        found: Value = None
        for one in value.values:
            found = either(found, one)
        return found
    if isinstance(value, Folds):
        parts = [Index(value.data.rows, part, value.site, value.random) for part in (TRAIN, TEST)]
        return Items(tuple(parts))
    if isinstance(value, Data):
        return replace(value, columns=None, element=True)
    return value if isinstance(value, Stat) else None


def as_data(value: Value) -> Data | None:
    """A value as rows: a list of rows is rows too."""
    if isinstance(value, Data):
        return value
    if isinstance(value, Items) and value.values and value.kind == "table":
        return as_data(value.values[0])
    if isinstance(value, Items) and value.values and value.kind in ("list", "tuple", "dict"):
        parts = [part for part in map(as_data, value.values) if part is not None]
        if parts and len(parts) == len(value.values):
            whole = parts[0]
            for part in parts[1:]:
                whole = Data(whole.rows | part.rows, whole.marks | part.marks)
            return whole
    return None
