from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
FILE = "mldebt-baseline.json"
TWICE = "from games import dice\n\nprint(dice())\n\n\ndef again():\n    return dice()\n"


@pytest.fixture
def baseline(run: Run) -> Run:
    """``mldebt baseline``, with the repository's own rule."""

    def call(*arguments: str, **more: Any) -> Result:
        return run("baseline", *arguments, "--trust-plugins", **more)

    return call


def scanned(run: Run, *arguments: str) -> tuple[list[str], list[str], int]:
    """The lines of new findings, what suppresses the others, and the exit code."""
    result = run("scan", "--output-format", "json", *arguments)
    report = json.loads(result.stdout)
    new = [f"{each['path']}:{each['line']}" for each in report["findings"]]
    return new, [each["suppression"]["kind"] for each in report["suppressed"]], result.exit_code


def test_accepted_debt_is_no_longer_reported(repository: Path, run: Run, baseline: Run) -> None:
    result = baseline("create")
    assert (result.exit_code, result.stdout) == (0, f"{FILE}: 1 finding in 1 file accepted\n")
    assert scanned(run) == ([], ["baseline"], 0)
    assert scanned(run, "--no-baseline") == (["play.py:3"], [], 1)
    assert scanned(run, "--baseline-mode", "off") == (["play.py:3"], [], 1)


def test_only_new_debt_is_reported(repository: Path, run: Run, baseline: Run) -> None:
    baseline("create")
    (repository / "play.py").write_text(f"# a line above\n\n{TWICE}")
    assert scanned(run) == (["play.py:9"], ["baseline"], 1)


GAME = """\
from games import dice


def first():
    return dice()


class Table:
    def second(self):
        total = sum([dice(), 1])
        return total
"""


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n\n\n", "\n\n\n\n\n"),
        lambda text: text.replace("\n\n\n", "\n"),
        lambda text: f"# a licence\n\n{text}# the end\n",
        lambda text: text.replace("    return dice()", "    if True:\n        return dice()  # why"),
        lambda text: text.replace(
            "sum([dice(), 1])",
            "sum(\n            [\n                dice(),\n                1,\n            ]\n        )",
        ),
        lambda text: "\n\n\n".join([(parts := text.split("\n\n\n"))[0], parts[2], parts[1]]),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("    ", "  "),
    ],
)
@pytest.mark.parametrize("name", ["game.py", "src/table.py"])
def test_code_that_only_moved_is_not_new(
    repository: Path, run: Run, baseline: Run, change: Callable[[str], str], name: str
) -> None:
    (repository / "game.py").write_text(GAME)
    baseline("create")
    (repository / "game.py").unlink()
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_bytes(change(GAME).encode())
    assert scanned(run, "--select", "MLD091")[0] == []  # a change may be debt of another kind


def test_a_class_may_be_renamed_where_it_is(repository: Path, run: Run, baseline: Run) -> None:
    (repository / "game.py").write_text(GAME)
    baseline("create")
    (repository / "game.py").write_text(GAME.replace("class Table", "class Desk"))
    assert scanned(run)[0] == []


def test_a_twin_and_a_swap_are_new(repository: Path, run: Run, baseline: Run) -> None:
    (repository / "game.py").write_text(GAME)
    baseline("create")
    (repository / "game.py").write_text(GAME.replace("    return dice()", "    dice()\n    return dice()"))
    assert scanned(run) == (["game.py:5"], ["baseline"] * 3, 1)
    baseline("create", "--force")
    (repository / "game.py").write_text(GAME.replace("    return dice()", "    print(dice())\n    return dice()"))
    assert scanned(run) == (["game.py:5"], ["baseline"] * 3, 1)


def test_a_suppressed_finding_says_where_the_baseline_says_so(repository: Path, run: Run, baseline: Run) -> None:
    baseline("create")
    entry = json.loads(run("scan", "--output-format", "json").stdout)["suppressed"][0]
    assert entry["suppression"]["reason"] == f"in {FILE}"
    line = (repository / FILE).read_text().splitlines()[entry["suppression"]["line"] - 1]
    assert '"MLD091"' in line


