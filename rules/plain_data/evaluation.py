"""Follows expressions to abstract values: through assignments, returns, arguments, ``self.`` and other files.

All alternatives of a value are given; None among them is one nobody knows. Where an answer hangs on a function's
caller, ``needs`` names that function: who asks forks the context by its callers and asks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.constants import evaluate
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    CLASS,
    KEYWORD_ONLY,
    KWARGS,
    VARARGS,
    Attribute,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Conditional,
    Const,
    Expr,
    Ref,
    Starred,
    Subscript,
    Unary,
    Wait,
)
from mldebt.project.attributes import Attributes
from mldebt.project.receivers import Receivers
from mldebt.rule import Analysis

from .algebra import combined
from .calling import Calls
from .measuring import Measuring
from .members import Members
from .returns import reached, truth
from .values import UNKNOWN, Constant, Context, Display, Frame, Instance, Named, Tensor, Value, Values, Where

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_Key = tuple[int, int, str, int, bool, bool]
_Known = tuple[Values, "dict[str, Definition]", Expr, Context]
_FIXED = (Constant, Named, Tensor, type(None))  # values that hold no context to be read in
_DEEPEST = 40
_MOST_STEPS = 1500  # a question that takes more is not answered
_MOST_ALTERNATIVES = 12


class Evaluation(Analysis):
    """Answers ``of(where, expr)``; one per scan. Answers are remembered unless a cycle or a limit cut them short."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.receivers = Receivers()
        self.attributes = Attributes(project)
        self.calls = Calls(self)
        self.members = Members(self)
        self.asked = ("", 0)
        self.measuring = False  # names, units and statistics tell too
        self.measures = Measuring(self)
        self.inferring = False  # ask astroid for the class of a callee that linked facts leave open
        self.nowhere = Context()  # of module bodies: nobody calls them with arguments
        self.current = self.nowhere  # the root of the question being answered
        self._known: dict[_Key, _Known] = {}
        self._open: set[_Key] = set()
        self._needs: dict[str, Definition] = {}
        self._cut: set[_Key] = set()
        self._exhausted = False
        self._steps = 0

    def ask(self, where: Where, *exprs: Expr, steps: int = _MOST_STEPS) -> tuple[list[Values], dict[str, Definition]]:
        """The alternatives of each expression, and the functions whose callers would tell more."""
        self._needs, self._steps, self._exhausted = {}, _MOST_STEPS - steps, False
        self._cut.clear()
        self.current, self.asked = where.context.base, (where.module.path, where.scope)
        return [self.of(where, expr, _DEEPEST) for expr in exprs], self._needs

    def of(self, where: Where, expr: Expr, depth: int) -> Values:
        """All alternatives of an expression read in a scope and context."""
        self._steps += 1
        if depth <= 0 or self._steps > _MOST_STEPS:
            self._exhausted = True
            return UNKNOWN
        if type(expr) is Const:
            return (Constant(expr.value),)
        key = (id(expr), where.scope, where.module.path, id(where.context), self.inferring, self.measuring)
        known = self._known.get(key) or self._unforked(where.context, key)
        if known is not None:
            self._needs.update(known[1])
            return known[0]
        if key in self._open:
            self._cut.add(key)
            return ()
        outer, self._needs = self._needs, {}
        self._open.add(key)
        found = distinct(self._evaluate(where, expr, depth - 1))
        self._open.discard(key)
        self._cut.discard(key)
        if not self._cut and not self._exhausted:
            self._known[key] = (found, self._needs, expr, where.context)
        outer.update(self._needs)
        self._needs = outer
        return found

    def _unforked(self, context: Context, key: _Key) -> _Known | None:
        """What was found before the context was forked, if it does not hang on what the fork tells."""
        before = context.forked
        if before is None:
            return None
        expr, scope, path, _, inferring, measuring = key
        known = self._known.get((expr, scope, path, id(before), inferring, measuring))
        if known is None or context.by in known[1] or not all(isinstance(one, _FIXED) for one in known[0]):
            return None
        self._known[key] = known
        return known

    def need(self, definition: Definition) -> None:
        self._needs[definition.name] = definition

    def _evaluate(self, where: Where, expr: Expr, depth: int) -> Iterable[Value]:
        if not self.measuring:
            return self.plain(where, expr, depth)
        values = tuple(self.plain(where, expr, depth))
        if isinstance(expr, (Ref, Attribute)):
            return self.measures.spoken(where, expr.name.rpartition(".")[2], expr, values)
        if isinstance(expr, Subscript):
            return self.measures.subscript(where, expr, values)
        return self.measures.call(where, expr, values) if isinstance(expr, Call) else values

    def plain(self, where: Where, expr: Expr, depth: int) -> Iterable[Value]:
        """The alternatives of an expression, whatever its name says."""
        if isinstance(expr, Ref):
            return self.reference(where, expr, depth)
        if isinstance(expr, Call):
            return self.calls.of(where, expr, depth)
        if isinstance(expr, Attribute):
            return self.members.of_all(self.of(where, expr.value, depth), expr.name, depth)
        if isinstance(expr, Subscript):
            return self.members.item(where, expr, depth)
        if isinstance(expr, Build):
            return (Display(expr, where),)
        if isinstance(expr, (Bind, Wait)):
            return self.of(where, expr.value, depth) if expr.value is not None else UNKNOWN
        if isinstance(expr, Conditional):
            sure = truth(self, where, expr.test, depth)
            parts = (expr.then, expr.orelse) if sure is None else (expr.then,) if sure else (expr.orelse,)
            return [value for part in parts for value in self.of(where, part, depth)]
        if isinstance(expr, Boolean):
            return [value for part in expr.values for value in self.of(where, part, depth)]
        if isinstance(expr, (Binary, Unary)):
            return self._computed(where, expr, depth)
        constant = evaluate(expr)
        return UNKNOWN if constant is NOT_KNOWN else (Constant(constant),)

    def _computed(self, where: Where, expr: Binary | Unary, depth: int) -> Iterator[Value]:
        if isinstance(expr, Unary):
            for value in self.of(where, expr.operand, depth):
                if self.measuring and isinstance(value, Tensor) and self.measures.keeps_sign(value):
                    yield value
                    continue
                if not isinstance(value, Constant) or not isinstance(value.value, (int, float)):
                    yield None
                    continue
                found = evaluate(Unary(expr.op, Const(value.value)))
                yield None if found is NOT_KNOWN else Constant(found, value.place)
            return
        rights = self.of(where, expr.right, depth)
        for left in self.of(where, expr.left, depth):
            for right in rights:
                told = self.measures.combined(expr.op, left, right) if self.measuring else None
                yield combined(expr.op, left, right) if told is None else told[0]

    # Names.

    def reference(self, where: Where, ref: Ref, depth: int) -> Iterable[Value]:
        """A chain of names where it is read."""
        module, scope = where.module, where.scope
        head, _, rest = ref.name.partition(".")
        bound = binding_scope(module.facts, scope, head)
        local = head in module.facts.scopes[scope].inner
        if bound is None and not local:
            return self.linked(self.project.resolve(module, scope, ref.name), depth)
        home = scope if bound is None else bound
        flow = self.project.flow(module.definition(home))
        if home == scope:
            origins = reached(self, where, ref, flow.origins(ref), depth)
        else:
            origins = (*(flow.definitions(ref.name) if rest else ()), *flow.definitions(head))
        if not origins:
            return self.linked(self.project.resolve(module, scope, ref.name), depth)
        there = where if home == scope else Where(module, home, where.context)
        found: list[Value] = []
        for origin in origins:
            if origin.kind in ("import", "definition"):
                found += self.linked(self.project.resolve(module, scope, ref.name), depth)
                continue
            remainder = ref.name[len(origin.name) + 1 :]
            values = self._origin(there, origin, depth)
            found += self.members.of_all(values, remainder, depth) if remainder else values
        return found

    def linked(self, names: tuple[str, ...], depth: int) -> Values:
        """What linked names stand for: functions and classes themselves, variables by what is assigned to them."""
        found: list[Value] = []
        for name in names:
            path, colon, qualname = name.partition(":")
            if not colon or self.project.definition(name) is not None:
                found.append(Named(name))
                continue
            module = self.project.modules.get(path)
            if module is None or not qualname:
                found.append(None)
                continue
            found += self._variable(module, qualname, depth)
        return distinct(found) or UNKNOWN

    def _variable(self, module: Module, qualname: str, depth: int) -> Values:
        """A module's variable, or an attribute of a class, whoever reads it."""
        head, _, rest = qualname.partition(".")
        owner = ""
        while rest and self.project.definition(f"{module.path}:{owner}{head}") is not None:
            owner, (head, _, rest) = f"{owner}{head}.", rest.partition(".")
        if owner:
            return self.members.of_all((Named(f"{module.path}:{owner[:-1]}"),), f"{head}.{rest}".rstrip("."), depth)
        here = Where(module, 0, self.nowhere)
        origins = self.project.flow(module.definition(0)).definitions(head)
        values = distinct(value for origin in origins for value in self._origin(here, origin, depth)) or UNKNOWN
        return self.members.of_all(values, rest, depth) if rest else values

    def _origin(self, where: Where, origin: Origin, depth: int) -> Values:
        if origin.kind == "parameter":
            return self._parameter(where, origin.name, depth)
        if self.measuring and (told := self.measures.origin(where, origin, depth)) is not None:
            return told
        if origin.kind != "assign" or origin.value is None:
            return UNKNOWN
        if origin.path and isinstance(origin.value, Call):
            handed = self.calls.handed_back(where, origin.value, origin.path, depth)
            if handed:
                return handed
        values = self.of(where, origin.value, depth)
        for step in origin.path:
            values = self.members.element(values, step, depth)
        if self.measuring and not origin.path and origin.statement is not None:
            values = self.measures.spoken(where, origin.name.rpartition(".")[2], origin.statement, values)
        return tuple(_placed(value, where.module, origin.statement) for value in values)

    def _parameter(self, where: Where, name: str, depth: int) -> Values:
        module, scope = where.module, where.scope
        facts = module.facts.scopes[scope]
        index = next((i for i, one in enumerate(facts.parameters) if one.name == name), None)
        if index is None:
            return UNKNOWN
        receiver = self.receivers.of(module, scope)
        if receiver is not None and name == receiver.name and module.facts.scopes[facts.parent].kind == CLASS:
            mine = where.context.selves.get(receiver.owner)
            if receiver.bound:
                return (Named(mine.name if mine is not None else receiver.owner),)
            return (mine or Instance(receiver.owner),)
        parameter = facts.parameters[index]
        if parameter.kind in (VARARGS, KWARGS):
            return UNKNOWN
        definition = module.definition(scope)
        frame = where.context.frames.get(definition.name)
        if frame is None:
            self.need(definition)
            classes = self.project.types.annotated(module, facts.parent, parameter.annotation)
            return tuple(Instance(one) for one in classes if ":" in one) or UNKNOWN
        position = None if parameter.kind == KEYWORD_ONLY else index - frame.skip
        given = argument(frame.call, name, position if position is None or position >= 0 else None)
        if given is NOT_KNOWN or isinstance(given, Starred):
            return UNKNOWN
        if given is not None:
            there = Where(frame.module, frame.scope, frame.context or where.context.base)
            return tuple(_placed(value, frame.module, frame.call) for value in self.of(there, given, depth))
        if parameter.default is None:
            return UNKNOWN
        values = self.of(Where(module, facts.parent, where.context), parameter.default, depth)
        return tuple(_placed(value, module, facts) for value in values)

    # Calls into the project.

    def returned(self, definition: Definition, frame: Frame | None, context: Context, depth: int) -> Values:
        """What a function returns on every way through it, its arguments given by ``frame``."""
        return self.calls.returned(definition, frame, context, depth)


def _placed(value: Value, module: Module, what: object) -> Value:
    """A constant remembers the first statement or call that wrote it."""
    if isinstance(value, Constant) and value.place is None and hasattr(what, "line"):
        return Constant(value.value, module.place(what))
    return value


def distinct(values: Iterable[Value]) -> Values:
    """Each alternative once; too many are unknown."""
    found: list[Value] = []
    for value in values:
        if not any(
            value is one or (isinstance(value, (Constant, Named, Tensor)) and same(value, one)) for one in found
        ):
            found.append(value)
        if len(found) > _MOST_ALTERNATIVES:
            return UNKNOWN
    return tuple(found)


def same(left: Value, right: Value) -> bool:
    """Equality that tells 1 from True and 1.0."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return type(left.value) is type(right.value) and left == right
    return left == right
