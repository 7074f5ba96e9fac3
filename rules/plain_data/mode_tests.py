"""Comparisons of variables and options with string literals, found in the facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import (
    ASSIGNED,
    CLASS,
    FUNCTION,
    PARAMETER,
    Annotate,
    Assign,
    Attribute,
    Boolean,
    Build,
    Call,
    Compare,
    Conditional,
    Const,
    Expr,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.callers import Site

OPTION, OWN, PARAMETERS, CLOSED = "option", "attribute", "parameter", "closed"
# What programs call their settings.
_SETTINGS = frozenset(
    """args arg opt opts option options cfg conf config configs configuration params param hparams hps hyp settings
    flags namespace parsed parser_args training_args model_args data_args cli_args""".split()
)
_SAME = frozenset({"lower", "upper", "strip", "casefold"})


class Comparison(NamedTuple):
    """``name`` is compared with ``literals`` in ``stmt``; ``how`` says what the name is: option, attribute,
    parameter, or closed, a variable whose every value is written out.

    ``aliases``: literals the same name is compared with in the same statement.
    """

    module: Module
    scope: int
    stmt: Stmt
    node: Compare
    name: str
    how: str
    literals: tuple[str, ...]
    aliases: frozenset[str]


def comparisons(module: Module, name: str, lines: Collection[int]) -> Iterator[Comparison]:
    """The comparisons of a name with string literals that stand on these lines, in source order."""
    for index in sorted({module.scope_at(line) for line in lines}):
        for stmt in statements(module.body(index)):
            found = list(_in_statement(module, index, stmt, name))
            every = frozenset(literal for one in found for literal in one.literals)
            for one in found:
                yield one._replace(aliases=every.difference(one.literals))


def _in_statement(module: Module, index: int, stmt: Stmt, name: str) -> Iterator[Comparison]:
    for root in expressions(stmt, module.facts.scopes):
        if isinstance(root, (Ref, Const)):
            continue
        for node in walk(root):
            if isinstance(node, Compare) and len(node.ops) == 1 and node.ops[0] in ("==", "!=", "in", "not in"):
                literals = _literals(node.comparators[0], node.ops[0])
                if literals and _named(node.left) == name and (how := _how(module, index, node.left)):
                    yield Comparison(module, index, stmt, node, name, how, literals, frozenset())


def _literals(expr: Expr, op: str) -> tuple[str, ...]:
    if isinstance(expr, Const):
        return (expr.value,) if isinstance(expr.value, str) and op in ("==", "!=") else ()
    if isinstance(expr, Build) and op in ("in", "not in") and not expr.keys:
        values = [item.value for item in expr.items if isinstance(item, Const) and isinstance(item.value, str)]
        return tuple(values) if len(values) == len(expr.items) else ()
    return ()


def _plain(expr: Expr) -> Expr:
    """``mode`` of ``mode.lower()``."""
    if isinstance(expr, Call) and not expr.args and isinstance(expr.function, (Ref, Attribute)):
        head, _, last = expr.function.name.rpartition(".")
        if last in _SAME:
            if isinstance(expr.function, Attribute):
                return expr.function.value if not head else expr
            return Ref(head, expr.function.line, expr.function.column)
    return expr


def _named(expr: Expr) -> str | None:
    expr = _plain(expr)
    if isinstance(expr, Ref):
        return expr.name.rpartition(".")[2]
    if isinstance(expr, Subscript) and isinstance(expr.index, Const) and isinstance(expr.index.value, str):
        return expr.index.value
    return None


def _how(module: Module, index: int, expr: Expr) -> str:
    """What is compared: an option of a settings object, an own attribute, or a parameter; "" for anything else."""
    expr = _plain(expr)
    if isinstance(expr, Subscript):
        return OPTION if isinstance(expr.value, Ref) and _is_settings(expr.value.name) else ""
    if not isinstance(expr, Ref):
        return ""
    head, _, _ = expr.name.rpartition(".")
    if head:
        if _is_settings(head):
            return OPTION
        return OWN if head == "self" else ""
    return _local(module, index, expr)


def option_name(expr: Expr) -> str | None:
    """``sched`` of ``cfg.sched`` and ``cfg["sched"]``; None for what is no option of a settings object."""
    expr = _plain(expr)
    if isinstance(expr, Subscript):
        return _named(expr) if isinstance(expr.value, Ref) and _is_settings(expr.value.name) else None
    head = expr.name.rpartition(".")[0] if isinstance(expr, Ref) else ""
    return _named(expr) if _is_settings(head) else None


def _is_settings(chain: str) -> bool:
    return chain.rpartition(".")[2].lower().lstrip("_") in _SETTINGS


def _local(module: Module, index: int, ref: Ref) -> str:
    """A bare name: a parameter nobody assigns again but from itself, or a variable that holds an option."""
    scopes = module.facts.scopes
    at = index
    while at >= 0 and (scopes[at].kind == CLASS or ref.name not in scopes[at].bindings):
        at = scopes[at].parent
    if at <= 0:
        return ""
    bits = scopes[at].bindings[ref.name]
    if bits & PARAMETER:
        return PARAMETERS
    if bits != ASSIGNED:
        return ""
    origins = module.project.flow(module.definition(at)).definitions(ref.name)
    if _words(origins, module, at):
        return CLOSED
    values = [origin.value for origin in origins if origin.kind == "assign" and not origin.path]
    if len(values) == len(origins) and values and all(_is_option(value) for value in values):
        return OPTION
    return ""


def closed_words(site: Comparison) -> frozenset[str]:
    """What a variable can hold whose every value is written out in its function."""
    left = _plain(site.node.left)
    scopes, at = site.module.facts.scopes, site.scope
    while at > 0 and (scopes[at].kind == CLASS or site.name not in scopes[at].bindings):
        at = scopes[at].parent
    if not isinstance(left, Ref):
        return frozenset()
    origins = site.module.project.flow(site.module.definition(at)).definitions(left.name)
    return _words(origins, site.module, at)


def held_words(site: Site, ref: Ref) -> frozenset[str]:
    """What a variable can hold that a call hands on, when its function or file writes every value out."""
    module, at = site.module, site.scope
    scopes = module.facts.scopes
    while at > 0 and (scopes[at].kind == CLASS or ref.name not in scopes[at].bindings):
        at = scopes[at].parent
    return _words(module.project.flow(module.definition(at)).definitions(ref.name), module, at)


def _words(origins: Sequence[Origin], module: Module, scope: int) -> frozenset[str]:
    """Every value of a variable, when all are literals: assigned, or looped over, also by a constant's name."""
    found: set[str] = set()
    for origin in origins:
        if origin.kind == "loop" and isinstance(origin.value, Ref) and not origin.path:
            listed = module.constant(scope, origin.value)
            if not isinstance(listed, (list, tuple)) or not all(isinstance(one, str) for one in listed):
                return frozenset()
            found.update(one for one in listed if isinstance(one, str))
            continue
        parts = _alternatives(origin)
        if not parts or any(not isinstance(part, Const) or not isinstance(part.value, str) for part in parts):
            return frozenset()
        found.update(part.value for part in parts if isinstance(part, Const) and isinstance(part.value, str))
    return frozenset(found)


