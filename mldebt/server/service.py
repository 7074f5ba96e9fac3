"""The language server: what editors tell it, and what it tells them."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from mldebt import __version__
from mldebt.errors import MldebtError, UsageError
from mldebt.server import actions
from mldebt.server.checking import Checked, Setup, check
from mldebt.server.documents import Documents, path_of
from mldebt.server.runs import Runs

DELAY = 0.3  # seconds after the last key
_WATCHED = ("**/*.{py,ipynb,toml,yaml,yml,json,sh,cfg,ini,md}", "**/{Makefile,Dockerfile}*")
_NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[
        types.NotebookDocumentFilterWithNotebook(
            notebook=types.NotebookDocumentFilterNotebookType(notebook_type="jupyter-notebook"),
            cells=[types.NotebookCellLanguage(language="python")],
        )
    ],
    save=True,
)


class Service:
    """Answers one client.

    Args:
        opened: The setup of the root around a file or folder. Raises MldebtError.
    """

    def __init__(self, opened: Callable[[Path], Setup]) -> None:
        self._opened = opened
        self.server = LanguageServer("mldebt", __version__, notebook_document_sync=_NOTEBOOKS)
        self._documents = Documents()
        self._lock = threading.Lock()
        self._checked: dict[Path, Checked] = {}
        self._told = ""
        self._runs = Runs(self._scan, self._failed)
        self._register()

    def serve(self) -> None:
        """Answer over standard input and output until the client has enough."""
        # What a plug-in prints must not get between two messages.
        out = cast(BinaryIO, sys.stdout.buffer)
        with contextlib.redirect_stdout(sys.stderr):
            self.server.start_io(stdout=out)
        self._runs.stop()

    def _register(self) -> None:
        handlers: dict[str, Callable[..., object]] = {
            types.INITIALIZED: self._initialized,
            types.SHUTDOWN: lambda *_: self._runs.stop(),
            types.TEXT_DOCUMENT_DID_OPEN: self._did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self._did_change,
            types.TEXT_DOCUMENT_DID_SAVE: lambda params: self._ask([params.text_document.uri]),
            types.TEXT_DOCUMENT_DID_CLOSE: self._did_close,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: self._did_open_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: self._did_change_notebook,
            types.NOTEBOOK_DOCUMENT_DID_SAVE: lambda params: self._ask([params.notebook_document.uri]),
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: self._did_close_notebook,
            types.WORKSPACE_DID_CHANGE_WATCHED_FILES: self._did_change_files,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: lambda _: self._ask(self._documents.now().paths().values()),
            types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: lambda _: self._ask(self._documents.now().paths().values()),
            types.TEXT_DOCUMENT_HOVER: self._hover,
        }
        for name, handler in handlers.items():
            self.server.feature(name)(partial(handler))  # pygls leaves marks, and a method takes none
        kinds = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
        self.server.feature(types.TEXT_DOCUMENT_CODE_ACTION, kinds)(partial(self._code_action))

    # What the client tells.

    def _initialized(self, _: types.InitializedParams) -> None:
        """Ask to be told of files that change outside of the editor, where the client can."""
        workspace = self.server.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace else None
        if watching is None or not watching.dynamic_registration:
            return
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(each) for each in _WATCHED])
        registration = types.Registration("watched", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        self.server.client_register_capability(types.RegistrationParams([registration]))

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._documents.encoding = str(self._encoding)
        self._documents.open([params.text_document])
        self._ask([params.text_document.uri])

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._documents.change(params.text_document, params.content_changes)
        self._ask([params.text_document.uri], DELAY)

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._documents.close([params.text_document.uri])
        self._publish(params.text_document.uri, None, [])
        self._ask([params.text_document.uri], DELAY)

    def _did_open_notebook(self, params: types.DidOpenNotebookDocumentParams) -> None:
        self._documents.encoding = str(self._encoding)
        self._documents.open_notebook(params.notebook_document, params.cell_text_documents)
        self._ask([params.notebook_document.uri])

    def _did_change_notebook(self, params: types.DidChangeNotebookDocumentParams) -> None:
        self._documents.change_notebook(params)
        self._ask([params.notebook_document.uri], DELAY)

    def _did_close_notebook(self, params: types.DidCloseNotebookDocumentParams) -> None:
        cells = [cell.uri for cell in params.cell_text_documents]
        self._documents.close([params.notebook_document.uri, *cells])
        for cell in cells:
            self._publish(cell, None, [])
        self._ask([params.notebook_document.uri], DELAY)

    def _did_change_files(self, params: types.DidChangeWatchedFilesParams) -> None:
        self._ask([change.uri for change in params.changes], DELAY)

    def _hover(self, params: types.HoverParams) -> types.Hover | None:
        checked = self._checked_of(params.text_document.uri)
        return actions.hover(checked, params.text_document.uri, params.position) if checked else None

    def _code_action(self, params: types.CodeActionParams) -> list[types.CodeAction] | None:
        uri, only = params.text_document.uri, params.context.only
        checked = self._checked_of(uri)
        quick = types.CodeActionKind.QuickFix.value
        if checked is None or (only is not None and not any(kind in ("", quick) for kind in only)):
            return None
        workspace = self.server.client_capabilities.workspace
        edits = workspace.workspace_edit if workspace else None
        versioned = bool(edits and edits.document_changes)
        return actions.actions(checked, uri, params.range, self._documents.now(), versioned=versioned) or None

    # What follows from it.

    @property
    def _encoding(self) -> str:
        encoding = self.server.workspace.position_encoding
        return encoding.value if isinstance(encoding, types.PositionEncodingKind) else str(encoding or "utf-16")

    def _ask(self, uris: Iterable[str], delay: float = 0.0) -> None:
        """Scan the roots of these documents again."""
        for start in {start for uri in uris if (start := self._start(uri)) is not None}:
            self._runs.ask(start, delay)

    def _start(self, uri: str) -> Path | None:
        """The workspace folder a document is in, the innermost if it is in several; else its own folder."""
        path = path_of(uri)
        if path is None:
            return None
        folders = [folder for each in self.server.workspace.folders.values() if (folder := path_of(each.uri))]
        if not folders and self.server.workspace.root_uri and (single := path_of(self.server.workspace.root_uri)):
            folders = [single]
        around = [folder for folder in folders if path.is_relative_to(folder)]
        return max(around, key=lambda folder: len(folder.parts), default=path.parent)

    def _scan(self, start: Path, going_on: Callable[[], None]) -> None:
        try:
            setup = self._opened(start)
            if setup.root in (Path.home().resolve(), Path(setup.root.anchor)):
                # A loose file there would make everything the user has one repository.
                raise UsageError(f"{setup.root} is no repository; open the folder of one")
            self._told = ""
        except MldebtError as error:
            self._tell(str(error))
            return
        checked = check(setup, self._documents.now(), self._encoding, going_on)
        going_on()
        with self._lock:
            self._checked[setup.root] = checked
        for uri, shown in checked.shown.items():
            document = checked.open.documents.get(uri)
            self._publish(uri, document.version if document else None, [one.diagnostic for one in shown])
        # A project is full of cycles. Waiting for the collector to come around would keep several of them.
        gc.collect()

    def _tell(self, message: str) -> None:
        """A message the user should see; the same one once, until it is different."""
        if message != self._told:
            self._told = message
            self.server.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"mldebt: {message}"))

    def _failed(self, error: Exception) -> None:
        self._tell(f"this is a bug in mldebt {__version__}; please report it: {error!r}")

    def _publish(self, uri: str, version: int | None, diagnostics: list[types.Diagnostic]) -> None:
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, diagnostics, version))

    def _checked_of(self, uri: str) -> Checked | None:
        """The last scan that has something to say about a document."""
        with self._lock:
            return next((checked for checked in self._checked.values() if uri in checked.shown), None)
