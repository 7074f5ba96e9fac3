"""P23: seeds, a locked environment, one command and a document together make a result repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from mldebt.config import Request
from mldebt.configure import CommandLine, configure
from mldebt.pipeline import scan
from mldebt.registry import Registry, installed
from mldebt.report.result import PracticeResult
from mldebt.settings.files import read_settings
from mldebt.testing import write

TRAIN = dedent(
    """
    import numpy as np
    from sklearn.linear_model import Ridge


    def main():
        np.random.seed(0)
        x, y = np.load("x.npy"), np.load("y.npy")
        rows = np.random.permutation(len(x))[:1000]
        Ridge().fit(x[rows], y[rows])


    if __name__ == "__main__":
        main()
    """
)
LOCK = {"uv.lock": "version = 1\n"}
COMMAND = {"Makefile": "train:\n\tpython train.py\n"}
DOCUMENT = {"docs/REPRODUCIBILITY.md": "# How to repeat it\n"}


def assessed(files: Mapping[str, str], tmp_path: Path) -> PracticeResult:
    root = write(files, tmp_path / "repository")
    practices = tuple(practice for practice in installed().practices if practice.id == "P23")
    registry = Registry(practices=practices)
    config = configure(read_settings(root), registry.rules, CommandLine())
    outcome = scan(Request(root, config=config, use_cache=False, jobs=1), registry)
    assert outcome.report.errors == ()
    (result,) = outcome.report.practices
    return result


def test_all_four_parts_wire_it(tmp_path: Path) -> None:
    result = assessed({"train.py": TRAIN, **LOCK, **COMMAND, **DOCUMENT}, tmp_path)

    assert result.state == "wired"
    assert {place.path for place in result.evidence} == {"train.py", "uv.lock", "Makefile", "docs/REPRODUCIBILITY.md"}
    assert result.next == ""


@pytest.mark.parametrize(
    ("missing", "state", "next_step"),
    [
        ("uv.lock", "present", "lock the environment"),
        ("Makefile", "present", "one command"),
        ("docs/REPRODUCIBILITY.md", "present", "REPRODUCIBILITY.md"),
    ],
)
def test_the_next_step_names_what_is_missing(missing: str, state: str, next_step: str, tmp_path: Path) -> None:
    files = {"train.py": TRAIN, **LOCK, **COMMAND, **DOCUMENT}
    del files[missing]

    result = assessed(files, tmp_path)

    assert result.state == state
    assert next_step in result.next


def test_seeds_come_first(tmp_path: Path) -> None:
    result = assessed({"train.py": TRAIN.replace("    np.random.seed(0)\n", ""), **LOCK}, tmp_path)

    assert result.state == "missing"
    assert result.next == "seed NumPy before train.py draws from it"


def test_pinned_requirements_are_a_lock(tmp_path: Path) -> None:
    pinned = "numpy==1.26.4\nscikit-learn==1.4.2\n"

    result = assessed({"train.py": TRAIN, "requirements.txt": pinned, **COMMAND, **DOCUMENT}, tmp_path)

    assert result.state == "wired"


def test_half_pinned_requirements_are_none(tmp_path: Path) -> None:
    files = {"train.py": TRAIN, "requirements.txt": "numpy==1.26.4\nscikit-learn>=1.4\n", **COMMAND, **DOCUMENT}

    assert "lock the environment" in assessed(files, tmp_path).next


@pytest.mark.parametrize("path", ["dvc.lock", "web/yarn.lock"])
def test_other_locks_do_not_lock_python(path: str, tmp_path: Path) -> None:
    result = assessed({"train.py": TRAIN, path: "{}\n", **COMMAND, **DOCUMENT}, tmp_path)

    assert "lock the environment" in result.next


@pytest.mark.parametrize("path", ["MODEL_CARD.md", "model_cards/base.md", "neurips_checklist.md", "REPRODUCING.rst"])
def test_documents_that_count(path: str, tmp_path: Path) -> None:
    assert assessed({"train.py": TRAIN, **LOCK, **COMMAND, path: "text\n"}, tmp_path).state == "wired"


def test_nothing_to_repeat_where_nothing_trains(tmp_path: Path) -> None:
    files = {"tool.py": 'if __name__ == "__main__":\n    print(1)\n', **LOCK, **DOCUMENT}

    assert assessed(files, tmp_path).state == "not-visible"
