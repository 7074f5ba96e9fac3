from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mldebt.cli.main import main

# A rule of the repository's own, so that these tests stand on no built-in rule: `dice()` is debt, `dice(6)` is not.
RULE = '''
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from mldebt.finding import Applicability, Confidence, Edit, Fix, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, Rule


@dataclass(frozen=True)
class BareDice(Rule[cst.Call]):
    """A dice is thrown, and nobody knows how many sides it has.

    ## Why it is debt
    Because.

    ## How to pay it back
    Say how many.
    """

    code = "MLD091"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 5
    alone = Alone.REPORT
    calls = frozenset({"games.dice"})
    examples = (Bad("import games\\ngames.dice()\\n"), Good("import games\\ngames.dice(6)\\n"))

    sides: int = 6

    def check(self, call: cst.Call, module: Module) -> Iterator[Problem]:
        if not call.args:
            yield Problem(module.place(call), "The dice has no sides.", evidence=("no argument was given",))

    def mend(self, problem: Problem, project: Project) -> Fix:
        edit = Edit(problem.place, f"dice({self.sides})")
        return Fix(Applicability.SAFE, "say the sides", (edit,))
'''
CRASHING = RULE.replace("if not call.args:", "if 1 / 0:")

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the home of whoever runs it, nor takes colours or CI from there."""
    for name, folder in {"XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "HOME": "."}.items():
        monkeypatch.setenv(name, str(tmp_path / "home" / folder))
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CI", "MLDEBT_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one finding of a rule of its own, and the working directory."""
    root = tmp_path / "repository"
    (root / "tools").mkdir(parents=True)
    (root / "tools/bare_dice.py").write_text(RULE)
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
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The console script as users run it."""

    def call(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        script = Path(sys.executable).with_name("mldebt")
        return subprocess.run(
            [str(script), *arguments], capture_output=True, text=True, check=False, env=dict(os.environ), **more
        )

    return call


@pytest.fixture
def crashing() -> str:
    """The text of a rule that raises at the first call it sees."""
    return CRASHING
