"""MLD108 version-fork."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import Try
from mldebt.finding import Applicability, Confidence, Edit, Fix, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .arms import kept_arm
from .version_forks import Fork, VersionForks, dead_arm, home

_AMP = """
    try:
        from torch.cuda.amp import autocast
    except ImportError:
        from apex.amp import autocast


    def step(model, batch):
        with autocast():
            return model(batch)
    """


@dataclass(frozen=True)
class VersionFork(ProjectRule):
    """The code takes one way with old versions of a library and another with new ones.

    Reported when the declared requirement, or the lock file, leaves only one of the two ways, so that the other is
    dead; and when the same fork is written in several files. Forks are comparisons of `library.__version__` (or of
    `importlib.metadata.version`) with a constant, and `try: import new / except ImportError: import old` where both
    names are one library's, or one is known to have moved.

    ## Why it is debt

    Every fork doubles what must be tested, and nobody tests the arm that their own environment never takes. It is a
    remnant of an upgrade that was finished, or one decision written in many places that the next upgrade must find.

    ## How to pay it back

    Delete the arm that the requirement excludes; the fix does that. Where both arms are needed, write the fork once, in
    a module such as `compat.py`, and import the name from there.

    ## When to leave it

    A wide requirement needs both arms, and one place that forks for all others is how it should be: the rule is silent
    on both, on checks that only raise or warn, on optional extras (`except ImportError: X = None`), on alternatives of
    different libraries, on arms for Python versions, and where requirement and lock file contradict each other. A lock
    file wins over the manifest, but for a library that others install: they get what the manifest allows.

    ## Options

    - `files`: how many files must write the same live fork (2).

    ## References

    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1 glue code, 5.3 dead
      experimental codepaths
    - https://packaging.python.org/en/latest/specifications/version-specifiers/
    """

    files: int = 2

    code: ClassVar[str] = "MLD108"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 15
    # They would import methods of the text ``tf.__version__``.
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"from-import", "re-export", "star-import"})
    examples = (
        Bad(
            {
                "requirements.txt": "torch>=2.1\npackaging\n",
                "train.py": """
                import torch
                from packaging import version


                def scaler():
                    if version.parse(torch.__version__) < version.parse("1.6"):
                        from apex import amp

                        return amp.initialize
                    else:
                        return torch.cuda.amp.GradScaler()


                print(scaler())
                """,
            },
            fixed={
                "requirements.txt": "torch>=2.1\npackaging\n",
                "train.py": """
                import torch
                from packaging import version


                def scaler():
                    return torch.cuda.amp.GradScaler()


                print(scaler())
                """,
            },
            anchors=("train.py:6",),
        ),
        Bad(
            {
                "pyproject.toml": '[project]\nname = "demand"\ndependencies = ["pandas>=2.1,<3", "torch>=2.1"]\n',
                "demand/frames.py": """
                from importlib.metadata import version as installed

                import pandas as pd
                from packaging.version import Version

                OLD = Version(installed("pandas")) < Version("1.5")


                def read(path):
                    frame = pd.read_csv(path)
                    return frame.iteritems() if OLD else frame.items()
                """,
                "demand/model.py": """
                from importlib import metadata

                import torch
                from packaging.specifiers import SpecifierSet
                from packaging.version import Version

                COMPILES = Version("2.0")


                def at_least(name, least):
                    return Version(metadata.version(name)) >= Version(least)


                def compiled(model):
                    if Version(torch.__version__) < COMPILES:
                        return model
                    return torch.compile(model)


                def scaler():
                    return torch.cuda.amp if at_least("torch", "1.6") else None


                def norm(x):
                    if torch.__version__ in SpecifierSet("<1.7"):
                        return torch.norm(x)
                    return torch.linalg.norm(x)


                def stacked(x):
                    if Version("1.0") <= Version(torch.__version__) < Version("1.8"):
                        return torch.stack(x)
                    return torch.vstack(x)
                """,
            },
            findings=5,
        ),
        Bad(
            {
                "pyproject.toml": '[project]\nname = "detector"\ndependencies = ["torch>=2.4"]\n',
                "detector/train.py": _AMP,
                "detector/evaluate.py": _AMP,
                "detector/export.py": _AMP,
            },
            fixed={
                "pyproject.toml": '[project]\nname = "detector"\ndependencies = ["torch>=2.4"]\n',
                **dict.fromkeys(
                    ("detector/train.py", "detector/evaluate.py", "detector/export.py"),
                    """
                    from torch.cuda.amp import autocast


                    def step(model, batch):
                        with autocast():
                            return model(batch)
                    """,
                ),
            },
        ),
        Bad(
            {
                "requirements.txt": "torch\n",
                "losses.py": """
                import torch

                TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])


                def solve(a, b):
                    if TORCH >= (1, 9):
                        return torch.linalg.solve(a, b)
                    return torch.solve(b, a)[0]
                """,
                "metrics.py": """
                import torch

                TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])


                def distance(x):
                    if TORCH >= (1, 9):
                        return torch.linalg.norm(x)
                    return torch.norm(x)
                """,
            },
        ),
        Bad(
            {
                "pyproject.toml": '[tool.poetry]\nname = "app"\n\n[tool.poetry.dependencies]\ntensorflow = ">=1.15"\n',
                "poetry.lock": '[[package]]\nname = "tensorflow"\nversion = "2.15.0"\ndescription = "x"\n',
                "app.py": """
                import tensorflow as tf


                def session():
                    if tf.__version__.startswith("1."):
                        return tf.Session()
                    return None


                print(session())
                """,
            },
            anchors=("app.py:5",),
        ),
        Bad(
            {
                "setup.cfg": "[metadata]\nname = x\n\n[options]\ninstall_requires =\n    scikit-learn>=1.2\n",
                "model.py": """
                try:
                    from sklearn.externals import joblib
                except ImportError:
                    import joblib

                joblib.dump({}, "model.joblib")
                """,
            },
            fixed={
                "setup.cfg": "[metadata]\nname = x\n\n[options]\ninstall_requires =\n    scikit-learn>=1.2\n",
                "model.py": 'import joblib\n\njoblib.dump({}, "model.joblib")\n',
            },
        ),
        Bad(
            {
                "environment.yml": "dependencies:\n  - pytorch=2.2\n",
                "versions.py": """
                import torch
                from packaging.version import parse


                def at_least(wanted):
                    return parse(torch.__version__) >= parse(wanted)
                """,
                "train.py": """
                import torch
                from versions import at_least


                def compiled(model):
                    if at_least("2.0"):
                        model = torch.compile(model)
                    return model
                """,
            },
            anchors=("train.py:6",),
        ),
        Good(
            {
                "setup.py": 'from setuptools import setup\n\nsetup(name="lib", install_requires=["torch>=1.5"])\n',
                "lib/__init__.py": "from lib.ops import solve\n",
                "lib/ops.py": """
                import torch
                from packaging.version import parse

                if parse(torch.__version__) >= parse("1.9"):
                    solve = torch.linalg.solve
                else:
                    solve = torch.solve
                """,
            }
        ),
        Good(
            {
                "requirements.txt": "torch>=2.1\n",
                "check.py": """
                import warnings

                import torch
                from packaging.version import parse

                if parse(torch.__version__) < parse("2.0"):
                    raise RuntimeError("torch 2.0 or later is needed")
                if parse(torch.__version__) < parse("1.9"):
                    warnings.warn("old torch")
                assert parse(torch.__version__) >= parse("1.9")
                """,
            }
        ),
        Good(
            {
                "requirements.txt": "torch>=2.1\nnumpy\n",
                **dict.fromkeys(
                    ("a.py", "b.py"),
                    """
                    try:
                        import wandb
                    except ImportError:
                        wandb = None
                    try:
                        import ujson as json
                    except ImportError:
                        import json
                    try:
                        from yaml import CSafeLoader as Loader
                    except ImportError:
                        from yaml import SafeLoader as Loader
                    try:
                        from apex.parallel import DistributedDataParallel
                    except ImportError:
                        from torch.nn.parallel import DistributedDataParallel
                    try:
                        import tomllib
                    except ModuleNotFoundError:
                        import tomli as tomllib
                    """,
                ),
            }
        ),
        Good(
            {
                "pyproject.toml": '[project]\nname = "app"\ndependencies = ["torch>=2.1"]\n',
                "uv.lock": '[[package]]\nname = "torch"\nversion = "1.13.1"\nsource = { registry = "x" }\n',
                "app.py": """
                import torch
                from packaging.version import parse

                if parse(torch.__version__) < parse("2.0"):
                    import functorch as func
                else:
                    from torch import func
                print(func)
                """,
            }
        ),
        Good(
            {
                "requirements.txt": "torch>=1.4,<3\n",
                "compat.py": """
                import torch
                from packaging.version import parse

                HAS_LINALG = parse(torch.__version__) >= parse("1.9")
                """,
                "a.py": "import torch\nfrom compat import HAS_LINALG\n\nprint(torch.norm if HAS_LINALG else 1)\n",
                "b.py": "import torch\nfrom compat import HAS_LINALG\n\nprint(torch.norm if HAS_LINALG else 2)\n",
            }
        ),
        Good(
            {
                "requirements.txt": "torch>=1.4,<3\npackaging\n",
                "app.py": """
                from importlib import metadata

                import torch
                from packaging.specifiers import SpecifierSet
                from packaging.version import Version


                def at_least(name, least):
                    return Version(metadata.version(name)) >= Version(least)


                def norm(x, saved):
                    if torch.__version__ in SpecifierSet("<1.7") or at_least("xformers", "0.0.20"):
                        return torch.norm(x)
                    if Version("1.8") <= Version(torch.__version__) < Version("2.2"):
                        return torch.linalg.norm(x)
                    return x if Version(saved["version"]) < Version("1.0") else -x
                """,
            }
        ),
        Good(
            {
                "one/requirements.txt": "torch>=1.4\n",
                "two/requirements.txt": "torch>=1.4\n",
                "one/main.py": "import torch\n\nprint(torch.a if torch.__version__ >= '1.9' else torch.b)\n",
                "two/main.py": "import torch\n\nprint(torch.a if torch.__version__ >= '1.9' else torch.b)\n",
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        groups: dict[tuple[str, ...], list[Fork]] = {}
        for fork in project[VersionForks].all:
            groups.setdefault((home(fork.module), *fork.key), []).append(fork)
        for forks in groups.values():
            dead = [fork for fork in forks if fork.outcome is not None]
            live = [fork for fork in forks if fork.key[-1] != "asked" and not fork.module.is_example]
            if dead:
                yield _dead(dead, forks)
            elif len({fork.module.path for fork in live}) >= self.files:
                yield _repeated(live)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        places = {problem.place, *(related.place for related in problem.related)}
        forks = [fork for fork in project[VersionForks].all if fork.module.place(fork.at) in places]
        edits: list[Edit] = []
        for fork in forks:
            edit = kept_arm(fork.module, fork.scope, fork.statement, fork.whole) if fork.whole is not None else None
            if edit is None:
                return None
            edits.append(edit)
        return Fix(Applicability.SAFE, "delete the arm no declared version takes", tuple(edits)) if edits else None


def _dead(dead: list[Fork], forks: list[Fork]) -> Problem:
    first = dead[0]
    assert first.declared is not None
    by = first.declared.by
    said = ", ".join(f"{one.path}:{one.line} says {one.name}{_spaced(one.specifier)}" for one in by[:2])
    verdict = "always" if first.outcome else "never"
    others = [fork for fork in forks if fork is not first]
    asked = (
        f"the import of {first.shown.partition(',')[0]} {verdict} works"
        if isinstance(first.statement, Try)
        else f"{first.shown} {verdict} holds"
    )
    where = f", here and in {len(others)} more place{'s'[: len(others) > 1]}" if others else ""
    return Problem(
        first.module.place(first.at),
        f"{asked} ({said or 'assumed version'}): {'the other' if first.outcome else 'this'} arm is dead{where}",
        tuple(_places(forks, first)),
        evidence=(
            f"versions that can be there: {_range(first)}",
            "lock files and manifests above the file were asked; extras and development groups do not count",
        ),
        symbol=" ".join(first.key),
    )


def _places(forks: list[Fork], first: Fork) -> Iterator[Related]:
    for fork in forks:
        if fork is not first:
            dead = "" if fork.outcome is None else ", dead too"
            yield Related(fork.module.place(fork.at), f"the same fork{dead}")
        arm = dead_arm(fork)
        if arm is not None:
            yield Related(fork.module.place(arm), "no version that can be there comes here")


def _repeated(forks: list[Fork]) -> Problem:
    first, others = forks[0], forks[1:]
    count = len({fork.module.path for fork in forks})
    return Problem(
        first.module.place(first.at),
        f"the same fork on the version of {first.library} ({first.shown}) is written in {count} files",
        tuple(Related(fork.module.place(fork.at), "the same fork") for fork in others),
        confidence=Confidence.MEDIUM,
        evidence=(f"versions that can be there: {_range(first)}",),
        symbol=" ".join(first.key),
    )


def _range(fork: Fork) -> str:
    if fork.declared is None:
        return "not declared"
    there = fork.declared.range
    low = f"{there.low} and later" if there.low is not None else "any"
    end = "" if there.high is None else f", up to {there.high}" if there.closed else f", before {there.high}"
    return low + end


def _spaced(specifier: str) -> str:
    return f" {specifier}" if specifier[:1].isalnum() else specifier
