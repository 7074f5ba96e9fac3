"""The same repository gives the same bytes: whatever the processes, the order of files, the hash seed or the cache."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mldebt import pipeline, reading
from mldebt.config import Request
from mldebt.configure import configure
from mldebt.pipeline import scan
from mldebt.registry import installed
from mldebt.report.json import render
from mldebt.settings.files import Settings
from mldebt.sources.discover import Listing, discover

Shell = Callable[..., "subprocess.CompletedProcess[str]"]
Written = Callable[[Mapping[str, str | bytes]], Path]

FIXTURE = Path(__file__).parents[1] / "fixtures/seedless_trainer"


@pytest.fixture
def repository(written: Written) -> Path:
    """The bundled example, files with findings in them, and broken files."""
    dice = "from games import dice as d\n\n\ndef play():\n    return [d(), d(6), d()]\n"
    files: dict[str, str | bytes] = {f"play/many_{n}.py": dice.replace("play", f"p{n}") for n in range(40)}
    files |= {"bad.py": "x = (\n", "bad.yaml": "a: 1\n  b: 2\n", "play/__init__.py": "from play.many_1 import *\n"}
    root = written(files)
    shutil.copytree(FIXTURE, root, dirs_exist_ok=True)
    return root


@pytest.fixture
def large(repository: Path) -> Path:
    """The same with so much Python that processes pay."""
    padding = f"# {'x' * 110}\n" * 500
    for n in range(0, 40, 2):
        with (repository / f"play/many_{n}.py").open("a") as file:
            file.write(padding)
    assert sum(path.stat().st_size for path in repository.rglob("*.py")) > reading._POOL_BYTES
    return repository


def arguments(*more: str) -> list[str]:
    return ["scan", "--trust-plugins", "--output-format", "json", "--severity", "info", "--preview", *more]


def test_processes_and_hash_seeds_change_nothing(large: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = set()
    for seed, jobs in (("0", "1"), ("1", "2"), ("4711", "3")):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        outputs.add(shell(*arguments("--no-cache", "-j", jobs), cwd=large).stdout)
    (report,) = map(json.loads, outputs)
    assert sum(finding["code"] == "MLD091" for finding in report["findings"]) == 81
    assert [error["path"] for error in report["errors"]] == ["bad.py", "bad.yaml"]


def test_text_is_as_steady_as_json(repository: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = set()
    for seed in ("0", "1"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        outputs.add(shell("scan", "--trust-plugins", cwd=repository).stdout)
    assert len(outputs) == 1


def test_the_pool_is_used_and_gives_the_same(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def watched(jobs: int, **more: Any) -> ProcessPoolExecutor:
        started.append(jobs)
        return ProcessPoolExecutor(jobs, **more)

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", watched)
    assert rendered(large, jobs=1) == rendered(large, jobs=2)
    assert started == [2]


def test_the_order_of_files_changes_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rendered(repository)

    def shuffled(*given: Any, **more: Any) -> Listing:
        listing = discover(*given, **more)
        python, artefacts = list(listing.python), list(listing.artefacts)
        random.Random(7).shuffle(python)
        random.Random(7).shuffle(artefacts)
        return replace(listing, python=tuple(python), artefacts=tuple(artefacts))

    monkeypatch.setattr(pipeline, "discover", shuffled)
    assert rendered(repository) == before


def rendered(root: Path, jobs: int = 1) -> str:
    config = configure(Settings(root, isolated=True), installed().rules)
    return render(scan(Request(root, config=config, use_cache=False, jobs=jobs), installed()).report)


def test_the_cache_changes_nothing(repository: Path, shell: Shell, tmp_path: Path) -> None:
    def output(*more: str) -> str:
        return shell(*arguments("--cache-dir", str(tmp_path / "cache"), *more), cwd=repository).stdout

    cold = output()
    database = tmp_path / "cache/facts-1.sqlite"
    assert database.stat().st_size > 10_000
    assert output() == cold
    content = bytearray(database.read_bytes())
    for at in range(200, len(content), 997):  # damage inside: SQLite may not notice, the checksums must
        content[at] ^= 0xFF
    database.write_bytes(content)
    assert output() == cold
    database.write_bytes(b"rotten")
    assert output() == cold
    assert output("--no-cache") == cold


def test_a_change_of_one_file_is_seen_through_a_warm_cache(repository: Path, shell: Shell, tmp_path: Path) -> None:
    where = ("--cache-dir", str(tmp_path / "cache"))
    shell(*arguments(*where), cwd=repository)
    (repository / "play/many_3.py").write_text("x = 1\n")
    (repository / "play/many_4.py").rename(repository / "play/moved.py")
    after = shell(*arguments(*where), cwd=repository).stdout
    assert after == shell(*arguments("--no-cache"), cwd=repository).stdout
    paths = [finding["path"] for finding in json.loads(after)["findings"]]
    assert "play/moved.py" in paths
    assert "play/many_3.py" not in paths
    assert "play/many_4.py" not in paths


def test_two_scans_share_a_cache(repository: Path, shell: Shell, home: Path, tmp_path: Path) -> None:
    script = str(Path(sys.executable).with_name("mldebt"))
    command = [script, *arguments("--cache-dir", str(tmp_path / "cache"), "-j", "1")]
    scans = [
        subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(2)
    ]
    outputs = {each.communicate()[0] for each in scans}
    assert outputs == {shell(*arguments("--no-cache"), cwd=repository).stdout}
