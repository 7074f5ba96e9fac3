"""Rules held to the examples in their own files: what ``mldebt test`` and pytest ask of rules, ours and others'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mldebt.config import Config, Request
from mldebt.finding import Severity
from mldebt.pipeline import Outcome, scan
from mldebt.registry import Registry
from mldebt.rule import AnyRule, Bad, Good
from mldebt.settings.selectors import Vocabulary
from mldebt.variants import variants

HEADINGS = ("Why it is debt", "How to pay it back", "When to leave it")


@dataclass(frozen=True)
class Case:
    """One example as written (``variant`` is empty) or rewritten."""

    rule: type[AnyRule]
    number: int
    variant: str
    example: Bad | Good
    files: Mapping[str, str]

    @property
    def id(self) -> str:
        kind = "bad" if isinstance(self.example, Bad) else "good"
        return f"{self.rule.name()}-{self.number}-{kind}" + (f"-{self.variant}" if self.variant else "")


def cases(rule: type[AnyRule]) -> Iterator[Case]:
    """A rule's examples, and every rewrite of each the rule is not sensitive to."""
    for number, example in enumerate(rule.examples):
        yield Case(rule, number, "", example, example.files)
        for name, files in variants(example.files):
            if name not in rule.sensitive_to:
                yield Case(rule, number, name, example, files)


def write(files: Mapping[str, str], folder: Path) -> Path:
    """The files, written below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run(
    rule: type[AnyRule], folder: Path, registry: Registry, options: Mapping[str, Any] | None = None, **request: Any
) -> Outcome:
    """A scan of a folder with one rule, everything it finds shown."""
    alone = registry.only(_with_options(rule, options))
    config = Config(
        folder,
        active=frozenset({rule.code, "MLD001", "MLD005"}),
        severity=Severity.INFO,
        preview=True,
        isolated=True,
        vocabulary=Vocabulary.of(alone.rules),
    )
    return scan(Request(folder, config=config, use_cache=False, jobs=1, **request), alone)


def mistake(case: Case, folder: Path, registry: Registry) -> str:
    """What a rule gets wrong in an example, which is written to ``folder``; empty when it gets it right."""
    outcome = run(case.rule, write(case.files, folder), registry, case.example.options)
    found = [finding for finding in outcome.report.findings if finding.code == case.rule.code]
    places = sorted(f"{finding.place.path}:{finding.place.span.line}" for finding in found)
    shown = "".join(f"\n  {f.place.path}:{f.place.span.line}: {f.message}" for f in found)
    if outcome.report.errors:
        return "\n  ".join(["the scan reports errors", *(error.message for error in outcome.report.errors)])
    if isinstance(case.example, Good):
        return f"nothing to report, yet it reports{shown}" if found else ""
    if len(found) != case.example.findings:
        return f"{case.example.findings} to report, but it reports {len(found)}{shown}"
    if case.example.anchors and not case.variant and places != sorted(case.example.anchors):
        return f"to be reported at {', '.join(case.example.anchors)}, but it reports{shown}"
    return ""


def unpaid(case: Case, folder: Path, registry: Registry) -> str:
    """What is wrong with the fix of a bad example, which is written to ``folder``; empty when nothing is."""
    if isinstance(case.example, Good):
        return ""
    fixed = case.example.fixed_files
    outcome = run(case.rule, write(case.files, folder), registry, case.example.options, fix=True, unsafe=True)
    after = {**case.files, **{path: text for path, (_, text) in outcome.changes.items()}}
    if fixed is not None and not case.variant and after != {**case.files, **fixed}:
        return "to be fixed otherwise" + "".join(f"\n--- {path}, as fixed\n{text}" for path, text in after.items())
    if outcome.changes and outcome.report.errors:
        return "\n  ".join(["once fixed, the scan reports errors", *(e.message for e in outcome.report.errors)])
    if outcome.changes and any(f.code == case.rule.code and f.fix for f in outcome.report.findings):
        return "fixed, and its fix is offered again"
    return ""


def omissions(rule: type[AnyRule]) -> list[str]:
    """What a rule's page and examples leave out."""
    headings = re.findall(r"^## (.+)$", rule.page(), re.MULTILINE)
    missing = [f'its page has no "{heading}"' for heading in HEADINGS if heading not in headings]
    kinds = {type(example) for example in rule.examples}
    return missing + [f"it has no {kind.__name__} example" for kind in (Bad, Good) if kind not in kinds]


def _with_options(rule: type[AnyRule], options: Mapping[str, Any] | None) -> type[AnyRule]:
    if not options:
        return rule
    chosen = dict(options)

    class Optioned(rule):  # type: ignore[misc,valid-type]
        def __init__(self, **given: Any) -> None:
            super().__init__(**{**chosen, **given})

    Optioned.__module__ = rule.__module__
    return Optioned
