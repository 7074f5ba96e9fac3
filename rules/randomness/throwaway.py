"""Draws of a script or a notebook that only show something: no result of the entry is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Annotate, Assign, Attribute, Build, Call, Do, Expr, For, If, Jump, Ref, Stmt, Wait
from mldebt.facts.walk import children, expressions, given_values, statements, walk

from .cosmetic import is_idle
from .events import Draws
from .knowledge import HEAD, INIT, LAYER

if TYPE_CHECKING:
    from mldebt.module import Module

    from .states import Path

_NOISE = frozenset("rand randn random random_sample standard_normal normal uniform randint integers".split())
_FITS = frozenset("fit fit_transform fit_predict partial_fit train train_test_split".split())
# What turns a value into another one that matters no more than it does.
_PURE = frozenset(
    "abs array asarray astype DataFrame dtype enumerate flatten float int iter len list mean min max next norm numpy "
    "parameters print range repr reshape round shape size str sum tensor tuple type view zip Series".split()
)
_SHOWN = frozenset({"shape", "dtype", "size", "ndim", "device"})


def is_thrown_away(module: Module, path: Path) -> bool:
    """Whether a draw on the way from a module's own statements makes no results: shown at most, or pure noise to try
    a training run with."""
    first = next((site for site in (*path.hops, path.site) if site.module is module), None)
    if first is None or not isinstance(first.fact, Call):
        return False
    if not (_yields(module, path) if path.hops else _draws_model(path) or _is_noise(module, first.fact)):
        return False
    body = module.body(0)
    stmt = next((one for one in statements(body) if _holds(one, first.fact)), None)
    if not isinstance(stmt, (Assign, Annotate)):
        return False
    names = _targets(stmt)
    if not names or any(_is_read_inside(module, name) for name in names):
        return False
    if not path.hops and _is_noise(module, first.fact):
        return _only_tried(body, stmt, names)
    return not _matters(body, stmt, names)


def _draws_model(path: Path) -> bool:
    return isinstance(path.event, Draws) and path.event.kind in (INIT, LAYER, HEAD)


def _yields(module: Module, path: Path) -> bool:
    """Whether the draw is in a generator of the file, which does nothing but what is taken from it."""
    if len(path.hops) != 1 or path.site.module is not module:
        return False
    name = path.hops[0].name
    index = next((i for i, scope in enumerate(module.facts.scopes) if scope.qualname == name), 0)
    if not index:
        return False
    nodes = (node for stmt in statements(module.body(index)) for expr in expressions(stmt) for node in walk(expr))
    return any(isinstance(node, Wait) and node.kind != "await" for node in nodes)


def _holds(stmt: Stmt, call: Call) -> bool:
    return any(node is call for expr in expressions(stmt) for node in walk(expr))


def _targets(stmt: Assign | Annotate) -> frozenset[str]:
    """The plain names a statement binds; none if it binds anything else."""
    targets = list(stmt.targets) if isinstance(stmt, Assign) else [stmt.target]
    names: set[str] = set()
    for target in targets:
        parts = target.items if isinstance(target, Build) else [target]
        if not all(isinstance(part, Ref) and "." not in part.name for part in parts):
            return frozenset()
        names.update(part.name for part in parts if isinstance(part, Ref))
    return frozenset(names)


def _is_read_inside(module: Module, name: str) -> bool:
    """Whether a function of the file reads a name of its body."""
    return any(
        chain.partition(".")[0] == name and name not in scope.bindings
        for scope in module.facts.scopes[1:]
        for chain in scope.uses
    )


def _is_noise(module: Module, call: Call) -> bool:
    """Whether a call makes an array of pure noise, of a size written in the file."""
    function = call.function
    if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in _NOISE:
        return False
    given = given_values(call)
    parts = [part for value in given for part in (value.items if isinstance(value, Build) else [value])]
    return bool(parts) and all(module.constant(0, part) is not UNKNOWN for part in parts)


def _only_tried(body: Sequence[Stmt], origin: Stmt, names: frozenset[str]) -> bool:
    """Whether noise is what a model is fitted on: its rows themselves, not something added to them."""
    held, begun = set(names), False
    for stmt in statements(body):
        if stmt is origin:
            begun = True
            continue
        for expr in expressions(stmt) if begun else ():
            for call in walk(expr):
                if not isinstance(call, Call) or not isinstance(call.function, (Ref, Attribute)):
                    continue
                given = given_values(call)
                if any(isinstance(one, Ref) and one.name in held for one in given):
                    last = call.function.name.rpartition(".")[2]
                    if last in _FITS:
                        return True
                    if last in ("DataFrame", "Series") and isinstance(stmt, Assign) and stmt.value is call:
                        held |= _targets(stmt)
    return False


def _matters(body: Sequence[Stmt], origin: Stmt, names: frozenset[str]) -> bool:
    """Whether anything but a look comes of a value, through the names computed from it, in the order of the text."""
    held, begun = set(names), False
    for stmt in statements(body):
        if stmt is origin:
            begun = True
            continue
        if not begun:
            continue
        chains = list(_reads(stmt, held))
        if any(not _is_harmless(chain) for chain in chains):
            return True
        if isinstance(stmt, (Assign, Annotate)):
            targets = _targets(stmt)
            if not chains:
                held -= targets
            elif targets:
                held |= targets
            elif not all(_is_shown(chain) for chain in chains):
                return True
        elif isinstance(stmt, For) and chains:
            bound = [node.name for node in walk(stmt.target) if isinstance(node, Ref)]
            if any("." in name for name in bound):
                return True
            held.update(bound)
        elif chains and not isinstance(stmt, (Do, Jump, If)):
            return True
    return False


def _reads(stmt: Stmt, names: set[str]) -> Iterator[list[Expr]]:
    """Every read of some names in a statement, with the expressions around it, outermost first."""
    bound = set()
    if isinstance(stmt, (Assign, Annotate)):
        targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target]
        bound = {id(part) for one in targets for part in (one.items if isinstance(one, Build) else [one])}
    if isinstance(stmt, For):
        bound = {id(node) for node in walk(stmt.target)}
    for expr in expressions(stmt):
        stack: list[tuple[Expr, list[Expr]]] = [(expr, [])]
        while stack:
            node, above = stack.pop()
            if isinstance(node, Ref) and id(node) not in bound and node.name.partition(".")[0] in names:
                yield [*above, node]
            stack += [(part, [*above, node]) for part in children(node)]


def _is_harmless(chain: Sequence[Expr]) -> bool:
    """Whether all calls around a read only compute from it or show it."""
    if _is_shown(chain):
        return True
    for node in chain:
        if isinstance(node, Call):
            function = node.function
            if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in _PURE:
                return False
    return True


def _is_shown(chain: Sequence[Expr]) -> bool:
    last = chain[-1]
    if isinstance(last, Ref) and last.name.rpartition(".")[2] in _SHOWN and "." in last.name:
        return True
    return any(is_idle(above, below) for above, below in pairwise(chain))
