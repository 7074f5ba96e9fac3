from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Fix, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .events import EVERY, Draws
from .fixing import seed_beside
from .knowledge import LAZY
from .reporting import NAMES, SEEDS, described, label, severity, step, way
from .seeding import LIBRARIES, EntrySeeding, Seeding

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

    from .states import Path

# Up to 2.3: keras/backend/tensorflow_backend.py, ``if seed is None: seed = np.random.randint(10e6)``.
_NUMPY_SEEDED_KERAS = ("1.0.8", "1.2.2", "2.0.9", "2.1.6", "2.2.5", "2.3.1")


class PartialSeeding(ProjectRule):
    """A program seeds one library and draws from another one that nothing seeds.

    Typically `torch.manual_seed` alone, while the augmentation uses `random` or NumPy. The seed and the draw may be in
    different files.

    ## Why it is debt

    The seed says that the run is repeatable, and it is not: the shuffle, the crop or the sub-sample still differ from
    run to run. Such a run is trusted more than one without any seed, and explained less.

    ## How to pay it back

    Seed all libraries in one place: `random.seed(seed)`, `np.random.seed(seed)`, `torch.manual_seed(seed)`, or
    `seed_everything(seed)`. The suggested fix adds what is missing next to the seed that is there.

    ## When to leave it

    Draws inside the workers of a data loader are covered by the seed of torch 1.9 and later, and not reported; with
    `num_workers=0` they run in the main process, and are. A library that is seeded, but too late, is MLD402's. A draw
    that an argument owns (`random_state=`, `generator=`) needs no global seed. Keras before 2.4 takes its seeds from
    NumPy, so that `np.random.seed` covers its layers, unless a later version is declared.

    ## References

    - PyTorch, Reproducibility: https://pytorch.org/docs/stable/notes/randomness.html
    - PyTorch, seeds of data loader workers: https://github.com/pytorch/pytorch/pull/56488
    """

    code = "MLD403"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 5

    examples = (
        Bad(
            """
            import random

            import torch


            def augment(x):
                return x.flip(0) if random.random() < 0.5 else x


            def main(seed=0):
                torch.manual_seed(seed)
                model = torch.nn.Linear(4, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in torch.load("batches.pt"):
                    loss = ((model(augment(x)) - y) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """,
            fixed="""
            import random

            import torch


            def augment(x):
                return x.flip(0) if random.random() < 0.5 else x


            def main(seed=0):
                torch.manual_seed(seed)
                random.seed(seed)
                model = torch.nn.Linear(4, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in torch.load("batches.pt"):
                    loss = ((model(augment(x)) - y) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:11",),
        ),
        Bad(
            {
                "repro.py": """
                    import random


                    def fix(seed):
                        random.seed(seed)
                    """,
                "train.py": """
                    import numpy as np
                    from sklearn.linear_model import Ridge

                    from repro import fix


                    def main():
                        fix(3)
                        x, y = np.load("x.npy"), np.load("y.npy")
                        rows = np.random.permutation(len(x))
                        model = Ridge().fit(x[rows[:100]], y[rows[:100]])
                        return model.score(x[rows[100:]], y[rows[100:]])


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("repro.py:5",),
        ),
        Bad(
            """
            import random

            import numpy as np
            import torch
            from torch.utils.data import DataLoader, Dataset


            class Crops(Dataset):
                def __init__(self, images):
                    self.images = images

                def __len__(self):
                    return len(self.images)

                def __getitem__(self, index):
                    top = np.random.randint(0, 8)
                    return self.images[index][top : top + 24], random.choice([0, 1])


            def main():
                torch.manual_seed(0)
                model = torch.nn.Linear(24, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in DataLoader(Crops(torch.load("images.pt")), num_workers=0):
                    loss = ((model(x) - y) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import random

            import numpy as np
            import torch


            def main(seed=0):
                random.seed(seed)
                np.random.seed(seed)
                torch.manual_seed(seed)
                model = torch.nn.Linear(4, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                batches = torch.load("batches.pt")
                random.shuffle(batches)
                for x, y in batches:
                    loss = ((model(x) - y) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import numpy as np
            import torch
            from torch.utils.data import DataLoader, Dataset


            class Crops(Dataset):
                def __init__(self, images):
                    self.images = images

                def __len__(self):
                    return len(self.images)

                def __getitem__(self, index):
                    top = np.random.randint(0, 8)
                    return self.images[index][top : top + 24], 0


            def main():
                torch.manual_seed(0)
                model = torch.nn.Linear(24, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in DataLoader(Crops(torch.load("images.pt")), num_workers=4):
                    loss = ((model(x) - y) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import Ridge


            def main():
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
            import torch


            def main(seed=0):
                torch.manual_seed(seed)
                rng = np.random.default_rng(seed)
                model = torch.nn.Linear(4, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                x, y = torch.load("rows.pt")
                for row in rng.permutation(len(x)):
                    loss = ((model(x[row]) - y[row]) ** 2).mean()
                    loss.backward()
                    optimizer.step()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import random

            import numpy as np
            from sklearn.linear_model import Ridge


            def main():
                random.seed(0)
                x, y = np.load("x.npy"), np.load("y.npy")
                rows = np.random.permutation(len(x))
                np.random.seed(0)
                print(Ridge().fit(x[rows], y[rows]).coef_)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import numpy as np

            np.random.seed(123)

            from keras.layers import Dense, Dropout
            from keras.models import Sequential


            def build():
                model = Sequential()
                model.add(Dense(64, input_dim=8))
                model.add(Dropout(0.2))
                model.add(Dense(1))
                model.compile(loss="mse", optimizer="adadelta")
                return model


            if __name__ == "__main__":
                build().fit(np.load("x.npy"), np.load("y.npy"), epochs=3)
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        seeding = project[Seeding]
        seen: set[tuple[object, ...]] = set()
        for entry in seeding.entries():
            found = seeding.of(entry)
            missing = [one for one in found.exposed if one not in found.seeded and one not in found.seeds]
            missing = [one for one in missing if _is_drawn(project, entry, found, one)]
            if "numpy" in found.seeds and _may_be_old_keras(project):
                missing = [one for one in missing if any(map(_is_not_keras, found.exposed[one]))]
            seeds = [
                path
                for one, path in found.seeds.items()
                if one in LIBRARIES and one in found.seeded and not _is_for_itself(entry, path)
            ]
            if not missing or not seeds or EVERY in found.seeds:
                continue
            seed = min(seeds, key=lambda path: path.order)
            key = (seed.site.position, tuple(missing))
            if key not in seen:
                seen.add(key)
                yield _problem(project, entry, found, seed, missing)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """The missing seeds next to the one that is there."""
        return seed_beside(project, problem)


def _is_drawn(project: Project, entry: Entry, found: EntrySeeding, library: str) -> bool:
    """Whether something draws, and is not only set up to draw in a program that does not train."""
    kinds = {path.event.kind for path in found.exposed[library] if isinstance(path.event, Draws)}
    return kinds != {LAZY} or "train" in project.roles(entry)


def _may_be_old_keras(project: Project) -> bool:
    """Whether Keras may be the one of its own, which asks NumPy for the seeds that nobody gives it."""
    declared = project.declared("keras")
    return declared is None or any(old in declared for old in _NUMPY_SEEDED_KERAS)


def _is_not_keras(path: Path) -> bool:
    return not (isinstance(path.event, Draws) and path.event.name.startswith("keras."))


def _is_for_itself(entry: Entry, seed: Path) -> bool:
    """Whether a function of another file seeds for the numbers it draws itself."""
    module = seed.site.module
    if module is entry.definition.module:
        return False
    if entry.is_example:
        return True
    return module.project[Seeding].summaries.calls.draws(module.definition(module.scope_at(seed.site.fact.line)))


def _problem(project: Project, entry: Entry, found: EntrySeeding, seed: Path, missing: Sequence[str]) -> Problem:
    seeded = [NAMES[one] for one in LIBRARIES if one in found.seeded]
    draws = [(one, found.exposed[one][0]) for one in missing]
    texts = [described(path, one) for one, path in draws]
    are = "are" if len(missing) > 1 else "is"
    return Problem(
        step(seed.site),
        f"{label(entry)} seeds {' and '.join(seeded)}, but {' and '.join(NAMES[one] for one in missing)} {are} not "
        f"seeded: {texts[0]}",
        tuple(one for (_, path), text in zip(draws, texts, strict=True) for one in way(path, text)),
        severity=severity(project, entry),
        evidence=(
            f"seeded on every way through {label(entry)}: {', '.join(seeded)}",
            *(f"it reaches no {SEEDS[one]} and no wrapper of it" for one in missing),
        ),
        symbol=" ".join(missing),
    )
