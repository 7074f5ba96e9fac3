"""mldebt as a plug-in of flake8: the rules that can judge one file by itself, under the repository's own settings."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from mldebt import __version__
from mldebt.errors import MldebtError, UnreadableError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from mldebt.alone import Alone

# What flake8 is told: the line from 1, the column from 0, code and message, and the plug-in.
Told = tuple[int, int, str, type]


class Checker:
    """What flake8 makes of every file: ``tree``, ``filename`` and ``lines`` are names it knows."""

    name = "mldebt"
    version = __version__
    session: ClassVar[Session | None] = None

    def __init__(self, tree: ast.Module, filename: str, lines: Sequence[str]) -> None:
        self._tree, self._filename, self._lines = tree, filename, lines

    @classmethod
    def add_options(cls, manager: Any) -> None:
        """The options flake8 reads for us. Trust is not among those its configuration files may give."""
        paths = {"parse_from_config": True, "normalize_paths": True, "default": None}
        manager.add_option("--mldebt-config", metavar="FILE", help="Read this file, not the repository's.", **paths)
        manager.add_option("--mldebt-root", metavar="DIR", help="The repository; else the one around here.", **paths)
        for name, text in (
            ("--mldebt-isolated", "Read no configuration of mldebt at all."),
            ("--mldebt-preview", "Run rules that are still on trial too."),
        ):
            manager.add_option(name, action="store_true", default=False, parse_from_config=True, help=text)
        for name, text in (
            ("--mldebt-severity", "Show this and worse: info, minor, major or critical."),
            ("--mldebt-confidence", "Show this and surer: medium or high."),
        ):
            manager.add_option(name, metavar="LEVEL", default=None, parse_from_config=True, help=text)
        text = "Load rule files the repository's configuration names."
        manager.add_option("--mldebt-trust-plugins", action="store_true", default=False, help=text)

    @classmethod
    def parse_options(cls, _: Any, options: Namespace, __: Sequence[str]) -> None:
        """Load settings and rules once, before flake8 starts its processes."""
        try:
            cls.session = Session(options)
        except MldebtError as error:
            _stop(error)

    def run(self) -> Iterator[Told]:
        """What this file shows by itself."""
        if self.session is None or self._filename.endswith(".ipynb"):
            return
        try:
            told = self.session.told(self._filename, "".join(self._lines), self._tree)
        except MldebtError as error:
            _stop(error)
        for line, column, text in told:
            yield line, column, text, type(self)


@dataclass
class Session:
    """One run of flake8: what was asked for, and what every text has shown so far."""

    options: Namespace
    _root: Path = field(init=False)
    _repositories: dict[Path, Alone] = field(default_factory=dict)
    _seen: dict[tuple[str, bytes], tuple[tuple[int, int, str], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from mldebt.sources.discover import find_root

        explicit = self.options.mldebt_root
        self._root = find_root((), Path(explicit) if explicit else None, Path.cwd())
        self._repository(self._root)

    def told(self, filename: str, text: str, tree: ast.Module) -> tuple[tuple[int, int, str], ...]:
        """Line, column and message of all a file shows; asked twice about one text, the first answer."""
        key = (filename, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        if key not in self._seen:
            self._seen[key] = () if _was_guessed(filename, text) else self._judged(filename, text, tree)
        return self._seen[key]

    def _judged(self, filename: str, text: str, tree: ast.Module) -> tuple[tuple[int, int, str], ...]:
        file = Path(os.path.realpath(filename))
        root = self._root if file.is_relative_to(self._root) else self._root_around(file)
        told = self._repository(root).told(file.relative_to(root).as_posix(), text, tree)
        shown = [(1, 0, f"{error.code} {error.message}") for error in told.errors]
        for finding in told.findings:
            span = finding.place.span
            shown.append((span.line, span.column - 1, f"{finding.code} {' '.join(finding.message.split())}"))
        return tuple(shown)

    @staticmethod
    def _root_around(file: Path) -> Path:
        from mldebt.sources.discover import find_root

        return find_root((file.parent,), None, Path.cwd())

    def _repository(self, root: Path) -> Alone:
        """The judge of a repository's files, made when its first file comes."""
        if root not in self._repositories:
            # Imported here: flake8 imports every plug-in, also to print its help; it need not wait for the rules.
            from mldebt.alone import Alone
            from mldebt.cli.installed import registry_of, settings_of
            from mldebt.configure import CommandLine, configure
            from mldebt.finding import Confidence, Severity

            options = self.options
            given = {name: getattr(options, f"mldebt_{name}") for name in ("config", "isolated", "trust_plugins")}
            given["config"] = Path(given["config"]) if given["config"] else None
            settings = settings_of(root, given)
            registry = registry_of(settings)
            line = CommandLine(
                severity=_level(Severity, options.mldebt_severity),
                confidence=_level(Confidence, options.mldebt_confidence),
                preview=options.mldebt_preview or None,
            )
            config = configure(settings, registry.announced, line, registry.tables)
            self._repositories[root] = Alone(root, config, registry)
        return self._repositories[root]


def _level(levels: Any, said: str | None) -> Any:
    """The level of that name; flake8 does not check what its configuration files say."""
    if said is None:
        return None
    names = [level.label for level in levels if level.label != "low"]
    if said not in names:
        raise UsageError(f"mldebt: {said!r} is none of {', '.join(names)}")
    return levels[said.upper()]


def _was_guessed(filename: str, text: str) -> bool:
    """Whether flake8 has read as Latin-1 what Python would refuse to read."""
    if text.isascii() or max(text) > "\xff" or not os.path.isfile(filename):  # noqa: PTH113 - flake8 hands over a str
        return False
    from mldebt.sources.decoding import decode

    try:
        decode(Path(filename).read_bytes())
    except (OSError, UnreadableError):
        return True
    return False


def _stop(error: MldebtError) -> NoReturn:
    """End the run the way flake8 ends on errors of its own: with the message alone."""
    from flake8.exceptions import ExecutionError

    raise ExecutionError(f"mldebt: {error}" if not str(error).startswith("mldebt") else str(error)) from error
