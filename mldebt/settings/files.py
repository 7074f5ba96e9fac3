"""Which configuration files speak about a scan, and what becomes of those that are broken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct
from msgspec.structs import replace

from mldebt.errors import ConfigurationError
from mldebt.finding import ScanError
from mldebt.settings.declaration import Declaration, typed

PYPROJECT, OWN = "pyproject.toml", "mldebt.toml"
MAX_BYTES = 1 << 20

# A file below the root changes only what is said of the files below it (DESIGN 2).
NESTED_KEYS = frozenset({"ignore", "per-file-ignores", "rules", "overrides"})
# The user's own file says how mldebt runs on this machine, never what it finds in somebody's repository; rule packs
# are the user's to trust.
USER_KEYS = frozenset({"plugins", "jobs", "cache-dir", "output-format"})


class Settings(Struct, frozen=True):
    """The files that speak about a scan, before it is known which rules there are.

    ``plugins`` are the rule files and folders that may be loaded. ``errors`` are broken files of the scanned
    repository, ``notes`` what the user should be told; the scan goes on.
    """

    root: Path
    main: Declaration | None = None
    user: Declaration | None = None
    explicit: bool = False  # ``main`` was named with --config
    isolated: bool = False  # no file is read, nested ones neither
    plugins: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    errors: tuple[ScanError, ...] = ()


class _BrokenError(Exception):
    """A configuration file is not TOML, or not to be read."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.message, self.line = message, line
        super().__init__(message)


def read_settings(
    root: Path,
    file: Path | None = None,
    *,
    isolated: bool = False,
    trust_plugins: bool = False,
    user_file: Path | None = None,
) -> Settings:
    """The settings of a scan of ``root``.

    Args:
        root: The scanned repository.
        file: ``--config``: stands in the place of the root's file; its globs count from the root.
        isolated: Read no file at all.
        trust_plugins: The scanned repository may name rule files to load.
        user_file: The user's own configuration.

    Raises:
        ConfigurationError: A file cannot be followed. A file of the scanned repository that is no TOML is not raised
            but stands in ``errors``.
    """
    if isolated:
        return Settings(root, isolated=True)
    user = _user_declaration(user_file)
    if file is not None:
        return _with_plugins(Settings(root, _explicit_declaration(file), user, explicit=True), trust_plugins)
    notes: list[str] = []
    errors: list[ScanError] = []
    main = _in_folder(root, "", notes, errors)
    settings = Settings(root, main, user, notes=tuple(notes), errors=tuple(errors))
    return _with_plugins(settings, trust_plugins)


def nested_declarations(root: Path, paths: Iterable[str]) -> tuple[list[Declaration], list[str], list[ScanError]]:
    """Configuration files below the root, outermost first, with notes, and with what is broken or wrong in them.

    Args:
        root: The scanned repository.
        paths: Every listed path, relative to the root.
    """
    folders = {path.rpartition("/")[0] for path in paths if path.endswith((f"/{OWN}", f"/{PYPROJECT}"))}
    found: list[Declaration] = []
    notes: list[str] = []
    errors: list[ScanError] = []
    for folder in sorted(folders, key=lambda name: (name.count("/"), name)):
        try:
            declaration = _in_folder(root, folder, notes, errors)
        except ConfigurationError as error:
            errors.append(passed_over(error))
            continue
        if declaration is None:
            continue
        idle = sorted(set(declaration.table) - NESTED_KEYS)
        if idle:
            notes.append(f"{declaration.label}: {', '.join(idle)}: no effect below the root")
        found.append(declaration)
    return found, notes, errors


def passed_over(error: ConfigurationError) -> ScanError:
    """A mistake in a file below the root, which may be anybody's test data: reported, and no reason to stop."""
    place = f"{error.path}:{error.line}: " if error.line else f"{error.path}: "
    return ScanError("MLD001", str(error.path), error.line or 1, str(error).removeprefix(place))


