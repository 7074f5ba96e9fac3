"""SARIF: what GitHub shows and what it refuses."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from msgspec.structs import replace

from mldebt.finding import Confidence, Finding, Place, Related, ScanError, Severity, Span, Waived
from mldebt.report import sarif
from mldebt.report.linehash import line_hashes
from mldebt.report.result import Report, Sheet
from mldebt.report.sarif_results import MOST_RELATED, MOST_STEPS

SCHEMA = json.loads((Path(__file__).parent / "schemas/sarif-2.1.0.json").read_text(encoding="utf-8"))


def run_of(report: Report, *, validated: bool = True) -> Any:
    log = json.loads(sarif.render(report))
    if validated:
        Draft4Validator(SCHEMA).validate(log)
    return log["runs"][0]


def result_at(report: Report, code: str) -> Any:
    (found,) = (result for result in run_of(report)["results"] if result["ruleId"] == code)
    return found


def lines_of(locations: list[Any]) -> list[tuple[str, int]]:
    physical = [each.get("location", each)["physicalLocation"] for each in locations]
    return [(each["artifactLocation"]["uri"], each["region"]["startLine"]) for each in physical]


def many(number: int, related: tuple[Related, ...] = (), message: str = "m") -> tuple[Finding, ...]:
    severities = list(Severity)
    return tuple(
        Finding(
            "MLD404",
            "x",
            message,
            Place(f"a{index % 97}.py", Span(index + 1)),
            severities[index % 4],
            Confidence.HIGH,
            5,
            related=related,
            fingerprint=f"{index:016x}",
        )
        for index in range(number)
    )


def test_what_github_requires_is_there_and_not_empty(whole: Report) -> None:
    run = run_of(whole)
    assert run["tool"]["driver"]["name"] == "mldebt"
    for rule in run["tool"]["driver"]["rules"]:
        for text in (rule["id"], *(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))):
            assert text
        assert "security-severity" not in rule["properties"]
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert run["automationDetails"]["id"] == "mldebt/"


def test_a_rule_carries_its_page_and_how_sure_it_is(whole: Report) -> None:
    (rule,) = (each for each in run_of(whole)["tool"]["driver"]["rules"] if each["id"] == "MLD505")
    assert rule["help"]["markdown"] == "# double-activation-loss\n\nA page.\n"
    assert rule["properties"]["precision"] == "medium"
    assert rule["defaultConfiguration"] == {"level": "error"}


def test_paths_are_relative_and_encoded(report: Report) -> None:
    odd = replace(report.findings[0], place=Place("a b/é%#?:[x].py", Span(1)))
    run = run_of(replace(report, findings=(odd,), errors=(), waived=()))
    (location,) = (each["locations"][0]["physicalLocation"]["artifactLocation"] for each in run["results"])
    assert location == {"uri": "a%20b/%C3%A9%25%23%3F%3A%5Bx%5D.py", "uriBaseId": "%SRCROOT%"}
    assert "%SRCROOT%" in run["originalUriBaseIds"]


def test_a_path_through_the_code_is_a_code_flow_in_order(whole: Report) -> None:
    (flow,) = result_at(whole, "MLD401")["codeFlows"]
    steps = flow["threadFlows"][0]["locations"]
    assert lines_of(steps) == [("train.py", 97), ("train.py", 44), ("data.py", 17), ("data.py", 17)]
    assert [step["executionOrder"] for step in steps] == [1, 2, 3, 4]
    assert steps[1]["location"]["message"]["text"] == "main() calls make_loaders()"
    assert "codeFlows" not in result_at(whole, "MLD303")


def test_related_places_are_linked_from_the_message(whole: Report) -> None:
    result = result_at(whole, "MLD303")
    assert result["message"]["text"].endswith("\nSee: [declared with the default 0.1](1), [built here](2).")
    assert [each["id"] for each in result["relatedLocations"]] == [1, 2]
    assert lines_of(result["relatedLocations"]) == [("config.py", 30), ("train.py", 12)]
    brackets = replace(whole.findings[0], related=(Related(Place("b.py", Span(1)), r"x[0] \ y"),))
    text = run_of(replace(whole, findings=(brackets,), errors=(), waived=()))["results"][0]["message"]["text"]
    assert text.endswith("See: [x\\[0\\] \\\\ y](1).")


def test_the_line_hash_is_that_of_the_file(whole: Report) -> None:
    prints = result_at(whole, "MLD505")["partialFingerprints"]
    text = whole.contents["model.py"].decode()
    assert prints["primaryLocationLineHash"] == line_hashes(text)[70]
    (finding,) = (each for each in whole.findings if each.code == "MLD505")
    assert prints["mldebtFingerprint/v1"] == finding.fingerprint
    without = result_at(replace(whole, contents={}), "MLD505")
    assert list(without["partialFingerprints"]) == ["mldebtFingerprint/v1"]


def test_a_long_region_is_one_line_with_the_rest_as_context(whole: Report) -> None:
    physical = result_at(whole, "MLD210")["locations"][0]["physicalLocation"]
    assert physical["region"] == {"startLine": 3, "startColumn": 1}
    assert (physical["contextRegion"]["startLine"], physical["contextRegion"]["endLine"]) == (3, 5)


def test_a_fix_is_replacements(whole: Report) -> None:
    (fix,) = result_at(whole, "MLD210")["fixes"]
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "losses.py"
    (replacement,) = change["replacements"]
    assert replacement["deletedRegion"] == {"startLine": 3, "startColumn": 1, "endLine": 6, "endColumn": 1}
    assert replacement["insertedContent"] == {"text": ""}
    assert fix["properties"] == {"applicability": "safe"}


def test_what_is_waived_is_suppressed_with_its_reason(whole: Report) -> None:
    (waived,) = (each for each in run_of(whole)["results"] if "suppressions" in each)
    (suppression,) = waived["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("inSource", "accepted")
    assert suppression["justification"] == "moves out in May"
    assert suppression["location"]["physicalLocation"]["region"] == {"startLine": 1}


def test_the_baseline_says_what_is_new(whole: Report) -> None:
    old = Waived(replace(whole.findings[0], place=Place("old.py", Span(9))), "baseline", "", 0)
    results = run_of(replace(whole, waived=(*whole.waived, old), errors=(), compared=True))["results"]
    (unchanged,) = (each for each in results if each["baselineState"] == "unchanged")
    assert unchanged["suppressions"] == [{"kind": "external", "status": "accepted"}]
    assert {each["baselineState"] for each in results} == {"new", "unchanged"}
    assert all("baselineState" not in each for each in run_of(whole)["results"])


def test_a_crash_makes_the_run_unsuccessful(whole: Report) -> None:
    crash = ScanError("MLD005", "", 0, "MLD401 crashed")
    (invocation,) = run_of(replace(whole, errors=(crash,)))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "MLD401 crashed"
    assert run_of(whole)["invocations"][0]["executionSuccessful"] is True


def test_of_too_many_results_the_worst_stay_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 30)
    run = run_of(Report(root="/r", version="0", findings=many(100)))
    assert len(run["results"]) == 30
    assert [each["properties"]["severity"] for each in run["results"]].count("critical") == 25
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("70 of the least severe results were left out")


def test_suppressed_results_go_first_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 10)
    found = many(20)
    waived = tuple(Waived(each, "inline", "why", 1) for each in found[10:])
    report = Report(root="/r", version="0", findings=found[:10], waived=waived)
    assert not any("suppressions" in each for each in run_of(report)["results"])


def test_githubs_limit_of_results_holds() -> None:
    run = run_of(Report(root="/r", version="0", findings=many(sarif.MOST_RESULTS + 7)), validated=False)
    assert len(run["results"]) == sarif.MOST_RESULTS


def test_the_packed_size_stays_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_BYTES", 20_000)
    noise = random.Random(0)
    findings = tuple(replace(each, message=f"{noise.random()} " * 5) for each in many(1000))
    text = sarif.render(Report(root="/r", version="0", findings=findings))
    assert len(gzip.compress(text.encode())) <= 20_100  # and a few bytes for gzip's head
    run = json.loads(text)["runs"][0]
    assert 10 < len(run["results"]) < 1000
    assert [each["properties"]["severity"] for each in run["results"]].count("critical") == 250
    assert "least severe" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_places_of_one_result_are_limited_and_the_end_of_the_path_stays() -> None:
    steps = tuple(Related(Place("b.py", Span(n + 1)), f"step {n}", "path") for n in range(MOST_STEPS + 5))
    run = run_of(Report(root="/r", version="0", findings=many(1, steps)), validated=False)
    (result,) = run["results"]
    assert len(result["relatedLocations"]) == MOST_RELATED
    flow = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(flow) == MOST_STEPS
    assert lines_of(flow)[-1] == ("a0.py", 1)
    assert "places of" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_descriptions_and_names_have_the_length_github_takes() -> None:
    sheet = Sheet("MLD404", "n" * 400, "f", "s" * 5000, "p" * 9000, Severity.MAJOR, Confidence.HIGH, 5)
    (rule,) = run_of(Report(root="/r", version="0", sheets={"MLD404": sheet}))["tool"]["driver"]["rules"]
    assert len(rule["name"]) == 255
    assert len(rule["shortDescription"]["text"]) == len(rule["fullDescription"]["text"]) == 1024
    assert len(rule["help"]["markdown"]) == 9000
