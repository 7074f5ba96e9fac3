"""MkDocs hook: a page for each rule and the list of them, made from the rules. Nothing of it is committed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mldebt.page import markdown, mends, meta_markdown, summary
from mldebt.registry import installed
from mldebt.rule import AnyRule
from mldebt.settings.selectors import META


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written nowhere."""
    for name, text in pages(installed().rules).items():
        files.append(File.generated(config, f"rules/{name}", content=text))
    return files


def pages(rules: Iterable[type[AnyRule]]) -> dict[str, str]:
    """File names below ``rules/``, to Markdown."""
    known = sorted(rules, key=lambda rule: rule.code)
    found = {"index.md": _index(known)}
    found |= {f"{code}-{name}.md": meta_markdown(code) for code, (name, _) in META.items()}
    return found | {f"{rule.code}-{rule.name()}.md": markdown(rule) for rule in known}


def _index(rules: list[type[AnyRule]]) -> str:
    lines = ["# Rules", "", "`mldebt rule CODE` shows the same pages in a terminal.", ""]
    for family, members in groupby(rules, lambda rule: rule.family()):
        lines += [f"## {family}", "", "| Rule | What it finds | Severity | Minutes | |", "|---|---|---|---|---|"]
        lines += [_row(rule) for rule in members]
        lines.append("")
    lines += ["## The scan itself", "", "| Code | What it says |", "|---|---|"]
    lines += [f"| [{code} {name}]({code}-{name}.md) | {words} |" for code, (name, words) in META.items()]
    return "\n".join(lines) + "\n"


def _row(rule: type[AnyRule]) -> str:
    marks = ", ".join(mark for mark, holds in (("fix", mends(rule)), ("preview", rule.preview)) if holds)
    link = f"[{rule.code} {rule.name()}]({rule.code}-{rule.name()}.md)"
    words = summary(rule).replace("|", "\\|")
    return f"| {link} | {words} | {rule.severity.label} | {rule.minutes} | {marks} |"
