"""JUnit's XML as CI servers read it: a suite for each file, a failed test for each finding.

Schema: https://github.com/jenkinsci/xunit-plugin, ``junit-10.xsd``; ``line`` and ``column`` are what others add to it.
"""

from __future__ import annotations

from itertools import groupby
from xml.etree.ElementTree import Element

from mldebt.finding import Severity
from mldebt.report.entries import Entry, entries, fit
from mldebt.report.regions import Regions
from mldebt.report.result import Report
from mldebt.report.xml import document, element


def render(report: Report) -> str:
    """Errors of mldebt itself are JUnit errors, all else failures. A clean run is one test that passed."""
    found = entries(report, Regions(report))
    suites = [_suite(path, list(members)) for path, members in groupby(found, lambda entry: entry.region.path)]
    if not suites:
        passed = element("testsuite", name="mldebt", tests=1, failures=0, errors=0, package="org.mldebt")
        passed.append(element("testcase", name="No errors found", classname="mldebt"))
        suites = [passed]
    crashed = sum(map(_is_error, found))
    root = element("testsuites", name="mldebt", tests=max(1, len(found)), failures=len(found) - crashed, errors=crashed)
    root.extend(suites)
    return document(root)


def _suite(path: str, members: list[Entry]) -> Element:
    errors = sum(map(_is_error, members))
    suite = element(
        "testsuite",
        name=path or ".",
        tests=len(members),
        failures=len(members) - errors,
        errors=errors,
        package="org.mldebt",
    )
    suite.extend(_case(entry) for entry in members)
    return suite


def _case(entry: Entry) -> Element:
    region = entry.region
    # Dots would make a tree of packages of a path.
    folder, _, file = region.path.rpartition("/")
    stem = file.rpartition(".")[0] or file
    case = element(
        "testcase",
        name=f"org.mldebt.{entry.code}",
        classname=f"{folder}/{stem}".lstrip("/") or "mldebt",
        line=region.line,
        column=region.column,
    )
    failure = element("error" if _is_error(entry) else "failure", type=entry.severity.label, message=entry.message)
    failure.text = fit(f"{region.path}:{region.line}:{region.column or 1}: {entry.code} {entry.name}: {entry.message}")
    case.append(failure)
    return case


def _is_error(entry: Entry) -> bool:
    return entry.finding is None and entry.severity is Severity.CRITICAL
