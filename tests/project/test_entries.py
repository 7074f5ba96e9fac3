"""Entry points, what launches them, and the roles their sinks give them."""

from __future__ import annotations

import pytest

from mldebt.project.entries import Entry
from mldebt.project.project import Project, ProjectOptions
from mldebt.sources.artefacts import Command, EntryPoint, Repository
from tests.conftest import Build

MAIN = "\nif __name__ == '__main__':\n    main()\n"


def entries(project: Project) -> dict[str, str]:
    """Kinds by name."""
    return {entry.name: entry.kind for entry in project.entries}


def only(project: Project) -> Entry:
    (entry,) = project.entries
    return entry


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("train.py", "def main(): pass" + MAIN, {"train.py": "main"}),
        ("train.py", "import hydra\n@hydra.main(config_path='c')\ndef main(cfg): pass" + MAIN, {"train.py": "hydra"}),
        ("train.py", "import hydra\n@hydra.main()\ndef main(cfg): pass", {"train.py:main": "hydra"}),
        ("train.py", "import click\n@click.command()\ndef main(): pass" + MAIN, {"train.py": "click"}),
        (
            "cli.py",
            "import typer\napp = typer.Typer()\n@app.command()\ndef fit(): pass\n@app.command()\ndef serve(): pass",
            {"cli.py:fit": "typer", "cli.py:serve": "typer"},
        ),
        (
            "dags/d.py",
            "from airflow.decorators import dag\n@dag()\ndef pipeline(): pass",
            {"dags/d.py:pipeline": "airflow"},
        ),
        ("flow.py", "from prefect import flow\n@flow\ndef run(): pass", {"flow.py:run": "prefect"}),
        ("jobs.py", "import dagster as dg\n@dg.asset\ndef table(): pass", {"jobs.py:table": "dagster"}),
        ("steps.py", "from zenml import step\n@step\ndef fit(): pass", {"steps.py:fit": "zenml"}),
        (
            "nodes.py",
            "from kedro.pipeline import node\ndef clean(x): pass\nn = node(clean, 'a', 'b')",
            {"nodes.py:clean": "kedro"},
        ),
        ("acme/__main__.py", "from acme import run\nrun()", {"acme/__main__.py": "main"}),
        ("look.ipynb", "x = 1\nprint(x)", {"look.ipynb": "notebook"}),
        (
            "tests/test_a.py",
            "def test_x(): pass\nclass TestB:\n    def test_y(self): pass",
            {"tests/test_a.py": "test"},
        ),
        ("fit.py", "import pandas as pd\ndf = pd.read_csv('x')\nprint(df.describe())", {"fit.py": "side-effect"}),
        ("loop.py", "import torch\nfor step in range(3):\n    torch.rand(step)", {"loop.py": "side-effect"}),
        (
            "app.py",
            "from fastapi import FastAPI\napp = FastAPI()\n@app.post('/p')\ndef predict(b): pass",
            {"app.py": "serve"},
        ),
        ("fn.py", "def lambda_handler(event, context): pass", {"fn.py": "serve"}),
        ("library.py", "import logging\nlogger = logging.getLogger()\ndef f(): pass", {}),
        ("setup.py", "from setuptools import setup\nsetup()", {}),
        ("config.py", "import warnings\nwarnings.filterwarnings('ignore')", {}),
    ],
)
def test_kinds(project: Build, path: str, code: str, expected: dict[str, str]) -> None:
    assert entries(project({path: code})) == expected


def test_a_module_that_somebody_imports_is_no_script(project: Build) -> None:
    files = {"data.py": "print('loading')", "train.py": "import data\ndef main(): pass" + MAIN}
    assert entries(project(files)) == {"train.py": "main"}


def test_metaflow_steps_run_with_their_module(project: Build) -> None:
    code = """
        from metaflow import FlowSpec, step
        class Train(FlowSpec):
            @step
            def start(self): pass
        if __name__ == "__main__":
            Train()
    """
    entry = only(project({"flow.py": code}))
    assert [start.name for start in entry.starts] == ["flow.py:", "flow.py:Train.start"]


def test_a_function_handed_to_a_runner_runs_with_the_main_block(project: Build) -> None:
    code = "from absl import app\ndef main(argv): pass\nif __name__ == '__main__':\n    app.run(main)\n"
    entry = only(project({"train.py": code}))
    assert [start.name for start in entry.starts] == ["train.py:", "train.py:main"]


