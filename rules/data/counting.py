"""Whether a program says how many rows it has: prints, logs, asserts or keeps a length."""

from __future__ import annotations

from collections.abc import Iterable

from mldebt.facts.schema import Assert, Assign, Attribute, Call, Do, Expr, If, Raise, Ref, Stmt
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .rows import Site

_SAYS = frozenset(
    "print display info debug warning warn error log write echo log_metric log_metrics log_param log_params critical "
    "exception secho report append_metric record".split()
)
_SIZES = frozenset({"shape", "size"})
_COUNTS = frozenset({"len", "info", "count", "nunique", "isnull", "isna"})


class Counting(Analysis):
    """Asked for the places where rows are lost."""

    def near(self, sites: Iterable[Site]) -> bool:
        """Whether one of the functions, or its module's body, says how many rows there are."""
        seen: set[tuple[str, int]] = set()
        for site in sites:
            for scope in (site.scope, 0):
                key = (site.module.path, scope)
                if key not in seen:
                    seen.add(key)
                    if any(_counts(stmt) for stmt in statements(site.module.body(scope))):
                        return True
        return False


def _counts(stmt: Stmt) -> bool:
    if isinstance(stmt, Do):
        call = stmt.value
        if isinstance(call, Call) and isinstance(call.function, (Ref, Attribute)):
            last = call.function.name.rpartition(".")[2]
            return last in ("len", "info", "count") or (
                last in _SAYS and _sized(call.args + [k.value for k in call.keywords])
            )
        return _sized([stmt.value])  # the last line of a notebook's cell
    if isinstance(stmt, Assign):
        return (
            isinstance(stmt.value, Call) and isinstance(stmt.value.function, Ref) and stmt.value.function.name == "len"
        )
    if isinstance(stmt, (Assert, Raise, If)):
        return _sized(expressions(stmt))
    return False


def _sized(exprs: Iterable[Expr]) -> bool:
    for expr in exprs:
        for part in walk(expr):
            if isinstance(part, Call) and isinstance(part.function, (Ref, Attribute)):
                if part.function.name.rpartition(".")[2] in _COUNTS:
                    return True
            elif isinstance(part, (Ref, Attribute)) and part.name.rpartition(".")[2] in _SIZES:
                return True
    return False
