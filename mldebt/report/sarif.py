"""SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), as GitHub code scanning wants it.

GitHub reads paths relative to the top of the checkout, the first location only, and ``primaryLocationLineHash``; it
shows ``help.markdown``. It refuses more than 10 MB packed or 25,000 results: the worst stay, and a notification says
how many went (docs.github.com, "SARIF support for code scanning").
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mldebt.finding import Confidence, Finding, ScanError, Severity, Waived
from mldebt.report.entries import fit
from mldebt.report.result import Report, Sheet, reading_order
from mldebt.report.sarif_results import Results, location_of_line, uri
from mldebt.settings.selectors import META

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST_RESULTS = 25_000
MOST_BYTES = 10_000_000  # packed, and MB may mean either
_TEXT, _NAME = 1024, 255  # characters GitHub takes in descriptions and names
LEVELS = {Severity.CRITICAL: "error", Severity.MAJOR: "warning", Severity.MINOR: "note", Severity.INFO: "note"}
_PROBLEMS = {Severity.CRITICAL: "error", Severity.MAJOR: "warning"}


def render(report: Report) -> str:
    """One run. Open findings come first, waived and baselined ones are suppressed results."""
    waived = {id(each.finding): each for each in report.waived}
    open_, silent = list(report.findings), [each.finding for each in report.waived]
    ranked = sorted(open_, key=_rank) + sorted(silent, key=_rank)
    unreadable = sum(error.code == "MLD001" for error in report.errors)
    most, total = max(0, MOST_RESULTS - unreadable), len(ranked)
    while True:
        kept = ranked[:most]
        text = _document(report, kept, waived, total - len(kept))
        size = len(text) if len(text) <= MOST_BYTES else len(zlib.compress(text.encode("ascii"), 6))
        if size <= MOST_BYTES or not kept:
            return text
        most = len(kept) * MOST_BYTES * 9 // (size * 10)


def _rank(finding: Finding) -> tuple[Any, ...]:
    return (-finding.severity, -finding.confidence, *reading_order(finding))


def _document(report: Report, kept: Sequence[Finding], waived: Mapping[int, Waived], dropped: int) -> str:
    rules = _rules(report, kept)
    results = Results(report, {rule["id"]: index for index, rule in enumerate(rules)}, LEVELS)
    open_ = sorted((each for each in kept if id(each) not in waived), key=reading_order)
    silent = sorted((each for each in kept if id(each) in waived), key=reading_order)
    unreadable = [error for error in _sorted(report.errors) if error.code == "MLD001"][:MOST_RESULTS]
    listed = [results.of_error(error) for error in unreadable]
    listed += [results.of(finding) for finding in open_]
    listed += [results.of(finding, waived[id(finding)]) for finding in silent]
    run = {
        "tool": {
            "driver": {
                "name": "mldebt",
                "version": report.version,
                "semanticVersion": report.version,
                "rules": rules,
            }
        },
        "automationDetails": {"id": "mldebt/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The top of the checkout."}}},
        "invocations": [_invocation(report, dropped + results.cut, dropped)],
        "results": listed,
    }
    return _lines({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _sorted(errors: Iterable[ScanError]) -> list[ScanError]:
    return sorted(errors, key=lambda error: (error.path, error.line, error.code, error.message))


def _invocation(report: Report, cut: int, dropped: int) -> dict[str, Any]:
    crashes = [error for error in _sorted(report.errors) if error.code != "MLD001"]
    notes: list[dict[str, Any]] = [
        {
            "descriptor": {"id": error.code},
            "level": "error",
            "message": {"text": fit(error.message) or error.code},
            **({"locations": [location_of_line(report, error.path, error.line)]} if error.path else {}),
        }
        for error in crashes
    ]
    if cut:
        words = f"{dropped} of the least severe results" if dropped else f"places of {cut} results"
        text = f"{words} were left out to stay within the limits of GitHub code scanning."
        notes.append({"descriptor": {"id": "truncated"}, "level": "warning", "message": {"text": text}})
    invocation: dict[str, Any] = {"executionSuccessful": not crashes, "toolExecutionNotifications": notes}
    if report.root.startswith("/"):
        invocation["workingDirectory"] = {"uri": f"file://{uri(report.root)}/"}
    return invocation


def _rules(report: Report, kept: Sequence[Finding]) -> list[dict[str, Any]]:
    """The rules that ran, and those of the findings should their sheets be missing."""
    sheets = dict(report.sheets)
    for finding in kept:
        sheets.setdefault(finding.code, _sheet(finding.code, finding.name, finding.severity))
    if any(error.code == "MLD001" for error in report.errors):
        sheets.setdefault("MLD001", _sheet("MLD001", META["MLD001"][0], Severity.MINOR))
    return [_rule(sheets[code]) for code in sorted(sheets)]


def _sheet(code: str, name: str, severity: Severity) -> Sheet:
    words = META[code][1] if code in META else name
    return Sheet(code, name, "meta", words, words, severity, Confidence.HIGH, 0)


def _rule(sheet: Sheet) -> dict[str, Any]:
    summary = clipped(sheet.summary, _TEXT) or sheet.name
    tags = ["machine-learning", "technical-debt", sheet.family, *(["preview"] if sheet.preview else [])]
    return {
        "id": sheet.code,
        "name": clipped(sheet.name, _NAME),
        "shortDescription": {"text": summary},
        "fullDescription": {"text": summary},
        # GitHub wants the text and shows the Markdown.
        "help": {"text": summary, "markdown": fit(sheet.page) or summary},
        "defaultConfiguration": {"level": LEVELS[sheet.severity]},
        "properties": {
            "tags": tags,
            "precision": sheet.confidence.label,
            "problem.severity": _PROBLEMS.get(sheet.severity, "recommendation"),
        },
    }


def clipped(text: str, most: int) -> str:
    """A text of at most so many characters; GitHub counts and refuses."""
    text = fit(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _lines(log: Mapping[str, Any]) -> str:
    """One line for each rule and result: small diffs, and as fast as one line in all."""
    run = dict(log["runs"][0])
    driver = dict(run.pop("tool")["driver"])
    rules, results = driver.pop("rules"), run.pop("results")
    described = ", ".join(_member(key, value) for key, value in driver.items())
    members = [f'"tool": {{"driver": {{{described}, "rules": {_listed(rules)}}}}}']
    members += [_member(key, value) for key, value in run.items()]
    members.append(f'"results": {_listed(results)}')
    head = [_member(key, value) for key, value in log.items() if key != "runs"]
    body = ",\n".join(members)
    return "{\n" + ",\n".join([*head, f'"runs": [{{\n{body}\n}}]']) + "\n}\n"


def _member(key: str, value: Any) -> str:
    return f"{json.dumps(key)}: {json.dumps(value)}"


def _listed(values: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, values)) + "\n]" if values else "[]"
