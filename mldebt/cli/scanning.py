"""Scan, show, fix, and say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mldebt.cli.main import FINDINGS, OK, TROUBLE
from mldebt.cli.rendering import rendered
from mldebt.cli.session import Session, opened
from mldebt.cli.showing import show_files, show_profile, show_settings
from mldebt.cli.terminal import emit, say, write
from mldebt.config import Request
from mldebt.errors import UnreadableError, UsageError
from mldebt.finding import Severity
from mldebt.fixes import diff
from mldebt.pipeline import Outcome
from mldebt.sources.decoding import decode

STDIN = Path("-")


def scan(paths: tuple[Path, ...], given: Mapping[str, Any]) -> int:
    """Do what ``mldebt scan`` was asked for.

    Args:
        paths: PATHS as given.
        given: Option values by name.

    Returns:
        The exit code.
    """
    if given["fix"] and given["diff"]:
        raise UsageError("--fix and --diff exclude each other: --diff shows what --fix would do")
    if STDIN in paths:
        return _scan_stdin(paths, given)
    session = opened(paths, given)
    if given["show_settings"]:
        emit(show_settings(session.config))
        return OK
    if given["show_files"]:
        emit(show_files(session))
        return OK
    return _finished(session, session.scan(_request(session, given)), given)


def _request(session: Session, given: Mapping[str, Any], stdin: tuple[str, bytes] | None = None) -> Request:
    return session.request(
        stdin=stdin,
        mend=session.config.output_format != "concise",
        fix=given["fix"] or given["diff"],
        unsafe=given["unsafe_fixes"],
        profile=given["profile"],
    )


def _scan_stdin(paths: tuple[Path, ...], given: Mapping[str, Any]) -> int:
    if len(paths) > 1:
        raise UsageError("- stands alone: there is one standard input")
    if given["fix"]:
        raise UsageError("--fix cannot write to standard input; --diff shows what it would do")
    named = Path.cwd() / (given["stdin_filename"] or "stdin.py")
    folder = named.parent if named.parent.is_dir() else Path.cwd()
    session = opened((folder,), given)
    real = Path(os.path.realpath(named))
    path = real.relative_to(session.root).as_posix() if real.is_relative_to(session.root) else real.name
    content = sys.stdin.buffer.read()
    session = replace(session, paths=(session.root / path,))
    return _finished(session, session.scan(_request(session, given, (path, content))), given)


def _finished(session: Session, outcome: Outcome, given: Mapping[str, Any]) -> int:
    """Write what was fixed, show what is left, and say how it went."""
    report, output = outcome.report, given["output"]
    changed = {path: (before, after) for path, (before, after) in outcome.changes.items() if before != after}
    if given["fix"]:
        for path, (before, after) in sorted(changed.items()):
            _replace(session.root, path, before, after)
        if changed and not session.quiet:
            say(f"fixed {len(changed)} file{'s' if len(changed) > 1 else ''}: {', '.join(sorted(changed))}")
    text = rendered(report, session, counts=given["statistics"], to_file=output is not None)
    if output is not None:
        write(output, text.encode("utf-8", "surrogateescape"))
    if given["diff"]:
        emit(diff({path: pair[0] for path, pair in changed.items()}, {path: pair[1] for path, pair in changed.items()}))
    if output is None and given["diff"]:
        say(text.rstrip("\n"))
    elif output is None:
        emit(text)
    if given["profile"]:
        say(show_profile(outcome.profile, session.registry))
    if not report.files and not session.quiet:
        say(f"warning: no Python files under {session.root}")
    return exit_code(outcome, session, exit_zero=given["exit_zero"], pending=given["diff"] and bool(changed))


def exit_code(outcome: Outcome, session: Session, *, exit_zero: bool = False, pending: bool = False) -> int:
    """The code of DESIGN 5: 2 when a rule crashed, 1 when something counts, else 0.

    Args:
        outcome: What the scan came to.
        session: Says from which severity on a finding counts; an unreadable file is minor.
        exit_zero: 1 becomes 0.
        pending: There are fixes that were shown and not applied.
    """
    if outcome.crashed:
        return TROUBLE
    worst = max((finding.severity for finding in outcome.report.findings), default=None)
    unreadable = any(error.code == "MLD001" for error in outcome.report.errors)
    least = session.config.fail_on
    found = pending or (worst is not None and worst >= least) or (unreadable and least <= Severity.MINOR)
    return FINDINGS if found and not exit_zero else OK


def _replace(root: Path, path: str, before: str, after: str) -> None:
    """Write a fixed file in its own encoding, if it is still the file that was read."""
    target = root / path
    try:
        if target.is_symlink() or not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root)):
            raise UsageError(f"{path}: not fixed: reached through a link")
        text, encoding = decode(target.read_bytes())
    except (OSError, UnreadableError) as error:
        raise UsageError(f"{path}: not fixed: {error}") from None
    if text != before:
        raise UsageError(f"{path}: not fixed: it changed while it was scanned")
    try:
        write(target, after.encode(encoding))
    except UnicodeEncodeError:
        raise UsageError(f"{path}: not fixed: the fix cannot be written in {encoding}") from None
