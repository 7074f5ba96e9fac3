"""What plugs in, brought by somebody else: a rule pack on the path, a file in the repository, a table row."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Shell = Callable[..., "subprocess.CompletedProcess[str]"]
Written = Callable[[Mapping[str, str | bytes]], Path]

# An analysis over all files with a cached part per file, a rule that stands on it, and a practice.
TOSSES = '''
"""Coins that are tossed in several files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec

from mldebt.facts.schema import Call, Ref
from mldebt.facts.walk import calls, statements
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.entries import Entry
from mldebt.project.project import Project
from mldebt.rule import Analysis, Assessment, FileParts, Practice, Problem, ProjectRule, State


class Toss(msgspec.Struct, frozen=True):
    line: int


class Tosses(Analysis):
    version = 1
    collected = list[Toss]

    @classmethod
    def collect(cls, file: FileParts) -> list[Toss] | None:
        found = [
            Toss(call.line)
            for body in file.bodies
            for stmt in statements(body)
            for call in calls(stmt, file.facts.scopes)
            if isinstance(call.function, Ref) and call.function.name == "toss"
        ]
        return found or None

    @cached_property
    def places(self) -> tuple[Place, ...]:
        collected = self.project.collected(Tosses)
        return tuple(Place(path, Span(toss.line)) for path in sorted(collected) for toss in collected[path])

    def describe_entry(self, entry: Entry, /) -> list[tuple[str, str]]:
        return [("tosses", str(len(self.places)))]


@dataclass(frozen=True)
class TossesEverywhere(ProjectRule):
    """A coin is tossed in more than one file."""

    code = "MLD095"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 20
    collects = (Tosses,)
    examples = ()

    most: int = 1

    def check(self, project: Project, /) -> Iterator[Problem]:
        places = project[Tosses].places
        if len({place.path for place in places}) > self.most:
            related = tuple(Related(place, "and here") for place in places[1:])
            yield Problem(places[0], f"Coins are tossed in {len(places)} places.", related)


class OneTosser(Practice):
    """Coins are tossed in one place."""

    id = "X9"
    title = "one tosser"

    def assess(self, project: Project, /) -> Assessment:
        places = project[Tosses].places
        return Assessment(State.WIRED if len(places) == 1 else State.MISSING, places, "toss in one place")