def test_every_view_counts_known_debt_apart(repository: Path, run: Run, baseline: Run) -> None:
    (repository / "play.py").write_text(TWICE + "\n\ndice()  # mldebt: ignore[MLD091] it is a joke\n")
    baseline("create")
    text = run("scan").stdout
    assert "No new debt in 1 file." in text
    assert "1 waived" in text
    assert "2 in the baseline" in text
    counts = run("scan", "--statistics").stdout
    assert "1 waived" in counts
    assert "2 known before" in counts
    assert run("scan", "--output-format", "concise").stdout == ""


def test_known_debt_still_costs_points(costly: Path, run: Run, baseline: Run) -> None:
    before = json.loads(run("scan", "--output-format", "json").stdout)["score"]
    assert before["value"] < 100
    baseline("create")
    assert json.loads(run("scan", "--output-format", "json").stdout)["score"] == before


def test_what_is_hidden_by_severity_is_accepted_all_the_same(repository: Path, run: Run, baseline: Run) -> None:
    (repository / "mldebt.toml").write_text((repository / "mldebt.toml").read_text() + 'severity = "critical"\n')
    assert "1 finding in 1 file" in baseline("create").stdout
    assert scanned(run, "--severity", "info")[0] == []


def test_critical_debt_is_accepted_only_when_asked(repository: Path, run: Run, baseline: Run, dice: str) -> None:
    (repository / "tools/bare_dice.py").write_text(dice.replace("Severity.MAJOR", "Severity.CRITICAL"))
    result = baseline("create")
    assert "0 findings in 0 files accepted" in result.stdout
    assert "1 finding is critical and not accepted" in result.stdout
    assert scanned(run)[2] == 1
    baseline("update", "--force")
    assert scanned(run)[2] == 1
    baseline("create", "--include-critical", "--force")
    assert scanned(run)[2] == 0


def test_a_file_that_cannot_be_read_is_accepted_too(repository: Path, run: Run, baseline: Run) -> None:
    (repository / "old.py").write_text("print 'two'\n")
    baseline("create")
    report = json.loads(run("scan", "--output-format", "json").stdout)
    assert report["errors"] == []
    assert sorted(each["code"] for each in report["suppressed"]) == ["MLD001", "MLD091"]
    assert run("scan").exit_code == 0
    (repository / "broken.py").write_text("def\n")
    assert run("scan").exit_code == 1


def test_create_adds_nothing_to_what_was_decided_before(repository: Path, run: Run, baseline: Run) -> None:
    baseline("create")
    decided = (repository / FILE).read_bytes()
    (repository / "play.py").write_text(TWICE)
    result = baseline("create")
    assert result.exit_code == 2
    assert f"{FILE} exists, and 1 finding is not in it; --force accepts them too" in result.stderr
    assert (repository / FILE).read_bytes() == decided
    assert baseline("create", "--force").exit_code == 0
    assert scanned(run)[0] == []


def test_create_may_be_repeated(repository: Path, baseline: Run) -> None:
    baseline("create")
    before = (repository / FILE).stat()
    result = baseline("create")
    assert result.exit_code == 0
    assert "it said so already" in result.stdout
    assert (repository / FILE).stat().st_mtime_ns == before.st_mtime_ns


def test_update_follows_code_and_forgets_paid_debt(repository: Path, run: Run, baseline: Run) -> None:
    (repository / "play.py").write_text(TWICE)
    baseline("create")
    (repository / "play.py").unlink()
    (repository / "game.py").write_text("from games import dice\n\nprint(dice())\ndice(dice())\n")
    result = baseline("update")
    assert "1 finding in 1 file accepted" in result.stdout
    assert "1 removed, 0 added" in result.stdout
    assert "1 finding is new and not accepted; --force accepts them" in result.stdout
    assert list(json.loads((repository / FILE).read_text())["findings"]) == ["game.py"]
    assert "0 removed, 1 added" in baseline("update", "--force").stdout
    assert scanned(run)[0] == []


def test_prune_only_removes(repository: Path, baseline: Run) -> None:
    (repository / "play.py").write_text(TWICE)
    baseline("create")
    rows = (repository / FILE).read_text().splitlines()
    (repository / "play.py").write_text(TWICE.replace("print(dice())", "print(dice(6))"))
    assert baseline("prune").stdout == f"{FILE}: 1 removed, 1 left\n"
    assert baseline("prune").stdout == f"{FILE}: nothing to remove\n"
    left = [row for row in (repository / FILE).read_text().splitlines() if "rule" in row]
    assert len(left) == 1
    assert left[0] in rows


