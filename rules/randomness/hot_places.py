"""Where code runs again and again: methods that are called for every item, loops, and functions given to ``map``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Build, Call, Comprehension, Const, Expr, For, Format, Ref, While
from mldebt.facts.walk import calls, children, expressions, statements, walk

from .events import Draws
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.project.callers import Site
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

METHODS = frozenset(
    "__getitem__ __getitems__ forward call training_step train_step collate_fn collate __next__ on_train_batch_start "
    "on_train_batch_begin on_train_epoch_start on_epoch_begin on_epoch_start on_epoch_end on_train_epoch_end".split()
)
_ITERATED = re.compile(r"sampler|batch|loader|dataset|stream|iterable", re.IGNORECASE)
_TRANSFORM = re.compile(r"aug|transform|random|crop|flip|jitter|noise|mask|collat", re.IGNORECASE)
_MAPS = frozenset(
    "map imap imap_unordered starmap map_async apply progress_apply applymap map_batches Lambda delayed "
    "parallel_map process_map thread_map".split()
)
_ITEMS = re.compile(
    r"(^|_)(epochs?|steps?|iter|iters|iteration|iterations|batch|batches|minibatch|episodes?|samples?|items?|images?|imgs?|"
    r"frames?|rows?|sentences?|loader|dataloader|train_loader|trainloader|itertuples|iterrows)($|_)",
    re.IGNORECASE,
)
_EXPERIMENTS = re.compile(
    r"(^|_)(models?|configs?|cfgs?|folds?|seeds?|runs?|trials?|exps?|experiments?|repeats?|repetitions?|params?|lrs?|"
    r"methods?|algos?|algorithms?|names?|splits?|datasets|tasks?|settings?|grids?|envs?|clf|classifiers?|estimators?|"
    r"variants?|ranks?|workers?|sizes?|options?|modes?|cv|kf|skf)($|_)",
    re.IGNORECASE,
)
RUNS = re.compile(r"(^|_)(run|main|fit|train\w*|make|create|build|init|load|experiment|cross_val_score|objective)($|_)")
_CLOCKS = frozenset("perf_counter time timeit process_time monotonic synchronize".split())
_TELLS = frozenset("print info debug warning log write set_description set_postfix update format str tqdm".split())


def is_method(definition: Definition) -> bool:
    """Whether a method is called for every item, step or epoch."""
    scope, parent = definition.scope, definition.parent
    if not definition.is_function or parent is None or not parent.is_class:
        return False
    transforms = scope.name == "__call__" and _TRANSFORM.search(parent.scope.name) is not None
    iterates = scope.name == "__iter__" and _ITERATED.search(parent.scope.name) is not None
    return scope.name in METHODS or transforms or iterates


def is_experiments(loop: For | While | Comprehension) -> bool:
    """A loop over models, folds, settings: what runs in it is compared."""
    if isinstance(loop, For) and isinstance(loop.iterable, Build):
        return True  # ``for size in (10, 100)``
    return _EXPERIMENTS.search(heads(loop)) is not None


def heads(loop: For | While | Comprehension) -> str:
    """The names of what a loop goes over, as words."""
    if isinstance(loop, Comprehension):
        parts: list[Expr] = [part for one in loop.generators for part in (one.target, one.iterable)]
    else:
        parts = [loop.target, loop.iterable] if isinstance(loop, For) else [loop.test]
    names = [node.name for part in parts for node in walk(part) if isinstance(node, (Ref, Attribute))]
    return " ".join(names).replace(".", "_ _").replace(" ", "_ _")


def is_hot_loop(project: Project, here: Site, loop: For | While, below: bool) -> bool:
    """A loop over items, steps or epochs; of others, one that draws itself and runs nothing that fits a model."""
    if is_repetition(project, here, loop, below):
        return True
    if isinstance(loop, For) and isinstance(loop.iterable, Call) and _is_pair(loop.iterable):
        return False
    if is_experiments(loop):
        return False
    if _ITEMS.search(heads(loop)):
        return True
    draws = below or _draws(project, here, loop)
    if any(RUNS.search(last_segment(call.function)) for stmt in statements(loop.body) for call in calls(stmt)):
        return False
    return draws and (isinstance(loop, For) or _is_endless(loop))


def is_repetition(project: Project, here: Site, loop: For | While, below: bool) -> bool:
    """``for _ in range(n)`` that draws, where no pass is told from another but in what is printed."""
    if not isinstance(loop, For) or not isinstance(loop.target, Ref) or not isinstance(loop.iterable, Call):
        return False
    call = loop.iterable
    while call.args and isinstance(call.args[0], Call) and last_segment(call.function) in ("tqdm", "trange"):
        call = call.args[0]
    if last_segment(call.function) not in ("range", "trange") or _is_pair(call):
        return False
    if any(last_segment(one.function) in _CLOCKS for stmt in statements(loop.body) for one in calls(stmt)):
        return False
    return not _chooses(loop, loop.target.name) and (below or _draws(project, here, loop))


def _is_pair(call: Call) -> bool:
    """``range(2)``: whether a thing is the same twice."""
    return (
        last_segment(call.function) == "range"
        and len(call.args) == 1
        and isinstance(call.args[0], Const)
        and call.args[0].value in (1, 2)
    )


def _chooses(loop: For, name: str) -> bool:
    """Whether the counter is read for more than a message."""
    for stmt in statements(loop.body):
        pending = [(expr, False) for expr in expressions(stmt)]
        while pending:
            node, told = pending.pop()
            if isinstance(node, Ref) and node.name == name and not told:
                return True
            told = told or isinstance(node, Format)
            told = told or (isinstance(node, Call) and last_segment(node.function) in _TELLS)
            pending += [(part, told) for part in children(node)]
    return False


def _draws(project: Project, here: Site, loop: For | While) -> bool:
    events = project[Seeding].summaries.calls
    return any(
        isinstance(events.event(here.module, here.scope, call), Draws)
        for stmt in statements(loop.body)
        for call in calls(stmt)
    )


def _is_endless(loop: While) -> bool:
    return isinstance(loop.test, Const) and bool(loop.test.value)


def is_mapped(site: Site, definition: Definition) -> bool:
    """``map(augment, images)``: whether a call runs a function once for each item."""
    call = site.call
    if last_segment(call.function) not in _MAPS:
        return False
    handed = any(
        isinstance(arg, (Ref, Attribute)) and definition.name in site.module.names(site.scope, arg)
        for arg in (*call.args, *(keyword.value for keyword in call.keywords))
    )
    others = [node.name for arg in call.args for node in walk(arg) if isinstance(node, (Ref, Attribute))]
    words = " ".join(others).replace(".", "_ _").replace(" ", "_ _")
    return handed and _EXPERIMENTS.search(words) is None and RUNS.search(definition.scope.name) is None


def comprehensions(around: tuple[Expr, ...], inner: Expr) -> Iterator[Comprehension]:
    """The comprehensions around an expression that evaluate it more than once."""
    last = inner
    for node in around:
        if isinstance(node, Comprehension) and last is not node.generators[0].iterable:
            yield node
        last = node
