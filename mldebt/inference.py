"""The inference door: astroid, asked for a receiver's class when linked facts do not tell. One file knows it.

astroid sees the module in question, the project modules it imports and our brains: stubs of what big libraries' classes
and factories are. It never looks into installed packages, so a scan gives the same answer wherever it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astroid
from astroid.builder import AstroidBuilder
from astroid.exceptions import AstroidBuildingError, AstroidError, AstroidImportError
from astroid.manager import AstroidManager

from mldebt.facts.schema import Attribute, Call, Ref, Subscript
from mldebt.tree import deepest

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

MOST_MODULES = 50  # a module whose imports reach further is not inferred: unknown is silent
MOST_RESULTS = 8  # alternatives; more means nothing certain
_DEEPEST = 200
_BRAINS = Path(__file__).parent / "brains"

Inferable = Call | Attribute | Subscript | Ref


class Inference:
    """Answers for one project. Modules are built on the first question about them, and dropped by ``close``."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._built: dict[str, astroid.nodes.Module] = {}
        self._within: dict[str, frozenset[str] | None] = {}
        self._used = False

    def classes(self, module: Module, expr: Inferable) -> tuple[str, ...]:
        """The classes an expression's value may be an instance of: ``torch.nn.CrossEntropyLoss``, ``model.py:Net``.

        () when astroid does not know, knows too many, or the module imports more than ``MOST_MODULES`` project modules.
        """
        if self._reachable(module.path) is None:
            return ()
        self._used = True
        with self._confined(module.path):
            try:
                root = self._build(module.path)
                node = _node_at(root, expr) if root is not None else None
                values = list(_limited(node.infer())) if node is not None else []
            except (AstroidError, RecursionError):
                return ()
        names = [self._class_name(value) for value in values]
        return tuple(dict.fromkeys(name for name in names if name)) if all(names) else ()

    def close(self) -> None:
        """Forget everything: astroid keeps its modules in the process."""
        if self._used:
            AstroidManager().clear_cache()
            self._built.clear()

    def _reachable(self, path: str) -> frozenset[str] | None:
        if path not in self._within:
            closure = self._project.imports.closure(self._project.modules[path]) | {path}
            self._within[path] = closure if len(closure) <= MOST_MODULES else None
        return self._within[path]

    @contextmanager
    def _confined(self, path: str) -> Iterator[None]:
        """astroid imports only the project's own modules and brains.

        astroid makes itself a manager wherever it imports, so it is the class that has to refuse. Left to itself it
        reads installed packages, and really imports those written in C.
        """
        reachable = self._reachable(path) or frozenset()

        def import_module(_: AstroidManager, name: str | None, *__: object, **___: object) -> astroid.nodes.Module:
            found = self._imported(name or "", reachable)
            if found is None:
                raise AstroidImportError("{modname} is not looked into", modname=name)
            return found

        manager: Any = AstroidManager
        before = manager.ast_from_module_name
        manager.ast_from_module_name = import_module
        try:
            yield
        finally:
            manager.ast_from_module_name = before

    def _imported(self, name: str, reachable: frozenset[str]) -> astroid.nodes.Module | None:
        if name == "builtins":
            return AstroidManager().builtins_module
        module = self._project.module_named(name)
        if module is not None and module.path in reachable:
            return self._build(module.path)
        return self._brain(name) if name in self._brains else None

    def _brain(self, name: str) -> astroid.nodes.Module:
        key = f"brain:{name}"
        if key not in self._built:
            text = self._brains[name].read_text(encoding="utf-8")
            builder = AstroidBuilder(AstroidManager(), apply_transforms=False)
            self._built[key] = builder.string_build(text, name, key)
            # Else `from torch import nn` in the brain of torch would ask itself for ever.
            self._built[key].package = any(other.startswith(f"{name}.") for other in self._brains)
        return self._built[key]

    @cached_property
    def _brains(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(_BRAINS.glob("*.pyi"))}

    def _build(self, path: str) -> astroid.nodes.Module | None:
        if path not in self._built:
            module = self._project.modules[path]
            text = module.source.text
            if module.facts.problems or deepest(text) > _DEEPEST:
                return None
            try:
                builder = AstroidBuilder(AstroidManager(), apply_transforms=False)
                self._built[path] = builder.string_build(text, module.name, path)
            except AstroidBuildingError:
                return None
            self._built[path].package = path.endswith("__init__.py")
        return self._built[path]

    def _class_name(self, value: Any) -> str:
        """The class of an inferred instance; "" for anything else."""
        if not isinstance(value, astroid.Instance):
            return ""
        cls = value._proxied
        root = cls.root()
        qualname = cls.qname().removeprefix(f"{root.name}.")
        path = next((path for path, built in self._built.items() if built is root), "")  # astroid makes paths absolute
        return f"{path}:{qualname}" if path in self._project.modules else f"{root.name}.{qualname}"


def _limited(values: Iterator[Any]) -> Iterator[Any]:
    for count, value in enumerate(values):
        if count == MOST_RESULTS:
            raise AstroidError("too many alternatives")
        yield value


def _node_at(root: astroid.nodes.Module, expr: Inferable) -> astroid.nodes.NodeNG | None:
    """The astroid node where the facts have an expression: both count lines and byte columns as ``ast`` does."""
    kinds: tuple[type[astroid.nodes.NodeNG], ...] = {
        Call: (astroid.nodes.Call,),
        Attribute: (astroid.nodes.Attribute,),
        Subscript: (astroid.nodes.Subscript,),
        Ref: (astroid.nodes.Name, astroid.nodes.Attribute),
    }[type(expr)]
    if isinstance(expr, Ref):  # facts keep no end of a chain of names: it has no blanks to speak of
        end = (expr.line, expr.column + len(expr.name.encode()))
    else:
        end = (expr.end_line, expr.end_column)
    place = (expr.line, expr.column, *end)
    for node in root.nodes_of_class(kinds):
        if (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) == place:
            return node
    return None
