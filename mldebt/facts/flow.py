"""Reaching definitions of one function, class or module body: which expressions a name may stand for where it is read.

A control-flow graph is built in one pass over the statements; a question walks it backwards from the read, so a
body nobody asks about costs nothing, and one question costs the blocks between the read and its definitions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from mldebt.facts.graph import Event, Graph, GraphBuilder, Mark, Origin, targets
from mldebt.facts.schema import (
    FUNCTION,
    GLOBAL,
    NONLOCAL,
    WALRUS,
    Bind,
    Body,
    Comprehension,
    Expr,
    Import,
    Lambda,
    ModuleFacts,
    Parameter,
    Ref,
    Scope,
    Stmt,
)
from mldebt.facts.walk import calls, children, expressions, statements, walk

__all__ = ["Flow", "Origin", "calls", "expressions", "statements", "walk"]


class _Read(Struct, frozen=True):
    """Where a Ref was found in its statement: what binds its head there, and the walruses passed before it."""

    origin: Origin | None
    binds: int


_NO_READ = _Read(None, 0)


class Flow:
    """Reaching definitions of one body.

    Names are as written. ``self.x`` and ``cfg.lr`` are followed as names of their own until their head is bound again;
    what a call may do to an attribute is not seen.

    Args:
        body: The statements, as ``Module.body`` gives them.
        parameters: The function's parameters; empty for modules and classes.
        imports: ``ModuleFacts.imports``, which import statements point into.
        scopes: ``ModuleFacts.scopes``, which definitions point into.
        shared: Names that other scopes assign too (``global``, ``nonlocal``): every read of them is also unknown.
        inner: Names that comprehensions and lambdas bind (``Scope.inner``); None when not known.
        walruses: False when the body certainly has none, which spares a look at every expression.
    """

    def __init__(
        self,
        body: Body,
        parameters: Sequence[Parameter] = (),
        imports: Sequence[Import] = (),
        scopes: Sequence[Scope] = (),
        shared: Collection[str] = (),
        inner: Collection[str] | None = None,
        walruses: bool = True,
    ) -> None:
        builder = GraphBuilder(imports, scopes, walruses, inner is None or bool(inner))
        self._graph: Graph = builder.build(body, parameters)
        self._inner = inner
        self._shared = frozenset(shared)
        self._positions = [mark.position for mark in self._graph.marks]
        self._named = frozenset(event.name for block in self._graph.events for event in block)
        self._has_chains = any("." in name for name in self._named)
        self._entries: dict[tuple[int, str], tuple[Event, ...]] = {}

    @classmethod
    def of(cls, facts: ModuleFacts, index: int, body: Body) -> Flow:
        """The flow of ``facts.scopes[index]``."""
        scope = facts.scopes[index]
        walruses = any(bits & WALRUS for bits in scope.bindings.values())
        shared = shared_names(facts, index)
        return cls(body, scope.parameters, facts.imports, facts.scopes, shared, scope.inner, walruses)

    def origins(self, ref: Ref) -> tuple[Origin, ...]:
        """What may define ``ref`` where it is read, in source order.

        For a dotted name the origin's ``name`` says which part is defined: reading ``cfg.lr`` may end at
        ``cfg.lr = 1`` and at ``cfg = load()``. Empty: this body never binds the name before (it is outer, built in
        or undefined). A Ref of another body gives nonsense.
        """
        name = ref.name
        head = name.partition(".")[0]
        end = bisect_right(self._positions, (ref.line, ref.column))
        known = head in self._named or (head != name and self._has_chains)
        if not end or not (known or self._inner is None or head in self._inner):
            return (Origin("unknown", head),) if head in self._shared else ()
        names = _prefixes(name)
        found: list[Event] = []
        first = end - 1
        while first and self._positions[first - 1] == self._positions[end - 1]:
            first -= 1  # the copies of one statement of a ``finally``
        for mark in self._graph.marks[first:end]:
            read = self._read(mark, ref, head)
            if read.origin is not None:
                return (read.origin,)
            if known:
                found += self._at(mark.block, mark.order + read.binds, name, names)
        unknown = (Origin("unknown", head),) if head in self._shared else ()
        return _distinct(found) + unknown

    def definitions(self, name: str) -> tuple[Origin, ...]:
        """Every definition of ``name`` in the body, in source order, deletions left out."""
        if name not in self._named:
            return ()
        found = (event for block in self._graph.events for event in block if event.name == name)
        return _distinct(found)

    def at_end(self, name: str) -> tuple[Origin, ...]:
        """What may define ``name`` when the body ends without an exception."""
        head, names = name.partition(".")[0], _prefixes(name)
        found = [event for block in self._graph.exits for event in self._at(block, self._graph.size, name, names)]
        unknown = (Origin("unknown", head),) if head in self._shared else ()
        return _distinct(found) + unknown

    def statement(self, ref: Ref) -> Stmt | None:
        """The statement that evaluates ``ref`` itself; None for a handler's or case's own expressions."""
        end = bisect_right(self._positions, (ref.line, ref.column))
        return self._graph.marks[end - 1].statement if end else None

    def _read(self, mark: Mark, ref: Ref, head: str) -> _Read:
        if not mark.scoped or not (mark.binds or self._inner is None or head in self._inner):
            return _NO_READ
        binds = 0
        for expr in mark.expressions:
            for node in walk(expr):
                if type(node) is Bind:
                    binds += 1
                elif type(node) is Ref and node.line == ref.line and node.column == ref.column:
                    return _Read(_inner(expr, node, head, mark.statement), binds)
        return _NO_READ

    def _at(self, block: int, order: int, name: str, names: Collection[str]) -> Iterable[Event]:
        """The definitions in ``block`` that a read at ``order`` sees, then those from before it."""
        for event in reversed(self._graph.events[block]):
            if event.order < order and event.name in names:
                yield event
                if not event.maybe:
                    return
        yield from self._entry(block, name, names)

    def _entry(self, block: int, name: str, names: Collection[str]) -> tuple[Event, ...]:
        """The definitions that reach the start of ``block``."""
        key = (block, name)
        known = self._entries.get(key)
        if known is not None:
            return known
        found: list[Event] = []
        seen: set[int] = set()
        waiting = list(self._graph.before[block])
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            for event in reversed(self._graph.events[current]):
                if event.name in names:
                    found.append(event)
                    if not event.maybe:
                        break
            else:
                waiting += self._graph.before[current]
        result = self._entries[key] = tuple(found)
        return result


def _prefixes(name: str) -> Collection[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``."""
    if "." not in name:
        return (name,)
    parts = name.split(".")
    return frozenset(".".join(parts[:count]) for count in range(1, len(parts) + 1))


