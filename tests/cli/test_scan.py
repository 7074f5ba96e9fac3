from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def found(result: Result) -> list[tuple[str, str, int]]:
    """Code, path and line of every finding in JSON output."""
    return [(each["code"], each["path"], each["line"]) for each in json.loads(result.stdout)["findings"]]


def test_a_finding_is_shown_and_makes_the_code_1(repository: Path, run: Run) -> None:
    result = run("scan")
    assert result.exit_code == 1
    assert "MLD091" in result.stdout
    assert "print(dice())" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_check_is_scan(repository: Path, run: Run) -> None:
    assert run("check", "--output-format", "json").stdout == run("scan", "--output-format", "json").stdout


def test_a_clean_repository_leaves_with_0(repository: Path, run: Run) -> None:
    (repository / "play.py").write_text("x = 1\n")
    assert run("scan").exit_code == 0


def test_concise_is_one_line_a_finding(repository: Path, run: Run) -> None:
    assert run("scan", "--output-format", "concise").stdout == "play.py:3:7: MLD091 [major] The dice has no sides.\n"


def test_json_stands_alone_on_standard_output(repository: Path, run: Run) -> None:
    result = run("scan", "--output-format", "json", "-v")
    assert found(result) == [("MLD091", "play.py", 3)]
    assert "configuration: " in result.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--fail-on", "major"], 1),
        (["--fail-on", "critical"], 0),
        (["--exit-zero"], 0),
        (["--severity", "critical"], 0),
        (["--ignore", "MLD0"], 0),
        (["--ignore", "bare-dice, MLD09"], 0),
        (["--select", "MLD091", "--ignore", "MLD0"], 1),
        (["--select", "MLD002"], 0),
    ],
)
def test_options_decide_what_counts(repository: Path, run: Run, options: list[str], code: int) -> None:
    assert run("scan", *options).exit_code == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such file or directory"),
        (["--select", "bare-dise"], "unknown rule 'bare-dise'; did you mean 'bare-dice'?"),
        (["--config", "missing.toml"], "missing.toml: no such file"),
        (["-j", "none"], "'none' is neither a number of processes nor 'auto'"),
        (["--fix", "--diff"], "exclude each other"),
        (["--severity", "bad"], "Invalid value for '--severity'"),
        (["--root", "play.py"], "not a directory"),
        (["-", "play.py"], "- stands alone"),
        (["-", "--fix"], "cannot write to standard input"),
    ],
)
def test_wrong_usage_leaves_with_2_and_one_message(
    repository: Path, run: Run, arguments: list[str], words: str
) -> None:
    result = run("scan", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_wrong_configuration_leaves_with_2(repository: Path, run: Run) -> None:
    (repository / "mldebt.toml").write_text("selct = []\n")
    result = run("scan")
    assert result.exit_code == 2
    assert result.stderr == "error: mldebt.toml:1: unknown key 'selct'; did you mean 'select'?\n"


def test_a_broken_pyproject_is_reported_and_the_scan_goes_on(repository: Path, run: Run) -> None:
    (repository / "mldebt.toml").unlink()
    (repository / "pyproject.toml").write_text("[project]\nname = \n")
    result = run("scan", "--output-format", "json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [(e["code"], e["path"], e["line"]) for e in report["errors"]] == [("MLD001", "pyproject.toml", 2)]
    assert report["files"] == 2


def test_a_repositorys_plugins_are_not_loaded_unasked(repository: Path, run: Run) -> None:
    (repository / "tools/bare_dice.py").write_text("raise SystemExit('was imported')")
    result = run("scan", trust=False)
    assert result.exit_code == 0
    assert "plugins not loaded without --trust-plugins: tools/bare_dice.py" in result.stderr


def test_a_plugin_that_cannot_be_loaded_leaves_with_2(repository: Path, run: Run) -> None:
    (repository / "tools/bare_dice.py").write_text("import nothing_of_that_name")
    result = run("scan")
    assert result.exit_code == 2
    assert "bare_dice.py cannot be loaded" in result.stderr


def test_a_rule_that_crashes_leaves_with_2_and_the_rest_is_shown(repository: Path, run: Run, crashing: str) -> None:
    (repository / "tools/bare_dice.py").write_text(crashing)
    result = run("scan", "--output-format", "json", "--exit-zero")
    assert result.exit_code == 2
    assert [error["code"] for error in json.loads(result.stdout)["errors"]] == ["MLD005"]


def test_no_python_is_0_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = run("scan", "--output-format", "json")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: no Python files under ")
    assert json.loads(result.stdout)["score_reason"] == "no-python"


def test_paths_filter_what_is_reported(repository: Path, run: Run) -> None:
    (repository / "sub").mkdir()
    (repository / "sub/more.py").write_text("from games import dice\ndice()\n")
    everything = [("MLD091", "play.py", 3), ("MLD091", "sub/more.py", 2)]
    assert found(run("scan", ".", "--output-format", "json")) == everything
    narrowed = run("scan", "sub", "--root", ".", "--output-format", "json")
    assert found(narrowed) == everything[1:]
    assert json.loads(narrowed.stdout)["score_reason"] == "partial"


def test_output_goes_to_a_file(repository: Path, run: Run) -> None:
    result = run("scan", "--output-format", "json", "-o", "report.json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert json.loads((repository / "report.json").read_text())["files"] == 1
    assert run("scan", "-o", "no/such/folder/report").exit_code == 2


def test_statistics_count_by_rule(repository: Path, run: Run) -> None:
    line = run("scan", "--statistics").stdout.splitlines()[0]
    assert line.split()[:2] in (["1", "MLD091*"], ["1", "MLD091"])


def test_diff_shows_and_does_not_write(repository: Path, run: Run) -> None:
    before = (repository / "play.py").read_text()
    result = run("scan", "--diff")
    assert result.exit_code == 1
    changed = [line for line in result.stdout.splitlines() if line[:1] in "+-"]
    assert changed == ["--- a/play.py", "+++ b/play.py", "-print(dice())", "+print(dice(6))"]
    assert (repository / "play.py").read_text() == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_fix_writes_in_the_files_own_encoding(repository: Path, run: Run, encoding: str) -> None:
    cookie = "# coding: latin-1\r\n" if encoding == "latin-1" else ""
    text = f"{cookie}# café\r\nfrom games import dice\r\ndice()\r\n"
    (repository / "play.py").write_bytes(text.encode(encoding))
    result = run("scan", "--fix")
    assert result.exit_code == 0
    assert result.stderr == "fixed 1 file: play.py\n"
    assert (repository / "play.py").read_bytes() == text.replace("dice()", "dice(6)").encode(encoding)


def test_options_and_severity_come_from_the_configuration(repository: Path, run: Run) -> None:
    with (repository / "mldebt.toml").open("a") as file:
        file.write('[rules.bare-dice]\nsides = 20\nseverity = "minor"\n[per-file-ignores]\n"old*.py" = ["MLD091"]\n')
    (repository / "old_play.py").write_text("from games import dice\ndice()\n")
    assert run("scan", "--output-format", "concise").stdout == "play.py:3:7: MLD091 [minor] The dice has no sides.\n"
    assert "+print(dice(20))\n" in run("scan", "--diff").stdout


def test_standard_input_is_one_file(repository: Path, run: Run) -> None:
    result = run(
        "scan",
        "-",
        "--stdin-filename",
        "play.py",
        "--output-format",
        "concise",
        stdin="import games\n\n\ngames.dice()\n",
    )
    assert result.stdout == "play.py:4:1: MLD091 [major] The dice has no sides.\n"
    assert result.exit_code == 1


def test_show_files_and_settings(repository: Path, run: Run) -> None:
    assert run("scan", "--show-files").stdout == "play.py\n"
    settings = run("scan", "--show-settings", "--severity", "info").stdout.splitlines()
    assert "severity = info  # command line" in settings
    assert "exclude = ['tools/']  # mldebt.toml" in settings
    assert "confidence = medium  # default" in settings


def test_profile_names_rules(repository: Path, run: Run) -> None:
    assert "MLD091  bare-dice" in run("scan", "--profile").stderr


def test_the_cache_changes_nothing(repository: Path, run: Run, home: Path) -> None:
    cold = run("scan", "--output-format", "json")
    assert list((home / "cache").rglob("*.sqlite"))
    assert run("scan", "--output-format", "json").stdout == cold.stdout
    assert run("scan", "--output-format", "json", "--no-cache").stdout == cold.stdout
    for file in (home / "cache").rglob("*.sqlite"):
        file.write_bytes(b"rotten")
    damaged = run("scan", "--output-format", "json")
    assert damaged.stdout == cold.stdout
    assert "cache was damaged" in damaged.stderr


def test_no_cache_leaves_nothing_behind(repository: Path, run: Run, home: Path) -> None:
    run("scan", "--no-cache")
    assert not (home / "cache").exists()


def test_always_colour_colours(repository: Path, run: Run) -> None:
    assert "\x1b[" in run("scan", "--color", "always").stdout
    assert "\x1b[" not in run("scan", "--color", "never", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[" in run("scan", env={"FORCE_COLOR": "1"}).stdout


def test_exit_codes_of_the_console_script(repository: Path, shell: Shell) -> None:
    assert shell("scan", "--trust-plugins").returncode == 1
    assert shell("scan", "--isolated", "play.py").returncode == 0
    assert shell("scan", "nowhere").returncode == 2
    assert shell("--version").returncode == 0


def test_a_reader_that_goes_away_ends_nothing(repository: Path) -> None:
    script = Path(sys.executable).with_name("mldebt")
    (repository / "play.py").write_text("from games import dice\n" + "dice()\n" * 5_000)
    command = f"({script} scan --trust-plugins --output-format concise; echo $? >&2) | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == "1\n"


def test_an_interrupt_is_one_line_and_130(repository: Path) -> None:
    (repository / "tools/bare_dice.py").write_text("open('started', 'w').close()\nwhile True: pass\n")
    # A job in a shell's background ignores interrupts, and so do its children.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}\nfrom mldebt.cli.main import main\nmain(['scan', '--trust-plugins'])"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (repository / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == "interrupted"


def test_a_waiver_in_piped_text_is_not_called_unused(repository: Path, run: Run) -> None:
    """What it silences may need the project, which is not there."""
    result = run("scan", "-", "--output-format", "concise", stdin="x = 1  # mldebt: ignore[MLD091] elsewhere\n")
    assert (result.exit_code, result.stdout) == (0, "")
    (repository / "play.py").write_text("x = 1  # mldebt: ignore[MLD091] elsewhere\n")
    assert "MLD002" in run("scan", "--output-format", "concise").stdout


def test_a_named_file_is_read_though_excluded_unless_forced(repository: Path, run: Run) -> None:
    (repository / "tools/play.py").write_text("from games import dice\n\ndice()\n")
    assert [path for _, path, _ in found(run("scan", "tools/play.py", "--output-format", "json"))] == ["tools/play.py"]
    assert found(run("scan", "tools/play.py", "--output-format", "json", "--force-exclude")) == []
    both = run("scan", "tools/play.py", "play.py", "--output-format", "json", "--force-exclude")
    assert [path for _, path, _ in found(both)] == ["play.py"]


def test_in_a_hook_of_pre_commit_output_is_concise_unless_said_otherwise(
    repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("scan").stdout
    monkeypatch.setenv("PRE_COMMIT", "1")
    assert run("scan").stdout == "play.py:3:7: MLD091 [major] The dice has no sides.\n"
    assert run("scan", "--output-format", "text").stdout == whole
    (repository / "mldebt.toml").write_text((repository / "mldebt.toml").read_text() + 'output-format = "text"\n')
    assert run("scan").stdout == whole
