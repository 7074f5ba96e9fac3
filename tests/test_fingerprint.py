"""Fingerprints: unique in a scan, and the same wherever the code goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mldebt.finding import Confidence, Finding, Place, Severity, Span
from mldebt.fingerprint import head, normalise, stamp


def finding(
    code: str = "MLD404", path: str = "a.py", line: int = 1, scope: str = "fit", anchor: str = "f(x)"
) -> Finding:
    place = Place(path, Span(line))
    return Finding(code, "rule", "message", place, Severity.MINOR, Confidence.HIGH, 5, scope=scope, anchor=anchor)


@pytest.mark.parametrize(
    "code",
    [
        "split(x, test_size=0.2)",
        "split( x,test_size = 0.2 )",
        "split(\n    x,  # the features\n    test_size=0.2,\n)",
        "split(x, \\\n    test_size=0.2)  # noqa",
        "split(x, test_size=0.2, # one # two # three\n  )",
        "split(\n    x,\n    test_size=0.2\n)",
    ],
)
def test_what_a_formatter_changes_is_gone(code: str) -> None:
    assert normalise(code) == "split(x,test_size=0.2)"


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ('plot(c="# ff", d=1)', 'plot(c="# ff",d=1)'),
        ("log('it\\'s # no', ')')", "log('it\\'s # no',\")\")"),
        ('f("""a # b\n c""")', 'f("""a # b\n c""")'),
        ("'unclosed # string", "'unclosed"),
    ],
)
def test_strings_are_kept_as_they_are(code: str, kept: str) -> None:
    assert normalise(code) == kept


def test_the_choice_of_quotes_is_gone() -> None:
    assert normalise("f('a', u'b', '''c''')") == normalise('f("a", u"b", """c""")')
    assert normalise("""f('say "a"')""") != normalise("""f('say a')""")


def test_code_that_was_wrapped_has_the_same_head() -> None:
    flat = "loader = DataLoader(MNIST('data', train=True, transform=Compose([Resize(28), ToTensor()])), shuffle=True)"
    wrapped = flat.replace("(", "(\n    ").replace(", ", ",\n    ").replace("'", '"')
    assert head(flat, "torch") == head(wrapped, "torch")
    assert head(flat) == normalise(flat)[:120]


def test_the_symbol_is_never_cut() -> None:
    symbols = [" ".join("block" for _ in range(100)) + end for end in ("a", "b")]
    assert len({head(f"{symbol}\nf(x)", symbol) for symbol in symbols}) == 2


def test_a_symbol_that_names_files_says_nothing_of_their_folder() -> None:
    assert head("exp/a.py exp/b.py\nx", "exp/a.py exp/b.py", "exp/a.py") == head("a.py b.py\nx", "a.py b.py", "a.py")


def names(found: list[Finding], symbol: str = "") -> list[str]:
    return [one.fingerprint for one in stamp((replace(one, anchor=normalise(one.anchor)), symbol) for one in found)]


def test_different_code_has_different_names() -> None:
    different = names([finding(), finding(anchor="f(y)"), finding(scope="predict"), finding(code="MLD405")])
    assert len(set(different) | set(names([finding()], "torch"))) == 5


def test_a_single_finding_keeps_its_name_when_the_file_is_renamed_and_lines_move() -> None:
    before = names([finding(path="train.py", line=10)])
    after = names([finding(path="src/pkg/train.py", line=99, anchor="f( x )  # moved")])
    assert before == after
    assert len(before[0]) == 16


several = st.lists(
    st.builds(
        finding,
        st.sampled_from(["MLD401", "MLD404"]),
        st.sampled_from(["a.py", "b.py"]),
        st.integers(1, 5),
        st.sampled_from(["", "fit"]),
        st.sampled_from(["f(x)", "f(x) # again", "g(x)"]),
    ),
    max_size=12,
)


@given(several, st.integers(1, 1000), st.randoms(use_true_random=False))
def test_unique_and_stable_under_moves(found: list[Finding], shift: int, random: Any) -> None:
    before = names(found)
    assert len(set(before)) == len(found)
    moved = [replace(one, place=Place(f"src/{one.place.path}", Span(one.place.span.line + shift))) for one in found]
    assert names(moved) == before
    random.shuffle(moved)
    assert set(names(moved)) == set(before)
    assert [one.place for one in stamp((one, "") for one in moved)] == [one.place for one in moved]


@given(st.text(alphabet="'\"# ,)\\\nab", max_size=40))
def test_normalising_never_fails_and_settles(code: str) -> None:
    once = normalise(code)
    assert len(once) <= len(code)
    assert len(normalise(once)) <= len(once)
