"""Linked names, module naming, and what runs when a module is imported."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldebt.project.project import Project
from mldebt.sources.artefacts import Command, ConfigFile, Dependency, EntryPoint, Leaf, Repository
from tests.conftest import Build, build_project


def name(project: Project, dotted: str, path: str = "train.py", scope: str = "") -> tuple[str, ...]:
    """What a chain read in a scope of a file stands for."""
    module = project.modules[path]
    index = next(i for i, one in enumerate(module.facts.scopes) if one.qualname == scope)
    return project.resolve(module, index, dotted)


@pytest.mark.parametrize(
    ("code", "dotted", "expected"),
    [
        ("import numpy as np", "np.random.seed", "numpy.random.seed"),
        ("import numpy.random", "numpy.random.seed", "numpy.random.seed"),
        ("from numpy import random as r", "r.seed", "numpy.random.seed"),
        ("import torch\nnn = torch.nn", "nn.Linear", "torch.nn.Linear"),
        ("import torch\nnn = torch.nn\nL = nn.Linear", "L", "torch.nn.Linear"),
        ("from torch import *", "randn", "torch.randn"),
        ("from torch import *", "len", "builtins.len"),
        ("x = len", "print", "builtins.print"),
        ("def f(): pass", "f", "train.py:f"),
        ("class A:\n    def m(self): pass", "A.m", "train.py:A.m"),
        ("class A:\n    class B:\n        def m(self): pass", "A.B.m", "train.py:A.B.m"),
        ("class A:\n    def m(self): pass\nclass B(A): pass", "B.m", "train.py:A.m"),
        ("import torch\nclass A(torch.nn.Module): pass", "A.load", "torch.nn.Module.load"),
        ("class A:\n    def m(self): pass\n    n = m", "A.n", "train.py:A.m"),
        ("import torch\nclass A:\n    loss = torch.nn.MSELoss", "A.loss", "torch.nn.MSELoss"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", "torch.nn", "torch.nn"),
        ("def f():\n    global np\n    import numpy as np", "np.sum", "numpy.sum"),
        ("try:\n    import wandb\nexcept ImportError:\n    wandb = None", "wandb.log", "wandb.log"),
        ("np = None\nif use:\n    import numpy as np", "np.sum", "numpy.sum"),
    ],
)
def test_one_name(project: Build, code: str, dotted: str, expected: str) -> None:
    assert name(project({"train.py": code}), dotted) == (expected,)


@pytest.mark.parametrize(
    ("code", "dotted"),
    [
        ("import numpy as np\nnp = make()", "np.sum"),
        ("import numpy as np\ndef f():\n    global np\n    np = make()", "np.sum"),
        ("import a\nx = a.b\nx = make()", "x.c"),
        ("import a\nx = a.b\nfor x in y: pass", "x.c"),
        ("def f(model): pass", "f.delay"),
        ("model = make()", "model.fit"),
        ("x = 1", "undefined_name"),
        ("from torch import *\nfrom numpy import *", "randn"),
        ("class A(unknown()): pass", "A.m"),
        ("a = b\nb = a", "a.x"),
        ("class A(A.B): pass", "A.C"),
    ],
)
def test_unknown_is_silent(project: Build, code: str, dotted: str) -> None:
    assert name(project({"train.py": code}), dotted) == ()


def test_a_function_level_import_is_seen_in_its_function_only(project: Build) -> None:
    linked = project({"train.py": "def f():\n    import numpy as np\n    np.sum()\ndef g(): np.sum()\n"})
    assert name(linked, "np.sum", scope="f") == ("numpy.sum",)
    assert name(linked, "np.sum", scope="g") == ()


def test_import_error_alternatives_are_all_given(project: Build) -> None:
    code = """
        try:
            from tensorflow import keras
        except ImportError:
            import keras
    """
    assert name(project({"train.py": code}), "keras.Model") == ("tensorflow.keras.Model", "keras.Model")


def test_a_function_defined_in_the_handler_is_an_alternative(project: Build) -> None:
    code = """
        try:
            from numba import njit
        except ImportError:
            def njit(f): return f
    """
    assert name(project({"train.py": code}), "njit") == ("numba.njit", "train.py:njit")


def test_re_exports_are_followed_at_any_depth(project: Build) -> None:
    linked = project(
        {
            "acme/__init__.py": "from .repro import *",
            "acme/repro/__init__.py": "from .seeds import seed_all as seed_all",
            "acme/repro/seeds.py": "def seed_all(): pass",
            "train.py": "import acme\nfrom acme import seed_all as s",
        }
    )
    assert name(linked, "s") == name(linked, "acme.seed_all") == ("acme/repro/seeds.py:seed_all",)
    assert name(linked, "acme.repro.seeds.seed_all") == ("acme/repro/seeds.py:seed_all",)
    assert name(linked, "acme.repro.seeds") == ("acme/repro/seeds.py:",)


def test_a_library_name_re_exported_by_the_project_is_the_librarys(project: Build) -> None:
    linked = project({"compat.py": "from torch.nn import functional as F", "train.py": "from compat import F"})
    assert name(linked, "F.relu") == ("torch.nn.functional.relu",)


def test_a_library_name_through_two_star_imports(project: Build) -> None:
    linked = project({"base.py": "from torch import *", "train.py": "from base import *"})
    assert name(linked, "randn") == ("torch.randn",)


def test_star_import_brings_what_all_lists(project: Build) -> None:
    linked = project({"m.py": "__all__ = ['_a']\ndef _a(): pass\ndef b(): pass", "train.py": "from m import *"})
    assert name(linked, "_a") == ("m.py:_a",)
    assert name(linked, "b") == ()


def test_star_import_brings_no_private_names(project: Build) -> None:
    linked = project({"m.py": "def _a(): pass\ndef b(): pass", "train.py": "from m import *"})
    assert name(linked, "_a") == ()
    assert name(linked, "b") == ("m.py:b",)


def test_an_imported_variable_is_named_but_defines_nothing(project: Build) -> None:
    linked = project({"log.py": "import logging\nlogger = logging.getLogger()", "train.py": "from log import logger"})
    assert name(linked, "logger.info") == ("log.py:logger.info",)
    assert linked.definition("log.py:logger.info") is None


def test_import_cycles_end(project: Build) -> None:
    linked = project(
        {"a.py": "from b import *\nfrom b import x", "b.py": "from a import *\nfrom a import x\ndef y(): pass"}
    )
    assert name(linked, "y", "a.py") == ("b.py:y",)
    assert linked.imports.order("a.py") == ("b.py", "a.py")
    assert linked.imports.order("b.py") == ("a.py", "b.py")


def test_a_script_finds_its_sibling_though_the_root_is_no_package(project: Build) -> None:
    files = {
        "one/train.py": "import utils",
        "one/utils.py": "def f(): pass",
        "two/train.py": "import utils",
        "two/utils.py": "def f(): pass",
    }
    linked = project(files)
    assert name(linked, "utils.f", "one/train.py") == ("one/utils.py:f",)
    assert name(linked, "utils.f", "two/train.py") == ("two/utils.py:f",)


@pytest.mark.parametrize(
    "addition",
    [
        "sys.path.append('..')",
        "sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..'))",
        "sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))",
        "sys.path.append(str(Path(__file__).resolve().parents[1]))",
        "sys.path.append(str(Path(__file__).parent.parent))",
        "ROOT = os.path.abspath(os.path.join(__file__, os.pardir, '..'))\nsys.path += []\nsys.path.append(ROOT)",
        "def add(path):\n    if path not in sys.path:\n        sys.path.insert(0, path)\nadd(os.path.join(here, '..'))",
    ],
)
def test_directories_added_to_sys_path_are_searched(project: Build, addition: str) -> None:
    start = "import os, sys\nfrom pathlib import Path\nhere = os.path.dirname(__file__)\n"
    linked = project(
        {
            "work/tools/train.py": start + addition + "\nimport models",
            "work/models.py": "def build(): pass",
            "other/models.py": "def build(): pass",
        }
    )
    assert name(linked, "models.build", "work/tools/train.py") == ("work/models.py:build",)


def test_a_unique_dotted_suffix_is_found(project: Build) -> None:
    linked = project({"code/net/layers.py": "def f(): pass", "scripts/train.py": "from net.layers import f"})
    assert name(linked, "f", "scripts/train.py") == ("code/net/layers.py:f",)


def test_an_ambiguous_suffix_is_not_guessed(project: Build) -> None:
    linked = project(
        {"a/layers.py": "def f(): pass", "b/layers.py": "def f(): pass", "scripts/train.py": "from layers import f"}
    )
    assert name(linked, "f", "scripts/train.py") == ("layers.f",)


@pytest.mark.parametrize("library", ["torch", "numpy", "json"])
def test_a_distant_file_is_no_library(project: Build, library: str) -> None:
    linked = project({f"tests/fakes/{library}.py": "def load(): pass", "train.py": f"import {library}"})
    assert name(linked, f"{library}.load") == (f"{library}.load",)


def test_a_data_directory_named_like_a_library_is_not_imported(project: Build) -> None:
    linked = project({"datasets/prepare.py": "def run(): pass", "train.py": "from datasets import load_dataset"})
    assert name(linked, "load_dataset") == ("datasets.load_dataset",)


def test_a_declared_requirement_is_not_guessed_from_a_suffix(project: Build) -> None:
    files = {"vendor/fancy.py": "def f(): pass", "train.py": "import fancy"}
    assert name(project(files), "fancy.f") == ("vendor/fancy.py:f",)
    declared = Repository(dependencies=(Dependency("fancy", "", "requirements.txt", 1),))
    assert name(project(files, declared), "fancy.f") == ("fancy.f",)


def test_a_module_of_a_package_is_not_found_by_a_part_of_its_name(project: Build) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/a/__init__.py": "",
        "pkg/b/__init__.py": "",
        "pkg/b/use.py": "import fancy",
        "pkg/a/fancy.py": "import fancy\ndef f(): pass",
        "pkg/a/use.py": "import fancy",
        "pkg/a/script.py": "import own",
        "pkg/a/own.py": "def f(): pass",
        "pkg/train.py": "from a.own import f",
    }
    linked = project(files)
    assert name(linked, "fancy.f", "pkg/b/use.py") == ("fancy.f",)
    assert name(linked, "fancy.f", "pkg/a/use.py") == ("fancy.f",)
    assert name(linked, "own.f", "pkg/a/script.py") == ("pkg/a/own.py:f",)
    assert name(linked, "f", "pkg/train.py") == ("pkg/a/own.py:f",)


def test_a_file_that_imports_a_library_of_its_name_does_not_hide_it(project: Build) -> None:
    linked = project({"tools/logging.py": "import logging\ndef init(): pass", "tools/use.py": "import logging"})
    assert name(linked, "logging.info", "tools/logging.py") == name(linked, "logging.info", "tools/use.py")
    assert name(linked, "logging.info", "tools/use.py") == ("logging.info",)


def test_a_package_that_wraps_a_library_of_its_name_is_not_that_library(project: Build) -> None:
    files = {
        "acme/__init__.py": "",
        "acme/fancy/__init__.py": "x = 1",
        "acme/fancy/use.py": "import fancy.core as core",
    }
    linked = project(files | {"acme/fancy/core.py": "def f(): pass"})
    assert name(linked, "core.f", "acme/fancy/use.py") == ("fancy.core.f",)


def test_packages_without_init_are_packages(project: Build) -> None:
    linked = project(
        {"lib/net/layers.py": "def f(): pass", "train.py": "import net.layers\nfrom net import layers as l"}
    )
    assert name(linked, "net.layers.f") == name(linked, "l.f") == ("lib/net/layers.py:f",)


@pytest.mark.parametrize(
    ("statement", "dotted", "expected"),
    [
        ("from . import b", "b.f", "pkg/sub/b.py:f"),
        ("from .b import f", "f", "pkg/sub/b.py:f"),
        ("from .. import c", "c.f", "pkg/c.py:f"),
        ("from ..c import f", "f", "pkg/c.py:f"),
        ("from .. import sub", "sub.b.f", "pkg/sub/b.py:f"),
        ("from ._native import f", "f", "pkg.sub._native.f"),
    ],
)
def test_relative_imports_go_by_path(project: Build, statement: str, dotted: str, expected: str) -> None:
    linked = project(
        {
            "src/pkg/__init__.py": "", "src/pkg/c.py": "def f(): pass", "src/pkg/sub/__init__.py": "",
            "src/pkg/sub/b.py": "def f(): pass", "src/pkg/sub/a.py": statement,
        }
    )  # fmt: skip
    expected = f"src/{expected}" if ":" in expected else expected
    assert name(linked, dotted, "src/pkg/sub/a.py") == (expected,)


def test_a_package_that_imports_its_own_submodule_names_the_submodule(project: Build) -> None:
    linked = project(
        {"pkg/__init__.py": "from . import b\nfrom pkg import c\n", "pkg/b.py": "def f(): pass", "pkg/c.py": ""}
    )
    assert name(linked, "b.f", "pkg/__init__.py") == ("pkg/b.py:f",)
    assert name(linked, "c.g", "pkg/__init__.py") == ("pkg/c.py:g",)


def test_relative_import_above_the_root_is_unknown(project: Build) -> None:
    assert name(project({"train.py": "from ...x import f"}), "f") in ((), ("x.f",))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/pkg/mod.py", "pkg.mod"),
        ("src/pkg/__init__.py", "pkg"),
        ("src/pkg/plain/deep.py", "pkg.plain.deep"),
        ("scripts/train.py", "scripts.train"),
        ("train.py", "train"),
        ("apps/one/acme/core.py", "acme.core"),
    ],
)
def test_module_names(project: Build, path: str, expected: str) -> None:
    files = ["src/pkg/__init__.py", "src/pkg/mod.py", "src/pkg/plain/deep.py", "scripts/train.py", "train.py"]
    linked = project(dict.fromkeys([*files, "apps/one/acme/__init__.py", "apps/one/acme/core.py"], ""))
    assert linked.modules[path].name == expected
    found = linked.module_named(expected)
    assert found is not None
    assert found.path == path


def test_modules_run_depth_first_packages_before_what_is_in_them(project: Build) -> None:
    linked = project(
        {
            "train.py": "import b\nfrom pkg.sub import mod\nif __name__ == '__main__':\n    import late",
            "b.py": "import c", "c.py": "", "late.py": "", "lazy.py": "", "types_only.py": "",
            "pkg/__init__.py": "from . import base", "pkg/base.py": "", "pkg/sub/__init__.py": "",
            "pkg/sub/mod.py": """
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    import types_only
                def f():
                    import lazy
                class A:
                    import c
            """,
            "other.py": "import train",
        }
    )  # fmt: skip
    ran = ("c.py", "b.py", "pkg/base.py", "pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/mod.py")
    assert linked.imports.order("train.py") == (*ran, "late.py", "train.py")
    assert linked.imports.order("other.py") == (*ran, "train.py", "other.py")
    assert {"lazy.py", "types_only.py"} <= linked.imports.closure("train.py")
    assert "other.py" not in linked.imports.closure("train.py")
    assert linked.imports.importers("c.py") == {"b.py", "pkg/sub/mod.py"}


@pytest.mark.parametrize(
    "code",
    [
        "import pkgutil, importlib as i\nfor m in pkgutil.iter_modules(__path__): i.import_module('.' + m, __name__)",
        "import os, importlib as i\nfor f in os.listdir(os.path.dirname(__file__)): i.import_module('pkg.' + f)",
        "import importlib\ndef get(name): return importlib.import_module(f'pkg.{name}')",
        "import importlib\ndef get(name): return importlib.import_module('pkg.%s' % name)",
        "import importlib\ndef get(name): return importlib.import_module('pkg.{}'.format(name))",
        "import importlib\ndef get(name): return importlib.import_module(f'{__name__}.{name}')",
        "import importlib\nm = importlib.import_module('pkg.plugin')",
        "REGISTRY = {'x': 'pkg.plugin.Plugin'}",
        "REGISTRY = {'x': 'pkg.plugin:Plugin'}",
    ],
)
def test_scanned_modules(project: Build, code: str) -> None:
    linked = project({"pkg/__init__.py": code, "pkg/plugin.py": "class Plugin: pass", "orphan/dead.py": ""})
    assert "pkg/plugin.py" in linked.imports.scanned
    assert "orphan/dead.py" not in linked.imports.scanned


@pytest.mark.parametrize(
    "repository",
    [
        Repository(
            configs=(ConfigFile("conf/m.yaml", "yaml", (Leaf(("model", "_target_"), "pkg.plugin.Plugin", 1),)),)
        ),
        Repository(configs=(ConfigFile("c.yaml", "yaml", (Leaf(("class_path",), "pkg.plugin.Plugin", 1),)),)),
        Repository(configs=(ConfigFile("pkg/t.yaml", "yaml", (Leaf(("f",), "plugin.Plugin", 1, "!function"),)),)),
        Repository(entry_points=(EntryPoint("acme.plugins", "x", "pkg.plugin:Plugin", "setup.py", 3),)),
        Repository(commands=(Command(("python", "-m", "pkg.plugin"), "run.sh", 1, "shell"),)),
        Repository(commands=(Command(("torchrun", "--nproc_per_node=2", "pkg/plugin.py"), "run.sh", 1, "shell"),)),
        Repository(commands=(Command(("python", "plugin.py"), "run.sh", 1, "shell", "pkg"),)),
    ],
    ids=["hydra", "class_path", "function-tag", "entry-point", "python-m", "torchrun", "cd"],
)
def test_modules_named_outside_python_are_scanned(project: Build, repository: Repository) -> None:
    linked = project({"pkg/__init__.py": "", "pkg/plugin.py": "class Plugin: pass"}, repository)
    assert "pkg/plugin.py" in linked.imports.scanned


def test_a_file_name_is_no_mention_of_a_module(project: Build) -> None:
    linked = project({"config.py": "x = 1", "train.py": "open('config.json')"})
    assert not linked.imports.scanned


def test_mro_mixes_project_and_library_classes(project: Build) -> None:
    linked = project(
        {
            "base.py": "import torch\nclass Base(torch.nn.Module):\n    def fit(self): pass",
            "net.py": """
                from base import Base
                class Mixin: pass
                class Net(Mixin, Base): pass
                class Odd(Net, make()): pass
            """,
        }
    )
    assert linked.mro("net.py:Net") == ("net.py:Net", "net.py:Mixin", "base.py:Base", "torch.nn.Module")
    assert linked.mro("net.py:Odd")[-1] == "?"
    method = linked.method("net.py:Odd", "fit")
    assert method is not None
    assert method.name == "base.py:Base.fit"
    assert [d.name for d in linked.subclasses("torch.nn.Module")] == ["base.py:Base", "net.py:Net", "net.py:Odd"]


def test_the_users_knowledge_names_project_definitions(project: Build) -> None:
    linked = project({"acme/__init__.py": "from .repro import seed_all", "acme/repro.py": "def seed_all(): pass"})
    assert linked.linked("acme.seed_all") == linked.linked("acme.repro.seed_all") == ("acme/repro.py:seed_all",)
    assert linked.linked("numpy.random.seed") == ()


FILES = {
    "a.py": "from b import *\nfrom c import f as g\nimport pkg",
    "b.py": "from c import *\nfrom a import *\nfrom pkg import thing",
    "c.py": "from a import g\nfrom b import thing\ndef f(): pass",
    "pkg/__init__.py": """
        from .mod import *
        from . import other
        try:
            from c import f as thing
        except ImportError:
            from b import f as thing
    """,
    "pkg/mod.py": "from .. import a\nfrom c import g\nclass K(other.Base): pass\nfrom pkg import other",
    "pkg/other.py": "from pkg.mod import *\nclass Base:\n    from c import f\n    def m(self): pass",
}
QUESTIONS = [
    (path, dotted)
    for path, dotted in itertools.product(
        FILES, ["f", "g", "thing", "pkg.thing", "K.m", "K.f", "other.K.m", "pkg.other.f"]
    )
]


@settings(max_examples=60, deadline=None)
@given(st.permutations(QUESTIONS), st.permutations(list(FILES)))
def test_answers_do_not_depend_on_the_order_of_questions_or_files(
    questions: list[tuple[str, str]], order: list[str]
) -> None:
    linked = build_project({path: FILES[path] for path in order})
    assert {(path, dotted): name(linked, dotted, path) for path, dotted in questions} == ANSWERS


# Each asked of a project of its own: nothing was remembered.
ANSWERS = {(path, dotted): name(build_project(FILES), dotted, path) for path, dotted in QUESTIONS}


def test_a_chain_of_a_thousand_re_exports_does_not_crash() -> None:
    files = {f"m{i}.py": f"from m{i + 1} import *" for i in range(1000)} | {"m1000.py": "def f(): pass"}
    linked = build_project(files)
    assert name(linked, "f", "m990.py") == ("m1000.py:f",)
    assert name(linked, "f", "m0.py") in ((), ("m1000.py:f",))
    assert len(linked.imports.order("m0.py")) == 1001
    assert len(linked.imports.closure("m0.py")) == 1001
