"""The score: weighted minutes of debt per thousand live lines, as one value, a grade, and what to pay back first.

The size leaves out every line a finding carries, so that deleting bad code together with its findings never lowers the
score: findings R gone with any of their lines K leave ``live - |K|`` lines, of which the other findings carry C'; and
``K | C'`` is within what all findings carried before. Families add up in the exponent, so points are shared exactly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import reduce
from typing import Any, Literal

from msgspec import Struct

from mldebt.finding import Confidence, Finding, Severity, Waived
from mldebt.weights import Reference, rank_weight, weighted_minutes

ScoreReason = Literal["partial", "no-python"]
Line = tuple[str, int]

ENOUGH = 0.70  # below this coverage the score is an upper bound (catalogue 6.6)
FIX_FIRST = 5
DIGITS = 4  # what the JSON keeps: libm may differ in the last bits, reports must not


class Coverage(Struct, frozen=True):
    """How much of the repository the scan understood, as fractions; 1.0 where there was nothing to understand."""

    files_parsed: float = 1.0
    calls_resolved: float = 1.0
    entries_understood: float = 1.0
    options_owned: float = 1.0

    @property
    def least(self) -> float:
        return min(self.files_parsed, self.calls_resolved, self.entries_understood, self.options_owned)


class FamilyScore(Struct, frozen=True):
    """One family. ``value`` is 0-100 and None where not applicable, ``lost`` its part of the 100 points lost."""

    digit: str
    name: str
    value: float | None
    weight: float
    minutes: int
    lost: float
    applicable: bool


class Cap(Struct, frozen=True):
    """Why the grade is not better than ``grade``."""

    grade: str
    reason: str


class Gain(Struct, frozen=True):
    """What paying back one finding alone gives: ``points`` of score for ``minutes`` of work."""

    fingerprint: str
    points: float
    minutes: int


class Score(Struct, frozen=True):
    """The score of a whole repository. ``shares`` are the points each counted finding costs, by fingerprint."""

    model: int
    value: float
    grade: str
    caps: tuple[Cap, ...]
    families: tuple[FamilyScore, ...]
    minutes: int
    live_lines: int
    at_most: bool
    fix_first: tuple[Gain, ...]
    shares: tuple[tuple[str, float], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The plain values of DESIGN 5's S."""
        return {
            "model": self.model,
            "value": round(self.value, DIGITS),
            "grade": self.grade,
            "caps": [{"grade": cap.grade, "reason": cap.reason} for cap in self.caps],
            "families": [_family_json(family) for family in self.families],
            "minutes": self.minutes,
            "live_lines": self.live_lines,
            "at_most": self.at_most,
            "fix_first": [{"fingerprint": g.fingerprint, "gain": round(g.points, DIGITS)} for g in self.fix_first],
        }


def _family_json(family: FamilyScore) -> dict[str, Any]:
    return {
        "family": family.name,
        "value": None if family.value is None else round(family.value, DIGITS),
        "weight": round(family.weight, DIGITS),
        "minutes": family.minutes,
        "lost": round(family.lost, DIGITS),
        "applicable": family.applicable,
    }


def score_reason(*, files: int, applicable: Collection[str], partial: bool) -> ScoreReason | None:
    """Why there can be no score: nothing to judge, or only a part of the repository was asked for."""
    if not files or not applicable:
        return "no-python"
    return "partial" if partial else None


def score(
    findings: Sequence[Finding],
    waived: Sequence[Waived] = (),
    *,
    applicable: Collection[str],
    live_lines: int,
    reference: Reference,
    coverage: Coverage | None = None,
    counted: Callable[[Line], bool] | None = None,
) -> Score | None:
    """The score of everything found, before any filter on what is shown. None when no applicable family has a weight.

    Args:
        findings: Open findings, with fingerprints. Previews have no part in the score.
        waived: Waived ones. Only an inline waiver with a reason frees from the penalty.
        applicable: Digits of the families that could find something here, whatever was found; others cost nothing.
        live_lines: Code lines reachable from entries, tests or the API, each clone class once.
        reference: The calibration.
        coverage: Below 70 % anywhere the score is an upper bound.
        counted: Whether a line is one of ``live_lines``: dead lines must not shrink the size. None: all carried ones.
    """
    weights = reference.shares(applicable)
    if not weights:
        return None
    every = [f for f in (*findings, *(one.finding for one in waived)) if not f.preview]
    costing = _costing(findings, waived)
    debt = _Debt.of(costing, reference, weights, size(every, live_lines, counted))
    value, families = _value(debt.halvings), _families(reference, weights, debt, costing)
    caps = _caps(reference, families, [f for f in costing if f.family in weights])
    return Score(
        reference.model,
        value,
        grade=reduce(reference.worse, (cap.grade for cap in caps), reference.grade(round(value, 1))),
        caps=caps,
        families=families,
        minutes=sum(family.minutes for family in families),
        live_lines=live_lines,
        at_most=coverage is not None and coverage.least < ENOUGH,
        fix_first=_fix_first(debt),
        shares=tuple((one.finding.fingerprint, debt.points(one.share)) for one in debt.owed),
    )


def size(findings: Iterable[Finding], live_lines: int, counted: Callable[[Line], bool] | None = None) -> int:
    """Live lines that no finding carries."""
    carried = {line for finding in findings for line in finding.carries}
    return max(0, live_lines - (sum(map(counted, carried)) if counted else len(carried)))


