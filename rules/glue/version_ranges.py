"""Which versions of a library can be there: what manifests declare above a file, or a lock file where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mldebt.rule import Analysis
from mldebt.sources.artefacts import Dependency

# Distributions that hold a package of another name; conda calls torch pytorch.
_DISTRIBUTIONS = {
    "torch": ("torch", "pytorch"),
    "sklearn": ("scikit-learn",),
    "skimage": ("scikit-image",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "PIL": ("pillow",),
    "yaml": ("pyyaml",),
    "tensorflow": ("tensorflow", "tensorflow-gpu", "tensorflow-cpu"),
    "imblearn": ("imbalanced-learn",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
}
_FOLDERS = frozenset({"requirements", "requirement", "reqs", "deps", "docker", "environments", "envs", "conda"})
_POETRY = re.compile(r"\s*([\^~])\s*(\d+(?:\.\d+)*)\S*\s*")
_PLAIN = re.compile(r"\s*=?\s*(\d+(?:\.\d+)*)((?:\.\*)?)\s*(?:=\S+)?\s*")


class Range(Struct, frozen=True):
    """The hull of some versions. ``low`` belongs to it; ``high`` None: open. ``closed``: ``high`` belongs to it too."""

    low: Version | None = None
    high: Version | None = None
    closed: bool = False

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and not self.closed)

    def within(self, other: Range) -> Range:
        """The versions in both."""
        low = max((one for one in (self.low, other.low) if one is not None), default=None)
        highs = [(one.high, one.closed) for one in (self, other) if one.high is not None]
        high, closed = min(highs, default=(None, False))
        return Range(low, high, closed)

    def joined(self, other: Range) -> Range:
        """The hull of both."""
        low = None if self.low is None or other.low is None else min(self.low, other.low)
        if self.high is None or other.high is None:
            return Range(low)
        high, closed = max((self.high, self.closed), (other.high, other.closed))
        return Range(low, high, closed)


class Declared(Struct, frozen=True):
    """The versions of a library that can be there, and the declarations that say so."""

    range: Range
    by: tuple[Dependency, ...]
    required: bool  # by the project itself, not by an extra or a development group


class Requirements(Analysis):
    """Answers which versions of a library a file can meet. Manifests count for the files below their own folder."""

    def declared(self, path: str, library: str) -> Declared | None:
        """What is declared of the library with this import name; None when nothing is, or nothing that is one range."""
        names = {canonicalize_name(name) for name in _DISTRIBUTIONS.get(library, (library,))}
        for name in names:
            assumed = self.project.options.assume.get(name)
            if assumed is not None:
                return Declared(_range(f"=={assumed}") or Range(), (), True)
        repository = self.project.repository
        manifests = self._nearest(path, [one for one in repository.dependencies if one.name in names])
        locks = self._nearest(path, [one for one in repository.locked if one.name in names])
        ours = _all_of(manifests)
        if not locks:
            return ours
        pinned = Declared(_hull(locks), tuple(locks), not manifests or any(not one.group for one in manifests))
        if ours is None:
            return pinned
        if ours.range.within(pinned.range).empty:
            return None  # one of both is stale
        return ours if self.project.library else pinned  # users of a library have what its manifest allows

    def _nearest(self, path: str, listed: Sequence[Dependency]) -> list[Dependency]:
        """Those in the nearest folder above a file that says anything of the library."""
        above = {str(folder) for folder in PurePosixPath(path).parents}
        found = [(folder, one) for one in listed if (folder := _folder(one.path)) in above]
        nearest = max((len(folder) for folder, _ in found), default=0)
        return [one for folder, one in found if len(folder) == nearest]


def _folder(manifest: str) -> str:
    folder = PurePosixPath(manifest).parent
    return str(folder.parent if folder.name.lower() in _FOLDERS else folder)


def _all_of(listed: Sequence[Dependency]) -> Declared | None:
    """Statements of one file are alternatives (markers, extras), those of several files hold together."""
    required = [one for one in listed if not one.group]
    files: dict[str, list[Dependency]] = {}
    for one in required or listed:
        files.setdefault(one.path, []).append(one)
    found = Range()
    for statements in files.values():
        found = found.within(_hull(statements))
    return None if not listed or found.empty else Declared(found, tuple(required or listed), bool(required))


def _hull(listed: Iterable[Dependency]) -> Range:
    ranges = [_range(one.specifier) or Range() for one in listed]
    found = ranges[0]
    for other in ranges[1:]:
        found = found.joined(other)
    return found


def _range(text: str) -> Range | None:
    """The range of a specifier as pip, Poetry or conda write it; None when it cannot be read."""
    poetry = _POETRY.fullmatch(text)
    if poetry is not None:
        parts = tuple(map(int, poetry[2].split(".")))
        return Range(Version(poetry[2]), _next(_caret(parts) if poetry[1] == "^" else parts[:2]))
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        parts = tuple(map(int, plain[1].split(".")))
        return Range(Version(plain[1]), _next(parts))
    try:
        specifiers = SpecifierSet(text)
    except InvalidSpecifier:
        return None
    found = Range()
    for specifier in specifiers:
        found = found.within(_of(specifier))
    return found


def _caret(parts: tuple[int, ...]) -> tuple[int, ...]:
    """Up to the first figure that is not zero: that one may not grow."""
    first = next((index for index, part in enumerate(parts) if part), len(parts) - 1)
    return parts[: first + 1]


def _next(parts: tuple[int, ...]) -> Version:
    return Version(".".join(map(str, (*parts[:-1], parts[-1] + 1))))


def _of(specifier: Specifier) -> Range:
    operator, text = specifier.operator, specifier.version
    star = text.endswith(".*")
    try:
        version = Version(text.removesuffix(".*"))
    except InvalidVersion:  # ``===`` takes anything
        return Range()
    if operator in ("==", "==="):
        return Range(version, _next(version.release)) if star else Range(version, version, closed=True)
    if operator == "~=":
        return Range(version, _next(version.release[:-1]))
    if operator in (">=", ">"):
        return Range(version)
    if operator in ("<", "<="):
        return Range(None, version, closed=operator == "<=")
    return Range()
