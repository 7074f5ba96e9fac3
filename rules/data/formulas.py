"""What a piece of preprocessing computes, written so that two versions of it can be told apart.

A formula is what it starts from (a feature, a parameter, something unknown) and the steps done to it, in order. Scaling
by constants is one step, however it is written: ``(x - 127.5) / 127.5`` is ``x / 127.5 - 1``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import (
    Assign,
    Attribute,
    Augment,
    Binary,
    Boolean,
    Build,
    Call,
    Const,
    Expr,
    Lambda,
    Ref,
    Return,
    Stmt,
    Subscript,
    Unary,
    With,
)
from mldebt.facts.walk import blocks, expressions, walk

if TYPE_CHECKING:
    from mldebt.module import Module

UNKNOWN, FEATURE, PARAMETER, OPERATION, CALL = "?", "feature", "parameter", "operation", "call"
_SAME = frozenset(
    """float int str astype asarray array to_numpy copy tensor from_numpy item numpy unsqueeze expand_dims reshape
    flatten tolist values list Series DataFrame cuda to cpu view contiguous as_tensor decode float32 float64 squeeze
    convert_to_tensor fromarray asanyarray ravel to_list Variable ascontiguousarray stack""".split()
)
# Steps with a meaning of their own: without them, or with others, the values differ.
_STEPS = frozenset(
    """lower upper casefold strip log log1p log10 log2 sqrt exp expm1 clip abs round floor ceil sub replace tanh
    sigmoid square fillna title capitalize removeprefix removesuffix normalize swapcase rint power cbrt reciprocal
    sin cos split translate map isin between""".split()
)
_IDLE = frozenset("axis dim dtype device errors copy verbose name path filename labels".split())
_FILLS = frozenset({"fillna", "nan_to_num", "get"})
_COLUMNS = re.compile(r"feature|column|(^|_)cols($|_)|predictor|(^|_)inputs?($|_)", re.IGNORECASE)
_TOLERANCE = 1e-6


class Step(Struct, frozen=True):
    """``name`` with constant arguments; ``scale`` stands for ``factor * x + offset``."""

    name: str
    arguments: tuple[object, ...] = ()
    factor: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        if self.name != "scale":
            return f"{self.name}({', '.join(map(repr, self.arguments))})"
        if self.factor == 1:
            return f"{'+' if self.offset > 0 else '-'} {abs(self.offset):g}"
        scaled = f"* {self.factor:g}" if abs(self.factor) >= 1 else f"/ {1 / self.factor:g}"
        if abs(self.offset) < _TOLERANCE:
            return scaled
        middle = -self.offset / self.factor
        return f"{'-' if middle > 0 else '+'} {abs(middle):g}, {scaled}"


class Formula(Struct, frozen=True):
    """``kind`` of what it starts from, its ``name``, for an operation its ``parts``, and the steps."""

    kind: str
    name: str = ""
    parts: tuple[Formula, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def scale(self) -> Step | None:
        """The scaling, if that is all that is known to be done."""
        steps = self.steps[1:] if self.kind == CALL else self.steps
        return steps[0] if len(steps) == 1 and steps[0].name == "scale" else None

    @property
    def is_telling(self) -> bool:
        return bool(self.steps) or any(part.is_telling for part in self.parts) or self.kind == OPERATION

    @property
    def features(self) -> frozenset[str]:
        """The columns and attributes it is computed from."""
        own = {self.name} if self.kind == FEATURE else set()
        return frozenset(own.union(*(part.features for part in self.parts)))

    def then(self, step: Step) -> Formula:
        if step.name == "scale" and self.steps and self.steps[-1].name == "scale":
            last = self.steps[-1]
            step = Step("scale", (), last.factor * step.factor, last.offset * step.factor + step.offset)
            return Formula(self.kind, self.name, self.parts, (*self.steps[:-1], step))
        return Formula(self.kind, self.name, self.parts, (*self.steps, step))


_NOTHING = Formula(UNKNOWN)
Names = Mapping[str, Formula]


class Reader:
    """Reads formulas in one scope."""

    def __init__(self, module: Module, scope: int) -> None:
        self.module, self.scope = module, scope

    def of(self, expr: Expr, names: Names) -> Formula:
        if isinstance(expr, Ref):
            return self._name(expr, names)
        if isinstance(expr, Subscript):
            key = expr.index.value if isinstance(expr.index, Const) else None
            return Formula(FEATURE, key) if isinstance(key, str) else self.of(expr.value, names)
        if isinstance(expr, Binary):
            return self._operation(expr.op, expr.left, expr.right, names)
        if isinstance(expr, Call):
            return self._call(expr, names)
        if isinstance(expr, Boolean) and expr.op == "or" and len(expr.values) == 2:
            return self.of(expr.values[0], names)
        if isinstance(expr, Build) and len(expr.items) == 1 and expr.kind in ("list", "tuple"):
            return self.of(expr.items[0], names)
        if isinstance(expr, Attribute):
            return self.of(expr.value, names) if expr.name in _SAME else _NOTHING
        return _NOTHING

    def _made(self, call: Call, linked: tuple[str, ...], names: Names) -> Formula:
        """What a function of a library makes of values: ``pandas.cut(age, [0, 18, 65])``."""
        if len(linked) != 1 or linked[0].startswith("builtins."):
            return _NOTHING
        named = [(str(at), one) for at, one in enumerate(call.args)]
        named += [(one.name, one.value) for one in call.keywords if one.name is not None]
        values = {name: self.constant(one) for name, one in named}
        parts = tuple(self.of(one, names) for name, one in named if values[name] is None)
        if all(part.kind == UNKNOWN for part in parts):
            return _NOTHING
        kept = tuple(sorted((name, value) for name, value in values.items() if value is not None and name not in _IDLE))
        return Formula(CALL, linked[0], parts, (Step(linked[0], kept),))

    def constant(self, expr: Expr) -> object:
        """A number, a text, a list of them, or a dict of them as pairs; None for all else."""
        if isinstance(expr, Const):
            return expr.value
        if isinstance(expr, Build) and expr.items:
            items = [self.constant(one) for one in expr.items]
            keys = [self.constant(one) if one is not None else None for one in expr.keys]
            if None in items or None in keys:
                return None
            return (
                tuple(sorted(zip(map(str, keys), items, strict=True), key=str)) if expr.kind == "dict" else tuple(items)
            )
        if isinstance(expr, Ref):
            value = self.module.constant(self.scope, expr)
            if isinstance(value, (list, tuple)) and value and all(isinstance(one, (int, float, str)) for one in value):
                return tuple(value)
            if isinstance(value, str):
                return value
        return self.number(expr)

    def number(self, expr: Expr) -> float | None:
        if isinstance(expr, Unary) and expr.op == "-":
            inner = self.number(expr.operand)
            return None if inner is None else -inner
        value: object = expr.value if isinstance(expr, Const) else None
        if isinstance(expr, (Ref, Binary)):
            value = self.module.constant(self.scope, expr)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    def _name(self, ref: Ref, names: Names) -> Formula:
        head, _, rest = ref.name.partition(".")
        last = rest.rpartition(".")[2]
        if last in ("values", "T", "str", "dt"):
            rest = rest.rpartition(".")[0]
        if not rest:
            return names.get(head, _NOTHING)
        return Formula(FEATURE, rest.rpartition(".")[2]) if head in names else _NOTHING

    def _operation(self, op: str, left: Expr, right: Expr, names: Names) -> Formula:
        number, inner = self.number(right), left
        if number is None:
            number, inner = self.number(left), right
            if number is not None and op in ("/", "**", "-", "//", "%"):
                return _NOTHING
        if number is None:
            parts = self.of(left, names), self.of(right, names)
            return Formula(OPERATION, op, parts) if op in ("+", "-", "*", "/", "**", "//") else _NOTHING
        found = self.of(inner, names)
        if op in ("+", "-"):
            return found.then(Step("scale", (), 1.0, number if op == "+" else -number))
        if op == "*" or (op == "/" and number):
            return found.then(Step("scale", (), number if op == "*" else 1 / number))
        return found.then(Step(op, (number,)))

    def _call(self, call: Call, names: Names) -> Formula:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return _NOTHING
        head, _, last = function.name.rpartition(".")
        linked = (
            self.module.project.resolve(self.module, self.scope, function.name) if isinstance(function, Ref) else ()
        )
        if any(":" in name for name in linked):
            return _NOTHING
        args = list(call.args)
        if isinstance(function, Attribute):
            inner: Expr | None = Attribute(function.value, head, 0, 0, 0, 0) if head else function.value
        elif linked or not head:
            regex = any(name in ("re.sub", "regex.sub") for name in linked)
            inner = args.pop(2 if regex and len(args) > 2 else 0) if args else None
        else:
            inner = Ref(head, function.line, function.column)
        if inner is None:
            return self._made(call, linked, names)
        if last == "get" and args and isinstance(args[0], Const) and isinstance(args[0].value, str):
            return Formula(FEATURE, args[0].value)
        found = self.of(inner, names)
        if last in _SAME:
            return found
        if last not in _STEPS:
            return self._made(call, linked, names)
        given = [*args, *[keyword.value for keyword in call.keywords if keyword.name != "regex"]]
        values = tuple(self.constant(one) for one in given)
        return found.then(Step(last, values))


def _differs(one: Formula, other: Formula) -> tuple[str, str] | None:
    """Two calls of one function, by the constants both give under one name."""
    ours, theirs = _stated(one.steps[0]), _stated(other.steps[0])
    for key in sorted(ours.keys() & theirs.keys()):
        left, right = ours[key], theirs[key]
        if left is not None and right is not None and left != right:
            name = one.name.rpartition(".")[2]
            return f"{name}({key}={_shown(left)})", f"{name}({key}={_shown(right)})"
    return None


def _stated(step: Step) -> dict[str, object]:
    return {str(one[0]): one[1] for one in step.arguments if isinstance(one, tuple)}


def _shown(value: object) -> str:
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, tuple) else f"{value!r}"


class Computed(Struct):
    """What a body computes: features and variables by name, what is handed on as it is, and what is returned."""

    features: dict[str, list[tuple[Formula, Stmt]]]
    variables: dict[str, list[tuple[Formula, Stmt]]]
    handed: list[tuple[Formula, Stmt]]
    returned: list[tuple[Formula, Stmt]]
    columns: list[tuple[tuple[str, ...], Stmt]]  # lists of three column names and more


def computed(module: Module, scope: int) -> Computed:
    """The formulas of one function or module body. What a branch or a loop binds is unknown after it."""
    own = module.facts.scopes[scope]
    names = {one.name: Formula(PARAMETER, one.name) for one in own.parameters if one.name not in ("self", "cls")}
    found = Computed({}, {}, [], [], [])
    _block(Reader(module, scope), module.body(scope), names, found, inside=False)
    return found


def _block(reader: Reader, body: Sequence[Stmt], names: dict[str, Formula], found: Computed, inside: bool) -> None:
    for stmt in body:
        _handed(reader, stmt, names, found)
        if isinstance(stmt, Assign) and len(stmt.targets) == 1:
            if isinstance(stmt.targets[0], Ref) and _COLUMNS.search(stmt.targets[0].name):
                _listed(stmt.value, stmt, found)
            _bind(stmt.targets[0], reader.of(stmt.value, names), names, found, stmt, inside)
        elif isinstance(stmt, Augment):
            op = stmt.op.rstrip("=")
            value = Binary(op, stmt.target, stmt.value, stmt.line, stmt.column, stmt.end_line, 0)
            _bind(stmt.target, reader.of(value, names), names, found, stmt, inside)
        elif isinstance(stmt, Return) and stmt.value is not None:
            found.returned.append((reader.of(stmt.value, names), stmt))
        elif isinstance(stmt, With):
            _block(reader, stmt.body, names, found, inside)
        elif inner := [block for block in blocks(stmt) if block]:
            for block in inner:
                _block(reader, block, dict(names), found, True)
            names.clear()


def _bind(
    target: Expr, value: Formula, names: dict[str, Formula], found: Computed, stmt: Stmt, inside: bool
) -> None:  # fmt: skip
    if isinstance(target, Ref) and "." not in target.name:
        names[target.name] = value
        known, key = found.variables, target.name
    elif isinstance(target, Subscript) and isinstance(target.index, Const) and isinstance(target.index.value, str):
        known, key = found.features, target.index.value
    else:
        return
    if inside:
        known.setdefault(key, []).append((value, stmt))
    else:
        known[key] = [(value, stmt)]


def _handed(reader: Reader, stmt: Stmt, names: Names, found: Computed) -> None:
    """Arithmetic that is given to calls, and tables of features: ``{"bmi": weight / height ** 2}``."""
    for expr in expressions(stmt):
        for node in walk(expr) if type(expr) is not Ref else ():
            if isinstance(node, Call):
                _given(reader, node, stmt, names, found)
            elif isinstance(node, Subscript):
                _listed(node.index, stmt, found)
            elif isinstance(node, Build) and node.kind == "dict":
                for key, item in zip(node.keys, node.items, strict=True):
                    if isinstance(key, Const) and isinstance(key.value, str):
                        found.features.setdefault(key.value, []).append((reader.of(item, names), stmt))


def _given(reader: Reader, call: Call, stmt: Stmt, names: Names, found: Computed) -> None:
    found.handed += [(reader.of(one, names), stmt) for one in call.args if isinstance(one, Binary)]
    assigns = isinstance(call.function, (Ref, Attribute)) and call.function.name.endswith("assign")
    for keyword in call.keywords:
        value = keyword.value
        if isinstance(value, Binary):
            found.handed.append((reader.of(value, names), stmt))
        if keyword.name == "columns":
            _listed(value, stmt, found)
        if assigns and keyword.name is not None and not isinstance(value, Lambda):
            found.features.setdefault(keyword.name, []).append((reader.of(value, names), stmt))


def _listed(expr: Expr, stmt: Stmt, found: Computed) -> None:
    """A list of column names: it selects columns, or is called so."""
    if isinstance(expr, Build) and expr.kind in ("list", "tuple") and len(expr.items) > 2:
        names = tuple(one.value for one in expr.items if isinstance(one, Const) and isinstance(one.value, str))
        if len(names) == len(expr.items):
            found.columns.append((names, stmt))


def difference(one: Formula, other: Formula) -> tuple[str, str] | None:
    """Where two formulas for one thing differ, as texts; None when they agree or cannot be compared."""
    if CALL in (one.kind, other.kind):
        if one.kind != other.kind or one.name != other.name:  # what the one call gives, the other need not
            return _steps(one.steps[one.kind == CALL :], other.steps[other.kind == CALL :], False)
        found = _differs(one, other)
        if found is not None:
            return found
    if one.kind == other.kind and one.kind in (OPERATION, CALL) and len(one.parts) == len(other.parts):
        if one.name != other.name:
            return one.name, other.name
        for left, right in zip(one.parts, other.parts, strict=True):
            found = difference(left, right)
            if found is not None:
                return found
    made = one.kind == CALL  # the first step stands for the call
    return _steps(one.steps[made:], other.steps[made:], _is_same(one, other))


def _is_same(one: Formula, other: Formula) -> bool:
    """Whether both certainly start from the same: what a function is given may have another name."""
    kinds = {one.kind, other.kind}
    if UNKNOWN in kinds or (OPERATION in kinds and len(kinds) > 1):
        return False
    return kinds == {PARAMETER} or one.name == other.name


def _steps(ones: tuple[Step, ...], others: tuple[Step, ...], sure: bool) -> tuple[str, str] | None:
    """``sure``: both start from the same thing, so that a step that one of them lacks is a difference."""
    first, second = _without_fills(ones, others)
    if len(first) == len(second):
        for one, other in zip(first, second, strict=True):
            if one.name == other.name and not _agree(one, other):
                return str(one), str(other)
            if one.name != other.name and sure:
                return str(one), str(other)
        return None
    if not sure:
        return None
    kept = [one for one in first if not any(_agree(one, other) for other in second)]
    new = [one for one in second if not any(_agree(one, other) for other in first)]
    if not kept and not new:
        return None
    return ", ".join(map(str, kept)) or "nothing", ", ".join(map(str, new)) or "nothing"


def _without_fills(ones: tuple[Step, ...], others: tuple[Step, ...]) -> tuple[list[Step], list[Step]]:
    """What stands for a missing value is compared only where both state one."""
    both = {one.name for one in ones} & {other.name for other in others}
    return tuple(  # type: ignore[return-value]
        [step for step in steps if step.name not in _FILLS or step.name in both] for steps in (ones, others)
    )


def _agree(one: Step, other: Step) -> bool:
    if one.name != other.name or len(one.arguments) != len(other.arguments):
        return one.name == other.name and not (one.arguments and other.arguments)
    same = math.isclose(one.factor, other.factor, rel_tol=_TOLERANCE) and math.isclose(
        one.offset, other.offset, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE
    )
    return same and all(
        left is None or right is None or left == right
        for left, right in zip(one.arguments, other.arguments, strict=True)
    )
