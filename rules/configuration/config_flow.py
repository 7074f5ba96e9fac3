"""Configuration objects followed forward: from where they are made, through calls, attributes and files, to every use.

Statements are taken in any order, so a variable holds all it ever holds; ``Hold.sure`` and a rule's own look at the
flow tell what that costs. What leaves for code that is not here is noted, never guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Augment,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Const,
    Define,
    Delete,
    Do,
    Expr,
    For,
    Format,
    Lambda,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
    Wait,
    With,
)
from mldebt.facts.walk import children, expressions, statements, walk

from .config_calls import Calls
from .config_objects import (
    ATTRIBUTE,
    DYNAMIC,
    ITERATED,
    NOTHING,
    PROBE,
    SHOWN,
    SUBSCRIPT,
    UNSEEN,
    Book,
    Event,
    Hold,
    Holds,
    Journal,
    Names,
    unwrapped,
    wrapped,
)
from .config_variables import Variables, enclosing_class

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

    from .config_schemas import Schemas

Readers = tuple[list["Stmt"], dict[str, list[int]]]

ITEMS = "items()"  # the wrapper of what a loop over an object's items gives
_META = frozenset({"__dict__", "__class__", "__name__", "__doc__", "__module__", "__dataclass_fields__"})


class ConfigFlow:
    """One look at all configuration objects of a project.

    Args:
        project: The project.
        schemas: What is known of the objects' parts.
        made: What each creating call gives, by (path, line, column, end line, end column).
    """

    def __init__(self, project: Project, schemas: Schemas, made: dict[tuple[object, ...], Holds]) -> None:
        self.project, self.schemas, self.made = project, schemas, made
        self.journal = Journal()
        self.variables = Variables(project)
        self.calls = Calls(self)
        self._readers: dict[tuple[str, int], Readers] = {}
        self._steps: dict[tuple[Hold, str], tuple[Names, Hold | None]] = {}  # options by name; None: has none
        self._module: Module
        self._scope = 0
        self._statement: Stmt

    def run(self) -> Journal:
        while (work := self.variables.pop()) is not None:
            self._look(self.project.modules[work[0]], work[1], work[2])
        for hold in self.variables.lost:
            place = self.project.modules.get(hold.root.path)
            if place is not None:
                stmt = Do(hold.root.line, hold.root.column, hold.root.line, Const(None))
                event = Event(hold.root, hold.section, UNSEEN, place, 0, stmt, Const(None), "too many places")
                self.journal.note(self.journal.escapes, event)
        return self.journal

    # Where the flow stands.

    @property
    def module(self) -> Module:
        return self._module

    @property
    def scope(self) -> int:
        return self._scope

    def note(self, book: Book, hold: Hold, names: Names, how: str, node: Expr, who: str = "") -> None:
        """Enters what is done to a part of an object; most of it is known from an earlier look at the statement."""
        root, _, _, _, sure = hold
        at: Any = node if hasattr(node, "line") else self._statement
        key = (root, names, how, self._module.path, at.line, at.column)
        held = book.get(key)
        if held is None or (sure and not held.sure):
            book[key] = Event(root, names, how, self._module, self._scope, self._statement, node, who, sure)

    def _look(self, module: Module, scope: int, changed: set[str]) -> None:
        self._module, self._scope = module, scope
        flow, readers = self._readers_in(module, scope)
        numbers = {number for word in changed for number in readers.get(word, ())}
        for number in sorted(numbers):
            stmt = self._statement = flow[number]
            handler = _STATEMENTS.get(type(stmt))
            if handler is not None:
                handler(self, stmt)
            else:
                for expr in expressions(stmt, module.facts.scopes):
                    self.value(expr)

    def _readers_in(self, module: Module, scope: int) -> Readers:
        """The statements of a scope, and which of them read a variable (``args``) or an attribute (``.args``)."""
        known = self._readers.get((module.path, scope))
        if known is None:
            flow = list(statements(module.body(scope)))
            found: dict[str, list[int]] = {}
            for number, stmt in enumerate(flow):
                for expr in expressions(stmt, module.facts.scopes):
                    for node in (expr,) if type(expr) is Ref else walk(expr):
                        kind = type(node)
                        if kind is Ref or kind is Attribute or kind is Bind:
                            chain: str = node.name  # type: ignore[union-attr]  # all three have names
                            for word in _words(chain if kind is not Attribute else f".{chain}"):
                                held = found.setdefault(word, [])
                                if not held or held[-1] != number:
                                    held.append(number)
            known = self._readers[(module.path, scope)] = (flow, found)
        return known

    # Statements.

    def _assign(self, stmt: Assign) -> None:
        holds = self.value(stmt.value)
        for target in stmt.targets:
            self.bind(target, holds)

    def _annotate(self, stmt: Annotate) -> None:
        holds = self.value(stmt.value) if stmt.value is not None else NOTHING
        self.bind(stmt.target, holds or frozenset(self.schemas.annotated(self._module, self._scope, stmt.annotation)))

    def _augment(self, stmt: Augment) -> None:
        self.value(stmt.value)
        self.value(stmt.target)
        self.bind(stmt.target, NOTHING)

    def _return(self, stmt: Return) -> None:
        holds = self.value(stmt.value) if stmt.value is not None else NOTHING
        if holds:
            self.variables.returns(self._module.definition(self._scope), self.moving(holds))

    def _for(self, stmt: For) -> None:
        holds = self.value(stmt.iterable)
        shown = any(hold.path == (ITEMS,) for hold in holds) and all(self.calls.only_shows(one) for one in stmt.body)
        self.iterate(holds, stmt.target, stmt.iterable, shown=shown)

    def _with(self, stmt: With) -> None:
        for item in stmt.items:
            holds = self.value(item.context)
            if item.target is not None:
                self.bind(item.target, holds)

    def _delete(self, stmt: Delete) -> None:
        for target in stmt.targets:
            self.bind(target, NOTHING)

    def _define(self, stmt: Define) -> None:
        scope = self._module.scope(stmt.scope)
        for one in (*scope.decorators, *scope.bases, *(keyword.value for keyword in scope.keywords)):
            self.value(one)
        for parameter in scope.parameters:
            if parameter.default is not None and (holds := self.value(parameter.default)):
                self.variables.bind(self._module, stmt.scope, parameter.name, self.moving(holds))

    def bind(self, target: Expr, holds: Holds) -> None:
        """An assignment: a variable or attribute may hold these, or an option of an object is written."""
        if isinstance(target, Ref):
            self._bind_name(target, holds)
        elif isinstance(target, Build):
            for index, item in enumerate(target.items):
                self.bind(
                    item, frozenset(unwrapped(holds, index)) | frozenset(unwrapped(holds, index - len(target.items)))
                )
        elif isinstance(target, Starred):
            self.escape(holds, target, "*")
        elif isinstance(target, Subscript):
            self._bind_element(target, holds)
        elif isinstance(target, Attribute):
            owners, names = self.value(target.value), tuple(target.name.split("."))
            self.written(owners, names, target)
            if not owners:
                self.variables.bind_attribute(None, names[-1], self.moving(holds))

    def _bind_name(self, target: Ref, holds: Holds) -> None:
        head, _, last = target.name.rpartition(".")
        if not head:
            if holds:
                self.variables.bind(self._module, self._scope, last, holds)
            return
        owners = self._chain(Ref(head, target.line, target.column), target)
        self.written(owners, (last,), target)
        if holds and not owners:
            owner = enclosing_class(self._module, self._scope, head)
            self.variables.bind_attribute(owner, last, self.moving(holds))

    def _bind_element(self, target: Subscript, holds: Holds) -> None:
        owners = self.value(target.value)
        key = self._key(target.index)
        if owners and isinstance(key, str):
            self.written(owners, (key,), target)
        elif owners:
            for hold in owners:
                self.note(self.journal.opened, hold, hold.section, DYNAMIC, target)
        if holds and not owners:
            if isinstance(target.value, Ref) and "." not in target.value.name and isinstance(key, (str, int)):
                self.variables.bind(self._module, self._scope, target.value.name, wrapped(holds, key))
            else:
                self.escape(holds, target, "a container")

    def written(self, owners: Iterable[Hold], names: Names, node: Expr) -> None:
        for hold in owners:
            if not hold.path and not self.schemas.is_leaf(hold):
                how = "copy" if hold.copied else "write"
                self.note(self.journal.writes, hold, (*hold.section, *names), how, node)

    def moving(self, holds: Iterable[Hold]) -> Holds:
        """The objects among these: values of single options are not followed out of a function."""
        return frozenset(hold for hold in holds if self.schemas.moves(hold))

    # Expressions.

    def value(self, expr: Expr) -> Holds:
        """What an expression may be. Reads in it are noted."""
        handler = _EXPRESSIONS.get(type(expr))
        if handler is not None:
            return handler(self, expr)
        for part in children(expr):
            self.value(part)
        return NOTHING

    def _ref(self, ref: Ref) -> Holds:
        return self._chain(ref, ref)

    def _chain(self, ref: Ref, node: Expr) -> Holds:
        holds, rest = self.variables.held(self._module, self._scope, ref.name)
        if holds:
            return self.select(holds, rest, node)
        found: set[Hold] = set()
        if "." in ref.name:
            for hold, remainder in self.variables.through_attributes(self._module, self._scope, ref):
                found |= self.select((hold,), remainder, node)
        return frozenset(found)

    def _attribute(self, expr: Attribute) -> Holds:
        holds = self.value(expr.value)
        if holds:
            return self.select(holds, expr.name, expr)
        first, _, rest = expr.name.partition(".")
        return self.select(self.variables.of_attribute(first), rest, expr)

    def _subscript(self, expr: Subscript) -> Holds:
        holds = self.value(expr.value)
        self.value(expr.index)
        if not holds:
            return NOTHING
        key = self._key(expr.index)
        inner = frozenset(unwrapped(holds, key)) if isinstance(key, (str, int)) else NOTHING
        plain = [hold for hold in holds if not hold.path]
        if isinstance(key, str):
            return inner | self.pick(plain, key, SUBSCRIPT, expr)
        if isinstance(key, int) and not isinstance(key, bool):
            return inner | self.pick(plain, str(key), SUBSCRIPT, expr)
        for hold in plain:
            if not self.schemas.is_leaf(hold):
                self.note(self.journal.escapes, hold, hold.section, DYNAMIC, expr)
        return inner

    def _key(self, index: Expr) -> Any:
        value = index.value if isinstance(index, Const) else self._module.constant(self._scope, index)
        return None if value is UNKNOWN else value

    def select(self, holds: Iterable[Hold], chain: str, node: Expr) -> Holds:
        """What a chain of attributes leads to."""
        found = frozenset(holds)
        for name in chain.split(".") if chain else ():
            if name in _META:
                continue
            wrapping = [hold for hold in found if hold.path]
            plain = [hold for hold in found if not hold.path] if wrapping else found
            found = self.pick(plain, name, ATTRIBUTE, node)
            if wrapping:
                found |= frozenset(unwrapped(wrapping, name))
        return found

    def pick(self, holds: Iterable[Hold], name: str, how: str, node: Expr) -> Holds:
        """One option read of objects."""
        found: set[Hold] = set()
        reads = self.journal.reads
        for hold in holds:
            step = self._steps.get((hold, name))
            if step is None:
                names = (*hold.section, name)
                part = None if self.schemas.is_leaf(hold) else self.schemas.part(hold, names)
                step = self._steps[(hold, name)] = (names, part)
            names, part = step
            if part is not None:
                self.note(reads, hold, names, how, node)
                found.add(part)
        return frozenset(found)

    def _build(self, expr: Build) -> Holds:
        found: set[Hold] = set()
        for index, item in enumerate(expr.items):
            key = expr.keys[index] if expr.keys else Const(index)
            if key is not None and expr.keys:
                self.value(key)
            holds = self.value(item)
            if not holds:
                continue
            if key is None:  # {**cfg}
                found |= {hold._replace(copied=True) for hold in holds}
            else:
                step = self._key(key)
                found.update(wrapped(self.moving(holds), step if isinstance(step, (str, int)) else "*"))
        return frozenset(found)

    def _either(self, expr: Conditional | Boolean) -> Holds:
        if isinstance(expr, Conditional):
            self.value(expr.test)
            return self.value(expr.then) | self.value(expr.orelse)
        found: Holds = NOTHING
        for one in expr.values:
            found |= self.value(one)
        return found

    def _compare(self, expr: Compare) -> Holds:
        """``"lr" in cfg`` asks whether there is one."""
        left = self.value(expr.left)
        for op, other in zip(expr.ops, expr.comparators, strict=True):
            holds = self.value(other)
            key = self._key(expr.left) if op in ("in", "not in") and holds else None
            if isinstance(key, str):
                self.pick((hold for hold in holds if not hold.path), key, PROBE, expr)
        del left
        return NOTHING

    def _bind_inside(self, expr: Bind) -> Holds:
        holds = self.value(expr.value)
        if holds:
            self.variables.bind(self._module, self._scope, expr.name, holds)
        return holds

    def _wait(self, expr: Wait) -> Holds:
        holds = self.value(expr.value) if expr.value is not None else NOTHING
        if expr.kind != "await":
            self.escape(holds, expr, "yield")
            return NOTHING
        return holds

    def _starred(self, expr: Starred) -> Holds:
        return self.value(expr.value)

    def _binary(self, expr: Binary) -> Holds:
        left, right = self.value(expr.left), self.value(expr.right)
        # `cfg | {"lr": 1}` is another one; `"%s" % args` shows it.
        return frozenset(hold._replace(copied=True) for hold in left | right) if expr.op == "|" else NOTHING

    def _lambda(self, expr: Lambda) -> Holds:
        self.escape(self.moving(self.value(expr.body)), expr, "a lambda")
        return NOTHING

    def _format(self, expr: Format) -> Holds:
        for part in expr.parts:
            self.show(self.value(part), part)
        return NOTHING

    def _comprehension(self, expr: Comprehension) -> Holds:
        for generator in expr.generators:
            shown = isinstance(expr.element, (Format, Binary))
            self.iterate(self.value(generator.iterable), generator.target, generator.iterable, shown=shown)
            for condition in generator.conditions:
                self.value(condition)
        holds = self.value(expr.element)
        if expr.key is not None:
            holds |= self.value(expr.key)
        return frozenset(wrapped(self.moving(holds), "*"))

    def iterate(self, holds: Holds, target: Expr, node: Expr, *, shown: bool) -> None:
        """A loop over an object reads all its options; over a list of objects it takes one after the other."""
        for hold in holds:
            if hold.path and hold.path[0] != ITEMS:
                self.bind(target, frozenset((hold._replace(path=hold.path[1:]),)))
            elif not self.schemas.is_leaf(hold):
                self.note(self.journal.escapes, hold, hold.section, SHOWN if shown else ITERATED, node)

    # What leaves.

    def escape(self, holds: Iterable[Hold], node: Expr, who: str, how: str = UNSEEN) -> None:
        for hold in holds:
            if self.schemas.moves(hold):
                self.note(self.journal.escapes, hold, hold.section, how, node, who)

    def show(self, holds: Iterable[Hold], node: Expr, who: str = "") -> None:
        self.escape(holds, node, who, SHOWN)

    def _called(self, call: Call) -> Holds:
        key = (self._module.path, call.line, call.column, call.end_line, call.end_column)
        return self.calls.value(call) | self.made.get(key, NOTHING)


def _words(chain: str) -> Sequence[str]:
    """``a``, ``.b`` and ``.c`` of ``a.b.c``; ``.b`` of an attribute ``.b`` of anything."""
    if "." not in chain:
        return (chain,)
    head, *rest = chain.split(".")
    words = [f".{one}" for one in rest]
    return [head, *words] if head else words


_STATEMENTS: dict[type, Callable[[ConfigFlow, Any], None]] = {
    Assign: ConfigFlow._assign,
    Annotate: ConfigFlow._annotate,
    Augment: ConfigFlow._augment,
    Return: ConfigFlow._return,
    For: ConfigFlow._for,
    With: ConfigFlow._with,
    Delete: ConfigFlow._delete,
    Define: ConfigFlow._define,
}
_EXPRESSIONS: dict[type, Callable[[ConfigFlow, Any], Holds]] = {
    Ref: ConfigFlow._ref,
    Const: lambda flow, expr: NOTHING,
    Attribute: ConfigFlow._attribute,
    Subscript: ConfigFlow._subscript,
    Call: ConfigFlow._called,
    Build: ConfigFlow._build,
    Conditional: ConfigFlow._either,
    Boolean: ConfigFlow._either,
    Compare: ConfigFlow._compare,
    Bind: ConfigFlow._bind_inside,
    Wait: ConfigFlow._wait,
    Starred: ConfigFlow._starred,
    Binary: ConfigFlow._binary,
    Lambda: ConfigFlow._lambda,
    Format: ConfigFlow._format,
    Comprehension: ConfigFlow._comprehension,
}
