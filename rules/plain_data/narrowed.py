"""What a cast is of: the column, the columns or the variable, and where its result goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Build,
    Call,
    Comprehension,
    Const,
    Expr,
    For,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import statements, walk

if TYPE_CHECKING:
    from mldebt.module import Module

# Functions that put their first argument into another container.
MAKERS = frozenset(
    "tensor array asarray as_tensor Series from_numpy convert_to_tensor constant asanyarray fromiter".split()
)
_COLUMNS = frozenset({"col", "column"})
_TIMES = frozenset({"time", "to_datetime", "timestamp", "time_ns", "utcnow", "now"})
# What these give is no longer the value: masks, codes, counts, differences.
_NEW_VALUE = frozenset(
    """eq ne gt lt ge le isin isna notna isnull notnull nunique count size sum mean std var min max factorize map apply
    replace rank transform diff pct_change len any all numel get_dummies bincount where log log1p hour day total_seconds
    shape sub div""".split()
)
_ALL_NUMBERS = frozenset({"number", "int", "int64", "integer", "numeric"})


def target_of(stmt: Stmt) -> tuple[str, str]:
    """The variable a statement assigns, and the column of it."""
    if isinstance(stmt, Assign):
        target = stmt.targets[0]
    elif isinstance(stmt, Annotate):
        target = stmt.target
    else:
        return "", ""
    if isinstance(target, Ref):
        return target.name, ""
    if isinstance(target, Subscript) and isinstance(target.value, Ref):
        index, name = target.index, target.value.name
        if isinstance(index, Build) and index.items and name.endswith((".loc", ".iloc")):
            index = index.items[-1]
        if isinstance(index, Const) and isinstance(index.value, str):
            return name.removesuffix(".loc"), index.value
    return "", ""


def filled_frame(stmt: Stmt) -> str:
    """The frame whose columns a statement writes: ``df[cols] = ...``, ``df.loc[:, cols] = ...``."""
    target = stmt.targets[0] if isinstance(stmt, Assign) else None
    frame = target.value if isinstance(target, Subscript) else None
    return frame.name.removesuffix(".loc") if isinstance(frame, Ref) else ""


def receiver(function: Ref | Attribute) -> Expr | None:
    """What a method is called on."""
    if isinstance(function, Attribute):
        return function.value
    head = function.name.rpartition(".")[0]
    return Ref(head, function.line, function.column) if head else None


def linked(module: Module, scope: int, expr: Ref | Attribute) -> str:
    """The last segment of what an expression is linked to, else of what is written."""
    names = module.names(scope, expr) if isinstance(expr, Ref) else ()
    return (names[0] if len(names) == 1 else expr.name).rpartition(".")[2]


def named(module: Module, scope: int, subject: Expr) -> str | None:
    """The column or variable a cast is of, through calls that keep its values; None when one gives new values."""
    node: Expr | None = subject
    while isinstance(node, (Call, Comprehension)):
        if isinstance(node, Comprehension):
            node = node.element
            continue
        function = node.function
        last = linked(module, scope, function) if isinstance(function, (Ref, Attribute)) else ""
        if last in _COLUMNS and node.args and isinstance(node.args[0], Const):
            return str(node.args[0].value)
        if last in _NEW_VALUE:
            return None
        if last in MAKERS or (last in ("int", "list") and node.args):
            node = node.args[0] if node.args else None
        else:
            node = receiver(function) if isinstance(function, (Ref, Attribute)) else None
    if isinstance(node, Attribute) and node.name == "values":
        node = node.value
    if isinstance(node, Subscript):
        index = node.index
        return index.value if isinstance(index, Const) and isinstance(index.value, str) else ""
    return last_segment(node).removesuffix(".values") if node is not None else ""


def holder(subject: Expr) -> str:
    """The variable a subscript is of."""
    node = subject
    while isinstance(node, (Subscript, Attribute)):
        node = node.value
    return node.name if isinstance(node, Ref) else ""


def stores_times(module: Module, array: str) -> bool:
    """Whether clock times are stored in the elements of an array: ``stamps[i] = time.time()``."""
    if module.mentions.isdisjoint(_TIMES):
        return False
    for index in module.scopes_using((array.rpartition(".")[2],)):
        for stmt in statements(module.body(index)):
            filled = isinstance(stmt, Assign) and any(_is_element(one, array) for one in stmt.targets)
            values = walk(stmt.value) if filled and isinstance(stmt, Assign) else []
            if any(isinstance(node, Call) and is_time_call(module, index, node) for node in values):
                return True
    return False


def _is_element(target: Expr, array: str) -> bool:
    return isinstance(target, Subscript) and isinstance(target.value, Ref) and target.value.name == array


def is_time_call(module: Module, scope: int, call: Call) -> bool:
    """Whether a call gives a point in time."""
    function = call.function
    return isinstance(function, (Ref, Attribute)) and linked(module, scope, function) in _TIMES


def written(module: Module, scope: int, expr: object) -> object:
    """What a name stands for that is assigned once in its function or file; any other expression itself."""
    if not isinstance(expr, Ref) or "." in expr.name:
        return expr
    for index in dict.fromkeys((scope, 0)):
        bound = [
            stmt
            for stmt in statements(module.body(index))
            if isinstance(stmt, Assign) and any(isinstance(t, Ref) and t.name == expr.name for t in stmt.targets)
        ]
        if bound:
            return bound[0].value if len(bound) == 1 else expr
    return expr


def texts_of(module: Module, scope: int, index: Expr) -> list[str]:
    """The columns a subscript names: a list of texts, a constant of them, the variable of a loop over them."""
    value = module.constant(scope, index)
    if value is UNKNOWN and isinstance(index, Ref):
        over = _looped(module, scope, index.name)
        value = module.constant(scope, over) if over is not None else value
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, (list, tuple)) else []


def numbers_of(module: Module, scope: int, index: Expr) -> bool:
    """Whether a subscript takes every column, or every column of numbers."""
    if isinstance(index, Ref) and "." not in index.name:
        over = _looped(module, scope, index.name)
        found = over if over is not None else written(module, scope, index)
        if not isinstance(found, (Ref, Attribute, Call, Subscript)):
            return False
        index = found
    if isinstance(index, Ref):
        return index.name.endswith(".columns")
    for node in walk(index):
        if isinstance(node, Call) and last_segment(node.function) == "select_dtypes":
            given = [*node.args[:1], *[one.value for one in node.keywords if one.name == "include"]]
            parts = [part for one in given for part in walk(one)]
            said = {part.value if isinstance(part, Const) else last_segment(part) for part in parts}
            return not _ALL_NUMBERS.isdisjoint(said)
    return False


def _looped(module: Module, scope: int, name: str) -> Expr | None:
    """What a loop without conditions draws a name from."""
    for stmt in statements(module.body(scope)):
        if isinstance(stmt, For) and isinstance(stmt.target, Ref) and stmt.target.name == name:
            straight = all(type(inner) is Assign for inner in stmt.body)
            return stmt.iterable if straight else None
    return None
