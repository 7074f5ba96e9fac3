"""Annotations as class names: ``Optional[X]``, ``X | None``, ``"pkg.X"``, ``Annotated[X, ...]``."""

from __future__ import annotations

import re

from mldebt.facts.schema import Binary, Build, Const, Expr, Ref, Subscript

_CHAIN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_UNIONS = frozenset({"Optional", "Union"})
_FIRST = frozenset({"Annotated", "ClassVar", "Final", "Required", "NotRequired", "InitVar"})
_NO_INSTANCE = frozenset({"Type", "type", "Literal", "Callable", "TypeVar"})
_DEEPEST = 8


def class_chains(annotation: Expr | None, depth: int = _DEEPEST) -> tuple[str, ...]:
    """The dotted chains an annotation says a value is an instance of, as written; () where it says nothing of use."""
    if annotation is None or not depth:
        return ()
    if isinstance(annotation, Ref):
        return (annotation.name,)
    if isinstance(annotation, Const):
        return _text(annotation.value) if isinstance(annotation.value, str) else ()
    if isinstance(annotation, Binary) and annotation.op == "|":
        return _several((annotation.left, annotation.right), depth)
    if isinstance(annotation, Subscript) and isinstance(annotation.value, Ref):
        last = annotation.value.name.rpartition(".")[2]
        index = annotation.index
        items = tuple(index.items) if isinstance(index, Build) else (index,)
        if last in _UNIONS:
            return _several(items, depth)
        if last in _FIRST:
            return class_chains(items[0], depth - 1) if items else ()
        return () if last in _NO_INSTANCE else (annotation.value.name,)
    return ()


def _several(parts: tuple[Expr, ...], depth: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in class_chains(part, depth - 1)))


def _text(text: str) -> tuple[str, ...]:
    """A string annotation: chains, and chains in unions. Anything more elaborate says nothing."""
    text = text.strip()
    match = re.fullmatch(r"(?:[\w.]*\.)?(Optional|Union)\[(.*)\]", text)
    parts = match.group(2).split(",") if match else text.split("|")
    chains: list[str] = []
    for part in parts:
        name = part.strip().strip("'\"").partition("[")[0]
        if not _CHAIN.fullmatch(name) or name.rpartition(".")[2] in _NO_INSTANCE | _UNIONS | _FIRST:
            if name == "None":
                continue
            return ()
        if name != "None":
            chains.append(name)
    return tuple(dict.fromkeys(chains))


def is_class_like(name: str) -> bool:
    """Whether a library name looks like a class: ``torch.nn.Linear``, ``optax._Scale``; not ``numpy.float32``."""
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper()
