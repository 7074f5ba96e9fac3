"""The concise report: one line for each finding, fit for grep and editors."""

from __future__ import annotations

from msgspec.structs import replace

from mldebt.finding import Place, Span
from mldebt.report.concise import render
from mldebt.report.result import Report


def test_one_line_for_each_error_and_finding(report: Report) -> None:
    lines = render(report).splitlines()
    assert len(lines) == 13
    assert lines[:2] == [
        "legacy/convert.py:12:1: MLD001 [error] Missing parentheses in call to 'print'; Python 2?",
        'config.py:9:5: MLD309 [major] --amp False is read as True: bool("False") is true.',
    ]


def test_a_notebook_place_names_the_cell_and_the_line_in_the_file(report: Report) -> None:
    split = "explore.ipynb:cell 3:2:9: MLD404 [minor] train_test_split draws a new split on every run. (line 50)"
    assert split in render(report).splitlines()


def test_nothing_found_is_nothing_printed() -> None:
    assert render(Report(root=".", version="0")) == ""


def test_no_name_or_message_can_forge_a_line_or_move_the_cursor(report: Report) -> None:
    odd = replace(report.findings[0], place=Place("a\n.py\x1b[2J", Span(1)), message="x\ry\u202e")
    text = render(replace(report, findings=(odd,), errors=()))
    assert text == "a␊.py␛[2J:1:1: MLD401 [major] x␍y\ufffd\n"
