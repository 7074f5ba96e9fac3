from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mldebt.sources.discover import discover
from mldebt.sources.git import Git


def git(root: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", *identity, *arguments], cwd=root, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg" / "a.py").write_text("x = 1\n")
    (root / "b.py").write_text("y = 1\n")
    (root / ".gitignore").write_text("*.log\n")
    (root / "x.log").write_text("")
    git(root, "init", "-q")
    git(root, "add", "pkg")
    return root


def canary(root: Path, name: str = "canary.sh") -> Path:
    """Write a program that leaves a file behind when it is run, and return that file."""
    ran = root.parent / f"{name}.ran"
    (root / name).write_text(f"#!/bin/sh\ntouch '{ran}'\nexit 1\n")
    (root / name).chmod(0o755)
    return ran


def test_lists_tracked_and_new_files(repository: Path) -> None:
    assert sorted(Git(repository).ls_files() or ()) == [".gitignore", "b.py", "pkg/a.py"]
    assert Git(repository / "pkg").ls_files() == ["a.py"]


def test_a_file_monitor_in_the_configuration_is_never_run(repository: Path) -> None:
    ran = canary(repository)
    git(repository, "config", "core.fsmonitor", "./canary.sh")
    git(repository, "ls-files", "-co", "--exclude-standard")
    assert ran.exists()  # a plain git runs it: the canary sings
    ran.unlink()
    assert "b.py" in (Git(repository).ls_files() or ())
    assert "b.py" in discover(repository).every
    assert not ran.exists()


def test_a_signature_program_is_never_run(repository: Path) -> None:
    ran = canary(repository)
    git(repository, "commit", "-q", "-m", "first")
    signed = subprocess.run(
        ["git", "cat-file", "commit", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.replace("\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\n", 1)
    made = subprocess.run(
        ["git", "hash-object", "-w", "-t", "commit", "--stdin"],
        cwd=repository,
        input=signed,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    git(repository, "update-ref", "HEAD", made)
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "gpg.program", str(repository / "canary.sh"))
    git(repository, "log", "-1")
    assert ran.exists()
    ran.unlink()
    assert Git(repository).head_date() is not None
    assert not ran.exists()


def test_a_missing_object_is_never_fetched(repository: Path) -> None:
    ran = canary(repository)
    git(repository, "commit", "-q", "-m", "first")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    name = head.stdout.strip()
    settings = {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(repository.parent),
        "remote.origin.uploadpack": str(repository / "canary.sh"),
        "protocol.file.allow": "always",
        "protocol.allow": "always",
    }
    for key, value in settings.items():
        git(repository, "config", key, value)
    (repository / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "cat-file", "commit", "HEAD")
    assert ran.exists()
    ran.unlink()
    assert Git(repository).head_date() is None
    assert not ran.exists()


def test_a_program_named_git_in_the_tree_is_never_run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = canary(repository, "git")
    for path in (f".{os.pathsep}", f"{repository}{os.pathsep}"):
        monkeypatch.setenv("PATH", path + os.environ["PATH"])
        assert "b.py" in (Git(repository).ls_files() or ())
    assert not ran.exists()


def test_environment_does_not_point_git_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert "b.py" in (Git(repository).ls_files() or ())


def test_no_git_no_repository_no_answer(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").mkdir()
    assert Git(tmp_path / "plain").ls_files() is None
    assert Git(tmp_path / "missing").ls_files() is None
    assert Git(repository).head_date() is None  # no commit yet
    monkeypatch.setenv("PATH", str(tmp_path / "plain"))
    assert shutil.which("git") is None
    assert Git(repository).ls_files() is None
    assert Git(repository).head_date() is None


def test_head_date_is_the_committers(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = os.environ | {"GIT_COMMITTER_DATE": "1700000000 -0330", "GIT_AUTHOR_DATE": "1600000000 +0000"}
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", *identity, "commit", "-qm", "x"], cwd=repository, env=environment, check=True)
    assert Git(repository).head_date() == "2023-11-14T18:43:20-03:30"
