"""Patterns as in a ``.gitignore``, matched in linear time: they and the names come from a repository nobody trusts.

What they mean: https://git-scm.com/docs/gitignore. Each path is judged for itself; that all below an ignored directory
is ignored is for the caller, who does not enter it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

_TRAILING_SPACE = re.compile(r"(?<!\\) +$")
_ESCAPED = re.compile(r"\\(.)")


class Pattern(Struct, frozen=True):
    """One line of an ignore file; ``segments`` are between slashes, None standing for ``**``."""

    ignores: bool
    folders_only: bool
    segments: tuple[re.Pattern[str] | None, ...]

    @classmethod
    def of(cls, line: str) -> Pattern | None:
        """Read a line; None for a blank line, a comment and what git takes for no pattern."""
        if line.startswith("#"):
            return None
        text = _TRAILING_SPACE.sub("", line)
        ignores = not text.startswith("!")
        text = text.removeprefix("!")
        folders_only = text.endswith("/")
        text = text.removesuffix("/")
        if not text.strip("/"):
            return None
        names = text.removeprefix("/").split("/") if "/" in text else ["**", text]
        segments = list[re.Pattern[str] | None]()
        for name in names:
            if len(name) < 2 or name.strip("*"):
                segments.append(_segment(name))
            elif not segments or segments[-1] is not None:  # a run of ** is one: matching stays linear
                segments.append(None)
        if segments[-1] is None:  # a/** is what is below a, not a
            segments.append(_segment("*"))
        return cls(ignores, folders_only, tuple(segments))

    def match(self, parts: Sequence[str], folder: bool) -> bool:
        """Tell whether the path made of ``parts`` matches."""
        if self.folders_only and not folder:
            return False
        last = self.segments[-1]
        if last is None or not last.match(parts[-1]):
            return False
        return _match(self.segments, parts)


def said(patterns: Sequence[Pattern], parts: Sequence[str], folder: bool) -> bool | None:
    """Tell what the last matching pattern says: ignored (True), not (False), or nothing (None)."""
    for pattern in reversed(patterns):
        if pattern.match(parts, folder):
            return pattern.ignores
    return None


def read(lines: Iterable[str]) -> tuple[Pattern, ...]:
    """Read the lines of an ignore file, leaving out what is no pattern."""
    return tuple(pattern for line in lines if (pattern := Pattern.of(line)))


def _segment(name: str) -> re.Pattern[str]:
    """Compile one name; ``fnmatch`` makes expressions that never backtrack over a star already matched."""
    plain = _ESCAPED.sub(lambda found: f"[{found[1]}]" if found[1] in "*?[" else found[1], name)
    return re.compile(fnmatch.translate(plain.replace("[^", "[!")))


def _match(segments: Sequence[re.Pattern[str] | None], parts: Sequence[str]) -> bool:
    """Match with one step back at most, to the last ``**``: the earliest place for what is before it is always good."""
    at = number = retry = 0
    star = -1
    while at < len(parts):
        segment = segments[number] if number < len(segments) else None
        if number < len(segments) and segment is None:
            star, retry, number = number, at, number + 1
        elif segment is not None and segment.match(parts[at]):
            at, number = at + 1, number + 1
        elif star >= 0:
            retry += 1
            at, number = retry, star + 1
        else:
            return False
    return number == len(segments)
