"""MLD202 never-enabled-flag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .flagged_code import DeadArm, FlaggedCode, stands
from .flags import Flag, Flags

_MOST_RELATED = 8
_YEAR = 365

_PARSER = """
    import argparse


    def parse():
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("--discsdtw", action="store_true", help="discriminative time warping")
        return parser.parse_args()
    """
_TRAIN = """
    from losses import pairs, soft
    from options import parse


    def main():
        args = parse()
        rows = pairs(args.lr)
        if args.discsdtw:
            first = soft(rows[0], 1.0)
            second = soft(rows[1], 1.0)
            cross = soft(rows[0] - rows[1], 0.5)
            scale = first.std()
            first = first / scale
            second = second / scale
            cross = cross / scale
            total = first + second
            total = total - 2 * cross
            rows = total.mean(0)
            print(rows)
        print(rows)


    if __name__ == "__main__":
        main()
    """
_LOSSES = """
    def pairs(x):
        return [x, x]


    def soft(x, gamma):
        return x * gamma
    """
_REPOSITORY = {"options.py": _PARSER, "train.py": _TRAIN, "losses.py": _LOSSES}
_LADDER = """
    import click


    @click.command()
    @click.option("--head", default="linear")
    def train(head):
        if head == "linear":
            net = 1
        elif head == "prototype":
            net = 2
            for step in range(3):
                net += step
            if net > 3:
                net = 4
            net = net * 2
            net = net - 1
            net = net * 3
            net = net - 2
            net = net * 4
        print(net)


    if __name__ == "__main__":
        train()
    """


@dataclass(frozen=True)
class NeverEnabledFlag(ProjectRule):
    """A switch nothing in the repository ever turns: no command, configuration, test, notebook or document.

    Switches are boolean options and options compared with constants: of argparse, click, typer and absl, fields of
    configuration classes, keys of configuration files, variables of the environment. The value is followed through
    variables, attributes and parameters to the code that waits for it. This is a list to go through, not an accusation:
    somebody may turn the switch by hand.

    ## Why it is debt

    Each such switch doubles the ways through the program, and one of the two is never run, never tested, and ported all
    the same. "Often only a small subset of the possible branches is actually used; many others may have been tested
    once and abandoned."

    ## How to pay it back

    Ask who needs it. Nobody: delete the option and what it guards (MLD203 tells how much that frees). Somebody: put the
    command or the configuration that turns it on into the repository, and a test with it.

    ## When to leave it

    Options for people at the keyboard are not listed: debugging, resuming, evaluating, devices, logging. A switch that
    any script, CI job, configuration, notebook, test or example in a document turns on is used. Command-line options of
    a published package are there for its users: the list stays `info` there; elsewhere a switch that git has known
    unturned for a year is minor.

    ## Options

    * `least-statements`: statements a switch must guard to be listed.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * M. Ramanathan et al., "Piranha: Reducing Feature Flag Debt at Uber", ICSE-SEIP 2020.
    """

    code: ClassVar[str] = "MLD202"
    severity: ClassVar[Severity] = Severity.INFO
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 20
    examples = (
        Bad(_REPOSITORY, anchors=("options.py:7",)),
        Bad({"train.py": _LADDER, "README.md": "Run `python train.py --head linear`.\n"}),
        Bad(
            {
                "run.sh": "python fit.py\n",
                "fit.py": """
                import os

                from stages import run

                OLD = os.environ.get("OLD_TOKENIZER", "0") == "1"


                def main():
                    run(old=OLD)


                if __name__ == "__main__":
                    main()
                """,
                "stages.py": """
                def run(old):
                    if not old:
                        return 1
                    words = []
                    words.append("a")
                    words.append("b")
                    words.append("c")
                    words.append("d")
                    words.append("e")
                    words.append("f")
                    words.append("g")
                    words.append("h")
                    words.append("i")
                    return words
                """,
            },
            anchors=("fit.py:5",),
        ),
        Bad(
            {
                "train.py": """
                import yaml

                from model import Net

                with open("config.yaml") as file:
                    cfg = yaml.safe_load(file)
                print(cfg["model"]["width"])
                Net(cfg["model"]["gated"]).step(1)
                """,
                "model.py": """
                class Net:
                    def __init__(self, gated):
                        self.gated = gated

                    def step(self, x):
                        if self.gated:
                            gate = x * 2
                            gate = gate + 1
                            gate = gate * 3
                            gate = gate + 2
                            gate = gate * 4
                            gate = gate + 3
                            gate = gate * 5
                            gate = gate + 4
                            gate = gate * 6
                            x = x * gate
                        return x
                """,
                "config.yaml": "model:\n  width: 64\n  gated: false\n",
            },
            anchors=("config.yaml:3",),
        ),
        Good({**_REPOSITORY, "run.sh": "python train.py --lr 0.3 \\\n  --discsdtw\n"}),
        Good({**_REPOSITORY, "README.md": "To warp in time:\n\n    python train.py --discsdtw\n"}),
        Good(
            {
                **_REPOSITORY,
                "tests/test_train.py": """
                from options import parse


                def test_warping(monkeypatch):
                    monkeypatch.setattr("sys.argv", ["train.py", "--discsdtw"])
                    assert parse().discsdtw
                """,
            }
        ),
        Good(
            {
                **_REPOSITORY,
                ".github/workflows/ci.yml": "jobs:\n  a:\n    steps:\n      - run: python train.py --discsdtw\n",
            }
        ),
        Good(
            {
                **_REPOSITORY,
                "options.py": _PARSER.replace("--discsdtw", "--debug"),
                "train.py": _TRAIN.replace("discsdtw", "debug"),
            }
        ),
        Good({"train.py": _LADDER, "scripts/sweep.yaml": "head: [linear, prototype]\n"}),
        Good(
            {
                **_REPOSITORY,
                "sweep.py": """
                import train
                from options import parse

                args = parse()
                args.discsdtw = True
                """,
            }
        ),
        Good({**_REPOSITORY, "train.py": _TRAIN.replace("if args.discsdtw:", "if args.discsdtw or rows:")}),
    )

    least_statements: int = 10

    def check(self, project: Project) -> Iterator[Problem]:
        for flag in project[Flags].all:
            arms = project[FlaggedCode].of(flag)
            size = sum(arm.statements for arm in arms)
            if size >= self.least_statements:
                yield _problem(project, flag, arms, size)


def _problem(project: Project, flag: Flag, arms: tuple[DeadArm, ...], size: int) -> Problem:
    guards = [module.place(arm.guard) for module, _, arm in arms]
    age = _age(project, arms)
    old = age is not None and age >= _YEAR and not project.library
    return Problem(
        flag.places[0],
        f"{flag.spelling} is {stands(project, flag)} wherever this repository runs; {size} statements wait for"
        " another value",
        (
            *(Related(place, "declared here too", "cause") for place in flag.places[1:_MOST_RELATED]),
            *(Related(place, "guards code that never runs", "effect") for place in guards[:_MOST_RELATED]),
        ),
        severity=Severity.MINOR if old else None,
        evidence=(
            f"its default is {flag.default!r}" if flag.default is not None else "it has no default",
            "no command, configuration, test, notebook, document or assignment gives it another value",
            *([f"the youngest guard is {age} days old"] if age is not None else []),
        ),
        symbol=flag.name,
    )


def _age(project: Project, arms: tuple[DeadArm, ...]) -> int | None:
    """The age in days of the youngest guard."""
    ages = [project.age(module.path, arm.guard.line) for module, _, arm in arms]
    return min((age for age in ages if age is not None), default=None) if None not in ages else None
