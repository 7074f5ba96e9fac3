"""``mldebt knobs``: every setting of a repository with its values and homes."""

from __future__ import annotations

from mldebt.cli.showing_view import view_command

command = view_command(
    "knobs",
    "NAME",
    """List every setting with its values and where they stand: the one location nobody wrote down.

    With NAME (any of its names), everything about one setting: who binds it, who reads it, and what disagrees. The
    default of PATHS is the whole repository around the working directory.
    """,
)
