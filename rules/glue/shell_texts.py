"""The command a call hands to the operating system, as words: unknown parts are ``*``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mldebt.facts.schema import Attribute, Binary, Build, Call, Const, Expr, Format, Ref, Starred

from .patterns import plain

if TYPE_CHECKING:
    from mldebt.module import Module

    from .paths import Paths

_DEEPEST = 5
_LONGEST = 4000
UNKNOWN_WORD = "*"
_INTERPRETERS = frozenset({"sys.executable"})


def command_words(paths: Paths, module: Module, scope: int, expr: Expr) -> tuple[str, ...]:
    """The words of a command given as a text or a list; () when it is neither."""
    found = _listed(paths, module, scope, expr, _DEEPEST)
    if found is not None:
        return tuple(found)
    text = _text(paths, module, scope, expr, _DEEPEST)
    return split(text) if text != UNKNOWN_WORD else ()


def split(text: str) -> tuple[str, ...]:
    """Shell words of a text; quotes that do not match are taken as letters."""
    if len(text) > _LONGEST:
        return ()
    try:
        return tuple(shlex.split(text, comments=False))
    except ValueError:
        return tuple(text.split())


def _listed(paths: Paths, module: Module, scope: int, expr: Expr, depth: int) -> list[str] | None:
    """The words of a list of arguments; None when the expression is no list."""
    if depth <= 0:
        return None
    if isinstance(expr, Build) and expr.kind in ("list", "tuple"):
        return [
            UNKNOWN_WORD if isinstance(item, Starred) else _text(paths, module, scope, item, depth - 1)
            for item in expr.items
        ]
    if isinstance(expr, Binary) and expr.op == "+":
        left = _listed(paths, module, scope, expr.left, depth - 1)
        if left is None:
            return None
        return [*left, *(_listed(paths, module, scope, expr.right, depth - 1) or [UNKNOWN_WORD])]
    if isinstance(expr, Call):
        names = module.names(scope, expr.function) if isinstance(expr.function, (Ref, Attribute)) else ()
        if "shlex.split" in names and expr.args:
            return list(split(_text(paths, module, scope, expr.args[0], depth - 1)))
        return None
    if isinstance(expr, Ref):
        values = paths.values(module, scope, expr)
        return _listed(paths, *values[0], depth - 1) if len(values) == 1 else None
    return None


def _text(paths: Paths, module: Module, scope: int, expr: Expr, depth: int) -> str:
    if depth <= 0:
        return UNKNOWN_WORD
    if isinstance(expr, Const):
        return str(expr.value)
    if isinstance(expr, Format):
        return "".join(_text(paths, module, scope, part, depth - 1) for part in expr.parts)
    if isinstance(expr, Binary) and expr.op == "+":
        return _text(paths, module, scope, expr.left, depth - 1) + _text(paths, module, scope, expr.right, depth - 1)
    if isinstance(expr, Ref):
        if _INTERPRETERS.intersection(module.names(scope, expr)):
            return "python"
        values = paths.values(module, scope, expr)
        if len(values) == 1:
            return _text(paths, *values[0], depth - 1)
    if isinstance(expr, Call) and isinstance(expr.function, (Ref, Attribute)):
        joined = _joined(paths, module, scope, expr, depth)
        if joined is not None:
            return joined
    found = paths.texts(module, scope, expr)
    return plain(found[0]) if len(found) == 1 else UNKNOWN_WORD


def _joined(paths: Paths, module: Module, scope: int, call: Call, depth: int) -> str | None:
    """``" ".join([...])`` and ``shlex.join([...])``."""
    function = call.function
    if not isinstance(function, Attribute) or function.name != "join" or not call.args:
        joins = isinstance(function, Ref) and "shlex.join" in module.names(scope, function)
        if not joins or not call.args:
            return None
    elif not isinstance(function.value, Const) or function.value.value != " ":
        return None
    words = _listed(paths, module, scope, call.args[0], depth - 1)
    return " ".join(words) if words is not None else None
