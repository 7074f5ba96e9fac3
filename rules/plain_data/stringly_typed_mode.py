"""MLD508 stringly-typed-mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .mode_texts import ModeTexts
from .modes import Dead, Mode, Modes

_SHOWN = 12  # comparisons named in a finding, at least one of each file


class StringlyTypedMode(ProjectRule):
    """A mode travels through the program as plain text: one variable or option is compared with string literals in
    three files or more, or with a word that nobody ever gives it.

    ## Why it is debt

    Nobody sees which modes there are, and a slip of the keyboard (`"vaild"`) is no error: the branch never runs, the
    model is evaluated on the wrong rows, and the figure looks plausible. Sculley et al. (2015, section 5.5) call values
    that do not know what they are the *plain-old-data type smell*.

    ## How to pay it back

    Give the vocabulary a name, once: `Split = Literal["train", "valid", "test"]` for a type checker, or an
    `enum.StrEnum` where values are looked up and listed too, and annotate the parameter or field with it. The suggested
    fix of a misspelt word is the one that is given.

    ## When to leave it

    Open vocabularies (column values, file suffixes, names of columns, languages, answers of services), what platforms
    and libraries define (`sys.platform`, `device.type`, `reduction=`), comparisons in the files of several programs
    that never run together, and what somewhere has an `Enum` or a `Literal` are not reported. A word that no caller
    here gives is reported only when a word it is a slip of is given, or when the command line lists its choices.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", 2015, section 5.5 (plain-old-data type).
    * https://typing.python.org/en/latest/spec/literal.html
    * https://docs.python.org/3/library/enum.html#enum.StrEnum
    """

    code: ClassVar[str] = "MLD508"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 10
    collects = (ModeTexts,)
    examples = (
        Bad(
            {
                "data.py": """
                    class Digits:
                        def __init__(self, root, split="train"):
                            self.rows = root
                            if split == "vaild":
                                self.rows = root[:100]
                            elif split == "test":
                                self.rows = root[100:]
                    """,
                "train.py": """
                    from data import Digits

                    train = Digits(range(1000), split="train")
                    valid = Digits(range(1000), split="valid")
                    test = Digits(range(1000), split="test")
                    """,
            },
            fixed={
                "data.py": """
                    class Digits:
                        def __init__(self, root, split="train"):
                            self.rows = root
                            if split == "valid":
                                self.rows = root[:100]
                            elif split == "test":
                                self.rows = root[100:]
                    """,
                "train.py": """
                    from data import Digits

                    train = Digits(range(1000), split="train")
                    valid = Digits(range(1000), split="valid")
                    test = Digits(range(1000), split="test")
                    """,
            },
            anchors=("data.py:4",),
        ),
        Bad(
            {
                "options.py": """
                    import argparse


                    def parse():
                        parser = argparse.ArgumentParser()
                        parser.add_argument("--task", choices=["classify", "regress"], default="classify")
                        return parser.parse_args()
                    """,
                "losses.py": """
                    import torch


                    def loss_of(args):
                        return torch.nn.MSELoss() if args.task == "regress" else torch.nn.CrossEntropyLoss()
                    """,
                "metrics.py": """
                    def metric_of(args):
                        if args.task == "classify":
                            return "accuracy"
                        return "rmse"
                    """,
                "train.py": """
                    from losses import loss_of
                    from metrics import metric_of
                    from options import parse

                    args = parse()
                    loss = loss_of(args)
                    if args.task == "regress":
                        print("regression", metric_of(args))
                    elif args.task == "classify":
                        print("classification", metric_of(args))
                    """,
            },
            anchors=("options.py:6",),
        ),
        Bad(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--mode", choices=("train", "evaluate"), default="train")
            args = parser.parse_args()
            if args.mode == "train":
                print("train")
            elif args.mode == "test":
                print("test")
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            """
            def run(loaders):
                for phase in ("train", "valid"):
                    rows = loaders[phase]
                    if phase == "trian":
                        rows = rows * 2
                    print(len(rows))
            """,
        ),
        Bad(
            {
                "engine.py": """
                    class Engine:
                        def __init__(self, net):
                            self.net = net

                        def run(self, loader, phase):
                            if phase == "vla":
                                self.net.eval()
                            return len(loader)
                    """,
                "main.py": """
                    from engine import Engine


                    def main(net, loaders):
                        engine = Engine(net)
                        for phase in ["train", "val"]:
                            engine.run(loaders[phase], phase)
                    """,
            },
            anchors=("engine.py:6",),
        ),
        Good(
            {
                "data.py": """
                    from typing import Literal

                    Split = Literal["train", "valid", "test"]


                    def rows(split: Split):
                        return 1 if split == "train" else 2
                    """,
                "augment.py": """
                    def augment(split):
                        return split == "train"
                    """,
                "report.py": """
                    def report(split):
                        return "final" if split == "test" else "draft" if split == "train" else "tuning"
                    """,
                "train.py": """
                    from augment import augment
                    from data import rows
                    from report import report

                    print(rows(split="train"), augment(split="train"), report(split="test"))
                    """,
            },
        ),
        Good(
            {
                "clean.py": """
                    def clean(frame):
                        return frame[frame["status"] == "paid"]


                    def is_open(row):
                        return row["status"] == "open"
                    """,
                "join.py": """
                    def join(row):
                        return row["status"] == "paid" or row["status"] == "open"
                    """,
                "main.py": """
                    import sys

                    from clean import clean, is_open
                    from join import join

                    status = sys.argv[1]
                    if status == "paid" or status == "open" or sys.platform == "linux":
                        print(clean, is_open, join)
                    """,
            },
        ),
        Good(
            {
                "one.py": """
                    import argparse

                    parser = argparse.ArgumentParser()
                    parser.add_argument("--mode", default="train")
                    args = parser.parse_args()
                    print(args.mode == "train" or args.mode == "test")
                    """,
                "two.py": """
                    import argparse

                    parser = argparse.ArgumentParser()
                    parser.add_argument("--mode", default="train")
                    args = parser.parse_args()
                    print(args.mode == "train" or args.mode == "test")
                    """,
                "three.py": """
                    import argparse

                    parser = argparse.ArgumentParser()
                    parser.add_argument("--mode", default="train")
                    args = parser.parse_args()
                    print(args.mode == "train" or args.mode == "test")
                    """,
            },
        ),
        Good(
            """
            def spelled(colour="gray"):
                if colour in ("gray", "grey"):
                    return 1
                if colour == "word" or colour == "words":
                    return 2
                return 3


            print(spelled(colour="gray"), spelled(colour="word"))
            """
        ),
        Good(
            {
                "modes.py": """
                    from enum import Enum


                    class Phase(str, Enum):
                        TRAIN = "train"
                        EVAL = "eval"
                    """,
                "a.py": """
                    def first(phase="train"):
                        return phase == "train" or phase == "eval"
                    """,
                "b.py": """
                    def second(phase):
                        return phase == "train" or phase == "eval"
                    """,
                "c.py": """
                    from a import first
                    from b import second


                    def third(phase):
                        return phase == "eval" or phase == "train" or first(phase) or second(phase)
                    """,
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        modes = project[Modes]
        for mode in modes.scattered:
            yield _scattered(mode)
        for dead in modes.dead:
            yield _dead(dead)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        if not problem.symbol.startswith("slip "):
            return None
        _, word, meant = problem.symbol.split(" ")
        module, span = project.modules[problem.place.path], problem.place.span
        for number in range(span.line, span.end_line + 1):
            match = re.search(rf"""(["']){re.escape(word)}\1""", module.text_lines[number - 1])
            if match is not None:
                place = Place(module.path, Span(number, match.start() + 2, number, match.end()))
                return Fix(Applicability.SUGGEST, f'compare with "{meant}"', (Edit(place, meant),))
        return None


def _scattered(mode: Mode) -> Problem:
    firsts: dict[Module, Place] = {}
    for site in mode.sites:
        firsts.setdefault(site.module, site.module.place(site.node))
    places = [
        *firsts.values(),
        *[one for site in mode.sites if (one := site.module.place(site.node)) not in firsts.values()],
    ]
    anchor = mode.declared or places[0]
    words = ", ".join(f'"{word}"' for word in mode.literals[:4]) + (", ..." if len(mode.literals) > 4 else "")
    return Problem(
        anchor,
        f"{mode.name} is compared with {words} in {len(firsts)} files, and no type says which values it has",
        tuple(
            Related(place, f"{mode.name} is compared with text")
            for place in places[: max(_SHOWN, len(firsts))]
            if place != anchor
        ),
        evidence=(
            f'it is given "{mode.produced[1]}" at {mode.produced[0].path}:{mode.produced[0].span.line}',
            "one program imports all these files",
            "no Enum and no Literal holds half of these words",
        ),
        symbol=mode.name,
    )


def _dead(dead: Dead) -> Problem:
    module = dead.site.module
    place = module.place(dead.site.node)
    known = f"{dead.known.path}:{dead.known.span.line}"
    meant = f', but "{dead.nearest}" is' if dead.nearest else ""
    return Problem(
        place,
        f'{dead.site.name} is compared with "{dead.literal}", which it is never given{meant}',
        (Related(dead.known, "the values it is given", "counterpart"),) if dead.known != place else (),
        severity=Severity.MAJOR if dead.typo else None,
        evidence=(f"{dead.how} ({known})", f'"{dead.literal}" is written nowhere else in the files that know the name'),
        symbol=f"slip {dead.literal} {dead.nearest}" if dead.nearest else f"dead {dead.literal}",
    )
