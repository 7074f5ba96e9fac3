"""Checkstyle's XML (https://checkstyle.org), which Jenkins, reviewdog and many editors read."""

from __future__ import annotations

from itertools import groupby

from mldebt.finding import Severity
from mldebt.report.entries import entries
from mldebt.report.regions import Regions
from mldebt.report.result import Report
from mldebt.report.xml import document, element

_SEVERITIES = {
    Severity.CRITICAL: "error",
    Severity.MAJOR: "warning",
    Severity.MINOR: "info",
    Severity.INFO: "info",
}


def render(report: Report) -> str:
    """One ``file`` for each file with findings; columns count from 1."""
    root = element("checkstyle", version="4.3")
    found = entries(report, Regions(report))
    for path, members in groupby(found, lambda entry: entry.region.path):
        file = element("file", name=path or ".")
        file.extend(
            element(
                "error",
                line=entry.region.line,
                column=entry.region.column,
                severity=_SEVERITIES[entry.severity],
                message=entry.message,
                source=f"mldebt.{entry.code}",
            )
            for entry in members
        )
        root.append(file)
    return document(root)
