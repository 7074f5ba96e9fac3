"""Functions that return bare tuples, and the calls that unpack them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import (
    CLASS,
    FUNCTION,
    Assign,
    Attribute,
    Build,
    Call,
    Expr,
    Ref,
    Return,
    Starred,
    Subscript,
    Wait,
)
from mldebt.facts.walk import statements
from mldebt.rule import Analysis

from .tuple_texts import TupleText, TupleTexts

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

# What frameworks call, and what everybody calls: their tuples are conventions.
_CONVENTIONS = frozenset(
    """forward call step reset _step _reset main __call__ __init__ __getitem__ __iter__ __next__ __enter__ __new__
    __reduce__ training_step validation_step test_step predict_step configure_optimizers collate_fn collate compute_loss
    train_test_split""".split()
)
# Decorators that give back what the function returns.
_TRANSPARENT = frozenset(
    """staticmethod classmethod no_grad inference_mode enable_grad lru_cache cache jit njit function abstractmethod
    override timeit script""".split()
)
_VIEWS = frozenset("item numpy cpu cuda detach tolist copy to squeeze mean float int long values".split())


class Unpacking(NamedTuple):
    """``a, b = f(...)``: the statement, its targets, and the call."""

    module: Module
    scope: int
    stmt: Assign
    targets: tuple[Expr, ...]
    call: Call

    @property
    def length(self) -> int | None:
        """How many values it wants; None where a starred target takes the rest."""
        return None if any(isinstance(one, Starred) for one in self.targets) else len(self.targets)


class Tuples(NamedTuple):
    """A function all of whose returns are written-out tuples, and who unpacks them where it is sure to be called."""

    definition: Definition
    returns: tuple[Return, ...]
    unpackings: tuple[Unpacking, ...]

    @property
    def rows(self) -> tuple[Sequence[Expr], ...]:
        """The values of each return."""
        return tuple(stmt.value.items for stmt in self.returns if isinstance(stmt.value, Build))

    @property
    def length(self) -> int | None:
        """How many values every return gives; None when they differ."""
        lengths = {len(row) for row in self.rows}
        return lengths.pop() if len(lengths) == 1 else None


class ReturnedTuples(Analysis):
    """``project[ReturnedTuples].all``."""

    @cached_property
    def all(self) -> tuple[Tuples, ...]:
        """Functions whose tuples are unpacked somewhere, in the order of places."""
        texts = self.project.collected(TupleTexts)
        candidates = self._candidates(texts)
        names = {definition.scope.name for definition, _ in candidates.values()}
        found: dict[str, list[Unpacking]] = {}
        for path, text in texts.items():
            module = self.project.modules[path]
            if module.role == "project" and not module.is_test and text.unpacked:
                for key, unpacking in self._unpackings(module, text, names, candidates):
                    found.setdefault(key, []).append(unpacking)
        return tuple(Tuples(*candidates[key], tuple(found[key])) for key in sorted(found))

    def _candidates(self, texts: Mapping[str, TupleText]) -> dict[str, tuple[Definition, tuple[Return, ...]]]:
        """Functions all of whose returns are tuples, of names that are unpacked somewhere."""
        wanted = {name for path, text in texts.items() for name in self._names(self.project.modules[path], text)}
        found = {}
        for path, text in texts.items():
            module = self.project.modules[path]
            if module.role != "project" or module.is_test or not text.returns:
                continue
            for index, scope in enumerate(module.facts.scopes):
                if scope.kind != FUNCTION or scope.name not in wanted or scope.generator:
                    continue
                if any(scope.line <= line <= scope.end_line for line in text.returns) and _is_plain(scope.decorators):
                    returns = _returns(module, index)
                    if returns:
                        definition = module.definition(index)
                        found[definition.name] = (definition, returns)
        return found

    def _names(self, module: Module, text: TupleText) -> Iterator[str]:
        """The names functions have where they are defined that a file unpacks the results of."""
        renamed = {fact.bound: fact.attribute for fact in module.facts.imports if fact.renamed and fact.attribute}
        for name, _ in text.unpacked:
            real = renamed.get(name, name)
            if real not in _CONVENTIONS:
                yield real

    def _unpackings(
        self,
        module: Module,
        text: TupleText,
        names: set[str],
        candidates: dict[str, tuple[Definition, tuple[Return, ...]]],
    ) -> Iterator[tuple[str, Unpacking]]:
        renamed = {fact.bound: fact.attribute for fact in module.facts.imports if fact.renamed and fact.attribute}
        lines = {line for name, line in text.unpacked if renamed.get(name, name) in names}
        for index in sorted({module.scope_at(line) for line in lines}):
            for stmt in statements(module.body(index)):
                if isinstance(stmt, Assign) and any(stmt.line <= line <= stmt.end_line for line in lines):
                    unpacking = _unpacking(module, index, stmt)
                    key = self._target(unpacking) if unpacking is not None else None
                    if key in candidates and unpacking is not None:
                        yield key, unpacking

    def _target(self, unpacking: Unpacking) -> str | None:
        """The one function an unpacked call runs, if that is sure."""
        edges = self.project.calls.targets(unpacking.module, unpacking.scope, unpacking.call)
        targets = {edge.target.name for edge in edges}
        sure = len(targets) == 1 and edges[0].confidence in ("exact", "method")
        return targets.pop() if sure else None


def _unpacking(module: Module, index: int, stmt: Assign) -> Unpacking | None:
    value = stmt.value.value if isinstance(stmt.value, Wait) else stmt.value
    target = stmt.targets[0]
    if not isinstance(value, Call) or len(stmt.targets) != 1 or not isinstance(target, Build):
        return None
    return Unpacking(module, index, stmt, tuple(target.items), value)


def _returns(module: Module, index: int) -> tuple[Return, ...]:
    """The returns of a function, when each gives a tuple of at least two."""
    found = [stmt for stmt in statements(module.body(index)) if isinstance(stmt, Return)]
    for stmt in found:
        value = stmt.value
        if not isinstance(value, Build) or value.kind != "tuple" or len(value.items) < 2:
            return ()
        if any(isinstance(item, Starred) for item in value.items):
            return ()
    return tuple(found)


def _is_plain(decorators: Iterable[Expr]) -> bool:
    names = [getattr(one, "function", one) for one in decorators]
    return all(isinstance(one, Ref) and one.name.rpartition(".")[2] in _TRANSPARENT for one in names)


def of_library_class(definition: Definition) -> bool:
    """Whether a method's class derives from a library's: what it returns may be the library's wish."""
    parent = definition.parent
    if parent is None or parent.scope.kind != CLASS:
        return False
    bases = parent.module.project.mro(parent.name)[1:]
    return any(":" not in base and base not in ("builtins.object", "abc.ABC") for base in bases)


def name_of(expr: Expr) -> str:
    """What a value or target is called: ``mean`` of ``self.mean``, ``loss`` of ``loss.item()``; "" for the rest."""
    if isinstance(expr, Ref):
        return expr.name.rpartition(".")[2]
    if isinstance(expr, Call) and isinstance(expr.function, Ref):
        head, _, last = expr.function.name.rpartition(".")
        return head.rpartition(".")[2] if head and last in _VIEWS else ""
    if isinstance(expr, Call) and isinstance(expr.function, Attribute):
        return name_of(expr.function.value) if expr.function.name in _VIEWS else ""
    if isinstance(expr, Subscript) and isinstance(expr.value, Ref):
        return ""
    return ""
