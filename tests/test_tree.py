"""The concrete-syntax door opens statements, and every node is where ``ast`` says it is."""

from __future__ import annotations

import random
import sysconfig
from pathlib import Path

import libcst as cst
import pytest

from mldebt.facts.extract import extract
from mldebt.facts.schema import Define, If
from mldebt.facts.walk import calls, statements
from mldebt.finding import Span
from mldebt.sources.text import Source, lines
from mldebt.tree import open_file, open_statement

STDLIB = Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("name", ["argparse.py", "inspect.py", "statistics.py", "unittest/mock.py"])
def test_fragments_have_every_call_at_its_place(name: str) -> None:
    text = (STDLIB / name).read_text(encoding="utf-8")
    facts, bodies = extract(Source(name, text))
    rows = lines(text)
    every = [(stmt, index) for index, body in enumerate(bodies) for stmt in statements(body)]
    opened = 0
    for stmt, index in random.Random(name).sample(every, 60):
        fragment = open_statement(rows, stmt, facts.scopes, index)
        if fragment is None:
            continue
        opened += 1
        wanted = {
            Span(c.line, len(rows[c.line - 1].encode()[: c.column].decode()) + 1, c.end_line, c.end_column + 1)
            for c in calls(stmt, facts.scopes)
            if rows[c.end_line - 1].isascii()
        }
        assert wanted <= {span for node, span in fragment.spans.items() if isinstance(node, cst.Call)}
    assert opened >= 55


def opened(text: str, kind: type) -> str:
    facts, bodies = extract(Source("m.py", text))
    stmt, index = next((s, i) for i, body in enumerate(bodies) for s in statements(body) if type(s) is kind)
    fragment = open_statement(lines(text), stmt, facts.scopes, index)
    assert fragment is not None
    return fragment.root.code


def test_a_definition_opens_header_and_decorators_only() -> None:
    code = opened("@cached\ndef f(x=g()):\n    return h()\n", Define)
    assert "g()" in code
    assert "h()" not in code


def test_a_condition_opens_without_its_body() -> None:
    assert "body" not in opened("if test():\n    body()\n", If)


def test_a_method_in_a_class_keeps_its_columns() -> None:
    text = "class A:\n    def f(self):\n        return (g(\n  1))\n"
    facts, bodies = extract(Source("m.py", text))
    fragment = open_statement(lines(text), bodies[2][0], facts.scopes, 2)
    assert fragment is not None
    assert fragment.find(Span(3, 17, 4, 5), cst.Call) is not None


def test_astral_characters_count_once() -> None:
    text = "x = {'\U0001f600': f(1)}\n"
    facts, bodies = extract(Source("m.py", text))
    fragment = open_statement(lines(text), bodies[0][0], facts.scopes, 0)
    assert fragment is not None
    assert fragment.find(Span(1, 11, 1, 15), cst.Call) is not None


def test_what_would_crash_libcst_is_not_opened() -> None:
    assert open_file("x = " + "[" * 40 + "]" * 40 + "\n") is not None
    assert open_file("x" + ".a()" * 400 + "\n") is None
