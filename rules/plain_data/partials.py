"""Calls that ``functools.partial`` prepares: what it binds arrives at the callable it holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import Attribute, Call, Ref
from mldebt.module import CallSite

if TYPE_CHECKING:
    from mldebt.module import Module

_PARTIAL = frozenset({"functools.partial"})


def prepared(module: Module, names: Collection[str]) -> Iterator[tuple[str, CallSite]]:
    """``partial(f, x, k=y)``, for ``f`` one of ``names``: the name, and the call ``f(x, k=y)`` in its place."""
    for _, site in module.calls_of(_PARTIAL):
        call = site.call
        held = call.args[0] if call.args else None
        if isinstance(held, (Ref, Attribute)):
            name = next((one for one in module.names(site.scope, held) if one in names), None)
            if name is not None:
                inner = Call(held, call.args[1:], call.keywords, call.line, call.column, call.end_line, call.end_column)
                yield name, CallSite(inner, site.statement, site.scope)