def test_show_says_what_is_accepted_and_what_is_gone(repository: Path, baseline: Run) -> None:
    (repository / "play.py").write_text(TWICE)
    baseline("create")
    (repository / "play.py").write_text("\n\n" + TWICE.replace("return dice()", "return 6"))
    result = baseline("show")
    assert result.stdout == (
        "play.py:5: MLD091 [major] The dice has no sides.\n"
        "stale: play.py in again: MLD091\n"
        f"{FILE}: 2 accepted: 1 still there, 1 stale\n"
    )
    entries = json.loads(baseline("show", "--output-format", "json").stdout)["entries"]
    assert [(each["scope"], each["found"], each["stale"]) for each in entries] == [
        ("", [{"path": "play.py", "line": 5}], 0),
        ("again", [], 1),
    ]


def test_a_cell_of_a_notebook_is_known_wherever_it_stands(repository: Path, run: Run, baseline: Run) -> None:
    def notebook(*cells: dict[str, Any]) -> str:
        defaults: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        return json.dumps(
            {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [defaults | c for c in cells]}, indent=1
        )

    thrown = {"source": ["from games import dice\n", "dice()"]}
    (repository / "n.ipynb").write_text(notebook({"id": "abc", **thrown}))
    baseline("create")
    assert '"scope": "cell:abc"' in (repository / FILE).read_text()
    (repository / "n.ipynb").write_text(notebook({"id": "new", "source": ["x = 1"]}, {"id": "abc", **thrown}))
    assert scanned(run)[0] == []
    (repository / "n.ipynb").write_text(notebook({"id": "abc", **thrown}, {"id": "twin", **thrown}))
    assert len(scanned(run)[0]) == 1


def test_a_named_baseline(repository: Path, run: Run, baseline: Run, tmp_path: Path) -> None:
    other = str(tmp_path / "other.json")
    baseline("create", "--baseline", other)
    assert not (repository / FILE).exists()
    assert scanned(run, "--baseline", other)[2] == 0
    assert scanned(run)[2] == 1
    result = run("scan", "--baseline", "missing.json")
    assert result.exit_code == 2
    assert "missing.json: no such file; `mldebt baseline create` makes one" in result.stderr
    assert run("scan", "--baseline", other, "--no-baseline").exit_code == 2


@pytest.mark.parametrize("command", ["update", "prune", "show"])
def test_without_a_baseline_there_is_nothing_to_work_on(repository: Path, baseline: Run, command: str) -> None:
    result = baseline(command)
    assert result.exit_code == 2
    assert f"{FILE}: no such file" in result.stderr


# Stale entries.


@pytest.fixture
def paid(repository: Path, baseline: Run) -> Path:
    """A repository whose one accepted finding was paid back."""
    baseline("create")
    (repository / "play.py").write_text("from games import dice\n\nprint(dice(6))\n")
    return repository


