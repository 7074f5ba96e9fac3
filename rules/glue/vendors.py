"""Which names belong to libraries of others."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence

from mldebt.project.project import Project

# Libraries whose packages share one import name, the cloud's above all: the vendor is the second part.
_SHARED = frozenset({"google", "azure"})
_NOBODYS = frozenset({"builtins", "typing_extensions", "__future__", "setuptools", "pkg_resources"})


def vendor_of(name: str, project: Project) -> str | None:
    """The library a linked name belongs to; None for the standard library's and the project's own names."""
    if ":" in name:
        return None
    root, _, rest = name.partition(".")
    if root in sys.stdlib_module_names or root in _NOBODYS or root.startswith("_") or not root:
        return None
    if project.module_named(root) is not None:
        return None
    return f"{root}.{rest.partition('.')[0]}" if root in _SHARED and rest else root


def vendor_among(names: Sequence[str], libraries: Collection[str], project: Project) -> str | None:
    """The first of these libraries that linked names belong to."""
    vendors = (vendor_of(name, project) for name in names)
    return next((vendor for vendor in vendors if vendor in libraries), None)


def others(libraries: Iterable[str], project: Project) -> frozenset[str]:
    """Those of some libraries that are not this project itself, whose scripts import it like anybody else."""
    return frozenset(name for name in libraries if project.module_named(name.partition(".")[0]) is None)
