"""Old debt and new: what a judged tree shares with a baseline and with the commit it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from mldebt import baseline, changes
from mldebt.baseline import Baseline, Entry, Key, Matched
from mldebt.errors import UnreadableError
from mldebt.finding import Confidence, Finding, Place, ScanError, Severity, Span, Waived
from mldebt.fingerprint import normalise, stamp
from mldebt.reading import Bundle
from mldebt.score import Coverage, Line, Score, score
from mldebt.sources.commits import Commit
from mldebt.sources.discover import Listing, cap_of
from mldebt.sources.snapshot import Tree
from mldebt.sources.text import decode, lines, read_source
from mldebt.weights import Reference


class Side(Struct, frozen=True):
    """One tree, judged: plain values that outlive its project.

    Args:
        found: Open findings, before anything is filtered; what could not be read (MLD001) stands at their end.
        keys: What the baseline knows each of ``found`` by.
        waived: Waived ones.
        applicable: Digits of the families that could find something.
        live_lines: The size of the live code.
        counted: Those of the lines that findings carry which are live.
        coverage: How much was understood.
        ran: Codes of the rules that ran.
    """

    found: tuple[Finding, ...] = ()
    keys: tuple[Key, ...] = ()
    waived: tuple[Waived, ...] = ()
    applicable: frozenset[str] = frozenset()
    live_lines: int = 0
    counted: frozenset[Line] = frozenset()
    coverage: Coverage = field(default_factory=Coverage)
    ran: frozenset[str] = frozenset()

    def score(self, applicable: frozenset[str]) -> Score | None:
        """The score over these families: for a pair of trees, over those of either."""
        return score(
            self.found, self.waived, applicable=applicable, live_lines=self.live_lines, reference=Reference.shipped(),
            coverage=self.coverage, counted=self.counted.__contains__,
        )  # fmt: skip


class Base(Struct, frozen=True):
    """The left side of a comparison.

    ``bundles`` are those of the files that both sides have unchanged, ``crashes`` the rules that failed on this side.
    """

    commit: Commit
    side: Side
    tree: Tree
    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    crashes: tuple[ScanError, ...] = ()


class Compared(Struct, frozen=True):
    """Findings apart: ``new`` ones, and ``known`` ones that the baseline or the base holds.

    ``matched`` is what became of the baseline's entries; ``stale`` are those for debt that is gone.
    """

    new: tuple[Finding, ...]
    known: tuple[Waived, ...] = ()
    matched: Matched = field(default_factory=lambda: Matched((), ()))
    stale: tuple[Entry, ...] = ()


def unreadable(errors: Sequence[ScanError]) -> list[Finding]:
    """What could not be read, as findings: a baseline may hold them, the score leaves them out."""
    return stamp(
        (
            Finding(
                code=error.code, name="unreadable", message=error.message, place=Place(error.path, Span(error.line)),
                severity=Severity.MINOR, confidence=Confidence.HIGH, minutes=0, anchor=normalise(error.message),
            ),
            "",
        )
        for error in errors
        if error.code == "MLD001"
    )  # fmt: skip


def compare(side: Side, known: Baseline | None, base: Base | None, paths: Mapping[str, str]) -> Compared:
    """Tell new debt from old.

    Args:
        side: The tree at hand.
        known: The baseline.
        base: What the tree is compared with.
        paths: The base's paths that were renamed, to the new ones.
    """
    entries = known.entries if known else ()
    matched = baseline.match(side.keys, entries)
    broken = {finding.place.path for finding in side.found if finding.code == "MLD001"}
    waived = {
        index: Waived(side.found[index], "baseline", f"in {known.name}", entries[entry].line)
        for index, entry in enumerate(matched.entry_of)
        if entry is not None and known
    }
    if base is not None:
        rest = [index for index in range(len(side.found)) if index not in waived]
        old = _rest(base.side.keys, baseline.match(base.side.keys, entries))
        again = baseline.match([side.keys[index] for index in rest], baseline.renamed(Baseline.of(old).entries, paths))
        for index, entry in zip(rest, again.entry_of, strict=True):
            if entry is not None:
                waived[index] = Waived(side.found[index], "baseline", f"already at {base.commit.name}", 0)
    return Compared(
        tuple(finding for index, finding in enumerate(side.found) if index not in waived),
        tuple(waived[index] for index in sorted(waived)),
        matched,
        baseline.stale(entries, matched, judged(side.ran, broken)),
    )


def judged(ran: frozenset[str], broken: set[str]) -> Callable[[Key], bool]:
    """Whether an entry's debt would have been found if it were still there."""
    return lambda key: key.rule == "MLD001" or (key.rule in ran and key.path not in broken)


def _rest(keys: Sequence[Key], matched: Matched) -> list[Key]:
    return [key for key, entry in zip(keys, matched.entry_of, strict=True) if entry is None]


class Difference:
    """What changed between two trees. ``renamed`` are the old paths that have a new one."""

    def __init__(self, before: Tree, after: Tree) -> None:
        self._before, self._after = before, after
        old, new = frozenset(before.listing.every), frozenset(after.listing.every)
        self.renamed = changes.renames(
            [path for path in _read(before.listing) if path not in new],
            [path for path in _read(after.listing) if path not in old],
            lambda path: _bytes(before, path),
            lambda path: _bytes(after, path),
        )
        self._was = {now: was for was, now in self.renamed.items()}
        self._old = old
        self._changed: dict[str, frozenset[int] | None] = {}

    def inside(self, place: Place) -> bool:
        """Whether any line of a place was added or edited; all of a new file was."""
        if place.path not in self._changed:
            self._changed[place.path] = self._lines(place.path)
        changed = self._changed[place.path]
        return changed is None or not changed.isdisjoint(range(place.span.line, place.span.end_line + 1))

    def _lines(self, path: str) -> frozenset[int] | None:
        was = self._was.get(path, path)
        if was not in self._old:
            return None
        before, after = _bytes(self._before, was), _bytes(self._after, path)
        if before == after:
            return frozenset()
        return changes.changed_lines(_text_lines(was, before), _text_lines(path, after))

    def shown(self, finding: Finding, where: Callable[[Place], str]) -> Finding:
        return changes.moved(finding, self.inside, where)


def shared(base: Tree, tree: Tree, bundles: Mapping[str, Bundle]) -> dict[str, Bundle]:
    """The bundles of files that are the same in both trees, role included."""
    there, here = base.files.same or frozenset(), tree.files.same
    roles = {file.path: file.role for file in base.listing.python}
    return {
        file.path: bundles[file.path]
        for file in tree.listing.python
        if file.path in there
        and (here is None or file.path in here)
        and file.path not in tree.files.instead
        and roles.get(file.path) == file.role
    }


def without(base: Base, paths: Sequence[str]) -> Base:
    """The base without the bundles of files that changed meanwhile."""
    return replace(base, bundles={path: bundle for path, bundle in base.bundles.items() if path not in set(paths)})


def _read(listing: Listing) -> list[str]:
    return [*(file.path for file in listing.python), *listing.artefacts]


def _bytes(tree: Tree, path: str) -> bytes:
    try:
        return tree.files.read(path, cap_of(path))
    except OSError:
        return b""


def _text_lines(path: str, data: bytes) -> list[str]:
    """The lines findings count in: of Python as it is read, of a notebook its code's."""
    try:
        if path.endswith((".py", ".pyi", ".ipynb")):
            return lines(read_source(path, data).text)
        return lines(decode(data)[0])
    except UnreadableError:
        return lines(data.decode("utf-8", "replace"))
