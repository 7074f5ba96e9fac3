"""Rows that stand on both sides of a split (MLD602)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from mldebt.finding import Place
from mldebt.rule import Analysis

from .row_flow import RowFlow
from .rows import Data, Event, Mark, Site
from .running import Run

_WORDS = {"windows": "cutting overlapping windows", "append": "appending changed copies"}


class Overlap(Struct, frozen=True):
    """What copies rows, where, and the split after it."""

    what: str
    site: Site
    split: str
    place: Place
    others: tuple[Site, ...] = ()


class Overlaps(Analysis):
    """All of a project, each copying once."""

    @cached_property
    def all(self) -> tuple[Overlap, ...]:
        found: dict[Place, list[Overlap]] = {}
        told: set[Site] = set()
        for run in self.project[RowFlow].runs:
            for one in (*_copies(run), *_samples(run)):
                if one.site not in told:
                    told.add(one.site)
                    found.setdefault(one.place, []).append(one)
        groups = [sorted(group, key=lambda one: one.site.key) for group in found.values()]
        return tuple(replace(group[0], others=tuple(one.site for one in group[1:])) for group in groups)


def _copies(run: Run) -> Iterator[Overlap]:
    for event in RowFlow.splits(run):
        if event.part == "grouped":
            continue
        for data in event.data[:2]:
            if not isinstance(data, Data):
                continue
            for mark in _copied(data, event):
                what = _WORDS.get(mark.kind) or _WORDS.get(mark.label) or mark.label
                yield Overlap(what, mark.site, event.label or "the cut", event.site.place)


def _copied(data: Data, event: Event) -> list[Mark]:
    """The copies of rows none of which was held back yet. Windows overlap only where they are shuffled."""
    kinds = ("copies", "windows") if event.random else ("copies",)
    found = [mark for kind in kinds for mark in data.kinds(kind)]
    ours = {outer for rows in data.rows for outer, _ in rows.ancestry()}
    return [mark for mark in found if mark.rows & ours and not any(rows.is_part() for rows in mark.rows)]


def _samples(run: Run) -> Iterator[Overlap]:
    """``train = frame.sample(...)`` and ``test = frame.sample(...)``: drawn twice of the same rows."""
    drawn: dict[int, list[tuple[str, Event]]] = {}
    for event in run.events:
        if event.kind == "cut" and len(event.data) > 1 and isinstance(event.data[1], Data):
            for rows in event.data[1].rows:
                if rows.part == "sample":
                    for parent in rows.parents:
                        drawn.setdefault(id(parent), []).append((event.part, event))
    for samples in drawn.values():
        first = samples[0]
        other = next((event for part, event in samples if part != first[0] and event.site != first[1].site), None)
        if other is not None:
            yield Overlap("sampling one frame twice", other.site, "the first sample", first[1].site.place)
