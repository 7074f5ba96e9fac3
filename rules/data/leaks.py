"""Which fits and figures have seen rows that a split holds out (MLD601)."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from mldebt.finding import Place
from mldebt.rule import Analysis

from .knowledge import RowKnowledge
from .row_flow import RowFlow, covers, held
from .rows import Data, Event, Fit, Mark
from .running import Run

_WORDS = {"cut": "the cut", "validation_split": "validation_split"}


class Leak(Struct, frozen=True):
    """Fits, mild ones last, and the split that comes too late for them."""

    marks: tuple[Mark, ...]
    split: str
    place: Place

    @property
    def mild(self) -> bool:
        """Whether nothing but filled values and names of categories hang on it."""
        return all(mark.mild for mark in self.marks)


class Leaks(Analysis):
    """All leaks of a project, each fit once."""

    @cached_property
    def all(self) -> tuple[Leak, ...]:
        found: dict[tuple[object, ...], dict[tuple[object, ...], Mark]] = {}
        splits: dict[tuple[object, ...], tuple[str, Place]] = {}
        for run in self.project[RowFlow].runs:
            targets = RowFlow.targets(run)
            for event, mark in _leaks(run):
                if mark.grouped and mark.column not in targets:
                    continue
                if _for_validation(run, event) and not self.looks_at_target(mark):
                    continue
                key = (mark.site.module.path, event.site.key)
                marks = found.setdefault(key, {})
                at = (*mark.site.key, mark.label)
                known = marks.setdefault(at, mark)
                if known.mild and not mark.mild:
                    marks[at] = mark
                label = event.label if event.kind == "split" else _WORDS["cut"]
                splits.setdefault(key, (label, event.site.place))
        return tuple(_once(found, splits))

    def looks_at_target(self, mark: Mark) -> bool:
        """Whether it was learned with the labels at hand: a target encoding, a selection of features."""
        return mark.grouped or mark.label in self._supervised

    @cached_property
    def _supervised(self) -> frozenset[str]:
        rows = self.project[RowKnowledge].fitters
        kinds = ("selector", "target-encoder")
        return frozenset(name.rpartition(".")[2] for name, row in rows.items() if row.kind in kinds)


def _for_validation(run: Run, event: Event) -> bool:
    """Whether what is called the training part is split once more, while a test part lies elsewhere."""
    return run.tested and any(rows in run.training for value in event.data for rows in held(value))


def _leaks(run: Run) -> list[tuple[Event, Mark]]:
    found = []
    splits = RowFlow.splits(run)
    for event in splits:
        if len(event.data) > 2 and isinstance(event.data[2], Fit) and event.data[2].kind == "":
            continue
        for data in event.data if event.kind == "split" else event.data[:1]:
            if isinstance(data, Data) and (event.label == "train_test_split" or not data.rows & run.training):
                found += [(event, mark) for mark in data.kinds("fit") if _reaches(mark, data)]
    places = {event.site.key for event in splits}
    for event in run.events:
        mark = event.mark
        if event.kind == "leak" and mark is not None and event.site.key in places and not _late(mark):
            found.append((event, mark))
    return found


def _late(mark: Mark) -> bool:
    """A fit on a part that was held back already concerns no test rows."""
    return any(rows.is_part() for rows in mark.rows)


def _reaches(mark: Mark, data: Data) -> bool:
    return covers(mark, data) and not _late(mark)


def _once(
    found: dict[tuple[object, ...], dict[tuple[object, ...], Mark]], splits: dict[tuple[object, ...], tuple[str, Place]]
) -> list[Leak]:
    """A fit that several splits come too late for is told with the first of them."""
    told: set[tuple[object, ...]] = set()
    leaks = []
    for key, marks in found.items():
        fresh = [one for one in marks if one not in told]
        told.update(fresh)
        if fresh:
            ordered = tuple(sorted((marks[one] for one in fresh), key=lambda mark: (mark.mild, mark.site.key)))
            leaks.append(Leak(ordered, *splits[key]))
    return leaks
