"""Where a run stands: the functions it is in, their variables, and the sets of rows and events made so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import Attribute, Build, Expr, Import, Ref, Starred, Stmt, Subscript

from .joining import item
from .rows import TEST, TRAIN, VALIDATION, Data, Event, Instance, Rows, Sets, Site, Stored, Value, part_of

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

    from .evaluating import Evaluator
    from .knowledge import RowKnowledge

DEEPEST = 7
MOST_STEPS = 12_000
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
        self.reads: set[str] = set()
        self.events: list[Event] = []
        self.steps, self.most = 0, MOST_STEPS
        self.frames: list[Frame] = []
        self.frame: Frame
        self.globals: dict[str, Environment] = {}
        self.silent: list[Site] = []  # handlers that go on and say nothing, around the place where it stands
        self.changes = 0  # of objects, of variables that functions read, and events: what a call may depend on
        self.validated = False  # something is called the validation part
        self.training: set[Rows] = set()  # read from elsewhere, and called the training part
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
            if len(self.frames) < DEEPEST:
                return self.module(module, main=False).get(qualname)
        return None


def _all(value: Data) -> Iterator[tuple[Rows, Rows | None]]:
    for rows in value.rows:
        yield from rows.ancestry()