def test_every_launcher_is_attached_to_the_one_entry(project: Build) -> None:
    repository = Repository(
        commands=(
            Command(("python", "train.py", "--lr", "1"), "run.sh", 3, "shell"),
            Command(("torchrun", "train.py"), "Makefile", 7, "make"),
        ),
        entry_points=(EntryPoint("console_scripts", "acme-train", "train:main", "pyproject.toml", 9),),
    )
    entry = only(project({"train.py": "def main(): pass" + MAIN}, repository))
    assert [(place.path, place.span.line) for place in entry.launchers] == [
        ("Makefile", 7), ("pyproject.toml", 9), ("run.sh", 3),
    ]  # fmt: skip
    assert entry.line == 2


def test_a_console_script_is_followed_through_re_exports(project: Build) -> None:
    repository = Repository(entry_points=(EntryPoint("console_scripts", "acme", "acme:main", "setup.cfg", 4),))
    linked = project({"acme/__init__.py": "from .cli import main", "acme/cli.py": "def main(): pass"}, repository)
    assert entries(linked) == {"acme/cli.py:main": "script"}


def test_a_launched_file_without_main_block_is_an_entry(project: Build) -> None:
    repository = Repository(commands=(Command(("python", "-m", "acme.fit"), "Dockerfile", 5, "docker"),))
    linked = project({"acme/__init__.py": "", "acme/fit.py": "import acme"}, repository)
    assert entries(linked) == {"acme/fit.py": "launched"}


def test_launches_understood(project: Build) -> None:
    commands = [("python", "train.py"), ("python", "gone.py"), ("python", "-m", "pip", "install", "x"), ("ls",)]
    repository = Repository(commands=tuple(Command(words, "run.sh", 1, "shell") for words in commands))
    assert project({"train.py": "def main(): pass" + MAIN}, repository).launches_understood == 0.5


def test_a_main_block_that_only_dispatches_leaves_its_commands(project: Build) -> None:
    code = """
        import typer
        app = typer.Typer()
        @app.command()
        def fit(): pass
        @app.command()
        def score(): pass
        if __name__ == "__main__":
            app()
    """
    repository = Repository(commands=(Command(("python", "cli.py", "fit"), "run.sh", 2, "shell"),))
    linked = project({"cli.py": code}, repository)
    assert {entry.name: len(entry.launchers) for entry in linked.entries} == {"cli.py:fit": 1, "cli.py:score": 1}


def test_tests_and_examples_are_flagged(project: Build) -> None:
    linked = project({"tests/test_a.py": "def test_x(): pass", "examples/run.py": "def main(): pass" + MAIN})
    assert {entry.name: (entry.is_test, entry.is_example) for entry in linked.entries} == {
        "tests/test_a.py": (True, False),
        "examples/run.py": (False, True),
    }


