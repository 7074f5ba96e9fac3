"""Scan, show, fix, and say how it went."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mldebt.baseline import Baseline, within
from mldebt.cli.baselines import tidied, wanted
from mldebt.cli.main import FINDINGS, OK, TROUBLE
from mldebt.cli.outputs import Output, outputs
from mldebt.cli.rendering import prepared, rendered
from mldebt.cli.session import Session, opened
from mldebt.cli.showing import show_files, show_profile, show_settings
from mldebt.cli.terminal import emit, say, write
from mldebt.config import Request
from mldebt.errors import UnreadableError, UsageError
from mldebt.finding import Severity
from mldebt.fixes import diff
from mldebt.pipeline import Outcome
from mldebt.report.result import Report
from mldebt.settings.formats import FORMATS
from mldebt.sources.commits import base_commit
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
    if given["fix"] and given["staged"]:
        raise UsageError("--fix changes files and --staged looks at the index; fix first, then stage")
    if STDIN in paths:
        return _scan_stdin(paths, given)
    session = opened(paths, given)
    if given["show_settings"]:
        emit(show_settings(session.config))
        return OK
    if given["show_files"]:
        emit(show_files(session))
        return OK
    known = wanted(session, given)
    compare = given["staged"] or given["diff_base"] is not None
    outcome = session.scan(
        _request(
            session,
            given,
            baseline=known.baseline if known else None,
            base=base_commit(session.root, given["diff_base"]) if compare else None,
            staged=given["staged"],
        )
    )
    told = tidied(known, outcome, given) if known else ""
    if told and not session.quiet:
        say(f"note: {told}")
    return _finished(session, outcome, given, outcome.instead)


def _request(session: Session, given: Mapping[str, Any], **more: Any) -> Request:
    return session.request(
        mend=any(FORMATS[output.format].mends for output in _outputs(session, given)),
        fix=given["fix"] or given["diff"],
        unsafe=given["unsafe_fixes"],
        profile=given["profile"],
        force_exclude=given["force_exclude"],
        **more,
    )


def _outputs(session: Session, given: Mapping[str, Any]) -> tuple[Output, ...]:
    return outputs(given["output"], session.config.output_format)


def _scan_stdin(paths: tuple[Path, ...], given: Mapping[str, Any]) -> int:
    if len(paths) > 1:
        raise UsageError("- stands alone: there is one standard input")
    if given["diff_base"] is not None or given["staged"]:
        raise UsageError("- is one text without a history; --diff-base and --staged look at files")
    if given["fix"]:
        raise UsageError("--fix cannot write to standard input; --diff shows what it would do")
    named = Path.cwd() / (given["stdin_filename"] or "stdin.py")
    folder = named.parent if named.parent.is_dir() else Path.cwd()
    session = opened((folder,), given)
    real = Path(os.path.realpath(named))
    path = real.relative_to(session.root).as_posix() if real.is_relative_to(session.root) else real.name
    content = sys.stdin.buffer.read()
    session = replace(session, paths=(session.root / path,))
    known = wanted(session, given)
    # Only what stands in this file: its debt elsewhere is not looked at, so it would vouch for new debt here.
    here = Baseline(within(known.baseline.entries, {path}), known.label) if known else None
    outcome = session.scan(_request(session, given, stdin=(path, content), baseline=here))
    return _finished(session, outcome, given, {path: content})


def _finished(session: Session, outcome: Outcome, given: Mapping[str, Any], overlay: Mapping[str, bytes]) -> int:
    """Write what was fixed, show what is left, and say how it went."""
    report = outcome.report
    changed = {path: (before, after) for path, (before, after) in outcome.changes.items() if before != after}
    if given["fix"]:
        for path, (before, after) in sorted(changed.items()):
            _replace(session.root, path, before, after)
        if changed and not session.quiet:
            say(f"fixed {len(changed)} file{'s' if len(changed) > 1 else ''}: {', '.join(sorted(changed))}")
    if given["diff"]:
        emit(diff({path: pair[0] for path, pair in changed.items()}, {path: pair[1] for path, pair in changed.items()}))
    _shown(report, session, given, {**overlay, **{path: after.encode() for path, (_, after) in changed.items()}})
    if given["profile"]:
        say(show_profile(outcome.profile, session.registry))
    if not report.files and not session.quiet:
        say(f"warning: no Python files under {session.root}")
    failed = (given["diff"] and bool(changed)) or _is_under(report, given["fail_under"])
    return exit_code(outcome, session, exit_zero=given["exit_zero"], failed=failed)


def _is_under(report: Report, least: float | None) -> bool:
    """Whether the score is too low, as it is printed; said on standard error.

    Raises:
        UsageError: There is no score of a part of a repository.
    """
    if least is None or report.score_reason == "no-python":
        return False
    if report.score is None:
        raise UsageError("--fail-under needs the score, and there is none of a part of the repository")
    if round(report.score.value, 1) >= least:
        return False
    say(f"score {report.score.value:.1f} is below --fail-under {least:g}")
    return True


def _shown(report: Report, session: Session, given: Mapping[str, Any], overlay: Mapping[str, bytes]) -> None:
    """The report in every format, each where it belongs."""
    for output in _outputs(session, given):
        ready = prepared(report, session, output.format, overlay)
        text = rendered(ready, session, output.format, counts=given["statistics"], to_file=output.path is not None)
        if output.path is not None:
            write(output.path, text.encode("utf-8", "surrogateescape"))
        elif given["diff"]:
            say(text.rstrip("\n"))
        else:
            emit(text)


def exit_code(outcome: Outcome, session: Session, *, exit_zero: bool = False, failed: bool = False) -> int:
    """The code of DESIGN 5: 2 when a rule crashed, 1 when something counts, else 0.

    Args:
        outcome: What the scan came to.
        session: Says from which severity on a finding counts; an unreadable file is minor.
        exit_zero: 1 becomes 0.
        failed: There are fixes that were shown and not applied, or the score is too low.
    """
    if outcome.crashed:
        return TROUBLE
    worst = max((finding.severity for finding in outcome.report.findings), default=None)
    unreadable = any(error.code == "MLD001" for error in outcome.report.errors)
    least = session.config.fail_on
    found = failed or (worst is not None and worst >= least) or (unreadable and least <= Severity.MINOR)
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
