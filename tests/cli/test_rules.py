from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_rules_are_listed_by_family(repository: Path, run: Run) -> None:
    result = run("rules")
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert rows[0].split() == ["code", "name", "severity", "confidence", "minutes"]
    assert ["MLD091", "bare-dice", "major", "high", "5", "fix"] in [row.split() for row in rows]
    assert "tools" in rows  # the family is the folder's name


def test_rules_as_json(repository: Path, run: Run) -> None:
    listed = {each["code"]: each for each in json.loads(run("rules", "--output-format", "json").stdout)}
    assert listed["MLD091"] == {
        "code": "MLD091",
        "name": "bare-dice",
        "family": "tools",
        "summary": "A dice is thrown, and nobody knows how many sides it has.",
        "severity": "major",
        "confidence": "high",
        "minutes": 5,
        "fix": True,
        "preview": False,
    }


@pytest.mark.parametrize("called", ["MLD091", "mld091", "bare-dice"])
def test_a_rules_page(repository: Path, run: Run, called: str) -> None:
    result = run("rule", called)
    assert result.exit_code == 0
    for words in ("bare-dice (MLD091)", "Why it is debt", "How to pay it back", "sides", "games.dice(6)"):
        assert words in result.stdout
    assert "\x1b" not in result.stdout


def test_a_rules_page_as_markdown_and_json(repository: Path, run: Run) -> None:
    text = run("rule", "bare-dice", "--output-format", "markdown").stdout
    assert text.startswith("# bare-dice (MLD091)\n")
    assert "## Reported\n\n```python\nimport games\ngames.dice()\n```\n" in text
    values = json.loads(run("rule", "bare-dice", "--output-format", "json").stdout)
    assert values["options"] == [{"name": "sides", "type": "int", "default": 6}]
    assert [(each["bad"], each["files"]) for each in values["examples"]] == [
        (True, {"example.py": "import games\ngames.dice()\n"}),
        (False, {"example.py": "import games\ngames.dice(6)\n"}),
    ]


def test_what_the_scan_itself_reports_has_a_page_too(run: Run) -> None:
    assert "unused-waiver (MLD002)" in run("rule", "MLD002", trust=False).stdout


def test_an_unknown_rule_names_the_nearest(repository: Path, run: Run) -> None:
    result = run("rule", "bear-dice")
    assert result.exit_code == 2
    assert result.stderr == "error: unknown rule 'bear-dice'; did you mean 'bare-dice'?\n"


def test_every_installed_rule_has_a_page(run: Run) -> None:
    for each in json.loads(run("rules", "--output-format", "json", trust=False).stdout):
        result = run("rule", each["code"], trust=False)
        assert result.exit_code == 0
        assert each["name"] in result.stdout
