"""Counts by rule, for ``--statistics`` and for the end of a long report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from mldebt.finding import Finding, Severity
from mldebt.report.frames import duration, severity_style
from mldebt.report.result import Report
from mldebt.report.snippet import one_line
from mldebt.report.terminal import printed


def render(report: Report, *, color: bool, width: int) -> str:
    """One line a rule: how many, what, how bad, how long; an asterisk where all of them have a fix."""
    return printed(_lines(report, width), color=color, width=width)


def _lines(report: Report, width: int) -> Iterator[Text]:
    yield from table(report.findings, width)
    number, minutes = len(report.findings), sum(finding.minutes for finding in report.findings)
    if number:
        yield Text(f"{number:>6,} finding{'' if number == 1 else 's'}, {duration(minutes)} to pay back", "dim")
    known = sum(one.kind == "baseline" for one in report.waived)
    for count, words in ((len(report.waived) - known, "waived"), (known, "known before, and not counted")):
        if count:
            yield Text(f"{count:>6,} {words}", "dim")
    if any(finding.fix for finding in report.findings):
        yield Text("        * has a fix", "dim")


def table(findings: Sequence[Finding], width: int) -> Iterator[Text]:
    """The most frequent rule first, ties by code."""
    by_rule: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_rule[finding.code].append(finding)
    for code in sorted(by_rule, key=lambda code: (-len(by_rule[code]), code)):
        found = by_rule[code]
        yield Text.assemble(
            f"{len(found):>6,}  ",
            (f"{code:<7}", "bold"),
            ("*" if all(finding.fix for finding in found) else " ", "green"),
            f" {one_line(found[0].name, 35):<36}",
            _severities(finding.severity for finding in found),
            (f"{duration(sum(finding.minutes for finding in found)):>10}", "dim"),
        )


def _severities(given: Iterable[Severity]) -> Text:
    worst = max(given)
    return Text(f"{worst.label:<9}", severity_style(worst))
