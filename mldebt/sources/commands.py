"""Launch commands out of shell scripts, Makefiles and justfiles. Nothing is executed or asked of a shell."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from mldebt.sources.artefacts import Command
from mldebt.sources.places import Layout, Place, Shell, settle
from mldebt.sources.shell import read_script

_MAKE_ASSIGNMENT = re.compile(r"(?:export\s+|override\s+)*([\w.-]+)\s*(:{0,3}=|\?=|\+=|!=)\s*(.*)")
_MAKE_REFERENCE = re.compile(r"\$(?:\(([\w.-]+)\)|\{([\w.-]+)\})|\$\$")
_RECIPE_PREFIX = re.compile(r"\A[@+-][@+\- \t]*")
_JUST_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][\w-]*)\s*:=\s*[\"']([^\"'{}]{0,500})[\"']\s*")
_JUST_RECIPE = re.compile(r"@?[A-Za-z_][\w-]*(?:[ \t][^:]*)?:(?!=)")
_JUST_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)\s*\}\}")
_MAKE_INCLUDE = re.compile(r"[-s]?include\s+([^#]+?)\s*(?:#.*)?")
_MAX_INCLUDED = 20
_MAX_CHAIN = 8
# A chain of doubling variables must stay small: the longest value, references in one text, characters put in in all.
_MAX_VALUE = 2048
_MAX_REFERENCES = 64
_MAX_EXPANDED = 1 << 21

Read = Callable[[str], "str | None"]


def _nothing(path: str) -> str | None:
    return None


def script_commands(text: str, path: str, layout: Layout) -> list[Command]:
    """Return the commands of a shell script."""
    shell = Shell(path, "shell", layout, Place(path.rpartition("/")[0], told=False))
    return settle(shell.run(read_script(text)), path, layout)


def make_commands(text: str, path: str, layout: Layout, read: Read = _nothing) -> list[Command]:
    """Return the commands of a Makefile's recipes; each logical line is a shell of its own, run where make is.

    ``read`` gives the text of another file of the repository: included ones say what variables are.
    """
    lines = list(make_lines(text))
    values = make_values(lines, path, read)
    place = Place(path.rpartition("/")[0], told=not path.endswith(".mk"))
    found: list[Command] = []
    budget = _MAX_EXPANDED
    for number, line in lines:
        if not line.startswith("\t"):
            continue
        expanded = with_values(line, values) if budget > 0 else line
        budget -= len(expanded) - len(line)
        recipe = _RECIPE_PREFIX.sub("", expanded.lstrip("\t "), count=1)
        found.extend(Shell(path, "make", layout, place).run(read_script(recipe, number)))
    return settle(found, path, layout)


def make_values(lines: Sequence[tuple[int, str]], path: str, read: Read = _nothing) -> dict[str, str]:
    """The variables of a Makefile and what it includes that have exactly one simple assignment."""
    return _make_variables(_with_included(lines, path.rpartition("/")[0], read))


def just_commands(text: str, path: str, layout: Layout) -> list[Command]:
    """Return the commands of a justfile's recipes that have no interpreter line of their own."""
    values = {match[1]: match[2] for match in (_JUST_ASSIGNMENT.fullmatch(line) for line in text.split("\n")) if match}
    place = Place(path.rpartition("/")[0])
    found: list[Command] = []
    in_recipe = False
    for number, line in make_lines(text):
        if not line.strip():
            continue
        if not line[0].isspace():
            in_recipe = _JUST_RECIPE.match(line) is not None
            continue
        recipe = line.strip()
        if recipe.startswith("#!"):
            in_recipe = re.search(r"\b(?:ba|z|da)?sh\b", recipe) is not None
        elif in_recipe:
            recipe = _JUST_REFERENCE.sub(_value_of(values), recipe)
            recipe = _RECIPE_PREFIX.sub("", recipe, count=1)
            found.extend(Shell(path, "make", layout, place).run(read_script(recipe, number)))
    return found


def _value_of(values: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda match: values.get(match[1], match[0])


def make_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with continuation lines joined, each with the number of its first; the line ends stay inside."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        if not parts:
            first = number
        parts.append(line)
        if not line.rstrip("\r").endswith("\\"):
            yield first, "\n".join(parts)
            parts = []
    if parts:
        yield first, "\n".join(parts)


def _with_included(lines: Sequence[tuple[int, str]], directory: str, read: Read) -> Iterator[str]:
    """The lines of a Makefile and of what it includes; names are relative to where make runs, beside the Makefile."""
    pending, seen = [[line for _, line in lines]], set[str]()
    while pending:
        own = pending.pop()
        yield from own
        for line in own:
            match = _MAKE_INCLUDE.fullmatch(line.strip())
            for name in match[1].split() if match else ():
                target = posixpath.normpath(posixpath.join(directory, name))
                if target in seen or "$" in name or len(seen) >= _MAX_INCLUDED:
                    continue
                seen.add(target)
                text = read(target)
                if text is not None:
                    pending.append([line for _, line in make_lines(text)])


def _make_variables(lines: Iterator[str]) -> dict[str, str]:
    """The variables with exactly one simple assignment, values as written."""
    values: dict[str, str] = {}
    several: set[str] = set()
    for line in lines:
        if line.startswith("\t"):
            continue
        match = _MAKE_ASSIGNMENT.fullmatch(re.sub(r"\s*\\\r?\n\s*", " ", line).strip())
        if match is None:
            continue
        name, sign, value = match.groups()
        if name in values or sign in {"+=", "!="}:
            several.add(name)
        values[name] = re.sub(r"\s+#.*", "", value).strip()
    known = {name: value for name, value in values.items() if name not in several and len(value) <= _MAX_VALUE}
    for _ in range(_MAX_CHAIN):
        longer = {name: with_values(value, known, keep="$$") for name, value in known.items() if "$" in value}
        known.update((name, value) for name, value in longer.items() if len(value) <= _MAX_VALUE)
    return known


def with_values(text: str, values: Mapping[str, str], keep: str = "$") -> str:
    """Put in known variables; ``$$`` becomes the shell's ``$``, unknown references and functions stay."""
    if text.count("$") > _MAX_REFERENCES:
        return text

    def value(match: re.Match[str]) -> str:
        return keep if match[0] == "$$" else values.get(match[1] or match[2]) or match[0]

    return _MAKE_REFERENCE.sub(value, text)
