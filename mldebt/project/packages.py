"""Where import names lead: the directories Python would search, and the modules and packages found there.

A *target* is a module's path (``src/pkg/mod.py``), or a directory with a trailing slash for a package without
``__init__.py``. Directories are relative to the root, ``""`` is the root itself.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import tomli
from packaging.utils import canonicalize_name

# Loaded before any script runs, so that no file of the same name ever shadows them.
_LOADED_FIRST = frozenset(
    {"sys", "builtins", "os", "io", "abc", "codecs", "site", "stat", "time", "posix", "posixpath", "ntpath", "types"}
)
_SOURCE_DIRECTORIES = frozenset({"src", "lib", "python", "source"})
_DISTRIBUTIONS = tomli.loads((Path(__file__).parent / "distributions.toml").read_text("utf-8"))
_WELL_KNOWN = frozenset(_DISTRIBUTIONS["well_known"])
_IMPORT_NAMES: Mapping[str, str] = _DISTRIBUTIONS["import_names"]


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


class Packages:
    """The project's importable files.

    Args:
        paths: Paths of all readable sources; those that end in ``.py`` or ``.pyi`` can be imported.
        declared: Directories of declared packages.
        distributions: Names of declared requirements.
        namesakes: Modules and packages that import something of their own name, which therefore is not they.
    """

    def __init__(
        self,
        paths: Iterable[str],
        declared: Sequence[str] = (),
        distributions: Iterable[str] = (),
        namesakes: Collection[str] = (),
    ) -> None:
        self.files = frozenset(path for path in paths if path.endswith((".py", ".pyi")))
        inits = (path for path in self.files if path.endswith(("/__init__.py", "/__init__.pyi")))
        self.packages = frozenset(parent(path) for path in inits)
        self.directories = _directories(self.files)
        self.added: dict[str, tuple[str, ...]] = {}
        self._declared = tuple(declared)
        self._namesakes = frozenset(namesakes)
        self._distributions = frozenset(_import_names(distributions))
        self._found: dict[tuple[str, str], str | None] = {}
        self._names: dict[str, str] = {}
        self._chains: dict[tuple[str, int], tuple[str, ...]] = {}

    def search_also(self, added: Mapping[str, tuple[str, ...]]) -> None:
        """Take in the directories each module adds to ``sys.path``. Call before the first ``find``."""
        self.added = {path: directories for path, directories in added.items() if directories}

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Directories searched for every module: the root, declared packages' and source directories, ``sys.path``."""
        declared = [self.import_root(join(directory, "__init__.py")) for directory in self._declared if directory]
        sources = [
            directory
            for directory in sorted(self.directories)
            if directory.rpartition("/")[2] in _SOURCE_DIRECTORIES
            and directory.count("/") < 2
            and not self.in_package(directory)
        ]
        added = sorted({directory for directories in self.added.values() for directory in directories})
        return tuple(dict.fromkeys(["", *declared, *sources, *added]))

    @cached_property
    def _naming_roots(self) -> frozenset[str]:
        holders = {parent(package) for package in self.packages if parent(package) not in self.packages}
        return frozenset({*self.roots, *(holder for holder in holders if not self.in_package(holder))})

    @cached_property
    def _by_last(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self.files):
            stem = _stem(path)
            found.setdefault(stem.rpartition("/")[2], []).append(path)
        return found

    @cached_property
    def _segments(self) -> frozenset[str]:
        """Every directory and module name: an import of anything else leads nowhere here."""
        return frozenset(part for path in self.files for part in path.rpartition(".")[0].split("/"))

    def in_package(self, directory: str) -> bool:
        """Whether a directory is a package or lies in one."""
        while directory:
            if directory in self.packages:
                return True
            directory = parent(directory)
        return False

    def import_root(self, path: str) -> str:
        """The nearest directory above a module that is no package: where a script finds its siblings."""
        directory = parent(path)
        while directory in self.packages:
            directory = parent(directory)
        return directory

    def name(self, path: str) -> str:
        """A module's import name, seen from the nearest root above it."""
        known = self._names.get(path)
        if known is None:
            directory = self.import_root(path)
            while directory and directory not in self._naming_roots:
                directory = parent(directory)
            stem = _stem(path)
            known = self._names[path] = (stem[len(directory) + 1 :] if directory else stem).replace("/", ".")
        return known

    def is_third_party(self, head: str) -> bool:
        """Whether a name is a declared or well-known distribution's, or the standard library's."""
        return head in _WELL_KNOWN or head in self._distributions or head in sys.stdlib_module_names

    def at(self, directory: str, parts: Sequence[str]) -> str | None:
        """The target ``parts`` lead to from a directory."""
        return self._regular(base := join(directory, "/".join(parts))) or (
            f"{base}/" if base in self.directories else None
        )

    def package(self, directory: str) -> str | None:
        """The target of a directory itself."""
        return self._init(directory) or (f"{directory}/" if directory in self.directories else None)

    def may_hold(self, dotted: str) -> bool:
        """Whether a file or directory has the first name of an absolute import: a quick look, and most have not."""
        return dotted.partition(".")[0] in self._segments

    def find(self, importer: str, dotted: str) -> str | None:
        """The target of an absolute import; None for what is not the project's."""
        if not self.may_hold(dotted):
            return None
        key = (parent(importer) if importer not in self.added else importer, dotted)
        if key not in self._found:
            self._found[key] = self._search(importer, dotted.split("."))
        return self._found[key]

    def relative(self, importer: str, level: int, dotted: str) -> str | None:
        """The target of ``from ..dotted import``; None above the root or where nothing is."""
        directory = parent(importer)
        for _ in range(level - 1):
            if not directory:
                return None
            directory = parent(directory)
        return self.at(directory, dotted.split(".")) if dotted else self.package(directory)

    def absolute_name(self, importer: str, level: int, dotted: str) -> str:
        """The absolute name of a relative import, as far as it can be told."""
        package = self.name(join(parent(importer), "__init__.py")).split(".")
        parts = [*package[: len(package) - level + 1], *([dotted] if dotted else [])]
        return ".".join(part for part in parts if part)

    def chain(self, target: str, dotted: str) -> tuple[str, ...]:
        """Targets of ``a``, ``a.b``, ``a.b.c`` when the last is ``target``: packages run before what is in them."""
        key = (target, dotted.count("."))
        if key not in self._chains:
            self._chains[key] = tuple(self._chain(*key))
        return self._chains[key]

    def _chain(self, target: str, above: int) -> list[str]:
        directory = target.rstrip("/") if target.endswith("/") else _stem(target)
        found = [target]
        for _ in range(above):
            directory = parent(directory)
            package = self.package(directory)
            if package is None:
                break
            found.append(package)
        found.reverse()
        return found

    def _regular(self, base: str) -> str | None:
        found = self._init(base)
        if found is None and (found := f"{base}.py") not in self.files and (found := f"{base}.pyi") not in self.files:
            return None
        return found

    def _init(self, directory: str) -> str | None:
        if directory not in self.packages:
            return None
        path = f"{directory}/__init__.py"
        return path if path in self.files else f"{path}i"

    def _search(self, importer: str, parts: Sequence[str]) -> str | None:
        head = parts[0]
        if head in _LOADED_FIRST:
            return None
        searched = dict.fromkeys([self.import_root(importer), *self.added.get(importer, ()), *self.roots])
        known = self.is_third_party(head)
        for directory in searched:
            found = self._regular(join(directory, head))
            if found and not (known and found in self._namesakes):
                return self.at(directory, parts)
        # A distribution's regular package comes before any directory without __init__.
        if not known or len(parts) > 1:
            for directory in searched:
                found = self.at(directory, parts)
                if found and not (known and found.endswith("/")):
                    return found
        return None if known else self._beside(importer, parts)

    def _beside(self, importer: str, parts: Sequence[str]) -> str | None:
        """What a script inside a package finds next to itself, else the one module whose path ends like the name.

        A module of a package is known by its full name: from outside, a part of that name does not lead there.
        """
        here = parent(importer)
        if beside := self._regular(join(here, parts[0])):
            return None if beside in self._namesakes else self.at(here, parts)
        suffix = "/" + "/".join(parts)
        matches = [path for path in self._by_last.get(parts[-1], ()) if f"/{_stem(path)}".endswith(suffix)]
        if len(matches) != 1:
            return None
        base = _stem(matches[0])[: -len(suffix)]
        if self._regular(join(base, parts[0])) in self._namesakes:
            return None
        return matches[0] if base not in self.packages or f"{here}/".startswith(f"{base}/") else None


def _stem(path: str) -> str:
    """A path without its suffix; a package's ``__init__`` stands for its directory."""
    stem = path.rpartition(".")[0] if "." in path.rpartition("/")[2] else path
    return parent(stem) if stem.endswith("/__init__") else stem


def _directories(files: Collection[str]) -> frozenset[str]:
    found: set[str] = set()
    for path in files:
        directory = parent(path)
        while directory and directory not in found:
            found.add(directory)
            directory = parent(directory)
    return frozenset(found)


def _import_names(distributions: Iterable[str]) -> Iterable[str]:
    for name in distributions:
        normal = canonicalize_name(name)
        yield _IMPORT_NAMES.get(normal, normal.replace("-", "_"))
