"""The GitHub Action: its steps as written in ``action.yml``, run as the runner runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SARIF = Path(__file__).parent / "report/schemas/sarif-2.1.0.json"

# Rules by name: what others come to find in these few lines is no matter here.
PYPROJECT = """\
[project]
name = "trainer"
version = "1"
[tool.mldebt]
select = ["MLD0", "MLD309", "MLD404", "MLD505"]
"""
UNSEEDED = """\
from sklearn.model_selection import train_test_split


def split(rows):
    return train_test_split(rows)
"""
BOOLEAN = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument('--amp', type=bool)
print(parser.parse_args().amp)
"""

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|\|\||&&|==|!=|!|\(|\)|[\w.-]+)")


class Expression:
    """A GitHub expression: literals, contexts, status functions, ``!``, ``==``, ``!=``, ``&&``, ``||``."""

    def __init__(self, text: str, contexts: Mapping[str, Any]) -> None:
        self._tokens = _TOKEN.findall(text)
        assert "".join(self._tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), f"not understood: {text}"
        self._contexts = contexts

    def value(self) -> Any:
        value = self._or()
        assert not self._tokens, self._tokens
        return value

    def _or(self) -> Any:
        left = self._and()
        while self._next("||"):
            right = self._and()
            left = left or right
        return left

    def _and(self) -> Any:
        left = self._equal()
        while self._next("&&"):
            right = self._equal()
            left = left and right
        return left

    def _equal(self) -> Any:
        left = self._unary()
        if self._next("=="):
            return left == self._unary()
        return left != self._unary() if self._next("!=") else left

    def _unary(self) -> Any:
        if self._next("!"):
            return not self._unary()
        if self._next("("):
            value = self._or()
            assert self._next(")")
            return value
        word = self._tokens.pop(0)
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if self._next("("):
            assert self._next(")")
            return self._contexts[f"{word}()"]
        found: Any = self._contexts
        for part in word.split("."):
            found = found.get(part, "") if isinstance(found, Mapping) else ""
        return found

    def _next(self, token: str) -> bool:
        found = bool(self._tokens) and self._tokens[0] == token
        if found:
            self._tokens.pop(0)
        return found


@dataclass
class Job:
    """What came of the action's steps: exit codes by step, the log, the files of each step, and the uses."""

    codes: dict[str, int] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def annotations(self) -> list[tuple[str, str, str]]:
        """Kind, properties and message of the commands GitHub would obey, those between stop-commands left out."""
        found, token = [], ""
        for line in self.log.splitlines():
            if token:
                token = "" if line == f"::{token}::" else token
            elif match := re.match(r"\s*::stop-commands::(.*)", line):
                token = match[1]
            elif match := re.match(r"\s*::([\w-]+)(?: (.*?))?::(.*)", line):
                found.append((match[1], match[2] or "", match[3]))
        return [each for each in found if each[0] not in ("group", "endgroup")]


Run = Callable[..., Job]


