"""Version ranges from requirements as pip, Poetry and conda write them, and what version tests make of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.glue.version_ranges import Range, _range
from mldebt_rules.glue.version_tests import VersionTest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mldebt.sources.locks import locked
from mldebt.sources.repository import read_repository

VERSIONS = [Version(f"{major}.{minor}") for major in range(4) for minor in range(5)]
OPS = {"<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__", "==": "__eq__", "!=": "__ne__"}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        (">=2.1", "2.1", None),
        ("^1.2.3", "1.2.3", "2"),
        ("^0.4", "0.4", "0.5"),
        ("~1.9", "1.9", "1.10"),
        ("=1.9", "1.9", "1.10"),
        ("==1.9.*", "1.9", "1.10"),
        ("~=2.1.0", "2.1.0", "2.2"),
        (">=1.0,<2", "1.0", "2"),
        ("1.13.1=py3.9_cuda", "1.13.1", "1.13.2"),
    ],
)
def test_a_specifier_is_a_range(text: str, low: str, high: str | None) -> None:
    found = _range(text)
    assert found is not None
    assert (found.low, found.high) == (Version(low), None if high is None else Version(high))


specifiers = st.lists(
    st.tuples(st.sampled_from([">=", "<", "<=", ">", "==", "~="]), st.sampled_from([str(v) for v in VERSIONS])),
    min_size=1,
    max_size=3,
).map(lambda parts: ",".join(op + version for op, version in parts))


@given(specifiers, st.sampled_from(sorted(OPS)), st.sampled_from(VERSIONS), st.sampled_from(["version", "parts"]))
def test_a_decided_test_holds_for_every_version_allowed(text: str, op: str, bound: Version, form: str) -> None:
    there = _range(text)
    assert there is not None
    outcome = VersionTest("lib", op, bound, form).holds(there)
    for version in VERSIONS:
        if outcome is not None and version in SpecifierSet(text):
            assert getattr(version, OPS[op])(bound) is outcome


def test_a_comparison_of_texts_is_decided_by_the_major_alone() -> None:
    assert VersionTest("torch", ">=", Version("1.6"), "text").holds(Range(Version("2.1"))) is True
    assert VersionTest("torch", ">=", Version("1.6"), "text").holds(Range(Version("1.10"))) is None


def test_locks_of_python_environments_are_read(tmp_path: Path) -> None:
    torch, numpy = (
        '\n[[package]]\nname = "Torch"\nversion = "2.4.1"\n',
        '\n[[package]]\nname = "numpy"\nversion = "2.0"\n',
    )
    uv = f"version = 1\n{torch}{numpy}"
    (tmp_path / "uv.lock").write_text(uv)
    (tmp_path / "yarn.lock").write_text(uv)
    found = read_repository(tmp_path, ["uv.lock", "yarn.lock"]).locked
    assert [(one.name, one.specifier, one.line) for one in found] == [("torch", "==2.4.1", 4), ("numpy", "==2.0", 8)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "Pipfile.lock",
            '{\n    "default": {\n        "torch": {\n            "version": "==2.4.1"\n        }\n    }\n}',
        ),
        ("conda-lock.yml", "package:\n- name: torch\n  version: 2.4.1\n  manager: conda\n"),
        ("requirements.lock", "torch==2.4.1\nnumpy\n"),
        ("pylock.toml", '[[packages]]\nname = "torch"\nversion = "2.4.1"\n'),
    ],
)
def test_every_kind_of_lock_pins(name: str, text: str) -> None:
    assert [(one.name, one.specifier) for one in locked(text, name)] == [("torch", "==2.4.1")]
