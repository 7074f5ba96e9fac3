"""Which files git keeps."""

from __future__ import annotations

import os
from pathlib import Path

from mldebt.sources.git import Git


def committed(root: Path) -> frozenset[str] | None:
    """The paths git keeps below a root; None for a copy without git, where what lies there came with it."""
    git = Git(root)
    answer = git.ask("ls-files", "-z")
    if answer is not None and not answer.code and not answer.out:
        # Without an index it is the last commit that tells.
        last = git.ask("ls-tree", "-r", "--name-only", "-z", "HEAD")
        answer = last if last is not None and not last.code else answer
    if answer is None or answer.code or not (answer.out or (root / ".git").exists()):
        return None
    return frozenset(os.fsdecode(path) for path in answer.out.split(b"\0"))
