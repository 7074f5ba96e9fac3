"""Which argument of a call fills which parameter."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from mldebt.facts.schema import Call, Expr, Starred


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __bool__(self) -> Literal[False]:
        return False


UNKNOWN: Final = _Unknown.UNKNOWN
Unknown = Literal[_Unknown.UNKNOWN]


def argument(call: Call, name: str, position: int | None = None) -> Expr | Unknown | None:
    """The expression given to a parameter, by keyword or position.

    None when the call certainly does not give it; ``UNKNOWN`` when ``*args`` or ``**kwargs`` may.
    """
    for keyword in call.keywords:
        if keyword.name == name:
            return keyword.value
    if position is not None:
        for index, arg in enumerate(call.args[: position + 1]):
            if isinstance(arg, Starred):
                return UNKNOWN
            if index == position:
                return arg
    if any(keyword.name is None for keyword in call.keywords):
        return UNKNOWN
    return None
