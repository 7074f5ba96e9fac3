from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mldebt.baseline import Baseline, Entry, Key, match, pruned, renamed, renewed, stale
from mldebt.baseline_format import parse, render
from mldebt.errors import ConfigurationError

# Few different values, so that keys often agree in some of their parts.
keys = st.builds(
    Key,
    path=st.sampled_from(("a.py", "b.py", "pkg/c.py")),
    rule=st.sampled_from(("MLD401", "MLD404")),
    scope=st.sampled_from(("", "f", "Trainer.fit")),
    code=st.sampled_from(("aa", "bb", "cc")),
    message=st.sampled_from(("", "11", "22")),
)
some = st.lists(keys, max_size=12)


def entries(*given: Key) -> tuple[Entry, ...]:
    return Baseline.of(given).entries


def key(path: str = "train.py", rule: str = "MLD401", scope: str = "main", code: str = "aa", message: str = "") -> Key:
    return Key(path, rule, scope, code, message)


def unmatched(found: list[Key], *known: Key) -> list[Key]:
    taken = match(found, entries(*known)).entry_of
    return [one for one, entry in zip(found, taken, strict=True) if entry is None]


# What a user sees.


def test_the_same_finding_is_known() -> None:
    assert unmatched([key()], key()) == []


def test_a_twin_is_new() -> None:
    assert unmatched([key(), key()], key()) == [key()]


def test_a_swap_is_new() -> None:
    """One finding paid back and another one made: a counter would see no difference."""
    assert unmatched([key(code="bb")], key(code="aa")) == [key(code="bb")]


def test_code_moved_to_another_function_or_file_is_known() -> None:
    assert unmatched([key(scope="run")], key(scope="main")) == []
    assert unmatched([key(path="engine.py")], key(path="train.py")) == []


def test_code_moved_to_another_function_of_another_file_is_new() -> None:
    moved = key(path="engine.py", scope="run")
    assert unmatched([moved], key(path="train.py", scope="main")) == [moved]


def test_an_edited_cell_of_a_renamed_notebook_is_known() -> None:
    """Cells without ids are known by what is in them."""
    assert unmatched([key(path="18.ipynb", scope="cell:0a1b")], key(path="19.ipynb", scope="cell:2c3d")) == []
    assert unmatched([key(path="19.py", scope="")], key(path="19.ipynb", scope="cell:2c3d")) == [
        key(path="19.py", scope="")
    ]


def test_the_nearest_entry_is_taken() -> None:
    """A finding that stayed keeps its own entry, whichever is looked at first."""
    moved, stayed = key(path="a.py"), key(path="b.py")
    assert unmatched([moved, stayed], key(path="b.py"), key(path="c.py")) == []
    assert unmatched([moved, stayed], key(path="b.py")) == [moved]


def test_of_twins_the_one_with_another_message_is_new() -> None:
    old, new = key(message="11"), key(message="22")
    assert unmatched([new, old], old) == [new]


def test_another_rule_at_the_same_place_is_new() -> None:
    assert unmatched([key(rule="MLD402")], key(rule="MLD401")) == [key(rule="MLD402")]


# What always holds.


@given(some, some)
def test_every_entry_is_taken_as_often_as_it_is_there_at_most(found: list[Key], known: list[Key]) -> None:
    listed = entries(*known)
    matched = match(found, listed)
    taken = Counter(entry for entry in matched.entry_of if entry is not None)
    assert [entry.count for entry in listed] == [taken[index] + left for index, left in enumerate(matched.left)]
    assert all(left >= 0 for left in matched.left)


@given(some, some)
def test_a_match_agrees_in_rule_and_code_and_in_path_or_scope(found: list[Key], known: list[Key]) -> None:
    listed = entries(*known)
    for one, index in zip(found, match(found, listed).entry_of, strict=True):
        if index is not None:
            entry = listed[index].key
            assert (one.rule, one.code) == (entry.rule, entry.code)
            assert one.path == entry.path or one.scope == entry.scope


@given(some, some)
def test_nothing_that_could_be_matched_is_left(found: list[Key], known: list[Key]) -> None:
    listed = entries(*known)
    matched = match(found, listed)
    free = [entry.key for entry, left in zip(listed, matched.left, strict=True) if left]
    for one, index in zip(found, matched.entry_of, strict=True):
        if index is None:
            assert not [
                k
                for k in free
                if (k.rule, k.code) == (one.rule, one.code) and (k.path == one.path or k.scope == one.scope)
            ]


