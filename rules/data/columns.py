"""Arithmetic of column sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from .rows import Columns, Items, Known, Names, Value


def dropped(columns: Columns, names: Iterable[str]) -> Columns:
    """Without some columns."""
    gone = frozenset(names)
    kept = columns.names | gone if columns.whole else columns.names - gone
    derived = frozenset(one for one in columns.derived if one[0] not in gone)
    return replace(columns, names=kept, derived=derived)


def taken(columns: Columns, names: Sequence[str]) -> Columns:
    """Some columns alone."""
    kept = frozenset(name for name in names if columns.has(name))
    derived = frozenset(one for one in columns.derived if one[0] in kept)
    return replace(columns, whole=False, names=kept, derived=derived)


def single(columns: Columns, name: str) -> Columns:
    """One column as a series."""
    moved = any(one == name and not sources for one, sources in columns.derived)
    return Columns(
        columns.frame, False, frozenset((name,)), True, columns.derived, moved, name, classed=columns.classed
    )


def computed(parts: Sequence[Columns | None]) -> Columns | None:
    """What is computed of series of one frame; a frame stays itself."""
    if len(parts) == 1 and parts[0] is not None:
        return parts[0]
    known = [one for one in parts if one is not None]
    if len(known) != len(parts) or not known or any(not one.series or one.frame != known[0].frame for one in known):
        return None
    names = frozenset(name for one in known for name in one.names)
    return replace(known[0], names=names, moved=any(one.moved for one in known), own=None)


def written(columns: Columns, name: str, value: Columns | None) -> Columns:
    """With one column set to a series. A series that was moved in time derives from nothing here."""
    derived = frozenset(one for one in columns.derived if one[0] != name)
    if value is not None and value.series and value.frame == columns.frame and name not in value.names:
        sources = {source for one in value.names for source in _sources(columns, one)}
        derived |= {(name, frozenset() if value.moved else frozenset(sources))}
        if value.classes:
            columns = replace(columns, classed=columns.classed | {name})
    names = columns.names - {name} if columns.whole else columns.names | {name}
    return replace(columns, names=names, derived=derived)


def _sources(columns: Columns, name: str) -> frozenset[str]:
    return next((sources | {name} for one, sources in columns.derived if one == name), frozenset((name,)))


def classes(columns: Columns | None) -> Columns | None:
    """A series that is made of another by cutting it into classes: ``frame["price"] > 100``."""
    return replace(columns, classes=True) if columns is not None and columns.series else columns


def others(names: Value, value: Value) -> Value:
    """``frame.columns != "y"``."""
    if isinstance(names, Names) and isinstance(value, Known) and isinstance(value.value, str):
        return Names(dropped(names.columns, [value.value]))
    return None


def without(left: Value, right: Value) -> Value:
    """``set(frame.columns) - {"y"}``."""
    if isinstance(left, Names) and isinstance(right, Items):
        names = [one.value for one in right.values if isinstance(one, Known) and isinstance(one.value, str)]
        return Names(dropped(left.columns, names)) if len(names) == len(right.values) else None
    return None
