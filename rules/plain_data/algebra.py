"""Arithmetic on quantities: probabilities multiply to probabilities, log-probabilities add to log-probabilities."""

from __future__ import annotations

from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.constants import evaluate
from mldebt.facts.schema import Binary, Const

from .values import Constant, Tensor, Value

_TINY = 1e-2  # what keeps a logarithm finite: p + 1e-8


def combined(op: str, left: Value, right: Value) -> Value:
    """The value of ``left op right``; None when its quantity cannot be told."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return _constant(op, left, right)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        quantities = (left.evidence.quantity, right.evidence.quantity)
        if (op, quantities) in ((("*"), ("prob", "prob")), ("+", ("logprob", "logprob"))):
            return left
        return None
    if isinstance(left, Tensor) and isinstance(right, Constant):
        return _scaled(op, left, right.value, False)
    if isinstance(right, Tensor) and isinstance(left, Constant):
        return _scaled(op, right, left.value, True)
    return None


def _scaled(op: str, tensor: Tensor, number: object, flipped: bool) -> Value:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    quantity = tensor.evidence.quantity
    if quantity == "logit" and op in ("+", "-", "*", "/"):
        return tensor
    if quantity == "prob" and op in ("+", "-") and abs(number) <= _TINY and not (flipped and op == "-"):
        return tensor
    if quantity == "prob" and op == "-" and flipped and number == 1:
        return Tensor(replace(tensor.evidence))
    return None


def _constant(op: str, left: Constant, right: Constant) -> Value:
    if not _plain(left.value) or not _plain(right.value):
        return None
    found = evaluate(_binary(op, left.value, right.value))
    return None if found is UNKNOWN else Constant(found, left.place or right.place)


def _plain(value: object) -> bool:
    return isinstance(value, (bool, int, float, str))


def _binary(op: str, left: object, right: object) -> Binary:
    return Binary(op, Const(left), Const(right), 0, 0, 0, 0)  # type: ignore[arg-type]
