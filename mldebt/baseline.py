"""The baseline: debt a repository has chosen to live with for now, so that only new debt is reported.

An entry says what debt looks like and never at which line: the rule, the file, the class or function around it (in a
notebook the cell) and a hash of the normalised code. Entries and findings are matched one to one, first where they
agree in everything, then in another scope of the file, then in another file. So code may be moved, files renamed and
lines inserted, while a second finding of the same kind is new.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from mldebt.finding import Finding

FILE = "mldebt-baseline.json"


class Key(Struct, frozen=True, order=True):
    """What a finding is known by. ``code`` and ``message`` are hashes; ``message`` only chooses among equals."""

    path: str
    rule: str
    scope: str
    code: str
    message: str = ""

    @classmethod
    def of(cls, finding: Finding, scope: str) -> Key:
        """The key of a finding whose ``anchor`` is normalised.

        Args:
            finding: The finding.
            scope: Its ``scope``; in a notebook the cell.
        """
        return cls(finding.place.path, finding.code, scope, digest(finding.anchor, 8), digest(finding.message, 4))


class Entry(Struct, frozen=True):
    """Debt that is accepted, ``count`` times. ``line`` is where the file says so; 0 when it is not written yet."""

    key: Key
    count: int = 1
    line: int = 0


class Baseline(Struct, frozen=True):
    """The entries of a baseline; ``name`` is how messages call its file."""

    entries: tuple[Entry, ...] = ()
    name: str = FILE

    @classmethod
    def of(cls, keys: Iterable[Key], name: str = FILE) -> Baseline:
        counts = Counter(keys)
        return cls(tuple(Entry(key, counts[key]) for key in sorted(counts)), name)

    @property
    def size(self) -> int:
        """How many findings are accepted."""
        return sum(entry.count for entry in self.entries)

    def counts(self) -> Counter[Key]:
        counts: Counter[Key] = Counter()
        for entry in self.entries:
            counts[entry.key] += entry.count
        return counts


class Matched(Struct, frozen=True):
    """Which entry each finding took, if any, and how often each entry was left over."""

    entry_of: tuple[int | None, ...]
    left: tuple[int, ...]


def digest(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def match(keys: Sequence[Key], entries: Sequence[Entry]) -> Matched:
    """One to one, in three passes: path, rule, scope, code; then another scope; then another path.

    Among equals the one with the same message goes first, then the first in the given order; neither changes how many
    match.
    """
    left = [entry.count for entry in entries]
    taken: list[int | None] = [None] * len(keys)
    for identity in _PASSES:
        for exact in (True, False):
            buckets: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
            for index in range(len(entries) - 1, -1, -1):  # so that pop() gives the first
                if left[index]:
                    buckets[_identity(identity, entries[index].key, exact)].append(index)
            if not buckets:
                return Matched(tuple(taken), tuple(left))
            for position, key in enumerate(keys):
                bucket = buckets.get(_identity(identity, key, exact)) if taken[position] is None else None
                if bucket:
                    taken[position] = bucket[-1]
                    left[bucket[-1]] -= 1
                    if not left[bucket[-1]]:
                        bucket.pop()
    return Matched(tuple(taken), tuple(left))


def _identity(identity: Callable[[Key], tuple[str, ...]], key: Key, exact: bool) -> tuple[str, ...]:
    return (*identity(key), key.message) if exact else identity(key)


_CELL = "cell:"  # a cell without an id is known by its content: in another notebook, one cell is as good as another

_PASSES: tuple[Callable[[Key], tuple[str, ...]], ...] = (
    lambda key: (key.path, key.rule, key.scope, key.code),
    lambda key: (key.path, key.rule, key.code),
    lambda key: (key.rule, _CELL if key.scope.startswith(_CELL) else key.scope, key.code),
)


def renewed(entries: Sequence[Entry], keys: Sequence[Key], matched: Matched, judged: Callable[[Key], bool]) -> Baseline:
    """The baseline as it is today: entries that were taken say where their finding is now, stale ones are gone.

    Args:
        entries: The baseline's.
        keys: Those of the findings.
        matched: What ``match`` made of the two.
        judged: Whether an entry could have been found at all; one that could not is kept as it is.
    """
    current = [key for key, index in zip(keys, matched.entry_of, strict=True) if index is not None]
    return Baseline.of([*current, *_unjudged(entries, matched, judged)])


def pruned(entries: Sequence[Entry], matched: Matched, judged: Callable[[Key], bool]) -> Baseline:
    """The baseline without stale entries, and nothing else changed."""
    kept = [
        replace(entry, count=entry.count - (left if judged(entry.key) else 0))
        for entry, left in zip(entries, matched.left, strict=True)
    ]
    return Baseline(tuple(entry for entry in kept if entry.count))


def _unjudged(entries: Sequence[Entry], matched: Matched, judged: Callable[[Key], bool]) -> Iterator[Key]:
    for entry, left in zip(entries, matched.left, strict=True):
        if not judged(entry.key):
            yield from [entry.key] * left


def stale(entries: Sequence[Entry], matched: Matched, judged: Callable[[Key], bool]) -> tuple[Entry, ...]:
    """What is no longer found, although it was looked for."""
    return tuple(
        replace(entry, count=left)
        for entry, left in zip(entries, matched.left, strict=True)
        if left and judged(entry.key)
    )


def renamed(entries: Iterable[Entry], paths: Mapping[str, str]) -> tuple[Entry, ...]:
    """The same entries after files were renamed."""
    return tuple(
        replace(entry, key=replace(entry.key, path=paths.get(entry.key.path, entry.key.path))) for entry in entries
    )


def within(entries: Iterable[Entry], paths: Collection[str]) -> tuple[Entry, ...]:
    """The entries of some files."""
    return tuple(entry for entry in entries if entry.key.path in paths)
