"""What the facts keep of a file, checked against ``ast`` and ``tokenize`` on the standard library's own sources."""

from __future__ import annotations

import ast
import io
import sysconfig
import tokenize
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.facts.comments import comments
from mldebt.facts.extract import decode, decode_body, encode, extract
from mldebt.facts.schema import (
    ASSIGNED,
    DEFINED,
    IMPORTED,
    IN_HANDLER,
    IN_TRY,
    TYPE_CHECKING,
    Assign,
    Binary,
    Build,
    Call,
    Const,
    Do,
    If,
    ModuleFacts,
    Ref,
)
from mldebt.facts.walk import calls, statements
from mldebt.sources.text import Source

STDLIB = Path(sysconfig.get_path("stdlib"))
NAMES = ("argparse.py", "dataclasses.py", "random.py", "typing.py", "asyncio/tasks.py", "csv.py")
SAMPLE = [STDLIB / name for name in NAMES]


def facts(text: str) -> ModuleFacts:
    return extract(Source("m.py", text))[0]


def called(text: str) -> list[tuple[int, int]]:
    found, bodies = extract(Source("m.py", text))
    inside = [call for body in bodies for stmt in statements(body) for call in calls(stmt, found.scopes)]
    return sorted((call.line, call.column) for call in inside)


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_every_call_of_a_real_file_is_kept_at_its_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    # annotations are not evaluated where the module says so, and `raise x from y()` is flow, not a value
    dropped = {
        id(node)
        for parent in ast.walk(tree)
        for part in (getattr(parent, field, None) for field in ("annotation", "returns", "cause"))
        if part is not None
        for node in ast.walk(part)
    }
    messages = [node.msg for node in ast.walk(tree) if isinstance(node, ast.Assert) and node.msg]
    dropped |= {id(node) for message in messages for node in ast.walk(message)}
    kept = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in dropped]
    assert called(text) == sorted((node.lineno, node.col_offset) for node in kept)


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_comments_are_those_of_tokenize(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    wanted = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    assert [(comment.line, comment.text) for comment in comments(text)] == wanted


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_facts_survive_encoding(path: Path) -> None:
    found, bodies = extract(Source(path.name, path.read_text(encoding="utf-8")))
    again = decode(encode(found))
    assert [decode_body(raw) for raw in again.bodies] == bodies
    assert (again.imports, again.scopes, again.comments) == (found.imports, found.scopes, found.comments)


LINES = st.lists(
    st.sampled_from(
        [
            "x = 1  # é",
            "s = 'a # b'",
            's = """',
            '"""',
            "# \U0001f600 note",
            "y = f(x)  # c",
            "\tpass",
            "",
            "t = '\\'#'  # z",
        ],
    ),
    max_size=8,
)


@given(LINES)
def test_comments_agree_with_tokenize_wherever_it_reads(rows: list[str]) -> None:
    text = "\n".join(rows) + "\n"
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return
    wanted = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    assert [(comment.line, comment.text) for comment in comments(text)] == wanted


def test_imports_know_where_they_stand() -> None:
    found = facts(
        "import numpy as np\n"
        "try:\n    import cupy\nexcept ImportError:\n    from . import fake as cupy\n"
        "if TYPE_CHECKING:\n    from a.b import C\n"
        "def f():\n    import torch.nn\n"
    )
    rows = [(i.bound, i.module, i.attribute, i.level, i.guard, i.scope) for i in found.imports]
    assert rows == [
        ("np", "numpy", None, 0, 0, 0),
        ("cupy", "cupy", None, 0, IN_TRY, 0),
        ("cupy", "", "fake", 1, IN_HANDLER, 0),
        ("C", "a.b", "C", 0, TYPE_CHECKING, 0),
        ("torch", "torch.nn", None, 0, 0, 1),
    ]


def test_scopes_bind_and_use_names() -> None:
    method_text = "    @cached\n    def f(self, x=LIMIT):\n        y = self.g(x)\n        return [z for z in y]\n"
    found = facts(f"class A:\n{method_text}")
    module, cls, method = found.scopes
    assert (module.bindings, cls.bindings) == ({"A": DEFINED}, {"f": DEFINED})
    assert method.qualname == "A.f"
    assert method.bindings["y"] == ASSIGNED
    assert (method.inner, method.uses) == (["z"], ["self.g", "x", "y", "z"])
    assert cls.uses == ["LIMIT", "cached"]


def test_module_facts_name_aliases_exports_and_the_main_block() -> None:
    exports = "__all__ = ['a']\n__all__ += ['b']\n"
    found = facts(f"import torch\nnn = torch.nn\n{exports}if __name__ == '__main__':\n    a()\n")
    assert [(alias.name, alias.target) for alias in found.aliases] == [("nn", "torch.nn")]
    assert found.exports == ["a", "b"]
    assert found.main == (5, 6)
    assert found.scopes[0].bindings["torch"] == IMPORTED


def test_constants_and_operators_are_values() -> None:
    _, (body,) = extract(Source("m.py", "x = -1 + 2.5\ny = (1, 'a', None)\nz = b'bytes'\n"))
    first, second, _ = body
    assert isinstance(first, Assign)
    assert isinstance(first.value, Binary)
    assert (first.value.left, first.value.op, first.value.right) == (Const(-1), "+", Const(2.5))
    assert isinstance(second, Assign)
    assert second.value == Build("tuple", [Const(1), Const("a"), Const(None)], [])


def test_an_elif_chain_and_a_long_sum_are_no_deeper_than_short_ones() -> None:
    chain = "if x == 0:\n    f()\n" + "".join(f"elif x == {n}:\n    f()\n" for n in range(1, 700))
    _, (body,) = extract(Source("m.py", chain))
    assert isinstance(body[0], If)
    assert len(called(chain)) == 700
    found, _ = extract(Source("m.py", "x = " + " + ".join(["f()"] * 900) + "\n"))
    assert not found.problems


def test_code_lines_leave_out_blank_lines_comments_and_docstrings() -> None:
    text = '"""Doc.\n\nMore.\n"""\n\n# note\nx = 1  # trailing\n\n\ndef f():\n    """Doc."""\n    return x\n'
    assert facts(text).code_lines == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:\n    pass\n", "does not parse"),
        ("print 'hello'\n", "Python 2"),
        ("x = " + "(" * 5000 + ")" * 5000, "nest"),
        ("x = " + "+".join(["1"] * 50_000), "nested too deeply"),
        ("raise ValueError, 'no'\n", "Python 2"),
    ],
)
def test_what_does_not_parse_is_a_problem_and_no_code(text: str, words: str) -> None:
    found = facts(text)
    if not found.problems:  # newer parsers read 50,000 operators, and then all of them are kept
        assert words == "nested too deeply"
        return
    assert words in found.problems[0][1] or "parse" in found.problems[0][1]
    assert (found.code_lines, found.imports) == (0, [])


def test_lone_surrogates_and_huge_literals_are_opaque() -> None:
    _, (body,) = extract(Source("m.py", "f('\\ud800', 10**9, 123456789012345678901234567890, 'x' * 3)\n"))
    assert isinstance(body[0], Do)
    call = body[0].value
    assert isinstance(call, Call)
    assert call.function == Ref("f", 1, 0)
    assert [type(arg).__name__ for arg in call.args] == ["Opaque", "Binary", "Opaque", "Binary"]
