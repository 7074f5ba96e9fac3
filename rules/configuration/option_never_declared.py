"""MLD306: an option is read that nobody declares."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .config_objects import CLASS, FILE, HYDRA, PARSER, Event
from .undeclared_options import Undeclared, UndeclaredOptions

_MOST_RELATED = 8


class OptionNeverDeclared(ProjectRule):
    """An option is read of a namespace or configuration that cannot have it: a typing error, or what is left of an
    option that was renamed or removed.

    ## Why it is debt

    `args.use_ema_decay` raises `AttributeError`, but only when that line runs: after an hour of training, in the branch
    nobody tested, on the rank that writes the checkpoint.

    ## How to pay it back

    Read the option by the name it is declared with, or declare it.

    ## When to leave it

    Silent on its own: parsers that others may add to (`parse_known_args`, plug-ins, `add_task_args` of a registry, one
    handed to code nobody sees), objects that get options later (`args.rank = ...`, `setattr`, `update`, handing the
    whole object to a library), reads behind `hasattr`, `getattr` with a default or `except AttributeError`, OmegaConf
    objects that are not in struct mode, and classes with bases that are not here. Medium confidence where no declared
    name looks like the one that is read.

    ## References

    https://docs.python.org/3/library/argparse.html#the-namespace-object
    https://omegaconf.readthedocs.io/en/latest/usage.html#struct-flag
    """

    code = "MLD306"
    severity, confidence, minutes = Severity.MAJOR, Confidence.MEDIUM, 5

    examples = (
        Bad(
            {
                "train.py": """
                import argparse
                from trainer import Trainer

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=0.1)
                    parser.add_argument("--ema-decay", type=float, default=0.0)
                    args = parser.parse_args()
                    Trainer(args).fit()

                if __name__ == "__main__":
                    main()
                """,
                "trainer.py": """
                class Trainer:
                    def __init__(self, args):
                        self.args = args

                    def fit(self):
                        step(self.args.lr)
                        if self.args.use_ema_decay:
                            average(self.args.ema_decay)
                """,
            },
            anchors=("trainer.py:7",),
        ),
        Bad(
            """
            import argparse

            def parse():
                parser = argparse.ArgumentParser()
                parser.add_argument("--learning-rate", type=float, default=0.1)
                parser.add_argument("--epochs", type=int, default=3)
                return parser.parse_args()

            opt = parse()
            for epoch in range(opt.epochs):
                step(opt.learning_rat)
            """,
            anchors=("example.py:11",),
        ),
        Bad(
            {
                "train.py": """
                import yaml

                with open("conf/train.yaml") as f:
                    cfg = yaml.safe_load(f)
                step(cfg["optim"]["learning_rat"], cfg["epochs"])
                """,
                "conf/train.yaml": """
                epochs: 3
                optim:
                  learning_rate: 0.1
                """,
            },
            anchors=("train.py:5",),
        ),
        Bad(
            {
                "settings.py": """
                from dataclasses import dataclass

                @dataclass
                class TrainConfig:
                    lr: float = 0.1
                    hidden_size: int = 64
                """,
                "model.py": """
                from settings import TrainConfig

                def build(cfg: TrainConfig):
                    return make(cfg.hidden_siz)
                """,
                "train.py": """
                from settings import TrainConfig
                from model import build

                cfg = TrainConfig()
                fit(build(cfg), cfg.lr)
                """,
            },
            anchors=("model.py:4",),
        ),
        Bad(
            {
                "config.py": """
                from dataclasses import dataclass, field


                @dataclass
                class ModelConfig:
                    in_dim: int = 32
                    hidden_size: int = 128


                @dataclass
                class Config:
                    model: ModelConfig = field(default_factory=ModelConfig)
                    lr: float = 5e-3
                """,
                "net.py": """
                from torch import nn

                from config import Config


                class Net(nn.Module):
                    def __init__(self, cfg: Config):
                        super().__init__()
                        self.first = nn.Linear(cfg.model.in_dim, cfg.model.hidden_size)
                        self.last = nn.Linear(cfg.model.hidden_sizes, 7)
                """,
                "train.py": """
                import torch

                from config import Config
                from net import Net


                def main():
                    cfg = Config()
                    torch.optim.Adam(Net(cfg).parameters(), lr=cfg.lr)


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("net.py:10",),
        ),
        Good(  # deepspeed adds its own options to the parser
            """
            import argparse
            import deepspeed

            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            parser = deepspeed.add_config_arguments(parser)
            args = parser.parse_args()
            fit(args.lr, args.deepspeed_config)
            """
        ),
        Good(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            args, rest = parser.parse_known_args()
            args.rank = 0
            fit(args.lr, args.rank, args.world_size)
            """
        ),
        Good(
            """
            import argparse

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.1)
                args = parser.parse_args()
                if hasattr(args, "momentum"):
                    step(args.lr, args.momentum)
                try:
                    clip(args.clip)
                except AttributeError:
                    pass

            main()
            """
        ),
        Good(
            {
                "main.py": """
                import argparse
                from tasks import TASKS

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--task", default="seg")
                    task = TASKS["seg"]
                    task.add_task_args(parser)
                    args = parser.parse_args()
                    task(args).run()

                if __name__ == "__main__":
                    main()
                """,
                "tasks.py": """
                class Segmentation:
                    @staticmethod
                    def add_task_args(parser):
                        parser.add_argument("--crop", type=int, default=64)

                    def __init__(self, args):
                        self.args = args

                    def run(self):
                        cut(self.args.crop)

                TASKS = {"seg": Segmentation}
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse
                from argparse import Namespace
                import yaml

                parser = argparse.ArgumentParser()
                parser.add_argument("--config", default="conf.yaml")
                args = parser.parse_args()
                with open(args.config) as f:
                    args = Namespace(**{**vars(args), **yaml.safe_load(f)})
                fit(args.hidden_size, args.config)
                """,
                "conf.yaml": """
                hidden_size: 64
                """,
            }
        ),
        Good(
            """
            import argparse

            def train(args):
                step(args.lr)

            def export(args):
                write(args.output, args.command)

            def main():
                parser = argparse.ArgumentParser()
                commands = parser.add_subparsers(dest="command")
                one = commands.add_parser("train")
                one.add_argument("--lr", type=float, default=0.1)
                one.set_defaults(func=train)
                two = commands.add_parser("export")
                two.add_argument("--output", default="model.onnx")
                two.set_defaults(func=export)
                args = parser.parse_args()
                args.func(args)

            main()
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for one in project[UndeclaredOptions].all:
            yield _problem(one)


