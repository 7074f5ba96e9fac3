"""Programs that a repository keeps as data: scraped kernels, a corpus of source files."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module

_STORES = frozenset(
    "data dataset datasets corpus corpora raw scraped crawled downloaded downloads kernels gists snippets".split()
)
_LEAST = 30


class Collected(Analysis):
    """Knows the directories for data that hold programs in bulk, none of which is imported."""

    def holds(self, module: Module) -> bool:
        """Whether nobody here maintains a module: it was collected with many others."""
        return module.path.rpartition("/")[0] in self._directories

    @cached_property
    def _directories(self) -> frozenset[str]:
        paths = [path for path in self.project.modules if "/" in path]
        sizes = Counter(path.rpartition("/")[0] for path in paths)
        found = {one for one, size in sizes.items() if size >= _LEAST and one.rpartition("/")[2].lower() in _STORES}
        for path in paths if found else ():
            directory = path.rpartition("/")[0]
            if directory in found and (path.endswith("/__init__.py") or self.project.imports.importers(path)):
                found.discard(directory)
        return frozenset(found)
