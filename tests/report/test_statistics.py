"""The statistics: counts by rule."""

from __future__ import annotations

from mldebt.report.result import Report
from mldebt.report.statistics import render


def test_counts_by_rule_the_most_frequent_first(report: Report) -> None:
    lines = render(report, color=False, width=80).splitlines()
    assert lines[0] == "     2  MLD404   unseeded-sklearn-object             major        10 min"
    assert [line.split()[1] for line in lines[1:-3]] == sorted(line.split()[1] for line in lines[1:-3])
    assert "     1  MLD210 * commented-out-experiment            minor         5 min" in lines
    assert lines[-3:] == [
        "    12 findings, 3 h 05 to pay back",
        "     1 waived",
        "        * has a fix",
    ]


def test_colour_is_an_option(report: Report) -> None:
    assert "\x1b[" in render(report, color=True, width=80)
    assert "\x1b[" not in render(report, color=False, width=80)


def test_nothing_found_is_nothing_to_count() -> None:
    assert render(Report(root=".", version="0"), color=False, width=80) == ""
