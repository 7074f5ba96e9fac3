"""Generators that data loaders copy into their worker processes: who keeps one, and who draws from it there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from mldebt.facts.arguments import argument
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import FUNCTION, GLOBAL, Assign, Attribute, Call, Const, Expr, Ref, Stmt
from mldebt.facts.walk import expressions, statements, walk
from mldebt.project.attributes import Binding, self_name
from mldebt.rule import Analysis

from .loaders import Loader, Loaders
from .objects import Function, Generator, Objects, Value

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_WORK = frozenset({"__getitem__", "__getitems__", "__iter__", "__next__", "__call__", "forward", "transform"})
_RESEEDS = frozenset({"seed", "manual_seed", "setstate", "set_state", "__setstate__", "jumped", "advance"})
_SHUFFLES = frozenset({"shuffle", "permutation", "permuted", "sample"})
_PICKLING = ("__setstate__", "__getstate__", "__reduce__")
_WORKER = frozenset({"get_worker_info", "initial_seed", "getpid", "current_process"})
_UNTOLD = ("pl_worker_init_function",)  # reseeds the global generators only
_MOST = 400

_Seen = set[tuple[object, ...]]


class Shared(Struct, frozen=True, eq=False):
    """One generator that all workers have a copy of.

    Args:
        at: Its assignment.
        name: What it is called: ``self.rng``.
        owner: The class that keeps it; "" for a variable.
        made: What makes it, as a qualified name.
        use: A place in a worker's code that draws from it, and the function around.
        loaders: The loaders that copy it.
    """

    at: Place
    name: str
    owner: str
    made: str
    use: Place
    where: str
    loaders: tuple[Loader, ...]


class _Hot(Struct):
    """The code of an object that runs in workers: its methods, and functions they call."""

    functions: dict[tuple[str, int], Definition] = field(default_factory=dict)
    reads: dict[str, tuple[Definition, Ref]] = field(default_factory=dict)  # attributes of self, where read first
    calls: dict[str, set[str]] = field(default_factory=dict)  # methods called on those attributes
    changed: set[str] = field(default_factory=set)  # attributes bound or reseeded from what is not constant


class WorkerCopies(Analysis):
    """``project[WorkerCopies].shared``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._objects = project[Objects]
        self._hot: dict[tuple[str, frozenset[str]], _Hot] = {}
        self._variables: dict[tuple[str, int, str], tuple[tuple[Place, Value], ...]] = {}

    def shared(self) -> tuple[Shared, ...]:
        """Every generator a worker's code draws from that no worker makes its own, by place."""
        found: dict[Place, Shared] = {}
        loaders = self.project[Loaders]
        for each in loaders.all:
            shared = tuple(self._of(each))
            # Asked last: options, configurations and commands tell how many workers there are.
            loader = loaders.counted(each) if shared else None
            if loader is None:
                continue
            for one in (replace(one, loaders=(loader,)) for one in shared):
                held = found.get(one.at)
                if held is None:
                    found[one.at] = one
                elif loader not in held.loaders:
                    found[one.at] = replace(held, loaders=(*held.loaders, loader))
        return tuple(replace(one, loaders=_busiest(one.loaders)) for _, one in sorted(found.items(), key=_place))

    def _of(self, loader: Loader) -> Iterator[Shared]:
        seen: _Seen = set()
        for expr in loader.loads:
            for value in self._objects.of(loader.module, loader.scope, expr):
                yield from self._in(value, _WORK, loader, seen)
            yield from self._held(loader.module, loader.scope, expr, loader)

    def _held(self, module: Module, scope: int, expr: Expr, loader: Loader) -> Iterator[Shared]:
        """``collate_fn=partial(collate, rng=rng)``: a generator handed to a function that works in the workers."""
        for node in walk(expr):
            if not isinstance(node, Call) or "functools.partial" not in module.names(scope, node.function):
                continue
            functions = self._objects.of(module, scope, node.args[0]) if node.args else ()
            for keyword in node.keywords:
                for value in self._objects.of(module, scope, keyword.value):
                    if isinstance(value, Generator) and functions and keyword.name:
                        at, name = value.built.module.place(value.built.call), keyword.name
                        where = _called(functions[0], name)
                        found = Shared(at, name, "", value.name, module.place(node), where, (loader,))
                        yield from self._kept(found, value, name)

    # Objects.

    def _in(self, value: Value, methods: frozenset[str], loader: Loader, seen: _Seen) -> Iterator[Shared]:
        """Generators that an object draws from in a worker, through the objects it uses there."""
        if isinstance(value, Function):
            yield from self._in_function(value, loader, seen)
            return
        if isinstance(value, Generator):
            return
        built = value.built
        key = (value.name, (built.module.path, built.call.line, built.call.column) if built is not None else None)
        if key in seen or len(seen) > _MOST:
            return
        seen.add(key)
        hot = self._work(value.name, methods)
        yield from self._globals(hot.functions.values(), loader, seen)
        for attribute, (method, ref) in sorted(hot.reads.items()):
            for owner, binding, values in self._objects.kept(value, attribute):
                for one in values:
                    if not isinstance(one, Generator):
                        yield from self._in(one, _WORK | hot.calls.get(attribute, set()), loader, seen)
                    elif attribute not in hot.changed and not self._is_fresh(hot, owner, binding):
                        name = f"self.{attribute}"
                        at, use = owner.module.place(binding.value), method.module.place(ref)
                        found = Shared(at, name, owner.name, one.name, use, method.scope.name, (loader,))
                        yield from self._kept(found, one, attribute)

    def _is_fresh(self, hot: _Hot, owner: Definition, binding: Binding) -> bool:
        """Whether it is bound in the worker itself, from something that is not the same in all of them."""
        if (owner.module.path, binding.scope) not in hot.functions:
            return False
        return binding.value is None or not _is_constant(binding.value)

    def _work(self, name: str, methods: frozenset[str]) -> _Hot:
        key = (name, methods)
        known = self._hot.get(key)
        if known is None:
            known = self._hot[key] = self._gather(name, methods)
        return known

    def _gather(self, name: str, methods: frozenset[str]) -> _Hot:
        hot = _Hot()
        lineage = self._objects.lineage(name)
        members: dict[str, list[Definition]] = {}
        for owner in lineage:
            scopes = owner.module.facts.scopes
            for index, scope in enumerate(scopes):
                if scope.parent == owner.index and scope.kind == FUNCTION:
                    members.setdefault(scope.name, []).append(owner.module.definition(index))
        pending = [method for wanted in sorted(methods) for method in members.get(wanted, ())]
        asking = False
        while pending and len(hot.functions) < _MOST:
            function = pending.pop(0)
            key = (function.module.path, function.index)
            if key in hot.functions:
                continue
            hot.functions[key] = function
            receiver = self_name(function)
            for inner in _around(function):
                for attribute, rest, ref in _self_chains(inner, receiver):
                    if attribute in members:
                        pending += members[attribute]
                    else:
                        hot.reads.setdefault(attribute, (function, ref))
                        hot.calls.setdefault(attribute, set()).update(rest)
                hot.changed.update(_changed(inner, receiver))
                asking = asking or self._asks(inner)
                if self._asks(inner):
                    hot.changed.update(attribute for attribute, _, _ in _self_chains(inner, receiver))
                pending += self._callees(inner)
        if asking:
            hot.changed.update(attribute for attribute, drawn in hot.calls.items() if drawn and drawn <= _SHUFFLES)
        for pickling in _PICKLING:
            for method in members.get(pickling, ()):
                hot.changed.update(attribute for attribute, _, _ in _self_chains(method, self_name(method)))
                hot.changed.update(_changed(method, self_name(method)))
        return hot

    def _asks(self, function: Definition) -> bool:
        """Whether code asks which worker it is. Drawing alike may be wanted then, to share rows out."""
        return any(self._asks_worker(function, chain) for chain in function.scope.uses)

    def _asks_worker(self, function: Definition, chain: str) -> bool:
        names = self.project.resolve(function.module, function.index, chain)
        return any(name.rpartition(".")[2] in _WORKER for name in names or (chain,))

    def _callees(self, function: Definition) -> list[Definition]:
        """Functions and methods known to run; what a constructor does concerns its own object."""
        edges = self.project.calls.edges(function)
        found = [edge.target for edge in edges if edge.confidence in ("exact", "method")]
        return [one for one in found if one.scope.name not in ("__init__", "__new__", "__post_init__")]

    # Functions and variables of modules.

    def _in_function(self, value: Function, loader: Loader, seen: _Seen) -> Iterator[Shared]:
        definition = value.module.definition(value.scope)
        key = (definition.name, definition.index, id(value.body) if value.body is not None else None)
        if key in seen:
            return
        seen.add(key)
        if value.body is not None:
            for node in walk(value.body):
                if isinstance(node, Ref):
                    yield from self._variable(definition, node, loader, seen, own=True)
            return
        functions: dict[tuple[str, int], Definition] = {}
        pending = [definition]
        while pending and len(functions) < _MOST:
            one = pending.pop(0)
            if functions.setdefault((one.module.path, one.index), one) is one:
                pending += self._callees(one)
        yield from self._globals(functions.values(), loader, seen)

    def _globals(self, functions: Iterable[Definition], loader: Loader, seen: _Seen) -> Iterator[Shared]:
        for function in functions:
            for inner in _around(function):
                for ref in _outer_refs(inner):
                    yield from self._variable(inner, ref, loader, seen)

    def _variable(
        self, function: Definition, ref: Ref, loader: Loader, seen: _Seen, own: bool = False
    ) -> Iterator[Shared]:
        """What a variable of a module, or of the function around, holds; ``own``: the function's own variables too."""
        module, head = function.module, ref.name.partition(".")[0]
        bound = binding_scope(module.facts, function.index, head)
        if bound is not None and module.facts.scopes[bound].kind == FUNCTION:
            places = [(module, bound, head)] if own or bound != function.index else []
        else:
            names = self.project.resolve(module, function.index, ref.name)
            places = [place for name in names for place in self._module_variables(name)]
            if not names and bound == 0:
                places = [(module, 0, head)]
        for other, scope, name in places:
            if _is_rebound(other, name):
                continue
            for at, value in self._values(other, scope, name):
                if isinstance(value, Generator):
                    found = Shared(at, name, "", value.name, module.place(ref), function.scope.name, (loader,))
                    yield from self._kept(found, value, name)
                else:
                    yield from self._in(value, _WORK, loader, seen)

    def _values(self, module: Module, scope: int, name: str) -> tuple[tuple[Place, Value], ...]:
        """The objects a variable may be, with the assignments."""
        key = (module.path, scope, name)
        known = self._variables.get(key)
        if known is None:
            self._variables[key] = ()
            known = self._variables[key] = tuple(
                (module.place(origin.value), value)
                for origin in self.project.flow(module.definition(scope)).definitions(name)
                if origin.kind == "assign" and origin.value is not None
                for value in self._objects.of(module, scope, origin.value)
            )
        return known

    def _module_variables(self, name: str) -> Iterator[tuple[Module, int, str]]:
        path, colon, qualname = name.partition(":")
        module = self.project.modules.get(path)
        variable = qualname.partition(".")[0]
        if colon and module is not None and variable and self.project.definition(f"{path}:{variable}") is None:
            yield module, 0, variable

    # What puts it right.

    def _kept(self, shared: Shared, value: Generator, attribute: str) -> Iterator[Shared]:
        if not self._is_reset(shared.loaders[0], shared.owner, attribute) and not _is_global_state(value):
            yield shared

    def _is_reset(self, loader: Loader, owner: str, attribute: str) -> bool:
        """Whether ``worker_init_fn`` rebinds or reseeds it; True also when that function cannot be seen."""
        init = loader.worker_init
        if init is None:
            return False
        functions = [one for one in self._objects.of(loader.module, loader.scope, init) if isinstance(one, Function)]
        if not functions:
            names = loader.module.names(loader.scope, init) if isinstance(init, (Ref, Attribute)) else ()
            return not any(name.endswith(_UNTOLD) for name in names)
        setters = set(self._setters(owner, attribute))
        for function in functions:
            if function.body is not None:
                return True
            for reached in self.project.calls.reachable(function.module.definition(function.scope)):
                definition = self.project.definition(reached)
                if definition is not None and any(_touches(one, attribute, setters) for one in _around(definition)):
                    return True
        return False

    def _setters(self, owner: str, attribute: str) -> Iterator[str]:
        """Methods that bind the attribute or reseed it: ``dataset.reseed(worker_id)``."""
        for one in self._objects.lineage(owner) if owner else ():
            for index, scope in enumerate(one.module.facts.scopes):
                if scope.parent == one.index and scope.kind == FUNCTION and scope.name != "__init__":
                    method = one.module.definition(index)
                    if attribute in _changed(method, self_name(method), constants=True):
                        yield scope.name


