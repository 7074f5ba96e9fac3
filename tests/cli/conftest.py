from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mldebt.cli.main import main

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _at_home(home: Path) -> None:
    """Every test here runs in a home of its own."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dice: str) -> Path:
    """A repository with one finding of a rule of its own, and the working directory."""
    root = tmp_path / "repository"
    (root / "tools").mkdir(parents=True)
    (root / "tools/bare_dice.py").write_text(dice)
    (root / "mldebt.toml").write_text('plugins = ["tools/bare_dice.py"]\nexclude = ["tools/"]\n')
    (root / "play.py").write_text("from games import dice\n\nprint(dice())\nprint(dice(6))\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def run() -> Run:
    """``mldebt`` in this process, with the repository's own rules trusted."""

    def call(*arguments: str, trust: bool = True, stdin: str | None = None, **more: Any) -> Result:
        trusting = ["--trust-plugins"] if trust and arguments[0] in COMMANDS else []
        return CliRunner().invoke(main, [*arguments, *trusting], input=stdin, **more)

    return call


COMMANDS = ("scan", "check", "rule", "rules", "entries", "why")


@pytest.fixture
def crashing(dice: str) -> str:
    """The text of a rule that raises at the first call it sees."""
    return dice.replace("if not call.args:", "if 1 / 0:")
