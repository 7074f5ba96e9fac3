"""The control-flow graph of one body: blocks, what they define, and where each statement reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct, field

from mldebt.facts.schema import (
    Annotate,
    Assign,
    Augment,
    Bind,
    Body,
    Boolean,
    Build,
    Call,
    Case,
    Comprehension,
    Conditional,
    Const,
    Define,
    Delete,
    Do,
    Expr,
    For,
    If,
    Import,
    Imports,
    Jump,
    Lambda,
    Match,
    Parameter,
    Raise,
    Ref,
    Return,
    Scope,
    Starred,
    Stmt,
    Try,
    While,
    With,
)
from mldebt.facts.walk import children, expressions, position

Path = tuple["int | str", ...]

_NEVER_RETURN = frozenset(
    {"sys.exit", "exit", "quit", "os._exit", "os.abort", "parser.error", "pytest.skip", "pytest.fail"}
)
_SWALLOWS = ("suppress", "raises")  # context managers that may end a block early and go on after it
_COPIES = 3  # a ``finally`` nested deeper in ``finally`` bodies is not doubled again: 2 ** depth


class Origin(msgspec.Struct, frozen=True, gc=False):
    """One definition that may reach a read.

    Args:
        kind: assign, parameter, loop, context, import, definition, augment or unknown.
        name: The name defined; for a dotted read, the part of it that is.
        value: The defining expression: the right side, the iterable, the context manager.
        path: Which element of ``value`` an unpacking takes, outside in: ``(1, 0)``; negative after a starred target,
            ``"*"`` for the starred target itself. Elements of a display on the right are taken already.
        statement: The statement that defines.
    """

    kind: str
    name: str
    value: Expr | None = None
    path: Path = ()
    statement: Stmt | None = None


class Event(msgspec.Struct, frozen=True, eq=False, gc=False):
    """``name`` is bound; ``origin`` None: deleted. ``maybe``: only on some way through its expression."""

    order: int
    name: str
    origin: Origin | None
    maybe: bool = False


class Mark(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Expressions evaluated at ``order`` in ``block``, from ``position`` on.

    ``scoped``: comprehensions, lambdas or walruses in them may bind names. ``binds``: walruses do.
    """

    position: tuple[int, int]
    block: int
    order: int
    statement: Stmt | None
    expressions: Sequence[Expr]
    scoped: bool
    binds: bool


