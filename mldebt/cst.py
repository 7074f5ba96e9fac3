"""libcst's names, imported with the first of them that is asked for: ``from mldebt import cst``.

Most scans open no concrete syntax at all, and importing libcst costs as much as parsing 30,000 lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ForwardRef

if TYPE_CHECKING:
    from libcst import *  # noqa: F403 - a stand-in has every name of what it stands for
    from libcst import CSTNode
else:

    def __getattr__(name: str) -> Any:
        import libcst

        return getattr(libcst, name)


def classes(kind: Any) -> tuple[type[CSTNode], ...]:
    """The node classes of ``cst.Call``, or of the forward references ``"cst.Call"`` and ``"cst.Call | cst.With"``."""
    if not isinstance(kind, ForwardRef):
        return (kind,)
    import libcst

    return tuple(getattr(libcst, name.strip().rpartition(".")[2]) for name in kind.__forward_arg__.split("|"))
