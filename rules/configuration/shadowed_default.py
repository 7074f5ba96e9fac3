"""MLD304: a default that another default always overrides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mldebt import cst
from mldebt.facts.schema import Define
from mldebt.facts.walk import statements
from mldebt.finding import Applicability, Confidence, Edit, Fix, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .shadowed_defaults import Shadowed, ShadowedDefaults

_MOST_RELATED = 6


class ShadowedDefault(ProjectRule):
    """A parameter or field has a default that nobody ever gets: every call passes an option with another default.

    ## Why it is debt

    Whoever reads `def train(model, lr=1e-4)` believes that the model trains with 1e-4. It trains with the 1e-3 of the
    command line, and a change of the default in the function changes nothing. "It should be possible to detect unused
    or redundant settings" is one of the principles of good configuration.

    ## How to pay it back

    Keep one default, where the option is declared, and make the parameter required: `def train(model, *, lr)`.

    ## When to leave it

    Silent on its own: equal defaults, options that are None when nobody sets them, parameters that one call (a test or
    a notebook counts) leaves to their default, calls made only when the option passes a test, calls that pass what is
    not known, the epsilon of a layer, functions that are handed on, overridden, decorated or named in a configuration
    file, calls with `**options`, and fields a command line is made of (tyro, HfArgumentParser): they are one default,
    not two. In a library other callers may need the default: info.

    ## References

    D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6, principle 5.
    """

    code = "MLD304"
    severity, confidence, minutes = Severity.MINOR, Confidence.HIGH, 5

    examples = (
        Bad(
            {
                "main.py": """
                import argparse
                from training import train

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=1e-3)
                    parser.add_argument("--epochs", type=int, default=3)
                    args = parser.parse_args()
                    train(build(), lr=args.lr, epochs=args.epochs)

                if __name__ == "__main__":
                    main()
                """,
                "training.py": """
                def train(net, lr=1e-4, epochs=3):
                    for _ in range(epochs):
                        step(net, lr)
                """,
            },
            anchors=("training.py:1",),
        ),
        Bad(
            """
            import argparse

            def train(net, *, lr: float = 1e-4):
                step(net, lr)

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=1e-3)
                args = parser.parse_args()
                train(build(), lr=args.lr)

            main()
            """,
            fixed="""
            import argparse

            def train(net, *, lr: float):
                step(net, lr)

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=1e-3)
                args = parser.parse_args()
                train(build(), lr=args.lr)

            main()
            """,
        ),
        Bad(
            {
                "train.py": """
                import argparse
                from loop import Loop

                parser = argparse.ArgumentParser()
                parser.add_argument("--dropout", type=float, default=0.5)
                args = parser.parse_args()
                rate = args.dropout
                Loop(rate).run()
                """,
                "loop.py": """
                class Loop:
                    def __init__(self, dropout=0.1):
                        self.dropout = dropout

                    def run(self):
                        fit(self.dropout)
                """,
            },
            anchors=("loop.py:2",),
        ),
        Bad(
            {
                "train.py": """
                import yaml
                from model import build

                with open("config.yaml") as f:
                    cfg = yaml.safe_load(f)
                build(width=cfg["model"]["width"])
                """,
                "config.yaml": """
                model:
                  width: 128
                """,
                "model.py": """
                def build(width=64):
                    return make(width)
                """,
            },
            anchors=("model.py:1",),
        ),
        Bad(
            {
                "cli.py": """
                import click
                from settings import TrainConfig
                from loop import fit

                @click.command()
                @click.option("--lr", default=0.01)
                def main(lr):
                    fit(TrainConfig(lr=lr))

                if __name__ == "__main__":
                    main()
                """,
                "settings.py": """
                from dataclasses import dataclass

                @dataclass
                class TrainConfig:
                    lr: float = 0.001
                """,
                "loop.py": """
                def fit(cfg):
                    step(cfg.lr)
                """,
            },
            anchors=("settings.py:5",),
        ),
        Good(
            {
                "main.py": """
                import argparse
                from training import train

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.0001)
                args = parser.parse_args()
                train(build(), lr=args.lr)
                """,
                "training.py": """
                def train(net, lr=1e-4):
                    step(net, lr)
                """,
            }
        ),
        Good(  # the notebook relies on the default
            {
                "main.py": """
                import argparse
                from training import train

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=1e-3)
                args = parser.parse_args()
                train(build(), lr=args.lr)
                """,
                "training.py": """
                def train(net, lr=1e-4):
                    step(net, lr)
                """,
                "test_training.py": """
                from training import train

                def test_train():
                    train(tiny())
                """,
            }
        ),
        Good(  # only what was set is passed, so the default is alive
            {
                "main.py": """
                import argparse
                from training import train

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=1e-3)
                args = parser.parse_args()
                options = {key: value for key, value in vars(args).items() if value is not None}
                train(build(), **options)
                """,
                "training.py": """
                def train(net, lr=1e-4):
                    step(net, lr)
                """,
            }
        ),
        Good(
            {
                "main.py": """
                import argparse
                from training import train

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float)
                args = parser.parse_args()
                train(build(), lr=args.lr or 0.01)
                """,
                "training.py": """
                def train(net, lr=1e-4):
                    step(net, lr)
                """,
            }
        ),
        Good(
            """
            from dataclasses import dataclass
            import tyro

            @dataclass
            class TrainConfig:
                lr: float = 1e-3

            def train(lr):
                step(lr)

            cfg = tyro.cli(TrainConfig)
            train(cfg.lr)
            """
        ),
        Good(
            {
                "main.py": """
                import argparse
                from schedules import SCHEDULES

                parser = argparse.ArgumentParser()
                parser.add_argument("--gamma", type=float, default=0.5)
                parser.add_argument("--schedule", default="step")
                args = parser.parse_args()
                SCHEDULES[args.schedule](gamma=args.gamma)
                """,
                "schedules.py": """
                def step(gamma=0.1):
                    return make(gamma)

                SCHEDULES = {"step": step}
                """,
            }
        ),
        Good(  # the registry of the package that holds the class leaves the dropout to its default
            {
                "train.py": """
                import argparse
                from nets.mlp import Perceptron

                parser = argparse.ArgumentParser()
                parser.add_argument("--dropout", type=float, default=0.2)
                args = parser.parse_args()
                fit(Perceptron(10, dropout=args.dropout))
                """,
                "nets/__init__.py": """
                from . import mlp

                NETS = {"mlp": mlp.Perceptron}

                def restore(name, width):
                    return NETS[name](width)
                """,
                "nets/mlp.py": """
                class Perceptron:
                    def __init__(self, width, dropout=0.5):
                        self.layers = make(width, dropout)
                """,
            }
        ),
        Good(  # one call passes what nobody knows: a file of hyperparameters
            {
                "classify.py": """
                import argparse
                from optim import optimizer

                parser = argparse.ArgumentParser()
                parser.add_argument("--decay", type=float, default=5e-5)
                args = parser.parse_args()
                fit(optimizer(net(), decay=args.decay))
                """,
                "detect.py": """
                from hyper import load
                from optim import optimizer

                hyp = load()
                fit(optimizer(net(), decay=hyp["weight_decay"]))
                """,
                "optim.py": """
                def optimizer(net, decay=1e-5):
                    return make(net, decay)
                """,
            }
        ),
        Good(  # the epsilon of a layer
            {
                "train.py": """
                import argparse
                from norm import RMSNorm

                parser = argparse.ArgumentParser()
                parser.add_argument("--norm-eps", type=float, default=1e-5)
                args = parser.parse_args()
                fit(RMSNorm(64, eps=args.norm_eps))
                """,
                "norm.py": """
                from torch import nn

                class RMSNorm(nn.Module):
                    def __init__(self, width, eps=1e-6):
                        super().__init__()
                        self.eps = eps
                """,
            }
        ),
        Good(  # off unless it is asked for
            {
                "train.py": """
                import argparse
                from noise import quantize

                parser = argparse.ArgumentParser()
                parser.add_argument("--noise", type=float, default=0.0)
                args = parser.parse_args()
                if args.noise > 0:
                    quantize(net(), p=args.noise)
                """,
                "noise.py": """
                def quantize(net, p=0.2):
                    return add(net, p)
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for one in project[ShadowedDefaults].all:
            yield _problem(project, one)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        for one in project[ShadowedDefaults].all:
            if one.place == problem.place and one.owner.is_function:
                return _required(one)
        return None


