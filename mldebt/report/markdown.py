"""The summary of a workflow run or a comment on a pull request: score, what is new, what to pay back first.

GitHub shows at most 1 MiB in a step summary and 65,536 characters in a comment, and drops what is longer: rows are left
out before that. Names and messages come from the scanned code, so nothing in them may be Markdown or HTML.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mldebt.finding import Finding, Severity
from mldebt.report.frames import duration
from mldebt.report.result import Report, reading_order
from mldebt.report.snippet import printable
from mldebt.score import Score

LIMIT = 60_000  # characters
MOST = 100  # rows
_SPECIAL = re.compile(r"[\\`*_\[\]#|~$]")
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_ADDRESS = re.compile(r"@|:(?=//)|\bwww(?=\.)", re.IGNORECASE)  # what GitHub would link, or notify
_TICKS = re.compile("`+")


def render(report: Report) -> str:
    """Markdown, at most ``LIMIT`` characters of it."""
    head = [_title(report), "", *_counts(report), ""]
    tail = [*_fix_first(report), *_families(report), *_errors(report)]
    room = LIMIT - sum(len(line) + 1 for line in (*head, *tail))
    return "".join(f"{line}\n" for line in (*head, *_findings(report, room), *tail))


def _title(report: Report) -> str:
    if report.score is None:
        why = "no Python to judge" if report.score_reason == "no-python" else "part of the repository, no score"
        return f"## mldebt: {why}"
    return f"## mldebt: grade {report.score.grade}, {_value(report.score)} of 100"


def _value(score: Score) -> str:
    return f"{'≤ ' if score.at_most else ''}{score.value:.1f}"


def _counts(report: Report) -> Iterator[str]:
    """A small table of what there is."""
    yield from ("| | |", "|---|---|")
    before = report.before
    if report.score and before and before.score:
        after = f"{before.score.value:.1f} ({before.score.grade}) → **{_value(report.score)} ({report.score.grade})**"
        yield f"| Score since {code(before.name)} | {after} |"
    counts = Counter(finding.severity for finding in report.findings)
    parts = [f"{counts[level]} {level.label}" for level in sorted(Severity, reverse=True) if counts[level]]
    minutes = sum(finding.minutes for finding in report.findings)
    words = f"**{len(report.findings):,}** ({', '.join(parts)}), {duration(minutes)} to pay back" if parts else "none"
    yield f"| {_heading(report)} | {words} |"
    baselined = sum(one.kind == "baseline" for one in report.waived)
    known = [f"{baselined:,} known"] if baselined else []
    known += [f"{len(report.waived) - baselined:,} waived"] if len(report.waived) > baselined else []
    if known:
        yield f"| Not reported | {', '.join(known)} |"
    if report.score:
        since = report.previous_lines
        grown = f" ({since:,} before)" if since is not None and since != report.score.live_lines else ""
        yield f"| Size | {report.score.live_lines:,} live lines{grown} in {report.files:,} files |"
        for cap in report.score.caps:
            yield f"| At most {cap.grade} | {escaped(cap.reason)} |"


def _heading(report: Report) -> str:
    return "New findings" if report.compared or report.before else "Findings"


def _findings(report: Report, room: int) -> Iterator[str]:
    """The worst first, as many as there is room for."""
    if not report.findings:
        return
    opening = [
        f"### {_heading(report)}",
        "",
        "| Severity | Rule | Where | What happens | Takes |",
        "|---|---|---|---|---|",
    ]
    room -= sum(len(line) + 1 for line in opening) + 100
    ranked = sorted(report.findings, key=lambda finding: (-finding.severity, *reading_order(finding)))
    rows: list[str] = []
    for finding in ranked[:MOST]:
        row = _row(report, finding)
        room -= len(row) + 1
        if room < 0:
            break
        rows.append(row)
    yield from (*opening, *rows)
    if len(rows) < len(ranked):
        yield from ("", f"And {len(ranked) - len(rows):,} more: `mldebt scan` lists them all.")
    yield ""


def _row(report: Report, finding: Finding) -> str:
    cells = (
        finding.severity.label,
        f"{code(finding.code)} {escaped(finding.name)}",
        code(_shortened(report.where(finding.place, column=False), 200)) + report.in_file(finding.place),
        escaped(_shortened(finding.message, 500)),
        duration(finding.minutes),
    )
    return f"| {' | '.join(cells)} |"


def _fix_first(report: Report) -> Iterator[str]:
    if report.score is None:
        return
    every = {finding.fingerprint: finding for finding in report.findings}
    every |= {one.finding.fingerprint: one.finding for one in report.waived}
    gains = [(gain, every[gain.fingerprint]) for gain in report.score.fix_first if gain.fingerprint in every]
    if not gains:
        return
    yield from ("### Fix first", "")
    for gain, finding in gains:
        where = code(_shortened(report.where(finding.place, column=False), 200))
        points = f"+{gain.points:.1f}" if gain.points >= 0.05 else "less than 0.1"
        spent = duration(gain.minutes)
        yield f"1. {code(finding.code)} {escaped(finding.name)} at {where}: {points} points for {spent}"
    yield ""


def _families(report: Report) -> Iterator[str]:
    if report.score is None:
        return
    before = report.before.score if report.before else None
    values = {family.digit: family.value for family in before.families} if before else {}
    rows: list[Sequence[str]] = []
    for family in sorted(report.score.families, key=lambda family: (-round(family.lost, 6), family.digit)):
        if family.applicable and family.value is not None:
            old = values.get(family.digit)
            since = f"{old:.1f} → " if old is not None else ""
            spent = duration(family.minutes) if family.minutes else ""
            rows.append((f"{family.digit} {family.name}", f"{since}{family.value:.1f}", f"{family.lost:.1f}", spent))
    yield from ("<details><summary>Score by family</summary>", "", "| Family | Score | Points lost | Debt |")
    yield "|---|---:|---:|---:|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield from ("", "</details>", "")


def _errors(report: Report) -> Iterator[str]:
    """What could not be read or judged; the first few, for one broken folder may hold thousands."""
    ordered = sorted(report.errors, key=lambda error: (error.path, error.line, error.code, error.message))
    if not ordered:
        return
    yield from ("### Not understood", "")
    for error in ordered[:10]:
        where = f" {code(_shortened(f'{error.path}:{error.line or 1}', 200))}" if error.path else ""
        yield f"- {code(error.code)}{where}: {escaped(_shortened(error.message, 500))}"
    if len(ordered) > 10:
        yield f"- and {len(ordered) - 10:,} more"
    yield ""


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line; it mentions nobody and links nowhere."""
    words = printable(" ".join(text.split()))
    for character, entity in _ENTITIES:
        words = words.replace(character, entity)
    return _ADDRESS.sub(r"\g<0><!-- -->", _SPECIAL.sub(r"\\\g<0>", words))


def code(text: str) -> str:
    """Text as code, in a table too."""
    words = printable(text).replace("|", "\\|")
    fence = "`" * (max(map(len, _TICKS.findall(words)), default=0) + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{space}{words}{space}{fence}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
