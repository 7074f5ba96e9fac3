from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_a_findings_evidence(repository: Path, run: Run) -> None:
    result = run("why", "play.py:3", "MLD091")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "play.py:3 MLD091 bare-dice (major, confidence high, 5 min)",
        "  The dice has no sides.",
        "evidence",
        "  no argument was given",
    ]


def test_no_finding_says_what_is_near(repository: Path, run: Run) -> None:
    result = run("why", "play.py:4", "bare-dice")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "play.py:4 has no finding of MLD091 bare-dice.",
        "nearest findings",
        "  play.py:3 The dice has no sides.",
    ]


def test_a_waived_finding_shows_the_waiver(repository: Path, run: Run) -> None:
    (repository / "play.py").write_text("from games import dice\ndice()  # mldebt: ignore[MLD091] a coin\n")
    result = run("why", "play.py:2", "MLD091")
    assert result.exit_code == 0
    assert result.stdout.endswith("waived\n  inline at line 2: a coin\n")


def test_an_ignored_rule_is_named(repository: Path, run: Run) -> None:
    with (repository / "mldebt.toml").open("a") as file:
        file.write('ignore = ["MLD091"]\n[per-file-ignores]\n"play.py" = ["MLD091"]\n')
    result = run("why", "play.py:3", "MLD091")
    assert "The rule is not selected here" in result.stdout
    assert "The configuration ignores it in this file" in result.stdout


def test_what_cannot_be_read_is_known(repository: Path, run: Run) -> None:
    (repository / "play.py").write_text("def broken(:\n")
    assert "play.py:1 MLD001 " in run("why", "play.py:1", "MLD001").stdout
    assert "Line 1 could not be read" in run("why", "play.py:1", "MLD091").stdout


@pytest.mark.parametrize(
    ("place", "rule", "words"),
    [
        ("play.py", "MLD091", "'play.py' is not FILE:LINE"),
        ("gone.py:3", "MLD091", "gone.py: no such file or directory"),
        ("play.py:3", "MLD0991", "unknown rule 'MLD0991'"),
    ],
)
def test_wrong_questions(repository: Path, run: Run, place: str, rule: str, words: str) -> None:
    result = run("why", place, rule)
    assert result.exit_code == 2
    assert words in result.stderr
