from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]

ANALYSIS = """
from __future__ import annotations

from collections.abc import Sequence

from mldebt.project.entries import Entry
from mldebt.rule import Analysis


class Weather(Analysis):
    def describe_entry(self, entry: Entry, /) -> Sequence[tuple[str, str]]:
        return [("weather", f"fine at {entry.name}")]
"""


@pytest.fixture
def runnable(repository: Path) -> Path:
    (repository / "train.py").write_text("if __name__ == '__main__':\n    print('training')\n")
    (repository / "run.sh").write_text("#!/bin/sh\npython train.py\n")
    (repository / "tools/weather.py").write_text(ANALYSIS)
    (repository / "mldebt.toml").write_text('plugins = ["tools"]\nexclude = ["tools/"]\n')
    return repository


def test_an_entry_with_its_launcher_and_what_analyses_say(runnable: Path, run: Run) -> None:
    result = run("entries", "train.py")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith("train.py:1 train.py (")
    assert "weather fine at train.py" in lines
    assert "launched by run.sh:2" in lines


def test_entries_as_json(runnable: Path, run: Run) -> None:
    (entry,) = json.loads(run("entries", "train.py", "--output-format", "json").stdout)
    assert entry["launchers"] == [{"path": "run.sh", "line": 2}]
    assert {"label": "weather", "text": "fine at train.py"} in entry["facts"]


def test_nothing_to_run_is_said(repository: Path, run: Run) -> None:
    (repository / "play.py").write_text("x = 1\n")
    result = run("entries")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no entries found" in result.stderr
