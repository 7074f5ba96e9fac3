"""The summary of a workflow run, read back by a Markdown parser."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec.structs import replace

from mldebt.finding import Confidence, Finding, Place, ScanError, Severity, Span
from mldebt.report.markdown import LIMIT, code, escaped, render
from mldebt.report.result import Before, Report
from mldebt.report.snippet import printable

READER = MarkdownIt("commonmark").enable("table")


def cells(text: str) -> list[list[str]]:
    """The rows of all tables, each cell as a reader sees it."""
    rows: list[list[str]] = []
    for token in READER.parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level > 2 and rows:
            rows[-1].append(seen(token))
    return rows


def seen(inline: Token) -> str:
    """What is shown of a piece of text; anything but text, code and comments is an error."""
    shown = ""
    for token in inline.children or []:
        assert token.type in {"text", "text_special", "code_inline", "strong_open", "strong_close", "html_inline"}, (
            token
        )
        assert token.type != "html_inline" or token.content == "<!-- -->"
        shown += token.content if token.type != "html_inline" else ""
    return shown


def finding(path: str, message: str, severity: Severity = Severity.MAJOR) -> Finding:
    return Finding("MLD404", "bare-dice", message, Place(path, Span(3, 1)), severity, Confidence.HIGH, 5)


def test_the_score_and_what_to_fix_first_are_shown(whole: Report) -> None:
    text = render(whole)
    assert whole.score is not None
    assert text.startswith(f"## mldebt: grade {whole.score.grade}, ≤ {whole.score.value:.1f} of 100\n")
    rows = cells(text)
    assert next(row for row in rows if row[0] == "Findings")[1].startswith(f"{len(whole.findings)} (")
    assert sum(row[0] in {"critical", "major", "minor", "info"} for row in rows) == len(whole.findings)
    assert len(re.findall(r"^1\. ", text, re.MULTILINE)) == len(whole.score.fix_first)
    assert "[" not in re.sub(r"\\\[", "", text), "nothing is a link"


def test_the_worst_stand_first(whole: Report) -> None:
    found = [row[0] for row in cells(render(whole)) if row[0] in {"critical", "major", "minor", "info"}]
    assert found == sorted(found, key=["critical", "major", "minor", "info"].index)


def test_a_comparison_says_before_and_after(whole: Report) -> None:
    assert whole.score is not None
    before = Before("origin/main", "f" * 40, replace(whole.score, value=81.25, grade="B"))
    text = render(replace(whole, before=before, compared=True, previous_lines=700))
    rows = {row[0]: row[1] for row in cells(text)}
    assert rows["Score since origin/main"] == f"81.2 (B) → ≤ {whole.score.value:.1f} ({whole.score.grade})"
    assert "(700 before)" in rows["Size"]
    assert "### New findings" in text


@pytest.mark.parametrize(
    ("reason", "words"),
    [("partial", "part of the repository, no score"), ("no-python", "no Python to judge")],
)
def test_without_a_score_it_says_why(reason: str, words: str) -> None:
    text = render(Report("/r", "1", score_reason=reason))  # type: ignore[arg-type]
    assert text.splitlines()[0] == f"## mldebt: {words}"
    assert "Fix first" not in text
    assert [row for row in cells(text) if row[0] == "Findings"] == [["Findings", "none"]]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a|b", "a|b"),
        ("`x` *y* _z_ ~~w~~ [t](http://u) ![i](j)", None),
        ("<script>alert(1)</script> &amp; <!-- x", None),
        ("line\n\n# heading\r\n- item", "line # heading - item"),
        ("@everyone #1 https://example.org www.example.org $x$", None),
        ("\\| \\` \\", None),
    ],
)
def test_a_message_is_text_and_nothing_else(message: str, shown: str | None) -> None:
    text = render(Report("/r", "1", findings=(finding("a.py", message),), score_reason="partial"))
    (row,) = (row for row in cells(text) if row[0] == "major")
    assert row == ["major", "MLD404 bare-dice", "a.py:3", shown or message, "5 min"]
    assert not re.search(r"@\w|://|www\.", text), "nobody is notified, nothing is linked"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_and_any_words_are_shown_as_they_are(path: str, message: str) -> None:
    text = render(Report("/r", "1", findings=(finding(path, message),), score_reason="partial"))
    (row,) = (row for row in cells(text) if row[0] == "major")
    assert row[2].strip() == printable(f"{path}:3").strip()
    assert row[3] == printable(" ".join(message.split()))


def test_errors_are_listed_the_first_few(whole: Report) -> None:
    errors = tuple(ScanError("MLD001", f"{number:02}.py", 1, "does not *parse*") for number in range(12))
    text = render(replace(whole, errors=errors))
    assert "- `MLD001` `09.py:1`: does not \\*parse\\*\n- and 2 more\n" in text


def test_a_long_report_stays_within_what_github_takes() -> None:
    many = tuple(finding(f"{number}.py", "x" * 900) for number in range(500))
    text = render(Report("/r", "1", findings=many, score_reason="partial"))
    rows = [row for row in cells(text) if row[0] == "major"]
    assert len(text) <= LIMIT
    assert 50 < len(rows) <= 100
    assert f"And {500 - len(rows)} more" in text


def test_code_with_ticks_is_code() -> None:
    assert READER.renderInline(code("a``b`")) == "<code>a``b`</code>"
    assert READER.renderInline(escaped("`a`")) == "`a`"
