"""Places of a report as locations in an editor: in open texts, in cells of open notebooks, in files on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lsprotocol.types import Location, Position, Range
from pygls.uris import from_fs_path

from mldebt.errors import UnreadableError
from mldebt.finding import Cell, Place, Span
from mldebt.report.regions import Regions, text_of
from mldebt.report.result import NotebookLines, Report
from mldebt.server.documents import Document, Open
from mldebt.server.positions import Text
from mldebt.sources.text import read_source

_LARGEST = 32 * 1024 * 1024


@dataclass(frozen=True)
class Spot:
    """A piece of one document. ``document`` is None for a file that is not open."""

    uri: str
    range: Range
    document: Document | None = None
    exact: bool = True  # the text there is the text that was scanned, so edits may be made


@dataclass
class Places:
    """Answers for one scan. ``uris`` are the open files by path relative to the root."""

    root: Path
    report: Report
    open: Open
    uris: dict[str, str]
    encoding: str = "utf-16"
    _texts: dict[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._regions = Regions(self.report)

    def spot(self, place: Place) -> Spot:
        """Where an editor shows a place."""
        uri = self.uris.get(place.path, "")
        if uri in self.open.notebooks:
            return self._in_cell(uri, place)
        if place.path in self.report.notebooks:
            return self._in_json(uri, place)
        text = self._text(place.path)
        return Spot(uri or self._uri(place.path), text.range(place.span), self.open.documents.get(uri))

    def edited(self, place: Place) -> Spot | None:
        """Where an edit goes; None where its place is not exactly known."""
        spot = self.spot(place)
        if not spot.exact:
            return None
        empty = (place.span.line, place.span.column) == (place.span.end_line, place.span.end_column)
        if not empty:
            return spot
        # What is a whole line to look at is a point to insert at.
        uri, lines = self.uris.get(place.path, ""), self.report.notebooks.get(place.path)
        cell = lines.cell(place.span.line) if lines and uri in self.open.notebooks else None
        text = spot.document.text if spot.document else self._text(place.path)
        point = text.position(cell.line if cell else place.span.line, place.span.column)
        return Spot(spot.uri, Range(point, point), spot.document)

    def location(self, place: Place) -> Location:
        spot = self.spot(place)
        return Location(spot.uri, spot.range)

    def of_line(self, path: str, line: int) -> Spot:
        """A physical line; in a notebook open as one, the line of its cell."""
        uri = self.uris.get(path, "")
        if uri in self.open.notebooks:
            cell = _cell_of(self.open.content(uri), path, line)
            document = self.open.cell_at(uri, cell.index) if cell else self.open.cell_at(uri, 1)
            text = document.text if document else Text("")
            return Spot(document.uri if document else uri, text.whole_line(cell.line if cell else 1), exact=False)
        return Spot(uri or self._uri(path), self._text(path).whole_line(line), self.open.documents.get(uri))

    def _in_cell(self, uri: str, place: Place) -> Spot:
        """In a notebook open as one; all of the line where the cell's text was changed before it was scanned."""
        lines, span = self.report.notebooks[place.path], place.span
        cell = lines.cell(span.line)
        document = self.open.cell_at(uri, cell.index) if cell else None
        if cell is None or document is None:
            return Spot(uri, Range(Position(0, 0), Position(0, 0)), exact=False)
        scanned = self.report.snippets.get((place.path, span.line))
        if scanned is not None and document.text.row(cell.line) != scanned:
            return Spot(document.uri, document.text.whole_line(cell.line), document, exact=False)
        here = Span(cell.line, span.column, cell.line + span.end_line - span.line, span.end_column)
        return Spot(document.uri, document.text.range(here), document)

    def _in_json(self, uri: str, place: Place) -> Spot:
        """In a notebook that is open as text, or not at all."""
        region, text = self._regions.of(place), self._text(place.path)
        if region.column is None or region.end_column is None:
            found = text.whole_line(region.line)
        else:
            found = text.range(Span(region.line, region.column, region.end_line, region.end_column))
        return Spot(uri or self._uri(place.path), found, self.open.documents.get(uri), exact=False)

    def _text(self, path: str) -> Text:
        document = self.open.documents.get(self.uris.get(path, ""))
        if document is not None:
            return document.text
        if path not in self._texts:
            self._texts[path] = Text(_read(self.root, path), self.encoding)
        return self._texts[path]

    def _uri(self, path: str) -> str:
        return from_fs_path(str(self.root / path)) or ""


def _cell_of(data: bytes, path: str, line: int) -> Cell | None:
    """The cell that a line of a notebook's JSON is in."""
    try:
        lines = NotebookLines.of(read_source(path, data))
    except UnreadableError:
        return None
    return lines.cell(lines.physical.index(line) + 1) if line in lines.physical else None


def _read(root: Path, path: str) -> str:
    """The text of a file below the root; "" when it cannot be read any more."""
    real = Path(os.path.realpath(root / path))
    try:
        if not real.is_relative_to(os.path.realpath(root)) or real.stat().st_size > _LARGEST:
            return ""
        return text_of(real.read_bytes())
    except OSError:
        return ""
