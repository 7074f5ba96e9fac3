"""The hooks in the real pre-commit: built from a repository with what is here, run on what is staged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from mldebt.config import Request
from mldebt.facts.extract import extract
from mldebt.pipeline import scan
from mldebt.registry import installed

ROOT = Path(__file__).parents[1]
PRE_COMMIT = str(Path(sys.executable).with_name("pre-commit"))

SPLIT = """\
from sklearn.model_selection import train_test_split


def split(rows):
    return train_test_split(rows)
"""
SEEDED = SPLIT.replace("train_test_split(rows)", "train_test_split(rows, random_state=0)")
NOISE = """\
import numpy as np


def order(size):
    return np.random.permutation(size)
"""
TRAIN = """\
import noise
from sklearn.linear_model import Ridge


def main():
    rows = noise.order(100)
    Ridge().fit(rows, rows)


if __name__ == "__main__":
    main()
"""
# Rules by name: what others come to find in these few lines is no matter here.
PYPROJECT = """\
[project]
name = "team"
version = "1"
[tool.mldebt]
select = ["MLD0", "MLD401", "MLD404"]
"""
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Rows"]},
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": SPLIT.splitlines(True)},
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 4,
}


class Hooks(NamedTuple):
    """How a run of pre-commit ended, and what it printed."""

    code: int
    text: str

    @property
    def states(self) -> dict[str, str]:
        found = re.findall(r"^(mldebt(?: \(whole repository\))?)\.+(?:\(.*\))?(\w+)$", self.text, re.MULTILINE)
        return dict(found)

    @property
    def places(self) -> list[str]:
        """``path:line:column`` of every finding."""
        return re.findall(r"^(\S.*:\d+:\d+): MLD\d\d\d ", self.text, re.MULTILINE)


Run = Callable[..., Hooks]


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=check, capture_output=True, text=True)


@pytest.fixture(scope="session")
def hooks(made_once: Callable[[str, Callable[[Path], None]], Path], copied: Callable[[Path], Path]) -> Path:
    """A git repository of mldebt, as a configuration of pre-commit names one; beside it lie built environments."""

    def make(folder: Path) -> None:
        copied(folder / "mldebt")
        git(folder / "mldebt", "init", "--quiet")
        git(folder / "mldebt", "add", "--force", ".")
        git(folder / "mldebt", "commit", "--quiet", "-m", "all of it")

    return made_once("hooks", make) / "mldebt"


@pytest.fixture
def team(tmp_path: Path, home: Path, hooks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A team's repository with both hooks in its configuration, and nothing to report."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(hooks.parent / "environments"))
    monkeypatch.delenv("PRE_COMMIT", raising=False)
    folder = tmp_path / "team"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "t")
    git(folder, "config", "user.email", "t@example.org")
    configure(folder, hooks)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "clean.py").write_text(SEEDED)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def configure(team: Path, hooks: Path, **more: object) -> None:
    rev = git(hooks, "rev-parse", "HEAD").stdout.strip()
    both = [{"id": name, **more} for name in ("mldebt", "mldebt-project")]
    config = {"repos": [{"repo": str(hooks), "rev": rev, "hooks": both}]}
    (team / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def run(team: Path) -> Run:
    """Stages files and runs pre-commit."""

    def call(files: Mapping[str, str] | None = None, *arguments: str) -> Hooks:
        for name, text in (files or {}).items():
            (team / name).parent.mkdir(parents=True, exist_ok=True)
            (team / name).write_text(text)
        git(team, "add", ".")
        command = [PRE_COMMIT, *(arguments or ["run"])]
        done = subprocess.run(command, cwd=team, capture_output=True, text=True, check=False)
        return Hooks(done.returncode, done.stdout + done.stderr)

    return call


def test_the_manifest_is_one() -> None:
    manifest = ROOT / ".pre-commit-hooks.yaml"
    subprocess.run([PRE_COMMIT, "validate-manifest", str(manifest)], check=True)
    found = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    assert [hook["id"] for hook in found] == ["mldebt", "mldebt-project"]
    for hook in found:
        assert hook["require_serial"] is True
        assert hook["entry"].split()[0] == "mldebt", "never python -m: the repository may have a module of any name"
        assert {"python", "pyi", "jupyter"} <= set(hook["types_or"])


def test_try_repo_fails_on_a_file_and_a_notebook(run: Run, hooks: Path) -> None:
    files = {"rows.py": SPLIT, "explore.ipynb": json.dumps(NOTEBOOK, indent=1), "click.py": "raise SystemExit('ran')\n"}
    failed = run(files, "try-repo", str(hooks), "--files", "rows.py", "explore.ipynb")
    assert failed.code == 1
    assert failed.states == {"mldebt": "Failed", "mldebt (whole repository)": "Failed"}
    assert failed.places == ["explore.ipynb:cell 2:5:12", "rows.py:5:12"] * 2


def test_both_hooks_pass_where_there_is_nothing(run: Run) -> None:
    passed = run(
        {"rows.py": SEEDED, "explore.ipynb": json.dumps(NOTEBOOK).replace("(rows)\\n", "(rows, random_state=0)\\n")}
    )
    assert (passed.code, passed.places) == (0, [])
    assert passed.states == {"mldebt": "Passed", "mldebt (whole repository)": "Passed"}


def test_the_file_hook_speaks_of_staged_files_and_the_other_of_all(run: Run, team: Path) -> None:
    (team / "old.py").write_text(SPLIT)
    git(team, "add", ".")
    git(team, "commit", "--quiet", "--no-verify", "-m", "second")
    assert run({"clean.py": f"{SEEDED}\n"}, "run", "mldebt").states == {"mldebt": "Passed"}
    whole = run(None, "run", "mldebt-project")
    assert whole.states == {"mldebt (whole repository)": "Failed"}
    assert whole.places == ["old.py:5:12"]


def test_the_file_hook_knows_the_rest_of_the_repository(run: Run, team: Path) -> None:
    """An entry's draw is in another file, which is not staged."""
    (team / "noise.py").write_text(NOISE)
    git(team, "add", ".")
    git(team, "commit", "--quiet", "--no-verify", "-m", "second")
    found = run({"train.py": TRAIN}, "run", "mldebt")
    assert [place.split(":")[0] for place in found.places] == ["train.py"]
    assert "MLD401 [major] train.py draws from NumPy with no seed on the way: permutation(...)" in found.text


