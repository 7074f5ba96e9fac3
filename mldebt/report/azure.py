"""Logging commands of Azure Pipelines.

Syntax: https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands; escaping: ``taskcommand.ts`` of
microsoft/azure-pipelines-task-lib.
"""

from __future__ import annotations

from mldebt.finding import Severity
from mldebt.report.entries import Entry, entries, escaped, fit
from mldebt.report.regions import Regions
from mldebt.report.result import Report

_MESSAGE = (("%", "%AZP25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_MESSAGE, ("]", "%5D"), (";", "%3B"))


def render(report: Report) -> str:
    """Critical findings are errors, all others warnings: there is no third kind."""
    return "".join(f"{_command(entry)}\n" for entry in entries(report, Regions(report)))


def _command(entry: Entry) -> str:
    region = entry.region
    properties = [("type", "error" if entry.severity is Severity.CRITICAL else "warning")]
    if region.path:
        properties += [("sourcepath", region.path), ("linenumber", str(region.line))]
        properties += [("columnnumber", str(region.column))] if region.column is not None else []
    properties.append(("code", entry.code))
    written = "".join(f"{name}={escaped(value, _PROPERTY)};" for name, value in properties)
    return f"##vso[task.logissue {written}]{escaped(fit(entry.message), _MESSAGE)}"
