"""Fixes: applied whole or not at all, to the right columns, and never into a file that does not parse."""

from __future__ import annotations

import ast
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.finding import Applicability, Edit, Fix, Place, Span
from mldebt.fixes import StaleEditError, apply, diff, splice


def edit(
    text: str, line: int, column: int, end_column: int, *, path: str = "a.py", end_line: int | None = None
) -> Edit:
    return Edit(Place(path, Span(line, column, end_line or line, end_column)), text)


def fix(*edits: Edit) -> Fix:
    return Fix(Applicability.SAFE, "change it", edits)


def test_edits_replace_code_points_not_bytes() -> None:
    text = "é = '𝛼'; seed(1)\n"
    assert splice(text, [edit("2", 1, 15, 16)]) == "é = '𝛼'; seed(2)\n"


def test_edits_are_given_in_any_order() -> None:
    assert splice("f(a, b)\n", [edit("y", 1, 6, 7), edit("x", 1, 3, 4)]) == "f(x, y)\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_new_lines_end_as_the_files_do(newline: str) -> None:
    text = f"import os{newline}x = 1{newline}"
    assert splice(text, [edit("import random\n", 2, 1, 1)]) == f"import os{newline}import random{newline}x = 1{newline}"


def test_form_feeds_and_other_separators_are_no_line_ends() -> None:
    text = "a = 1\x0c\nb = '\u2028\x85'\nc = 3\n"
    assert splice(text, [edit("4", 3, 5, 6)]).endswith("c = 4\n")


def test_whole_lines_can_go() -> None:
    assert splice("a = 1\nb = 2\n", [edit("", 1, 1, 1, end_line=2)]) == "b = 2\n"


@pytest.mark.parametrize("span", [(3, 1, 1), (1, 7, 7), (1, 0, 2), (1, 4, 2)])
def test_a_span_outside_the_text_is_stale(span: tuple[int, int, int]) -> None:
    with pytest.raises(StaleEditError):
        splice("a = 1\n", [edit("x", *span)])


def test_fixes_in_several_files_go_in_together() -> None:
    both = fix(edit("2", 1, 5, 6), edit("3", 1, 5, 6, path="b.py"))
    result = apply({"a.py": "a = 1\n", "b.py": "b = 1\n", "c.py": "c = 1\n"}, [both])
    assert result.texts == {"a.py": "a = 2\n", "b.py": "b = 3\n"}
    assert result.applied == (both,)


def test_an_overlapping_fix_waits_with_all_its_edits() -> None:
    first = fix(edit("g(a)", 1, 1, 5))
    second = fix(edit("b", 1, 3, 4), edit("9", 1, 5, 6, path="b.py"))
    result = apply({"a.py": "f(a)\n", "b.py": "b = 1\n"}, [first, second])
    assert result.texts == {"a.py": "g(a)\n"}
    assert (result.applied, result.waiting, result.dropped) == ((first,), (second,), ())


def test_two_insertions_at_one_point_take_two_passes() -> None:
    imports = [fix(edit(f"import {name}\n", 1, 1, 1)) for name in ("random", "numpy")]
    assert apply({"a.py": "x = 1\n"}, imports).waiting == (imports[1],)


def test_touching_replacements_do_not_overlap() -> None:
    both = [fix(edit("g", 1, 1, 2)), fix(edit("(b)", 1, 2, 5))]
    assert apply({"a.py": "f(a)\n"}, both).texts == {"a.py": "g(b)\n"}


def test_edits_of_one_fix_may_touch() -> None:
    wrap = fix(edit("f", 1, 1, 2), edit("(", 1, 2, 2), edit("+", 1, 2, 3), edit(")", 1, 3, 3))
    assert splice("a-\n", wrap.edits) == "f(+)\n"
    assert apply({"a.txt": "a-\n"}, [wrap]).dropped[0].reason == "a.py cannot be edited"


def test_a_fix_that_breaks_the_file_is_dropped_and_the_others_go_in() -> None:
    good, bad = fix(edit("2", 1, 5, 6)), fix(edit("(", 2, 5, 6))
    result = apply({"a.py": "a = 1\nb = 1\n"}, [good, bad])
    assert result.texts == {"a.py": "a = 2\nb = 1\n"}
    assert result.applied == (good,)
    assert [(one.fix, one.reason) for one in result.dropped] == [
        (bad, "a.py would not parse: line 2: '(' was never closed")
    ]


def test_a_fix_that_only_breaks_with_another_waits() -> None:
    loop, branch = fix(edit("while", 1, 1, 3)), fix(edit("elif y", 2, 1, 5))
    text = {"a.py": "if x: pass\nelse: pass\n"}
    result = apply(text, [loop, branch])
    assert result.texts == {"a.py": "while x: pass\nelse: pass\n"}
    assert (result.applied, result.waiting, result.dropped) == ((loop,), (branch,), ())
    assert apply(text, [branch]).texts == {"a.py": "if x: pass\nelif y: pass\n"}


def test_other_files_need_not_be_python() -> None:
    done = apply({"conf.yaml": "lr: 1e-3\n"}, [fix(edit("[", 1, 5, 9, path="conf.yaml"))])
    assert done.texts == {"conf.yaml": "lr: [\n"}


def test_a_script_without_suffix_is_python_by_its_shebang() -> None:
    text = {"train": "#!/usr/bin/env python3\nx = 1\n"}
    assert apply(text, [fix(edit("(", 2, 5, 6, path="train"))]).texts == {}


def test_a_dubious_escape_is_no_reason_to_drop_a_fix() -> None:
    assert apply({"a.py": "a = '\\d'; b = 1\n"}, [fix(edit("2", 1, 15, 16))]).texts == {"a.py": "a = '\\d'; b = 2\n"}


def test_the_diff_is_one_that_git_applies(tmp_path: Path) -> None:
    before = {"src/a.py": "a = 1\n" * 9 + "b = 2", "c.py": "x = 1\r\ny = 2\r\n"}
    after = {"src/a.py": "a = 1\n" * 9 + "b = 3\nc = 4", "c.py": "x = 1\r\ny = 3\r\n"}
    text = diff(before, after)
    assert text.startswith("--- a/c.py\n+++ b/c.py\n@@ -1,2 +1,2 @@\n")
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    for path, content in before.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content.encode())
    (tmp_path / "fix.diff").write_bytes(text.encode())
    subprocess.run([git, "apply", "fix.diff"], cwd=tmp_path, check=True)
    assert {path: (tmp_path / path).read_bytes().decode() for path in after} == after


def test_nothing_changed_is_no_diff() -> None:
    assert diff({"a.py": "a\n"}, {"a.py": "a\n"}) == ""


ranges = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.sampled_from(["", "x", "(", "xy"])), max_size=8)


@given(ranges)
def test_whatever_is_applied_parses_and_every_fix_is_accounted_for(wanted: list[tuple[int, int, str]]) -> None:
    text = "abc = [def_, ghi]; jkl = mno(1)\n"
    fixes = [fix(edit(new, 1, 1 + first, 1 + first + length)) for first, length, new in wanted]
    result = apply({"a.py": text}, fixes)
    ast.parse(result.texts.get("a.py", text))
    assert len(result.applied) + len(result.waiting) + len(result.dropped) == len(fixes)
    spans = sorted(one.edits[0].place.span for one in result.applied)
    assert all(one.end_column <= other.column for one, other in pairwise(spans))
    assert splice(text, [one.edits[0] for one in result.applied]) == result.texts.get("a.py", text)
