"""The directories of the packages that manifests declare, as setuptools and Poetry would find them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase

from mldebt.sources.manifests import Manifest, normal_name

# setuptools' automatic discovery passes over these in a flat layout (setuptools/discovery.py, FlatLayoutPackageFinder).
_RESERVED = frozenset(
    """ci bin debian doc docs documentation manpages news newsfragments changelog test tests unit_test unit_tests
    example examples scripts tools util utils python build benchmark benchmarks exercise exercises htmlcov venv env
    tasks fabfile site_scons""".split()
)


def declared_packages(manifests: Iterable[Manifest], every: Collection[str]) -> tuple[str, ...]:
    """Return the top directories of declared packages, relative to the root, that exist.

    A manifest that declares none gets what automatic discovery would find: packages below ``src``, else the package
    of the project's name, else the only package beside it.
    """
    tops = frozenset(posixpath.dirname(path) for path in every if path.endswith("/__init__.py"))
    folders = frozenset(parent for path in every for parent in _parents(path))
    found: set[str] = set()
    for manifest in manifests:
        base = manifest.path.rpartition("/")[0]
        named = {_joined(base, package) for package in manifest.packages}
        found_in = (package for where in manifest.find_in for package in _below(_joined(base, where), tops))
        named |= {package for package in found_in if _counts(posixpath.basename(package), manifest)}
        if not manifest.packages and not manifest.find_in:
            named = set(_automatic(manifest, base, tops))
        found |= named & folders
    return tuple(sorted(package for package in found if package and not _inside(package, found)))


def _counts(name: str, manifest: Manifest) -> bool:
    if manifest.include and not any(fnmatchcase(name, pattern) for pattern in manifest.include):
        return False
    return not any(fnmatchcase(name, pattern) for pattern in manifest.exclude)


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _joined(base: str, below: str) -> str:
    joined = posixpath.normpath(posixpath.join(base, below))
    return "" if joined == "." else joined


def _inside(package: str, packages: Collection[str]) -> bool:
    return any(parent in packages for parent in _parents(package))


def _below(base: str, tops: frozenset[str]) -> Iterator[str]:
    """The packages directly in a directory."""
    return (package for package in tops if posixpath.dirname(package) == base)


def _automatic(manifest: Manifest, base: str, tops: frozenset[str]) -> Iterable[str]:
    source = list(_below(_joined(base, "src"), tops))
    if source:
        return source
    flat = [package for package in _below(base, tops) if posixpath.basename(package) not in _RESERVED]
    name = normal_name(manifest.name or "").replace("-", "_")
    same = [package for package in flat if posixpath.basename(package).lower() == name]
    return same or (flat if len(flat) == 1 else ())
