from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Attribute, Call, Const, Expr, For, If, Ref, Stmt, While, With
from mldebt.facts.walk import expressions, walk
from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.callers import Site, given
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .following import Following, Use
from .guards import NEUTRAL, OPTION, guard
from .hot_places import RUNS, comprehensions, is_experiments, is_hot_loop, is_mapped, is_method
from .reporting import NAMES
from .seed_calls import SeedCall, SeedCalls, around, loops, seed_of
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MEASURES = re.compile(
    r"eval|valid|(^|_)val(_|$)|test|infer|predict|(^|_)sampl|generat|visual|plot|demo|bench|debug|profile|determin",
    re.IGNORECASE,
)
_STATE = frozenset(
    "get_state set_state getstate setstate get_rng_state set_rng_state fork_rng get_random_state preserve_rng_state "
    "bit_generator temp_seed temporary_seed".split()
)
_PARTS = re.compile(r"split|partition|subset", re.IGNORECASE)
# Generators of one's own: a seed call where they are made.
_GENERATORS = {
    "numpy.random.default_rng": "numpy",
    "numpy.random.RandomState": "numpy",
    "random.Random": "python",
    "torch.Generator.manual_seed": "torch",
}
_DEEPEST = 4
_MOST_SITES = 15


class SeedResetInHotPath(ProjectRule):
    """A generator is seeded with the same number again for every item, step or epoch.

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
        Bad(
            """
            import numpy as np
            from sklearn.tree import DecisionTreeClassifier


            def reseed(value):
                np.random.seed(value)


            def grow(x, y, rounds, seed):
                trees = []
                for number in range(rounds):
                    reseed(seed)
                    rows = np.random.choice(len(x), len(x), replace=True)
                    trees.append(DecisionTreeClassifier(random_state=seed).fit(x[rows], y[rows]))
                    print("round", number)
                return trees
            """
        ),
        Bad(
            """
            import random
            from multiprocessing import Pool

            import numpy as np


            def simulate(index):
                np.random.seed(0)
                return np.random.normal(size=100).mean()


            def spread():
                with Pool(4) as pool:
                    return np.std(pool.map(simulate, range(1000)))


            def flip(image):
                random.seed(3)
                return image[::-1] if random.random() < 0.5 else image


            def load(images):
                return [flip(image) for image in images]
            """,
            findings=2,
        ),
        Bad(
            """
            import numpy as np
            import torch
            from torch.utils.data import Dataset


            class Noisy(Dataset):
                def __getitem__(self, index):
                    generator = np.random.default_rng(42)
                    return self.rows[index] + generator.normal(size=3)


            def batches(rows, size):
                while True:
                    np.random.seed(1)
                    yield rows[np.random.choice(len(rows), size)]
            """,
            findings=2,
        ),
        Good(
            """
            import random
            import time

            import numpy as np


            def curve(x, y, make):
                for rows in (10, 100, 1000):
                    np.random.seed(0)
                    chosen = np.random.choice(len(x), rows)
                    make().fit(x[chosen], y[chosen])


            def compare(settings, make, x):
                for index in range(len(settings)):
                    np.random.seed(0)
                    noise = np.random.normal(size=3)
                    make(settings[index]).fit(x + noise)


            def measure(function, repeats):
                for _ in range(repeats):
                    np.random.seed(0)
                    rows = np.random.rand(1000)
                    start = time.perf_counter()
                    function(rows)
                    print(time.perf_counter() - start)


            def split(files):
                random.seed(0)
                random.shuffle(files)
                return files[:10]


            def by_class(classes):
                return [split(files) for files in classes]
            """
        ),
        Good(
            """
            from multiprocessing import Pool

            import numpy as np
            from torch.utils.data import Dataset


            class Noisy(Dataset):
                def __getitem__(self, index):
                    generator = np.random.default_rng((42, index))
                    return self.rows[index] + generator.normal(size=3)


            class ValidationCrops(Dataset):
                def __getitem__(self, index):
                    generator = np.random.default_rng(0)
                    return self.rows[index] + generator.normal(size=3)


            def simulate(seed):
                np.random.seed(seed)
                return np.random.normal(size=100).mean()


            def spread():
                with Pool(4) as pool:
                    return np.std(pool.map(simulate, range(1000)))
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
        seeds = [(seed, _hot(project, seed, _DEEPEST)) for seed in project[SeedCalls].all]
        seeds += [(seed, _own(project, seed)) for seed in _generators(project)]
        for seed, found in seeds:
            if not seed.module.is_example or seed.value is not None:
                for site, value, where in found:
                    key = (site.module.path, site.scope, where.text)
                    if key not in seen:
                        seen.add(key)
                        yield _problem(seed, site, value, where)


