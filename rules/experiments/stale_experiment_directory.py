"""MLD205 stale-experiment-directory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .stale_areas import StaleArea, StaleAreas

_MOST_RELATED = 20
_KILO = 1024

_MODEL = """
    class Net:
        def forward(self, x):
            return x
    """
_OLD = """
    from shop.old_v1.layers import scale


    class OldNet:
        def forward(self, x):
            return scale(x)
    """
_LAYERS = """
    def scale(x):
        return 2 * x
    """
_TRAIN = """
    from shop.model import Net

    if __name__ == "__main__":
        print(Net().forward(1))
    """
_PACKAGE = {"shop/__init__.py": "", "shop/model.py": _MODEL, "train.py": _TRAIN}
_PAST = {"shop/old_v1/__init__.py": "", "shop/old_v1/net.py": _OLD, "shop/old_v1/layers.py": _LAYERS}


class StaleExperimentDirectory(ProjectRule):
    """A folder of old experiments in the middle of the product, of which nothing outside uses anything.

    Folders are told by their names (`archive`, `old_v1`, `legacy`, `scratch`, `wip`, `experiments` ...) and by
    `experiment-dirs`; unused is what no import, command, configuration, scan or test outside of the folder reaches.

    ## Why it is debt

    It is installed, searched, type-checked and refactored with everything beside it, and everybody who greps finds the
    old version first. "Put the code in a directory or on a disk far removed from the business-critical stuff."

    ## How to pay it back

    Tag the commit (`archive/v1`) and delete the folder; or move it to `experiments/` at the top, with an owner.

    ## When to leave it

    An experiments folder at the top of the repository that nothing in the product imports is quarantine: that is the
    good pattern, and silent. So is a folder somebody still works in, where git tells of a change within a year, unless
    its name says that it is over.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * M. McAteer, "Nitpicking Machine Learning Technical Debt", 2020, best practice 12.
    """

    code: ClassVar[str] = "MLD205"
    severity: ClassVar[Severity] = Severity.INFO
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 15
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"callee-moved"})
    examples = (
        Bad({**_PACKAGE, **_PAST}, anchors=("shop/old_v1/__init__.py:1",)),
        Bad({**_PACKAGE, "shop/scratch/look.py": "from shop.model import Net\n\nprint(Net().forward(3))\n"}),
        Bad({**_PACKAGE, "shop/models/archive/gru.py": _MODEL, "shop/models/__init__.py": ""}),
        Good({**_PACKAGE, "experiments/gru.py": "from shop.model import Net\n\nprint(Net())\n"}),
        Good({**_PACKAGE, "archive/gru.py": _MODEL}),
        Good({**_PACKAGE, **_PAST, "compare.py": "from shop.old_v1.net import OldNet\n\nprint(OldNet().forward(1))\n"}),
        Good({**_PACKAGE, "shop/legacy/convert.py": "print(1)\n", "run.sh": "python shop/legacy/convert.py\n"}),
        Good({**_PACKAGE, **_PAST, "conf.yaml": "model:\n  _target_: shop.old_v1.net.OldNet\n"}),
        Good(
            {
                **_PACKAGE,
                "shop/experiments/__init__.py": "from shop.experiments.store import load\n",
                "shop/experiments/store.py": """
                def load(name):
                    return name
                """,
                "shop/api.py": """
                from shop.experiments import load

                print(load("a"))
                """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for area in project[StaleAreas].all:
            yield _problem(area)


def _problem(area: StaleArea) -> Problem:
    first, *others = (Place(module.path, Span(1)) for module in area.modules)
    age = f", unchanged for {area.age} days" if area.age is not None else ""
    size = f"{area.files} files, {area.lines} lines of code, {max(1, area.size // _KILO)} KiB"
    return Problem(
        first,
        f"nothing outside {area.folder}/ uses it: {size}{age}",
        tuple(Related(place, "is in the folder", "cause") for place in others[:_MOST_RELATED]),
        evidence=(
            "its name says that it is an experiment or over",
            "no import, command, configuration file, scan or test outside reaches it",
            "it lies among the code of the product",
        ),
        symbol=area.folder,
    )
