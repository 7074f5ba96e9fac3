"""A rule pack of somebody else, ``fixtures/rule_pack``, built and installed by pip beside mldebt's wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PACK = Path(__file__).parents[1] / "fixtures/rule_pack"
RULES = "acme_debt/tracking"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

FILES = {
    "pyproject.toml": "[project]\nname = 'team'\nversion = '1'\n[tool.mldebt]\nselect = ['MLD0', 'ACM']\n",
    "train.py": "import acme_track as track\n\ntrack.start('baseline')\n",
    "tune.py": "from acme_track import start\n\nNAME = 'baseline'\nstart(NAME, owner='research')\n",
}


@pytest.fixture(scope="module")
def site(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """Where pip has put the pack."""

    def make(folder: Path) -> None:
        shutil.copytree(PACK, folder / "source")  # setuptools builds in the source
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run(
            [*pip, "--target", str(folder / "site"), str(folder / "source")], check=True, capture_output=True
        )

    return made_once("rule-pack", make) / "site"


@pytest.fixture
def pack(site: Path, tmp_path: Path) -> Path:
    """A copy of the installed pack, to break."""
    return Path(shutil.copytree(site, tmp_path / "site"))


@pytest.fixture
def run(environment: Callable[..., Path], pack: Path, home: Path, tmp_path: Path) -> Run:
    """Runs a command of the environment in a team's repository, the pack on its path."""
    folder = environment("flake8", "flake8")
    for name, text in FILES.items():
        (tmp_path / "team" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "team" / name).write_text(text)

    def call(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(folder / "bin" / command), *arguments],
            cwd=tmp_path / "team",
            env={**os.environ, "PYTHONPATH": str(pack)},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def scanned(run: Run, *more: str) -> dict[str, Any]:
    done = run("mldebt", "scan", "--output-format", "json", *more)
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def found(run: Run, *more: str) -> list[tuple[str, str, int]]:
    return [(each["code"], each["path"], each["line"]) for each in scanned(run, *more)["findings"]]


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_its_rules_are_listed_and_explained(run: Run) -> None:
    listing = run("mldebt", "rules").stdout
    family = listing[listing.index("\ntracking\n") :].splitlines()[2:4]
    assert [line.split()[:2] for line in family] == [
        ["ACM001", "ownerless-run"],
        ["ACM002", "run-name-in-two-places"],
    ]
    page = run("mldebt", "rule", "ownerless-run", "--output-format", "markdown").stdout
    assert "so nobody is asked before its results are deleted" in page
    assert "- `team`: str, default" in page
    assert "acme_track.start" in page


def test_its_rules_find_debt_in_one_file_and_across_files(run: Run) -> None:
    name, owner = sorted(scanned(run)["findings"], key=lambda finding: str(finding["code"]), reverse=True)
    assert (owner["code"], owner["path"], owner["line"], owner["column"]) == ("ACM001", "train.py", 3, 1)
    assert owner["fix"]["edits"][0]["text"] == ', owner="research"'
    assert name["message"] == 'The run "baseline" is started in 2 files: train.py, tune.py.'
    assert [(place["path"], place["line"]) for place in name["related"]] == [("tune.py", 4)]
    assert scanned(run, "-j", "1") == scanned(run, "--no-cache"), "cached or not, in one process or more"


@pytest.mark.parametrize(
    ("selector", "codes"),
    [
        ("ACM001", {"ACM001"}),
        ("acm002", {"ACM002"}),
        ("ACM", {"ACM001", "ACM002"}),
        ("ACM00", {"ACM001", "ACM002"}),
        ("ownerless-run", {"ACM001"}),
        ("tracking", {"ACM001", "ACM002"}),
    ],
)
def test_its_rules_are_selected_by_code_prefix_name_and_family(run: Run, selector: str, codes: set[str]) -> None:
    assert {code for code, _, _ in found(run, "--select", selector)} == codes
    assert {code for code, _, _ in found(run, "--ignore", selector)} == {"ACM001", "ACM002"} - codes


def test_its_options_and_knowledge_are_the_teams_to_set(run: Run, tmp_path: Path) -> None:
    settings = (
        "[tool.mldebt.rules.run-name-in-two-places]\nshared = ['baseline']\n"
        "[[tool.mldebt.knowledge.acme-runs]]\nname = 'team.begin'\nrun = 'title'\nowner = 'who'\n"
    )
    (tmp_path / "team/pyproject.toml").write_text(FILES["pyproject.toml"] + settings)
    (tmp_path / "team/eval.py").write_text("import team\n\nteam.begin(title='baseline')\n")
    assert found(run) == [("ACM001", "eval.py", 3), ("ACM001", "train.py", 3)]


def test_its_findings_are_waived_like_any_other(run: Run, tmp_path: Path) -> None:
    text = "import acme_track as track\n\ntrack.start('baseline')  # mldebt: ignore[ACM001, ACM002] a scratch run\n"
    (tmp_path / "team/train.py").write_text(text)
    report = scanned(run)
    assert report["findings"] == []
    assert [each["suppression"]["reason"] for each in report["suppressed"]] == ["a scratch run"] * 2


def test_flake8_shows_its_rules_too(run: Run) -> None:
    done = run("flake8", "--select", "ACM", ".")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["./train.py:3:1:", "ACM001"]]