TORCH = """
    import torch
    def main():
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = model(torch.zeros(2)).sum()
        loss.backward()
        optimizer.step()
    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("from sklearn.svm import SVC\nSVC().fit(x, y)", {"train"}),
        ("from sklearn.svm import SVC\nbuild().fit(x, y)", {"train"}),
        ("import xgboost as xgb\nxgb.train({}, d)", {"train"}),
        ("from stable_baselines3 import PPO\nPPO('MlpPolicy', env).learn(100)", {"train"}),
        ("from lightning.pytorch import Trainer\nTrainer().fit(m)", {"train"}),
        ("from transformers import Trainer\nTrainer(model=m).train()", {"train"}),
        ("import optax\nparams = optax.apply_updates(params, updates)", {"train"}),
        ("from sklearn.preprocessing import StandardScaler\nStandardScaler().fit(x)", set()),
        ("from scipy.optimize import curve_fit\ncurve_fit(f, x, y)", set()),
        ("import numpy as np\nnp.polynomial.Polynomial.fit(x, y, 2)", set()),
        ("import matplotlib.pyplot as plt\nfig.fit()", set()),
        ("import re\nre.compile('a').match(x)", set()),
        ("import optuna\noptuna.create_study()", {"tune"}),
        ("from sklearn.model_selection import train_test_split as s\ns(x)", {"split"}),
        ("from sklearn.metrics import accuracy_score\naccuracy_score(a, b)", {"eval"}),
        ("from sklearn import metrics as m\nm.f1_score(a, b)", {"eval"}),
        ("from sklearn.svm import SVC\nfrom sklearn.metrics import f1_score\nSVC().fit(x)\nf1_score(a, b)", {"train"}),
        ("import torch\nmodel.load_state_dict(torch.load('m'))\nmodel.eval()\nmodel(x)", {"predict"}),
        ("import joblib\nm = joblib.load('m')\nm.predict(x)", {"predict"}),
        ("import torch, uvicorn\nm = torch.jit.load('m')\nm.eval()\nuvicorn.run(app)", {"serve"}),
        ("import pandas as pd\npd.read_csv('a').to_parquet('b')", {"preprocess"}),
        ("import torch\ntorch.onnx.export(m, x, 'm.onnx')", {"export"}),
        ("import seaborn as sns\nsns.heatmap(x)", {"plot"}),
        ("from matplotlib import pyplot as plt\nplt.savefig('x.png')", {"plot"}),
        ("import torch\nenv.step(a)", set()),
        ("import torch\no = torch.optim.Adam(p)\nfor x in d:\n    o.zero_grad()\n    scale(loss, o)", {"train"}),
        ("import torch\no = torch.optim.Adam(p)\nm.load_state_dict(torch.load('m'))\nm.eval()", set()),
        ("print(1)", set()),
    ],
)
def test_roles(project: Build, body: str, expected: set[str]) -> None:
    code = body + "\nif __name__ == '__main__':\n    print('done')\n"
    linked = project({"anything.py": code})
    assert linked.roles(only(linked)) == expected


def test_roles_are_found_behind_calls_in_other_files(project: Build) -> None:
    linked = project(
        {
            "train.py": "from engine import Engine\ndef main():\n    Engine().run()" + MAIN,
            "engine.py": """
                class Engine:
                    def run(self):
                        self.epoch()
                    def epoch(self):
                        self.loss.backward()
                        self.optimizer.step()
            """,
        }
    )
    entry = only(linked)
    assert linked.roles(entry) == {"train"}
    assert [(role, place.path, place.span.line) for role, place in linked.sinks(entry)] == [
        ("train", "engine.py", 5), ("train", "engine.py", 6),
    ]  # fmt: skip


def test_a_function_handed_to_a_call_counts_as_run(project: Build) -> None:
    code = """
        def closure():
            loss.backward()
        def main(optimizer):
            optimizer.step(closure)
        if __name__ == "__main__":
            main(make())
    """
    linked = project({"lbfgs.py": code})
    assert linked.roles(only(linked)) == {"train"}


def test_backward_without_step_does_not_train(project: Build) -> None:
    linked = project({"saliency.py": TORCH.replace("        optimizer.step()\n", "")})
    assert linked.roles(only(linked)) == set()
    linked = project({"train.py": TORCH})
    assert linked.roles(only(linked)) == {"train"}


def test_an_imported_modules_main_block_is_not_run(project: Build) -> None:
    linked = project({"train.py": TORCH, "show.py": "import train\ndef main():\n    print(train)" + MAIN})
    roles = {entry.name: linked.roles(entry) for entry in linked.entries}
    assert roles == {"train.py": {"train"}, "show.py": set()}


def test_a_projects_own_fit_is_judged_by_what_it_does(project: Build) -> None:
    linked = project(
        {
            "train.py": "import sklearn\nfrom own import Model\ndef main():\n    Model().fit(1)" + MAIN,
            "own.py": "class Model:\n    def fit(self, x): return x",
        }
    )
    assert linked.roles(only(linked)) == set()


@pytest.mark.parametrize(
    ("init", "installable", "setting", "expected"),
    [
        ("from .core import fit", True, None, True),
        ("", True, None, False),
        ("from .core import fit", False, None, False),
        ("", False, True, True),
        ("from .core import fit", True, False, False),
    ],
)
def test_library_mode(project: Build, init: str, installable: bool, setting: bool | None, expected: bool) -> None:
    files = {"src/acme/__init__.py": init, "src/acme/core.py": "def fit(): pass"}
    repository = Repository(installable=installable, packages=("src/acme",))
    assert project(files, repository, ProjectOptions(library=setting)).library is expected
