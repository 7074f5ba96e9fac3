"""A look at bodies as they are encoded misses no display that decoding would find."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from mldebt_rules.configuration.encoded_bodies import DISPLAYS

from mldebt.facts.extract import decode_body, extract
from mldebt.facts.schema import Build, Const, Expr
from mldebt.facts.walk import expressions, statements, walk
from mldebt.sources.text import read_source

_VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.text("abcXYZ é_-", max_size=40), st.integers(-9, 9)
)
_ROWS = st.lists(st.one_of(_VALUES, st.lists(_VALUES, max_size=4)), max_size=20)


def displays(code: str) -> Iterator[Expr]:
    facts, _ = extract(read_source("x.py", code.encode()), "project")
    for stmt in statements(decode_body(facts.bodies[0])):
        for root in expressions(stmt):
            yield from walk(root)


def is_wanted(node: Expr) -> bool:
    """A list or tuple of three and more that begins with a text, a float or a row."""
    if not isinstance(node, Build) or node.kind not in ("list", "tuple") or len(node.items) < 3:
        return False
    first = node.items[0]
    return isinstance(first, Build) or (isinstance(first, Const) and isinstance(first.value, (str, float)))


@settings(max_examples=100, deadline=None)
@given(_ROWS, st.booleans())
def test_every_display_is_seen(rows: list[object], as_tuple: bool) -> None:
    code = f"x = f({tuple(rows) if as_tuple else rows!r})\n"
    facts, _ = extract(read_source("x.py", code.encode()), "project")
    if any(is_wanted(node) for node in displays(code)):
        assert DISPLAYS.search(facts.bodies[0]) is not None
