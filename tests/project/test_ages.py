from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mldebt.project.ages import Ages
from mldebt.sources.git import Git

DAY = 86_400
START = 1_600_000_000
Commit = Callable[[int], None]


def git(root: Path, *arguments: str, day: int = 0) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_DATE": f"{START + day * DAY} +0000" for who in ("AUTHOR", "COMMITTER")},
    }
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", *identity, *arguments], cwd=root, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """``a.py``: its first line is of day 0, its second of day 300; HEAD is of day 400."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    for day, path, text in ((0, "a.py", "x = 1\n"), (300, "a.py", "x = 1\ny = 2\n"), (400, "b.py", "")):
        (root / path).write_text(text)
        git(root, "add", ".")
        git(root, "commit", "-qm", "step", day=day)
    return root


def test_a_line_is_as_old_as_the_last_commit_that_changed_it(repository: Path) -> None:
    ages = Ages(repository)
    rows = ["x = 1", "y = 2"]
    assert [ages.of("a.py", line, rows) for line in (1, 2)] == [400, 100]


def test_lines_that_moved_are_found_and_new_ones_have_no_age(repository: Path) -> None:
    rows = ["import os", "y = 2", "x = 1", "x = 1 + 0"]
    assert [Ages(repository).of("a.py", line, rows) for line in (0, 1, 2, 3, 4, 5)] == [
        None,
        None,
        100,
        400,
        None,
        None,
    ]


def test_silent_without_git_without_the_file_and_outside_of_history(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (repository / "new.py").write_text("x = 1\n")
    assert Ages(tmp_path / "plain").of("a.py", 1, ["x = 1"]) is None
    assert Ages(repository).of("new.py", 1, ["x = 1"]) is None
    assert Ages(repository).of("../a.py", 1, ["x = 1"]) is None
    assert Ages(repository).of("--help", 1, ["x = 1"]) is None


def test_silent_in_a_shallow_clone(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    assert Git(tmp_path / "shallow").is_shallow() is True
    assert Ages(tmp_path / "shallow").of("a.py", 1, ["x = 1"]) is None


def test_below_the_top_of_the_repository(repository: Path) -> None:
    (repository / "pkg").mkdir()
    (repository / "pkg" / "c.py").write_text("z = 3\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "more", day=410)
    assert Ages(repository / "pkg").of("c.py", 1, ["z = 3"]) == 0


def test_blame_runs_no_program_the_repository_names(repository: Path) -> None:
    ran = repository.parent / "ran"
    program = repository / "canary.sh"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py diff=evil filter=evil\n")
    settings = {
        "diff.evil.textconv": str(program),
        "filter.evil.clean": str(program),
        "filter.evil.smudge": str(program),
        "core.fsmonitor": str(program),
        "core.pager": str(program),
    }
    for key, value in settings.items():
        git(repository, "config", key, value)
    (repository / "a.py").write_text("x = 1\ny = 3\n")
    git(repository, "blame", "HEAD", "--", "a.py")
    git(repository, "blame", "a.py")
    assert ran.exists()  # a plain git runs it: the canary sings
    ran.unlink()
    assert [one.text for one in Git(repository).blame("a.py") or ()] == ["x = 1", "y = 2"]
    assert not ran.exists()
