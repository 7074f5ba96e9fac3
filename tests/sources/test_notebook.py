from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.errors import UnreadableError
from mldebt.sources.text import Source, lines, read_source

PYTHON = {"kernelspec": {"language": "python", "name": "python3"}}


def code(*source: str, **more: object) -> dict[str, object]:
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": list(source), **more}


def notebook(*cells: object, metadata: object = PYTHON) -> dict[str, object]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def read(document: object, indent: int | None = 1) -> Source:
    return read_source("a.ipynb", json.dumps(document, indent=indent, ensure_ascii=False).encode())


MARKDOWN = {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]}


def test_code_cells_are_one_text() -> None:
    source = read(
        notebook(MARKDOWN, code("import a\n", "import b", id="x1", execution_count=3), code("c = 1", id="x2"))
    )
    assert source.text == "import a\nimport b\nc = 1\n"
    assert [(cell.index, cell.id, cell.line, cell.end_line) for cell in source.cells] == [
        (2, "x1", 1, 2),
        (3, "x2", 3, 3),
    ]
    assert source.execution_counts == (3, None)
    assert source.notebook


def test_every_line_leads_to_its_line_in_the_file() -> None:
    document = notebook(
        code("x = 'a \"quoted\" é \\\\n'\n", "\n", "def f():\n", "\treturn x", outputs=[{"text": ["x\n", "source"]}]),
        MARKDOWN,
        code("y = 1\n", "%time z = 2\n"),
        code(),
        code("last = 3"),
    )
    raw = json.dumps(document, indent=1, ensure_ascii=False)
    source = read_source("a.ipynb", raw.encode())
    rows, file = lines(source.text), raw.split("\n")
    assert len(rows) == len(source.physical) == 7
    for row, line in zip(rows, source.physical, strict=True):
        written = "%time z = 2" if row.startswith("pass") else row
        assert json.dumps(written, ensure_ascii=False)[:-1] in file[line - 1]


def test_source_as_one_string_maps_to_its_line() -> None:
    document = json.dumps(notebook(code("x")), indent=1).replace('[\n    "x"\n   ]', '"a = 1\\nb = 2\\n"')
    source = read_source("a.ipynb", document.encode())
    assert source.text == "a = 1\nb = 2\n"
    (line,) = set(source.physical)
    assert '"source": "a = 1' in document.split("\n")[line - 1]


def test_compact_json_is_all_on_line_one() -> None:
    assert read(notebook(code("a = 1\n", "b = 2")), indent=None).physical == (1, 1)


def test_windows_line_ends_in_the_json() -> None:
    raw = json.dumps(notebook(code("a = 1\n", "b = 2")), indent=1)
    assert read_source("a.ipynb", raw.replace("\n", "\r\n").encode()) == read_source("a.ipynb", raw.encode())


def test_byte_order_mark_is_tolerated() -> None:
    raw = json.dumps(notebook(code("a = 1"))).encode()
    assert read_source("a.ipynb", b"\xef\xbb\xbf" + raw).text == "a = 1\n"


@given(
    st.lists(
        st.lists(st.sampled_from(["a = 1", "\n", "\r\n", "\r", "", "# é\x0c\u2028", "b\n", "# "]), max_size=6),
        max_size=4,
    ),
    st.sampled_from([None, 0, 1, 4]),
)
def test_physical_lines_under_any_layout(cells: list[list[str]], indent: int | None) -> None:
    """Each text line starts in the string that stands on its physical line."""
    raw = json.dumps(notebook(*(code(*strings) for strings in cells)), indent=indent, ensure_ascii=False)
    source = read_source("a.ipynb", raw.encode())
    file = raw.split("\n")
    assert len(lines(source.text)) == len(source.physical)
    assert list(source.physical) == sorted(source.physical)
    for row, line in zip(lines(source.text), source.physical, strict=True):
        start = json.dumps(row[:1], ensure_ascii=False)[1:-1]
        assert start in file[line - 1]


def test_a_broken_cell_is_blank_and_the_rest_is_kept() -> None:
    source = read(notebook(code("a = 1"), code("x = 1\n", "print 'old'"), code("b = 2")))
    assert source.text == "a = 1\n\n\nb = 2\n"
    ((line, message),) = source.problems
    assert line == 3
    assert message.startswith("cell 2: ")
    assert len(source.cells) == 3
    ast.parse(source.text)


@pytest.mark.parametrize("bad", ["x = '\0'", "x = '\ud800'", "(" * 5000, "x = 1 \\", "if x:", "'''"])
def test_what_no_parser_takes_is_a_broken_cell(bad: str) -> None:
    raw = json.dumps(notebook(code(bad), code("b = 2"))).encode()
    source = read_source("a.ipynb", raw)
    assert source.text == "\nb = 2\n"
    assert source.problems[0][1].startswith("cell 1: ")


