"""Fits on rows to which something was done before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .row_flow import RowFlow
from .rows import Data, Event, Mark
from .tables import fits

if TYPE_CHECKING:
    from mldebt.project.project import Project


def marked_fits(project: Project, kind: str) -> Iterator[tuple[Mark, Event]]:
    """Each mark of a kind once, with the first model that is fitted on rows that bear it.

    A mark about the column that is learned is left out: rows without it teach nothing.
    """
    told: set[tuple[object, ...]] = set()
    for run in project[RowFlow].runs:
        targets = RowFlow.targets(run)
        for event in fits(run):
            if event.part not in ("model", ""):
                continue
            for data in event.data[:2]:
                for mark in data.kinds(kind) if isinstance(data, Data) else ():
                    if mark.site.key not in told and mark.column not in targets:
                        told.add(mark.site.key)
                        yield mark, event
