"""Unpackings that cannot be meant: values in another order than they are returned in, or another number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mldebt.facts.schema import Call, Expr
from mldebt.facts.walk import given_values, walk

from .returned_tuples import Tuples, Unpacking, name_of

_SHORT = {
    "tr": "train", "trn": "train", "training": "train", "te": "test", "tst": "test", "testing": "test",
    "valid": "val", "validation": "val", "dev": "val", "va": "val", "avg": "mean", "stdev": "std",
}  # fmt: skip


class Mistake(NamedTuple):
    """``swapped``: (target, returned) names that stand elsewhere; empty when the number is wrong."""

    unpacking: Unpacking
    swapped: tuple[tuple[str, str], ...]


def mistake(tuples: Tuples, unpacking: Unpacking) -> Mistake | None:
    """What is wrong with an unpacking, whichever way the function returns; None when nothing, or that is not sure."""
    wanted = unpacking.length
    if wanted is None:
        return None
    rows = [row for row in tuples.rows if len(row) == wanted]
    if not rows:
        return Mistake(unpacking, ())
    found = [_swapped(row, unpacking) for row in rows]
    return Mistake(unpacking, found[0]) if all(found) else None


def _swapped(row: Sequence[Expr], unpacking: Unpacking) -> tuple[tuple[str, str], ...]:
    """The names that a permutation brings in order, if the names at hand are a permutation of each other."""
    given = [name_of(one) for one in row]
    taken = [name_of(one) for one in unpacking.targets]
    keys, wanted = [_key(one) for one in given], [_key(one) for one in taken]
    at = [i for i, (one, other) in enumerate(zip(keys, wanted, strict=True)) if one != other]
    if len(at) < 2 or sorted(keys[i] for i in at) != sorted(wanted[i] for i in at):
        return ()
    moved = {keys[i] for i in at}
    if "" in moved or "_" in moved or len(moved) < len(at) or len(set(keys)) < len(keys):
        return ()
    if len(row) == 2 and any(len(one) < 3 for one in moved):
        return ()
    if moved <= {_key(name_of(part)) for part in _arguments(unpacking.call)}:
        return ()  # f(b, a): what is swapped goes in swapped
    return tuple((taken[i], given[i]) for i in at)


def _arguments(call: Call) -> list[Expr]:
    values = given_values(call)
    return [part for value in values for part in walk(value)]


def _key(name: str) -> str:
    """Names as they are meant: ``X_train``, ``train_x`` and ``x_tr`` are one."""
    tokens = [_SHORT.get(token, token) for token in name.lower().strip("_").split("_") if token]
    return "_".join(sorted(tokens)) or name
