"""Where a value comes from: through variables, attributes, parameters, returned values and files, backwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.graph import displayed
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    ASSIGNED,
    FUNCTION,
    Attribute,
    Bind,
    Boolean,
    Call,
    Conditional,
    Expr,
    Ref,
    Stmt,
    Wait,
)
from mldebt.facts.walk import returned_values
from mldebt.project.callers import given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin, Path
    from mldebt.module import Module

VALUE, LOOP, PARAMETER, CONTEXT, UNTOLD = "value", "loop", "parameter", "context", "unknown"
_DEEPEST = 8
_MOST_SITES = 12
_KINDS = {"assign": VALUE, "loop": LOOP, "parameter": PARAMETER, "context": CONTEXT}


class Source(NamedTuple):
    """One end of the way back.

    Args:
        module: The file ``expr`` is read in.
        scope: The scope it is read in.
        expr: The value; for LOOP what is iterated; for PARAMETER and UNTOLD the name itself.
        kind: VALUE, LOOP, PARAMETER (nobody known gives it), CONTEXT (a ``with`` target) or UNTOLD.
        path: Which element of ``expr`` it is.
        statement: The statement that defines it, if a variable holds it.
    """

    module: Module
    scope: int
    expr: Expr
    kind: str = VALUE
    path: Path = ()
    statement: Stmt | None = None


class Origins(Analysis):
    """``project[Origins].of(module, scope, expr)``."""

    def of(self, module: Module, scope: int, expr: Expr, callers: bool = True) -> tuple[Source, ...]:
        """The ends of all ways back from an expression; ``callers``: through parameters to the calls that give them."""
        return tuple(self._of(Source(module, scope, expr), callers, _DEEPEST))

    def _of(self, source: Source, callers: bool, depth: int) -> Iterator[Source]:
        module, scope, expr, kind, path, _ = source
        if depth <= 0 or kind not in (VALUE, PARAMETER):
            yield source
        elif isinstance(expr, (Bind, Wait)) and expr.value is not None:
            yield from self._of(source._replace(expr=expr.value), callers, depth)
        elif isinstance(expr, (Boolean, Conditional)):
            arms = expr.values if isinstance(expr, Boolean) else [expr.then, expr.orelse]
            for arm in arms:
                yield from self._of(source._replace(expr=arm), callers, depth)
        elif isinstance(expr, Ref):
            found = list(self._defined(module, scope, expr, callers, depth - 1))
            # An element of what a name holds is followed no further than one step.
            yield from (one._replace(path=(*one.path, *path)) for one in found) if found else (source,)
        elif isinstance(expr, Call):
            returned = list(self._returned(source, expr, depth - 1))
            if not returned:
                yield source
            for one in returned:
                yield from self._of(one, callers, depth - 1)
        else:
            yield source

    def _returned(self, source: Source, call: Call, depth: int) -> Iterator[Source]:
        """What the one project function a call runs returns."""
        edges = [
            edge
            for edge in self.project.calls.targets(source.module, source.scope, call)
            if edge.confidence in ("exact", "method")
        ]
        targets = {edge.target.name: edge.target for edge in edges}
        if depth <= 0 or len(targets) != 1:
            return
        (target,) = targets.values()
        named = source.module.names(source.scope, call.function) if isinstance(call.function, (Ref, Attribute)) else ()
        if not target.is_function or target.scope.generator or target.name not in named:
            return
        for value in returned_values(target.body):
            one, path = displayed(value, source.path)
            yield Source(target.module, target.index, one, VALUE, path)

    def _defined(self, module: Module, scope: int, ref: Ref, callers: bool, depth: int) -> Iterator[Source]:
        head, _, rest = ref.name.partition(".")
        flow = self.project.flow(module.definition(scope))
        origins: Sequence[Origin] = flow.origins(ref)
        at = scope
        if not origins:
            yield from self._outer(module, scope, ref, callers, depth)
            return
        for origin in origins:
            if origin.name != ref.name:
                if origin.kind == "parameter" and "." not in rest:
                    yield from self._attribute(module, scope, head, rest, callers, depth)
                continue
            if origin.kind == "parameter":
                yield from self._parameter(module, at, ref, callers, depth)
            elif origin.value is not None and origin.kind in _KINDS:
                one = Source(module, at, origin.value, _KINDS[origin.kind], origin.path, origin.statement)
                ends = list(self._of(one, callers, depth))
                plain = [end._replace(statement=end.statement or origin.statement) for end in ends]
                yield from plain
            else:
                yield Source(module, at, ref, UNTOLD, (), origin.statement)

    def _attribute(
        self, module: Module, scope: int, head: str, attribute: str, callers: bool, depth: int
    ) -> Iterator[Source]:
        """``self.x``: what the class's own methods assign to it."""
        owner = self.project.types.owner_of(module, scope, head)
        for there, binding in self.project.types.bindings(owner, attribute) if owner is not None else ():
            if binding.value is not None:
                yield from self._of(Source(there, binding.scope, binding.value), callers, depth)

    def _outer(self, module: Module, scope: int, ref: Ref, callers: bool, depth: int) -> Iterator[Source]:
        """A name of an enclosing function, the module, or another file."""
        head, dot, _ = ref.name.partition(".")
        bound = binding_scope(module.facts, scope, head)
        if bound is not None and bound != scope and not dot:
            bits = module.facts.scopes[bound].bindings.get(head, 0)
            if module.facts.scopes[bound].kind == FUNCTION or bits & ASSIGNED:
                yield from self._definitions(module, bound, ref, callers, depth)
                return
        for name in self.project.resolve(module, scope, ref.name):
            path, colon, variable = name.partition(":")
            if colon and "." not in variable and self.project.definition(name) is None:
                other = self.project.modules[path]
                yield from self._definitions(other, 0, Ref(variable, 0, 0), callers, depth)

    def _definitions(self, module: Module, scope: int, ref: Ref, callers: bool, depth: int) -> Iterator[Source]:
        for origin in self.project.flow(module.definition(scope)).definitions(ref.name):
            if origin.kind == "parameter":
                yield from self._parameter(module, scope, ref, callers, depth)
            elif origin.value is not None and origin.kind in _KINDS:
                one = Source(module, scope, origin.value, _KINDS[origin.kind], origin.path, origin.statement)
                yield from self._of(one, callers, depth)

    def _parameter(self, module: Module, scope: int, ref: Ref, callers: bool, depth: int) -> Iterator[Source]:
        definition = module.definition(scope)
        if not callers or depth <= 0 or not definition.is_function:
            yield Source(module, scope, ref, PARAMETER)
            return
        sites = [site for site in self.project.callers.of(definition) or () if not site.module.is_test]
        if not sites or len(sites) > _MOST_SITES:
            yield Source(module, scope, ref, PARAMETER)
            return
        spellings = self.project.callers.spellings(definition)
        for site in sites:
            value = given(site, definition, ref.name, spellings)
            if value is None:
                default = next((one.default for one in definition.scope.parameters if one.name == ref.name), None)
                if default is not None:
                    yield Source(module, definition.scope.parent, default)
                    continue
            if value is None or value is UNKNOWN:
                yield Source(module, scope, ref, PARAMETER)
            else:
                yield from self._of(Source(site.module, site.scope, value), callers, depth - 1)
