"""What one row of ``events.toml`` says; its tables' heads say it in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mldebt.rule import Row

DRAW, LAZY, INIT, LAYER, HEAD, CONSTRUCTOR = "draw", "lazy", "init", "layer", "head", "constructor"


class SeedRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call that seeds ``seeds``; see the head of the table in ``events.toml``."""

    seeds: tuple[str, ...]
    requires: str = ""
    off: Mapping[str, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    positions: Mapping[str, int] = msgspec.field(default_factory=dict)


class DrawRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call that draws from ``draws``; see the head of the table in ``events.toml``."""

    draws: str
    kind: str = DRAW
    owners: tuple[str, ...] = ()
    positions: Mapping[str, int] = msgspec.field(default_factory=dict)
    needs: Mapping[str, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    off: Mapping[str, tuple[Any, ...]] = msgspec.field(default_factory=dict)


class RestoreRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call that puts back the state of ``libraries``; ``scope``: a context manager that does so at its end."""

    libraries: tuple[str, ...]
    getter: str = ""
    scope: bool = False
