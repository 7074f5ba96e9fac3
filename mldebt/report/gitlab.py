"""GitLab's code quality report (https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format)."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import blake2b
from typing import Any

from mldebt.finding import Severity
from mldebt.report.entries import Entry, entries, fit
from mldebt.report.regions import Regions
from mldebt.report.result import Report

_SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.MAJOR: "major",
    Severity.MINOR: "minor",
    Severity.INFO: "info",
}


def render(report: Report) -> str:
    """A JSON array, one issue a line. GitLab drops issues that share a fingerprint, so none do."""
    seen = Counter[str]()
    issues = [_issue(entry, seen) for entry in entries(report, Regions(report))]
    return "[\n" + ",\n".join(json.dumps(issue) for issue in issues) + "\n]\n" if issues else "[]\n"


def _issue(entry: Entry, seen: Counter[str]) -> dict[str, Any]:
    region = entry.region
    path = fit(region.path) or "."
    fingerprint = entry.finding.fingerprint if entry.finding else ""
    if not fingerprint:
        # Without the line: an error that moves stays the same error.
        words = "\0".join((entry.code, path, entry.message))
        fingerprint = blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    seen[fingerprint] += 1
    if seen[fingerprint] > 1:
        fingerprint = f"{fingerprint}-{seen[fingerprint]}"
    location: dict[str, Any] = {"path": path}
    if region.column is not None and region.end_column is not None:
        location["positions"] = {
            "begin": {"line": region.line, "column": region.column},
            "end": {"line": region.end_line, "column": region.end_column},
        }
    else:
        location["lines"] = {"begin": region.line, "end": region.end_line}
    return {
        # GitLab does not show check_name.
        "description": f"{entry.code} {fit(entry.message)}",
        "check_name": entry.code,
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[entry.severity],
        "location": location,
    }
