"""``mldebt why``: what a finding stands on, and what is known where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mldebt.cli.completing import rules
from mldebt.cli.main import FINDINGS, OK, TROUBLE
from mldebt.cli.options import GroupedCommand, place_options, talk_options
from mldebt.cli.session import Session, opened
from mldebt.cli.terminal import emit
from mldebt.errors import UsageError
from mldebt.finding import Finding, Place, Waived
from mldebt.pipeline import Outcome
from mldebt.report.result import Report

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::\d+)?")
_NEAREST = 3


@click.command("why", cls=GroupedCommand)
@click.argument("place", metavar="FILE:LINE")
@click.argument("rule", metavar="CODE|NAME", shell_complete=rules)
@place_options
@talk_options
def command(place: str, rule: str, **given: Any) -> int:
    """Say why a rule reports at a line: its evidence, the counter-evidence searched, and what is unknown.

    Where the rule reports nothing it says what is known: waivers, selection, and the nearest findings. Leaves with 0
    when there is a finding, with 1 when there is none.
    """
    match = _PLACE.fullmatch(place)
    if match is None:
        raise UsageError(f"{place!r} is not FILE:LINE")
    file, line = Path(match["file"]), int(match["line"])
    # The whole repository is asked: what a finding stands on may lie in any file.
    session = opened((file,), given)
    code = session.config.vocabulary.one(rule)
    outcome = session.scan(session.request(config=session.config.only(code), paths=()))
    path = session.request().relative(session.paths[0])
    report = outcome.report
    found = [each for each in report.ordered if each.code == code and _touches(report, each, path, line)]
    waived = [
        each for each in report.waived if each.finding.code == code and _touches(report, each.finding, path, line)
    ]
    # What could not be read or judged is no finding, and known all the same.
    errors = [each for each in report.errors if (each.code, each.path, each.line) == (code, path, line)]
    blocks = [f"{path}:{line} {code} {error.message}" for error in errors]
    blocks += [_explained(report, finding) for finding in found]
    blocks += [_waived(report, each) for each in waived]
    emit("\n\n".join(blocks or ["\n".join(_absent(session, outcome, code, path, line))]))
    if outcome.crashed:
        return TROUBLE
    return OK if found or waived or errors else FINDINGS


def _touches(report: Report, finding: Finding, path: str, line: int) -> bool:
    """Whether a finding, or a place that belongs to it, covers a line of the file as it lies on disk."""
    places = [finding.place, *(related.place for related in finding.related)]
    return any(
        place.path == path
        and report.physical(path, place.span.line) <= line <= report.physical(path, place.span.end_line)
        for place in places
    )


def _explained(report: Report, finding: Finding) -> str:
    cost = f"{finding.severity.label}, confidence {finding.confidence.label}, {finding.minutes} min"
    lines = [f"{_at(report, finding.place)} {finding.code} {finding.name} ({cost})", f"  {finding.message}"]
    if finding.related:
        lines.append("places")
        lines += [f"  {_at(report, each.place)} {each.role}: {each.message}" for each in finding.related]
    if finding.evidence:
        lines += ["evidence", *(f"  {fact}" for fact in finding.evidence)]
    if not finding.evidence and not finding.related:
        lines.append("The code at this place is all the evidence: the rule asks nothing else.")
    return "\n".join(lines)


def _waived(report: Report, waived: Waived) -> str:
    reason = f": {waived.reason}" if waived.reason else ", without a reason"
    where = f" at line {waived.line}" if waived.kind == "inline" else ""
    return f"{_explained(report, waived.finding)}\nwaived\n  {waived.kind}{where}{reason}"


def _absent(session: Session, outcome: Outcome, code: str, path: str, line: int) -> Iterator[str]:
    """What is known where a rule reports nothing."""
    rule, config, report = session.registry.rule(code), outcome.config, outcome.report
    name = f" {rule.name()}" if rule else ""
    yield f"{path}:{line} has no finding of {code}{name}."
    if not session.config.selects(code):
        preview = " (a preview rule: --preview)" if rule is not None and rule.preview else ""
        yield f"  The rule is not selected here{preview}; it was run for this answer all the same."
    if config.ignored(code, path):
        yield "  The configuration ignores it in this file, so findings would not be shown."
    for error in report.errors:
        if error.path == path:
            yield f"  Line {error.line} could not be read: {error.message}"
    module = outcome.project.modules.get(path)
    if module is None:
        yield "  The file is not among the Python files of the repository."
    elif module.role != "project":
        yield f"  The file is {module.role}: no debt is reported in it."
    elif module.is_test and rule is not None and not rule.in_tests:
        yield "  The file is a test, and this rule does not report in tests."
    same = [finding for finding in report.ordered if finding.code == code]
    near = sorted(
        same, key=lambda f: (f.place.path != path, abs(report.physical(f.place.path, f.place.span.line) - line))
    )
    if near:
        yield "nearest findings"
        yield from (f"  {_at(report, finding.place)} {finding.message}" for finding in near[:_NEAREST])
    else:
        yield "  There is no finding of it in the whole repository."


def _at(report: Report, place: Place) -> str:
    return f"{place.path}:{report.physical(place.path, place.span.line)}"
