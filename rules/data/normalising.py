"""Means and spreads that images are normalised with, where a side states one pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Binary, Build, Call, Expr, Ref
from mldebt.finding import Place

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

_CLASSES = frozenset(
    f"{library}.Normalize"
    for library in (
        "torchvision.transforms", "torchvision.transforms.transforms", "torchvision.transforms.v2", "albumentations",
        "albumentations.augmentations.transforms",
    )
) | {"torchvision.transforms.functional.normalize", "torchvision.transforms.v2.functional.normalize"}  # fmt: skip
Figures = tuple[float, ...]


def normalised(side: Iterable[Definition]) -> tuple[tuple[Figures, Figures], Place] | None:
    """The one pair of a side, and where it stands; None where there is none, several, or one nobody knows."""
    found: dict[tuple[Figures, Figures], Place] = {}
    for definition in side:
        module = definition.module
        if definition.index not in module.scopes_using({"Normalize", "normalize"}):
            continue
        for site in module.call_sites(definition.index):
            names = module.names(definition.index, site.call.function)
            if _CLASSES.isdisjoint(names):
                continue
            first = 1 if names[0].endswith("normalize") else 0
            mean, std = (
                _figures(module, definition.index, site.call, name, first + at)
                for at, name in enumerate(("mean", "std"))
            )
            if mean is None or std is None:
                return None
            found.setdefault((mean, std), module.place(site))
    return next(iter(found.items())) if len(found) == 1 else None


def _figures(module: Module, scope: int, call: Call, name: str, position: int) -> Figures | None:
    given = argument(call, name, position)
    return None if given is None or given is UNKNOWN else _numbers(module, scope, given)


def _numbers(module: Module, scope: int, expr: Expr) -> Figures | None:
    if isinstance(expr, Binary) and expr.op == "*" and isinstance(expr.left, Build):
        times = module.constant(scope, expr.right)
        inner = _numbers(module, scope, expr.left)
        return inner * times if inner is not None and isinstance(times, int) and 0 < times < 9 else None
    if isinstance(expr, (Build, Ref)):
        value = module.constant(scope, expr)
        if not isinstance(value, (list, tuple)) and isinstance(expr, Build):
            value = [module.constant(scope, one) for one in expr.items]
        if isinstance(value, (list, tuple)) and value and all(type(one) in (int, float) for one in value):
            return _folded(tuple(float(one) for one in value))
    one = module.constant(scope, expr)
    return (float(one),) if isinstance(one, (int, float)) and not isinstance(one, bool) else None


def _folded(values: Figures) -> Figures:
    """One figure for all channels, where they are the same."""
    return values[:1] if len(set(values)) == 1 else values
