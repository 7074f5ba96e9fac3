"""Puts the rules in front of the project: each hit opened once, each crash caught here and nowhere else."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mldebt import cst
from mldebt.facts.schema import Attribute, Define, Ref, Stmt
from mldebt.facts.walk import expressions, statements, walk
from mldebt.finding import Confidence, Finding, Place, ScanError, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, AnyRule, Assessment, Practice, Problem, ProjectRule, Rule, Table
from mldebt.rulebook import Rulebook

_MOST_LINES = 12  # of an anchor; fingerprints look at the head of its code


@dataclass
class Verdict:
    """What judging gave: findings with the problem each came from, crashes, and CPU seconds by rule."""

    found: list[tuple[AnyRule, Problem, Finding]] = field(default_factory=list)
    errors: list[ScanError] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def judge(
    project: Project,
    rulebook: Rulebook,
    *,
    alone: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Verdict:
    """Every problem the rules see in the project, as findings in source order.

    Args:
        project: What to judge.
        rulebook: The rules.
        alone: There is no project around the file, so only rules that can do without one are asked.
        progress: Told before each rule which it is; what it raises ends the judging.
    """
    verdict = Verdict()
    for done, rule in enumerate(rulebook):
        if progress:
            progress("judging", done, len(rulebook.codes))
        if alone and rule.alone is Alone.SILENT:
            continue
        started = time.process_time()
        problems = list(guarded(rule.code, rule.name(), _problems(rule, project, rulebook), verdict.errors))
        verdict.found += [
            (rule, problem, finding)
            for problem in problems
            if (finding := _finding(rule, problem, project, rulebook)) is not None
        ]
        verdict.seconds[rule.code] = time.process_time() - started
    verdict.found.sort(key=lambda item: (item[2].place, item[2].code, item[2].message))
    return verdict


def assess(
    project: Project, practices: Iterable[type[Practice]], errors: list[ScanError]
) -> list[tuple[Practice, Assessment]]:
    """The state of every practice; one that crashes is reported and left out."""
    return [
        (practice, assessment)
        for practice in (cls() for cls in practices)
        for assessment in guarded(practice.id, practice.id, _assessed(practice, project), errors)
    ]


def _assessed(practice: Practice, project: Project) -> Iterator[Assessment]:
    yield practice.assess(project)


def guarded(code: str, name: str, results: Iterator[Any], errors: list[ScanError]) -> Iterator[Any]:
    """What ``results`` gives until it ends or raises: the one broad ``except`` of a scan."""
    try:
        yield from results
    except Exception as error:  # noqa: BLE001 - one rule's bug must not lose the others' findings
        frame = traceback.extract_tb(error.__traceback__)[-1]
        errors.append(ScanError("MLD005", "", 0, f"{code} {name} crashed: {error!r} ({frame.filename}:{frame.lineno})"))


def _problems(rule: AnyRule, project: Project, rulebook: Rulebook) -> Iterator[Problem]:
    if isinstance(rule, ProjectRule):
        yield from rule.check(project)
    elif isinstance(rule, Rule):
        for module in project.modules.values():
            if module.role == "project":
                here = rulebook.at(rule, module.path)
                assert isinstance(here, Rule)
                for node in _nodes(here, module):
                    yield from here.check(node, module)


def _nodes(rule: Rule[Any], module: Module) -> Iterator[cst.CSTNode]:
    """The libcst nodes a rule is about, opening no more of the file than their statements."""
    chosen = rule.statements(module)
    if chosen is not None:
        yield from _opened(rule, module, chosen)
    elif rule.calls is not None:
        names = module.project.rows(rule.calls) if isinstance(rule.calls, Table) else rule.calls
        for _, site in module.calls_of(names):
            fragment = module.open(site.statement, site.scope)
            node = fragment.find(module.span(site.call), cst.Call) if fragment else None
            if node is not None:
                yield node
    elif rule.mentions:
        yield from _opened(rule, module, _mentioning(rule, module))
    elif module.tree is not None:
        yield from module.tree.nodes(rule.node_types())


def _opened(rule: Rule[Any], module: Module, chosen: Iterable[tuple[Stmt, int]]) -> Iterator[cst.CSTNode]:
    """The nodes of a rule's types in these statements, each once: statements on one line are opened together."""
    seen: set[tuple[type, Span]] = set()
    for stmt, scope in chosen:
        fragment = module.open(stmt, scope)
        if fragment is None:
            continue
        first = module.scope(stmt.scope).first_line if isinstance(stmt, Define) else stmt.line
        for node in fragment.nodes(rule.node_types()):
            span = fragment.spans[node]
            if first <= span.line <= stmt.end_line and (type(node), span) not in seen:
                seen.add((type(node), span))
                yield node


