"""What becomes of an option's value where it is read: converted, tested for truth, compared with None, or used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Annotate,
    Assert,
    Assign,
    Attribute,
    Boolean,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Const,
    Expr,
    If,
    Ref,
    Return,
    Stmt,
    Unary,
    While,
)
from mldebt.facts.walk import children, expressions, statements, walk

if TYPE_CHECKING:
    from mldebt.module import Module

TEST, PROBE, VALUE, UNCLEAR = "test", "probe", "value", "unclear"

_TRUE, _FALSE = frozenset({"1", "true", "t", "yes", "y", "on"}), frozenset({"0", "false", "f", "no", "n", "off", ""})
_TEXT_METHODS = frozenset({"lower", "upper", "strip", "casefold", "rstrip", "lstrip", "title"})
_PATHS = frozenset({"Path", "PurePath", "expanduser", "abspath", "realpath", "fspath", "normpath"})
_BOOLEANS = frozenset({"strtobool", "str2bool", "str_to_bool", "parse_bool", "to_bool", "string_to_bool", "boolean"})


class Use(Struct, frozen=True):
    """``values`` is the fallback before and after conversions; ``how`` is what the converted value is used for."""

    value: Any
    converted: Any
    how: frozenset[str]
    is_converted: bool


def use(module: Module, scope: int, statement: Stmt, read: Expr, value: Any) -> Use:
    """How the statement uses what ``read`` gives, when that is the constant ``value``."""
    chain = _parents(expressions(statement, module.facts.scopes), read)
    converted: Any | Unknown = value
    node, climbed = read, 0
    for parent in chain:
        result = _convert(module, scope, parent, node, converted)
        if result is UNKNOWN:
            break
        converted, node, climbed = result, parent, climbed + 1
    how = _how(module, scope, statement, node, chain[climbed:])
    return Use(value, converted, frozenset(how), climbed > 0)


def _parents(roots: Iterable[Expr], node: Expr) -> Sequence[Expr]:
    """The expressions around a node, innermost first."""
    for root in roots:
        stack: list[tuple[Expr, tuple[Expr, ...]]] = [(root, ())]
        while stack:
            at, above = stack.pop()
            if at is node:
                return above
            stack += [(part, (at, *above)) for part in children(at)]
    return ()


def _convert(module: Module, scope: int, parent: Expr, node: Expr, value: Any) -> Any:
    """What ``parent`` makes of a constant in the place of ``node``; UNKNOWN when it is no conversion."""
    if isinstance(parent, Call):
        return _called(parent, node, value)
    if isinstance(parent, Attribute) and parent.value is node and parent.name in _TEXT_METHODS:
        return value  # the call around it converts
    if isinstance(parent, Boolean) and parent.op == "or" and parent.values[0] is node and len(parent.values) == 2:
        return value if value else module.constant(scope, parent.values[1])
    if isinstance(parent, Compare) and len(parent.ops) == 1 and parent.ops[0] not in ("is", "is not"):
        return _compared(module, scope, parent, node, value)
    return UNKNOWN


def _compared(module: Module, scope: int, parent: Compare, node: Expr, value: Any) -> Any:
    """``value == "true"``, ``value in ("1", "yes")``."""
    op, first = parent.ops[0], parent.left is node
    other = module.constant(scope, parent.comparators[0] if first else parent.left)
    if other is UNKNOWN or other is None:
        return UNKNOWN
    if op in ("==", "!="):
        return (value == other) == (op == "==")
    if op in ("in", "not in") and first and isinstance(other, (tuple, list, frozenset)):
        return (value in other) == (op == "in")
    return UNKNOWN


def _called(call: Call, node: Expr, value: Any) -> Any:
    function = call.function
    name = last_segment(function)
    try:
        if function is node:
            return UNKNOWN
        if isinstance(function, Attribute) and function.name in _TEXT_METHODS and not call.args:
            return getattr(value, name)() if isinstance(value, str) else UNKNOWN
        if len(call.args) != 1 or call.args[0] is not node or call.keywords:
            return UNKNOWN
        if name in _BOOLEANS and isinstance(value, (str, bool)):
            text = str(value).lower()
            return True if text in _TRUE else False if text in _FALSE else UNKNOWN
        if name in _PATHS and isinstance(value, str):
            return value
        if name in ("int", "float", "str", "bool") and isinstance(value, (str, int, float, bool)):
            return {"int": int, "float": float, "str": str, "bool": bool}[name](value)
    except ValueError:
        return UNKNOWN
    return UNKNOWN


def _how(module: Module, scope: int, statement: Stmt, node: Expr, above: Sequence[Expr]) -> Iterator[str]:
    if above:
        yield _inside(node, above)
    elif isinstance(statement, (If, While, Assert)):
        yield TEST
    elif isinstance(statement, (Assign, Annotate)):
        targets = statement.targets if isinstance(statement, Assign) else [statement.target]
        names = [target.name for target in targets if isinstance(target, Ref)]
        yield from _of_names(module, scope, names) if len(names) == len(targets) else (UNCLEAR,)
    elif isinstance(statement, Return):
        yield UNCLEAR
    else:
        yield VALUE


def _inside(node: Expr, above: Sequence[Expr]) -> str:
    """What the innermost expression around a value does with it."""
    parent = above[0]
    if isinstance(parent, Unary) and parent.op == "not":
        return TEST
    if isinstance(parent, Boolean):
        return TEST
    if isinstance(parent, Conditional) and parent.test is node:
        return TEST
    if isinstance(parent, Comprehension):
        return TEST if any(node in generator.conditions for generator in parent.generators) else VALUE
    if isinstance(parent, Compare):
        others = [parent.left, *parent.comparators]
        none = any(isinstance(one, Const) and one.value is None for one in others)
        return PROBE if none else VALUE
    if isinstance(parent, Call) and isinstance(parent.function, Ref) and parent.function.name in ("bool", "any", "all"):
        return TEST
    return VALUE


def _of_names(module: Module, scope: int, names: Iterable[str]) -> set[str]:
    """How everything that reads these names in the file uses them; locals in their own scope only."""
    found: set[str] = set()
    for name in names:
        where = range(len(module.facts.scopes)) if "." in name else [scope]
        for index in where:
            if not any(chain == name or chain.startswith(f"{name}.") for chain in module.scope(index).uses):
                continue
            for stmt in statements(module.body(index)):
                for root in expressions(stmt, module.facts.scopes):
                    found.update(_reads(stmt, root, name))
    return found or {UNCLEAR}


def _reads(stmt: Stmt, root: Expr, name: str) -> Iterator[str]:
    for node in walk(root):
        if not isinstance(node, Ref) or (node.name != name and not node.name.startswith(f"{name}.")):
            continue
        if isinstance(stmt, Assign) and any(node is target for target in stmt.targets):
            continue
        if isinstance(stmt, Annotate) and node is stmt.target:
            continue
        above = _parents([root], node)
        if node.name != name:
            yield VALUE
        elif above:
            yield _inside(node, above)
        elif isinstance(stmt, (If, While, Assert)):
            yield TEST
        else:
            yield UNCLEAR if isinstance(stmt, (Return, Assign)) else VALUE


def tests(module: Module, scope: int, node: Expr, statement: Stmt) -> bool:
    """Whether a statement tests the plain truth of what stands at ``node``."""
    above = _parents(expressions(statement, module.facts.scopes), node)
    return _inside(node, above) == TEST if above else isinstance(statement, (If, While, Assert))
