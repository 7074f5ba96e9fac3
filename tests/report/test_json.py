"""The JSON report: what its schema promises, and the same bytes for the same findings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from msgspec.structs import replace

from mldebt.finding import Place, Span, Waived
from mldebt.report.json import render, schema
from mldebt.report.result import Report


def read(report: Report) -> Any:
    return json.loads(render(report))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def test_the_report_follows_its_schema(report: Report, legacy: Report, validator: Draft202012Validator) -> None:
    validator.validate(read(report))
    validator.validate(read(legacy))


@pytest.mark.parametrize("reason", ["partial", "no-python"])
def test_a_report_without_a_score_follows_it_too(reason: Any, validator: Draft202012Validator) -> None:
    empty = read(Report(root=".", version="0.1.0", score_reason=reason))
    validator.validate(empty)
    assert (empty["score"], empty["score_reason"], empty["findings"]) == (None, reason, [])


@pytest.mark.parametrize("change", [{"extra": 1}, {"severity": "blocker"}, {"line": 0}, {"fix": {}}])
def test_the_schema_refuses_what_is_not_in_the_contract(
    change: dict[str, Any], report: Report, validator: Draft202012Validator
) -> None:
    values = read(report)
    values["findings"][0] |= change
    with pytest.raises(ValidationError):
        validator.validate(values)


def test_every_object_in_the_schema_is_closed() -> None:
    def objects(value: Any) -> list[dict[str, Any]]:
        if isinstance(value, dict):
            own = [value] if value.get("type") == "object" else []
            return own + [found for inner in value.values() for found in objects(inner)]
        return [found for inner in value for found in objects(inner)] if isinstance(value, list) else []

    found = objects(schema())
    assert len(found) > 10
    optional = {"before"}  # only where a report is compared with another commit
    assert all(one["additionalProperties"] is False for one in found)
    assert all(set(one["properties"]) - set(one["required"]) <= optional for one in found)


def test_a_finding_has_the_keys_of_the_contract_in_order(report: Report) -> None:
    keys = "code name message path line column end_line end_column cell severity confidence preview minutes"
    assert list(read(report)["findings"][0]) == [*keys.split(), "fingerprint", "related", "fix"]


def test_findings_come_by_path_line_column_and_code_whatever_their_order(report: Report) -> None:
    values = read(report)
    keys = [(one["path"], one["line"], one["column"], one["code"]) for one in values["findings"]]
    assert keys == sorted(keys)
    shuffled = replace(report, findings=report.findings[::-1], errors=report.errors[::-1])
    assert render(shuffled) == render(report)


def test_a_notebook_finding_is_on_the_line_of_the_file(report: Report) -> None:
    (found,) = (one for one in read(report)["findings"] if one["path"] == "explore.ipynb")
    assert found["line"] == found["end_line"] == 50
    assert found["cell"] == {"index": 3, "id": "a1b2", "line": 2}


def test_suppressed_findings_say_how_and_why(report: Report) -> None:
    (one,) = read(report)["suppressed"]
    assert one["suppression"] == {"kind": "inline", "reason": "moves out in May", "line": 1}
    baselined = replace(report, waived=(Waived(report.findings[0], "baseline", "", 0),))
    assert read(baselined)["suppressed"][0]["suppression"]["kind"] == "baseline"


def test_fix_first_names_findings_of_the_report(report: Report) -> None:
    values = read(report)
    names = {one["fingerprint"] for one in values["findings"] + values["suppressed"]}
    assert len(values["score"]["fix_first"]) == 5
    assert {one["fingerprint"] for one in values["score"]["fix_first"]} <= names


def test_the_score_in_the_report_adds_up(report: Report) -> None:
    score = read(report)["score"]
    assert score["at_most"] is True
    assert sum(family["lost"] for family in score["families"]) == pytest.approx(100 - score["value"], abs=1e-3)
    assert [family["value"] for family in score["families"] if not family["applicable"]] == [None] * 4


def test_names_that_are_no_unicode_are_written_all_the_same(report: Report) -> None:
    odd = replace(report.findings[0], place=Place("caf\udce9.py", Span(1)), message="é 𝛼 \x1b[31m")
    text = render(replace(report, findings=(odd,)))
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["findings"][0]["message"] == "é 𝛼 \x1b[31m"
