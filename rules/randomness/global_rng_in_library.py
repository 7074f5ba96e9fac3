from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .cosmetic import is_cosmetic
from .events import Draws, Seeds, says_seed
from .knowledge import DRAW
from .reporting import NAMES
from .seed_calls import SeedCalls
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_GLOBAL = re.compile(r"^(random|numpy\.random|torch)\.[a-z_]+$")
_GIVEN = re.compile(r"rng|generator|random_state|prng|(^|_)seed$|(^|_)key$", re.IGNORECASE)
_MODELS = (
    "torch.nn.Module",
    "keras.Model",
    "tensorflow.keras.Model",
    "keras.layers.Layer",
    "tensorflow.keras.layers.Layer",
)
# Draws that make no results: colours, devices, probes, made-up inputs, suffixes of files.
_ASIDE = re.compile(r"show|plot|(^|_)vis|device|gpu|checkpoint|speed|profil|parallelize|dummy|synthetic|fake|anchors")
_AUGMENTS = re.compile(r"mix_?up|cut_?mix|augment|transforms?(/|_|\.|\b)", re.IGNORECASE)
_SERVED = frozenset({"__getitem__", "__iter__", "on_epoch_end"})
_STARTS = re.compile(
    r"^_?(main|cli|run|train|fit|setup|worker_init\w*|init_worker|seed_worker|init_weights?|reset_parameters)$"
)


