"""Which file ``args.config`` is when nobody says: the default of the option a script declares for it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.schema import Attribute, Binary, Call, Const, Expr, Ref

if TYPE_CHECKING:
    from mldebt.module import Module

_ADD = frozenset({"add_argument"})
_PATHS = frozenset(
    {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "builtins.str", "os.fspath", "os.path.join"}
)


def default_text(module: Module, ref: Ref, elsewhere: Iterable[Module] = ()) -> str:
    """The constant default of the option that ``ref`` reads, if this file or one of ``elsewhere`` declares it.

    An option without a default gives a text of its own: each script is told its file by whoever runs it. So does one
    that several other files declare.
    """
    head, _, dest = ref.name.rpartition(".")
    if not head:
        return ""
    own = _declared(module, dest)
    if own is not None:
        return own
    found = {text for other in elsewhere if (text := _declared(other, dest)) is not None}
    return found.pop() if len(found) == 1 else ""


def _declared(module: Module, dest: str) -> str | None:
    """The default of the first option of that name in a file; None when it declares none."""
    flags = {f"--{dest}", f"--{dest.replace('_', '-')}", dest}
    for index in module.scopes_using(_ADD):
        for site in module.call_sites(index):
            if _is_declaration(site.call) and any(isinstance(a, Const) and a.value in flags for a in site.call.args):
                default = next((k.value for k in site.call.keywords if k.name == "default"), None)
                text = path_text(module, index, default) if default is not None else ""
                return text or f"{module.path}:{dest}"
    return None


def path_text(module: Module, scope: int, expr: Expr) -> str:
    """The text of a constant path, also as ``Path("conf") / "base.yaml"`` and ``Path("conf", "base.yaml")``."""
    value = module.constant(scope, expr)
    if isinstance(value, str):
        return value
    if isinstance(expr, Binary) and expr.op == "/":
        parts = [path_text(module, scope, part) for part in (expr.left, expr.right)]
        return posixpath.join(*parts) if all(parts) else ""
    plain = isinstance(expr, Call) and expr.args and not expr.keywords
    if plain and isinstance(expr, Call) and not _PATHS.isdisjoint(module.names(scope, expr.function)):
        parts = [path_text(module, scope, part) for part in expr.args]
        return posixpath.join(*parts) if all(parts) else ""
    return ""


def _is_declaration(call: Call) -> bool:
    return isinstance(call.function, (Ref, Attribute)) and call.function.name.rpartition(".")[2] == "add_argument"
