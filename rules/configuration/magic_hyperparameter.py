"""MLD301 magic-hyperparameter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from mldebt.finding import Confidence, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .magic_mending import lifted
from .magic_values import Magic, MagicValues

_SHOWN = 5


class MagicHyperparameter(ProjectRule):
    """Hyperparameters are literals in the calls that train, tune or serve; one finding lists those of a file.

    Numbers and strings given to known slots of machine learning libraries: learning rates and betas of optimisers,
    `DataLoader(batch_size=64)`, `RandomForestClassifier(n_estimators=500)`, `fit(epochs=30)`, `train_test_split(
    test_size=0.3)`, directly and not by way of a name.

    ## Why it is debt

    What one turns between runs is then an edit of the program: it is not in the log of the run, cannot be swept or
    compared, and the same number in two places is two numbers.

    ## How to pay it back

    Read it from the configuration: `AdamW(params, lr=cfg.optim.lr)`. The fix (suggested) uses an option or constant
    that has the value already, else it makes module constants, which is the first half of the way.

    ## When to leave it

    Silent for the API's own default, booleans, worker counts, seeds, sizes of layers and kernels, parameter defaults,
    configuration modules and classes, `TrainingArguments` and other configuration objects of frameworks, files that
    only define an architecture, tests, and code that no training, tuning or serving program reaches. Notebooks and
    examples are info.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    * A. Serban et al., "Adoption and Effects of Software Engineering Best Practices in Machine Learning", ESEM 2020.
    """

    code: ClassVar[str] = "MLD301"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 5
    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader


            def train(model, dataset):
                loader = DataLoader(dataset, batch_size=64, shuffle=True, num_workers=4)
                optimizer = torch.optim.AdamW(model.parameters(), 3e-4, weight_decay=0.05)
                for x, y in loader:
                    loss = model(x, y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()


            train(torch.nn.Linear(2, 2), [])
            """,
            fixed="""
            import torch
            from torch.utils.data import DataLoader

            BATCH_SIZE = 64
            LR = 0.0003
            WEIGHT_DECAY = 0.05


            def train(model, dataset):
                loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=4)
                optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=WEIGHT_DECAY)
                for x, y in loader:
                    loss = model(x, y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()


            train(torch.nn.Linear(2, 2), [])
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            {
                "train.py": """
                import pandas as pd

                from forest import fitted


                def main():
                    frame = pd.read_csv("train.csv")
                    return fitted(frame.drop(columns="y"), frame["y"])


                if __name__ == "__main__":
                    main()
                """,
                "forest.py": """
                from sklearn.ensemble import RandomForestClassifier
                from sklearn.model_selection import train_test_split


                def fitted(x, y):
                    a, _, b, _ = train_test_split(x, y, test_size=0.3, random_state=0)
                    return RandomForestClassifier(n_estimators=500, max_depth=12, random_state=0).fit(a, b)
                """,
            },
            anchors=("forest.py:6",),
        ),
        Bad(
            """
            import argparse

            import torch


            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.01)
                args = parser.parse_args()
                model = torch.nn.Linear(2, 2)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
                model(torch.zeros(1, 2)).sum().backward()
                optimizer.step()
                print(args.lr)


            main()
            """,
            fixed="""
            import argparse

            import torch


            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.01)
                args = parser.parse_args()
                model = torch.nn.Linear(2, 2)
                optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
                model(torch.zeros(1, 2)).sum().backward()
                optimizer.step()
                print(args.lr)


            main()
            """,
        ),
        Good(
            """
            import torch

            LR = 3e-4


            def train(model, batches, weight_decay=0.05):
                optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.999), weight_decay=weight_decay)
                for batch in batches:
                    model(batch).sum().backward()
                    optimizer.step()


            train(torch.nn.Linear(2, 2), [])
            """
        ),
        Good(
            """
            from transformers import Trainer, TrainingArguments


            def main(model, dataset):
                arguments = TrainingArguments("out", learning_rate=2e-5, num_train_epochs=3)
                Trainer(model, arguments, train_dataset=dataset).train()


            main(None, None)
            """
        ),
        Good(
            {
                "net.py": """
                from torch import nn


                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.conv = nn.Conv2d(3, 16, kernel_size=5, stride=2)
                        self.drop = nn.Dropout(0.3)
                        self.head = nn.Linear(16 * 5 * 5, 120)
                """,
                "train.py": """
                import torch

                from config import cfg
                from net import Net


                def main():
                    net = Net()
                    optimizer = torch.optim.Adam(net.parameters(), lr=cfg.lr, eps=1e-8, amsgrad=True)
                    net(torch.zeros(1)).backward()
                    optimizer.step()


                main()
                """,
                "config.py": "class cfg:\n    lr = 0.003\n",
            }
        ),
        Good(
            {
                "lib/__init__.py": "",
                "lib/optim.py": """
                import torch


                def default_optimizer(model):
                    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
                """,
            }
        ),
        Good(
            {
                "tests/test_train.py": """
                import torch


                def test_step():
                    model = torch.nn.Linear(2, 2)
                    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    model(torch.zeros(1, 2)).sum().backward()
                    optimizer.step()
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        values = project[MagicValues]
        for module in project.modules.values():
            found = values.of(module)
            if found:
                yield _problem(found)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        return lifted(project[MagicValues].of(project.modules[problem.place.path]), project)


def _problem(found: Sequence[Magic]) -> Problem:
    first, *others = found
    module = first.filled.module
    shown = ", ".join(_named(one) for one in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    count = f"{len(found)} hyperparameters are literals" if others else "a hyperparameter is a literal"
    apis = dict.fromkeys(one.filled.api for one in found)
    return Problem(
        _place(first),
        f"{count}: {shown}{more}",
        tuple(Related(_place(one), _named(one)) for one in others),
        severity=Severity.INFO if module.path.endswith(".ipynb") else None,
        minutes=5 + len(others),
        evidence=(
            f"slots of {', '.join(apis)}",
            "a program that trains, tunes or serves imports this file",
            "no value is the API's default, none stands in a configuration class, module or parameter default",
        ),
        symbol="list",
    )


def _named(one: Magic) -> str:
    return f"{one.filled.parameter}={one.text} ({one.filled.api.rpartition('.')[2]})"


def _place(one: Magic) -> Place:
    """The argument, where it is given by keyword; else the call."""
    filled = one.filled
    call, module = filled.call, filled.module
    if any(keyword.value is filled.value for keyword in call.keywords):
        wanted = re.compile(rf"\b{re.escape(filled.parameter)}\s*=(?!=)\s*")
        for line in range(call.line, call.end_line + 1):
            row = module.text_lines[line - 1] if line <= len(module.text_lines) else ""
            match = wanted.search(row, call.column if line == call.line else 0)
            if match is not None:
                end = len(row[match.end() :].partition(",")[0].rstrip(" )\r\n")) + match.end()
                return Place(module.path, Span(line, match.start() + 1, line, max(end, match.end()) + 1))
    return module.place(call)
