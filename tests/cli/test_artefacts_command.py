"""``mldebt artefacts``: the graph as users see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def piped(repository: Path) -> Path:
    (repository / "clean.py").write_text("import pandas as pd\n\npd.read_csv('raw.csv').to_csv('data/clean.csv')\n")
    (repository / "train.py").write_text("import pandas as pd\n\nprint(pd.read_csv('data/clean.csv'))\n")
    return repository


def test_every_artefact_with_its_programs(piped: Path, run: Run) -> None:
    result = run("artefacts", "--no-cache", "-q")
    assert result.exit_code == 0
    assert "data/clean.csv (file; data)\n  written   clean.py:3 to_csv [clean.py]\n" in result.output
    assert "  read      train.py:3 pandas.read_csv [train.py]\n" in result.output


def test_one_artefact_by_its_path(piped: Path, run: Run) -> None:
    result = run("artefacts", "data/clean.csv", "--no-cache", "-q")
    assert result.exit_code == 0
    assert "raw.csv" not in result.output


def test_json_has_flows(piped: Path, run: Run) -> None:
    values = json.loads(run("artefacts", "--no-cache", "-q", "--output-format", "json").output)
    assert values["flows"] == [
        {"artefact": "data/clean.csv", "writer": "clean.py", "reader": "train.py", "confidence": "high"}
    ]


def test_the_pipeline_as_a_dvc_yaml(piped: Path, run: Run) -> None:
    result = run("artefacts", "--no-cache", "-q", "--output-format", "dvc")
    assert result.output.startswith("stages:\n  clean:\n    cmd: python clean.py\n    deps:\n")


def test_another_format_is_refused(piped: Path, run: Run) -> None:
    assert run("artefacts", "--no-cache", "--output-format", "xml").exit_code == 2
