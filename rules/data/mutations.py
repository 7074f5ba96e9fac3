"""What a body puts into the values its names hold: ``rows.append(x)``, ``frame["label"] = y``."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mldebt.facts.schema import Assign, Attribute, Augment, Call, Expr, For, Ref, Stmt, Subscript, While
from mldebt.facts.walk import calls, statements
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

_ADDS = frozenset({"append", "extend", "add", "update", "appendleft", "put", "insert", "setdefault", "writerow"})
_QUERIES = frozenset({"execute", "executemany"})
_CELLS = frozenset({"loc", "at"})


class Mutation(Struct, frozen=True, eq=False):
    """``value`` goes into ``name``, under ``key`` where one is named; ``whole``: all rows of the column are new."""

    name: str
    key: object
    value: Expr
    line: int
    whole: bool


class Mutations(Analysis):
    """Answers by scope and name; names may be dotted."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[tuple[str, int], dict[str, list[Mutation]]] = {}
        self._loops: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def seen(self, module: Module, scope: int, name: str, since: int, line: int) -> list[Mutation]:
        """Those between a name's binding at line ``since`` and its reading, or in one loop with the reading."""
        found = self.of(module, scope, name)
        return [one for one in found if since <= one.line <= line or self._meet(module, scope, one.line, line)]

    def _meet(self, module: Module, scope: int, one: int, other: int) -> bool:
        key = (module.path, scope)
        loops = self._loops.get(key)
        if loops is None:
            found = [stmt for stmt in statements(module.body(scope)) if isinstance(stmt, (For, While))]
            loops = self._loops[key] = [(stmt.line, stmt.end_line) for stmt in found]
        return any(first <= one <= last and first <= other <= last for first, last in loops)

    def of(self, module: Module, scope: int, name: str) -> list[Mutation]:
        key = (module.path, scope)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = {}
            for stmt in statements(module.body(scope)):
                for one in _mutations(module, scope, stmt):
                    known.setdefault(one.name, []).append(one)
        return known.get(name, [])


def _mutations(module: Module, scope: int, stmt: Stmt) -> Iterator[Mutation]:
    targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Augment) else []
    for target in targets:
        if isinstance(target, Subscript) and isinstance(stmt, (Assign, Augment)):
            yield from _stored(module, scope, target, stmt)
    for call in calls(stmt):
        yield from _added(module, scope, call)


def _stored(module: Module, scope: int, target: Subscript, stmt: Assign | Augment) -> Iterator[Mutation]:
    """``frame[key] = value`` and ``frame.loc[rows, key] = value``."""
    held = target.value
    whole = isinstance(stmt, Assign)
    index: Expr = target.index
    if isinstance(held, Ref) and held.name.rpartition(".")[2] in _CELLS:
        held = Ref(held.name.rpartition(".")[0], held.line, held.column)
        items = getattr(index, "items", None)
        index, whole = (items[-1], False) if items else (index, False)
    if isinstance(held, Ref):
        value = module.constant(scope, index)
        yield Mutation(held.name, value if isinstance(value, (str, int)) else None, stmt.value, stmt.line, whole)


def _added(module: Module, scope: int, call: Call) -> Iterator[Mutation]:
    function = call.function
    if not isinstance(function, Ref):
        return
    name, _, method = function.name.rpartition(".")
    if name and method in _QUERIES:  # a cursor gives the rows of what it executed
        yield Mutation(name, None, call, call.line, False)
    if not name or method not in _ADDS:
        return
    if method == "insert" and len(call.args) >= 3:  # frame.insert(place, column, value)
        key = module.constant(scope, call.args[1])
        yield Mutation(name, key if isinstance(key, str) else None, call.args[2], call.line, isinstance(key, str))
        return
    for value in call.args[1:] if method in ("insert", "setdefault") else call.args:
        yield Mutation(name, None, value, call.line, False)
    for keyword in call.keywords if method == "update" else ():
        yield Mutation(name, keyword.name, keyword.value, call.line, True)


def owner(function: Expr) -> Expr | None:
    """What a method is called on."""
    if isinstance(function, Ref):
        head = function.name.rpartition(".")[0]
        return Ref(head, function.line, function.column) if head else None
    if isinstance(function, Attribute):
        head = function.name.rpartition(".")[0]
        if not head:
            return function.value
        return Attribute(
            function.value, head, function.line, function.column, function.end_line, function.end_column
        )  # fmt: skip
    return None


def called(module: Module, scope: int, function: Expr) -> str:
    """The last name of what is called, by its own name where it was imported under another; "" for no name."""
    if isinstance(function, Attribute):
        return function.name.rpartition(".")[2]
    if not isinstance(function, Ref):
        return ""
    if "." not in function.name:
        for name in module.project.resolve(module, scope, function.name):
            if ":" not in name:
                return name.rpartition(".")[2]
    return function.name.rpartition(".")[2]
