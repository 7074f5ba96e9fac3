"""MLD305: a declared option that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.facts.arguments import UNKNOWN
from mldebt.finding import Applicability, Confidence, Fix, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .config_classes import Field
from .declarations import CLI, COMMAND, FIELD, Declaration
from .option_removal import setting, without_argument, without_field
from .parsers import Declared
from .unread_options import Unread, UnreadOptions

_MOST_RELATED = 8


class OptionNeverRead(ProjectRule):
    """An option is declared, parsed and documented, and nothing reads it: whatever it is set to changes nothing.

    Options are arguments of parsers (argparse, click, typer, absl), fields of configuration classes, and keys of
    configuration files that the code loads by a name that is written down.

    ## Why it is debt

    Somebody will set it, run the experiment again and write down a difference that is noise. "It should be possible to
    detect unused or redundant settings" is one of the principles of good configuration.

    ## How to pay it back

    Read it where it was meant to be read (`criterion = LOSSES[args.loss]()`), or delete it and take it out of the
    commands that set it; the fix does the latter.

    ## When to leave it

    Silent on its own: an object of options that is handed to code nobody sees here (`create_scheduler(args)`), read by
    names that are not constant (`getattr(args, name)`, `for key, value in vars(args).items()`), spread over parameters
    (`train(**vars(args))`), or built from (`hydra.utils.instantiate`, `_target_`, `${interpolation}`); options a
    launcher insists on (`--local_rank`), and those whose help says that they are deprecated or ignored; classes of a
    library, which others read. Printing, logging and dumping all options reads none of them, and is told in the
    evidence.

    ## References

    D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6, principle 5.
    """

    code = "MLD305"
    severity, confidence, minutes = Severity.MINOR, Confidence.HIGH, 10

    examples = (
        Bad(
            {
                "train.py": """
                import argparse
                from torch import nn
                from engine import fit

                def parse():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=0.1)
                    parser.add_argument("--loss", default="mse", help="mse or mae")
                    return parser.parse_args()

                def main():
                    args = parse()
                    fit(args, nn.MSELoss())

                if __name__ == "__main__":
                    main()
                """,
                "engine.py": """
                def fit(args, criterion):
                    outputs = run(criterion, args.lr)
                    print(outputs.loss)
                """,
                "run.sh": """
                python train.py --lr 0.01 \\
                  --loss mae
                """,
            },
            fixed={
                "train.py": """
                import argparse
                from torch import nn
                from engine import fit

                def parse():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=0.1)
                    return parser.parse_args()

                def main():
                    args = parse()
                    fit(args, nn.MSELoss())

                if __name__ == "__main__":
                    main()
                """,
                "engine.py": """
                def fit(args, criterion):
                    outputs = run(criterion, args.lr)
                    print(outputs.loss)
                """,
                "run.sh": """
                python train.py --lr 0.01 \\

                """,
            },
            anchors=("train.py:8",),
        ),
        Bad(
            {
                "train.py": """
                import json
                import wandb
                from settings import TrainConfig
                from trainer import Trainer

                cfg = TrainConfig(lr=0.3)
                wandb.init(config=vars(cfg))
                Trainer(cfg).fit()
                """,
                "settings.py": """
                from dataclasses import dataclass

                @dataclass
                class TrainConfig:
                    lr: float = 0.1
                    epochs: int = 10
                    warmup_epochs: int = 3
                """,
                "trainer.py": """
                class Trainer:
                    def __init__(self, cfg):
                        self.cfg = cfg

                    def fit(self):
                        for _ in range(self.cfg.epochs):
                            step(self.cfg.lr)
                """,
            },
            anchors=("settings.py:7",),
        ),
        Bad(
            {
                "train.py": """
                import yaml

                with open("config.yaml") as f:
                    cfg = yaml.safe_load(f)

                def main():
                    optim = cfg["optim"]
                    step(optim["lr"], optim["momentum"], cfg["epochs"])

                main()
                """,
                "config.yaml": """
                epochs: 10
                optim:
                  lr: 0.1
                  momentum: 0.9
                  nesterov: true
                """,
            },
            anchors=("config.yaml:5",),
        ),
        Bad(
            """
            import click

            @click.command()
            @click.option("--lr", default=0.1)
            @click.option("--warmup-steps", default=100)
            def train(lr, warmup_steps):
                step(lr)

            if __name__ == "__main__":
                train()
            """
        ),
        Bad(
            """
            import argparse

            class Runner:
                def __init__(self, options):
                    self.options = options

                def run(self):
                    print(self.options)
                    for key, value in vars(self.options).items():
                        print(key, value)
                    step(self.options.lr)

            parser = argparse.ArgumentParser()
            group = parser.add_argument_group("model")
            group.add_argument("--lr", type=float, default=0.1)
            group.add_argument("--dropout", type=float, default=0.5)
            Runner(parser.parse_args()).run()
            """,
            anchors=("example.py:16",),
        ),
        Good(  # timm reads the options we do not
            """
            import argparse
            from timm.scheduler import create_scheduler

            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            parser.add_argument("--warmup-epochs", type=int, default=5)
            args = parser.parse_args()
            scheduler = create_scheduler(args, make(args.lr))
            """
        ),
        Good(
            {
                "train.py": """
                import argparse
                from engine import fit

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.1)
                parser.add_argument("--loss", default="mse")
                args = parser.parse_args()
                fit(**vars(args))
                """,
                "engine.py": """
                def fit(lr, loss):
                    step(LOSSES[loss], lr)
                """,
            }
        ),
        Good(
            {
                "main.py": """
                import argparse
                from tasks import TASKS

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--task", default="train")
                    parser.add_argument("--beam", type=int, default=5)
                    args = parser.parse_args()
                    TASKS[args.task](args)

                if __name__ == "__main__":
                    main()
                """,
                "tasks.py": """
                def train(args):
                    step(getattr(args, "beam", 1))

                TASKS = {"train": train}
                """,
            }
        ),
        Good(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            parser.add_argument("--local_rank", type=int, default=0)
            parser.add_argument("--amp", action="store_true", help="deprecated, has no effect")
            args = parser.parse_args()
            step(args.lr)
            """
        ),
        Good(
            """
            import argparse

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.1)
                parser.add_argument("--clip", type=float, default=1.0)
                args = parser.parse_args()
                for name in ("lr", "clip"):
                    use(getattr(args, name))

            main()
            """
        ),
        Good(
            {
                "train.py": """
                import hydra

                @hydra.main(config_path="conf", config_name="train")
                def main(cfg):
                    model = hydra.utils.instantiate(cfg.model)
                    fit(model, cfg.optim.lr)

                if __name__ == "__main__":
                    main()
                """,
                "conf/train.yaml": """
                width: 64
                model:
                  _target_: nets.Net
                  width: ${width}
                  depth: 3
                optim:
                  lr: 0.1
                hydra:
                  run:
                    dir: outputs
                """,
            }
        ),
        Good(
            {
                "pyproject.toml": """
                [project]
                name = "pkg"
                version = "1.0"
                """,
                "pkg/__init__.py": """
                from pkg.config import TrainConfig
                from pkg.train import fit
                """,
                "pkg/config.py": """
                from dataclasses import dataclass

                @dataclass
                class TrainConfig:
                    lr: float = 0.1
                    epochs: int = 3
                    callbacks: int = 0
                """,
                "pkg/train.py": """
                from pkg.config import TrainConfig

                def fit(cfg: TrainConfig):
                    step(cfg.lr, cfg.epochs)
                """,
            }
        ),
        Good(
            """
            from transformers import HfArgumentParser, Trainer, TrainingArguments
            from dataclasses import dataclass

            @dataclass
            class Arguments(TrainingArguments):
                lr: float = 0.1
                warmup_ratio: float = 0.1

            parser = HfArgumentParser(Arguments)
            (args,) = parser.parse_args_into_dataclasses()
            Trainer(args=args).train(args.lr)
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for one in project[UnreadOptions].all:
            yield _problem(project, one)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        for one in project[UnreadOptions].all:
            what = one.declaration.what
            if one.declaration.place != problem.place:
                continue
            edits = None
            if isinstance(what, Declared):
                edits = without_argument(what, setting(project, what), project)
            elif isinstance(what, Field):
                edits = without_field(what, project)
            if edits is not None:
                return Fix(Applicability.SUGGEST, f"Delete {_called(one.declaration)}", edits)
        return None


def _problem(project: Project, one: Unread) -> Problem:
    declared = one.declaration
    launches = setting(project, declared.what) if isinstance(declared.what, Declared) else []
    shown = f" {declared.default!r}" if declared.default not in (UNKNOWN, None, "") else ""
    default = f" (default{shown})" if shown and declared.kind != "leaf" else f" ({shown.strip()})" if shown else ""
    related = [Related(launch.place, "sets it") for launch in launches[:_MOST_RELATED]]
    related += [Related(place, "only shows it, with all others", "counter-evidence") for place in one.shown[:2]]
    set_by = f"; {len(launches)} {'command sets' if len(launches) == 1 else 'commands set'} it" if launches else ""
    return Problem(
        declared.place,
        f"{_called(declared)}{default} is {_verb(declared)} and nothing reads it{set_by}",
        related=tuple(related),
        confidence=Confidence.MEDIUM if one.shown else None,
        evidence=(
            f"{one.others} other options of the same object are read"
            if one.others > 1
            else "another one beside it is read",
            *_searched(declared),
            *(["the whole object is printed, logged or saved, which reads no option"] if one.shown else []),
        ),
        symbol=declared.name,
    )


def _called(declared: Declaration) -> str:
    if declared.kind in (CLI, COMMAND):
        return next((one for one in declared.spellings if one.startswith("--")), declared.spellings[0])
    if declared.kind == FIELD:
        return f"{declared.owner}.{declared.name}"
    if declared.kind == "leaf":
        return f"{declared.spellings[0]} of {declared.owner}"
    return declared.spellings[0]


def _verb(declared: Declaration) -> str:
    return "parsed" if declared.kind in (CLI, COMMAND) else "declared" if declared.kind == FIELD else "set"


def _searched(declared: Declaration) -> list[str]:
    if declared.kind in (COMMAND,):
        return [f"{declared.owner} does not use its parameter {declared.name}"]
    return [
        f"no attribute, subscript, getattr or ** of {declared.name} on any object that carries it",
        "no such object is handed to code outside the repository, or read by a name that is not constant",
    ]