def stays_inside(root: Path, path: Path) -> bool:
    """Whether ``path`` lies in ``root`` after links are followed."""
    return path.resolve().is_relative_to(root.resolve())


def _in_folder(root: Path, folder: str, notes: list[str], errors: list[ScanError]) -> Declaration | None:
    """What a folder's mldebt.toml says, else its pyproject.toml."""
    found: list[Declaration] = []
    for name in (OWN, PYPROJECT):
        label = f"{folder}/{name}" if folder else name
        path = root / label
        if not path.is_file():
            continue
        try:
            if not stays_inside(root, path):
                raise _BrokenError("links to a file outside of the repository")
            declaration = _read(path, label, folder, own=name == OWN)
        except _BrokenError as error:
            errors.append(ScanError("MLD001", label, error.line or 1, error.message))
            continue
        if declaration is not None:
            found.append(declaration)
    if len(found) > 1:
        notes.append(f"{found[1].label}: [tool.mldebt] has no effect beside {found[0].label}")
    return typed(found[0]) if found else None


def _explicit_declaration(file: Path) -> Declaration:
    if not file.is_file():
        raise ConfigurationError("no such file", file)
    try:
        declaration = _read(file, str(file), "", own=file.name != PYPROJECT)
    except _BrokenError as error:
        raise ConfigurationError(error.message, file, error.line) from None
    if declaration is None:
        raise ConfigurationError("has no [tool.mldebt] table", file)
    return typed(declaration)


def _user_declaration(file: Path | None) -> Declaration | None:
    if file is None or not file.is_file():
        return None
    declaration = _explicit_declaration(file)
    for key in sorted(set(declaration.table) - USER_KEYS):
        allowed = ", ".join(sorted(USER_KEYS))
        raise declaration.error(f"{key} belongs in a repository's configuration; here stand only {allowed}", key)
    return declaration


def _read(path: Path, label: str, folder: str, *, own: bool) -> Declaration | None:
    """A file's text and our table in it; None for a pyproject.toml without one."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _BrokenError(f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise _BrokenError("too big for a configuration file")
    # A repository may hold hundreds of pyproject.toml as test data: those that do not speak about us are not parsed.
    if folder and not own and b"mldebt" not in content:
        return None
    try:
        # TOML knows two line ends, and universal new lines would turn a lone CR, an error, into one.
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        table: Any = tomli.loads(text)
    except UnicodeDecodeError as error:
        raise _BrokenError("not UTF-8", content.count(b"\n", 0, error.start) + 1) from None
    except tomli.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else content.rstrip().count(b"\n") + 1
        raise _BrokenError(f"not valid TOML: {str(error).partition(' (at ')[0]}", line) from None
    except RecursionError:
        raise _BrokenError("not valid TOML: nested too deeply") from None
    prefix = () if own else ("tool", "mldebt")
    for key in prefix:
        table = table.get(key) if isinstance(table, dict) else None
        if table is None:
            return None
    if not isinstance(table, dict):
        raise ConfigurationError("tool.mldebt: expected a table", label)
    return Declaration(path, label, folder, prefix, text, table)


def _with_plugins(settings: Settings, trusted: bool) -> Settings:
    plugins: list[Path] = []
    notes = list(settings.notes)
    if settings.user is not None:
        plugins += [settings.user.path.parent / name for name in settings.user.document.plugins]
    main = settings.main
    if main is not None and main.document.plugins and not trusted:
        named = ", ".join(main.document.plugins)
        notes.append(f"{main.label}: plugins not loaded without --trust-plugins: {named}")
    elif main is not None:
        for name in main.document.plugins:
            path = (main.path.parent if settings.explicit else settings.root) / name
            if not settings.explicit and not stays_inside(settings.root, path):
                raise main.error(f"plugins: {name!r} lies outside of the repository", "plugins", value=name)
            plugins.append(path)
    return replace(settings, plugins=tuple(plugins), notes=tuple(notes))
