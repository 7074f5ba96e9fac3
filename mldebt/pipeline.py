"""The line: discover, facts, link, judge, assess, waive, baseline, score, mend, report. Values in, values out."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct, field, structs
from msgspec.structs import replace

from mldebt import __version__, applicability, fixes, judge, mending, size, waivers
from mldebt.baseline import Key
from mldebt.cache import Cache
from mldebt.comparing import Base, Compared, Difference, Side, compare, shared, unreadable, without
from mldebt.config import Config, Request
from mldebt.facts.extract import deep_recursion
from mldebt.finding import Finding, ScanError, Waived
from mldebt.fingerprint import head, stamp
from mldebt.locating import Located
from mldebt.project.project import Project, ProjectOptions
from mldebt.reading import Bundle, load, no_collection, read_facts
from mldebt.registry import Registry
from mldebt.report.result import Before, PracticeResult, Report
from mldebt.rule import Analysis, Assessment, Practice
from mldebt.rulebook import Rulebook
from mldebt.score import score_reason
from mldebt.sources.discover import Listing, SourceFile, discover
from mldebt.sources.repository import read_repository
from mldebt.sources.roles import role_by_path
from mldebt.sources.snapshot import Files, Tree, of_commit, of_index

MOST_PASSES = 10  # a fix may make room for another; more than this is a pair undoing each other


class Outcome(Struct, frozen=True):
    """A scan's report, and what commands other than ``scan`` ask of it.

    ``changes`` maps the path of every file a fix changed to its text (before, after); nothing is written.
    ``side`` is all that was found, ``compared`` what of it is new; ``instead`` is what was read in the place of files
    on disk. ``profile`` gives CPU seconds by rule code, when asked for. ``notes`` are for the user's eyes.
    """

    report: Report
    project: Project
    config: Config
    listing: Listing
    crashed: bool
    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    side: Side = field(default_factory=Side)
    compared: Compared = Compared(())
    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    instead: Mapping[str, bytes] = field(default_factory=dict)


def scan(request: Request, registry: Registry) -> Outcome:
    """One scan; with ``request.fix`` as many as fixes need to settle, all in memory."""
    with deep_recursion(), no_collection():
        return _settled(request, registry)


def _settled(request: Request, registry: Registry) -> Outcome:
    overlay = {**request.overlay, **(dict([request.stdin]) if request.stdin else {})}
    tree = _tree(request, overlay)
    config = request.config.with_nested(tree.listing.every)
    base = _base(request, registry, tree, config) if request.base else None
    outcome = _line(request, registry, tree, config, base)
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
        files = structs.replace(tree.files, instead={**tree.files.instead, **overlay})
        tree = structs.replace(tree, files=files)
        base = without(base, list(overlay)) if base else None
        outcome = _line(request, registry, tree, config, base)
        gc.collect()  # the project before the fix: projects are cycles, and nothing else collects them here
    return replace(outcome, changes=changes)


def _line(request: Request, registry: Registry, tree: Tree, config: Config, base: Base | None) -> Outcome:
    """Facts -> link -> judge -> assess -> waive -> baseline -> score -> mend -> report."""
    listing, rulebook = tree.listing, Rulebook(registry, config)
    with Cache.open(request.cache_dir if request.use_cache else None, _versions(rulebook.collects)) as cache:
        known = base.bundles if base else {}
        files = [file for file in listing.python if file.path not in known]
        fresh = read_facts(
            request.root, files, rulebook.collects, cache, _jobs(request), tree.files.instead, request.progress
        )
        notes = (*config.notes, *cache.notes)
    bundles = {file.path: known.get(file.path) or fresh[file.path] for file in listing.python}
    project = _linked(config, tree, bundles, rulebook.collects)
    verdict = judge.judge(project, rulebook, alone=request.stdin is not None, progress=request.progress)
    practices = judge.assess(project, registry.practices, verdict.errors)
    located = Located(project, request.paths_below())
    stamped = stamp((replace(f, anchor=head(f.anchor, p.symbol, f.place.path)), "") for _, p, f in verdict.found)
    origin = {
        finding.fingerprint: (rule, problem) for finding, (rule, problem, _) in zip(stamped, verdict.found, strict=True)
    }
    kept = [finding for finding in stamped if not config.ignored(finding.code, finding.place.path)]
    ran = () if request.stdin else rulebook.codes  # what a waiver silences may need the project
    waived = waivers.apply(kept, located.waivers(kept), located.extent, rulebook.known, ran)
    found = [
        *waived.kept,
        *(f for f in waived.meta if config.selects(f.code) and not config.ignored(f.code, f.place.path)),
    ]
    errors = _unreadable(project, config)
    side = _side([*found, *unreadable(errors)], waived.waived, project, located, rulebook.codes | config.active)
    difference = Difference(base.tree, tree) if base else None
    compared = compare(side, request.baseline, base, difference.renamed if difference else {})
    partial = config.narrowed or bool(request.paths_below())
    applicable = side.applicable | (base.side.applicable if base else frozenset())
    reason = score_reason(files=len(bundles), applicable=applicable, partial=partial)
    shown = [
        difference.shown(f, located.where) if difference else f
        for f in compared.new
        if f.code != "MLD001"
        if located.asked(f) and f.severity >= config.severity and f.confidence >= config.confidence
    ]
    if request.mend or request.fix:
        shown = mending.mended(shown, origin, project, verdict.errors)
    verdict.errors += [e for e in (base.crashes if base else ()) if e not in verdict.errors]
    new = {(f.place.path, f.message) for f in compared.new if f.code == "MLD001"}
    errors = [e for e in errors if (e.path, e.message) in new and (located.covers(e.path) or e in config.errors)]
    every = [*waived.waived, *compared.known]
    report = Report(
        root=str(request.root), version=__version__, findings=tuple(shown), waived=_shown(every, located, config),
        score=None if reason else side.score(applicable), score_reason=reason, practices=_practices(practices),
        coverage=side.coverage, files=len(bundles), errors=tuple(map(located.error, [*errors, *verdict.errors])),
        snippets=located.snippets(shown), notebooks=located.notebooks([*shown, *(each.finding for each in every)]),
        before=_before(base, None if reason else applicable), previous_lines=base.side.live_lines if base else None,
        compared=base is not None or request.baseline is not None,
    )  # fmt: skip
    project.close()
    return Outcome(
        report, project, config, listing, bool(verdict.errors), profile=verdict.seconds, notes=notes, side=side,
        compared=compared, bundles=bundles, instead=tree.files.instead,
    )  # fmt: skip


def _tree(request: Request, overlay: Mapping[str, bytes]) -> Tree:
    """What is there to read: the work tree with ``overlay`` in the place of what is on disk, or the index."""
    config = request.config
    asked = () if request.force_exclude else map(request.relative, request.paths)
    named = [path for path in asked if (request.root / path).is_file()]
    if request.staged:
        return of_index(request.root, (config.exclude, config.extend_exclude), named)
    listing = discover(request.root, exclude=config.exclude, extend_exclude=config.extend_exclude, named=named)
    if request.stdin:
        listing = _alone(listing, *request.stdin)
    return Tree(listing, Files(request.root, overlay))


def _base(request: Request, registry: Registry, tree: Tree, config: Config) -> Base:
    """The other side of a comparison, under the same configuration, so that only the code makes a difference."""
    assert request.base is not None
    named = [path for path in map(request.relative, request.paths) if path in tree.listing.every]
    there = of_commit(request.root, request.base.id, (config.exclude, config.extend_exclude), named)
    alone = replace(request, paths=(), mend=False, fix=False, baseline=None, base=None, stdin=None)
    outcome = _line(alone, registry, there, config, None)
    gc.collect()  # its project: see above
    crashes = tuple(error for error in outcome.report.errors if error.code == "MLD005")
    return Base(request.base, outcome.side, there, shared(there, tree, outcome.bundles), crashes)


def _side(
    found: Sequence[Finding], waived: Sequence[Waived], project: Project, located: Located, ran: frozenset[str]
) -> Side:
    counted = size.Counted(project)
    carried = {line for finding in (*found, *(each.finding for each in waived)) for line in finding.carries}
    return Side(
        tuple(found),
        tuple(Key.of(finding, located.scope(finding)) for finding in found),
        tuple(waived),
        applicability.families(project),
        size.live_lines(project),
        frozenset(filter(counted, carried)),
        size.coverage(project),
        ran,
    )


def _before(base: Base | None, applicable: frozenset[str] | None) -> Before | None:
    if base is None:
        return None
    return Before(base.commit.name, base.commit.id, base.side.score(applicable) if applicable else None)


def _alone(listing: Listing, path: str, content: bytes) -> Listing:
    """One file and no project around it: what an editor pipes in has to be answered at once."""
    return structs.replace(listing, python=(SourceFile(path, len(content), "project"),), artefacts=())


def _linked(
    config: Config, tree: Tree, bundles: Mapping[str, Bundle], collecting: Collection[type[Analysis]]
) -> Project:
    root, listing, instead = tree.files.root, tree.listing, tree.files.instead
    return Project(
        root=root,
        facts={path: bundle.facts for path, bundle in bundles.items()},
        repository=read_repository(root, listing.artefacts, listing.every, tree.files.read),
        every=frozenset(listing.every),
        options=ProjectOptions(
            knowledge=config.knowledge,
            library=config.library,
            experiment_dirs=config.experiment_dirs,
            single_file_implementations=config.single_file_implementations,
            assume=config.assume,
        ),
        load=lambda path: load(root, path, instead.get(path)),
        content=tree.files.read,
        collected={path: bundle.collected for path, bundle in bundles.items()},
        collecting=collecting,
    )


def _versions(analyses: Iterable[type[Analysis]]) -> str:
    """What cached facts depend on beside the files: the code that reads them, and the interpreter."""
    package = Path(__file__).parent
    code = {path for folder in ("facts", "sources") for path in (package / folder).glob("*.[pt][yo]*")}
    code |= {Path(sys.modules[cls.__module__].__file__ or "") for cls in analyses}
    digest = blake2b(digest_size=16)
    for path in sorted(code):
        digest.update(path.read_bytes())
    named = [f"{cls.__module__}.{cls.__qualname__}={cls.version}" for cls in analyses]
    return "|".join([__version__, f"{sys.version_info.major}.{sys.version_info.minor}", digest.hexdigest(), *named])


def _jobs(request: Request) -> int:
    if request.jobs or request.config.jobs:
        return request.jobs or request.config.jobs or 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _unreadable(project: Project, config: Config) -> list[ScanError]:
    """MLD001: what is there but cannot be read. Two readers may stumble over one file: the first one's word counts."""
    sources = [
        ScanError("MLD001", module.path, line, message)
        for module in project.modules.values()
        if module.role == "project"
        for line, message in module.facts.problems
    ]
    artefacts = [ScanError("MLD001", *problem) for problem in project.repository.problems]
    errors = [*config.errors, *sources]
    told = {error.path for error in errors}
    errors += [e for e in artefacts if e.path not in told and role_by_path(e.path) == "project"]
    return [e for e in dict.fromkeys(errors) if config.selects(e.code) and not config.ignored(e.code, e.path)]


def _shown(waived: Sequence[Waived], located: Located, config: Config) -> tuple[Waived, ...]:
    return tuple(
        replace(each, line=located.physical(each.finding.place.path, each.line)) if each.kind == "inline" else each
        for each in waived
        if located.asked(each.finding) and each.finding.severity >= config.severity
    )


def _practices(assessed: Sequence[tuple[Practice, Assessment]]) -> tuple[PracticeResult, ...]:
    return tuple(
        PracticeResult(practice.id, practice.title, found.state.value, found.evidence, found.next)
        for practice, found in assessed
    )
