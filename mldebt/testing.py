"""Rules held to the examples in their own files. ``tests/rules`` uses it, and so can rule packages of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mldebt.config import Config, Request
from mldebt.finding import Severity
from mldebt.pipeline import Outcome, scan
from mldebt.registry import Registry
from mldebt.rule import AnyRule, Bad, Good
from mldebt.settings.selectors import Vocabulary
from mldebt.variants import variants


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
    alone = replace(registry, rules=(_with_options(rule, options),))
    config = Config(
        folder,
        active=frozenset({rule.code, "MLD001", "MLD005"}),
        severity=Severity.INFO,
        preview=True,
        isolated=True,
        vocabulary=Vocabulary.of(alone.rules),
    )
    return scan(Request(folder, config=config, use_cache=False, jobs=1, **request), alone)


def _with_options(rule: type[AnyRule], options: Mapping[str, Any] | None) -> type[AnyRule]:
    if not options:
        return rule
    chosen = dict(options)

    class Optioned(rule):  # type: ignore[misc,valid-type]
        def __init__(self, **given: Any) -> None:
            super().__init__(**{**chosen, **given})

    Optioned.__module__ = rule.__module__
    return Optioned