def _generators(project: Project) -> Iterator[SeedCall]:
    """Generators that are made, and seeded, where every item or step passes."""
    for module in project.modules.values():
        if module.role == "project" and not module.is_test:
            for name, site in module.calls_of(_GENERATORS):
                value = seed_of(site)
                if value is not None:
                    yield SeedCall(module, site, (_GENERATORS[name],), value)


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


def _own(project: Project, seed: SeedCall) -> Iterator[tuple[Site, Expr, _Where]]:
    """A generator that is made where it is needed; a layer may want the same numbers each time."""
    for site, value, where in _hot(project, seed, 0):
        if site.module.facts.scopes[site.scope].name not in ("forward", "call"):
            yield site, value, where


def _hot(project: Project, seed: SeedCall, deepest: int) -> Iterator[tuple[Site, Expr, _Where]]:
    """The calls that give a constant seed in a hot place."""
    if seed.value is None:
        return
    start = Site(seed.module, seed.site.scope, seed.site.call)
    pending: list[tuple[Site, Site, Expr, int, bool]] = [(start, start, seed.value, deepest, False)]
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
        where = use and _place(project, here, value if here is anchor else Const(0), use, outer, below)
        if where is not None and (steady or (parameter is not None and where.text.startswith("in each"))):
            yield anchor, value, where
            continue
        if depth and definition.is_function and (steady or parameter is not None):
            # A function that takes its seed and draws is meant to be the same each time.
            own = project[Seeding].summaries.calls.draws(definition) and parameter is None
            if _PARTS.search(definition.scope.name):
                continue  # the same parts for each that is cut
            draws = (below or own) and not RUNS.search(definition.scope.name)
            mapped = _mapping(project, definition) if draws and parameter is None else None
            if mapped is not None:
                yield anchor, value, mapped
                continue
            for site, handed in _callers(project, definition, parameter, value):
                pending.append((site, site if parameter is not None else anchor, handed, depth - 1, draws))


def _mapping(project: Project, definition: Definition) -> _Where | None:
    for site in project.callers.of(definition) or ():
        if not site.module.is_test and is_mapped(site, definition):
            return _Where(f"for each item {definition.scope.name}() is mapped over", site.module.place(site.call))
    return None


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
    parent = definition.parent
    if parent is not None and parent.is_class and _MEASURES.search(parent.scope.name):
        return True
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


def _place(project: Project, here: Site, value: Expr, use: Use, outer: Sequence[Stmt], below: bool) -> _Where | None:
    """What runs a call again and again; ``below``: a function that draws leads to it."""
    module, definition = here.module, here.module.definition(here.scope)
    for one in comprehensions(use.around, use.value):
        return _Where("in each pass of a loop", module.place(one)) if below and not is_experiments(one) else None
    for loop in reversed(loops(tuple(outer))):
        if is_hot_loop(project, here, loop, below) and _is_unchanged(definition, value, loop):
            return _Where("in each pass of a loop", module.place(_header(loop)))
        if is_experiments(loop):
            return None
    scope, parent = definition.scope, definition.parent
    if is_method(definition) and parent is not None:
        return _Where(f"in every {parent.scope.name}.{scope.name}()", module.place(scope))
    if definition.is_function and (
        scope.name in ("collate_fn", "training_step", "train_step") or _collates(project, definition)
    ):
        return _Where(f"in every {scope.name}()", module.place(scope))
    return None


def _header(loop: For | While) -> Expr:
    return loop.iterable if isinstance(loop, For) else loop.test


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
