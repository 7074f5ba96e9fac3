"""Formats from the command line: to standard output, to files, several at once, with paths its readers find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mldebt.cli.rendering import prefix
from mldebt.report.linehash import line_hashes
from mldebt.settings.formats import FORMATS

Run = Callable[..., Result]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_asked_for(repository: Path, run: Run, name: str) -> None:
    result = run("scan", "--output-format", name)
    assert result.exit_code == 1
    assert "MLD091" in result.stdout


def test_help_names_every_format(run: Run) -> None:
    words = run("scan", "--help", trust=False).stdout.replace("\n", " ").split()
    assert {f"{name}," for name in list(FORMATS)[:-1]} <= set(words)


def test_an_unknown_format_is_refused_with_the_choices(repository: Path, run: Run) -> None:
    result = run("scan", "--output-format", "sarfi")
    assert result.exit_code == 2
    assert "'sarif'" in result.stderr


def test_configuration_may_name_any_format(repository: Path, run: Run) -> None:
    settings = repository / "mldebt.toml"
    settings.write_text('output-format = "pylint"\n' + settings.read_text())
    assert run("scan").stdout == "play.py:3: [MLD091] The dice has no sides.\n"
    settings.write_text(settings.read_text().replace("pylint", "pylnt"))
    refused = run("scan")
    assert refused.exit_code == 2
    assert "did you mean 'pylint'" in refused.stderr


def test_several_reports_of_one_scan(repository: Path, run: Run) -> None:
    result = run("scan", "--output-format", "pylint", "-o", "sarif:debt.sarif", "-o", "json:out:put.json")
    assert result.stdout == "play.py:3: [MLD091] The dice has no sides.\n"
    assert json.loads((repository / "debt.sarif").read_text())["version"] == "2.1.0"
    assert json.loads((repository / "out:put.json").read_text())["schema"] == "mldebt-report/1"


def test_a_file_without_a_format_takes_the_main_one(repository: Path, run: Run) -> None:
    result = run("scan", "--output-format", "gitlab", "-o", "gl.json", "-o", "junit:tests.xml")
    assert result.stdout == ""
    assert json.loads((repository / "gl.json").read_text())[0]["check_name"] == "MLD091"
    assert (repository / "tests.xml").read_text().startswith("<?xml")


def test_a_format_without_a_file_goes_to_standard_output(repository: Path, run: Run) -> None:
    assert run("scan", "-o", "pylint").stdout == "play.py:3: [MLD091] The dice has no sides.\n"


@pytest.mark.parametrize("twice", [("-o", "a.txt", "-o", "json:a.txt"), ("-o", "json", "-o", "sarif")])
def test_two_reports_do_not_go_to_one_place(repository: Path, run: Run, twice: tuple[str, ...]) -> None:
    result = run("scan", *twice)
    assert result.exit_code == 2
    assert "two reports would go to" in result.stderr
    assert not (repository / "a.txt").exists()


def test_fixes_are_carried_by_a_format_that_can(repository: Path, run: Run) -> None:
    run("scan", "--output-format", "pylint", "-o", "sarif:debt.sarif")
    (result,) = json.loads((repository / "debt.sarif").read_text())["runs"][0]["results"]
    (replacement,) = result["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement["insertedContent"] == {"text": "dice(6)"}


def test_statistics_replace_formats_for_people_only(repository: Path, run: Run) -> None:
    assert "1 finding" in run("scan", "--statistics", "--output-format", "grouped").stdout
    assert run("scan", "--statistics", "--output-format", "pylint").stdout.startswith("play.py:3: ")


def test_paths_count_from_the_top_of_the_checkout(repository: Path, run: Run) -> None:
    (repository.parent / ".git").mkdir()
    assert prefix(repository) == "repository/"
    assert "file=repository/play.py,line=3," in run("scan", "--output-format", "github").stdout
    assert run("scan", "--output-format", "pylint").stdout.startswith("play.py:3: ")
    (repository / ".git").mkdir()
    assert prefix(repository) == ""


def test_sarif_of_a_scan_has_pages_and_the_hash_of_the_line(repository: Path, run: Run) -> None:
    (run_,) = json.loads(run("scan", "--output-format", "sarif").stdout)["runs"]
    (rule,) = (each for each in run_["tool"]["driver"]["rules"] if each["id"] == "MLD091")
    assert rule["help"]["markdown"].startswith("# bare-dice (MLD091)")
    assert "## How to pay it back" in rule["help"]["markdown"]
    (result,) = run_["results"]
    expected = line_hashes((repository / "play.py").read_text())[2]
    assert result["partialFingerprints"]["primaryLocationLineHash"] == expected


def test_standard_input_is_hashed_as_it_came(repository: Path, run: Run) -> None:
    text = "# before\nfrom games import dice\n\nprint(dice())\n"
    done = run("scan", "-", "--stdin-filename", "play.py", "--output-format", "sarif", stdin=text)
    (result,) = json.loads(done.stdout)["runs"][0]["results"]
    assert result["partialFingerprints"]["primaryLocationLineHash"] == line_hashes(text)[3]


def test_a_notebook_finding_is_at_its_line_and_column_of_the_json(repository: Path, run: Run) -> None:
    rows = ["from games import dice\n", 'x = "é𝛼\\t\\"" ; dice()\n']
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a1",
        "metadata": {},
        "source": rows,
        "outputs": [],
        "execution_count": None,
    }
    text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    (repository / "play.ipynb").write_text(text)
    done = run("scan", "play.ipynb", "--output-format", "sarif")
    (result,) = json.loads(done.stdout)["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    row = text.split("\n")[region["startLine"] - 1]
    assert row[region["startColumn"] - 1 : region["endColumn"] - 1] == "dice()"
    assert "fixes" not in result
    assert result["message"]["text"] == "The dice has no sides. [cell 1 (a1), line 2]"


def test_a_link_out_of_the_root_is_not_read_for_a_report(repository: Path, run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "secret.py"
    outside.write_text("from games import dice\n\nprint(dice())\n")
    (repository / "linked.py").symlink_to(outside)
    done = run("scan", "--output-format", "sarif")
    assert "linked.py" not in done.stdout