def _place(item: tuple[Place, Shared]) -> Place:
    return item[0]


def _busiest(loaders: Iterable[Loader]) -> tuple[Loader, ...]:
    """The loader with most workers first."""
    return tuple(sorted(loaders, key=lambda loader: (loader.workers.most != 0, -loader.workers.most)))


def _called(value: Value, name: str) -> str:
    """What to call a function in a message."""
    if not isinstance(value, Function) or value.body is not None:
        return name
    return value.module.facts.scopes[value.scope].name


def _around(function: Definition) -> Iterator[Definition]:
    """A function and the functions in it."""
    module = function.module
    yield function
    if function.is_module:
        return
    scopes = module.facts.scopes
    for index in range(function.index + 1, len(scopes)):
        if scopes[index].first_line > scopes[function.index].end_line:
            break
        if scopes[index].kind == FUNCTION:
            yield module.definition(index)


def _self_chains(function: Definition, receiver: str | None) -> Iterator[tuple[str, tuple[str, ...], Ref]]:
    """Attributes of ``self`` a function reads: name, what is read of it, where."""
    if receiver is None or not any(chain.startswith(f"{receiver}.") for chain in function.scope.uses):
        return
    for node in _nodes(function.body, function.module):
        if isinstance(node, Ref) and node.name.startswith(f"{receiver}."):
            _, attribute, *rest = node.name.split(".")
            yield attribute, tuple(rest[:1]), node


