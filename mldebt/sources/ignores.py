"""What a scan leaves out: excludes by name or glob, and ignore files where git cannot be asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field

from mldebt.errors import ConfigurationError
from mldebt.sources import patterns
from mldebt.sources.decoding import lines
from mldebt.sources.patterns import Pattern

# ruff's, and what ML tools write beside the code. `data` is not among them: repositories keep code there.
DEFAULT_EXCLUDES = tuple(
    """.bzr .direnv .eggs .git .git-rewrite .hg .ipynb_checkpoints .mypy_cache .nox .pants.d .pyenv
    .pytest_cache .pytype .ruff_cache .svn .tox .venv .vscode __pypackages__ _build buck-out build dist
    node_modules site-packages venv __pycache__ .cache .hypothesis .idea htmlcov .dvc mlruns mlartifacts
    wandb lightning_logs tb_logs catboost_info outputs multirun""".split()
)
_IGNORE_FILES = (".gitignore", ".ignore")
_IGNORE_SIZE = 256 * 1024


class Excludes(Struct, frozen=True):
    """Names of directories, and globs as in a ``.gitignore``, both matched on what is below the root only."""

    names: frozenset[str]
    globs: tuple[Pattern, ...]
    _folders: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, exclude: Sequence[str], extend: Sequence[str]) -> Excludes:
        """Read the settings: ``exclude`` replaces the defaults, ``extend`` adds.

        Raises:
            ConfigurationError: A glob is malformed.
        """
        names = frozenset((".git",) if exclude else DEFAULT_EXCLUDES)
        for glob in (*exclude, *extend):
            if Pattern.of(glob) is None:
                raise ConfigurationError(f"exclude: {glob!r} is no pattern of files")
        return cls(names, patterns.read((*exclude, *extend)))

    def match(self, path: str) -> bool:
        """Tell whether a file, or a directory (``path`` ends in ``/``), is left out, by itself or with one above it."""
        if not self.names.isdisjoint(path.split("/")[:-1]):
            return True
        if not self.globs:
            return False
        if path.endswith("/"):
            return self._match_folder(path[:-1])
        parts = path.split("/")
        return self._match_folder("/".join(parts[:-1])) or bool(patterns.said(self.globs, parts, folder=False))

    def _match_folder(self, path: str) -> bool:
        if not path:
            return False
        if (known := self._folders.get(path)) is not None:
            return known
        parts, left_out = path.split("/"), False
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in self._folders:
                self._folders[folder] = left_out or bool(patterns.said(self.globs, parts[:depth], folder=True))
            left_out = self._folders[folder]
        return left_out


class _Rules(Struct, frozen=True):
    """The patterns of one directory's ignore files; ``depth`` is how many directories deep it lies."""

    depth: int
    patterns: tuple[Pattern, ...]


def walk(root: Path, excludes: Excludes) -> Iterator[str]:
    """List files below ``root`` as ``git ls-files -co --exclude-standard`` would, without git.

    Links are listed, not followed. A directory with its own ``.git`` is listed with a final ``/`` and not entered.
    """
    rules, above = _rules_above(root)
    pending = [("", rules)]
    while pending:
        directory, rules = pending.pop()
        try:
            with os.scandir(root / directory) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue
        names = {entry.name for entry in entries}
        if directory and ".git" in names:
            yield directory
            continue
        inside = (*above, *directory.split("/")[:-1])
        rules += _rules_in(root / directory, len(inside), names)
        for entry in entries:
            folder = entry.is_dir(follow_symlinks=False)
            path = f"{directory}{entry.name}/" if folder else directory + entry.name
            if entry.name == ".git" or excludes.match(path) or _ignored((*inside, entry.name), folder, rules):
                continue
            if folder:
                pending.append((path, rules))
            else:
                yield path


def _ignored(parts: Sequence[str], folder: bool, rules: tuple[_Rules, ...]) -> bool:
    """Ask the nearest directory's patterns first; the first that speak decide."""
    for each in reversed(rules):
        if (said := patterns.said(each.patterns, parts[each.depth :], folder)) is not None:
            return said
    return False


def _rules_in(directory: Path, depth: int, names: set[str]) -> tuple[_Rules, ...]:
    found = [line for name in _IGNORE_FILES if name in names for line in _lines(directory / name)]
    return (_Rules(depth, patterns.read(found)),) if found else ()


def _rules_above(root: Path) -> tuple[tuple[_Rules, ...], tuple[str, ...]]:
    """Collect what the repository around ``root`` ignores, and the names that lead from its top to the root.

    Nothing is collected when that would ignore the root itself: it was asked for by name.
    """
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None:
        return (), ()
    rules: tuple[_Rules, ...] = (_Rules(0, patterns.read(_lines(top / ".git" / "info" / "exclude"))),)
    folder, parts = top, root.relative_to(top).parts
    for depth, part in enumerate(parts):
        rules += _rules_in(folder, depth, set(_IGNORE_FILES))
        folder /= part
        if _ignored(parts[: depth + 1], True, rules):
            return (), ()
    return rules, parts


def _lines(path: Path) -> list[str]:
    """Read an ignore file's lines; a link is no ignore file to git either."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _IGNORE_SIZE:
            return []
        return lines(path.read_text(encoding="utf-8-sig", errors="replace"))
    except OSError:
        return []
