"""Public functions that take or give arrays, and whether anything says of which shape."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import CLASS, FUNCTION, Const, Expr, Ref, Scope, Subscript
from mldebt.facts.walk import walk
from mldebt.rule import Analysis, FileParts

from .mode_texts import Lines

if TYPE_CHECKING:
    from mldebt.module import Module

_ARRAYS = frozenset(
    """Tensor FloatTensor LongTensor BoolTensor IntTensor ndarray NDArray ArrayLike DataFrame Series Array GeoDataFrame
    LazyFrame EagerTensor csr_matrix""".split()
)
_LIBRARIES = frozenset("numpy torch tensorflow jax pandas cupy xarray polars mxnet".split())
# Attributes only arrays have; of an unannotated parameter.
_ARRAY_USES = frozenset(
    """shape ndim view reshape permute unsqueeze squeeze transpose astype matmul flatten detach cuda iloc loc columns
    dtype argmax argsort cumsum clamp einsum bmm mm""".split()
)
# Each begins with a literal, which the engine searches for fast.
_STATED = (
    re.compile(r"\([A-Z](?:, ?[A-Z0-9*]\w?)+,?\)"),
    re.compile(r"\[[A-Z](?: ?[,x×] ?[A-Z0-9]\w?)+\]"),
    re.compile(r"shapes?(?: of)?(?:: ?| )`{0,2}[(\[]"),
    re.compile(r"rearrange\("),
    re.compile(r"n_samples"),
)


class ArrayFunction(NamedTuple):
    """A scope of a file, and whether its shapes are stated."""

    scope: int
    stated: bool


class ArrayFunctions(Analysis):
    """``project.collected(ArrayFunctions)``: the functions of each file, in source order."""

    collected = list[ArrayFunction]

    @classmethod
    def collect(cls, file: FileParts) -> list[ArrayFunction] | None:
        facts = file.facts
        libraries = {one.bound for one in facts.imports if one.module.partition(".")[0] in _LIBRARIES}
        if not libraries:
            return None
        chosen = [index for index, scope in enumerate(facts.scopes) if _is_public(facts.scopes, scope)]
        chosen = [index for index in chosen if _takes_arrays(facts.scopes[index], libraries)]
        if not chosen:
            return None
        text = file.source.text
        line_of = Lines(text)
        lines = {line_of(match.start()) for one in _STATED for match in one.finditer(text)}
        return [ArrayFunction(index, _is_stated(facts.scopes[index], lines)) for index in chosen]


def package_of(module: Module) -> str:
    """The folder of the outermost package or script folder a file is in; "" at the root."""
    path = module.path.removeprefix("src/")
    return path.partition("/")[0] if "/" in path else ""


def _is_public(scopes: list[Scope], scope: Scope) -> bool:
    if scope.kind != FUNCTION or scope.name.startswith("_") or scope.parent < 0:
        return False
    parent = scopes[scope.parent]
    return scope.parent == 0 or (parent.kind == CLASS and not parent.name.startswith("_") and parent.parent == 0)


def _annotations(scope: Scope) -> list[Expr]:
    found = [one.annotation for one in scope.parameters if one.annotation is not None]
    return [*found, scope.returns] if scope.returns is not None else found


def _takes_arrays(scope: Scope, libraries: set[str]) -> bool:
    for annotation in _annotations(scope):
        for node in walk(annotation):
            name = node.value if isinstance(node, Const) else node.name if isinstance(node, Ref) else ""
            if isinstance(name, str) and name.rpartition(".")[2] in _ARRAYS:
                return True
    bare = {one.name for one in scope.parameters if one.annotation is None} - {"self", "cls"}
    if not bare:
        return False
    if any(
        chain.partition(".")[0] in bare and not _ARRAY_USES.isdisjoint(chain.split(".")[1:]) for chain in scope.uses
    ):
        return True
    computes = any(chain.partition(".")[0] in libraries for chain in scope.uses)
    return computes and not bare.isdisjoint(scope.uses)


def _is_stated(scope: Scope, lines: set[int]) -> bool:
    """Whether a comment, docstring or call in the function, or an annotation, states a shape or schema."""
    if any(scope.first_line <= line <= scope.end_line for line in lines):
        return True
    for annotation in _annotations(scope):
        for node in walk(annotation):
            if isinstance(node, Subscript) and isinstance(node.value, Ref):
                texts = [part for part in walk(node.index) if isinstance(part, Const) and isinstance(part.value, str)]
                schema = node.value.name.rpartition(".")[2] in ("DataFrame", "Series")
                if texts or schema:
                    return True
    return any("check_" in getattr(getattr(one, "function", one), "name", "") for one in scope.decorators)
