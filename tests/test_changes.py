from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mldebt.changes import changed_lines, moved, renames
from mldebt.finding import Confidence, Finding, Place, Related, Severity, Span

CODE = b"import torch\n\n\ndef train():\n    model = torch.nn.Linear(2, 2)\n    return model\n"
OTHER = b"from pathlib import Path\n\nROOT = Path('.')\nDATA = ROOT / 'data'\n"

rows = st.lists(st.sampled_from(("x = 1", "y = 2", "", "    z()", "return")), max_size=12)


def renamed(old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, str]:
    return renames(old, new, old.__getitem__, new.__getitem__)


def test_a_file_under_another_name_is_found() -> None:
    assert renamed({"train.py": CODE}, {"src/engine.py": CODE, "other.py": OTHER}) == {"train.py": "src/engine.py"}


def test_an_edited_file_under_another_name_is_found() -> None:
    edited = CODE.replace(b"Linear(2, 2)", b"Linear(3, 3)") + b"\n\ntrain()\n"
    assert renamed({"train.py": CODE}, {"engine.py": edited, "other.py": OTHER}) == {"train.py": "engine.py"}


def test_files_with_little_in_common_are_not_the_same() -> None:
    assert renamed({"train.py": CODE}, {"other.py": OTHER}) == {}
    assert renamed({"train.py": CODE}, {"train.sh": CODE.replace(b"2", b"3")}) == {}


def test_empty_files_are_nobodys_other_name() -> None:
    assert renamed({"a/__init__.py": b""}, {"b/__init__.py": b""}) == {}


def test_of_copies_the_one_of_the_same_name_is_taken() -> None:
    assert renamed({"a/x.py": CODE}, {"b/w.py": CODE, "b/x.py": CODE}) == {"a/x.py": "b/x.py"}


def test_added_and_edited_lines_are_changed() -> None:
    assert changed_lines(["a", "b", "c"], ["a", "new", "b", "C"]) == {2, 4}
    assert changed_lines(["a", "b", "c"], ["a", "c"]) == frozenset()
    assert changed_lines([], ["a", "b"]) == {1, 2}


@given(rows, rows)
def test_lines_that_did_not_change_stand_in_both_texts(before: list[str], after: list[str]) -> None:
    """The unchanged lines of the new text are a subsequence of the old one."""
    kept = [row for number, row in enumerate(after, 1) if number not in changed_lines(before, after)]
    rest = iter(before)
    assert all(row in rest for row in kept)


def test_long_texts_are_compared_in_time_however_they_were_made() -> None:
    before = [f"x = {number % 101}" for number in range(60_000)]
    after = ["first", *before[30_000:], "new", *before[:30_000], "last"]
    assert changed_lines(before, after) == {1, 30_002, 60_003}


@given(rows)
def test_equal_texts_have_no_changed_line(text: list[str]) -> None:
    assert changed_lines(text, text) == frozenset()


# Findings, shown where the change is.


def finding(*related: Related) -> Finding:
    place = Place("train.py", Span(10, 1, 10, 5))
    return Finding(
        "MLD401",
        "unseeded",
        "Nothing is seeded",
        place,
        Severity.MAJOR,
        Confidence.HIGH,
        5,
        related=related,
        scope="main",
    )


def at(path: str, line: int, role: str = "cause") -> Related:
    return Related(Place(path, Span(line)), "draws", role)


def where(place: Place) -> str:
    return f"{place.path}:{place.span.line}"


def test_a_finding_whose_anchor_changed_stays_where_it_is() -> None:
    given = finding(at("data.py", 3))
    assert moved(given, lambda _: True, where) is given


def test_a_finding_none_of_whose_places_changed_stays_where_it_is() -> None:
    given = finding(at("data.py", 3))
    assert moved(given, lambda _: False, where) is given


def test_a_finding_moves_to_the_changed_place_and_names_its_anchor() -> None:
    step, cause = at("train.py", 12, "path"), at("data.py", 3)
    shown = moved(finding(step, cause), lambda place: place.path == "data.py", where)
    assert where(shown.place) == "data.py:3"
    assert shown.message == "Nothing is seeded (anchor: train.py:10: draws)"
    assert [where(one.place) for one in shown.related] == ["train.py:10", "train.py:12"]


def test_a_cause_goes_before_a_step_on_the_way() -> None:
    step, cause = at("data.py", 1, "path"), at("data.py", 3)
    assert where(moved(finding(step, cause), lambda place: place.path == "data.py", where).place) == "data.py:3"
