"""MLD308 duplicated-contract-literal."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import ClassVar

from mldebt import cst
from mldebt.facts.constants import evaluate
from mldebt.facts.schema import ASSIGNED
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule
from mldebt.sources.text import codepoint_column

from .contract_literals import ContractLiterals, LiteralSite, Repeated, Values, told


class DuplicatedContractLiteral(ProjectRule):
    """The same constants of the data are written out in three files or more: means, labels, columns, calibration.

    A list or tuple of at least three different floats or texts; a list equals a tuple. Literals that stand together
    in the same files are one finding.

    ## Why it is debt

    Such a literal is part of the contract between training and everything that uses the model. Each copy can be
    changed alone: the label that is added in one place shifts every prediction in another, and nothing fails.

    ## How to pay it back

    Give it one home, a constants module or the configuration, and import it. Where one of the places is a module
    constant already, the fix (suggested) makes the others import that.

    ## When to leave it

    Silent for tests, examples, words every program uses (`train`, `val`, `test`; colours; formats), grids of
    thresholds or rates to try, choices of options, plotting, dimension orders, paths, and files of projects beside each
    other that have manifests of their own.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    * Y. Tang et al., "An Empirical Study of Refactorings and Technical Debt in Machine Learning Systems", ICSE 2021.
    """

    code: ClassVar[str] = "MLD308"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 10
    examples = (
        Bad(
            {
                "dataset.py": """
                MEAN = [0.485, 0.456, 0.406]
                STD = [0.229, 0.224, 0.225]


                def scale(x):
                    return (x - MEAN) / STD
                """,
                "demo.py": """
                import torchvision.transforms as T

                show = T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
                """,
                "evaluate.py": """
                import torchvision.transforms as T


                def pipeline():
                    return T.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
                """,
            },
            fixed={
                "dataset.py": """
                MEAN = [0.485, 0.456, 0.406]
                STD = [0.229, 0.224, 0.225]


                def scale(x):
                    return (x - MEAN) / STD
                """,
                "demo.py": """
                from dataset import MEAN, STD
                import torchvision.transforms as T

                show = T.Normalize(MEAN, STD)
                """,
                "evaluate.py": """
                from dataset import MEAN, STD
                import torchvision.transforms as T


                def pipeline():
                    return T.Normalize(mean=MEAN, std=STD)
                """,
            },
            anchors=("dataset.py:1",),
        ),
        Bad(
            {
                "app/features.py": """
                def features(frame):
                    return frame[["tenure", "plan", "region", "spend"]]
                """,
                "app/serve.py": """
                from app.features import features

                COLUMNS = ("tenure", "plan", "region", "spend")


                def handle(row):
                    return [row[name] for name in COLUMNS]
                """,
                "app/train.py": """
                import pandas as pd

                frame = pd.read_csv("data.csv", usecols=["tenure", "plan", "region", "spend"])
                """,
                "app/__init__.py": "",
            },
            anchors=("app/features.py:2",),
        ),
        Bad(
            {
                f"{name}.py": f"""
                import numpy as np


                def {name}(points):
                    calibration = np.array([[721.5377, 0.0, 609.5593, 44.85728], [0.0, 721.5377, 172.854, 0.2163791]])
                    return calibration @ points
                """
                for name in ("demo", "project", "render", "view")
            },
            anchors=("demo.py:5",),
        ),
        Bad(
            {
                "detector/transforms.py": """
                from torchvision import transforms as T


                def train(size):
                    return T.Compose([T.ToTensor(), T.Normalize((0.4078, 0.4471, 0.4702), (1, 1, 1))])
                """,
                "detector/export.py": """
                import numpy as np

                PIXEL_MEAN = np.array([0.4078, 0.4471, 0.4702], dtype=np.float32)
                """,
                "demo/app.py": """
                class Demo:
                    mean = [0.4078, 0.4471, 0.4702]
                """,
            },
            anchors=("detector/export.py:3",),
        ),
        Good(
            {
                "transforms.py": "MEAN = [0.4078, 0.4471, 0.4702]\n",
                "examples/one.py": "MEAN = [0.4078, 0.4471, 0.4702]\n",
                "examples/two.py": "MEAN = [0.4078, 0.4471, 0.4702]\n",
            }
        ),
        Good(
            {
                "constants.py": "MEAN = [0.485, 0.456, 0.406]\n",
                "a.py": "from constants import MEAN\n\nprint(MEAN)\n",
                "b.py": "from constants import MEAN\n\nx = list(MEAN)\n",
                "c.py": "import constants\n\nx = constants.MEAN\n",
            }
        ),
        Good(
            {
                f"{name}.py": """
                import argparse

                import matplotlib.pyplot as plt
                import torch

                SPLITS = ["train", "val", "test"]
                parser = argparse.ArgumentParser()
                parser.add_argument("--arch", choices=["resnet18", "vit_small", "convnext"])
                optimizer = torch.optim.Adam([], betas=(0.9, 0.999))
                for threshold in [0.3, 0.5, 0.7]:
                    plt.plot([0.125, 0.333, 0.777], color=(0.123, 0.456, 0.789))
                """
                for name in "abc"
            }
        ),
        Good(
            {
                "train.py": "LABELS = ['cat', 'dog', 'horse']\n",
                "serve.py": "LABELS = ('cat', 'dog', 'horse')\n",
                "tests/test_labels.py": "LABELS = ['cat', 'dog', 'horse']\n",
                "tests/test_serve.py": "LABELS = ['cat', 'dog', 'horse']\n",
            }
        ),
        Good(
            {
                f"project_{name}/{file}": text
                for name in "abc"
                for file, text in (("train.py", "MEAN = (0.485, 0.456, 0.406)\n"), ("requirements.txt", "torch\n"))
            }
        ),
        Good(
            {
                f"{name}.py": f"""
                LABELS = ["cat", "dog", "{name}"]
                FILES = ["data/train.csv", "data/val.csv", "data/test.csv"]


                def known(label, x):
                    return label in ("alpha_label", "beta_label", "gamma_label"), x.permute((0, 3, 1, 2))
                """
                for name in ("ant", "bee", "cow")
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for group in _together(project[ContractLiterals].repeated):
            yield _problem(group)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        for group in _together(project[ContractLiterals].repeated):
            if problem.symbol == _symbol(group):
                return _hoisted(group, project)
        return None


def _together(repeated: Sequence[Repeated]) -> list[list[Repeated]]:
    """Literals that stand in the same files have the same cause: the code around them was copied."""
    groups: dict[tuple[str, ...], list[Repeated]] = {}
    for one in repeated:
        groups.setdefault(one.paths, []).append(one)
    return list(groups.values())


def _symbol(group: Sequence[Repeated]) -> str:
    return " ".join(_shown(one) for one in group)


def _problem(group: list[Repeated]) -> Problem:
    sites = [(site, one) for one in group for site in one.sites]
    placed = [
        (place, one)
        for example in (False, True)
        for place, one in sorted(
            ((_place(site), one) for site, one in sites if site.module.is_example is example), key=lambda item: item[0]
        )
    ]
    place, first = placed[0]
    paths = first.paths
    also = f", and so {'are' if len(group) > 2 else 'is'} {len(group) - 1} more" if len(group) > 1 else ""
    return Problem(
        place,
        f"{_shown(first)} is written out in {len(paths)} files: {_listed(paths)}{also}",
        tuple(Related(where, f"{_shown(one)} again") for where, one in placed[1:]),
        evidence=(
            *(f"{_shown(one)} stands in {', '.join(one.paths)}" for one in group),
            "no file imports it from another",
            "not a vocabulary every program uses, not a grid of values to try",
        ),
        symbol=_symbol(group),
    )


def _place(site: LiteralSite) -> Place:
    stmt, rows = site.statement, site.module.text_lines
    span = _span(rows[stmt.line - 1 : stmt.end_line], told(evaluate(site.node)))
    if span is not None:
        first, column, last, end = span
        starts, ends = (rows[stmt.line + line - 2] for line in (first, last))
        columns = (codepoint_column(starts, column) + 1, codepoint_column(ends, end) + 1)
        return Place(site.module.path, Span(stmt.line + first - 1, columns[0], stmt.line + last - 1, columns[1]))
    node = _node(site)  # the statement's lines do not stand alone
    return _whole(site.module, node) if node is not None else site.module.place(stmt)


def _span(rows: Sequence[str], wanted: Values | None) -> tuple[int, int, int, int] | None:
    """The literal of a value in the lines of a statement: lines from 1 on, byte columns from 0 on."""
    indented = rows[0][:1].isspace()
    try:
        tree = ast.parse("\n".join(["if 1:", *rows] if indented else rows))
    except (SyntaxError, ValueError):
        return None
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple)):
            try:
                same = told(ast.literal_eval(node)) == wanted
            except (ValueError, TypeError):
                continue
            if same and node.end_lineno is not None and node.end_col_offset is not None:
                found.append((node.lineno - indented, node.col_offset, node.end_lineno - indented, node.end_col_offset))
    return min(found, default=None, key=lambda span: (span[0], span[1], -span[2], -span[3]))


def _whole(module: Module, node: cst.CSTNode) -> Place:
    """The place of a literal with its parentheses, which are not part of a tuple's in concrete syntax."""
    place = module.place(node)
    span, rows = place.span, module.text_lines
    before, after = rows[span.line - 1][: span.column - 1], rows[span.end_line - 1][span.end_column - 1 :]
    if isinstance(node, cst.Tuple) and node.lpar and before.endswith("(") and after.startswith(")"):
        return Place(place.path, Span(span.line, span.column - 1, span.end_line, span.end_column + 1))
    return place


