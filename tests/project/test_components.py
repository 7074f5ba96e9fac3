"""Strongly connected components, read as they are walked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mldebt.project.components import components

GRAPH = {"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": [], "e": ["a"]}


def test_components_come_after_what_they_lead_to() -> None:
    found = [sorted(one) for one in components(["e"], GRAPH.__getitem__)]
    assert found == [["d"], ["b", "c"], ["a"], ["e"]]


def test_what_is_settled_meanwhile_may_be_left_out() -> None:
    settled: set[str] = set()
    for component in components(["e"], lambda node: (one for one in GRAPH[node] if one not in settled)):
        settled.update(component)
    assert settled == set(GRAPH)


@given(st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=12, max_size=12))
def test_two_nodes_share_a_component_if_each_leads_to_the_other(edges: list[list[int]]) -> None:
    def reached(start: int) -> set[int]:
        found, pending = {start}, [start]
        for node in pending:
            fresh = [one for one in edges[node] if one not in found]
            found.update(fresh)
            pending += dict.fromkeys(fresh)
        return found

    of = {node: index for index, one in enumerate(components(range(12), edges.__getitem__)) for node in one}
    reach = {node: reached(node) for node in range(12)}
    for one in range(12):
        for other in range(12):
            assert (of[one] == of[other]) == (one in reach[other] and other in reach[one])
