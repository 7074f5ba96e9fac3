"""Where a value comes from: followed backwards through names, columns, containers and the project's functions.

``project[Provenance].of(module, scope, expr, stop)`` gives the calls a value starts from, each with the keys that are
taken of its result: ``y = pd.read_csv(path)["label"]`` starts at ``read_csv`` with the keys ``("label",)``. What is
put together from several values starts at all of them; a column that is named is followed alone. Unknown calls pass on
what they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    Attribute,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Expr,
    Format,
    Lambda,
    Ref,
    Return,
    Slice,
    Starred,
    Subscript,
    Unary,
    Wait,
)
from mldebt.facts.walk import expressions, given_values, statements, walk
from mldebt.project.attributes import Attributes, self_name
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

from .mutations import Mutations, owner
from .passing import Passing

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DEEPEST = 40
_MOST_STEPS = 400
_MOST_SITES = 12
_MOST_RETURNS = 6
# Attributes that give the same values again.
_SAME = frozenset("values T array data str dt cat loc iloc at iat flat real numpy".split())
_NOT_VALUES = frozenset("shape columns index dtype dtypes size ndim name names empty".split())

Keys = tuple["str | int", ...]
Stop = Callable[["Module", int, Call], str]


class Step(Struct, frozen=True, eq=False):
    """A call whose function is being looked into: its result or a parameter is asked for."""

    module: Module
    scope: int
    call: Call
    target: Definition


class Where(Struct, frozen=True, eq=False):
    """An expression to follow. ``via``: selections and calls on the way, nearest first."""

    module: Module
    scope: int
    keys: Keys = ()
    stack: tuple[Step, ...] = ()
    via: tuple[Passed, ...] = ()

    def taking(self, *keys: str | int) -> Where:
        return Where(self.module, self.scope, (*keys, *self.keys)[:4], self.stack, self.via)

    def with_keys(self, keys: Keys) -> Where:
        return Where(self.module, self.scope, keys, self.stack, self.via)

    def within(self, module: Module, scope: int, stack: tuple[Step, ...]) -> Where:
        return Where(module, scope, self.keys, stack, self.via)

    def passing(self, expr: Expr) -> Where:
        return Where(self.module, self.scope, self.keys, self.stack, (*self.via, Passed(self.module, self.scope, expr)))


class Passed(Struct, frozen=True, eq=False):
    """A selection or a call between a value and its start."""

    module: Module
    scope: int
    expr: Expr


class Start(Struct, frozen=True, eq=False):
    """A call a value starts from. ``kind`` is what ``stop`` said of it."""

    kind: str
    module: Module
    scope: int
    call: Call
    keys: Keys
    stack: tuple[Step, ...]
    via: tuple[Passed, ...]


class Provenance(Analysis):
    """Answers where values come from."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.mutations = project[Mutations]
        self.attributes = Attributes(project)
        self._returns: dict[tuple[str, int], list[Expr]] = {}

    def of(
        self,
        module: Module,
        scope: int,
        expr: Expr,
        stop: Stop,
        keys: Keys = (),
        prefer: frozenset[int] = frozenset(),
        columns: bool = True,
    ) -> list[Start]:
        """The calls a value starts from.

        Args:
            stop: Says what a call is to the asker; "" for one to look through.
            keys: What is taken of the value.
            prefer: Calls (``id``) to take where a parameter may come from several.
            columns: Whether a whole frame also comes from what its columns are set to.
        """
        return _Search(self, stop, prefer, columns).start(Where(module, scope, keys), expr)

    def returned(self, definition: Definition) -> list[Expr]:
        """What a function returns or yields."""
        key = (definition.module.path, definition.index)
        known = self._returns.get(key)
        if known is None:
            known = []
            for stmt in statements(definition.body):
                if isinstance(stmt, Return) and stmt.value is not None:
                    known.append(stmt.value)
                if definition.scope.generator:
                    known += [
                        node.value
                        for expr in expressions(stmt)
                        for node in walk(expr)
                        if isinstance(node, Wait) and node.kind != "await" and node.value is not None
                    ]
            self._returns[key] = known
        return known


