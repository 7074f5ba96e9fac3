"""MLD204 orphan-module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .orphans import Orphans

_YEAR = 365  # days

_NMS = """
    import numpy as np


    def nms(boxes, threshold):
        x1, y1, x2, y2, scores = boxes.T
        areas = (x2 - x1) * (y2 - y1)
        order = scores.argsort()[::-1]
        keep = []
        while order.size:
            i = order[0]
            keep.append(i)
            width = np.minimum(x2[i], x2[order[1:]]) - np.maximum(x1[i], x1[order[1:]])
            height = np.minimum(y2[i], y2[order[1:]]) - np.maximum(y1[i], y1[order[1:]])
            inter = width.clip(0) * height.clip(0)
            order = order[1:][inter / (areas[i] + areas[order[1:]] - inter) <= threshold]
        return keep
    """
_SIDE = """
    from pkg.b_side import nms


    def side(boxes):
        kept = nms(boxes, 0.5)
        kept = nms(kept, 0.4)
        kept = nms(kept, 0.3)
        kept = nms(kept, 0.2)
        kept = nms(kept, 0.1)
        kept = nms(kept, 0.05)
        kept = nms(kept, 0.01)
        return kept
    """
_MAIN = """
    from pkg.net import build

    if __name__ == "__main__":
        build()
    """
_NET = """
    def build():
        return 1
    """
_BASE = {"main.py": _MAIN, "pkg/__init__.py": "", "pkg/net.py": _NET}


class OrphanModule(ProjectRule):
    """A module nothing imports, launches, scans, tests, configures or mentions.

    ## Why it is debt

    It is read, searched, ported and type-checked like live code, and everybody who finds it has to prove again that it
    is dead. "You thought you could just put it in an unreferenced file."

    ## How to pay it back

    Delete it, version control keeps it; or move it to `experiments/` with an owner and a date.

    ## When to leave it

    Plug-ins that a directory scan or an entry point loads, scripts, configuration files in Python, migrations, modules
    that register themselves, and names that occur in documents, configuration or other modules' imports are not
    orphans. In a library that others install, what nothing here imports may be its interface: `info`. In a package that
    a program runs, a module that git has known unchanged for a year is major.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * https://github.com/jendrikseipp/vulture: the same for single functions.
    """

    code: ClassVar[str] = "MLD204"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 15
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"callee-moved"})
    examples = (
        Bad({**_BASE, "pkg/py_cpu_nms.py": _NMS}, anchors=("pkg/py_cpu_nms.py:1",)),
        Bad({**_BASE, "pkg/old_losses.py": _NMS.replace("nms", "iou_loss"), "README.md": "Run main.py.\n"}),
        Bad({**_BASE, "pkg/a_side.py": _SIDE, "pkg/b_side.py": _NMS}, anchors=("pkg/a_side.py:1",)),
        Good({**_BASE, "pkg/py_cpu_nms.py": _NMS, "README.md": "The slow way is in `pkg/py_cpu_nms.py`.\n"}),
        Good(
            {
                **_BASE,
                "pkg/py_cpu_nms.py": _NMS,
                "tests/test_nms.py": "from pkg.py_cpu_nms import nms\n\n\ndef test_nms():\n    assert nms\n",
            }
        ),
        Good({**_BASE, "pkg/py_cpu_nms.py": _NMS, "conf/nms.yaml": "_target_: pkg.py_cpu_nms.nms\nthreshold: 0.5\n"}),
        Good(
            {
                **_BASE,
                "pkg/__init__.py": """
                import importlib
                import pkgutil

                for info in pkgutil.iter_modules(__path__):
                    importlib.import_module(f"{__name__}.{info.name}")
                """,
                "pkg/py_cpu_nms.py": _NMS,
            }
        ),
        Good({**_BASE, "pkg/py_cpu_nms.py": _NMS + "\n\n    print(nms(np.zeros((3, 5)), 1))\n"}),
        Good(
            {
                **_BASE,
                "pkg/nets.py": """
                from pkg.registry import register


                @register("small")
                class Small:
                    def __init__(self):
                        self.a = 1
                        self.b = 2
                        self.c = 3
                        self.d = 4

                    def run(self):
                        return self.a
                """,
                "pkg/registry.py": """
                TABLE = {}


                def register(name):
                    def add(cls):
                        TABLE[name] = cls
                        return cls

                    return add
                """,
            }
        ),
        Good({**_BASE, "migrations/0001_first.py": _NMS}),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for head, *others in project[Orphans].all:
            yield _problem(head, others, project)


def _problem(head: Module, others: list[Module], project: Project) -> Problem:
    lines = sum(module.facts.code_lines for module in (head, *others))
    more = f"; with what only it imports, {len(others) + 1} modules and" if others else ":"
    return Problem(
        _place(head),
        f"nothing imports, runs, scans, tests or mentions this module{more} {lines} lines",
        tuple(Related(_place(module), "imported by dead modules only", "effect") for module in others),
        severity=Severity.INFO if project.library else Severity.MAJOR if _is_forgotten(head, project) else None,
        minutes=15 + 5 * (lines // 100),
        evidence=(
            "not in the import closure of any entry, test or notebook",
            "no string, document, configuration or command names it",
            *(["the project is a library: others may import it"] if project.library else []),
        ),
        carries=tuple((module.path, line) for module in (head, *others) for line in sorted(module.code_line_numbers)),
        symbol=head.path,
    )


def _is_forgotten(head: Module, project: Project) -> bool:
    """Whether a module lies in a package that a program runs, and has not changed for a year."""
    folder = head.path.rpartition("/")[0]
    if folder not in project.packages.packages:
        return False
    beside = [path for path in project.modules if path.rpartition("/")[0] == folder and path != head.path]
    programs = [entry.definition.module for entry in project.entries if not entry.is_test and not entry.is_example]
    if not any(project.imports.reaches(program, path) for path in beside for program in programs):
        return False
    ages = [project.age(head.path, line) for line in range(1, len(head.text_lines) + 1)]
    return bool(ages) and all(age is not None and age >= _YEAR for age in ages)


def _place(module: Module) -> Place:
    return Place(module.path, Span(1, 1, 1, len(module.text_lines[0]) + 1))