def _mentioning(rule: Rule[Any], module: Module) -> Iterator[tuple[Stmt, int]]:
    for index in module.scopes_using(rule.mentions):
        for stmt in statements(module.body(index)):
            read = (node for expr in expressions(stmt, module.facts.scopes) for node in walk(expr))
            if any(isinstance(e, (Ref, Attribute)) and e.name.rpartition(".")[2] in rule.mentions for e in read):
                yield stmt, index


def _finding(rule: AnyRule, problem: Problem, project: Project, rulebook: Rulebook) -> Finding | None:
    place = problem.place
    module = project.modules.get(place.path)
    if module is not None and (module.role != "project" or (module.is_test and not rule.in_tests)):
        return None
    severity = rulebook.severity(rule, place.path)
    if severity is None:
        severity = rule.severity if problem.severity is None else problem.severity
        if module is not None and module.is_example:
            severity = Severity.INFO  # examples and tutorials: shown on request, never scored (catalogue 10.2)
    confidence = rule.confidence if problem.confidence is None else problem.confidence
    if confidence is Confidence.LOW:
        return None
    return Finding(
        code=rule.code,
        name=rule.name(),
        message=problem.message,
        place=place,
        severity=severity,
        confidence=confidence,
        minutes=rule.minutes if problem.minutes is None else problem.minutes,
        preview=rule.preview,
        related=problem.related,
        scope=_scope(module, place),
        anchor=_anchor(module, place, problem.symbol),
        evidence=problem.evidence,
        carries=problem.carries or _carried(module, place),
    )


def _scope(module: Module | None, place: Place) -> str:
    return module.scope(module.scope_at(place.span.line)).qualname if module else ""


def _anchor(module: Module | None, place: Place, symbol: str) -> str:
    first, last = extent(module, place.span.line)
    if module and (not first <= place.span.line <= last or _is_comment(module, place.span.line)):
        first, last = place.span.line, place.span.end_line  # the header of the body it stands in says nothing about it
    code = "\n".join(module.text_lines[first - 1 : min(last, first + _MOST_LINES - 1)]) if module else ""
    return f"{symbol}\n{code}" if symbol else code


def _is_comment(module: Module, line: int) -> bool:
    return 0 < line <= len(module.text_lines) and module.text_lines[line - 1].lstrip().startswith("#")


def _carried(module: Module | None, place: Place) -> tuple[tuple[str, int], ...]:
    first, last = extent(module, place.span.line)
    return tuple((place.path, line) for line in range(first, last + 1)) if module else ()


def extent(module: Module | None, line: int) -> tuple[int, int]:
    """First and last line of the statement at a line: its header only when it is a compound one."""
    held = module.statement_at(line) if module else None
    if held is None:
        return line, line
    stmt = held[0]
    body: list[Stmt] = getattr(stmt, "body", [])
    if body and body[0].line > stmt.line:
        return stmt.line, max(stmt.line, body[0].line - 1)
    scope = getattr(stmt, "scope", None)
    if module is not None and scope is not None:
        facts = module.scope(scope)
        return facts.first_line, max(facts.line, facts.body_line - 1)
    return stmt.line, stmt.end_line
