"""Where findings are: waivers around them, what the user asked about, and notebooks' own lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.pipeline import Outcome
from mldebt.project.project import Project
from mldebt.report.json import as_json
from mldebt.rule import Problem, ProjectRule

Scanned = Callable[..., Outcome]


@dataclass(frozen=True)
class Twins(ProjectRule):
    """The first ``toss()`` of the repository, related to all others; and a line of a YAML file that says ``toss``."""

    code = "MLD095"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 20
    examples = ()

    role: str = "cause"

    def check(self, project: Project, /) -> Iterator[Problem]:
        tossed = frozenset({"coins.toss"})
        places = [m.place(site) for m in project.modules.values() for _, site in m.calls_of(tossed)]
        if places:
            yield Problem(places[0], "tossed", tuple(Related(place, "here too", self.role) for place in places[1:]))
        for config in project.repository.configs:
            for leaf in config.leaves:
                if leaf.value == "toss":
                    yield Problem(Place(config.path, Span(leaf.line)), "configured")

    @classmethod
    def name(cls) -> str:
        return "twins"


TOSS = "from coins import toss\n"


def shown(outcome: Outcome) -> list[tuple[str, str, int]]:
    assert outcome.report.errors == ()
    return [(f.code, f.place.path, f.place.span.line) for f in outcome.report.findings]


@pytest.mark.parametrize(
    ("waived", "text"),
    [
        (True, "toss()  # mldebt: ignore[MLD095] a toy\n"),
        (True, "# mldebt: ignore[twins] a toy\ntoss(\n  1)\n"),
        (True, "toss(\n    1,\n    2)  # noqa: MLD095 a toy\n"),
        (True, "toss()\n\n# mldebt: ignore-file[MLD095] a toy\n"),
        (False, "toss()\nx = 1  # mldebt: ignore[MLD095] a toy\n"),
        (False, "toss()  # mldebt: ignore[MLD091] a toy\n"),
        (False, "s = '''\n# mldebt: ignore-file[MLD095] a toy\n'''\ntoss()\n"),
    ],
)
def test_a_waiver_speaks_for_its_statement(scanned: Scanned, waived: bool, text: str) -> None:
    outcome = scanned({"a.py": TOSS + text}, Twins)
    assert [each.finding.code for each in outcome.report.waived] == ["MLD095"] * waived
    assert [each.reason for each in outcome.report.waived] == ["a toy"] * waived
    assert ("MLD095" in {code for code, _, _ in shown(outcome)}) is not waived


@pytest.mark.parametrize(("role", "waived"), [("cause", True), ("path", False), ("counterpart", False)])
def test_a_waiver_at_a_cause_speaks_for_the_finding(scanned: Scanned, role: str, waived: bool) -> None:
    outcome = scanned(
        {
            "a.py": TOSS + "toss()\n",
            "b.py": TOSS + "toss()  # mldebt: ignore[MLD095] a toy\n",
            "mldebt.toml": f'[rules.twins]\nrole = "{role}"\n',
        },
        Twins,
    )
    expected = [] if waived else [("MLD095", "a.py", 2), ("MLD002", "b.py", 2)]
    assert shown(outcome) == expected


def test_a_waiver_in_a_configuration_file(scanned: Scanned) -> None:
    text = "a: toss  # mldebt: ignore[MLD095] a toy\nb: toss\n"
    outcome = scanned({"a.py": "x = 1\n", "conf/a.yaml": text}, Twins)
    assert shown(outcome) == [("MLD095", "conf/a.yaml", 2)]
    assert [(each.finding.place.span.line, each.line) for each in outcome.report.waived] == [(1, 1)]
    assert outcome.report.snippets["conf/a.yaml", 2] == "b: toss"


def test_a_finding_is_asked_for_by_any_of_its_places(scanned: Scanned, tmp_path: Path) -> None:
    files = {"a.py": TOSS + "toss()\n", "sub/b.py": TOSS + "toss()\n", "sub2/c.py": "x = 1\n"}
    for asked, findings in (("sub", 1), ("sub/b.py", 1), ("a.py", 1), ("sub2", 0), ("sub/c.py", 0)):
        outcome = scanned(files, Twins, paths=(tmp_path / "scanned" / asked,))
        assert len(shown(outcome)) == findings, asked
        assert outcome.report.score_reason == "partial"


def test_errors_elsewhere_are_not_asked_for(scanned: Scanned, tmp_path: Path) -> None:
    files = {"a.py": "x = (\n", "sub/b.py": "x = (\n", "sub/c.yaml": "a: 1\n  b: 2\n"}
    outcome = scanned(files, Twins, paths=(tmp_path / "scanned/sub",))
    assert [error.path for error in outcome.report.errors] == ["sub/b.py", "sub/c.yaml"]


def test_a_notebooks_findings_have_their_line_in_the_json_and_their_cell(scanned: Scanned) -> None:
    cells = [
        ("markdown", "m", ["# Tossing\n", "toss()"]),
        ("code", "one", ["%matplotlib inline\n", "from coins import toss"]),
        ("code", "two", ["y = (\n"]),
        ("code", "three", ["é = 1\n", "\n", "é + toss()"]),
        ("code", "four", ["toss()  # mldebt: ignore[MLD001] cannot"]),
    ]
    notebook = {
        "cells": [
            {"cell_type": kind, "id": name, "metadata": {}, "source": source, "outputs": [], "execution_count": None}
            for kind, name, source in cells
        ],
        "metadata": {"kernelspec": {"language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    report = as_json(scanned({"note.ipynb": text}, Twins).report)

    def line(part: str) -> int:
        return next(number for number, row in enumerate(text.splitlines(), 1) if part in row)

    finding, complaint = report["findings"]
    assert (finding["code"], finding["line"], finding["column"]) == ("MLD095", line("é + toss()"), 5)
    assert finding["cell"] == {"index": 4, "id": "three", "line": 3}
    (related,) = finding["related"]
    assert related["line"] == line("toss()  # mldebt")
    assert (complaint["code"], complaint["line"]) == ("MLD004", related["line"])
    assert [(error["code"], error["line"]) for error in report["errors"]] == [("MLD001", line("y = ("))]
