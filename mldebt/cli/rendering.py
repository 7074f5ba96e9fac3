"""Which module renders a report in a format, and with what it needs beside the report."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from mldebt.cli.session import Session
from mldebt.finding import Confidence, Finding, Severity
from mldebt.page import markdown, meta_markdown, summary
from mldebt.report.result import Report, Sheet
from mldebt.settings.formats import FORMATS
from mldebt.settings.selectors import META

_LARGEST = 32 * 1024 * 1024  # as much of a file as a scan reads


def rendered(report: Report, session: Session, name: str, *, counts: bool, to_file: bool) -> str:
    """The report in a format; never coloured in a file unless that was asked for.

    Args:
        report: What to show.
        session: Says whether to colour.
        name: The format.
        counts: Counts by rule instead of findings; formats for programs carry all of them anyway.
        to_file: It will stand in a file, whose reader's width and liking for colours are unknown.
    """
    form = FORMATS[name]
    color = session.color and (not to_file or session.color_forced)
    width = 100 if to_file else shutil.get_terminal_size((100, 25)).columns
    # Formats are imported when asked for: those drawn with rich cost as much as a small scan.
    if counts and form.counted:
        return str(importlib.import_module("mldebt.report.statistics").render(report, color=color, width=width))
    module = importlib.import_module(form.module)
    return str(module.render(report, color=color, width=width) if form.drawn else module.render(report))


def prepared(report: Report, session: Session, name: str, overlay: Mapping[str, bytes]) -> Report:
    """The report with what a format needs beside findings: the rules' pages, the files, the way from the checkout.

    Args:
        report: As the scan gave it.
        session: Knows the rules and the root.
        name: The format.
        overlay: What to take in the place of files on disk, by path.
    """
    form = FORMATS[name]
    if form.sheets:
        report = replace(report, sheets=_sheets(session))
    if form.contents:
        report = replace(report, contents=_contents(report, session.root, overlay))
    if form.checkout:
        report = replace(report, prefix=prefix(session.root))
    return report


def prefix(root: Path) -> str:
    """The way from the top of the git checkout around a root to the root: ``""`` or ``"services/ranker/"``."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    below = root.relative_to(top).as_posix()
    return "" if below == "." else f"{below}/"


def _sheets(session: Session) -> dict[str, Sheet]:
    """The rules that run, and what the scan itself reports."""
    found = {
        rule.code: Sheet(
            rule.code,
            rule.name(),
            rule.family(),
            summary(rule),
            markdown(rule),
            rule.severity,
            rule.confidence,
            rule.minutes,
            rule.preview,
        )
        for rule in (each.load() for each in session.registry.announced if session.config.selects(each.code))
    }
    for code, (name, words) in META.items():
        severity = Severity.INFO if code == "MLD003" else Severity.CRITICAL if code == "MLD005" else Severity.MINOR
        found[code] = Sheet(code, name, "meta", words, meta_markdown(code), severity, Confidence.HIGH, 2)
    return found


def _contents(report: Report, root: Path, overlay: Mapping[str, bytes]) -> dict[str, bytes]:
    findings = (*report.findings, *(each.finding for each in report.waived))
    found = {}
    for path in sorted(set(_paths(findings))):
        data = overlay.get(path)
        if data is None:
            data = _read(root, path)
        if data is not None:
            found[path] = data
    return found


def _paths(findings: Iterable[Finding]) -> Iterable[str]:
    for finding in findings:
        yield finding.place.path
        yield from (related.place.path for related in finding.related)
        yield from (edit.place.path for edit in (finding.fix.edits if finding.fix else ()))


def _read(root: Path, path: str) -> bytes | None:
    """A file below the root; None if it is none, or was changed into a way out since it was scanned."""
    real = Path(os.path.realpath(root / path))
    try:
        if not real.is_relative_to(os.path.realpath(root)) or real.stat().st_size > _LARGEST:
            return None
        return real.read_bytes()
    except OSError:
        return None
