"""A language client that speaks to the real console script over its standard input and output."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

PATIENCE = 60  # seconds until a test gives up on a server that hangs


class Client:
    """Sends and receives messages; diagnostics are kept by document as they come."""

    def __init__(self, *options: str, cwd: Path) -> None:
        script = Path(sys.executable).with_name("mldebt")
        self.process = subprocess.Popen(
            [str(script), "server", "--trust-plugins", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
        )
        self.published: dict[str, list[dict[str, Any]]] = {}
        self.versions: dict[str, int | None] = {}
        self.messages: list[str] = []
        self.capabilities: dict[str, Any] = {}
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._last = 0
        self.errors = b""
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self) -> None:
        stream = self._stream(self.process.stdout)
        while line := stream.readline():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = stream.readline()
            self._inbox.put(json.loads(stream.read(length)))
        self._inbox.put(None)

    def _read_errors(self) -> None:
        for line in self._stream(self.process.stderr):
            self.errors += line

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream

    def send(self, **message: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def write(self, body: bytes) -> None:
        stream = self._stream(self.process.stdin)
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()

    def notify(self, method: str, **params: Any) -> None:
        self.send(method=method, params=params)

    def request(self, method: str, params: Any = None) -> Any:
        """The result; raises with the error when there is one."""
        self._last += 1
        mine = self._last
        self.send(id=mine, method=method, params=params)
        while True:
            message = self._next()
            if message.get("id") == mine and "method" not in message:
                if "error" in message:
                    raise AssertionError(message["error"])
                return message["result"]

    def _next(self) -> dict[str, Any]:
        message = self._inbox.get(timeout=PATIENCE)
        if message is None:
            raise AssertionError(f"the server went away: {self.errors.decode()}")
        method, params = message.get("method"), message.get("params") or {}
        if method == "textDocument/publishDiagnostics":
            self.published[params["uri"]] = params["diagnostics"]
            self.versions[params["uri"]] = params.get("version")
        elif method == "window/showMessage":
            self.messages.append(params["message"])
        elif method is not None and "id" in message:
            self.send(id=message["id"], result=None)
        return message

    def until(self, happened: Callable[[], object]) -> None:
        """Reads messages until something has happened."""
        while not happened():
            self._next()

    def initialize(self, *folders: Path, **capabilities: Any) -> Any:
        named = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
        result = self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": named[0]["uri"] if named else None,
                "workspaceFolders": named,
                "capabilities": {"workspace": {"workspaceEdit": {"documentChanges": True}}, **capabilities},
            },
        )
        self.capabilities = result["capabilities"]
        self.notify("initialized")
        return result

    def open(self, path: Path, text: str | None = None, version: int = 1, language: str = "python") -> str:
        content = path.read_text(encoding="utf-8") if text is None else text
        item = {"uri": path.as_uri(), "languageId": language, "version": version, "text": content}
        self.published.pop(path.as_uri(), None)
        self.notify("textDocument/didOpen", textDocument=item)
        return path.as_uri()

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        self.notify(
            "textDocument/didChange", textDocument={"uri": uri, "version": version}, contentChanges=list(changes)
        )

    def diagnostics(self, uri: str, version: int | None = None) -> list[dict[str, Any]]:
        """What is published for a document, once there is something for this version of it."""
        self.until(lambda: uri in self.published and version in (None, self.versions[uri]))
        return self.published[uri]

    def actions(self, uri: str, where: dict[str, Any], **context: Any) -> list[dict[str, Any]]:
        params = {"textDocument": {"uri": uri}, "range": where, "context": {"diagnostics": [], **context}}
        return self.request("textDocument/codeAction", params) or []

    def hover(self, uri: str, line: int, character: int) -> Any:
        position = {"line": line, "character": character}
        return self.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": position})

    def leave(self) -> int:
        self.request("shutdown")
        self.send(method="exit")
        return self.process.wait(PATIENCE)


Start = Callable[..., Client]


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts servers, and ends those a test left running."""
    started: list[Client] = []

    def call(*options: str) -> Client:
        client = Client(*options, cwd=tmp_path)
        started.append(client)
        return client

    yield call
    for client in started:
        client.process.kill()
        client.process.wait(PATIENCE)
        for stream in (client.process.stdin, client.process.stdout, client.process.stderr):
            if stream is not None:
                with_errors_ignored(stream)


def with_errors_ignored(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return
