"""How much of two files is the same, and what their names say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.experiments.clones import Clones, cut, shingles
from mldebt_rules.experiments.variant_names import file_version, folder_version, version

from mldebt.project.project import Project

Build = Callable[..., Project]

TRAINER = """
import torch

def train(model, loader, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for x, y in loader:
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
"""


def test_equal_files_contain_each_other(project: Build) -> None:
    overlap = project({"a.py": TRAINER, "b.py": TRAINER})[Clones].pair("a.py", "b.py").named
    assert overlap.contained == overlap.containing == overlap.jaccard == 1.0
    assert overlap.shared == overlap.first == overlap.second > 50


def test_literals_are_normalised_and_identifiers_kept(project: Build) -> None:
    files = {
        "a.py": TRAINER,
        "literal.py": TRAINER.replace("0.1", "0.003"),
        "named.py": TRAINER.replace("model", "network").replace("loss", "cost"),
    }
    clones = project(files)[Clones]
    literal, named = clones.pair("a.py", "literal.py"), clones.pair("a.py", "named.py")
    assert literal.named.jaccard == 1.0 > literal.raw.jaccard
    assert named.named.containment < 0.5


def test_comments_blanks_and_line_breaks_do_not_count(project: Build) -> None:
    loud = TRAINER.replace("    for", "    # every batch\n\n    for").replace(
        "(model(x), y)", "(\n  model(x),  # logits\n  y)"
    )
    assert project({"a.py": TRAINER, "b.py": loud})[Clones].pair("a.py", "b.py").raw.jaccard == 1.0


def test_a_part_is_contained_and_does_not_contain(project: Build) -> None:
    whole = TRAINER + "\n\ndef evaluate(model, loader):\n    return sum((model(x) == y).sum() for x, y in loader)\n"
    overlap = project({"part.py": TRAINER, "whole.py": whole})[Clones].pair("part.py", "whole.py").named
    assert overlap.contained == 1.0 > overlap.containing
    assert overlap.containment == 1.0


def test_differences_name_lines_and_leaves(project: Build) -> None:
    changed = TRAINER.replace("lr=0.1", "lr=0.003").replace("    return model\n", "")
    unlike = project({"a.py": TRAINER, "b.py": changed})[Clones].differences("a.py", "b.py")
    assert unlike.leaves == (("0.1", "0.003"),)
    assert unlike.lines == 2
    assert [each.first for each in unlike.stretches] == [(3,), (10,)]


def test_notebooks_and_scripts_are_read_alike(project: Build) -> None:
    clones = project({"a.ipynb": TRAINER, "b.py": TRAINER})[Clones]
    assert clones.pair("a.ipynb", "b.py").named.jaccard == 1.0


def test_lines_of_tokens_follow_strings_and_continuations() -> None:
    tokens = list(cut('a = """one\ntwo"""\nb = 1 + \\\n    2\n'))
    assert [(token.line, token.raw) for token in tokens if token.raw in ("a", "b", "2")] == [
        (1, "a"),
        (3, "b"),
        (4, "2"),
    ]


@given(st.text(alphabet="ab1'\"#\n (=\\", max_size=60))
def test_any_text_is_cut_without_losing_lines(text: str) -> None:
    lines = [token.line for token in cut(text)]
    assert lines == sorted(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)


@given(st.lists(st.sampled_from("abc"), max_size=40), st.lists(st.sampled_from("abc"), max_size=40))
def test_a_prefix_has_a_subset_of_the_shingles(first: list[str], rest: list[str]) -> None:
    assert shingles(first) <= shingles(first + rest)


@pytest.mark.parametrize(
    ("name", "base", "sure"),
    [
        ("train", "train", True),
        ("train_v2", "train", True),
        ("train_final_2", "train", True),
        ("old_train", "train", True),
        ("train - Copy (2)", "train", True),
        ("trainOld", "train", True),
        ("train_2024-03-01", "train", True),
        ("resnet50", "resnet", False),
        ("shufflenetv2", "shufflenet", False),
        ("lesson_2", "lesson_2", True),
        ("conv2d", "conv2d", True),
    ],
)
def test_names_tell_history_from_models(name: str, base: str, sure: bool) -> None:
    found = version(name)
    assert (found.base, found.sure) == (base, sure)


def test_versions_stand_in_one_folder_or_in_sibling_folders() -> None:
    assert file_version("a/train_v2.py").base == file_version("a/train.py").base != file_version("b/train.py").base
    assert folder_version("exp_1/train.py").base == folder_version("exp_2/train.py").base
    assert folder_version("qwen3/train.py").base != folder_version("qwen2/train.py").base