class Runner:
    """Runs composite actions: each step in a shell of its own, expressions in ``env`` and ``with`` evaluated."""

    def __init__(self, temp: Path, workspace: Path, event: Mapping[str, str]) -> None:
        self._temp, self._workspace, self._event = temp, workspace, event

    def run(self, inputs: Mapping[str, str], steps: Mapping[str, Mapping[str, str]], action: Path) -> Job:
        """``steps`` are outputs of steps that were run before, which are not run again."""
        assert set(inputs) <= set(ACTION["inputs"])
        given = {name: each.get("default", "") for name, each in ACTION["inputs"].items()} | dict(inputs)
        done: dict[str, Any] = {name: {"outputs": dict(outputs)} for name, outputs in steps.items()}
        job, failed = Job(), False
        for number, step in enumerate(ACTION["runs"]["steps"]):
            contexts = {"inputs": given, "steps": done, "cancelled()": False, "always()": True, "success()": not failed}
            if step.get("id") in steps or not self._wanted(step, contexts, failed=failed):
                continue
            if "uses" in step:
                job.used.append((step["uses"], {k: self._filled(v, contexts) for k, v in step["with"].items()}))
                continue
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "no expression may reach a shell"
            folder = self._temp / f"step-{number}"
            code, outputs = self._step(step, contexts, folder, action, job)
            failed = failed or code != 0
            job.codes[step.get("id", str(number))] = code
            done[step.get("id", str(number))] = {"outputs": outputs}
        contexts = {"steps": done, "inputs": given}
        job.outputs = {name: self._filled(each["value"], contexts) for name, each in ACTION["outputs"].items()}
        return job

    @staticmethod
    def _wanted(step: Mapping[str, Any], contexts: Mapping[str, Any], *, failed: bool) -> bool:
        condition = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(step.get("if", "success()")))
        if not re.search(r"\b(?:success|always|cancelled|failure)\(\)", condition) and failed:
            return False
        return bool(Expression(condition, contexts).value())

    @staticmethod
    def _filled(text: str, contexts: Mapping[str, Any]) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(Expression(match[1], contexts).value()), text)

    def _step(
        self, step: Mapping[str, Any], contexts: Mapping[str, Any], folder: Path, action: Path, job: Job
    ) -> tuple[int, dict[str, str]]:
        folder.mkdir(exist_ok=True)
        script = folder / "script.sh"
        script.write_text(step["run"])
        files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH")}
        for file in files.values():
            file.write_text("")
        env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")},
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(action),
            "GITHUB_WORKSPACE": str(self._workspace),
            "GITHUB_REPOSITORY": "team/trainer",
            "RUNNER_TEMP": str(self._temp),
            **self._event,
            **{name: str(file) for name, file in files.items()},
            **{name: self._filled(value, contexts) for name, value in step.get("env", {}).items()},
        }
        cwd = self._workspace / self._filled(step.get("working-directory", "."), contexts)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        job.log += done.stdout
        job.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        assert files["GITHUB_ENV"].read_text() == files["GITHUB_PATH"].read_text() == ""
        return done.returncode, outputs_of(files["GITHUB_OUTPUT"].read_text())


