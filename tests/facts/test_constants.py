"""The constant evaluator, alone and across files."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.constants import evaluate
from mldebt.facts.extract import extract
from mldebt.facts.schema import Call, Do, Expr, Return
from mldebt.facts.walk import statements
from mldebt.project.project import Project
from mldebt.sources.text import Source

Build = Callable[..., Project]


def parsed(text: str) -> Expr:
    _, bodies = extract(Source("example.py", f"use({text})"))
    (stmt,) = bodies[0]
    assert isinstance(stmt, Do)
    assert isinstance(stmt.value, Call)
    return stmt.value.args[0]


@pytest.mark.parametrize(
    "text",
    [
        "1", "-2.5", "'a'", "None", "1 + 2 * 3", "7 // 2", "2 ** 10", "1 << 4", "1e-3 / 2", "not 1", "~5", "(1, 'a')",
        "[1, [2]]", "{'a': 1, **{'b': 2}}", "{1, 2}", "(1, *(2, 3))", "1 < 2 < 3", "3 in (1, 2)", "1 == 1.0", "'x' * 3",
        "None is None", "0 or 'a'", "1 and ''", "1 if 0 else 2", "{'a': 3}['a']", "(1, 2, 3)[1:]", "'abc'[-1]",
        "f'a{\"b\"}c'", "'a' + 'b'", "[0] * 3",
    ],
)  # fmt: skip
def test_worth_what_python_says(text: str) -> None:
    expected = eval(text, {"__builtins__": {}})
    found = evaluate(parsed(text))
    assert found == expected
    assert type(found) is (frozenset if isinstance(expected, set) else type(expected))


@pytest.mark.parametrize(
    "text",
    [
        "x", "f()", "1 / 0", "2 ** 100000", "10 ** 10 ** 10", "'a' * 10 ** 9", "10 ** 9 * 'a'",
        "[0] * 10 ** 9",
        "1 << 10 ** 9", "(-1) ** 0.5", "2.0 ** 100000", "'%1000000d' % 1", "'a' + 1", "{}['a']", "[][0]", "{[]: 1}",
        "1 is 1",
        "f'{3}'",
        "x and 1", "b'a'", "1 +" * 200 + "1",
    ],
)  # fmt: skip
def test_unknown_without_cost(text: str) -> None:
    assert evaluate(parsed(text)) is UNKNOWN


NUMBERS = st.integers(-1000, 1000).map(str) | st.sampled_from(["0.5", "1e3", "True", "'ab'", "()"])
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from("+ - * / // % ** << >> | & ^ and or < ==".split()), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_never_other_than_python(text: str) -> None:
    found = evaluate(parsed(text))
    if found is not UNKNOWN:
        expected = eval(compile(ast.parse(text, mode="eval"), "example", "eval"), {"__builtins__": {}})
        assert found == expected


def constant(project: Project, path: str = "train.py") -> Any:
    """The value of ``use(...)``'s or ``return``'s expression, whichever comes last in the file."""
    module = project.modules[path]
    found = UNKNOWN
    for index in range(len(module.facts.scopes)):
        for stmt in statements(module.body(index)):
            if isinstance(stmt, Do) and isinstance(stmt.value, Call) and stmt.value.args:
                found = module.constant(index, stmt.value.args[0])
            elif isinstance(stmt, Return) and stmt.value is not None:
                found = module.constant(index, stmt.value)
    return found


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"train.py": "LR = 3e-4\nuse(LR)"}, 3e-4),
        ({"train.py": "LR: float = 0.1\nuse(LR)"}, 0.1),
        ({"train.py": "N = 2\nM = N * 8\ndef f():\n    return M + 1"}, 17),
        ({"config.py": "LR = 0.1", "train.py": "from config import LR\nuse(LR)"}, 0.1),
        ({"config.py": "LR = 0.1", "train.py": "import config\nuse(config.LR)"}, 0.1),
        ({"config.py": "LR = 0.1", "train.py": "from config import LR as rate\ndef f():\n    return rate"}, 0.1),
        ({"pkg/__init__.py": "from .c import N", "pkg/c.py": "N = 1", "train.py": "import pkg\nuse(pkg.N)"}, 1),
        ({"config.py": "class Config:\n    LR = 0.1", "train.py": "from config import Config\nuse(Config.LR)"}, 0.1),
        ({"train.py": "class A:\n    n = 1\nclass B(A):\n    pass\nuse(B.n)"}, 1),
        ({"train.py": "A, B = 1, 2\nuse(B)"}, 2),
        ({"train.py": "if True:\n    A = 1\nuse(A)"}, 1),
        ({"train.py": "SIZES = [1, 2]\nuse(SIZES[1])"}, 2),
        ({"train.py": "def f():\n    n = 3\n    return n * 2"}, 6),
    ],
)
def test_names_with_one_assignment(project: Build, files: dict[str, str], expected: object) -> None:
    assert constant(project(files)) == expected


@pytest.mark.parametrize(
    "files",
    [
        {"train.py": "PIPE = False\ntry:\n    import pipe\n    PIPE = True\nexcept ImportError:\n    pass\nuse(PIPE)"},
        {"train.py": "LR = 1\nLR = 2\nuse(LR)"},
        {"train.py": "LR = 1\nLR += 1\nuse(LR)"},
        {"train.py": "LR = 1\ndef f():\n    global LR\n    LR = 2\nuse(LR)"},
        {"train.py": "if c:\n    LR = 1\nuse(LR)"},
        {"train.py": "for i in y:\n    LR = 1\nuse(LR)"},
        {"train.py": "try:\n    LR = 1\nexcept E:\n    pass\nuse(LR)"},
        {"train.py": "LR = 1\nif (LR := f()):\n    pass\nuse(LR)"},
        {"train.py": "LR = 1\nexec(open('configurator.py').read())\nuse(LR)"},
        {"train.py": "LR = LR2\nLR2 = LR\nuse(LR)"},
        {"c.py": "LR = 1", "other.py": "import c\nc.LR = 2", "train.py": "import c\nuse(c.LR)"},
        {"c.py": "LR = 1", "d.py": "import c as d\ndef f():\n    d.LR += 2", "train.py": "from c import LR\nuse(LR)"},
        {"train.py": "from dataclasses import dataclass\n@dataclass\nclass C:\n    lr: float = 1\nuse(C.lr)"},
        {"train.py": "from enum import Enum\nclass C(Enum):\n    A = 1\nuse(C.A)"},
        {"train.py": "class C:\n    n = 1\ndef f(c):\n    c.n = 2\nuse(C.n)"},
        {"train.py": "SIZES = [1]\nSIZES.append(2)\nuse(SIZES)"},
        {"train.py": "SIZES = [1]\ndef f():\n    SIZES[0] = 2\nuse(SIZES)"},
        {"train.py": "def f(n=1):\n    return n"},
        {"train.py": "def f(c):\n    n = 1\n    if c:\n        n = 2\n    return n"},
        {"train.py": "N = 1\ndef f(xs):\n    return [N for N in xs][0]"},
        {"train.py": "N = 1\ndef f(N):\n    return N"},
    ],
)
def test_names_that_may_change(project: Build, files: dict[str, str]) -> None:
    assert constant(project(files)) is UNKNOWN
