"""P17: whether settings have one home."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from mldebt_rules.practices.p17_settings_from_one_location import P17SettingsFromOneLocation

from mldebt.config import Config, Request
from mldebt.pipeline import scan
from mldebt.registry import Registry
from mldebt.rule import Assessment, State

PARSER = """
import argparse

parser = argparse.ArgumentParser()
for name, value in [("--lr", 0.1), ("--epochs", 3), ("--batch-size", 8), ("--dropout", 0.1), ("--seed", 0)]:
    parser.add_argument(name, default=value)
args = parser.parse_args()
"""
LOOSE = """
from torch.optim import AdamW

BATCH_SIZE = 64
EPOCHS = 10
optimizer = AdamW(params, lr=3e-4, weight_decay=0.1)
"""


def assess(folder: Path, files: dict[str, str]) -> Assessment:
    for name, text in files.items():
        (folder / name).write_text(dedent(text), encoding="utf-8")
    project = scan(Request(folder, config=Config(folder, isolated=True), use_cache=False, jobs=1), Registry()).project
    assessment: Assessment = P17SettingsFromOneLocation().assess(project)
    return assessment


def test_a_parser_that_holds_the_settings_is_one_location(tmp_path: Path) -> None:
    assessment = assess(tmp_path, {"options.py": PARSER})
    assert assessment.state is State.WIRED
    assert [place.path for place in assessment.evidence] == ["options.py"]


def test_settings_in_the_code_are_no_location(tmp_path: Path) -> None:
    assessment = assess(tmp_path, {"train.py": LOOSE})
    assert assessment.state is State.MISSING
    assert "1 file " in assessment.next


def test_both_are_half_way(tmp_path: Path) -> None:
    assert assess(tmp_path, {"options.py": PARSER, "train.py": LOOSE}).state is State.PRESENT


def test_without_settings_nothing_is_seen(tmp_path: Path) -> None:
    assert assess(tmp_path, {"tool.py": "print('hello')\n"}).state is State.NOT_VISIBLE
