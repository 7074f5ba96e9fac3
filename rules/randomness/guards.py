"""What a condition around a seed call says: "a seed was given", "the device exists", or something the seed hangs on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from msgspec import Struct

from mldebt.facts.schema import Attribute, Boolean, Build, Call, Compare, Const, Expr, Format, Ref, Subscript, Unary
from mldebt.facts.walk import walk

OPTION, NEUTRAL, PLAIN, MAIN, CONSTANT = "option", "neutral", "plain", "main", "constant"
ANY = "?"  # some option, not a parameter of the function

_SEEDISH = re.compile(r"seed|determinis|reproduc|random_state|(^|[._])(rng|generator|prng)($|[._])", re.IGNORECASE)
# What holds or does not hold on a machine: the same program with or without the hardware, the library, the other ranks.
_NEUTRAL = re.compile(
    r"availab|cuda|gpu|mps$|xpu|npu|tpu|device|rank|world_size|distributed|is_main|is_master|main_process|(^|[._])has_"
    r"|sys\.modules|^torch$|^tf$|^tensorflow$|^np$|^numpy$|version|platform",
    re.IGNORECASE,
)
_POSITIVE = frozenset({"is not", "!=", ">", ">=", "in"})
_NEGATIVE = frozenset({"is", "==", "<", "<=", "not in"})


class Guard(Struct, frozen=True):
    """One condition.

    Args:
        kind: OPTION (a seed or a generator was given), NEUTRAL (hardware, rank, installed library), PLAIN, MAIN (run as
            a script) or CONSTANT.
        subject: For OPTION the parameter that decides, or ANY; for PLAIN the parameter that is the whole condition.
        positive: Whether the first arm is the one where it was given (MAIN, CONSTANT: where it runs).
        text: The condition without its negation, to know it again.
    """

    kind: str
    subject: str
    positive: bool
    text: str


def guard(test: Expr, parameters: Collection[str]) -> Guard:
    """Reads the condition of an ``if`` in a function with these parameters."""
    positive = True
    while isinstance(test, Unary) and test.op == "not":
        test, positive = test.operand, not positive
    text = _text(test)
    if isinstance(test, Const):
        return Guard(CONSTANT, "", bool(test.value) is positive, text)
    if isinstance(test, Compare) and isinstance(test.left, Ref) and test.left.name == "__name__":
        return Guard(MAIN, "", (test.ops == ["=="]) is positive, text)
    if isinstance(test, Compare) and test.ops and test.ops[0] in ("is not", "!=", "not in"):
        positive_text, given = _text(_flipped(test)), not positive
    else:
        positive_text, given = text, positive
    found = _option(test, parameters)
    if found is not None:
        subject, polarity = found
        return Guard(OPTION, subject, polarity is positive, positive_text)
    if any(_NEUTRAL.search(name) for name in _names(test)):
        return Guard(NEUTRAL, "", positive, positive_text)
    flag = test.name if isinstance(test, Ref) and test.name in parameters else ""
    return Guard(PLAIN, flag, given, positive_text)


def _option(test: Expr, parameters: Collection[str]) -> tuple[str, bool] | None:
    """The option a condition asks for and whether it holds when the option was given."""
    if isinstance(test, Boolean):
        return next((found for value in test.values if (found := _option(value, parameters)) is not None), None)
    if isinstance(test, Unary) and test.op == "not":
        found = _option(test.operand, parameters)
        return None if found is None else (found[0], not found[1])
    absent = isinstance(test, Compare) and any(isinstance(one, Const) and one.value is None for one in test.comparators)
    subject = test.left if isinstance(test, Compare) else test
    bare = subject.name if isinstance(subject, Ref) and subject.name in parameters else ""
    if not (absent and bare) and not any(_SEEDISH.search(name) for name in _names(test)):
        return None
    polarity = True
    if isinstance(test, Compare) and test.ops:
        polarity = test.ops[0] in _POSITIVE or (test.ops[0] in _NEGATIVE and _is_true(test.comparators[0]))
    return bare or ANY, polarity


def _is_true(expr: Expr) -> bool:
    return isinstance(expr, Const) and expr.value is True


def _flipped(test: Compare) -> Compare:
    other = {"is not": "is", "!=": "==", "not in": "in"}
    return Compare(
        test.left,
        [other[test.ops[0]], *test.ops[1:]],
        test.comparators,
        test.line,
        test.column,
        test.end_line,
        test.end_column,
    )


def _names(expr: Expr) -> Iterator[str]:
    """The identifiers and string keys an expression reads."""
    for node in walk(expr):
        if isinstance(node, (Ref, Attribute)):
            yield node.name
        elif isinstance(node, Const) and isinstance(node.value, str):
            yield node.value


def _text(expr: Expr) -> str:
    """An expression without its positions."""
    if isinstance(expr, Ref):
        return expr.name
    if isinstance(expr, Const):
        return repr(expr.value)
    if isinstance(expr, Attribute):
        return f"{_text(expr.value)}.{expr.name}"
    if isinstance(expr, Call):
        keywords = [f"{keyword.name}={_text(keyword.value)}" for keyword in expr.keywords]
        return f"{_text(expr.function)}({', '.join([_text(arg) for arg in expr.args] + keywords)})"
    if isinstance(expr, Compare):
        return " ".join(
            [_text(expr.left), *[f"{op} {_text(one)}" for op, one in zip(expr.ops, expr.comparators, strict=True)]]
        )
    if isinstance(expr, Boolean):
        return f" {expr.op} ".join(_text(value) for value in expr.values)
    if isinstance(expr, Unary):
        return f"{expr.op} {_text(expr.operand)}"
    if isinstance(expr, Subscript):
        return f"{_text(expr.value)}[{_text(expr.index)}]"
    if isinstance(expr, (Build, Format)):
        return f"({', '.join(_text(part) for part in (expr.items if isinstance(expr, Build) else expr.parts))})"
    return f"<{id(expr)}>"  # not told apart from nothing but itself
