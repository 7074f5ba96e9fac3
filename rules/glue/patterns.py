"""Texts with unknown parts, as paths are made of: joined, cut and put into the repository's terms.

A text is a tuple of constant parts and of slots, which stand for a function's parameters; what is unknown is ``*``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

from msgspec import Struct

ROOT = "\x01"  # the repository's directory, before what ``__file__`` gives
TEMPORARY = "\x02"  # a directory that is gone when the program ends
MOST = 6  # alternatives of one text
_LONGEST = 400
_HUB = re.compile(r"([A-Za-z0-9][\w-]*(?:\.[\w-]+)*)/[A-Za-z0-9][\w.-]*")
# Directories that are no owner's name.
_LOCAL = frozenset(
    """artifacts assets cache checkpoint checkpoints ckpt ckpts data experiments exp log logs model models out output
    outputs pretrained result results run runs save saved saved_model saved_models src tmp trained weights""".split()
)
_URI = re.compile(r"[A-Za-z][\w+.-]*://")
_STARS = re.compile(r"\*[*\s]*")
_LETTERS = re.compile(r"[^\W\d_]{2}|\d{3}")
_LETTER = re.compile(r"\w")
_NOWHERE = re.compile(r"/(?:tmp|dev|proc|sys)(?:/|$)")


class Slot(Struct, frozen=True):
    """A parameter of ``scopes[scope]`` of a file, filled in at the calls of that function."""

    path: str
    scope: int
    name: str


Text = tuple["str | Slot", ...]
UNKNOWN_TEXT: Text = ("*",)


def text(value: str) -> Text:
    """A constant; one that is too long to be a path is unknown."""
    return (value,) if len(value) <= _LONGEST and "\n" not in value else UNKNOWN_TEXT


def concatenated(parts: Iterable[Text]) -> Text:
    """The parts one after the other, neighbouring constants made one."""
    found: list[str | Slot] = []
    for part in parts:
        for one in part:
            if isinstance(one, str) and found and isinstance(found[-1], str):
                found[-1] += one
            else:
                found.append(one)
    size = sum(len(one) for one in found if isinstance(one, str))
    return tuple(found) if size <= _LONGEST else UNKNOWN_TEXT


def joined(left: Text, right: Text) -> Text:
    """``os.path.join(left, right)``: what starts at a root of its own begins anew."""
    first = right[0] if right else ""
    if isinstance(first, str) and (first.startswith(("/", ROOT, TEMPORARY, "~")) or _URI.match(first)):
        return right
    last = left[-1] if left else ""
    if last == "" and len(left) <= 1:
        return right
    slash = "" if isinstance(last, str) and last.endswith("/") else "/"
    return concatenated((left, (slash,), right)) if slash else concatenated((left, right))


def combined(how: Callable[[Sequence[Text]], Text], parts: Sequence[Sequence[Text]]) -> tuple[Text, ...]:
    """Every combination of alternatives; one unknown text when they are too many."""
    size = 1
    for part in parts:
        size *= len(part)
    if not size or size > MOST:
        # The first of each would be a guess, so parts with alternatives become holes.
        return (how([part[0] if len(part) == 1 else UNKNOWN_TEXT for part in parts]),)
    return distinct(how(chosen) for chosen in product(*parts))


def distinct(texts: Iterable[Text]) -> tuple[Text, ...]:
    """Alternatives without repetition; nothing but unknown when they are too many."""
    found = tuple(dict.fromkeys(texts))
    return found if len(found) <= MOST else (UNKNOWN_TEXT,)


def parent(path: Text, times: int = 1) -> Text:
    """``os.path.dirname``; what a slot or hole may hide is unknown."""
    for _ in range(times):
        last = path[-1] if path else ""
        if not isinstance(last, str):
            return UNKNOWN_TEXT
        if "/" in last.rstrip("/"):
            head = last.rstrip("/").rpartition("/")[0]
            path = (*path[:-1], head) if head or len(path) > 1 else ("/",)
        elif len(path) > 1 or "*" in last:
            return UNKNOWN_TEXT
        else:
            path = (f"{last}/..",) if last == ROOT else ("",)
    return path


def last_part(path: Text) -> Text:
    """``os.path.basename``."""
    last = path[-1] if path else ""
    if isinstance(last, str) and "/" in last.rstrip("/"):
        return (last.rstrip("/").rpartition("/")[2],)
    return path if len(path) == 1 and isinstance(last, str) else UNKNOWN_TEXT


def stem(path: Text) -> Text:
    """The text without its last suffix."""
    last = path[-1] if path else ""
    if not isinstance(last, str):
        return path
    head, dot, suffix = last.rpartition(".")
    return concatenated((path[:-1], (head,))) if dot and "/" not in suffix and "*" not in suffix else path


def with_suffix(path: Text, suffix: Text) -> Text:
    return concatenated((stem(path), suffix))


def slots(path: Text) -> Iterator[Slot]:
    return (part for part in path if isinstance(part, Slot))


def filled(path: Text, values: Callable[[Slot], Text | None]) -> Text:
    """The text with slots replaced by what ``values`` gives for them; None leaves one as it is."""
    pieces: list[Text] = []
    for index, part in enumerate(path):
        value = values(part) if isinstance(part, Slot) else None
        if value is None:
            pieces.append((part,))
            continue
        before = "".join(one for piece in pieces for one in piece if isinstance(one, str))
        first = value[0] if value else ""
        starts = isinstance(first, str) and first.startswith(("/", ROOT, TEMPORARY))
        if starts and before.endswith("/") and index:
            pieces = []  # an absolute path joined to something
        pieces.append(value)
    return concatenated(pieces)


def plain(path: Text) -> str:
    """The text with holes for its slots."""
    return _STARS.sub("*", "".join(part if isinstance(part, str) else "*" for part in path))


def is_uri(pattern: str) -> bool:
    return _URI.match(pattern) is not None


def hub_name(pattern: str) -> str | None:
    """The owner in ``owner/model``, where that is written like the name of a model on the Hugging Face hub."""
    found = _HUB.fullmatch(pattern)
    return None if found is None or found[1].lower() in _LOCAL else found[1]


def normal(pattern: str, base: Callable[[str], str]) -> str | None:
    """A path pattern in the repository's terms, or None for what is no artefact of the project.

    URIs and absolute paths stay; what ``__file__`` gives is relative to the root already; ``base`` says where a
    relative path starts. None: temporary and device files, paths out of the repository, nothing constant.
    """
    pattern = pattern.strip().replace("\\", "/").removeprefix("file://")
    if TEMPORARY in pattern or "\0" in pattern or "\n" in pattern or not pattern:
        return None
    if _URI.match(pattern):
        scheme, _, rest = pattern.partition("://")
        found = f"{scheme}://{_tidy(rest)}" if rest.strip("/ ") else None
    elif ROOT in pattern:
        found = _inside(pattern[pattern.rindex(ROOT) + 1 :].lstrip("/ "))
    elif pattern.startswith(("/", "~", "*")) or pattern[1:3] == ":/":
        found = None if _NOWHERE.match(pattern) else _tidy(pattern)
    else:
        found = _inside(posixpath.join(base(pattern), pattern))
    return found if found is not None and is_telling(found) else None


def _tidy(path: str) -> str:
    """The path without ``.``, ``..`` and doubled slashes, and without spaces around it."""
    tidy = posixpath.normpath(path.strip())
    while tidy != path:
        path, tidy = tidy, posixpath.normpath(tidy.strip())
    return tidy


def _inside(path: str) -> str | None:
    path = _tidy(path)
    return None if path in (".", "..", "/") or path.startswith(("../", "/")) else path


def is_telling(pattern: str) -> bool:
    """Whether a path is constant, or something of its last two parts is, suffixes apart."""
    if "*" not in pattern:
        return bool(_LETTER.search(pattern))
    parts = pattern.rpartition("://")[2].split("/")[-2:]
    stems = [part.rpartition(".")[0] or part for part in parts[-1:]] + parts[:-1]
    return any(_LETTERS.search(one.replace("*", "/")) for one in stems)


def matches(pattern: str, other: str) -> bool:
    """Whether two patterns may be the same artefact: equal, or one has holes only where the other is constant."""
    if pattern == other:
        return True
    if ("*" in pattern) == ("*" in other):
        return False
    loose, exact = (pattern, other) if "*" in pattern else (other, pattern)
    if not exact.startswith(loose[: loose.index("*")]) or not exact.endswith(loose[loose.rindex("*") + 1 :]):
        return False
    expression = "".join("[^/]*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", loose))
    return re.fullmatch(expression, exact) is not None
