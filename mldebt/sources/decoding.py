"""Bytes to text as Python itself does it (PEP 263), and the one definition of a line and of a column."""

from __future__ import annotations

import codecs
import re

from mldebt.errors import UnreadableError

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)?")
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"[ \t\f]*(?:[#\r\n]|$)")

# Codecs under which the ASCII bytes of the cookie line are not themselves: Python refuses them or reads something else.
_NOT_ASCII = frozenset(
    """utf-7 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be
    unicode-escape unicode_escape raw-unicode-escape raw_unicode_escape idna punycode undefined""".split()
)


def decode(data: bytes) -> tuple[str, str]:
    """Decode a Python source; return its text without the byte order mark, and the encoding's name.

    The name is ``utf-8-sig`` when there is a mark, so that encoding the text with it gives the bytes back.

    Raises:
        UnreadableError: NUL bytes, an unknown encoding, or bytes that are not in the encoding.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnreadableError("the file is UTF-16; Python reads UTF-8 or what a coding comment names")
    if (nul := data.find(b"\0")) >= 0:
        raise UnreadableError("the file holds a NUL byte", _line_at(data, nul))
    marked = data.startswith(codecs.BOM_UTF8)
    body = data[len(codecs.BOM_UTF8) :] if marked else data
    encoding = "utf-8"
    if cookie := _cookie(body):
        encoding = _codec(*cookie)
        if marked and encoding != "utf-8":
            raise UnreadableError(f"the file has a UTF-8 byte order mark but declares {encoding}", cookie[1])
    text = _decoded(body, encoding)
    return text, "utf-8-sig" if marked else encoding


def lines(text: str) -> list[str]:
    r"""Split as Python counts lines: at ``\n``, ``\r\n`` and ``\r`` only, never at ``\f``, ``\x1c`` or ``\u2028``.

    The ends are dropped; like ``str.splitlines``, a final newline starts no further line.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    split = text.split("\n")
    if not split[-1]:
        split.pop()
    return split


def codepoint_column(line_text: str, byte_column: int) -> int:
    """Turn a 0-based column in UTF-8 bytes (``ast``) into a 0-based column in code points."""
    if line_text.isascii():
        return byte_column
    return len(line_text.encode()[:byte_column].decode(errors="ignore"))


def _cookie(body: bytes) -> tuple[str, int] | None:
    """Find the declared encoding on line one, or on line two when line one is blank or a comment."""
    first = _LINE.match(body)
    assert first is not None  # the pattern matches the empty string
    if found := _COOKIE.match(first.group()):
        return found[1].decode("ascii"), 1
    if not _BLANK.match(first.group()):
        return None
    second = _LINE.match(body, first.end())
    if second and (found := _COOKIE.match(second.group())):
        return found[1].decode("ascii"), 2
    return None


def _codec(name: str, line: int) -> str:
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        raise UnreadableError(f"unknown encoding {name!r}", line) from None
    if encoding in _NOT_ASCII:
        raise UnreadableError(f"encoding {name!r} cannot hold Python source", line)
    return encoding


def _decoded(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        at = error.start
        raise UnreadableError(f"not {encoding}: byte 0x{body[at]:02x}", _line_at(body, at)) from None
    except LookupError:  # codecs from bytes to bytes (base64, zlib) exist but are no text encodings
        raise UnreadableError(f"encoding {encoding!r} cannot hold Python source") from None


def _line_at(data: bytes, offset: int) -> int:
    head = data[:offset]
    return 1 + head.count(b"\n") + head.count(b"\r") - head.count(b"\r\n")
