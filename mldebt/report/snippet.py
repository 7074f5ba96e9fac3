"""Source text made fit for a terminal: nothing in it can move the cursor, and long lines show the part that matters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.cells import cell_len

# The scanned text is hostile input: control characters (also C1 and bidirectional overrides) could rewrite the screen.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
TAB = "    "


def printable(text: str) -> str:
    """Text with control characters shown as pictures or U+FFFD, one for one, and tabs as four spaces."""
    return _CONTROL.sub(_picture, text).replace("\t", TAB)


def harmless(line: str) -> str:
    """A line that starts with a file's name, fit for a CI log: no name makes it a command of the CI service."""
    shown = printable(line)
    return f"./{shown}" if shown.startswith(("::", "##")) else shown


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of code as shown, with the cells to underline: from ``start``, ``length`` wide."""

    text: str
    start: int = 0
    length: int = 0


def shown(line: str, first: int, last: int, room: int) -> Shown:
    """A line cut to ``room`` cells around the code points ``first`` to ``last`` (0-based, end exclusive)."""
    line = line.rstrip("\r\n")
    first, last = min(first, len(line)), min(last, len(line))
    left, head = 0, ""
    if cell_len(printable(line[: max(last, room) + 1])) > room and last > room * 3 // 4:
        # Keep a third of the room for what stands before the underlined part.
        left, head = max(0, first - room // 3), "…"
        left = left if left > 1 else 0
        head = head if left else ""
    text, tail = line[left : left + room + 1], ""
    visible = head + printable(text)
    if cell_len(visible) > room or left + room + 1 < len(line):
        tail = "…"
        while text and cell_len(head + printable(text)) > room - 1:
            text = text[:-1]
        visible = head + printable(text) + tail
    start = cell_len(head + printable(line[left:first]))
    end = cell_len(head + printable(line[left : min(last, left + len(text))]))
    return Shown(visible, start, max(0, end - start))


def one_line(text: str, room: int) -> str:
    """Code or words on one line of at most ``room`` cells."""
    return shown(" ".join(text.split()), 0, 0, room).text
