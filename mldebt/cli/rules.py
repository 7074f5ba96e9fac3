"""``mldebt rules``: every rule there is, by family."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import click

from mldebt.cli.installed import registered
from mldebt.cli.main import OK
from mldebt.cli.options import GroupedCommand, grouped, plugin_options, talk_options
from mldebt.cli.terminal import emit, wants_color
from mldebt.page import as_json, mends
from mldebt.rule import AnyRule

_HEAD = ("code", "name", "severity", "confidence", "minutes", "")


@click.command("rules", cls=GroupedCommand)
@grouped("Results")(
    "--output-format", type=click.Choice(("text", "json")), default="text", help="How to show them.", show_default=True
)
@plugin_options
@talk_options
def command(**given: Any) -> int:
    """List all rules by family: code, name, severity, confidence, minutes to pay one finding back, fix, preview."""
    rules = registered(given).rules
    if given["output_format"] == "json":
        emit(json.dumps([as_json(rule, whole=False) for rule in rules], indent=2))
    else:
        emit(_table(rules, color=wants_color(given["color"], os.environ, is_terminal=sys.stdout.isatty())))
    return OK


def _table(rules: Sequence[type[AnyRule]], *, color: bool) -> str:
    rows = {rule.code: _row(rule) for rule in rules}
    widths = [max((len(row[column]) for row in (*rows.values(), _HEAD)), default=0) for column in range(len(_HEAD))]
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    lines: list[str] = []
    for family, members in groupby(sorted(rules, key=lambda rule: (rule.code[:4], rule.family(), rule.code)), _family):
        lines += ["", f"{bold}{family}{plain}"] if lines else [f"{bold}{family}{plain}"]
        lines += [_line(rows[rule.code], widths) for rule in members]
    return "\n".join([_line(_HEAD, widths), *lines])


def _family(rule: type[AnyRule]) -> str:
    return rule.family()


def _row(rule: type[AnyRule]) -> tuple[str, ...]:
    marks = ", ".join(mark for mark, holds in (("fix", mends(rule)), ("preview", rule.preview)) if holds)
    return (rule.code, rule.name(), rule.severity.label, rule.confidence.label, str(rule.minutes), marks)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if head == "minutes" else cell.ljust(width)
        for head, cell, width in zip(_HEAD, cells, widths, strict=True)
    ]
    return f"  {'  '.join(padded)}".rstrip()
