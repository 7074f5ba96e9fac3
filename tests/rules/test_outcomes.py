"""What a test over known values can come to, held against Python itself."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.experiments.outcomes import dead_arms, outcomes

from mldebt.facts.extract import decode_body, extract
from mldebt.facts.schema import Body, Const, Expr, If, Ref
from mldebt.facts.walk import calls, statements
from mldebt.sources.text import Source

VALUES = [True, False, None, "a", "b", "A", 0, 1]
TESTS = st.recursive(
    st.one_of(
        st.sampled_from(["x", "y", "True", "None", "'a'", "0", "bool(x)", "str(y)"]),
        st.sampled_from(["x == 'a'", "y != 'b'", "x is None", "y is not None", "x in ('a', 'b')", "y not in ['a', 1]"]),
    ),
    lambda inner: st.one_of(
        inner.map(lambda one: f"(not {one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
    ),
    max_leaves=6,
)


def body_of(text: str) -> Body:
    return decode_body(extract(Source("example.py", text))[0].bodies[0])


def knowing(values: dict[str, list[Any]]) -> Any:
    def known(expr: Expr) -> frozenset[Any] | None:
        return frozenset(values[expr.name]) if isinstance(expr, Ref) and expr.name in values else None

    return known


@given(TESTS, st.lists(st.sampled_from(VALUES), min_size=1, max_size=3), st.lists(st.sampled_from(VALUES), min_size=1))
def test_every_outcome_is_foreseen(text: str, x: list[Any], y: list[Any]) -> None:
    (stmt,) = body_of(f"if {text}:\n    pass\n")
    assert isinstance(stmt, If)
    foreseen = outcomes(stmt.test, knowing({"x": x, "y": y}))
    happens = {bool(eval(text, {"x": one, "y": other})) for one, other in product(x, y)}
    assert foreseen is None or happens <= {bool(one) for one in foreseen}


PROGRAM = """
if {test}:
    1
elif x == 'a':
    2
else:
    3
while y and {test}:
    4
    break
if not ({test}):
    5
"""


@given(TESTS, st.sampled_from(VALUES), st.sampled_from(VALUES))
def test_no_arm_that_runs_is_called_dead(test: str, x: Any, y: Any) -> None:
    text = PROGRAM.format(test=test)
    for number in "12345":
        text = text.replace(f"    {number}\n", f"    seen({number})\n")
    ran: list[int] = []
    exec(text, {"x": x, "y": y, "seen": ran.append})
    arms = dead_arms(body_of(text), knowing({"x": [x], "y": [y]}))
    made = [call for arm in arms for stmt in statements(arm.stmts) for call in calls(stmt)]
    dead = {arg.value for call in made for arg in call.args if isinstance(arg, Const)}
    assert dead.isdisjoint(ran)


def test_what_follows_an_arm_that_always_leaves_is_dead() -> None:
    text = "def f(x):\n    if not x:\n        return 1\n    a = 2\n    return a\n"
    body = decode_body(extract(Source("example.py", text))[0].bodies[1])
    (arm,) = dead_arms(body, knowing({"x": [False]}))
    assert [stmt.line for stmt in arm.stmts] == [4, 5]
