"""The names a program hands over: constants, defaults of parameters, fields, options and leaves of configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import Boolean, Build, Conditional, Expr, Ref
from mldebt.project.callers import given
from mldebt.rule import Analysis

from ..glue.configured import Configured  # noqa: TID252 - installed under another name

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

_DEEPEST = 6
_MOST = 4  # names one place may stand for
_MOST_SITES = 20


class SpelledNames(Analysis):
    """Answers which texts of the project an expression may be; a text that is put together is none of them."""

    def of(self, module: Module, scope: int, expr: Expr) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(self._of(module, scope, expr, _DEEPEST)))
        return found if len(found) <= _MOST else ()

    def _of(self, module: Module, scope: int, expr: Expr, depth: int) -> Iterator[str]:
        value = module.constant(scope, expr)
        if value is not UNKNOWN:
            yield from (value,) if isinstance(value, str) and value else ()
            return
        if depth <= 0:
            return
        if isinstance(expr, (Boolean, Conditional)):
            for one in expr.values if isinstance(expr, Boolean) else (expr.then, expr.orelse):
                yield from self._of(module, scope, one, depth - 1)
        elif isinstance(expr, Ref) and "." not in expr.name:
            for origin in self._origins(module, scope, expr):
                yield from self._origin(module, scope, origin, depth)
        else:
            yield from self._read(module, scope, expr, depth)

    def _origins(self, module: Module, scope: int, ref: Ref) -> tuple[Origin, ...]:
        bound = binding_scope(module.facts, scope, ref.name)
        if bound is None:
            return ()
        flow = self.project.flow(module.definition(bound))
        return tuple(flow.origins(ref) if bound == scope else flow.definitions(ref.name))

    def _origin(self, module: Module, scope: int, origin: Origin, depth: int) -> Iterator[str]:
        if origin.kind == "parameter" and origin.statement is None:
            yield from self._parameter(module.definition(scope), origin.name, depth)
        elif origin.kind == "assign" and origin.value is not None and not origin.path:
            yield from self._of(module, scope, origin.value, depth - 1)
        elif origin.kind == "loop" and not origin.path and isinstance(origin.value, (Build, Ref)):
            names = module.constant(scope, origin.value)
            yield from (one for one in names if isinstance(one, str)) if isinstance(names, (list, tuple)) else ()

    def _parameter(self, definition: Definition, name: str, depth: int) -> Iterator[str]:
        """What callers give, and the default."""
        if not definition.is_function:
            return
        spellings = self.project.callers.spellings(definition)
        sites = self.project.callers.of(definition) or ()
        defaults = not sites
        for site in sites[:_MOST_SITES]:
            value = given(site, definition, name, spellings)
            if value is None:
                defaults = True
            elif value is not UNKNOWN and not site.module.is_test:
                yield from self._of(site.module, site.scope, value, depth - 1)
        default = self.project[Configured].parameter(definition, name) if defaults else None
        if default is not None:
            yield from self._of(*default, depth - 1)

    def _read(self, module: Module, scope: int, expr: Expr, depth: int) -> Iterator[str]:
        """``self.name``, ``args.name``, ``cfg.model.name``, ``CONFIG["name"]``."""
        if isinstance(expr, Ref):
            head, _, attribute = expr.name.partition(".")
            owner = self.project.types.owner_of(module, scope, head) if "." not in attribute else None
            bindings = self.project.types.bindings(owner, attribute) if owner is not None else []
            for where, one in bindings:
                if one.value is not None:
                    yield from self._of(where, one.scope, one.value, depth - 1)
            if bindings:
                return
        found = self.project[Configured].value(module, scope, expr)
        if isinstance(found, str):
            yield found
        elif found is not None:
            yield from self._of(*found, depth - 1)
