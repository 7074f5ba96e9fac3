"""Reads of options that bring a default of their own: ``getattr(args, "x", 4)``, ``cfg.get("k", 3)``, ``os.getenv``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Boolean,
    Call,
    Compare,
    Conditional,
    Const,
    Do,
    Expr,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk

from .encoded_bodies import may_bring_default, may_default_around
from .owners import receiver_of

if TYPE_CHECKING:
    from mldebt.module import Module

SEGMENTS = frozenset({"getattr", "get", "pop", "getenv", "select", "hasattr", "getint", "getfloat", "getboolean"})
# Functions that read an environment variable; other names may stand for them (``from os import getenv as env``).
_GETENV = frozenset({"os.getenv", "os.environ.get", "decouple.config"})
_SPELLED = frozenset({"getenv", "get", "config"})
_READS = frozenset({Call, Conditional, Boolean})


class Fallback(Struct, frozen=True, eq=False):
    """One read. ``owner`` is the object it reads from, None for the environment; ``value`` the constant fallback.

    ``node`` is the whole read, ``statement`` the one it stands in; ``preset``: the value goes back where it came from.
    """

    module: Module
    scope: int
    statement: Stmt
    node: Expr
    owner: Expr | None
    key: str
    value: Any
    how: str
    preset: bool

    @property
    def order(self) -> tuple[str, int, int]:
        return (self.module.path, getattr(self.node, "line", self.statement.line), getattr(self.node, "column", 0))


def fallbacks(module: Module) -> Iterator[Fallback]:
    """Every read in a file whose key and default are constants, in source order of each scope."""
    getenv = module.project.spellings(_GETENV)
    for index in module.scopes_using(SEGMENTS | getenv):
        if not any(_may_read(chain, getenv) for chain in module.scope(index).uses):
            continue
        for stmt, node in _candidates(module, index, getenv):
            found = _read(module, index, node)
            if found is None:
                continue
            owner, key, default, how = found
            if how == "pop" and isinstance(stmt, Do) and stmt.value is node:
                continue  # a deletion
            value = module.constant(index, default)
            if value is not UNKNOWN and not isinstance(value, dict):
                yield Fallback(module, index, stmt, node, owner, key, value, how, _is_preset(stmt, owner, key))


def _may_read(chain: str, getenv: frozenset[str]) -> bool:
    """Whether a chain may be part of such a read; what a function takes from its own ``**kwargs`` is no option."""
    head, _, last = chain.rpartition(".")
    return last in getenv or (last in SEGMENTS and not head.endswith("kwargs"))


def _candidates(module: Module, index: int, getenv: frozenset[str]) -> Iterator[tuple[Stmt, Expr]]:
    """Expressions of a scope that may be such a read: its calls, and what stands around calls where that counts."""
    scopes = module.facts.scopes
    last = module.segments(index)
    # Under a name of its own, ``os.getenv`` looks like any call.
    renamed = not last.isdisjoint(getenv - _SPELLED) or "environ" in last
    if not renamed and not may_bring_default(module, index):
        return
    if not may_default_around(module, index):
        yield from ((site.statement, site.call) for site in module.call_sites(index))
        return
    for stmt in statements(module.body(index)):
        for root in expressions(stmt, scopes):
            yield from ((stmt, node) for node in walk(root) if type(node) in _READS)


def _read(module: Module, scope: int, node: Expr) -> tuple[Expr | None, str, Expr, str] | None:
    """Owner, key, default and form of a read with a default."""
    if isinstance(node, Call):
        return _call(module, scope, node)
    if isinstance(node, Conditional):
        return _conditional(node)
    if isinstance(node, Boolean) and node.op == "or" and len(node.values) == 2 and isinstance(node.values[0], Call):
        return _or(module, scope, node.values[0], node.values[1])
    return None


def _call(module: Module, scope: int, call: Call) -> tuple[Expr | None, str, Expr, str] | None:
    function = call.function
    if not isinstance(function, (Ref, Attribute)):
        return None
    head, _, last = function.name.rpartition(".")
    if ((isinstance(function, Ref) and not head) or last == "getenv") and last != "getattr":
        return _environment(module, scope, call, function)
    if last == "getattr" and not head and len(call.args) == 3:
        key = _key(module, scope, call.args[1])
        return (call.args[0], key, call.args[2], "getattr") if key else None
    if last in ("get", "pop") and (head or isinstance(function, Attribute)):
        return _get(module, scope, call, last)
    if last == "select" and "omegaconf.OmegaConf.select" in module.names(scope, function) and len(call.args) > 1:
        default = argument(call, "default", 2)
        key = _key(module, scope, call.args[1])
        if key and default is not UNKNOWN and default is not None:
            return (call.args[0], key, default, "select")
    return None


def _environment(
    module: Module, scope: int, call: Call, function: Ref | Attribute
) -> tuple[Expr | None, str, Expr, str] | None:
    if len(call.args) + len(call.keywords) != 2 or not call.args:
        return None
    linked = module.project.resolve(module, scope, function.name) if isinstance(function, Ref) else ()
    if linked and _GETENV.isdisjoint(linked):
        return None
    default = argument(call, "default", 1)
    key = _key(module, scope, call.args[0])
    if not key or default is UNKNOWN or default is None or _GETENV.isdisjoint(module.names(scope, function)):
        return None
    return (None, key, default, "environment")


def _get(module: Module, scope: int, call: Call, method: str) -> tuple[Expr | None, str, Expr, str] | None:
    owner = receiver_of(call)
    if owner is None or not call.args:
        return None
    key = _key(module, scope, call.args[0])
    fallback = next((keyword.value for keyword in call.keywords if keyword.name == "fallback"), None)
    if fallback is not None and len(call.args) == 2:
        option = _key(module, scope, call.args[1])
        return (owner, f"{key}.{option}", fallback, method) if key and option else None
    default = argument(call, "default", 1)
    if not key or default is None or default is UNKNOWN or len(call.args) + len(call.keywords) != 2:
        return None
    return (owner, key, default, method)


def _or(module: Module, scope: int, call: Call, default: Expr) -> tuple[Expr | None, str, Expr, str] | None:
    """``os.environ.get("N") or "4"``: what stands after ``or`` is the default."""
    if len(call.args) != 1 or call.keywords or not isinstance(call.function, (Ref, Attribute)):
        return None
    key = _key(module, scope, call.args[0])
    last = call.function.name.rpartition(".")[2]
    if not key or last not in ("get", "getenv"):
        return None
    if last == "getenv":
        return (None, key, default, "environment") if "os.getenv" in module.names(scope, call.function) else None
    owner = receiver_of(call)
    return (owner, key, default, "get") if owner is not None else None


def _conditional(node: Conditional) -> tuple[Expr | None, str, Expr, str] | None:
    """``cfg["k"] if "k" in cfg else 4`` and ``args.k if hasattr(args, "k") else 4``."""
    test, then = node.test, node.then
    if (
        isinstance(test, Compare)
        and test.ops == ["in"]
        and isinstance(test.left, Const)
        and isinstance(then, Subscript)
    ):
        key, owner = test.left.value, test.comparators[0]
        same = isinstance(then.index, Const) and then.index.value == key and _same(then.value, owner)
        return (owner, key, node.orelse, "conditional") if same and isinstance(key, str) else None
    if not isinstance(test, Call) or not isinstance(test.function, Ref) or test.function.name != "hasattr":
        return None
    if len(test.args) == 2 and isinstance(test.args[0], Ref) and isinstance(test.args[1], Const):
        owner, key = test.args[0], test.args[1].value
        if isinstance(key, str) and isinstance(then, Ref) and then.name == f"{owner.name}.{key}":
            return (owner, key, node.orelse, "conditional")
    return None


def _same(one: Expr, other: Expr) -> bool:
    return isinstance(one, Ref) and isinstance(other, Ref) and one.name == other.name


def _key(module: Module, scope: int, expr: Expr) -> str:
    value = expr.value if isinstance(expr, Const) else module.constant(scope, expr) if isinstance(expr, Ref) else None
    return value if isinstance(value, str) else ""


def _is_preset(stmt: Stmt, owner: Expr | None, key: str) -> bool:
    """``args.x = getattr(args, "x", 4)``, ``cfg["x"] = cfg.get("x", 4)``: one place that fills in what is missing."""
    if isinstance(stmt, Do) and isinstance(stmt.value, Call) and isinstance(stmt.value.function, Ref):
        args = stmt.value.args
        if stmt.value.function.name == "setattr" and len(args) == 3 and owner is not None:
            return _same(args[0], owner) and isinstance(args[1], Const) and args[1].value == key
    if not isinstance(stmt, Assign) or not isinstance(owner, Ref):
        return False
    for target in stmt.targets:
        if isinstance(target, Ref) and target.name == f"{owner.name}.{key}":
            return True
        if isinstance(target, Subscript) and _same(target.value, owner):
            return isinstance(target.index, Const) and target.index.value == key
    return False
