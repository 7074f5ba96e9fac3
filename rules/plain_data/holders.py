"""Which names may hold a loss: followed forward by name, so that only calls through such names are evaluated.

A loss class or a factory of losses is a *maker* (level 2): calling it gives a holder. A loss object or function is a
*holder* (level 1): calling it computes the loss. Names stand for themselves wherever they are used; evaluating the
calls found here decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import (
    FUNCTION,
    Annotate,
    Assign,
    Attribute,
    Bind,
    Boolean,
    Build,
    Call,
    Comprehension,
    Conditional,
    Expr,
    Lambda,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
    Wait,
    With,
)
from mldebt.facts.walk import expressions, given_values, statements, walk
from mldebt.module import CallSite

from .mentions import Mentions

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_MAKER, _HOLDER = 2, 1
_MOST_NAMES = 400
_MOST_LEVEL = 3
_SAME = frozenset("to cuda cpu float half double bfloat16 eval train type requires_grad_ get pop".split())
_WRAPS = frozenset(
    "partial compile script prepare setup DataParallel ModuleDict ModuleList dict deepcopy copy unwrap_model".split()
)
_NAMESPACES = frozenset({"torch.nn", "torch.nn.functional", "keras.losses", "tensorflow.keras.losses"})
Key = tuple[str, int, str]  # path and scope of the function that binds a name; "" and 0 for any other name
_NO_LEVELS: frozenset[int] = frozenset()


class Holders:
    """Calls that may compute a loss of one of ``seeds``: linked names with their levels.

    A variable of a function is held for that function, a parameter for its own; what a module or a class binds, and
    attributes, by name wherever they are read.
    """

    def __init__(self, project: Project, seeds: Mapping[str, int], *, dispatched: bool) -> None:
        self._project = project
        self._seeds = seeds
        self._spellings = project.spellings(frozenset(seeds)) | ({"getattr"} if dispatched else frozenset())
        self._held: dict[Key, set[int]] = {}
        self._new: set[Key] = set()
        self._calls: dict[tuple[str, int, int, int, int], tuple[Module, CallSite]] = {}

    def calls(self) -> list[tuple[Module, CallSite]]:
        """The candidate calls, in the order of paths and lines."""
        mentions = self._project[Mentions]
        for module in mentions.modules(self._spellings):
            self._read(module, module.scopes_using(self._spellings), self._spellings)
        while self._new and len(self._held) <= _MOST_NAMES:
            new, self._new = sorted(self._new), set()
            shared = frozenset(name for path, _, name in new if not path)
            for module in mentions.modules(shared):
                self._read(module, module.scopes_using(shared), shared)
            for path, scope, name in new:
                if path:
                    module = self._project.modules[path]
                    self._read(module, _within(module, scope), frozenset({name}))
        found = sorted(self._calls.items())
        return [value for _, value in found]

    def _read(self, module: Module, scopes: Iterable[int], names: frozenset[str]) -> None:
        if module.role != "project":
            return
        for index in scopes:
            if any(part in names for chain in module.facts.scopes[index].uses for part in chain.split(".")):
                for stmt in statements(module.body(index)):
                    self._statement(module, index, stmt, names)

    def _statement(self, module: Module, scope: int, stmt: Stmt, names: frozenset[str]) -> None:
        exprs = expressions(stmt, module.facts.scopes)
        if not any(_mentions(expr, names) for expr in exprs):
            return
        for expr in exprs:
            for node in walk(expr):
                if isinstance(node, Call):
                    self._call(module, scope, stmt, node)
        if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None:
            levels = self._levels(module, scope, stmt.value)
            for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
                self._hold(module, scope, target, levels)
        elif isinstance(stmt, Return) and stmt.value is not None:
            levels = self._levels(module, scope, stmt.value)
            function = module.facts.scopes[scope]
            if function.kind == FUNCTION and function.name not in ("forward", "__call__"):
                self._keep(("", 0, function.name), frozenset(level + 1 for level in levels))
        elif isinstance(stmt, With):
            for item in stmt.items:
                if item.target is not None:
                    self._hold(module, scope, item.target, self._levels(module, scope, item.context))

    def _call(self, module: Module, scope: int, stmt: Stmt, call: Call) -> None:
        if _HOLDER in self._levels(module, scope, call.function) and (call.args or call.keywords):
            key = (module.path, call.line, call.column, call.end_line, call.end_column)
            self._calls.setdefault(key, (module, CallSite(call, stmt, scope)))
        positional = [(index, self._levels(module, scope, arg)) for index, arg in enumerate(call.args)]
        named = [(keyword.name, self._levels(module, scope, keyword.value)) for keyword in call.keywords]
        if not any(levels for _, levels in (*positional, *named)):
            return
        for edge in self._project.calls.targets(module, scope, call):
            if edge.confidence == "cha":
                continue
            target = edge.target
            parameters = [one.name for one in target.scope.parameters]
            skip = 1 if parameters and parameters[0] in ("self", "cls") else 0
            given = dict(zip(parameters[skip:], (levels for _, levels in positional), strict=False))
            given.update((name, levels) for name, levels in named if name in parameters)
            for name, levels in given.items():
                self._keep((target.module.path, target.index, name), levels)

    def _hold(self, module: Module, scope: int, target: Expr, levels: frozenset[int]) -> None:
        if isinstance(target, Ref):
            self._keep(_key(module, scope, target), levels)
        elif isinstance(target, Subscript):
            self._hold(module, scope, target.value, levels)
        elif isinstance(target, (Build, Starred)):
            for item in target.items if isinstance(target, Build) else [target.value]:
                self._hold(module, scope, item, levels)

    def _keep(self, key: Key, levels: frozenset[int]) -> None:
        levels = frozenset(level for level in levels if level <= _MOST_LEVEL)
        if levels <= self._held.get(key, _NO_LEVELS):
            return
        path, scope, name = key
        # ``from losses import build as make``: what a module binds may be renamed where it is imported.
        for spelling in (name,) if path else self._project.spellings(frozenset({name})):
            self._held.setdefault((path, scope, spelling), set()).update(levels)
            self._new.add((path, scope, spelling))

    def _levels(self, module: Module, scope: int, expr: Expr) -> frozenset[int]:
        """How many calls away from a computed loss an expression may be."""
        if isinstance(expr, Ref):
            return self._of_name(module, scope, expr)
        if isinstance(expr, Call):
            return self._of_call(module, scope, expr)
        if isinstance(expr, Attribute):
            found = self._held.get(("", 0, expr.name.rpartition(".")[2]))
            return frozenset(found) if found else _NO_LEVELS
        if isinstance(expr, Subscript):
            return self._levels(module, scope, expr.value)
        parts: list[Expr] = []
        if isinstance(expr, Conditional):
            parts = [expr.then, expr.orelse]
        elif isinstance(expr, Boolean):
            parts = expr.values
        elif isinstance(expr, Build):
            parts = expr.items
        elif isinstance(expr, Comprehension):
            parts = [expr.element]
        elif isinstance(expr, (Bind, Starred)):
            parts = [expr.value]
        elif isinstance(expr, Lambda):
            return frozenset({_HOLDER}) if self._is_loss_call(module, scope, expr.body) else _NO_LEVELS
        elif isinstance(expr, Wait) and expr.value is not None:
            parts = [expr.value]
        return frozenset(level for part in parts for level in self._levels(module, scope, part))

    def _is_loss_call(self, module: Module, scope: int, expr: Expr) -> bool:
        return isinstance(expr, Call) and _HOLDER in self._levels(module, scope, expr.function)

    def _of_name(self, module: Module, scope: int, ref: Ref) -> frozenset[int]:
        last = ref.name.rpartition(".")[2]
        found = set(self._held.get(_key(module, scope, ref), ()))
        if last in self._spellings:
            names = module.names(scope, ref)
            found.update(self._seeds[name] for name in names if name in self._seeds)
        return frozenset(found) if found else _NO_LEVELS

    def _of_call(self, module: Module, scope: int, call: Call) -> frozenset[int]:
        function = call.function
        last = last_segment(function)
        if last == "getattr" and "getattr" in self._spellings:
            return self._of_getattr(module, scope, call)
        levels = frozenset(level - 1 for level in self._levels(module, scope, function) if level > 1)
        if last in _SAME and isinstance(function, Attribute):
            levels |= self._levels(module, scope, function.value)
        elif last in _SAME and isinstance(function, Ref) and "." in function.name:
            levels |= self._of_name(
                module, scope, Ref(function.name.rpartition(".")[0], function.line, function.column)
            )
        if last in _WRAPS:
            given = given_values(call)
            levels |= frozenset(level for arg in given for level in self._levels(module, scope, arg))
        return levels

    def _of_getattr(self, module: Module, scope: int, call: Call) -> frozenset[int]:
        """``getattr(nn, cfg.loss)``: by its name a loss; the same call fetches activations and layers elsewhere."""
        if len(call.args) < 2 or not isinstance(call.args[0], Ref):
            return _NO_LEVELS
        names = [node.name.lower() for node in walk(call.args[1]) if isinstance(node, Ref)]
        if not any("loss" in name or "crit" in name for name in names):
            return _NO_LEVELS
        found = module.names(scope, call.args[0])
        return _NO_LEVELS if _NAMESPACES.isdisjoint(found) else frozenset({_MAKER, _HOLDER})


def _key(module: Module, scope: int, ref: Ref) -> Key:
    """Where a name is held: in the function that binds it, or by name anywhere."""
    if "." not in ref.name:
        bound = binding_scope(module.facts, scope, ref.name)
        if bound is not None and module.facts.scopes[bound].kind == FUNCTION:
            return (module.path, bound, ref.name)
    return ("", 0, ref.name.rpartition(".")[2])


def _within(module: Module, scope: int) -> Iterator[int]:
    """A scope and those in it."""
    inside = {scope}
    yield scope
    for index in range(scope + 1, len(module.facts.scopes)):
        if module.facts.scopes[index].parent in inside:
            inside.add(index)
            yield index


def _mentions(expr: Expr, names: frozenset[str]) -> bool:
    for node in walk(expr):
        if isinstance(node, (Ref, Attribute)) and any(part in names for part in node.name.split(".")):
            return True
    return False
