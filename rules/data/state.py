"""Where a run stands: the functions it is in, their variables, and the sets of rows and events made so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import Assign, Attribute, Build, Call, Expr, Ref, Starred, Stmt, Subscript

from .joining import item
from .links import Links
from .rows import (
    MISSING,
    TEST,
    TRAIN,
    VALIDATION,
    Bound,
    Data,
    Event,
    Instance,
    Rows,
    Sets,
    Site,
    Stored,
    Value,
    part_of,
)

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

    from .evaluating import Evaluator
    from .knowledge import RowKnowledge

DEEPEST = 7
MOST_STEPS = 12_000
NEAR = 3  # calls within calls that are followed whatever it costs
MOST_DEEP_STEPS = 3_000  # of all calls below those: a program's own statements are followed to their end
Environment = dict[str, Value]


class Frame(Struct, eq=False):
    """One function being run."""

    module: Module
    scope: int
    names: Environment
    returned: list[Value]
    stmt: Stmt | None = None
    alive: bool = True
    loops: int = 0


class State(ABC):
    """What a run knows. ``events`` are in the order they happen.

    Args:
        project: What is run.
        knowledge: What is known of libraries.
        files: What is written to files, by the files' names: grows from run to run.
    """

    evaluator: Evaluator

    def __init__(self, project: Project, knowledge: RowKnowledge, files: Stored) -> None:
        self.project, self.knowledge, self.files = project, knowledge, files
        self.links = project[Links]
        self.reads: set[str] = set()
        self.events: list[Event] = []
        self.steps, self.most = 0, MOST_STEPS
        self.deep = self.last_deep = MOST_DEEP_STEPS  # left for calls far below the program's own statements
        self.outside = 0  # reads of variables that a function does not own: what it returns depends on them
        self.frames: list[Frame] = []
        self.frame: Frame
        self.globals: dict[str, Environment] = {}
        self.silent: list[Site] = []  # handlers that go on and say nothing, around the place where it stands
        self.changes = 0  # of objects, of variables that functions read, and events: what a call may depend on
        self.validated = False  # something is called the validation part
        self.tested = False  # something that is read is called the test part
        self.training: set[Rows] = set()  # read from elsewhere, and called the training part
        self.called: set[Rows] = set()  # parts that are named for what they are
        self._sets: dict[tuple[object, ...], Rows] = {}
        self._read: dict[str, frozenset[str]] = {}

    @abstractmethod
    def module(self, module: Module, main: bool) -> Environment:
        """The variables of a module after its body has run."""

    def enter(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.frame = frame

    def leave(self) -> None:
        self.frames.pop()
        if self.frames:
            self.frame = self.frames[-1]

    def site(self, fact: object) -> Site:
        """Where a fact stands; displays and comprehensions have no place of their own, their statement has."""
        return Site(self.frame.module, self.frame.scope, fact if hasattr(fact, "line") else self.frame.stmt)

    def event(self, kind: str, fact: object, data: Sequence[Value], **more: object) -> None:
        self.changes += 1
        self.events.append(Event(kind, self.site(fact), tuple(data), **more))  # type: ignore[arg-type]

    def rows(self, how: str, site: Site, parents: Sets = frozenset(), part: str = "", random: bool = False) -> Rows:
        """The one set of rows that a place makes of its parents."""
        key = (how, site.key, part, frozenset(id(one) for one in parents), random)
        known = self._sets.get(key)
        if known is None:
            ordered = tuple(sorted(parents, key=lambda one: (one.site.key, one.part)))
            known = self._sets[key] = Rows(how, site, ordered, part, random)
        return known

    # Variables.

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
            self.evaluator.store(target, value, stmt)
        elif isinstance(target, Attribute):
            held = self.evaluator.of(target.value)
            if isinstance(held, Instance):
                self.changes += 1
                held.values[target.name] = value

    def sited(self, value: Value, stmt: Stmt) -> Value:
        """With the place where its columns were chosen: what a call gives as one of several, or from afar, keeps it."""
        if not isinstance(value, Data):
            return value
        held = value.site
        if held is not None and value.columns is not None and isinstance(stmt, Assign) and isinstance(stmt.value, Call):
            afar = (held.module, held.scope) != (self.frame.module, self.frame.scope)
            if isinstance(stmt.targets[0], Build) or (afar and self.is_ours(stmt.value)):
                return value
        return replace(value, site=self.site(stmt))

    def is_ours(self, call: Call) -> bool:
        """Whether a call runs a function of the project, or a method of an object of it."""
        if not isinstance(call.function, Ref):
            return False
        name = call.function.name
        head = name.partition(".")[0]
        if head != name and isinstance(self.lookup(head), Instance):
            return not isinstance(self.evaluator.of(Ref(name.rpartition(".")[0], call.line, call.column)), Data)
        callee = self.links.callee(self.frame.module, self.frame.scope, name)
        return callee is not None and not isinstance(callee, str)

    def named(self, name: str, value: Value, stmt: Stmt) -> Value:
        """A selection of rows that is called train or test is a part of a split."""
        if not isinstance(value, Data):
            return value
        value = self.sited(value, stmt)
        assert isinstance(value, Data)
        part = part_of(name.rpartition(".")[2])
        if part == TEST and all(rows.how == "source" for rows in value.rows):
            self.tested = True
            return replace(
                value, rows=frozenset(self.rows("split", one.site, frozenset((one,)), TEST) for one in value.rows)
            )
        if part:
            self.called.update(rows for rows in value.rows if rows.how == "split")
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
        if any(rows.part != MISSING for rows in chosen):  # rows without a value are predicted, not scored
            self.event("cut", stmt, (whole, value), random=bool(how), part=part, label=name)
            self.events[-1] = replace(self.events[-1], site=chosen[0].site)  # perhaps in the caller's file
        return replace(value, rows=cut)

    def set(self, name: str, value: Value) -> None:
        head, _, rest = name.partition(".")
        if not rest:
            frame = self.frame
            if not frame.scope and name in self.read_by_functions(frame.module):
                self.changes += 1
            frame.names[name] = value
            return
        held = self.lookup(head)
        *path, last = rest.split(".")
        for part in path:
            held = held.values.get(part) if isinstance(held, Instance) else None
        if isinstance(held, Instance):
            self.changes += 1
            held.values[last] = value
        elif isinstance(held, Data):  # df.columns = [...], df.index = ...
            if last == "index" and self.evaluator.callables.methods.is_in_time(value):
                held = held.marked([self.evaluator.mark("time", held, self.frame.stmt, "the index of times")])
            self.frame.names[head] = replace(held, columns=None) if last == "columns" else held

    def read_by_functions(self, module: Module) -> frozenset[str]:
        """The names that functions of a module read: its variables may be among them."""
        known = self._read.get(module.path)
        if known is None:
            uses = (name for scope in module.facts.scopes[1:] for name in scope.uses)
            known = self._read[module.path] = frozenset(name.partition(".")[0] for name in uses)
        return known

    def lookup(self, name: str) -> Value:
        """A variable where the run stands: of the function, its surroundings, its module, or another one's."""
        frame = self.frame
        if name in frame.names:
            return frame.names[name]
        if frame.scope:
            module = frame.module
            for outer in reversed(self.frames):
                if outer.module is module and name in outer.names:
                    self.outside += 1
                    where = binding_scope(module.facts, frame.scope, name)
                    return outer.names[name] if where == outer.scope else None
            names = self.globals.get(module.path)
            if names is not None and name in names:
                value = names[name]
                self.outside += not isinstance(value, Bound)
                return value
        return self.imported(name)

    def imported(self, name: str) -> Value:
        frame = self.frame
        variables = self.links.variables(frame.module, frame.scope, name)
        self.outside += bool(variables)
        if variables and len(self.frames) < DEEPEST:
            module, qualname = variables[0]
            return self.module(module, main=False).get(qualname)
        return None


def _all(value: Data) -> Iterator[tuple[Rows, Rows | None]]:
    for rows in value.rows:
        yield from rows.ancestry()
