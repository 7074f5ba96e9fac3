"""What a module offers to frameworks: functions they run without anybody calling them by name (``entries.toml``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli

from mldebt.facts.schema import CLASS, FUNCTION, Build, Call, Expr, Ref
from mldebt.facts.walk import calls, statements

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_KNOWN: dict[str, dict[str, Any]] = tomli.loads((Path(__file__).parent / "entries.toml").read_text("utf-8"))
_TABLES = ("decorators", "bases", "runners")
_LIBRARIES = frozenset(name.partition(".")[0] for table in _TABLES for name in _KNOWN[table])
_FRAMEWORKS = _LIBRARIES.union(*_KNOWN["methods"].values())
PREPARING = frozenset(_KNOWN["preparing"]["names"])


class Frameworks:
    """Finds functions that frameworks run."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def offered(self, module: Module) -> tuple[dict[int, str], list[tuple[int, str]]]:
        """Functions that are entries of their own, and those that belong to the module's entry, with their kinds."""
        functions: dict[int, str] = {}
        handlers: list[tuple[int, str]] = []
        scopes = module.facts.scopes
        libraries = {fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level} & _FRAMEWORKS
        for index, scope in enumerate(scopes):
            if scope.kind == FUNCTION and not scope.parent:
                wanted = _KNOWN["handlers"].get(scope.name)
                if wanted and wanted == [parameter.name for parameter in scope.parameters[: len(wanted)]]:
                    handlers.append((index, "serve"))
            if not libraries:
                continue
            if scope.kind == FUNCTION:
                kinds = (self._decorated(module, scope.parent, decorator, libraries) for decorator in scope.decorators)
                kind = next(filter(None, kinds), "")
                if kind == "serve":
                    handlers.append((index, kind))
                elif kind:
                    functions[index] = kind
            elif scope.kind == CLASS and scope.bases:
                mro = self._project.mro(f"{module.path}:{scope.qualname}")
                kind = next((_KNOWN["bases"][base] for base in mro if base in _KNOWN["bases"]), "")
                handlers += [(method, kind) for method in _methods(module, index) if kind]
        if libraries:
            functions.update(self._handed(module))
        return functions, handlers

    def _decorated(self, module: Module, scope: int, decorator: Expr, libraries: set[str]) -> str:
        function = decorator.function if isinstance(decorator, Call) else decorator
        if not isinstance(function, Ref):
            return ""
        for name in self._project.resolve(module, scope, function.name):
            if name in _KNOWN["decorators"]:
                return str(_KNOWN["decorators"][name])
        head, _, method = function.name.rpartition(".")
        kinds = _KNOWN["methods"].get(method, {}) if head else {}
        return next((str(kinds[library]) for library in sorted(libraries) if library in kinds), "")

    def _handed(self, module: Module) -> Iterator[tuple[int, str]]:
        """Functions of the module given to a call that runs them."""
        for name, site in module.calls_of(_KNOWN["runners"]):
            runner = _KNOWN["runners"][name]
            for value in _argument(site.call, runner["name"], runner["position"]):
                for index in self._functions(module, site.scope, value):
                    yield index, runner["kind"]

    def _functions(self, module: Module, scope: int, value: Expr) -> Iterator[int]:
        parts = value.items if isinstance(value, Build) else [value]
        for part in parts:
            names = self._project.resolve(module, scope, part.name) if isinstance(part, Ref) else ()
            for name in names:
                found = self._project.definition(name)
                if found is not None and found.module is module and not found.is_module:
                    yield found.index

    def called(self, module: Module, lines: tuple[int, int]) -> tuple[frozenset[int], set[int]]:
        """Functions of the module that the main block calls or hands to a runner; and the latter alone."""
        called: set[int] = set()
        handed: set[int] = set()
        for stmt in statements(module.body(0)):
            if lines[0] <= stmt.line <= lines[1]:
                for call in calls(stmt):
                    called.update(self._functions(module, 0, call.function))
                    function = call.function
                    names = self._project.resolve(module, 0, function.name) if isinstance(function, Ref) else ()
                    for runner in (_KNOWN["runners"][name] for name in names if name in _KNOWN["runners"]):
                        for value in _argument(call, runner["name"], runner["position"]):
                            handed.update(self._functions(module, 0, value))
        return frozenset(called | handed), handed - called


def _methods(module: Module, index: int) -> list[int]:
    """Scope indexes of a class's methods."""
    scopes = module.facts.scopes
    return [inner for inner, scope in enumerate(scopes) if scope.parent == index and scope.kind == FUNCTION]


def _argument(call: Call, name: str, position: int) -> list[Expr]:
    for keyword in call.keywords:
        if keyword.name == name:
            return [keyword.value]
    return [call.args[position]] if 0 <= position < len(call.args) else []
