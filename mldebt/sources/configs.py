"""Configuration text as typed scalars with lines: YAML, JSON, TOML, INI. Broken text gives what precedes the fault."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import tomli
from msgspec import Struct

from mldebt.sources.artefacts import Leaf, Scalar
from mldebt.sources.yaml_leaves import MAX_DEPTH, MAX_LEAVES, Reading, read_yaml

__all__ = ["FORMATS", "Assignment", "Reading", "TomlText", "assignments", "read_config", "read_toml", "toml_text"]

FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".ini": "ini", ".cfg": "ini"}

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels: not read further"
_TOO_MANY = f"more than {MAX_LEAVES} values: not read further"
_ELEMENT_WINDOW = 10_000  # characters in which the next element of a TOML array is looked for
_MAX_DIGITS = 100  # of an integer that int() is given without further ado
_MAX_DOTS = 1000  # in one key: the parser takes time quadratic in them
_JSON_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_JSON_TOKEN = re.compile(
    rf'[ \t\r\n]*(?:([{{}}\[\]:,])|("(?:[^"\\\n]|\\.)*")|({_JSON_NUMBER}|true|false|null|-?Infinity|NaN))'
)
_TOML_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_TOML_PATH = rf"{_TOML_PART}(?:[ \t]*\.[ \t]*{_TOML_PART})*"
_TOML_LINE = re.compile(rf"^[ \t]*(?:(\[\[?)[ \t]*({_TOML_PATH})[ \t]*\]|({_TOML_PATH})[ \t]*=)", re.MULTILINE)
_TOML_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)$|\(at end of document\)$")
_INI_SECTION = re.compile(r"\[([^\]]+)\]")
_INI_KEY = re.compile(r"([^=:\s][^=:]*?)\s*[=:]\s*(.*)")


def read_config(text: str, form: str) -> Reading:
    """Return the scalars of ``text``, whose format is one of the values of ``FORMATS``."""
    if form == "yaml":
        return read_yaml(text)
    if form == "json":
        return _read_json(text)
    return read_toml(toml_text(text)) if form == "toml" else _read_ini(text)


def line_starts(text: str) -> list[int]:
    """Return the offset of every line."""
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _read_json(text: str) -> Reading:
    end, problem = len(text), None
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        end, problem = error.pos, (error.lineno, f"not valid JSON: {error.msg}")
    except RecursionError:
        problem = (1, _TOO_DEEP)
    except ValueError as error:  # a number of thousands of digits
        problem = (1, f"not valid JSON: {error}")
    leaves, cut = _json_leaves(text, end)
    if cut is not None and (problem is None or cut[0] <= problem[0]):
        return Reading(tuple(leaves), cut, skipped=True)
    return Reading(tuple(leaves), problem)


def _json_leaves(text: str, end: int) -> tuple[list[Leaf], tuple[int, str] | None]:
    """Scan the tokens before offset ``end``: json.loads has said whether they are in order, this finds the lines."""
    starts, leaves = line_starts(text), list[Leaf]()
    keys: list[str | int] = []  # an int is the index in a list
    name: str | None = None
    at = 0
    while (match := _JSON_TOKEN.match(text, at)) and match.end() <= end:
        sign, quoted, plain = match.groups()
        at = match.end()
        if sign in {"{", "["}:
            keys.append("" if sign == "{" else 0)
            if len(keys) > MAX_DEPTH:
                return leaves, (
                    bisect_right(starts, at - 1),
                    _TOO_DEEP,
                )
        elif sign in {"}", "]"}:
            del keys[-1:]
        elif sign == ",":
            if keys and isinstance(last := keys[-1], int):
                keys[-1] = last + 1
            name = None
        elif sign == ":":
            keys[-1:] = [name or ""]
        elif quoted is not None and keys and isinstance(keys[-1], str) and name is None:
            name = str(_json_value(quoted))
        else:
            line = bisect_right(starts, match.start(match.lastindex or 0))
            leaves.append(Leaf(tuple(map(str, keys)), _json_value(quoted or plain), line))
            if len(leaves) >= MAX_LEAVES:
                return leaves, (line, _TOO_MANY)
        if sign in {"{", "}"}:
            name = None
    return leaves, None


def _json_value(token: str) -> Scalar:
    if token[0] == '"' and "\\" not in token:
        return token[1:-1]
    if token.isdecimal() and len(token) < _MAX_DIGITS:
        return int(token)
    try:
        value = json.loads(token, strict=False)
    except ValueError:
        return token
    return value if isinstance(value, (str, int, float)) else None


class TomlText(Struct, frozen=True):
    """A parsed TOML text: its values, the best known line of a key path, and why reading stopped early."""

    text: str
    values: Mapping[str, object]
    lines: Mapping[tuple[str, ...], int]
    problem: tuple[int, str] | None = None

    def line(self, *keys: str) -> int:
        """Return the line of a key path, of its nearest parent when its own is not found, else 1."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)


