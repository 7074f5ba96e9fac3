"""The parts of the server that need no client: positions, texts that change, waivers, and scans that are overtaken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from lsprotocol.types import Position

from mldebt.finding import Span
from mldebt.server.actions import waiver
from mldebt.server.documents import Document, Documents, encoded, path_of
from mldebt.server.positions import Text, code_points, units
from mldebt.server.runs import Runs, SupersededError

ENCODINGS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
texts = st.text(st.sampled_from("ab é\t模𝛼\x0c\u2028\r\n"), max_size=60)
encodings = st.sampled_from(sorted(ENCODINGS))


@given(texts, encodings)
def test_units_are_those_of_the_encoding(text: str, encoding: str) -> None:
    codec, size = ENCODINGS[encoding]
    assert units(text, encoding) == len(text.encode(codec)) // size
    assert all(code_points(text, units(text[:index], encoding), encoding) == index for index in range(len(text)))


@given(texts, encodings, st.data())
def test_a_position_and_back_is_the_same_place(text: str, encoding: str, data: Any) -> None:
    whole = Text(text, encoding)
    line = data.draw(st.integers(1, len(whole.rows)))
    column = data.draw(st.integers(1, len(whole.row(line)) + 1))
    offset = whole.offset(whole.position(line, column))
    assert offset == whole.starts[line - 1] + column - 1


@given(texts, texts, encodings, st.data())
def test_a_change_replaces_what_its_range_covers(text: str, new: str, encoding: str, data: Any) -> None:
    whole = Text(text, encoding)
    first = data.draw(st.integers(0, len(whole.rows) - 1))
    last = data.draw(st.integers(first, len(whole.rows) - 1))
    changed = whole.changed(Position(first, 0), Position(last, 0), new)
    assert changed.text == text[: whole.starts[first]] + new + text[whole.starts[last] :]


@given(texts, st.integers(0, 90), st.integers(0, 90), encodings)
def test_a_position_outside_of_the_text_is_its_nearest_end(text: str, line: int, character: int, encoding: str) -> None:
    assert 0 <= Text(text, encoding).offset(Position(line, character)) <= len(text)


def test_an_empty_span_is_all_of_its_line() -> None:
    assert Text("  𝛼 = 1  \n").range(Span(1)) == types.Range(Position(0, 2), Position(0, 8))
    assert Text("ab\ncd\n").range(Span(1, 2, 2, 2)) == types.Range(Position(0, 1), Position(1, 1))


def test_a_text_is_encoded_as_its_own_comment_says() -> None:
    assert encoded("# coding: latin-1\nx = 'é'\n") == "# coding: latin-1\nx = 'é'\n".encode("latin-1")
    assert encoded("x = 'é'\n") == "x = 'é'\n".encode()
    assert encoded("# coding: no-such\n") == b"# coding: no-such\n"
    assert encoded("x = '\ud800'") == b"x = '?'"


def test_only_files_have_paths(tmp_path: Path) -> None:
    assert path_of((tmp_path / "a b.py").as_uri()) == (tmp_path / "a b.py").resolve()
    assert path_of("untitled:Untitled-1") is None
    assert path_of("vscode-notebook-cell:/a.ipynb#W0") is None


def test_cells_keep_their_order_when_some_are_moved() -> None:
    documents = Documents()
    cells = [types.NotebookCell(types.NotebookCellKind.Code, f"cell:{n}") for n in range(3)]
    items = [types.TextDocumentItem(f"cell:{n}", "python", 1, f"x = {n}") for n in range(3)]
    documents.open_notebook(types.NotebookDocument("file:///n.ipynb", "jupyter-notebook", 1, cells), items)
    change = types.NotebookDocumentCellChanges(
        structure=types.NotebookDocumentCellChangeStructure(
            types.NotebookCellArrayChange(0, 1), did_close=[types.TextDocumentIdentifier("cell:0")]
        )
    )
    documents.change_notebook(
        types.DidChangeNotebookDocumentParams(
            types.VersionedNotebookDocumentIdentifier(2, "file:///n.ipynb"),
            types.NotebookDocumentChangeEvent(cells=change),
        )
    )
    now = documents.now()
    assert now.notebooks["file:///n.ipynb"].cells == ("cell:1", "cell:2")
    assert b'"x = 1"' in now.content("file:///n.ipynb")
    assert b'"x = 0"' not in now.content("file:///n.ipynb")


@pytest.mark.parametrize(
    ("path", "text", "line", "expected"),
    [
        ("a.py", "x = draw()\n", 1, (0, "  # {}")),
        ("a.py", "if x:\n    pass\nelif draw():\n    pass\n", 3, (2, "  # {}")),
        ("a.py", "@cached\n@drawn(\n    1)\ndef f():\n    pass\n", 2, (0, "# {}\n")),
        ("a.py", "this is no Python (\n", 1, (0, "  # {}")),
        ("conf/a.yaml", "a:\n  b: 1\n", 2, (1, "  # {}\n")),
        ("run.sh", "python a.py \\\n  --x\n", 1, (0, "# {}\n")),
        ("README.md", "text\n", 1, (0, "<!-- {} -->\n")),
    ],
)
def test_where_a_waiver_goes(path: str, text: str, line: int, expected: tuple[int, str]) -> None:
    edit = waiver(Document("file:///x", 1, Text(text)), line, "MLD404", path)
    assert edit is not None
    assert (edit.range.start.line, edit.new_text) == (
        expected[0],
        expected[1].format("mldebt: ignore[MLD404] TODO: say why"),
    )


@pytest.mark.parametrize(("path", "text", "line"), [("a.json", "{}\n", 1), ("run.sh", "python a.py \\\n  --x\n", 2)])
def test_where_no_comment_can_stand_there_is_no_waiver(path: str, text: str, line: int) -> None:
    assert waiver(Document("file:///x", 1, Text(text)), line, "MLD404", path) is None


class Scans:
    """Scans that wait to be let on."""

    def __init__(self) -> None:
        self.started, self.let = threading.Semaphore(0), threading.Semaphore(0)
        self.ended: list[str] = []
        self.bugs: list[Exception] = []

    def act(self, root: Path, going_on: Callable[[], None]) -> None:
        self.started.release()
        assert self.let.acquire(timeout=30)
        try:
            going_on()
        except SupersededError:
            self.ended.append("overtaken")
            raise
        if root.name == "bug":
            raise RuntimeError("a bug")
        self.ended.append(root.name)


def test_a_scan_that_is_overtaken_ends_and_the_next_one_runs() -> None:
    scans = Scans()
    runs = Runs(scans.act, scans.bugs.append)
    runs.ask(Path("/one"))
    assert scans.started.acquire(timeout=30)
    runs.ask(Path("/one"))
    scans.let.release()
    assert scans.started.acquire(timeout=30)
    scans.let.release()
    runs.ask(Path("/two"))
    assert scans.started.acquire(timeout=30)
    assert scans.ended == ["overtaken", "one"]
    runs.stop()
    scans.let.release()


def test_a_bug_in_a_scan_is_told_and_the_next_one_runs() -> None:
    scans = Scans()
    runs = Runs(scans.act, scans.bugs.append)
    for name in ("bug", "fine"):
        runs.ask(Path("/", name))
        assert scans.started.acquire(timeout=30)
        scans.let.release()
    runs.ask(Path("/last"))
    assert scans.started.acquire(timeout=30)
    assert [str(bug) for bug in scans.bugs] == ["a bug"]
    assert scans.ended == ["fine"]
    runs.stop()
    scans.let.release()


def test_what_is_asked_again_before_it_is_due_runs_once() -> None:
    scans = Scans()
    runs = Runs(scans.act, scans.bugs.append)
    for _ in range(50):
        runs.ask(Path("/one"), 0.2)
    assert scans.started.acquire(timeout=30)
    scans.let.release()
    runs.ask(Path("/two"), 0.4)
    assert scans.started.acquire(timeout=30)
    assert scans.ended == ["one"]
    runs.stop()
    scans.let.release()
