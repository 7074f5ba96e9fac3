from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mldebt.errors import UsageError
from mldebt.sources.discover import discover
from mldebt.sources.snapshot import Tree, of_commit, of_index

Git = Callable[..., str]
NOTHING: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


@pytest.fixture
def repository(tmp_path: Path, git: Git) -> Path:
    root = tmp_path / "repository"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg" / "a.py").write_text("x = 1\n")
    (root / "train").write_text("#!/usr/bin/env python\nprint()\n")
    (root / "run.sh").write_text("python pkg/a.py\n")
    (root / "data.bin").write_bytes(bytes(range(256)))
    (root / "link.py").symlink_to("pkg/a.py")
    (root / "out.py").symlink_to("/etc/passwd")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def commit(root: Path, *exclude: str, named: tuple[str, ...] = ()) -> Tree:
    return of_commit(root, "HEAD", ((), exclude), named)


def test_a_commit_is_listed_as_its_files_on_disk_are(repository: Path) -> None:
    there, here = commit(repository).listing, discover(repository)
    assert (there.python, there.artefacts, there.every) == (here.python, here.artefacts, here.every)
    assert [file.path for file in there.python] == ["pkg/a.py", "train"]
    assert "link.py" in there.every
    assert "out.py" not in there.every


def test_a_folder_of_the_repository_may_be_the_root(repository: Path) -> None:
    assert [file.path for file in commit(repository / "pkg").listing.python] == ["a.py"]


def test_files_that_did_not_change_are_read_from_disk(repository: Path) -> None:
    tree = commit(repository)
    assert tree.files.instead == {}
    assert tree.files.same == frozenset({"pkg/a.py", "train", "run.sh"})


def test_what_changed_or_is_gone_is_read_from_git(repository: Path) -> None:
    (repository / "pkg" / "a.py").write_text("x = 2\n")
    (repository / "train").unlink()
    tree = commit(repository)
    assert tree.files.read("pkg/a.py", 100) == b"x = 1\n"
    assert tree.files.read("train", 3) == b"#!/"
    assert [file.path for file in tree.listing.python] == ["pkg/a.py", "train"]


def test_a_file_that_became_a_link_is_not_followed(repository: Path) -> None:
    (repository / "pkg" / "a.py").unlink()
    (repository / "pkg" / "a.py").symlink_to(repository / "run.sh")
    assert commit(repository).files.read("pkg/a.py", 100) == b"x = 1\n"


def test_a_folder_that_became_a_link_is_not_followed(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.py").write_text("x = 1\n")
    (repository / "pkg" / "a.py").unlink()
    (repository / "pkg").rmdir()
    (repository / "pkg").symlink_to(tmp_path / "elsewhere")
    tree = commit(repository)
    assert "pkg/a.py" not in (tree.files.same or ())
    assert tree.files.read("pkg/a.py", 100) == b"x = 1\n"


def test_what_a_scan_does_not_read_cannot_be_read(repository: Path) -> None:
    """On disk there may be anything under its name by now."""
    with pytest.raises(FileNotFoundError):
        commit(repository).files.read("data.bin", 1)


def test_the_index_is_what_is_staged(repository: Path, git: Git) -> None:
    (repository / "pkg" / "a.py").write_text("staged = 1\n")
    (repository / "new.py").write_text("staged = 2\n")
    git(repository, "add", "pkg/a.py", "new.py")
    (repository / "pkg" / "a.py").write_text("not_staged = 1\n")
    (repository / "untracked.py").write_text("")
    git(repository, "rm", "-q", "--cached", "train")
    tree = of_index(repository, NOTHING, ())
    assert [file.path for file in tree.listing.python] == ["new.py", "pkg/a.py"]
    assert tree.files.read("pkg/a.py", 100) == b"staged = 1\n"


def test_excludes_hold_for_commits_too(repository: Path) -> None:
    assert [file.path for file in commit(repository, "pkg/").listing.python] == ["train"]
    asked = commit(repository, "pkg/", named=("pkg/a.py", "missing.py")).listing.python
    assert [file.path for file in asked] == ["pkg/a.py", "train"]


def test_before_the_first_commit_there_are_no_files(repository: Path) -> None:
    assert of_commit(repository, "", NOTHING, ()).listing.every == ()


def test_a_submodule_is_passed_over(repository: Path, tmp_path: Path, git: Git) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "inner.py").write_text("")
    git(inner, "add", ".")
    git(inner, "commit", "-q", "-m", "inner")
    git(repository, "submodule", "-q", "add", str(inner), "sub")
    git(repository, "commit", "-q", "-m", "with a submodule")
    assert [file.path for file in commit(repository).listing.python] == ["pkg/a.py", "train"]
    assert [file.path for file in of_index(repository, NOTHING, ()).listing.python] == ["pkg/a.py", "train"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes UTF-8 only")
def test_names_of_any_bytes_are_read_or_passed_over(repository: Path, git: Git) -> None:
    for name in (b"caf\xc3\xa9.py", b"new\nline.py", b"tab\t.py", b"latin\xe9.py"):
        Path(os.fsdecode(os.fsencode(repository) + b"/" + name)).write_text("")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "names")
    there, here = commit(repository).listing, discover(repository)
    assert there.python == here.python
    assert "new\nline.py" in [file.path for file in there.python]


def test_a_partial_clone_says_what_it_lacks_and_fetches_nothing(repository: Path, tmp_path: Path, git: Git) -> None:
    git(repository, "config", "uploadpack.allowFilter", "true")
    old = git(repository, "rev-parse", "HEAD").strip()
    (repository / "pkg" / "a.py").write_text("x = 2\n")
    git(repository, "commit", "-q", "-a", "-m", "second")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{repository}", str(clone))
    with pytest.raises(
        UsageError, match="this partial clone lacks files of the commit; mldebt never fetches: run `git fetch"
    ):
        of_commit(clone, old, NOTHING, ())
    assert of_commit(clone, "HEAD", NOTHING, ()).files.instead == {}


def test_a_damaged_store_is_said(repository: Path, git: Git) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}").strip()
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(UsageError, match="git ls-tree fails"):
        commit(repository)


def test_no_program_of_the_repository_is_ever_run(repository: Path, git: Git) -> None:
    """Filters, text conversions, external diffs, hooks and file monitors are code of whoever wrote the repository."""
    ran = repository.parent / "ran"
    program = repository / "canary.sh"
    program.write_text(f"#!/bin/sh\necho $0 $* >> '{ran}'\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py filter=canary diff=canary\n")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-q", "-m", "attributes")
    for name in (
        "filter.canary.clean",
        "filter.canary.smudge",
        "filter.canary.process",
        "diff.canary.textconv",
        "diff.canary.command",
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "diff.external",
    ):
        git(repository, "config", name, str(program))
    for hook in ("post-checkout", "pre-commit", "post-index-change", "fsmonitor-watchman"):
        target = repository / ".git" / "hooks" / hook
        target.parent.mkdir(exist_ok=True)
        target.write_text(program.read_text())
        target.chmod(0o755)
    (repository / "pkg" / "a.py").write_text("x = 3\n")
    git(repository, "diff")
    assert ran.exists()  # a plain git runs them: the canary sings
    ran.unlink()
    assert commit(repository).files.read("pkg/a.py", 100) == b"x = 1\n"
    assert of_index(repository, NOTHING, ()).files.read("pkg/a.py", 100) == b"x = 1\n"
    assert not ran.exists()
