"""Notebooks that a deployed pipeline executes: in a workflow's file, on a timetable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Build, Call, Const, Expr, Format
from mldebt.facts.walk import given_values, walk
from mldebt.finding import Place, Span
from mldebt.rule import Problem

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

# Files that import one of these are run by it, on its timetable.
_WORKFLOWS = frozenset(
    "airflow prefect dagster kfp luigi flytekit metaflow zenml mage_ai argo hera temporalio apscheduler".split()
)
_EXECUTES = re.compile(
    r"\bpapermill\s+\S*\.ipynb|\bnbconvert\b.*--execute\b|--execute\b.*\bnbconvert\b|\bjupyter[- ](?:run|execute)\b"
    r"|\bipython\b.*\.ipynb\b|\brunipy\b"
)
_OPERATORS = frozenset({"PapermillOperator", "execute_notebook", "define_dagstermill_op", "define_dagstermill_asset"})
_DOCUMENTS = re.compile(r"(?:^|[/\s])(?:docs?|examples?|tutorials?|tests?)/")
_CLOCKS = re.compile(r"(?:^|/)(?:[^/]*crontab[^/]*|cron\.d/[^/]+|[^/]*\.cron|[^/]*\.service)$")
_TEXTS = frozenset({".yaml", ".yml"})
_MOST_BYTES = 1 << 16
_TOUCHED = ("nbconvert", "papermill", "execute_notebook", "jupyter", "PapermillOperator", "dagstermill")


def executed(project: Project) -> Iterator[Problem]:
    """Every place where a deployed pipeline executes a notebook."""
    for module in project.modules.values():
        if module.role == "project" and not (module.is_test or module.is_example or module.path.endswith(".ipynb")):
            workflow = next((one for one in _heads(module) if one in _WORKFLOWS), None)
            if workflow is not None:
                yield from _in_workflow(module, workflow)
    for path in sorted(project.every):
        if _CLOCKS.search(path) or PurePosixPath(path).suffix.lower() in _TEXTS:
            yield from _on_timetable(path, project.content(path, _MOST_BYTES).decode("utf-8", "replace"))


def _heads(module: Module) -> list[str]:
    return [fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level]


def _in_workflow(module: Module, workflow: str) -> Iterator[Problem]:
    for index in range(len(module.facts.scopes)):
        for site in module.call_sites(index):
            names = module.names(index, site.call.function) or (last_segment(site.call.function),)
            operator = next((one for one in names if one.rpartition(".")[2] in _OPERATORS), "")
            if operator:
                what = f"{operator.rpartition('.')[2]} executes a notebook"
                yield _problem(module.place(site), f"{what} in a pipeline of {workflow}")
                continue
            for value in given_values(site.call):
                text = _text(value)
                # Commands in commands: the innermost call that says it is the place.
                if _EXECUTES.search(text) and not _DOCUMENTS.search(text) and not _calls_in(value):
                    yield _problem(
                        module.place(_at(module, site.call, value)), _said(text, f"a pipeline of {workflow}")
                    )
                    break


def _calls_in(value: Expr) -> bool:
    return any(isinstance(node, Call) and _EXECUTES.search(_text(node)) for node in walk(value))


def _at(module: Module, call: Call, value: Expr) -> object:
    """The line of the command within the call, where it has a place."""
    for number in range(call.line, call.end_line + 1):
        if any(word in module.text_lines[number - 1] for word in _TOUCHED):
            return Span(number, 1, number, len(module.text_lines[number - 1]))
    return call


def _text(value: Expr) -> str:
    """The words of a command: a text, a text with holes, a list of words."""
    if isinstance(value, Const):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, Format):
        return "".join(_text(part) or "x" for part in value.parts)
    if isinstance(value, Build) and value.kind != "dict":
        return " ".join(_text(part) or "x" for part in value.items)
    return ""


def _on_timetable(path: str, text: str) -> Iterator[Problem]:
    """Crontabs and units; scheduled jobs of CI and of Kubernetes."""
    clock = _CLOCKS.search(path) is not None
    if not any(word in text for word in _TOUCHED) or not (clock or _is_scheduled(text)):
        return
    for number, row in enumerate(text.splitlines(), 1):
        found = _EXECUTES.search(row)
        if found and not row.lstrip().startswith("#") and not _DOCUMENTS.search(row):
            yield _problem(Place(path, Span(number)), _said(row.strip(), "a job on a timetable"))


def _is_scheduled(text: str) -> bool:
    """Whether only a clock, or a clock and a hand, starts it: what runs at each push too is a test."""
    timed = re.search(r"^\s*-?\s*cron\s*:|^kind:\s*CronJob\b|^\s*schedule_interval\s*:", text, re.MULTILINE)
    return timed is not None and not re.search(r"^\s*(?:push|pull_request)\s*:?", text, re.MULTILINE)


def _said(command: str, where: str) -> str:
    return f"{where} executes a notebook: {command[:90]}"


def _problem(place: Place, message: str) -> Problem:
    return Problem(place, message, symbol="executed notebook")
