"""Parameters that start apart: a seed that knows the rank, a model built after it, gradients averaged by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, Ref
from mldebt.facts.walk import walk
from mldebt.rule import Analysis

from .origins import Origins
from .seed_calls import SeedCall, SeedCalls
from .seeded_paths import SeededPaths

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition

_REDUCES = frozenset(
    "torch.distributed.all_reduce torch.distributed.all_reduce_coalesced torch.distributed.reduce_scatter "
    "horovod.torch.allreduce horovod.torch.allreduce_".split()
)
_RANK = re.compile(r"(^|_)rank(_id)?$|^(LOCAL_|SLURM_PROC)?(RANK|ID)$|^get_(local_|global_)?rank$", re.IGNORECASE)
# What makes the parameters of all ranks alike, or may: then nothing is known.
_ALIKE = re.compile(
    r"broadcast|DistributedDataParallel|^DDP$|DataParallel|^FSDP$|fully_shard|load_state_dict|from_pretrained|restore"
    r"|sync_(param|state|model|weight)|^prepare$|load_checkpoint|deepspeed",
    re.IGNORECASE,
)


class Apart(NamedTuple):
    """A seed call that differs by rank, the model built after it, and the hand-written reduction of its gradients."""

    seed: SeedCall
    built: CallSite
    reducing: Module
    reduced: CallSite


class RankSeeds(Analysis):
    """``project[RankSeeds].apart()``."""

    def apart(self) -> Iterator[Apart]:
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for _, site in module.calls_of(_REDUCES):
                if _is_gradient(site.call):
                    yield from self._around(module, site)

    def _around(self, module: Module, reduced: CallSite) -> Iterator[Apart]:
        """The seeds of what runs together with a reduction."""
        definition, paths = module.definition(reduced.scope), self.project[SeededPaths]
        entries = [one for one in self.project.entries if not one.is_test and paths.may_run(one, module)]
        ways = [reached for one in entries if definition.name in (reached := paths.reached(one))]
        for reached in ways[:1]:
            bodies = [one for name in sorted(reached) if (one := self.project.definition(name)) is not None]
            if any(_ALIKE.search(last) for body in bodies for last in _called(body)):
                return
            for seed in self.project[SeedCalls].all:
                if "torch" in seed.libraries and seed.module.definition(seed.site.scope).name in reached:
                    built = self._built_after(seed)
                    if built is not None and self._knows_rank(seed):
                        yield Apart(seed, built, module, reduced)

    def _knows_rank(self, seed: SeedCall) -> bool:
        if seed.value is None:
            return False
        ends = self.project[Origins].of(seed.module, seed.site.scope, seed.value)
        here = (seed.module, seed.site.scope, seed.value)
        return any(
            _is_rank(module, scope, node)
            for module, scope, expr in (here, *((end.module, end.scope, end.expr) for end in ends))
            for node in walk(expr)
        )

    def _built_after(self, seed: SeedCall) -> CallSite | None:
        """The first module built in the same body after the seed, if no other seed comes between."""
        module, scope = seed.module, seed.site.scope
        others = [one.site for one in self.project[SeedCalls].all if one.module is module and one.site.scope == scope]
        for site in module.call_sites(scope):
            if site.call.line <= seed.site.call.line:
                continue
            if any(seed.site.call.line < other.call.line <= site.call.line for other in others):
                return None
            if any(
                self.project.types.is_a(one, "torch.nn.Module")
                for one in self.project.types.of(module, scope, site.call)
            ):
                return site
        return None


def _called(definition: Definition) -> set[str]:
    """The last words of what a body calls, as written and as linked."""
    module, found = definition.module, set[str]()
    for site in module.call_sites(definition.index):
        found.add(last_segment(site.call.function))
        found.update(name.rpartition(".")[2] for name in module.names(definition.index, site.call.function))
    return found


def _is_gradient(call: Call) -> bool:
    """``all_reduce(p.grad)``, ``all_reduce(p.grad.data, op=SUM)``, or something called a gradient."""
    first = call.args[0] if call.args else None
    names = [node.name for node in walk(first) if isinstance(node, (Ref, Attribute))] if first is not None else []
    return any("grad" in name.lower() for name in names)


def _is_rank(module: Module, scope: int, node: Expr) -> bool:
    if isinstance(node, Const):
        return isinstance(node.value, str) and _RANK.search(node.value) is not None
    if not isinstance(node, (Ref, Attribute)):
        return False
    linked = module.project.resolve(module, scope, node.name) if isinstance(node, Ref) else ()
    return any(_RANK.search(name.rpartition(".")[2]) for name in (last_segment(node), *linked))
