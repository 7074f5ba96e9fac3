"""Everything that starts a Python program: scripts, CI, containers, documents, notebook magics, subprocess calls."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import Attribute, Binary, Build, Call, Const, Expr, Format, Ref, Starred
from mldebt.finding import Place, Span
from mldebt.rule import Analysis
from mldebt.sources.artefacts import Command
from mldebt.sources.launchers import Invocation, python_invocation
from mldebt.sources.shell import read_script

from .command_line import is_literal

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_RUNNERS = frozenset(
    """subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen os.system
    os.popen""".split()
)
_MAGIC = re.compile(
    r"(?:[\w, ]+=\s*)?!\s*(?P<shell>.*)|%run\s+(?P<run>.*)|%%(?:bash|sh|script +(?:ba)?sh)\b.*?\n(?P<cell>.*)",
    re.DOTALL,
)
_RUN_OPTIONS = re.compile(r"^(?:-[nietdp]\s+)+")
_HIDDEN = "$?"


class Launch(Struct, frozen=True):
    """One Python program started somewhere.

    ``target`` is the project file it runs, "" when that is not in the project or not told. ``place`` is the command's.
    """

    command: Command
    invocation: Invocation
    target: str
    place: Place

    @property
    def documented(self) -> bool:
        return self.command.kind == "readme"


class Launches(Analysis):
    """All launches of a repository, in the order of files and lines."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    @cached_property
    def commands(self) -> tuple[tuple[Command, Place], ...]:
        """Every command of the repository, whatever it runs, and where it stands."""
        found = [(command, Place(command.path, Span(command.line))) for command in self.project.repository.commands]
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                found += [*_of_magics(module), *_of_calls(module)]
        return tuple(found)

    @cached_property
    def all(self) -> tuple[Launch, ...]:
        found = [self._launch(command, place) for command, place in self.commands]
        return tuple(sorted((one for one in found if one is not None), key=lambda one: one.place))

    @cached_property
    def by_target(self) -> dict[str, list[Launch]]:
        found: dict[str, list[Launch]] = {}
        for launch in self.all:
            if launch.target:
                found.setdefault(launch.target, []).append(launch)
        return found

    def _launch(self, command: Command, place: Place) -> Launch | None:
        invocation = python_invocation(command)
        return None if invocation is None else Launch(command, invocation, self._target(command, invocation), place)

    def _target(self, command: Command, invocation: Invocation) -> str:
        if invocation.module is not None:
            return next(iter(self.project.scans.launched(command)), "")
        for path in candidates(command, invocation):
            if path in self.project.modules:
                return path
        tail = posixpath.normpath(invocation.script or "")
        if "/" not in tail.lstrip("./"):
            return ""
        # The same path below another directory: the launch is made from there.
        return next(iter(self.project.scans.launched(command)), "")


def candidates(command: Command, invocation: Invocation) -> tuple[str, ...]:
    """Where the script of a command may lie: below its directory, below the root, beside the artefact."""
    script = invocation.script or ""
    bases = (
        (command.directory, "", posixpath.dirname(command.path))
        if command.sure
        else ("", posixpath.dirname(command.path))
    )
    return tuple(dict.fromkeys(posixpath.normpath(posixpath.join(base, script)) for base in bases))


def _of_magics(module: Module) -> Iterator[tuple[Command, Place]]:
    """Shell escapes, ``%run`` and ``%%bash`` cells of a notebook."""
    directory = posixpath.dirname(module.path)
    sure = not any(text.startswith(("%cd", "!cd", "cd ")) or "chdir" in text for _, text in module.facts.magics)
    for line, text in module.facts.magics:
        match = _MAGIC.match(text)
        if match is None:
            continue
        script = match["shell"] or match["cell"] or ""
        if match["run"]:
            script = "python " + _RUN_OPTIONS.sub("", match["run"])
        first = line + (1 if match["cell"] else 0)
        for simple in read_script(script, first):
            words = tuple(re.sub(r"\{[^}]*\}", _HIDDEN, word) for word in simple.words)
            yield (
                Command(words, module.path, simple.line, "notebook", directory, sure),
                Place(module.path, Span(simple.line)),
            )


def _of_calls(module: Module) -> Iterator[tuple[Command, Place]]:
    """Commands that Python code runs; what is not constant in them becomes a variable nobody knows."""
    for _, site in module.calls_of(_RUNNERS):
        if not site.call.args:
            continue
        place = module.place(site)
        sure = not any(keyword.name in ("cwd", None) for keyword in site.call.keywords)
        for words in _words(module, site.scope, site.call.args[0]):
            yield Command(words, module.path, place.span.line, "python", "", sure), place


def _words(module: Module, scope: int, expr: Expr) -> Iterator[tuple[str, ...]]:
    if isinstance(expr, Ref) and "." not in expr.name:
        origins = module.project.flow(module.definition(scope)).origins(expr)
        if len(origins) != 1 or origins[0].kind != "assign" or origins[0].value is None or origins[0].path:
            return
        expr = origins[0].value
    if isinstance(expr, Call) and isinstance(expr.function, Attribute) and expr.function.name == "split":
        expr = expr.function.value
    if isinstance(expr, Build) and expr.kind in ("list", "tuple"):
        yield tuple(_word(module, scope, item) for item in expr.items)
        return
    text = _text(module, scope, expr)
    if text:
        for simple in read_script(text):
            yield simple.words


def _word(module: Module, scope: int, item: Expr) -> str:
    if isinstance(item, Starred):
        return "$@"
    if module.names(scope, item) == ("sys.executable",):
        return "python"
    text = _text(module, scope, item)
    return text if text else _HIDDEN


def _text(module: Module, scope: int, expr: Expr) -> str:
    """The text of an expression, what is not constant in it as an unknown variable."""
    value = module.constant(scope, expr)
    if isinstance(value, str):
        return value
    if isinstance(expr, Const):
        return str(expr.value)
    if module.names(scope, expr) == ("sys.executable",):
        return "python"
    if isinstance(expr, Format):
        return "".join(_text(module, scope, part) or _HIDDEN for part in expr.parts)
    if isinstance(expr, Binary) and expr.op == "+":
        return "".join(_text(module, scope, part) or _HIDDEN for part in (expr.left, expr.right))
    return ""


def passes(launch: Launch, flags: tuple[str, ...]) -> bool:
    """Whether a launch gives one of these flags a value, or may do so: ``--x value``, ``--x=value``, ``$ARGS``."""
    words = launch.invocation.arguments
    for index, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name in flags or any(len(name) > 3 and flag.startswith(name) for flag in flags if name.startswith("--")):
            following = words[index + 1 : index + 2]
            if equals or (following and not following[0].startswith("-")):
                return True
        elif not is_literal(word) and not (index and words[index - 1].startswith("-")):
            return True
    return False
