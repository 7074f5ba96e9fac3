from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mldebt import __version__
from mldebt.cli import terminal
from mldebt.cli.main import COMMANDS
from mldebt.cli.terminal import StatusLine, wants_color

Run = Callable[..., Result]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_version_and_help_name_what_there_is(run: Run) -> None:
    assert run("--version").stdout == f"mldebt {__version__}\n"
    text = run("--help").stdout
    assert all(name in text for name, _, _ in COMMANDS)


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_every_command_has_help(run: Run, name: str) -> None:
    result = run(name, "--help", trust=False)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: mldebt {name} ")
    assert "Other:\n  -h, --help" in result.stdout


def test_a_misspelt_command_names_the_nearest(repository: Path, run: Run) -> None:
    assert "No such command 'scna'. Did you mean 'mldebt scan'?" in run("scna").stderr
    result = run("play.py")
    assert result.exit_code == 2
    assert "Did you mean 'mldebt scan play.py'?" in result.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["scan", "--help"]])
def test_starting_imports_nothing_dear(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom mldebt.cli.main import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        "print(sorted({'libcst', 'astroid', 'rich', 'yaml', 'mldebt_rules', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["rules"], ["scan", "--no-cache", "--output-format", "json"]])
def test_what_opens_no_syntax_tree_imports_no_libcst(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "train.py").write_text("import random\nprint(random.random())\n", encoding="utf-8")
    program = (
        "import sys\nfrom mldebt.cli.main import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        "print(sorted({'libcst', 'astroid', 'rich.console', 'jinja2', 'multiprocessing'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_bug_leaves_with_2_and_a_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("not as planned")

    monkeypatch.setattr("mldebt.cli.rules.registered", broken)
    result = run("rules")
    assert result.exit_code == 2
    assert "RuntimeError: not as planned" in result.stderr
    assert "this is a bug in mldebt" in result.stderr


@pytest.mark.parametrize(
    ("option", "environment", "is_terminal", "colour"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_who_decides_on_colour(option: str, environment: dict[str, str], is_terminal: bool, colour: bool) -> None:
    assert wants_color(option, environment, is_terminal=is_terminal) is colour


def test_progress_is_for_somebody_who_looks() -> None:
    assert StatusLine.wanted(Screen(), {}, quiet=False)
    assert not StatusLine.wanted(Screen(), {}, quiet=True)
    assert not StatusLine.wanted(Screen(), {"CI": "true"}, quiet=False)
    assert not StatusLine.wanted(io.StringIO(), {}, quiet=False)


def test_the_status_line_leaves_nothing_behind() -> None:
    screen = Screen()
    line = StatusLine(screen)
    line.clear()
    assert screen.getvalue() == ""
    line.update("reading", 3, 3)
    line.clear()
    assert screen.getvalue() == "\r\x1b[Kreading 3/3\r\x1b[K"


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "folder/train.py"
    target.parent.mkdir()
    target.write_text("before")
    target.chmod(0o750)
    terminal.write(target, b"after")
    assert target.read_bytes() == b"after"
    assert target.stat().st_mode & 0o777 == 0o750
    assert list(target.parent.iterdir()) == [target]
