"""Tables of classes and factories, ``MODELS = {"forest": RandomForestClassifier}``: which calls run their entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Build,
    Call,
    Compare,
    Comprehension,
    Const,
    Expr,
    For,
    Format,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import children, expressions, statements, walk
from mldebt.module import CallSite
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_VIEWS = frozenset({"items", "values", "keys", "get"})
_SAME_ITEMS = frozenset({"list", "sorted", "tuple", "tqdm", "track", "reversed", "iter"})
_ONLY_KEYS = frozenset({"len", "list", "sorted", "tuple", "set", "print", "str", "repr", "join", "iter", "Choice"})
_DISPLAYS = frozenset({"dict", "list", "tuple"})


class Entry(Struct, frozen=True, eq=False):
    """One value of a table; ``key`` is its constant key in a dictionary, None elsewhere."""

    value: Expr
    key: object = None


class CallableTable(Struct, frozen=True, eq=False):
    """A display in a statement of a scope; ``name`` is the variable it is assigned to, "" when there is none."""

    module: Module
    scope: int
    statement: Stmt
    display: Build
    name: str

    @property
    def is_dict(self) -> bool:
        return self.display.kind == "dict"

    @property
    def entries(self) -> Iterator[Entry]:
        """``{"a": f}``, ``[f]``, ``[("a", f)]``: the entries that may be called."""
        keys = self.display.keys if self.is_dict else [None] * len(self.display.items)
        for key, item in zip(keys, self.display.items, strict=True):
            if isinstance(item, Build) and item.kind in ("tuple", "list"):
                yield from (Entry(one) for one in item.items if not isinstance(one, Const))
            else:
                yield Entry(item, key.value if isinstance(key, Const) else None)


class Made(Struct, frozen=True, eq=False):
    """A call of an entry; ``key``: the constant key it is looked up by, None when it may be any entry."""

    module: Module
    site: CallSite
    key: object = None

    def runs(self, entry: Entry) -> bool:
        return self.key is None or entry.key is None or self.key == entry.key


class Uses(Struct, frozen=True, eq=False):
    """The calls of a table's entries; ``hidden``: an entry, or the table, also goes where nobody looks."""

    made: tuple[Made, ...]
    hidden: bool


class CallableTables(Analysis):
    """``project[CallableTables].uses(table)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._uses: dict[int, tuple[CallableTable, Uses]] = {}

    def holding(self, module: Module, site: CallSite) -> tuple[CallableTable, Entry] | None:
        """The table a call's value is an entry of."""
        for table in displays(module, site.scope, site.statement):
            for entry in table.entries:
                if entry.value is site.call or _same_place(entry.value, site.call):
                    return table, entry
        return None

    def uses(self, table: CallableTable) -> Uses:
        known = self._uses.get(id(table.display))
        if known is None:
            found = list(self._find(table))
            made = tuple(one for one in found if one is not None)
            known = self._uses[id(table.display)] = table, Uses(made, len(made) < len(found))
        return known[1]

    def _find(self, table: CallableTable) -> Iterator[Made | None]:
        """Every call of an entry, and None for whatever cannot be followed."""
        if not table.name:
            yield from _Reading(table.module, table.scope, table.statement).table(table, table.display, "")
            return
        qualified = f"{table.module.path}:{table.name}"
        words = self.project.spellings(frozenset({qualified})) | {table.name}
        for module in self.project.modules.values():
            if module.is_test or words.isdisjoint(module.facts.mentions):
                continue
            for index in module.scopes_using(words | _VIEWS):
                for stmt in statements(module.body(index)):
                    reading = _Reading(module, index, stmt)
                    for node in reading.nodes:
                        view = _view(node)
                        chain = node.name.removesuffix(f".{view}") if isinstance(node, Ref) and view else node
                        if isinstance(node, Ref) and self._is_table(table, qualified, module, index, chain):
                            yield from reading.table(table, node, view)

    def _is_table(self, table: CallableTable, qualified: str, module: Module, index: int, chain: Expr | str) -> bool:
        name = chain.name if isinstance(chain, Ref) else chain
        if not isinstance(name, str):
            return False
        if module is table.module and name == table.name:
            return binding_scope(module.facts, index, name) == table.scope
        return table.scope == 0 and qualified in self.project.resolve(module, index, name)


