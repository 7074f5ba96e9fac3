"""What is installed is what was written: the wheel has every rule and every table, and so has an editable install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "fixtures/seedless_trainer"
PIP = ("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")

Run = Callable[..., str]


def done(command: list[str], **more: str) -> str:
    """Standard output, from a working directory without Python in it: ``python -c`` would import that first."""
    env = {**os.environ, **more}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=ROOT / "fixtures")
    assert finished.returncode in (0, 1), finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder the wheel was put into."""
    folder = tmp_path_factory.mktemp("wheel") / "target"
    pip = [sys.executable, "-m", "pip", *PIP, "--target", str(folder), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def from_wheel(target: Path) -> Run:
    """``mldebt`` as the wheel brings it; only its dependencies come from where the tests run."""
    return lambda *arguments: done([str(target / "bin/mldebt"), *arguments], PYTHONPATH=str(target))


def test_the_wheel_holds_every_file(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder, package in (("mldebt", "mldebt"), ("rules", "mldebt_rules")):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".toml", ".json", ".pyi", ".typed"}:
                assert f"{package}/{path.relative_to(ROOT / folder).as_posix()}" in packed
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in packed)
    assert not [name for name in packed if name.startswith(("tests/", "fixtures/", "benchmarks/"))]


def test_the_wheel_is_the_same_mldebt(from_wheel: Run, home: Path) -> None:
    here = str(Path(sys.executable).with_name("mldebt"))
    rules = from_wheel("rules")
    assert rules.count("MLD") >= 5
    assert rules == done([here, "rules"])
    assert from_wheel("--version") == done([here, "--version"])
    scan = ["scan", str(FIXTURE), "--output-format", "json", "--severity", "info", "--no-cache"]
    report = from_wheel(*scan)
    assert report == done([here, *scan])
    assert len(json.loads(report)["findings"]) >= 3


def test_the_wheel_runs_from_where_it_was_put(target: Path, from_wheel: Run) -> None:
    assert from_wheel("--version")
    program = "import mldebt, mldebt_rules; print(mldebt.__file__, mldebt_rules.__file__)"
    where = done([sys.executable, "-c", program], PYTHONPATH=str(target)).split()
    assert where == [str(target / name / "__init__.py") for name in ("mldebt", "mldebt_rules")]


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory, copied: Callable[[Path], Path]) -> tuple[Path, Path]:
    """A copy of the sources, and a virtual environment of its own in which that copy is installed editable."""
    folder = tmp_path_factory.mktemp("editable")
    source = copied(folder / "source")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv/bin/python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = Path(done([str(python), "-c", where]).strip())
    # Dependencies, pip and setuptools from here; a path in a .pth file brings no .pth files, so not this mldebt.
    (theirs / "dependencies.pth").write_text(done([sys.executable, "-c", where]))
    pip = [str(python), "-m", "pip", *PIP, "--ignore-installed", "--editable", str(source)]
    subprocess.run(pip, check=True, capture_output=True)
    return source, folder / "venv/bin/mldebt"


def test_a_rule_file_is_seen_without_installing_again(editable: tuple[Path, Path], dice: str, home: Path) -> None:
    source, mldebt = editable
    before = done([str(mldebt), "rules"])
    assert "bare-dice" not in before
    (source / "rules/randomness/bare_dice.py").write_text(dice)
    (source / "rules/games").mkdir()
    (source / "rules/games/__init__.py").write_text('"""A new family."""\n')
    (source / "rules/games/loaded_dice.py").write_text(dice.replace("MLD091", "MLD092"))
    after = done([str(mldebt), "rules"])
    assert {line.split()[1] for line in set(after.splitlines()) - set(before.splitlines()) if "MLD" in line} == {
        "bare-dice",
        "loaded-dice",
    }
    play = home / "play.py"
    play.write_text(dedent("from games import dice\ndice()\n"))
    report = done([str(mldebt), "scan", str(play), "--root", str(home), "--output-format", "concise", "--no-cache"])
    assert [line.split()[1] for line in report.splitlines()] == ["MLD091", "MLD092"]
