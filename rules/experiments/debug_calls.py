"""Calls that stop a program in a debugger, slow every step down to check it, or print shapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mldebt.facts.schema import Attribute, Call, Const, Do, Expr, Format, Ref, Stmt
from mldebt.facts.walk import calls, walk
from mldebt.module import CallSite, Module

from .guards import guarded, is_switch

STOPS = frozenset(
    """builtins.breakpoint pdb.set_trace ipdb.set_trace pudb.set_trace pudb.set_trace.set_trace IPython.embed
    IPython.terminal.embed.embed IPython.core.debugger.set_trace web_pdb.set_trace remote_pdb.set_trace
    debugpy.breakpoint debugpy.wait_for_client pydevd.settrace pydevd_pycharm.settrace celery.contrib.rdb.set_trace
    torch.distributed.breakpoint ptvsd.wait_for_attach jax.debug.breakpoint""".split()
)
SHELLS = frozenset({"IPython.embed", "IPython.terminal.embed.embed"})  # a place to look around, and not a stop
_DEBUGGERS = frozenset({"ipdb", "pudb", "web_pdb", "remote_pdb"})
# What checks every operation, or runs each by hand, and the value that switches it on.
_SLOW: dict[str, tuple[str, int, object]] = {
    "torch.autograd.set_detect_anomaly": ("mode", 0, True),
    "torch.autograd.anomaly_mode.set_detect_anomaly": ("mode", 0, True),
    "torch.autograd.detect_anomaly": ("", 0, None),
    "tensorflow.debugging.enable_check_numerics": ("", 0, None),
    "tensorflow.config.run_functions_eagerly": ("run_eagerly", 0, True),
    "tensorflow.config.experimental_run_functions_eagerly": ("run_eagerly", 0, True),
    "tensorflow.data.experimental.enable_debug_mode": ("", 0, None),
    "tensorflow.debugging.experimental.enable_dump_debug_info": ("", 0, None),
    "lightning.Trainer": ("detect_anomaly", 99, True),
    "pytorch_lightning.Trainer": ("detect_anomaly", 99, True),
    "lightning.pytorch.Trainer": ("detect_anomaly", 99, True),
}
_SLOW_NAMES = frozenset(_SLOW)
_JAX = frozenset({"jax.config.update"})
_TRAINERS = frozenset({"lightning.Trainer", "pytorch_lightning.Trainer", "lightning.pytorch.Trainer"})
_FEW = frozenset({"limit_train_batches", "overfit_batches", "fast_dev_run"})
_ARGUMENTS = frozenset(
    {"transformers.TrainingArguments", "transformers.Seq2SeqTrainingArguments", "trl.SFTConfig", *_TRAINERS}
)
_FEW_STEPS = 20
_PRINTS = frozenset({"builtins.print"})
_SHAPE = frozenset("shape size ndim dim".split())
_SHOWS = re.compile(
    r"main|test|demo|summary|print|show|debug|info|report|repr|describe|display|log|inspect|explore|sanity",
    re.IGNORECASE,
)


class Leftover(NamedTuple):
    """A call of ``name``, and what it does."""

    site: CallSite
    name: str
    what: str


def stops(module: Module) -> Iterator[Leftover]:
    """Calls of a debugger that no switch decides on."""
    for name, site in module.calls_of(STOPS):
        if not switched(module, site):
            yield Leftover(site, name, "stops the program in a debugger")


def imported_debuggers(module: Module) -> Iterator[tuple[int, str]]:
    """Imports of a debugger nothing in the file uses: line and name. The program needs it installed all the same."""
    for fact in module.facts.imports:
        head = fact.module.partition(".")[0]
        if head in _DEBUGGERS and not fact.guard and not fact.level and fact.bound != "*":
            used = any(chain.partition(".")[0] == fact.bound for scope in module.facts.scopes for chain in scope.uses)
            if not used and module.scope(fact.scope).kind != 1:
                yield fact.line, head


def checks(module: Module) -> Iterator[Leftover]:
    """Calls that switch the checking of every operation on."""
    for name, site in module.calls_of(_SLOW_NAMES):
        parameter, position, on = _SLOW[name]
        value = _given(site.call, parameter, position) if parameter else None
        if (on is None or (isinstance(value, Const) and value.value is on)) and not switched(module, site):
            yield Leftover(
                site,
                name,
                "checks every operation for debugging" if "eager" not in name else "runs every function eagerly",
            )
    for name, site in module.calls_of(_JAX):
        key, value = (*site.call.args, None, None)[:2]
        if not isinstance(key, Const) or not isinstance(value, Const) or value.value is not True:
            continue
        if key.value in ("jax_debug_nans", "jax_disable_jit", "jax_debug_infs") and not switched(module, site):
            yield Leftover(site, f"{name}({key.value!r})", "checks every operation for debugging")


def short_runs(module: Module) -> Iterator[tuple[CallSite, str]]:
    """Trainers told to stop after a few batches or steps, whatever the run."""
    for name, site in module.calls_of(_ARGUMENTS):
        for keyword in site.call.keywords:
            value = keyword.value.value if isinstance(keyword.value, Const) else None
            few = keyword.name == "max_steps" and type(value) is int and 0 < value <= _FEW_STEPS
            cut = name in _TRAINERS and keyword.name in _FEW and _is_part(value)
            if (few or cut) and not switched(module, site):
                yield site, f"{keyword.name}={value}"


def _is_part(value: object) -> bool:
    if value is True:
        return True
    if isinstance(value, float):
        return 0 < value < 1
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def shape_prints(module: Module) -> list[list[CallSite]]:
    """Bare prints of tensors' shapes in a file others import, by class or function; none of those somebody asked for.

    What one run prints is told together: two prints in each of five classes are two prints.
    """
    if module.facts.main is not None and not module.project.imports.importers(module.path):
        return []
    found: dict[int, list[CallSite]] = {}
    for _, site in module.calls_of(_PRINTS):
        main = module.facts.main
        if main is not None and main[0] <= site.call.line <= main[1]:
            continue
        scope = module.scope(site.scope)
        if scope.kind != 0 and not _SHOWS.search(scope.name) and _prints_shape(site) and not switched(module, site):
            found.setdefault(_outermost(module, site.scope), []).append(site)
    return list(found.values())


def _outermost(module: Module, scope: int) -> int:
    while module.scope(scope).parent > 0:
        scope = module.scope(scope).parent
    return scope


def _prints_shape(site: CallSite) -> bool:
    """Whether the call prints shapes, with no more than words around them."""
    if not isinstance(site.statement, Do) or site.statement.value is not site.call or site.call.keywords:
        return False
    parts = [part for arg in site.call.args for part in (arg.parts if isinstance(arg, Format) else [arg])]
    values = [part for part in parts if not isinstance(part, Const)]
    return bool(values) and all(_is_shape(part) for part in values)


def _is_shape(expr: Expr) -> bool:
    for node in walk(expr):
        if isinstance(node, (Ref, Attribute)) and "." in f".{node.name}":
            last = node.name.rpartition(".")[2]
            if last in _SHAPE and (isinstance(node, Attribute) or "." in node.name):
                return True
    return False


def switched(module: Module, site: CallSite) -> bool:
    """Whether a test around the call, or in its statement, is a switch."""
    if is_debugging(module, site.scope):
        return True
    for one in guarded(module.body(site.scope)):
        if one.stmt is site.statement or (one.stmt.line, one.stmt.column) == (
            site.statement.line,
            site.statement.column,
        ):
            return any(is_switch(test) for test in one.tests)
    return False


def is_debugging(module: Module, scope: int) -> bool:
    """Whether the function's, class's or file's name says that debugging is what it is for."""
    names = [module.path.rpartition("/")[2]]
    while scope > 0:
        names.append(module.scope(scope).name)
        scope = module.scope(scope).parent
    return any(
        re.search(r"debug|pdb|breakpoint|profil|smoke|sanity|anomal|overfit|dry_?run", one.lower()) for one in names
    )


def _given(call: Call, parameter: str, position: int) -> Expr | None:
    for keyword in call.keywords:
        if keyword.name == parameter:
            return keyword.value
    return call.args[position] if position < len(call.args) else None


def owns(stmt: Stmt, call: Call) -> bool:
    """Whether a statement is the call and nothing else."""
    return isinstance(stmt, Do) and stmt.value is call and len(calls(stmt)) == 1
