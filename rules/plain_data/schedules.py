"""Whether a learning-rate schedule is advanced once a batch: what it counts are steps then, not epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import Assign, Call, Expr, For, Ref, Stmt, While
from mldebt.facts.walk import blocks, calls, statements, walk

if TYPE_CHECKING:
    from mldebt.module import Module

_BATCHES = ("loader", "batch", "dataset")


def steps_each_batch(module: Module, made: Call) -> bool:
    """Whether what ``made`` makes is stepped in a loop over batches, in the file that makes it."""
    names: set[str] = set()
    for index in module.scopes_using(("step",)):
        for stmt in statements(module.body(index)):
            if isinstance(stmt, Assign) and any(node is made for node in walk(stmt.value)):
                names.update(target.name for target in stmt.targets if isinstance(target, Ref))
    names = names or {"scheduler", "lr_scheduler", "self.scheduler", "self.lr_scheduler"}
    found = [_depth(module.body(index), f, 0) for f in names for index in module.scopes_using(("step",))]
    return any(depth is not None and depth > 1 for depth in found)


def _depth(body: Sequence[Stmt], name: str, depth: int) -> int | None:
    """How many loops a ``name.step()`` stands in; a loop over batches counts double."""
    for stmt in body:
        for call in calls(stmt):
            if isinstance(call.function, Ref) and call.function.name == f"{name}.step":
                return depth
        loops = isinstance(stmt, (For, While))
        inner = depth + (2 if isinstance(stmt, For) and _is_batched(stmt.iterable) else 1 if loops else 0)
        for block in blocks(stmt):
            found = _depth(block, name, inner)
            if found is not None:
                return found
    return None


def _is_batched(iterable: Expr) -> bool:
    return any(isinstance(node, Ref) and any(word in node.name.lower() for word in _BATCHES) for node in walk(iterable))
