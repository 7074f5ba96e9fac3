"""Where commands run: the working directory followed through ``cd``, and told from the scripts that commands name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from mldebt.sources.artefacts import Command
from mldebt.sources.launchers import python_invocation
from mldebt.sources.shell import Simple, read_script
from mldebt.sources.shell_words import HERE, TOP, script_directory

_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
_SHELL_CODE = re.compile(r"-[a-z]*c")
_UNKNOWN = re.compile(r"[$`*?{}<>~]")
_MOVES = frozenset({"cd", "pushd", "popd"})
_ACTIVATION = re.compile(r"activate|conda|bashrc|profile|\.env\b")
_UNSETTLED = "?"
_MAX_DEPTH = 3  # of `bash -c "bash -c ..."`


class Layout(Struct, frozen=True):
    """The files and directories of the repository (``""`` is the root) and the names it may be cloned under."""

    files: frozenset[str]
    directories: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(cls, files: Iterable[str], names: Iterable[str]) -> Layout:
        files = frozenset(files)
        directories = {""}
        for path in files:
            parent = path.rpartition("/")[0]
            while parent not in directories:
                directories.add(parent)
                parent = parent.rpartition("/")[0]
        return cls(files, frozenset(directories), frozenset(names))


class Place(Struct, frozen=True):
    """A working directory. Not ``told``: it is where the artefact lies, and ``settle`` is to find out better."""

    directory: str
    sure: bool = True
    told: bool = True


Absolute = Callable[[str], Place]


def _nowhere(_: str) -> Place:
    return Place("", sure=False)


class Shell(Struct):
    """Turns simple commands of one script into commands with a directory."""

    path: str
    kind: str
    layout: Layout
    place: Place
    absolute: Absolute = _nowhere  # what an absolute path is in the repository: containers know
    previous: Place = Place("", sure=False)
    stack: list[Place] = field(default_factory=list)
    groups: dict[tuple[int, ...], Place] = field(default_factory=dict)
    clones: set[str] = field(default_factory=set)

    def run(self, simples: Iterable[Simple], depth: int = 0) -> list[Command]:
        """Return the commands in order; ``cd`` and its like are not among them, they move the others."""
        found: list[Command] = []
        simples = list(simples)
        movers, stays = _movers(simples), _stays(simples)
        for simple in simples:
            if simple.function:
                found.extend(self._in_function(simple, depth, known=stays))
            elif simple.words[0] in movers:
                self.place = Place("", sure=False)
            elif simple.group:
                outer = self.place, self.previous
                self.place = self._inside(simple.group)
                found.extend(self._one(simple, depth))
                self.groups[simple.group] = self.place
                self.place, self.previous = outer
            else:
                found.extend(self._one(simple, depth))
        return found

    def _in_function(self, simple: Simple, depth: int, *, known: bool) -> list[Command]:
        """The commands of a function's body: where it will be called is only known when nothing ever moves."""
        if simple.words[0] in _MOVES:
            return []
        outer = self.place
        self.place = outer if known else Place("", sure=False)
        commands = self._one(simple, depth)
        self.place = outer
        return commands

    def _inside(self, group: tuple[int, ...]) -> Place:
        while group:
            if group in self.groups:
                return self.groups[group]
            group = group[:-1]
        return self.place

    def _one(self, simple: Simple, depth: int) -> list[Command]:
        head, *rest = simple.words
        if head in _MOVES:
            self._change(head, [word for word in rest if not word.startswith("-") or word == "-"])
            return []
        if head == "git" and rest[:1] == ["clone"]:
            self._clone(rest[1:])
        code = _code(simple.words)
        if code is not None and depth < _MAX_DEPTH:
            inner = replace(self, stack=[], groups={})
            return inner.run((replace(s, line=simple.line) for s in read_script(code)), depth + 1)
        words = tuple(self._word(word) for word in simple.words)
        directory = self.place.directory if self.place.told or words != simple.words else _UNSETTLED
        return [Command(words, self.path, simple.line, self.kind, directory, self.place.sure)]

    def _word(self, word: str) -> str:
        """A word with the script's own or the repository's directory in it, relative to where the command runs."""
        here = script_directory(word) if word.startswith(("$(", "`", "${")) else None
        here = here or (word if word.startswith((HERE, TOP)) else None)
        if here is None or not self.place.sure:
            return word
        target = self._anchored(here)
        return posixpath.relpath(target.directory or ".", self.place.directory or ".") if target.sure else word

    def _anchored(self, word: str) -> Place:
        base, suffix = (_parent(self.path), word[len(HERE) :]) if word.startswith(HERE) else ("", word[len(TOP) :])
        joined = posixpath.normpath(posixpath.join(base, "." + suffix))
        return Place("" if joined == "." else joined, sure=not joined.startswith("..") and not _UNKNOWN.search(joined))

    def _change(self, head: str, words: Sequence[str]) -> None:
        before = self.place
        if head == "popd":
            self.place = self.stack.pop() if self.stack else Place("", sure=False)
        elif words[:1] == ["-"]:
            self.place = self.previous
        else:
            if head == "pushd":
                self.stack.append(self.place)
            self.place = self._target(words[0]) if words else Place("", sure=False)
        self.previous = before

    def _target(self, word: str) -> Place:
        word = script_directory(word) or word
        if word.startswith((HERE, TOP)):
            return self._anchored(word)
        if word.startswith("/"):
            return self.absolute(posixpath.normpath(word))
        if _UNKNOWN.search(word):
            return Place("", sure=False)
        first, _, below = word.removeprefix("./").rstrip("/").partition("/")
        if first in self.clones:
            known = first.lower() in self.layout.names and (not below or below in self.layout.directories)
            return Place(below if known else "", sure=known)
        base = self._base(word)
        joined = posixpath.normpath(posixpath.join(base, word))
        if self.place.sure and joined in self.layout.directories | {"."}:
            return Place("" if joined == "." else joined)
        if first.lower() in self.layout.names and (not below or below in self.layout.directories):
            return Place(below)  # the repository itself, cloned beforehand
        return Place("", sure=False)

    def _base(self, word: str) -> str:
        """The directory ``word`` is relative to: for an untold place, the nearest above it that has such a one."""
        base = self.place.directory
        if self.place.told or word.startswith(".."):
            return base
        for candidate in _upwards(base):
            if posixpath.normpath(posixpath.join(candidate, word)) in self.layout.directories:
                return candidate
        return base

    def _clone(self, words: Sequence[str]) -> None:
        plain = [word for word in words if not word.startswith("-")]
        urls = [index for index, word in enumerate(plain) if "/" in word or ":" in word]
        if urls:
            name = plain[urls[0]].rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
            into = plain[urls[0] + 1 : urls[0] + 2]
            self.clones.add(name)
            if into and name.lower() in self.layout.names:
                self.layout = replace(self.layout, names=self.layout.names | {into[0].lower()})
            self.clones.update(into)


