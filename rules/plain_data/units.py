"""Units (F16): how they convert, which names speak of them, which calls give or want them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from mldebt.rule import Analysis, Row, Table

from .knowledge import FunctionRow, canonical

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|%")
# Words of rates and of conversions: SECONDS_PER_HOUR, ms_to_s.
_RATES = frozenset({"per", "in", "to", "2", "from", "factor", "scale", "multiplier"})
_NEARLY = 1e-6
_CONVERSIONS = frozenset(
    {12, 24, 60, 100, 255, 256, 1000, 1024, 3600, 86400, 127.5, 10**6, 10**9, 1024**2, 1024**3, 180}
)


class UnitRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A unit: ``factor`` of the dimension's own unit; ``tokens`` end names that speak of it; ``short``: as shown."""

    dimension: str
    factor: float
    tokens: tuple[str, ...] = ()
    short: str


class WantedSlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An argument that is of a unit."""

    argument: str
    quantity: str
    position: int | None = None
    called: bool = False  # of a call of an instance, not of its class


class WantRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A callable with arguments that are of units."""

    slots: tuple[WantedSlot, ...]


class FieldRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A field of what some ``libraries`` return, and its quantity."""

    gives: str
    libraries: tuple[str, ...]


class Units(Analysis):
    """Answers what a name or a library's call says of units."""

    units: ClassVar[Table[UnitRow]] = Table("units.toml", "units", UnitRow)
    measures: ClassVar[Table[FunctionRow]] = Table("units.toml", "measures", FunctionRow)
    readings: ClassVar[Table[FunctionRow]] = Table("units.toml", "readings", FunctionRow)
    wants: ClassVar[Table[WantRow]] = Table("units.toml", "wants", WantRow)
    spaces: ClassVar[Table[WantRow]] = Table("units.toml", "spaces", WantRow)
    discrete: ClassVar[Table[FunctionRow]] = Table("units.toml", "discrete", FunctionRow)
    fields: ClassVar[Table[FieldRow]] = Table("units.toml", "fields", FieldRow)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._named: dict[str, str | None] = {}

    @cached_property
    def rows(self) -> Mapping[str, UnitRow]:
        return self.project.rows(self.units)

    @cached_property
    def wanted(self) -> Mapping[str, WantRow]:
        return self.project.rows(self.wants)

    @cached_property
    def _measures(self) -> Mapping[str, FunctionRow]:
        return self.project.rows(self.measures)

    @cached_property
    def _readings(self) -> Mapping[str, FunctionRow]:
        return self.project.rows(self.readings)

    @cached_property
    def _tokens(self) -> dict[str, str]:
        return {token: name for name, row in self.rows.items() for token in row.tokens}

    @cached_property
    def _endings(self) -> tuple[str, ...]:
        return tuple(self._tokens)

    def dimension(self, unit: str) -> str | None:
        """What a unit measures; None for a quantity that is no unit."""
        row = self.rows.get(unit)
        return None if row is None else row.dimension

    def function(self, name: str) -> FunctionRow | None:
        """The row of a library's function."""
        return self._measures.get(canonical(name))

    def reading(self, name: str) -> FunctionRow | None:
        """The row of a method."""
        return self._readings.get(name)

    @cached_property
    def distributions(self) -> Mapping[str, FunctionRow]:
        return self.project.rows(self.discrete)

    def field(self, name: str, module: Module) -> FieldRow | None:
        """The row of an attribute, in a file that imports a library that returns it."""
        row = self._fields.get(name)
        if row is None:
            return None
        if not row.libraries:
            return row
        tops = {fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level}
        return row if not tops.isdisjoint(row.libraries) else None

    @cached_property
    def _fields(self) -> Mapping[str, FieldRow]:
        return self.project.rows(self.fields)

    def sources(self, dimensions: frozenset[str]) -> frozenset[str]:
        """The functions that give a unit of one of these dimensions."""
        return frozenset(
            n for n, row in self._measures.items() if row.gives and self.dimension(row.gives) in dimensions
        )

    def named(self, name: str) -> str | None:
        """The unit a name ends in: ``backoff_ms`` is milliseconds. ``ms_per_s`` and ``to_ms`` are none."""
        if name not in self._named:
            if name.isascii() and not name.rstrip("_").lower().endswith(self._endings):
                return None
            words = [word.lower() for word in _WORD.findall(name)]
            unit = self._tokens.get(words[-1]) if (words and len(words[-1]) > 1) or len(words) > 1 else None
            self._named[name] = None if unit is None or not _RATES.isdisjoint(words) else unit
        return self._named[name]

    def scaled(self, unit: str, factor: float) -> str | None:
        """The unit of a number in ``unit`` times ``factor``; itself when that only scales it, None when unclear."""
        row = self.rows[unit]
        if row.dimension == "schedule":
            return unit if factor in (1, -1) else None
        size = abs(factor)
        if size == 0:
            return None
        for name, other in self.rows.items():
            if other.dimension != row.dimension or not other.factor:
                continue
            wanted = row.factor / other.factor
            exact = abs(size / wanted - 1) < _NEARLY
            # Sizes are counted by the thousand and by 1024.
            ratios = (
                [size / wanted / 1.024**power for power in (-3, -2, -1, 1, 2, 3)] if row.dimension == "size" else []
            )
            binary = any(abs(ratio - 1) < _NEARLY for ratio in ratios)
            if exact or binary:
                return name
        near = {size, 1 / size}
        return None if any(abs(one / known - 1) < _NEARLY for one in near for known in _CONVERSIONS) else unit


class UnitNames(Analysis):
    """Which names of the project speak of units."""

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """The identifiers that speak of each unit."""
        units = self.project[Units]
        found: dict[str, list[str]] = {}
        for name in self.project.callers.identifiers:
            unit = units.named(name)
            if unit is not None:
                found.setdefault(unit, []).append(name)
        return found

    def naming(self, dimension: str, other: str) -> frozenset[str]:
        """The identifiers that speak of a dimension's units other than ``other``."""
        dimension_of = self.project[Units].dimension
        units = [unit for unit in self._names if unit != other and dimension_of(unit) == dimension]
        return frozenset(name for unit in units for name in self._names[unit])