def toml_text(text: str) -> TomlText:
    """Parse TOML; after a fault the tables before the one it stands in are kept.

    Lines come from a search for headers and keys, as the parser gives none: a key inside a multi-line string or an
    inline table may get its neighbour's line.
    """
    problem = None
    values: dict[str, object] = {}
    if any(part.count(".") > _MAX_DOTS for part in re.split("[=\n]", text)):
        return TomlText(text, {}, {}, (1, "a key of more than a thousand parts: not read"))
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = _TOML_ERROR_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        problem = (line, f"not valid TOML: {_TOML_ERROR_LINE.sub('', str(error)).strip()}")
        values = _readable_toml(text, line)
    except RecursionError:
        problem = (1, _TOO_DEEP)
    return TomlText(text, values, dict(_toml_lines(text)), problem)


def _readable_toml(text: str, line: int) -> dict[str, object]:
    """The tables that end before ``line``; nothing when they cannot be read either."""
    head = text[: ([*line_starts(text), len(text)])[min(line, text.count("\n") + 1)]]
    headers = [match.start() for match in _TOML_LINE.finditer(head) if match[1]]
    try:
        return tomli.loads(head[: headers[-1]]) if headers else {}
    except (tomli.TOMLDecodeError, RecursionError):
        return {}


def _toml_lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    starts = line_starts(text)
    table: tuple[str, ...] = ()
    arrays: dict[tuple[str, ...], int] = {}
    for match in _TOML_LINE.finditer(text):
        line = bisect_right(starts, match.start(2 if match[2] else 3))
        parts = [part.strip("\"'") for part in re.findall(_TOML_PART, match[2] or match[3])]
        if not match[1]:
            yield (*table, *parts), line
            continue
        table = ()
        for position, part in enumerate(parts):
            table = (*table, part)
            if match[1] == "[[" and position == len(parts) - 1:
                arrays[table] = arrays.get(table, -1) + 1
            if table in arrays:
                table = (*table, str(arrays[table]))
        yield table, line


def read_toml(toml: TomlText) -> Reading:
    """Return the scalars of parsed TOML; dates and times become text."""
    leaves: list[Leaf] = []
    starts = line_starts(toml.text)
    stack: list[tuple[tuple[str, ...], object, int]] = [((), toml.values, 1)]
    while stack:
        keys, value, line = stack.pop()
        line = toml.lines.get(keys, line)
        if isinstance(value, dict) and len(keys) < MAX_DEPTH:
            stack.extend(((*keys, name), item, line) for name, item in reversed(value.items()))
        elif isinstance(value, list) and len(keys) < MAX_DEPTH:
            lines = element_lines(toml.text, starts, value, line)
            stack.extend(((*keys, str(i)), item, lines[i]) for i, item in reversed(list(enumerate(value[:MAX_LEAVES]))))
        else:
            scalar = value if isinstance(value, (str, int, float)) else str(value)
            leaves.append(Leaf(keys, scalar, line))
        if len(leaves) >= MAX_LEAVES:
            return Reading(tuple(leaves), (line, _TOO_MANY), skipped=True)
    return Reading(tuple(leaves), toml.problem)


def element_lines(text: str, starts: Sequence[int], values: Sequence[object], line: int) -> list[int]:
    """Return the line of each element of an array that begins on ``line``, by looking for its quoted text in order."""
    at = starts[line - 1]
    found = []
    for value in values[:MAX_LEAVES]:
        for quote in "\"'" if isinstance(value, str) else "":
            position = text.find(f"{quote}{value}{quote}", at, at + _ELEMENT_WINDOW)
            if position >= 0:
                at = position + len(str(value))
                break
        found.append(bisect_right(starts, at))
    return found


class Assignment(Struct, frozen=True):
    """One ``key = value`` of an INI text: the non-empty lines of the value, each with its number."""

    section: str
    key: str
    line: int
    values: tuple[tuple[int, str], ...]

    @property
    def text(self) -> str:
        return "\n".join(value for _, value in self.values)


def assignments(text: str) -> tuple[tuple[Assignment, ...], tuple[int, str] | None]:
    """Return the assignments of an INI text in order, and the first line that is none of section, key and comment."""
    found: list[Assignment] = []
    problem: tuple[int, str] | None = None
    section, key, first, values = "", "", 0, list[tuple[int, str]]()

    def close() -> None:
        if key:
            found.append(Assignment(section, key, first, tuple(values)))

    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if key and line[0] in " \t":
            values.append((number, stripped))
            continue
        close()
        key, first, values = "", number, []
        if match := _INI_SECTION.match(stripped):
            section = match[1]
        elif match := _INI_KEY.fullmatch(stripped):
            key = match[1]
            if match[2]:
                values.append((number, match[2]))
        elif re.fullmatch(r"[\w.-]+", stripped):
            key = stripped  # a key without a value
        elif problem is None:
            problem = (number, "neither a section nor an assignment")
    close()
    return tuple(found), problem


def _read_ini(text: str) -> Reading:
    found, problem = assignments(text)
    leaves = tuple(
        Leaf((entry.section, entry.key) if entry.section else (entry.key,), entry.text, entry.line)
        for entry in found[:MAX_LEAVES]
    )
    if len(found) > MAX_LEAVES:
        return Reading(leaves, (found[MAX_LEAVES].line, _TOO_MANY), skipped=True)
    return Reading(leaves, problem)
