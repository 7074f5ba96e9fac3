"""Runs a module or function in the abstract, statement by statement: what its variables hold, and what happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Annotate,
    Assert,
    Assign,
    Augment,
    Binary,
    Build,
    Call,
    Compare,
    Define,
    Delete,
    Do,
    Expr,
    For,
    If,
    Imports,
    Jump,
    Match,
    Raise,
    Ref,
    Return,
    Stmt,
    Subscript,
    Try,
    While,
    With,
)
from mldebt.facts.walk import blocks, statements

from .evaluating import Evaluator
from .joining import either, elements
from .rows import (
    Bound,
    Data,
    Fit,
    Instance,
    Items,
    Known,
    Site,
    Stored,
    Value,
)
from .state import DEEPEST, NEAR, Environment, Frame, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

    from .knowledge import RowKnowledge


_MOST_UNROLLED = 12
_TAKE_AWAY = frozenset({"remove", "drop", "pop", "discard"})


class StoppedError(Exception):
    """The run took too many steps."""


class Run(State):
    """One run from a root. ``events`` are in the order they happen."""

    def __init__(self, project: Project, knowledge: RowKnowledge, files: Stored) -> None:
        super().__init__(project, knowledge, files)
        self.visited: set[str] = set()
        self.evaluator = Evaluator(self)
        self._known: dict[tuple[object, ...], tuple[Value, Environment]] = {}
        self._statements: dict[type, Callable[[Any], None]] = {
            Do: self.effect,
            Assert: self.effect,
            Assign: self.assign,
            Augment: self.augment,
            Annotate: self.annotate,
            Return: self.returns,
            Raise: self.raises,
            Delete: self.delete,
            Define: self.define,
            Imports: lambda _: None,
            Jump: lambda _: None,
            If: self.condition,
            For: self.iterate,
            While: self.repeat,
            With: self.manage,
            Try: self.attempt,
            Match: lambda stmt: self.branches(list(blocks(stmt))),
        }

    # Roots.

    def start(self, definition: Definition) -> None:
        """Run a module's body as a program, or a function whose caller is not known."""
        try:
            if definition.is_module:
                self.module(definition.module, main=True)
            else:
                self.module(definition.module, main=False)
                self.unknown_caller(definition)
        except StoppedError:
            return

    def unknown_caller(self, definition: Definition) -> None:
        """A function with parameters that hold data nobody knows."""
        receiver = self.receiver(definition)
        names: Environment = {}
        for position, parameter in enumerate(definition.scope.parameters):
            if position == 0 and receiver is not None:
                names[parameter.name] = receiver
            else:
                site = Site(definition.module, 0, definition.scope)
                rows = self.rows("source", site, part=f"{definition.name}.{parameter.name}")
                names[parameter.name] = Data(frozenset((rows,)), columns=self.evaluator.fresh_columns())
        self.body(definition, names)

    def receiver(self, definition: Definition) -> Instance | None:
        parent = definition.parent
        if parent is None or not parent.is_class:
            return None
        made = Instance(parent.name)
        start = self.project.method(parent.name, "__init__")
        if start is not None and start.name != definition.name:
            names = {parameter.name: None for parameter in start.scope.parameters}
            names[next(iter(names), "self")] = made  # type: ignore[assignment]
            self.body(start, names)  # type: ignore[arg-type]
        return made

    def module(self, module: Module, main: bool) -> Environment:
        """The variables of a module after its body has run."""
        known = self.globals.get(module.path)
        if known is not None:
            return known
        self.changes += 1
        names: Environment = {}
        self.globals[module.path] = names
        frame = Frame(module, 0, names, [])
        frame.loops = 0 if main else -1
        self.enter(frame)
        self.visited.add(f"{module.path}:")
        self.block(module.body(0))
        self.leave()
        self.globals[module.path] = frame.names
        return frame.names

    def body(self, definition: Definition, names: Environment) -> Value:
        """What a function returns."""
        self.visited.add(definition.name)
        frame = Frame(definition.module, definition.index, names, [])
        self.enter(frame)
        self.block(definition.body)
        self.leave()
        names.update(frame.names)
        result: Value = None
        for number, value in enumerate(frame.returned):
            result = value if number == 0 else either(result, value)
        return result

    def stop(self) -> None:
        raise StoppedError

    # Statements.

    def block(self, body: Sequence[Stmt]) -> None:
        frame = self.frame
        for stmt in body:
            if not frame.alive:
                return
            self.steps += 1
            if self.steps > self.most:
                self.stop()
            frame.stmt = stmt
            self._statements[type(stmt)](stmt)

    def effect(self, stmt: Do | Assert) -> None:
        self.evaluator.of(stmt.value if isinstance(stmt, Do) else stmt.test)

    def assign(self, stmt: Assign) -> None:
        value = self.evaluator.of(stmt.value)
        selects = isinstance(stmt.value, (Subscript, Call, Build, Binary, Ref))
        for target in stmt.targets:
            self.bind(target, value, stmt, selects)

    def augment(self, stmt: Augment) -> None:
        value = self.evaluator.combined(stmt.op, self.read(stmt.target), self.evaluator.of(stmt.value), stmt)
        self.bind(stmt.target, value, stmt)

    def annotate(self, stmt: Annotate) -> None:
        if stmt.value is not None:
            self.bind(stmt.target, self.evaluator.of(stmt.value), stmt)

    def returns(self, stmt: Return) -> None:
        self.frame.returned.append(self.evaluator.of(stmt.value) if stmt.value is not None else None)
        self.frame.alive = False

    def raises(self, stmt: Raise) -> None:
        self.frame.alive = False

    def delete(self, stmt: Delete) -> None:
        for target in stmt.targets:
            self.evaluator.delete(target)

    def define(self, stmt: Define) -> None:
        scope = self.frame.module.facts.scopes[stmt.scope]
        self.frame.names[scope.name] = Bound(self.frame.module.definition(stmt.scope).name)

    def condition(self, stmt: If) -> None:
        if not self.is_import_only(stmt):
            self.evaluator.condition(stmt)
            self.branches([stmt.body, stmt.orelse])

    def iterate(self, stmt: For) -> None:
        iterable = self.evaluator.of(stmt.iterable)
        if isinstance(iterable, Items) and self.is_unrolled(stmt, iterable):
            for one in iterable.values:
                self.bind(stmt.target, one, stmt)
                self.block(stmt.body)
            return
        silent = len(self.silent)
        with self.loop():
            self.bind(stmt.target, elements(iterable), stmt)
            self.branches([stmt.body, ()])
        del self.silent[silent:]
        self.block(stmt.orelse)

    @staticmethod
    def is_unrolled(stmt: For, iterable: Items) -> bool:
        """Whether a short loop takes away one named column after another."""
        if iterable.keys or not 0 < len(iterable.values) <= _MOST_UNROLLED:
            return False
        named = all(isinstance(one, Known) and isinstance(one.value, str) for one in iterable.values)
        return named and len(stmt.body) == 1 and _takes_away(stmt.body[0])

    def repeat(self, stmt: While) -> None:
        self.evaluator.of(stmt.test)
        with self.loop():
            self.branches([stmt.body, ()])

    def manage(self, stmt: With) -> None:
        for one in stmt.items:
            value = self.evaluator.of(one.context)
            if one.target is not None:
                self.bind(one.target, value, stmt)
        self.block(stmt.body)

    def attempt(self, stmt: Try) -> None:
        silent = self.silent_handler(stmt) if self.frame.loops > 0 else None
        self.silent += [silent] if silent is not None else []
        self.branches([[*stmt.body, *stmt.orelse], *[handler.body for handler in stmt.handlers]])
        if silent is not None and not isinstance(silent.fact, Jump):  # what follows a ``continue`` is skipped as well
            self.silent.pop()
        self.block(stmt.final)

    def silent_handler(self, stmt: Try, definition: Definition | None = None) -> Site | None:
        """Where a handler goes on with the next record and says nothing."""
        for handler in stmt.handlers:
            body = handler.body
            if not body or (len(body) == 1 and isinstance(body[0], Jump) and body[0].kind == "continue"):
                fact = body[0] if body else stmt
                where = definition or self.frame.module.definition(self.frame.scope)
                return Site(where.module, where.index, fact)
        return None

    def yielded(self, definition: Definition) -> Value:
        """What a generator gives that goes on with the next record; of others nothing is known."""
        for stmt in statements(definition.body):
            for inner in statements(stmt.body) if isinstance(stmt, (For, While)) else ():
                silent = self.silent_handler(inner, definition) if isinstance(inner, Try) else None
                if silent is not None:
                    return self.evaluator.callables.storing.skipped(None, silent)
        return None

    def is_import_only(self, stmt: If) -> bool:
        """``if __name__ == "__main__"`` of a module that is imported."""
        test = stmt.test
        guarded = isinstance(test, Compare) and any(
            isinstance(one, Ref) and one.name == "__name__" for one in (test.left, *test.comparators)
        )
        return guarded and self.frame.scope == 0 and self.frame.loops < 0

    @contextmanager
    def loop(self) -> Iterator[None]:
        frame = self.frame
        frame.loops += 1
        try:
            yield
        finally:
            frame.loops -= 1

    def branches(self, bodies: Sequence[Sequence[Stmt]]) -> None:
        """Bodies of which one runs: what is known after any of them."""
        frame = self.frame
        before, ends = frame.names, []
        for body in bodies:
            frame.names, frame.alive = dict(before), True
            self.block(body)
            if frame.alive:
                ends.append(frame.names)
        frame.alive = bool(ends)
        frame.names = ends[0] if ends else before
        for end in ends[1:]:
            for name, value in end.items():
                held = frame.names.get(name)
                if name not in frame.names or held is not value:
                    frame.names[name] = value if name not in frame.names else either(held, value)

    def read(self, expr: Expr) -> Value:
        return self.evaluator.of(expr)

    # Calls of the project.

    def call(self, definition: Definition, names: Environment) -> tuple[Value, Environment]:
        """Run a function of the project; its variables at the end tell what it changed in place."""
        busy = any(one.module is definition.module and one.scope == definition.index for one in self.frames)
        if definition.scope.generator:
            return self.yielded(definition), names
        if busy or len(self.frames) > DEEPEST:
            return None, names
        depth = len(self.frames)
        if depth >= NEAR and (self.steps >= self.last_deep if depth > NEAR else self.deep <= 0):
            return None, names
        self.module(definition.module, main=False)
        given = (definition, depth, *names.items())
        known = self._known.get(given) or self._known.get((self.changes, *given)) if not self.silent else None
        if known is not None:
            return known
        before, outside, steps = self.changes, self.outside, self.steps
        own = all(map(_settled, names.values()))
        if depth == NEAR:
            self.last_deep = steps + self.deep
        value = self.body(definition, names)
        if depth == NEAR:
            self.deep -= self.steps - steps
        if self.changes == before and not self.silent and _settled(value):
            # What was read elsewhere holds until something changes; all else holds for good.
            key = given if own and self.outside == outside else (before, *given)
            self._known[key] = value, names
        return value, names


def _takes_away(stmt: Stmt) -> bool:
    value = stmt.value if isinstance(stmt, (Do, Assign)) else None
    return isinstance(stmt, Delete) or (isinstance(value, Call) and last_segment(value.function) in _TAKE_AWAY)


def _settled(value: Value) -> bool:
    """Whether a value is the same for all who hold it: nothing in it can be fitted or set later."""
    if isinstance(value, Items):
        return all(map(_settled, value.values))
    return not isinstance(value, (Fit, Instance, Bound))
