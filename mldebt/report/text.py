"""The report for people: each finding with its code, then the score and what to pay back first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rich.text import Text

from mldebt.finding import Finding
from mldebt.report.frames import Frame, duration, justified, severity_style, title
from mldebt.report.result import Report, reading_order
from mldebt.report.snippet import printable
from mldebt.report.statistics import table
from mldebt.report.summary import errors, summary
from mldebt.report.terminal import printed
from mldebt.weights import weighted_minutes

LEGACY = 60  # with more findings than this nobody reads them one by one
WORST = 20
ALIKE = 5  # of one rule among the worst, as long as others are left
NARROW, WIDE = 60, 120


def render(report: Report, *, color: bool, width: int) -> str:
    """The report laid out for a terminal of ``width`` columns, without a single escape unless ``color``."""
    width = max(NARROW, min(width, WIDE))
    return printed(_lines(report, width), color=color, width=width)


def _lines(report: Report, width: int) -> Iterator[Text]:
    yield from errors(report, width)
    if len(report.findings) > LEGACY:
        yield from _legacy(report, width)
    elif report.findings:
        for finding in report.ordered:
            yield title(finding, width)
            yield from Frame(report, finding, width).lines()
            yield Text()
    elif report.score_reason != "no-python":
        files = f"{report.files:,} file" + ("" if report.files == 1 else "s")
        known = report.before is not None or any(one.kind == "baseline" for one in report.waived)
        head, rest = ("No new debt", "") if known else ("No debt found", " There is nothing to pay back.")
        yield Text.assemble((head, "bold green"), f" in {files}.{rest}")
        yield Text()
    if report.findings:
        yield Text("─" * width, "dim")
    yield from summary(report, width)


def _legacy(report: Report, width: int) -> Iterator[Text]:
    """The worst findings, rule by rule, and counts for the rest."""
    worst = _worst(report)
    groups: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in worst:
        groups[finding.code].append(finding)
    totals: defaultdict[str, int] = defaultdict(int)
    for finding in report.findings:
        totals[finding.code] += 1
    yield Text(f"{len(report.findings):,} findings. {WORST} of the worst, rule by rule:", "bold")
    yield Text()
    for code, findings in groups.items():
        first = findings[0]
        left = Text.assemble(
            (first.severity.label, severity_style(first.severity)), " ", (code, "bold"), f" {printable(first.name)}"
        )
        yield justified(left, Text(f"{len(findings)} of {totals[code]:,}", "dim"), width)
        said = ""
        for finding in sorted(findings, key=reading_order):
            yield from _framed(report, finding, width, repeated=finding.message == said)
            said = finding.message
    seen = {id(finding) for finding in worst}
    yield Text("The others:", "bold")
    yield Text()
    yield from table([finding for finding in report.findings if id(finding) not in seen], width)
    yield Text()


def _framed(report: Report, finding: Finding, width: int, *, repeated: bool) -> Iterator[Text]:
    frame = Frame(report, finding, width)
    if not repeated:
        yield from frame.message()
    cost = Text(duration(finding.minutes) if finding.minutes else "", "dim")
    yield justified(frame.place(), cost, width)
    yield from frame.code_and_places()
    yield Text()


def _worst(report: Report) -> list[Finding]:
    """The worst twenty, so that one noisy rule does not hide the others."""
    ranked = sorted(report.findings, key=_worst_first)
    seen: defaultdict[str, int] = defaultdict(int)
    first: list[Finding] = []
    later: list[Finding] = []
    for finding in ranked:
        seen[finding.code] += 1
        (first if seen[finding.code] <= ALIKE else later).append(finding)
    return sorted((first + later)[:WORST], key=_worst_first)


def _worst_first(finding: Finding) -> tuple[object, ...]:
    return (-finding.severity, -finding.confidence, -weighted_minutes(finding), reading_order(finding))
