"""Options several commands share, in named groups so that ``--help`` reads well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mldebt.cli.completing import rules
from mldebt.settings.declaration import LEVELS

F = TypeVar("F", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option that says under which heading of the help it stands."""

    def __init__(self, *args: Any, group: str = "Options", **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings, in the order they first come."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        # `--help` itself belongs to no group and stands last.
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for param in sorted(options, key=lambda param: not isinstance(param, GroupedOption)):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "group", "Other"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=26)


def process_count(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    """A number of processes, or ``auto``."""
    if value is None or value == "auto":
        return value
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a number of processes nor 'auto'.")


def grouped(group: str) -> Callable[..., Callable[[F], F]]:
    """``click.option`` under a heading."""

    def option(*names: str, **attrs: Any) -> Callable[[F], F]:
        return click.option(*names, cls=GroupedOption, group=group, **attrs)

    return option


def selectors(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``("MLD4,MLD105", "MLD2")`` as single words."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def applied(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Decorators as one; the first stands first in the help."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


level = click.Choice(LEVELS)
_choosing = grouped("Which rules")
_where = grouped("Where things are")
_talk = grouped("Talk")

selection_options: Callable[[F], F] = applied(
    _choosing(
        "--select",
        multiple=True,
        callback=selectors,
        metavar="RULES",
        shell_complete=rules,
        help="Run these: codes, prefixes (MLD4), names, families or ALL.",
    ),
    _choosing(
        "--ignore",
        multiple=True,
        callback=selectors,
        metavar="RULES",
        shell_complete=rules,
        help="Leave these out.",
    ),
    _choosing(
        "--extend-select",
        multiple=True,
        callback=selectors,
        metavar="RULES",
        shell_complete=rules,
        help="Run these too.",
    ),
    _choosing("--preview/--no-preview", default=None, help="Run rules that are still on trial too."),
    _choosing("--severity", type=level, help="Show this and worse; info shows all.  [default: minor]"),
    _choosing("--confidence", type=click.Choice(("medium", "high")), help="Show this and surer.  [default: medium]"),
)

place_options: Callable[[F], F] = applied(
    _where("--root", type=click.Path(path_type=Path), metavar="DIR", help="The repository; else found from PATHS."),
    _where("--config", type=click.Path(path_type=Path), metavar="FILE", help="Read this file, not the repository's."),
    _where("--isolated", is_flag=True, help="Read no configuration file at all."),
    _where("--trust-plugins", is_flag=True, help="Load rule files the repository's configuration names."),
    _where(
        "--cache-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        envvar="MLDEBT_CACHE_DIR",
        help="Keep what was read here.",
    ),
    _where("--no-cache", is_flag=True, help="Read everything anew, and keep nothing."),
    _where("-j", "--jobs", metavar="N|auto", callback=process_count, help="Processes.  [default: auto]"),
)

# For commands that look at the rules only: the repository they stand in still may configure plug-ins.
plugin_options: Callable[[F], F] = applied(
    _where("--root", type=click.Path(path_type=Path), metavar="DIR", help="The repository; else the one around here."),
    _where("--config", type=click.Path(path_type=Path), metavar="FILE", help="Read this file, not the repository's."),
    _where("--isolated", is_flag=True, help="Read no configuration file at all."),
    _where("--trust-plugins", is_flag=True, help="Load rule files the repository's configuration names."),
)

talk_options: Callable[[F], F] = applied(
    _talk("-q", "--quiet", is_flag=True, help="Results only."),
    _talk("-v", "--verbose", count=True, help="Say more of what is being done."),
    _talk("--color", type=click.Choice(("auto", "always", "never")), default="auto", help="Colour the output."),
)
