from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

Run = Callable[..., Result]
Git = Callable[..., str]
HOOKS, BASELINE, WORKFLOW = ".pre-commit-config.yaml", "mldebt-baseline.json", ".github/workflows/mldebt.yml"


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Git) -> Path:
    """A repository that has never heard of us, with some debt, and the working directory."""
    root = tmp_path / "fresh"
    (root / "experiments").mkdir(parents=True)
    (root / "train.py").write_text(
        "import random\n\nif __name__ == '__main__':\n    from sklearn.model_selection import train_test_split\n"
        "    print(train_test_split(list(range(9))), random.random())\n"
    )
    (root / "experiments/probe.py").write_text("print(1)\n")
    (root / "run.sh").write_text("python train.py\n")
    (root / "pyproject.toml").write_text("# ours\n[tool.ruff]\nline-length = 99  # wide\n")
    git(root, "init", "-q", "-b", "main")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def init(run: Run) -> Run:
    def call(*arguments: str, **more: Any) -> Result:
        return run("init", *arguments, trust=False, **more)

    return call


def content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git/" not in str(p)}


def test_everything_is_set_up(fresh: Path, init: Run, run: Run) -> None:
    assert run("scan", trust=False).exit_code == 1
    result = init("--yes")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith(f"wrote {WORKFLOW}, {HOOKS}, {BASELINE}, pyproject.toml\n")
    text = (fresh / "pyproject.toml").read_text()
    assert text.startswith("# ours\n[tool.ruff]\nline-length = 99  # wide\n")
    assert text.endswith(
        "\n\n[tool.mldebt]\n# An application: it is run here. Started by run.sh.\n"
        'library = false\nexperiment-dirs = ["experiments"]\n'
    )
    assert yaml.safe_load((fresh / HOOKS).read_text())["repos"][0]["hooks"] == [
        {"id": "mldebt"},
        {"id": "mldebt-project"},
    ]
    assert json.loads((fresh / BASELINE).read_text())["findings"]
    assert run("scan", trust=False).exit_code == 0
    settings = run("scan", "--show-settings", trust=False).stdout
    assert "library = false  # pyproject.toml" in settings
    assert "experiment-dirs = ['experiments']  # pyproject.toml" in settings


def test_a_second_run_has_nothing_to_do(fresh: Path, init: Run) -> None:
    init("--yes")
    before = content(fresh)
    (fresh / "more.py").write_text("import random\n\nif __name__ == '__main__':\n    random.random()\n")
    result = init("--yes")
    assert (result.exit_code, result.stdout) == (0, f"{fresh}: nothing to do\n")
    assert content(fresh).items() >= before.items()


def test_the_diff_comes_first_and_nobody_to_ask_is_no(fresh: Path, init: Run) -> None:
    before = content(fresh)
    result = init()
    assert result.exit_code == 0
    for line in ("+[tool.mldebt]", '+external = ["MLD"]', f"+++ b/{HOOKS}", f"+++ b/{BASELINE}", f"+++ b/{WORKFLOW}"):
        assert line in result.stdout
    assert "nothing written: there is nobody to ask; --yes writes these 4 files" in result.stderr
    assert content(fresh) == before


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_it_asks(fresh: Path, init: Run, monkeypatch: pytest.MonkeyPatch, answer: str, written: bool) -> None:
    monkeypatch.setattr("mldebt.cli.init._is_terminal", lambda: True)
    result = init(stdin=answer)
    assert "Write these 4 files?" in result.stderr
    assert (fresh / BASELINE).exists() is written


def test_what_is_there_is_never_overwritten(fresh: Path, init: Run) -> None:
    (fresh / "pyproject.toml").write_text("[tool.mldebt]\nlibrary = true # no, really\n")
    (fresh / HOOKS).write_text("repos:\n- repo: local\n  hooks:\n  - id: mldebt\n")
    (fresh / BASELINE).write_text('{"v": 1, "findings": {}}\n')
    (fresh / WORKFLOW).parent.mkdir(parents=True)
    (fresh / WORKFLOW).write_text("on: push # by hand\n")
    before = content(fresh)
    assert init("--yes").stdout == f"{fresh}: nothing to do\n"
    assert content(fresh) == before


def test_hooks_are_added_to_those_there_are(fresh: Path, init: Run) -> None:
    mine = (
        "# mine\nrepos:\n- repo: https://github.com/psf/black\n  rev: 24.1.0\n  hooks:\n  - id: black # as we like it\n"
    )
    (fresh / HOOKS).write_text(mine)
    init("--yes")
    text = (fresh / HOOKS).read_text()
    assert text.startswith(mine)
    assert [repo["repo"] for repo in yaml.safe_load(text)["repos"]] == [
        "https://github.com/psf/black",
        "https://github.com/mldebt/mldebt",
    ]


@pytest.mark.parametrize(
    ("option", "path"), [("--no-baseline", BASELINE), ("--no-pre-commit", HOOKS), ("--no-workflow", WORKFLOW)]
)
def test_each_part_can_be_left_out(fresh: Path, init: Run, option: str, path: str) -> None:
    init("--yes", option)
    assert not (fresh / path).exists()
    assert sum((fresh / each).exists() for each in (BASELINE, HOOKS, WORKFLOW)) == 2


def test_without_pyproject_settings_are_a_file_of_our_own(fresh: Path, init: Run) -> None:
    (fresh / "pyproject.toml").unlink()
    init("--yes")
    assert (fresh / "mldebt.toml").read_text().startswith("# An application")


def test_a_folder_of_a_repository_gets_no_hooks_of_its_own(fresh: Path, init: Run) -> None:
    (fresh / "services").mkdir()
    (fresh / "services/pyproject.toml").write_text("[project]\n")
    (fresh / "services/main.py").write_text("print(1)\n")
    result = init("--yes", "services")
    assert "services/ is a folder of a git repository: hooks and workflows belong at its top" in result.stderr
    assert sorted(content(fresh / "services")) == ["main.py", BASELINE, "pyproject.toml"]


def test_what_cannot_be_edited_is_said_and_the_rest_is_done(fresh: Path, init: Run) -> None:
    (fresh / HOOKS).write_text("repos: []\n")
    result = init("--yes")
    assert f"note: {HOOKS} is left as it is: add the hooks mldebt and mldebt-project" in result.stderr
    assert (fresh / HOOKS).read_text() == "repos: []\n"
    assert (fresh / BASELINE).exists()


def test_links_out_of_the_repository_are_left_alone(fresh: Path, init: Run) -> None:
    outside = fresh.parent / "outside"
    outside.mkdir()
    (fresh / ".github").symlink_to(outside)
    (fresh / BASELINE).symlink_to(outside / "baseline.json")
    init("--yes")
    assert list(outside.iterdir()) == []


def test_critical_debt_is_said_not_accepted(fresh: Path, init: Run) -> None:
    (fresh / "loss.py").write_text(
        "import torch\n\n\ndef step(model, x, y):\n"
        "    return torch.nn.CrossEntropyLoss()(torch.softmax(model(x), dim=-1), y)\n"
    )
    assert "critical and not accepted; `mldebt baseline update --force --include-critical` does" in init("--yes").stderr
