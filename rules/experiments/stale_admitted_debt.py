"""MLD209 stale-admitted-debt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from mldebt.facts.schema import Comment
from mldebt.finding import Confidence, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis, Bad, Good, Problem, ProjectRule

from .areas import Areas

_MOST_RELATED = 20
_TAG = re.compile(r"\b(?:TODO|FIXME|HACK|XXX)\b")
_CUES = (
    r"\btemporary\b|\btemporarily\b",
    r"\bwork-?around\b",
    r"\bfor now\b",
    r"\bquick(?: and dirty)? (?:fix|hack)\b|\bhack\b",
    r"\b(?:don't|do not|not sure|no idea) (?:know )?why\b",
    r"\bmagic (?:number|value|constant)\b",
    r"\bshould (?:be|not be|really)\b",
    r"\bnot sure\b",
    r"\bremove (?:this|later|after|once|when)\b|\bto be removed\b",
    r"\bcopy-?past(?:e|ed)\b",
    r"\bfix (?:this|me|it)? ?later\b|\blater\b",
    r"\blooks? wrong\b|\bbroken\b|\bugly\b",
)
_CUE = tuple(re.compile(cue, re.IGNORECASE) for cue in _CUES)
# A comment with none of these has neither a tag nor a cue.
_WORDS = (
    *("todo", "fixme", "hack", "xxx", "temporar", "workaround", "work-around", "for now", "quick", "why", "magic"),
    *("should", "not sure", "remove", "copy", "copi", "later", "wrong", "broken", "ugly"),
)
_CUED = re.compile("|".join((_TAG.pattern, *_CUES)), re.IGNORECASE)
_TRACKED = re.compile(r"#\d+|\b[A-Z]{2,}-\d+\b|https?://\S+(?:issues|pull|browse|jira)\S*|\b20\d\d-[01]\d\b")
_NEVER = re.compile(
    r"\b(?:do not|don't|never|not|must not)\b[^.]{0,25}\b(?:use|used|for|run|ship|be used|safe)\b[^.]{0,15}"
    r"\bprod(?:uction)?\b",
    re.IGNORECASE,
)
_GONE = re.compile(r"\b(?:remove|delete|drop|revert)\b[^.]{0,40}?\b(?:when|once|after|with|until)\b(?P<rest>.*)", re.I)
_SYMBOL = re.compile(r"`([A-Za-z_]\w{3,})(?:\(\))?`|\b([A-Za-z_]\w{3,})\(\)")


@dataclass(frozen=True)
class StaleAdmittedDebt(ProjectRule):
    """A comment that admits debt: a TODO, FIXME or HACK, or two phrases such as "for now" and "remove this".

    It is `info`. It is minor when git says that the line is old, or when what it waits for is gone, and major when it
    says "do not use in production" in a module that a service runs. In experiment areas it stays `info`.

    ## Why it is debt

    Authors say where they borrowed; nobody comes back. Machine-learning projects have twice the share of such comments
    of other projects, most of them in data preparation and model code.

    ## How to pay it back

    Do it, or delete the comment, or give it an issue and a date: `TODO(#812, 2026-12): calibrate class weights`.

    ## When to leave it

    A comment with an issue number or a date is managed debt and not reported. "Should be" or "magic" alone is ordinary
    language. Without git, in a shallow clone and for lines that are not committed nothing is known to be old.

    ## Options

    * `least-days`: the age, in days before the last commit, from which a comment is minor (180).

    ## References

    * D. O'Brien et al., "23 Shades of Self-Admitted Technical Debt", ESEC/FSE 2022.
    * A. Bhatia et al., "An Empirical Study of Self-Admitted Technical Debt in Machine Learning Software", 2023.
    """

    code: ClassVar[str] = "MLD209"
    severity: ClassVar[Severity] = Severity.INFO
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 15
    examples = (
        Bad("# HACK: copy of loss from paper repo, weights look wrong, fix later\nx = 1\n", anchors=("example.py:1",)),
        Bad("x = 1  # temporary, remove this after the deadline\n"),
        Bad("def f(x):\n    # TODO: remove once `old_loss_scale()` is gone\n    return x\n"),
        Bad(
            """
            from flask import Flask

            app = Flask(__name__)


            # FIXME: random scores, do not use in production
            @app.route("/predict")
            def predict():
                return "0"
            """
        ),
        Bad(
            "# TODO: a hack for the old path\n# remove this later, when all have moved\nx = 1\n",
            anchors=("example.py:1",),
        ),
        Good("# TODO(#812, 2026-12): calibrate class weights\nx = 1\n"),
        Good("x = 3  # should be positive\n"),
        Good("text = 'TODO: not a comment'\n"),
        Good("# magic method of the class\nx = 1\n"),
        Good("# the temporary directory of this run\nx = 1\n"),
        Good("x = 1  # a todo list is what the model writes\n"),
    )

    least_days: int = 180

    def check(self, project: Project) -> Iterator[Problem]:
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            alike: dict[str, list[tuple[Comment, str]]] = {}
            for comment, text in _blocks(module):
                if _admits(text):
                    alike.setdefault(_said(text), []).append((comment, text))
            for group in alike.values():
                yield self._problem(project, module, group)

    def _problem(self, project: Project, module: Module, group: list[tuple[Comment, str]]) -> Problem:
        """One admission, wherever the file repeats it."""
        (comment, text), *others = group
        is_trial = bool(project[Areas].of(module.path))
        severity, reason = _weight(text, module, project)
        age = None if is_trial else project.age(module.path, comment.line)
        if severity is Severity.INFO and age is not None and age >= self.least_days:
            severity, reason = Severity.MINOR, f" {age} days ago"
        again = f" ({len(group)} times)" if others else ""
        return Problem(
            module.place(comment),
            f"admitted debt{reason}{again}: {comment.text.lstrip('# ')[:90]}",
            tuple(Related(module.place(one), "says the same", "cause") for one, _ in others[:_MOST_RELATED]),
            severity=Severity.INFO if is_trial else severity,
            evidence=("git does not tell how old it is",) if age is None else (f"{age} days old",),
        )


def _said(text: str) -> str:
    """What is admitted, without code before it and marks in it."""
    tag = _TAG.search(text)
    return " ".join(re.findall(r"\w+", text[tag.start() if tag else 0 :].lower()))


def _blocks(module: Module) -> Iterator[tuple[Comment, str]]:
    """Comments with their text: lines one below the other are one, which begins where it admits something."""
    blocks: list[list[Comment]] = []
    for comment in module.facts.comments:
        last = blocks[-1][-1] if blocks else None
        joins = last is not None and last.alone and comment.alone and last.line + 1 == comment.line
        if joins and last is not None and last.column == comment.column:
            blocks[-1].append(comment)
        else:
            blocks.append([comment])
    for block in blocks:
        lowered = " ".join(one.text for one in block).lower()
        if not any(word in lowered for word in _WORDS):
            continue
        first = next((one for one in block if _CUED.search(one.text)), block[0])
        yield first, " ".join(one.text.lstrip("# ") for one in block)


def _admits(text: str) -> bool:
    if _TRACKED.search(text):
        return False
    return _TAG.search(text) is not None or sum(cue.search(text) is not None for cue in _CUE) > 1


def _weight(text: str, module: Module, project: Project) -> tuple[Severity, str]:
    if _NEVER.search(text) and _is_served(module, project):
        return Severity.MAJOR, " in a module that a service runs"
    waits = _GONE.search(text)
    if waits is not None:
        named = [match[1] or match[2] for match in _SYMBOL.finditer(waits["rest"])]
        gone = [name for name in named if not project[Identifiers].has(name)]
        if gone:
            return Severity.MINOR, f" that waits for {gone[0]}, which is gone"
    return Severity.INFO, ""


def _is_served(module: Module, project: Project) -> bool:
    return any(
        project.imports.reaches(entry.definition.module, module)
        for entry in project.entries
        if entry.kind == "serve" or "serve" in project.roles(entry)
    )


class Identifiers(Analysis):
    """Answers whether an identifier occurs anywhere in the project's code."""

    @cached_property
    def _all(self) -> frozenset[str]:
        return frozenset().union(*(module.mentions for module in self.project.modules.values()))

    def has(self, name: str) -> bool:
        return name in self._all
