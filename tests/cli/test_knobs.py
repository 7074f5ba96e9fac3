"""``mldebt knobs``: the table of settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def configured(repository: Path) -> Path:
    (repository / "train.py").write_text(
        "import argparse\n"
        "import torch\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--learning-rate', type=float, default=0.1)\n"
        "parser.add_argument('--verbose', action='store_true')\n"
        "args = parser.parse_args()\n"
        "args.verbose = True\n"
        "step(args.learning_rate)\n"
        "torch.optim.AdamW(p, lr=3e-4)\n"
    )
    (repository / "config.yaml").write_text("optim:\n  lr: 0.01\n  weight_decay: 0.5\n")
    return repository


def test_every_knob_with_its_homes(configured: Path, run: Run) -> None:
    result = run("knobs", "--no-cache", "-q")
    assert result.exit_code == 0
    assert "lr (also learning_rate)  tuning  3 values in 2 files, 1 reader" in result.output
    for home in ("cli", "train.py:4", "argument", "torch.optim.AdamW(lr=)", "yaml", "config.yaml:2"):
        assert home in result.output
    assert "verbose" in result.output


def test_one_knob_by_any_of_its_names(configured: Path, run: Run) -> None:
    for name in ("lr", "learning-rate", "LEARNING_RATE"):
        result = run("knobs", name, "--no-cache", "-q")
        assert result.exit_code == 0
        assert "read at\n  train.py:8" in result.output
        assert "3 different values in 2 files" in result.output
        assert "weight_decay" not in result.output


def test_what_is_changed_later(configured: Path, run: Run) -> None:
    assert "changed at\n  train.py:7" in run("knobs", "verbose", "--no-cache", "-q").output


def test_json_has_everything(configured: Path, run: Run) -> None:
    values = json.loads(run("knobs", "--no-cache", "-q", "--output-format", "json").output)
    (lr,) = [knob for knob in values["knobs"] if knob["name"] == "lr"]
    assert (lr["class"], lr["readers"], lr["files"]) == ("tuning", 1, 2)
    assert [(home["kind"], home["value"]) for home in lr["homes"]] == [
        ("yaml", 0.01),
        ("cli", 0.1),
        ("argument", 0.0003),
    ]


def test_a_typing_error_is_answered_with_the_nearest_name(configured: Path, run: Run) -> None:
    result = run("knobs", "learnin_rate", "--no-cache")
    assert result.exit_code == 2
    assert "Did you mean 'learning_rate'?" in result.output


def test_paths_narrow_the_table(configured: Path, run: Run) -> None:
    result = run("knobs", "config.yaml", "--no-cache", "-q")
    assert "config.yaml:2" in result.output
    assert "train.py" not in result.output


def test_an_unknown_format_is_refused(configured: Path, run: Run) -> None:
    assert run("knobs", "--no-cache", "--output-format", "xml").exit_code == 2


def test_nothing_to_show(repository: Path, run: Run) -> None:
    result = run("knobs", "--no-cache", "-q")
    assert (result.exit_code, result.output.strip()) == (0, "no settings found")
