"""``mldebt scan``: its options; ``scanning`` does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mldebt.cli.options import GroupedCommand, grouped, level, place_options, selection_options, talk_options
from mldebt.cli.outputs import parsed
from mldebt.settings.formats import FORMATS

_result = grouped("Results")
_new = grouped("New debt only")
_fix = grouped("Fixes")
_show = grouped("Instead of results")
_FORMATS = f"How to show them: {', '.join(FORMATS)}.  [default: text]"


@click.command("scan", cls=GroupedCommand)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATHS]...")
@selection_options
@_result("--output-format", type=click.Choice(tuple(FORMATS)), metavar="FORMAT", help=_FORMATS)
@_result(
    "-o",
    "--output",
    multiple=True,
    callback=parsed,
    metavar="[FORMAT:]FILE",
    help="Write them to a file; with a format in front, beside the others. May be repeated.",
)
@_result("--statistics", is_flag=True, help="Counts by rule instead of single findings.")
@_result("--fail-on", type=level, help="Leave with 1 from this severity on.  [default: minor]")
@_result("--exit-zero", is_flag=True, help="Leave with 0 even if there are findings.")
@_result("--fail-under", type=click.FloatRange(0, 100), metavar="SCORE", help="Leave with 1 below this score.")
@_new(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Debt in this file is known.  [default: mldebt-baseline.json at the root, if there]",
)
@_new("--no-baseline", is_flag=True, help="Report known debt too.")
@_new(
    "--baseline-mode",
    type=click.Choice(("auto", "lock", "off")),
    default="auto",
    help="auto removes entries for debt that is gone, but not in CI or a hook; lock never does.",
)
@_new("--diff-base", metavar="REF", help="Report what is new since HEAD branched off from a commit, branch or tag.")
@_new("--staged", is_flag=True, help="Look at what is staged, and report what is new in it.")
@_fix("--fix", is_flag=True, help="Apply fixes that keep the meaning for every input.")
@_fix("--unsafe-fixes", is_flag=True, help="With --fix or --diff: suggested fixes too.")
@_fix("--diff", is_flag=True, help="Print what --fix would change; what it cannot is reported on standard error.")
@_show("--show-files", is_flag=True, help="List the files that would be read.")
@_show("--show-settings", is_flag=True, help="List the settings, and who said so.")
@place_options
@grouped("Where things are")(
    "--stdin-filename", type=click.Path(path_type=Path), metavar="FILE", help="With - as PATHS: the name of the text."
)
@grouped("Where things are")(
    "--force-exclude", is_flag=True, help="Leave out what the configuration excludes even where PATHS name it."
)
@talk_options
@grouped("Talk")("--profile", is_flag=True, help="Say on standard error which rules took how long.")
def command(paths: tuple[Path, ...], **given: Any) -> int:
    """Find debt in a repository, score it, and say what to pay back first.

    PATHS are files or directories of one repository; all of it is read, and what is in PATHS is reported. The default
    is the working directory; - reads one file from standard input.

    Debt in the baseline (mldebt baseline create), or already at --diff-base, is not reported and does not count.

    Leaves with 0 when nothing at or above --fail-on is found, 1 when something is, 2 on wrong usage or configuration
    and on errors of mldebt itself, 130 when interrupted.
    """
    # Imported here: completion and --help must not wait for libcst, rich and the rules.
    from mldebt.cli import scanning

    return scanning.scan(paths, given)
