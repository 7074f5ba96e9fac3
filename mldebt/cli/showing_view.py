"""The command of a view: ``mldebt knobs [NAME] [PATHS]...``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import click

from mldebt.cli.main import OK, TROUBLE
from mldebt.cli.options import GroupedCommand, grouped, place_options, talk_options
from mldebt.cli.session import opened
from mldebt.cli.terminal import emit
from mldebt.errors import UsageError
from mldebt.view import Asked, View


def view_command(name: str, what: str, details: str) -> click.Command:
    """The command that shows the view called ``name``.

    Args:
        name: The view's ``command``.
        what: How the help calls one row: ``NAME``.
        details: The command's help.
    """

    @click.command(name, cls=GroupedCommand, help=details)
    @click.argument("asked", nargs=-1, metavar=f"[{what}] [PATHS]...")
    @grouped("Results")("--output-format", default="text", metavar="FORMAT", help="text, json, or the view's own.")
    @place_options
    @talk_options
    def command(asked: tuple[str, ...], output_format: str, **given: Any) -> int:
        paths = tuple(Path(word) for word in asked if _is_path(word))
        words = [word for word in asked if not _is_path(word)]
        if len(words) > 1:
            raise UsageError(f"one {what} at a time, not {' and '.join(map(repr, words))}")
        session = opened(paths, given)
        found = session.registry.view(name)
        if found is None:
            raise UsageError(f"no installed rule package shows {name}")
        if output_format not in (*found.formats, "json"):
            raise UsageError(f"{output_format!r} is none of {', '.join((*found.formats, 'json'))}")
        # No rule has to run: the facts are known once the repository is linked.
        outcome = session.scan(session.request(config=session.config.only(), paths=()))
        view = found(outcome.project)
        wanted = _known(words[0], view) if words else ""
        values = view.values(Asked(wanted, session.request().paths_below()))
        emit(json.dumps(values, indent=2) if output_format == "json" else view.render(values, output_format))
        return TROUBLE if outcome.crashed else OK

    return command


def _is_path(word: str) -> bool:
    return word in (".", "..") or Path(word).exists()  # names may be paths, too: of what programs write


def _known(word: str, view: View) -> str:
    """The name a user means. Raises UsageError with the nearest one."""
    names = {name.lower(): name for name in sorted(view.names(), reverse=True)}
    plain = word.lower().lstrip("-").replace("-", "_")
    if word.lower() in names or plain in names:
        return names.get(word.lower()) or names[plain]
    near = difflib.get_close_matches(plain, names, 1, 0.5)
    hint = f" Did you mean {names[near[0]]!r}?" if near else ""
    raise UsageError(f"there is no {word!r} here.{hint}")
