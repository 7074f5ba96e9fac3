"""What a file's name says of its history: ``train_v2.py``, ``train (1).py``, ``old_train.py`` are all ``train``."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from msgspec import Struct

# Words people put into a name instead of a commit message.
_WORDS = frozenset(
    """old new newer newest bak backup copy copied orig original originals final finale fixed fix bugfix latest last
    prev previous tmp temp wip draft deprecated legacy updated update modified improved revised rev ver version try
    attempt trial better working broken refactored rewrite rewritten hack dup duplicate saved unused obsolete
    experimental exp experiment run test edited edit alt alternative redo mine cleaned clean""".split()
)
_COUNTED = frozenset("v ver version rev try attempt trial exp experiment run test copy draft fix final new old".split())
# Numbers after these count lessons, steps and shards, not versions of one thing.
_SERIES = frozenset(
    """chapter ch lesson lecture lec exercise ex step stage part section sec week day homework hw lab assignment
    question problem solution task tutorial session unit module fold shard chunk level phase""".split()
)
# A course, wherever the word stands in the name.
_COURSE = frozenset("assignment homework lesson lecture exercise tutorial chapter quiz course".split())
_MIGRATIONS = frozenset({"migrations", "versions"})

_DATE = r"(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d|[0-3]\d[-_.][01]\d[-_.](?:19|20)\d\d|[01]\d[0-3]\d"
_LAST_VERSION = re.compile(r"^(?P<rest>.+?)(?P<sep>[-_. ]*)(?P<mark>[vV]\.?\d+(?:[._]\d+)*)$")
_LAST_COUNT = re.compile(r"^(?P<rest>.+?)(?P<sep>[-_. ]*)\(?(?P<mark>\d{1,2}|" + _DATE + r")\)?$")
_LAST_WORD = re.compile(r"^(?P<rest>.+?)(?P<sep>[-_. ]+|(?<=[a-z\d])(?=[A-Z]))\(?(?P<mark>[A-Za-z]+)\)?$")
_LAST_INITIALS = re.compile(r"^(?P<rest>.+?)[-_](?P<mark>[a-z]{2,3})$")
_FIRST_WORD = re.compile(r"^(?P<mark>[A-Za-z]+)(?:[-_. ]+of)?(?P<sep>[-_. ]+)(?P<rest>.+)$")


class Version(Struct, frozen=True):
    """A name without what marks it as a version of something.

    Args:
        base: The name that versions of one thing share.
        marks: What was taken off, innermost first; empty for the thing itself.
        sure: Every mark is a word of history or stands apart; ``unet3`` and ``v2`` glued to a name also name models.
    """

    base: str
    marks: tuple[str, ...] = ()
    sure: bool = True


def version(name: str) -> Version:
    """Take a name (no suffix) apart."""
    base, marks, sure = name, [], True
    while (found := _last(base)) is not None:
        base, mark, apart = found
        marks.append(mark)
        sure = sure and apart
    if not marks:
        first = _FIRST_WORD.match(base)
        if first is not None and first["mark"].lower() in _WORDS - {"test", "run", "experiment", "exp"}:
            base, marks = first["rest"], [first["mark"]]
    return Version(base.lower(), tuple(reversed(marks)), sure)


def _last(name: str) -> tuple[str, str, bool] | None:
    """The rest, the last mark and whether it stands apart; None when the name ends in no mark."""
    match = _LAST_VERSION.match(name)
    if match is not None:
        return match["rest"], match["mark"], bool(match["sep"])
    match = _LAST_COUNT.match(name)
    if match is not None:
        rest, mark = match["rest"].rstrip("("), match["mark"]
        rest = rest.rstrip("-_. ")
        word = re.split(r"[-_. ]", rest)[-1].lower()
        if word in _SERIES or not rest or not _COURSE.isdisjoint(re.split(r"[-_. ]", rest.lower())):
            return None
        if word in _COUNTED and len(word) < len(rest):
            return rest[: -len(word)].rstrip("-_. ("), rest[-len(word) :] + mark, True
        # ``exp1`` is the first of a run of experiments.
        return rest, mark, bool(match["sep"]) or "(" in name or word in _COUNTED
    match = _LAST_WORD.match(name)
    if match is not None and match["mark"].lower() in _WORDS:
        rest = match["rest"].rstrip("-_. (")
        return (rest, match["mark"], True) if rest else None
    return None


def initials(name: str) -> tuple[str, str] | None:
    """``train`` and ``jd`` of ``train_jd``: a person's mark, or an abbreviation of something."""
    match = _LAST_INITIALS.match(name)
    return (match["rest"].lower(), match["mark"]) if match is not None else None


def file_version(path: str) -> Version:
    """The version of a file by its own name; the base is a path, so versions stand in one folder with one suffix."""
    place = PurePosixPath(path)
    found = version(place.stem)
    return Version(str(place.with_name(f"{found.base}{place.suffix}")), found.marks, found.sure)


def folder_version(path: str) -> Version:
    """The version of a file by its folder's name, ``exp_2/train.py``; never sure: folders are also packages.

    A number glued to a folder's name (``qwen3/``) is part of it.
    """
    place = PurePosixPath(path)
    found = version(place.parent.name)
    if not found.sure:
        return Version(path.lower(), (), False)
    base = place.parent.with_name(found.base) / place.name if place.parent.name else place
    return Version(str(base), found.marks, False)


def counts_migrations(path: str) -> bool:
    """Whether a file is one of a framework's numbered steps."""
    return not _MIGRATIONS.isdisjoint(PurePosixPath(path).parts[:-1])
