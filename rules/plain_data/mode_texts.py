"""Names that are compared with string literals, and the literals such names are given, read off the text of files.

The text is only where to look: what is reported has been found again in the facts (``mode_tests``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec

from mldebt.rule import Analysis, FileParts

_WORD = r"([A-Za-z][\w-]{0,40})"
# Each pattern begins with a literal, which the engine searches for many times faster than for a class of characters.
_TESTS = (re.compile(rf"""== ?(["']){_WORD}\1"""), re.compile(rf"""!= ?(["']){_WORD}\1"""))
_MEMBERS = re.compile(r"""in ([\[({])((?:["'][\w-]+["'][, ]*)+)[\])}]""")
_GIVEN = (re.compile(rf"""=(["']){_WORD}\1"""), re.compile(rf"""= (["']){_WORD}\1"""))
_OPTIONS = (re.compile(r"add_argument\("), re.compile(r"option\("))
_SUBJECT = re.compile(r"""(\w+)(?:["']\])?(?:\.(?:lower|upper|strip)\(\))?\s*(?:not\s+)?$""")
_TARGET = re.compile(r"(\w+)\s*(?::[^=\n(,]*)?$")
_LOOP = re.compile(r"\bfor\s+\w+\s*$")
_FLAG = re.compile(r"""["']--([\w-]+)["']""")
_CHOICES = re.compile(r"""(?:choices\s*=\s*|Choice\(\s*)[\[({]([^\])}]*)[\])}]""")
_DEFAULT = re.compile(rf"""default\s*=\s*(["']){_WORD}\1""")
_QUOTED = re.compile(r"""["']([^"']*)["']""")
_BEFORE = 60  # characters looked at before an operator
_DECLARATION = 500  # characters of one declaration of an option


class Text(NamedTuple):
    """A name beside a literal, on a line."""

    name: str
    literal: str
    line: int


class Option(NamedTuple):
    """An option that a command line declares; ``closed``: its choices are written out."""

    name: str
    literals: tuple[str, ...]
    closed: bool
    line: int


class ModeText(msgspec.Struct, frozen=True):
    """What one file offers: tests of names, literals given to names, and options."""

    tests: list[Text]
    given: list[Text]
    options: list[Option]


class ModeTexts(Analysis):
    """Answers by name: which files test it, and which literals it is given where."""

    collected = ModeText

    @classmethod
    def collect(cls, file: FileParts) -> ModeText | None:
        text = file.source.text
        line_of = Lines(text)
        tests = sorted(_tests(text, line_of), key=lambda one: one.line)
        members = list(_members(text, line_of))
        tests += [one for one, looped in members if not looped]
        given = [one for one, looped in members if looped] + [
            Text(name[1], match[2], line_of(match.start()))
            for pattern in _GIVEN
            for match in pattern.finditer(text)
            if text[match.start() - 1] not in "=!<>"
            if (name := _TARGET.search(text[max(0, match.start() - _BEFORE) : match.start()]))
        ]
        options = [
            found
            for pattern in _OPTIONS
            for match in pattern.finditer(text)
            if (found := _option(text[match.end() : match.end() + _DECLARATION], line_of(match.start())))
        ]
        return ModeText(tests, given, options) if tests or given or options else None

    @cached_property
    def tested(self) -> dict[str, dict[str, list[Text]]]:
        """Tests by name and file; tests and examples are left out."""
        found: dict[str, dict[str, list[Text]]] = {}
        for path, one in self._files:
            for test in one.tests:
                found.setdefault(test.name, {}).setdefault(path, []).append(test)
        return found

    @cached_property
    def given(self) -> dict[str, list[tuple[str, Text]]]:
        """The literals names are given, with their files: assignments, arguments, defaults, options."""
        found = defaultdict[str, list[tuple[str, Text]]](list)
        for path, one in self._files:
            for text in one.given:
                found[text.name].append((path, text))
            for option in one.options:
                for literal in option.literals:
                    found[option.name].append((path, Text(option.name, literal, option.line)))
        return found

    @cached_property
    def options(self) -> dict[str, list[tuple[str, Option]]]:
        """Options of command lines by name, with their files."""
        found = defaultdict[str, list[tuple[str, Option]]](list)
        for path, one in self._files:
            for option in one.options:
                found[option.name].append((path, option))
        return found

    @cached_property
    def leaves(self) -> dict[str, list[tuple[str, Text]]]:
        """The words configuration files give to names."""
        found = defaultdict[str, list[tuple[str, Text]]](list)
        for config in self.project.repository.configs:
            for leaf in config.leaves:
                keys = [key for key in leaf.keys if not key.isdigit()]
                if keys and isinstance(leaf.value, str) and len(leaf.value) <= 41:
                    found[keys[-1]].append((config.path, Text(keys[-1], leaf.value, leaf.line)))
        return found

    @cached_property
    def _files(self) -> list[tuple[str, ModeText]]:
        modules = self.project.modules
        return [
            (path, one)
            for path, one in self.project.collected(ModeTexts).items()
            if modules[path].role == "project" and not modules[path].is_test and not modules[path].is_example
        ]


class Lines:
    """Line numbers of ascending positions, each line counted once."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line = text, 0, 1

    def __call__(self, position: int) -> int:
        if position < self._at:
            self._at, self._line = 0, 1
        self._line += self._text.count("\n", self._at, position)
        self._at = position
        return self._line


def _tests(text: str, line_of: Lines) -> Iterator[Text]:
    for pattern in _TESTS:
        for match in pattern.finditer(text):
            subject = _SUBJECT.search(text[max(0, match.start() - _BEFORE) : match.start()])
            if subject:
                yield Text(subject[1], match[2], line_of(match.start()))


def _members(text: str, line_of: Lines) -> Iterator[tuple[Text, bool]]:
    """Words a name is looked up among, and those it is looped over."""
    for match in _MEMBERS.finditer(text):
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        subject = _SUBJECT.search(before)
        if subject:
            line, looped = line_of(match.start()), _LOOP.search(before) is not None
            yield from ((Text(subject[1], word, line), looped) for word in _QUOTED.findall(match[2]))


def _option(text: str, line: int) -> Option | None:
    """The option a declaration's text is about: its first long flag, its choices and its default."""
    end = text.find("add_argument(")
    text = text if end < 0 else text[:end]
    flag = _FLAG.search(text[:200])
    if flag is None:
        return None
    choices = _CHOICES.search(text)
    default = _DEFAULT.search(text)
    words = tuple(_QUOTED.findall(choices[1])) if choices else ()
    closed = bool(words) and not re.sub(r"""["'][^"']*["']|[\s,]""", "", choices[1]) if choices else False
    literals = dict.fromkeys((*words, *((default[2],) if default else ())))
    return Option(flag[1].replace("-", "_"), tuple(literals), closed, line) if literals else None