def outputs_of(text: str) -> dict[str, str]:
    """``name=value`` lines and ``name<<mark`` blocks, as the runner reads them."""
    found: dict[str, str] = {}
    rows = iter(text.splitlines())
    for row in rows:
        name, heredoc, mark = row.partition("<<")
        if heredoc and "=" not in name:
            value: list[str] = []
            for line in rows:
                if line == mark:
                    break
                value.append(line)
            found[name] = "\n".join(value)
        else:
            name, _, found_value = row.partition("=")
            found[name] = found_value
    return found


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The checkout of a pull request: ``origin/main`` has one finding, the branch adds another."""
    folder = tmp_path / "trainer"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "old.py").write_text(UNSEEDED)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(folder, "checkout", "--quiet", "-b", "amp")
    (folder / "new.py").write_text(BOOLEAN)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "second")
    return folder


@pytest.fixture
def pull_request(tmp_path: Path) -> dict[str, str]:
    """The environment of a pull request from the same repository."""
    return event(tmp_path, "team/trainer")


def event(folder: Path, repository: str | None) -> dict[str, str]:
    head = None if repository is None else {"full_name": repository}
    file = folder / "event.json"
    file.write_text(json.dumps({"pull_request": {"head": {"repo": head}}}))
    return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file), "GITHUB_BASE_REF": "main"}


@pytest.fixture
def run(workspace: Path, tmp_path: Path, home: Path, environment: Callable[..., Path]) -> Run:
    """Runs the action in the workspace, with mldebt installed already; only the first step is not run."""
    temp = tmp_path / "temp"
    temp.mkdir()
    bin_folder = environment("flake8", "flake8") / "bin"

    def call(event: Mapping[str, str] | None = None, **inputs: str) -> Job:
        runner = Runner(temp, workspace, event or {"GITHUB_EVENT_NAME": "push"})
        named = {name.replace("_", "-"): value for name, value in inputs.items()}
        return runner.run(named, {"install": {"bin": str(bin_folder)}}, ROOT)

    return call


def test_all_of_it_from_an_empty_machine(
    workspace: Path, tmp_path: Path, home: Path, copied: Callable[[Path], Path], pull_request: dict[str, str]
) -> None:
    """The one test that installs: what the other tests skip is the first step."""
    temp = tmp_path / "temp"
    temp.mkdir()
    (workspace / "venv.py").write_text("raise SystemExit('the scanned repository was run')\n")
    (workspace / "pip.py").write_text("raise SystemExit('the scanned repository was run')\n")
    (workspace / "click.py").write_text("raise SystemExit('the scanned repository was run')\n")
    job = Runner(temp, workspace, pull_request).run(
        {"diff-base": "auto", "upload-sarif": "true", "python": sys.executable}, {}, copied(tmp_path / "action")
    )
    assert job.codes == {"install": 0, "scan": 1}, job.log
    assert [(kind, message.split()[0]) for kind, _, message in job.annotations] == [("warning", "--amp")]
    assert [uses.partition("@")[0] for uses, _ in job.used] == ["github/codeql-action/upload-sarif"]
    assert (temp / "mldebt/bin/mldebt").is_file()


def test_a_pull_request_shows_what_is_new_in_it(run: Run, pull_request: dict[str, str]) -> None:
    job = run(pull_request, diff_base="auto")
    assert job.codes == {"scan": 1}
    ((kind, properties, message),) = job.annotations
    assert (kind, message.partition(" is ")[0]) == ("warning", "--amp")
    assert "file=new.py,line=4," in properties
    assert job.outputs["new-findings"] == job.outputs["exit-code"] == "1"
    assert 0 <= float(job.outputs["score"]) <= 100
    assert job.outputs["grade"] in set("ABCDEF")
    assert "MLD404" not in job.summary.partition("### Fix first")[0]
    assert "| Score since `origin/main` |" in job.summary
    assert "| **1** (1 major), 5 min to pay back |" in job.summary


def test_a_push_shows_everything(run: Run) -> None:
    job = run(diff_base="auto")
    assert job.outputs["new-findings"] == "2"
    assert len(job.annotations) == 2
    assert "### Findings" in job.summary


def test_the_baseline_is_known_debt(run: Run, workspace: Path, environment: Callable[..., Path]) -> None:
    create = [str(environment("flake8", "flake8") / "bin/mldebt"), "baseline", "create", "--baseline", "debt.json"]
    subprocess.run(create, cwd=workspace, check=True, capture_output=True)
    job = run(baseline="debt.json")
    assert (job.codes["scan"], job.outputs["new-findings"], job.annotations) == (0, "0", [])
    assert "| Not reported | 2 known |" in job.summary


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"fail_on": "critical"}, 0),
        ({"fail_on": "major"}, 1),
        ({"fail_on": "critical", "fail_under": "99.9"}, 1),
        ({"severity": "critical"}, 0),
        ({"ignore": "MLD3,MLD404"}, 0),
        ({"select": "MLD309", "path": "old.py"}, 0),
        ({"path": "old.py\nnew.py"}, 1),
        ({"args": "--exit-zero --no-cache"}, 0),
        ({"working_directory": "below"}, 0),
    ],
)
def test_inputs_decide_what_fails(run: Run, workspace: Path, inputs: dict[str, str], code: int) -> None:
    (workspace / "below").mkdir()
    (workspace / "below/pyproject.toml").write_text("[project]\nname = 'below'\nversion = '1'\n")
    (workspace / "below/clean.py").write_text("print(1)\n")
    job = run(**inputs)
    assert job.codes["scan"] == code, job.log
    assert job.outputs["exit-code"] == str(code)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"diff_base": "nowhere"}, "nowhere"),
        ({"path": "nowhere.py"}, "nowhere.py: no such file or directory"),
        ({"fail_on": "terrible"}, "'terrible' is not one of"),
        ({"args": "--select 'MLD"}, "args: No closing quotation"),
        ({"summary": "yes"}, "summary: 'yes' is neither true nor false"),
    ],
)
def test_a_mistake_is_an_error_and_never_a_pass(run: Run, inputs: dict[str, str], words: str) -> None:
    job = run(**inputs, upload_sarif="true")
    assert (job.codes["scan"], job.outputs["exit-code"], job.outputs["score"]) == (2, "2", "")
    ((kind, _, message),) = job.annotations
    assert kind == "error"
    assert words in message
    assert "Traceback" not in job.log
    assert job.used == []


def test_switches(run: Run) -> None:
    job = run(annotations="false", summary="false")
    assert (job.annotations, job.summary, job.used) == ([], "", [])
    assert "new.py:4:1: MLD309 [major]" in job.log


def test_the_sarif_file_is_uploaded_when_asked(run: Run, workspace: Path, pull_request: dict[str, str]) -> None:
    job = run(pull_request, upload_sarif="true", sarif_file="out put.sarif", category="debt")
    ((uses, given),) = job.used
    assert uses.startswith("github/codeql-action/upload-sarif@")
    assert given == {"sarif_file": str(workspace / "out put.sarif"), "category": "debt"}
    log = json.loads((workspace / "out put.sarif").read_text())
    Draft4Validator(json.loads(SARIF.read_text())).validate(log)
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["MLD309", "MLD404"]


@pytest.mark.parametrize("repository", ["somebody/trainer", None])
def test_a_fork_gets_annotations_and_no_upload(run: Run, tmp_path: Path, repository: str | None) -> None:
    job = run(event(tmp_path, repository), diff_base="auto", upload_sarif="true")
    assert job.used == []
    assert [kind for kind, _, _ in job.annotations] == ["warning", "notice"]
    assert "a pull request from a fork has a read-only token" in job.log
    assert job.summary


def test_dependabot_gets_no_upload(run: Run, pull_request: dict[str, str]) -> None:
    job = run({**pull_request, "GITHUB_ACTOR": "dependabot[bot]"}, upload_sarif="true")
    assert job.used == []


def test_the_worst_come_first_and_within_githubs_limits(run: Run, workspace: Path) -> None:
    for number in range(15):
        (workspace / f"split_{number}.py").write_text(UNSEEDED)
    (workspace / "loss.py").write_text(
        "import torch\n\n\ndef loss(x, y):\n    return torch.nn.CrossEntropyLoss()(torch.softmax(x, 1), y)\n"
    )
    job = run()
    kinds = [kind for kind, _, _ in job.annotations]
    assert kinds == ["error", *["warning"] * 10, "notice"]
    assert job.annotations[-1][2].startswith("7 more")
    assert job.summary.count("| major | `MLD404`") == 16


HOSTILE = "$(touch pwned); `touch pwned` \"'; touch pwned #\n::error::fake\n%0A${{ github.token }}"


@pytest.mark.parametrize("name", sorted(set(ACTION["inputs"]) - {"python", "version", "working-directory"}))
def test_no_input_is_run(run: Run, workspace: Path, name: str) -> None:
    """Whatever an input says: it is a value nobody understands, or a value."""
    job = run(**{name.replace("-", "_"): HOSTILE}, **({} if name == "upload-sarif" else {"upload_sarif": "false"}))
    assert not list(workspace.rglob("pwned"))
    assert ("error", "", "fake") not in job.annotations
    assert job.codes["scan"] in (1, 2)


@pytest.mark.parametrize("name", ["python", "version"])
def test_no_input_of_the_installation_is_run(workspace: Path, tmp_path: Path, home: Path, name: str) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    inputs = {"python": sys.executable, name: HOSTILE.splitlines()[0]}
    job = Runner(temp, workspace, {"GITHUB_EVENT_NAME": "push"}).run(inputs, {}, ROOT)
    assert job.codes == {"install": job.codes["install"]}
    assert job.codes["install"] != 0
    assert not [*workspace.rglob("pwned"), *temp.rglob("pwned")]


def test_names_and_words_of_the_repository_are_no_commands(run: Run, workspace: Path) -> None:
    """A file may be called anything, and a configuration may say anything."""
    name = "a,b:c%0A\n::error file=x::fake\n`x`|<b>.py"
    (workspace / name).write_text(BOOLEAN)
    (workspace / "pyproject.toml").write_text(PYPROJECT + 'plugins = ["x\\n::error::fake"]\n')
    job = run()
    assert "fake" in job.log
    assert not [each for each in job.annotations if each[2].startswith("fake")]
    assert len(job.annotations) == 3
    (hostile,) = (properties for _, properties, _ in job.annotations if "a%2Cb%3Ac%250A%0A" in properties)
    assert "::" not in hostile
    assert "<b>" not in re.sub(r"`+[^`]*`+", "", job.summary)


def test_a_ref_is_no_option_and_no_command(run: Run, workspace: Path) -> None:
    job = run(diff_base="--output=/dev/null")
    assert job.codes["scan"] == 2
    git(workspace, "update-ref", "refs/heads/$(touch${IFS}pwned)", "HEAD~1")
    job = run(diff_base="$(touch${IFS}pwned)")
    assert (job.codes["scan"], job.outputs["new-findings"]) == (1, "1")
    assert not list(workspace.rglob("pwned"))


def test_an_output_is_one_output(run: Run) -> None:
    job = run(sarif_file="a\nscore=99\n.sarif")
    assert job.outputs["sarif-file"].endswith("/a\nscore=99\n.sarif")
    assert job.outputs["score"] != "99"


def test_outside_of_a_workflow_it_says_what_to_do(shell: Callable[..., Any]) -> None:
    done = shell("action")
    assert done.returncode == 2
    assert "mldebt scan does the same" in done.stderr


def test_every_input_and_output_is_documented() -> None:
    page = (ROOT / "docs/action.md").read_text(encoding="utf-8")
    assert [name for name in (*ACTION["inputs"], *ACTION["outputs"]) if f"`{name}`" not in page] == []


def test_every_use_is_pinned_and_says_its_version() -> None:
    uses = [
        line
        for file in (ROOT / "action.yml", *WORKFLOWS)
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.match(r"\s*(?:- )?uses:", line) and "uses: ./" not in line
    ]
    assert len(uses) >= 4
    assert not [line for line in uses if not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)]


def test_the_workflows_use_what_is_here() -> None:
    texts = {file.stem: file.read_text(encoding="utf-8") for file in WORKFLOWS}
    assert "uses: ./" in texts["mldebt"]
    assert "run: .ci/run" in texts["ci"]
    given = yaml.safe_load(texts["mldebt"])["jobs"]["debt"]["steps"][-1]["with"]
    assert set(given) <= set(ACTION["inputs"])


@pytest.mark.parametrize(
    "command",
    [
        ["check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)],
        ["check-jsonschema", "--builtin-schema", "custom.github-workflows-require-timeout", *map(str, WORKFLOWS)],
        ["zizmor", "--offline", "--quiet", "action.yml", *map(str, WORKFLOWS)],
    ],
    ids=["action", "workflows", "timeouts", "zizmor"],
)
def test_the_tools_of_the_trade_find_nothing(command: list[str]) -> None:
    tool = Path(sys.executable).with_name(command[0])
    done = subprocess.run([str(tool), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
