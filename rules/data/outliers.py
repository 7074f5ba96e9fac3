"""Masks over rows that are missing, far out or called anomalous, and rows that are drawn by chance."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mldebt.facts.schema import Call

from .rows import Data, Mark

NOT_THERE = frozenset("isnull isna notnull notna isfinite isnan".split())
# What a filter on far values is computed of: without them it is an ordinary selection.
_SPREADS = frozenset("std nanstd mad zscore median_abs_deviation".split())
DETECTORS = frozenset("IsolationForest LocalOutlierFactor EllipticEnvelope OneClassSVM SGDOneClassSVM".split())
LOSING = NOT_THERE | _SPREADS | DETECTORS | {"quantile", "percentile", "nanpercentile", "nanquantile"}
COMPARES = frozenset("between gt ge lt le".split())
_DRAWS = frozenset(
    "rand random random_sample uniform binomial choice permutation rand_like randn shuffle default_rng".split()
)


def far_out(data: Data) -> list[Mark]:
    """Marks of a comparison: values are measured in spreads (``z < 3``), or are a detector's verdicts (``== 1``)."""
    own = data.columns.own if data.columns is not None else None
    found = []
    for mark in data.marks:
        spread = mark.kind == "fit" and mark.label in _SPREADS
        verdict = mark.kind == "predicted" and mark.label in DETECTORS and mark.column in (None, own)
        if spread or verdict:
            found.append(replace(mark, kind="mask"))
    return found


def masks(mask: Data, data: Data) -> list[Mark]:
    """What a mask over rows was made of. What went into the rows themselves is no reason to take them."""
    return [one for one in mask.marks - data.marks if one.kind == "mask" and replace(one, kind="fit") not in data.marks]


def drawn(mask: Data) -> bool:
    """Whether a mask, or row numbers, come out of a random generator."""
    return any(_is_draw(one.site.fact) for rows in mask.rows for one, _ in rows.ancestry() if one.how == "source")


def _is_draw(fact: object) -> bool:
    name = getattr(fact.function, "name", "") if isinstance(fact, Call) else ""
    return name.rpartition(".")[2] in _DRAWS


def lost(marks: Iterable[Mark]) -> list[Mark]:
    return [one for one in marks if one.kind == "lost"]
