"""Comments, found by one scanner that knows only strings and comments (a full tokenize costs ten times as much)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mldebt.facts.schema import Comment

# Strings are matched to be skipped. A backslash keeps a quote from closing in raw strings too.
_STRING_OR_COMMENT = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    r"|#[^\n]*",
    re.DOTALL,
)


def comments(text: str) -> Iterator[Comment]:
    r"""The comments of Python source in order; lines of ``text`` must end at ``\n`` only. Columns are UTF-8 bytes."""
    if "#" not in text:
        return
    line, counted = 1, 0
    for match in _STRING_OR_COMMENT.finditer(text):
        start = match.start()
        if text[start] != "#":
            continue
        line += text.count("\n", counted, start)
        counted = start
        before = text[text.rfind("\n", 0, start) + 1 : start]
        column = len(before) if before.isascii() else len(before.encode("utf-8", "surrogatepass"))
        yield Comment(line, column, match.group(), not before or before.isspace())
