"""Where in a TOML text a key is set: parsers give values, people need lines."""

from __future__ import annotations

import re

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")


def line_of(text: str, keys: tuple[str | int, ...], value: str = "") -> int | None:
    """The 1-based line that sets ``keys``; of their longest beginning that can be found, else None.

    Args:
        text: The TOML text, which parses.
        keys: Table names and indexes of arrays of tables: ``("tool", "mldebt", "overrides", 1, "ignore")``.
        value: A string in the value: the line it stands on, when that is below the key's.
    """
    lines = text.splitlines()
    best, length = None, 0
    for number, full in _assignments(lines):
        shared = _shared(full, keys)
        if shared > length:
            best, length = number, shared
        if shared == len(keys):
            break
    if best is not None and value:
        quoted = re.compile(rf"""["']{re.escape(value)}["']""")
        return next((number for number in range(best, len(lines) + 1) if quoted.search(lines[number - 1])), best)
    return best


def _assignments(lines: list[str]) -> list[tuple[int, tuple[str | int, ...]]]:
    """Every line that opens a table or sets a key, with the full path it is about."""
    found: list[tuple[int, tuple[str | int, ...]]] = []
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(lines, 1):
        header = _HEADER.match(line)
        if header:
            name = _parts(header[2])
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
            table = _indexed(name, counts)
            found.append((number, table))
        elif key := _KEY.match(line):
            found.append((number, table + _parts(key[1])))
    return found


def _indexed(name: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> tuple[str | int, ...]:
    full: list[str | int] = []
    for length, part in enumerate(name, 1):
        full.append(part)
        if name[:length] in counts:
            full.append(counts[name[:length]])
    return tuple(full)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(_PART, dotted))


def _shared(full: tuple[str | int, ...], keys: tuple[str | int, ...]) -> int:
    """How many of ``keys`` the path ``full`` is about; 0 when it leads elsewhere."""
    length = min(len(full), len(keys))
    return length if full[:length] == keys[:length] else 0
