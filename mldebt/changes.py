"""What lies between two trees: renamed files, changed lines, and findings shown where the change is."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from msgspec.structs import replace

from mldebt.finding import Finding, Place, Related

ALIKE = 0.5  # git's own threshold for a rename
_MOST_PAIRS = 4_000  # of files compared line by line; git stops looking for edited renames at some point too
_MOST_LINES = 5_000  # between the first and the last change; above, lines are compared as a heap
_ORDER = ("cause", "counterpart", "path", "effect")

Text = Callable[[str], bytes]


def renames(gone: Iterable[str], come: Iterable[str], before: Text, after: Text) -> dict[str, str]:
    """Old paths to new ones: equal content first, then the most alike of those that share half of their lines.

    Args:
        gone: The paths only the old tree has.
        come: The paths only the new tree has.
        before: The content of an old path.
        after: The content of a new path.
    """
    old, new = {path: before(path) for path in sorted(gone)}, {path: after(path) for path in sorted(come)}
    found: dict[str, str] = {}
    by_content: defaultdict[bytes, list[str]] = defaultdict(list)
    for path in sorted(new, reverse=True):
        if new[path].strip():
            by_content[new[path]].append(path)
    for path, content in old.items():
        homes = by_content.get(content)
        if homes:
            namesake = next((home for home in homes if _name(home) == _name(path)), homes[-1])
            homes.remove(namesake)
            found[path] = namesake
    taken = set(found.values())
    left = [path for path in old if path not in found]
    free = [path for path in new if path not in taken]
    return found | (_edited(left, free, old, new) if len(left) * len(free) <= _MOST_PAIRS else {})


def _edited(
    left: Sequence[str], free: Sequence[str], old: Mapping[str, bytes], new: Mapping[str, bytes]
) -> dict[str, str]:
    was_rows = {path: Counter(old[path].split(b"\n")) for path in left}
    now_rows = {path: Counter(new[path].split(b"\n")) for path in free}
    pairs = []
    for was in left:
        for now in free:
            sizes = sorted((len(old[was]), len(new[now])))
            if _suffix(was) == _suffix(now) and sizes[0] >= ALIKE * sizes[1] > 0:
                shared = sum((len(row) + 1) * count for row, count in (was_rows[was] & now_rows[now]).items())
                if shared >= ALIKE * sizes[1]:
                    pairs.append((-shared / sizes[1], _name(was) != _name(now), was, now))
    found: dict[str, str] = {}
    for _, _, was, now in sorted(pairs):
        if was not in found and now not in found.values():
            found[was] = now
    return found


def _name(path: str) -> str:
    return posixpath.basename(path)


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1]


def changed_lines(before: Sequence[str], after: Sequence[str]) -> frozenset[int]:
    """The 1-based lines of ``after`` that were added or edited."""
    first, shortest = 0, min(len(before), len(after))
    while first < shortest and before[first] == after[first]:
        first += 1
    same = 0
    while same < shortest - first and before[-1 - same] == after[-1 - same]:
        same += 1
    old, new = before[first : len(before) - same], after[first : len(after) - same]
    if max(len(old), len(new)) > _MOST_LINES:
        return _not_among(old, new, first)
    changed: set[int] = set()
    for tag, _, _, start, end in SequenceMatcher(None, old, new).get_opcodes():
        if tag in ("replace", "insert"):
            changed.update(range(first + start + 1, first + end + 1))
    return frozenset(changed)


def _not_among(old: Sequence[str], new: Sequence[str], first: int) -> frozenset[int]:
    """The lines of ``new`` that ``old`` does not hold as often: in time however the texts were made."""
    left = Counter(old)
    changed = set()
    for number, row in enumerate(new, first + 1):
        left[row] -= 1
        if left[row] < 0:
            changed.add(number)
    return frozenset(changed)


def moved(finding: Finding, inside: Callable[[Place], bool], where: Callable[[Place], str]) -> Finding:
    """The finding, at the place of it that lies in the change when its anchor does not.

    Its message then names the anchor, which becomes a related place. One none of whose places changed stays.

    Args:
        finding: A new finding.
        inside: Whether any line of a place was changed.
        where: How a place is called.
    """
    if inside(finding.place):
        return finding
    related = next((one for role in _ORDER for one in finding.related if one.role == role and inside(one.place)), None)
    if related is None:
        return finding
    others = tuple(one for one in finding.related if one is not related)
    because = f": {related.message}" if related.message else ""
    return replace(
        finding,
        place=related.place,
        message=f"{finding.message} (anchor: {where(finding.place)}{because})",
        related=(Related(finding.place, "the anchor, outside of the change", "effect"), *others),
        scope="",
    )
