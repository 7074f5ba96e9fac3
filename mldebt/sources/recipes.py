"""What build files say they make of what: the rules of Makefiles and Snakefiles. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from mldebt.sources.artefacts import Recipe
from mldebt.sources.commands import make_lines, make_values, with_values

_MAKE_RULE = re.compile(r"([^\s:=#][^:=#]*?)\s*&?::?(?!=)\s*([^=]*)")
_MAKE_PATTERN = re.compile(r"\$[({][^)}]*[)}]|%|\$\w")
_SPECIAL = re.compile(r"\.[A-Z_]+$")
_SNAKE_RULE = re.compile(r"\s*(?:rule|checkpoint)\s+(\w+)?\s*:")
_SNAKE_SECTION = re.compile(r"\s+(\w+)\s*:(.*)")
_TEXT = re.compile(r"(?:\b[frbFRB]{1,2})?(\"\"\"|'''|\"|')((?:\\.|(?!\1).)*)\1")
_WILDCARD = re.compile(r"\{[^{}]*\}")
_LONGEST = 400
_MOST = 2000  # recipes of one file


def make_recipes(text: str, path: str, read: Callable[[str], str | None]) -> list[Recipe]:
    """The rules of a Makefile; variables with one value are put in, pattern rules hold ``*``."""
    lines = list(make_lines(text))
    values = make_values(lines, path, read)
    found: list[Recipe] = []
    for number, line in lines:
        if line.startswith(("\t", "#")) or len(found) >= _MOST:
            continue
        logical = re.sub(r"\s*\\\r?\n\s*", " ", line).split("#", 1)[0].strip()
        match = _MAKE_RULE.fullmatch(logical)
        if match is None:
            continue
        outputs = _words(with_values(match[1], values))
        inputs = _words(with_values(match[2].split(";", 1)[0].replace("|", " "), values))
        if outputs and not _SPECIAL.match(outputs[0]):
            found.append(Recipe(outputs[0], outputs, inputs, path, number, "make", path.rpartition("/")[0]))
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(_MAKE_PATTERN.sub("*", word) for word in text.split() if len(word) <= _LONGEST)


def snake_recipes(text: str, path: str) -> list[Recipe]:
    """The rules of a Snakefile: every text in ``input:`` and ``output:``, wildcards as ``*``."""
    found: list[Recipe] = []
    for name, number, body in _snake_rules(text.split("\n")):
        sections = _sections(body)
        outputs = tuple(_texts(sections.get("output", "") + sections.get("log", "") + sections.get("benchmark", "")))
        inputs = tuple(_texts(sections.get("input", "")))
        if len(found) < _MOST:
            # Snakemake runs in the directory above ``workflow/``.
            directory = re.sub(r"(?:^|/)workflow(?:/rules)?$", "", path.rpartition("/")[0])
            found.append(Recipe(name, outputs, inputs, path, number, "snakemake", directory))
    return found


def _snake_rules(lines: Sequence[str]) -> Iterator[tuple[str, int, list[str]]]:
    at = 0
    while at < len(lines):
        match = _SNAKE_RULE.match(lines[at])
        at += 1
        if match is None:
            continue
        first = at
        margin = len(lines[at - 1]) - len(lines[at - 1].lstrip())
        while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > margin):
            at += 1
        yield match[1] or "", first, list(lines[first:at])


def _sections(body: Sequence[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    margin, name = 0, ""
    for line in body:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        match = _SNAKE_SECTION.fullmatch(line)
        if match is not None and (not margin or indent <= margin):
            margin, name = indent, match[1]
            found.setdefault(name, []).append(match[2])
        elif name:
            found[name].append(line)
    return {key: "\n".join(rows) for key, rows in found.items()}


def _texts(section: str) -> Iterator[str]:
    for match in _TEXT.finditer(section):
        value = _WILDCARD.sub("*", match[2])
        if 0 < len(value) <= _LONGEST and "\n" not in value and ("/" in value or "." in value):
            yield value
