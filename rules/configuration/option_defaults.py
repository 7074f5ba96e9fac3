"""Which file ``args.config`` is when nobody says: the default of the option a script declares for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts.schema import Attribute, Call, Const, Ref

if TYPE_CHECKING:
    from mldebt.module import Module

_ADD = frozenset({"add_argument"})


def default_text(module: Module, ref: Ref) -> str:
    """The constant default of the option that ``ref`` reads, if this file declares one of that name.

    An option without a default gives a text of its own: each script is told its file by whoever runs it.
    """
    head, _, dest = ref.name.rpartition(".")
    if not head:
        return ""
    flags = {f"--{dest}", f"--{dest.replace('_', '-')}", dest}
    for index in module.scopes_using(_ADD):
        for site in module.call_sites(index):
            if _is_declaration(site.call) and any(isinstance(a, Const) and a.value in flags for a in site.call.args):
                default = next((k.value for k in site.call.keywords if k.name == "default"), None)
                text = module.constant(index, default) if default is not None else None
                return text if isinstance(text, str) else f"{module.path}:{dest}"
    return ""


def _is_declaration(call: Call) -> bool:
    return isinstance(call.function, (Ref, Attribute)) and call.function.name.rpartition(".")[2] == "add_argument"
