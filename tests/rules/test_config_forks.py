"""Configuration files that are copies: which belong together, what they have in common, what each has of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from mldebt_rules.configuration.config_forks import ConfigForks, Fork

from mldebt.project.project import Project, ProjectOptions
from mldebt.sources.artefacts import ConfigFile, Leaf, Repository, Scalar


def forks(files: Mapping[str, Mapping[str, Scalar]], form: str = "yaml") -> tuple[Fork, ...]:
    configs = tuple(
        ConfigFile(path, form, tuple(Leaf(tuple(key.split(".")), value, line) for line, (key, value) in pairs))
        for path, leaves in sorted(files.items())
        for pairs in [list(enumerate(leaves.items(), 1))]
    )
    project = Project(Path(), {}, Repository(configs=configs), frozenset(files), ProjectOptions(), lambda path: None)  # type: ignore[arg-type, return-value]
    found: tuple[Fork, ...] = project[ConfigForks].forks
    return found


def settings_of(count: int, **changed: Scalar) -> dict[str, Scalar]:
    return {**{f"model.key{number}": number for number in range(count)}, **changed}


def test_the_base_is_what_all_have_and_a_delta_what_one_has() -> None:
    (fork,) = forks({f"configs/{name}.yaml": settings_of(9, lr=lr) for name, lr in (("a", 1), ("b", 2), ("c", 3))})
    assert fork.base == settings_of(9)
    assert [dict(one.settings) for one in fork.files] == [{"lr": 1}, {"lr": 2}, {"lr": 3}]
    assert fork.varied == ("lr",)
    assert fork.largest == 10


def test_one_and_true_and_one_point_zero_are_different_settings() -> None:
    files = {f"configs/{name}.yaml": settings_of(8, flag=value) for name, value in (("a", 1), ("b", True), ("c", 1.0))}
    (fork,) = forks(files)
    assert fork.varied == ("flag",)


def test_a_long_plain_list_is_one_setting() -> None:
    names: dict[str, Scalar] = {f"names.{number}": f"class {number}" for number in range(80)}
    files = {f"data/{name}.yaml": {**names, "path": name, "train": name, "val": name} for name in "abcd"}
    assert forks(files) == ()


def test_two_files_are_no_habit_and_seven_settings_no_base() -> None:
    assert forks({f"configs/{name}.yaml": settings_of(9) for name in "ab"}) == ()
    assert forks({f"configs/{name}.yaml": settings_of(7) for name in "abc"}) == ()


def test_files_that_name_a_base_are_left_alone() -> None:
    for key in ("_base_", "defaults.0", "extends", "include"):
        assert forks({f"configs/{name}.yaml": settings_of(9, **{key: "base"}) for name in "abc"}) == ()


_FILES = st.lists(
    st.dictionaries(st.sampled_from([f"k{number}" for number in range(12)]), st.integers(0, 1), min_size=8),
    min_size=3,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_FILES)
def test_every_member_shares_four_fifths_with_the_first_and_none_is_in_two_groups(
    files: list[dict[str, int]],
) -> None:
    found = forks({f"configs/{chr(97 + number)}.yaml": leaves for number, leaves in enumerate(files)})
    paths = [one.config.path for fork in found for one in fork.files]
    assert len(paths) == len(set(paths))
    for fork in found:
        first, *others = ({(leaf.keys, leaf.value) for leaf in one.config.leaves} for one in fork.files)
        for other in others:
            assert len(first & other) >= math.ceil(0.8 * max(len(first), len(other)) - 1e-9)
