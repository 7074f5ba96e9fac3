"""The end of the text report: the score and its families, the debt in hours, what was understood, what to fix first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from mldebt.finding import Severity
from mldebt.report.frames import duration, justified, severity_style, wrapped
from mldebt.report.result import Before, Report
from mldebt.report.snippet import one_line, printable
from mldebt.score import ENOUGH, FamilyScore, Score

LABEL = 11  # "Fix first  "
SHOWN_ERRORS = 10
SHOWN_STEPS = 5


def summary(report: Report, width: int) -> Iterator[Text]:
    """What closes the report, without a line at its end."""
    if report.score:
        yield from _score(report.score, report.before, width)
    elif report.score_reason == "no-python":
        yield from _labelled("Score", "none: there is no Python here to judge", width)
        return
    else:
        yield from _labelled("Score", "none: only a part of the repository was asked for", width)
    yield from _debt(report, width)
    yield from _coverage(report, width)
    yield from _practices(report, width)
    if report.score and report.score.fix_first:
        yield from _fix_first(report, report.score, width)


def errors(report: Report, width: int) -> Iterator[Text]:
    """What could not be read, or crashed."""
    ordered = sorted(report.errors, key=lambda error: (error.path, error.line, error.code, error.message))
    for error in ordered[:SHOWN_ERRORS]:
        place = f" {printable(error.path)}:{error.line}" if error.path else ""
        head = Text.assemble(("error", "bold red"), " ", (error.code, "bold"), place)
        head.truncate(width, overflow="ellipsis")
        yield head
        yield from wrapped(error.message, 2, width)
    if len(ordered) > SHOWN_ERRORS:
        yield Text(f"  and {len(ordered) - SHOWN_ERRORS} more errors; --output-format concise lists them all", "dim")
    if ordered:
        yield Text()


def grade_style(grade: str) -> str:
    return {"A": "bold green", "B": "bold green", "C": "bold yellow", "D": "bold red"}.get(grade, "bold red")


def _labelled(label: str, words: str, width: int, style: str = "") -> Iterator[Text]:
    for index, line in enumerate(wrapped(words, 0, width - LABEL, style)):
        yield Text.assemble((f"{label if index == 0 else '':<{LABEL}}", "bold"), line)


def _score(score: Score, before: Before | None, width: int) -> Iterator[Text]:
    bound = "≤ " if score.at_most else ""
    head = Text.assemble(
        (f"{'Score':<{LABEL}}", "bold"),
        (f"{before.score.value:.1f} → " if before and before.score else "", "dim"),
        (f"{bound}{score.value:.1f}", grade_style(score.grade)),
        " of 100   grade ",
        (score.grade, grade_style(score.grade)),
    )
    because = "; ".join(f"at most {cap.grade}: {cap.reason}" for cap in score.caps if cap.grade == score.grade)
    if because and head.cell_len + 3 + cell_len(because) <= width:
        yield Text.assemble(head, "   ", (because, "dim"))
    else:
        yield head
        yield from _labelled("", because, width, "dim")
    yield Text()
    applicable = [family for family in score.families if family.applicable]
    for family in sorted(applicable, key=lambda family: (-round(family.lost, 6), family.digit)):
        yield _family(family, width)
    absent = [family.name for family in score.families if not family.applicable]
    if absent:
        yield from wrapped(f"not applicable: {', '.join(absent)}", 2, width, "dim")
    yield Text()


def _family(family: FamilyScore, width: int) -> Text:
    value = family.value or 0.0
    bar = max(10, min(40, width - 54))
    full = round(bar * value / 100)
    style = "green" if value >= 70 else "yellow" if value >= 40 else "red"
    lost = f"-{family.lost:.1f}" if round(family.lost, 1) else ""
    return Text.assemble(
        f"  {family.digit} {family.name:<16}",
        ("━" * full, style),
        ("·" * (bar - full), "dim"),
        f" {value:6.1f}",
        (f" {lost:>7}", "red"),
        (f"  {duration(family.minutes) if family.minutes else '':>10}", "dim"),
    )


def _debt(report: Report, width: int) -> Iterator[Text]:
    minutes = report.score.minutes if report.score else sum(finding.minutes for finding in report.findings)
    counts = Counter(finding.severity for finding in report.findings)
    parts = [f"{counts[severity]} {severity.label}" for severity in sorted(Severity, reverse=True) if counts[severity]]
    number = len(report.findings)
    words = [f"{duration(minutes)} to pay back" if minutes else "none"]
    if number:
        new = "new " if report.before else ""
        words.append(f"{number:,} {new}finding{'' if number == 1 else 's'} ({', '.join(parts)})")
    known = [one for one in report.waived if one.kind == "baseline"]
    # What the baseline holds names its line there; what the older commit has stands in no file.
    baselined = sum(one.line > 0 for one in known) if report.before else len(known)
    waived = len(report.waived) - len(known)
    if waived:
        share = waived / (waived + number)
        words.append(f"{waived:,} waived" + (f", {share:.0%} of what was found" if share > 0.2 else ""))
    if baselined:
        words.append(f"{baselined:,} in the baseline")
    if report.before and len(known) > baselined:
        words.append(f"{len(known) - baselined:,} not new since {report.before.name}")
    yield from _labelled("Debt", "; ".join(words), width)
    if report.score:
        lines = f"{report.score.live_lines:,} live lines of code in {report.files:,} files"
        if report.previous_lines is not None and report.previous_lines != report.score.live_lines:
            lines += f" ({report.previous_lines:,} lines before)"
        yield from _labelled("Size", lines, width)


def _coverage(report: Report, width: int) -> Iterator[Text]:
    coverage = report.coverage
    shares = {
        "files parsed": coverage.files_parsed,
        "calls resolved": coverage.calls_resolved,
        "entries understood": coverage.entries_understood,
        "options owned": coverage.options_owned,
    }
    # Rounding down: 99.96 % is not all of it.
    words = ", ".join(f"{int(share * 100 + 1e-9)}% {name}" for name, share in shares.items())
    if coverage.least < ENOUGH:
        words += f"; below {ENOUGH:.0%}, so the score can only be lower"
    yield from _labelled("Coverage", words, width, "dim")


def _practices(report: Report, width: int) -> Iterator[Text]:
    judged = [practice for practice in report.practices if practice.state != "not-visible"]
    if not judged:
        return
    points = sum({"wired": 1.0, "present": 0.5}.get(practice.state, 0.0) for practice in judged)
    hidden = len(report.practices) - len(judged)
    words = f"{points:g} of {len(judged)}" + (f" ({hidden} cannot be seen in code)" if hidden else "")
    yield from _labelled("Practices", words, width)
    steps = [practice for practice in judged if practice.state != "wired" and practice.next]
    for practice in steps[:SHOWN_STEPS]:
        yield from _labelled("", f"{practice.id} {practice.title} is {practice.state}: {practice.next}", width, "dim")


def _fix_first(report: Report, score: Score, width: int) -> Iterator[Text]:
    every = {finding.fingerprint: finding for finding in report.findings}
    every |= {one.finding.fingerprint: one.finding for one in report.waived}
    gains = [(gain, every[gain.fingerprint]) for gain in score.fix_first if gain.fingerprint in every]
    if not gains:
        return
    places = [printable(report.where(finding.place, column=False)) for _, finding in gains]
    names = max(cell_len(finding.name) for _, finding in gains)
    widest = min(max(map(cell_len, places)), max(16, width - names - 32))
    yield Text()
    yield justified(Text("Fix first", "bold"), Text(f"{'points':>7} {'takes':>8}", "dim"), width)
    for number, ((gain, finding), place) in enumerate(zip(gains, places, strict=True), 1):
        short = place if cell_len(place) <= widest else "…" + place[-(widest - 1) :]
        left = Text.assemble(
            f"  {number}  ",
            (finding.code, severity_style(finding.severity)),
            f" {one_line(finding.name, names):<{names}}  ",
            (short, "dim"),
        )
        points = f"+{gain.points:.1f}" if gain.points >= 0.05 else "< +0.1"
        right = Text.assemble((f"{points:>7}", "green"), (f" {duration(gain.minutes):>8}", "dim"))
        yield justified(left, right, width)
