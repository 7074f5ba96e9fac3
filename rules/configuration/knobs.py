"""``mldebt knobs``: the one location where all settings stand, for a repository that has none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mldebt.facts.arguments import UNKNOWN
from mldebt.view import Asked, View

from .configuration_table import Bound, ConfigurationTable
from .namespaces import Namespaces

if TYPE_CHECKING:
    from mldebt.project.project import Project

_CLASSES = ("contract", "tuning", "performance", "seed", "")
_MOST_HOMES = 8  # shown of one knob in the list of all
_WIDEST_VALUE = 40


class Knobs(View):
    """Every setting with its values, where they stand, and how many places read it."""

    command = "knobs"
    title = "every setting with its values, where they stand and who reads them"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._table = project[ConfigurationTable]

    def names(self) -> Collection[str]:
        return frozenset({*self._table.by_knob, *(one.name for one in self._table.bindings)})

    def values(self, asked: Asked, /) -> Mapping[str, Any]:
        if asked.name:
            knob = self._table.knob(asked.name)
            return {"knobs": [self._knob(knob, self._table.by_knob.get(knob, ()), asked, whole=True)], "whole": True}
        rows = []
        for knob, homes in self._table.by_knob.items():
            inside = [home for home in homes if asked.covers(home.place.path)]
            if inside:
                rows.append(self._knob(knob, inside, asked, whole=False))
        rows.sort(
            key=lambda row: (_CLASSES.index(row["class"]), -len(row["homes"]) if row["class"] else 0, row["name"])
        )
        return {"knobs": rows, "whole": False}

    def _knob(self, knob: str, homes: Sequence[Bound], asked: Asked, *, whole: bool) -> dict[str, Any]:
        readers = [one for one in self._table.readers(knob) if asked.covers(one[0].path)]
        found: dict[str, Any] = {
            "name": knob,
            "class": self._table.kind(knob),
            "also": sorted({home.name for home in homes} - {knob}),
            "values": _distinct(homes),
            "files": len({home.place.path for home in homes}),
            "homes": [self._home(home) for home in homes],
            "readers": len(readers),
        }
        if whole:
            found["read_at"] = [{"path": one.path, "line": self._physical(one.path, line)} for one, line in readers]
            found["written_at"] = self._writes(knob)
            found["conflicts"] = list(_conflicts(homes))
        return found

    def _writes(self, knob: str) -> list[dict[str, Any]]:
        events = self.project[Namespaces].writes
        places = {(one.module.path, one.place.span.line) for one in events if self._table.knob(one.names[-1]) == knob}
        return [{"path": path, "line": self._physical(path, line)} for path, line in sorted(places)]

    def _physical(self, path: str, line: int) -> int:
        """The line in the file itself: another one than the text's in a notebook."""
        module = self.project.modules.get(path)
        rows = module.source.physical if module is not None and path.endswith(".ipynb") else ()
        return rows[line - 1] if 0 < line <= len(rows) else line

    def _home(self, home: Bound) -> dict[str, Any]:
        known = home.value is not UNKNOWN
        return {
            "name": home.name,
            "kind": home.kind,
            "value": _plain(home.value) if known else None,
            "known": known,
            "owner": home.owner,
            "path": home.place.path,
            "line": self._physical(home.place.path, home.place.span.line),
        }

    def render(self, values: Mapping[str, Any], form: str, /) -> str:
        rows = values["knobs"]
        if not rows:
            return "no settings found\n"
        blocks = [
            _block(row, _MOST_HOMES if not values["whole"] else len(row["homes"])) for row in rows if row["class"]
        ]
        others = [row for row in rows if not row["class"]]
        if values["whole"]:
            return (
                "\n".join([*blocks, *(_block(row, len(row["homes"])) for row in others), *map(_details, rows)]) + "\n"
            )
        if others:
            blocks.append("\n".join(["other settings", *_table(others)]))
        files = {home["path"] for row in rows for home in row["homes"]}
        homes = sum(len(row["homes"]) for row in rows)
        blocks.append(f"{len(rows)} settings with {homes} values in {len(files)} files")
        return "\n\n".join(blocks) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)


def _distinct(homes: Sequence[Bound]) -> list[Any]:
    """The different values, in the order they come; 1 and 1.0 are one, 1 and True are two."""
    found: dict[object, Any] = {}
    for home in homes:
        if home.value is not UNKNOWN and home.value is not None:
            key = (isinstance(home.value, bool), repr(home.value) if isinstance(home.value, tuple) else home.value)
            found.setdefault(key, _plain(home.value))
    return list(found.values())


def _conflicts(homes: Sequence[Bound]) -> Iterator[str]:
    """What one reader of the table would ask about."""
    values = _distinct(homes)
    files = {home.place.path for home in homes}
    if len(values) > 1:
        listed = ", ".join(_shown(value, known=True) for value in values)
        yield f"{len(values)} different values in {len(files)} {'file' if len(files) == 1 else 'files'}: {listed}"
    loose = [home for home in homes if not home.structured]
    if loose and len(loose) < len(homes):
        yield f"{len(loose)} of {len(homes)} values stand in code beside the configuration"


def _shown(value: Any, *, known: bool) -> str:
    if not known:
        return "?"
    text = repr(value) if isinstance(value, str) else str(value).replace("[", "(").replace("]", ")")
    return text if len(text) <= _WIDEST_VALUE else f"{text[:_WIDEST_VALUE]}..."


def _block(row: Mapping[str, Any], most: int) -> str:
    """One knob: a head, then a line for each of its homes."""
    also = f" (also {', '.join(row['also'])})" if row["also"] else ""
    kind = f"  {row['class']}" if row["class"] else ""
    readers = f"{row['readers']} {'reader' if row['readers'] == 1 else 'readers'}"
    count = len(row["values"])
    values = (
        f"{count} {'value' if count == 1 else 'values'} in {row['files']} {'file' if row['files'] == 1 else 'files'}"
    )
    lines = [f"{row['name']}{also}{kind}  {values}, {readers}"]
    shown = row["homes"][:most]
    cells = [
        (_shown(home["value"], known=home["known"]), home["kind"], f"{home['path']}:{home['line']}", home["owner"])
        for home in shown
    ]
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)] if cells else []
    lines += [
        "  " + "  ".join([*(text.ljust(width) for text, width in zip(cell, widths, strict=False)), cell[3]]).rstrip()
        for cell in cells
    ]
    if len(row["homes"]) > most:
        lines.append(f"  ... {len(row['homes']) - most} more: mldebt knobs {row['name']}")
    return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Settings that are no known hyperparameters, a line each."""
    cells = []
    for row in rows:
        first = row["homes"][0]
        values = ", ".join(_shown(value, known=True) for value in row["values"][:3]) or "?"
        more = f" and {len(row['homes']) - 1} more" if len(row["homes"]) > 1 else ""
        cells.append(
            (row["name"], values, f"{first['kind']} {first['path']}:{first['line']}{more}", str(row["readers"]))
        )
    widths = [min(max(len(cell[column]) for cell in cells), 48) for column in range(3)]
    for cell in cells:
        readers = "reader" if cell[3] == "1" else "readers"
        yield (
            "  "
            + "  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=False))
            + f"  {cell[3]} {readers}"
        )


def _details(row: Mapping[str, Any]) -> str:
    lines = []
    for title, key in (("read at", "read_at"), ("changed at", "written_at")):
        if row.get(key):
            lines += [title, *(f"  {place['path']}:{place['line']}" for place in row[key])]
    if row.get("conflicts"):
        lines += ["conflicts", *(f"  {text}" for text in row["conflicts"])]
    return "\n".join(lines)
