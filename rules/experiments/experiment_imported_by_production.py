"""MLD207 experiment-imported-by-production."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.facts.schema import TYPE_CHECKING, Import
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .areas import Areas

_SERVES = frozenset({"serve", "predict"})
_APP = """
    from fastapi import FastAPI

    from experiments.phate_trial import reduce_dim

    app = FastAPI()


    @app.get("/predict")
    def predict(x: float):
        return reduce_dim(x)
    """
_TRIAL = """
    def reduce_dim(x):
        return x
    """


class ExperimentImportedByProduction(ProjectRule):
    """A package or a service imports code out of a folder of experiments.

    ## Why it is debt

    What stands in `experiments/`, `notebooks/` or `scratch/` is changed and deleted without asking: that is what the
    folder is for. Once a service imports from it, a trial that somebody tidies away takes production down, and code
    nobody reviewed or tested answers requests.

    ## How to pay it back

    Move what production needs into the package, with a test, and let the experiment import it from there.

    ## When to leave it

    Experiments may import production; experiments may import each other. A folder of that name in which every file is
    used and none is a notebook is part of the product (a tracker's `experiments` package) and not reported, nor are
    scripts at the root whose job is to run experiments. `experiment-dirs` names other folders.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * M. Zinkevich, "Rules of Machine Learning", rule 4: keep the infrastructure right.
    """

    code: ClassVar[str] = "MLD207"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 30
    examples = (
        Bad(
            {
                "src/serving/app.py": _APP,
                "experiments/phate_trial.py": _TRIAL,
                "experiments/other.py": "print(1)\n",
                "src/serving/__init__.py": "",
            },
            anchors=("src/serving/app.py:3",),
        ),
        Bad({"app.py": _APP, "experiments/phate_trial.py": _TRIAL, "experiments/look.py": "print(1)\n"}),
        Bad(
            {
                "shop/__init__.py": "",
                "shop/features.py": """
                import sys

                sys.path.append("../notebooks")
                from cleaning import clean


                def features(frame):
                    return clean(frame)
                """,
                "notebooks/cleaning.py": """
                # In[1]:


                def clean(frame):
                    return frame.dropna()


                # In[2]:

                clean
                """,
                "shop/train.py": """
                from shop.features import features

                features(None)
                """,
            }
        ),
        Good(
            {
                "experiments/trial.py": """
                from shop.features import features

                features(1)
                """,
                "shop/__init__.py": "",
                "shop/features.py": """
                def features(x):
                    return x
                """,
            }
        ),
        Good(
            {
                "tracker/__init__.py": "",
                "tracker/api.py": """
                from tracker.experiments.store import load


                def get(name):
                    return load(name)
                """,
                "tracker/experiments/__init__.py": "",
                "tracker/experiments/store.py": """
                def load(name):
                    return name
                """,
            }
        ),
        Good(
            {
                "run_experiment.py": """
                from experiments.one import run

                run()
                """,
                "experiments/one.py": """
                def run():
                    return 1
                """,
                "experiments/two.py": "print(2)\n",
            }
        ),
        Good(
            {
                "tests/test_trial.py": """
                from experiments.one import run


                def test_run():
                    assert run() == 1
                """,
                "experiments/one.py": """
                def run():
                    return 1
                """,
                "experiments/two.py": "print(2)\n",
            }
        ),
        Good(
            {
                "shop/__init__.py": "",
                "shop/kinds.py": """
                from typing import TYPE_CHECKING

                if TYPE_CHECKING:
                    from experiments.one import Run


                def show(run: "Run"):
                    print(run)
                """,
                "experiments/one.py": """
                class Run:
                    pass
                """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        areas = project[Areas]
        edges = [
            (module, fact, path)
            for path in project.modules
            if areas.of(path) and not path.endswith("__init__.py")
            for module in sorted(map(project.modules.__getitem__, project.imports.importers(path)), key=_path)
            if not areas.of(module.path)
            for fact in module.facts.imports
            if not fact.guard & TYPE_CHECKING and path in project.imports.targets(module.path, fact)
        ]
        serving = _serving(project) if edges else set()
        found: dict[str, list[tuple[Module, Import]]] = {}
        for module, fact, target in edges:
            if _is_production(module, serving):
                found.setdefault(target, []).append((module, fact))
        for target, imports in found.items():
            places = [_place(module, fact) for module, fact in imports]
            places = list(dict.fromkeys(places))
            importers = dict.fromkeys(module.path for module, _ in imports)
            yield Problem(
                places[0],
                f"{target} is in the experiment area {areas.of(target)}/ and is imported by {', '.join(importers)}",
                tuple(Related(place, "imports it too") for place in places[1:]),
                symbol=target,
                evidence=(
                    f"{areas.of(target)}/ has notebooks, or files nothing refers to, or is configured as an area",
                ),
            )


def _path(module: Module) -> str:
    return module.path


def _serving(project: Project) -> set[str]:
    return {
        path
        for entry in project.entries
        if entry.kind in ("serve", "script") or not _SERVES.isdisjoint(project.roles(entry))
        for path in project.imports.closure(entry.definition.module)
    }


def _is_production(module: Module, serving: set[str]) -> bool:
    if module.role != "project" or module.is_test or module.is_example or module.path.endswith(".ipynb"):
        return False
    folder = module.path.rpartition("/")[0]
    in_package = folder in module.project.packages.packages or folder.partition("/")[0] == "src"
    used = in_package or bool(module.project.imports.importers(module.path))
    return module.path in serving or (bool(folder) and used)


def _place(module: Module, fact: Import) -> Place:
    row = module.text_lines[fact.line - 1]
    start = len(row) - len(row.lstrip()) + 1
    return Place(module.path, Span(fact.line, start, fact.line, len(row.rstrip()) + 1))
