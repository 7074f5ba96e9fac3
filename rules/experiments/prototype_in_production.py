"""MLD213 prototype-in-production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from mldebt.facts.schema import Const, Try
from mldebt.facts.walk import statements
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import CallSite, Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule
from mldebt.sources.artefacts import Command

from .areas import Areas, is_exported
from .executed_notebooks import executed

_EXPORTED = re.compile(r"#\s*In\s*\[[\d ]*\]:?\s*")
_CELL = re.compile(r"#\s*%%.*")
_PAIRED = re.compile(r"#\s*(?:jupytext|jupyter|kernelspec)\s*:|#\s*format_name\s*:")
_MAGICS = re.compile(r"(?:run_line_magic|run_cell_magic|magic|system|getoutput|run_cell)$")
_SERVERS = frozenset("fastapi flask django starlette sanic tornado aiohttp bentoml ray grpc litserve".split())
_MOST_CELLS = 5
_HEAD = 30  # lines in which jupytext says so
_RUNS_NOTEBOOK = re.compile(
    r"\bpapermill\b|\bnbconvert\b.*--execute|--execute\b.*\bnbconvert\b|\bjupyter[- ]run\b|\.ipynb\b"
)

_PREDICT = """
    # coding: utf-8

    # In[1]:

    import joblib

    # In[7]:

    get_ipython().system("pip install xgboost")
    model = joblib.load("model.pkl")


    def predict(x):
        return model.predict(x)
    """
_APP = """
    from flask import Flask

    from src.serving.predict import predict

    app = Flask(__name__)


    @app.route("/predict")
    def answer():
        return str(predict([[1]]))
    """
_CLEAN = """
    import joblib


    def predict(x):
        return joblib.load("model.pkl").predict(x)
    """


class PrototypeInProduction(ProjectRule):
    """A notebook saved as a script, or a notebook itself, runs in production.

    Reported are the marks of an exported notebook (`# In[7]:`, calls of `get_ipython()`, more than five `# %%` cells)
    in a module that others import or that serves, containers that start a notebook, workflows (Airflow, Prefect,
    Dagster, Kubeflow, Luigi) and timetables (cron, scheduled CI jobs) that execute one, and a gradio demo with
    `share=True` where nothing else serves.

    ## Why it is debt

    "Time pressures may encourage a prototyping system to be used as a production solution." An exported notebook runs
    everything on import, keeps its state in globals, and installs packages while it serves; nobody can test it.

    ## How to pay it back

    Rewrite what production needs as a module of functions with tests, and let the notebook import it.

    ## When to leave it

    Notebooks paired by jupytext say so in their header; notebooks in folders for experiments and documents are where
    they belong; asking whether IPython is there (`try: get_ipython()`) is no mark; a notebook that is a declared stage
    of a pipeline (papermill in dvc, Make or a workflow) is accepted.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6: prototype smell.
    * J. F. Pimentel et al., "A large-scale study about quality and reproducibility of Jupyter notebooks", MSR 2019.
    """

    code: ClassVar[str] = "MLD213"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 60
    examples = (
        Bad({"src/serving/predict.py": _PREDICT, "src/serving/app.py": _APP}, anchors=("src/serving/predict.py:3",)),
        Bad(
            {
                "Dockerfile": 'FROM python:3.11\nCOPY . .\nCMD ["papermill", "serve.ipynb", "out.ipynb"]\n',
                "a.py": "print(1)\n",
            },
            anchors=("Dockerfile:3",),
        ),
        Bad(
            {
                "features.py": "\n".join(f"# %%\na{number} = {number}\n" for number in range(7)),
                "train.py": "from features import a1\n\nprint(a1)\n",
            }
        ),
        Bad(
            {
                "dags/retrain.py": """
                from airflow import DAG
                from airflow.operators.bash import BashOperator

                REPO = "/opt/churn"

                with DAG("retrain", schedule="@weekly") as dag:
                    train = BashOperator(
                        task_id="train",
                        bash_command=f"cd {REPO} && jupyter nbconvert --to notebook --execute train.ipynb",
                    )
                """,
            },
            anchors=("dags/retrain.py:9",),
        ),
        Bad(
            {
                "flows/nightly.py": """
                import papermill as pm
                from prefect import flow


                @flow
                def nightly(day):
                    pm.execute_notebook("score.ipynb", f"out/{day}.ipynb", parameters={"day": day})
                """,
            },
            anchors=("flows/nightly.py:7",),
        ),
        Bad(
            {
                ".github/workflows/retrain.yml": "on:\n  schedule:\n    - cron: '0 3 * * 1'\njobs:\n  a:\n"
                "    steps:\n      - run: jupyter nbconvert --to notebook --execute train.ipynb\n",
                "a.py": "print(1)\n",
            },
            anchors=(".github/workflows/retrain.yml:7",),
        ),
        Bad({"deploy/crontab": "0 3 * * 1 cd /srv && papermill train.ipynb out.ipynb\n", "a.py": "print(1)\n"}),
        Good(
            {
                ".github/workflows/test.yml": "on: [push]\njobs:\n  a:\n    steps:\n"
                "      - run: jupyter nbconvert --to notebook --execute docs/tutorial.ipynb\n",
                "a.py": "print(1)\n",
            }
        ),
        Good(
            {
                "tools/report.py": """
                import papermill as pm


                def report(out):
                    pm.execute_notebook("report.ipynb", out)
                """,
            }
        ),
        Good(
            {
                "dags/retrain.py": """
                from airflow import DAG
                from airflow.operators.bash import BashOperator

                with DAG("retrain", schedule="@weekly") as dag:
                    train = BashOperator(task_id="train", bash_command="cd /opt/churn && python train.py")
                    page = BashOperator(task_id="page", bash_command="jupyter nbconvert --to html report.ipynb")
                """,
            }
        ),
        Good({"src/serving/predict.py": _CLEAN, "src/serving/app.py": _APP}),
        Good({"notebooks/look.py": _PREDICT, "src/serving/app.py": "print(1)\n"}),
        Good(
            {
                "features.py": "# ---\n# jupyter:\n#   jupytext:\n#     formats: ipynb,py:percent\n# ---\n"
                + "\n".join(f"# %%\na{number} = {number}\n" for number in range(7)),
                "train.py": "from features import a1\n\nprint(a1)\n",
            }
        ),
        Good(
            {
                "shell.py": """
                def in_notebook():
                    try:
                        return get_ipython().__class__.__name__ == "ZMQInteractiveShell"
                    except NameError:
                        return False
                """,
                "train.py": "from shell import in_notebook\n\nprint(in_notebook())\n",
            }
        ),
        Good(
            {
                "dvc.yaml": "stages:\n  report:\n    cmd: papermill report.ipynb out.ipynb\n    outs: [out.ipynb]\n",
                "train.py": "print(1)\n",
            }
        ),
        Good(
            {
                "display.py": """
                def show_inline():
                    get_ipython().run_line_magic("matplotlib", "inline")
                """,
                "report.py": "from display import show_inline\n\nshow_inline()\n",
            }
        ),
        Good({"analysis.py": _PREDICT, "train.py": "print(1)\n"}),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        marked = (module for module in project.modules.values() if _is_marked(module))
        candidates = [module for module in marked if any(_exported(module, []))]
        areas = project[Areas]
        serving = {
            entry.definition.module.path
            for entry in (project.entries if candidates else ())
            if entry.kind in ("serve", "script") or "serve" in project.roles(entry)
        }
        for module in candidates:
            used = [one for one in project.imports.importers(module.path) if _counts(project.modules[one], areas)]
            if (used or module.path in serving) and not areas.of(module.path):
                yield from _exported(module, used)
        yield from _shared(project)
        yield from executed(project)
        for command in project.repository.commands:
            if command.kind == "docker" and _RUNS_NOTEBOOK.search(" ".join(command.words)) and _runs(command):
                place = Place(command.path, Span(command.line))
                yield Problem(place, f"the container runs a notebook: {' '.join(command.words)[:80]}")


def _is_marked(module: Module) -> bool:
    """Whether anything in a file looks like a notebook: asked of every file, before anything dear is."""
    if module.role != "project" or module.is_test or module.path.endswith(".ipynb"):
        return False
    return "get_ipython" in module.mentions or any(
        comment.alone and comment.text.lstrip("# ").startswith(("In", "%%")) for comment in module.facts.comments
    )


def _shared(project: Project) -> Iterator[Problem]:
    """Demos that gradio tunnels to everybody, where nothing else serves."""
    heads = {fact.module.partition(".")[0] for module in project.modules.values() for fact in module.facts.imports}
    if "gradio" not in heads or not _SERVERS.isdisjoint(heads):
        return
    for module in project.modules.values():
        if module.role != "project" or module.path.endswith(".ipynb"):
            continue  # a notebook on a rented machine has no other way to show a demo
        if not any(fact.module.startswith("gradio") for fact in module.facts.imports):
            continue
        for index in module.scopes_using(("launch",)):
            for site in module.call_sites(index):
                share = next((one.value for one in site.call.keywords if one.name == "share"), None)
                if getattr(site.call.function, "name", "").endswith("launch") and share == Const(True):
                    yield Problem(module.place(site), "the only thing that serves is a demo shared by a public tunnel")


def _counts(importer: Module, areas: Areas) -> bool:
    """Whether what imports a module is production: no test, experiment, notebook, nor another exported one."""
    if importer.is_test or importer.is_example or importer.role != "project" or importer.path.endswith(".ipynb"):
        return False
    return not areas.of(importer.path) and not is_exported(importer)


def _runs(command: Command) -> bool:
    """Whether the command runs the notebook: not copies it, nor starts a server to edit it."""
    return command.words[0] not in ("cp", "mv", "rm", "ls", "echo", "pip", "COPY") and "lab" not in command.words


def _exported(module: Module, used: list[str]) -> Iterator[Problem]:
    comments = [comment for comment in module.facts.comments if comment.alone]
    if any(_PAIRED.match(comment.text) for comment in comments if comment.line <= _HEAD):
        return
    cells = [comment for comment in comments if _EXPORTED.fullmatch(comment.text)]
    percent = [comment for comment in comments if _CELL.fullmatch(comment.text)]
    marks = cells or (percent if len(percent) > _MOST_CELLS else [])
    asked = [site for site in _shell_calls(module) if marks or site.scope == 0]  # a function may be for notebooks
    places = [module.place(comment) for comment in marks] + [module.place(site) for site in asked]
    if places:
        first, *others = sorted(places)
        by = f"imported by {', '.join(sorted(used)[:3])}" if used else "serves"
        yield Problem(
            first,
            f"this module is a notebook saved as a script ({len(marks)} cell marks, {len(places) - len(marks)} calls of"
            f" IPython), and {by}",
            tuple(Related(place, "another mark of a notebook") for place in others[:20]),
            symbol="notebook",
        )


def _shell_calls(module: Module) -> list[CallSite]:
    """Calls of IPython's magics; asking whether it runs is none, nor what a ``try`` allows to fail."""
    if "get_ipython" not in module.mentions:
        return []
    found = []
    for index in module.scopes_using(("get_ipython", "run_line_magic", "run_cell_magic", "magic", "system")):
        body = module.body(index)
        if any(isinstance(stmt, Try) for stmt in statements(body)):
            continue
        for site in module.call_sites(index):
            receiver = getattr(site.call.function, "value", None)
            name = getattr(site.call.function, "name", "")
            inner = getattr(getattr(receiver, "function", None), "name", "")
            if inner.endswith("get_ipython") and _MAGICS.search(name) and isinstance((*site.call.args, None)[0], Const):
                found.append(site)
    return found
