"""Files as they are and as they are to be: what ``mldebt init`` shows first and writes when it is told to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """One file. ``before`` is None for a new one; texts have the file's own line ends."""

    path: str
    before: str | None
    after: str


@dataclass
class Draft:
    """Edits of files below a root, none of them written. ``notes`` say what is left to the user, and why."""

    root: Path
    notes: list[str] = field(default_factory=list)
    _before: dict[str, str | None] = field(default_factory=dict)
    _after: dict[str, str] = field(default_factory=dict)

    def text(self, path: str) -> str | None:
        """A file's text with the edits so far; None when there is no such file."""
        if path in self._after:
            return self._after[path]
        if path not in self._before:
            self._before[path] = self._read(path)
        return self._before[path]

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.root / path)

    def create(self, path: str, text: str) -> None:
        """A file that is not there yet."""
        if not self.exists(path) and self._is_inside(path):
            self._before[path] = None
            self._after[path] = text

    def edit(self, path: str, change: Callable[[str], str | None], otherwise: str) -> None:
        """Change a file that is there.

        Args:
            path: The file.
            change: From its text, with bare line feeds, to what it is to be; None when that cannot be done safely.
            otherwise: What the user is told then.
        """
        text = self.text(path)
        if text is None:
            self.notes.append(f"{path} {self._why_not(path)}: {otherwise}")
            return
        plain, feed = text.replace("\r\n", "\n"), "\r\n" if "\r\n" in text else "\n"
        after = change(plain) if plain.replace("\n", feed) == text else None  # else its line ends are mixed
        if after is None:
            self.notes.append(f"{path} is left as it is: {otherwise}")
        else:
            self._after[path] = after.replace("\n", feed)

    def changes(self) -> list[Change]:
        """The files that come out otherwise than they are, by path."""
        return [
            Change(path, self._before[path], after)
            for path, after in sorted(self._after.items())
            if after != self._before[path]
        ]

    def _read(self, path: str) -> str | None:
        file = self.root / path
        if not file.is_file() or not self._is_inside(path):
            return None
        try:
            with file.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
            return data.decode("utf-8") if len(data) <= MAX_BYTES else None
        except (OSError, UnicodeDecodeError):
            return None

    def _is_inside(self, path: str) -> bool:
        if Path(os.path.realpath(self.root / path)).is_relative_to(os.path.realpath(self.root)):
            return True
        self.notes.append(f"{path} is left alone: it leads out of the repository")
        return False

    def _why_not(self, path: str) -> str:
        return "cannot be read" if self.exists(path) else "is not there"