class Graph(Struct):
    """``before[b]`` are the blocks control may come from, ``events[b]`` what block ``b`` binds, in order."""

    before: list[list[int]] = field(default_factory=list)
    events: list[list[Event]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    size: int = 0


class _Loop(Struct):
    breaks: list[int]
    continues: list[int]
    finals: int  # how many ``finally`` were open when the loop began


def targets(target: Expr, path: Path = ()) -> Iterator[tuple[str, Path]]:
    """The names an assignment target binds, dotted ones included, and the element each takes."""
    if isinstance(target, Ref):
        yield target.name, path
    elif isinstance(target, Starred):
        yield from targets(target.value, path)
    elif isinstance(target, Build):
        star = next((i for i, item in enumerate(target.items) if isinstance(item, Starred)), None)
        for index, item in enumerate(target.items):
            step: int | str = index
            if star is not None and index >= star:
                step = "*" if index == star else index - len(target.items)
            yield from targets(item, (*path, step))


def displayed(value: Expr, path: Path) -> tuple[Expr, Path]:
    """Follow a path into displays as far as they are written out."""
    while path and isinstance(value, Build) and value.kind in ("tuple", "list"):
        step = path[0]
        if not isinstance(step, int) or any(isinstance(item, Starred) for item in value.items):
            break
        if not -len(value.items) <= step < len(value.items):
            break
        value, path = value.items[step], path[1:]
    return value, path


class GraphBuilder:
    """Builds the graph of one body in one pass."""

    def __init__(self, imports: Sequence[Import], scopes: Sequence[Scope], walruses: bool, inner: bool) -> None:
        self._imports, self._scopes = imports, scopes
        self._walruses, self._inner = walruses, inner
        self._graph = Graph()
        self._current = 0
        self._order = 0
        self._guarded = 0  # inside how many ``try`` bodies: there every statement is a block of its own
        self._loops: list[_Loop] = []
        self._finals: list[list[tuple[int, list[int]]]] = []
        self._copies = 0

    def build(self, body: Body, parameters: Sequence[Parameter]) -> Graph:
        self._current = self._block([])
        for parameter in parameters:
            self._bind(parameter.name, Origin("parameter", parameter.name))
        self._body(body)
        graph = self._graph
        graph.exits.append(self._current)
        graph.size = self._order + 1
        graph.marks.sort(key=lambda mark: mark.position)
        return graph

    def _block(self, before: list[int]) -> int:
        self._graph.before.append(before)
        self._graph.events.append([])
        return len(self._graph.before) - 1

    def _dead(self) -> None:
        self._current = self._block([])

    def _bind(self, name: str, origin: Origin | None, maybe: bool = False) -> None:
        self._graph.events[self._current].append(Event(self._order, name, origin, maybe))
        self._order += 1

    def _mark(self, where: tuple[int, int] | None, exprs: Sequence[Expr], stmt: Stmt | None) -> None:
        """Note a read, then bind the walruses in it: the n-th of them has order ``mark.order + n``."""
        if where is None:
            return
        binds, scoped = _scoping(exprs) if self._walruses else ([], self._inner)
        self._graph.marks.append(Mark(where, self._current, self._order, stmt, exprs, scoped, bool(binds)))
        for bind, maybe in binds:
            self._bind(bind.name, Origin("assign", bind.name, bind.value, (), stmt), maybe)

    def _store(self, target: Expr, kind: str, value: Expr | None, stmt: Stmt) -> None:
        for name, path in targets(target):
            inner, rest = value, path
            if kind == "assign" and value is not None and path:
                inner, rest = displayed(value, path)
            self._bind(name, Origin(kind, name, inner, rest, stmt))

    def _body(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            if self._guarded:
                self._current = self._block([self._current])
            self._statement(stmt)

    def _statement(self, stmt: Stmt) -> None:
        if isinstance(stmt, If):
            self._if(stmt)
        elif isinstance(stmt, (For, While)):
            self._loop(stmt)
        elif isinstance(stmt, Try):
            self._try(stmt)
        elif isinstance(stmt, With):
            self._with(stmt)
        elif isinstance(stmt, Match):
            self._match(stmt)
        else:
            self._simple(stmt)

    def _simple(self, stmt: Stmt) -> None:
        exprs = expressions(stmt, self._scopes)
        if exprs:
            line, column = stmt.line, stmt.column
            if isinstance(stmt, Define):
                line = min(line, self._scopes[stmt.scope].first_line)
            self._mark((line, column), exprs, stmt)
        if isinstance(stmt, Assign):
            for target in stmt.targets:
                self._store(target, "assign", stmt.value, stmt)
        elif isinstance(stmt, Augment):
            self._store(stmt.target, "augment", stmt.value, stmt)
        elif isinstance(stmt, Annotate) and stmt.value is not None:
            self._store(stmt.target, "assign", stmt.value, stmt)
        elif isinstance(stmt, Imports):
            for record in self._imports[stmt.first : stmt.first + stmt.count]:
                if record.bound != "*":
                    self._bind(record.bound, Origin("import", record.bound, None, (), stmt))
        elif isinstance(stmt, Define) and self._scopes:
            name = self._scopes[stmt.scope].name
            self._bind(name, Origin("definition", name, None, (), stmt))
        elif isinstance(stmt, Delete):
            for name in [name for target in stmt.targets for name, _ in targets(target)]:
                self._bind(name, None)
        else:
            self._leave(stmt)

    def _leave(self, stmt: Stmt) -> None:
        if isinstance(stmt, Return):
            self._graph.exits.append(self._current)
            self._dead()
        elif isinstance(stmt, Raise):
            self._dead()
        elif isinstance(stmt, Jump):
            if self._loops:
                loop = self._loops[-1]
                self._jump(loop.breaks if stmt.kind == "break" else loop.continues, loop)
            self._dead()
        elif isinstance(stmt, Do) and isinstance(stmt.value, Call):
            called = stmt.value.function
            if isinstance(called, Ref) and called.name in _NEVER_RETURN:
                self._dead()

    def _jump(self, target: list[int], loop: _Loop) -> None:
        if len(self._finals) > loop.finals:
            self._finals[-1].append((self._current, target))
        else:
            target.append(self._current)

    def _if(self, stmt: If) -> None:
        ends: list[int] = []
        while True:  # an ``elif`` chain may be as long as the file
            self._mark((stmt.line, stmt.column), (stmt.test,), stmt)
            test = self._current
            self._current = self._block([test])
            self._body(stmt.body)
            ends.append(self._current)
            self._current = self._block([test])
            if len(stmt.orelse) != 1 or not isinstance(stmt.orelse[0], If):
                break
            stmt = stmt.orelse[0]
        self._body(stmt.orelse)
        self._current = self._block([*ends, self._current])

    def _loop(self, stmt: For | While) -> None:
        if isinstance(stmt, For):
            self._mark((stmt.line, stmt.column), (stmt.iterable, stmt.target), stmt)
        head = self._block([self._current])
        loop = _Loop([], self._graph.before[head], len(self._finals))
        self._current = head
        if isinstance(stmt, While):
            self._mark((stmt.line, stmt.column), (stmt.test,), stmt)
        self._loops.append(loop)
        self._current = self._block([head])
        if isinstance(stmt, For):
            self._store(stmt.target, "loop", stmt.iterable, stmt)
        self._body(stmt.body)
        self._graph.before[head].append(self._current)
        self._loops.pop()
        endless = isinstance(stmt, While) and isinstance(stmt.test, Const) and bool(stmt.test.value)
        self._current = self._block([] if endless else [head])
        self._body(stmt.orelse)
        self._current = self._block([*([] if endless else [self._current]), *loop.breaks])

    def _with(self, stmt: With) -> None:
        # No mark order can lie between the items: a target read by a later item is found through its own mark.
        swallows = False
        for number, item in enumerate(stmt.items):
            where = (stmt.line, stmt.column) if not number else position(item.context)
            self._mark(where, (item.context,), stmt)
            if item.target is not None:
                self._store(item.target, "context", item.context, stmt)
            function = item.context.function if isinstance(item.context, Call) else None
            swallows |= isinstance(function, Ref) and function.name.rpartition(".")[2] in _SWALLOWS
        if not swallows:
            self._body(stmt.body)
            return
        first, entry = len(self._graph.before), self._current
        self._guarded += 1
        self._body(stmt.body)
        self._guarded -= 1
        self._current = self._block([entry, *range(first, len(self._graph.before))])

    def _match(self, stmt: Match) -> None:
        self._mark((stmt.line, stmt.column), (stmt.subject,), stmt)
        ends: list[int] = []
        falls = True
        for case in stmt.cases:
            start = self._current
            self._case(case, stmt)
            ends.append(self._current)
            self._current = self._block([start])
            falls = not _irrefutable(case)
        self._current = self._block([*ends, *([self._current] if falls else [])])

    def _case(self, case: Case, stmt: Match) -> None:
        self._current = self._block([self._current])
        for value in case.values:
            self._mark(position(value), (value,), None)
        for name in case.names:
            self._bind(name, Origin("unknown", name, None, (), stmt))
        if case.guard is not None:
            self._mark(position(case.guard), (case.guard,), None)
        self._body(case.body)

    def _try(self, stmt: Try) -> None:
        entry, first = self._current, len(self._graph.before)
        if stmt.final:
            self._finals.append([])
        self._guarded += 1
        self._current = self._block([entry])
        self._body(stmt.body)
        raising = [entry, *range(first, len(self._graph.before))]
        self._guarded -= not stmt.final  # a ``finally`` also follows what handlers raise
        tried, ends = self._current, []
        for handler in stmt.handlers:
            self._current = self._block(list(raising))
            if handler.kind is not None:
                self._mark(position(handler.kind), (handler.kind,), None)
            if handler.name:
                self._bind(handler.name, Origin("unknown", handler.name, handler.kind, (), stmt))
            self._body(handler.body)
            if handler.name:
                self._bind(handler.name, None)
            ends.append(self._current)
        self._current = tried
        self._body(stmt.orelse)
        ends.append(self._current)
        if stmt.final:
            self._guarded -= 1
            self._final(stmt, ends, [entry, *range(first, len(self._graph.before))])
        else:
            self._current = self._block(ends)

    def _final(self, stmt: Try, ends: list[int], raising: list[int]) -> None:
        """``finally`` twice: on the normal way, and on the way of exceptions and jumps, which does not go on below."""
        escapes = self._finals.pop()
        if self._copies >= _COPIES:
            self._current = self._block([*ends, *raising])
            self._body(stmt.final)
            normal = self._current
        else:
            self._copies += 1
            self._current = self._block(raising)
            self._body(stmt.final)
            self._escape(escapes)
            self._current = self._block(ends)
            self._body(stmt.final)
            normal = self._current
            self._copies -= 1
            escapes = []
        self._escape(escapes)
        self._current = normal

    def _escape(self, escapes: list[tuple[int, list[int]]]) -> None:
        for _, target in escapes:
            loop = next((loop for loop in self._loops if target is loop.breaks or target is loop.continues), None)
            if loop is not None and self._current not in target:
                self._jump(target, loop)


def _irrefutable(case: Case) -> bool:
    return not case.values and case.guard is None and len(case.names) <= 1


def _scoping(exprs: Sequence[Expr]) -> tuple[list[tuple[Bind, bool]], bool]:
    """Walruses in evaluation order, each with whether only some ways evaluate it; and whether any names are bound."""
    binds: list[tuple[Bind, bool]] = []
    scoped = False
    stack: list[tuple[Expr, bool]] = [(expr, False) for expr in exprs]
    while stack:  # parts are pushed left to right and popped right to left: reversed, that is evaluation order
        node, maybe = stack.pop()
        kind = type(node)
        if kind is Ref or kind is Const:
            continue
        if kind is Bind:
            binds.append((node, maybe))  # type: ignore[arg-type]
            scoped = True
        elif kind is Lambda or kind is Comprehension:
            scoped = maybe = True
        elif kind is Boolean or kind is Conditional:
            first, *rest = children(node)
            stack.append((first, maybe))
            stack += [(part, True) for part in rest]
            continue
        stack += [(part, maybe) for part in children(node)]
    binds.reverse()
    return binds, scoped
