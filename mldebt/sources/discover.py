"""Where a repository starts, and which of its files there are to read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field

from mldebt.errors import UsageError
from mldebt.sources.git import Git
from mldebt.sources.ignores import Excludes, walk
from mldebt.sources.kinds import has_suffix, kind, kind_of_script
from mldebt.sources.roles import Role, role_by_path, vendored_directories

_MARKERS = frozenset((".git", "pyproject.toml", "setup.py", "environment.yml", "environment.yaml", "mldebt.toml"))
_REQUIREMENTS = re.compile(r"requirements.*\.(?:txt|in)$|requirements$")
_ENVIRONMENT = re.compile(r"(?:(.*)/)?(?:pyvenv\.cfg|conda-meta/history)$")

_MIB = 1024 * 1024
_PYTHON_CAP, _NOTEBOOK_CAP, _ARTEFACT_CAP, _DATA_CAP = 16 * _MIB, 256 * _MIB, 16 * _MIB, 1 * _MIB
_SCRIPT_CAP = 1 * _MIB
_DATA_SUFFIXES = (".json", ".jsonc", ".yml", ".yaml")


class SourceFile(Struct, frozen=True):
    """A Python file, notebook or script. ``path`` is posix, relative to the root; ``size`` is in bytes.

    ``role`` is told from the path; ``roles.role`` tells more once the bytes are read. Only "project" counts as debt
    and size.
    """

    path: str
    size: int
    role: Role


class Listing(Struct, frozen=True):
    """What is there to read below a root; all sorted by path.

    ``artefacts`` are small text files that may say how the project is built, configured and run. ``every`` is all
    files that are not left out, links inside the root included. ``skipped`` are (path, reason): what would have been
    read but for something the user may want to know.
    """

    python: tuple[SourceFile, ...]
    artefacts: tuple[str, ...]
    every: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def find_root(paths: Sequence[Path], explicit: Path | None, cwd: Path) -> Path:
    """Find the repository that ``paths`` are in.

    It is ``explicit`` if given; else the nearest directory that looks like a project's top (``.git``, pyproject.toml,
    setup.py, requirements, environment.yml, mldebt.toml), going up from the paths' common directory; else that
    directory. The home directory and the file system's root are only taken when a path names them: a stray
    requirements.txt there would make everything one project.

    Raises:
        UsageError: A path does not exist, the root is no directory, or a path lies outside the explicit root.
    """
    given = [_existing(cwd / path) for path in paths] or [_existing(cwd)]
    if explicit is not None:
        root = _existing(cwd / explicit)
        if not root.is_dir():
            raise UsageError(f"{explicit}: not a directory")
        for path in given if paths else ():
            if not path.is_relative_to(root):
                raise UsageError(f"{path}: outside the root {root}")
        return root
    start = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in given]))
    stops = {Path(os.path.realpath(Path.home())), Path(start.anchor)}
    for folder in (start, *start.parents):
        if folder != start and folder in stops:
            break
        if _is_top(folder):
            return folder
    return start


def discover(
    root: Path,
    *,
    exclude: Sequence[str] = (),
    extend_exclude: Sequence[str] = (),
    use_git: bool = True,
    named: Sequence[str] = (),
) -> Listing:
    """List what there is to read below ``root``.

    Args:
        root: The repository's top, or a directory in it.
        exclude: Globs (as in a ``.gitignore``, relative to the root) in place of the default excludes.
        extend_exclude: Globs beside them.
        use_git: Ask git for its list; else, and wherever git has none, directories are walked and ignore files read.
        named: Files (posix, relative to the root) the user asked for by name: neither excluded nor ignored.

    Raises:
        ConfigurationError: A glob is malformed.
    """
    top = Path(os.path.realpath(root))
    # git lists nothing for a root that the repository around it ignores, yet the root was asked for
    listed = (Git(top).ls_files() if use_git else None) or walk(top, Excludes.of(exclude, extend_exclude))
    paths = allowed(listed, exclude, extend_exclude)
    sieve = _Sieve(top, vendored_directories(paths))
    for path in sorted(paths.union(named)):
        sieve.take(path)
    return Listing(tuple(sieve.python), tuple(sieve.artefacts), tuple(sieve.every), tuple(sieve.skipped))


def allowed(paths: Iterable[str], exclude: Sequence[str], extend_exclude: Sequence[str]) -> set[str]:
    """The paths that neither an exclude nor a virtual environment leaves out.

    Raises:
        ConfigurationError: A glob is malformed.
    """
    excludes = Excludes.of(exclude, extend_exclude)
    kept = {path for path in paths if not excludes.match(path)}
    environments = _environments(kept)
    return {path for path in kept if not path.startswith(environments)} if environments else kept


def cap_of(path: str) -> int:
    """The bytes above which a file is not read, as far as its name tells."""
    what = kind(path)
    return _SCRIPT_CAP if what == "other" else _cap(path, what)


class _Sieve(Struct):
    """Sorts listed paths, looking at each with ``lstat`` and never through a link."""

    top: Path
    vendored: tuple[str, ...]
    python: list[SourceFile] = field(default_factory=list)
    artefacts: list[str] = field(default_factory=list)
    every: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _folders: dict[str, bool] = field(default_factory=lambda: {"": True})

    def take(self, path: str) -> None:
        if path.endswith("/"):
            self.skipped.append((_shown(path.rstrip("/")), "another git repository"))
            return
        if not _is_utf8(path):
            self.skipped.append((_shown(path), "its name is not UTF-8"))
            return
        if path.startswith("/") or not self._is_inside(path.rpartition("/")[0]):
            return
        try:
            status = os.lstat(self.top / path)
        except OSError:
            return  # in git's index, gone from the work tree
        if stat.S_ISLNK(status.st_mode):
            self._take_link(path)
        elif stat.S_ISDIR(status.st_mode):
            self.skipped.append((path, "a git submodule"))
        elif stat.S_ISREG(status.st_mode):
            self.every.append(path)
            self._take_file(path, status.st_size)
        else:
            self.skipped.append((path, "not a regular file"))

    def _take_file(self, path: str, size: int) -> None:
        what = kind(path)
        if what == "other" and not has_suffix(path) and 2 < size <= _SCRIPT_CAP:
            what = kind_of_script(_head(self.top / path))
        if what == "other":
            return
        cap = _cap(path, what)
        if size > cap:
            self.skipped.append((path, f"larger than {cap // _MIB} MiB"))
        elif what == "python":
            self.python.append(SourceFile(path, size, role_by_path(path, self.vendored)))
        else:
            self.artefacts.append(path)

    def _take_link(self, path: str) -> None:
        target = Path(os.path.realpath(self.top / path))
        if not target.is_relative_to(self.top):
            self.skipped.append((path, "a link out of the root"))
        elif not target.exists():
            self.skipped.append((path, "a broken link"))
        else:
            to = target.relative_to(self.top).as_posix()
            if target.is_file():
                self.every.append(path)
            self.skipped.append((path, f"a link to {_shown(to)}"))

    def _is_inside(self, folder: str) -> bool:
        """Tell whether a folder is reached without a link, which git's index cannot promise."""
        if (known := self._folders.get(folder)) is not None:
            return known
        path, inside = "", True
        for name in folder.split("/"):  # a loop: git's index may hold a path thousands of folders deep
            path = f"{path}/{name}" if path else name
            if path not in self._folders:
                self._folders[path] = inside and name not in ("", "..") and _is_folder(self.top / path)
            inside = self._folders[path]
        return inside


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"{path}: no such file or directory")
    return Path(os.path.realpath(path))


def _is_top(folder: Path) -> bool:
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError:
        return False
    return not _MARKERS.isdisjoint(names) or any(_REQUIREMENTS.match(name) for name in names)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _environments(paths: Iterable[str]) -> tuple[str, ...]:
    """Find virtual environments under any name by what only they hold; ends in ``/`` each."""
    found = (_ENVIRONMENT.match(path) for path in paths if path.endswith(("pyvenv.cfg", "conda-meta/history")))
    return tuple(sorted({f"{match[1]}/" for match in found if match and match[1]}))


def _cap(path: str, what: str) -> int:
    if what == "python":
        return _NOTEBOOK_CAP if path.lower().endswith(".ipynb") else _PYTHON_CAP
    if "lock" in path.rpartition("/")[2]:
        return _ARTEFACT_CAP
    return _DATA_CAP if path.lower().endswith(_DATA_SUFFIXES) else _ARTEFACT_CAP


def _head(path: Path) -> bytes:
    try:
        # O_NONBLOCK: whatever has taken the file's place since lstat, opening it must not wait
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(256)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="replace")
