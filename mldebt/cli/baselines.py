"""The baseline's file: where it is, when it is read, and when a scan may make it smaller."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mldebt import __version__, baseline
from mldebt.baseline import Baseline
from mldebt.baseline_format import MAX_BYTES, parse, render
from mldebt.cli.session import Session
from mldebt.cli.terminal import write
from mldebt.comparing import judged
from mldebt.errors import ConfigurationError, UsageError
from mldebt.pipeline import Outcome

MODES = ("auto", "lock", "off")


@dataclass(frozen=True, slots=True)
class BaselineFile:
    """A baseline and its file; ``label`` is how messages call it. One that is not there yet has no entries."""

    path: Path
    label: str
    baseline: Baseline
    exists: bool = True

    def write(self, new: Baseline) -> bool:
        """Replace the file's content, unless that says the same already."""
        if self.exists and new.counts() == self.baseline.counts():
            return False
        write(self.path, render(new, __version__).encode("ascii"))
        return True


def located(session: Session, given: Mapping[str, Any]) -> tuple[Path, str]:
    """The baseline's path and label: the one named, else the one at the root."""
    named: Path | None = given.get("baseline")
    if named is None:
        return session.root / baseline.FILE, baseline.FILE
    path = Path.cwd() / named
    return path, str(named)


def read(session: Session, given: Mapping[str, Any]) -> BaselineFile:
    """The baseline of the repository, or the one named.

    Raises:
        ConfigurationError: It is damaged, or leads out of the repository.
    """
    path, label = located(session, given)
    explicit = given.get("baseline") is not None
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return BaselineFile(path, label, Baseline(name=label), exists=False)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", label) from None
    real = Path(os.path.realpath(path))
    if not explicit and stat.S_ISLNK(status.st_mode) and not real.is_relative_to(os.path.realpath(session.root)):
        raise ConfigurationError("links to a file outside of the repository", label)
    if not real.is_file():
        raise ConfigurationError("not a regular file", label)
    try:
        with real.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", label) from None
    return BaselineFile(path, label, parse(data, label))


def wanted(session: Session, given: Mapping[str, Any]) -> BaselineFile | None:
    """The baseline a scan is to respect; None without one.

    Raises:
        UsageError: One was named that is not there.
    """
    if given["no_baseline"] and given["baseline"] is not None:
        raise UsageError("--baseline and --no-baseline exclude each other")
    if given["no_baseline"] or given["baseline_mode"] == "off":
        return None
    found = read(session, given)
    if not found.exists and given["baseline"] is not None:
        raise UsageError(f"{found.label}: no such file; `mldebt baseline create` makes one")
    return found if found.exists else None


def tidied(file: BaselineFile, outcome: Outcome, given: Mapping[str, Any]) -> str:
    """What a scan says of stale entries; it removes them where it may, and a run in CI or a hook never may."""
    number = sum(entry.count for entry in outcome.compared.stale)
    if not number:
        return ""
    what = f"{number} entr{'y' if number == 1 else 'ies'} of {file.label} {'is' if number == 1 else 'are'} stale"
    narrowed = outcome.config.narrowed or given["staged"] or given["diff"] or given["diff_base"]
    sure = not outcome.crashed and not outcome.report.errors and outcome.report.score_reason is None
    if given["baseline_mode"] == "lock" or is_locked() or narrowed or not sure:
        return f"{what}: the debt is gone; `mldebt baseline prune` removes {'it' if number == 1 else 'them'}"
    file.write(baseline.pruned(file.baseline.entries, outcome.compared.matched, could_be_found(outcome)))
    return f"{what}, and removed: the debt is gone"


def could_be_found(outcome: Outcome) -> Any:
    """Whether a key's debt would have been found by this scan."""
    broken = {finding.place.path for finding in outcome.side.found if finding.code == "MLD001"}
    return judged(outcome.side.ran, broken)


def is_locked() -> bool:
    """Whether this is a run in CI or in a hook, which leaves no file changed."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false") or bool(os.environ.get("PRE_COMMIT"))
