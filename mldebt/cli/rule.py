"""``mldebt rule``: one rule's page."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from typing import Any

import click
from rich.console import Console
from rich.markdown import Markdown

from mldebt.cli.completing import rules
from mldebt.cli.installed import registered
from mldebt.cli.main import OK
from mldebt.cli.options import GroupedCommand, grouped, plugin_options, talk_options
from mldebt.cli.terminal import emit, wants_color
from mldebt.page import as_json, markdown, meta_markdown
from mldebt.settings.selectors import META, Vocabulary

_WIDTH = 100  # a page wider than this reads badly


@click.command("rule", cls=GroupedCommand)
@click.argument("rule", metavar="CODE|NAME", shell_complete=rules)
@grouped("Results")(
    "--output-format", type=click.Choice(("text", "json", "markdown")), default="text", help="How to show it."
)
@plugin_options
@talk_options
def command(rule: str, **given: Any) -> int:
    """Explain one rule: what it finds, why it is debt, how to pay it back, when to leave it, with examples."""
    registry = registered(given)
    code = Vocabulary.of(registry.announced).one(rule)
    found = registry.rule(code)
    if given["output_format"] == "json":
        values = as_json(found, whole=True) if found else {"code": code, "name": META[code][0], "page": META[code][1]}
        emit(json.dumps(values, indent=2))
        return OK
    page = markdown(found) if found else meta_markdown(code)
    if given["output_format"] == "text":
        color = wants_color(given["color"], os.environ, is_terminal=sys.stdout.isatty())
        page = _drawn(page, color=color)
    emit(page)
    return OK


def _drawn(page: str, *, color: bool) -> str:
    width = min(_WIDTH, shutil.get_terminal_size().columns)
    # `no_color` alone would keep bold and underlining, which are escapes too.
    sheet = io.StringIO()
    console = Console(
        file=sheet,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
    )
    console.print(Markdown(page))
    return "".join(f"{line.rstrip()}\n" for line in sheet.getvalue().splitlines())
