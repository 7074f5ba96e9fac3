"""What a call gives for one parameter of its callee: nothing, something, an option, or a parameter of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts import schema as ir
from mldebt.facts.arguments import UNKNOWN, argument

from .guards import ANY
from .programs import Callee, CallOp
from .states import CERTAIN, NOTHING

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_PLAIN_DECORATORS = frozenset(
    "staticmethod classmethod property contextmanager asynccontextmanager no_grad inference_mode lru_cache cache wraps "
    "overload abstractmethod".split()
)


class Binder:
    """Matches arguments with parameters; answers NOTHING, CERTAIN, ANY or the name of a caller's parameter."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[tuple[int, object, str], str] = {}

    def bind(self, op: CallOp, callee: Callee, parameter: str) -> str:
        key = (id(op), callee.key, parameter)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._bind(op, callee, parameter)
        return known

    def _bind(self, op: CallOp, callee: Callee, parameter: str) -> str:
        call = op.site.fact
        scope = callee.definition.scope
        found = next(((i, one) for i, one in enumerate(scope.parameters) if one.name == parameter), None)
        if callee.offset is None or not isinstance(call, ir.Call) or found is None:
            return ANY
        index, declared = found
        if declared.kind in (ir.VARARGS, ir.KWARGS):
            return ANY
        position = None if declared.kind == ir.KEYWORD_ONLY else index - callee.offset
        value = argument(call, parameter, position if position is None or position >= 0 else None)
        if value is UNKNOWN:
            if not _passes_rest(op.site.module.facts.scopes[op.scope], call, parameter):
                return ANY
            value = None
        if value is None:
            if declared.default is None or not _is_plain(scope):
                return ANY
            return self._value(callee.definition.module, scope.parent, declared.default)
        return self._value(op.site.module, op.scope, value)

    def _value(self, module: Module, scope: int, value: ir.Expr) -> str:
        if isinstance(value, ir.Const):
            return NOTHING if value.value is None or value.value is False else CERTAIN
        if isinstance(value, ir.Call):
            return CERTAIN
        if not isinstance(value, ir.Ref):
            return ANY
        facts = module.facts.scopes[scope]
        if facts.kind == ir.FUNCTION and facts.bindings.get(value.name) == ir.PARAMETER:
            return value.name
        constant = module.constant(scope, value)
        if constant is UNKNOWN:
            return ANY
        return NOTHING if constant is None or constant is False else CERTAIN


def _is_plain(scope: ir.Scope) -> bool:
    """Whether nothing but the caller gives a function its arguments: no command line, no configuration."""
    names = [one.function if isinstance(one, ir.Call) else one for one in scope.decorators]
    return all(isinstance(name, ir.Ref) and name.name.rpartition(".")[2] in _PLAIN_DECORATORS for name in names)


def _passes_rest(caller: ir.Scope, call: ir.Call, parameter: str) -> bool:
    """Whether a call passes on its caller's ``**kwargs``, which cannot hold what the caller itself names."""
    rest = [keyword.value for keyword in call.keywords if not keyword.name]
    own = {one.name for one in caller.parameters if one.kind == ir.KWARGS}
    named = {one.name for one in caller.parameters if one.kind not in (ir.KWARGS, ir.VARARGS)}
    return (
        parameter in named
        and not any(isinstance(one, ir.Starred) for one in call.args)
        and all(isinstance(one, ir.Ref) and one.name in own for one in rest)
    )