def _problem(project: Project, one: Shadowed) -> Problem:
    calls = "its one call passes" if len(one.sites) == 1 else f"all {len(one.sites)} calls pass the parameter, with"
    options = " and ".join(
        [
            *(f"{source.name} (default {_shown(source.default)})" for source in one.sources),
            *map(_shown, one.constants),
        ]
    )
    if not one.owner.is_function:
        calls = (
            "it is always built with" if len(one.sites) == 1 else f"all {len(one.sites)} constructions pass it, with"
        )
    owner = one.owner.qualname.removesuffix(".__init__")
    head = f"{one.name} of {owner}" if one.owner.is_function else f"{owner}.{one.name}"
    return Problem(
        one.place,
        f"{head} defaults to {_shown(one.value)}, and {calls} {options}: nobody gets {_shown(one.value)}",
        related=(
            *(Related(source.place, f"default {_shown(source.default)}", "counterpart") for source in one.sources),
            *(Related(place, "passes it") for place in one.sites[:_MOST_RELATED]),
        ),
        severity=Severity.INFO if project.library and _is_public(one) else None,
        evidence=(
            f"{len(one.sites)} {'call is' if len(one.sites) == 1 else 'calls are'} all there are, tests included",
            "the function is not handed on, overridden, decorated or named in a configuration file",
        ),
        symbol=one.name,
    )


def _is_public(one: Shadowed) -> bool:
    """Whether somebody outside may call the function: not what a script has, nor what is called private."""
    parts = one.owner.qualname.removesuffix(".__init__").split(".")
    return one.owner.module.facts.main is None and not any(part.startswith("_") for part in parts)


def _shown(value: Any) -> str:
    return repr(value)


def _required(one: Shadowed) -> Fix | None:
    """The parameter without its default, where the ones before it have none either."""
    module, scope = one.owner.module, one.owner.scope
    parameters = scope.parameters
    at = next(index for index, parameter in enumerate(parameters) if parameter.name == one.name)
    if parameters[at].kind <= 1 and any(parameter.default is not None for parameter in parameters[:at]):
        return None
    outer = max(scope.parent, 0)
    define = next(
        (stmt for stmt in statements(module.body(outer)) if isinstance(stmt, Define) and stmt.scope == one.owner.index),
        None,
    )
    fragment = module.open(define, outer) if define is not None else None
    if fragment is None:
        return None
    for node in fragment.nodes((cst.Param,)):
        if node.name.value == one.name and node.default is not None:
            annotation = f": {module.code(node.annotation.annotation)}" if node.annotation is not None else ""
            first, last = module.place(node.name).span, module.place(node.default).span
            span = Span(first.line, first.column, last.end_line, last.end_column)
            edit = Edit(module.place(span), f"{one.name}{annotation}")
            return Fix(Applicability.SUGGEST, f"Make {one.name} required", (edit,))
    return None
