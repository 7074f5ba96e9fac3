"""Strongly connected components of a graph that is read as it is walked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

_Node = TypeVar("_Node", bound=Hashable)


def components(starts: Iterable[_Node], following: Callable[[_Node], Iterable[_Node]]) -> Iterator[list[_Node]]:
    """The components that can be reached, those that are led to before those that lead to them (Tarjan, iterative).

    Args:
        starts: Where to begin, in this order.
        following: Where a node leads. It is read while components are given out, and may leave out what those hold.
    """
    number: dict[_Node, int] = {}
    low: dict[_Node, int] = {}
    held: dict[_Node, None] = {}
    for start in starts:
        if start in number:
            continue
        number[start] = low[start] = len(number)
        held[start] = None
        stack = [(start, iter(following(start)))]
        while stack:
            node, pending = stack[-1]
            onwards = next((one for one in pending if one not in number or one in held), None)
            if onwards is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == number[node]:
                    component: list[_Node] = []
                    while not component or component[-1] != node:
                        component.append(held.popitem()[0])
                    yield component
            elif onwards in number:
                low[node] = min(low[node], number[onwards])
            else:
                number[onwards] = low[onwards] = len(number)
                held[onwards] = None
                stack.append((onwards, iter(following(onwards))))
