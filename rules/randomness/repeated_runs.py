"""What in a repository runs an experiment with several seeds: loops, sweeps, repeated validation, launch commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Call, Comprehension, Expr, For, Ref
from mldebt.facts.walk import calls, calls_in, expressions, statements, walk
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module

_SEED = re.compile(r"(^|_)(seeds?|random_?states?)(_|$|\d)|seeds?$", re.IGNORECASE)
# Identifiers that only a repeated experiment has a use for.
_REPEATS = re.compile(
    r"(n|num|nr|nb|number_of)_?(seeds|runs|repeats|repetitions|reps|replicates|replications)|(\w+_)?seeds|seed_list"
    r"|\w*cross_?valid\w*|\w*KFold|LeaveOne\w*Out|cross_val_\w+|p?stdev|sem|ttest_\w+|wilcoxon|mannwhitneyu",
    re.IGNORECASE,
)
_ROUNDS = re.compile(r"_?(i_|n_)?(run|rep|repeat|repetition|replicate|replication|seed)(_(id|idx|no|i|n|number))?")
_SPREAD = frozenset({"std", "stdev", "pstdev", "sem"})
_SCORES = re.compile(r"acc|auc|f1|scores?|results?|metrics?|rmse|mae|mse|iou|dice|bleu|rouge", re.IGNORECASE)
_SWEPT = re.compile(r",|^(range|choice|interval|shuffle|tag)\(")
_RANGES = frozenset({"values", "min", "max", "distribution", "choices", "grid", "grid_search"})
_LISTED = re.compile(r"^[^=]*seeds?=.*(,|\$)|^[^=]*(num|n)[-_](seeds|runs|repeats)(=|$)|^-+seeds", re.IGNORECASE)
_LOOP = re.compile(rb"\bfor\s+\w*(seed|run|rep|trial)\w*\s+in\b|\bseq\b.*seed", re.IGNORECASE)
_SCRIPTS = re.compile(r"(^|/)(Makefile|Justfile|Snakefile)$|\.(sh|bash|slurm|sbatch|mk|smk)$")


class RepeatedRuns(Analysis):
    """``project[RepeatedRuns].there``."""

    @cached_property
    def there(self) -> bool:
        """Whether anything in the repository, tests apart, repeats an experiment or aggregates repeated runs."""
        modules = [module for module in self.project.modules.values() if not module.is_test]
        seen: set[str] = set()
        for module in modules:
            fresh = module.mentions - seen
            if any(map(_REPEATS.fullmatch, fresh)):
                return True
            seen |= fresh
        return self._in_configurations() or self._in_commands() or any(map(self._in_code, modules))

    # Launches.

    def _in_configurations(self) -> bool:
        for config in self.project.repository.configs:
            for leaf in config.leaves:
                for at, key in enumerate(leaf.keys):
                    if not _SEED.search(key.rpartition(".")[2]):
                        continue
                    rest = leaf.keys[at + 1 :]
                    if any(one.isdigit() or one in _RANGES for one in rest):
                        return True
                    if not rest and isinstance(leaf.value, str) and _SWEPT.search(leaf.value):
                        return True
        return False

    def _in_commands(self) -> bool:
        seeds: set[str] = set()
        for command in self.project.repository.commands:
            for word, following in zip(command.words, (*command.words[1:], ""), strict=True):
                if _LISTED.search(word):
                    return True
                flag, _, value = word.lstrip("-").partition("=")
                if _SEED.search(flag.rpartition(".")[2].replace("-", "_")):
                    seeds.add(value or following)
        if len(seeds) > 1 or any("$" in seed for seed in seeds):
            return True
        scripts = (path for path in sorted(self.project.every) if _SCRIPTS.search(path))
        return any(_LOOP.search(self.project.content(path, 100_000)) for path in scripts)

    # Code.

    def _in_code(self, module: Module) -> bool:
        """Whether a loop goes through seeds, or the spread of scores is computed."""
        names = module.facts.mentions
        if not any(_SEED.search(name) or _ROUNDS.fullmatch(name) or name in _SPREAD for name in names):
            return False
        for index in range(len(module.facts.scopes)):
            if any(_is_spread(site.call) for site in module.call_sites(index)):
                return True
            for target, iterable, inside in _loops(module, index):
                looped = {node.name for node in walk(target) if isinstance(node, Ref)}
                if any(map(_ROUNDS.fullmatch, looped)) or _names_seeds(iterable):
                    return True
                if any(self._is_seeded(module, index, call, looped) for call in inside):
                    return True
        return False

    def _is_seeded(self, module: Module, scope: int, call: Call, names: set[str]) -> bool:
        """Whether a call is given a seed that a loop counts."""
        values = [keyword.value for keyword in call.keywords if keyword.name and _SEED.search(keyword.name)]
        if _SEED.search(last_segment(call.function)):
            values += call.args
        for edge in self.project.calls.targets(module, scope, call):
            site, spellings = Site(module, scope, call), frozenset({last_segment(call.function)})
            wanted = [one.name for one in edge.target.scope.parameters if _SEED.search(one.name)]
            handed = [given(site, edge.target, name, spellings) for name in wanted]
            values += [one for one in handed if one is not None and one is not UNKNOWN]
        return any(isinstance(node, Ref) and node.name in names for value in values for node in walk(value))


def _loops(module: Module, scope: int) -> Iterator[tuple[Expr, Expr, Iterable[Call]]]:
    """What each loop binds and goes through, and the calls it repeats."""
    for stmt in statements(module.body(scope)):
        if isinstance(stmt, For):
            yield stmt.target, stmt.iterable, [call for one in statements(stmt.body) for call in calls(one)]
        for expr in expressions(stmt):
            for node in walk(expr):
                if isinstance(node, Comprehension):
                    for one in node.generators:
                        yield one.target, one.iterable, calls_in(node.element)


def _names_seeds(iterable: Expr) -> bool:
    return isinstance(iterable, Ref) and _SEED.search(last_segment(iterable)) is not None


def _is_spread(call: Call) -> bool:
    """``np.std(scores)``, ``scores.std()``."""
    if last_segment(call.function) not in _SPREAD:
        return False
    named = [call.function, *call.args]
    return any(isinstance(one, Ref) and _SCORES.search(one.name) for one in named)
