"""What a repository is, as far as ``mldebt init`` has to know."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mldebt.project.project import Project

_EXPERIMENTS = re.compile(
    r"(?:experiments?|exps?|sandbox|playground|scratch|prototypes?|explorations?)$", re.IGNORECASE
)
_MOST = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """A library or an application, where it is tried out, and what starts it; paths are relative to the root."""

    library: bool
    experiment_dirs: tuple[str, ...]
    launchers: tuple[str, ...]

    @classmethod
    def of(cls, project: Project) -> Seen:
        paths = [module.path for module in project.modules.values() if module.role == "project" and not module.is_test]
        launchers = {
            place.path
            for entry in project.entries
            for place in entry.launchers
            if not place.path.lower().endswith((".md", ".markdown", ".rst"))
        }
        return cls(project.library, tuple(sorted(_experiments(paths))), tuple(sorted(launchers)))

    def describe(self) -> str:
        """The same in words, for a comment."""
        kind = "A library: what it exports is used elsewhere." if self.library else "An application: it is run here."
        if not self.launchers:
            return kind
        more = len(self.launchers) - _MOST
        shown = ", ".join(self.launchers[:_MOST])
        return f"{kind} Started by {shown}{f' and {more} more' if more > 0 else ''}."


def _experiments(paths: Iterable[str]) -> set[str]:
    """The outermost folders with code in them that are called as places for trying things out are called."""
    found = set()
    for path in paths:
        folders = path.split("/")[:-1]
        depth = next((index for index, name in enumerate(folders, 1) if _EXPERIMENTS.match(name)), 0)
        if depth:
            found.add("/".join(folders[:depth]))
    return found
