"""Classes of values, read off small projects: what ``use(...)`` is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mldebt.facts.schema import Call, Do, Ref
from mldebt.facts.walk import statements
from mldebt.project.project import Project

Build = Callable[..., Project]

NET = "import torch.nn as nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n"
HOLDER = NET + "class T:\n    def __init__(self):\n        self.m = Net()\n"
RELU = (
    "import torch.nn.functional as F\nclass T:\n    def __init__(self):\n        self.a = F.relu\n"
    "    def f(self):\n        self.a(1)"
)


def used(project: Project, path: str = "train.py") -> tuple[str, ...]:
    """The classes of the argument of the last ``use(...)`` in the file."""
    module = project.modules[path]
    found: tuple[str, ...] = ()
    for index in range(len(module.facts.scopes)):
        for stmt in statements(module.body(index)):
            call = stmt.value if isinstance(stmt, Do) else None
            if isinstance(call, Call) and isinstance(call.function, Ref) and call.function.name == "use":
                found = project.types.of(module, index, call.args[0])
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch\nuse(torch.nn.CrossEntropyLoss())", ("torch.nn.CrossEntropyLoss",)),
        ("from torch.nn import Linear as L\nx = L(1, 2)\nuse(x)", ("torch.nn.Linear",)),
        ("import numpy as np\nrng = np.random.default_rng(0)\ndef f():\n    use(rng)", ("numpy.random.Generator",)),
        ("import pandas as pd\ndf = pd.read_csv(p).dropna()\nuse(df)", ("pandas.DataFrame",)),
        ("import pandas as pd\nuse(pd.lower(p))", ()),
        (NET + "use(Net())", ("train.py:Net",)),
        (NET + "model = Net().to(d).eval()\nuse(model)", ("train.py:Net",)),
        (NET + "model = Net()\nif c:\n    model = nn.DataParallel(model)\nuse(model.module)", ("train.py:Net",)),
        (NET + "def f(model: Net):\n    use(model)", ("train.py:Net",)),
        (NET + "def f(model: 'Net | None' = None):\n    use(model)", ("train.py:Net",)),
        (NET + "from typing import Optional\ndef f(model: Optional[Net]):\n    use(model)", ("train.py:Net",)),
        (NET + "def f(kind: type[Net]):\n    use(kind)", ()),
        (NET + "def make():\n    net = Net()\n    return net\nuse(make())", ("train.py:Net",)),
        (NET + "def make() -> Net: ...\nuse(make())", ("train.py:Net",)),
        (NET + "def make(c):\n    if c:\n        return Net()\n    return unknown()\nuse(make(1))", ()),
        (NET + "def make(c):\n    if c:\n        return None\n    return Net()\nuse(make(1))", ("train.py:Net",)),
        (NET + "x = Net() if c else nn.Linear(1, 2)\nuse(x)", ("train.py:Net", "torch.nn.Linear")),
        (NET + "x: Net = load()\nuse(x)", ("train.py:Net",)),
        (HOLDER + "    def f(self):\n        use(self.m)", ("train.py:Net",)),
        (NET + "class T:\n    m: Net\n    def f(self):\n        use(self.m)", ("train.py:Net",)),
        (NET + "class T:\n    def __init__(self, m: Net):\n        self.m = m\nt = T(x)\nuse(t.m)", ("train.py:Net",)),
        ("class A:\n    def f(self):\n        use(self)", ("train.py:A",)),
        ("class A:\n    @classmethod\n    def f(cls):\n        use(cls)", ()),
        ("class A:\n    @property\n    def b(self) -> 'B': ...\nclass B: ...\nuse(A().b)", ("train.py:B",)),
        ("class A:\n    def __enter__(self):\n        return self\nwith A() as x:\n    use(x)", ("train.py:A",)),
        ("class A:\n    def g(self):\n        return self\nclass B(A): ...\nuse(B().g())", ("train.py:B",)),
        ("class A:\n    def g(self):\n        return 1\nuse(A().g())", ("builtins.int",)),
        ("class A:\n    @classmethod\n    def make(cls) -> 'A': ...\nuse(A.make())", ("train.py:A",)),
        ("import transformers as t\nclass M(t.PreTrainedModel): ...\nuse(M.from_pretrained(p))", ("train.py:M",)),
        ("from transformers import AutoModel\nuse(AutoModel.from_pretrained(p))", ("transformers.PreTrainedModel",)),
        (
            NET + "from accelerate import Accelerator\na = Accelerator()\nmodel, opt = a.prepare(Net(), o)\nuse(model)",
            ("train.py:Net",),
        ),
        ("x = 1\nx = unknown\nuse(x)", ()),
        ("for x in [1]:\n    use(x)", ()),
        ("def f():\n    return f()\nuse(f())", ()),
        ("def f():\n    return g()\ndef g():\n    return f()\nuse(g())", ()),
        ("x = y\ny = x\nuse(x)", ()),
        ("use('a')", ("builtins.str",)),
    ],
)
def test_classes_of_values(project: Build, code: str, expected: tuple[str, ...]) -> None:
    assert used(project({"train.py": code})) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"net.py": NET, "train.py": "from net import Net\nuse(Net())"}, ("net.py:Net",)),
        ({"net.py": NET + "model = Net()", "train.py": "from net import model\nuse(model)"}, ("net.py:Net",)),
        ({"net.py": NET + "model = Net()", "train.py": "import net\ndef f():\n    use(net.model)"}, ("net.py:Net",)),
        ({"net.py": NET + "def f():\n    return Net()", "train.py": "from net import f\nuse(f())"}, ("net.py:Net",)),
        (
            {"base.py": HOLDER, "train.py": "from base import T\nclass U(T):\n    def f(self):\n        use(self.m)"},
            ("base.py:Net",),
        ),
    ],
)  # fmt: skip
def test_classes_across_files(project: Build, files: Mapping[str, str], expected: tuple[str, ...]) -> None:
    assert used(project(files)) == expected


@pytest.mark.parametrize(
    ("code", "call", "expected"),
    [
        ("import torch\nopt = torch.optim.Adam(p)\nopt.step()", "opt.step", ("torch.optim.Adam.step",)),
        ("import random\ndraw = random.random\ndraw()", "draw", ("random.random",)),
        ("import random as r\nd = r.random if c else r.gauss\nd()", "d", ("random.random", "random.gauss")),
        ("import random\ndef f(draw):\n    if c:\n        draw = random.random\n    draw()", "draw", ()),
        (NET + "Net().eval()", "eval", ("torch.nn.Module.eval",)),
        (NET + "class T(Net):\n    def f(self):\n        super().forward(1)", "forward", ("train.py:Net.forward",)),
        (NET + "class T(Net):\n    def g(self): ...\n    def f(self):\n        self.g()", "self.g", ("train.py:T.g",)),
        ("class T(Unknown):\n    def f(self):\n        self.g()", "self.g", ()),
        (RELU, "self.a", ("torch.nn.functional.relu",)),
    ],
)  # fmt: skip
def test_names_through_types(project: Build, code: str, call: str, expected: tuple[str, ...]) -> None:
    module = project({"train.py": code}).modules["train.py"]
    sites = [site for index in range(len(module.facts.scopes)) for site in module.call_sites(index)]
    site = next(site for site in sites if getattr(site.call.function, "name", "") == call)
    assert module.names(site.scope, site.call.function) == expected


def test_answers_do_not_depend_on_the_order_of_questions(project: Build) -> None:
    code = (
        "class A:\n"
        + "".join(f"    def f{i}(self):\n        return self.f{i + 1}()\n" for i in range(9))
        + "    def f9(self):\n        return A()\n"
    )
    forward, backward = project({"a.py": code}), project({"a.py": code})
    names = [f"a.py:A.f{i}" for i in range(10)]

    def answer(linked: Project, name: str) -> tuple[str, ...]:
        definition = linked.definition(name)
        assert definition is not None
        return linked.types.returns(definition)

    first = {name: answer(forward, name) for name in names}
    second = {name: answer(backward, name) for name in reversed(names)}
    assert first == second
    assert first["a.py:A.f9"] == ("a.py:A",)
