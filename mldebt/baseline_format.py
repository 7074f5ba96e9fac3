"""The baseline's file: JSON with one entry a line, sorted, so that two branches seldom touch the same line."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec

from mldebt.baseline import FILE, Baseline, Entry, Key
from mldebt.errors import ConfigurationError
from mldebt.sources.jsoncursor import Cursor

VERSION = 1
MAX_BYTES = 64 << 20
_HEX = r"^(?:[0-9a-f]{2})*$"


def render(baseline: Baseline, version: str) -> str:
    """The text of a baseline: one entry a line, sorted; the same bytes for the same entries and ``version``."""
    by_path: defaultdict[str, list[str]] = defaultdict(list)
    counts = baseline.counts()
    for key in sorted(counts):
        row: dict[str, Any] = {"rule": key.rule, "scope": key.scope, "code": key.code}
        row |= {"n": counts[key]} if counts[key] > 1 else {}
        row |= {"msg": key.message} if key.message else {}
        by_path[key.path].append(f"      {json.dumps(row)}")
    files = [f"    {json.dumps(path)}: [\n" + ",\n".join(by_path[path]) + "\n    ]" for path in sorted(by_path)]
    findings = "{\n" + ",\n".join(files) + "\n  }" if files else "{}"
    return f'{{\n  "v": {VERSION},\n  "tool": {json.dumps(f"mldebt {version}")},\n  "findings": {findings}\n}}\n'


class _Row(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    rule: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    scope: str
    code: Annotated[str, msgspec.Meta(pattern=_HEX, max_length=64)]
    n: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    msg: Annotated[str, msgspec.Meta(pattern=_HEX, max_length=64)] = ""


def parse(data: bytes, name: str = FILE) -> Baseline:
    """Read a baseline file.

    Args:
        data: Its bytes; at most ``MAX_BYTES``.
        name: How messages call it.

    Raises:
        ConfigurationError: It is damaged, or of another version; with the line.
    """
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"larger than {MAX_BYTES >> 20} MiB", name)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError("not UTF-8", name, data.count(b"\n", 0, error.start) + 1) from None
    _refuse_conflict(text, name)
    cursor = Cursor(text)
    try:
        return Baseline(tuple(_entries(cursor, name)), name)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"not valid JSON: {error.msg.lower()}", name, error.lineno) from None
    except RecursionError:
        raise ConfigurationError("nested too deeply for a baseline", name, cursor.line()) from None
    except ValueError:  # a number of thousands of digits
        raise ConfigurationError("holds a number no baseline has", name, cursor.line()) from None


def _refuse_conflict(text: str, name: str) -> None:
    if "<<<<<<<" not in text and ">>>>>>>" not in text:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            advice = "keep the lines of both sides, then run `mldebt baseline update`"
            raise ConfigurationError(f"an unresolved merge conflict: {advice}", name, number)


def _entries(cursor: Cursor, name: str) -> Iterator[Entry]:
    if cursor.peek() != "{":
        cursor.value()  # what is no JSON at all says so itself
        raise ConfigurationError('not a baseline: it has no "v"', name, 1)
    versions: list[object] = []
    found: list[Entry] = []
    for key in cursor.members("the baseline"):
        line = cursor.line()
        if key == "findings":
            found += _of_files(cursor, name)
        elif key == "v":
            versions.append(_version(cursor.value(), name, line))
        elif key != "tool":
            raise ConfigurationError(f"unknown member {key!r}", name, line)
        else:
            cursor.value()
    if not versions:
        raise ConfigurationError('not a baseline: it has no "v"', name, 1)
    if cursor.peek():
        raise json.JSONDecodeError("Extra data", cursor.text, cursor.at)
    yield from found


def _version(value: object, name: str, line: int) -> object:
    if value == VERSION and type(value) is int:
        return value
    newer = isinstance(value, int) and value > VERSION
    advice = (
        "a newer mldebt wrote it; update mldebt" if newer else "write it anew with `mldebt baseline create --force`"
    )
    raise ConfigurationError(f"format {value!r} is not {VERSION}, the one this mldebt reads: {advice}", name, line)


def _of_files(cursor: Cursor, name: str) -> Iterator[Entry]:
    if cursor.peek() != "{":
        raise ConfigurationError("findings: expected an object of paths", name, cursor.line())
    for path in cursor.members("findings"):
        line = cursor.line()
        if not _is_relative(path):
            raise ConfigurationError(f"{path!r} is no path below the root", name, line)
        if cursor.peek() != "[":
            raise ConfigurationError(f"{path}: expected an array of entries", name, line)
        for at in cursor.items(path):
            try:
                row = msgspec.convert(cursor.value(), _Row)
            except msgspec.ValidationError as error:
                raise ConfigurationError(f"{path}: {_plain(error)}", name, at) from None
            yield Entry(Key(path, row.rule, row.scope, row.code, row.msg), row.n, at)


def _is_relative(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path


def _plain(error: msgspec.ValidationError) -> str:
    message, _, where = str(error).partition(" - at `$")
    text = message.replace("`", "").replace("Object", "the entry").replace("Expected", "expected")
    return f"{where.strip('.`')}: {text}" if where else text
