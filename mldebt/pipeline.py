"""The line: discover, facts, link, judge, assess, waive, score, mend, report. Values in, values out."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from mldebt import __version__, applicability, fixes, judge, mending, size, waivers
from mldebt.cache import Cache
from mldebt.config import Config, Request
from mldebt.facts.extract import deep_recursion
from mldebt.finding import ScanError, Waived
from mldebt.fingerprint import normalise, stamp
from mldebt.locating import Located
from mldebt.project.project import Project, ProjectOptions
from mldebt.reading import Bundle, load, no_collection, read_facts
from mldebt.registry import Registry
from mldebt.report.result import PracticeResult, Report
from mldebt.rule import Analysis, Assessment, Practice
from mldebt.rulebook import Rulebook
from mldebt.score import score, score_reason
from mldebt.sources.discover import Listing, SourceFile, discover
from mldebt.sources.repository import read_repository
from mldebt.sources.roles import role_by_path
from mldebt.weights import Reference

MOST_PASSES = 10  # a fix may make room for another; more than this is a pair undoing each other


@dataclass(frozen=True)
class Outcome:
    """A scan's report, and what commands other than ``scan`` ask of it.

    ``changes`` maps the path of every file a fix changed to its text (before, after); nothing is written.
    ``profile`` gives CPU seconds by rule code, when asked for. ``notes`` are for the user's eyes.
    """

    report: Report
    project: Project
    config: Config
    listing: Listing
    crashed: bool
    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def scan(request: Request, registry: Registry) -> Outcome:
    """One scan; with ``request.fix`` as many as fixes need to settle, all in memory."""
    with deep_recursion(), no_collection():
        return _settled(request, registry)


def _settled(request: Request, registry: Registry) -> Outcome:
    overlay = dict([request.stdin]) if request.stdin else {}
    outcome = _line(request, registry, overlay)
    changes: dict[str, tuple[str, str]] = {}
    for _ in range(MOST_PASSES if request.fix else 0):
        wanted = [f.fix for f in outcome.report.findings if f.fix and mending.applies(f.fix, request.unsafe)]
        texts = mending.texts(outcome.project, wanted)
        applied = fixes.apply({path: text for path, (text, _) in texts.items()}, wanted)
        if not applied.texts:
            break
        for path, after in applied.texts.items():
            before, encoding = texts[path]
            changes[path] = (changes[path][0] if path in changes else before, after)
            overlay[path] = after.encode(encoding)
        outcome = _line(request, registry, overlay)
        gc.collect()  # the project before the fix: projects are cycles, and nothing else collects them here
    return replace(outcome, changes=changes)


def _line(request: Request, registry: Registry, overlay: Mapping[str, bytes]) -> Outcome:
    """Discover -> facts -> link -> judge -> assess -> waive -> score -> mend -> report."""
    named = [path for path in map(request.relative, request.paths) if (request.root / path).is_file()]
    listing = discover(
        request.root, exclude=request.config.exclude, extend_exclude=request.config.extend_exclude, named=named
    )
    if request.stdin:
        listing = _alone(listing, *request.stdin)
    config = request.config.with_nested(listing.every)
    rulebook = Rulebook(registry, config)
    with Cache.open(request.cache_dir if request.use_cache else None, _versions(registry.analyses)) as cache:
        bundles = read_facts(
            request.root, listing.python, registry.analyses, cache, _jobs(request), overlay, request.progress
        )
        notes = (*config.notes, *cache.notes)
    project = _linked(request.root, config, listing, bundles, overlay)
    verdict = judge.judge(project, rulebook, alone=request.stdin is not None)
    practices = judge.assess(project, registry.practices, verdict.errors)
    located = Located(project, request.paths_below())
    stamped = stamp((replace(f, anchor=normalise(f.anchor)), p.symbol) for _, p, f in verdict.found)
    origin = {
        finding.fingerprint: (rule, problem) for finding, (rule, problem, _) in zip(stamped, verdict.found, strict=True)
    }
    kept = [finding for finding in stamped if not config.ignored(finding.code, finding.place.path)]
    waived = waivers.apply(kept, located.waivers(kept), located.extent, rulebook.known, rulebook.codes)
    found = [
        *waived.kept,
        *(f for f in waived.meta if config.selects(f.code) and not config.ignored(f.code, f.place.path)),
    ]
    errors = [*_unreadable(project, config, located), *verdict.errors]
    partial = config.narrowed or bool(request.paths_below())
    applicable = applicability.families(project)
    coverage = size.coverage(project)
    reason = score_reason(files=len(bundles), applicable=applicable, partial=partial)
    points = None if reason else score(
        found, waived.waived, applicable=applicable, live_lines=size.live_lines(project), reference=Reference.shipped(),
        coverage=coverage, counted=size.Counted(project),
    )  # fmt: skip
    shown = [
        f for f in found if located.asked(f) and f.severity >= config.severity and f.confidence >= config.confidence
    ]
    if request.mend or request.fix:
        shown = mending.mended(shown, origin, project, verdict.errors)
    report = Report(
        root=str(request.root), version=__version__, findings=tuple(shown),
        waived=_shown(waived.waived, located, config), score=points, score_reason=reason,
        practices=_practices(practices), coverage=coverage, files=len(bundles),
        errors=tuple(map(located.error, errors)), snippets=located.snippets(shown),
        notebooks=located.notebooks([*shown, *(each.finding for each in waived.waived)]),
    )  # fmt: skip
    project.close()
    crashed = any(error.code == "MLD005" for error in errors)
    return Outcome(report, project, config, listing, crashed, profile=verdict.seconds, notes=notes)


def _alone(listing: Listing, path: str, content: bytes) -> Listing:
    """One file and no project around it: what an editor pipes in has to be answered at once."""
    return replace(listing, python=(SourceFile(path, len(content), "project"),), artefacts=())


def _linked(
    root: Path, config: Config, listing: Listing, bundles: Mapping[str, Bundle], overlay: Mapping[str, bytes]
) -> Project:
    return Project(
        root=root,
        facts={path: bundle.facts for path, bundle in bundles.items()},
        repository=read_repository(root, listing.artefacts, listing.every),
        every=frozenset(listing.every),
        options=ProjectOptions(
            knowledge=config.knowledge,
            library=config.library,
            experiment_dirs=config.experiment_dirs,
            single_file_implementations=config.single_file_implementations,
            assume=config.assume,
        ),
        load=lambda path: load(root, path, overlay.get(path)),
        collected={path: bundle.collected for path, bundle in bundles.items()},
    )


def _versions(analyses: Iterable[type[Analysis]]) -> str:
    """What cached facts depend on beside the files: the code that reads them, and the interpreter."""
    package = Path(__file__).parent
    code = {path for folder in ("facts", "sources") for path in (package / folder).glob("*.[pt][yo]*")}
    code |= {Path(sys.modules[cls.__module__].__file__ or "") for cls in analyses if cls.collected is not None}
    digest = blake2b(digest_size=16)
    for path in sorted(code):
        digest.update(path.read_bytes())
    named = [f"{cls.__module__}.{cls.__qualname__}={cls.version}" for cls in analyses if cls.collected is not None]
    return "|".join([__version__, f"{sys.version_info.major}.{sys.version_info.minor}", digest.hexdigest(), *named])


def _jobs(request: Request) -> int:
    if request.jobs or request.config.jobs:
        return request.jobs or request.config.jobs or 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _unreadable(project: Project, config: Config, located: Located) -> list[ScanError]:
    """MLD001: what is there but cannot be read. Two readers may stumble over one file: the first one's word counts."""
    sources = [
        ScanError("MLD001", module.path, line, message)
        for module in project.modules.values()
        if module.role == "project"
        for line, message in module.facts.problems
    ]
    artefacts = [ScanError("MLD001", *problem) for problem in project.repository.problems]
    errors = [*config.errors, *(e for e in sources if located.covers(e.path))]
    told = {error.path for error in errors}
    errors += [
        e for e in artefacts
        if e.path not in told and located.covers(e.path) and role_by_path(e.path) == "project"
    ]  # fmt: skip
    return [e for e in dict.fromkeys(errors) if config.selects(e.code) and not config.ignored(e.code, e.path)]


def _shown(waived: Sequence[Waived], located: Located, config: Config) -> tuple[Waived, ...]:
    return tuple(
        replace(each, line=located.physical(each.finding.place.path, each.line))
        for each in waived
        if located.asked(each.finding) and each.finding.severity >= config.severity
    )


def _practices(assessed: Sequence[tuple[Practice, Assessment]]) -> tuple[PracticeResult, ...]:
    return tuple(
        PracticeResult(practice.id, practice.title, found.state.value, found.evidence, found.next)
        for practice, found in assessed
    )
