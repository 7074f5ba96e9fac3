"""The bundled example has the findings that were checked by eye, and its twin has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
Report = Callable[[str], dict[str, Any]]


@pytest.fixture
def report(shell: Callable[..., CompletedProcess[str]]) -> Report:
    """The report of a fixture under every rule, preview rules included, and with all severities."""

    def call(name: str) -> dict[str, Any]:
        options = ("--severity", "info", "--preview", "--no-cache", "--output-format", "json")
        done = shell("scan", str(FIXTURES / name), *options)
        assert done.returncode in (0, 1), done.stderr
        loaded: dict[str, Any] = json.loads(done.stdout)
        return loaded

    return call


def test_the_seedless_trainer_has_what_was_checked_by_eye(report: Report) -> None:
    """``seedless_trainer.findings`` lists it; whoever changes that file has looked at the lines."""
    seedless = report("seedless_trainer")
    found = sorted(f"{finding['path']}:{finding['line']} {finding['code']}" for finding in seedless["findings"])
    assert found == (FIXTURES / "seedless_trainer.findings").read_text(encoding="utf-8").splitlines()
    assert seedless["errors"] == []
    assert seedless["suppressed"] == []


def test_the_clean_trainer_has_nothing(report: Report) -> None:
    clean = report("clean_trainer")
    assert clean["findings"] == clean["errors"] == clean["suppressed"] == []
    assert clean["score"]["value"] == 100


def test_the_twins_are_as_big_as_each_other(report: Report) -> None:
    """A clean repository must not be one in which nothing was understood."""
    seedless, clean = report("seedless_trainer"), report("clean_trainer")
    assert clean["files"] == seedless["files"]
    assert clean["coverage"]["calls_resolved"] >= seedless["coverage"]["calls_resolved"] - 0.02
    applicable = [{f["family"] for f in each["score"]["families"] if f["applicable"]} for each in (seedless, clean)]
    assert applicable[0] == applicable[1]
    assert seedless["score"]["value"] < clean["score"]["value"]
