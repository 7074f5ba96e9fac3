"""Where findings are: what the user asked about, the code there, waivers around it, and notebooks' own lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from mldebt import waivers
from mldebt.baseline import digest
from mldebt.finding import Finding, Place, ScanError
from mldebt.fingerprint import normalise
from mldebt.judge import extent
from mldebt.project.project import Project
from mldebt.report.result import NotebookLines
from mldebt.sources.decoding import lines
from mldebt.waivers import Waiver

_ARTEFACT_BYTES = 1024 * 1024


class Located:
    """Answers for one project, by path and line of text.

    ``asked_for`` are the files and directories the user named, relative to the root; empty means all.
    """

    def __init__(self, project: Project, asked_for: Sequence[str]) -> None:
        self._project = project
        self._asked_for = tuple(asked_for)
        self._artefacts: dict[str, list[str]] = {}

    def asked(self, finding: Finding) -> bool:
        """Whether the anchor or a related place lies where the user asked."""
        return any(map(self.covers, [finding.place.path, *(related.place.path for related in finding.related)]))

    def covers(self, path: str) -> bool:
        """Whether the user asked about a file."""
        asked_for = self._asked_for
        return not asked_for or any(path == asked or path.startswith(f"{asked}/") for asked in asked_for)

    def extent(self, path: str, line: int) -> tuple[int, int]:
        return extent(self._project.modules.get(path), line)

    def waivers(self, findings: Iterable[Finding]) -> list[Waiver]:
        """The waivers of every Python file, and of the other files findings are in."""
        found = [
            waiver
            for module in self._project.modules.values()
            if module.role == "project"
            for waiver in waivers.in_python(module.path, module.facts.comments, module.span)
        ]
        touched = {
            place.path
            for finding in findings
            for place in (finding.place, *(related.place for related in finding.related))
            if place.path not in self._project.modules
        }
        for path in sorted(touched):
            found += waivers.in_text(path, "\n".join(self._artefact(path)))
        return found

    def physical(self, path: str, line: int) -> int:
        """The line in the file on disk of a line of text."""
        module = self._project.modules.get(path)
        rows = module.source.physical if module is not None and path.endswith(".ipynb") else ()
        return rows[line - 1] if 0 < line <= len(rows) else line

    def scope(self, finding: Finding) -> str:
        """What a baseline calls the surroundings of a finding: its scope; in a notebook the cell."""
        place = finding.place
        module = self._project.modules.get(place.path)
        cells = module.source.cells if module is not None and place.path.endswith(".ipynb") else ()
        cell = next((cell for cell in cells if cell.line <= place.span.line <= cell.end_line), None)
        if module is None or cell is None:
            return finding.scope
        content = "\n".join(module.text_lines[cell.line - 1 : cell.end_line])
        return f"cell:{cell.id or digest(normalise(content), 8)}"

    def where(self, place: Place) -> str:
        """A place as messages call it: path and line, in a notebook the cell and the line in it."""
        module = self._project.modules.get(place.path)
        notebook = module is not None and place.path.endswith(".ipynb")
        cell = NotebookLines.of(module.source).cell(place.span.line) if module and notebook else None
        return f"{place.path}:cell {cell.index}:{cell.line}" if cell else f"{place.path}:{place.span.line}"

    def error(self, error: ScanError) -> ScanError:
        return replace(error, line=self.physical(error.path, error.line)) if error.path else error

    def notebooks(self, findings: Iterable[Finding]) -> dict[str, NotebookLines]:
        """The line maps of the notebooks that are spoken of."""
        touched = {
            place.path
            for finding in findings
            for place in (finding.place, *(related.place for related in finding.related))
            if place.path.endswith(".ipynb") and place.path in self._project.modules
        }
        return {path: NotebookLines.of(self._project.modules[path].source) for path in sorted(touched)}

    def snippets(self, findings: Iterable[Finding]) -> dict[tuple[str, int], str]:
        """The code of every line a report may show, by path and line of text."""
        found = {}
        for finding in findings:
            for place in (finding.place, *(related.place for related in finding.related)):
                for line in range(place.span.line, min(place.span.end_line, place.span.line + 8) + 1):
                    found[place.path, line] = self._text(place.path, line)
        return found

    def _text(self, path: str, line: int) -> str:
        module = self._project.modules.get(path)
        rows = module.text_lines if module is not None else self._artefact(path)
        return rows[line - 1] if 0 < line <= len(rows) else ""

    def _artefact(self, path: str) -> list[str]:
        """The lines of a listed file that is no Python; none when it cannot be read."""
        if path not in self._artefacts:
            data = self._project.content(path, _ARTEFACT_BYTES + 1)
            self._artefacts[path] = lines(data.decode("utf-8", "replace")) if len(data) <= _ARTEFACT_BYTES else []
        return self._artefacts[path]