class GlobalRngInLibrary(ProjectRule):
    """A function that other files call draws from the global generator of `random`, NumPy or PyTorch, or seeds it.

    One finding for each file.

    ## Why it is debt

    Such a function has a hidden argument that all code of the process changes: its result depends on who drew before,
    on the number of threads, and on the order of imports. A call of `np.random.seed` in it resets the stream of whoever
    calls. Nobody can repeat one call, and no test can pin it.

    ## How to pay it back

    Take the generator as an argument: `def jitter(x, rng: np.random.Generator)`. With a default of None and
    `rng = rng if rng is not None else np.random.default_rng()` no caller has to change.

    ## When to leave it

    Layers that draw in a `torch.nn.Module` or Keras model use their framework's generator and are not reported, nor
    are functions that already take a generator or a seed, functions whose purpose is to seed, entry files, and draws
    that only name or colour something. In a library that seeds everything with a function of its own, augmentations
    of training data follow that seed.

    ## References

    - NEP 19, Random number generator policy: https://numpy.org/neps/nep-0019-rng-policy.html
    - NumPy, Random Generator: https://numpy.org/doc/stable/reference/random/generator.html
    - Ruff, NPY002: https://docs.astral.sh/ruff/rules/numpy-legacy-random/
    """

    code = "MLD405"
    severity = Severity.MINOR
    confidence = Confidence.HIGH
    minutes = 10
    sensitive_to = frozenset({"callee-moved"})  # what matters is whether another file calls

    examples = (
        Bad(
            {
                "augment.py": """
                    import numpy as np


                    def jitter(x):
                        return x + np.random.normal(size=x.shape)
                    """,
                "train.py": """
                    import numpy as np

                    from augment import jitter

                    if __name__ == "__main__":
                        np.random.seed(0)
                        np.save("y.npy", jitter(np.load("x.npy")))
                    """,
            },
            anchors=("augment.py:5",),
        ),
        Bad(
            {
                "metrics.py": """
                    import numpy as np


                    def bootstrap(values, n=100):
                        np.random.seed(0)
                        rows = [np.random.choice(values, len(values)) for _ in range(n)]
                        return np.mean(rows, axis=1)
                    """,
                "report.py": """
                    import numpy as np

                    import metrics


                    def main():
                        return metrics.bootstrap(np.load("scores.npy"))
                    """,
            }
        ),
        Bad(
            {
                "sampling.py": """
                    import random


                    class Sampler:
                        def __init__(self, items):
                            self.items = items

                        def pick(self, n):
                            return random.sample(self.items, n)


                    def order(items):
                        random.shuffle(items)
                        return items
                    """,
                "train.py": """
                    from sampling import Sampler, order


                    def main(items):
                        return order(Sampler(items).pick(10))
                    """,
            },
            findings=1,
        ),
        Good(
            {
                "augment.py": """
                    import numpy as np


                    def jitter(x, rng=None):
                        rng = rng if rng is not None else np.random.default_rng()
                        return x + rng.normal(size=x.shape)
                    """,
                "train.py": """
                    import numpy as np

                    from augment import jitter

                    if __name__ == "__main__":
                        np.save("y.npy", jitter(np.load("x.npy"), np.random.default_rng(0)))
                    """,
            }
        ),
        Good(
            """
            import random


            def order(items):
                random.shuffle(items)
                return items


            if __name__ == "__main__":
                random.seed(0)
                print(order([1, 2, 3]))
            """
        ),
        Good(
            {
                "layers.py": """
                    import torch
                    from torch import nn


                    class Noise(nn.Module):
                        def forward(self, x):
                            return x + torch.randn_like(x) * torch.rand(1)
                    """,
                "train.py": """
                    from layers import Noise


                    def main(x):
                        return Noise()(x)
                    """,
            }
        ),
        Good(
            {
                "repro.py": """
                    import random

                    import numpy as np


                    def set_seed(value):
                        random.seed(value)
                        np.random.seed(value)
                    """,
                "train.py": """
                    from repro import set_seed


                    def main():
                        set_seed(0)
                    """,
            }
        ),
        Good(
            {
                "names.py": """
                    import random
                    import time


                    def run_name():
                        return f"run-{random.randint(0, 9999)}"


                    def retry(call):
                        time.sleep(random.uniform(0, 1))
                        return call()


                    def unused(items):
                        return random.choice(items)
                    """,
                "train.py": """
                    from names import retry, run_name


                    def main():
                        return retry(run_name)
                    """,
            }
        ),
        Good(
            {
                "pyproject.toml": """
                    [project]
                    name = "trainer"
                    version = "1.0"
                    """,
                "trainer/__init__.py": """
                    from trainer.mixing import mixup
                    from trainer.seeds import set_global_seed

                    __all__ = ["mixup", "set_global_seed"]
                    """,
                "trainer/seeds.py": """
                    import random

                    import numpy as np


                    def set_global_seed(seed):
                        random.seed(seed)
                        np.random.seed(seed)
                    """,
                "trainer/mixing.py": """
                    import numpy as np


                    def mixup(batch, alpha):
                        weight = np.random.beta(alpha, alpha)
                        return weight * batch + (1 - weight) * batch[::-1]
                    """,
                "trainer/callback.py": """
                    from trainer.mixing import mixup


                    class MixupCallback:
                        def on_batch_start(self, batch):
                            return mixup(batch, 0.4)
                    """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        calls = project[Seeding].summaries.calls
        names = frozenset(name for name in (*calls.events.draws, *calls.events.seeds) if _GLOBAL.match(name))
        for module in project.modules.values():
            if module.role != "project" or module.is_test or module.is_example or not _is_imported(project, module):
                continue
            found = [
                (site, text)
                for _, site in module.calls_of(names)
                if site.scope and (text := _does(project, module, site)) is not None
            ]
            if found:
                yield _problem(module, found)


def _is_imported(project: Project, module: Module) -> bool:
    return bool(project.imports.importers(module.path)) or module.path in project.imports.scanned


def _problem(module: Module, found: list[tuple[CallSite, str]]) -> Problem:
    (site, text), *others = found
    function = _function(module.definition(site.scope))
    name = function.qualname if function is not None else module.path
    also = f"; {len(others)} more calls of this file do" if len(others) > 1 else ""
    return Problem(
        module.place(site),
        f"{name}(), which other files call, {text}{also}",
        tuple(Related(module.place(other), what) for other, what in others),
        evidence=("it takes no generator and no seed", "it is called from another file"),
    )


def _does(project: Project, module: Module, site: CallSite) -> str | None:
    """What a call does to a global generator, if it matters to other files."""
    calls = project[Seeding].summaries.calls
    event = calls.event(module, site.scope, site.call)
    function = _function(module.definition(site.scope))
    if function is None or event is None or _is_exempt(project, function):
        return None
    if isinstance(event, Draws):
        cosmetic = is_cosmetic(module, site.scope, site.statement, site.call) and function.scope.name != "draw"
        if event.kind != DRAW or event.owner is not None or cosmetic or _takes_generator(function):
            return None
        if event.library == "torch" and function.parent is not None and function.parent.is_class:
            return None  # an experiment, a sampler or a loss of a program that seeds PyTorch once
        text = f"draws from the global generator of {NAMES[event.library]}"
    elif isinstance(event, Seeds) and calls.draws(function):
        text = f"seeds the global generator of {' and '.join(NAMES[one] for one in event.libraries if one in NAMES)}"
    else:
        return None
    if not _is_called_elsewhere(project, function):
        return None
    return None if isinstance(event, Draws) and _follows_training(project, function, event.library) else text


def _function(definition: Definition | None) -> Definition | None:
    """The outermost function around a scope, or its method."""
    found = None
    while definition is not None and not definition.is_module:
        if definition.is_function:
            found = definition
        definition = definition.parent
    return found


def _is_exempt(project: Project, function: Definition) -> bool:
    scope, parent = function.scope, function.parent
    if "seed" in scope.name.lower() or says_seed(scope.name) or _STARTS.match(scope.name) or _ASIDE.search(scope.name):
        return True
    if parent is None or not parent.is_class:
        return False
    # The workers of a data loader are seeded for their data sets.
    served = scope.name in _SERVED and project.method(parent.name, "__getitem__") is not None
    return served or any(project.types.is_a(parent.name, model) for model in _MODELS)


def _takes_generator(function: Definition) -> bool:
    return any(_GIVEN.search(one.name) for one in function.scope.parameters)


def _follows_training(project: Project, function: Definition, library: str) -> bool:
    """Whether it augments training data in a framework that has a function of its own to seed everything with."""
    if not project.library:
        return False
    callers = [site.module.definition(site.scope) for site in project.callers.of(function) or ()]
    if not any(_AUGMENTS.search(one.name) for one in (function, *callers)):
        return False
    return any(
        library in one.libraries and "seed" in one.module.facts.scopes[one.site.scope].name
        for one in project[SeedCalls].all
    )


def _is_called_elsewhere(project: Project, function: Definition) -> bool:
    """Whether another file runs a function, or makes objects of its class."""
    wanted = [function]
    parent = function.parent
    if parent is not None and parent.is_class:
        maker = project.method(parent.name, "__init__")
        wanted += [maker] if maker is not None else []
    for one in wanted:
        for site in project.callers.of(one) or ():
            if site.module is not function.module and not site.module.is_test and not site.module.is_example:
                return True
    return False