'''


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed rule pack, ``acme_rules``, as pip would leave it."""
    site = tmp_path / "site"
    info = site / "acme_rules-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mldebt.rules]\nacme = acme_rules\n")
    package = site / "acme_rules"
    package.mkdir()
    (package / "__init__.py").write_text('"""Rules of Acme."""\n')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    return package


@pytest.fixture
def report(shell: Shell) -> Callable[..., dict[str, Any]]:
    def call(root: Path, *more: str) -> dict[str, Any]:
        done = shell("scan", "--output-format", "json", "--root", str(root), str(root), *more, cwd=root)
        assert done.returncode in (0, 1), done.stderr
        loaded: dict[str, Any] = json.loads(done.stdout)
        return loaded

    return call


def test_a_rule_is_one_file_in_an_installed_pack(
    pack: Path, dice: str, shell: Shell, written: Written, report: Callable[..., dict[str, Any]]
) -> None:
    root = written({})
    assert "bare-dice" not in shell("rules").stdout
    (pack / "bare_dice.py").write_text(dice)
    listing = shell("rules").stdout
    assert "acme-rules" in listing
    assert "MLD091  bare-dice" in listing
    assert "The dice" not in shell("rule", "bare-dice").stderr
    assert "nobody knows how many sides it has" in shell("rule", "bare-dice").stdout
    found = report(root, "--select", "acme-rules")["findings"]
    assert [(finding["code"], finding["path"], finding["line"]) for finding in found] == [("MLD091", "good.py", 3)]


def test_analysis_rule_and_practice_of_a_third_party(
    pack: Path, tmp_path: Path, shell: Shell, report: Callable[..., dict[str, Any]]
) -> None:
    (pack / "tosses_everywhere.py").write_text(TOSSES)
    root = tmp_path / "coins"
    root.mkdir()
    main = "\n\nif __name__ == '__main__':\n    toss()\n"
    (root / "one.py").write_text("from coins import toss" + main)
    (root / "two.py").write_text("import one\nfrom coins import toss" + main)
    cold = report(root)
    (finding,) = (each for each in cold["findings"] if each["code"] == "MLD095")
    assert (finding["name"], finding["path"], finding["line"]) == ("tosses-everywhere", "one.py", 4)
    assert [(place["path"], place["line"]) for place in finding["related"]] == [("two.py", 5)]
    (practice,) = (each for each in cold["practices"] if each["id"] == "X9")
    assert practice["state"] == "missing"
    assert practice["evidence"] == [{"path": "one.py", "line": 4}, {"path": "two.py", "line": 5}]
    assert report(root) == cold, "what was collected comes out of the cache as it went in"
    assert "tosses" in shell("entries", "--root", str(root), cwd=root).stdout


def test_what_no_selected_rule_collects_is_collected_when_asked(
    pack: Path, tmp_path: Path, report: Callable[..., dict[str, Any]]
) -> None:
    """Scans without the rule do not pay for its analysis; the practice that asks for it gets the same answer."""
    (pack / "tosses_everywhere.py").write_text(TOSSES)
    root = tmp_path / "coins"
    root.mkdir()
    (root / "one.py").write_text("from coins import toss\n\n\ndef main():\n    toss()\n")
    assert practice_evidence(report(root)) == [5]
    assert practice_evidence(report(root, "--select", "MLD401")) == [5]
    assert practice_evidence(report(root)) == [5]


def test_an_analysis_that_changes_is_collected_anew(
    pack: Path, tmp_path: Path, report: Callable[..., dict[str, Any]]
) -> None:
    rules = pack / "tosses_everywhere.py"
    rules.write_text(TOSSES)
    root = tmp_path / "coins"
    root.mkdir()
    (root / "one.py").write_text("from coins import toss, flip\ntoss()\nflip()\n")
    assert practice_evidence(report(root)) == [2]
    # Of another size: Python tells compiled files from stale ones by size and second.
    rules.write_text(TOSSES.replace('== "toss"', '== "flip"') + "\n")
    assert practice_evidence(report(root)) == [3]


def practice_evidence(report: Mapping[str, Any]) -> list[int]:
    return [place["line"] for each in report["practices"] if each["id"] == "X9" for place in each["evidence"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        ("raise SystemExit('stop')\n", "stop"),
        ("def (:\n", "invalid syntax"),
    ],
)
def test_a_pack_that_cannot_be_loaded_is_named(pack: Path, shell: Shell, text: str, words: str) -> None:
    (pack / "broken.py").write_text(text)
    done = shell("rules")
    assert done.returncode == 2
    assert done.stderr.startswith("error: rule package 'acme_rules' cannot be loaded: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_rules_of_one_code_are_an_error(pack: Path, shell: Shell, dice: str) -> None:
    (pack / "bare_dice.py").write_text(dice)
    (pack / "other_dice.py").write_text(dice)
    done = shell("rules")
    assert done.returncode == 2
    assert "MLD091 is claimed by both acme_rules.bare_dice and acme_rules.other_dice" in done.stderr


def test_a_rule_file_of_the_repository_needs_trust(
    written: Written, report: Callable[..., dict[str, Any]], dice: str
) -> None:
    root = written({})
    assert [finding["code"] for finding in report(root, "--trust-plugins")["findings"]] == ["MLD091"]
    assert report(root)["findings"] == []


def test_a_folder_of_rule_files_may_import_its_own(
    written: Written, report: Callable[..., dict[str, Any]], dice: str
) -> None:
    files = {
        "mldebt.toml": 'plugins = ["tools"]\nexclude = ["tools/"]\n',
        "tools/faces.py": "SIDES = 20\n",
        "tools/bare_dice.py": dice.replace("    sides: int = 6", "    sides: int = SIDES").replace(
            "import libcst as cst\n", "import libcst as cst\n\nfrom .faces import SIDES\n"
        ),
    }
    (finding,) = report(written(files), "--trust-plugins")["findings"]
    assert finding["fix"]["edits"][0]["text"] == "dice(20)"


def test_the_users_own_rules_are_trusted(
    written: Written, report: Callable[..., dict[str, Any]], home: Path, dice: str
) -> None:
    own = home / "config/mldebt"
    own.mkdir(parents=True)
    (own / "my_dice.py").write_text(dice)
    (own / "config.toml").write_text('plugins = ["my_dice.py"]\n')
    (finding,) = report(written({"mldebt.toml": ""}), "--select", "my-dice")["findings"]
    assert (finding["name"], finding["path"]) == ("my-dice", "good.py")


def test_a_teams_own_seeding_function_is_a_row_in_its_configuration(
    tmp_path: Path, report: Callable[..., dict[str, Any]]
) -> None:
    root = tmp_path / "team"
    root.mkdir()
    (root / "train.py").write_text(
        "import acme.repro\nimport numpy as np\nfrom sklearn.linear_model import Ridge\n\n\n"
        "def main():\n    acme.repro.prepare(1)\n"
        "    rows = np.random.permutation(100)\n    Ridge().fit(rows, rows)\n\n\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    (root / "pyproject.toml").write_text("[project]\nname = 'team'\nversion = '1'\n")
    assert [finding["code"] for finding in report(root, "--select", "MLD401")["findings"]] == ["MLD401"]
    with (root / "pyproject.toml").open("a") as file:
        file.write('[[tool.mldebt.knowledge.seeds]]\nname = "acme.repro.prepare"\nseeds = ["numpy", "torch"]\n')
    assert report(root, "--select", "MLD401")["findings"] == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('[[knowledge.seeds]]\nname = "acme.seed"\nseds = ["numpy"]', "4: unknown key 'seds'; did you mean 'seeds'?"),
        ('[[knowledge.seeds]]\nname = "acme.seed"\nseeds = "numpy"', "4: knowledge.seeds.0.seeds: expected array"),
        ('[[knowledge.seeds]]\nname = "acme.seed"', "2: knowledge.seeds.0: table missing required seeds"),
        ('[[knowledge.sedes]]\nname = "acme.seed"', "2: unknown knowledge table 'sedes'; did you mean 'seeds'?"),
    ],
)
def test_a_row_that_says_nonsense_is_an_error_at_its_line(tmp_path: Path, shell: Shell, row: str, words: str) -> None:
    (tmp_path / "mldebt.toml").write_text(f"# Ours.\n{row}\n")
    done = shell("scan", "--root", str(tmp_path), str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: mldebt.toml:{words}")
    assert done.stderr.count("\n") == 1
