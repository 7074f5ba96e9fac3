"""Which commit new debt is counted from, and what to do when the clone does not hold it."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from msgspec import Struct

from mldebt.errors import UsageError
from mldebt.sources.git import Answer, Git

_DEEPEN = "the clone is shallow: run `git fetch --unshallow`, or set fetch-depth: 0 where CI checks out"


class Commit(Struct, frozen=True):
    """The left side of a comparison.

    ``id`` is the commit; empty before the first one, when everything is new. ``name`` is what the user calls it.
    """

    id: str
    name: str


def base_commit(root: Path, ref: str | None) -> Commit:
    """The commit HEAD branched off from ``ref`` at; without a ref, HEAD itself.

    Raises:
        UsageError: There is no git or no repository, or it has no such commit; with what to do.
    """
    git = Git(root)
    inside = git.ask("rev-parse", "--is-inside-work-tree")
    if inside is None:
        raise UsageError("git is not installed, or does not answer; --diff-base and --staged need it")
    if inside.code:
        trouble = "" if inside.trouble.startswith("not a git repository") else f": {inside.trouble}"
        what = "is not in a git repository" if not trouble else "git does not read this repository"
        raise UsageError(f"{root}: {what}{trouble}; --diff-base and --staged need one (--baseline does not)")
    head = _commit(git, "HEAD")
    if ref is None:
        return Commit(head or "", "HEAD")
    commit = _commit(git, ref)
    if commit is None:
        raise UsageError(_unknown(git, ref))
    if head is None:
        return Commit(commit, ref)
    return Commit(_merge_base(git, commit, head, ref), ref)


def _commit(git: Git, ref: str) -> str | None:
    if ref.startswith("-"):
        return None
    answer = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    return answer.out.decode("ascii", "replace").strip() if _succeeded(answer) and answer else None


def _merge_base(git: Git, commit: str, head: str, ref: str) -> str:
    answer = git.ask("merge-base", commit, head)
    if _succeeded(answer) and answer:
        return answer.out.decode("ascii", "replace").split("\n")[0].strip()
    if _is_shallow(git):
        raise UsageError(f"--diff-base {ref}: where HEAD branched off is not in this clone; {_DEEPEN}")
    if answer is None or answer.code != 1:
        raise UsageError(
            f"--diff-base {ref}: git cannot say where HEAD branched off: {answer.trouble if answer else ''}"
        )
    return commit  # histories with nothing in common are compared as they stand


def _unknown(git: Git, ref: str) -> str:
    listed = git.ask("for-each-ref", "--format=%(refname:short)")
    names = listed.out.decode("utf-8", "replace").split("\n") if listed else []
    close = get_close_matches(ref, [name for name in [*names, "HEAD"] if name], 1, 0.5)
    known = f"; did you mean {close[0]!r}?" if close else ""
    if _is_shallow(git):
        known += f"; {_DEEPEN}"
    return f"--diff-base: no commit, branch or tag is called {ref!r}{known}"


def _is_shallow(git: Git) -> bool:
    answer = git.ask("rev-parse", "--is-shallow-repository")
    return answer is not None and answer.out.strip() == b"true"


def _succeeded(answer: Answer | None) -> bool:
    return answer is not None and answer.code == 0


def index_file(root: Path) -> str:
    """The index that is about to be committed, when a hook was started with another one than the repository's."""
    named = os.environ.get("GIT_INDEX_FILE", "")
    answer = Git(root).ask("rev-parse", "--absolute-git-dir") if named else None
    if answer is None or answer.code:
        return ""
    path = os.path.realpath(Path.cwd() / named)
    ours = os.path.realpath(os.fsdecode(answer.out.rstrip(b"\n")))
    return path if os.path.dirname(path) == ours else ""  # noqa: PTH120 - a hook of another repository is not ours