@given(some)
def test_debt_is_known_to_its_own_baseline(found: list[Key]) -> None:
    matched = match(found, entries(*found))
    assert None not in matched.entry_of
    assert not any(matched.left)


@given(some, st.permutations(range(12)))
def test_the_order_of_findings_never_decides_how_many_are_new(found: list[Key], order: list[int]) -> None:
    shuffled = [found[index] for index in order if index < len(found)]
    known = found[::2]
    assert len(unmatched(found, *known)) == len(unmatched(shuffled, *known))


@given(some, keys)
def test_one_more_finding_is_one_more_new_one(found: list[Key], added: Key) -> None:
    """Nothing is leaked: after adding a finding exactly one is new, whatever else is known."""
    assert len(unmatched([*found, added], *found)) == 1


@given(some, some, keys)
def test_an_entry_of_another_rule_or_of_other_code_hides_nothing(
    found: list[Key], known: list[Key], other: Key
) -> None:
    unrelated = replace(other, code="ff")
    assert unmatched(found, *known, unrelated) == unmatched(found, *known)


@given(some, st.dictionaries(st.sampled_from(("a.py", "b.py")), st.sampled_from(("x.py", "pkg/y.py")), max_size=2))
def test_renamed_files_bring_nothing_back(found: list[Key], paths: dict[str, str]) -> None:
    now = [replace(one, path=paths.get(one.path, one.path)) for one in found]
    listed = renamed(entries(*found), paths)
    assert None not in match(now, listed).entry_of


@given(some)
def test_functions_renamed_or_reordered_bring_nothing_back(found: list[Key]) -> None:
    now = [replace(one, scope=f"{one.scope}_renamed") for one in reversed(found)]
    assert unmatched(now, *found) == []


# The file.


@given(some)
def test_a_file_says_what_it_was_told(found: list[Key]) -> None:
    baseline = Baseline.of(found)
    text = render(baseline, "1.0")
    assert parse(text.encode()).counts() == baseline.counts()
    assert render(parse(text.encode()), "1.0") == text
    assert render(Baseline.of(reversed(found)), "1.0") == text
    assert json.loads(text)["v"] == 1


@given(st.text(min_size=1), st.text())
def test_any_name_survives(path: str, scope: str) -> None:
    given = Baseline.of([Key(path, "MLD401", scope, "aa")])
    try:
        path.encode()
    except UnicodeEncodeError:
        return
    if path.startswith("/") or "\0" in path or ".." in path.split("/") or set(path.split("/")) <= {"", "."}:
        return
    assert parse(render(given, "1.0").encode()).counts() == given.counts()


def test_one_finding_is_one_line_and_names_no_line() -> None:
    text = render(Baseline.of([key(), key(), key(path="a.py", message="0011")]), "1.0")
    assert text == (
        "{\n"
        '  "v": 1,\n'
        '  "tool": "mldebt 1.0",\n'
        '  "findings": {\n'
        '    "a.py": [\n'
        '      {"rule": "MLD401", "scope": "main", "code": "aa", "msg": "0011"}\n'
        "    ],\n"
        '    "train.py": [\n'
        '      {"rule": "MLD401", "scope": "main", "code": "aa", "n": 2}\n'
        "    ]\n"
        "  }\n"
        "}\n"
    )


def test_entries_know_their_line() -> None:
    read = parse(render(Baseline.of([key(), key(path="a.py")]), "1.0").encode())
    assert [(entry.key.path, entry.line) for entry in read.entries] == [("a.py", 6), ("train.py", 9)]


def test_what_a_merge_made_of_two_branches_is_read() -> None:
    """Both sides added the same file: git keeps both lists, and no member of either is lost."""
    row = '{"rule": "MLD401", "scope": "", "code": "%s"}'
    text = f'{{"v": 1, "findings": {{"a.py": [{row % "aa"}], "a.py": [{row % "bb"}]}}}}'
    assert [entry.key.code for entry in parse(text.encode()).entries] == ["aa", "bb"]


