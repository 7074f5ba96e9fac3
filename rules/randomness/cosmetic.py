"""Draws that need no control: their value only names, colours, delays, prints, probes shapes, or becomes a seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Build,
    Call,
    Const,
    Define,
    Do,
    Expr,
    Format,
    If,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import children, expressions, statements, walk

from .events import says_seed

if TYPE_CHECKING:
    from mldebt.module import Module

_NAMES = re.compile(
    r"(^|_)(seeds?|random_state|port|colou?rs?|palette|suffix|prefix|uid|uuid|salt|nonce|delay|backoff|sleep|wait|name|run_id|exp_id"
    r"|title|dummy|dummy_inputs?|example_inputs?|fake_inputs?|sample_inputs?|test_inputs?)$",
    re.IGNORECASE,
)
_OPTION = re.compile(r"^--?([a-z]+[-_])*(seed|port|name|run-id|run_id)$")
_FUNCTIONS = re.compile(
    r"(^|_)(colou?rs?|palette|cmap|port|name|names|string|id|uuid|seeds?|suffix|dummy_inputs?|flops|backoff|retry|retries|sleep)$"
    r"|^(retry|backoff|dummy|profile|benchmark|visuali[sz]e|plot|draw|show)(_|$)",
    re.IGNORECASE,
)
_FILES = re.compile(r"(^|[/_])(plots?|plotting|plotters?|viz|visuali[sz]ations?)(/|\.py$)", re.IGNORECASE)
_CALLS = frozenset(
    "sleep print pprint info debug warning error exception add_graph summary FlopCountAnalysis "
    "get_model_complexity_info bind imshow scatter add_image add_images set_title".split()
)
_PLOTTERS = frozenset({"plt", "ax", "axes", "axs", "sns", "fig", "plotly", "px", "go"})
_PROBES = ("jit.trace", "onnx.export", "export.export", "thop.profile", "torchinfo.summary", "torchsummary.summary")
_SHAPES = frozenset(
    "int str item reshape view squeeze unsqueeze transpose permute cpu numpy detach astype copy".split()
)
_NUMBERS = frozenset({"randint", "randrange", "getrandbits", "integers", "random_integers"})
_RECEIVERS = frozenset(
    {"manual_seed", "seed", "Generator", "PRNGKey", "RandomState", "default_rng", "SeedSequence", "Random"}
)


def is_cosmetic(module: Module, scope: int, stmt: Stmt, call: Call) -> bool:
    """Whether nothing but names, plots, pauses, logs or seeds is made of what a call draws."""
    facts = module.facts.scopes[scope]
    if scope and (_FUNCTIONS.search(facts.name) or _FILES.search(module.path)):
        return True
    if isinstance(stmt, Define):
        defaults = [one for one in module.facts.scopes[stmt.scope].parameters if one.default is not None]
        return any(_NAMES.search(one.name) and call in walk(one.default) for one in defaults if one.default is not None)
    chain = _ancestors(stmt, call)
    if any(is_idle(above, below) for above, below in pairwise([*chain, call])):
        return True
    if any(_is_process(above) for above in chain) and _draws_number(call):
        return True
    if isinstance(stmt, If) and stmt.body and all(_is_report(inner) for inner in stmt.body) and not stmt.orelse:
        return True
    if isinstance(stmt, Do) and stmt.value is call and call.args and isinstance(call.args[0], Ref):
        return _NAMES.search(call.args[0].name.rpartition(".")[2]) is not None
    if isinstance(stmt, (Assign, Annotate)):
        targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target]
        if any(_NAMES.search(_label(target).rpartition(".")[2]) for target in targets):
            return True
        if len(targets) == 1 and isinstance(targets[0], Ref) and "." not in targets[0].name:
            return _only_idle(module.body(scope), stmt, targets[0].name)
    return False


def _label(target: Expr) -> str:
    """What a target is called: its name, or the key it is kept under."""
    if isinstance(target, Subscript):
        target = target.index
    if isinstance(target, Const):
        return str(target.value)
    return target.name if isinstance(target, (Ref, Attribute)) else ""


def _ancestors(stmt: Stmt, wanted: Expr) -> list[Expr]:
    """The expressions around one of a statement's, outermost first."""
    for expr in expressions(stmt):
        stack: list[tuple[Expr, list[Expr]]] = [(expr, [])]
        while stack:
            node, above = stack.pop()
            if node is wanted:
                return above
            stack += [(part, [*above, node]) for part in children(node)]
    return []


