from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, For, If, Ref, Stmt, While, With
from mldebt.facts.walk import calls, expressions, statements, walk
from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.callers import Site, given
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .events import Draws
from .following import Following
from .guards import NEUTRAL, OPTION, guard
from .reporting import NAMES
from .seed_calls import SeedCall, SeedCalls, around, loops
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_HOT = frozenset("__getitem__ __getitems__ forward training_step train_step collate_fn collate __next__".split())
_TRANSFORM = re.compile(r"aug|transform|random|crop|flip|jitter|noise|mask|collat", re.IGNORECASE)
_MEASURES = re.compile(
    r"eval|valid|(^|_)val(_|$)|test|infer|predict|(^|_)sampl|generat|visual|plot|demo|bench|debug|profile|determin",
    re.IGNORECASE,
)
_STATE = frozenset(
    "get_state set_state getstate setstate get_rng_state set_rng_state fork_rng get_random_state preserve_rng_state "
    "bit_generator temp_seed temporary_seed".split()
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
_RUNS = re.compile(
    r"(^|_)(run|main|fit|train\w*|make|create|build|init|load|experiment|cross_val_score|objective)($|_)"
)
_DEEPEST = 4
_MOST_SITES = 15


class SeedResetInHotPath(ProjectRule):
    """A global generator is seeded with the same number again for every item, step or epoch.

    The call stands in `__getitem__`, `forward`, `training_step`, a collate function or the training loop, or in a
    function called from there, and its value does not change from one time to the next.

    ## Why it is debt

    After each such call the generator starts over: every image is cropped at the same place, every step drops the same
    units, every epoch sees the same order. The augmentation is frozen, the code looks random, and no test fails.
    As the generator is global, all other draws of the process are frozen with it.

    ## How to pay it back

    Seed once, at the start of the program. Where an item has to be reproducible by itself, give it a generator of its
    own that knows which item it is: `np.random.default_rng((seed, epoch, index))`.

    ## When to leave it

    A seed that varies (`seed + index`, the loop's own variable) is not reported, nor is one that is set before each of
    several models, folds or runs so that they are comparable. Evaluation and sampling that want the same draws
    every time are left alone, and so is code that saves the state of the generator and puts it back.

    ## References

    - PyTorch, Reproducibility: https://pytorch.org/docs/stable/notes/randomness.html
    - NumPy, `numpy.random.seed` (legacy, re-seeding is not recommended):
      https://numpy.org/doc/stable/reference/random/generated/numpy.random.seed.html
    """

    code = "MLD407"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 10

    examples = (
        Bad(
            """
            import numpy as np
            from torch.utils.data import Dataset


            class Crops(Dataset):
                def __init__(self, images):
                    self.images = images

                def __getitem__(self, index):
                    np.random.seed(42)
                    top = np.random.randint(0, 32)
                    return self.images[index][top : top + 224]
            """,
            anchors=("example.py:10",),
        ),
        Bad(
            {
                "train.py": """
                    import torch

                    from repro import fix_seed


                    def train(model, loader, optimizer, epochs):
                        for epoch in range(epochs):
                            fix_seed(0)
                            for x, y in loader:
                                loss = torch.nn.functional.cross_entropy(model(x), y)
                                loss.backward()
                                optimizer.step()
                    """,
                "repro.py": """
                    import random

                    import torch


                    def fix_seed(value):
                        random.seed(value)
                        torch.manual_seed(value)
                    """,
            },
            anchors=("train.py:8",),
        ),
        Bad(
            {
                "augment.py": """
                    import random

                    SEED = 7


                    def flip(image):
                        random.seed(SEED)
                        return image[::-1] if random.random() < 0.5 else image
                    """,
                "data.py": """
                    from torch.utils.data import Dataset

                    from augment import flip


                    class Images(Dataset):
                        def __init__(self, images):
                            self.images = images

                        def __getitem__(self, index):
                            return flip(self.images[index])
                    """,
            },
            anchors=("augment.py:7",),
        ),
        Bad(
            """
            import torch
            from torch import nn


            class Noisy(nn.Module):
                def __init__(self, seed):
                    super().__init__()
                    self.seed = seed

                def forward(self, x):
                    torch.manual_seed(self.seed)
                    return x + torch.randn_like(x)
            """
        ),
        Good(
            """
            import numpy as np
            from torch.utils.data import Dataset


            class Crops(Dataset):
                def __init__(self, images, seed):
                    self.images = images
                    self.seed = seed

                def __getitem__(self, index):
                    np.random.seed(self.seed + index)
                    top = np.random.randint(0, 32)
                    return self.images[index][top : top + 224]
            """
        ),
        Good(
            """
            import random

            import torch
            from torch.utils.data import Dataset


            class Pairs(Dataset):
                def __init__(self, images, masks, transform):
                    self.images, self.masks, self.transform = images, masks, transform

                def __getitem__(self, index):
                    seed = random.randint(0, 2**31)
                    torch.manual_seed(seed)
                    image = self.transform(self.images[index])
                    torch.manual_seed(seed)
                    return image, self.transform(self.masks[index])
            """
        ),
        Good(
            """
            import numpy as np


            def compare(models, x, y):
                scores = {}
                for name, model in models.items():
                    np.random.seed(0)
                    scores[name] = model.fit(x, y).score(x, y)
                return scores


            def repeat(train):
                results = []
                for seed in range(5):
                    np.random.seed(seed)
                    results.append(train())
                return results
            """
        ),
        Good(
            """
            import torch


            def train(model, loader, epochs, sample):
                for epoch in range(epochs):
                    for batch in loader:
                        model(batch).backward()
                    state = torch.get_rng_state()
                    torch.manual_seed(0)
                    sample(model)
                    torch.set_rng_state(state)


            def evaluate(model, batches):
                losses = []
                for batch in batches:
                    torch.manual_seed(0)
                    losses.append(model(batch))
                return losses
            """
        ),
        Good(
            """
            import torch


            def train(model, loader, epochs, seed):
                torch.manual_seed(seed)
                for epoch in range(epochs):
                    torch.manual_seed(seed + epoch)
                    for batch in loader:
                        model(batch).backward()
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        seen: set[tuple[str, int, str]] = set()
        for seed in project[SeedCalls].all:
            if not seed.module.is_example or seed.value is not None:
                for site, value, where in _hot(project, seed):
                    key = (site.module.path, site.scope, where.text)
                    if key not in seen:
                        seen.add(key)
                        yield _problem(seed, site, value, where)


class _Where(Struct, frozen=True):
    """The function or loop that makes it hot."""

    text: str
    place: Place


def _problem(seed: SeedCall, site: Site, value: Expr, where: _Where) -> Problem:
    names = " and ".join(NAMES[one] for one in seed.libraries if one in NAMES)
    constant = site.module.constant(site.scope, value)
    shown = value.name if isinstance(value, Ref) else "the same number" if constant is UNKNOWN else str(constant)
    return Problem(
        site.module.place(site.call),
        f"{names} is seeded with {shown} again {where.text}, so every draw there is the same",
        (
            *([Related(where.place, "this runs again and again", "path")]),
            *([] if seed.site.call is site.call else [Related(seed.module.place(seed.site), "seeds here", "cause")]),
        ),
        evidence=("the value does not change", "no state of the generator is saved and put back around it"),
    )


def _hot(project: Project, seed: SeedCall) -> Iterator[tuple[Site, Expr, _Where]]:
    """The calls that give a constant seed in a hot place."""
    if seed.value is None:
        return
    start = Site(seed.module, seed.site.scope, seed.site.call)
    pending: list[tuple[Site, Site, Expr, int, bool]] = [(start, start, seed.value, _DEEPEST, False)]
    seen: set[int] = set()
    while pending:
        here, anchor, value, depth, below = pending.pop()
        if id(here.call) in seen:
            continue
        seen.add(id(here.call))
        definition = here.module.definition(here.scope)
        use = project[Following].at(here)
        outer = around(here.module, here.scope, use.statement) if use is not None else None
        if outer is None or here.module.is_test or _is_left_alone(definition) or not _is_sure(definition, outer):
            continue
        parameter = _parameter(definition, value) if here is anchor else None
        steady = parameter is None and (here is not anchor or _is_constant(here, value))
        where = _place(project, here, value if here is anchor else Const(0), outer, below)
        if where is not None and (steady or (parameter is not None and where.text.startswith("in each"))):
            yield anchor, value, where
            continue
        if depth and definition.is_function and (steady or parameter is not None):
            # A function that takes its seed and draws is meant to be the same each time.
            own = project[Seeding].summaries.calls.draws(definition) and parameter is None
            draws = (below or own) and not _RUNS.search(definition.scope.name)
            for site, handed in _callers(project, definition, parameter, value):
                pending.append((site, site if parameter is not None else anchor, handed, depth - 1, draws))


def _callers(
    project: Project, definition: Definition, parameter: str | None, value: Expr
) -> Iterator[tuple[Site, Expr]]:
    sites = project.callers.of(definition) or ()
    spellings = project.callers.spellings(definition)
    for site in sites[:_MOST_SITES]:
        if parameter is None:
            yield site, value
            continue
        handed = given(site, definition, parameter, spellings)
        if handed is None:
            handed = next((one.default for one in definition.scope.parameters if one.name == parameter), None)
        if handed is not None and handed is not UNKNOWN:
            yield site, handed


def _is_left_alone(definition: Definition) -> bool:
    """Whether a function measures, or keeps the state of a generator."""
    if definition.is_module:
        return False
    scope, uses = definition.scope, definition.module.segments(definition.index)
    project = definition.module.project
    return _MEASURES.search(scope.name) is not None or not project.spellings(_STATE).isdisjoint(uses)


def _is_sure(definition: Definition, outer: Sequence[Stmt]) -> bool:
    """Whether nothing decides between seeding and not but the hardware, or whether there is a seed."""
    names = {one.name for one in definition.scope.parameters}
    inner = outer
    for position, stmt in enumerate(outer):
        if isinstance(stmt, (For, While)):
            inner = outer[position + 1 :]
        if isinstance(stmt, With) and any(
            isinstance(node, (Ref, Attribute)) and node.name.rpartition(".")[2] in _STATE
            for expr in expressions(stmt)
            for node in walk(expr)
        ):
            return False
    for stmt in inner:
        if isinstance(stmt, If) and guard(stmt.test, names).kind not in (NEUTRAL, OPTION):
            main = definition.module.facts.main
            if definition.is_function or main is None or stmt.line != main[0]:
                return False
    return True


def _collates(project: Project, definition: Definition) -> bool:
    """Whether a data loader is given a function to put batches together."""
    for site in project.callers.of(definition) or ():
        for keyword in site.call.keywords:
            if keyword.name == "collate_fn" and definition.name in site.module.names(site.scope, keyword.value):
                return True
    return False


def _place(project: Project, here: Site, value: Expr, outer: Sequence[Stmt], below: bool) -> _Where | None:
    """What runs a call again and again; ``below``: a function that draws leads to it."""
    module, definition = here.module, here.module.definition(here.scope)
    for loop in reversed(loops(tuple(outer))):
        if _EXPERIMENTS.search(_heads(loop)):
            return None
        if _is_hot_loop(project, here, loop, below) and _is_unchanged(definition, value, loop):
            return _Where("in each pass of a loop", module.place(_header(loop)))
    scope, parent = definition.scope, definition.parent
    if definition.is_function and parent is not None and parent.is_class:
        transforms = scope.name == "__call__" and _TRANSFORM.search(parent.scope.name) is not None
        if scope.name in _HOT or transforms:
            return _Where(f"in every {parent.scope.name}.{scope.name}()", module.place(scope))
    if definition.is_function and (
        scope.name in ("collate_fn", "training_step", "train_step") or _collates(project, definition)
    ):
        return _Where(f"in every {scope.name}()", module.place(scope))
    return None


def _header(loop: For | While) -> Expr:
    return loop.iterable if isinstance(loop, For) else loop.test


def _heads(loop: For | While) -> str:
    """The names of what a loop goes over, as words."""
    parts = [loop.target, loop.iterable] if isinstance(loop, For) else [loop.test]
    names = [node.name for part in parts for node in walk(part) if isinstance(node, (Ref, Attribute))]
    return " ".join(names).replace(".", "_ _").replace(" ", "_ _")


def _is_hot_loop(project: Project, here: Site, loop: For | While, below: bool) -> bool:
    """A loop over items, steps or epochs; of others, one that draws itself and runs nothing that fits a model."""
    if _ITEMS.search(_heads(loop)):
        return True
    events = project[Seeding].summaries.calls
    draws = below
    for stmt in statements(loop.body):
        for call in calls(stmt):
            name = last_segment(call.function)
            if _RUNS.search(name):
                return False
            draws = draws or isinstance(events.event(here.module, here.scope, call), Draws)
    return draws and isinstance(loop, For)


def _is_unchanged(definition: Definition, value: Expr, loop: For | While) -> bool:
    """Whether no pass of a loop changes what a value is made of."""
    flow = definition.module.project.flow(definition)
    for node in walk(value):
        if isinstance(node, Call):
            return False
        if isinstance(node, Ref):
            for origin in flow.origins(node):
                stmt = origin.statement
                if stmt is loop or (stmt is not None and loop.line <= stmt.line <= loop.end_line):
                    return False
    return True


def _parameter(definition: Definition, value: Expr) -> str | None:
    """The parameter a value is, as it was given."""
    if not isinstance(value, Ref) or not definition.is_function:
        return None
    origins = definition.module.project.flow(definition).origins(value)
    return value.name if origins and all(o.kind == "parameter" and o.name == value.name for o in origins) else None


def _is_constant(here: Site, value: Expr) -> bool:
    """Whether a value is the same each time: a constant, a variable that is set once, an attribute of an object."""
    module, scope = here.module, here.scope
    constant = module.constant(scope, value)
    if constant is not UNKNOWN:
        return isinstance(constant, int)
    if not isinstance(value, Ref):
        return False
    project, definition = module.project, module.definition(scope)
    head, dot, attribute = value.name.partition(".")
    if not dot:
        origins = project.flow(definition).origins(value)
        return bool(origins) and all(
            one.kind == "assign" and isinstance(one.value, (Const, Ref)) and _is_constant(here, one.value)
            for one in origins
        )
    owner = project.types.owner_of(module, scope, head)
    if owner is None:
        return attribute not in module.facts.stored
    bound = project.types.bindings(owner, attribute)
    return bool(bound) and all(
        there.scope(one.scope).name == "__init__" and not isinstance(one.value, Call) for there, one in bound
    )
