"""Which functions a call runs that is not of the function itself: ``jax.grad(loss)(x)``, ``lax.scan(body, x)``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import Attribute, Call, Expr, Lambda, Ref

from .origins import VALUE, Origins

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition

_SAME = frozenset(
    "jax.jit jax.pmap jax.vmap jax.checkpoint jax.remat jax.named_call "
    "equinox.filter_jit equinox.filter_vmap flax.nnx.jit".split()
)
_DERIVED = frozenset(
    "jax.grad jax.value_and_grad jax.hessian jax.jacobian jax.jacfwd jax.jacrev equinox.filter_grad "
    "equinox.filter_value_and_grad flax.nnx.grad flax.nnx.value_and_grad".split()
)
_PARTIAL = frozenset({"functools.partial", "jax.tree_util.Partial"})
# What runs the function it is given again and again: the function's place.
_LOOPS = {
    "jax.lax.fori_loop": 2,
    "jax.lax.while_loop": 1,
    "jax.lax.scan": 0,
    "jax.lax.map": 0,
    "jax.tree_util.tree_map": 0,
    "jax.tree_map": 0,
    "jax.tree.map": 0,
}
_DEEPEST = 4


class Run(NamedTuple):
    """One function that a call runs.

    Args:
        function: A function of the project, or a lambda of the body the call stands in.
        call: The call with the arguments the function is given.
        times: 2: again and again.
        name: The function's name, "" for a lambda.
        derived: Its derivative is run.
    """

    function: Definition | Lambda
    call: Call
    times: int
    name: str = ""
    derived: bool = False


def ran(definition: Definition, call: Call) -> Iterator[Run]:
    """The functions a call in a body runs indirectly."""
    module, scope, function = definition.module, definition.index, call.function
    if isinstance(function, (Ref, Attribute)):
        place = next((_LOOPS[name] for name in module.names(scope, function) if name in _LOOPS), None)
        if place is not None:
            if place < len(call.args):
                yield from _found(definition, call.args[place], _without(call, call.args[place]), 2, _DEEPEST)
            return
        if isinstance(function, Ref) and "." in function.name:
            return
    if isinstance(function, (Call, Ref)):
        yield from (
            run for run in _found(definition, function, call, 1, _DEEPEST) if run.call is not call or _is_bare(run)
        )


def _is_bare(run: Run) -> bool:
    """``draw = lambda: ...; draw()``; a plain call of a function is no matter of this file."""
    return isinstance(run.function, Lambda)


def _found(definition: Definition, value: Expr, call: Call, times: int, depth: int) -> Iterator[Run]:
    module, scope = definition.module, definition.index
    if isinstance(value, Lambda):
        yield Run(value, call, times)
    elif isinstance(value, Call) and isinstance(value.function, (Ref, Attribute)) and value.args and depth:
        names, inner = frozenset(module.names(scope, value.function)), value.args[0]
        if names & _PARTIAL:
            yield from _found(definition, inner, _given(call, inner, value), times, depth - 1)
        elif names & (_SAME | _DERIVED):
            for run in _found(definition, inner, _given(call, inner), times, depth - 1):
                yield run._replace(derived=run.derived or bool(names & _DERIVED))
    elif isinstance(value, (Ref, Attribute)):
        targets = [one for name in module.names(scope, value) if (one := module.project.definition(name)) is not None]
        if len(targets) == 1 and targets[0].is_function:
            yield Run(targets[0], call, times, targets[0].name)
        elif isinstance(value, Ref) and "." not in value.name and depth:
            ends = module.project[Origins].of(module, scope, value, callers=False)
            if len(ends) == 1 and ends[0].kind == VALUE and not ends[0].path and ends[0].expr is not value:
                end = ends[0]
                if isinstance(end.expr, Lambda) and (end.module is not module or end.scope != scope):
                    return
                if isinstance(end.expr, (Call, Lambda)):
                    holder = end.module.definition(end.scope)
                    yield from _found(holder, end.expr, call, times, depth - 1)


def _given(call: Call, function: Expr, held: Call | None = None) -> Call:
    """A call of another function with the same arguments, after those that ``held`` holds already."""
    first = held.args[1:] if held is not None else []
    keywords = [*(held.keywords if held is not None else ()), *call.keywords]
    return Call(function, [*first, *call.args], keywords, call.line, call.column, call.end_line, call.end_column)


def _without(call: Call, function: Expr) -> Call:
    """A call of another function with arguments that are not known."""
    return Call(function, [], [], call.line, call.column, call.end_line, call.end_column)
