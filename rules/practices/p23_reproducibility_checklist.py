"""P23: somebody else can repeat the results, and a checklist says how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.finding import Place, Span
from mldebt.rule import Assessment, Practice, State

from ..randomness.reporting import NAMES  # noqa: TID252 - installed under another name
from ..randomness.seeding import Seeding  # noqa: TID252 - installed under another name

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

# REPRODUCIBILITY.md, docs/reproducing_results.rst, MODEL_CARD.md, model-cards/base.md, ml_code_checklist.md
_DOCUMENT = re.compile(
    r"(^|/)[^/]*reproduc[^/]*\.(md|rst|txt|pdf|tex)$"
    r"|(^|/)[^/]*model[-_ ]?cards?([-_.][^/]*)?\.(md|rst|txt|json|ya?ml)$"
    r"|(^|/)model[-_ ]?cards?/[^/]+\.(md|rst|json|ya?ml)$"
    r"|(^|/)[^/]*(neurips|ml[-_ ]?code|paper)[^/]*checklist[^/]*\.(md|rst|txt|pdf|tex)$",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"(^|/)(tests?|node_modules|third_party|site-packages|ISSUE_TEMPLATE)/", re.IGNORECASE)
# Locks of a Python environment, and not dvc.lock, yarn.lock or Cargo.lock.
_LOCK = re.compile(
    r"(^|/)(uv|poetry|pdm|pipfile|pixi|pylock|conda-?lock|requirements|environment|constraints)[^/]*$"
    r"|[-_.](conda|env|environment|requirements|explicit)[^/]*\.lock$|(^|/)(linux|osx|win)-[^/]*\.lock$",
    re.IGNORECASE,
)
_MAKES = frozenset({"train", "tune"})
_TECHNICAL = 3


class _Part(Struct, frozen=True):
    """One part of the practice: where it is seen, or what to do about it."""

    there: bool
    evidence: tuple[Place, ...]
    next: str


class P23ReproducibilityChecklist(Practice):
    """A result can be repeated by somebody else, and a checklist of the repository says what it takes.

    Wired when all four parts are there: every entry that trains seeds all it draws from; the environment is locked (a
    lock file, or every requirement pinned to one version); one command of a Makefile, script, pipeline, CI or README
    runs a training entry; and a reproducibility checklist, a REPRODUCIBILITY document or a model card says so. Present
    when there is such a document only, or at least two of the other three. Not visible where nothing trains.

    Sources: Pineau et al., Improving Reproducibility in Machine Learning Research, JMLR 22 (2021), the ML
    reproducibility checklist; Mitchell et al., Model Cards for Model Reporting (2019).
    """

    id = "P23"
    title = "Results can be repeated, and a checklist says how"

    def assess(self, project: Project, /) -> Assessment:
        entries = _entries(project)
        if not entries:
            return Assessment(State.NOT_VISIBLE)
        technical = (_seeds(project, entries), _lock(project), _command(entries))
        document = _document(project)
        parts = (*technical, document)
        evidence = tuple(place for part in parts if part.there for place in part.evidence)
        todo = next((part.next for part in parts if not part.there), "")
        if not todo:
            return Assessment(State.WIRED, evidence)
        visible = sum(part.there for part in technical)
        state = State.PRESENT if document.there or visible >= _TECHNICAL - 1 else State.MISSING
        return Assessment(state, evidence, todo)


def _entries(project: Project) -> list[Entry]:
    """What trains; examples only where there is nothing else."""
    found = [entry for entry in project[Seeding].entries() if project.roles(entry) & _MAKES]
    return [entry for entry in found if not entry.is_example] or found


def _seeds(project: Project, entries: list[Entry]) -> _Part:
    evidence: list[Place] = []
    for entry in entries:
        found = project[Seeding].of(entry)
        open_libraries = [NAMES[library] for library in NAMES if library in found.exposed or library in found.late]
        if open_libraries:
            todo = f"seed {' and '.join(open_libraries)} before {entry.name} draws from {_it(open_libraries)}"
            return _Part(False, (), todo)
        sites = [path.site for library, path in sorted(found.seeds.items()) if library in NAMES]
        evidence += [Place(site.module.path, Span(site.fact.line)) for site in sites[:1]]
    return _Part(True, tuple(dict.fromkeys(evidence))[:3], "")


def _it(libraries: list[str]) -> str:
    return "it" if len(libraries) == 1 else "them"


def _lock(project: Project) -> _Part:
    repository = project.repository
    locks = [path for path in repository.lock_files if _LOCK.search(path)]
    if locks:
        return _Part(True, (Place(locks[0], Span(1)),), "")
    needed = [one for one in repository.dependencies if not one.group]
    pinned = [one for one in needed if one.specifier.startswith("==") and "*" not in one.specifier]
    if needed and len(pinned) == len(needed):
        return _Part(True, (Place(needed[0].path, Span(needed[0].line)),), "")
    return _Part(False, (), "lock the environment: commit a lock file (uv lock, pip-compile, conda-lock)")


def _command(entries: list[Entry]) -> _Part:
    places = [place for entry in entries for place in entry.launchers]
    name = entries[0].name
    return _Part(bool(places), tuple(places[:1]), f"give {name} one command: a make target, a script or a README line")


def _document(project: Project) -> _Part:
    found = sorted(_documents(project), key=lambda path: (path.count("/"), path))
    places = tuple(Place(path, Span(1)) for path in found[:1])
    return _Part(bool(found), places, "add a REPRODUCIBILITY.md: data, seeds, environment, hardware and the command")


def _documents(project: Project) -> Iterator[str]:
    for path in project.every:
        if _DOCUMENT.search(path) and not _ELSEWHERE.search(path):
            yield path