def shared_names(facts: ModuleFacts, index: int) -> frozenset[str]:
    """Names of a scope that other scopes may assign: by ``global`` or ``nonlocal``, theirs or its own."""
    own = facts.scopes[index].bindings
    shared = {name for name, bits in own.items() if bits & (GLOBAL | NONLOCAL)}
    wanted = NONLOCAL if index else GLOBAL
    for scope in facts.scopes[index + 1 :]:
        if scope.parent < index:
            break  # scopes are numbered outside in: what follows is not inside this one
        if scope.kind == FUNCTION:
            shared.update(name for name, bits in scope.bindings.items() if bits & wanted and bits != wanted)
    return frozenset(shared)


def _distinct(events: Iterable[Event]) -> tuple[Origin, ...]:
    """Origins in source order; the copies of a ``finally`` count once."""
    events = list(events)
    if len(events) < 2:
        return tuple(event.origin for event in events if event.origin is not None)
    found: dict[tuple[int, int, str, tuple[int | str, ...]], Origin] = {}
    for event in sorted(set(events), key=lambda event: event.order):
        origin = event.origin
        if origin is not None:
            found.setdefault((id(origin.statement), id(origin.value), origin.name, origin.path), origin)
    return tuple(found.values())


def _inner(expr: Expr, ref: Ref, head: str, statement: Stmt | None) -> Origin | None:
    """What binds ``head`` at ``ref`` inside ``expr``: a comprehension's target or a lambda's parameter."""
    stack: list[tuple[Expr, Origin | None]] = [(expr, None)]
    while stack:
        node, origin = stack.pop()
        if node is ref:
            return origin
        if isinstance(node, Lambda) and head in node.parameters:
            stack.append((node.body, Origin("parameter", head, None, (), statement)))
        elif isinstance(node, Comprehension):
            bound = origin
            for generator in node.generators:
                stack.append((generator.iterable, bound))
                for name, path in targets(generator.target):
                    if name == head:
                        bound = Origin("loop", head, generator.iterable, path, statement)
                stack.append((generator.target, bound))
                stack += [(condition, bound) for condition in generator.conditions]
            stack += [(part, bound) for part in (node.key, node.element) if part is not None]
        else:
            stack += [(part, origin) for part in children(node)]
    return None
