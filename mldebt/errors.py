"""Errors a user can do something about. Everything else is a bug and may keep its traceback."""

from __future__ import annotations

from pathlib import Path


class MldebtError(Exception):
    """What mldebt tells the user instead of a traceback: what is wrong, and where."""


class UsageError(MldebtError):
    """The command line asks for something that is not there: a path, a rule, a combination."""


class ConfigurationError(MldebtError):
    """A configuration file says something mldebt cannot follow.

    Args:
        message: What is wrong, with the nearest valid name where there is one.
        path: The file that says so.
        line: The 1-based line, if known.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(f"{where}{message}")


class PluginError(MldebtError):
    """A rule package or a local rule file cannot be loaded."""


class UnreadableError(MldebtError):
    """A file of the scanned repository cannot be read as what it claims to be (MLD001).

    Args:
        message: What is wrong, without the place.
        line: The 1-based physical line the problem is at; 1 when the whole file is unreadable.
    """

    def __init__(self, message: str, line: int = 1) -> None:
        self.message, self.line = message, line
        super().__init__(message)
