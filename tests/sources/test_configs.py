"""Configuration text: typed leaves with their lines, whatever precedes a fault, and limits on hostile input."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mldebt.sources.artefacts import Leaf
from mldebt.sources.configs import read_config
from mldebt.sources.yaml_leaves import MAX_LEAVES, typed


def leaves(text: str, form: str = "yaml") -> dict[str, object]:
    return {".".join(leaf.keys): leaf.value for leaf in read_config(text, form).leaves}


def lines(text: str, form: str) -> dict[str, int]:
    return {".".join(leaf.keys): leaf.line for leaf in read_config(text, form).leaves}


def test_yaml_scalars_are_typed_and_have_lines() -> None:
    reading = read_config("optim:\n  lr: 0.1\n  betas: [0.9, 0.999]\nname: 'r50'\nresume: yes\n", "yaml")
    assert reading.problem is None
    assert reading.leaves == (
        Leaf(("optim", "lr"), 0.1, 2),
        Leaf(("optim", "betas", "0"), 0.9, 3),
        Leaf(("optim", "betas", "1"), 0.999, 3),
        Leaf(("name",), "r50", 4),
        Leaf(("resume",), True, 5),
    )


@pytest.mark.parametrize(
    "text",
    [
        *"1 1.0 1. .5 0 09 010 1e-4 1.5e-4 1.5e+4 0x1F 0b11 0o7 1_000 -5 +5 -.inf 1:30 1:30.5".split(),
        *"true Yes yEs OFF nul ~ v1".split(),
    ],
)
def test_plain_scalars_are_typed_as_the_safe_loader_does(text: str) -> None:
    expected = yaml.safe_load(text)
    assert typed(text) == expected
    assert type(typed(text)) is type(expected)


def test_later_documents_of_a_stream_are_read() -> None:
    assert leaves("a: 1\n---\nb: 2\n") == {"a": 1, "b": 2}


def test_unknown_tags_construct_nothing_and_are_kept() -> None:
    reading = read_config("metric: !function metrics.f1\nbad: !!python/object/apply:os.system ['id']\n", "yaml")
    assert reading.problem is None
    assert reading.leaves[0] == Leaf(("metric",), "metrics.f1", 1, "!function")
    assert reading.leaves[1] == Leaf(("bad", "0"), "id", 2)


def test_aliases_and_merges_stand_where_they_are_used() -> None:
    text = "base: &base\n  lr: 0.1\n  wd: 0.01\nrun:\n  <<: *base\n  lr: 0.5\nagain: *base\n"
    assert leaves(text) == {
        "base.lr": 0.1, "base.wd": 0.01, "run.wd": 0.01, "run.lr": 0.5, "again.lr": 0.1, "again.wd": 0.01,
    }  # fmt: skip


def test_the_first_of_several_merges_wins() -> None:
    text = "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc:\n  <<: [*a, *b]\n"
    merged = [leaf for leaf in read_config(text, "yaml").leaves if leaf.keys[0] == "c"]
    assert merged == [Leaf(("c", "x"), 1, 1), Leaf(("c", "y"), 3, 2)]


def test_alias_bomb_is_cut_and_reported() -> None:
    levels = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    levels += [f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    reading = read_config("\n".join(levels), "yaml")
    assert len(reading.leaves) <= MAX_LEAVES
    assert reading.problem is not None
    assert "aliases" in reading.problem[1]
    assert not reading.skipped


def test_recursive_alias_ends() -> None:
    assert leaves("&a {b: *a, c: 1}") == {"c": 1}


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000])
def test_deep_yaml_is_cut(text: str) -> None:
    problem = read_config(text, "yaml").problem
    assert problem is not None
    assert "deeper" in problem[1]


def test_broken_yaml_keeps_what_precedes_the_fault() -> None:
    reading = read_config("lr: 0.1\nmodel:\n  depth: 50\n  width: [1, 2\nbad: x: y\n", "yaml")
    assert Leaf(("model", "depth"), 50, 3) in reading.leaves
    assert reading.problem is not None
    assert reading.problem[0] == 5


def test_templated_yaml_is_no_defect() -> None:
    reading = read_config("image: {{ .Values.image }}\n{% if x %}\n  a: 1\n", "yaml")
    assert reading.skipped
    assert reading.leaves == ()


def test_json_leaves_have_lines() -> None:
    text = '{\n  "train": {"lr": 1e-3,\n    "sizes": [1, {"n": null}]},\n  "x\\ny": "a \\"b\\""\n}\n'
    assert lines(text, "json") == {"train.lr": 2, "train.sizes.0": 3, "train.sizes.1.n": 3, "x\ny": 4}
    assert leaves(text, "json") == {"train.lr": 1e-3, "train.sizes.0": 1, "train.sizes.1.n": None, "x\ny": 'a "b"'}


def test_json_with_comments_is_reported_where_they_begin() -> None:
    reading = read_config('{"a": 1,\n// note\n"b": 2}', "json")
    assert reading.leaves == (Leaf(("a",), 1, 1),)
    assert reading.problem is not None
    assert reading.problem[0] == 2


def test_data_like_json_is_cut() -> None:
    reading = read_config(json.dumps(list(range(30_000))), "json")
    assert len(reading.leaves) == MAX_LEAVES
    assert reading.skipped


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _flat(value: object, keys: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _flat(item, (*keys, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in _flat(item, (*keys, str(index)))]
    return [(keys, value)]


@given(_JSON, st.sampled_from([None, 2]), st.booleans())
def test_json_leaves_are_those_of_the_standard_parser(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = [(leaf.keys, leaf.value) for leaf in read_config(text, "json").leaves]
    assert found == _flat(json.loads(text))


@given(_JSON)
def test_yaml_leaves_of_json_text_agree(value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=False)
    found = [(leaf.keys, leaf.value) for leaf in read_config(text, "yaml").leaves]
    expected = _flat(yaml.safe_load(text))
    if all(len(keys) < 60 for keys, _ in expected) and "? " not in text and "<<" not in text:
        assert found == expected


@given(st.text(), st.sampled_from(["yaml", "json", "toml", "ini"]))
def test_no_text_is_an_error(text: str, form: str) -> None:
    read_config(text, form)


def test_toml_leaves_have_lines() -> None:
    text = 'a = 1\n[tool.x]\nb = [\n  "p",\n  "q",\n]\n[[run]]\nn = 1\n[[run]]\nn = 2\n[run.sub]\nk = true\n'
    assert lines(text, "toml") == {
        "a": 1, "tool.x.b.0": 4, "tool.x.b.1": 5, "run.0.n": 8, "run.1.n": 10, "run.1.sub.k": 12,
    }  # fmt: skip


def test_broken_toml_keeps_the_tables_before_the_fault() -> None:
    reading = read_config("[project]\nname = 'x'\n[tool.y]\nok = 1\nbroken = \n[z]\nc = 1\n", "toml")
    assert reading.leaves == (Leaf(("project", "name"), "x", 2),)
    assert reading.problem is not None
    assert reading.problem[0] == 5


def test_toml_key_of_very_many_parts_is_refused_early() -> None:
    assert read_config("a." * 300_000, "toml").problem is not None


def test_ini_values_of_several_lines() -> None:
    text = "top = 0\n[train]\n# note\nlr: 0.1\nfiles =\n    a\n    b\nflag\n"
    assert leaves(text, "ini") == {"top": "0", "train.lr": "0.1", "train.files": "a\nb", "train.flag": ""}
    assert lines(text, "ini")["train.files"] == 5


def test_ini_line_that_is_nothing_is_reported_once() -> None:
    reading = read_config("[a]\nb = 1\n?? what\n!! more\nc = 2\n", "ini")
    assert reading.problem == (3, "neither a section nor an assignment")
    assert len(reading.leaves) == 2
