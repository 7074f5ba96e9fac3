"""``mldebt action``: one scan in a GitHub workflow, and everything a workflow wants to have of it.

Inputs come as ``MLDEBT_INPUT_*`` from the environment, where ``action.yml`` puts them: no shell reads them. What is
printed holds names and words of the scanned code, in which GitHub must not find workflow commands.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mldebt.cli.main import TROUBLE
from mldebt.cli.main import main as mldebt
from mldebt.cli.options import GroupedCommand
from mldebt.cli.terminal import emit
from mldebt.errors import UsageError

INPUT = "MLDEBT_INPUT_"
# Inputs that are options of `mldebt scan`, given on as they are.
OPTIONS = ("baseline", "config", "confidence", "fail-on", "fail-under", "ignore", "select", "severity")
SWITCHES = ("annotations", "summary", "trust-plugins", "upload-sarif")


@click.command("action", cls=GroupedCommand)
def command() -> int:
    """Scan in a GitHub workflow: annotations, job summary, SARIF file and outputs. action.yml calls this."""
    if "GITHUB_ACTIONS" not in os.environ:
        raise UsageError("mldebt action runs in a GitHub workflow; elsewhere, mldebt scan does the same")
    inputs = Inputs(os.environ)
    with tempfile.TemporaryDirectory(prefix="mldebt-action-") as folder:
        scan = _scanned(inputs, Path(folder))
    emit(_quoted(scan.log))
    if scan.code == TROUBLE:
        words = scan.log.strip().splitlines()[-1:] or ["it failed"]
        emit(f"::error title=mldebt::{_escaped(words[0].removeprefix('error: '))}")
    elif inputs.switch("annotations"):
        emit(scan.annotations)
    if scan.summary and inputs.switch("summary"):
        _append("GITHUB_STEP_SUMMARY", scan.summary)
    may_upload = scan.sarif is not None and inputs.switch("upload-sarif")
    if may_upload and (why := _read_only(os.environ)):
        emit(f"::notice title=mldebt::SARIF is not uploaded: {why}. The annotations and the summary have the findings.")
        may_upload = False
    for name, value in {**scan.outputs, "upload": "true" if may_upload else "false"}.items():
        _append("GITHUB_OUTPUT", _assigned(name, value))
    return scan.code


class Inputs:
    """The inputs of the action, by the names action.yml gives them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        return self._environment.get(INPUT + name.upper().replace("-", "_"), "").strip()

    def switch(self, name: str) -> bool:
        """Raises UsageError unless the input is ``true``, ``false`` or empty, which is false."""
        value = self.text(name).lower()
        if value not in ("true", "false", ""):
            raise UsageError(f"{name}: {value!r} is neither true nor false")
        return value == "true"

    @property
    def diff_base(self) -> str:
        """``auto`` is the branch a pull request goes to, and nothing elsewhere."""
        said, target = self.text("diff-base"), self._environment.get("GITHUB_BASE_REF", "")
        if said != "auto":
            return said
        return f"origin/{target}" if target else ""

    @property
    def sarif(self) -> Path:
        return Path.cwd() / (self.text("sarif-file") or Path(self._environment["RUNNER_TEMP"], "mldebt.sarif"))

    def arguments(self, folder: Path) -> list[str]:
        """The command line of the scan, which writes into ``folder``. Raises UsageError when an input is nonsense."""
        for name in SWITCHES:
            self.switch(name)
        given = [f"--{name}={self.text(name)}" for name in OPTIONS if self.text(name)]
        if self.diff_base:
            given.append(f"--diff-base={self.diff_base}")
        if self.switch("trust-plugins"):
            given.append("--trust-plugins")
        reports = {
            "github": folder / "annotations",
            "markdown": folder / "summary",
            "json": folder / "report",
            "sarif": self.sarif,
        }
        given += ["--output-format=concise", *(f"--output={form}:{path}" for form, path in reports.items())]
        paths = [line.strip() for line in self.text("path").splitlines() if line.strip()]
        return ["scan", *given, *self._more(), "--", *paths]

    def _more(self) -> list[str]:
        try:
            return shlex.split(self.text("args"))
        except ValueError as error:
            raise UsageError(f"args: {error}") from None


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan said and wrote. ``sarif`` is None when it came to nothing."""

    code: int
    log: str
    annotations: str = ""
    summary: str = ""
    report: Mapping[str, Any] | None = None
    sarif: Path | None = None

    @property
    def outputs(self) -> dict[str, str]:
        score = (self.report or {}).get("score")
        findings = (self.report or {}).get("findings")
        return {
            "exit-code": str(self.code),
            "score": "" if score is None else f"{score['value']:.1f}",
            "grade": "" if score is None else str(score["grade"]),
            "new-findings": "" if findings is None else str(len(findings)),
            "sarif-file": str(self.sarif or ""),
        }


def _scanned(inputs: Inputs, folder: Path) -> Scan:
    try:
        arguments = inputs.arguments(folder)
    except UsageError as error:
        return Scan(TROUBLE, f"error: {error}")
    log = io.StringIO()
    with redirect_stdout(log), redirect_stderr(log):
        code = mldebt.main(arguments, standalone_mode=False) or 0
    if not (folder / "report").is_file():
        return Scan(code or TROUBLE, log.getvalue())
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("annotations", "summary", "report")}
    report = json.loads(texts["report"])
    return Scan(code, log.getvalue(), texts["annotations"], texts["summary"], report, inputs.sarif)


def _read_only(environment: Mapping[str, str]) -> str:
    """Why the token of this run may not upload; empty when it may. The workflow's own permissions are not known."""
    if not environment.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        return ""
    if environment.get("GITHUB_ACTOR") == "dependabot[bot]":
        return "a pull request of Dependabot has a read-only token"
    event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    repository = event["pull_request"]["head"]["repo"]  # null once the fork is deleted
    if repository is None or repository["full_name"] != environment.get("GITHUB_REPOSITORY"):
        return "a pull request from a fork has a read-only token"
    return ""


def _quoted(text: str) -> str:
    """Text in a fold of the log in which GitHub looks for no commands."""
    token = secrets.token_hex(16)
    return f"::group::mldebt scan\n::stop-commands::{token}\n{text.rstrip()}\n::{token}::\n::endgroup::\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _assigned(name: str, value: str) -> str:
    """An output; a value can hold a line end, and the end mark cannot be guessed."""
    mark = f"mldebt_{secrets.token_hex(16)}"
    return f"{name}<<{mark}\n{value}\n{mark}\n"


def _append(variable: str, text: str) -> None:
    """Add to one of the files a workflow's step may write to."""
    file = os.environ.get(variable)
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)
