"""Shell text as simple commands: continuation lines joined, constants expanded, nothing executed.

Covers what launch scripts use of POSIX sh and bash: quoting, control words, subshells, redirections, here-documents,
arrays. Unknown variables, ``$(...)`` and backticks stay in the words as written.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from msgspec import Struct

from mldebt.sources.shell_words import ASSIGNMENT, BLANK, Constants, Piece, Word, WordReader, raw, unquoted

_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|&>>|&>|<<<|<<-|<<|>>|>&|<&|>\||<>|[|&;()<>]")
_PLACEHOLDER = re.compile(r"<[A-Za-z_][^<>|&;\n]{0,60}(?<!\s)>")
_FUNCTION_HEAD = re.compile(r"[ \t]{0,20}\)")
_TEST_END = re.compile(r"\s\]\]")

_LEADING = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "fi", "done", "esac"})
_NOT_RUN = frozenset({"case", "[", "[[", "test", "function", "in"})
_DECLARE = frozenset({"export", "local", "readonly", "declare", "typeset"})
_READ = frozenset({"read", "getopts", "unset", "mapfile"})
_REDIRECTS = frozenset({"<", ">", ">>", ">&", "<&", ">|", "<>", "&>", "&>>", "<<<"})
_MAX_NESTED = 32
_MAX_TEST = 400  # characters of one [[ ... ]]


class Simple(Struct, frozen=True):
    """One simple command: its words, the 1-based line of its first word, the subshells and function it stands in."""

    words: tuple[str, ...]
    line: int
    group: tuple[int, ...] = ()
    function: str = ""


def read_script(text: str, first_line: int = 1, *, placeholders: bool = False) -> tuple[Simple, ...]:
    """Return the simple commands of ``text`` in order; its first line has number ``first_line``.

    With ``placeholders`` (documentation), ``<DATA DIR>`` is one word rather than two redirections.
    """
    reader = _Reader(text, placeholders)
    while reader.at < len(text):
        reader.advance()
    reader.finish()
    constants = reader.constants()
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found = []
    for words, at, group, function in reader.steps:
        expanded = tuple(value for word in words for value in constants.expand(word))
        if expanded and expanded[0] and not expanded[0].startswith("-"):
            found.append(Simple(expanded, first_line + bisect_right(starts, at) - 1, group, function))
    return tuple(found)


class _Reader:
    """One pass over the text; ``steps`` are unexpanded commands, the rest is what was assigned and how often."""

    def __init__(self, text: str, placeholders: bool) -> None:
        self.text, self.placeholders = text, placeholders
        self.at = 0
        self.steps: list[tuple[list[Word], int, tuple[int, ...], str]] = []
        self._words = WordReader(text)
        self._current: list[tuple[Word, int]] = []
        self._heredocs: list[tuple[str, bool]] = []
        self._group: tuple[int, ...] = ()
        self._groups = 0
        self._function = ""
        self._next_function = ""  # the head of a function was read, its body was not yet begun
        self._braces = 0
        self._scalars: dict[str, Word] = {}
        self._arrays: dict[str, list[Word]] = {}
        self._assigned: dict[str, int] = {}

    def constants(self) -> Constants:
        once = {name for name, count in self._assigned.items() if count == 1}
        return Constants(
            {name: word for name, word in self._scalars.items() if name in once},
            {name: words for name, words in self._arrays.items() if name in once},
        )

    def advance(self) -> None:
        text, at = self.text, self.at
        if match := BLANK.match(text, at):
            self.at = match.end()
        elif text[at] == "\n":
            self.finish()
            self.at = at + 1
            self._skip_heredocs()
        elif text[at] == "#":
            self.at = self._line_end(at)
        elif (match := _OPERATOR.match(text, at)) and not self._placeholder(at):
            self._operator(match[0])
        else:
            self._argument()

    def finish(self) -> None:
        """Close the command at hand: drop control words, note assignments, keep what would be run."""
        words, self._current = self._current, []
        if len(words) > 1 and unquoted(words[0][0]) == "function":
            self._next_function = raw(words[1][0])
            words = words[2:]
        skip = 0
        while skip < len(words) and (leading := unquoted(words[skip][0])) in _LEADING:
            self._brace(leading)
            skip += 1
        words = words[skip:]
        head = unquoted(words[0][0]) if words else "case"
        if head in _NOT_RUN:
            return
        if head in {"for", "select"} and len(words) > 1:
            self._note(raw(words[1][0]), 2)
            return
        if head in _READ:
            for word, _ in words[1:]:
                self._note(raw(word), 2)
        if head in _DECLARE:
            words = words[1:]
        rest = 0
        while rest < len(words) and (first := words[rest][0][0]).how == "bare" and ASSIGNMENT.match(first.text):
            rest += 1
        if rest == len(words) or head in _DECLARE:
            for word, _ in words:
                self._assign(word)
        else:
            self.steps.append(([word for word, _ in words[rest:]], words[rest][1], self._group, self._function))

    def _brace(self, word: str) -> None:
        """Follow the braces: those of the first level after a function's head are its body."""
        if word == "{":
            self._function = self._next_function or self._function
            self._next_function = ""
            self._braces += 1
        elif word == "}":
            self._braces = max(self._braces - 1, 0)
            self._function = self._function if self._braces else ""

    def _note(self, name: str, times: int) -> None:
        self._assigned[name] = self._assigned.get(name, 0) + times

    def _assign(self, word: Word) -> None:
        if match := ASSIGNMENT.match(word[0].text):
            self._note(match[1], 2 if match[2] else 1)
            first = Piece(word[0].text[match.end() :], word[0].how)
            self._scalars[match[1]] = (first, *word[1:]) if first.text else word[1:]

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def _operator(self, operator: str) -> None:
        start, end = self.at, self.at + len(operator)
        self.at = end
        if operator in {"<<", "<<-"}:
            self._heredocs.append((raw(self._next_word()), operator == "<<-"))
        elif operator in {"<", ">"} and self.text.startswith("(", end):
            self.at = self._words.closing(end + 1)
            self._current.append(((Piece(self.text[start : self.at], "literal"),), start))
        elif operator in _REDIRECTS:
            number = raw(self._current[-1][0]) if self._current else ""
            if number.isdigit() and self._current[-1][1] + len(number) == start:
                del self._current[-1]  # the 2 of 2>
            self._next_word()
        elif operator == "(":
            self._open(end)
        elif operator == ")" and not self._group:
            self._current.clear()  # the pattern of a `case`
        else:
            self.finish()
            if operator == ")":
                self._group = self._group[:-1]

    def _open(self, end: int) -> None:
        if self.text.startswith("(", end) and not self._current:
            close = self.text.find("))", end)
            self.at = len(self.text) if close < 0 else close + 2
        elif len(self._current) in {1, 2} and (match := _FUNCTION_HEAD.match(self.text, end)):
            self._next_function = raw(self._current[-1][0])
            self._current.clear()
            self.at = match.end()
        else:
            self.finish()
            self._groups += 1
            if len(self._group) < _MAX_NESTED:
                self._group = (*self._group, self._groups)

    def _next_word(self) -> Word:
        if match := BLANK.match(self.text, self.at):
            self.at = match.end()
        word, self.at = self._words.word(self.at)
        while match := self._placeholder(self.at):
            rest, self.at = self._words.word(match.end())
            word = (*word, Piece(match[0], "literal"), *rest)
        return word

    def _placeholder(self, at: int) -> re.Match[str] | None:
        return _PLACEHOLDER.match(self.text, at) if self.placeholders else None

    def _argument(self) -> None:
        start = self.at
        word = self._next_word()
        if unquoted(word) == "[[" and all(unquoted(other) in _LEADING for other, _ in self._current):
            close = _TEST_END.search(self.text, self.at, self.at + _MAX_TEST)
            self.at = close.end() if close else self.at
            self._current.append((word, start))
        elif self.text.startswith("(", self.at) and (match := ASSIGNMENT.fullmatch(unquoted(word))):
            self.at += 1
            self._note(match[1], 2 if match[2] else 1)
            self._arrays[match[1]] = self._array()
        elif word:
            self._current.append((word, start))
        else:
            self.at = max(self.at, start + 1)  # always move on

    def _array(self) -> list[Word]:
        words: list[Word] = []
        text = self.text
        while self.at < len(text) and text[self.at] != ")":
            if text[self.at] == "#":
                self.at = self._line_end(self.at)
            elif text[self.at] in "\n|&;(<>":
                self.at += 1
            elif match := BLANK.match(text, self.at):
                self.at = match.end()
            elif word := self._next_word():
                words.append(word)
            else:
                self.at += 1
        self.at += 1
        return words

    def _skip_heredocs(self) -> None:
        for delimiter, tabs in self._heredocs:
            while self.at < len(self.text):
                end = self._line_end(self.at)
                line = self.text[self.at : end].rstrip("\r")
                self.at = min(end + 1, len(self.text))
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    break
        self._heredocs.clear()
