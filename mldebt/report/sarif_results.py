"""The results of a SARIF run: locations, paths through the code, fixes, suppressions, fingerprints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mldebt.finding import Finding, Fix, Place, Related, ScanError, Severity, Waived
from mldebt.report.entries import cell_note, fit, of_error
from mldebt.report.linehash import line_hashes
from mldebt.report.regions import Region, Regions
from mldebt.report.result import Report

MOST_RELATED = 1_000
MOST_STEPS = 10_000
_LINKED = 10  # related places named in the message, where GitHub makes them links
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_BRACKETS = re.compile(r"[\[\]\\]")


class Results:
    """Makes the results of one report. ``cut`` counts those that had to lose places."""

    def __init__(self, report: Report, indexes: Mapping[str, int], levels: Mapping[Severity, str]) -> None:
        self.cut = 0
        self._report, self._indexes, self._levels = report, indexes, levels
        self._regions = Regions(report)
        self._hashes: dict[str, list[str]] = {}

    def of(self, finding: Finding, waived: Waived | None = None) -> dict[str, Any]:
        """A finding, open or not."""
        place = finding.place
        result = {
            **self._head(finding.code, finding.severity),
            "message": {"text": self._message(finding)},
            "locations": [self._anchor(finding)],
            "partialFingerprints": self._fingerprints(finding),
        }
        related = finding.related
        if len(related) > MOST_RELATED:
            self.cut += 1
            related = related[:MOST_RELATED]
        if related:
            result["relatedLocations"] = [self._related(number, each) for number, each in enumerate(related, 1)]
        steps = [each for each in finding.related if each.role == "path"]
        if len(steps) > 1:
            result["codeFlows"] = [self._flow(steps, finding)]
        if finding.fix and (fix := self._fix(finding.fix)):
            result["fixes"] = [fix]
        if waived:
            result["suppressions"] = [self._suppression(waived, place.path)]
        if self._report.compared:
            result["baselineState"] = "unchanged" if waived and waived.kind == "baseline" else "new"
        result["properties"] = {
            "severity": finding.severity.label,
            "confidence": finding.confidence.label,
            "minutes": finding.minutes,
            "preview": finding.preview,
        }
        return result

    def of_error(self, error: ScanError) -> dict[str, Any]:
        """A file that cannot be read."""
        entry = of_error(error, self._report)
        return {
            **self._head(error.code, entry.severity),
            "message": {"text": fit(error.message) or error.code},
            "locations": [location_of_line(self._report, error.path, error.line)],
        }

    def _head(self, code: str, severity: Severity) -> dict[str, Any]:
        return {"ruleId": code, "ruleIndex": self._indexes[code], "level": self._levels[severity]}

    def _message(self, finding: Finding) -> str:
        """What happens, then links to the places it is about."""
        text = fit(finding.message + cell_note(finding, self._report)) or finding.name
        links = [
            f"[{_BRACKETS.sub(lambda match: chr(92) + match[0], _words(related))}]({number})"
            for number, related in enumerate(finding.related[:_LINKED], 1)
        ]
        return f"{text}\nSee: {', '.join(links)}." if links else text

    def _anchor(self, finding: Finding) -> dict[str, Any]:
        region = self._regions.of(finding.place)
        physical: dict[str, Any] = {"artifactLocation": _artifact(region.path)}
        if region.end_line > region.line:
            # GitHub shows an alert on a pull request only if all lines of its region are in the diff: one will do.
            physical["region"] = _region(Region(region.path, region.line, region.column, region.line))
            physical["contextRegion"] = _region(region)
        else:
            physical["region"] = _region(region)
        location: dict[str, Any] = {"physicalLocation": physical}
        logical = self._logical(finding)
        return location | ({"logicalLocations": logical} if logical else {})

    def _logical(self, finding: Finding) -> list[dict[str, Any]]:
        found = []
        if finding.scope:
            name = fit(finding.scope)
            found.append({"name": name.rpartition(".")[2] or name, "fullyQualifiedName": name})
        note = cell_note(finding, self._report)
        if note:
            found.append({"name": fit(note.strip(" []")), "kind": "cell"})
        return found

    def _related(self, number: int, related: Related) -> dict[str, Any]:
        return {**self._location(related.place), "id": number, "message": {"text": _words(related)}}

    def _location(self, place: Place) -> dict[str, Any]:
        region = self._regions.of(place)
        return {"physicalLocation": {"artifactLocation": _artifact(region.path), "region": _region(region)}}

    def _flow(self, steps: list[Related], finding: Finding) -> dict[str, Any]:
        places = [(each.place, _words(each)) for each in steps]
        if places[-1][0] != finding.place:
            places.append((finding.place, fit(finding.message) or finding.name))
        if len(places) > MOST_STEPS:
            self.cut += 1
            places = [*places[: MOST_STEPS - 1], places[-1]]
        locations = [
            {"location": {**self._location(place), "message": {"text": words}}, "executionOrder": number}
            for number, (place, words) in enumerate(places, 1)
        ]
        return {"threadFlows": [{"locations": locations}]}

    def _fix(self, fix: Fix) -> dict[str, Any] | None:
        """A fix as replacements; None for a notebook's, whose edits are not edits of its JSON."""
        if not fix.edits or any(edit.place.path in self._report.notebooks for edit in fix.edits):
            return None
        changes: dict[str, list[dict[str, Any]]] = {}
        for edit in fix.edits:
            span = edit.place.span
            region = {
                "startLine": span.line,
                "startColumn": span.column,
                "endLine": span.end_line,
                "endColumn": span.end_column,
            }
            replacement = {"deletedRegion": region, "insertedContent": {"text": edit.text}}
            changes.setdefault(self._report.prefix + edit.place.path, []).append(replacement)
        return {
            "description": {"text": fit(fix.message) or "Fix"},
            "artifactChanges": [
                {"artifactLocation": _artifact(path), "replacements": replacements}
                for path, replacements in changes.items()
            ],
            "properties": {"applicability": fix.applicability.value},
        }

    def _suppression(self, waived: Waived, path: str) -> dict[str, Any]:
        inline = waived.kind == "inline"
        suppression: dict[str, Any] = {"kind": "inSource" if inline else "external", "status": "accepted"}
        if waived.reason:
            suppression["justification"] = fit(waived.reason)
        if inline and waived.line > 0:
            suppression["location"] = location_of_line(self._report, path, waived.line)
        return suppression

    def _fingerprints(self, finding: Finding) -> dict[str, str]:
        path, line = finding.place.path, self._report.physical(finding.place.path, finding.place.span.line)
        data = self._report.contents.get(path)
        if path not in self._hashes:
            # GitHub reads every file as UTF-8.
            self._hashes[path] = [] if data is None else line_hashes(data.decode("utf-8", "replace"))
        known = self._hashes[path]
        hashed = {"primaryLocationLineHash": known[line - 1]} if 1 <= line <= len(known) else {}
        own = {"mldebtFingerprint/v1": finding.fingerprint} if finding.fingerprint else {}
        return hashed | own


def location_of_line(report: Report, path: str, line: int) -> dict[str, Any]:
    """A physical line as a location."""
    return {
        "physicalLocation": {
            "artifactLocation": _artifact(report.prefix + path),
            "region": {"startLine": max(1, line)},
        }
    }


def uri(path: str) -> str:
    """A relative URI reference of a path: percent-encoded UTF-8, or the bytes the file system has."""
    data = path.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in data)


def _artifact(path: str) -> dict[str, str]:
    return {"uri": uri(path), "uriBaseId": "%SRCROOT%"}


def _region(region: Region) -> dict[str, int]:
    values = {"startLine": region.line}
    if region.column is not None:
        values["startColumn"] = region.column
    if region.end_line > region.line or region.end_column is not None:
        values["endLine"] = region.end_line
    if region.end_column is not None:
        values["endColumn"] = region.end_column
    return values


def _words(related: Related) -> str:
    return fit(" ".join(related.message.split())) or related.role or related.place.path
