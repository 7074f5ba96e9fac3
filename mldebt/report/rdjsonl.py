"""reviewdog's diagnostic format, one diagnostic a line: ``rdjsonl``."""

from __future__ import annotations

import json

from mldebt.report.rdjson import SOURCE, diagnostics
from mldebt.report.result import Report


def render(report: Report) -> str:
    """The same diagnostics as ``rdjson``, each with its source."""
    return "".join(f"{json.dumps(each | {'source': SOURCE})}\n" for each in diagnostics(report))
