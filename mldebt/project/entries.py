"""Entry points (F5): what somebody or some framework can run, each once, with everything that launches it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.schema import CLASS, FUNCTION, Attribute, Do, For, Ref, Stmt, While, With
from mldebt.facts.walk import calls, statements
from mldebt.finding import Place, Span
from mldebt.project.definitions import Definition
from mldebt.project.offers import PREPARING, Frameworks
from mldebt.sources.artefacts import Command
from mldebt.sources.launchers import python_invocation

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_NO_SCRIPT = re.compile(r"(^|/)(__init__|setup|conftest|noxfile|_version|versioneer)\.py$|(^|/)docs?/(.*/)?conf\.py$")
_COMMANDS = frozenset({"click", "typer"})
_SCRIPT_GROUPS = frozenset({"console_scripts", "gui_scripts"})


class Entry(Struct, frozen=True):
    """Something that can be run.

    Args:
        definition: Where it starts: a function, or a module with what its main block does.
        kind: main, script, launched, hydra, click, typer, airflow, prefect, dagster, zenml, kedro, metaflow, luigi,
            kfp, flyte, serve, notebook, test or side-effect.
        name: ``path.py`` or ``path.py:function``.
        launchers: Commands and manifests that start it.
        line: The line to point at: the main block's, the function's.
        handlers: Functions a framework calls once ``definition`` ran: routes, steps, test functions.
        scripts: Functions the main block calls, and installed commands start without it.
    """

    definition: Definition
    kind: str
    name: str
    launchers: tuple[Place, ...]
    line: int
    handlers: tuple[Definition, ...] = ()
    scripts: tuple[Definition, ...] = ()

    @property
    def is_test(self) -> bool:
        return self.kind == "test" or self.definition.module.is_test

    @property
    def is_example(self) -> bool:
        return self.definition.module.is_example

    @property
    def starts(self) -> tuple[Definition, ...]:
        """All definitions that run when the entry does, in order."""
        return (self.definition, *self.handlers)


class _Found(Struct, frozen=True):
    """What one module offers: the kind of its own entry ("" if none), and functions with theirs."""

    kind: str
    line: int
    handlers: tuple[int, ...]
    functions: dict[int, str]
    called: frozenset[int]  # functions the main block calls or hands over: part of the module's own entry


class Entries:
    """Finds the entries of a project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._frameworks = Frameworks(project)
        self._launchers: dict[str, list[Place]] = {}
        self._started: dict[str, list[Definition]] = {}

    @cached_property
    def all(self) -> tuple[Entry, ...]:
        modules = self._project.modules
        launched = self._launched()
        found: dict[str, Entry] = {}
        for path, module in modules.items():
            if module.role != "project" or not module.facts.code_lines:
                continue
            own = self._module(module, path in launched)
            if own.kind:
                self._add(found, module, 0, own.kind, own.line, own.handlers)
            for index, kind in own.functions.items():
                if index not in own.called:
                    self._add(found, module, index, kind, module.facts.scopes[index].line)
            self._scripts(found, module, own)
        entries = (self._with_launchers(entry, found, launched) for entry in found.values())
        return tuple(sorted(entries, key=lambda entry: (entry.definition.module.path, entry.line, entry.name)))

    @cached_property
    def understood(self) -> float:
        """The share of launch commands of this project's code whose module is known; 1 when there are none."""
        commands = [command for command in self._project.repository.commands if self._is_own(command)]
        known = sum(bool(self._project.scans.launched(command)) for command in commands)
        return known / len(commands) if commands else 1.0

    def _is_own(self, command: Command) -> bool:
        invocation = python_invocation(command)
        if invocation is None or not command.sure:
            return False
        head = (invocation.module or "").partition(".")[0]
        return not (head and self._project.packages.find("-", head) is None)

    def _add(
        self, found: dict[str, Entry], module: Module, index: int, kind: str, line: int, handlers: Sequence[int] = ()
    ) -> None:
        definition = module.definition(index)
        name = definition.name.removesuffix(":")
        more = tuple(module.definition(handler) for handler in handlers if handler != index)
        found.setdefault(definition.name, Entry(definition, kind, name, (), line, more))

    def _with_launchers(self, entry: Entry, found: Mapping[str, Entry], launched: dict[str, list[Place]]) -> Entry:
        places = list(self._launchers.get(entry.definition.name, ()))
        path = entry.definition.module.path
        if entry.definition.is_module or f"{path}:" not in found:
            places += launched.get(path, ())
        scripts = {definition.name: definition for definition in self._started.get(entry.definition.name, ())}
        launchers = tuple(sorted(dict.fromkeys(places)))
        return replace(entry, launchers=launchers, scripts=tuple(scripts.values()))

    def _launched(self) -> dict[str, list[Place]]:
        """Commands by the module they run."""
        found: dict[str, list[Place]] = {}
        for command in self._project.repository.commands:
            for path in self._project.scans.launched(command):
                found.setdefault(path, []).append(Place(command.path, Span(command.line)))
        return found

    @cached_property
    def _targets(self) -> dict[str, list[tuple[Definition | None, Place, str]]]:
        """Console scripts by the module their function is defined in."""
        found: dict[str, list[tuple[Definition | None, Place, str]]] = {}
        for point in self._project.repository.entry_points:
            dotted = point.target.partition("[")[0].strip()
            module, _, attribute = dotted.partition(":")
            if point.group not in _SCRIPT_GROUPS or not module:
                continue
            place = Place(point.path, Span(point.line))
            for name in self._project.linked(f"{module}.{attribute}" if attribute else module):
                path = name.partition(":")[0]
                found.setdefault(path, []).append((self._project.definition(name), place, name))
        return found

    def _scripts(self, found: dict[str, Entry], module: Module, own: _Found) -> None:
        """Entries for the console scripts of a module, or their launchers on the entries that are there already."""
        for definition, place, _ in self._targets.get(module.path, ()):
            if definition is not None and definition.index not in own.called and definition.index not in own.functions:
                self._add(found, module, definition.index, "script", definition.scope.line)
                names = [definition.name]
            elif definition is not None:
                names = [definition.name if definition.name in found else f"{module.path}:"]
                if definition.name not in found and definition.is_function:
                    self._started.setdefault(names[0], []).append(definition)
            else:  # a typer or click object: every command of the module
                names = [entry.definition.name for entry in found.values() if entry.definition.module is module]
                if not names:
                    self._add(found, module, 0, "script", 1)
                    names = [f"{module.path}:"]
            for name in names:
                self._launchers.setdefault(name, []).append(place)

    def _module(self, module: Module, launched: bool) -> _Found:
        facts = module.facts
        tests = _tests(module)
        if tests:
            return _Found("test", 1, tuple(tests), {}, frozenset(tests))
        functions, handlers = self._frameworks.offered(module)
        called: frozenset[int] = frozenset()
        line = 1
        if module.path.endswith(".ipynb"):
            kind = "notebook"
        elif facts.main is not None or module.path.rpartition("/")[2] == "__main__.py":
            kind = "main"
            if facts.main is not None:
                line = facts.main[0]
                called, handed = self._frameworks.called(module, facts.main)
                handlers += [(index, kind) for index in sorted(handed)]
                kinds = [functions[index] for index in sorted(called) if index in functions]
                kind = kinds[0] if kinds else kind
                if not called and _COMMANDS.intersection(functions.values()) and _dispatches(module, facts.main):
                    kind = ""  # the main block is ``app()``: each command is an entry
        elif handlers:
            kind = handlers[0][1]
        elif launched:
            kind = "" if functions or _NO_SCRIPT.search(module.path) else "launched"
        else:
            kind = "side-effect" if not functions and self._acts(module) else ""
        return _Found(kind, line, tuple(index for index, _ in handlers), functions, called)

    def _acts(self, module: Module) -> bool:
        """Whether merely running the module does something, and nobody imports it."""
        if not module.path.endswith(".py") or _NO_SCRIPT.search(module.path):
            return False
        if not module.facts.imports and not module.facts.scopes[0].uses:
            return False
        imports = self._project.imports
        if imports.importers(module.path) or module.path in imports.scanned:
            return False
        return any(_does(stmt) for stmt in module.body(0))


def _does(stmt: Stmt) -> bool:
    if isinstance(stmt, (For, While, With)):
        return any(calls(inner) for inner in statements([stmt]))
    if not isinstance(stmt, Do):
        return False
    return any(
        isinstance(call.function, (Ref, Attribute)) and call.function.name.rpartition(".")[2] not in PREPARING
        for call in calls(stmt)
    )


def _dispatches(module: Module, lines: tuple[int, int]) -> bool:
    """Whether a main block does no more than one call."""
    made = [call for stmt in statements(module.body(0)) if lines[0] <= stmt.line <= lines[1] for call in calls(stmt)]
    return len(made) == 1


def _tests(module: Module) -> list[int]:
    """Test functions and methods, as pytest and unittest collect them."""
    if not module.is_test:
        return []
    scopes = module.facts.scopes
    return [
        index
        for index, scope in enumerate(scopes)
        if scope.kind == FUNCTION
        and scope.name.startswith("test")
        and (scope.parent == 0 or scopes[scope.parent].kind == CLASS)
    ]
