"""Where a value goes: through variables, attributes, returned values and arguments, forwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import (
    CLASS,
    Annotate,
    Assign,
    Augment,
    Bind,
    Boolean,
    Build,
    Call,
    Conditional,
    Expr,
    Ref,
    Return,
    Starred,
    Stmt,
)
from mldebt.facts.walk import children, expressions, statements
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_DEEPEST = 7
_MOST_SITES = 12
_SAME = (Bind, Conditional, Boolean)


class Use(NamedTuple):
    """One place a value gets to.

    Args:
        module: The file.
        scope: The scope there.
        statement: The statement that uses it.
        value: The expression that is the value there.
        around: The expressions around it in its statement, innermost first.
    """

    module: Module
    scope: int
    statement: Stmt
    value: Expr
    around: tuple[Expr, ...]

    def names(self, call: Call) -> tuple[str, ...]:
        """The linked names of what a call around the value calls."""
        return self.module.names(self.scope, call.function)


Keeps = Callable[[Use], bool]


class Following(Analysis):
    """``project[Following].uses(use, keeps)``; one reading of each body that is asked about."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._read: dict[tuple[str, int], dict[str, list[Use]]] = {}
        self._reading: dict[str, dict[str, list[int]]] = {}

    def start(self, module: Module, scope: int, statement: Stmt, wanted: Expr) -> Use | None:
        """The use of an expression where it stands."""
        for root in expressions(statement, module.facts.scopes):
            for node, around in _with_parents(root):
                if node is wanted:
                    return Use(module, scope, statement, node, around)
        return None

    def uses(self, use: Use, keeps: Keeps) -> Iterator[Use]:
        """Every place a value gets to, itself first.

        Args:
            use: Where it stands.
            keeps: Whether the innermost expression around a use still is the value; that expression is a use again.
        """
        seen: set[tuple[str, int]] = set()
        pending = [(use, _DEEPEST)]
        while pending:
            one, depth = pending.pop()
            key = (one.module.path, id(one.value))
            if key in seen:
                continue
            seen.add(key)
            yield one
            if one.around and (isinstance(one.around[0], _SAME) or keeps(one)):
                pending.append((one._replace(value=one.around[0], around=one.around[1:]), depth))
            if depth > 0:
                pending += [(more, depth - 1) for more in self._onwards(one)]

    def _onwards(self, use: Use) -> Iterator[Use]:
        stmt = use.statement
        if use.around:
            if isinstance(use.around[0], (Call, Starred)):
                yield from self._given(use)
            elif isinstance(use.around[0], Bind):
                yield from self.reads(use.module, use.scope, use.around[0].name, stmt)
            elif isinstance(use.around[0], Build) and isinstance(stmt, Return) and len(use.around) == 1:
                yield from self._returned(use, use.around[0].items.index(use.value))
        elif isinstance(stmt, Assign) and use.value is stmt.value:
            for target in stmt.targets:
                if isinstance(target, Ref):
                    yield from self.reads(use.module, use.scope, target.name, stmt)
        elif isinstance(stmt, (Annotate, Augment)) and use.value is stmt.value and isinstance(stmt.target, Ref):
            yield from self.reads(use.module, use.scope, stmt.target.name, stmt)
        elif isinstance(stmt, Return):
            yield from self._returned(use, None)

    def reads(self, module: Module, scope: int, name: str, stmt: Stmt) -> Iterator[Use]:
        """Where a variable or an attribute of ``self`` is read that a statement assigns."""
        head, dot, attribute = name.partition(".")
        if dot:
            yield from self._attribute(module, scope, head, attribute)
            return
        flow = self.project.flow(module.definition(scope))
        for use in self._reads_in(module, scope).get(name, ()):
            if isinstance(use.value, Ref) and any(one.statement is stmt for one in flow.origins(use.value)):
                yield use
        for index in self._scopes_reading(module, name):
            if index != scope and binding_scope(module.facts, index, name) == scope:
                yield from self._reads_in(module, index).get(name, ())

    def _scopes_reading(self, module: Module, name: str) -> Sequence[int]:
        """The scopes that read a variable or something of it, in order."""
        found = self._reading.get(module.path)
        if found is None:
            found = self._reading[module.path] = {}
            for index, inner in enumerate(module.facts.scopes):
                for head in {chain.partition(".")[0] for chain in inner.uses}:
                    found.setdefault(head, []).append(index)
        return found.get(name, ())

    def variable(self, module: Module, scope: int, name: str) -> list[Use]:
        """Where a scope reads a variable."""
        reads = self._reads_in(module, scope).get(name, ())
        return [use for use in reads if isinstance(use.value, Ref) and use.value.name == name]

    def _attribute(self, module: Module, scope: int, head: str, attribute: str) -> Iterator[Use]:
        owner = self.project.types.owner_of(module, scope, head)
        definition = self.project.definition(owner) if owner is not None else None
        if definition is None or definition.module is not module or "." in attribute:
            return
        for index, inner in enumerate(module.facts.scopes):
            if inner.parent == definition.index and inner.parameters and inner.kind != CLASS:
                chain = f"{inner.parameters[0].name}.{attribute}"
                if any(use == chain or use.startswith(f"{chain}.") for use in inner.uses):
                    yield from self._reads_in(module, index).get(chain, ())

    def _reads_in(self, module: Module, scope: int) -> dict[str, list[Use]]:
        """Reads by name; of ``self.x.y`` as ``self.x``, too."""
        key = (module.path, scope)
        found = self._read.get(key)
        if found is None:
            found = self._read[key] = {}
            for stmt in statements(module.body(scope)):
                stored = _stored(stmt)
                for root in expressions(stmt, module.facts.scopes):
                    for node, around in _with_parents(root):
                        if type(node) is Ref and not any(node is one for one in stored):
                            use = Use(module, scope, stmt, node, around)
                            head, dot, rest = node.name.partition(".")
                            found.setdefault(head, []).append(use)
                            if dot:
                                found.setdefault(f"{head}.{rest.partition('.')[0]}", []).append(use)
        return found

    def _returned(self, use: Use, index: int | None) -> Iterator[Use]:
        """The calls of the function that returns the value, or the variable its element is unpacked to."""
        definition = use.module.definition(use.scope)
        if not definition.is_function or definition.scope.generator:
            return
        sites = self.project.callers.of(definition) or ()
        names = self.project.callers.spellings(definition)
        for site in sites[:_MOST_SITES]:
            called = last_segment(site.call.function)
            found = self.at(site) if called in names and not site.module.is_test else None
            if found is None:
                continue
            if index is None:
                yield found
            elif isinstance(found.statement, Assign) and found.value is found.statement.value:
                for target in found.statement.targets:
                    if isinstance(target, Build) and index < len(target.items):
                        item = target.items[index]
                        if isinstance(item, Ref):
                            yield from self.reads(found.module, found.scope, item.name, found.statement)

    def at(self, site: Site) -> Use | None:
        """The use of a call's own value."""
        for one in site.module.call_sites(site.scope):
            if one.call is site.call:
                return self.start(site.module, site.scope, one.statement, site.call)
        return None

    def _given(self, use: Use) -> Iterator[Use]:
        """The reads of the parameter a value is given to."""
        call = use.around[0]
        if not isinstance(call, Call) or use.value is call.function:
            return
        for edge in self.project.calls.targets(use.module, use.scope, call):
            target = edge.target
            if edge.confidence not in ("exact", "method") or not target.is_function:
                continue
            site, names = Site(use.module, use.scope, call), self.project.callers.spellings(target)
            for one in target.scope.parameters:
                if given(site, target, one.name, names) is use.value:
                    flow = self.project.flow(target)
                    for read in self._reads_in(target.module, target.index).get(one.name, ()):
                        if isinstance(read.value, Ref) and any(o.kind == "parameter" for o in flow.origins(read.value)):
                            yield read


def _with_parents(root: Expr) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    stack: list[tuple[Expr, tuple[Expr, ...]]] = [(root, ())]
    while stack:
        node, around = stack.pop()
        yield node, around
        parts = children(node)
        if parts:
            inner = (node, *around)
            stack += [(part, inner) for part in reversed(parts)]


def _stored(stmt: Stmt) -> list[Expr]:
    """The names a statement binds itself; subscripts of a name read it."""
    targets = list(stmt.targets) if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
    found: list[Expr] = []
    while targets:
        target = targets.pop()
        if isinstance(target, Build):
            targets += target.items
        else:
            found.append(target)
    return found
