"""Who calls a function: found by the names it may be called by, told by the call graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Const
from mldebt.project.callers import Site, given
from mldebt.project.definitions import Definition
from mldebt.project.project import Project

Build = Callable[..., Project]


def function(project: Project, name: str) -> Definition:
    definition = project.definition(name)
    assert definition is not None
    return definition


def called_from(project: Project, name: str) -> list[str]:
    sites = project.callers.of(function(project, name))
    assert sites is not None
    return [f"{site.module.path}:{site.call.line}" for site in sites]


def test_calls_are_found_through_imports_and_aliases(project: Build) -> None:
    built = project(
        {
            "model.py": "def build(width): ...\n",
            "train.py": "from model import build as make\nmake(3)\n",
            "other.py": "def build(width): ...\nbuild(4)\n",
        }
    )
    assert called_from(built, "model.py:build") == ["train.py:2"]


def test_a_class_is_called_by_its_own_and_its_subclasses_names(project: Build) -> None:
    built = project(
        {
            "nets.py": "class Net:\n    def __init__(self, width): ...\nclass Wide(Net): ...\n",
            "train.py": "from nets import Net, Wide\nNet(1)\nWide(2)\n",
        }
    )
    assert called_from(built, "nets.py:Net.__init__") == ["train.py:2", "train.py:3"]


def test_a_name_with_too_many_calls_tells_nothing(project: Build) -> None:
    built = project({"a.py": "def step(): ...\n" + "step()\n" * 301})
    assert built.callers.of(function(built, "a.py:step")) is None


def test_files_are_found_by_identifier_in_the_order_of_paths(project: Build) -> None:
    built = project({"b.py": "import torch\n", "a.py": "x = torch\n", "c.py": "import numpy\n"})
    assert [module.path for module in built.callers.mentioning(["torch", "nothing"])] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("run(1, 2)", 2),
        ("run(1, lr=2)", 2),
        ("run(1)", None),
        ("run(*args)", UNKNOWN),
        ("run(1, **options)", UNKNOWN),
        ("spawn(run, args=(2,))", 2),
    ],
)
def test_what_a_call_gives_a_parameter(project: Build, call: str, value: object) -> None:
    built = project({"a.py": f"from torch.multiprocessing import spawn\ndef run(rank, lr=0): ...\n{call}\n"})
    run = function(built, "a.py:run")
    (site,) = built.callers.of(run) or ()
    assert isinstance(site, Site)
    found = given(site, run, "lr", built.callers.spellings(run))
    assert (found.value if isinstance(found, Const) else found) == value