def _movers(simples: Sequence[Simple]) -> set[str]:
    """The functions whose call changes the directory, themselves or through another of them."""
    movers = {simple.function for simple in simples if simple.function and simple.words[0] in _MOVES}
    callers = {simple.function for simple in simples if simple.function and simple.words[0] in movers}
    return movers | callers


def _stays(simples: Sequence[Simple]) -> bool:
    """Tell whether nothing in a script changes the directory, and no other script's functions may do so."""
    for simple in simples:
        if simple.words[0] in _MOVES:
            return False
        if simple.words[0] in {"source", "."} and not _ACTIVATION.search(" ".join(simple.words)):
            return False
    return True


def _code(words: tuple[str, ...]) -> str | None:
    """The shell text of ``bash -c "..."``."""
    if words[0].rpartition("/")[2] in _SHELLS and len(words) > 2 and _SHELL_CODE.fullmatch(words[1]):
        return words[2]
    return None


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _upwards(directory: str) -> Iterable[str]:
    while directory:
        yield directory
        directory = _parent(directory)
    yield ""


def settle(commands: Sequence[Command], path: str, layout: Layout) -> list[Command]:
    """Give commands of an artefact that may be run from several directories the one that has the file they name.

    A command is put into the nearest directory above the artefact, or one that another command of it changed to, where
    its script exists; one whose script does not exist joins the others when these agree. An artefact at the root is
    run from there.
    """
    own = _parent(path)
    told = dict.fromkeys(command.directory for command in commands if command.sure and command.directory != _UNSETTLED)
    places = list(dict.fromkeys([*_upwards(own), *told]))
    found: list[str | None] = []
    for command in commands:
        target = _target_file(command) if command.directory == _UNSETTLED else ()
        found.append(next((place for place in places if _exists(place, target, layout)), None) if target else None)
    agreed = {place for place in found if place is not None}
    default = agreed.pop() if len(agreed) == 1 else "" if not own else None
    settled = []
    for command, place in zip(commands, found, strict=True):
        if command.directory != _UNSETTLED:
            settled.append(command)
        else:
            directory = default if place is None else place
            known = directory is not None
            settled.append(replace(command, directory=own if directory is None else directory, sure=known))
    return settled


def _exists(place: str, candidates: Sequence[str], layout: Layout) -> bool:
    return any(posixpath.normpath(posixpath.join(place, name)) in layout.files for name in candidates)


def _target_file(command: Command) -> tuple[str, ...]:
    """The files a command may mean to run, relative to its directory."""
    invocation = python_invocation(command)
    if invocation is None:
        words = [word for word in command.words[1:] if not word.startswith("-")]
        if command.words[0] in {*_SHELLS, "source", ".", "sbatch"}:
            return tuple(words[:1])
        return (command.words[0],) if "/" in command.words[0] else ()
    if invocation.script is not None:
        return (invocation.script,)
    parts = (invocation.module or "").replace(".", "/")
    return (f"{parts}.py", f"{parts}/__main__.py", f"src/{parts}.py", f"src/{parts}/__main__.py")
