"""What a program says of determinism: claims, what takes them back, and operations that break them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Assign, Attribute, Call, Const, If, Ref, Stmt
from mldebt.facts.walk import statements
from mldebt.rule import Analysis

from .guards import MAIN, NEUTRAL, OPTION, guard
from .seed_calls import around

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_CUDNN = "torch.backends.cudnn"
_FLAGS = frozenset({"deterministic", "benchmark"})
_ALGORITHMS = frozenset({"torch.use_deterministic_algorithms", "torch.set_deterministic"})
_TF = "tensorflow.config.experimental.enable_op_determinism"
_TRAINERS = re.compile(r"^(pytorch_lightning|lightning(\.pytorch)?)\.(trainer\.)?Trainer$|\.Trainer$")
# Operations with no deterministic CUDA kernel by default (PyTorch, use_deterministic_algorithms).
_OPERATIONS = frozenset(
    "torch.scatter_add torch.index_add torch.bincount torch.nn.functional.ctc_loss torch.nn.CTCLoss "
    "torch.nn.EmbeddingBag torch.nn.functional.embedding_bag".split()
)
_METHODS = frozenset({"scatter_add_", "scatter_add", "index_add_", "index_add"})
_RESIZES = frozenset({"torch.nn.functional.interpolate", "torch.nn.Upsample", "torch.nn.functional.upsample"})
_CLAIMED = re.compile(r"determinis|reproduc", re.IGNORECASE)  # an option that promises what is looked at
_MODES = frozenset({"linear", "bilinear", "bicubic", "trilinear"})


class Flag(NamedTuple):
    """One thing a function says or does about determinism; ``sure``: no option decides on it."""

    definition: Definition
    fact: Stmt | Call
    kind: str  # claim, strict (all operations), benchmark, no-benchmark, unordered
    text: str
    sure: bool


class Determinism(Analysis):
    """``project[Determinism].flags`` and ``.operations``, by function name."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.flags: tuple[Flag, ...] = tuple(self._find())

    def _find(self) -> Iterator[Flag]:
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                yield from self._assigned(module)
                yield from self._called(module)

    def _assigned(self, module: Module) -> Iterator[Flag]:
        if _FLAGS.isdisjoint(module.facts.stored):
            return
        # A chain that is stored to is not among what a scope reads, so all bodies of such a file are looked at.
        if not {"cudnn", "torch"} & module.mentions:
            return
        for index in range(len(module.facts.scopes)):
            for stmt in statements(module.body(index)):
                if not isinstance(stmt, Assign) or not isinstance(stmt.value, Const):
                    continue
                for target in stmt.targets:
                    name = target.name if isinstance(target, Ref) else ""
                    if name.rpartition(".")[2] not in _FLAGS:
                        continue
                    head, _, flag = name.rpartition(".")
                    if _CUDNN in module.project.resolve(module, index, head):
                        yield self._flag(module, index, stmt, flag, bool(stmt.value.value))

    def _flag(self, module: Module, index: int, stmt: Stmt, flag: str, value: bool) -> Flag:
        kind = "benchmark" if value else "no-benchmark"
        if flag == "deterministic":
            kind = "claim" if value else "no-claim"
        text = f"cudnn.{flag} = {value}"
        return Flag(module.definition(index), stmt, kind, text, is_sure(module, index, stmt))

    def _called(self, module: Module) -> Iterator[Flag]:
        for name, site in module.calls_of(_ALGORITHMS | {_TF}):
            mode = argument(site.call, "mode", 0)
            on = name == _TF or (isinstance(mode, Const) and mode.value is True)
            if on:
                text = f"{name.rpartition('.')[2]}({'' if name == _TF else 'True'})"
                sure = is_sure(module, site.scope, site.statement)
                yield Flag(module.definition(site.scope), site.call, "strict", text, sure)
        for index in module.scopes_using({"Trainer", "map", "interleave"}):
            for one in module.call_sites(index):
                yield from self._given(module, index, one.call)

    def _given(self, module: Module, index: int, call: Call) -> Iterator[Flag]:
        """``Trainer(deterministic=True, benchmark=True)``, ``dataset.map(..., deterministic=False)``."""
        values = {k.name: k.value.value for k in call.keywords if k.name in _FLAGS and isinstance(k.value, Const)}
        if not values or not isinstance(call.function, (Ref, Attribute)):
            return
        definition, last = module.definition(index), call.function.name.rpartition(".")[2]
        parallel = any(k.name == "num_parallel_calls" for k in call.keywords)
        if last in ("map", "interleave") and parallel and values.get("deterministic") is False:
            yield Flag(definition, call, "unordered", f"{last}(deterministic=False)", True)
        trainer = any(_TRAINERS.search(name) for name in module.names(index, call.function))
        if trainer and values == {"deterministic": True, "benchmark": True}:
            yield Flag(definition, call, "both", f"{last}(deterministic=True, benchmark=True)", True)

    def operations(self, module: Module) -> Iterator[tuple[str, Call, int]]:
        """Calls of operations with no deterministic kernel: name, call, scope."""
        for name, site in module.calls_of(_OPERATIONS):
            yield name, site.call, site.scope
        for name, site in module.calls_of(_RESIZES):
            mode = argument(site.call, "mode", 2 if name.endswith("Upsample") else 3)
            if isinstance(mode, Const) and mode.value in _MODES:
                yield name, site.call, site.scope
        if any(fact.module.partition(".")[0] == "torch" for fact in module.facts.imports):
            for index in module.scopes_using(_METHODS):
                for one in module.call_sites(index):
                    function = one.call.function
                    last = last_segment(function)
                    if last in _METHODS and not module.names(index, function):
                        yield f"Tensor.{last}", one.call, index


def is_sure(module: Module, scope: int, stmt: Stmt) -> bool:
    """Whether no option decides on a statement, other than the one that asks for determinism."""
    outer = around(module, scope, stmt) or ()
    names = {one.name for one in module.facts.scopes[scope].parameters}
    return all(_stays(one, stmt, names) for one in outer if isinstance(one, If))


def _stays(condition: If, stmt: Stmt, names: set[str]) -> bool:
    told = guard(condition.test, names)
    if told.kind in (NEUTRAL, MAIN):
        return True
    first = any(one.line <= stmt.line <= one.end_line for one in condition.body)
    return told.kind == OPTION and told.positive is first and _CLAIMED.search(told.text) is not None
