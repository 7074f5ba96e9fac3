"""The call graph: which of the project's functions a call may end in, and how sure that is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import CLASS, FUNCTION, PARAMETER, Attribute, Call, Expr, Ref, Starred
from mldebt.project.attributes import is_class_method, self_name
from mldebt.project.call_sites import calls_made
from mldebt.project.frameworks import KNOWLEDGE, PASSED_ON, Frameworks, calls_back, is_loader

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_ALTERNATIVES = 3  # class-hierarchy guesses: more classes than this with one method name say nothing
_OVERRIDES = 10
_CONSTRUCTORS = ("__new__", "__init__", "__post_init__")

Target = tuple["Definition", str]


class Edge(NamedTuple):
    """``source`` may run ``target``.

    Args:
        call: The call it happens at.
        source: The function or module whose body makes the call.
        target: The function that runs.
        confidence: exact (by name), method (by the receiver's class), framework (a library calls it back), or cha
            (an override, or one of few classes that have a method of that name).
    """

    call: Call | None
    source: Definition
    target: Definition
    confidence: str


class CallGraph:
    """Edges between the project's functions, found when asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._frameworks = Frameworks(project)
        self._targets: dict[tuple[object, ...], tuple[Target, ...]] = {}
        self._overridden: dict[tuple[str, str], tuple[Definition, ...]] = {}
        self._edges: dict[Definition, tuple[Edge, ...]] = {}

    def targets(self, module: Module, scope: int, call: Call) -> tuple[Edge, ...]:
        """Edges of one call, evaluated in ``scope``; surest first."""
        source = module.definition(scope)
        return tuple(Edge(call, source, target, how) for target, how in self._of(module, scope, call))

    def edges(self, definition: Definition) -> tuple[Edge, ...]:
        """Edges of a function's or module's body, in evaluation order. Bodies of classes in it are run by it."""
        known = self._edges.get(definition)
        if known is None:
            known = self._edges[definition] = tuple(
                Edge(call, definition, target, how)
                for scope, call in calls_made(definition.module, definition.index)
                for target, how in self._of(definition.module, scope, call)
            )
        return known

    def reachable(self, definition: Definition) -> dict[str, Edge | None]:
        """Names of all that runs from a definition, nearest first, each with the edge it was first reached by."""
        found: dict[str, Edge | None] = {definition.name: None}
        pending = deque([definition])
        while pending:
            for edge in self.edges(pending.popleft()):
                name = edge.target.name
                if name not in found:
                    found[name] = edge
                    pending.append(edge.target)
        return found

    def _of(self, module: Module, scope: int, call: Call) -> tuple[Target, ...]:
        key = (module.path, scope, call.line, call.column, call.end_line, call.end_column)
        known = self._targets.get(key)
        if known is None:
            found: dict[Definition, str] = {}
            for target, how in self._find(module, scope, call):
                found.setdefault(target, how)
            known = self._targets[key] = tuple(found.items())
        return known

    @cached_property
    def _callable(self) -> frozenset[str]:
        """The last segments a dotted call may end in something of the project by, if its receiver is unknown."""
        found = set(PASSED_ON)
        for module in self._project.modules.values():
            found.update(module.facts.stored)
            for scope in module.facts.scopes:
                found.add(scope.name)
                if scope.kind == CLASS:
                    found.update(scope.bindings)
        return frozenset(found)

    def _find(self, module: Module, scope: int, call: Call) -> Iterator[Target]:
        function = call.function
        names = self._project.resolve(module, scope, function.name) if isinstance(function, Ref) else ()
        if len(names) == 1 and ":" not in names[0] and not calls_back(names[0]):
            return  # most calls: a library's own business
        known = [name for name in names if ":" not in name or self._project.definition(name) is not None]
        if known:
            yield from self._named(known, "exact")
            if isinstance(function, Ref) and "." in function.name:
                yield from self._overrides(module, scope, function, known)
            if any(":" not in name for name in known):
                yield from self._library(module, scope, call, known)
            return
        if not names and isinstance(function, (Ref, Attribute)):
            head, _, last = function.name.rpartition(".")
            if (head or isinstance(function, Attribute)) and last not in self._callable and not is_loader(last):
                return  # ``x.append(...)``: nothing here has that name, whatever ``x`` is
        names = self._project.types.names(module, scope, function)
        if names:
            direct = isinstance(function, Ref) and "." not in function.name
            yield from self._named(names, "exact" if direct else "method")
            yield from self._overrides(module, scope, function, names)
            yield from self._library(module, scope, call, names)
        if names and all(":" not in name or self._project.definition(name) is not None for name in names):
            return
        classes = self._project.types.of(module, scope, function)
        if classes:
            yield from self._instances(classes)
        elif not names and isinstance(function, (Ref, Attribute)):
            yield from self._unknown(module, scope, call, function)

    def _named(self, names: Iterable[str], how: str) -> Iterator[Target]:
        for name in names:
            definition = self._project.definition(name) if ":" in name else None
            if definition is None:
                continue
            if definition.is_function:
                yield definition, how
            elif definition.is_class:
                for method in _CONSTRUCTORS:
                    found = self._project.method(name, method)
                    if found is not None:
                        yield found, how

    def _instances(self, classes: Iterable[str]) -> Iterator[Target]:
        """Calling an instance."""
        for name in classes:
            if ":" in name:
                method = self._project.types.call_method(name)
                found = self._project.method(name, method)
                if found is not None:
                    yield found, "method" if method == "__call__" else "framework"

    def _overrides(self, module: Module, scope: int, function: Expr, names: Iterable[str]) -> Iterator[Target]:
        """What subclasses of the receiver's class make of a method, unless the receiver is seen to be built as that."""
        methods = [name for name in names if ":" in name]
        if not methods or not isinstance(function, Ref) or "." not in function.name:
            return
        head, _, method = function.name.rpartition(".")
        for owner in self._declared(module, scope, Ref(head, function.line, function.column)):
            for override in self._derived(owner, method):
                if module.is_test or not override.module.is_test:
                    yield override, "cha"

    def _derived(self, owner: str, method: str) -> tuple[Definition, ...]:
        """The overrides of a method in subclasses of a class; () when they are too many to say anything."""
        key = (owner, method)
        known = self._overridden.get(key)
        if known is None:
            having = self._having.get(method, ())
            found = [
                override
                for derived in (self._project.resolver.classes.subclasses(owner) if having else ())
                if derived in having and (override := self._project.definition(f"{derived}.{method}")) is not None
            ]
            known = self._overridden[key] = tuple(found) if len(found) <= _OVERRIDES else ()
        return known

    @cached_property
    def _having(self) -> dict[str, set[str]]:
        """Classes by what they define: a base of hundreds is asked for its overrides again and again."""
        found: dict[str, set[str]] = {}
        for module in self._project.modules.values():
            scopes = module.facts.scopes
            for scope in scopes:
                if scope.parent > 0 and scopes[scope.parent].kind == CLASS:
                    found.setdefault(scope.name, set()).add(f"{module.path}:{scopes[scope.parent].qualname}")
        return found

    def _declared(self, module: Module, scope: int, receiver: Ref) -> tuple[str, ...]:
        """Project classes a receiver is said to be of, where it may as well be of a subclass: ``self``, annotations."""
        types = self._project.types
        head, dot, rest = receiver.name.partition(".")
        owner = types.owner_of(module, scope, head)
        if owner is not None and not dot:
            return (owner,)
        if owner is not None and "." not in rest:
            bound = types.bindings(owner, rest)
            built = all(isinstance(one.value, Call) and one.annotation is None for _, one in bound)
            found = () if built else types.of(module, scope, receiver)
        elif dot or not _may_be_parameter(module, scope, head):
            return ()
        else:
            origins = self._project.flow(module.definition(scope)).origins(receiver)
            found = types.of(module, scope, receiver) if any(one.kind == "parameter" for one in origins) else ()
        return tuple(name for name in found if ":" in name)

    def _library(self, module: Module, scope: int, call: Call, names: Iterable[str]) -> Iterator[Target]:
        for name in names:
            if ":" not in name and calls_back(name):
                yield from self._run(module, scope, call, name.rpartition(".")[2], sure=True)
                for target in self._frameworks.callbacks(module, scope, call, name):
                    yield target, "framework"

    def _run(self, module: Module, scope: int, call: Call, last: str, sure: bool) -> Iterator[Target]:
        """Functions of the project handed to somebody who calls them; objects only when it is ``sure`` who that is."""
        wanted = KNOWLEDGE.runners.get(last)
        if wanted is None:
            return
        for position, arg in enumerate(call.args):
            if isinstance(arg, Starred):
                break
            if position in wanted:
                yield from self._handed(module, scope, arg, sure)
        for keyword in call.keywords:
            if keyword.name in wanted:
                yield from self._handed(module, scope, keyword.value, sure)

    def _handed(self, module: Module, scope: int, value: Expr, sure: bool) -> Iterator[Target]:
        if not isinstance(value, (Ref, Attribute, Call)):
            return
        names = self._project.types.names(module, scope, value)
        found = list(self._named(names, "exact"))
        yield from found
        if sure and not found:
            for name in self._project.types.of(module, scope, value):
                method = self._project.method(name, "__call__") if ":" in name else None
                if method is not None:
                    yield method, "method"

    def _unknown(self, module: Module, scope: int, call: Call, function: Ref | Attribute) -> Iterator[Target]:
        """A method of something unknown: who has one of that name, and what is handed to it."""
        head, dot, method = function.name.rpartition(".")
        if isinstance(function, Ref) and not dot:
            return
        yield from self._run(module, scope, call, method, sure=False)
        if method in KNOWLEDGE.common.methods or method.startswith("__"):
            return
        if isinstance(function, Ref) and self._is_known(module, scope, Ref(head, function.line, function.column)):
            return
        reaches = self._project.imports.reaches
        found = [one for one in self._by_method.get(method, ()) if one.module is module or reaches(module, one.module)]
        if 0 < len(found) <= _ALTERNATIVES:
            for definition in found:
                yield definition, "cha"

    def _is_known(self, module: Module, scope: int, receiver: Ref) -> bool:
        """Whether the receiver's class is known, and so lacks the method or has it from a library; modules included."""
        if self._project.types.of(module, scope, receiver) or self._project.resolve(module, scope, receiver.name):
            return True
        definition = module.definition(scope)
        return receiver.name == self_name(definition) and is_class_method(definition)

    @cached_property
    def _by_method(self) -> dict[str, list[Definition]]:
        """Methods of all classes by their name, in the order of paths."""
        found: dict[str, list[Definition]] = {}
        for module in self._project.modules.values():
            scopes = module.facts.scopes
            for index, scope in enumerate(scopes):
                if scope.kind == FUNCTION and scope.parent > 0 and scopes[scope.parent].kind == CLASS:
                    found.setdefault(scope.name, []).append(module.definition(index))
        return found


def _may_be_parameter(module: Module, scope: int, name: str) -> bool:
    """Whether a name is a parameter of a scope, or of a lambda in it: asked before its flow is built."""
    facts = module.facts.scopes[scope]
    return bool(facts.bindings.get(name, 0) & PARAMETER) or name in facts.inner
