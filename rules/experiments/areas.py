"""Folders in which people try things out, told from folders of a product that are called alike."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from functools import cached_property
from pathlib import PurePosixPath

from mldebt.module import Module
from mldebt.rule import Analysis

_NAMES = re.compile(
    r"experiments|notebooks?|scratch|research|playground|sandbox|tmp|temp|wip|prototypes?|explor(?:e|ation|atory)|trials?"
    r"|attic|archived?|old|backup|deprecated|legacy|_old|drafts?",
    re.IGNORECASE,
)
_CELL = re.compile(r"#\s*In\s*\[[\d ]*\]:?")
_MOST = 0.8  # of a repository's modules; a larger area is the product


class Areas(Analysis):
    """Answers whether a file is in an experiment area."""

    def of(self, path: str) -> str:
        """The area a file is in; "" when in none."""
        for folder in reversed(PurePosixPath(path).parents):
            if str(folder) in self._areas:
                return str(folder)
        return ""

    @cached_property
    def _areas(self) -> frozenset[str]:
        """Areas: configured, or so named with something in them that nothing refers to, or a notebook."""
        modules = self.project.modules
        chosen = self.project.options.experiment_dirs
        named: dict[str, list[Module]] = {}
        for path, module in modules.items():
            for folder in PurePosixPath(path).parents:
                if folder.name and (_NAMES.fullmatch(folder.name) or any(fnmatch(str(folder), one) for one in chosen)):
                    named.setdefault(str(folder), []).append(module)
        return frozenset(
            folder
            for folder, members in named.items()
            if any(fnmatch(folder, one) for one in chosen)
            or (len(members) <= _MOST * len(modules) and any(self._is_trial(one) for one in members))
        )

    def _is_trial(self, module: Module) -> bool:
        if module.path.endswith(".ipynb") or is_exported(module):
            return True
        name = PurePosixPath(module.path).name
        importers = self.project.imports.importers(module.path)
        return name not in ("__init__.py", "__main__.py") and not importers and not module.is_test


def is_exported(module: Module) -> bool:
    """Whether a file is a notebook saved as a script."""
    if module.path.endswith(".ipynb"):
        return False
    return any(comment.alone and _CELL.fullmatch(comment.text.strip()) for comment in module.facts.comments)
