"""Read JSON one value at a time, knowing the physical line each value starts on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from msgspec import Struct

from mldebt.errors import UnreadableError

_SPACE = re.compile(r"[ \t\n]*")
_DECODER = json.JSONDecoder()


class Cursor(Struct):
    r"""A place in a JSON text whose lines end at ``\n``.

    Whole values are read by the standard decoder (in C), so only what is walked member by member costs Python time.
    """

    text: str
    at: int = 0
    _line: int = 1
    _counted: int = 0

    def line(self) -> int:
        """Return the 1-based line of the next value."""
        self._skip()
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def value(self) -> object:
        """Read the next value whole.

        Raises:
            json.JSONDecodeError: There is no valid value here.
        """
        self._skip()
        value, self.at = _DECODER.raw_decode(self.text, self.at)
        return value

    def members(self, what: str) -> Iterator[str]:
        """Walk an object: yield each key; the caller must then read its value."""
        if not self.take("{"):
            raise self._other(f"{what} is not an object")
        if self.take("}"):
            return
        while True:
            key = self.value()
            if not isinstance(key, str) or not self.take(":"):
                raise self._expected("a key and a colon")
            yield key
            if self.take("}"):
                return
            if not self.take(","):
                raise self._expected("',' or '}'")

    def items(self, what: str) -> Iterator[int]:
        """Walk an array: yield the line of each item; the caller must then read it."""
        if not self.take("["):
            raise self._other(f"{what} is not an array")
        if self.take("]"):
            return
        while True:
            yield self.line()
            if self.take("]"):
                return
            if not self.take(","):
                raise self._expected("',' or ']'")

    def take(self, mark: str) -> bool:
        """Step over ``mark`` if it comes next."""
        self._skip()
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        self._skip()
        return self.text[self.at : self.at + 1]

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.at)
        assert space is not None  # the pattern matches the empty string
        self.at = space.end()

    def _other(self, complaint: str) -> UnreadableError:
        line = self.line()
        self.value()  # what is no JSON at all has its own error
        return UnreadableError(f"not a notebook: {complaint}", line)

    def _expected(self, what: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(f"Expecting {what}", self.text, self.at)
