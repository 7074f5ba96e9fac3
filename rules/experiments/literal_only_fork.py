"""MLD208 literal-only-fork."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .forks import Fork, Forks, Slot, Unit

_BODY = """
    model = torch.nn.Sequential(
        torch.nn.Linear(32, {width}),
        torch.nn.ReLU(),
        torch.nn.Linear({width}, 10),
    )
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr={rate},
        momentum=0.9,
    )
    criterion = torch.nn.CrossEntropyLoss()
    best = 0.0
    for epoch in range({epochs}):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        right = 0
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
        if right > best:
            best = right
            torch.save(model.state_dict(), "{name}.pt")
        print(epoch, right)
    return best
"""


def _function(name: str, width: int, rate: float, epochs: int) -> str:
    return f"def train_{name}(loader):" + _BODY.format(name=name, width=width, rate=rate, epochs=epochs)


_CIFAR, _SVHN, _MNIST = (
    _function("cifar", 64, 0.1, 200),
    _function("svhn", 128, 0.01, 100),
    _function("mnist", 32, 0.5, 9),
)
_IMPORT = "import torch\n\n\n"
_MORE = "\n            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)\n            scheduler.step()\n"


class LiteralOnlyFork(ProjectRule):
    """Functions or files that are copies of each other and differ in a few literals only: a configuration, as copies.

    ## Why it is debt

    Every fix has to be made in each copy, and one is forgotten. What an experiment varied can only be found by
    comparing texts, and the next experiment is a further copy.

    ## How to pay it back

    Keep one, and make the literals that differ its parameters; the message has the table of them. The copies become
    calls, or configuration files.

    ## When to leave it

    Exact copies are not this rule's (there is nothing to configure), nor are tests, examples, generated files, files
    that say they stand alone by design, and copies that differ in more than two names of other things. Copies whose
    literals are all text, such as prompts in several languages, are data and minor.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, sections 5.3 and 6.
    * B. van Oort et al., "The Prevalence of Code Smells in Machine Learning Projects", WAIN 2021.
    """

    code: ClassVar[str] = "MLD208"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 30
    sensitive_to: ClassVar[frozenset[str]] = frozenset(
        {"callee-moved"}
    )  # functions only some of which move, as aliases
    examples = (
        Bad({"train.py": _IMPORT + _CIFAR + "\n\n" + _SVHN}, anchors=("train.py:4",)),
        Bad(
            {"cifar.py": _IMPORT + _CIFAR, "nets/svhn.py": _IMPORT + _SVHN, "mnist.py": _IMPORT + _MNIST},
            anchors=("cifar.py:1",),
        ),
        Bad(
            {"a.py": _IMPORT + _CIFAR + "\n\nprint(1)\n", "b.py": "import os\n" + _IMPORT + _MNIST}, anchors=("a.py:4",)
        ),
        Good({"train.py": _IMPORT + _CIFAR, "tests/test_train.py": _IMPORT + _SVHN}),
        Good({"train.py": _IMPORT + _CIFAR, "train_again.py": _IMPORT + _CIFAR}),
        Good(
            {
                "train.py": _IMPORT + _CIFAR,
                "other.py": _IMPORT + _SVHN.replace("loss.backward()\n", "loss.backward()" + _MORE),
            }
        ),
        Good(
            {
                "train.py": _IMPORT + _CIFAR,
                "other.py": _IMPORT
                + _SVHN.replace("SGD", "AdamW").replace("CrossEntropyLoss", "NLLLoss").replace("ReLU", "GELU"),
            }
        ),
        Good(
            {
                "README.md": "Every algorithm is a single-file implementation.\n",
                "cifar.py": _IMPORT + _CIFAR,
                "svhn.py": _IMPORT + _SVHN,
            }
        ),
        Good(
            {
                "nets.py": """
                def small():
                    return build(depth=18, width=64)


                def large():
                    return build(depth=34, width=128)


                def build(depth, width):
                    return depth * width
                """
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for fork in project[Forks].all:
            yield _problem(fork)


def _problem(fork: Fork) -> Problem:
    first, *others = fork.units
    names = ", ".join(_shown(unit) for unit in others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
    count = f"{len(fork.slots)} literal{'s' if len(fork.slots) > 1 else ''}"
    more = "; ".join(f"{ours} -> {theirs}" for ours, theirs in fork.others)
    named = f", beside the name{'s' if len(fork.others) > 1 else ''} {more}" if more else ""
    return Problem(
        _place(first),
        f"{_shown(first)} and {names} differ only in {count}: {_table(fork.slots)}{named}",
        tuple(Related(_place(unit), "a copy with other literals") for unit in others),
        severity=Severity.MINOR if _is_data(fork.slots) else None,
        evidence=(
            f"{len(fork.units)} copies of {first.lines} lines of code, aligned token by token",
            *(["the literals are all text: data-like"] if _is_data(fork.slots) else []),
        ),
        carries=tuple((unit.module.path, token.line) for unit in others for token in unit.tokens),
        symbol=first.name,
    )


def _table(slots: tuple[Slot, ...]) -> str:
    shown = [f"{slot.name}: {' | '.join(value[:30] for value in slot.values[:5])}" for slot in slots[:6]]
    return "; ".join(shown) + (f"; {len(slots) - 6} more" if len(slots) > 6 else "")


def _is_data(slots: tuple[Slot, ...]) -> bool:
    return all(value.lstrip("rbuf")[:1] in "\"'" and value.count(" ") >= 2 for slot in slots for value in slot.values)


def _shown(unit: Unit) -> str:
    return f"{unit.module.path}:{unit.name}()" if unit.scope else unit.module.path


def _place(unit: Unit) -> Place:
    if not unit.scope:
        return Place(unit.module.path, Span(1, 1, 1, len(unit.module.text_lines[0]) + 1))
    scope = unit.module.scope(unit.scope)
    return Place(
        unit.module.path,
        Span(scope.line, scope.column + 1, scope.line, len(unit.module.text_lines[scope.line - 1]) + 1),
    )
