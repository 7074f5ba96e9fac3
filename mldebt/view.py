"""What a family shows of a repository beside findings: a table of its facts, as a command of its own name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from mldebt.project.project import Project


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks a view for.

    Args:
        name: One thing, by one of the view's ``names``; empty asks for all.
        below: Only what lies at or below these paths, relative to the root; empty is everywhere.
    """

    name: str = ""
    below: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        return not self.below or any(path == each or path.startswith(f"{each}/") for each in self.below)


class View(ABC):
    """One table of facts, such as the knobs or the artefacts of a repository.

    It lies in its family's folder and is found as rules are. ``command`` is what users type, ``title`` says in one line
    what they get, ``formats`` are the output formats beside ``json``. The values are plain (dicts, lists, texts,
    numbers), so that ``--output-format json`` shows all of them.
    """

    command: ClassVar[str]
    title: ClassVar[str]
    formats: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, project: Project) -> None:
        self.project = project

    @abstractmethod
    def names(self) -> Collection[str]:
        """The names users may ask for, canonical ones and others."""

    @abstractmethod
    def values(self, asked: Asked, /) -> Mapping[str, Any]:
        """The table, or all details of one thing, as plain values."""

    @abstractmethod
    def render(self, values: Mapping[str, Any], form: str, /) -> str:
        """The values in one of the view's own formats."""