def _nodes(body: Sequence[Stmt], module: Module) -> Iterator[Expr]:
    for stmt in statements(body):
        targets = stmt.targets if isinstance(stmt, Assign) else ()
        for expr in expressions(stmt, module.facts.scopes):
            if not any(expr is target for target in targets) or not isinstance(expr, Ref):
                yield from walk(expr)


def _changed(function: Definition, receiver: str | None, constants: bool = False) -> set[str]:
    """Attributes of ``self`` a function binds or reseeds, from something that is no constant (or from anything)."""
    found: set[str] = set()
    for stmt in statements(function.body) if receiver is not None else ():
        if isinstance(stmt, Assign) and (constants or not _is_constant(stmt.value)):
            targets = [target.name for target in stmt.targets if isinstance(target, Ref)]
            found.update(name.split(".")[1] for name in targets if name.startswith(f"{receiver}."))
        for expr in expressions(stmt, function.module.facts.scopes):
            for node in walk(expr):
                if isinstance(node, Call) and isinstance(node.function, Ref):
                    head, *parts = node.function.name.split(".")
                    if head == receiver and len(parts) > 1 and parts[-1] in _RESEEDS:
                        found.update(parts[:1] if constants or not _is_constant(node) else ())
    return found


def _is_constant(value: Expr) -> bool:
    """A call with nothing but literals: the same in every worker."""
    return isinstance(value, Call) and bool(value.args) and all(isinstance(arg, Const) for arg in value.args)


