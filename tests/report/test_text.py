"""The text report: what it says, and that it fits any terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from mldebt.finding import Confidence, Finding, Place, Related, Severity, Span
from mldebt.report.frames import duration
from mldebt.report.result import PracticeResult, Report
from mldebt.report.snippet import printable, shown
from mldebt.report.text import render
from mldebt.score import Coverage, score
from mldebt.weights import Reference

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def plain(report: Report, width: int = 80) -> str:
    return render(report, color=False, width=width)


def single(line: str, first: int, last: int, **changes: object) -> Report:
    place = Place("a.py", Span(1, first, 1, last))
    finding = Finding("MLD404", "rule", "It happens.", place, Severity.MINOR, Confidence.HIGH, 5, fingerprint="f")
    return Report(
        root=".", version="0", findings=(finding,), snippets={("a.py", 1): line}, files=1, score_reason="partial"
    )


def test_a_finding_with_its_call_path(report: Report) -> None:
    assert """
major MLD401 unseeded-entry-path                                          15 min
   torch draws the order of the training data, and nothing on the way from
   main() seeds torch: no two runs of train.py agree.
  --> data.py:17:16 in make_loader
   |
17 |         return DataLoader(dataset, shuffle=True)
   |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = path    train.py:97  main()
   |                      the entry
   |         train.py:44  loaders = make_loaders(cfg)
   |                      main() calls make_loaders()
   |         data.py:17   return DataLoader(dataset, shuffle=True)
   |                      DataLoader(shuffle=True) draws from torch

critical MLD406 """ in plain(report)


def test_on_a_wide_terminal_code_and_explanation_stand_side_by_side(report: Report) -> None:
    assert "   |         train.py:44  loaders = make_loaders(cfg)               main() calls make_loaders()\n" in plain(
        report, 120
    )


def test_how_it_ends(report: Report) -> None:
    assert plain(report).endswith(
        """
────────────────────────────────────────────────────────────────────────────────
Score      ≤ 38.5 of 100   grade E

  4 randomness      ━━━━━━····················   23.4   -22.1      40 min
  2 experiments     ━━━━━━━···················   26.8   -15.4      50 min
  5 plain-data      ━━━━━━━━━·················   34.9    -9.9      15 min
  3 configuration   ━━━━━━━━━━━━━━━···········   57.5    -8.4      20 min
  1 glue            ━━━━━━━━━━━━━━━━━·········   64.2    -5.7         1 h
  not applicable: data, reproducibility, structure, operations

Debt       3 h 05 to pay back; 12 findings (3 critical, 6 major, 3 minor); 1
           waived
Size       2,140 live lines of code in 34 files
Coverage   100% files parsed, 87% calls resolved, 100% entries understood, 66%
           options owned; below 70%, so the score can only be lower
Practices  1 of 2 (1 cannot be seen in code)
           P23 a reproducibility checklist is missing: add REPRODUCIBILITY.md
           with the command, the seed and the lock file

Fix first                                                        points    takes
  1  MLD406 rng-object-shared-across-workers  data.py:42           +8.3   15 min
  2  MLD505 double-activation-loss            model.py:71          +4.6   10 min
  3  MLD303 config-fallback-conflict          model.py:20          +3.5   10 min
  4  MLD502 quantity-out-of-range             evaluate.py:15       +1.6    5 min
  5  MLD401 unseeded-entry-path               data.py:17           +4.0   15 min
