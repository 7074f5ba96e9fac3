"""Callers of functions, as an analysis: ``project.callers`` finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition

__all__ = ["Callers", "Site", "given"]


class Callers(Analysis):
    """``project[Callers].of(definition)``."""

    def of(self, definition: Definition) -> tuple[Site, ...] | None:
        """The calls known to run a function; None when there are too many of that name to tell."""
        return self.project.callers.of(definition)

    def spellings(self, definition: Definition) -> frozenset[str]:
        """The identifiers a call of the function may use."""
        return self.project.callers.spellings(definition)
