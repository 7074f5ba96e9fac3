"""Shell completion: what is offered, and a real bash that asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click import shell_completion
from click.testing import Result

from mldebt.cli.completion import SHELLS
from mldebt.cli.main import COMMANDS
from mldebt.settings.formats import FORMATS

Run = Callable[..., Result]
BIN = Path(sys.executable).parent


def bash(*words: str) -> list[str]:
    """What a bash that has evaluated the script offers for the last of the words."""
    script = (
        'eval "$(mldebt completion bash)"\n'
        "complete -p mldebt | grep -q _mldebt_completion || exit 9\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mldebt_completion mldebt\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", "mldebt", *words],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.split()


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


@needs_bash
@pytest.mark.usefixtures("home")
def test_bash_completes_commands() -> None:
    assert set(bash("")) >= {name for name, _, _ in COMMANDS}
    assert bash("entr") == ["entries"]


@needs_bash
@pytest.mark.usefixtures("home")
def test_bash_completes_formats_shells_and_rules() -> None:
    assert bash("scan", "--output-format", "rdjson") == ["rdjson", "rdjsonl"]
    assert set(bash("scan", "--output-format", "")) == set(FORMATS)
    assert bash("completion", "z") == ["zsh"]
    assert bash("rule", "MLD404") == ["MLD404"]
    assert bash("scan", "--select", "MLD401,unseeded-sk") == ["MLD401,unseeded-sklearn-object"]
    assert bash("scan", "--output-f") == ["--output-format"]


def test_every_shell_click_knows_is_there() -> None:
    assert set(SHELLS) == set(shell_completion._available_shells)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_that_calls_back(run: Run, shell: str) -> None:
    done = run("completion", shell, trust=False)
    assert done.exit_code == 0
    assert "_MLDEBT_COMPLETE" in done.stdout
    assert f"{shell}_complete" in done.stdout
    assert shell != "zsh" or done.stdout.startswith("#compdef mldebt\n")  # or zsh does not load it from a file


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_the_shell_can_read(run: Run, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    script = tmp_path / "script"
    script.write_text(run("completion", shell, trust=False).stdout)
    subprocess.run([shell, "-n", str(script)], check=True)


def test_an_unknown_shell_is_refused(run: Run) -> None:
    assert run("completion", "tcsh", trust=False).exit_code == 2


def test_completing_a_command_imports_none_of_them() -> None:
    program = (
        "import os, sys\nos.environ.update(COMP_WORDS='mldebt ', COMP_CWORD='1', _MLDEBT_COMPLETE='bash_complete')\n"
        "from mldebt.cli.main import main\n"
        "try:\n    main([])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'libcst', 'rich', 'yaml', 'mldebt.cli.scan', 'mldebt.cli.rules'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