def test_fifty_thousand_operators_in_a_cell_do_not_stop_the_scan() -> None:
    source = read(notebook(code("+".join(["1"] * 50_000)), code("b = 2")))
    assert source.text.endswith("b = 2\n")


def test_invalid_escapes_warn_nobody() -> None:
    assert read(notebook(code(r"x = '\d'"))).problems == ()


def test_top_level_await_is_allowed() -> None:
    source = read(notebook(code("x = await f()\n", "async with g() as y:\n", "    pass")))
    assert source.problems == ()


def test_an_indented_cell_is_dedented_as_ipython_does() -> None:
    source = read(notebook(code("  a = 1\n", "  b = 2")))
    assert (source.text, source.problems) == ("a = 1\nb = 2\n", ())


def test_magics_are_masked_and_kept_with_their_line() -> None:
    source = read(notebook(code("import a"), code("!pip install x\n", "b = 2"), code("%%bash\n", "python train.py")))
    assert source.text == "import a\npass\nb = 2\n\n\n"
    assert [(magic.line, magic.text) for magic in source.magics] == [
        (2, "!pip install x"),
        (4, "%%bash\npython train.py"),
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"language": "R", "name": "ir"}},
        {"language_info": {"name": "julia"}},
        {"kernelspec": {"name": "ir"}},
    ],
)
def test_a_notebook_in_another_language_has_no_code(metadata: dict[str, Any]) -> None:
    source = read(notebook(code("x <- 1"), metadata=metadata))
    assert (source.text, source.cells, source.problems) == ("", (), ())


def test_a_cell_in_another_language_is_left_out() -> None:
    source = read(notebook(code("select 1", metadata={"vscode": {"languageId": "sql"}}), code("a = 1")))
    assert (source.text, source.problems) == ("a = 1\n", ())


def test_no_metadata_means_python() -> None:
    assert read({"cells": [code("a = 1")]}).text == "a = 1\n"


def test_format_3_worksheets() -> None:
    cell = {"cell_type": "code", "language": "python", "input": ["a = 1\n", "b = 2"], "prompt_number": 7}
    source = read(
        {"metadata": {"name": ""}, "nbformat": 3, "worksheets": [{"cells": [MARKDOWN, cell], "metadata": {}}]}
    )
    assert source.text == "a = 1\nb = 2\n"
    assert (source.cells[0].index, source.execution_counts) == (2, (7,))


@pytest.mark.parametrize(
    ("raw", "line", "message"),
    [
        (b"", 1, "empty"),
        (b' \n{"cells": [', 2, "not valid JSON"),
        (b'{\n"cells": [],\n<<<<<<< HEAD\n}', 3, "not valid JSON"),
        (b'{"cells": []}\n}', 2, "Extra data"),
        (b"[]", 1, "the top level is not an object"),
        (b'{"nbformat": 4}', 1, "no cells"),
        (b'{"nbformat": 4,\n"cells": {}}', 2, "cells is not an array"),
        (b'{"cells": [\n1]}', 2, "a cell is not an object"),
        (b'{"cells": [{"cell_type": "code",\n"source": null}]}', 2, "source is not text"),
        (b'{"cells": [{"cell_type": "code",\n"source": ["a",\n1]}]}', 3, "source is not text"),
        (b'{"cells": [\n{"source": "\xff"}]}', 2, "byte 0xff"),
        (b'{"metadata": ' + b"[" * 100_000, 1, "cannot be read"),
        (b'{"nbformat": ' + b"1" * 10_000 + b', "cells": []}', 1, "cannot be read|no cells"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 1, "Git LFS pointer"),
    ],
)
def test_a_broken_notebook_names_the_line(raw: bytes, line: int, message: str) -> None:
    if b"1" * 10_000 in raw and _takes_long_integers():
        pytest.skip("this Python reads integers of any length")
    with pytest.raises(UnreadableError, match=message) as raised:
        read_source("a.ipynb", raw)
    assert raised.value.line == line


def _takes_long_integers() -> bool:
    try:
        int("1" * 10_000)
    except ValueError:
        return False
    return True


@given(st.data())
def test_any_damage_is_an_error_with_a_line_or_a_source(data: st.DataObject) -> None:
    raw = json.dumps(notebook(MARKDOWN, code("a = 1\n", "!ls"), code("x?")), indent=1)
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 30)))
    damaged = raw[:start] + data.draw(st.text(alphabet='{}[]",:\n1ax\\', max_size=4)) + raw[end:]
    try:
        source = read_source("a.ipynb", damaged.encode())
    except UnreadableError as error:
        line = error.line
    else:
        line = 1
        assert len(lines(source.text)) == len(source.physical)
        ast.parse(source.text)
    assert 1 <= line <= damaged.count("\n") + 1
