"""A contradiction between two pieces of evidence, at least one of them an API's or an annotation's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from mldebt.finding import Place, Related

from .values import ANNOTATION, API, NAME, RANGE, Evidence

_KINDS = {API: "API", ANNOTATION: "annotation", RANGE: "range", NAME: "name"}


class Conflict(Struct, frozen=True):
    """Two evidences that cannot both hold at ``place``: ``what`` happens there, ``cause`` tells it from others.

    Raises:
        ValueError: The evidences are not independent, or only ranges and names.
    """

    place: Place
    what: str
    evidences: tuple[Evidence, Evidence]
    cause: str = ""

    def __post_init__(self) -> None:
        first, second = self.evidences
        if (first.by, first.place) == (second.by, second.place):
            raise ValueError(f"one piece of evidence, counted twice: {first.by}")
        if max(first.weight, second.weight) < ANNOTATION:
            raise ValueError(f"only names and ranges say so: {first.by}, {second.by}")


def sufficient(evidences: Sequence[Evidence]) -> bool:
    """Whether evidences are enough for a finding: two, and an API or annotation among them."""
    distinct = {(one.by, one.place) for one in evidences}
    return len(distinct) > 1 and any(one.weight >= ANNOTATION for one in evidences)


def told(evidence: Evidence) -> str:
    """The evidence in words, for ``mldebt why``."""
    at = f"{evidence.place.path}:{evidence.place.span.line}"
    return f"{_KINDS[evidence.weight]}: {evidence.by} at {at} says {evidence.quantity}"


def related(conflict: Conflict) -> Iterator[Related]:
    """The places of the evidence other than the finding's own line."""
    seen = {(conflict.place.path, conflict.place.span.line)}
    for one in conflict.evidences:
        line = (one.place.path, one.place.span.line)
        if line not in seen:
            seen.add(line)
            yield Related(one.place, f"{one.by.rpartition('.')[2]} says {one.quantity}", "counterpart")
