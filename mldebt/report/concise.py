"""One line for each finding, for editors and grep: ``path:line:column: CODE [severity] message``."""

from __future__ import annotations

from mldebt.report.result import Report
from mldebt.report.snippet import harmless


def render(report: Report) -> str:
    """Errors, then findings in reading order.

    In a notebook the place is ``n.ipynb:cell 3:2:8``, cell, line and column; the line in the file ends the message.
    """
    errors = sorted(report.errors, key=lambda error: (error.path, error.line, error.code, error.message))
    lines = [
        (f"{error.path}:{error.line or 1}:1: " if error.path else "") + f"{error.code} [error] {error.message}"
        for error in errors
    ]
    lines += (
        f"{report.where(finding.place)}: {finding.code} [{finding.severity.label}] {finding.message}"
        f"{report.in_file(finding.place)}"
        for finding in report.ordered
    )
    return "".join(f"{harmless(line)}\n" for line in lines)
