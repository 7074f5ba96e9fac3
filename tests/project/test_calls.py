"""Edges of the call graph, read off small projects."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mldebt.project.project import Project

Build = Callable[..., Project]
Edges = list[tuple[str, str]]

NET = """
import torch.nn as nn
class Block(nn.Module):
    def __init__(self): ...
    def forward(self, x): ...
class Net(nn.Module):
    def __init__(self):
        self.block = Block()
    def forward(self, x):
        return self.block(x)
"""
DATA = """
class Data:
    def __init__(self): ...
    def __getitem__(self, i): ...
    def __len__(self): ...
"""

LIGHTNING = """
import pytorch_lightning as pl
class M(pl.LightningModule):
    def training_step(self, b): ...
    def test_step(self, b): ...
class D(pl.LightningDataModule):
    def setup(self): ...
"""
MANY = "".join(f"class A{i}:\n    def fancy(self): ...\n" for i in range(4))


def edges(project: Project, name: str) -> Edges:
    """(target, confidence) of a definition's edges, in order."""
    definition = project.definition(name)
    assert definition is not None
    return [(edge.target.name.partition(":")[2], edge.confidence) for edge in project.calls.edges(definition)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(): ...\ndef g(): ...\ng(f())", [("f", "exact"), ("g", "exact")]),
        ("def f(): ...\ng = f\ng()", [("f", "exact")]),
        ("@cache\ndef f(): ...\nf()", [("f", "exact")]),
        ("class A:\n    def __init__(self): ...\nA()", [("A.__init__", "exact")]),
        ("class A:\n    def __init__(self): ...\nclass B(A): ...\nB()", [("A.__init__", "exact")]),
        ("class A:\n    def __post_init__(self): ...\nA()", [("A.__post_init__", "exact")]),
        ("class A:\n    def f(self): ...\nA().f()", [("A.f", "method")]),
        ("class A:\n    def f(self): ...\na = A()\na.f()", [("A.f", "method")]),
        ("class A:\n    @staticmethod\n    def f(): ...\nA.f()", [("A.f", "exact")]),
        ("class A:\n    def __call__(self): ...\nA()()", [("A.__call__", "method")]),
        ("def f(): ...\nclass A:\n    x = f()", [("f", "exact")]),
        ("def f(): ...\n[f() for _ in x]", [("f", "exact")]),
        ("def f(): ...\nrun = lambda: f()", [("f", "exact")]),
        ("def f(): ...\ndef g(x=f()): ...", [("f", "exact")]),
        ("def f(): ...\nfrom functools import partial\npartial(f, 1)", [("f", "exact")]),
        ("def f(): ...\nlist(map(f, x))", [("f", "exact")]),
        ("def f(): ...\nsorted(x, key=f)", [("f", "exact")]),
        ("def f(): ...\nfrom threading import Thread\nThread(target=f).start()", [("f", "exact")]),
        ("def f(): ...\nfrom multiprocessing import Pool\nPool(2).map(f, x)", [("f", "exact")]),
        ("def f(): ...\nimport torch.multiprocessing as mp\nmp.spawn(f, nprocs=2)", [("f", "exact")]),
        ("def f(): ...\nimport jax\njax.jit(f)", [("f", "exact")]),
        ("def f(): ...\nimport optuna\noptuna.create_study().optimize(f)", [("f", "exact")]),
        ("def f(): ...\nimport pandas as pd\npd.read_csv(p).apply(f)", [("f", "exact")]),
        ("def f(): ...\nexecutor.submit(f)", [("f", "exact")]),
        ("def f(): ...\nregister_something(f)", []),
        ("unknown()", []),
        ("import torch\ntorch.rand(2)", []),
    ],
)
def test_edges_of_a_module(project: Build, code: str, expected: Edges) -> None:
    assert edges(project({"train.py": code}), "train.py:") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (NET + "def run():\n    net = Net()\n    net(1)", [("Net.__init__", "exact"), ("Net.forward", "framework")]),
        (NET + "def run(net: Net):\n    net.to(d)(1)", [("Net.forward", "framework")]),
        (
            NET + "import torch\ndef run():\n    net = torch.compile(Net())\n    net(1)",
            [("Net.__init__", "exact"), ("Net.forward", "framework")],
        ),
        (NET + "def run(ac, net: Net):\n    ac.apply(net)", []),
        (
            DATA + "from torch.utils.data import *\ndef f(b): ...\ndef run():\n    DataLoader(Data(), collate_fn=f)",
            [
                ("Data.__init__", "exact"),
                ("f", "exact"),
                ("Data.__getitem__", "framework"),
                ("Data.__len__", "framework"),
            ],
        ),
        (
            LIGHTNING + "def run():\n    pl.Trainer().fit(M(), datamodule=D())",
            [("D.setup", "framework"), ("M.training_step", "framework")],
        ),
        (
            NET + DATA + "from transformers import Trainer\ndef score(p): ...\ndef run():\n"
            "    t = Trainer(model=Net(), train_dataset=Data(), compute_metrics=score)\n    t.train()",
            [
                ("Net.__init__", "exact"),
                ("Data.__init__", "exact"),
                ("score", "exact"),
                ("Net.forward", "framework"),
                ("Data.__getitem__", "framework"),
                ("Data.__len__", "framework"),
            ],
        ),
        (
            "import trl\nclass T(trl.SFTTrainer):\n    def compute_loss(self): ...\ndef run():\n    T().train()",
            [("T.compute_loss", "framework")],
        ),
    ],
)
def test_what_frameworks_call_back(project: Build, code: str, expected: Edges) -> None:
    assert edges(project({"train.py": code}), "train.py:run") == expected


