"""Which files may run in one program."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mldebt.project.project import Project


def together(project: Project, paths: Iterable[str]) -> frozenset[str]:
    """The files that some file imports together with one of these, themselves included."""
    above = _closed(paths, project.imports.importers)
    return _closed(above, project.imports.imported)


def _closed(paths: Iterable[str], following: Callable[[str], Iterable[str]]) -> frozenset[str]:
    found = set(paths)
    pending = list(found)
    while pending:
        for path in following(pending.pop()):
            if path not in found:
                found.add(path)
                pending.append(path)
    return frozenset(found)
