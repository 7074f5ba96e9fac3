"""The replay of histories (``benchmarks/replay.py``), on a small one with everything in it that happens to code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
Git = Callable[..., str]


def test_nothing_comes_back_and_nothing_slips_through(tmp_path: Path, git: Git) -> None:
    root = tmp_path / "history"
    shutil.copytree(ROOT / "fixtures/seedless_trainer", root)
    git(root, "init", "-q")

    def commit(message: str) -> None:
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", message)

    def rewrite(path: str, *pairs: tuple[str, str]) -> None:
        text = (root / path).read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (root / path).write_text(text)

    commit("first")
    rewrite("train.py", ("\ndef main", "\n# the way in\n\n\ndef main"))
    (root / "churn/metrics.py").write_text("# measures\n\n" + (root / "churn/metrics.py").read_text())
    commit("lines above")
    git(root, "mv", "churn/data.py", "churn/loading.py")
    for path in ("train.py", "evaluate.py"):
        if "churn.data" in (root / path).read_text():
            rewrite(path, ("churn.data", "churn.loading"))
    commit("a file renamed")
    rewrite(
        "churn/loading.py", ("np.random.default_rng(7)", "np.random.default_rng(\n            7,  # fixed\n        )")
    )
    commit("reformatted")
    (root / "evaluate_again.py").write_text((root / "evaluate.py").read_text())
    commit("a copy of debt")
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/replay.py"), str(root), "--lag", "1", "--lag", "4", "--tell"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    titles, *_, near, far = done.stdout.splitlines()
    counts = [dict(zip(titles.split()[2:], row.split()[2:], strict=False)) for row in (near, far)]
    assert [count["pairs"] for count in counts] == ["4", "1"]
    assert int(counts[0]["same"]) > 40
    for count in counts:
        assert count["resurfaced"] == "0", done.stderr
        assert int(count["added"]) > 0
        assert count["leaked"] == "0", done.stderr