def _alternatives(origin: Origin) -> Sequence[Expr]:
    if origin.path or origin.value is None:
        return ()
    if origin.kind == "loop":
        return origin.value.items if isinstance(origin.value, Build) and not origin.value.keys else ()
    if origin.kind != "assign":
        return ()
    return (origin.value.then, origin.value.orelse) if isinstance(origin.value, Conditional) else (origin.value,)


def _is_option(value: Expr | None) -> bool:
    value = _plain(value) if value is not None else None
    if isinstance(value, Boolean):
        return _is_option(value.values[0])
    return isinstance(value, Ref) and "." in value.name and _is_settings(value.name.rpartition(".")[0])


class WordTypes(Analysis):
    """Answers whether the project has a type for a vocabulary: an Enum, or a ``Literal``."""

    def covers(self, literals: Collection[str]) -> bool:
        """Whether one type has at least half of the literals."""
        wanted = set(literals)
        return any(2 * len(wanted & values) >= len(wanted) for values in self._types)

    @cached_property
    def _types(self) -> list[frozenset[object]]:
        found: list[frozenset[object]] = []
        for module in self.project.modules.values():
            for index, scope in enumerate(module.facts.scopes):
                if scope.kind == CLASS and any(isinstance(base, Ref) and "Enum" in base.name for base in scope.bases):
                    values = [stmt.value for stmt in module.body(index) if isinstance(stmt, Assign)]
                    found.append(frozenset(one.value for one in values if isinstance(one, Const)))
            if "Literal" in module.mentions:
                found += _literal_types(module)
        return found


def _literal_types(module: Module) -> Iterator[frozenset[object]]:
    for annotation in _annotations(module):
        for node in walk(annotation):
            if isinstance(node, Subscript) and isinstance(node.value, Ref) and node.value.name.endswith("Literal"):
                yield frozenset(part.value for part in walk(node.index) if isinstance(part, Const))


def _annotations(module: Module) -> Iterator[Expr]:
    scopes = module.facts.scopes
    for index, scope in enumerate(scopes):
        yield from (one.annotation for one in scope.parameters if one.annotation is not None)
        if scope.kind == FUNCTION:
            continue
        for stmt in module.body(index):
            if isinstance(stmt, Annotate):
                yield stmt.annotation
                yield from (() if stmt.value is None else (stmt.value,))
            elif isinstance(stmt, Assign) and isinstance(stmt.value, Subscript):
                yield stmt.value


def is_typed(module: Module, name: str) -> bool:
    """Whether a file gives a parameter or field of this name a type that is no plain text."""
    for index, scope in enumerate(module.facts.scopes):
        for parameter in scope.parameters:
            if parameter.name == name and parameter.annotation is not None and not _is_text(parameter.annotation):
                return True
        if scope.kind == CLASS and name in scope.bindings:
            for stmt in module.body(index):
                if isinstance(stmt, Annotate) and getattr(stmt.target, "name", "") == name:
                    return not _is_text(stmt.annotation)
    return False


def _is_text(annotation: Expr) -> bool:
    """``str``, ``str | None``, ``Optional[str]``, ``Any``."""
    names = {node.name.rpartition(".")[2] for node in walk(annotation) if isinstance(node, Ref)}
    return names <= {"str", "Optional", "Union", "Any", "None", "Annotated", "object", "List", "list"}
