"""The report as JSON, described by ``schema.json``: one finding a line, the same bytes for the same report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mldebt.finding import Cell, Finding, Fix, Related, Waived
from mldebt.report.result import Before, Report, reading_order

SCHEMA = "mldebt-report/1"


def render(report: Report) -> str:
    """ASCII only: a file name or a source line that is no valid Unicode must not keep the report from being written."""
    return _document(as_json(report)) + "\n"


def schema() -> Mapping[str, Any]:
    """The JSON Schema of the report (draft 2020-12)."""
    loaded: Mapping[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))
    return loaded


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain values, findings by path, line, column and code."""
    coverage = report.coverage
    return {
        "schema": SCHEMA,
        "tool": {"name": "mldebt", "version": report.version},
        "root": report.root,
        "findings": [finding_values(finding, report) for finding in report.ordered],
        "suppressed": suppressed_values(report),
        "score": report.score.as_json() if report.score else None,
        "score_reason": report.score_reason,
        "practices": [
            {
                "id": practice.id,
                "state": practice.state,
                "evidence": [
                    {"path": place.path, "line": report.physical(place.path, place.span.line)}
                    for place in practice.evidence
                ],
                "next": practice.next,
            }
            for practice in report.practices
        ],
        "coverage": {
            "files_parsed": round(coverage.files_parsed, 4),
            "calls_resolved": round(coverage.calls_resolved, 4),
            "entries_understood": round(coverage.entries_understood, 4),
            "options_owned": round(coverage.options_owned, 4),
        },
        "files": report.files,
        "errors": error_values(report),
    } | _before(report.before)


def _before(before: Before | None) -> dict[str, Any]:
    """What the report is compared with, only where it is compared."""
    if before is None:
        return {}
    score = before.score.as_json() if before.score else None
    return {"before": {"ref": before.name, "commit": before.commit, "score": score}}


def suppressed_values(report: Report) -> list[dict[str, Any]]:
    """Waived and baselined findings, each with what silences it."""
    waived = sorted(report.waived, key=lambda one: reading_order(one.finding))
    return [_suppressed(one, report) for one in waived]


def error_values(report: Report) -> list[dict[str, Any]]:
    """What could not be read, and rules that crashed."""
    return [
        {"code": error.code, "path": error.path, "line": error.line, "message": error.message}
        for error in sorted(report.errors, key=lambda error: (error.path, error.line, error.code, error.message))
    ]


def _suppressed(one: Waived, report: Report) -> dict[str, Any]:
    suppression = {"kind": one.kind, "reason": one.reason, "line": one.line}
    return {**finding_values(one.finding, report), "suppression": suppression}


def finding_values(finding: Finding, report: Report) -> dict[str, Any]:
    """A finding as the contract has it (DESIGN 5)."""
    path, span = finding.place.path, finding.place.span
    return {
        "code": finding.code,
        "name": finding.name,
        "message": finding.message,
        "path": path,
        "line": report.physical(path, span.line),
        "column": span.column,
        "end_line": report.physical(path, span.end_line),
        "end_column": span.end_column,
        "cell": _cell(finding, report),
        "severity": finding.severity.label,
        "confidence": finding.confidence.label,
        "preview": finding.preview,
        "minutes": finding.minutes,
        "fingerprint": finding.fingerprint,
        "related": [_related(related, report) for related in finding.related],
        "fix": _fix(finding.fix, report) if finding.fix else None,
    }


def _cell(finding: Finding, report: Report) -> dict[str, Any] | None:
    lines = report.notebooks.get(finding.place.path)
    cell: Cell | None = finding.cell or (lines.cell(finding.place.span.line) if lines else None)
    return {"index": cell.index, "id": cell.id, "line": cell.line} if cell else None


def _related(related: Related, report: Report) -> dict[str, Any]:
    return {
        "path": related.place.path,
        "line": report.physical(related.place.path, related.place.span.line),
        "column": related.place.span.column,
        "message": related.message,
        "role": related.role,
    }


def _fix(fix: Fix, report: Report) -> dict[str, Any]:
    return {
        "applicability": fix.applicability.value,
        "message": fix.message,
        "edits": [
            {
                "path": edit.place.path,
                "line": report.physical(edit.place.path, edit.place.span.line),
                "column": edit.place.span.column,
                "end_line": report.physical(edit.place.path, edit.place.span.end_line),
                "end_column": edit.place.span.end_column,
                "text": edit.text,
            }
            for edit in fix.edits
        ],
    }


def _document(values: Mapping[str, Any]) -> str:
    """One line for each member, and for each item of a list: small diffs, and the fast encoder."""
    members = []
    for key, value in values.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
        members.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(members) + "\n}"