def _node(site: LiteralSite) -> cst.CSTNode | None:
    """The literal in concrete syntax: the facts keep no places of displays."""
    fragment = site.module.open(site.statement, site.scope)
    wanted = told(evaluate(site.node))
    for node in fragment.nodes((cst.List, cst.Tuple)) if fragment is not None else ():
        try:
            value = ast.literal_eval(site.module.code(node).strip())
        except (ValueError, SyntaxError):
            continue
        if told(value) == wanted:
            return node
    return None


def _shown(one: Repeated) -> str:
    values = [str(value) if one.values[0] == "number" else repr(value) for value in one.values[2:]]
    return f"[{', '.join(values[:4])}{', ...' if len(values) > 4 else ''}]"


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - 4
    return ", ".join(paths[:4]) + (f" and {more} more" if more > 0 else "")


def _hoisted(group: Sequence[Repeated], project: Project) -> Fix | None:
    """The others import what one file has as a constant; None unless that is so for every literal of the group."""
    edits: list[Edit] = []
    wanted: dict[tuple[str, str], set[str]] = {}
    for one in group:
        home = _home(one, project)
        if home is None:
            return None
        for site in one.sites:
            if site.module is home.module:
                continue
            node = _node(site)
            bound = site.module.facts.scopes[0].bindings.get(home.name, 0)
            if node is None or (bound and site.name != home.name):
                return None
            line = f"from {home.module.name} import {home.name}"
            if site.name == home.name:
                edits.append(Edit(site.module.place(site.statement), line))
            else:
                edits.append(Edit(_whole(site.module, node), home.name))
                wanted.setdefault((site.module.path, home.module.name), set()).add(home.name)
    for (path, name), names in sorted(wanted.items()):
        at = _import_line(project.modules[path])
        edits.append(Edit(Place(path, Span(at, 1, at, 1)), f"from {name} import {', '.join(sorted(names))}\n"))
    return Fix(Applicability.SUGGEST, f"Import {group[0].sites[0].name or 'it'} from one module", tuple(edits))


def _home(one: Repeated, project: Project) -> LiteralSite | None:
    """A module constant that all the other files can import."""
    for site in one.sites:
        bits = site.module.facts.scopes[0].bindings.get(site.name, 0)
        if not site.name or bits != ASSIGNED or not site.module.path.endswith(".py"):
            continue
        others = [other.module for other in one.sites if other.module is not site.module]
        if all(
            project.packages.find(other.path, site.module.name) == site.module.path
            and not project.imports.reaches(site.module, other)
            and other.path.endswith(".py")
            for other in others
        ):
            return site
    return None


def _import_line(module: Module) -> int:
    """The line before which an import can stand: the first import's, after those of ``__future__``."""
    lines = [
        one.line for one in module.facts.imports if one.scope == 0 and one.module != "__future__" and not one.column
    ]
    future = [one.line + 1 for one in module.facts.imports if one.module == "__future__"]
    return min(lines) if lines else max(future, default=1)
