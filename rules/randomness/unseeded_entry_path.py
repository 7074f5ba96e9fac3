from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Fix, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .fixing import seed_first
from .reporting import NAMES, SEEDS, anchor, described, label, more, severity, way
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

    from .states import Path


class UnseededEntryPath(ProjectRule):
    """An entry that trains, tunes, splits or evaluates reaches a random draw of a library nothing on its way seeds.

    The draw may be any number of calls and files away, and so may the seed: mldebt follows imports, calls, methods,
    callbacks and data loaders from every entry point, and knows which libraries are certainly seeded at every step.

    ## Why it is debt

    No two runs of such a script agree, and no run can be repeated: not to find a bug, not to compare two models, not
    to answer a reviewer. Identical training runs differ by several points of accuracy; without control of the seed
    nobody can tell an improvement from luck.

    ## How to pay it back

    Seed every library that draws as the first statement of the entry, from an option with a recorded value:
    `seed_everything(cfg.seed)`, `transformers.set_seed(args.seed)`, or `random.seed`, `np.random.seed`,
    `torch.manual_seed`. Or give the draw a generator of its own: `random_state=`, `generator=`,
    `np.random.default_rng(seed)`.

    ## When to leave it

    The goal is randomness that is controlled and recorded, not the number 42: a seed from the clock, from an
    option that is off by default, or from a wrapper of your own counts as control and is not reported. A team's own
    seeding function in a library mldebt cannot see is named in `[[tool.mldebt.knowledge.seeds]]`. Draws that
    only colour, name, delay or print are ignored, and so are initial parameters that a checkpoint
    replaces before they are used.

    ## References

    - Pham et al., Problems and Opportunities in Training Deep Learning Software Systems, ASE 2020
    - PyTorch, Reproducibility: https://pytorch.org/docs/stable/notes/randomness.html
    - scikit-learn, Controlling randomness: https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
    - NEP 19, Random number generator policy: https://numpy.org/neps/nep-0019-rng-policy.html
    """

    code = "MLD401"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 15

    examples = (
        Bad(
            {
                "train.py": """
                    import torch

                    from data import make_loader
                    from model import Net


                    def main():
                        loader = make_loader(torch.load("train.pt"))
                        model = Net()
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in loader:
                            loss = torch.nn.functional.cross_entropy(model(x), y)
                            loss.backward()
                            optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
                "data.py": """
                    from torch.utils.data import DataLoader


                    def make_loader(data):
                        return DataLoader(data, batch_size=32, shuffle=True)
                    """,
                "model.py": """
                    from torch import nn


                    class Net(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(10, 2)

                        def forward(self, x):
                            return self.fc(x)
                    """,
            },
            anchors=("train.py:7",),
        ),
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import Ridge


            def subsample(x, y, n):
                rows = np.random.choice(len(x), n, replace=False)
                return x[rows], y[rows]


            if __name__ == "__main__":
                x, y = np.load("x.npy"), np.load("y.npy")
                model = Ridge().fit(*subsample(x, y, 1000))
                print(model.score(x, y))
            """
        ),
        Bad(
            {
                "train.py": """
                    import argparse
                    import random

                    import torch

                    from repro import set_seed


                    def main():
                        parser = argparse.ArgumentParser()
                        parser.add_argument("--seed", type=int, default=1)
                        args = parser.parse_args()
                        set_seed(args.seed)
                        model = torch.nn.Linear(4, 1)
                        optimizer = torch.optim.Adam(model.parameters())
                        samples = torch.load("samples.pt")
                        for epoch in range(10):
                            random.shuffle(samples)
                            for x, y in samples:
                                loss = ((model(x) - y) ** 2).mean()
                                loss.backward()
                                optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
                "repro.py": """
                    import torch


                    def set_seed(seed):
                        torch.manual_seed(seed)
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import torch

                    from repro import fix
                    from model import Net


                    def main():
                        fix(7)
                        model = Net()
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load("batches.pt"):
                            loss = torch.nn.functional.cross_entropy(model(x), y)
                            loss.backward()
                            optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
                "repro.py": """
                    import random

                    import numpy as np


                    def fix(value):
                        random.seed(value)
                        np.random.seed(value)
                        try:
                            import torch
                        except ImportError:
                            return
                        torch.manual_seed(value)
                    """,
                "model.py": """
                    from torch import nn


                    class Net(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(10, 2)

                        def forward(self, x):
                            return self.fc(x)
                    """,
            }
        ),
        Good(
            """
            import argparse

            import numpy as np
            from sklearn.linear_model import Ridge


            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--seed", type=int, default=None)
                args = parser.parse_args()
                if args.seed is not None:
                    np.random.seed(args.seed)
                x, y = np.load("x.npy"), np.load("y.npy")
                rows = np.random.permutation(len(x))
                print(Ridge().fit(x[rows], y[rows]).coef_)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import Ridge


            def jitter(x, rng):
                return x + rng.normal(size=x.shape)


            def main(seed=3):
                rng = np.random.default_rng(seed)
                x, y = np.load("x.npy"), np.load("y.npy")
                print(Ridge().fit(jitter(x, rng), y).coef_)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import random
            import time

            import numpy as np
            from sklearn.linear_model import Ridge


            def fetch(url, get):
                for attempt in range(5):
                    try:
                        return get(url)
                    except OSError:
                        time.sleep(2**attempt + random.uniform(0, 1))
                raise OSError(url)


            def main(get):
                x, y = fetch("https://example.org/data", get)
                run_name = random.choice(["amber", "blue", "coral"])
                model = Ridge().fit(np.asarray(x), np.asarray(y))
                print(f"{run_name}: {model.coef_}")


            if __name__ == "__main__":
                main(lambda url: np.load(url))
            """
        ),
        Good(
            """
            import torch
            from torch import nn


            def main():
                model = nn.Linear(10, 2)
                model.load_state_dict(torch.load("pretrained.pt"))
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in torch.load("batches.pt"):
                    loss = nn.functional.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import pytorch_lightning as pl
            import torch


            class Regressor(pl.LightningModule):
                def __init__(self, width=8):
                    super().__init__()
                    self.layer = torch.nn.Linear(width, 1)

                def training_step(self, batch, batch_idx):
                    x, y = batch
                    return ((self.layer(x) - y) ** 2).mean()

                def configure_optimizers(self):
                    return torch.optim.Adam(self.parameters())


            def run(cfg, data):
                if cfg.get("seed"):
                    pl.seed_everything(cfg.seed, workers=True)
                model = Regressor()
                trainer = pl.Trainer(max_epochs=3)
                trainer.fit(model, data)


            if __name__ == "__main__":
                run(torch.load("cfg.pt"), torch.load("data.pt"))
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        seeding = project[Seeding]
        seen: set[tuple[object, ...]] = set()
        for entry in seeding.entries():
            found = seeding.of(entry)
            for number, (library, paths) in enumerate(found.exposed.items()):
                # A command may start the very function that the main block calls.
                cause = (library, anchor(entry, paths[0]), paths[0].site.position)
                if cause not in seen:
                    seen.add(cause)
                    yield self._problem(project, entry, library, paths, number, library in found.seeds)

    def _problem(
        self, project: Project, entry: Entry, library: str, paths: Sequence[Path], number: int, elsewhere: bool
    ) -> Problem:
        path = paths[0]
        text = described(path, library)
        calls = sum(not hop.name.startswith("import") for hop in path.hops)
        away = "" if not calls else f", {calls} call{'s' * (calls > 1)} away"
        place = path.site.module.path
        evidence = (
            f"roles of the entry: {', '.join(sorted(project.roles(entry)))}",
            f"{text} at {place}:{path.site.fact.line}; no argument of it owns the draw",
            f"no call that seeds {NAMES[library]} comes before it on this way"
            + (
                ", though another way has one"
                if elsewhere
                else f"; the entry reaches no {SEEDS[library]} and no wrapper of it"
            ),
        )
        return Problem(
            anchor(entry, path),
            f"{label(entry)} draws from {NAMES[library]} with no seed on the way: {text}{away}",
            related=(*way(path, text), *more(paths, library)),
            severity=severity(project, entry),
            confidence=Confidence.MEDIUM if elsewhere else Confidence.HIGH,
            minutes=self.minutes if not number else 5,
            evidence=evidence,
            symbol=library,
        )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """A seed as the first statement of the entry's function."""
        return seed_first(project, problem)
