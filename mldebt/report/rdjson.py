"""reviewdog's diagnostic format (https://github.com/reviewdog/reviewdog/tree/master/proto/rdf): ``rdjson``.

Columns count UTF-8 bytes from 1, ends are exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mldebt.finding import Finding, Severity
from mldebt.report.entries import Entry, entries, fit
from mldebt.report.regions import Region, Regions
from mldebt.report.result import Report

SOURCE = {"name": "mldebt"}
_SEVERITIES = {
    Severity.CRITICAL: "ERROR",
    Severity.MAJOR: "WARNING",
    Severity.MINOR: "INFO",
    Severity.INFO: "INFO",
}


def render(report: Report) -> str:
    """One ``DiagnosticResult``, a diagnostic a line."""
    found = [json.dumps(each) for each in diagnostics(report)]
    listed = "\n" + ",\n".join(found) + "\n" if found else ""
    return f'{{"source": {json.dumps(SOURCE)},\n"diagnostics": [{listed}]}}\n'


def diagnostics(report: Report) -> Iterator[dict[str, Any]]:
    """Every open finding and error as a ``Diagnostic``."""
    regions = Regions(report)
    for entry in entries(report, regions):
        yield _diagnostic(entry, report, regions)


def _diagnostic(entry: Entry, report: Report, regions: Regions) -> dict[str, Any]:
    found: dict[str, Any] = {
        "message": fit(entry.message) or entry.name,
        "location": _location(entry.region, regions),
        "severity": _SEVERITIES[entry.severity],
        "code": {"value": entry.code},
    }
    finding = entry.finding
    if finding is None:
        return found
    if suggestions := _suggestions(finding, report, regions):
        found["suggestions"] = suggestions
    if finding.related:
        found["related_locations"] = [
            {"message": fit(each.message) or each.role, "location": _location(regions.of(each.place), regions)}
            for each in finding.related
        ]
    return found


def _location(region: Region, regions: Regions) -> dict[str, Any]:
    return {"path": fit(region.path) or ".", "range": _range(region, regions)}


def _range(region: Region, regions: Regions) -> dict[str, Any]:
    """In bytes, or as whole lines where the text is not at hand."""
    exact = regions.in_units(region, "utf-8")
    if exact is None:
        return {"start": {"line": region.line}, "end": {"line": region.end_line}}
    return _range_of(exact)


def _suggestions(finding: Finding, report: Report, regions: Regions) -> list[dict[str, Any]]:
    """The fix, if all of it lies in the finding's file: a suggestion names no other."""
    fix = finding.fix
    if fix is None or any(edit.place.path != finding.place.path for edit in fix.edits):
        return []
    if finding.place.path in report.notebooks:
        return []
    found = []
    for edit in fix.edits:
        span = edit.place.span
        path = report.prefix + edit.place.path
        exact = regions.in_units(Region(path, span.line, span.column, span.end_line, span.end_column), "utf-8")
        if exact is None:
            return []
        found.append({"range": _range_of(exact), "text": edit.text})
    return found


def _range_of(exact: Region) -> dict[str, Any]:
    return {
        "start": {"line": exact.line, "column": exact.column},
        "end": {"line": exact.end_line, "column": exact.end_column},
    }
