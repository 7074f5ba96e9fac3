"""``mldebt server``: the language server, for editors."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mldebt.cli.main import OK
from mldebt.cli.options import GroupedCommand, grouped, selection_options
from mldebt.errors import UsageError

if TYPE_CHECKING:
    from mldebt.server.checking import Setup

_OLDEST = 2  # of pygls; the first with `pygls.lsp.server`
_where = grouped("Where things are")


@click.command("server", cls=GroupedCommand)
@selection_options
@_where("--config", type=click.Path(path_type=Path), metavar="FILE", help="Read this file, not the repository's.")
@_where("--isolated", is_flag=True, help="Read no configuration file at all.")
@_where("--trust-plugins", is_flag=True, help="Load rule files the repository's configuration names.")
@_where(
    "--cache-dir", type=click.Path(path_type=Path), metavar="DIR", envvar="MLDEBT_CACHE_DIR", help="Keep facts here."
)
@_where("--no-cache", is_flag=True, help="Read everything anew, and keep nothing.")
@grouped("New debt")("--no-baseline", is_flag=True, help="Show what is in the baseline too.")
@click.option("--stdio", is_flag=True, hidden=True, help="Editors say so; there is nothing else.")
def command(stdio: bool, **given: Any) -> int:
    """Serve editors over standard input and output, by the language server protocol.

    Needs the extra `lsp`: pip install "mldebt[lsp]".
    """
    if _pygls() < _OLDEST:
        raise UsageError('the language server needs pygls 2; install it with: pip install "mldebt[lsp]"')
    # A server lives long, so here garbage is worth collecting.
    gc.enable()
    # Imported here: only a server needs pygls, and nobody else has it.
    from mldebt.server.service import Service

    Service(lambda start: _setup(start, given)).serve()
    return OK


def _pygls() -> int:
    """The first number of the version of pygls that is installed; 0 when none is."""
    try:
        return int(version("pygls").partition(".")[0])
    except PackageNotFoundError:
        return 0


def _setup(start: Path, given: Mapping[str, Any]) -> Setup:
    """The root around a folder, with its configuration as it is now."""
    from mldebt.cli.baselines import wanted
    from mldebt.cli.session import opened
    from mldebt.server.checking import Setup

    session = opened((start,), given)
    known = wanted(session, {"baseline": None, "no_baseline": given["no_baseline"], "baseline_mode": "lock"})
    baseline = known.baseline if known else None
    return Setup(session.root, session.config, session.registry, session.cache_dir, baseline)
