"""Fixes of a scan: which are wanted, what they change, and which findings carry one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from mldebt.finding import Applicability, Finding, Fix, ScanError
from mldebt.judge import guarded
from mldebt.project.project import Project
from mldebt.rule import AnyRule, Problem

_MOST_BYTES = 1 << 20  # of a script or configuration file that a fix edits


def applies(fix: Fix, unsafe: bool) -> bool:
    return unsafe or fix.applicability is Applicability.SAFE


def mended(
    findings: Sequence[Finding],
    origin: Mapping[str, tuple[AnyRule, Problem]],
    project: Project,
    errors: list[ScanError],
) -> list[Finding]:
    """The findings with the fixes their rules offer. A rule that crashes while mending is reported once a finding."""
    out = []
    for finding in findings:
        held = origin.get(finding.fingerprint)
        fix = None
        if held is not None:
            rule, problem = held
            fix = next(guarded(rule.code, rule.name(), _fixes(rule, problem, project), errors), None)
        out.append(replace(finding, fix=fix) if fix else finding)
    return out


def _fixes(rule: AnyRule, problem: Problem, project: Project) -> Iterator[Fix]:
    fix = rule.mend(problem, project)
    if fix is not None:
        yield fix


def _artefact(project: Project, path: str) -> str | None:
    """The text of a script or configuration file; None when it is too large or not plain UTF-8."""
    content = project.content(path, _MOST_BYTES + 1)
    try:
        return content.decode("utf-8") if 0 < len(content) <= _MOST_BYTES else None
    except UnicodeDecodeError:
        return None


def texts(project: Project, fixes: Iterable[Fix]) -> dict[str, tuple[str, str]]:
    """The text and encoding of every file the fixes touch. Notebook fixes are shown, never applied."""
    paths = sorted({edit.place.path for fix in fixes for edit in fix.edits})
    found = {}
    for path in paths:
        module = project.modules.get(path)
        if module is not None and not module.source.notebook:
            found[path] = (module.source.text, module.source.encoding)
        elif module is None and (text := _artefact(project, path)) is not None:
            found[path] = (text, "utf-8")
    return found
