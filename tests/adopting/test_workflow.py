from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mldebt.adopting.draft import Draft
from mldebt.adopting.workflow import add_workflow, default_branch

Git = Callable[..., str]
OURS = ".github/workflows/mldebt.yml"


def drafted(root: Path) -> Draft:
    draft = Draft(root)
    add_workflow(draft, "1.2", "main")
    return draft


def test_a_workflow_that_compares_pull_requests(tmp_path: Path) -> None:
    (change,) = drafted(tmp_path).changes()
    said = yaml.safe_load(change.after)
    checkout, ours = said["jobs"]["debt"]["steps"]
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}
    assert ours == {"uses": "mldebt/mldebt@v1.2", "with": {"diff-base": "auto"}}
    assert said["permissions"] == {}


def test_the_workflow_fits_githubs_schema(tmp_path: Path) -> None:
    (change,) = drafted(tmp_path).changes()
    file = tmp_path / "mldebt.yml"
    file.write_text(change.after)
    script = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [str(script), "--builtin-schema", "vendor.github-workflows", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_our_action_has_the_inputs_the_workflow_gives(tmp_path: Path) -> None:
    action = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text(encoding="utf-8"))
    (change,) = drafted(tmp_path).changes()
    given = yaml.safe_load(change.after)["jobs"]["debt"]["steps"][1]["with"]
    assert set(given) <= set(action["inputs"])


@pytest.mark.parametrize("name", ["mldebt.yml", "lint.yaml"])
def test_a_workflow_that_runs_us_stays(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / name).write_text("steps:\n- run: mldebt scan\n")
    assert drafted(tmp_path).changes() == []


def test_a_folder_that_leads_out_of_the_repository_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (root / ".github").symlink_to(tmp_path / "outside")
    draft = drafted(root)
    assert draft.changes() == []
    assert draft.notes == [f"{OURS} is left alone: it leads out of the repository"]


def test_the_default_branch_is_the_origins(tmp_path: Path, git: Git) -> None:
    assert default_branch(tmp_path) == "main"
    git(tmp_path, "init", "-q", "-b", "trunk")
    assert default_branch(tmp_path) == "trunk"
    git(tmp_path, "symbolic-ref", "HEAD", "refs/heads/topic")
    assert default_branch(tmp_path) == "main"
    git(tmp_path, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop")
    assert default_branch(tmp_path) == "develop"


@pytest.mark.parametrize("name", ["a]: {}", "x y", "1.0", "-x"])
def test_a_strange_branch_never_becomes_yaml(tmp_path: Path, git: Git, name: str) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".git/refs/remotes/origin").mkdir(parents=True)
    (tmp_path / ".git/refs/remotes/origin/HEAD").write_text(f"ref: refs/remotes/origin/{name}\n")
    assert default_branch(tmp_path) == "main"
