"""What rules make of the age git tells: old debt weighs more, and without git nothing is old."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from mldebt_rules.experiments.never_enabled_flag import NeverEnabledFlag
from mldebt_rules.experiments.orphan_module import OrphanModule
from mldebt_rules.experiments.stale_admitted_debt import StaleAdmittedDebt
from mldebt_rules.experiments.stale_experiment_directory import StaleExperimentDirectory

from mldebt.finding import Severity
from mldebt.registry import Registry
from mldebt.rule import AnyRule
from mldebt.testing import run, write

DAY = 86_400
BODY = "\n".join(f"        x = x * {number}" for number in range(2, 14))
FILES = {
    "train.py": "import argparse\n\nfrom pkg.net import Net\n\nparser = argparse.ArgumentParser()\n"
    'parser.add_argument("--mix", action="store_true")\nargs = parser.parse_args()\n\n\n'
    "def main(x):\n    if args.mix:\n" + BODY + "\n    return x\n\n\nmain(Net())\n",
    "pkg/__init__.py": "",
    "pkg/net.py": "class Net:\n    # HACK: fix this later\n    size = 1\n",
    "pkg/nms.py": "def nms(boxes):\n    kept = []\n    for box in boxes:\n        kept.append(box)\n    return kept\n",
    "pkg/experiments/look.py": "print(1)\n",
}


def commit(root: Path, day: int) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_DATE": f"{1_600_000_000 + day * DAY} +0000" for who in ("AUTHOR", "COMMITTER")},
    }
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "step")):
        subprocess.run(["git", *identity, *words], cwd=root, env=environment, check=True, capture_output=True)


def severities(rule: type[AnyRule], root: Path) -> list[Severity]:
    outcome = run(rule, root, Registry(rules=(rule,)))
    return [one.severity for one in outcome.report.findings if one.code == rule.code]


@pytest.mark.parametrize(
    ("rule", "plain", "fresh", "old"),
    [
        (NeverEnabledFlag, [Severity.INFO], [Severity.INFO], [Severity.MINOR]),
        (StaleAdmittedDebt, [Severity.INFO], [Severity.INFO], [Severity.MINOR]),
        (OrphanModule, [Severity.MINOR], [Severity.MINOR], [Severity.MAJOR]),
        (StaleExperimentDirectory, [Severity.INFO], [], [Severity.INFO]),
    ],
)
def test_what_is_old_weighs_more(
    rule: type[AnyRule], plain: list[Severity], fresh: list[Severity], old: list[Severity], tmp_path: Path
) -> None:
    root = write(FILES, tmp_path / "repository")
    assert severities(rule, root) == plain
    commit(root, 0)
    assert severities(rule, root) == fresh
    (root / "later.txt").write_text("later\n")
    commit(root, 500)
    assert severities(rule, root) == old
