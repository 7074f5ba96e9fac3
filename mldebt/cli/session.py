"""From options to a request: the root, the files that speak about it, the rules there are, the configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from msgspec import Struct
from msgspec.structs import replace

from mldebt.cli.installed import registry_of, settings_of
from mldebt.cli.terminal import StatusLine, say, wants_color
from mldebt.config import Config, Request
from mldebt.configure import CommandLine, configure
from mldebt.finding import Confidence, Severity
from mldebt.pipeline import Outcome
from mldebt.pipeline import scan as run
from mldebt.registry import Registry
from mldebt.sources.discover import find_root


class Session(Struct, frozen=True):
    """One call of the command: where, with which rules, and how to talk."""

    root: Path
    paths: tuple[Path, ...]
    config: Config
    registry: Registry
    cache_dir: Path | None
    color: bool
    color_forced: bool = False  # --color always: in files too
    quiet: bool = False
    verbose: int = 0

    def request(self, **more: Any) -> Request:
        fields: dict[str, Any] = {
            "root": self.root,
            "paths": self.paths,
            "config": self.config,
            "jobs": self.config.jobs,
            "cache_dir": self.cache_dir,
            "use_cache": self.cache_dir is not None,
        }
        return Request(**(fields | more))

    def scan(self, request: Request) -> Outcome:
        """The outcome, with a status line while it is made and notes when it is."""
        with self._progress() as line:
            outcome = run(replace(request, progress=line.update if line else None), self.registry)
        if not self.quiet:
            for note in outcome.notes:
                say(f"note: {note}")
        if self.verbose:
            self._tell(outcome)
        return outcome

    def _tell(self, outcome: Outcome) -> None:
        """What was done, for those who wonder."""
        say(f"root: {self.root}")
        for file in outcome.config.files:
            say(f"configuration: {file}")
        say(f"cache: {self.cache_dir or 'none'}")
        for path, reason in outcome.listing.skipped:
            say(f"skipped: {path}: {reason}")

    @contextmanager
    def _progress(self) -> Iterator[StatusLine | None]:
        if not StatusLine.wanted(sys.stderr, os.environ, quiet=self.quiet):
            yield None
            return
        line = StatusLine(sys.stderr)
        try:
            yield line
        finally:
            line.clear()


def opened(paths: Sequence[Path], given: Mapping[str, Any]) -> Session:
    """The session options ask for.

    Args:
        paths: What to report on; empty is the working directory.
        given: Option values by name; those a command does not have may be missing.

    Raises:
        UsageError: A path or a rule does not exist.
        ConfigurationError: A configuration file cannot be followed.
        PluginError: A rule package or a trusted rule file cannot be loaded.
    """
    cwd = Path.cwd()
    root = find_root(paths, given.get("root"), cwd)
    settings = settings_of(root, given)
    registry = registry_of(settings)
    config = _for_a_hook(configure(settings, registry.announced, _line(given), registry.tables))
    cache_dir = config.cache_dir or platformdirs.user_cache_path("mldebt", appauthor=False)
    return Session(
        root,
        tuple(Path(os.path.realpath(cwd / path)) for path in paths),
        config,
        registry,
        None if given.get("no_cache") else cache_dir,
        wants_color(given.get("color", "auto"), os.environ, is_terminal=sys.stdout.isatty()),
        given.get("color") == "always",
        given.get("quiet", False),
        given.get("verbose", 0),
    )


def _for_a_hook(config: Config) -> Config:
    """What pre-commit shows of a hook is short, unless somebody said how it should look."""
    if "output-format" in config.origins or not os.environ.get("PRE_COMMIT") or sys.stdout.isatty():
        return config
    return replace(config, output_format="concise")


def _line(given: Mapping[str, Any]) -> CommandLine:
    severity, confidence, fail_on = (given.get(name) for name in ("severity", "confidence", "fail_on"))
    return CommandLine(
        select=given.get("select") or None,
        ignore=given.get("ignore", ()),
        extend_select=given.get("extend_select", ()),
        severity=Severity[severity.upper()] if severity else None,
        confidence=Confidence[confidence.upper()] if confidence else None,
        fail_on=Severity[fail_on.upper()] if fail_on else None,
        preview=given.get("preview"),
        jobs=given.get("jobs"),
        cache_dir=given.get("cache_dir"),
        output_format=given.get("output_format"),
    )