def _touches(function: Definition, attribute: str, setters: set[str]) -> bool:
    """Whether a function binds or reseeds an attribute or variable of this name, of whatever object."""
    for stmt in statements(function.body):
        for target in stmt.targets if isinstance(stmt, Assign) else ():
            if isinstance(target, Ref) and attribute in target.name.split("."):
                return True
        for expr in expressions(stmt, function.module.facts.scopes):
            for node in walk(expr):
                if not isinstance(node, Call) or not isinstance(node.function, (Ref, Attribute)):
                    continue
                parts = node.function.name.split(".")
                if parts[-1] in setters or parts[-1] == "setattr":
                    return True
                if parts[-1] in _RESEEDS and attribute in parts[:-1]:
                    return True
    return False


def _outer_refs(function: Definition) -> Iterator[Ref]:
    """References to names a function does not bind itself."""
    own = function.scope.bindings
    heads = {chain.partition(".")[0] for chain in function.scope.uses if chain.partition(".")[0] not in own}
    if heads:
        for node in _nodes(function.body, function.module):
            if isinstance(node, Ref) and node.name.partition(".")[0] in heads:
                yield node


def _is_rebound(module: Module, name: str) -> bool:
    """Whether some function binds a module's variable again: in the worker, for all that is known."""
    return any(scope.bindings.get(name, 0) & GLOBAL for scope in module.facts.scopes)


def _is_global_state(value: Generator) -> bool:
    """``check_random_state(None)`` is NumPy's global generator, which loaders do seed in their workers."""
    if not value.name.endswith("check_random_state"):
        return False
    seed = argument(value.built.call, "seed", 0)
    return not isinstance(seed, Const) or seed.value is None
