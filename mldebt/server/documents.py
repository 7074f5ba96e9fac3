"""What the editor has open: texts and notebooks, as they are there and not on disk."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lsprotocol import types
from pygls.uris import to_fs_path

from mldebt.errors import UnreadableError
from mldebt.server.positions import Text
from mldebt.sources.text import decode

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@dataclass(frozen=True)
class Document:
    """One open text; a cell of a notebook is one too."""

    uri: str
    version: int | None
    text: Text
    language: str = "python"


@dataclass(frozen=True)
class Notebook:
    """One open notebook: kinds and texts of all its cells, in order."""

    uri: str
    version: int
    kinds: tuple[types.NotebookCellKind, ...] = ()
    cells: tuple[str, ...] = ()  # their documents


@dataclass(frozen=True)
class Open:
    """Everything open at one moment. Values never change, so a scan may look at them from its own thread."""

    documents: dict[str, Document] = field(default_factory=dict)
    notebooks: dict[str, Notebook] = field(default_factory=dict)

    def paths(self) -> dict[Path, str]:
        """Files of open documents and notebooks, to URIs."""
        cells = {cell for notebook in self.notebooks.values() for cell in notebook.cells}
        uris = [*self.notebooks, *(uri for uri in self.documents if uri not in cells)]
        return {path: uri for uri in uris if (path := path_of(uri)) is not None}

    def content(self, uri: str) -> bytes:
        """What the file would hold if it were saved now."""
        notebook = self.notebooks.get(uri)
        if notebook is not None:
            return self._notebook(notebook)
        return encoded(self.documents[uri].text.text)

    def cell_at(self, notebook: str, index: int) -> Document | None:
        """A cell's document by its number from 1."""
        cells = self.notebooks[notebook].cells
        return self.documents.get(cells[index - 1]) if 1 <= index <= len(cells) else None

    def _notebook(self, notebook: Notebook) -> bytes:
        cells: list[dict[str, object]] = []
        for index, (kind, uri) in enumerate(zip(notebook.kinds, notebook.cells, strict=True)):
            document = self.documents.get(uri)
            is_code = kind is types.NotebookCellKind.Code
            language = document.language if document and is_code else ""
            metadata = {"vscode": {"languageId": language}} if language not in ("", "python") else {}
            cell = {
                "cell_type": "code" if is_code else "markdown",
                "id": str(index),
                "metadata": metadata,
                # A line each, so that what is wrong with a cell is told with a line of its own.
                "source": _LINE.findall(document.text.text) if document else [],
            }
            cells.append(cell | ({"outputs": [], "execution_count": None} if is_code else {}))
        metadata = {"language_info": {"name": "python"}}
        return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1).encode()


class Documents:
    """Follows what the client says it opens, changes and closes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = Open()
        self.encoding = "utf-16"

    def now(self) -> Open:
        with self._lock:
            return Open(dict(self._open.documents), dict(self._open.notebooks))

    def open(self, items: Iterable[types.TextDocumentItem]) -> None:
        with self._lock:
            for item in items:
                text = Text(item.text, self.encoding)
                self._open.documents[item.uri] = Document(item.uri, item.version, text, item.language_id)

    def change(
        self,
        changed: types.VersionedTextDocumentIdentifier,
        changes: Sequence[types.TextDocumentContentChangeEvent],
    ) -> None:
        """Apply changes in order; those of a document that is not open are of no use to anybody."""
        with self._lock:
            document = self._open.documents.get(changed.uri)
            if document is None:
                return
            text = document.text
            for change in changes:
                if isinstance(change, types.TextDocumentContentChangePartial):
                    text = text.changed(change.range.start, change.range.end, change.text)
                else:
                    text = Text(change.text, self.encoding)
            self._open.documents[changed.uri] = replace(document, version=changed.version, text=text)

    def close(self, uris: Iterable[str]) -> None:
        with self._lock:
            for uri in uris:
                self._open.documents.pop(uri, None)
                self._open.notebooks.pop(uri, None)

    def open_notebook(self, notebook: types.NotebookDocument, cells: Iterable[types.TextDocumentItem]) -> None:
        self.open(cells)
        self._order(notebook.uri, notebook.version, notebook.cells)

    def change_notebook(self, params: types.DidChangeNotebookDocumentParams) -> None:
        """Cells inserted, deleted and moved, then texts changed."""
        uri, version = params.notebook_document.uri, params.notebook_document.version
        with self._lock:
            known = self._open.notebooks.get(uri)
        changes = params.change.cells
        if known is None or changes is None:
            return
        if changes.structure is not None:
            array = changes.structure.array
            cells = [types.NotebookCell(kind, cell) for kind, cell in zip(known.kinds, known.cells, strict=True)]
            cells[array.start : array.start + array.delete_count] = array.cells or []
            self.open(changes.structure.did_open or ())
            self.close(each.uri for each in changes.structure.did_close or ())
            self._order(uri, version, cells)
        for content in changes.text_content or ():
            self.change(content.document, content.changes)

    def _order(self, uri: str, version: int, cells: Sequence[types.NotebookCell]) -> None:
        kinds, documents = tuple(cell.kind for cell in cells), tuple(cell.document for cell in cells)
        with self._lock:
            self._open.notebooks[uri] = Notebook(uri, version, kinds, documents)


def path_of(uri: str) -> Path | None:
    """The file of a URI, links resolved; None when it is of another scheme."""
    if not uri.startswith("file:"):
        return None
    try:
        path = to_fs_path(uri)
        return Path(path).resolve() if path else None
    except (ValueError, OSError):  # a NUL, a loop of links
        return None


def encoded(text: str) -> bytes:
    """A text in the encoding its own coding comment names, as the editor would save it."""
    data = text.encode("utf-8", "replace")
    try:
        _, encoding = decode(data)
        return text.encode(encoding.removesuffix("-sig"), "replace")
    except UnreadableError:
        return data
