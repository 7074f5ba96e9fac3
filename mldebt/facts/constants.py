"""The constant evaluator (F7): what an expression is worth when that can be told from the text alone.

Sizes are capped, so that no expression of a scanned file can cost time or memory: ``10 ** 10 ** 10`` is unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.schema import (
    Binary,
    Boolean,
    Build,
    Compare,
    Conditional,
    Const,
    Expr,
    Format,
    Ref,
    Slice,
    Starred,
    Subscript,
    Unary,
)

# Also list, dict and frozenset of constants; nobody may change one that was handed out.
Constant: TypeAlias = "bool | int | float | str | tuple[Any, ...] | list[Any] | dict[Any, Any] | frozenset[Any] | None"
Lookup: TypeAlias = "Callable[[Ref], Constant | Unknown]"

_DEPTH = 60
_BITS = 256
_ITEMS = 4096

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "<<": operator.lshift, ">>": operator.rshift, "|": operator.or_,
    "^": operator.xor, "&": operator.and_,
}  # fmt: skip
_UNARY: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "in": lambda left, right: left in right, "not in": lambda left, right: left not in right,
}  # fmt: skip
_ERRORS = (ArithmeticError, TypeError, ValueError, LookupError, AttributeError)


def nothing(ref: Ref) -> Constant | Unknown:
    """The lookup that knows no names."""
    return UNKNOWN


def evaluate(expr: Expr, lookup: Lookup = nothing) -> Constant | Unknown:
    """The constant ``expr`` is worth, or ``UNKNOWN``. ``lookup`` is asked for names."""
    return _evaluate(expr, lookup, _DEPTH)


def _evaluate(expr: Expr, lookup: Lookup, depth: int) -> Constant | Unknown:
    if isinstance(expr, Const):
        return expr.value
    if isinstance(expr, Ref):
        return lookup(expr)
    handler = _HANDLERS.get(type(expr))
    if handler is None or not depth:
        return UNKNOWN
    try:
        return handler(expr, lookup, depth - 1)
    except _ERRORS:
        return UNKNOWN


def _binary(expr: Binary, lookup: Lookup, depth: int) -> Constant | Unknown:
    left = _evaluate(expr.left, lookup, depth)
    if left is UNKNOWN:
        return UNKNOWN
    right = _evaluate(expr.right, lookup, depth)
    if right is UNKNOWN or not _small(expr.op, left, right):
        return UNKNOWN
    compute = _ARITHMETIC.get(expr.op)
    return UNKNOWN if compute is None else _real(compute(left, right))


def _real(value: Any) -> Constant | Unknown:
    """``(-1) ** 0.5`` is complex: not a constant of ours."""
    return UNKNOWN if isinstance(value, complex) else value


def _small(op: str, left: Any, right: Any) -> bool:
    """Whether the result stays within the caps. Only ``%`` of a string could grow otherwise: it formats."""
    if op == "%":
        return not isinstance(left, str)
    if op == "+":
        return not hasattr(left, "__len__") or len(left) + len(right) <= _ITEMS
    if op == "*":
        if hasattr(left, "__len__") or hasattr(right, "__len__"):
            sized, times = (left, right) if hasattr(left, "__len__") else (right, left)
            return isinstance(times, int) and len(sized) * times <= _ITEMS
        return _bits(left) + _bits(right) <= _BITS
    if op == "**":
        if isinstance(left, int) and isinstance(right, int):
            return abs(right) * max(_bits(left), 1) <= _BITS
        return True
    if op == "<<":
        return isinstance(right, int) and _bits(left) + right <= _BITS
    return True


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _boolean(expr: Boolean, lookup: Lookup, depth: int) -> Constant | Unknown:
    value: Constant | Unknown = UNKNOWN
    for part in expr.values:
        value = _evaluate(part, lookup, depth)
        if value is UNKNOWN or bool(value) == (expr.op == "or"):
            return value
    return value


def _compare(expr: Compare, lookup: Lookup, depth: int) -> Constant | Unknown:
    left = _evaluate(expr.left, lookup, depth)
    for op, comparator in zip(expr.ops, expr.comparators, strict=True):
        right = _evaluate(comparator, lookup, depth)
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if op in ("is", "is not"):
            if left is not None and right is not None:
                return UNKNOWN  # identity of equal values is the interpreter's business
            holds = (left is right) == (op == "is")
        else:
            holds = bool(_COMPARE[op](left, right))
        if not holds:
            return False
        left = right
    return True


def _conditional(expr: Conditional, lookup: Lookup, depth: int) -> Constant | Unknown:
    test = _evaluate(expr.test, lookup, depth)
    return UNKNOWN if test is UNKNOWN else _evaluate(expr.then if test else expr.orelse, lookup, depth)


def _unary(expr: Unary, lookup: Lookup, depth: int) -> Constant | Unknown:
    operand = _evaluate(expr.operand, lookup, depth)
    compute = _UNARY.get(expr.op)
    return UNKNOWN if operand is UNKNOWN or compute is None else compute(operand)


def _build(expr: Build, lookup: Lookup, depth: int) -> Constant | Unknown:
    if len(expr.items) > _ITEMS:
        return UNKNOWN
    if expr.kind == "dict":
        return _dict(expr, lookup, depth)
    items: list[Any] = []
    for item in expr.items:
        value = _evaluate(item.value if isinstance(item, Starred) else item, lookup, depth)
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(item, Starred):
            items.extend(value)  # type: ignore[arg-type]
        else:
            items.append(value)
        if len(items) > _ITEMS:
            return UNKNOWN
    return tuple(items) if expr.kind == "tuple" else frozenset(items) if expr.kind == "set" else items


def _dict(expr: Build, lookup: Lookup, depth: int) -> Constant | Unknown:
    found: dict[Any, Any] = {}
    for key, item in zip(expr.keys, expr.items, strict=True):
        value = _evaluate(item, lookup, depth)
        name = None if key is None else _evaluate(key, lookup, depth)
        if value is UNKNOWN or name is UNKNOWN:
            return UNKNOWN
        if key is None:
            found.update(value)  # type: ignore[arg-type]
        else:
            found[name] = value
    return found


def _format(expr: Format, lookup: Lookup, depth: int) -> Constant | Unknown:
    """Holes of strings only: the facts keep no conversions and format specifications, which numbers usually have."""
    parts = [_evaluate(part, lookup, depth) for part in expr.parts]
    if any(not isinstance(part, str) for part in parts):
        return UNKNOWN
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if sum(map(len, texts)) <= _ITEMS else UNKNOWN


def _subscript(expr: Subscript, lookup: Lookup, depth: int) -> Any:
    value: Any = _evaluate(expr.value, lookup, depth)
    if value is UNKNOWN:
        return UNKNOWN
    found: Any = UNKNOWN
    if isinstance(expr.index, Slice):
        bounds = [
            None if part is None else _evaluate(part, lookup, depth)
            for part in (expr.index.lower, expr.index.upper, expr.index.step)
        ]
        if UNKNOWN not in bounds:
            found = value[slice(*bounds)]
    else:
        index = _evaluate(expr.index, lookup, depth)
        if index is not UNKNOWN:
            found = value[index]
    return found


_HANDLERS: dict[type, Callable[[Any, Lookup, int], Constant | Unknown]] = {
    Binary: _binary,
    Boolean: _boolean,
    Build: _build,
    Compare: _compare,
    Conditional: _conditional,
    Format: _format,
    Subscript: _subscript,
    Unary: _unary,
}
