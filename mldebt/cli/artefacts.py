"""``mldebt artefacts``: what a repository's programs write and read, and the pipeline that makes."""

from __future__ import annotations

from mldebt.cli.showing_view import view_command

command = view_command(
    "artefacts",
    "NAME",
    """List the files, URIs and tables that programs write and read: who does, and which pipeline file says so.

    With NAME (a path as it is listed), only that one. The format dvc gives a dvc.yaml to begin with. The default of
    PATHS is the whole repository around the working directory.
    """,
)
