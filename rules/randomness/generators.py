"""Generator objects built on the spot: who could have given one instead, and whether one is drawn from."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mldebt.facts import schema as ir
from mldebt.facts.walk import expressions, walk

from .guards import ANY, OPTION, guard

if TYPE_CHECKING:
    from mldebt.module import Module


def fallback(stmt: ir.Stmt, call: ir.Call, parameters: Collection[str]) -> str | None:
    """``rng or default_rng()``, ``Random(s) if s else Random()``: the parameter that comes first or is filled.

    "" when nothing comes first, None when it is an option and not a parameter.
    """
    targets = stmt.targets if isinstance(stmt, ir.Assign) else ()
    filled = next((one.name for one in targets if isinstance(one, ir.Ref) and one.name in parameters), "")
    for expr in expressions(stmt):
        for node in walk(expr):
            first: ir.Expr | None = None
            if isinstance(node, ir.Boolean) and node.op == "or" and _holds(node.values[1:], call):
                first = node.values[0]
            elif isinstance(node, ir.Conditional) and _holds([node.then, node.orelse], call):
                found = guard(node.test, parameters)
                if found.kind == OPTION:
                    return None if found.subject == ANY else found.subject
            if first is not None:
                return first.name if isinstance(first, ir.Ref) and first.name in parameters else None
    return filled


def is_used(module: Module, scope: int, stmt: ir.Stmt, call: ir.Call) -> bool:
    """Whether a generator built here is drawn from, as far as its module shows it."""
    if not isinstance(stmt, (ir.Assign, ir.Annotate)) or stmt.value is not call:
        return True
    targets = stmt.targets if isinstance(stmt, ir.Assign) else [stmt.target]
    names = [target.name for target in targets if isinstance(target, ir.Ref)]
    chains = [chain for one in module.facts.scopes for chain in one.uses]
    return any(chain == name or chain.startswith(f"{name}.") for name in names for chain in chains)


def _holds(exprs: Collection[ir.Expr], call: ir.Call) -> bool:
    return any(node is call for expr in exprs for node in walk(expr))
