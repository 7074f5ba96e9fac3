"""How literals of hyperparameters are lifted: to a constant or option that has the value, else to a new constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mldebt import cst
from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import ASSIGNED, Ref
from mldebt.finding import Applicability, Edit, Fix, Place, Span

from .magic_values import Magic
from .parsers import Parsers
from .slots import Slots

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_OBJECTS = ("args", "cfg", "config", "conf", "opt", "opts", "options", "hparams")


def lifted(found: Sequence[Magic], project: Project) -> Fix | None:
    """The edits for all literals of one file; None when one of them cannot be placed."""
    module = found[0].filled.module
    if module.path.endswith(".ipynb"):
        return None
    edits: list[Edit] = []
    added: dict[str, str] = {}
    for one in found:
        node = _argument(one)
        if node is None:
            return None
        name = _option(one, project) or _constant(one, project) or _new(one, added)
        if not name:
            return None
        edits.append(module.replace(node, name))
    if added:
        at = _after_imports(module)
        text = "".join(f"{name} = {value}\n" for name, value in added.items())
        edits.append(Edit(Place(module.path, Span(at, 1, at, 1)), f"\n{text}"))
    return Fix(Applicability.SUGGEST, "Give the hyperparameters names", tuple(edits))


def _argument(one: Magic) -> cst.BaseExpression | None:
    """The literal in concrete syntax."""
    filled = one.filled
    module = filled.module
    fragment = module.open(filled.statement, filled.scope)
    call = fragment.find(module.span(filled.call), cst.Call) if fragment is not None else None
    if call is None:
        return None
    for keyword in filled.call.keywords:
        if keyword.value is filled.value:
            return next((arg.value for arg in call.args if arg.keyword and arg.keyword.value == keyword.name), None)
    position = next((at for at, arg in enumerate(filled.call.args) if arg is filled.value), None)
    return call.args[position].value if position is not None and position < len(call.args) else None


def _option(one: Magic, project: Project) -> str:
    """``args.lr`` where the parser of this file declares that option with the same value as its default."""
    filled = one.filled
    slots = project[Slots]
    module, scope = filled.module, filled.scope
    bindings = module.scope(scope).bindings
    for declared in project[Parsers].declared(module):
        knob = slots.knob(declared.dest) if declared.flags else None
        if knob is None or knob.name != filled.name or declared.constant("default") != filled.constant:
            continue
        for name in _OBJECTS:
            if name not in bindings:
                continue
            made = project.flow(module.definition(scope)).origins(Ref(name, filled.call.line, filled.call.column))
            function = getattr(made[0].value, "function", None) if len(made) == 1 else None
            if getattr(function, "name", "").endswith("parse_args"):
                return f"{name}.{declared.dest}"
    return ""


def _constant(one: Magic, project: Project) -> str:
    """A constant of this file for the same hyperparameter with the same value."""
    filled = one.filled
    module = filled.module
    for name, bits in module.facts.scopes[0].bindings.items():
        knob = project[Slots].knob(name) if bits == ASSIGNED and name.isupper() else None
        if knob is None or knob.name != filled.name:
            continue
        value = project.constants.named(f"{module.path}:{name}")
        if value is not UNKNOWN and value == filled.constant and not _hidden(module, filled.scope, name):
            return name
    return ""


def _new(one: Magic, added: dict[str, str]) -> str:
    """A new constant, named after the hyperparameter; two values of one hyperparameter get two names."""
    filled = one.filled
    base = filled.name.upper()
    taken = filled.module.facts.scopes[0].bindings
    for number in range(1, 10):
        name = base if number == 1 else f"{base}_{number}"
        if name in taken or _hidden(filled.module, filled.scope, name):
            continue
        if added.setdefault(name, one.text) == one.text:
            return name
    return ""


def _hidden(module: Module, scope: int, name: str) -> bool:
    """Whether a function between the call and the module binds the name itself."""
    while scope > 0:
        facts = module.scope(scope)
        if name in facts.bindings or name in facts.inner:
            return True
        scope = facts.parent
    return False


def _after_imports(module: Module) -> int:
    """The line after the imports at the top of a file."""
    first = min((scope.first_line for scope in module.facts.scopes[1:]), default=1 << 30)
    lines = [one.line for one in module.facts.imports if one.scope == 0 and not one.column and one.line < first]
    if not lines:
        return 1
    held = module.statement_at(max(lines))
    return (held[0].end_line if held is not None else max(lines)) + 1
