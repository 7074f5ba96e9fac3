"""The plug-in in the real flake8, in environments that hold nothing but the wheel and it."""

from __future__ import annotations

import ast
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest

from mldebt.flake8 import Checker, Session
from mldebt.reading import Bundle, bundled
from mldebt.sources.text import Source

SPLIT = "from sklearn.model_selection import train_test_split\n"
WORDS = "shuffles the rows before it cuts them with no random_state"


class Flake8(NamedTuple):
    """What a run printed, one line a finding, and how it ended."""

    shown: list[str]
    code: int
    stderr: str

    @property
    def places(self) -> list[str]:
        """``path:line:column code`` of every line."""
        return [" ".join(line.split()[:2]).replace(": ", " ", 1) for line in self.shown]


Run = Callable[..., Flake8]


def python_3_10() -> str | None:
    """A Python 3.10 of this machine, on the path or where pyenv keeps them."""
    for python in ("python3.10", *map(str, Path.home().glob(".pyenv/versions/3.10*/bin/python"))):
        try:
            done = subprocess.run([python, "-c", "import sys; print(sys.executable)"], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return done.stdout.decode().strip()
    return None


NEWEST, OLD = "newest", "the newest that runs on Python 3.10"
OLD_PYTHON = python_3_10()


@pytest.fixture(params=[NEWEST, OLD])
def flake8(request: pytest.FixtureRequest, environment: Callable[..., Path], home: Path, tmp_path: Path) -> Run:
    """Runs flake8 in a repository of these files, with no option but those given."""
    if request.param == NEWEST:
        folder = environment("flake8", "flake8")
    elif OLD_PYTHON:
        folder = environment("flake8-3.10", "flake8", python=OLD_PYTHON)
    else:
        folder = environment("flake8-3.10", "flake8<7.5")

    def call(files: dict[str, str | bytes], *arguments: str, stdin: str | None = None) -> Flake8:
        root = tmp_path / "repository"
        top: dict[str, str | bytes] = {} if "pyproject.toml" in files else {"mldebt.toml": ""}
        for name, text in {**top, **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        command = [str(folder / "bin/flake8"), *(arguments or ["--select", "MLD", "."])]
        done = subprocess.run(command, cwd=root, input=stdin, capture_output=True, text=True, check=False)
        return Flake8(done.stdout.splitlines(), done.returncode, done.stderr)

    return call


def test_flake8_shows_what_one_file_shows_by_itself(flake8: Run) -> None:
    boolean = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--flag', type=bool)\n"
    found = flake8(
        {"train.py": f"{SPLIT}rows = list(range(9)); train, test = train_test_split(rows)\n", "b.py": boolean}
    )
    assert found.places == ["./b.py:3:1 MLD309", "./train.py:2:38 MLD404"]
    assert WORDS in found.shown[1]
    assert (found.code, found.stderr) == (1, "")


def test_rules_that_need_the_project_are_silent(flake8: Run) -> None:
    """An unseeded entry path is MLD401 to ``mldebt scan``; one file cannot tell."""
    text = "import torch\n\nif __name__ == '__main__':\n    print(torch.randn(3))\n"
    assert flake8({"train.py": text}).shown == []


def test_columns_count_characters_from_1(flake8: Run) -> None:
    found = flake8({"a.py": f'{SPLIT}s = "éß𝔘"; a, b = train_test_split(s)\n'})
    assert found.places == ["./a.py:2:19 MLD404"]
    with_mark = flake8({"a.py": b"\xef\xbb\xbf" + f"{SPLIT}a, b = train_test_split(x)\r\n".encode()})
    assert with_mark.places == ["./a.py:2:8 MLD404"]
    latin = flake8({"a.py": f'# coding: latin-1\n{SPLIT}s = "é"; a, b = train_test_split(s)\n'.encode("latin-1")})
    assert latin.places == ["./a.py:3:17 MLD404"]


def test_settings_of_the_repository_hold(flake8: Run) -> None:
    split = f"{SPLIT}a, b = train_test_split(x)\n"
    config = """
        [tool.mldebt]
        extend-exclude = ["attic/"]
        [tool.mldebt.per-file-ignores]
        "scratch/**" = ["unseeded-sklearn-object"]
        [[tool.mldebt.overrides]]
        files = ["demo.py"]
        severity = { MLD404 = "info" }
    """
    names = ("train.py", "scratch/a.py", "attic/a.py", "demo.py", "build/a.py", "vendor/a.py")
    files: dict[str, str | bytes] = dict.fromkeys(names, split)
    settings = {"pyproject.toml": dedent(config), "below/a.py": split, "below/mldebt.toml": 'ignore = ["MLD4"]\n'}
    found = flake8({**files, **settings})
    assert found.places == ["./train.py:2:8 MLD404"]
    shown = flake8({**files, **settings}, "--select", "MLD", "--mldebt-severity", "info", ".")
    assert shown.places == ["./demo.py:2:8 MLD404", "./train.py:2:8 MLD404"]
    assert len(flake8({**files, **settings}, "--select", "MLD", "--mldebt-isolated", ".").shown) == 5


def test_options_of_flake8s_own_configuration(flake8: Run) -> None:
    files: dict[str, str | bytes] = {
        "a.py": f"{SPLIT}a, b = train_test_split(x)\n",
        ".flake8": "[flake8]\nselect = MLD\nmldebt-config = tools/debt.toml\n",
        "tools/debt.toml": 'ignore = ["MLD404"]\n',
    }
    assert flake8(files, ".").shown == []
    assert flake8(files, "--mldebt-config=", "--isolated", "--select=MLD", ".").places == ["./a.py:2:8 MLD404"]


def test_waivers_and_noqa(flake8: Run) -> None:
    comments = {
        "# noqa: MLD404": True,
        "# noqa": True,
        "# noqa: MLD309": False,
        "# mldebt: ignore[MLD404] the rows are sorted": True,
        "# mldebt: ignore[unseeded-sklearn-object] the rows are sorted": True,
        "# mldebt: ignore[MLD309] another rule": False,
    }
    rows = [f"a, b = train_test_split(x)  {comment}\n" for comment in comments]
    found = flake8({"a.py": SPLIT + "".join(rows)})
    loud = [line for line, silent in enumerate(comments.values(), 2) if not silent]
    # Of the waiver that silences nothing here nothing is said: what it silences may need the project.
    assert found.places == [f"./a.py:{line}:8 MLD404" for line in loud]


def test_noqa_is_left_to_flake8(flake8: Run) -> None:
    """So ``--disable-noqa`` shows what ``# noqa`` hides, and not what was waived in our own words."""
    files: dict[str, str | bytes] = {
        "a.py": f"{SPLIT}a, b = train_test_split(x)  # noqa: MLD404\n",
        "b.py": f"{SPLIT}a, b = train_test_split(x)  # mldebt: ignore[MLD404] sorted\n",
        "whole.py": f"# flake8: noqa\n{SPLIT}a, b = train_test_split(x)\n",
        "ours.py": f"# mldebt: ignore-file[MLD404] sorted\n{SPLIT}a, b = train_test_split(x)\n",
    }
    assert flake8(files).shown == []
    shown = flake8(files, "--select", "MLD", "--disable-noqa", ".")
    assert shown.places == ["./a.py:2:8 MLD404", "./whole.py:3:8 MLD404"]


def test_our_waiver_covers_the_whole_statement(flake8: Run) -> None:
    text = f"{SPLIT}a, b = train_test_split(\n    x,\n)  # mldebt: ignore[MLD404] sorted\n"
    assert flake8({"a.py": text}).shown == []


def test_a_waiver_of_no_rule_is_told(flake8: Run) -> None:
    assert flake8({"a.py": "x = 1  # mldebt: ignore[MLD999] why\n"}).places == ["./a.py:1:8 MLD004"]


def test_what_cannot_be_read_is_flake8s_to_tell(flake8: Run) -> None:
    files = {
        "broken.py": b"def (:\n",
        "empty.py": b"",
        "not_utf_8.py": f"{SPLIT}train_test_split(x)  # \xe9\n".encode("latin-1"),
        "unknown_encoding.py": b"# coding: nothing\n# \xe9\n" + f"{SPLIT}train_test_split(x)\n".encode(),
    }
    found = flake8({**files}, "--select", "MLD,E9", ".")
    assert [place for place in found.places if "E999" in place] == ["./broken.py:1:6 E999"]
    assert "MLD" not in "".join(found.shown)


def test_standard_input(flake8: Run) -> None:
    text = f"{SPLIT}a, b = train_test_split(x)\n"
    assert flake8({}, "--select", "MLD", "-", stdin=text).places == ["stdin:2:8 MLD404"]
    named = ("--select", "MLD", "--stdin-display-name", "scratch/a.py", "-")
    assert flake8({}, *named, stdin=text).places == ["scratch/a.py:2:8 MLD404"]
    ignored = {"mldebt.toml": 'per-file-ignores = { "scratch/" = ["MLD4"] }\n'}
    assert flake8({**ignored}, *named, stdin=text).shown == []


def test_processes_change_nothing(flake8: Run) -> None:
    files: dict[str, str | bytes] = {f"{n}.py": f"{SPLIT}{'#' * n}\na, b = train_test_split(x)\n" for n in range(1, 9)}
    one, four = (flake8(files, "--select", "MLD", "-j", jobs, ".") for jobs in ("1", "4"))
    assert one.shown == four.shown
    assert len(one.shown) == 8


@pytest.mark.parametrize(
    ("files", "arguments", "words"),
    [
        ({"mldebt.toml": "selct = []\n"}, (), "mldebt.toml:1: unknown key 'selct'; did you mean 'select'?"),
        ({}, ("--mldebt-severity", "bad"), "'bad' is none of info, minor, major, critical"),
        ({}, ("--mldebt-root", "nowhere"), "nowhere: no such file or directory"),
        ({".flake8": "[flake8]\nmldebt-confidence = low\n"}, (), "'low' is none of medium, high"),
    ],
)
def test_a_mistake_in_the_settings_stops_flake8(
    flake8: Run, files: dict[str, str | bytes], arguments: tuple[str, ...], words: str
) -> None:
    found = flake8({"a.py": "x = 1\n", **files}, "--select", "MLD", *arguments, ".")
    assert found.code == 1
    assert words in "".join(found.shown)
    assert "Traceback" not in found.stderr


def test_rule_files_of_the_repository_need_trust_on_the_command_line(flake8: Run, dice: str) -> None:
    files: dict[str, str | bytes] = {
        "good.py": "from games import dice\n\ndice()\n",
        "tools/bare_dice.py": dice,
        "mldebt.toml": 'plugins = ["tools/bare_dice.py"]\nexclude = ["tools/"]\n',
        ".flake8": "[flake8]\nselect = MLD\nmldebt-trust-plugins = true\n",
    }
    assert flake8(files, ".").shown == []
    assert flake8(files, "--mldebt-trust-plugins", ".").places == ["./good.py:3:1 MLD091"]


def test_a_rule_that_crashes_is_told(flake8: Run, dice: str) -> None:
    files: dict[str, str | bytes] = {
        "good.py": "from games import dice\n\ndice()\n",
        "tools/bare_dice.py": dice.replace("if not call.args:", "if 1 / 0:"),
        "mldebt.toml": 'plugins = ["tools/bare_dice.py"]\nexclude = ["tools/"]\n',
    }
    found = flake8(files, "--select", "MLD", "--mldebt-trust-plugins", ".")
    assert found.places == ["./good.py:1:1 MLD005"]
    assert "MLD091 bare-dice crashed: ZeroDivisionError" in found.shown[0]


def checked(session: Session, name: str, text: str) -> list[str]:
    Checker.session = session
    lines = text.splitlines(keepends=True)
    return [f"{line}:{column} {words[:6]}" for line, column, words, _ in Checker(ast.parse(text), name, lines).run()]


@pytest.fixture
def session(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    options = dict.fromkeys(("config", "root", "severity", "confidence"), None)
    flags = dict.fromkeys(("isolated", "preview", "trust_plugins"), False)
    return Session(Namespace(**{f"mldebt_{name}": value for name, value in {**options, **flags}.items()}))


def test_a_file_scanned_twice_costs_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    extracted: list[str] = []

    def counted(source: Source, *more: Any) -> Bundle:
        extracted.append(source.path)
        return bundled(source, *more)

    monkeypatch.setattr("mldebt.alone.bundled", counted)
    text = f"{SPLIT}a, b = train_test_split(x)\n"
    first = checked(session, "a.py", text)
    assert first == checked(session, "a.py", text) == ["2:7 MLD404"]
    assert extracted == ["a.py"]
    assert checked(session, "a.py", f"\n{text}") == ["3:7 MLD404"]
    assert extracted == ["a.py", "a.py"]


def test_the_tree_flake8_made_is_used(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        pytest.fail("the file was parsed again")

    text = f"{SPLIT}a, b = train_test_split(x)\n"
    tree = ast.parse(text)
    monkeypatch.setattr("mldebt.facts.extract.parse", refused)
    Checker.session = session
    told = list(Checker(tree, "a.py", text.splitlines(keepends=True)).run())
    assert [(line, column) for line, column, _, _ in told] == [(2, 7)]


def test_a_file_of_another_repository_keeps_its_own_settings(
    session: Session, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    text = f"{SPLIT}a, b = train_test_split(x)\n"
    (other / "mldebt.toml").write_text('per-file-ignores = { "quiet/" = ["MLD404"] }\n')
    (other / "quiet").mkdir()
    assert checked(session, str(other / "quiet/a.py"), text) == []
    assert checked(session, str(other / "a.py"), text) == ["2:7 MLD404"]


def test_help_does_not_wait_for_the_rules() -> None:
    program = "import sys, mldebt.flake8; print('libcst' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
