"""A GitHub workflow that reports new debt on pull requests."""

from __future__ import annotations

import re
from pathlib import Path

from mldebt.adopting.draft import Draft
from mldebt.sources.git import Git

FOLDER = ".github/workflows"
ACTION = "mldebt/mldebt"
_NAME = re.compile(r"[A-Za-z][\w./-]*")  # what needs no quotes in YAML

# Pinned as our own workflows are: a tag may be moved to other code.
_CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"

_TEXT = """\
name: mldebt

on:
  pull_request:
  push:
    branches: [{branch}]

permissions: {{}}

jobs:
  debt:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    permissions:
      contents: read
    steps:
      - uses: {checkout}
        with:
          fetch-depth: 0 # the branch a pull request goes to is compared with
          persist-credentials: false
      - uses: {action}@v{version}
        with:
          diff-base: auto
"""


def add_workflow(draft: Draft, version: str, branch: str) -> None:
    """The workflow, unless one uses our action already."""
    folder = draft.root / FOLDER
    names = [path.name for pattern in ("*.yml", "*.yaml") for path in sorted(folder.glob(pattern))]
    if any(_uses_ours(draft.text(f"{FOLDER}/{name}")) for name in names):
        return
    text = _TEXT.format(checkout=_CHECKOUT, action=ACTION, version=version, branch=branch)
    draft.create(f"{FOLDER}/mldebt.yml", text)


def _uses_ours(text: str | None) -> bool:
    return text is not None and (f"uses: {ACTION}@" in text or "mldebt" in text)


def default_branch(root: Path) -> str:
    """The branch the clone's origin calls the default one; else the one checked out, if it is called so; else main."""
    git = Git(root)
    for ref, names in (("refs/remotes/origin/HEAD", None), ("HEAD", ("main", "master", "trunk"))):
        answer = git.ask("symbolic-ref", "--quiet", ref)
        name = answer.out.decode("utf-8", "replace").strip() if answer is not None and answer.code == 0 else ""
        name = name.removeprefix("refs/remotes/origin/").removeprefix("refs/heads/")
        if _NAME.fullmatch(name) and (names is None or name in names):
            return name
    return "main"
