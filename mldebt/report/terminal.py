"""Styled lines as a string, with or without escapes, whatever the environment says."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text


def printed(lines: Iterable[Text], *, color: bool, width: int) -> str:
    """Lines as a string. Everything rich would read from the environment is decided here."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        height=25,
        color_system="standard" if color else None,
        no_color=not color,
        force_terminal=color,
        force_interactive=False,
        force_jupyter=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    for line in lines:
        line.rstrip()
        console.print(line, no_wrap=True, overflow="ignore", crop=True)
    return out.getvalue()