@pytest.mark.parametrize("word", ["acme_debt", "acme-debt", "ACM", "tracking", f"../site/{RULES}"])
def test_its_examples_are_run_by_mldebt_test(run: Run, pack: Path, word: str) -> None:
    if "/" in word:  # the files by themselves: nothing is installed
        shutil.rmtree(next(pack.glob("*.dist-info")))
    done = run("mldebt", "test", word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 rules, 8 examples, 16 rewrites: all as they should be\n"


def test_an_example_that_goes_wrong_is_shown(run: Run, pack: Path) -> None:
    replaced(pack / RULES / "run_name_in_two_places.py", "len(files) > 1", "len(files) > 2")
    done = run("mldebt", "test", "--no-variants", "acme_debt")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "FAIL ACM002 run-name-in-two-places, example 1 (bad): 1 to report, but it reports 0",
        "--- train.py",
        "   1 | import acme_track",
        "   2 |",
        '   3 | acme_track.start("baseline", owner="research")',
        "--- tune.py",
        "   1 | import acme_track",
        "   2 |",
        '   3 | NAME = "baseline"',
        '   4 | acme_track.start(NAME, owner="research")',
        "2 rules, 8 examples, 0 rewrites: 1 failed",
    ]  # fmt: skip
    assert run("mldebt", "test", "ACM001").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("is None:", "is not None:", "example 1 (bad): 1 to report, but it reports 0"),
        ("is None:", "is not 1:", "example 3 (good): nothing to report, yet it reports\n  example.py:3: "),
        ("is None:", "is 1 / 0:", "the scan reports errors\n  ACM001 ownerless-run crashed: ZeroDivisionError"),
        ("{self.team}", "somebody", "example 1 (bad): to be fixed otherwise\n--- example.py, as fixed\n"),
        ('"runs.toml"', '"nowhere.toml"', "the scan reports errors"),
    ],
)
def test_every_mistake_of_a_rule_is_told(run: Run, pack: Path, old: str, new: str, words: str) -> None:
    replaced(pack / RULES / ("runs.py" if "toml" in old else "ownerless_run.py"), old, new)
    done = run("mldebt", "test", "ownerless-run", "--no-variants")
    assert done.returncode == 1
    assert words in done.stdout
    assert "Traceback" not in done.stderr


def test_a_rewrite_that_goes_wrong_says_which(run: Run, pack: Path) -> None:
    """A rule that looks at spelling and not at names is right on its example, and wrong under an alias."""
    replaced(pack / RULES / "ownerless_run.py", "is None:", 'is None and "_0" not in module.code(call.func):')
    done = run("mldebt", "test", "ACM001", "--exitfirst")
    assert done.returncode == 1
    assert "FAIL ACM001 ownerless-run, example 1 (bad), rewritten (alias): 1 to report, but it reports 0" in done.stdout
    assert "   1 | import acme_track as acme_track_0\n" in done.stdout
    assert done.stdout.count("FAIL") == 1


def test_a_rule_without_examples_is_not_tested(run: Run, pack: Path) -> None:
    replaced(pack / RULES / "ownerless_run.py", "examples = (", "examples = () and (")
    done = run("mldebt", "test", "ACM001")
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL ACM001 ownerless-run: it has no examples\n")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"ACM001"', '"MLD404"', "MLD404 is claimed by both "),
        ('"ACM001"', '"ACME1"', "acme_debt.tracking.ownerless_run: code 'ACME1' is not up to three capitals"),
        ('code = "ACM001"', "", "acme_debt.tracking.ownerless_run: OwnerlessRun does not say its code"),
        ("import libcst", "import libcst_of_acme", "rule package 'acme_debt' cannot be loaded: No module named"),
    ],
)
def test_a_pack_that_cannot_be_used_stops_everything_by_name(
    run: Run, pack: Path, old: str, new: str, words: str
) -> None:
    replaced(pack / RULES / "ownerless_run.py", old, new)
    for arguments in (["scan"], ["rules"], ["test", "acme_debt"]):
        done = run("mldebt", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
    both = ("mldebt_rules.randomness.unseeded_sklearn_object", "acme_debt.tracking.ownerless_run")
    assert ("claimed" not in words) or all(name in done.stderr for name in both)


def test_what_cannot_be_tested_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "team/empty").mkdir()
    (tmp_path / "team/plain.py").write_text("x = 1\n")
    for word, words in {
        "acme_dept": "unknown rule 'acme_dept'; did you mean 'acme_debt'?",
        "plain.py": "plain.py: there is no rule in it",
        "empty": "no rule files at empty",
        "train.txt": "unknown rule 'train.txt'",
    }.items():
        done = run("mldebt", "test", word)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr


def test_rule_files_a_repository_names_are_not_run_unasked(run: Run, tmp_path: Path) -> None:
    """Those named on the command line are: whoever names a file to be run means it."""
    (tmp_path / "team/tools").mkdir()
    (tmp_path / "team/tools/own.py").write_text("raise SystemExit('was imported')\n")
    (tmp_path / "team/mldebt.toml").write_text('plugins = ["tools/own.py"]\n')
    assert run("mldebt", "test", "ACM002").returncode == 0
    assert "was imported" in run("mldebt", "test", "--trust-plugins", "ACM002").stderr
    assert "was imported" in run("mldebt", "test", "tools/own.py").stderr
