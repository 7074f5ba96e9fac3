"""``--diff-base`` and ``--staged``, in real git repositories."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from jsonschema import Draft202012Validator

from mldebt.report.json import schema

Run = Callable[..., Result]
Git = Callable[..., str]
CALL = "from games import dice\n\nprint(dice())\n"

# A finding whose anchor is where a function is, and whose cause is what that calls.
CALLER = '''
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule


@dataclass(frozen=True)
class LuckyMain(ProjectRule):
    """``main`` stands on luck.

    ## Why it is debt
    Because.

    ## How to pay it back
    Do not.
    """

    code = "MLD191"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 5
    examples = (Bad("def main():\\n    pass\\n"), Good("x = 1\\n"))

    def check(self, project: Project) -> Iterator[Problem]:
        main = project.modules["main.py"]
        luck = project.modules.get("luck.py")
        if luck is None:
            return
        for sites in (luck.call_sites(index) for index in range(len(luck.facts.scopes))):
            for site in sites:
                place = main.place(main.body(0)[-1])
                yield Problem(place, "main stands on luck", related=(Related(luck.place(site), "this is luck"),))
'''


@pytest.fixture
def history(repository: Path, git: Git) -> Path:
    """The repository with its one finding, committed."""
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "first")
    return repository


def scanned(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("scan", "--output-format", "json", *arguments)
    assert result.exit_code in (0, 1), result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (1 if report["findings"] or report["errors"] else 0)
    return report


def new(run: Run, *arguments: str) -> list[str]:
    return [f"{each['path']}:{each['line']}" for each in scanned(run, *arguments)["findings"]]


def test_what_was_there_before_is_not_reported(history: Path, run: Run) -> None:
    report = scanned(run, "--diff-base", "HEAD")
    assert report["findings"] == []
    assert [each["suppression"] for each in report["suppressed"]] == [
        {"kind": "baseline", "reason": "already at HEAD", "line": 0}
    ]


def test_the_work_tree_may_be_dirty_and_stays_as_it_is(history: Path, run: Run, git: Git) -> None:
    (history / "play.py").write_text("# above\n" + CALL + "dice()\n")
    (history / "untracked.py").write_text(CALL)
    git(history, "rm", "-q", "--cached", "mldebt.toml")
    before = git(history, "status", "--porcelain")
    assert new(run, "--diff-base", "HEAD") == ["play.py:5", "untracked.py:3"]
    assert git(history, "status", "--porcelain") == before


def test_a_branch_answers_for_its_own_commits_only(history: Path, run: Run, git: Git) -> None:
    git(history, "branch", "topic")
    (history / "theirs.py").write_text(CALL)
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "on main")
    git(history, "checkout", "-q", "topic")
    (history / "mine.py").write_text(CALL)
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "on topic")
    assert new(run, "--diff-base", "main") == ["mine.py:3"]


def test_renamed_and_edited_files_bring_nothing_back(history: Path, run: Run, git: Git) -> None:
    (history / "src").mkdir()
    git(history, "mv", "play.py", "src/game.py")
    text = (history / "src/game.py").read_text()
    (history / "src/game.py").write_text('"""Moved."""\n\n' + text + "\n\ndef helper():\n    return dice()\n")
    assert new(run, "--diff-base", "HEAD") == ["src/game.py:10"]


def test_a_deleted_file_is_no_trouble(history: Path, run: Run) -> None:
    (history / "play.py").unlink()
    (history / "other.py").write_text("x = 1\n")
    assert new(run, "--diff-base", "HEAD") == []


def test_a_waiver_that_was_taken_away_is_new_debt(history: Path, run: Run, git: Git) -> None:
    (history / "play.py").write_text("from games import dice\n\ndice()  # mldebt: ignore[MLD091] for now\n")
    git(history, "commit", "-q", "-a", "-m", "waived")
    assert new(run, "--diff-base", "HEAD") == []
    (history / "play.py").write_text("from games import dice\n\ndice()\n")
    assert new(run, "--diff-base", "HEAD") == ["play.py:3"]


def test_a_file_that_was_broken_before_is_not_reported(history: Path, run: Run, git: Git) -> None:
    (history / "old.py").write_text("print 'two'\n")
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "old")
    (history / "new.py").write_text("print 'three'\n")
    report = scanned(run, "--diff-base", "HEAD")
    assert [error["path"] for error in report["errors"]] == ["new.py"]
    assert {each["path"] for each in report["suppressed"]} == {"old.py", "play.py"}


def test_the_configuration_of_today_holds_for_both_sides(history: Path, run: Run, git: Git) -> None:
    (history / "mldebt.toml").write_text((history / "mldebt.toml").read_text() + 'ignore = ["MLD091"]\n')
    git(history, "commit", "-q", "-a", "-m", "ignored")
    (history / "mldebt.toml").write_text((history / "mldebt.toml").read_text().replace("MLD091", "MLD002"))
    assert new(run, "--diff-base", "HEAD") == []


def test_a_baseline_and_a_commit_hide_each_finding_once(history: Path, run: Run) -> None:
    run("baseline", "create", "--trust-plugins")
    (history / "play.py").write_text(CALL + CALL)
    assert new(run, "--diff-base", "HEAD") == ["play.py:6"]


def test_a_folder_of_a_repository_may_be_the_root(history: Path, run: Run) -> None:
    (history / "inner").mkdir()
    (history / "inner/mldebt.toml").write_text((history / "mldebt.toml").read_text().replace("tools", "../tools"))
    (history / "inner/play.py").write_text(CALL)
    result = run(
        "scan", "--diff-base", "HEAD", "--root", "inner", "--output-format", "concise", "--config", "mldebt.toml"
    )
    assert result.exit_code == 1
    assert result.stdout.startswith("play.py:3:")


def test_a_notebook_cell_that_moved_is_known(history: Path, run: Run, git: Git) -> None:
    def notebook(*sources: str) -> str:
        cells: list[dict[str, Any]] = [
            {"cell_type": "code", "id": f"c{s}", "metadata": {}, "outputs": [], "execution_count": None, "source": s}
            for s in sources
        ]
        return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}, indent=1)

    (history / "n.ipynb").write_text(notebook("from games import dice", "dice()"))
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "notebook")
    (history / "n.ipynb").write_text(notebook("x = 1", "from games import dice", "dice()", "print(dice())"))
    (found,) = scanned(run, "--diff-base", "HEAD")["findings"]
    assert found["cell"] == {"index": 4, "id": "cprint(dice())", "line": 1}


# The score.


@pytest.fixture
def costly(history: Path, dice: str) -> Path:
    """The same, with a finding that costs points."""
    (history / "tools/bare_dice.py").write_text(dice.replace("MLD091", "MLD191"))
    return history


def test_the_score_before_and_after(costly: Path, run: Run, git: Git) -> None:
    (costly / "more.py").write_text(CALL)
    report = scanned(run, "--diff-base", "HEAD")
    before, after = report["before"]["score"], report["score"]
    assert report["before"]["ref"] == "HEAD"
    assert report["before"]["commit"] == git(costly, "rev-parse", "HEAD").strip()
    assert before["value"] > after["value"]
    assert (before["live_lines"], after["live_lines"]) == (3, 5)
    text = run("scan", "--diff-base", "HEAD").stdout
    assert f"Score      {before['value']:.1f} → {after['value']:.1f} of 100" in text
    assert "1 new finding (1 major)" in text
    assert "1 not new since HEAD" in text
    assert "(3 lines before)" in text


def test_debt_of_the_baseline_and_debt_of_the_commit_are_counted_apart(costly: Path, run: Run, git: Git) -> None:
    run("baseline", "create", "--trust-plugins")
    (costly / "known.py").write_text(CALL)
    git(costly, "add", ".")
    git(costly, "commit", "-q", "-m", "one more")
    assert "; 1 in the baseline; 1 not new since HEAD" in run("scan", "--diff-base", "HEAD").stdout


def test_both_scores_are_over_the_families_of_either(costly: Path, run: Run) -> None:
    (costly / "numbers.py").write_text("import numpy\n")
    report = scanned(run, "--diff-base", "HEAD")
    applicable = [
        {each["family"] for each in score["families"] if each["applicable"]}
        for score in (report["before"]["score"], report["score"])
    ]
    assert applicable[0] == applicable[1]
    assert "randomness" in applicable[0]


def test_the_same_tree_scores_the_same(costly: Path, run: Run) -> None:
    report = scanned(run, "--diff-base", "HEAD")
    assert report["before"]["score"] == report["score"] == scanned(run)["score"]


def test_a_compared_report_fits_the_schema(costly: Path, run: Run) -> None:
    (costly / "more.py").write_text(CALL)
    Draft202012Validator(schema()).validate(scanned(run, "--diff-base", "HEAD"))
    Draft202012Validator(schema()).validate(scanned(run, "--diff-base", "HEAD", "more.py"))


def test_a_report_without_a_comparison_says_nothing_of_one(history: Path, run: Run) -> None:
    assert "before" not in scanned(run)


# Where it is shown.


@pytest.fixture
def lucky(history: Path, git: Git) -> Path:
    (history / "tools/bare_dice.py").write_text(CALLER)
    (history / "play.py").unlink()
    (history / "main.py").write_text("import luck\n\n\ndef main():\n    luck.roll()\n")
    (history / "luck.py").write_text("def roll():\n    return 6\n")
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "luck")
    return history


def test_a_finding_caused_by_the_change_is_shown_in_the_change(lucky: Path, run: Run) -> None:
    (lucky / "luck.py").write_text("import random\n\n\ndef roll():\n    return random.random()\n")
    (found,) = scanned(run, "--diff-base", "HEAD", "--select", "MLD191")["findings"]
    assert (found["path"], found["line"]) == ("luck.py", 5)
    assert found["message"] == "main stands on luck (anchor: main.py:4: this is luck)"
    assert [(each["path"], each["line"]) for each in found["related"]] == [("main.py", 4)]
    (plain,) = scanned(run, "--select", "MLD191")["findings"]
    assert (plain["path"], plain["line"]) == ("main.py", 4)
    assert plain["fingerprint"] == found["fingerprint"]


@pytest.mark.parametrize(
    "form", ["concise", "grouped", "pylint", "github", "gitlab", "sarif", "junit", "checkstyle", "rdjson", "azure"]
)
def test_every_format_shows_it_there(lucky: Path, run: Run, form: str) -> None:
    (lucky / "luck.py").write_text("import random\n\n\ndef roll():\n    return random.random()\n")
    shown = run("scan", "--diff-base", "HEAD", "--output-format", form, "--select", "MLD191").stdout
    assert "luck.py" in shown
    assert "main.py:4" in shown.replace("%3A", ":")


def test_a_finding_whose_anchor_changed_stays_there(lucky: Path, run: Run) -> None:
    (lucky / "luck.py").write_text("import random\n\n\ndef roll():\n    return random.random()\n")
    (lucky / "main.py").write_text("import luck\n\n\ndef main(): luck.roll()\n")
    assert new(run, "--diff-base", "HEAD", "--select", "MLD191") == ["main.py:4"]


# What is staged.


def test_what_is_staged_is_judged_as_it_is_staged(history: Path, run: Run, git: Git) -> None:
    (history / "staged.py").write_text(CALL)
    git(history, "add", ".")
    (history / "staged.py").write_text("x = 1\n")
    (history / "untracked.py").write_text(CALL)
    assert new(run, "--staged") == ["staged.py:3"]
    assert new(run, "--diff-base", "HEAD") == ["untracked.py:3"]


def test_what_is_repaired_but_not_staged_is_still_debt(history: Path, run: Run, git: Git) -> None:
    (history / "play.py").write_text(CALL + "dice()\n")
    git(history, "add", ".")
    (history / "play.py").write_text("x = 1\n")
    assert new(run, "--staged") == ["play.py:4"]
    quoted = run("scan", "--staged").stdout
    assert "dice()" in quoted


def test_before_the_first_commit_everything_is_new(repository: Path, run: Run, git: Git) -> None:
    git(repository, "init", "-q")
    git(repository, "add", ".")
    assert new(run, "--staged") == ["play.py:3"]


def test_staged_against_a_branch(history: Path, run: Run, git: Git) -> None:
    git(history, "checkout", "-q", "-b", "topic")
    (history / "one.py").write_text(CALL)
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "one")
    (history / "two.py").write_text(CALL)
    git(history, "add", ".")
    assert new(run, "--staged") == ["two.py:3"]
    assert new(run, "--staged", "--diff-base", "main") == ["one.py:3", "two.py:3"]


def test_a_hook_sees_what_is_about_to_be_committed(history: Path, git: Git) -> None:
    """``git commit -a`` gives its hook an index of its own."""
    said = history.parent / "said"
    hook = history / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    mldebt = Path(sys.executable).with_name("mldebt")
    hook.write_text(
        f"#!/bin/sh\n'{mldebt}' scan --staged --trust-plugins --no-cache --output-format concise > '{said}'\nexit 0\n"
    )
    hook.chmod(0o755)
    (history / "play.py").write_text(CALL + "dice()\n")
    git(history, "commit", "-q", "-a", "-m", "with a hook")
    assert said.read_text().startswith("play.py:4:")


def test_no_program_of_the_repository_is_ever_run(history: Path, run: Run, git: Git) -> None:
    ran = history.parent / "ran"
    program = history.parent / "canary.sh"
    program.write_text(f"#!/bin/sh\necho $0 $* >> '{ran}'\ncat\n")
    program.chmod(0o755)
    (history / ".gitattributes").write_text("*.py filter=canary diff=canary\n")
    git(history, "add", ".")
    git(history, "commit", "-q", "-m", "attributes")
    for name in (
        "filter.canary.clean",
        "filter.canary.smudge",
        "diff.canary.textconv",
        "diff.external",
        "core.fsmonitor",
    ):
        git(history, "config", name, str(program))
    (history / "play.py").write_text(CALL + "dice()\n")
    ran.unlink(missing_ok=True)
    assert new(run, "--diff-base", "HEAD") == ["play.py:4"]
    assert new(run, "--staged") == []
    assert not ran.exists()
    git(history, "status")
    assert ran.exists()  # a plain git runs them: the canary sings


# What cannot be answered.


@pytest.mark.parametrize("option", [["--diff-base", "main"], ["--staged"]])
def test_without_a_repository_it_is_said(repository: Path, run: Run, option: list[str]) -> None:
    result = run("scan", *option)
    assert result.exit_code == 2
    assert "is not in a git repository" in result.stderr


def test_an_unknown_commit_is_answered_with_the_nearest(history: Path, run: Run) -> None:
    result = run("scan", "--diff-base", "mian")
    assert result.exit_code == 2
    assert "no commit, branch or tag is called 'mian'; did you mean 'main'?" in result.stderr


def test_a_shallow_clone_is_told_what_to_do(history: Path, run: Run, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    git(history, "commit", "-q", "--allow-empty", "-m", "second")
    clone = history.parent / "clone"
    git(history.parent, "clone", "-q", "--depth", "1", f"file://{history}", str(clone))
    monkeypatch.chdir(clone)
    result = run("scan", "--diff-base", "HEAD~1")
    assert result.exit_code == 2
    assert "fetch-depth: 0" in result.stderr


@pytest.mark.parametrize("options", [["--fix", "--staged"], ["-", "--staged"], ["-", "--diff-base", "HEAD"]])
def test_what_makes_no_sense_together_is_refused(history: Path, run: Run, options: list[str]) -> None:
    assert run("scan", *options, stdin="").exit_code == 2


def test_fixes_are_for_new_debt_only(history: Path, run: Run) -> None:
    (history / "play.py").write_text(CALL + "dice()\n")
    run("scan", "--fix", "--diff-base", "HEAD")
    assert (history / "play.py").read_text() == CALL + "dice(6)\n"


def test_a_rule_that_crashes_on_the_other_side_is_said(history: Path, run: Run, dice: str) -> None:
    """What it would have found there is unknown, so what is new is unknown too."""
    failing = "if 'dice(6)' in module.source.text:\n            1 / 0\n        if not call.args:"
    (history / "tools/bare_dice.py").write_text(dice.replace("if not call.args:", failing))
    (history / "play.py").write_text(CALL)
    assert run("scan").exit_code == 1
    result = run("scan", "--diff-base", "HEAD")
    assert result.exit_code == 2
    assert "MLD005" in result.stdout


def test_the_cache_changes_nothing(history: Path, run: Run) -> None:
    (history / "more.py").write_text(CALL)
    plain = run("scan", "--diff-base", "HEAD", "--no-cache", "--output-format", "json").stdout
    for _ in range(2):
        assert run("scan", "--diff-base", "HEAD", "--output-format", "json").stdout == plain
