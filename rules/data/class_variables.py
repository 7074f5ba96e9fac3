"""Variables of classes: ``TARGET = "churn"`` in a class's body, the defaults of a dataclass's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldebt.facts.schema import Annotate, Assign, Call, Expr, Lambda, Ref, Stmt

from .rows import Value
from .state import DEEPEST, Frame

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition

    from .running import Run


def class_variable(run: Run, owner: str, name: str) -> Value:
    """What a class, or the nearest of its bases that binds the name, says it is."""
    for base in run.project.mro(owner):
        definition = run.project.definition(base) if ":" in base else None
        for stmt in definition.body if definition is not None else ():
            expr = _given(stmt, name)
            if expr is not None and definition is not None:
                return _inside(run, definition, expr)
    return None


def _given(stmt: Stmt, name: str) -> Expr | None:
    if isinstance(stmt, Annotate):
        targets = [stmt.target]
    elif isinstance(stmt, Assign):
        targets = stmt.targets
    else:
        return None
    value = stmt.value if any(isinstance(one, Ref) and one.name == name for one in targets) else None
    if isinstance(value, Call) and isinstance(value.function, Ref) and value.function.name.endswith("field"):
        defaults = [one.value for one in value.keywords if one.name in ("default", "default_factory")]
        value = defaults[0] if defaults else None
    return value.body if isinstance(value, Lambda) else value


def _inside(run: Run, definition: Definition, expr: Expr) -> Value:
    if len(run.frames) > DEEPEST:
        return None
    run.enter(Frame(definition.module, definition.index, {}, [], stmt=run.frame.stmt))
    value = run.evaluator.of(expr)
    run.leave()
    return value
