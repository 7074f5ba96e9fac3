"""How old lines are, as git tells it (F12): asked on demand, and silent wherever git does not say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from mldebt.sources.git import Blamed, Git

_DAY = 86_400
_MOST_FILES = 100  # of one scan: each is a walk through the file's history


class Ages:
    """Answers how long before HEAD a line was committed last.

    Ages count back from HEAD and not from today, so that one commit is judged the same on every day.
    """

    def __init__(self, root: Path) -> None:
        self._git = Git(root)
        self._blamed: dict[str, list[Blamed] | None] = {}

    def of(self, path: str, line: int, rows: Sequence[str]) -> int | None:
        """The age of a line in days; None without git, in a shallow clone, and for what HEAD does not have.

        Args:
            path: The file, relative to the root.
            line: Which of its lines, from 1.
            rows: The file's lines as they are scanned, which may not be as HEAD has them.
        """
        if self._head is None or not 0 < line <= len(rows):
            return None
        when = _committed(self._lines(path) or (), line, rows[line - 1])
        return None if when is None else max(0, (self._head - when) // _DAY)

    @cached_property
    def _head(self) -> int | None:
        return self._git.head_seconds() if self._git.is_shallow() is False else None

    def _lines(self, path: str) -> list[Blamed] | None:
        if path not in self._blamed:
            self._blamed[path] = self._git.blame(path) if len(self._blamed) < _MOST_FILES else None
        return self._blamed[path]


def _committed(lines: Sequence[Blamed], line: int, text: str) -> int | None:
    """When a line was committed: the same line of HEAD, or the only one with its text."""
    if line <= len(lines) and lines[line - 1].text == text:
        return lines[line - 1].when
    alike = [one.when for one in lines if one.text == text]
    return alike[0] if len(alike) == 1 else None
