"""Repositories that are collections of scripts with nothing in common: chapters of a book, one folder per method."""

from __future__ import annotations

from pathlib import PurePosixPath

from mldebt.module import Module
from mldebt.project.project import Project

_MANY_FILES = 30
_MANY_FOLDERS = 10
_NEARLY_ALL = 0.9


def is_collection(project: Project) -> bool:
    """Whether a repository has many files and nearly none of them shares code with another, but in its own folder."""
    modules = [module for module in project.modules.values() if module.role == "project" and not module.is_test]
    if len(modules) < _MANY_FILES:
        return False
    folders = len({PurePosixPath(module.path).parent for module in modules})
    alone = sum(_is_alone(module, folders >= _MANY_FOLDERS) for module in modules)
    return alone >= _NEARLY_ALL * len(modules)


def _is_alone(module: Module, in_folder: bool) -> bool:
    imports = module.project.imports
    linked = (imports.closure(module) | imports.importers(module)) - {module.path}
    home = PurePosixPath(module.path).parent
    return not linked or (in_folder and all(PurePosixPath(path).parent == home for path in linked))
