"""Input nobody would write on purpose: the scan says which file and line, and still reports the good file beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Shell = Callable[..., "subprocess.CompletedProcess[str]"]
Written = Callable[[Mapping[str, str | bytes]], Path]

GOOD = ("MLD091", "good.py", 3)


@dataclass(frozen=True)
class Scanned:
    code: int
    report: Mapping[str, Any]
    stderr: str

    @property
    def found(self) -> list[tuple[str, str, int]]:
        return [(f["code"], f["path"], f["line"]) for f in self.report["findings"] if f["code"] == "MLD091"]

    @property
    def errors(self) -> list[tuple[str, str, int]]:
        return [(e["code"], e["path"], e["line"]) for e in self.report["errors"]]


@pytest.fixture
def scan(shell: Shell, written: Written) -> Callable[[Mapping[str, str | bytes]], Scanned]:
    """All rules over the files given and a good one, through the console script."""

    def call(files: Mapping[str, str | bytes]) -> Scanned:
        root = written(files)
        done = shell("scan", "--trust-plugins", "--no-cache", "--output-format", "json", "-q", cwd=root)
        assert "Traceback" not in done.stderr
        return Scanned(done.returncode, json.loads(done.stdout), done.stderr)

    return call


Scan = Callable[[Mapping[str, str | bytes]], Scanned]

NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"language": "python", "name": "python3"}},
        "cells": [
            {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "execution_count": 1,
             "source": ["from games import dice\n", "dice()"]},
            {"cell_type": "code", "id": "two", "metadata": {}, "outputs": [], "execution_count": 2,
             "source": ["x = 1\n", "y = = 2"]},
            {"cell_type": "code", "id": "three", "metadata": {}, "outputs": [], "execution_count": 3,
             "source": ["dice()"]},
        ],
    },
    indent=1,
)  # fmt: skip


def line_of(text: str, part: str, number: int = 1) -> int:
    """The 1-based line of the ``number``-th occurrence of ``part``."""
    return [row for row, line in enumerate(text.splitlines(), 1) if part in line][number - 1]


# Path, content, the line that is named, and words of the message.
BROKEN: tuple[tuple[str, str | bytes, int, str], ...] = (
    ("bad.py", "x = 1\ny = (2\n", 2, "'(' was never closed"),
    ("old/print.py", "import sys\nprint 'hello'\n", 2, "this looks like Python 2"),
    ("old/raise.py", "def f():\n    raise IOError, 'gone'\n", 2, "this looks like Python 2"),
    ("nul.py", b"x = 1\ny = 2\0\n", 2, "NUL byte"),
    ("bytes.py", b"x = 1\ny = '\xff\xfe'\n", 2, "0xff"),
    ("cookie.py", "# coding: klingon\nx = 1\n", 1, "klingon"),
    ("deep.py", "x = " + "[" * 5_000 + "]" * 5_000 + "\n", 1, "nest"),
    ("cut.ipynb", '{"cells": [\n{"cell_type": "code",\n', 3, "not valid JSON"),
    ("empty.ipynb", "", 1, "empty"),
    ("no_cells.ipynb", '{"nbformat": 4}', 1, "no cells"),
    ("pyproject.toml", "[project]\nname = \n", 2, "not valid TOML"),
    ("sub/pyproject.toml", "[project]\nname = \n", 2, "not valid TOML"),
    ("requirements.txt", "numpy\n?!torch\n", 2, "not a requirement"),
    ("conf/train.yaml", "lr: 1\n  rate: 2\n", 2, "not valid YAML"),
    ("conf/train.json", '{"lr": 1,\n "rate": }', 2, "not valid JSON"),
)

ODD = {
    "long_list.py": "x = [" + "1234567, " * 600_000 + "]\n",  # 5 MB on one line
    "long_text.py": "x = '" + "a" * 5_000_000 + "'\n",
    "operators.py": "x = " + "1 + " * 50_000 + "1\n",
    "chain.py": "import games\ngames" + ".a()" * 3_000 + "\n",
    "elif.py": "x = 1\nif x == 0:\n    pass\n" + "".join(f"elif x == {n}:\n    pass\n" for n in range(1, 2_000)),
    "empty.py": "",
    "blank.py": "\ufeff\n\n",
    "carriage.py": "from games import dice\rx = 1\r",
}


def test_a_broken_file_is_named_with_its_line_and_the_good_one_is_read(scan: Scan) -> None:
    result = scan({name: content for name, content, _, _ in BROKEN})
    assert sorted(result.errors) == sorted(("MLD001", name, line) for name, _, line, _ in BROKEN)
    messages = {error["path"]: error["message"].lower() for error in result.report["errors"]}
    assert [name for name, _, _, words in BROKEN if words.lower() not in messages[name]] == []
    assert result.found == [GOOD]
    assert result.code == 1


def test_what_is_only_odd_breaks_nothing(scan: Scan) -> None:
    result = scan(ODD)
    deep = {"chain.py", "elif.py", "operators.py"}  # how deep is too deep depends on the interpreter
    assert {code for code, _, _ in result.errors} <= {"MLD001"}
    assert {path for _, path, _ in result.errors} <= deep
    assert result.found == [GOOD]
    assert result.report["files"] == len(ODD) + 1


def test_one_broken_cell_costs_only_itself(scan: Scan) -> None:
    result = scan({"note.ipynb": NOTEBOOK})
    assert result.errors == [("MLD001", "note.ipynb", line_of(NOTEBOOK, "y = = 2"))]
    lines = [line_of(NOTEBOOK, "dice()", number) for number in (1, 2)]
    assert result.found == [GOOD, ("MLD091", "note.ipynb", lines[0]), ("MLD091", "note.ipynb", lines[1])]


def test_an_alias_bomb_is_named_and_does_not_go_off(scan: Scan) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    result = scan({"conf/train.yaml": "\n".join(rows) + "\n"})
    assert [(code, path) for code, path, _ in result.errors] == [("MLD001", "conf/train.yaml")]
    assert "alias" in result.report["errors"][0]["message"]
    assert result.found == [GOOD]


def test_a_template_is_no_broken_file(scan: Scan) -> None:
    result = scan({"chart/values.yaml": "lr: {{ .Values.lr }}\n{{- if .x }}\n  b: 1\n{{ end }}\n"})
    assert (result.errors, result.found) == ([], [GOOD])


def test_debt_after_50_000_operators_is_seen_or_the_file_is_named(scan: Scan) -> None:
    result = scan({"operators.py": "from games import dice\nx = (" + "1 +\n" * 50_000 + "1)\ndice()\n"})
    seen = [*result.found, *((code, path, line) for code, path, line in result.errors)]
    assert seen in ([GOOD, ("MLD091", "operators.py", 50_003)], [GOOD, ("MLD001", "operators.py", 1)])


def test_a_broken_pyproject_is_told_once(scan: Scan) -> None:
    result = scan({"pyproject.toml": "[tool.mldebt\n"})
    assert len(result.errors) == 1


def test_a_broken_file_others_wrote_is_not_told(scan: Scan) -> None:
    result = scan({"third_party/bad.py": "x = (\n", "third_party/conf.yaml": "a: 1\n  b: 2\n"})
    assert (result.errors, result.found) == ([], [GOOD])


def test_a_broken_file_can_be_ignored_by_name(shell: Shell, written: Written) -> None:
    root = written({"bad.py": "x = (\n", "good.py": "x = 1\n"})
    assert shell("scan", "--no-cache", cwd=root).returncode == 1
    assert shell("scan", "--no-cache", "--ignore", "MLD001", cwd=root).returncode == 0
    assert shell("scan", "--no-cache", "good.py", cwd=root).returncode == 0


def test_no_python_is_a_warning(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only/README.md").write_text("# Nothing here\n")
    done = shell("scan", "--output-format", "json", "only", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: no Python files under ")
    report = json.loads(done.stdout)
    assert (report["score"], report["score_reason"], report["files"]) == (None, "no-python", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such file or directory"),
        (["--select", "bare-dise"], "unknown rule 'bare-dise'; did you mean 'bare-dice'?"),
        (["--ignore", "MLD0911"], "unknown rule 'MLD0911'; did you mean 'MLD"),
    ],
)
def test_a_mistake_in_the_call_is_one_line_and_2(
    shell: Shell, written: Written, arguments: list[str], words: str
) -> None:
    done = shell("scan", "--trust-plugins", *arguments, cwd=written({}))
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_rule_that_raises_is_named_and_the_others_report(scan: Scan, dice: str) -> None:
    crashing = dice.replace("MLD091", "MLD092").replace("if not call.args:", "if 1 / 0:")
    configuration = 'plugins = ["tools/"]\nexclude = ["tools/"]\n'
    result = scan({"tools/broken_dice.py": crashing, "mldebt.toml": configuration})
    assert result.code == 2
    assert result.errors == [("MLD005", "", 0)]
    message = result.report["errors"][0]["message"]
    assert message.startswith("MLD092 broken-dice crashed: ZeroDivisionError('division by zero')")
    assert "broken_dice.py:" in message
    assert result.found == [GOOD]
