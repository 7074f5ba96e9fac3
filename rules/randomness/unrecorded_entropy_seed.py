from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Binary,
    Build,
    Call,
    Compare,
    Const,
    Expr,
    Format,
    Ref,
    Return,
    Subscript,
)
from mldebt.facts.walk import calls_in
from mldebt.finding import Confidence, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .following import Following, Use
from .origins import VALUE, Origins, Source
from .seed_calls import SeedCall, SeedCalls, seed_of

if TYPE_CHECKING:
    from mldebt.project.project import Project

_ENTROPY = frozenset(
    "time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic time.monotonic_ns "
    "datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today "
    "os.urandom os.getrandom os.getpid secrets.randbits secrets.randbelow secrets.choice secrets.token_bytes "
    "secrets.token_hex secrets.SystemRandom random.SystemRandom uuid.uuid1 uuid.uuid4 "
    "random.random random.randint random.randrange random.getrandbits random.choice random.randbytes "
    "numpy.random.randint numpy.random.choice numpy.random.SeedSequence torch.seed torch.random.seed torch.randint "
    "tensorflow.random.uniform".split()
)
_MAKERS = frozenset(
    "numpy.random.default_rng numpy.random.RandomState random.Random jax.random.PRNGKey jax.random.key".split()
)
# Seeds of devices and backends, which are no libraries of their own.
_SEEDING = frozenset("manual_seed manual_seed_all seed seed_all set_seed set_random_seed set_global_seed".split())
_WORK = re.compile(
    r"^(__getitem__|__call__|__iter__|forward|collate\w*|.*worker.*|get_params|transform|apply|augment\w*)$"
)
_ARITHMETIC = frozenset("int abs round hash min max from_bytes timestamp float uint32 int32".split())