class _Search:
    """One question."""

    def __init__(self, provenance: Provenance, stop: Stop, prefer: frozenset[int], columns: bool) -> None:
        self.provenance, self.project = provenance, provenance.project
        self.mutations = provenance.mutations
        self._stop, self._prefer, self._columns = stop, prefer, columns
        self._seen: set[tuple[object, ...]] = set()
        self._found: list[Start] = []
        self._passing = Passing(self)
        self._depth = 0
        self._exprs: list[Expr] = []  # keeps made-up expressions alive: ``_seen`` holds their ids

    def start(self, where: Where, expr: Expr) -> list[Start]:
        self.follow(where, expr)
        return self._found

    def follow(self, where: Where, expr: Expr) -> None:
        stack = tuple(id(step.call) for step in where.stack)
        at = (expr.name, expr.line, expr.column) if isinstance(expr, Ref) else id(expr)
        key = (where.module.path, where.scope, at, where.keys, stack)
        if key in self._seen or len(self._seen) > _MOST_STEPS or self._depth > _DEEPEST:
            return
        self._seen.add(key)
        self._exprs.append(expr)
        self._depth += 1
        self._one(where, expr)
        self._depth -= 1

    def _one(self, where: Where, expr: Expr) -> None:
        if isinstance(expr, Ref):
            self._ref(where, expr)
        elif isinstance(expr, Call):
            self._call(where, expr)
        elif isinstance(expr, Subscript):
            self._subscript(where, expr)
        elif isinstance(expr, Attribute):
            self._attribute(where, expr)
        elif isinstance(expr, Build):
            self._build(where, expr)
        elif isinstance(expr, Comprehension):
            self._comprehension(where, expr)
        else:
            for part in _parts(expr):
                self.follow(where, part)

    # Displays.

    def _build(self, where: Where, expr: Build) -> None:
        if expr.kind == "dict":
            self._dict(where, expr)
            return
        if where.keys and isinstance(where.keys[0], int):
            at, items = where.keys[0], expr.items
            plain = not any(isinstance(item, Starred) for item in items)
            if plain and -len(items) <= at < len(items):
                self.follow(where.with_keys(where.keys[1:]), items[at])
                return
        for item in expr.items:
            self.follow(where, item)

    def _dict(self, where: Where, expr: Build) -> None:
        keys = where.keys
        if keys and isinstance(keys[0], int):
            keys = keys[1:]  # an element of a list of records
        for name, item in zip(expr.keys, expr.items, strict=False):
            if name is None or not keys:
                self.follow(where.with_keys(keys), item)
                continue
            value = where.module.constant(where.scope, name)
            if value is UNKNOWN or value == keys[0]:
                self.follow(where.with_keys(keys[1:]), item)

    def _comprehension(self, where: Where, expr: Comprehension) -> None:
        if expr.kind == "dict" and where.keys:
            where = where.with_keys(where.keys[1:])
        conditions = [one for generator in expr.generators for one in generator.conditions]
        for condition in conditions:
            where = where.passing(condition)
        self.follow(where, expr.element)

    # Parts of values.

    def _subscript(self, where: Where, expr: Subscript) -> None:
        value, index = expr.value, expr.index
        if isinstance(value, (Ref, Attribute)) and value.name.rpartition(".")[2] in ("loc", "iloc", "at", "iat"):
            held = owner(value)
            if held is not None:
                self._located(where, held, index, positions=value.name.rpartition(".")[2] in ("iloc", "iat"))
                return
        key = where.module.constant(where.scope, index)
        if isinstance(key, (str, int)) and not isinstance(key, bool):
            self.follow(where.taking(key), value)
            return
        if isinstance(key, (list, tuple)):
            if where.keys and isinstance(where.keys[0], str) and where.keys[0] not in key:
                return
        elif not isinstance(index, Slice):
            where = where.passing(index)
        if isinstance(index, Build) and index.kind == "tuple" and len(index.items) == 2:
            self._located(where, value, index, positions=True)  # array[:, 0]
            return
        self.follow(where, value)

    def _located(self, where: Where, held: Expr, index: Expr, positions: bool) -> None:
        if isinstance(index, Build) and index.kind == "tuple" and len(index.items) == 2:
            rows, column = index.items
            if not isinstance(rows, Slice):
                where = where.passing(rows)
            key = where.module.constant(where.scope, column)
            if isinstance(key, str) or (positions and isinstance(key, int)):
                where = where.taking(key)
        elif not isinstance(index, Slice):
            where = where.passing(index)
        self.follow(where, held)

    def _attribute(self, where: Where, expr: Attribute) -> None:
        self._named(where, expr.value, expr.name.split("."))

    def _named(self, where: Where, value: Expr, names: list[str]) -> None:
        """``value.a.b``: columns, or attributes that give the same values."""
        if names and names[-1] in _NOT_VALUES:
            return
        keys = [name for name in names if name not in _SAME]
        self.follow(where.taking(*keys), value)

    # Names.

    def _ref(self, where: Where, ref: Ref) -> None:
        module, scope = where.module, where.scope
        head, _, rest = ref.name.partition(".")
        definition = module.definition(scope)
        if rest and head == self_name(definition):
            self._own(where, ref, definition)
            return
        flow = self.project.flow(definition)
        origins = flow.origins(ref)
        if not origins:
            self._outer(where, ref)
            return
        for origin in origins:
            more = ref.name[len(origin.name) + 1 :]
            if more and more.rpartition(".")[2] in _NOT_VALUES:
                continue
            names = [name for name in more.split(".") if name and name not in _SAME]
            self._origin(where.taking(*names), origin, ref)

    def _origin(self, where: Where, origin: Origin, ref: Ref) -> None:
        if self._mutated(where, origin, ref):
            return
        if origin.kind == "parameter":
            if origin.statement is None:
                self._parameter(where, origin.name)
            return
        if origin.value is None:
            return
        if origin.kind == "augment":
            for one in self.project.flow(where.module.definition(where.scope)).definitions(origin.name):
                if one.kind == "assign" and one.value is not None:
                    self.follow(where.taking(*_path(one)), one.value)
        self.follow(where.taking(*_path(origin)), origin.value)

    def _mutated(self, where: Where, origin: Origin, ref: Ref) -> bool:
        """Follows what is put into a name; whether that is all of what is asked for."""
        whole = False
        since = origin.statement.line if origin.statement is not None else 0
        for one in self.mutations.seen(where.module, where.scope, origin.name, since, ref.line):
            if one.key is None or not where.keys:
                if one.key is None or self._columns:
                    self.follow(where, one.value)
            elif one.key == where.keys[0]:
                self.follow(where.with_keys(where.keys[1:]), one.value)
                whole = whole or (one.whole and one.line < ref.line)
        return whole

    def _own(self, where: Where, ref: Ref, definition: Definition) -> None:
        """``self.rows``: what the class's methods bind to it, and put into it."""
        name, _, more = ref.name.partition(".")[2].partition(".")
        parent = definition.parent
        if parent is None:
            return
        names = [one for one in more.split(".") if one and one not in _SAME]
        self._member(where.taking(*names), parent.name, name)

    def _member(self, where: Where, owner_name: str, attribute: str) -> None:
        for class_name in self.project.mro(owner_name):
            definition = self.project.definition(class_name) if ":" in class_name else None
            if definition is None:
                continue
            module = definition.module
            for binding in self.provenance.attributes.bindings(definition).get(attribute, ()):
                inner = where.within(module, binding.scope, where.stack)
                if binding.value is not None:
                    self.follow(inner, binding.value)
                else:
                    self._unpacked(inner, module.definition(binding.scope), attribute)
            for index, scope in enumerate(module.facts.scopes):
                if scope.parent != definition.index or not scope.parameters:
                    continue
                inner = where.within(module, index, ())
                for one in self.mutations.of(module, index, f"{scope.parameters[0].name}.{attribute}"):
                    if one.key is None or not where.keys or one.key == where.keys[0]:
                        self.follow(inner.with_keys(where.keys[1:] if one.key is not None else where.keys), one.value)

    def _unpacked(self, where: Where, method: Definition, attribute: str) -> None:
        """``self.x, self.y = load()``."""
        name = f"{method.scope.parameters[0].name}.{attribute}" if method.scope.parameters else attribute
        for origin in self.project.flow(method).definitions(name):
            if origin.value is not None and origin.path:
                self.follow(where.taking(*_path(origin)), origin.value)

    def _outer(self, where: Where, ref: Ref) -> None:
        """A name that another body binds: a module's, or a function's around."""
        module = where.module
        head = ref.name.partition(".")[0]
        bound = binding_scope(module.facts, where.scope, head)
        if bound is not None and bound != where.scope and module.scope(bound).bindings.get(head, 0) & 4:
            names = [name for name in ref.name.split(".")[1:] if name not in _SAME]
            self._definitions(where.taking(*names), module, bound, head)
            return
        for name in self.project.resolve(module, where.scope, ref.name):
            path, _, variable = name.partition(":")
            other = self.project.modules.get(path) if variable else None
            if other is None:
                continue
            target = self.project.definition(name)
            if target is not None and target.is_function:
                continue
            first, _, more = variable.partition(".")
            names = [one for one in more.split(".") if one and one not in _SAME]
            self._definitions(where.taking(*names), other, 0, first)

    def _definitions(self, where: Where, module: Module, scope: int, name: str) -> None:
        inner = where.within(module, scope, ())
        for one in self.mutations.of(module, scope, name):
            if one.key is None or not where.keys or one.key == where.keys[0]:
                self.follow(inner.with_keys(where.keys[1:] if one.key is not None else where.keys), one.value)
        for origin in self.project.flow(module.definition(scope)).definitions(name):
            if origin.value is not None and origin.kind in ("assign", "context", "loop"):
                self.follow(inner.taking(*_path(origin)), origin.value)

    def _parameter(self, where: Where, name: str) -> None:
        """What the function is given: by the call it was entered through, else by every call."""
        definition = where.module.definition(where.scope)
        if where.stack and where.stack[-1].target is definition:
            step = where.stack[-1]
            self._argument(where, definition, name, step.module, step.scope, step.call, where.stack[:-1])
            return
        sites = [site for site in self.project.callers.of(definition) or () if not site.module.is_test]
        sites = [site for site in sites if id(site.call) in self._prefer] or sites
        if not sites:  # a framework may call it: its decorators say which
            for decorator in definition.scope.decorators:
                if isinstance(decorator, Call):
                    self.follow(where.within(where.module, definition.scope.parent, ()), decorator)
        for site in sites[:_MOST_SITES]:
            scope = site.module.scope_at(site.call.line) if site.scope < 0 else site.scope
            self._argument(where, definition, name, site.module, scope, site.call, ())

    def _argument(
        self, where: Where, definition: Definition, name: str, module: Module, scope: int, call: Call,
        stack: tuple[Step, ...],
    ) -> None:  # fmt: skip
        value = given(Site(module, scope, call), definition, name, self.project.callers.spellings(definition))
        if value is None:
            default = next((one.default for one in definition.scope.parameters if one.name == name), None)
            if default is not None:
                self.follow(where.within(where.module, definition.scope.parent, stack), default)
        elif value is not UNKNOWN:
            self.follow(where.within(module, scope, stack), value)
        else:
            self._spread(where.within(module, scope, stack), definition, name, call)

    def _spread(self, where: Where, definition: Definition, name: str, call: Call) -> None:
        """``f(*pair)``, ``f(**record)``."""
        names = [one.name for one in definition.scope.parameters]
        if self_name(definition) is not None:
            names = names[1:]
        for position, arg in enumerate(call.args):
            if isinstance(arg, Starred) and name in names[position:]:
                self.follow(where.taking(names.index(name) - position), arg.value)
                return
        for keyword in call.keywords:
            if keyword.name is None:
                self.follow(where.taking(name), keyword.value)

    # Calls.

    def _call(self, where: Where, call: Call) -> None:
        kind = self._stop(where.module, where.scope, call)
        if kind:
            self._found.append(Start(kind, where.module, where.scope, call, where.keys, where.stack, where.via))
            return
        edges = [
            edge
            for edge in self.project.calls.targets(where.module, where.scope, call)
            if edge.confidence in ("exact", "method")
        ]
        if edges:
            for edge in edges[:3]:
                self._entered(where.passing(call), call, edge.target)
            return
        if self._constructed(where, call):
            return
        self._passing.call(where.passing(call), call)

    def _entered(self, where: Where, call: Call, target: Definition) -> None:
        if target.scope.name in ("__init__", "__post_init__", "__new__"):
            self._instance(where, call, target.parent)
            return
        step = Step(where.module, where.scope, call, target)
        inner = where.within(target.module, target.index, (*where.stack, step))
        for value in self.provenance.returned(target)[:_MOST_RETURNS]:
            self.follow(inner, value)
        if any(one for one in target.scope.decorators if _wraps(one)):
            for one in target.scope.decorators:
                self.follow(where.within(target.module, target.scope.parent, where.stack), one)

    def _constructed(self, where: Where, call: Call) -> bool:
        if not isinstance(call.function, Ref):
            return False
        for name in self.project.resolve(where.module, where.scope, call.function.name):
            definition = self.project.definition(name) if ":" in name else None
            if definition is not None and definition.is_class:
                self._instance(where, call, definition)
                return True
        return False

    def _instance(self, where: Where, call: Call, owner_class: Definition | None) -> None:
        """An object of the project: its field, the items it gives, or all it is made of."""
        if owner_class is None:
            return
        if where.keys and isinstance(where.keys[0], str):
            inner = where.with_keys(where.keys[1:])
            for keyword in call.keywords:
                if keyword.name == where.keys[0]:
                    self.follow(inner, keyword.value)
                    return
            self._member(inner, owner_class.name, where.keys[0])
            return
        for method in ("__getitem__", "__iter__", "train_dataloader"):
            found = self.project.method(owner_class.name, method)
            if found is not None:
                step = Step(where.module, where.scope, call, found)
                for value in self.provenance.returned(found)[:_MOST_RETURNS]:
                    self.follow(where.within(found.module, found.index, (step,)), value)
                return
        for value in given_values(call):
            self.follow(where, value)


def _wraps(decorator: Expr) -> bool:
    return isinstance(decorator, Call) and isinstance(decorator.function, Ref) and "wraps" in decorator.function.name


def _path(origin: Origin) -> Keys:
    return tuple(step for step in origin.path if isinstance(step, int))


def _parts(expr: Expr) -> Iterator[Expr]:
    """The parts whose values are in an expression's value."""
    if isinstance(expr, Binary):
        yield from (expr.left, expr.right)
    elif isinstance(expr, Boolean):
        yield from expr.values
    elif isinstance(expr, Compare):
        yield from (expr.left, *expr.comparators)
    elif isinstance(expr, Conditional):
        yield from (expr.then, expr.orelse, expr.test)
    elif isinstance(expr, (Starred, Bind)):
        yield expr.value
    elif isinstance(expr, Unary):
        yield expr.operand
    elif isinstance(expr, Wait):
        yield from [expr.value] if expr.value is not None else []
    elif isinstance(expr, Format):
        yield from expr.parts
    elif isinstance(expr, Lambda):
        yield expr.body


__all__ = ["Keys", "Passed", "Provenance", "Start", "Step", "Where"]
