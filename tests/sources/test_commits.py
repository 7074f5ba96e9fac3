from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mldebt.errors import UsageError
from mldebt.sources.commits import base_commit, index_file

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path, git: Git) -> Path:
    """Two commits on main, and one more on a branch that left after the first."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.py").write_text("x = 1\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    git(root, "branch", "topic")
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    git(root, "checkout", "-q", "topic")
    git(root, "commit", "-q", "--allow-empty", "-m", "mine")
    return root


def refused(root: Path, ref: str | None) -> str:
    with pytest.raises(UsageError) as caught:
        base_commit(root, ref)
    return str(caught.value)


def test_a_branch_is_compared_where_this_one_left_it(repository: Path, git: Git) -> None:
    first = git(repository, "rev-parse", "main~1").strip()
    assert base_commit(repository, "main").id == first
    assert base_commit(repository, "main").name == "main"


def test_tags_commits_and_ancestors_are_named_as_git_names_them(repository: Path, git: Git) -> None:
    git(repository, "tag", "-a", "v1", "-m", "v1", "main~1")
    first = git(repository, "rev-parse", "main~1").strip()
    assert {base_commit(repository, ref).id for ref in ("v1", "HEAD~1", first, first[:10])} == {first}


def test_without_a_name_it_is_head(repository: Path, git: Git) -> None:
    assert base_commit(repository, None).id == git(repository, "rev-parse", "HEAD").strip()


def test_before_the_first_commit_there_is_nothing(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q")
    assert base_commit(tmp_path, None).id == ""


def test_histories_with_nothing_in_common_are_compared_as_they_stand(repository: Path, git: Git) -> None:
    git(repository, "checkout", "-q", "--orphan", "other")
    git(repository, "commit", "-q", "-m", "other")
    assert base_commit(repository, "main").id == git(repository, "rev-parse", "main").strip()


def test_an_unknown_name_is_answered_with_the_nearest(repository: Path) -> None:
    said = refused(repository, "mian")
    assert "no commit, branch or tag is called 'mian'; did you mean 'main'?" in said


@pytest.mark.parametrize("ref", ["--all", "-x", "main\0", "", "a b", "HEAD^{tree}"])
def test_what_is_no_commit_is_never_an_option_of_git(repository: Path, ref: str) -> None:
    assert "no commit, branch or tag" in refused(repository, ref)


def test_no_repository_is_said(tmp_path: Path) -> None:
    assert "is not in a git repository" in refused(tmp_path, "main")
    assert "is not in a git repository" in refused(tmp_path, None)


def test_no_git_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "git is not installed" in refused(repository, "main")


def test_a_shallow_clone_is_told_what_to_do(repository: Path, tmp_path: Path, git: Git) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "topic", f"file://{repository}", str(clone))
    for ref in ("main", "origin/main", "HEAD~1"):
        said = refused(clone, ref)
        assert "the clone is shallow" in said
        assert "fetch-depth: 0" in said
    git(clone, "fetch", "-q", "--depth", "1", "origin", "main")
    assert "where HEAD branched off is not in this clone; the clone is shallow" in refused(clone, "FETCH_HEAD")


def test_a_shallow_clone_that_holds_the_commit_is_no_trouble(repository: Path, tmp_path: Path, git: Git) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "2", "--branch", "topic", f"file://{repository}", str(clone))
    assert base_commit(clone, "HEAD~1").id


def test_the_index_of_a_hook_is_used_if_it_is_this_repositorys(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    assert index_file(repository) == ""
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/next-index-1.lock")
    assert index_file(repository) == str(repository / ".git/next-index-1.lock")
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))
    assert index_file(repository) == ""
