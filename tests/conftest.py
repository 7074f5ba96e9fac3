"""A project from texts: ``project({"train.py": "..."})``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from mldebt.facts.extract import extract
from mldebt.project.project import Project, ProjectOptions
from mldebt.sources.artefacts import Repository
from mldebt.sources.text import Source

Build = Callable[..., Project]


def build_project(
    files: Mapping[str, str], repository: Repository | None = None, options: ProjectOptions | None = None
) -> Project:
    """Link Python texts by path, in memory; indentation common to all lines of a text is removed."""
    sources = {
        path: Source(path, dedent(text).lstrip("\n"), notebook=path.endswith(".ipynb")) for path, text in files.items()
    }
    return Project(
        root=Path("/nowhere"),
        facts={path: extract(source)[0] for path, source in sources.items()},
        repository=repository or Repository(),
        every=frozenset(files),
        options=options or ProjectOptions(),
        load=sources.__getitem__,
    )


@pytest.fixture
def project() -> Build:
    return build_project
