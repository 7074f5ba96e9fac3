"""When to scan: a while after the last change, one root at a time, and never to the end for an answer that is stale."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

_STACK = 64 * 1024 * 1024  # deep code is walked recursively, and some systems give threads half a megabyte


class SupersededError(Exception):
    """Something changed, so nobody waits for this scan any more."""


class Runs:
    """Runs scans in a thread of its own.

    Args:
        act: Scans a root; calls what it is given now and then, which raises ``SupersededError`` when the scan is stale.
        failed: Told of a bug in a scan.
    """

    def __init__(self, act: Callable[[Path, Callable[[], None]], None], failed: Callable[[Exception], None]) -> None:
        self._act, self._failed = act, failed
        self._changed = threading.Condition()
        self._due: dict[Path, float] = {}
        self._turn: dict[Path, int] = {}
        self._stopped = False
        before = threading.stack_size(_STACK)
        self._thread = threading.Thread(target=self._loop, name="scans", daemon=True)
        self._thread.start()
        threading.stack_size(before)

    def ask(self, root: Path, delay: float = 0.0) -> None:
        """Scan a root after a delay in seconds; asked again before then, it waits anew, and is scanned once."""
        with self._changed:
            self._turn[root] = self._turn.get(root, 0) + 1
            self._due[root] = time.monotonic() + delay
            self._changed.notify()

    def stop(self) -> None:
        """No more scans; one that is going on ends at its next step."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify()

    def _loop(self) -> None:
        while (found := self._next()) is not None:
            self._attempt(*found)

    def _next(self) -> tuple[Path, int] | None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                root = min(self._due, key=self._due.__getitem__, default=None)
                if root is None:
                    self._changed.wait()
                elif self._due[root] > now:
                    self._changed.wait(self._due[root] - now)
                else:
                    del self._due[root]
                    return root, self._turn[root]
            return None

    def _attempt(self, root: Path, turn: int) -> None:
        def going_on() -> None:
            if self._stopped or self._turn[root] != turn:
                raise SupersededError

        try:
            self._act(root, going_on)
        except SupersededError:
            return
        except Exception as error:  # noqa: BLE001 - a bug in one scan must not end the server
            self._failed(error)
