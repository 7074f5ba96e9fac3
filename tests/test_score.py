"""The score: its worked example, its properties, and what it refuses to be moved by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mldebt.errors import ConfigurationError
from mldebt.finding import Confidence, Finding, Place, Severity, Span, Waived
from mldebt.score import Coverage, Score, score, score_reason, size
from mldebt.weights import Reference

REFERENCE = Reference.shipped()
ALL = frozenset("123456789")
PATHS = ("a.py", "b.py")


def finding(code: str = "MLD401", minutes: int = 10, line: int = 1, **changes: Any) -> Finding:
    made = Finding(
        code=code,
        name="some-rule",
        message="something happens",
        place=Place("a.py", Span(line)),
        severity=Severity.MAJOR,
        confidence=Confidence.HIGH,
        minutes=minutes,
        fingerprint=f"{code}:{line}:{minutes}",
    )
    return replace(made, **changes)


def rated(*findings: Finding, live_lines: int = 9000, **changes: Any) -> Score:
    arguments: dict[str, Any] = {"applicable": ALL, "reference": REFERENCE, "live_lines": live_lines} | changes
    result = score(findings, **arguments)
    assert result is not None
    return result


# Weighted minutes by family digit of the catalogue's worked example: nine thousand live lines, nothing served.
WORKED = {"4": 95, "3": 160, "2": 70, "1": 120, "5": 20, "6": 60, "7": 75, "8": 210}


def worked() -> Score:
    findings = [finding(f"MLD{digit}01", minutes) for digit, minutes in WORKED.items()]
    return rated(*findings, applicable=ALL - {"9"})


def test_worked_example_of_the_catalogue() -> None:
    result = worked()
    values = {family.digit: family.value for family in result.families}
    lost = {family.digit: round(family.lost, 1) for family in result.families if family.applicable}
    assert round(result.value, 1) == 55.5
    assert {digit: round(value, 1) for digit, value in values.items() if value is not None} == {
        "1": 57.4,
        "2": 54.5,
        "3": 39.7,
        "4": 43.9,
        "5": 70.7,
        "6": 66.0,
        "7": 59.5,
        "8": 69.5,
    }
    assert lost == {"3": 10.0, "4": 8.9, "6": 5.9, "7": 5.2, "1": 5.1, "2": 5.0, "5": 2.3, "8": 2.1}
    assert values["9"] is None
    assert result.grade == "D"
    assert [(cap.grade, cap.reason) for cap in result.caps] == [("D", "configuration is below 40")]
    assert result.minutes == sum(WORKED.values())


def test_nothing_found_is_full_marks() -> None:
    result = rated()
    assert (result.value, result.grade, result.caps, result.fix_first) == (100.0, "A", (), ())
    assert {family.value for family in result.families} == {100.0}


def test_an_open_critical_finding_caps_the_grade_at_c() -> None:
    sure = finding("MLD601", severity=Severity.CRITICAL)
    assert rated(sure).grade == "C"
    assert rated(sure).caps[0].reason == "a critical finding is open"
    assert rated(replace(sure, confidence=Confidence.MEDIUM)).grade == "A"


def test_a_cap_never_lifts_a_grade() -> None:
    ruin = [finding(f"MLD{digit}01", 5000, severity=Severity.CRITICAL) for digit in "123456789"]
    assert rated(*ruin).grade == "E"


def test_the_tenth_finding_of_a_rule_still_counts_in_full_and_later_ones_less_and_less() -> None:
    alike = [finding("MLD404", 5, line) for line in range(1, 41)]
    values = [rated(*alike[:count]).value for count in (0, 10, 20, 40)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    full = rated(finding("MLD404", 5 * 10)).value
    assert values[1] == pytest.approx(full)
    twenty = 5 * 10 + sum(5 * 10 / rank for rank in range(11, 21))
    halvings = REFERENCE.shares(ALL)["4"] * twenty / (8 * 10)
    assert values[2] == pytest.approx(100 * 2**-halvings)


def test_info_previews_and_reasoned_waivers_cost_nothing() -> None:
    free = finding()
    assert rated(finding(severity=Severity.INFO), finding(preview=True)).value == 100
    assert rated(waived=[Waived(free, "inline", "the split is persisted upstream", 3)]).value == 100


@pytest.mark.parametrize(("kind", "reason"), [("inline", ""), ("inline", "  "), ("baseline", "adopted in 2026")])
def test_waivers_without_reason_and_baselines_cost_as_much_as_open_findings(kind: str, reason: str) -> None:
    assert rated(waived=[Waived(finding(), kind, reason, 3)]).value == rated(finding()).value < 100


def test_findings_of_a_family_that_is_not_applicable_cost_nothing() -> None:
    serving = finding("MLD903", 60, severity=Severity.CRITICAL)
    without = rated(serving, applicable=ALL - {"9"})
    assert (without.value, without.grade) == (100, "A")
    assert sum(family.weight for family in without.families) == pytest.approx(1, abs=1e-12)


def test_low_coverage_makes_the_score_an_upper_bound() -> None:
    assert rated(coverage=Coverage(calls_resolved=0.69)).at_most
    assert not rated(coverage=Coverage(calls_resolved=0.70)).at_most


def test_carried_lines_leave_the_size_once_and_only_when_they_are_live() -> None:
    one = finding(carries=(("a.py", 1), ("a.py", 2)))
    other = finding(carries=(("a.py", 2), ("dead.py", 7)))
    assert size([one, other], 100) == 97
    assert size([one, other], 100, lambda line: line[0] == "a.py") == 98
    assert size([one, other], 1) == 0


def test_there_is_no_score_where_there_is_nothing_to_judge() -> None:
    assert score([], applicable=(), live_lines=10, reference=REFERENCE) is None
    assert score_reason(files=0, applicable=ALL, partial=True) == "no-python"
    assert score_reason(files=3, applicable=ALL, partial=True) == "partial"
    assert score_reason(files=3, applicable=ALL, partial=False) is None


def test_fix_first_is_the_most_points_for_a_minute() -> None:
    cheap = finding("MLD601", 15, 1, severity=Severity.CRITICAL)
    dear = finding("MLD801", 240, 2)
    many = [finding("MLD101", 60, line) for line in range(3, 13)]
    result = rated(dear, *many, cheap)
    assert len(result.fix_first) == 5
    assert result.fix_first[0].fingerprint == cheap.fingerprint
    assert result.fix_first[0].points == pytest.approx(rated(dear, *many).value - result.value)


def test_the_users_own_weights() -> None:
    ours = REFERENCE.reweighted({"data": 0, "4": 0.5})
    assert rated(finding("MLD601"), reference=ours).value == 100
    assert rated(finding("MLD401"), reference=ours).value < rated(finding("MLD401")).value
    with pytest.raises(ConfigurationError, match="'dta'"):
        REFERENCE.reweighted({"dta": 1})


def test_a_reference_that_does_not_fit_names_the_field() -> None:
    with pytest.raises(ConfigurationError, match="families"):
        Reference.parse(b'{"model": 1, "families": 3, "grades": [], "caps": {}}')


def test_weights_of_all_families_add_up_to_one() -> None:
    assert sum(family.weight for family in REFERENCE.families) == pytest.approx(1)


lines = st.tuples(st.sampled_from(PATHS), st.integers(1, 12))
findings_strategy = st.lists(
    st.builds(
        lambda code, minutes, severity, confidence, line, carries, preview: finding(
            code, minutes, line, severity=severity, confidence=confidence, carries=carries, preview=preview
        ),
        st.sampled_from(["MLD101", "MLD102", "MLD303", "MLD401", "MLD601", "MLD901"]),
        st.sampled_from([2, 5, 15, 60, 240]),
        st.sampled_from(Severity),
        st.sampled_from([Confidence.MEDIUM, Confidence.HIGH]),
        st.integers(1, 12),
        st.lists(lines, max_size=8).map(tuple),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=30,
)


def split_and_rated(found: list[Finding], live: frozenset[tuple[str, int]] | set[tuple[str, int]]) -> Score:
    """Findings on odd lines open, those on even lines waived with a reason."""
    waived = [Waived(one, "inline", "known", 1) for one in found if one.place.span.line % 2 == 0]
    opened = [one for one in found if one.place.span.line % 2]
    return rated(*opened, waived=waived, live_lines=len(live), counted=live.__contains__)


@settings(max_examples=2000, deadline=None)
@given(findings_strategy, st.data())
def test_removing_findings_with_any_of_their_lines_never_lowers_the_score(found: list[Finding], data: Any) -> None:
    live = data.draw(st.frozensets(lines)) | {("rest.py", line) for line in range(data.draw(st.integers(0, 40)))}
    gone = data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))
    carried = sorted(
        {line for one, out in zip(found, gone, strict=True) if out and not one.preview for line in one.carries}
    )
    deleted = frozenset(data.draw(st.lists(st.sampled_from(carried)))) if carried else frozenset()
    kept = [
        replace(one, carries=tuple(line for line in one.carries if line not in deleted))
        for one, out in zip(found, gone, strict=True)
        if not out
    ]
    before = split_and_rated(found, live)
    after = split_and_rated(kept, live - deleted)
    assert after.value >= before.value - 1e-9
    assert after.grade <= before.grade


@settings(max_examples=300, deadline=None)
@given(findings_strategy, st.integers(0, 300))
def test_one_more_finding_costs_and_the_points_are_shared_exactly(found: list[Finding], live: int) -> None:
    result = rated(*found, live_lines=live)
    assert sum(family.lost for family in result.families) == pytest.approx(100 - result.value, abs=1e-9)
    assert sum(points for _, points in result.shares) == pytest.approx(100 - result.value, abs=1e-9)
    more = rated(*found, finding("MLD401", 2), live_lines=live)
    assert more.value < result.value or result.value < 1e-9


@settings(max_examples=300, deadline=None)
@given(findings_strategy, st.randoms(use_true_random=False))
def test_order_does_not_matter(found: list[Finding], random: Any) -> None:
    named = [replace(one, fingerprint=str(index)) for index, one in enumerate(found)]
    shuffled = list(named)
    random.shuffle(shuffled)
    assert rated(*shuffled).as_json() == rated(*named).as_json()


@settings(max_examples=300, deadline=None)
@given(findings_strategy, st.frozensets(st.sampled_from(sorted(ALL)), min_size=1))
def test_weights_are_renormalised_over_what_applies(found: list[Finding], applicable: frozenset[str]) -> None:
    result = rated(*found, applicable=applicable)
    assert sum(family.weight for family in result.families) == pytest.approx(1, abs=1e-12)
    assert {family.digit for family in result.families if family.applicable} == applicable
    assert 0 <= result.value <= 100


@settings(max_examples=300, deadline=None)
@given(findings_strategy)
def test_fixing_what_comes_first_gains_at_least_what_was_promised(found: list[Finding]) -> None:
    named = [replace(one, fingerprint=str(index), carries=()) for index, one in enumerate(found)]
    result = rated(*named)
    for gain in result.fix_first:
        rest = rated(*(one for one in named if one.fingerprint != gain.fingerprint))
        assert rest.value - result.value == pytest.approx(gain.points, abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(findings_strategy, st.integers(0, 5000))
def test_copying_a_project_or_adding_dead_files_never_raises_the_score(found: list[Finding], live: int) -> None:
    once = rated(*found, live_lines=live, counted=lambda line: line[0] in PATHS)
    copies = [
        replace(one, place=Place("copy.py", one.place.span), carries=tuple(("copy.py", n) for _, n in one.carries))
        for one in found
    ]
    # The copy is a clone, and dead code is not live: neither adds a line to the size.
    twice = rated(*found, *copies, live_lines=live, counted=lambda line: line[0] in PATHS)
    assert twice.value <= once.value + 1e-9


def test_serialises_as_designed() -> None:
    json = worked().as_json()
    assert list(json) == [
        "model", "value", "grade", "caps", "families", "minutes", "live_lines", "at_most", "fix_first",
    ]  # fmt: skip
    randomness = json["families"][3]
    assert list(randomness) == ["family", "value", "weight", "minutes", "lost", "applicable"]
    assert randomness["family"] == "randomness"
    assert (randomness["value"], randomness["weight"], randomness["minutes"]) == (43.9063, 0.1429, 95)
    assert set(json["fix_first"][0]) == {"fingerprint", "gain"}