def _draws_number(call: Call) -> bool:
    """Whether a call may draw one whole number."""
    function = call.function
    return isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in _NUMBERS


def _is_process(expr: Expr) -> bool:
    """Whether something starts another process: a number drawn for it is its seed."""
    function = expr.function if isinstance(expr, Call) else None
    return (
        isinstance(expr, Call)
        and isinstance(function, (Ref, Attribute))
        and function.name.rpartition(".")[2] in ("Process", "Thread", "spawn", "start_processes")
        and any(keyword.name in ("args", "kwargs") for keyword in expr.keywords)
    )


def is_idle(above: Expr, below: Expr) -> bool:
    """Whether the value of ``below`` is of no consequence in ``above``."""
    if isinstance(above, Format):
        return True
    if isinstance(above, Build) and above.keys:
        keys = [key for key, item in zip(above.keys, above.items, strict=True) if item is below and key is not None]
        return any(_NAMES.search(_label(key)) for key in keys)
    if not isinstance(above, Call) or below is above.function:
        return False
    if any(keyword.value is below and keyword.name and _NAMES.search(keyword.name) for keyword in above.keywords):
        return True
    if any(isinstance(arg, Const) and isinstance(arg.value, str) and _OPTION.search(arg.value) for arg in above.args):
        return True
    function = above.function
    if not isinstance(function, (Ref, Attribute)):
        return False
    head, _, last = function.name.rpartition(".")
    if last in _CALLS or last in _RECEIVERS or says_seed(last) or function.name.endswith(_PROBES):
        return True
    return head.partition(".")[0] in _PLOTTERS or head.endswith(("writer", "logger", "summary"))


def _is_report(stmt: Stmt) -> bool:
    """Whether a statement only prints or logs."""
    if not isinstance(stmt, Do) or not isinstance(stmt.value, Call):
        return False
    function = stmt.value.function
    return isinstance(function, (Ref, Attribute)) and (
        function.name.rpartition(".")[2] in _CALLS
        or function.name.partition(".")[0] in ("wandb", "logger", "logging", "writer")
    )


def _only_idle(body: Sequence[Stmt], origin: Stmt, name: str, depth: int = 2) -> bool:
    """Whether every read of a local name is of no consequence; a name nobody reads here is not.

    What it picks, and is kept under another name, is followed; what is computed from it is not.
    """
    seen = False
    for stmt in statements(body):
        if stmt is origin:
            continue
        for chain in _reads(stmt, name):
            seen = True
            if any(is_idle(above, below) for above, below in pairwise(chain)):
                continue
            kept = stmt.targets[0] if isinstance(stmt, Assign) and len(stmt.targets) == 1 else None
            if not depth or not isinstance(kept, Ref) or "." in kept.name or kept.name == name:
                return False
            if not _only_picks(stmt):
                return False
            if not _only_idle(body, stmt, kept.name, depth - 1):
                return False
    return seen


def _only_picks(stmt: Stmt) -> bool:
    """Whether a statement calls nothing but what gives a value another shape or form."""
    return all(
        isinstance(node.function, (Ref, Attribute)) and last_segment(node.function) in _SHAPES
        for expr in expressions(stmt)
        for node in walk(expr)
        if isinstance(node, Call)
    )


def _reads(stmt: Stmt, name: str) -> Iterator[list[Expr]]:
    """Every read of a name in a statement, with the expressions around it, outermost first."""
    bound = stmt.targets if isinstance(stmt, Assign) else ()
    for expr in expressions(stmt):
        if isinstance(expr, Ref) and "." not in expr.name and any(expr is target for target in bound):
            continue
        stack: list[tuple[Expr, list[Expr]]] = [(expr, [])]
        while stack:
            node, above = stack.pop()
            if isinstance(node, Ref) and node.name.partition(".")[0] == name:
                yield [*above, node]
            stack += [(part, [*above, node]) for part in children(node)]