class _Reading:
    """One statement, read for what it does with a table."""

    def __init__(self, module: Module, scope: int, stmt: Stmt) -> None:
        self.module, self.scope, self.stmt = module, scope, stmt
        self.nodes: list[Expr] = []
        self._parents: dict[int, Expr] = {}
        targets = stmt.targets if isinstance(stmt, Assign) else ()
        if isinstance(stmt, (Annotate, For)):
            targets = [stmt.target]
        for expr in expressions(stmt, module.facts.scopes):
            if not any(expr is one for one in targets):
                self.nodes += walk(expr)
        for node in self.nodes:
            for part in children(node):
                self._parents[id(part)] = node

    def table(self, table: CallableTable, node: Expr, view: str) -> Iterator[Made | None]:
        """What a reference to the table, or a view of it, leads to."""
        parent = self._parents.get(id(node))
        if view:
            if not isinstance(parent, Call) or parent.function is not node or not table.is_dict:
                yield None
                return
            if view == "get":
                yield from self._entry(parent, parent.args[0] if parent.args else None)
            elif view != "keys":
                yield from self._iterated(parent, paired=view == "items")
        elif isinstance(parent, Subscript) and parent.value is node:
            yield from self._entry(parent, parent.index if table.is_dict else None)
        elif not table.is_dict:
            paired = any(isinstance(item, Build) for item in table.display.items)
            yield from self._iterated(node, paired=paired)
        elif not self._is_keys_only(parent, node):
            yield None

    def _is_keys_only(self, parent: Expr | None, node: Expr) -> bool:
        """``name in MODELS``, ``sorted(MODELS)``, ``choices=MODELS``: no entry is taken out."""
        if isinstance(parent, Call) and isinstance(parent.function, (Ref, Attribute)):
            named = any(one.value is node and one.name == "choices" for one in parent.keywords)
            return named or parent.function.name.rpartition(".")[2] in _ONLY_KEYS
        if isinstance(parent, Comprehension):
            return any(one.iterable is node for one in parent.generators)
        return isinstance(parent, (Compare, Format)) or (isinstance(self.stmt, For) and self.stmt.iterable is node)

    def _iterated(self, node: Expr, *, paired: bool) -> Iterator[Made | None]:
        parent = self._parents.get(id(node))
        while isinstance(parent, Call) and isinstance(parent.function, Ref) and node in parent.args:
            if parent.function.name.rpartition(".")[2] not in _SAME_ITEMS:
                break
            node, parent = parent, self._parents.get(id(parent))
        target: Expr | None = None
        body: Comprehension | None = None
        if isinstance(self.stmt, For) and self.stmt.iterable is node:
            target = self.stmt.target
        elif isinstance(parent, Comprehension):
            body = parent
            target = next((one.target for one in parent.generators if one.iterable is node), None)
        if paired and isinstance(target, Build):
            target = target.items[-1] if target.items else None
        if not isinstance(target, Ref):
            yield None
        elif body is not None:
            yield from (self._called(one, self._parents.get(id(one))) for one in _refs(walk(body.element), target.name))
        else:
            yield from self._variable(target.name)

    def _entry(self, entry: Expr, key: Expr | None) -> Iterator[Made | None]:
        """An entry taken out: called at once, or kept in a variable that is called."""
        parent = self._parents.get(id(entry))
        if isinstance(parent, Call):
            made = self._called(entry, parent)
            constant = key.value if isinstance(key, Const) else None
            yield made if made is None else Made(made.module, made.site, constant)
            return
        targets = self.stmt.targets if isinstance(self.stmt, Assign) and self.stmt.value is entry else ()
        if len(targets) == 1 and isinstance(targets[0], Ref) and "." not in targets[0].name:
            yield from self._variable(targets[0].name)
        else:
            yield None

    def _variable(self, name: str) -> Iterator[Made | None]:
        """The calls of a variable that this statement binds."""
        flow = self.module.project.flow(self.module.definition(self.scope))
        for stmt in statements(self.module.body(self.scope)):
            reading = _Reading(self.module, self.scope, stmt)
            for ref in _refs(reading.nodes, name):
                origins = flow.origins(ref)
                lines = {one.statement.line for one in origins if one.statement is not None}
                if lines == {self.stmt.line}:
                    yield reading._called(ref, reading._parents.get(id(ref)))

    def _called(self, node: Expr, parent: Expr | None) -> Made | None:
        if isinstance(parent, Call) and parent.function is node:
            return Made(self.module, CallSite(parent, self.stmt, self.scope))
        return None


def displays(module: Module, scope: int, stmt: Stmt) -> Iterator[CallableTable]:
    """The tables a statement writes: assigned to a variable, iterated over, or looked into at once."""
    named: Build | None = None
    if isinstance(stmt, (Assign, Annotate)) and isinstance(stmt.value, Build) and stmt.value.kind in _DISPLAYS:
        targets: Sequence[Expr] = stmt.targets if isinstance(stmt, Assign) else (stmt.target,)
        target = targets[0]
        named = stmt.value
        if len(targets) == 1 and isinstance(target, Ref) and "." not in target.name:
            yield CallableTable(module, scope, stmt, named, target.name)
    elif isinstance(stmt, For) and isinstance(stmt.iterable, Build):
        yield CallableTable(module, scope, stmt, stmt.iterable, "")


def _view(node: Expr) -> str:
    last = node.name.rpartition(".")[2] if isinstance(node, Ref) and "." in node.name else ""
    return last if last in _VIEWS else ""


def _refs(nodes: Sequence[Expr], name: str) -> Iterator[Ref]:
    return (node for node in nodes if isinstance(node, Ref) and node.name == name)


def _same_place(one: Expr, other: Call) -> bool:
    if not isinstance(one, Call):
        return False
    return (one.line, one.column, one.end_line, one.end_column) == (
        other.line,
        other.column,
        other.end_line,
        other.end_column,
    )