def test_line_ends_and_a_byte_order_mark_are_no_damage() -> None:
    text = render(Baseline.of([key()]), "1.0")
    assert parse(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()).counts() == {key(): 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "base.json:1: not valid JSON"),
        (b'{\n"v": 1,\n"findings": {"a.py": [\n', "base.json:4: not valid JSON"),
        (b'{"v": 1}\n\n{}', "base.json:3: not valid JSON: extra data"),
        (b"\xff\xfe", "base.json:1: not UTF-8"),
        (b"[]", 'base.json:1: not a baseline: it has no "v"'),
        (b"{}", 'base.json:1: not a baseline: it has no "v"'),
        (b'{\n"v": 2}', "base.json:2: format 2 is not 1, the one this mldebt reads: a newer mldebt wrote it"),
        (b'{"v": 0}', "write it anew with `mldebt baseline create --force`"),
        (b'{"v": true}', "format True"),
        (b'{"v": 1,\n"findings": []}', "base.json:2: findings: expected an object of paths"),
        (b'{"v": 1,\n"more": 1}', "base.json:2: unknown member 'more'"),
        (b'{"v": 1, "findings": {\n"../up.py": []}}', "base.json:2: '../up.py' is no path below the root"),
        (b'{"v": 1, "findings": {"/etc/passwd": []}}', "is no path below the root"),
        (b'{"v": 1, "findings": {"": []}}', "is no path below the root"),
        (b'{"v": 1, "findings": {"\\ud800": []}}', "is no path below the root"),
        (b'{"v": 1, "findings": {"a": {}}}', "base.json:1: a: expected an array of entries"),
        (b'{"v": 1, "findings": {"a": [\n{"rule": "x"}]}}', "base.json:2: a: the entry missing required field scope"),
        (b'{"v": 1, "findings": {"a": [{"rule": "x", "scope": "", "code": "zz"}]}}', "code: expected"),
        (b'{"v": 1, "findings": {"a": [{"rule": "x", "scope": "", "code": "", "n": 0}]}}', "n: expected"),
        (b'{"v": 1, "findings": {"a": [{"rule": "x", "scope": "", "code": "", "n": 1e99}]}}', "n: expected"),
        (b'{"v": 1, "findings": {"a": [1,\n]}}', "base.json:1: a: expected object"),
        (b'{"v": 1, "findings": {"a": ' + b"[" * 100_000, "base.json:1: "),
        (b'{"v": 1' + b"0" * 5000 + b"}", "holds a number no baseline has"),
        (b"{\n<<<<<<< ours\n=======\n>>>>>>> theirs\n}", "base.json:2: an unresolved merge conflict"),
    ],
)
def test_a_damaged_file_is_named_with_the_line(text: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "base.json")
    assert said in str(caught.value)


@given(st.binary(max_size=80), st.sampled_from((b"", b'{"v": 1, "findings": {')))
def test_no_bytes_break_the_reader(data: bytes, start: bytes) -> None:
    """Either it is read, or it says where it is not."""
    try:
        parse(start + data)
    except ConfigurationError as error:
        assert error.line  # noqa: PT017


# Following the code.


def test_what_is_gone_is_stale_as_often_as_it_is_gone() -> None:
    known = entries(key(), key(), key(path="b.py", code="bb"))
    matched = match([key()], known)
    assert {(entry.key, entry.count) for entry in stale(known, matched, lambda _: True)} == {
        (key(), 1),
        (key(path="b.py", code="bb"), 1),
    }
    assert pruned(known, matched, lambda _: True).counts() == {key(): 1}


def test_what_was_not_looked_for_stays() -> None:
    known = entries(key(), key(rule="MLD404"))
    matched = match([], known)
    assert [e.key.rule for e in stale(known, matched, lambda k: k.rule == "MLD401")] == ["MLD401"]
    assert pruned(known, matched, lambda k: k.rule == "MLD401").counts() == {key(rule="MLD404"): 1}


def test_an_update_says_where_code_is_now() -> None:
    moved = key(path="engine.py")
    known = entries(key(), key(code="bb"))
    matched = match([moved], known)
    assert renewed(known, [moved], matched, lambda _: True).counts() == {moved: 1}


@given(some, some)
def test_pruning_never_makes_anything_new_and_never_adds(found: list[Key], known: list[Key]) -> None:
    listed = entries(*known)
    left = pruned(listed, match(found, listed), lambda _: True)
    assert left.counts() <= Baseline(listed).counts()
    assert len(unmatched(found, *left.counts().elements())) == len(unmatched(found, *known))
