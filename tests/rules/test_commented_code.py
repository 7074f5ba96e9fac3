"""Which comments and strings are code that was switched off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mldebt_rules.experiments.commented_code import commented_blocks, quoted_blocks

from mldebt.project.project import Project

Build = Callable[..., Project]


def lines(project: Build, text: str) -> list[tuple[int, int]]:
    module = project({"a.py": text}).modules["a.py"]
    return [(block.first, block.last) for block in [*commented_blocks(module), *quoted_blocks(module)]]


def test_prose_before_and_after_code_is_left_out(project: Build) -> None:
    text = """
        x = 1
        # we had this first, and it was worse
        # y = f(x)
        # z = g(y)
        # print(z)
        # so much for that
        """
    assert lines(project, text) == [(3, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "# if x:\n#     y = f(x)\n#     g(y)\n",
        "    #if x:\n    #    y = f(x)\n    #    g(y)\n",
        "    # if x:\n        # y = f(x)\n        # g(y)\n",
        "# else:\n#     y = f(x)\n#     g(y)\n",
        "# y = f(x)\n# g(y)\n# for each in y:\n",
    ],
)
def test_code_is_read_however_it_was_commented_out(project: Build, text: str) -> None:
    assert lines(project, "def run(x):\n    pass\n" + text + "x = 1\n") == [(3, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "# x = (B, T)\n# y = (B, T, C)\n# z = (B,)\n",
        "# one\n# two\n# three\n",
        "# lr: float\n# epochs: int\n# name: str\n",
        "# for example\n# f(1)\n# f(2)\n# f(3)\n",
        "# y = f(x)\n\n# z = g(y)\n\n# h(z)\n",
        "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n# main()\n",
    ],
)
def test_notes_are_prose(project: Build, text: str) -> None:
    assert lines(project, "x = 1\n" + text) == []


def test_strings_count_and_docstrings_do_not(project: Build) -> None:
    text = '''
        """
        a = f(1)
        b = f(a)
        c = f(b)
        """
        x = 1

        """
        a = f(1)
        b = f(a)
        c = f(b)
        """


        def run():
            """
            a = f(1)
            b = f(a)
            c = f(b)
            """
        '''
    assert lines(project, text) == [(8, 12)]


def test_a_field_is_documented_by_the_string_below_it(project: Build) -> None:
    text = '''
        class Options:
            rate = 0.1
            """
            rate = f(1)
            rate = f(rate)
            print(rate)
            """
        '''
    assert lines(project, text) == []
