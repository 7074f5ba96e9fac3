"""Whether somebody switches a flag on: commands, configuration, documents, tests, notebooks, other code.

Texts are searched, not programs: what looks like a setting counts as one. A flag is called never enabled only where
nothing at all in the repository gives it another value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from mldebt.rule import Analysis

from .flags import VARIABLE, Flag, lines_of

_MOST_BYTES = 1 << 18
_MOST_NOTEBOOK_BYTES = 1 << 20  # outputs are in it
_DOCUMENTS = frozenset({".md", ".rst", ".txt", ".html", ".ipynb", ".markdown"})
_TEXTS = _DOCUMENTS | frozenset(
    """.yaml .yml .json .toml .cfg .ini .sh .bash .zsh .mk .tf .j2 .bat .ps1 .sbatch .slurm .slrm .pbs .lsf .env .conf
    .gin .jsonnet .libsonnet .properties .service .dockerfile .snakefile .smk""".split()
)
_FALSE = r"(?:False|false|FALSE|0|0\.0|off|Off|no|No|None|null|Null|none|n|f)"
_TRUE = r"(?:True|true|TRUE|1|on|On|yes|Yes|y|t)"
_TYPE = re.compile(r"(?:[\w.]*\[)?\"?(?:bool|str|int|Any|Literal)\b.*|.*\bbool\b.*")
_COMMAND = re.compile(r"\.py\b|\bpython|\btorchrun|\blaunch\b|\bdocker\b|\bsrun\b|^\s*[$!%]|\\\s*$")
_SPELT = re.compile(r"(?<!-)--(?:no-)?(?:\$\{?\w|\{\w)")
_LISTED = re.compile(r"\s*(?:[-*|+]\s*)*`?\**-{1,2}[\w-]+|.*\[-{1,2}[\w-]+")
_ASKED = r"(?:[=!]=\s*|\bcase\s+(?:[^:]*\|\s*)?|\bis\s+|\bin\s*[(\[{][^)\]}]*|(?:starts|ends)with\(\s*)"


class Line(Struct, frozen=True):
    """A line of a text that mentions a flag. ``joined``: a backslash joins it to the line before or after."""

    path: str
    number: int
    text: str
    joined: bool

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    @property
    def is_document(self) -> bool:
        return PurePosixPath(self.path).suffix.lower() in _DOCUMENTS


class Selections(Analysis):
    """Answers which values a flag is given anywhere in the repository."""

    @cached_property
    def _texts(self) -> tuple[tuple[str, str], ...]:
        """The texts of the repository that are no Python, by path."""
        project = self.project
        found = []
        for path in sorted(project.every):
            place = PurePosixPath(path)
            named = not place.suffix and (place.name[:1].isupper() or place.name.startswith(".env"))
            if named or place.suffix.lower() in _TEXTS or place.name.lower().startswith("dockerfile"):
                most = _MOST_NOTEBOOK_BYTES if place.suffix == ".ipynb" else _MOST_BYTES
                text = project.content(path, most).decode("utf-8", "replace")
                if text:
                    found.append((path, text))
        return tuple(found)

    def mentions(self, words: Sequence[str]) -> Iterator[Line]:
        """The lines of the repository that mention one of some words, as parts of other words too."""
        for module in self.project.modules.values():
            if module.role != "project" and not module.is_test:
                continue
            if module.path.endswith(".py"):
                yield from _lines(module.path, module.source.text, words)
        for path, text in self._texts:
            yield from _lines(path, text, words)

    def is_switched(self, flag: Flag) -> bool:
        """Whether anything gives a boolean flag, or a variable of the environment, another value than its default."""
        plain = flag.name.replace("-", "_")
        bare = {plain, plain.replace("_", "-"), *(one.lstrip("-") for one in flag.spellings)}
        declared = {(place.path, line) for place in flag.places for line in lines_of(place)}
        mark = _Mark(flag, sorted(bare))
        return any(
            (line.path, line.number) not in declared and (mark.switches(line) or self._is_spelt(line, mark))
            for line in self.mentions(sorted(bare))
        )

    def _is_spelt(self, line: Line, mark: _Mark) -> bool:
        """Whether a script puts names such as this behind two dashes: ``for aug in flip mixup; do run --$aug``."""
        return not line.is_python and line.path in self._spelling and mark.says(line)

    @cached_property
    def _spelling(self) -> frozenset[str]:
        return frozenset(path for path, text in self._texts if "--" in text and _SPELT.search(text))

    def is_defaulted(self, flag: Flag) -> bool:
        """Whether code falls back on a value of its own for an option that stands in a file."""
        name = re.escape(flag.name)
        declares = re.compile(rf"^\s*{name}\s*:|[\"'](?:--)?{name}[\"']\s*,")
        return any(line.is_python and declares.search(line.text) for line in self.mentions((flag.name,)))

    def is_chosen(self, flag: Flag, value: str) -> bool:
        """Whether anything gives a flag a value."""
        return self.is_said(value, {(place.path, line) for place in flag.places for line in lines_of(place)})

    def is_said(self, value: str, but: Collection[tuple[str, int]]) -> bool:
        """Whether a word occurs anywhere but on some lines, where it is compared, and where it is a key."""
        if not re.search(r"\w", value):
            return True
        word = re.compile(rf"(?<![\w.-]){re.escape(value)}(?![\w-])")
        quoted = re.compile(rf"[\"'=]{re.escape(value)}[\"'\s]")
        literal = rf"[\"']{re.escape(value)}[\"']"
        looked_up = re.compile(_ASKED + literal + rf"|{literal}\s*(?::|[=!]=|\bin\b)")
        for line in self.mentions((value,)):
            if (line.path, line.number) in but:
                continue
            if not line.is_python:
                if word.search(line.text):
                    return True
            elif quoted.search(line.text) and not looked_up.search(line.text):
                return True
        return False


class _Mark:
    """How a line looks that switches a flag."""

    def __init__(self, flag: Flag, names: Sequence[str]) -> None:
        self.flag = flag
        name = "(?:" + "|".join(re.escape(one).replace("_", "[-_]").replace(r"\-", "[-_]") for one in names) + ")"
        self._given = re.compile(rf"(?<![\w-])--?(?P<no>no[-_]?)?{name}(?![\w-])(?:[=\s]+[\"']?(?P<value>[\w.-]+))?")
        self._set = re.compile(
            rf"(?<![\w-]){name}(?P<quote>[\"']?)\s*\]?\s*(?:(?P<sign>=(?!=)|:)|(?P<typed>:[^=\n#]{{1,60}}=(?!=)))"
            rf"\s*(?P<value>[^,)\n#;}}]*)"
        )
        self._handed = re.compile(rf"[\"']{name}[\"']\s*,\s*(?P<value>[^,)\n]*)")
        self._shell = re.compile(rf"\b(?:ENV|export|setenv|set)\s+{name}\s+(?P<value>\S+)")
        self._own = re.compile(rf"\b{name}\b")
        kept, other = (_TRUE, _FALSE) if flag.default is True else (_FALSE, _TRUE)
        own = "" if isinstance(flag.default, (bool, type(None))) else f"|{re.escape(str(flag.default))}"
        self._kept = re.compile(rf"\(?[\"']?(?:{kept}{own})?[\"']?[\s,;)]*")
        self._other = re.compile(rf"[\"']?(?:{other}\b|\$)")

    def switches(self, line: Line) -> bool:
        return (self.flag.kind != VARIABLE and self._gives(line)) or self._sets(line)

    def says(self, line: Line) -> bool:
        return self._own.search(line.text) is not None

    def _gives(self, line: Line) -> bool:
        for match in self._given.finditer(line.text):
            if line.is_document and not line.joined and _LISTED.match(line.text) and not _COMMAND.search(line.text):
                continue  # a table or list of what there is
            if line.text[: match.start()].endswith("["):
                continue  # usage: what may be given
            if line.is_python and not self._is_given(line, match):
                continue
            value = match["value"] or ""
            if self.flag.default is True:
                switched = bool(match["no"]) or bool(re.fullmatch(_FALSE, value)) or not self._has_pair
            else:
                switched = not match["no"] and not re.fullmatch(_FALSE, value)
            if switched and not (self.flag.default is True and re.fullmatch(_TRUE, value)):
                return True
        return False

    @property
    def _has_pair(self) -> bool:
        """Whether the plain spelling of a flag that is on by default leaves it on."""
        return any(one.startswith("--no") for one in self.flag.spellings) and len(self.flag.spellings) > 1

    @staticmethod
    def _is_given(line: Line, match: re.Match[str]) -> bool:
        """Whether Python text gives an option to a command, rather than talk about it in a message."""
        before = line.text[: match.start()]
        return before.endswith(('"', "'", " ")) and (
            before.endswith(('"', "'"))
            or line.joined
            or _COMMAND.search(line.text) is not None
            or re.search(r"[\"']--?\w[^\"']*$", before) is not None
        )

    def _sets(self, line: Line) -> bool:
        for pattern in (self._set, self._handed, self._shell):
            for match in pattern.finditer(line.text):
                if self._is_other(line, match["value"].strip(), match.groupdict()):
                    return True
        return False

    def _is_other(self, line: Line, value: str, found: dict[str, Any]) -> bool:
        if self._kept.fullmatch(value) or self._own.search(value):
            return False
        if not line.is_python:
            return self.flag.kind == VARIABLE or self._other.match(value) is not None
        if found.get("sign") == ":" and not found.get("quote"):
            return False  # an annotation, or prose in a docstring
        return not _TYPE.fullmatch(value)


def _lines(path: str, text: str, words: Sequence[str]) -> Iterator[Line]:
    if not any(word in text for word in words):
        return
    rows = text.split("\n")
    for number, row in enumerate(rows, 1):
        if any(word in row for word in words):
            joined = row.rstrip().endswith("\\") or (number > 1 and rows[number - 2].rstrip().endswith("\\"))
            yield Line(path, number, row, joined)
