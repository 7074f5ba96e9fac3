"""Commands out of Dockerfiles, with directories of the image mapped back to what was copied into them."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from mldebt.sources.artefacts import Command
from mldebt.sources.places import Layout, Place, Shell
from mldebt.sources.shell import read_script

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_FLAG = re.compile(r"\s*--[a-z]+(?:=\S+)?")
_HEREDOC = re.compile(r"<<-?[\"']?(\w+)[\"']?")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")
# A requirements file beside the copied sources says nothing about where programs come from.
_NO_PROGRAM = re.compile(r"\.(?:txt|toml|lock|ya?ml|json|cfg|ini|md|in)$")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|\S*)")


def docker_commands(text: str, path: str, layout: Layout) -> list[Command]:
    """Return what RUN, CMD and ENTRYPOINT run; a directory no COPY explains is not sure."""
    stage = _Stage(path, layout)
    found: list[Command] = []
    for line, name, rest in _instructions(text):
        match name:
            case "FROM":
                found.extend(stage.main())
                stage = _Stage(path, layout)
            case "WORKDIR":
                target = stage.value(rest.strip()).strip("\"'")
                stage.directory = posixpath.normpath(posixpath.join(stage.directory, target))
            case "ENV" | "ARG":
                stage.variables.update((key, value.strip("\"'")) for key, value in _ASSIGNED.findall(rest))
            case "COPY" | "ADD":
                stage.copy(rest)
            case "RUN":
                found.extend(stage.commands(line, rest))
            case "ENTRYPOINT":
                stage.entry = (line, rest)
            case "CMD":
                stage.arguments = (line, rest)
    return [*found, *stage.main()]


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Each instruction with the number of its first line; the text keeps its line ends, comments inside are blank."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        first = at
        parts: list[str] = []
        while at < len(lines):
            line = lines[at].rstrip("\r")
            at += 1
            if parts and line.lstrip().startswith("#"):
                parts.append("\\")
                continue
            parts.append(line)
            if not line.rstrip().endswith("\\"):
                break
        joined = "\n".join(parts)
        match = _INSTRUCTION.fullmatch(joined)
        if match is None or joined.lstrip().startswith("#"):
            continue
        if match[1].upper() == "RUN" and (heredoc := _HEREDOC.search(match[2])):
            end = at
            while end < len(lines) and lines[end].strip() != heredoc[1]:
                end += 1
            body = "\n".join(lines[at:end])
            yield at + 1, "RUN", body
            at = end + 1
            continue
        yield first + 1, match[1].upper(), joined[match.start(2) :]


class _Stage(Struct):
    """One build stage: the working directory in the image and where its directories come from."""

    path: str
    layout: Layout
    directory: str = "/"
    variables: dict[str, str] = field(default_factory=dict)
    sources: dict[str, set[str]] = field(default_factory=dict)  # directory of the image -> of the repository
    entry: tuple[int, str] | None = None
    arguments: tuple[int, str] | None = None

    def value(self, text: str) -> str:
        def known(match: re.Match[str]) -> str:
            return self.variables.get(match[1] or match[2]) or match[3] or match[0]

        return _VARIABLE.sub(known, text)

    def copy(self, rest: str) -> None:
        if "--from=" in rest:
            return
        text = _without_flags(self.value(rest))
        words = _json_words(text) or text.split()
        *origins, target = words or [""]
        target_directory = posixpath.normpath(posixpath.join(self.directory, target))
        for origin in origins:
            found = self._origin(origin.rstrip("/") or ".")
            if found is None:
                continue
            name = posixpath.basename(found)
            if found in self.layout.directories:
                self.sources.setdefault(target_directory, set()).add(found)
            elif _NO_PROGRAM.search(found):
                continue
            elif target.endswith("/") or target in {".", ".."} or len(origins) > 1:
                self.sources.setdefault(target_directory, set()).add(posixpath.dirname(found))
            elif posixpath.basename(target_directory) == name:
                self.sources.setdefault(posixpath.dirname(target_directory), set()).add(posixpath.dirname(found))

    def _origin(self, origin: str) -> str | None:
        """The copied path in the repository: the build's context is its root or the Dockerfile's own directory."""
        for context in ("", self.path.rpartition("/")[0]):
            path = posixpath.normpath(posixpath.join(context, "./" + origin.lstrip("/")))
            path = "" if path == "." else path
            if path in self.layout.files or path in self.layout.directories:
                return path
        return None

    def place(self, directory: str) -> Place:
        """The place in the repository of a directory of the image."""
        below: list[str] = []
        while True:
            origins = self.sources.get(directory, set())
            if len(origins) == 1:
                joined = posixpath.normpath(posixpath.join(*origins, *reversed(below)))
                joined = "" if joined == "." else joined
                return Place(joined, sure=joined in self.layout.directories)
            if directory in {"/", "", "."} or origins:
                return Place("", sure=False)
            below.append(posixpath.basename(directory))
            directory = posixpath.dirname(directory)

    def commands(self, line: int, text: str) -> list[Command]:
        """The commands of one shell or exec form; lines count from the instruction's first."""
        body = _without_flags(text)
        place = self.place(self.directory)
        if words := _json_words(body):
            return self._exec(words, line, place)
        shell = Shell(self.path, "docker", self.layout, place, self.place)
        return shell.run(read_script(body, line))

    def _exec(self, words: Sequence[str], line: int, place: Place) -> list[Command]:
        if len(words) > 2 and posixpath.basename(words[0]) in {"sh", "bash"} and words[1].lstrip("-").endswith("c"):
            shell = Shell(self.path, "docker", self.layout, place, self.place)
            return [
                Command(c.words, c.path, line, c.kind, c.directory, c.sure) for c in shell.run(read_script(words[2]))
            ]
        return [Command(tuple(words), self.path, line, "docker", place.directory, place.sure)]

    def main(self) -> list[Command]:
        """What the image runs: CMD gives an ENTRYPOINT of the exec form its arguments."""
        if self.entry and self.arguments:
            entry, arguments = _json_words(self.entry[1]), _json_words(self.arguments[1])
            if entry and arguments:
                return self._exec([*entry, *arguments], self.entry[0], self.place(self.directory))
            if not entry:  # the shell form ignores CMD
                return self.commands(*self.entry)
        if self.entry and (entry := _json_words(self.entry[1])):
            # whoever starts the container gives the arguments
            return self._exec([*entry, "$@"], self.entry[0], self.place(self.directory))
        return [command for part in (self.entry, self.arguments) if part for command in self.commands(*part)]


def _without_flags(text: str) -> str:
    """The text without leading ``--mount=...`` and the like."""
    at = 0
    while match := _FLAG.match(text, at):
        at = match.end()
    return " " * at + text[at:] if "\n" not in text[:at] else text[:at].count("\n") * "\n" + text[at:]


def _json_words(text: str) -> list[str]:
    """The words of the exec form, ``[]`` when it is none."""
    stripped = re.sub(r"\\\s*\n", "", text).strip()
    if not stripped.startswith("["):
        return []
    try:
        words = json.loads(stripped)
    except (ValueError, RecursionError):
        return []
    return [str(word) for word in words] if isinstance(words, list) else []
