"""What one call is to the must-analysis: an event, a call into the project with its receiver's class, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts import schema as ir
from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.graph import displayed
from mldebt.facts.names import last_segment
from mldebt.facts.walk import given_values
from mldebt.project.attributes import self_name
from mldebt.project.calls import Edge

from .events import Draws, Event, Events, Seeds
from .programs import LATER, NOW, WORKER, Callee, CallOp, Key, Op, SeedOp, Site
from .relevance import Relevant

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_CONSTRUCTORS = frozenset({"__new__", "__init__", "__post_init__"})
_MOST = 10  # classes an object of unknown class may be of
# Those that run what they are given at once; all others keep it for later.
_RUNNERS = frozenset(
    "run launch optimize spawn start_processes minimize fmin agent notebook_launcher debug_launcher launch_agent Fire "
    "CLI Process Thread submit apply reduce map starmap imap Tuner process_map thread_map find_executable_batch_size "
    "to_thread".split()
)
_LATEST = "2.9.0"
_NOT_RESEEDING = ("1.2.0", "1.4.0", "1.6.0", "1.7.1", "1.8.1")  # later loaders seed random and numpy in their workers


class Calls:
    """Answers for all bodies of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.events = Events(project)
        declared = project.declared("torch")
        self._reseeds = declared is None or _LATEST in declared or not any(old in declared for old in _NOT_RESEEDING)
        self._restoring = {name: row.libraries for name, row in self.events.restores.items() if row.scope}
        self._acts: dict[str, bool] = {}
        self._by_call: dict[tuple[str, int], dict[int, list[Edge]]] = {}
        self.relevant = Relevant(project, self.events)
        self._families: dict[str, bool] = {}
        self._built: dict[str, tuple[Key, ...]] = {}

    def names(self, module: Module, scope: int, call: ir.Call) -> tuple[str, ...]:
        return module.names(scope, call.function) if isinstance(call.function, (ir.Ref, ir.Attribute)) else ()

    def event(self, module: Module, scope: int, call: ir.Call) -> Event | None:
        function = call.function
        if not isinstance(function, (ir.Ref, ir.Attribute)):
            return None
        last = function.name.rpartition(".")[2]
        if isinstance(function, ir.Ref) and self._is_variable(module, scope, function.name):
            return self._looped(module, scope, function)
        if not self.events.mentioned(last) and not (isinstance(function, ir.Ref) and self._has_families(module)):
            return None
        return self.events.of(module, scope, call, self.names(module, scope, call))

    def draws(self, definition: Definition) -> bool:
        """Whether a function draws itself."""
        module, index = definition.module, definition.index
        return any(isinstance(self.event(module, index, one.call), Draws) for one in module.call_sites(index))

    def _is_variable(self, module: Module, scope: int, name: str) -> bool:
        facts = module.facts.scopes[scope]
        return facts.bindings.get(name, 0) == ir.ASSIGNED or name in facts.inner

    def _looped(self, module: Module, scope: int, function: ir.Ref) -> Seeds | None:
        """``for seed in (random.seed, np.random.seed): seed(0)``."""
        flow = self.project.flow(module.definition(scope))
        libraries: list[str] = []
        for origin in flow.origins(function):
            value, path = origin.value, origin.path
            if isinstance(value, ir.Ref) and "." not in value.name:
                held = flow.origins(value) or flow.definitions(value.name)
                value = held[0].value if len(held) == 1 and not held[0].path else None
            if origin.kind != "loop" or not isinstance(value, ir.Build):
                continue
            for item in value.items:
                part, rest = displayed(item, path)
                names = module.names(scope, part) if not rest and isinstance(part, (ir.Ref, ir.Attribute)) else ()
                libraries += [
                    one for name in names if name in self.events.seeds for one in self.events.seeds[name].seeds
                ]
        return Seeds(tuple(dict.fromkeys(libraries))) if libraries else None

    def _has_families(self, module: Module) -> bool:
        """Whether a file's calls may be of an open family of names, such as ``torchvision.models.*``."""
        known = self._families.get(module.path)
        if known is None:
            heads = {fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level}
            known = self._families[module.path] = not heads.isdisjoint(self.events.families)
        return known

    def scoped(self, name: str) -> tuple[str, ...]:
        """The libraries a library's context manager puts back at its end."""
        return self._restoring.get(name, ())

    def managed(self, name: str, site: Site, scope: int) -> tuple[list[CallOp], list[Key]]:
        """What entering and leaving a ``with`` block runs, for an instance of a project class."""
        enter = self.project.method(name, "__enter__") if ":" in name else None
        leave = self.project.method(name, "__exit__") if ":" in name else None
        entering = [] if enter is None else [CallOp(site, scope, ((Callee(_key(enter, name), enter, None),),))]
        return entering, [] if leave is None else [_key(leave, name)]

    def decorator(self, module: Module, scope: int, decorator: ir.Expr) -> tuple[str, ...]:
        return module.names(scope, decorator.function if isinstance(decorator, ir.Call) else decorator)

    def wrappers(self, name: str) -> Iterator[Key]:
        """The functions inside a decorator of the project: one of them runs around the decorated function."""
        found = self.project.definition(name) if ":" in name else None
        if found is None or not found.is_function:
            return
        scopes = found.module.facts.scopes
        yield Key(found.module.path, found.index)  # a context manager used as a decorator
        for index in range(found.index + 1, len(scopes)):
            if scopes[index].first_line > found.scope.end_line:
                break
            if scopes[index].kind == ir.FUNCTION:
                yield Key(found.module.path, index)

    def imported(self, module: Module, scope: int, stmt: ir.Imports) -> Iterator[Op]:
        """Bodies that run because a function imports them; not those that they import in turn."""
        for fact, targets in self.imports(module, stmt):
            for path in targets:
                other = self.project.modules[path]
                if self.may_act(other):
                    callee = Callee(Key(path, 0), other.definition(0), None)
                    yield CallOp(Site(module, stmt, f"import of {fact.module or fact.bound}"), scope, ((callee,),))

    def imports(self, module: Module, stmt: ir.Imports) -> Iterator[tuple[ir.Import, tuple[str, ...]]]:
        """The imports of a statement, each with the project's modules it runs, packages first."""
        for fact in module.facts.imports[stmt.first : stmt.first + stmt.count]:
            if not fact.guard & ir.TYPE_CHECKING:
                yield fact, self.project.imports.targets(module.path, fact)

    def may_act(self, module: Module) -> bool:
        """A cheap test: the identifiers its body and its classes' bodies read."""
        known = self._acts.get(module.path)
        if known is None:
            scopes = module.facts.scopes
            bodies = [scopes[0], *[scope for scope in scopes if scope.parent == 0 and scope.kind == ir.CLASS]]
            segments = {chain.rpartition(".")[2] for scope in bodies for chain in scope.uses}
            own = {scope.name for scope in scopes if scope.kind == ir.FUNCTION}
            own |= {
                fact.bound for fact in module.facts.imports if not fact.scope and (fact.level or self._is_own(fact))
            }
            known = not own.isdisjoint(segments) or any(self.events.mentioned(one) for one in segments)
            self._acts[module.path] = known
        return known

    def _is_own(self, fact: ir.Import) -> bool:
        return self.project.module_named(fact.module) is not None

    def is_nothing(self, module: Module, scope: int, call: ir.Call, caller: Key) -> bool:
        """A cheap test: a call of nothing that is known to act. Most calls are."""
        if self._edges(module, scope, call) or self._own_method(module, scope, call, caller):
            return False
        function = call.function
        if not isinstance(function, (ir.Ref, ir.Attribute)):
            return True
        last = last_segment(function)
        if last[:1].isupper() or self.events.mentioned(last):
            return False
        return not isinstance(function, ir.Ref) or not (
            self._is_variable(module, scope, function.name) or self._has_families(module)
        )

    def _edges(self, module: Module, scope: int, call: ir.Call) -> Sequence[Edge]:
        """The edges of one call, from those of the body it is in."""
        key = (module.path, scope)
        found = self._by_call.get(key)
        if found is None:
            found = self._by_call[key] = {}
            for edge in self.project.calls.edges(module.definition(scope)):
                found.setdefault(id(edge.call), []).append(edge)
        return found.get(id(call), ())

    def into(self, module: Module, scope: int, call: ir.Call, caller: Key, kept: bool) -> Iterator[Op]:
        """The call as far as it leads into the project."""
        function = call.function
        last = last_segment(function)
        edges = self._own_method(module, scope, call, caller) or self._edges(module, scope, call)
        edges = tuple(edge for edge in edges if edge.target in self.relevant)
        if not edges and not last[:1].isupper():
            return  # most calls
        names: tuple[str, ...] = ()
        if last[:1].isupper() or any(edge.target.scope.name in _CONSTRUCTORS for edge in edges):
            names = self.names(module, scope, call)
            for name in names:
                found = self.events.constructs(name) if ":" in name else None
                if found is not None and not kept:
                    yield SeedOp(found.libraries, Site(module, call, last))
        if not edges:
            return
        direct = [edge for edge in edges if not self._is_handed(module, scope, call, edge, last)]
        site = Site(module, call, last or "call")
        if direct:
            groups = self._groups(module, scope, call, caller, direct, names)
            sure = all(edge.confidence == "exact" for edge in direct) or len(groups) == 1
            yield CallOp(site, scope, groups, sure, LATER if kept else NOW)
        if len(direct) == len(edges):
            return
        when = LATER if kept or last not in _RUNNERS else NOW
        if any(one.rpartition(".")[2].endswith("DataLoader") for one in (last, *self.names(module, scope, call))):
            when = WORKER if self._has_workers(module, scope, call) else LATER
        for edge in edges:
            if edge not in direct:
                yield CallOp(
                    site, scope, ((self._callee(edge, caller, self._class_of(edge.target), None),),), True, when
                )

    def _own_method(self, module: Module, scope: int, call: ir.Call, caller: Key) -> tuple[Edge, ...]:
        """``self.method()`` where the class of ``self`` is known."""
        function = call.function
        if not caller.owner or not isinstance(function, ir.Ref):
            return ()
        head, _, method = function.name.partition(".")
        source = module.definition(scope)
        if "." in method or not method or head != self_name(source):
            return ()
        target = self.project.method(caller.owner, method)
        return () if target is None else (Edge(call, source, target, "method"),)

    def _is_handed(self, module: Module, scope: int, call: ir.Call, edge: Edge, last: str) -> bool:
        """Whether the target is an argument of the call, or called back, and not what the call itself names."""
        if edge.confidence == "framework":
            return edge.target.scope.name != "forward" or last in ("fit", "train")
        if edge.confidence != "exact":
            return False
        if edge.target.name in self.names(module, scope, call):
            return False
        given = given_values(call)
        inner = (value.function if isinstance(value, ir.Call) else value for value in given)
        return any(
            isinstance(one, (ir.Ref, ir.Attribute)) and edge.target.name in module.names(scope, one) for one in inner
        )

    def _groups(
        self, module: Module, scope: int, call: ir.Call, caller: Key, edges: list[Edge], names: Collection[str]
    ) -> tuple[tuple[Callee, ...], ...]:
        """Constructors of one class run in turn; everything else is an alternative."""
        classes = [name for name in names if ":" in name and self._is_class(name)]
        receiver = self._receiver_class(module, scope, call, caller)
        groups: dict[str, list[Callee]] = {}
        for edge in edges:
            target = edge.target
            owner = self._class_of(target)
            if target.scope.name in _CONSTRUCTORS and classes:
                owner = next((name for name in classes if owner in self.project.mro(name)), owner)
                group = owner
            else:
                if owner and receiver and owner in self.project.mro(receiver):
                    owner = receiver
                group = target.name
            offset = 1 if self._class_of(target) and not _is_static(target) and _is_bound(module, scope, call) else 0
            built = self._builders(owner) if edge.confidence == "cha" and offset and not receiver else ()
            groups.setdefault(group, []).append(self._callee(edge, caller, owner, offset, built))
        return tuple(tuple(group) for group in groups.values())

    def _callee(self, edge: Edge, caller: Key, owner: str, offset: int | None, built: tuple[Key, ...] = ()) -> Callee:
        return Callee(_key(edge.target, owner), edge.target, offset, built)

    def _builders(self, name: str) -> tuple[Key, ...]:
        """Constructors, one of which made the object a method of this class is called on."""
        known = self._built.get(name)
        if known is None:
            names = [name, *[derived.name for derived in self.project.subclasses(name)]][:_MOST]
            found = [(self.project.method(one, method), one) for one in names for method in sorted(_CONSTRUCTORS)]
            seen = [(one, owner) for one, owner in found if one is not None and one in self.relevant]
            known = self._built[name] = tuple(_key(one, owner) for one, owner in seen)
        return known

    def _receiver_class(self, module: Module, scope: int, call: ir.Call, caller: Key) -> str:
        """The one project class of the object a method is called on."""
        function = call.function
        if isinstance(function, ir.Ref):
            head, dot, _ = function.name.rpartition(".")
            if not dot:
                classes = self.project.types.of(module, scope, function)
                return classes[0] if len(classes) == 1 and ":" in classes[0] else ""
            if head == self_name(module.definition(scope)):
                return caller.owner
            if caller.owner and not _is_bound(module, scope, call):
                return caller.owner  # ``Base.__init__(self)``
            receiver: ir.Expr = ir.Ref(head, function.line, function.column)
        elif isinstance(function, ir.Attribute):
            receiver = function.value
            if (
                isinstance(receiver, ir.Call)
                and isinstance(receiver.function, ir.Ref)
                and receiver.function.name == "super"
            ):
                return caller.owner
        else:
            receiver = function
        classes = self.project.types.of(module, scope, receiver)
        return classes[0] if len(classes) == 1 and ":" in classes[0] else ""

    def _class_of(self, target: Definition) -> str:
        parent = target.parent
        return parent.name if parent is not None and parent.is_class else ""

    def _is_class(self, name: str) -> bool:
        found = self.project.definition(name)
        return found is not None and found.is_class

    def _has_workers(self, module: Module, scope: int, call: ir.Call) -> bool:
        """Whether a loader may run in worker processes that seed ``random`` and NumPy from torch."""
        given = argument(call, "num_workers", 5)
        if given is None or not self._reseeds:
            return False
        return given is UNKNOWN or module.constant(scope, given) != 0


def _key(definition: Definition, owner: str) -> Key:
    return Key(definition.module.path, definition.index, owner)


def _is_bound(module: Module, scope: int, call: ir.Call) -> bool:
    """Whether the receiver is not among the arguments: not ``Base.method(self)``."""
    own, first = self_name(module.definition(scope)), call.args[0] if call.args else None
    if not own or not isinstance(first, ir.Ref) or first.name != own or not isinstance(call.function, ir.Ref):
        return True
    head = call.function.name.rpartition(".")[0]
    found = [module.project.definition(name) for name in module.names(scope, head)] if head else []
    return not any(one is not None and one.is_class for one in found)


def _is_static(target: Definition) -> bool:
    return any(isinstance(one, ir.Ref) and one.name == "staticmethod" for one in target.scope.decorators)
