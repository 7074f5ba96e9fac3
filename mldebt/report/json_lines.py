"""JSON Lines (https://jsonlines.org): an object for each finding, as ``json`` has them.

What is suppressed has ``suppression``, an error has no ``fingerprint``.
"""

from __future__ import annotations

import json

from mldebt.report.json import error_values, finding_values, suppressed_values
from mldebt.report.result import Report


def render(report: Report) -> str:
    """Open findings, then suppressed ones, then errors."""
    found = [finding_values(finding, report) for finding in report.ordered]
    return "".join(f"{json.dumps(each)}\n" for each in (*found, *suppressed_values(report), *error_values(report)))