def test_a_scan_forgets_what_was_paid_back(paid: Path, run: Run) -> None:
    result = run("scan")
    assert result.exit_code == 0
    assert f"note: 1 entry of {FILE} is stale, and removed" in result.stderr
    assert json.loads((paid / FILE).read_text())["findings"] == {}
    assert run("scan").stderr == ""


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({"CI": "true"}, []),
        ({"CI": "1"}, []),
        ({"PRE_COMMIT": "1"}, []),
        ({}, ["--baseline-mode", "lock"]),
        ({}, ["play.py"]),
        ({}, ["--select", "MLD091"]),
        ({}, ["--diff"]),
    ],
)
def test_a_run_that_must_not_write_says_what_is_stale(
    paid: Path, run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], options: list[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = (paid / FILE).read_bytes()
    result = run("scan", *options)
    assert f"1 entry of {FILE} is stale: the debt is gone; `mldebt baseline prune` removes it" in result.stderr
    assert (paid / FILE).read_bytes() == before


def test_nothing_is_forgotten_while_something_cannot_be_read(paid: Path, run: Run) -> None:
    """A file somebody is typing in hides debt, its own and that of callers."""
    before = (paid / FILE).read_bytes()
    (paid / "broken.py").write_text("def\n")
    assert "prune" in run("scan").stderr
    (paid / "broken.py").unlink()
    (paid / "play.py").write_text("def\n")
    assert "stale" not in run("scan").stderr
    assert (paid / FILE).read_bytes() == before


def test_a_rule_that_did_not_run_says_nothing_about_its_entries(paid: Path, run: Run) -> None:
    assert "stale" not in run("scan", "--ignore", "MLD091").stderr


def test_a_crashed_rule_changes_no_baseline(paid: Path, run: Run, baseline: Run, crashing: str) -> None:
    before = (paid / FILE).read_bytes()
    (paid / "tools/bare_dice.py").write_text(crashing)
    for command in ("create", "update", "prune"):
        assert baseline(command).exit_code == 2
    assert run("scan").exit_code == 2
    assert (paid / FILE).read_bytes() == before


# Files nobody should trust.


def test_a_damaged_baseline_stops_the_scan_with_its_line(repository: Path, run: Run, baseline: Run) -> None:
    (repository / FILE).write_text('{\n  "v": 1,\n  "findings": {"a.py": [\n<<<<<<< HEAD\n')
    for result in (run("scan"), baseline("update"), baseline("show"), baseline("create")):
        assert result.exit_code == 2
        assert f"{FILE}:4: an unresolved merge conflict" in result.stderr
    assert run("scan", "--no-baseline").exit_code == 1
    assert baseline("create", "--force").exit_code == 0
    assert run("scan").exit_code == 0


def test_a_baseline_of_the_future_stops_the_scan(repository: Path, run: Run) -> None:
    (repository / FILE).write_text('{"v": 2, "findings": {}}\n')
    result = run("scan")
    assert result.exit_code == 2
    assert f"{FILE}:1: format 2 is not 1" in result.stderr


def test_a_link_out_of_the_repository_is_neither_read_nor_written(
    repository: Path, run: Run, baseline: Run, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("secret")
    (repository / FILE).symlink_to(outside)
    for result in (run("scan"), baseline("create", "--force"), baseline("prune")):
        assert result.exit_code == 2
        assert "links to a file outside of the repository" in result.stderr
        assert "secret" not in result.stderr
    assert outside.read_text() == "secret"


def test_a_directory_in_its_place_is_said(repository: Path, run: Run) -> None:
    (repository / FILE).mkdir()
    assert f"{FILE}: not a regular file" in run("scan").stderr


# Beside other options.


def test_standard_input_is_measured_by_its_own_entries(repository: Path, run: Run, baseline: Run) -> None:
    baseline("create")
    text = "from games import dice\n\nprint(dice())\n"
    assert run("scan", "-", "--stdin-filename", "play.py", stdin=text).exit_code == 0
    assert run("scan", "-", "--stdin-filename", "other.py", stdin=text).exit_code == 1


def test_paths_narrow_what_is_shown_not_what_is_known(repository: Path, run: Run, baseline: Run) -> None:
    baseline("create")
    (repository / "other.py").write_text("from games import dice\n\nprint(dice())\n")
    assert scanned(run, "other.py") == (["other.py:3"], [], 1)
    assert scanned(run, "play.py") == ([], ["baseline"], 0)


@pytest.fixture
def costly(repository: Path, dice: str) -> Path:
    """A repository whose one finding costs points."""
    (repository / "tools/bare_dice.py").write_text(dice.replace("MLD091", "MLD191"))
    return repository


@pytest.mark.parametrize(("least", "code"), [("0", 0), ("100", 1)])
def test_a_score_may_be_asked_for(costly: Path, run: Run, baseline: Run, least: str, code: int) -> None:
    baseline("create")
    assert run("scan", "--fail-under", least).exit_code == code
    assert run("scan", "--fail-under", least, "--exit-zero").exit_code == 0


def test_a_score_that_is_not_reached_is_said(costly: Path, run: Run) -> None:
    assert "is below --fail-under 100" in run("scan", "--fail-under", "100").stderr


def test_no_score_of_a_part(repository: Path, run: Run) -> None:
    result = run("scan", "--fail-under", "10", "play.py")
    assert result.exit_code == 2
    assert "there is none of a part of the repository" in result.stderr
    assert run("scan", "--fail-under", "101").exit_code == 2


def test_a_score_is_compared_as_it_is_printed(costly: Path, run: Run) -> None:
    value = json.loads(run("scan", "--output-format", "json").stdout)["score"]["value"]
    assert run("scan", "--fail-under", f"{value:.1f}", "--fail-on", "critical").exit_code == 0
    assert run("scan", "--fail-under", f"{value + 0.1:.1f}", "--fail-on", "critical").exit_code == 1