def _problem(one: Undeclared) -> Problem:
    first, *others = one.reads
    near = f" (the nearest is {one.near})" if one.near else ""
    places = f" in {len(one.reads)} places" if others else ""
    return Problem(
        first.place,
        f"{_read(first)} is read{places}, and {_nobody(first)}{near}",
        related=tuple(Related(event.place, "reads it too") for event in others[:_MOST_RELATED]),
        confidence=Confidence.HIGH if one.closed and one.near else Confidence.MEDIUM,
        evidence=(
            f"{one.declared} {'name is' if one.declared == 1 else 'names are'} known there, and {one.name} is none",
            "no assignment, setattr or update gives the object one of that name, and no code outside is handed it",
            "the read is not guarded by hasattr, getattr with a default or except",
        ),
        symbol=one.name,
    )


def _read(event: Event) -> str:
    name = getattr(event.node, "name", "")
    return name if event.root.kind != FILE and name else ".".join(event.names)


def _nobody(event: Event) -> str:
    root = event.root
    if root.kind == PARSER:
        return f"no parser declares it for the namespace made at {root.path}:{root.line}"
    if root.kind == CLASS:
        return f"{root.key.rpartition(':')[2]} has no such field"
    if root.kind == HYDRA:
        return f"no file of {root.key} has it"
    return f"{root.key} does not have it"
