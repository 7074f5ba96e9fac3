"""Words of shell text: quoting, and constants put in where a script assigns them once.

Broken quoting never fails: an unterminated quote or substitution is an ordinary character.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

BLANK = re.compile(r"(?:[^\S\n]+|\\[ \t\r]*\n)+")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=")
_PLAIN = re.compile(r"[^\s'\"\\$`|&;()<>{]+|\{\{[^{}\n]{0,200}\}\}|\{")
_NAME = re.compile(r"\$(?:[A-Za-z_]\w*|[@*#?$!\-0-9])")
_EXPANSION = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_ARRAY_EXPANSION = re.compile(r"\$\{([A-Za-z_]\w*)\[[@*]\]\}")
_ESCAPE = re.compile(r"\\([\"\\$`]|[ \t\r]*\n)")
_SPACE = re.compile(r"\s+")
_STOPS = {'"': re.compile(r"[\"\\$`]"), "(": re.compile(r"[()'\"\\]"), "{": re.compile(r"[{}'\"\\]")}

# A scan for a closing sign that is not there reads to the end; a file of nothing else would take quadratic time.
_MAX_FAILED_SCANS = 50
_MAX_CONSTANT = 8192  # characters of one expanded constant: a chain of doubling variables must stay small
_MAX_EXPANDED = 1 << 21  # characters put in for constants in one script


HERE = "${0%/*}"  # how the script's own directory is written once it is known to be meant
TOP = "${GIT_TOP}"  # and the repository's
_DIRNAME = re.compile(
    r"dirname\s+(?:--\s+)?[\"']?(?:\$\(\s*(?:readlink|realpath)(?:\s+-\w+)?\s+[\"']?)?"
    r"\$(?:0|BASH_SOURCE|\{0\}|\{BASH_SOURCE(?:\[[0@]\])?(?::-\$0|:-\$\{0\})?\})"
)
_BEFORE_PWD = re.compile(r"((?:/[\w.-]+)+)[\"']?\s*(?:&?>\s*[\w/]+\s*)?(?:&&|;)\s*pwd")


class Piece(NamedTuple):
    """A part of a word: ``bare`` text is expanded and split, ``quoted`` is expanded only, ``literal`` is neither."""

    text: str
    how: str


Word = tuple[Piece, ...]


def raw(word: Word) -> str:
    """The text of a word without its quotes, nothing expanded."""
    return "".join(piece.text for piece in word)


def unquoted(word: Word) -> str:
    """The text of a word that has no quoting at all, else ``""``: only such a word can be a keyword."""
    return word[0].text if len(word) == 1 and word[0].how == "bare" else ""


def script_directory(word: str) -> str | None:
    """Return ``$(cd "$(dirname "$0")/.." && pwd)/x`` and its like as ``${0%/*}/../x``, ``None`` for any other word."""
    if not word.startswith(("$(", "`", "${")) or len(word) > _MAX_CONSTANT:
        return None
    if word.startswith(("${0%/*}", "${BASH_SOURCE%/*}")):
        return HERE + word.partition("}")[2]
    end = word.find("`", 1) + 1 if word[0] == "`" else WordReader(word).closing(2)
    inner, suffix = word[:end], word[end:]
    if "git rev-parse --show-toplevel" in inner:
        return TOP + suffix
    if not _DIRNAME.search(inner):
        return None
    below = _BEFORE_PWD.search(inner)
    return HERE + "/.." * (inner.count("dirname") - 1) + (below[1] if below else "") + suffix


class WordReader:
    """Reads words of ``text`` from an offset."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._failed = 0

    def word(self, at: int) -> tuple[Word, int]:
        """Return the word at ``at`` and the offset after it; ``()`` at a blank, a line's end or an operator."""
        text, pieces = self.text, list[Piece]()
        while at < len(text):
            char = text[at]
            if match := _PLAIN.match(text, at):
                pieces.append(Piece(match[0], "bare"))
                at = match.end()
            elif char == "\\":
                if BLANK.match(text, at):
                    break
                pieces.append(Piece(text[at + 1 : at + 2], "literal"))
                at += 2
            elif char in "$`":
                end = self._substitution_end(at)
                pieces.append(Piece(text[at:end], "bare"))
                at = end
            elif char in "'\"":
                end = text.find("'", at + 1) if char == "'" else self._quote_end(at + 1)
                if end > at:
                    pieces.extend(_quoted(text[at + 1 : end], char))
                    at = end + 1
                else:
                    pieces.append(Piece(char, "bare"))
                    at += 1
            else:
                break
        return _joined(pieces), at

    def closing(self, at: int, left: str = "(", right: str = ")") -> int:
        """The offset after the bracket that closes one opened before ``at``; ``at`` itself when nothing does."""
        text, stop, start, depth = self.text, _STOPS[left], at, 1
        if self._failed > _MAX_FAILED_SCANS:
            return at
        while depth and (match := stop.search(text, at)):
            char, at = match[0], match.end()
            depth += (char == left) - (char == right)
            if char == "\\":
                at += 1
            elif char in "'\"" and (end := text.find(char, at)) > 0:
                at = end + 1
        self._failed += depth != 0
        return start if depth else at

    def _quote_end(self, at: int) -> int:
        """The offset of the double quote that closes one opened before ``at``, or -1."""
        text, stop = self.text, _STOPS['"']
        while self._failed <= _MAX_FAILED_SCANS and (match := stop.search(text, at)):
            char = match[0]
            if char == '"':
                return match.start()
            at = match.end() + 1 if char == "\\" else self._substitution_end(match.start())
        self._failed += 1
        return -1

    def _substitution_end(self, at: int) -> int:
        """The offset after the ``$X``, ``${...}``, ``$(...)`` or backticks at ``at``; after the sign if it is none."""
        text = self.text
        if text.startswith("$(", at):
            return self.closing(at + 2)
        if text.startswith("${{", at):  # an expression of GitHub Actions: may hold blanks
            end = text.find("}}", at, at + 400)
            return end + 2 if end > 0 else at + 3
        if text.startswith("${", at):
            return self.closing(at + 2, "{", "}")
        if text[at] == "`":
            end = text.find("`", at + 1)
            return end + 1 if end > 0 else at + 1
        match = _NAME.match(text, at)
        return match.end() if match else at + 1


def _joined(pieces: list[Piece]) -> Word:
    """The pieces with neighbours of bare text made one, as keywords and ``$NAME`` are looked for in one piece."""
    if len(pieces) < 2:
        return tuple(pieces)
    runs = itertools.groupby(pieces, key=lambda piece: piece.how)
    return tuple(
        piece
        for how, run in runs
        for piece in ([Piece("".join(part.text for part in run), how)] if how == "bare" else run)
    )


def _quoted(text: str, quote: str) -> list[Piece]:
    """The pieces between two quotes; at least one, since ``""`` is a word."""
    if quote == "'":
        return [Piece(text, "literal")]
    pieces, at = [], 0
    for match in _ESCAPE.finditer(text):
        pieces.append(Piece(text[at : match.start()], "quoted"))
        pieces.append(Piece(match[1] if match[1] in '"\\$`' else "", "literal"))
        at = match.end()
    pieces.append(Piece(text[at:], "quoted"))
    return [piece for piece in pieces if piece.text] or [Piece("", "literal")]


class Constants:
    """Names a script assigns exactly once, and what words become with them."""

    def __init__(self, scalars: Mapping[str, Word], arrays: Mapping[str, Sequence[Word]]) -> None:
        self._scalars, self._arrays = scalars, arrays
        self._known: dict[str, str | None] = {}
        self._left = _MAX_EXPANDED

    def expand(self, word: Word, depth: int = 0) -> list[str]:
        """Return the words this one becomes: a bare constant of several words is split, as a shell would."""
        if not any("$" in piece.text for piece in word if piece.how != "literal"):
            return [raw(word)]
        if len(word) == 1 and depth < 2 and self._left > 0 and (array := _ARRAY_EXPANSION.fullmatch(word[0].text)):
            words = self._arrays.get(array[1])
            self._left -= len(words) if words else 0
            return (
                [word[0].text] if words is None else [value for item in words for value in self.expand(item, depth + 1)]
            )
        done: list[str] = []
        buffer, is_word = "", False
        for piece in word:
            text = piece.text if piece.how == "literal" else self._substitute(piece.text)
            if piece.how != "bare" or text == piece.text:
                buffer, is_word = buffer + text, True
                continue
            first, *others = _SPACE.split(text)
            buffer, is_word = buffer + first, is_word or bool(first)
            for part in others:
                if is_word:
                    done.append(buffer)
                buffer, is_word = part, bool(part)
        return [*done, buffer] if is_word else done

    def _substitute(self, text: str) -> str:
        # Text with a command substitution is kept as written: expanding inside it would change what it says.
        if "$" not in text or "$(" in text or "`" in text or len(text) > _MAX_CONSTANT or self._left <= 0:
            return text
        return _EXPANSION.sub(lambda match: self._value(match[1] or match[2]) or match[0], text)

    def _value(self, name: str) -> str | None:
        """The constant of a name, ``None`` when it is not known; the empty string counts as not known."""
        if name not in self._known:
            self._known[name] = None  # a name that stands in its own value stays as written
            word = self._scalars.get(name, ())
            value = "".join(piece.text if piece.how == "literal" else self._substitute(piece.text) for piece in word)
            value = script_directory(value) or value
            if value and len(value) <= _MAX_CONSTANT and "$(" not in value and "`" not in value:
                self._known[name] = value
        known = self._known[name]
        self._left -= len(known or "")
        return known