def _costing(findings: Sequence[Finding], waived: Sequence[Waived]) -> list[Finding]:
    # A baseline only moves the gate: were it free, one command would buy full marks.
    kept = [one.finding for one in waived if one.kind == "baseline" or not one.reason.strip()]
    return [finding for finding in (*findings, *kept) if weighted_minutes(finding) > 0]


class _Owed(Struct, frozen=True):
    """One finding's part of the exponent, in halvings of the score, and what the exponent falls by without it."""

    finding: Finding
    share: float
    relief: float


class _Debt(Struct, frozen=True):
    """The exponent x of ``100 * 2**-x``, finding by finding. ``by_family`` is unweighted: it makes a family's value."""

    owed: tuple[_Owed, ...]
    by_family: dict[str, float]
    halvings: float

    @classmethod
    def of(cls, costing: list[Finding], reference: Reference, weights: dict[str, float], lines: int) -> _Debt:
        by_rule: defaultdict[str, list[Finding]] = defaultdict(list)
        for finding in costing:
            by_rule[finding.code].append(finding)
        thousands = lines / 1000 + 1  # the prior of one thousand: nobody is judged on 80 lines
        owed: list[_Owed] = []
        by_family: dict[str, float] = {}
        halvings = 0.0
        for family in reference.families:
            if family.digit not in weights:
                continue
            rules = [_saturated(by_rule[code]) for code in sorted(by_rule) if code[3] == family.digit]
            unit = 1 / (family.half_life * thousands)
            weight = weights[family.digit]
            by_family[family.digit] = unit * sum(one.share for rule in rules for one in rule)
            halvings += weight * by_family[family.digit]
            owed += (
                _Owed(one.finding, one.share * unit * weight, one.relief * unit * weight)
                for rule in rules
                for one in rule
            )
        return cls(tuple(owed), by_family, halvings)

    def points(self, halvings: float) -> float:
        """The part of the lost points that so many of the halvings answer for."""
        return (100 - _value(self.halvings)) * halvings / self.halvings if self.halvings else 0.0


def _saturated(findings: list[Finding]) -> list[_Owed]:
    """The findings of one rule, dearest first, in weighted minutes."""
    ranked = sorted(findings, key=lambda f: (-weighted_minutes(f), _order(f)))
    owed: list[_Owed] = []
    moved_up = 0.0  # what the cheaper findings weigh more once this one no longer stands before them
    for rank in range(len(ranked), 0, -1):
        minutes = weighted_minutes(ranked[rank - 1])
        share = minutes * rank_weight(rank)
        owed.append(_Owed(ranked[rank - 1], share, share - moved_up))
        if rank > 1:
            moved_up += minutes * (rank_weight(rank - 1) - rank_weight(rank))
    return owed[::-1]


def _value(halvings: float) -> float:
    return 100 * math.pow(2.0, -halvings)


def _order(finding: Finding) -> tuple[str, int, int, str, str]:
    return (finding.place.path, finding.place.span.line, finding.place.span.column, finding.code, finding.fingerprint)


def _families(
    reference: Reference, weights: dict[str, float], debt: _Debt, costing: list[Finding]
) -> tuple[FamilyScore, ...]:
    minutes: defaultdict[str, int] = defaultdict(int)
    for finding in costing:
        minutes[finding.family] += finding.minutes
    return tuple(
        FamilyScore(
            digit=family.digit,
            name=family.name,
            value=_value(debt.by_family[family.digit]) if family.digit in weights else None,
            weight=weights.get(family.digit, 0.0),
            minutes=minutes[family.digit],
            lost=debt.points(weights.get(family.digit, 0.0) * debt.by_family.get(family.digit, 0.0)),
            applicable=family.digit in weights,
        )
        for family in reference.families
    )


def _caps(reference: Reference, families: Iterable[FamilyScore], costing: Iterable[Finding]) -> tuple[Cap, ...]:
    sure = sum(f.severity is Severity.CRITICAL and f.confidence is Confidence.HIGH for f in costing)
    caps = []
    if sure:
        reason = "a critical finding is open" if sure == 1 else f"{sure} critical findings are open"
        caps.append(Cap(reference.caps.critical, reason))
    core = {family.digit for family in reference.families if family.core}
    floor = reference.caps.core_family_below
    low = [f.name for f in families if f.digit in core and f.value is not None and round(f.value, 1) < floor]
    if low:
        verb = "is" if len(low) == 1 else "are"
        caps.append(Cap(reference.caps.core_family, f"{_listed(low)} {verb} below {floor:g}"))
    return tuple(caps)


def _digits(number: float) -> float:
    """Ten significant digits: equal findings must rank as equal on every machine."""
    return float(f"{number:.9e}")


def _listed(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)


def _fix_first(debt: _Debt) -> tuple[Gain, ...]:
    """The findings with the most points per minute, at unchanged size: the least that paying them back can give."""
    now = _value(debt.halvings)
    ranked = []
    for one in debt.owed:
        points = _value(max(0.0, debt.halvings - one.relief)) - now
        # As a multiple of the score: where it is near zero, points themselves are too small to tell findings apart.
        growth = math.expm1(min(one.relief, 900) * math.log(2))
        if growth > 0:
            rank = (-_digits(growth / one.finding.minutes), -_digits(growth), _order(one.finding))
            ranked.append((rank, Gain(one.finding.fingerprint, points, one.finding.minutes)))
    ranked.sort(key=lambda entry: entry[0])
    return tuple(gain for _, gain in ranked[:FIX_FIRST])