def test_the_rest_of_the_repository_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "team"
    root.mkdir()
    for number in range(5):
        (root / f"rows_{number}.py").write_text(f"{SPLIT}# {number}\n")
    read: list[str] = []

    def counted(source: object, *more: object) -> object:
        read.append(source.path)  # type: ignore[attr-defined]
        return extract(source, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("mldebt.reading.extract", counted)
    request = Request(root, (root / "rows_0.py",), cache_dir=tmp_path / "cache", jobs=1)
    scan(request, installed())
    assert len(read) == 5
    (root / "rows_0.py").write_text(SEEDED)
    scan(request, installed())
    assert read[5:] == ["rows_0.py"]


def test_what_is_excluded_stays_out_though_it_is_named(run: Run) -> None:
    found = run(
        {"pyproject.toml": f"{PYPROJECT}extend-exclude = ['attic/']\n", "attic/rows.py": SPLIT, "build/rows.py": SPLIT}
    )
    assert (found.code, found.places) == (0, [])
    assert found.states["mldebt"] == "Passed"


def test_the_baseline_is_known_debt_and_the_hook_leaves_it_alone(
    run: Run, team: Path, shell: Callable[..., object]
) -> None:
    (team / "old.py").write_text(SPLIT)
    shell("baseline", "create", str(team), cwd=team)
    git(team, "add", ".")
    git(team, "commit", "--quiet", "--no-verify", "-m", "accept what there is")
    before = (team / "mldebt-baseline.json").read_bytes()
    assert run({"clean.py": f"{SEEDED}\n"}).code == 0
    found = run({"more.py": SPLIT.replace("split(rows):", "more(rows):")}, "run", "mldebt-project")
    assert (found.code, found.places) == (1, ["more.py:5:12"])
    (team / "more.py").unlink()
    assert run({"old.py": SEEDED}).code == 0, "debt that was paid back fails nothing"
    assert (team / "mldebt-baseline.json").read_bytes() == before, "a hook that changes files fails"


def test_arguments_are_the_teams(run: Run, team: Path, hooks: Path) -> None:
    configure(team, hooks, args=["--output-format", "json", "--fail-on", "critical"], verbose=True)
    found = run({"rows.py": SPLIT}, "run", "mldebt-project")
    assert found.code == 0
    report = json.loads(found.text[found.text.index("{") : found.text.rindex("}") + 1])
    assert [finding["code"] for finding in report["findings"]] == ["MLD404"]


def test_a_commit_is_refused_and_then_taken(run: Run, team: Path) -> None:
    """As git runs hooks: with its own variables, and from wherever it was called."""
    subprocess.run([PRE_COMMIT, "install"], cwd=team, check=True, capture_output=True)
    (team / "src").mkdir()
    (team / "src/rows.py").write_text(SPLIT)
    git(team, "add", ".")
    before = git(team, "rev-parse", "HEAD").stdout
    refused = git(team / "src", "commit", "-m", "rows", check=False)
    assert refused.returncode == 1
    assert "src/rows.py:5:12: MLD404 [major]" in refused.stderr + refused.stdout
    assert git(team, "rev-parse", "HEAD").stdout == before
    (team / "src/rows.py").write_text(SEEDED)
    git(team / "src", "commit", "-a", "-m", "rows")
    assert git(team, "rev-parse", "HEAD").stdout != before