def test_modules_call_their_parts(project: Build) -> None:
    assert edges(project({"net.py": NET}), "net.py:Net.forward") == [("Block.forward", "framework")]


def test_overrides_are_those_of_the_receivers_class(project: Build) -> None:
    code = """
    class Base:
        def step(self): ...
        def run(self):
            self.step()
    class Left(Base):
        def step(self): ...
        def again(self):
            self.step()
    class Right(Base):
        def step(self): ...
    """
    linked = project({"a.py": code})
    assert edges(linked, "a.py:Base.run") == [("Base.step", "method"), ("Left.step", "cha"), ("Right.step", "cha")]
    assert edges(linked, "a.py:Left.again") == [("Left.step", "method")]


def test_an_object_built_here_is_of_no_subclass(project: Build) -> None:
    code = "class A:\n    def f(self): ...\nclass B(A):\n    def f(self): ...\ndef run():\n    a = A()\n    a.f()"
    assert edges(project({"a.py": code}), "a.py:run") == [("A.f", "method")]


def test_super_goes_up(project: Build) -> None:
    code = "class A:\n    def f(self): ...\nclass B(A):\n    def f(self):\n        super().f()"
    assert edges(project({"a.py": code}), "a.py:B.f") == [("A.f", "method")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "class A:\n    def fancy(self): ...\ndef run(x):\n    x.fancy()"}, [("A.fancy", "cha")]),
        ({"a.py": "class A:\n    def append(self): ...\ndef run(x):\n    x.append()"}, []),
        ({"a.py": "def run(x):\n    x.fancy()", "b.py": "class A:\n    def fancy(self): ..."}, []),
        (
            {"a.py": "import b\ndef run(x):\n    x.fancy()", "b.py": "class A:\n    def fancy(self): ..."},
            [("A.fancy", "cha")],
        ),
        ({"a.py": MANY + "def run(x):\n    x.fancy()"}, []),
        ({"a.py": "import np\nclass A:\n    def fancy(self): ...\ndef run():\n    np.fancy()"}, []),
        ({"a.py": "class A:\n    def fancy(self): ...\ndef run(x: list):\n    x.fancy()"}, []),
    ],
)
def test_guesses_by_method_name(project: Build, files: Mapping[str, str], expected: Edges) -> None:
    assert edges(project(files), "a.py:run") == expected


def test_reachable_is_nearest_first_with_the_edge_taken(project: Build) -> None:
    linked = project(
        {
            "lib.py": "def deep(): ...\ndef near():\n    deep()\n    near()",
            "train.py": "from lib import deep, near\ndef main():\n    near()\n    deep()\nmain()",
        }
    )
    definition = linked.definition("train.py:")
    assert definition is not None
    found = linked.calls.reachable(definition)
    assert list(found) == ["train.py:", "train.py:main", "lib.py:near", "lib.py:deep"]
    assert found["train.py:"] is None
    edge = found["lib.py:deep"]
    assert edge is not None
    assert edge.source.name == "train.py:main"
    assert edge.call is not None
    assert edge.call.line == 4


SCRIPT = """
import sys
from tests.conftest import build_project
from tests.project.test_calls import DATA, NET
text = "from net import *\\nnet = Net()\\nnet(1)\\nx.fancy()\\nlen(Data())"
linked = build_project({"net.py": NET + DATA, "train.py": text})
for module in linked.modules.values():
    for index in range(len(module.facts.scopes)):
        print([(e.target.name, e.confidence) for e in linked.calls.edges(module.definition(index))])
"""


def test_the_hash_seed_changes_nothing() -> None:
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert b"Net.forward" in outputs.pop()
