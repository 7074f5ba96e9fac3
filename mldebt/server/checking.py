"""One scan of a repository for an editor: open texts in the place of files, findings by document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lsprotocol import types
from msgspec.structs import replace

from mldebt.baseline import Baseline
from mldebt.config import Config, Request
from mldebt.finding import Finding, Related, ScanError, Severity
from mldebt.pipeline import scan
from mldebt.registry import Registry
from mldebt.report.entries import of_error
from mldebt.report.result import Report
from mldebt.server.documents import Open
from mldebt.server.places import Places, Spot

SOURCE = "mldebt"
LEVELS = {
    Severity.CRITICAL: types.DiagnosticSeverity.Error,
    Severity.MAJOR: types.DiagnosticSeverity.Warning,
    Severity.MINOR: types.DiagnosticSeverity.Information,
    Severity.INFO: types.DiagnosticSeverity.Hint,
}


@dataclass(frozen=True)
class Setup:
    """What a scan of one root stands on."""

    root: Path
    config: Config
    registry: Registry
    cache_dir: Path | None
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Shown:
    """A finding, or an error, where an editor shows it."""

    diagnostic: types.Diagnostic
    finding: Finding | None = None
    spot: Spot | None = None
    path: str = ""


@dataclass(frozen=True)
class Checked:
    """What one scan has to say, by document; every open document of the root is there, if only with nothing."""

    root: Path
    shown: dict[str, list[Shown]] = field(default_factory=dict)
    open: Open = field(default_factory=Open)
    places: Places | None = None
    registry: Registry = field(default_factory=Registry)


def check(setup: Setup, now: Open, encoding: str, going_on: Callable[[], None]) -> Checked:
    """Scan a root as it would be if everything open in it were saved.

    Args:
        setup: The root and its configuration.
        now: What is open.
        encoding: The units of the client's positions.
        going_on: Called again and again; raises to end a scan nobody waits for any more.
    """
    root = setup.root
    uris = {path.relative_to(root).as_posix(): uri for path, uri in now.paths().items() if path.is_relative_to(root)}
    overlay = {path: now.content(uri) for path, uri in uris.items()}
    request = Request(
        root,
        config=setup.config,
        # A process with threads must not be forked.
        jobs=1,
        cache_dir=setup.cache_dir,
        use_cache=setup.cache_dir is not None,
        overlay=overlay,
        baseline=setup.baseline,
        mend=True,
        progress=lambda *_: going_on(),
    )
    report = scan(request, setup.registry).report
    report = replace(report, contents={path: data for path, data in overlay.items() if path in report.notebooks})
    places = Places(root, report, now, uris, encoding)
    shown: dict[str, list[Shown]] = {document: [] for uri in uris.values() for document in _documents(now, uri)}
    for one in _every(report, places):
        uri = one.spot.uri if one.spot else ""
        if uri in shown:
            shown[uri].append(one)
    return Checked(root, shown, now, places, setup.registry)


def _documents(now: Open, uri: str) -> tuple[str, ...]:
    notebook = now.notebooks.get(uri)
    return notebook.cells if notebook else (uri,)


def _every(report: Report, places: Places) -> list[Shown]:
    found = [_error(error, report, places) for error in report.errors if error.path]
    found += [_finding(finding, places) for finding in report.ordered]
    # Where a finding has its anchor in another file, the places that belong to it are marked too, as hints.
    found += [
        _elsewhere(finding, related, places)
        for finding in report.ordered
        for related in finding.related
        if related.role == "cause" and related.place.path != finding.place.path
    ]
    return found


def _finding(finding: Finding, places: Places) -> Shown:
    spot = places.spot(finding.place)
    related = [
        types.DiagnosticRelatedInformation(places.location(each.place), each.message or each.role)
        for each in finding.related
    ]
    diagnostic = types.Diagnostic(
        range=spot.range,
        severity=LEVELS[finding.severity],
        code=finding.code,
        source=SOURCE,
        message=f"{finding.message} ({finding.name})",
        related_information=related or None,
        data={"fingerprint": finding.fingerprint},
    )
    return Shown(diagnostic, finding, spot, finding.place.path)


def _elsewhere(finding: Finding, related: Related, places: Places) -> Shown:
    spot = places.spot(related.place)
    anchor = types.DiagnosticRelatedInformation(places.location(finding.place), finding.message)
    diagnostic = types.Diagnostic(
        range=spot.range,
        severity=types.DiagnosticSeverity.Hint,
        code=finding.code,
        source=SOURCE,
        message=f"{related.message or finding.message} ({finding.name}, at {finding.place.path})",
        related_information=[anchor],
        data={"fingerprint": finding.fingerprint},
    )
    return Shown(diagnostic, finding, spot, related.place.path)


def _error(error: ScanError, report: Report, places: Places) -> Shown:
    entry = of_error(error, report)
    spot = places.of_line(error.path, entry.region.line)
    diagnostic = types.Diagnostic(
        range=spot.range,
        severity=types.DiagnosticSeverity.Error,
        code=error.code,
        source=SOURCE,
        message=f"{error.message} ({entry.name})",
    )
    return Shown(diagnostic, None, spot, error.path)
