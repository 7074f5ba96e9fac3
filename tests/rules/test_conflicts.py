"""Contradictions between quantities: two pieces of evidence each, and no dependence on what locals are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.plain_data.blanket_precision import BlanketPrecision
from mldebt_rules.plain_data.conflicts import Conflict, sufficient
from mldebt_rules.plain_data.fraction_percent_mix import FractionPercentMix
from mldebt_rules.plain_data.log_linear_mix import LogLinearMix
from mldebt_rules.plain_data.log_mix import LogMix
from mldebt_rules.plain_data.unit_mix import UnitMix
from mldebt_rules.plain_data.units import Units
from mldebt_rules.plain_data.untyped_quantity_at_boundary import UntypedQuantityAtBoundary
from mldebt_rules.plain_data.values import ANNOTATION, API, NAME, RANGE, Evidence

from mldebt.finding import Place, Span
from mldebt.project.project import Project
from mldebt.registry import installed
from mldebt.rule import AnyRule, Bad
from mldebt.testing import cases, run, write

Build = Callable[..., Project]
RULES: tuple[type[AnyRule], ...] = (
    LogLinearMix,
    FractionPercentMix,
    UnitMix,
    BlanketPrecision,
    UntypedQuantityAtBoundary,
)
LEAST_KEPT = 0.7
HERE, THERE = Place("m.py", Span(1)), Place("m.py", Span(2))


def evidence(weight: int, by: str = "x", place: Place = HERE) -> Evidence:
    return Evidence("seconds", by, place, weight)


@pytest.mark.parametrize("weights", [(NAME, NAME), (NAME, RANGE), (RANGE, RANGE)])
def test_names_and_ranges_alone_make_no_finding(weights: tuple[int, int]) -> None:
    first, second = evidence(weights[0], "a"), evidence(weights[1], "b", THERE)
    assert not sufficient((first, second))
    with pytest.raises(ValueError, match="only names and ranges"):
        Conflict(HERE, "", (first, second))


def test_one_piece_of_evidence_does_not_count_twice() -> None:
    with pytest.raises(ValueError, match="counted twice"):
        Conflict(HERE, "", (evidence(API), evidence(API)))


@given(st.sampled_from([API, ANNOTATION]), st.sampled_from([API, ANNOTATION, RANGE, NAME]))
def test_an_api_or_an_annotation_and_anything_else_do(strong: int, other: int) -> None:
    pair = (evidence(other, "other", THERE), evidence(strong))
    assert sufficient(pair)
    assert Conflict(HERE, "", pair).evidences == pair


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_finding_states_two_pieces_of_evidence(rule: type[AnyRule], tmp_path: Path) -> None:
    seen = 0
    for case in cases(rule):
        if isinstance(case.example, Bad) and not case.variant:
            outcome = run(rule, write(case.files, tmp_path / str(case.number)), installed())
            for finding in outcome.report.findings:
                stated = [
                    one for one in finding.evidence if one.startswith(("API: ", "annotation: ", "range: ", "name: "))
                ]
                assert len(set(stated)) >= 2, finding.message
                assert any(one.startswith(("API: ", "annotation: ")) for one in stated), finding.message
                seen += 1
    assert seen >= 3


def test_findings_survive_locals_called_v1_to_vn(tmp_path: Path) -> None:
    before = after = 0
    for rule in RULES:
        for case in cases(rule):
            if not isinstance(case.example, Bad) or case.variant not in ("", "locals-renamed"):
                continue
            outcome = run(rule, write(case.files, tmp_path / f"{rule.code}{case.id}"), installed())
            found = sum(one.code == rule.code for one in outcome.report.findings)
            if case.variant:
                after += found
            elif any(one.variant == "locals-renamed" and one.number == case.number for one in cases(rule)):
                before += found
    assert before >= 10
    assert after >= LEAST_KEPT * before


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("backoff_ms", "milliseconds"),
        ("timeoutMs", "milliseconds"),
        ("TAIL_PCT", "percent"),
        ("angle_deg", "degrees"),
        ("MS_PER_S", None),
        ("to_ms", None),
        ("s", None),
        ("items", None),
        ("x_min", None),
    ],
)
def test_units_are_read_at_the_end_of_names(project: Build, name: str, unit: str | None) -> None:
    assert project({"m.py": ""})[Units].named(name) == unit


@pytest.mark.parametrize(
    ("unit", "factor", "becomes"),
    [
        ("milliseconds", 1e-3, "seconds"),
        ("seconds", 1e3, "milliseconds"),
        ("seconds", 1 / 60, "minutes"),
        ("bytes", 1 / 1024**2, "megabytes"),
        ("bytes", 1e-9, "gigabytes"),
        ("fraction", 100, "percent"),
        ("byte pixels", 1 / 255, "unit pixels"),
        ("milliseconds", 2, "milliseconds"),
        ("degrees", 1 / 180, None),
        ("seconds", 255, None),
    ],
)
def test_factors_convert_units(project: Build, unit: str, factor: float, becomes: str | None) -> None:
    assert project({"m.py": ""})[Units].scaled(unit, factor) == becomes


def test_a_density_is_not_taken_for_a_log_probability(project: Build) -> None:
    text = """
        from torch.distributions import Categorical, Normal


        def density(x):
            return Normal(0, 1).log_prob(x) > 0.5


        def chance(logits, x):
            return Categorical(logits=logits).log_prob(x) > 0.5
    """
    found = project({"m.py": text})[LogMix].conflicts
    assert [one.evidences[0].by for one in found] == ["Categorical.log_prob()"]
