"""Where output goes and how it looks: colour, one status line, results to standard output or a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from mldebt.errors import UsageError

_TICK = 0.1  # seconds between two drawings of the status line


def wants_color(option: str, environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether to colour: ``--color``, then NO_COLOR, then FORCE_COLOR or CLICOLOR_FORCE, then whether anybody looks."""
    if option != "auto":
        return option == "always"
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return is_terminal and environment.get("TERM") != "dumb"


class StatusLine:
    """One line on a terminal's standard error, gone when the work is done."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0.0
        self._shown = False

    @classmethod
    def wanted(cls, stream: TextIO, environment: Mapping[str, str], *, quiet: bool) -> bool:
        """Only where somebody looks: on a terminal, not in CI, and unless told to be quiet."""
        return stream.isatty() and not quiet and not environment.get("CI") and environment.get("TERM") != "dumb"

    def update(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._drawn < _TICK and done < total:
            return
        self._drawn, self._shown = now, True
        self._stream.write(f"\r\x1b[K{stage} {done}/{total}" if total else f"\r\x1b[K{stage}")
        self._stream.flush()

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False


def say(message: str, *, stream: TextIO | None = None) -> None:
    """A line to the user, beside the results."""
    print(message, file=stream or sys.stderr)


def emit(text: str) -> None:
    """Results to standard output, in UTF-8-safe form; a reader that went away ends nothing but the output."""
    if text and not text.endswith("\n"):
        text += "\n"
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more on its way out and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(path: Path, content: bytes) -> None:
    """Replace a file's content, all at once or not at all. Its mode stays.

    Raises:
        UsageError: The file cannot be written.
    """
    # A link is written through, and a device or pipe (`-o /dev/stdout`) cannot be replaced.
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_bytes(content)
        try:
            if target.exists():
                draft.chmod(target.stat().st_mode)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
