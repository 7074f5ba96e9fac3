"""SonarQube's generic issues, with rules and clean-code attributes (10.3 and later).

Format: https://docs.sonarsource.com/sonarqube-server/analyzing-source-code/importing-external-issues/generic-issue-import-format.
Columns count UTF-16 units from 0, ends are exclusive; the scanner stops at a column that is not in the file.
"""

from __future__ import annotations

import json
from typing import Any

from mldebt.finding import Finding, Severity
from mldebt.report.entries import Entry, entries, fit
from mldebt.report.regions import Region, Regions
from mldebt.report.result import Report

ENGINE = "mldebt"
_SEVERITIES = {Severity.CRITICAL: "HIGH", Severity.MAJOR: "MEDIUM", Severity.MINOR: "LOW", Severity.INFO: "LOW"}
_OLD = {Severity.CRITICAL: "CRITICAL", Severity.MAJOR: "MAJOR", Severity.MINOR: "MINOR", Severity.INFO: "INFO"}


def render(report: Report) -> str:
    """Rules that found something, and their issues. A crashed rule has no place, which Sonar wants, and is left out."""
    regions = Regions(report)
    found = [entry for entry in entries(report, regions) if entry.region.path]
    rules = {entry.code: _rule(entry, report) for entry in found}
    listed = {
        "rules": [rules[code] for code in sorted(rules)],
        "issues": [_issue(entry, regions) for entry in found],
    }
    members = (
        f"{json.dumps(name)}: [" + ("\n" + ",\n".join(map(json.dumps, values)) + "\n" if values else "") + "]"
        for name, values in listed.items()
    )
    return "{\n" + ",\n".join(members) + "\n}\n"


def _rule(entry: Entry, report: Report) -> dict[str, Any]:
    sheet = report.sheets.get(entry.code)
    severity = sheet.severity if sheet else entry.severity
    return {
        "id": entry.code,
        "name": fit(sheet.name if sheet else entry.name),
        "description": fit(sheet.summary if sheet else entry.name) or entry.code,
        "engineId": ENGINE,
        "cleanCodeAttribute": "CLEAR",
        "type": "CODE_SMELL",
        "severity": _OLD[severity],
        "impacts": [{"softwareQuality": "MAINTAINABILITY", "severity": _SEVERITIES[severity]}],
    }


def _issue(entry: Entry, regions: Regions) -> dict[str, Any]:
    issue: dict[str, Any] = {
        "ruleId": entry.code,
        "effortMinutes": entry.finding.minutes if entry.finding else 0,
        "primaryLocation": {"message": fit(entry.message) or entry.name, **_place(entry.region, regions)},
    }
    if entry.finding and entry.finding.related:
        issue["secondaryLocations"] = _secondary(entry.finding, regions)
    return issue


def _secondary(finding: Finding, regions: Regions) -> list[dict[str, Any]]:
    return [
        {"message": fit(each.message) or each.role, **_place(regions.of(each.place), regions)}
        for each in finding.related
    ]


def _place(region: Region, regions: Regions) -> dict[str, Any]:
    exact = regions.in_units(region, "utf-16")
    span = {"startLine": region.line}
    if exact is not None and exact.column is not None and exact.end_column is not None:
        span |= {"endLine": exact.end_line, "startColumn": exact.column - 1, "endColumn": exact.end_column - 1}
    elif region.end_line > region.line:
        span["endLine"] = region.end_line
    return {"filePath": fit(region.path), "textRange": span}
