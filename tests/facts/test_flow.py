"""Reaching definitions, read off small programs: which lines may define a name where it is printed."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.facts.extract import extract
from mldebt.facts.flow import Flow, Origin, calls, expressions, statements, walk
from mldebt.facts.schema import Call, Do, Ref
from mldebt.sources.text import Source


def flow_of(code: str, index: int = 0) -> tuple[Flow, list[Ref]]:
    facts, bodies = extract(Source("example.py", dedent(code).lstrip("\n")))
    refs = [
        node
        for stmt in statements(bodies[index])
        for expr in expressions(stmt, facts.scopes)
        for node in walk(expr)
        if isinstance(node, Ref)
    ]
    return Flow.of(facts, index, bodies[index]), refs


def origins(code: str, name: str, index: int = 0) -> tuple[Origin, ...]:
    """The origins of the last read of ``name``."""
    flow, refs = flow_of(code, index)
    return flow.origins([ref for ref in refs if ref.name == name][-1])


def lines(code: str, name: str, index: int = 0) -> list[int]:
    return [origin.statement.line if origin.statement else 0 for origin in origins(code, name, index)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nx = 2\nprint(x)", [2]),
        ("x = 1\nif c:\n    x = 2\nprint(x)", [1, 3]),
        ("if c:\n    x = 1\nelif d:\n    x = 2\nelse:\n    x = 3\nprint(x)", [2, 4, 6]),
        ("x = 1\nif c:\n    x = 2\n    raise E\nprint(x)", [1]),
        ("x = 1\nfor i in y:\n    x = 2\nprint(x)", [1, 3]),
        ("x = 1\nfor i in y:\n    print(x)\n    x = 2", [1, 4]),
        ("x = 1\nfor i in y:\n    x = 2\n    break\nelse:\n    x = 3\nprint(x)", [3, 6]),
        ("x = 1\nwhile True:\n    x = 2\n    if c:\n        break\nprint(x)", [3]),
        ("x = 1\nwhile c:\n    if d:\n        x = 2\n        continue\n    x = 3\nprint(x)", [1, 4, 6]),
        ("x = 1\ntry:\n    x = f()\nexcept E:\n    pass\nprint(x)", [1, 3]),
        ("try:\n    x = f()\n    x = g()\nexcept E:\n    print(x)", [2, 3]),
        ("x = 1\ntry:\n    x = f()\nexcept E:\n    raise\nprint(x)", [3]),
        ("x = 1\ntry:\n    x = f()\nfinally:\n    x = 3\nprint(x)", [5]),
        ("x = 1\ntry:\n    x = f()\nfinally:\n    print(x)", [1, 3]),
        ("x = 1\ntry:\n    g()\nexcept E:\n    x = 2\nelse:\n    x = 3\nprint(x)", [5, 7]),
        ("for i in y:\n    try:\n        x = 1\n        break\n    finally:\n        x = 2\nprint(x)", [6]),
        ("x = 1\nwith suppress(E):\n    x = f()\nprint(x)", [1, 3]),
        ("x = 1\nwith lock:\n    x = f()\nprint(x)", [3]),
        ("match y:\n    case 1:\n        x = 1\n    case _:\n        x = 2\nprint(x)", [3, 5]),
        ("x = 0\nmatch y:\n    case 1:\n        x = 1\nprint(x)", [1, 4]),
        ("x = 1\ndel x\nprint(x)", []),
        ("x = 1\nx += 2\nprint(x)", [2]),
        ("import sys\nx = 1\nif c:\n    x = 2\n    sys.exit(1)\nprint(x)", [2]),
        ("if (x := f()) and g:\n    print(x)", [1]),
        ("x = 1\nc and (x := 2)\nprint(x)", [1, 2]),
        ("print(y, x := 1, x)", [1]),
        ("x = 1\ny = [x for x in z]\nprint(x)", [1]),
        ("from a import x\nprint(x)", [1]),
        ("def x(): pass\nprint(x)", [1]),
        ("print(x)", []),
    ],
)
def test_definitions_that_reach_a_read(code: str, expected: list[int]) -> None:
    assert lines(code, "x") == expected


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("for x in y: print(x)", "loop"),
        ("with open(p) as x: print(x)", "context"),
        ("import x\nprint(x)", "import"),
        ("class x: pass\nprint(x)", "definition"),
        ("x += 1\nprint(x)", "augment"),
        ("try: f()\nexcept E as x: print(x)", "unknown"),
        ("match y:\n    case [x, 1]: print(x)", "unknown"),
        ("print([x for x in y])", "loop"),
        ("print(lambda x: x)", "parameter"),
    ],
)
def test_kinds(code: str, kind: str) -> None:
    assert [origin.kind for origin in origins(code, "x")] == [kind]


@pytest.mark.parametrize(
    ("code", "path", "value"),
    [
        ("a, x = f()", (1,), Call),
        ("a, (b, x) = f()", (1, 1), Call),
        ("a, *x = f()", ("*",), Call),
        ("*a, x = f()", (-1,), Call),
        ("for i, (x, z) in f(): print(x)", (1, 0), Call),
        ("a, x = y, g", (), Ref),
        ("a = x = g", (), Ref),
    ],
)
def test_unpacking(code: str, path: tuple[int | str, ...], value: type) -> None:
    (origin,) = origins(f"{code}\nprint(x)", "x")
    assert origin.path == path
    assert isinstance(origin.value, value)


def test_parameters_and_the_statements_that_replace_them() -> None:
    code = "def f(x, y):\n    if x is None:\n        x = y\n    return x"
    assert [origin.kind for origin in origins(code, "x", 1)] == ["parameter", "assign"]


def test_attributes_are_followed_until_their_head_is_bound_again() -> None:
    code = "cfg.lr = 1\nif c:\n    cfg = load()\nprint(cfg.lr)"
    assert [(origin.name, origin.statement and origin.statement.line) for origin in origins(code, "cfg.lr")] == [
        ("cfg.lr", 1),
        ("cfg", 3),
    ]


def test_names_other_scopes_assign_are_also_unknown() -> None:
    code = "x = 1\ndef f():\n    global x\n    x = 2\nprint(x)"
    assert [origin.kind for origin in origins(code, "x")] == ["assign", "unknown"]
    nested = "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n    return x"
    assert [origin.kind for origin in origins(nested, "x", 1)] == ["assign", "unknown"]


def test_a_comprehension_reads_its_first_iterable_outside() -> None:
    flow, refs = flow_of("x = f()\nprint([x for x in x])")
    reads = {(ref.line, ref.column): [o.kind for o in flow.origins(ref)] for ref in refs if ref.name == "x"}
    assert reads[2, 18] == ["assign"]
    assert reads[2, 7] == ["loop"]


def test_what_holds_at_the_end_and_all_definitions() -> None:
    flow, _ = flow_of("x = 1\nif c:\n    x = 2\nelse:\n    x = 3")
    assert [origin.statement and origin.statement.line for origin in flow.at_end("x")] == [3, 5]
    assert [origin.statement and origin.statement.line for origin in flow.definitions("x")] == [1, 3, 5]


def test_walk_gives_calls_in_evaluation_order() -> None:
    facts, bodies = extract(Source("example.py", "f(a(), *b(), k=c())[d()].e(g() if h() else i())"))
    (stmt,) = bodies[0]
    assert isinstance(stmt, Do)
    names = [call.function.name for call in calls(stmt, facts.scopes) if isinstance(call.function, Ref)]
    assert names == ["a", "b", "c", "f", "d", "h", "g", "i"]


def test_long_chains_do_not_exhaust_the_stack() -> None:
    chain = "if c == 0:\n    x = 0\n" + "".join(f"elif c == {i}:\n    x = {i}\n" for i in range(1, 400))
    assert len(lines(chain + "print(x)", "x")) == 400


SIMPLE = st.sampled_from(["x = {n}", "print(x)", "x += {n}", "y = {n}", "f()"])


@st.composite
def blocks(draw: st.DrawFn, depth: int = 3) -> list[str]:
    """Random structured programs whose every name is ``x`` or free."""
    found: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["simple", "if", "for", "try", "with"] if depth else ["simple"]))
        if kind == "simple":
            found.append(draw(SIMPLE).format(n=draw(st.integers(0, 9))))
            continue
        inner = [f"    {line}" for line in draw(blocks(depth=depth - 1))]
        other = [f"    {line}" for line in draw(blocks(depth=depth - 1))]
        head = {"if": "if c:", "for": "for i in y:", "try": "try:", "with": "with m:"}[kind]
        second = {"if": "else:", "for": "else:", "try": "except E:", "with": ""}[kind]
        found += [head, *inner, *([second, *other] if second else [])]
    return found


@given(blocks())
def test_origins_are_definitions_of_the_name(program: list[str]) -> None:
    flow, refs = flow_of("x = 0\n" + "\n".join(program) + "\nprint(x)")
    everything = flow.definitions("x")
    for ref in refs:
        if ref.name == "x" and ref.line > 1:
            found = flow.origins(ref)
            assert found
            assert all(origin in everything for origin in found)


@given(blocks())
def test_a_definition_right_before_a_read_is_the_only_one(program: list[str]) -> None:
    text = "\n".join(program)
    assert lines(f"{text}\nx = 1\nprint(x)", "x") == [text.count("\n") + 2]
