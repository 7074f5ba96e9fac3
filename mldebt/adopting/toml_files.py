"""Edits of TOML files that leave every other byte as it was, each checked by parsing the result."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import tomli
import tomlkit
from tomlkit.exceptions import TOMLKitError

from mldebt.adopting.draft import Draft
from mldebt.adopting.seen import Seen

PYPROJECT, OWN = "pyproject.toml", "mldebt.toml"
CODE = "MLD"


def add_settings(draft: Draft, seen: Seen) -> None:
    """``[tool.mldebt]`` at the end of pyproject.toml, or a mldebt.toml; nothing where there are settings already."""
    text = draft.text(PYPROJECT)
    if draft.exists(OWN) or (text is not None and "mldebt" in _table(_parsed(text), "tool")):
        return
    if not draft.exists(PYPROJECT):
        draft.create(OWN, settings(seen))
        return
    by_hand = f"write [tool.mldebt] yourself, or {OWN} without that line"
    draft.edit(PYPROJECT, lambda text: _appended(text, settings(seen)), by_hand)


def settings(seen: Seen) -> str:
    """Our settings, without a table's head."""
    rows = [f"# {_one_line(seen.describe())}", f"library = {json.dumps(seen.library)}"]
    if seen.experiment_dirs:
        rows.append(
            f"experiment-dirs = [{', '.join(tomlkit.string(path).as_string() for path in seen.experiment_dirs)}]"
        )
    return "".join(f"{row}\n" for row in rows)


def add_ruff_external(draft: Draft) -> None:
    """Tell ruff, where it is configured, that our codes are not its own to remove from ``noqa`` comments."""
    for path in (".ruff.toml", "ruff.toml", PYPROJECT):
        text = draft.text(path)
        prefix = ("tool", "ruff") if path == PYPROJECT else ()
        if text is None or (prefix and "ruff" not in _table(_parsed(text), "tool")):
            continue
        head = ".".join([*prefix, "lint"])
        draft.edit(path, partial(_external, prefix=prefix), f'add external = ["{CODE}"] to [{head}]')
        return


def _appended(text: str, rows: str) -> str | None:
    gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
    after = f"{text}{gap}[tool.mldebt]\n{rows}"
    before, ours = _parsed(text), _parsed(rows)
    if before is None or ours is None:
        return None
    wanted = copy.deepcopy(before)
    tool = wanted.setdefault("tool", {})
    if not isinstance(tool, dict):
        return None
    tool["mldebt"] = ours
    return after if _parsed(after) == wanted else None


def _external(text: str, prefix: tuple[str, ...]) -> str | None:
    """The text with our code in ruff's ``external``, wherever that stands today."""
    before = _parsed(text)
    if before is None:
        return None
    ruff = _table(before, *prefix)
    # ruff still reads the old place, and refuses no file that has it
    keys = prefix if "external" in ruff and "external" not in _table(ruff, "lint") else (*prefix, "lint")
    listed = _table(before, *keys).get("external", [])
    if not isinstance(listed, list):
        return None
    if CODE in listed:
        return text
    try:
        document = tomlkit.parse(text)
        table: Any = document
        for key in keys:
            if key not in table:
                table[key] = tomlkit.table()
            table = table[key]
        if "external" in table:
            table["external"].append(CODE)
        else:
            table["external"] = [CODE]
        if len(table) == 1 and isinstance(table, tomlkit.items.Table):
            table.add(tomlkit.nl())  # one of our making: a blank line before what follows
        after = tomlkit.dumps(document)
        after = after if text.endswith("\n\n") else f"{after.rstrip()}\n"
    except (TOMLKitError, KeyError, TypeError, AttributeError, ValueError):
        return None
    wanted = copy.deepcopy(before)
    place = wanted
    for key in keys:
        place = place.setdefault(key, {})
    place["external"] = [*listed, CODE]
    return after if _parsed(after) == wanted and _keeps(text, after) else None


def _keeps(before: str, after: str) -> bool:
    """Whether every line is still there, but for the one that was edited."""
    left = after.split("\n")
    lost = 0
    for line in before.split("\n"):
        if line in left:
            left.remove(line)
        else:
            lost += 1
    return lost <= 1


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        return None if text is None else tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError):
        return None


def _table(values: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}


def _one_line(text: str) -> str:
    """A file name may hold a line end, and a comment must not."""
    return "".join(char if char.isprintable() else "?" for char in text)
