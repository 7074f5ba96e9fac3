"""Every rule, installed from anywhere, held to the examples in its own file and to other spellings of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mldebt.registry import installed
from mldebt.rule import AnyRule, Bad, Good
from mldebt.testing import Case, cases, run, write

RULES = installed().rules
CASES = [case for rule in RULES for case in cases(rule)]
BAD = [case for case in CASES if isinstance(case.example, Bad)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_rule_does_what_its_examples_say(case: Case, tmp_path: Path) -> None:
    outcome = run(case.rule, write(case.files, tmp_path), installed(), case.example.options)
    found = [finding for finding in outcome.report.findings if finding.code == case.rule.code]
    shown = (
        "\n".join(f"{f.place.path}:{f.place.span.line}: {f.message}" for f in found)
        + "\n"
        + "\n".join(f"--- {path}\n{text}" for path, text in case.files.items())
    )
    assert outcome.report.errors == (), shown
    if isinstance(case.example, Good):
        assert found == [], shown
        return
    assert len(found) == case.example.findings, shown
    if case.example.anchors and not case.variant:
        assert sorted(f"{f.place.path}:{f.place.span.line}" for f in found) == sorted(case.example.anchors)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_fix_pays_the_finding_back(case: Case, tmp_path: Path) -> None:
    assert isinstance(case.example, Bad)
    fixed = case.example.fixed_files
    outcome = run(case.rule, write(case.files, tmp_path), installed(), case.example.options, fix=True, unsafe=True)
    if fixed is not None and not case.variant:
        after = {path: text for path, (_, text) in outcome.changes.items()}
        assert {**case.files, **after} == {**case.files, **fixed}
    if outcome.changes:
        assert not outcome.report.errors
        assert len([f for f in outcome.report.findings if f.code == case.rule.code and f.fix]) == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_rule_is_documented(rule: type[AnyRule]) -> None:
    headings = re.findall(r"^## (.+)$", rule.page(), re.MULTILINE)
    assert headings[:3] == ["Why it is debt", "How to pay it back", "When to leave it"]
    assert "References" in headings
    assert sum(isinstance(example, Bad) for example in rule.examples) >= 3
    assert sum(isinstance(example, Good) for example in rule.examples) >= 5
    assert re.fullmatch(r"[A-Z]{1,3}[0-9]{3}", rule.code), "flake8 allows three letters and three digits"


def test_codes_and_names_are_unique() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES) == len({rule.name() for rule in RULES})
