"""Distributed samplers, the loops over epochs that use them, and generators that are the same on every rank."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Call, Expr, For, Ref, While
from mldebt.facts.walk import calls, statements, walk
from mldebt.rule import Analysis

from .origins import VALUE, Origins, Source
from .seeded_paths import SeededPaths

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition

SAMPLERS = frozenset({"torch.utils.data.distributed.DistributedSampler", "torch.utils.data.DistributedSampler"})
_RANKED = frozenset(
    "torch.distributed.init_process_group torch.distributed.get_rank deepspeed.init_distributed "
    "horovod.torch.init torch.nn.parallel.DistributedDataParallel".split()
)
_GENERATORS = frozenset(
    "numpy.random.default_rng numpy.random.RandomState random.Random numpy.random.Generator".split()
)
_AUGMENTS = re.compile(r"aug|transform|crop|flip|jitter|noise|mask|mix|erase|dropout", re.IGNORECASE)
# Frameworks that call ``set_epoch`` themselves.
_FRAMEWORKS = frozenset(
    "pytorch_lightning lightning accelerate transformers ignite mmcv mmengine catalyst composer fastai ray "
    "deepspeed".split()
)
_EVALUATES = re.compile(r"val|test|eval|infer|predict|dev", re.IGNORECASE)


class Sampled(NamedTuple):
    """A shuffling distributed sampler whose epochs are all alike, and the loop over them."""

    module: Module
    site: CallSite
    loop: Module
    header: Expr


class SetEpochs(Analysis):
    """``project[SetEpochs].missing()``."""

    def missing(self) -> Iterator[Sampled]:
        """Samplers of programs that never call ``set_epoch``."""
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for _, site in module.calls_of(SAMPLERS):
                if not self._shuffles(module, site):
                    continue
                for reached in self._ways(module, site):
                    loop = self._loop(reached)
                    if loop is not None and not self._is_set(reached):
                        yield Sampled(module, site, *loop)
                        break

    def _shuffles(self, module: Module, site: CallSite) -> bool:
        value = argument(site.call, "shuffle", 3)
        if value is UNKNOWN:
            return False
        ends = self.project[Origins].of(module, site.scope, value) if value is not None else ()
        shuffled = value is None or any(
            end.kind == VALUE and not end.path and end.module.constant(end.scope, end.expr) is True for end in ends
        )
        targets = getattr(site.statement, "targets", ())
        names = [node.name for one in (*targets, *site.call.args) for node in walk(one) if isinstance(node, Ref)]
        return shuffled and not any(_EVALUATES.search(name) for name in names)

    def _ways(self, module: Module, site: CallSite) -> Iterator[frozenset[str]]:
        """What runs together with a call: of each entry that reaches it; without one, of its own function."""
        definition, paths = module.definition(site.scope), self.project[SeededPaths]
        found = False
        for entry in self.project.entries:
            if entry.is_test or not paths.may_run(entry, module):
                continue
            reached = paths.reached(entry)
            if definition.name in reached:
                found = True
                yield reached
        if not found:
            yield frozenset({definition.name, *self.project.calls.reachable(definition)})

    def _is_set(self, reached: frozenset[str]) -> bool:
        """Whether something on the way calls ``set_epoch``, or a framework does."""
        for path in {name.partition(":")[0] for name in reached}:
            module = self.project.modules[path]
            heads = {fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level}
            if "set_epoch" in module.mentions or heads & _FRAMEWORKS:
                return True
        return False

    def _loop(self, reached: frozenset[str]) -> tuple[Module, Expr] | None:
        """The loop over epochs: one around a loop over batches that trains, in place or in a function it calls."""
        for name in sorted(reached):
            definition = self.project.definition(name)
            if definition is None:
                continue
            for stmt in statements(definition.body):
                if isinstance(stmt, (For, While)) and self._is_over_epochs(definition, stmt):
                    return definition.module, stmt.iterable if isinstance(stmt, For) else stmt.test
        return None

    def _is_over_epochs(self, definition: Definition, loop: For | While) -> bool:
        if any(isinstance(stmt, For) and _updates(stmt) for stmt in statements(loop.body)):
            return True
        module, index = definition.module, definition.index
        for stmt in statements(loop.body):
            for call in calls(stmt):
                for edge in self.project.calls.targets(module, index, call):
                    inner = statements(edge.target.body) if edge.confidence in ("exact", "method") else ()
                    if any(isinstance(one, For) and _updates(one) for one in inner):
                        return True
        return False

    # Generators.

    def equal(self) -> Iterator[tuple[Module, CallSite, str]]:
        """Generators for augmentation with one constant seed in programs of several ranks."""
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for name, site in module.calls_of(_GENERATORS):
                seed = argument(site.call, "seed", 0)
                if seed is None or seed is UNKNOWN or not _is_augmentation(module, site):
                    continue
                ends = self.project[Origins].of(module, site.scope, seed)
                if not ends or not all(_is_number(end) for end in ends):
                    continue
                if any(self._is_ranked(reached) for reached in self._ways(module, site)):
                    yield module, site, name

    def _is_ranked(self, reached: frozenset[str]) -> bool:
        paths = {name.partition(":")[0] for name in reached}
        modules = [self.project.modules[path] for path in sorted(paths)]
        return any(
            module.definition(site.scope).name in reached for module in modules for _, site in module.calls_of(_RANKED)
        )


def _is_number(end: Source) -> bool:
    return end.kind == VALUE and not end.path and isinstance(end.module.constant(end.scope, end.expr), int)


def _is_augmentation(module: Module, site: CallSite) -> bool:
    definition = module.definition(site.scope)
    names = [definition.qualname]
    targets = getattr(site.statement, "targets", ())
    names += [node.name for one in targets for node in walk(one) if isinstance(node, Ref)]
    return any(_AUGMENTS.search(name) for name in names)


def _updates(loop: For) -> bool:
    """Whether a loop takes training steps."""
    made: list[Call] = [call for stmt in statements(loop.body) for call in calls(stmt)]
    last = {c.function.name.rpartition(".")[2] for c in made if isinstance(c.function, (Ref, Attribute))}
    return bool(last & {"backward", "train_step", "training_step", "train_batch", "train_on_batch"})
