"""A repository that tries to run its own code in whoever scans it, to read out of its root, or to write there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mldebt.config import Request
from mldebt.configure import configure
from mldebt.pipeline import scan
from mldebt.registry import installed
from mldebt.settings.files import Settings

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

# Names mldebt and Python import, or tools run, when the working directory comes first on the path.
SHADOWS = (
    "click.py",
    "libcst.py",
    "yaml.py",
    "msgspec.py",
    "rich/__init__.py",
    "mldebt_rules/__init__.py",
    "setup.py",
    "conftest.py",
    "sitecustomize.py",
    "usercustomize.py",
    "train.py",
    "pkg/__init__.py",
    "tools/rules/stolen.py",
)


@pytest.fixture
def canaries(tmp_path: Path) -> Path:
    folder = tmp_path / "canaries"
    folder.mkdir()
    return folder


@pytest.fixture
def hostile(tmp_path: Path, canaries: Path) -> Path:
    """A git repository that leaves a file in ``canaries`` for everything of it that is ever run."""
    root = tmp_path / "hostile"
    for name in SHADOWS:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(canaries / name.replace('/', '-'))!r}, 'w').close()\nimport random\n")
    for name in ("fsmonitor", "hooks/post-index-change", "hooks/pre-commit", "bin/git", "pager", "gpg", "filter"):
        script = root / "evil" / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch {canaries}/{name.replace('/', '-')}\n")
        script.chmod(0o755)
    (root / "pyproject.toml").write_text('[tool.mldebt]\nplugins = ["tools/rules"]\n')
    (root / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    (root / "run.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    settings = {
        "core.fsmonitor": "evil/fsmonitor",
        "core.hooksPath": "evil/hooks",
        "core.pager": "evil/pager",
        "gpg.program": "evil/gpg",
        "log.showSignature": "true",
        "filter.evil.clean": "evil/filter",
        "filter.evil.process": "evil/filter",
        "diff.evil.textconv": "evil/filter",
        "diff.external": "evil/filter",
    }
    for name, program in settings.items():
        value = str(root / program) if "evil/" in program else program
        subprocess.run(["git", "config", name, value], cwd=root, check=True)
    return root


def test_the_canaries_do_sing(hostile: Path, canaries: Path) -> None:
    """What the other tests rule out would be seen: careless tools do set these off."""
    subprocess.run([sys.executable, "-m", "click"], cwd=hostile, check=False, capture_output=True)
    subprocess.run(["git", "ls-files"], cwd=hostile, check=True, capture_output=True)
    assert {"click.py", "fsmonitor"} <= {path.name for path in canaries.iterdir()}


@pytest.mark.parametrize(
    "arguments",
    [["scan", "--output-format", "json", "-j2"], ["entries"], ["rules"], ["scan", "--fix", "--unsafe-fixes"]],
    ids=" ".join,
)
def test_nothing_of_the_repository_is_run(hostile: Path, canaries: Path, shell: Shell, arguments: list[str]) -> None:
    done = shell(*arguments, cwd=hostile)
    assert done.returncode in (0, 1), done.stderr
    assert list(canaries.iterdir()) == []


def test_a_git_of_the_repositorys_own_is_not_run(
    hostile: Path, canaries: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"evil/bin:{hostile}/evil/bin:.:{os.environ['PATH']}")
    assert shell("scan", cwd=hostile).returncode in (0, 1)
    assert list(canaries.iterdir()) == []


def test_standard_input_in_the_repository_runs_nothing(hostile: Path, canaries: Path, shell: Shell) -> None:
    done = shell("scan", "-", "--stdin-filename", "train.py", cwd=hostile, input="import click\nclick.echo()\n")
    assert done.returncode in (0, 1), done.stderr
    assert list(canaries.iterdir()) == []


def test_links_out_of_the_root_are_not_followed(tmp_path: Path, hostile: Path, shell: Shell) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("password = 'tr0ub4dor' (\n")
    (outside / "conf.yaml").write_text("password: tr0ub4dor\n  broken: 1\n")
    (hostile / "linked.py").symlink_to(outside / "secret.py")
    (hostile / "linked.yaml").symlink_to(outside / "conf.yaml")
    (hostile / "folder").symlink_to(outside)
    (hostile / "loop").symlink_to(hostile)
    for named in ([], ["linked.py"], ["folder/secret.py"]):
        done = shell("scan", "--root", ".", "--output-format", "json", "--severity", "info", *named, cwd=hostile)
        assert "tr0ub4dor" not in done.stdout + done.stderr
        assert "secret" not in done.stdout
        assert done.returncode == 2 if named else done.returncode in (0, 1)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('cache-dir = "../elsewhere"', "cache-dir: '../elsewhere' lies outside of the repository"),
        ('cache-dir = "/tmp/mldebt-elsewhere"', "lies outside of the repository"),
        ('plugins = ["../tools"]', "plugins: '../tools' lies outside of the repository"),
    ],
)
def test_a_configuration_stays_in_its_repository(hostile: Path, shell: Shell, table: str, words: str) -> None:
    (hostile / "pyproject.toml").write_text(f"[tool.mldebt]\n{table}\n")
    done = shell("scan", "--trust-plugins", cwd=hostile)
    assert done.returncode == 2
    assert "pyproject.toml:2: " in done.stderr
    assert words in done.stderr
    assert not (hostile.parent / "elsewhere").exists()


def test_a_scan_leaves_the_repository_as_it_was(hostile: Path, shell: Shell) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        files = (path for path in sorted(hostile.rglob("*")) if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    shell("scan", cwd=hostile)
    assert state() == before


def test_a_scan_needs_no_network(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refused)
    with pytest.raises(AssertionError, match="network"):
        socket.create_connection(("localhost", 1))
    config = configure(Settings(hostile, isolated=True), installed().rules)
    outcome = scan(Request(hostile, config=config, use_cache=False, jobs=1), installed())
    assert outcome.report.files > len(SHADOWS) / 2
