"""The name a seed goes by where a call stands, for fixes that hand it on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import ASSIGNED, FUNCTION, IMPORTED, PARAMETER, Call, Const, For, Ref, While
from mldebt.facts.walk import statements

if TYPE_CHECKING:
    from mldebt.module import Module

_SEED = re.compile(
    r"^(global_|default_|random_|rng_|np_|split_|data_|base_|manual_)?(seed|random_state)(_number|_value)?$",
    re.IGNORECASE,
)
_HOLDERS = frozenset({"args", "cfg", "config", "conf", "opt", "opts", "hparams", "settings", "params", "flags", "self"})


def seed_name(module: Module, scope: int, line: int) -> str | None:
    """An integer seed in scope at ``line``: a parameter, a variable bound before, a module constant, ``args.seed``."""
    return next(_names(module, scope, line), None)


def repetition(module: Module, scope: int, line: int) -> tuple[bool, str | None]:
    """Whether a line is in a loop, and the variable that counts its rounds."""
    loops = [
        stmt
        for stmt in statements(module.body(scope))
        if isinstance(stmt, (For, While)) and stmt.line < line <= stmt.end_line
    ]
    if not loops:
        return False, None
    loop = loops[-1]
    if isinstance(loop, For) and isinstance(loop.iterable, Call) and isinstance(loop.target, Ref):
        function = loop.iterable.function
        if isinstance(function, Ref) and function.name == "range" and loop.target.name.strip("_"):
            return True, loop.target.name
    return True, None


def _names(module: Module, scope: int, line: int) -> Iterator[str]:
    scopes = module.facts.scopes
    index = scope
    while index >= 0:
        facts = scopes[index]
        if facts.kind == FUNCTION:
            for parameter in facts.parameters:
                none = isinstance(parameter.default, Const) and parameter.default.value is None
                if _SEED.match(parameter.name) and not none:
                    yield parameter.name
            yield from _assigned(module, index, line if index == scope else facts.end_line)
            yield from _kept(module, index, line)
        elif index == 0:
            yield from _assigned(module, 0, line if scope == 0 else facts.end_line + len(module.text_lines))
            if scope == 0:
                yield from _kept(module, 0, line)
        index = facts.parent


def _assigned(module: Module, index: int, line: int) -> Iterator[str]:
    """Variables and imported constants; those of an outer scope are bound by the time the inner one runs."""
    for name, bits in module.facts.scopes[index].bindings.items():
        if not _SEED.match(name) or bits & PARAMETER:
            continue
        if bits & IMPORTED and name.isupper():
            yield name
        elif bits & ASSIGNED:
            origins = module.project.flow(module.definition(index)).definitions(name)
            certain = [one for one in origins if one.statement is not None and one.statement.end_line < line]
            if len(origins) == len(certain) == 1 and not (
                isinstance(certain[0].value, Const) and certain[0].value.value is None
            ):
                yield name


def _kept(module: Module, index: int, line: int) -> Iterator[str]:
    """``args.seed``, ``self.seed``: read in the same scope already, so that it is known to exist there."""
    for chain in module.facts.scopes[index].uses:
        head, _, last = chain.rpartition(".")
        if head.partition(".")[0] in _HOLDERS and _SEED.match(last):
            bound = module.project.flow(module.definition(index)).definitions(head.partition(".")[0])
            if all(
                one.kind == "parameter" or (one.statement is not None and one.statement.end_line < line)
                for one in bound
            ):
                yield chain
