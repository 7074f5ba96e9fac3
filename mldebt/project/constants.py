"""Constants across files (F7): names that are assigned once, and what they are worth."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.constants import Constant, evaluate
from mldebt.facts.graph import displayed, targets
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    ASSIGNED,
    FUNCTION,
    GLOBAL,
    Annotate,
    Assign,
    Augment,
    Bind,
    Delete,
    Expr,
    For,
    If,
    Match,
    Ref,
    Stmt,
    Subscript,
    Try,
    With,
)
from mldebt.facts.walk import blocks, expressions, statements, walk

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.project import Project

_DEEPEST = 8  # constants defined by constants defined by ...
_MUTATORS = frozenset(
    "add append clear discard extend insert pop popitem remove reverse setdefault sort update".split()
)
# A script that uses one of these may assign any of its names, as nanoGPT's configurator does.
_REWRITERS = frozenset({"exec", "globals"})
# Classes whose attributes are not what their body assigns: fields with defaults, members.
_FIELD_DECORATORS = frozenset({"dataclass", "define", "frozen", "mutable", "attrs", "attr.s", "s", "dataclasses"})
_FIELD_BASES = frozenset(
    {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "NamedTuple", "TypedDict", "BaseModel", "BaseSettings", "Struct"}
)


class Constants:
    """Answers which expressions are constant, following names through scopes and imports."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._named: dict[tuple[str, int], Constant | Unknown] = {}
        self._assigned: dict[tuple[str, int], dict[str, list[Expr | None]]] = {}
        self._stored: dict[str, tuple[frozenset[str], bool]] = {}

    def value(self, module: Module, scope: int, expr: Expr) -> Constant | Unknown:
        """What ``expr`` is worth where it is read in ``scope``, or ``UNKNOWN``."""
        return self._value(module, scope, expr, _DEEPEST)

    def named(self, name: str) -> Constant | Unknown:
        """What a module or class constant is worth: ``path:NAME``, ``path:Class.NAME``."""
        return self._name(name, _DEEPEST)

    def _value(self, module: Module, scope: int, expr: Expr, depth: int) -> Constant | Unknown:
        if not depth:
            return UNKNOWN
        return evaluate(expr, lambda ref: self._ref(module, scope, ref, depth - 1))

    def _ref(self, module: Module, scope: int, ref: Ref, depth: int) -> Constant | Unknown:
        facts = module.facts
        head, dot, _ = ref.name.partition(".")
        if head in facts.scopes[scope].inner:
            return UNKNOWN
        bound = binding_scope(facts, scope, head)
        if bound is not None and facts.scopes[bound].bindings.get(head, 0) & ASSIGNED and not dot:
            kind = facts.scopes[bound].kind
            if kind != FUNCTION:
                qualname = facts.scopes[bound].qualname
                return self._name(f"{module.path}:{qualname}.{head}" if qualname else f"{module.path}:{head}", depth)
            flow = self._project.flow(module.definition(bound))
            return self._only(module, bound, flow.origins(ref) if bound == scope else flow.definitions(head), depth)
        names = self._project.resolve(module, scope, ref.name)
        return self._name(names[0], depth) if len(names) == 1 and ":" in names[0] else UNKNOWN

    def _only(self, module: Module, scope: int, origins: Sequence[Origin], depth: int) -> Constant | Unknown:
        """The value of a function's variable that one assignment defines."""
        if len(origins) != 1:
            return UNKNOWN
        origin = origins[0]
        if origin.kind != "assign" or origin.value is None or origin.path:
            return UNKNOWN
        found = self._value(module, scope, origin.value, depth)
        # What a call or a later line does to a container is not followed inside functions.
        return UNKNOWN if isinstance(found, (list, dict, frozenset)) else found

    def _name(self, name: str, depth: int) -> Constant | Unknown:
        if not depth:
            return UNKNOWN
        key = (name, depth)  # the answer is a function of both, so it is the same whoever asks first
        if key not in self._named:
            self._named[key] = self._find(name, depth)
        return self._named[key]

    def _find(self, name: str, depth: int) -> Constant | Unknown:
        path, _, qualname = name.partition(":")
        owner, dot, attribute = qualname.rpartition(".")
        module = self._project.modules.get(path)
        if module is None or not attribute:
            return UNKNOWN
        index = 0
        if dot:
            definition = self._project.definition(f"{path}:{owner}")
            if definition is None or not definition.is_class or self._has_fields(module, definition.index):
                return UNKNOWN
            index = definition.index
        value = self._once(module, index, attribute)
        if value is None or self._assigned_elsewhere(module, index, attribute):
            return UNKNOWN
        found = self._value(module, index, value, depth - 1)
        if isinstance(found, (list, dict)) and self._mutated(attribute):
            return UNKNOWN
        return found

    def _has_fields(self, module: Module, index: int) -> bool:
        scope = module.facts.scopes[index]
        for decorator in scope.decorators:
            function = getattr(decorator, "function", decorator)
            if isinstance(function, Ref) and function.name.rpartition(".")[2] in _FIELD_DECORATORS:
                return True
        bases = self._project.mro(module.definition(index).name)[1:]
        return any(base == "?" or base.rpartition(".")[2] in _FIELD_BASES for base in bases)

    def _once(self, module: Module, index: int, name: str) -> Expr | None:
        """The value of the only assignment to a name in a module's or class's own body, if nothing can skip it."""
        key = (module.path, index)
        if key not in self._assigned:
            found: dict[str, list[Expr | None]] = {}
            for target, value in _assignments(module, index):
                found.setdefault(target, []).append(value)
            self._assigned[key] = found
        values = self._assigned[key].get(name, ())
        return values[0] if len(values) == 1 else None

    def _assigned_elsewhere(self, module: Module, index: int, name: str) -> bool:
        facts = module.facts
        bits = facts.scopes[index].bindings.get(name, 0)
        if bits != ASSIGNED:
            return True
        for scope in facts.scopes if index == 0 else ():
            if scope.bindings.get(name, 0) & GLOBAL or not _REWRITERS.isdisjoint(scope.uses):
                return True
        stores, unclear = self._stores(name)
        if index:
            return bool(stores) or unclear  # through an instance or a subclass, whose type need not be known
        return f"{module.path}:{name}" in stores

    def _stores(self, attribute: str) -> tuple[frozenset[str], bool]:
        """What ``x.attribute = ...`` assigns anywhere in the project; and whether some ``x`` cannot be told."""
        known = self._stored.get(attribute)
        if known is not None:
            return known
        names: set[str] = set()
        unclear = False
        for module, scope in self._readers(attribute):
            for stmt in statements(module.body(scope)):
                for target in _stored(stmt):
                    if target.endswith(f".{attribute}"):
                        found = self._project.resolve(module, scope, target)
                        names.update(found)
                        unclear = unclear or not found
        self._stored[attribute] = known = (frozenset(names), unclear)
        return known

    def _readers(self, attribute: str) -> Iterator[tuple[Module, int]]:
        """Scopes that hold a chain ending in ``.attribute``, read or assigned."""
        ending = f".{attribute}"
        for module in self._project.modules.values():
            mentions = module.facts.mentions
            at = bisect_left(mentions, attribute)
            if at == len(mentions) or mentions[at] != attribute:
                continue
            for index, scope in enumerate(module.facts.scopes):
                if attribute in module.segments(index) and any(chain.endswith(ending) for chain in scope.uses):
                    yield module, index

    def _mutated(self, name: str) -> bool:
        """Whether a container of this name is changed in place anywhere: ``NAME.append(x)``, ``config.NAME[0] = x``."""
        for module in self._project.modules.values():
            mentions = module.facts.mentions
            at = bisect_left(mentions, name)
            if at == len(mentions) or mentions[at] != name:
                continue
            for index, scope in enumerate(module.facts.scopes):
                chains = [chain for chain in scope.uses if name in chain.split(".")]
                if any(chain.rpartition(".")[2] in _MUTATORS for chain in chains):
                    return True
                if chains and any(_changes(stmt, name) for stmt in statements(module.body(index))):
                    return True
        return False


