from __future__ import annotations

import ast
import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.errors import UnreadableError
from mldebt.sources.text import codepoint_column, decode, lines, read_source


def test_plain_source_is_its_own_text() -> None:
    source = read_source("train.py", b"x = 1\n")
    assert (source.text, source.encoding, source.cells, source.physical) == ("x = 1\n", "utf-8", (), ())
    assert not source.notebook


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        ("s = 'é'\n".encode(), "s = 'é'\n", "utf-8"),
        (b"\xef\xbb\xbfs = 1\n", "s = 1\n", "utf-8-sig"),
        (b"# -*- coding: latin-1 -*-\ns = '\xe9'\n", "# -*- coding: latin-1 -*-\ns = 'é'\n", "iso8859-1"),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n'\x80'\n", None, "cp1252"),
        (b"\n# coding: latin-1\n'\xe9'\n", None, "iso8859-1"),
        (b"# coding: latin-1\r'\xe9'\r", "# coding: latin-1\r'é'\r", "iso8859-1"),
        (b"a = 1\r\nb = 2\r\n", "a = 1\r\nb = 2\r\n", "utf-8"),
        (b"x = 1\n# coding: latin-1\n", None, "utf-8"),  # a cookie on line two needs a comment on line one
        (b"\xef\xbb\xbf# coding: utf-8\n", "# coding: utf-8\n", "utf-8-sig"),
        (b"", "", "utf-8"),
    ],
)
def test_decodes_as_python_does(data: bytes, text: str | None, encoding: str) -> None:
    decoded, found = decode(data)
    assert found == encoding
    assert decoded.encode(found) == data
    if text is not None:
        assert decoded == text


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a = 1\nb = '\xe9'\n", 2, "not utf-8: byte 0xe9"),
        (b"a\r\nb\rc = '\xff'", 3, "byte 0xff"),
        (b"# coding: ascii\n\n'\xe9'", 3, "not ascii"),
        (b"a = 1\nb = '\0'\n", 2, "NUL byte"),
        (b"# coding: klingon\n", 1, "unknown encoding 'klingon'"),
        (b"#\n# coding: utf-16\n", 2, "cannot hold Python source"),
        (b"# coding: unicode_escape\n", 1, "cannot hold Python source"),
        (b"# coding: base64\n", 1, "cannot hold Python source"),
        (b"\xef\xbb\xbf# coding: latin-1\n", 1, "byte order mark"),
        ("x = 1".encode("utf-16"), 1, "UTF-16"),
    ],
)
def test_undecodable_source_names_the_line(data: bytes, line: int, message: str) -> None:
    with pytest.raises(UnreadableError, match=message) as raised:
        read_source("broken.py", data)
    assert raised.value.line == line


def test_five_megabytes_on_one_line() -> None:
    data = b"x = '" + b"a" * 5_000_000 + b"'"
    source = read_source("blob.py", data)
    assert len(lines(source.text)) == 1
    assert codepoint_column(source.text, 5_000_000) == 5_000_000


def test_only_python_newlines_end_a_line() -> None:
    text = "a\nb\r\nc\rd\x0ce\x1cf\u2028g\x85h"
    assert lines(text) == ["a", "b", "c", "d\x0ce\x1cf\u2028g\x85h"]
    assert lines("a\n") == ["a"]
    assert lines("a\n\n") == ["a", ""]
    assert lines("") == []


PIECES = ["é", "ÿ", "\t", "\x0c", "𝔘", "日本", "a", "\u2028", "\x1c", "\x85", "\ufeff", " "]
ENDS = ["\n", "\r\n", "\r"]


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.sampled_from(ENDS)), max_size=8),
    st.sampled_from(["", codecs.BOM_UTF8.decode()]),
)
def test_a_name_is_found_where_ast_says(rows: list[tuple[str, str]], mark: str) -> None:
    """Whatever stands before a name on its line, line and code-point column lead to it."""
    text = "".join(f"'{before}'; name{number}{end}" for number, (before, end) in enumerate(rows))
    decoded, _ = decode((mark + text).encode())
    split = lines(decoded)
    names = [node for node in ast.walk(ast.parse(decoded)) if isinstance(node, ast.Name)]
    assert len(names) == len(rows)
    for node in names:
        row = split[node.lineno - 1]
        assert node.end_col_offset is not None
        start, end = codepoint_column(row, node.col_offset), codepoint_column(row, node.end_col_offset)
        assert row[start:end] == node.id


@given(st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=20))
def test_latin_1_columns_are_code_points(before: str) -> None:
    quoted = before.replace("\\", "").replace("'", "")
    data = f"# coding: latin-1\n'{quoted}'; name\n".encode("latin-1")
    text, _ = decode(data)
    (name,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
    row = lines(text)[name.lineno - 1]
    assert row[codepoint_column(row, name.col_offset) :] == "name"


@given(st.lists(st.sampled_from([*PIECES, *ENDS]), max_size=30).map("".join))
def test_lines_keep_every_character(text: str) -> None:
    """Line for line what the text holds, but for the ends."""
    normal = text.replace("\r\n", "\n").replace("\r", "\n")
    assert "\n".join(lines(text)) == normal.removesuffix("\n")


@given(
    st.binary(max_size=60),
    st.sampled_from([b"", b"# coding: latin-1\n", b"# coding: utf-7\n", b"#coding=idna\r", b"\xef\xbb\xbf"]),
)
def test_any_bytes_are_text_or_an_error_with_a_line(data: bytes, head: bytes) -> None:
    try:
        source = read_source("any.py", head + data)
    except UnreadableError as error:
        line = error.line
    else:
        line = 1
        assert source.text.encode(source.encoding) == head + data
    assert 1 <= line <= (head + data).count(b"\n") + (head + data).count(b"\r") + 1