"""
    )


def test_a_notebook_finding_counts_lines_in_its_cell_and_names_the_line_in_the_file(report: Report) -> None:
    assert "  --> explore.ipynb:cell 3:2:9 (line 50)\n   |\n 2 | split = train_test_split(df)\n" in plain(report)


def test_a_fix_says_how_it_is_applied(report: Report) -> None:
    assert "   = fix     delete the comment (--fix)\n" in plain(report)
    assert "   = fix     pass random_state=cfg.seed (--unsafe-fixes)\n" in plain(report)


def test_errors_come_first(report: Report) -> None:
    assert plain(report).startswith("error MLD001 legacy/convert.py:12\n  Missing parentheses")


def test_a_long_report_shows_the_worst_by_rule_and_counts_the_rest(legacy: Report) -> None:
    text = plain(legacy)
    assert "204 findings. 20 of the worst, rule by rule:" in text
    assert len(re.findall(r"^ +--> ", text, re.MULTILINE)) == 20
    assert re.search(r"^critical MLD406 rng-object-shared-across-workers +5 of 17$", text, re.MULTILINE)
    others = text[text.index("The others:") : text.index("─")]
    assert "    34  MLD404   unseeded-sklearn-object             major        2 h 50\n" in others
    counted = re.findall(r"^ +(\d+)  MLD\d+ ", others, re.MULTILINE)
    assert sum(map(int, counted)) == 204 - 20


def test_worst_means_critical_before_major(legacy: Report) -> None:
    text = plain(legacy)
    shown_severities = re.findall(r"^(critical|major|minor) MLD", text, re.MULTILINE)
    assert shown_severities[:3] == ["critical"] * 3
    assert shown_severities == sorted(shown_severities)


def test_nothing_found_is_short_and_friendly() -> None:
    full = score([], applicable={"4"}, live_lines=10, reference=Reference.shipped())
    text = plain(Report(root=".", version="0", score=full, files=1))
    assert text.startswith("No debt found in 1 file. There is nothing to pay back.\n")
    assert "Score      100.0 of 100   grade A\n" in text
    assert "Fix first" not in text


def test_no_score_says_why() -> None:
    partial = Report(root=".", version="0", score_reason="partial", files=3)
    assert "Score      none: only a part of the repository was asked for" in plain(partial)
    assert (
        plain(Report(root=".", version="0", score_reason="no-python"))
        == "Score      none: there is no Python here to judge\n"
    )


def test_the_bound_is_shown_only_below_seventy_percent(report: Report) -> None:
    assert report.score is not None
    sure = replace(report, score=replace(report.score, at_most=False), coverage=Coverage(0.9999, 0.874, 1.0, 0.7))
    assert "Score      38.5 of 100" in plain(sure)
    assert "Coverage   99% files parsed, 87% calls resolved, 100% entries understood, 70%" in plain(sure)
    assert "can only be lower" not in plain(sure)


def test_the_size_before_is_shown_when_it_changed(report: Report) -> None:
    assert "2,140 live lines of code in 34 files (2,400 lines before)" in plain(replace(report, previous_lines=2400))
    assert "before" not in plain(replace(report, previous_lines=2140))


def test_many_waivers_are_said_to_be_many(report: Report) -> None:
    text = " ".join(plain(replace(report, waived=report.waived * 4)).split())
    assert "4 waived, 25% of what was found" in text


def test_practices_that_cannot_be_seen_are_not_counted() -> None:
    hidden = PracticeResult("P25", "regular time for debt", "not-visible")
    assert "Practices" not in plain(Report(root=".", version="0", practices=(hidden,)))


def test_of_many_related_places_the_first_and_the_last_are_shown() -> None:
    report = single("draw()", 1, 7)
    places = tuple(Related(Place("b.py", Span(line)), f"step {line}", "path") for line in range(1, 31))
    text = plain(replace(report, findings=(replace(report.findings[0], related=places),)))
    steps = re.findall(r"step (\d+)", text)
    assert steps == ["1", "2", "3", "4", "5", "6", "28", "29", "30"]
    assert "...  21 more" in re.sub(r" {2,}", "  ", text)


def test_the_underline_is_under_the_code_with_tabs_and_wide_characters() -> None:
    lines = plain(single("\tx = '模型' + draw()", 13, 19)).split("\n")
    at = next(index for index, line in enumerate(lines) if "draw()" in line)
    before = lines[at][: lines[at].index("draw()")]
    assert lines[at + 1].index("^") - 3 == cell_len(before[3:])
    assert lines[at + 1].count("^") == 6


def test_a_long_line_shows_the_part_that_matters() -> None:
    line = "x = [" + "0, " * 5000 + "draw(seed=None), " + "0, " * 5000 + "]"
    start = line.index("draw") + 1
    text = plain(single(line, start, start + 15))
    code, marks = (text.split("\n")[i] for i in (4, 5))
    assert code.startswith(" 1 | …")
    assert code.endswith("…")
    assert marks.index("^") == code.index("draw(seed=None)")
    assert marks.count("^") == 15


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(report: Report, legacy: Report, width: int) -> None:
    for one in (report, legacy):
        assert all(cell_len(line) <= width for line in plain(one, width).split("\n"))


def test_plain_and_coloured_say_the_same(report: Report, legacy: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("COLUMNS", "33")
    for one in (report, legacy):
        coloured = render(one, color=True, width=80)
        assert "\x1b" not in plain(one)
        assert "\x1b[1;31m" in coloured
        assert [line.rstrip() for line in ESCAPES.sub("", coloured).split("\n")] == plain(one).split("\n")


def test_nobody_turns_colours_off_behind_our_back(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[1;31m" in render(report, color=True, width=80)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120), st.integers(1, 130), st.integers(0, 130), st.sampled_from([60, 80]))
def test_hostile_lines_neither_break_the_layout_nor_reach_the_terminal(
    line: str, first: int, size: int, width: int
) -> None:
    report = single(line, first, first + size)
    hostile = replace(report.findings[0], message=f"It says {line}.", name="n" + line, scope=line)
    related = Related(Place(f"dir/{line}.py", Span(1)), line)
    text = plain(replace(report, findings=(hostile, replace(hostile, related=(related,)))), width)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)
    assert all(cell_len(one) <= width for one in text.split("\n"))


@given(st.text(max_size=200), st.integers(0, 200), st.integers(0, 200), st.integers(20, 100))
def test_a_cut_line_fits_and_its_underline_is_within(line: str, first: int, size: int, room: int) -> None:
    part = shown(line, first, first + size, room)
    assert cell_len(part.text) <= room
    assert part.start >= 0
    assert part.start + part.length <= cell_len(part.text)


@given(st.text())
def test_control_characters_are_replaced_one_for_one(text: str) -> None:
    assert len(printable(text.replace("\t", " "))) == len(text)


@pytest.mark.parametrize(
    ("minutes", "words"), [(5, "5 min"), (60, "1 h"), (65, "1 h 05"), (810, "13 h 30"), (90_000, "1,500 h")]
)
def test_durations(minutes: int, words: str) -> None:
    assert duration(minutes) == words