def _assignments(module: Module, index: int) -> Iterator[tuple[str, Expr | None]]:
    """Every name a body binds, with the value when the statement is sure to run, once, and to assign just that."""
    scopes = module.facts.scopes
    stack: list[tuple[Sequence[Stmt], bool]] = [(module.body(index), True)]
    while stack:
        body, sure = stack.pop()
        for stmt in body:
            yield from _bound(stmt, sure)
            for expr in expressions(stmt, scopes):
                for node in walk(expr):
                    if type(node) is Bind:
                        yield node.name, None
            arms = blocks(stmt)
            if isinstance(stmt, If):
                test = evaluate(stmt.test)
                stack.append((stmt.body, sure and test is not UNKNOWN and bool(test)))
                stack.append((stmt.orelse, sure and test is not UNKNOWN and not test))
            elif isinstance(stmt, With):
                stack.append((stmt.body, sure))
            else:
                stack += [(arm, False) for arm in arms]


def _bound(stmt: Stmt, sure: bool) -> Iterator[tuple[str, Expr | None]]:
    if isinstance(stmt, Assign) or (isinstance(stmt, Annotate) and stmt.value is not None):
        for target in stmt.targets if isinstance(stmt, Assign) else [stmt.target]:
            for name, path in targets(target):
                value, rest = displayed(stmt.value, path) if stmt.value is not None else (None, path)
                yield name, value if sure and not rest else None
        return
    rebound: Sequence[Expr | None] = ()
    if isinstance(stmt, (Augment, For)):
        rebound = (stmt.target,)
    elif isinstance(stmt, With):
        rebound = [item.target for item in stmt.items]
    elif isinstance(stmt, Delete):
        rebound = stmt.targets
    for one in rebound:
        yield from ((name, None) for name, _ in (targets(one) if one is not None else ()))
    if isinstance(stmt, Try):
        yield from ((handler.name, None) for handler in stmt.handlers if handler.name)
    elif isinstance(stmt, Match):
        yield from ((name, None) for case in stmt.cases for name in case.names)


def _stored(stmt: Stmt) -> Iterator[str]:
    """The dotted chains a statement binds itself."""
    for name, _ in _bound(stmt, False):
        if "." in name:
            yield name


def _changes(stmt: Stmt, name: str) -> bool:
    """Whether a statement assigns to an element of a chain ending in ``name``, deletes one, or extends it."""
    if isinstance(stmt, Assign):
        changed: Sequence[Expr] = stmt.targets
    elif isinstance(stmt, (Augment, Annotate, For)):
        changed = (stmt.target,)
    elif isinstance(stmt, Delete):
        changed = stmt.targets
    else:
        return False
    for target in changed:
        base, deep = target, isinstance(target, Subscript)
        while isinstance(base, Subscript):
            base = base.value
        if isinstance(base, Ref) and base.name.rpartition(".")[2] == name and (deep or isinstance(stmt, Augment)):
            return True
    return False
