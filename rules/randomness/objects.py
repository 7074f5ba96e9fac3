"""Which objects of the project an expression may hold: instances, functions and generators, through containers.

Generous on purpose: a library's ``Compose([...])``, ``Subset(data, rows)`` or ``partial(f, x)`` holds whatever it is
given. Used to find what reaches the worker processes of a data loader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    FUNCTION,
    PARAMETER,
    Annotate,
    Attribute,
    Bind,
    Boolean,
    Build,
    Call,
    Comprehension,
    Conditional,
    Expr,
    Lambda,
    Ref,
    Return,
    Starred,
    Subscript,
    Wait,
)
from mldebt.facts.walk import statements
from mldebt.project.attributes import Attributes, Binding
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

GENERATORS = frozenset(
    {
        "numpy.random.default_rng",
        "numpy.random.RandomState",
        "numpy.random.Generator",
        "numpy.random.mtrand.RandomState",
        "random.Random",
        "torch.Generator",
        "sklearn.utils.check_random_state",
        "sklearn.utils.validation.check_random_state",
    }
)
_SEEDING = frozenset({"manual_seed"})  # methods that give back the generator
_DEEPEST = 12
_STEPS = 3000  # expressions looked at for one question


class Read(Struct, frozen=True, eq=False):
    """An expression and where it is read."""

    module: Module
    scope: int
    expr: Expr


class Instance(Struct, frozen=True, eq=False):
    """An object of a project class; ``built`` is the call that made it, where it is known."""

    name: str
    built: Site | None = None


class Function(Struct, frozen=True, eq=False):
    """A project function or a lambda."""

    module: Module
    scope: int  # of the function itself; for a lambda the scope it is written in
    body: Lambda | None = None


class Generator(Struct, frozen=True, eq=False):
    """A random number generator; ``name`` is what made it, ``built`` where."""

    name: str
    built: Site


Value = Instance | Function | Generator


class Objects(Analysis):
    """``project[Objects].of(module, scope, expr)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.callers = project.callers
        self._attributes = Attributes(project)
        self._lineages: dict[str, tuple[Definition, ...]] = {}
        self._left = 0

    def of(self, module: Module, scope: int, expr: Expr) -> tuple[Value, ...]:
        """The objects ``expr``, read in ``scope``, is or holds."""
        self._left = _STEPS
        return _distinct(self._of(Read(module, scope, expr), _DEEPEST))

    def kept(self, instance: Instance, attribute: str) -> Iterator[tuple[Definition, Binding, tuple[Value, ...]]]:
        """What an object's classes bind to an attribute: class, assignment, and the objects it may be."""
        for owner in self.lineage(instance.name):
            for binding in self._attributes.bindings(owner).get(attribute, ()):
                self._left = _STEPS
                yield owner, binding, _distinct(self._bound(owner.module, binding, instance.built, _DEEPEST))

    def lineage(self, name: str) -> tuple[Definition, ...]:
        """A class and its bases in the project, also those picked from a table: ``class Data(SETS[name])``."""
        known = self._lineages.get(name)
        if known is None:
            self._lineages[name] = ()
            found: dict[str, Definition] = {}
            for base in self.project.mro(name) or (name,):
                definition = self.project.definition(base) if ":" in base else None
                if definition is not None and definition.is_class:
                    found.setdefault(definition.name, definition)
                    for written in definition.scope.bases:
                        if isinstance(written, Subscript):
                            read = Read(definition.module, definition.scope.parent, written.value)
                            for one in self._classes(read, _DEEPEST):
                                found.update((more.name, more) for more in self.lineage(one))
            known = self._lineages[name] = tuple(found.values())
        return known

    # Expressions.

    def _of(self, read: Read, depth: int) -> Iterator[Value]:
        expr = read.expr
        self._left -= 1
        if depth <= 0 or self._left <= 0:
            return
        if isinstance(expr, Call):
            yield from self._called(read, expr, depth)
        elif isinstance(expr, Ref):
            yield from self._named(read, expr, depth)
        elif isinstance(expr, Lambda):
            yield Function(read.module, read.scope, expr)
        elif isinstance(expr, Attribute):
            for value in tuple(self._of(Read(read.module, read.scope, expr.value), depth - 1)):
                if isinstance(value, Instance):
                    yield from self._attribute(value, expr.name, depth)
        else:
            for part in _parts(expr):
                yield from self._of(Read(read.module, read.scope, part), depth - 1)

    def _called(self, read: Read, call: Call, depth: int) -> Iterator[Value]:
        module, scope = read.module, read.scope
        function = call.function
        site = Site(module, scope, call)
        if isinstance(function, Attribute) and function.name in _SEEDING:
            yield from self._of(Read(module, scope, function.value), depth - 1)
        names = module.names(scope, function) if isinstance(function, (Ref, Attribute)) else ()
        if not names:
            for name in self._classes(Read(module, scope, function), depth - 1):
                yield Instance(name, site)
        for name in names:
            if name in GENERATORS:
                yield Generator(name, site)
                continue
            definition = self.project.definition(name) if ":" in name else None
            if definition is None:
                for part in (*call.args, *(keyword.value for keyword in call.keywords)):
                    yield from self._of(Read(module, scope, part), depth - 1)
            elif definition.is_class:
                yield Instance(name, site)
            elif definition.is_function:
                yield from self._returned(definition, depth)

    def _returned(self, definition: Definition, depth: int) -> Iterator[Value]:
        for stmt in statements(definition.body):
            if isinstance(stmt, Return) and stmt.value is not None:
                yield from self._of(Read(definition.module, definition.index, stmt.value), depth - 1)

    def _named(self, read: Read, ref: Ref, depth: int) -> Iterator[Value]:
        module, scope = read.module, read.scope
        head, dot, rest = ref.name.partition(".")
        owner = self.project.types.owner_of(module, scope, head) if dot else None
        if owner is not None:
            yield from self._attribute(Instance(owner), rest, depth)
            return
        bound = binding_scope(module.facts, scope, head)
        local = head in module.facts.scopes[scope].inner
        if not dot and (local or (bound is not None and module.facts.scopes[bound].kind == FUNCTION)):
            where = scope if bound is None else bound
            definition = module.definition(where)
            flow = self.project.flow(definition)
            for origin in flow.origins(ref) if where == scope else flow.definitions(head):
                yield from self._origin(module, where, origin, depth)
            return
        names = self.project.resolve(module, scope, ref.name)
        for name in names:
            yield from self._linked(name, depth)
        if not names and not dot and bound is not None:
            for origin in self.project.flow(module.definition(bound)).definitions(head):
                yield from self._origin(module, bound, origin, depth)
        if dot and not names:
            receiver = Ref(ref.name.rpartition(".")[0], ref.line, ref.column)
            for value in tuple(self._named(Read(module, scope, receiver), receiver, depth - 1)):
                if isinstance(value, Instance):
                    yield from self._attribute(value, ref.name.rpartition(".")[2], depth)

    def _linked(self, name: str, depth: int) -> Iterator[Value]:
        """A function, or the values of a module's variable."""
        path, _, qualname = name.partition(":")
        definition = self.project.definition(name) if qualname else None
        if definition is not None:
            if definition.is_function:
                yield Function(definition.module, definition.index)
            return
        module = self.project.modules.get(path)
        if module is not None and qualname and "." not in qualname:
            for origin in self.project.flow(module.definition(0)).definitions(qualname):
                yield from self._origin(module, 0, origin, depth)

    def _origin(self, module: Module, scope: int, origin: Origin, depth: int) -> Iterator[Value]:
        if origin.kind == "parameter":
            yield from self._parameter(module.definition(scope), origin.name, depth)
        elif origin.kind in ("import", "definition"):
            for name in self.project.resolve(module, scope, origin.name):
                yield from self._linked(name, depth)
        elif origin.value is not None and origin.kind in ("assign", "loop", "context"):
            yield from self._of(Read(module, scope, origin.value), depth - 1)
        elif isinstance(origin.statement, Annotate):
            yield from self._annotated(module, scope, origin.statement.annotation)

    def _parameter(self, definition: Definition, name: str, depth: int) -> Iterator[Value]:
        parameter = next((one for one in definition.scope.parameters if one.name == name), None)
        if parameter is None or depth <= 1:
            return
        spellings = self.callers.spellings(definition)
        sites = self.callers.of(definition) or ()
        for site in sites:
            value = None if site.module.is_test else given(site, definition, name, spellings)
            if value is not None and value is not UNKNOWN:
                yield from self._of(Read(site.module, site.scope, value), depth - 2)
        if parameter.default is not None:
            yield from self._of(Read(definition.module, definition.scope.parent, parameter.default), depth - 1)
        if not sites:
            yield from self._annotated(definition.module, definition.scope.parent, parameter.annotation)

    def _annotated(self, module: Module, scope: int, annotation: Expr | None) -> Iterator[Value]:
        for name in self.project.types.annotated(module, scope, annotation):
            if ":" in name:
                yield Instance(name)

    # Attributes.

    def _attribute(self, instance: Instance, name: str, depth: int) -> Iterator[Value]:
        first, _, rest = name.partition(".")
        for owner in self.lineage(instance.name):
            bindings = self._attributes.bindings(owner).get(first, ())
            for binding in bindings:
                for value in self._bound(owner.module, binding, instance.built, depth - 1):
                    if not rest:
                        yield value
                    elif isinstance(value, Instance):
                        yield from self._attribute(value, rest, depth - 1)

    def _bound(self, module: Module, binding: Binding, built: Site | None, depth: int) -> Iterator[Value]:
        """The values of an assignment to an attribute; a parameter is what the object's own construction gave."""
        value = binding.value
        if value is None:
            yield from self._annotated(module, binding.scope, binding.annotation)
            return
        scope = module.facts.scopes[binding.scope]
        if built is not None and isinstance(value, Ref) and scope.bindings.get(value.name) == PARAMETER:
            method = module.definition(binding.scope)
            if scope.name == "__init__" and any(_is_same(built, one) for one in self.callers.of(method) or ()):
                got = given(built, method, value.name, self.callers.spellings(method))
                if got is not None and got is not UNKNOWN:
                    yield from self._of(Read(built.module, built.scope, got), depth - 1)
                    return
                default = next(one.default for one in scope.parameters if one.name == value.name)
                if got is None:
                    if default is not None:
                        yield from self._of(Read(module, scope.parent, default), depth - 1)
                    return
        found = tuple(self._of(Read(module, binding.scope, value), depth - 1))
        # What ``field(default_factory=Options)`` makes is told by the annotation.
        yield from found or self._annotated(module, binding.scope, binding.annotation)

    # Classes as values.

    def _classes(self, read: Read, depth: int) -> Iterator[str]:
        """The project classes an expression may be: a name, an entry of a table, what a function returns."""
        module, scope, expr = read.module, read.scope, read.expr
        if depth <= 0:
            return
        if isinstance(expr, Ref):
            names = [name for name in self.project.resolve(module, scope, expr.name) if ":" in name]
            found = [one for one in map(self.project.definition, names) if one is not None and one.is_class]
            yield from (one.name for one in found)
            if found:
                return
            bound = binding_scope(module.facts, scope, expr.name)
            if bound is not None and "." not in expr.name:
                flow = self.project.flow(module.definition(bound))
                yield from self._classes_of(module, bound, flow.definitions(expr.name), depth)
            for name in names:
                path, _, variable = name.partition(":")
                if path in self.project.modules and "." not in variable:
                    other = self.project.modules[path]
                    origins = self.project.flow(other.definition(0)).definitions(variable)
                    yield from self._classes_of(other, 0, origins, depth)
        elif isinstance(expr, Call) and isinstance(expr.function, (Ref, Attribute)):
            for name in module.names(scope, expr.function):
                definition = self.project.definition(name) if ":" in name else None
                for stmt in statements(definition.body) if definition is not None and definition.is_function else ():
                    if isinstance(stmt, Return) and stmt.value is not None and definition is not None:
                        yield from self._classes(Read(definition.module, definition.index, stmt.value), depth - 1)
        else:
            for part in _parts(expr):
                yield from self._classes(Read(module, scope, part), depth - 1)

    def _classes_of(self, module: Module, scope: int, origins: Iterable[Origin], depth: int) -> Iterator[str]:
        for origin in origins:
            if origin.kind == "assign" and origin.value is not None:
                yield from self._classes(Read(module, scope, origin.value), depth - 1)


def _distinct(values: Iterable[Value]) -> tuple[Value, ...]:
    found: dict[tuple[object, ...], Value] = {}
    for value in values:
        if isinstance(value, Function):
            key: tuple[object, ...] = (value.module.path, value.scope, id(value.body) if value.body is not None else 0)
        else:
            key = (value.name, *(_position(value.built) if value.built is not None else ()))
        found.setdefault(key, value)
    return tuple(found.values())


def _position(site: Site) -> tuple[object, ...]:
    return site.module.path, site.call.line, site.call.column, site.call.end_line, site.call.end_column


def _is_same(one: Site, other: Site) -> bool:
    return _position(one) == _position(other)


def _parts(expr: Expr) -> Iterable[Expr]:
    """The parts of an expression that its value may be or hold."""
    if isinstance(expr, Subscript | Starred | Bind):
        return (expr.value,)
    if isinstance(expr, Build):
        return expr.items
    if isinstance(expr, Conditional):
        return (expr.then, expr.orelse)
    if isinstance(expr, Boolean):
        return expr.values
    if isinstance(expr, Comprehension):
        return (expr.element,)
    if isinstance(expr, Wait):
        return () if expr.value is None else (expr.value,)
    return ()
