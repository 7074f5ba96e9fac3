"""How much a hand-off between programs weighs, and what `mldebt artefacts` shows of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mldebt_rules.glue.artefact_view import ArtefactView
from mldebt_rules.glue.processes import Processes
from mldebt_rules.glue.subprocess_glue import SubprocessGlue
from mldebt_rules.glue.undeclared_intermediate import UndeclaredIntermediate

from mldebt.finding import Finding
from mldebt.project.project import Project
from mldebt.registry import Registry
from mldebt.testing import run, write
from mldebt.view import Asked

Build = Callable[..., Project]
MAIN = 'if __name__ == "__main__":\n    '
CLEAN = f'import pandas as pd\n\n{MAIN}pd.read_csv("data/raw.csv").to_csv("data/clean.csv")\n'
TRAIN = f'import pandas as pd\n\n{MAIN}print(pd.read_csv("data/clean.csv"))\n'


def only(files: dict[str, str], folder: Path) -> Finding:
    outcome = run(UndeclaredIntermediate, write(files, folder), Registry((UndeclaredIntermediate,)))
    (finding,) = (one for one in outcome.report.findings if one.code == "MLD110")
    return finding


def test_files_that_a_readmes_commands_order_are_information(tmp_path: Path) -> None:
    files = {"clean.py": CLEAN, "train.py": TRAIN, "README.md": "```\npython clean.py\npython train.py\n```\n"}
    assert only(files, tmp_path).severity.label == "info"


def test_files_that_nothing_orders_are_major(tmp_path: Path) -> None:
    files = {"clean.py": CLEAN, "train.py": TRAIN, "README.md": "```\npython train.py\npython clean.py\n```\n"}
    assert only(files, tmp_path).severity.label == "major"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run.sh", "python clean.py\npython train.py\n"),
        ("Makefile", "all:\n\tpython clean.py\n\tpython train.py\n"),
    ],
)
def test_what_runs_both_in_order_makes_it_information(tmp_path: Path, file: str, text: str) -> None:
    files = {"clean.py": CLEAN, "train.py": TRAIN, file: text}
    assert only(files, tmp_path).severity.label == "info"


def test_a_program_that_calls_both_makes_it_information(tmp_path: Path) -> None:
    files = {
        name: text.replace(MAIN, "def main():\n    ") + f"\n{MAIN}main()\n"
        for name, text in (("clean.py", CLEAN), ("train.py", TRAIN))
    }
    files["all.py"] = f"import clean\nimport train\n\n{MAIN}clean.main()\n    train.main()\n"
    assert only(files, tmp_path).severity.label == "info"


def test_a_model_for_a_program_that_only_uses_it_is_the_product(tmp_path: Path) -> None:
    files = {
        "train.py": f"import joblib\nfrom sklearn.svm import SVC\n\n{MAIN}joblib.dump(SVC().fit(X, y), 'm1.joblib')\n",
        "predict.py": f"import joblib\n\n{MAIN}print(joblib.load('m1.joblib').predict([[1]]))\n",
    }
    finding = only(files, tmp_path)
    assert finding.severity.label == "info"
    assert "  train:" in finding.evidence


def test_the_evidence_is_a_dvc_yaml_to_begin_with(tmp_path: Path) -> None:
    evidence = only({"clean.py": CLEAN, "train.py": TRAIN}, tmp_path).evidence
    first = evidence.index("stages:")
    assert evidence[first + 1 : first + 3] == ("  clean:", "    cmd: python clean.py")


def test_one_writer_is_one_finding(tmp_path: Path) -> None:
    files = {
        "split.py": f'import numpy as np\n\n{MAIN}np.save("data/x.npy", 1)\n    np.save("data/y.npy", 2)\n',
        "fit.py": f'import numpy as np\n\n{MAIN}print(np.load("data/x.npy"), np.load("data/y.npy"))\n',
    }
    finding = only(files, tmp_path)
    assert [(one.place.path, one.role) for one in finding.related] == [
        ("split.py", "cause"),
        ("fit.py", "effect"),
        ("fit.py", "effect"),
    ]


def test_the_view_lists_who_writes_and_reads(project: Build) -> None:
    view = ArtefactView(project({"clean.py": CLEAN, "train.py": TRAIN}))
    assert set(view.names()) == {"data/clean.csv", "data/raw.csv"}
    values = view.values(Asked("data/clean.csv"))
    (node,) = values["artefacts"]
    assert [one["entries"] for one in node["written"]] == [["clean.py"]]
    assert [one["entries"] for one in node["read"]] == [["train.py"]]
    assert view.render(values, "text") == (
        "data/clean.csv (file; data)\n  written   clean.py:4 to_csv [clean.py]\n"
        "  read      train.py:4 pandas.read_csv [train.py]\n"
    )
    assert view.render(values, "dvc").startswith("stages:\n  clean:\n")


def test_the_view_shows_what_lies_below_a_path(project: Build) -> None:
    view = ArtefactView(project({"clean.py": CLEAN, "train.py": TRAIN}))
    shown = view.values(Asked(below=("train.py",)))["artefacts"]
    assert [node["name"] for node in shown] == ["data/clean.csv"]


def test_a_process_is_found_where_its_command_is_said(project: Build) -> None:
    files = {
        "shell.py": "import subprocess\n\ndef sh(command):\n    subprocess.check_call(command, shell=True)\n",
        "main.py": "from shell import sh\n\nsh('python prepare.py --out data')\nsh('git status')\n",
        "prepare.py": "print(1)\n",
    }
    (started,) = project(files)[Processes].all
    assert (started.place.path, started.target) == ("main.py", "prepare.py")


@pytest.mark.parametrize(
    "call",
    [
        'subprocess.run([sys.executable, "prepare.py"], env=env)',
        'subprocess.Popen([sys.executable, "prepare.py"])',
        'subprocess.run(["sbatch", "prepare.py"])',
        'subprocess.run(["torchrun", "prepare.py"])',
        'subprocess.run(["/opt/other/bin/tool", "prepare.py"])',
        'subprocess.run([sys.executable, "prepare.py", *sys.argv[1:]])',
        'subprocess.run([sys.executable, "setup.py", "build"])',
        "subprocess.run(command)",
    ],
)
def test_processes_that_are_wanted_as_such_are_left_alone(project: Build, call: str) -> None:
    files = {"main.py": f"import subprocess\nimport sys\n\n{call}\n", "prepare.py": "print(1)\n", "setup.py": "x = 1\n"}
    assert not project(files)[Processes].all


def test_a_file_the_repository_keeps_is_no_handoff(tmp_path: Path) -> None:
    folder = write({"clean.py": CLEAN, "train.py": TRAIN, "data/clean.csv": "a\n1\n"}, tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    assert codes(folder) == ["MLD110"]
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    assert codes(folder) == []


def codes(folder: Path) -> list[str]:
    outcome = run(UndeclaredIntermediate, folder, Registry((UndeclaredIntermediate,)))
    return [one.code for one in outcome.report.findings]


def test_commands_a_readme_shows_are_information_in_a_notebook(tmp_path: Path) -> None:
    cells = ["!python clean.py", "import pandas as pd\n\npd.read_csv('data/clean.csv')"]
    notebook = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
            for cell in cells
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    files = {"clean.py": CLEAN, "work.ipynb": json.dumps(notebook)}
    assert severities(files, tmp_path / "alone") == ["minor"]
    files["README.md"] = "```\npython clean.py\n```\n"
    assert severities(files, tmp_path / "shown") == ["info"]


def severities(files: dict[str, str], folder: Path) -> list[str]:
    outcome = run(SubprocessGlue, write(files, folder), Registry((SubprocessGlue,)))
    return [one.severity.label for one in outcome.report.findings]
