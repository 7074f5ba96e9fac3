"""Modules that are meant to be glue: what they offer is the project's own, or thin functions around a vendor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from mldebt.facts.schema import CLASS, FUNCTION, Assert, Call, Do, If, Raise, Stmt
from mldebt.facts.walk import statements
from mldebt.module import Module
from mldebt.rule import Analysis

from .conversions import Operations
from .statements import StatementReader
from .vendors import vendor_of

_THIN = 4  # statements
_MOST = 2 / 3
_CALLS = 3
_SETTINGS = ("config", "cfg", "settings", "args", "arguments", "options", "params", "hparams")
_FRAMEWORKS = frozenset(
    "torch tensorflow keras flax jax sklearn lightning pytorch_lightning transformers xgboost lightgbm".split()
)
_SAYS = frozenset("debug info warning warn error exception critical log print".split())


class Boundaries(Analysis):
    """Answers whether a module is a boundary between the project and libraries."""

    def is_boundary(self, module: Module, declared: Sequence[str]) -> bool:
        """Whether it is declared as one, offers project types, or offers thin functions around one vendor call each."""
        if any(fnmatchcase(module.path, pattern) or fnmatchcase(module.name, pattern) for pattern in declared):
            return True
        public = list(_public(module))
        if not public:
            return False
        reader = StatementReader(self.project[Operations], module)
        thin = sum(self._is_thin(module, index, reader) for index in public)
        typed = sum(self._speaks_project(module, index) for index in public)
        return thin >= _MOST * len(public) or typed >= _MOST * len(public)

    def _is_thin(self, module: Module, index: int, reader: StatementReader) -> bool:
        body = [stmt for stmt in statements(module.body(index)) if not _is_aside(stmt)]
        if not 0 < len(body) <= _THIN:
            return False
        vendor = crossings = 0
        for site in module.call_sites(index):
            row = reader.operation(index, site.call)
            if row is not None:
                crossings += row.crosses
            elif any(vendor_of(name, self.project) for name in module.names(index, site.call.function)):
                vendor += 1
        # The vendor call, and what brings its values there and back.
        return vendor < 2 and 0 < vendor + crossings <= _CALLS

    def _speaks_project(self, module: Module, index: int) -> bool:
        """Whether a function takes or returns a type of the project's own: no settings, no model of a framework."""
        scope = module.scope(index)
        written = [scope.returns, *(parameter.annotation for parameter in scope.parameters)]
        types = self.project.types
        return any(
            ":" in name and not self._is_aside(name)
            for annotation in written
            if annotation is not None
            for name in types.annotated(module, scope.parent, annotation)
        )

    def _is_aside(self, name: str) -> bool:
        """Whether a class holds settings, or is a part of a framework that the project only fills in."""
        if name.lower().endswith(_SETTINGS):
            return True
        return any(base.partition(".")[0] in _FRAMEWORKS for base in self.project.mro(name) if ":" not in base)


def _public(module: Module) -> Iterator[int]:
    """The functions of a module and the methods of its classes that others are to call."""
    scopes = module.facts.scopes
    for index, scope in enumerate(scopes):
        if scope.kind != FUNCTION or scope.name.startswith("_"):
            continue
        parent = scopes[scope.parent]
        if scope.parent == 0 or (parent.kind == CLASS and parent.parent == 0 and not parent.name.startswith("_")):
            yield index


def _is_aside(stmt: Stmt) -> bool:
    """Checks and logging."""
    if isinstance(stmt, (Assert, Raise)):
        return True
    if isinstance(stmt, If):
        return all(_is_aside(inner) for inner in (*stmt.body, *stmt.orelse))
    if isinstance(stmt, Do) and isinstance(stmt.value, Call):
        return getattr(stmt.value.function, "name", "").rpartition(".")[2] in _SAYS
    return False
