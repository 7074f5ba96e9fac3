"""Every rule, installed from anywhere, held to the examples in its own file and to other spellings of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mldebt.registry import installed
from mldebt.rule import AnyRule, Bad, Good
from mldebt.testing import Case, cases, mistake, unpaid

RULES = installed().rules
CASES = [case for rule in RULES for case in cases(rule)]
BAD = [case for case in CASES if isinstance(case.example, Bad)]


def shown(case: Case) -> str:
    return "".join(f"\n--- {path}\n{text}" for path, text in case.files.items())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_rule_does_what_its_examples_say(case: Case, tmp_path: Path) -> None:
    assert mistake(case, tmp_path, installed()) == "", shown(case)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_fix_pays_the_finding_back(case: Case, tmp_path: Path) -> None:
    assert unpaid(case, tmp_path, installed()) == "", shown(case)


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
