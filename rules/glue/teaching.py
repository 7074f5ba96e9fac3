"""What teaches: courses, books and exercises, whose programs are read rather than run."""

from __future__ import annotations

import posixpath
import re
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module

_CHAPTER = re.compile(
    r"(?:^|[/_.\s-])(?:ch(?:apter|ap)?\s?\d*|lessons?|lectures?|lec|weeks?|days?|exercises?|ex\d*|homeworks?|hw\d*|labs?"
    r"|tutorials?|courses?|modules?|units?|sessions?|assignments?|workshops?|intro(?:duction)?|slides|quiz(?:zes)?"
    r"|bootcamp|demos?|examples?|book|topics?)(?=[/_.\s-]|\d|$)",
    re.IGNORECASE,
)
_EXERCISE = re.compile(
    r"(?:^|[/_.\s-])(?:lessons?|lectures?|exercises?|homeworks?|tutorials?|courses?|assignments?|workshops?|bootcamp"
    r"|chapters?|class_\d+)(?=[/_.\s-]|\d|$)",
    re.IGNORECASE,
)
_TEACHES = re.compile(
    r"\b(?:course|tutorials?|lectures?|lessons?|workshop|bootcamp|textbook|curriculum|homework|exercises|students|syllabus"
    r"|learners?|beginners?|handbook|hands[- ]on|zoomcamp)\b",
    re.IGNORECASE,
)
_HEAD = 1500  # characters of a README that say what the repository is


def is_numbered_lesson(path: str) -> bool:
    """Whether a numbered file is more likely a chapter than a step, by the names on its path."""
    return _CHAPTER.search(path) is not None


class Teaching(Analysis):
    """Answers what stands in a course."""

    def is_exercise(self, module: Module) -> bool:
        """Whether the names on a file's path say that it belongs to a lesson."""
        return _EXERCISE.search(module.path) is not None

    def is_course(self, module: Module) -> bool:
        """Whether the repository's name or the nearest README says that this is a course."""
        if _CHAPTER.search(self.project.repository.name or self.project.root.name):
            return True
        directory = posixpath.dirname(module.path)
        while True:
            if directory in self._readmes and _TEACHES.search(self._text(self._readmes[directory])):
                return True
            if not directory:
                return False
            directory = posixpath.dirname(directory)

    @cached_property
    def _readmes(self) -> dict[str, str]:
        documents = self.project.repository.documents
        return {
            posixpath.dirname(path): path for path in documents if posixpath.basename(path).lower().startswith("readme")
        }

    def _text(self, path: str) -> str:
        try:
            with (self.project.root / path).open("rb") as file:
                return file.read(_HEAD).decode("utf-8", errors="replace")
        except OSError:
            return ""
