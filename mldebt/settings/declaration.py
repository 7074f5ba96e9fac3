"""One configuration file: what it may say, what it says, and the line of every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mldebt.errors import ConfigurationError
from mldebt.settings.formats import FORMATS, FormatName
from mldebt.settings.lines import line_of
from mldebt.settings.selectors import nearest

LEVELS = ("info", "minor", "major", "critical")
Level = Literal["info", "minor", "major", "critical"]
Sureness = Literal["medium", "high"]


class OverrideTable(msgspec.Struct, rename="kebab", forbid_unknown_fields=True, frozen=True):
    """One ``[[tool.mldebt.overrides]]``: what is different for ``files``."""

    files: list[str]
    ignore: list[str] = []
    severity: dict[str, Level] = {}
    rules: dict[str, Any] = {}


class Document(msgspec.Struct, rename="kebab", forbid_unknown_fields=True, frozen=True):
    """Everything ``[tool.mldebt]`` may say. None: not said."""

    select: list[str] | None = None
    ignore: list[str] = []
    extend_select: list[str] = []
    severity: Level | None = None
    confidence: Sureness | None = None
    fail_on: Level | None = None
    preview: bool | None = None
    exclude: list[str] | None = None
    extend_exclude: list[str] = []
    plugins: list[str] = []
    per_file_ignores: dict[str, list[str]] = {}
    rules: dict[str, Any] = {}
    overrides: list[OverrideTable] = []
    knowledge: dict[str, list[dict[str, Any]]] = {}
    assume: dict[str, str] = {}
    library: bool | None = None
    single_file_implementations: bool | None = None
    experiment_dirs: list[str] | None = None
    jobs: Annotated[int, msgspec.Meta(ge=1)] | Literal["auto"] | None = None
    cache_dir: str | None = None
    output_format: FormatName | None = None


class Declaration(Struct, frozen=True):
    """One configuration file.

    Args:
        path: The file.
        label: The file's name in messages.
        folder: The folder its globs count from, relative to the root; ``""`` is the root.
        prefix: The table that is ours: ``("tool", "mldebt")`` or nothing.
        text: The whole file.
        table: Our table, as parsed.
        document: Our table, typed.
    """

    path: Path
    label: str
    folder: str
    prefix: tuple[str, ...]
    text: str
    table: Mapping[str, Any]
    document: Document = Document()

    def line(self, *keys: str | int, value: str = "") -> int | None:
        return line_of(self.text, (*self.prefix, *keys), value)

    def error(self, message: str, *keys: str | int, value: str = "") -> ConfigurationError:
        """``message`` with the file and the line of ``keys``, or of ``value`` there."""
        return ConfigurationError(message, self.label, self.line(*keys, value=value))


def typed(declaration: Declaration) -> Declaration:
    """The same with its document.

    Raises:
        ConfigurationError: A key is unknown or a value has the wrong type.
    """
    table, known = declaration.table, Document.__struct_encode_fields__
    for key in table:
        if key in known:
            continue
        if key == "tool" and not declaration.prefix:
            raise declaration.error("settings stand at the top of this file, without [tool.mldebt]", "tool")
        raise declaration.error(f"unknown key {key!r}{nearest(key, known)}", key)
    try:
        return replace(declaration, document=msgspec.convert(table, Document))
    except msgspec.ValidationError as error:
        raise explained(declaration, str(error), OverrideTable.__struct_encode_fields__) from None


def explained(
    declaration: Declaration, problem: str, known: Iterable[str], below: tuple[str | int, ...] = ()
) -> ConfigurationError:
    """msgspec's message in the words of TOML, at the key it is about.

    Args:
        declaration: The file.
        problem: The message.
        known: The fields there are where one is unknown.
        below: The keys of the value that was converted.
    """
    message, _, where = problem.partition(" - at `$")
    found = re.findall(r"\.([\w-]+)|\[(\d+)\]", where)
    keys = [*below, *(int(index) if index else name for name, index in found)]
    unknown = re.search(r"unknown field `(.+)`", message)
    if unknown:
        return declaration.error(f"unknown key {unknown[1]!r}{nearest(unknown[1], known)}", *keys, unknown[1])
    for ours, theirs in (("object", "table"), ("str", "string"), ("int", "integer"), ("bool", "boolean")):
        message = re.sub(rf"\b{ours}\b", theirs, message, flags=re.IGNORECASE)
    message = message.replace(" | null", "").replace("`", "").replace("enum value", "value").replace(" field", "")
    bad = re.search(r"Invalid value '(.*)'", message)
    if bad:
        message += nearest(bad[1], (*LEVELS, "high", "medium", "auto", *FORMATS))
    label = ".".join(str(key) for key in keys)
    return declaration.error(f"{label}: {message[0].lower()}{message[1:]}", *keys, value=bad[1] if bad else "")
