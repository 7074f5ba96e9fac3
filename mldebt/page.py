"""A rule as people and programs read it: its page, its options, its examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from mldebt.rule import AnyRule, Bad, Good
from mldebt.settings.selectors import META


def mends(rule: type[AnyRule]) -> bool:
    """Whether a rule offers fixes."""
    return rule.mend is not AnyRule.mend


def summary(rule: type[AnyRule]) -> str:
    """The first paragraph of the rule's page, on one line."""
    return " ".join(rule.page().partition("\n\n")[0].split())


def as_json(rule: type[AnyRule], *, whole: bool) -> dict[str, Any]:
    """A rule as plain values; the ``whole`` has its page and examples too."""
    brief: dict[str, Any] = {
        "code": rule.code,
        "name": rule.name(),
        "family": rule.family(),
        "summary": summary(rule),
        "severity": rule.severity.label,
        "confidence": rule.confidence.label,
        "minutes": rule.minutes,
        "fix": mends(rule),
        "preview": rule.preview,
    }
    if not whole:
        return brief
    examples = [_example(example) for example in rule.examples]
    return brief | {"page": rule.page(), "options": options(rule), "examples": examples}


def options(rule: type[AnyRule]) -> list[dict[str, Any]]:
    """The rule's options: name as configuration spells it, type, default."""
    found = []
    for field in fields(rule):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        name = field.name.replace("_", "-")
        shown = None if default is MISSING else sorted(default) if isinstance(default, frozenset) else default
        found.append({"name": name, "type": str(field.type), "default": json.loads(json.dumps(shown, default=str))})
    return found


def markdown(rule: type[AnyRule]) -> str:
    """The rule's page as the documentation publishes it."""
    facts = [
        f"**{rule.severity.label}**",
        f"confidence {rule.confidence.label}",
        f"{rule.minutes} min",
        f"family {rule.family()}",
        *(["has a fix"] if mends(rule) else []),
        *(["preview"] if rule.preview else []),
    ]
    parts = [f"# {rule.name()} ({rule.code})", " · ".join(facts), rule.page()]
    if options(rule):
        rows = [
            f"- `{each['name']}`: {each['type']}, default `{json.dumps(each['default'])}`" for each in options(rule)
        ]
        parts += ["## Options", f"In `[tool.mldebt.rules.{rule.name()}]`:", "\n".join(rows)]
    bad = [example for example in rule.examples if isinstance(example, Bad)]
    good = [example for example in rule.examples if isinstance(example, Good)]
    for title, examples in (("## Reported", bad), ("## Not reported", good)):
        if examples:
            parts += [title, *(_fenced(example.files) for example in examples)]
    return "\n\n".join(parts) + "\n"


def meta_markdown(code: str) -> str:
    """The page of what the scan itself reports."""
    name, text = META[code]
    return f"# {name} ({code})\n\n{text}\n\nReported by the scan itself; there is no rule behind it.\n"


def _example(example: Bad | Good) -> dict[str, Any]:
    bad = isinstance(example, Bad)
    found: dict[str, Any] = {"bad": bad, "files": dict(example.files), "options": dict(example.options or {})}
    if isinstance(example, Bad):
        found |= {"findings": example.findings, "fixed": example.fixed_files}
    return found


def _fenced(files: Mapping[str, str]) -> str:
    pieces = []
    for path, text in files.items():
        language = {"py": "python", "sh": "bash", "yml": "yaml"}.get(path.rpartition(".")[2], path.rpartition(".")[2])
        # An example may hold a fence itself, in a notebook or a README.
        fence = "````" if "```" in text else "```"
        title = f"`{path}`\n\n" if len(files) > 1 else ""
        pieces.append(f"{title}{fence}{language}\n{text.rstrip()}\n{fence}")
    return "\n\n".join(pieces)
