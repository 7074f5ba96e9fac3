"""MLD201 constant-guarded-branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.facts.schema import If, Stmt, While
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from ..configuration.declarations import FIELD  # noqa: TID252 - installed under another name
from .branch_removal import chosen, loses_binding, resolved
from .constant_tests import Branch, ConstantTests
from .flagged_code import FlaggedCode
from .flags import LEAF, Flags

# With these every option of a file is an option of the command line too.
_OVERRIDING = frozenset({"hydra", "jsonargparse", "lightning", "pytorch_lightning", "tyro", "gin", "sacred", "spock"})


class ConstantGuardedBranch(ProjectRule):
    """A branch that can never run, or always runs: its test is a literal, a constant nothing ever changes, or an
    option that its default and every configuration file give the same value.

    ## Why it is debt

    The dead arm is read, ported and kept compiling, and one day somebody flips the constant and runs code no one has
    run for years: "obsolete experimental codepaths" cost Knight Capital 465 million dollars in 45 minutes. A switch
    that only an edit of the source can turn is no configuration: no run records how it stood.

    ## How to pay it back

    Delete the dead arm and, once nothing tests it, the constant. If both ways are wanted, make it an option. The fix
    removes the arm: safe where the test is a literal, a suggestion where it stands on a constant.

    ## When to leave it

    `TYPE_CHECKING`, `while True`, `if False: yield` in a generator, names that an import, the environment, the
    platform, a test or another module sets, and options of the command line (MLD202) are not reported; nor are
    constants of a
    notebook, which are its options.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * https://docs.python.org/3/library/constants.html#debug__: the one such constant Python itself removes.
    """

    code: ClassVar[str] = "MLD201"
    collects = (ConstantTests,)
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 10
    alone: ClassVar[Alone] = Alone.REPORT
    examples = (
        Bad(
            """
            import torch

            USE_OLD_LOSS = False


            def loss(x, y):
                value = torch.nn.functional.l1_loss(x, y) if USE_OLD_LOSS else torch.nn.functional.mse_loss(x, y)
                return value
            """,
            fixed="""
            import torch

            USE_OLD_LOSS = False


            def loss(x, y):
                value = torch.nn.functional.mse_loss(x, y)
                return value
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "settings.py": """
                DEBUG = False
                MODE = "fast"
                """,
                "train.py": """
                from settings import DEBUG


                def train(model, batches):
                    # one epoch
                    for batch in batches:
                        if DEBUG:
                            print(batch)
                        # the step
                        model(batch)
                    if DEBUG:
                        print("done")
                    return model
                """,
            },
            fixed={
                "settings.py": """
                DEBUG = False
                MODE = "fast"
                """,
                "train.py": """
                from settings import DEBUG


                def train(model, batches):
                    # one epoch
                    for batch in batches:
                        # the step
                        model(batch)
                    return model
                """,
            },
            anchors=("train.py:7",),
        ),
        Bad(
            """
            def build(kind):
                if 0:
                    return None  # never
                # what we use now
                if kind == "a":
                    net = 1
                elif False:
                    net = 2
                else:
                    # the other
                    net = 3
                while 0:
                    net += 1
                return net
            """,
            fixed="""
            def build(kind):
                # what we use now
                if kind == "a":
                    net = 1
                else:
                    # the other
                    net = 3
                return net
            """,
            findings=3,
        ),
        Bad(
            """
            def augment(images):
                flip = True
                if flip:
                    # left to right
                    images = images[:, ::-1]

                return images
            """,
            fixed="""
            def augment(images):
                flip = True
                # left to right
                images = images[:, ::-1]

                return images
            """,
        ),
        Bad(
            {
                "config.py": """
                from dataclasses import dataclass

                import yaml


                @dataclass
                class Config:
                    width: int = 64
                    use_mixup: bool = False


                def read(name):
                    with open(f"conf/{name}.yaml") as file:
                        return Config(**yaml.safe_load(file))
                """,
                "train.py": """
                import sys

                from config import read

                cfg = read(sys.argv[1])
                size = cfg.width
                if cfg.use_mixup:
                    size = size * 2
                print(size)
                """,
                "conf/small.yaml": "width: 64\nuse_mixup: false\n",
                "conf/large.yaml": "width: 256\nuse_mixup: false\n",
            },
            anchors=("train.py:7",),
        ),
        Good(
            {
                "config.py": """
                from dataclasses import dataclass

                import yaml


                @dataclass
                class Config:
                    width: int = 64
                    use_mixup: bool = False


                def read(name):
                    with open(f"conf/{name}.yaml") as file:
                        return Config(**yaml.safe_load(file))
                """,
                "train.py": """
                import sys

                from config import read

                cfg = read(sys.argv[1])
                size = cfg.width
                if cfg.use_mixup:
                    size = size * 2
                print(size)
                """,
                "conf/small.yaml": "width: 64\nuse_mixup: false\n",
                "conf/large.yaml": "width: 256\nuse_mixup: true\n",
            }
        ),
        Good(
            """
            from typing import TYPE_CHECKING

            if TYPE_CHECKING:
                import torch

            TORCH_PIPE = False
            try:
                from torch.distributed import pipeline
                TORCH_PIPE = True
            except ImportError:
                pass


            def build(x):
                if TORCH_PIPE:
                    return pipeline(x)
                while True:
                    return x
            """
        ),
        Good(
            """
            import os

            VERBOSE = os.environ.get("VERBOSE") == "1"
            CACHE = {}


            def empty():
                if False:
                    yield


            def run(x, debug=False):
                found = False
                for one in x:
                    if one:
                        found = True
                if found or debug or VERBOSE or CACHE:
                    print(x)
            """
        ),
        Good(
            {
                "flags.py": """
                ENABLED = False
                """,
                "main.py": """
                import flags


                def setup(enabled):
                    flags.ENABLED = enabled


                def run():
                    if flags.ENABLED:
                        print("on")
                """,
            }
        ),
        Good(
            {
                "loss.py": """
                USE_FOCAL = False


                def loss(x):
                    return x if USE_FOCAL else -x
                """,
                "tests/test_loss.py": """
                import loss


                def test_focal(monkeypatch):
                    monkeypatch.setattr(loss, "USE_FOCAL", True)
                    assert loss.loss(1) == 1
                """,
            }
        ),
        Good(
            """
            def cached(build):
                built = None

                def run():
                    nonlocal built
                    if built is None:
                        built = build()
                    return built

                return run
            """
        ),
        Good(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--fast", action="store_true")
            args = parser.parse_args()
            if args.fast:
                print("fast")
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        by_name: dict[str, list[Branch]] = {}
        for branch in project[ConstantTests].branches:
            if branch.name:
                by_name.setdefault(branch.name, []).append(branch)
            else:
                yield Problem(
                    branch.module.place(branch.stmt),
                    f"the test is a literal: it is always {'true' if branch.outcome else 'false'}",
                )
        for name, branches in by_name.items():
            yield _problem(name, branches, project)
        if not project.library and not any(_has_overrides(module) for module in project.modules.values()):
            yield from _of_files(project)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        at = project[ConstantTests].at
        branches = [
            branch for place in (problem.place, *(one.place for one in problem.related)) for branch in at.get(place, ())
        ]
        edits: list[Edit] = []
        safe = True
        for branch in branches:
            edit = _edit(branch)
            if edit is not None and not any(_overlap(edit, other) for other in edits):
                edits.append(edit)
                safe = safe and not branch.name and not _changes_scope(branch)
        if not edits:
            return None
        applicability = Applicability.SAFE if safe else Applicability.SUGGEST
        return Fix(applicability, "remove what can never run", tuple(edits))


def _has_overrides(module: Module) -> bool:
    """Whether programs take any option of their files from the command line."""
    return any(fact.module.partition(".")[0] in _OVERRIDING for fact in module.facts.imports)


def _of_files(project: Project) -> Iterator[Problem]:
    """Options of configuration files that their default and every file give one value, and nothing else another."""
    written: dict[str, list[tuple[Place, object]]] = {}
    for config in project.repository.configs:
        for leaf in config.leaves:
            if isinstance(leaf.value, bool):
                written.setdefault(leaf.keys[-1], []).append((Place(config.path, Span(leaf.line)), leaf.value))
    for flag in project[Flags].all if written else ():
        said = written.get(flag.name, ())
        files = {place.path for place, _ in said}
        if flag.kind not in (FIELD, LEAF) or not flag.is_boolean or len(files) < (1 if flag.kind == FIELD else 2):
            continue
        if any(value is not flag.default for _, value in said):
            continue
        arms = project[FlaggedCode].of(flag)
        if not arms:
            continue
        first, *others = sorted({module.place(arm.guard) for module, _, arm in arms})
        yield Problem(
            first,
            f"{flag.name} is {str(flag.default).lower()} by default and in every file that sets it ({len(files)}): "
            "one arm never runs",
            (
                *(Related(place, "declared here", "cause") for place in flag.places[:2]),
                *(Related(place, "set here", "cause") for place, _ in said[:5] if place not in flag.places[:2]),
                *(Related(place, "depends on it too", "effect") for place in others),
            ),
            symbol=flag.name,
            evidence=(
                f"its default is {flag.default!r}, and {', '.join(sorted(files)[:4])} say the same",
                "no command, test, notebook, document or assignment gives it another value",
            ),
        )


def _problem(name: str, branches: list[Branch], project: Project) -> Problem:
    first, *others = branches
    path, _, qualname = name.partition(":")
    constant = qualname.rpartition(".")[2]
    number = f"{len(branches)} tests of it have one outcome" if others else "the test of it has one outcome"
    value = "true" if first.outcome else "false"
    related = tuple(
        Related(one.module.place(one.stmt), f"always {'true' if one.outcome else 'false'}") for one in others
    )
    return Problem(
        first.module.place(first.stmt),
        f"{constant} is set once, in {path}, and never changes: {number} (here always {value})",
        related,
        symbol=constant,
        evidence=(f"{name} has one assignment, to a constant", "no other module, test or environment sets it"),
    )


def _edit(branch: Branch) -> Edit | None:
    stmt: Stmt = branch.stmt
    if branch.conditional is not None:
        return chosen(branch.module, stmt, branch.conditional, branch.outcome, branch.scope)
    assert isinstance(stmt, (If, While))
    return resolved(branch.module, branch.scope, stmt, branch.outcome)


def _changes_scope(branch: Branch) -> bool:
    if branch.conditional is not None or not isinstance(branch.stmt, (If, While)):
        return False
    dead = branch.stmt.orelse if branch.outcome else branch.stmt.body
    return loses_binding(branch.module, branch.scope, dead)


def _overlap(first: Edit, second: Edit) -> bool:
    if first.place.path != second.place.path:
        return False
    ours, theirs = first.place.span, second.place.span
    return ours.line <= theirs.end_line and theirs.line <= ours.end_line
