"""Runs a module or function in the abstract, statement by statement: what its variables hold, and what happens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    Annotate,
    Assert,
    Assign,
    Attribute,
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
    Import,
    Imports,
    Jump,
    Match,
    Raise,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
    Try,
    While,
    With,
)
from mldebt.facts.walk import blocks

from .evaluating import Evaluator
from .joining import either, elements, item
from .rows import TEST, TRAIN, VALIDATION, Bound, Data, Event, Instance, Marks, Rows, Sets, Site, Value, part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

    from .knowledge import RowKnowledge

_DEEPEST = 7
_MOST_STEPS = 12_000
Environment = dict[str, Value]


class StoppedError(Exception):
    """The run took too many steps."""


@dataclass(eq=False, slots=True)
class Frame:
    """One function being run."""

    module: Module
    scope: int
    names: Environment
    returned: list[Value]
    stmt: Stmt | None = None
    alive: bool = True
    loops: int = 0


class Run:
    """One run from a root. ``events`` are in the order they happen."""

    def __init__(self, project: Project, knowledge: RowKnowledge, files: dict[str, Marks]) -> None:
        self.project, self.knowledge = project, knowledge
        self.files = files  # what is written to files, by the files' names: grows from run to run
        self.reads: set[str] = set()
        self.events: list[Event] = []
        self.visited: set[str] = set()
        self.counted: list[Site] = []
        self.steps = 0
        self.frames: list[Frame] = []
        self.globals: dict[str, Environment] = {}
        self._sets: dict[tuple[object, ...], Rows] = {}
        self._evaluator = Evaluator(self)
        self.silent: list[Site] = []
        self.validated = False  # something is called the validation part
        self.training: set[Rows] = set()  # read from elsewhere, and called the training part

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
                names[parameter.name] = Data(frozenset((rows,)), columns=self._evaluator.fresh_columns())
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
        names: Environment = {}
        self.globals[module.path] = names
        frame = Frame(module, 0, names, [])
        frame.loops = 0 if main else -1
        self.frames.append(frame)
        self.visited.add(f"{module.path}:")
        self.block(module.body(0))
        self.frames.pop()
        self.globals[module.path] = frame.names
        return frame.names

    def body(self, definition: Definition, names: Environment) -> Value:
        """What a function returns."""
        self.visited.add(definition.name)
        frame = Frame(definition.module, definition.index, names, [])
        self.frames.append(frame)
        self.block(definition.body)
        self.frames.pop()
        names.update(frame.names)
        result: Value = None
        for number, value in enumerate(frame.returned):
            result = value if number == 0 else either(result, value)
        return result

    # Where it stands.

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def site(self, fact: object) -> Site:
        """Where a fact stands; displays and comprehensions have no place of their own, their statement has."""
        return Site(self.frame.module, self.frame.scope, fact if hasattr(fact, "line") else self.frame.stmt)

    def step(self) -> None:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise StoppedError

    def event(self, kind: str, fact: object, data: Sequence[Value], **more: object) -> None:
        self.events.append(Event(kind, self.site(fact), tuple(data), **more))  # type: ignore[arg-type]

    def rows(self, how: str, site: Site, parents: Sets = frozenset(), part: str = "", random: bool = False) -> Rows:
        """The one set of rows that a place makes of its parents."""
        key = (how, site.key, part, frozenset(id(one) for one in parents), random)
        known = self._sets.get(key)
        if known is None:
            ordered = tuple(sorted(parents, key=lambda one: (one.site.key, one.part)))
            known = self._sets[key] = Rows(how, site, ordered, part, random)
        return known

    # Statements.

    def block(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            if not self.frame.alive:
                return
            self.step()
            self.frame.stmt = stmt
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        if isinstance(stmt, Assign):
            self.assign(stmt)
        elif isinstance(stmt, (Do, Assert)):
            self._evaluator.of(stmt.value if isinstance(stmt, Do) else stmt.test)
        elif isinstance(stmt, Augment):
            value = self._evaluator.combined(stmt.op, self.read(stmt.target), self._evaluator.of(stmt.value), stmt)
            self.bind(stmt.target, value, stmt)
        elif isinstance(stmt, Annotate):
            if stmt.value is not None:
                self.bind(stmt.target, self._evaluator.of(stmt.value), stmt)
        elif isinstance(stmt, Return):
            self.frame.returned.append(self._evaluator.of(stmt.value) if stmt.value is not None else None)
            self.frame.alive = False
        elif isinstance(stmt, Raise):
            self.frame.alive = False
        elif isinstance(stmt, Delete):
            for target in stmt.targets:
                self._evaluator.delete(target)
        elif isinstance(stmt, Define):
            scope = self.frame.module.facts.scopes[stmt.scope]
            self.frame.names[scope.name] = Bound(self.frame.module.definition(stmt.scope).name)
        elif not isinstance(stmt, Imports):
            self.compound(stmt)

    def assign(self, stmt: Assign) -> None:
        value = self._evaluator.of(stmt.value)
        selects = isinstance(stmt.value, (Subscript, Call, Build, Binary, Ref))
        for target in stmt.targets:
            self.bind(target, value, stmt, selects)

    def compound(self, stmt: Stmt) -> None:
        if isinstance(stmt, If):
            if self.is_import_only(stmt):
                return
            self._evaluator.condition(stmt)
            self.branches([stmt.body, stmt.orelse])
        elif isinstance(stmt, For):
            iterable = self._evaluator.of(stmt.iterable)
            with self.loop():
                self.bind(stmt.target, elements(iterable), stmt)
                self.branches([stmt.body, ()])
            self.block(stmt.orelse)
        elif isinstance(stmt, While):
            self._evaluator.of(stmt.test)
            with self.loop():
                self.branches([stmt.body, ()])
        elif isinstance(stmt, With):
            for one in stmt.items:
                value = self._evaluator.of(one.context)
                if one.target is not None:
                    self.bind(one.target, value, stmt)
            self.block(stmt.body)
        elif isinstance(stmt, Try):
            silent = self.silent_handler(stmt) if self.frame.loops > 0 else None
            self.silent += [silent] if silent is not None else []
            self.branches([[*stmt.body, *stmt.orelse], *[handler.body for handler in stmt.handlers]])
            del self.silent[len(self.silent) - (silent is not None) :]
            self.block(stmt.final)
        elif isinstance(stmt, Match):
            self.branches(list(blocks(stmt)))

    def silent_handler(self, stmt: Try) -> Site | None:
        """Where a handler goes on with the next record and says nothing."""
        for handler in stmt.handlers:
            body = handler.body
            if not body or (len(body) == 1 and isinstance(body[0], Jump) and body[0].kind == "continue"):
                return self.site(body[0] if body else stmt)
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

    # Variables.

    def read(self, expr: Expr) -> Value:
        return self._evaluator.of(expr)

    def bind(self, target: Expr, value: Value, stmt: Stmt, selects: bool = False) -> None:
        if isinstance(target, Ref):
            self.set(target.name, self.named(target.name, value, stmt) if selects else self.sited(value, stmt))
        elif isinstance(target, Build):
            for position, one in enumerate(target.items):
                if isinstance(one, Starred):
                    self.bind(one.value, None, stmt)
                else:
                    self.bind(one, item(value, position, len(target.items)), stmt, selects)
        elif isinstance(target, Subscript):
            self._evaluator.store(target, value, stmt)
        elif isinstance(target, Attribute):
            held = self._evaluator.of(target.value)
            if isinstance(held, Instance):
                held.values[target.name] = value

    def sited(self, value: Value, stmt: Stmt) -> Value:
        return replace(value, site=self.site(stmt)) if isinstance(value, Data) else value

    def named(self, name: str, value: Value, stmt: Stmt) -> Value:
        """A selection of rows that is called train or test is a part of a split."""
        if not isinstance(value, Data):
            return value
        value = replace(value, site=self.site(stmt))
        part = part_of(name.rpartition(".")[2])
        if part == TEST and all(rows.how == "source" for rows in value.rows):
            return replace(
                value, rows=frozenset(self.rows("split", one.site, frozenset((one,)), TEST) for one in value.rows)
            )
        if part == TRAIN:
            self.training.update(rows for rows in value.rows if rows.how == "source")
        chosen = [rows for rows in value.rows if rows.how == "subset"]
        if part == VALIDATION:
            self.validated = True
        if part:
            sites = {rows.site for rows in chosen}  # taking the rows that have a value, to learn it, loses none
            value = replace(
                value, marks=frozenset(one for one in value.marks if one.kind != "lost" or one.site not in sites)
            )
        if not part or len(chosen) != len(value.rows) or any(rows.how == "join" for rows, _ in _all(value)):
            return value
        parents = frozenset(parent for rows in chosen for parent in rows.parents)
        how = "random" if any(rows.random for rows in chosen) else ""
        cut = frozenset(self.rows("split", rows.site, frozenset(rows.parents), part, rows.random) for rows in chosen)
        whole = replace(value, rows=parents)
        self.event("cut", chosen[0].site.fact, (whole, value), random=bool(how), part=part, label=name)
        return replace(value, rows=cut)

    def set(self, name: str, value: Value) -> None:
        head, _, rest = name.partition(".")
        if not rest:
            self.frame.names[name] = value
            return
        held = self.lookup(head)
        *path, last = rest.split(".")
        for part in path:
            held = held.values.get(part) if isinstance(held, Instance) else None
        if isinstance(held, Instance):
            held.values[last] = value
        elif isinstance(held, Data):  # df.columns = [...], df.index = ...
            self.frame.names[head] = replace(held, columns=None) if last == "columns" else held

    def lookup(self, name: str) -> Value:
        """A variable where the run stands: of the function, its surroundings, its module, or another one's."""
        frame = self.frame
        if name in frame.names:
            return frame.names[name]
        for outer in reversed(self.frames[:-1]):
            if outer.module is frame.module and name in outer.names:
                where = binding_scope(frame.module.facts, frame.scope, name)
                return outer.names[name] if where == outer.scope else None
        names = self.globals.get(frame.module.path)
        if names is not None and name in names and frame.scope:
            return names[name]
        return self.imported(name)

    def imported(self, name: str) -> Value:
        frame = self.frame
        imports: list[Import] = frame.module.facts.imports
        if not any(one.bound in (name, "*") for one in imports) and not frame.scope:
            return None
        for linked in self.project.resolve(frame.module, frame.scope, name):
            path, colon, qualname = linked.partition(":")
            module = self.project.modules.get(path) if colon else None
            if module is None or not qualname or "." in qualname or self.project.definition(linked) is not None:
                continue
            if len(self.frames) < _DEEPEST:
                return self.module(module, main=False).get(qualname)
        return None

    # Calls of the project.

    def call(self, definition: Definition, names: Environment) -> tuple[Value, Environment]:
        """Run a function of the project; its variables at the end tell what it changed in place."""
        busy = any(one.module is definition.module and one.scope == definition.index for one in self.frames)
        if busy or len(self.frames) > _DEEPEST or definition.scope.generator:
            return None, names
        self.module(definition.module, main=False)
        return self.body(definition, names), names


def _all(value: Data) -> Iterator[tuple[Rows, Rows | None]]:
    for rows in value.rows:
        yield from rows.ancestry()
