"""What copies that differ in names and literals have in common before their text is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mldebt_rules.experiments.skeletons import kinds, outline, skeleton

from mldebt.project.project import Project

Build = Callable[..., Project]

FIRST = """
def train(model, rate):
    best = -1
    label = "first"
    for x, y in model.batches(label):
        best = max(best, model.step(x, y, rate))
        if best > 0.5 and model.done:
            print(f"{best} of {label}")
    return best
"""


def pair(project: Build, second: str) -> tuple[tuple[object, ...], tuple[object, ...]]:
    modules = project({"a.py": FIRST, "b.py": second}).modules
    ours, theirs = ((outline(m, 1), kinds(m, 1), skeleton(m, 1)) for m in (modules["a.py"], modules["b.py"]))
    return ours, theirs


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate", "momentum"),
        ('"first"', "b'bytes'"),
        ("0.5", "None"),
        ('f"{best} of {label}"', '"best"'),
        ("model.step(x, y, rate)", "model.step(\n            x, y, rate)"),
    ],
)
def test_names_literals_and_layout_make_no_difference(project: Build, old: str, new: str) -> None:
    ours, theirs = pair(project, FIRST.replace(old, new))
    assert ours[2] == theirs[2]
    assert ours[1] == theirs[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model.done", "model.state.done"),
        ("max(best, model.step(x, y, rate))", "model.step(x, y, rate)"),
        (" and ", " == "),
    ],
)
def test_other_code_is_another_skeleton(project: Build, old: str, new: str) -> None:
    ours, theirs = pair(project, FIRST.replace(old, new))
    assert ours[2] != theirs[2]


def test_another_statement_is_another_kind(project: Build) -> None:
    ours, theirs = pair(project, FIRST.replace("return best", "assert best"))
    assert ours[1] != theirs[1]
