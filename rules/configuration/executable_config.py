"""MLD316 executable-config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.facts.schema import Import
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .executed_text import FILE, NAMES, OPTION, STAR, Executed, ExecutedText


class ExecutableConfig(ProjectRule):
    """Configuration is executed: text of a file or an option runs as code, or its keys become variables.

    `exec(open(config).read())`, `eval(args.layers)`, `globals().update(yaml.safe_load(...))`, `globals()[key] = value`,
    and `from config import *` of a module of constants (minor).

    ## Why it is debt

    Nobody, and no tool, can tell which options there are, what they are worth and who reads them: a misspelt key makes
    a new variable instead of an error, any name may change between two lines, and whoever may write the
    configuration may run anything. It cannot be checked, compared or reviewed as data.

    ## How to pay it back

    Read data and check it: `Config(**yaml.safe_load(file))`, a dataclass and `argparse`, `ast.literal_eval` or
    `json.loads` for a structured option, a dictionary of the choices for a class named in an option, `import config`
    and `config.LR` for constants.

    ## When to leave it

    `ast.literal_eval` is the cure, not the debt. Silent for `exec` of a version file in `setup.py`, generated code,
    `eval` of text that is no option, `model.eval()`, registries that put functions into `globals()`, a star import in
    a package's `__init__` or from one settings module into another, and `type=eval`, which MLD309 reports.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    * Python documentation, `eval`, `exec` and `ast.literal_eval`.
    """

    code: ClassVar[str] = "MLD316"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 30
    alone: ClassVar[Alone] = Alone.REPORT
    examples = (
        Bad(
            """
            learning_rate = 1e-3
            exec(open("configurator.py").read())
            print(learning_rate)
            """,
            anchors=("example.py:2",),
        ),
        Bad(
            """
            import argparse


            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--betas", default="(0.9, 0.98)")
                parser.add_argument("--layers", default="[64, 64]")
                parsed = parser.parse_args()
                betas = eval(parsed.betas)
                layers = eval(parsed.layers)
                return betas, layers


            main()
            """,
            anchors=("example.py:9",),
        ),
        Bad(
            {
                "train.py": """
                import sys

                import yaml

                batch_size = 32

                with open(sys.argv[1]) as file:
                    loaded = yaml.safe_load(file)
                globals().update(loaded)
                for key, value in loaded.items():
                    globals()[key] = value
                """,
                "model.py": """
                class Encoder:
                    def __init__(self, cfg):
                        self.cfg = cfg
                        self.layers = eval(self.cfg.conv_layers)
                """,
            },
            findings=2,
            anchors=("model.py:4", "train.py:9"),
        ),
        Bad(
            {
                "config.py": """
                import os

                LR = 3e-4
                BATCH_SIZE = 32
                DATA = os.path.join("data", "train.csv")
                """,
                "train.py": """
                from config import *

                print(LR, BATCH_SIZE)
                """,
            },
            anchors=("train.py:1",),
        ),
        Good(
            """
            import argparse
            import ast

            parser = argparse.ArgumentParser()
            parser.add_argument("--betas", default="(0.9, 0.98)")
            args = parser.parse_args()
            betas = ast.literal_eval(args.betas)
            """
        ),
        Good(
            {
                "setup.py": """
                from setuptools import setup

                about = {}
                with open("pkg/version.py") as file:
                    exec(file.read(), about)
                setup(name="pkg", version=about["__version__"])
                """,
                "pkg/__init__.py": "from .models import *\n",
                "pkg/models.py": "class Net:\n    pass\n",
                "pkg/version.py": "__version__ = '1.0'\n",
            }
        ),
        Good(
            """
            import functools

            import torch


            def build(name, width):
                return torch.nn.Linear(width, width)


            for name in ("small", "large"):
                globals()[name] = functools.partial(build, name)


            def evaluate(model, lines):
                model.eval()
                return [eval(line) for line in lines]
            """
        ),
        Good(
            {
                "settings/base.py": "DEBUG = False\nPORT = 8000\n",
                "settings/local.py": "from settings.base import *\n\nDEBUG = True\n",
                "functions.py": "def area(w, h):\n    return w * h\n\n\nPI = 3.14\n",
                "use.py": "from functions import *\n\nprint(area(1, PI))\n",
            }
        ),
        Good(
            """
            import yaml

            MODELS = {"small": 1, "large": 2}


            class Config:
                def __init__(self, lr, model):
                    self.lr, self.model = lr, MODELS[model]


            config = Config(**yaml.safe_load(open("config.yaml")))
            code = "x = 1"
            scope = {}
            exec(code, scope)
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        executed = project[ExecutedText]
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            groups: dict[str, list[Executed]] = {}
            for one in executed.of(module):
                # A star import is a cause of its own; the rest goes by what gets executed.
                groups.setdefault(f"{one.kind} {one.what}" if one.kind == STAR else one.kind, []).append(one)
            for group in groups.values():
                yield _problem(group)


def _problem(group: list[Executed]) -> Problem:
    placed = sorted(((_place(one), one) for one in group), key=lambda pair: pair[0])
    place, first = placed[0]
    others = tuple(Related(where, _told(one)) for where, one in placed[1:])
    times = f", and {len(others)} more such calls" if len(others) > 1 else ", and one more such call" if others else ""
    return Problem(
        place,
        f"{_told(first)}{times}",
        others,
        severity=Severity.MINOR if first.kind == STAR else None,
        evidence=(
            *(f"line {where.span.line}: {one.how} of {one.what}" for where, one in placed),
            "not a version file, a generated text, or a namespace of its own",
        ),
        symbol=first.kind,
    )


def _place(one: Executed) -> Place:
    where = one.where
    if isinstance(where, Import):
        text = one.module.text_lines[where.line - 1] if where.line <= len(one.module.text_lines) else ""
        start = len(text) - len(text.lstrip())
        return Place(one.module.path, Span(where.line, start + 1, where.line, len(text.rstrip()) + 1))
    return one.module.place(where)


def _told(one: Executed) -> str:
    if one.kind == FILE:
        return f"the text of {one.what} is executed among the names of this scope"
    if one.kind == OPTION:
        return f"{one.how}() runs the text of the option {one.what}"
    if one.kind == NAMES:
        return f"{one.how} makes variables of the keys of {one.what}"
    return f"the constants of {one.what} become names of this file by a star import"