class UnrecordedEntropySeed(ProjectRule):
    """A program is seeded with the clock, the operating system's entropy or a drawn number that it writes down nowhere.

    ## Why it is debt

    The call looks like control over randomness and is none: the run cannot be repeated, as nobody knows its seed. A run
    that fails, or wins, is lost.

    ## How to pay it back

    Draw a seed where that is wanted, and record it before using it: print or log it, put it into the run's
    configuration, the tracker or the checkpoint. Accept it as an option, so that a run can be done again.

    ## When to leave it

    Seeds that reach a log, a print, a tracker, a file, an attribute or any function mldebt does not know are taken as
    recorded. Worker processes and items that draw a seed from an already seeded generator are not reported, nor is an
    option that is None by default.

    ## References

    - NumPy, SeedSequence (record the entropy of a run):
      https://numpy.org/doc/stable/reference/random/bit_generators/generated/numpy.random.SeedSequence.html
    - NeurIPS reproducibility checklist: https://neurips.cc/public/guides/PaperChecklist
    """

    code = "MLD412"
    severity = Severity.MINOR
    confidence = Confidence.MEDIUM
    minutes = 5

    examples = (
        Bad(
            """
            import time

            import numpy as np


            def main():
                seed = int(time.time())
                np.random.seed(seed)
                return np.random.normal(size=3)


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            {
                "repro.py": """
                    import random

                    import torch


                    def fix(seed):
                        random.seed(seed)
                        torch.manual_seed(seed)
                        torch.cuda.manual_seed_all(seed)
                    """,
                "train.py": """
                    import secrets

                    from repro import fix


                    def main():
                        fix(secrets.randbits(32))


                    if __name__ == "__main__":
                        main()
                    """,
            }
        ),
        Bad(
            """
            import random
            from datetime import datetime

            random.seed(datetime.now().microsecond)
            print(random.random())
            """
        ),
        Bad(
            {
                "train.py": """
                    import random

                    import click
                    import numpy as np

                    from mixing import mix


                    @click.command()
                    @click.option("--seed", default=-1, help="-1 picks one")
                    def main(seed):
                        if seed < 0:
                            seed = random.SystemRandom().randrange(2**31)
                        rng = np.random.default_rng(seed)
                        mix(rng)


                    if __name__ == "__main__":
                        main()
                    """,
                "mixing.py": "def mix(rng):\n    return rng.normal(size=3)\n",
            },
            anchors=("train.py:14",),
        ),
        Bad(
            """
            import os

            import pandas as pd
            import wandb
            from sklearn.ensemble import RandomForestClassifier


            def main(depth=6):
                fresh = int.from_bytes(os.urandom(4), "little")
                wandb.init(project="credit", config={"depth": depth})
                rows = pd.read_csv("loans.csv")
                model = RandomForestClassifier(max_depth=depth, random_state=fresh % 1000)
                model.fit(rows.drop(columns="default"), rows["default"])


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:12",),
        ),
        Good(
            """
            import os

            import pandas as pd
            import wandb
            from sklearn.ensemble import RandomForestClassifier


            def main(depth=6):
                fresh = int.from_bytes(os.urandom(4), "little")
                wandb.init(project="credit", config={"depth": depth, "seed": fresh})
                rows = pd.read_csv("loans.csv")
                model = RandomForestClassifier(max_depth=depth, random_state=fresh % 1000)
                model.fit(rows.drop(columns="default"), rows["default"])


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import argparse
            import secrets

            import numpy as np


            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--seed", type=int, default=None)
                args = parser.parse_args()
                seed = secrets.randbits(32) if args.seed is None else args.seed
                print(f"seed: {seed}")
                np.random.seed(seed)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import secrets

            import numpy as np


            def main(log):
                seed = secrets.randbits(32)
                log.info("seed %d", seed)
                np.random.seed(seed)


            if __name__ == "__main__":
                main(None)
            """
        ),
        Good(
            """
            import argparse
            import random


            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--seed", type=int, default=None)
                args = parser.parse_args()
                if args.seed is not None:
                    random.seed(args.seed)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import time

            import torch


            def main(config):
                config["seed"] = int(time.time())
                torch.manual_seed(config["seed"])
                torch.save(config, "config.pt")


            if __name__ == "__main__":
                main({})
            """
        ),
        Good(
            """
            import random

            import numpy as np
            import torch


            class Pairs:
                def __init__(self, images, transform):
                    self.images, self.transform = images, transform

                def __getitem__(self, index):
                    seed = random.randint(0, 2**31)
                    torch.manual_seed(seed)
                    return self.transform(self.images[index])


            def worker_init(worker_id):
                np.random.seed(np.random.randint(2**31) + worker_id)
            """
        ),
        Good(
            """
            import time

            import numpy as np


            def main(tracker):
                seed = int(time.time()) % 2**32
                tracker.start(config={"lr": 0.1, "seed": seed})
                np.random.seed(seed)


            if __name__ == "__main__":
                main(None)
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        seen: set[tuple[str, int, int]] = set()
        for seed in (*project[SeedCalls].all, *_made(project)):
            if seed.value is None or seed.module.is_example:
                continue
            if _WORK.match(seed.module.facts.scopes[seed.site.scope].name):
                continue
            for use, name in _entropies(project, seed):
                call = use.value
                key = (use.module.path, getattr(call, "line", 0), getattr(call, "column", 0))
                if key in seen or _WORK.match(use.module.facts.scopes[use.scope].name) or _is_recorded(project, use):
                    continue
                seen.add(key)
                yield Problem(
                    seed.module.place(seed.site),
                    f"the seed comes from {name} and is written down nowhere, so the run cannot be repeated",
                    (Related(use.module.place(call), "the seed is made here"),),
                    evidence=("it reaches no log, print, tracker, file or attribute",),
                )


def _made(project: Project) -> Iterator[SeedCall]:
    """Generators of their own, and what else is given a seed by its name, with that seed."""
    for module in project.modules.values():
        if module.role != "project" or module.is_test:
            continue
        for _, site in module.calls_of(_MAKERS):
            yield SeedCall(module, site, (), seed_of(site))
        if "random_state" not in module.source.text:
            continue
        for index in range(len(module.facts.scopes)):
            for site in module.call_sites(index):
                for keyword in site.call.keywords:
                    if keyword.name == "random_state" and not isinstance(keyword.value, Const):
                        yield SeedCall(module, site, (), keyword.value)


def _entropies(project: Project, seed: SeedCall) -> Iterator[tuple[Use, str]]:
    """The calls that make a seed out of entropy, where the user gave none or always."""
    assert seed.value is not None
    for end in _ends(project, Source(seed.module, seed.site.scope, seed.value)):
        made = [call for call in calls_in(end.expr) if end.kind == VALUE]
        linked = [(call, name) for call in made for name in end.module.names(end.scope, call.function)]
        names = [(call, name) for call, name in linked if name in _ENTROPY and not _is_told(call, name)]
        for site in end.module.call_sites(end.scope) if names else ():
            if site.call is names[0][0]:
                use = project[Following].start(end.module, end.scope, site.statement, site.call)
                if use is not None:
                    yield use, f"{names[0][1]}()"


def _ends(project: Project, source: Source, depth: int = 3) -> Iterator[Source]:
    """The ends of all ways back from a value, through the arithmetic that makes it fit: ``fresh % 2**32``."""
    for end in project[Origins].of(source.module, source.scope, source.expr):
        yield end
        expr = end.expr
        if depth <= 0 or end.kind != VALUE or end.path:
            continue
        parts: list[Expr] = []
        if isinstance(expr, Binary):
            parts = [expr.left, expr.right]
        elif isinstance(expr, Call) and last_segment(expr.function) in _ARITHMETIC:
            parts = list(expr.args)
        for part in parts:
            if not isinstance(part, Const):
                yield from _ends(project, Source(end.module, end.scope, part), depth - 1)


def _is_told(call: Call, name: str) -> bool:
    """Whether a sequence of seeds is made of a number somebody gave."""
    return name == "numpy.random.SeedSequence" and bool(call.args or call.keywords)


def _is_recorded(project: Project, start: Use) -> bool:
    """Whether a seed may get anywhere but into calls that seed."""
    seeds = {id(seed.site.call) for seed in project[SeedCalls].all}
    for use in project[Following].uses(start, _keeps):
        parent = use.around[0] if use.around else None
        if isinstance(parent, Call) and use.value is not parent.function:
            names = use.names(parent)
            words = {last_segment(parent.function), *(name.rpartition(".")[2] for name in names)}
            owned = any(k.value is use.value and k.name == "random_state" for k in parent.keywords)
            if id(parent) in seeds or owned or not _MAKERS.isdisjoint(names) or words & (_ARITHMETIC | _SEEDING):
                continue
            followed = project.calls.targets(use.module, use.scope, parent)
            if not followed or any(edge.confidence == "cha" for edge in followed):
                return True
        elif isinstance(parent, (Format, Build, Subscript)):
            return True
        elif isinstance(use.statement, Assign) and not use.around:
            if not all(isinstance(target, Ref) and "." not in target.name for target in use.statement.targets):
                return True
        elif isinstance(use.statement, Return) and not use.around:
            definition = use.module.definition(use.scope)
            if not project.callers.of(definition):
                return True
    return False


def _keeps(use: Use) -> bool:
    parent: Expr = use.around[0]
    if isinstance(parent, Call):
        return use.value is parent.function or last_segment(parent.function) in _ARITHMETIC
    return isinstance(parent, (Binary, Attribute)) and not isinstance(parent, Compare)
