from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import Attribute, Call, Ref
from mldebt.facts.walk import walk
from mldebt.finding import Confidence, Fix, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .fixing import seed_before
from .reporting import NAMES, described, label, severity, step, way
from .seeding import Late, Seeding
from .states import Path

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project


class SeedAfterDraw(ProjectRule):
    """A library is seeded, but only after something on the same way has already drawn from it.

    A data set split, a model built, or a module-level constant drawn while a module is imported: what was drawn before
    the seed differs from run to run, whatever the seed is.

    ## Why it is debt

    The code looks reproducible, and the log records a seed, but the part that was drawn too early is not covered by it:
    the test set or the initial weights change between runs that claim to be the same.

    ## How to pay it back

    Move the seed call to the top of the entry, before data is split and models are built. With a Hugging Face
    `Trainer`, call `set_seed(args.seed)` before `from_pretrained`, or pass `model_init`: the trainer only seeds
    when it is built.

    ## When to leave it

    A draw that chooses the seed itself, names the run or probes a shape is not reported. A loader or an augmentation
    that is built before the seed is fine: it draws when it is used.

    ## References

    - PyTorch, Reproducibility: https://pytorch.org/docs/stable/notes/randomness.html
    - Hugging Face, Trainer (`model_init`, `seed`): https://huggingface.co/docs/transformers/main_classes/trainer
    """

    code = "MLD402"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 10

    examples = (
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            x, y = np.load("x.npy"), np.load("y.npy")
            x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2)
            np.random.seed(0)
            model = Ridge().fit(x_train, y_train)
            print(model.score(x_test, y_test))
            """,
            fixed="""
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            x, y = np.load("x.npy"), np.load("y.npy")
            np.random.seed(0)
            x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2)
            model = Ridge().fit(x_train, y_train)
            print(model.score(x_test, y_test))
            """,
        ),
        Bad(
            {
                "train.py": """
                    import torch

                    from loop import Loop
                    from net import Net


                    def main():
                        model = Net()
                        Loop(model, seed=11).run(torch.load("batches.pt"))


                    if __name__ == "__main__":
                        main()
                    """,
                "loop.py": """
                    import torch


                    class Loop:
                        def __init__(self, model, seed):
                            torch.manual_seed(seed)
                            self.model = model
                            self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

                        def run(self, batches):
                            for x, y in batches:
                                loss = ((self.model(x) - y) ** 2).mean()
                                loss.backward()
                                self.optimizer.step()
                    """,
                "net.py": """
                    from torch import nn


                    class Net(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(10, 1)

                        def forward(self, x):
                            return self.fc(x)
                    """,
            }
        ),
        Bad(
            {
                "train.py": """
                    import random

                    from sklearn.linear_model import Ridge

                    from settings import ROWS
                    from table import load


                    def main():
                        random.seed(1)
                        x, y = load(ROWS)
                        print(Ridge().fit(x, y).coef_)


                    if __name__ == "__main__":
                        main()
                    """,
                "settings.py": """
                    import random

                    ROWS = random.sample(range(100_000), 1_000)
                    """,
                "table.py": """
                    import numpy as np


                    def load(rows):
                        return np.load("x.npy")[rows], np.load("y.npy")[rows]
                    """,
            }
        ),
        Bad(
            """
            from datasets import load_dataset
            from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments


            def main():
                data = load_dataset("imdb")
                model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
                args = TrainingArguments("out", seed=13)
                trainer = Trainer(model=model, args=args, train_dataset=data["train"])
                trainer.train()


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            np.random.seed(0)
            x, y = np.load("x.npy"), np.load("y.npy")
            x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2)
            print(Ridge().fit(x_train, y_train).score(x_test, y_test))
            """
        ),
        Good(
            """
            import random

            import numpy as np
            from sklearn.linear_model import Ridge


            def main(seed=None):
                if seed is None:
                    seed = random.randint(0, 2**31)
                random.seed(seed)
                np.random.seed(seed)
                print("seed", seed)
                x, y = np.load("x.npy"), np.load("y.npy")
                rows = np.random.permutation(len(x))
                print(Ridge().fit(x[rows], y[rows]).coef_)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader


            def main():
                data = torch.load("data.pt")
                loader = DataLoader(data, batch_size=8, shuffle=True)
                torch.manual_seed(5)
                model = torch.nn.Linear(3, 1)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for x, y in loader:
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
            from sklearn.model_selection import train_test_split


            def main():
                x, y = np.load("x.npy"), np.load("y.npy")
                x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=4)
                np.random.seed(0)
                noisy = x_train + np.random.normal(size=x_train.shape)
                print(Ridge().fit(noisy, y_train).score(x_test, y_test))


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments, set_seed


            def main(data):
                args = TrainingArguments("out", seed=13)
                set_seed(args.seed)
                model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
                trainer = Trainer(model=model, args=args, train_dataset=data)
                trainer.train()


            if __name__ == "__main__":
                main(["text"])
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        seeding = project[Seeding]
        seen: set[tuple[object, ...]] = set()
        for entry in seeding.entries(seeding=True):
            promised = bool(project.roles(entry))
            for library, late in seeding.late(entry).items():
                if not promised and not _is_chosen(entry, late.seed):
                    continue
                # One cause, one finding: several entries may share the function that draws and seeds.
                cause = (library, late.draw.site.position, late.seed.site.position)
                if cause not in seen:
                    seen.add(cause)
                    yield self._problem(project, entry, library, late)

    def _problem(self, project: Project, entry: Entry, library: str, late: Late) -> Problem:
        text = described(late.draw, library)
        draw, seed = late.draw.site, late.seed.site
        return Problem(
            step(draw),
            f"{text} before {seed.name}(...) at {seed.module.path}:{seed.fact.line} seeds it, "
            f"on the way from {label(entry)}",
            related=(
                *dict.fromkeys((*way(late.draw, text)[:-1], *way(late.seed, "")[:-1])),
                Related(step(seed), f"{NAMES[library]} is seeded here, after the draw", "cause"),
            ),
            severity=severity(project, entry),
            evidence=(
                f"{text} at {draw.module.path}:{draw.fact.line}; no argument of it owns the draw",
                f"{NAMES[library]} is first seeded at {seed.module.path}:{seed.fact.line}, later on the same way",
            ),
            symbol=library,
        )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """The seed call, moved before the draw where both stand in one block and the seed needs nothing in between."""
        return seed_before(project, problem)


def _is_chosen(entry: Entry, seed: Path) -> bool:
    """Whether the program's user chooses the seed: a program that offers that promises to be repeatable."""
    given = frozenset(one.name for one in entry.definition.scope.parameters)
    for site in (*seed.hops, seed.site):
        if isinstance(site.fact, Call):
            values = (*site.fact.args, *(keyword.value for keyword in site.fact.keywords))
            names = [node.name for value in values for node in walk(value) if isinstance(node, (Ref, Attribute))]
            if any("seed" in name.lower() and ("." in name or name in given) for name in names):
                return True
    return False
