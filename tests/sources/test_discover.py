from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mldebt.errors import ConfigurationError, UsageError
from mldebt.sources.discover import Listing, discover, find_root
from mldebt.sources.git import Git
from tests.sources.test_git import git


def tree(root: Path, *paths: str, **contents: str) -> Path:
    for path in (*paths, *contents):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(contents.get(path, "x = 1\n"))
    return root


def pythons(listing: Listing) -> list[str]:
    return [file.path for file in listing.python]


def test_kinds_of_files(tmp_path: Path) -> None:
    tree(
        tmp_path,
        *(
            "train.py",
            "stubs/a.pyi",
            "notebooks/eda.ipynb",
            "requirements.txt",
            "requirements/dev.txt",
            "conf/model.yaml",
        ),
        *(
            "Dockerfile",
            "docker/Dockerfile.gpu",
            "Makefile",
            "run.sh",
            "job.sbatch",
            "MLproject",
            "uv.lock",
            "README.md",
        ),
        *(
            ".github/workflows/ci.yml",
            ".pre-commit-config.yaml",
            "CODEOWNERS",
            ".gitattributes",
            "Snakefile",
            "notes.txt",
        ),
        *("model.pt", "conda-requirements.txt", "my_requirements_table.csv"),
        **{"bin/run": "#!/usr/bin/env python3\n", "bin/go": "#!/bin/bash\n", "bin/data": "1 2 3\n"},
    )
    listing = discover(tmp_path)
    assert pythons(listing) == ["bin/run", "notebooks/eda.ipynb", "stubs/a.pyi", "train.py"]
    assert listing.artefacts == tuple(
        sorted(
            (
                *("requirements.txt", "requirements/dev.txt", "conf/model.yaml", "Dockerfile", "docker/Dockerfile.gpu"),
                *("Makefile", "run.sh", "job.sbatch", "MLproject", "uv.lock", "README.md", ".github/workflows/ci.yml"),
                *(".pre-commit-config.yaml", "CODEOWNERS", ".gitattributes", "Snakefile", "bin/go"),
                "conda-requirements.txt",
            )
        )
    )
    assert {"model.pt", "notes.txt", "bin/data", "train.py"} <= set(listing.every)
    assert listing.every == tuple(sorted(listing.every))


def test_sizes_and_roles(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "third_party/b.py", "c_pb2.py", "external/lib/setup.py", "external/lib/d.py")
    files = [(file.path, file.size, file.role) for file in discover(tmp_path).python]
    assert files == [
        ("a.py", 6, "project"),
        ("c_pb2.py", 6, "generated"),
        ("external/lib/d.py", 6, "vendored"),
        ("external/lib/setup.py", 6, "vendored"),
        ("third_party/b.py", 6, "vendored"),
    ]


@pytest.mark.parametrize("above", ["build", "outputs", "venv"])
def test_default_excludes_only_below_the_root(tmp_path: Path, above: str) -> None:
    root = tree(
        tmp_path / above / "project", "a.py", "build/b.py", "pkg/outputs/c.py", "wandb/d.py", "data/e.py", "build.py"
    )
    assert pythons(discover(root)) == ["a.py", "build.py", "data/e.py"]


def test_default_excludes_hold_for_what_git_tracks(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "build/b.py")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-f", ".")
    assert pythons(discover(tmp_path)) == ["a.py"]


def test_users_excludes(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "build/b.py", "docs/c.py", "pkg/docs/d.py", "pkg/test_e.py")
    assert pythons(discover(tmp_path, exclude=["/docs"])) == ["a.py", "build/b.py", "pkg/docs/d.py", "pkg/test_e.py"]
    assert pythons(discover(tmp_path, extend_exclude=["docs", "test_*.py"])) == ["a.py"]
    assert pythons(discover(tmp_path, named=["build/b.py"])) == [
        *("a.py", "build/b.py", "docs/c.py", "pkg/docs/d.py", "pkg/test_e.py")
    ]


def test_a_malformed_glob_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exclude"):
        discover(tmp_path, exclude=["!"])


def test_virtual_environments_of_any_name(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "myenv/pyvenv.cfg", "myenv/lib/b.py", "conda/conda-meta/history", "conda/c.py")
    assert pythons(discover(tmp_path)) == ["a.py"]


@pytest.mark.parametrize("use_git", [True, False])
def test_links_are_never_followed(tmp_path: Path, use_git: bool) -> None:
    outside = tree(tmp_path / "outside", "secret.py", "pkg/deep.py", "requirements.txt")
    root = tree(tmp_path / "root", "a.py", "pkg/b.py")
    (root / "escape.py").symlink_to(outside / "secret.py")
    (root / "escape_pkg").symlink_to(outside / "pkg")
    (root / "requirements.txt").symlink_to("../outside/requirements.txt")
    (root / "same.py").symlink_to("a.py")
    (root / "same_pkg").symlink_to("pkg")
    (root / "broken.py").symlink_to("nowhere.py")
    (root / "loop.py").symlink_to("loop.py")
    git(root, "init", "-q")
    listing = discover(root, use_git=use_git)
    assert pythons(listing) == ["a.py", "pkg/b.py"]
    assert listing.artefacts == ()
    assert listing.every == ("a.py", "pkg/b.py", "same.py")
    assert dict(listing.skipped) == {
        "broken.py": "a broken link",
        "escape.py": "a link out of the root",
        "escape_pkg": "a link out of the root",
        "loop.py": "a broken link",
        "requirements.txt": "a link out of the root",
        "same.py": "a link to a.py",
        "same_pkg": "a link to pkg",
    }


def test_a_folder_turned_link_behind_gits_back(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "secret.py")
    root = tree(tmp_path / "root", "a.py", "pkg/secret.py")
    git(root, "init", "-q")
    git(root, "add", ".")
    (root / "pkg" / "secret.py").unlink()
    (root / "pkg").rmdir()
    (root / "pkg").symlink_to(outside)
    listing = discover(root)
    assert listing.every == ("a.py",)
    assert ("pkg", "a link out of the root") in listing.skipped


@pytest.mark.parametrize("use_git", [True, False])
def test_other_repositories_inside_are_left_out(tmp_path: Path, use_git: bool) -> None:
    root = tree(tmp_path / "root", "a.py", "clone/b.py")
    git(root, "init", "-q")
    git(root / "clone", "init", "-q")
    listing = discover(root, use_git=use_git)
    assert pythons(listing) == ["a.py"]
    assert listing.skipped == (("clone", "another git repository"),)


def test_a_submodule_is_left_out(tmp_path: Path) -> None:
    root, other = tree(tmp_path / "root", "a.py"), tree(tmp_path / "other", "b.py")
    for folder in (root, other):
        git(folder, "init", "-q")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "first")
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", str(other), "sub")
    listing = discover(root)
    assert pythons(listing) == ["a.py"]
    assert listing.skipped == (("sub", "a git submodule"),)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_not_opened(tmp_path: Path) -> None:
    tree(tmp_path, "a.py")
    os.mkfifo(tmp_path / "b.py")
    os.mkfifo(tmp_path / "script")
    listing = discover(tmp_path, use_git=False)
    assert pythons(listing) == ["a.py"]
    assert listing.skipped == (("b.py", "not a regular file"), ("script", "not a regular file"))


def test_what_is_too_large_is_skipped(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", **{"data.json": "1" * (1024 * 1024 + 1)})
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    listing = discover(tmp_path)
    assert pythons(listing) == ["a.py"]
    assert listing.skipped == (("data.json", "larger than 1 MiB"), ("huge.py", "larger than 16 MiB"))
    assert "huge.py" in listing.every


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    tree(tmp_path, "a.py")
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    listing = discover(tmp_path)
    assert pythons(listing) == ["a.py"]
    assert listing.skipped == (("caf\ufffd.py", "its name is not UTF-8"),)


def test_a_path_of_thousands_of_folders(tmp_path: Path) -> None:
    """No work tree can hold it, but an index can list it."""
    tree(tmp_path, "a.py")
    git(tmp_path, "init", "-q")
    deep = "d/" * 1_500 + "b.py"
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"100644,{'0' * 39}1,{deep}")
    assert deep in (Git(tmp_path).ls_files() or ())
    assert discover(tmp_path, extend_exclude=["docs"]).every == ("a.py",)


def test_files_deleted_from_the_work_tree(tmp_path: Path) -> None:
    tree(tmp_path, "a.py", "b.py")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    (tmp_path / "b.py").unlink()
    assert discover(tmp_path).every == ("a.py",)


def test_a_root_the_repository_around_ignores_is_scanned(tmp_path: Path) -> None:
    tree(tmp_path, "corpus/project/a.py", "corpus/project/b.log", **{".gitignore": "corpus\n"})
    tree(tmp_path / "corpus" / "project", **{".gitignore": "*.log\n"})
    git(tmp_path, "init", "-q")
    for use_git in (True, False):
        listing = discover(tmp_path / "corpus" / "project", use_git=use_git)
        assert listing.every == (".gitignore", "a.py")


def test_a_root_inside_a_repository(tmp_path: Path) -> None:
    tree(tmp_path, "pkg/a.py", "pkg/gen/b.py", "pkg/c.tmp", "d.py", **{".gitignore": "/pkg/gen\n*.tmp\n"})
    git(tmp_path, "init", "-q")
    (tmp_path / ".git" / "info" / "exclude").write_text("secret*\n")
    tree(tmp_path, "pkg/secret.py")
    assert discover(tmp_path / "pkg").every == ("a.py",)
    assert discover(tmp_path / "pkg", use_git=False).every == ("a.py",)


NAMES = ["a", "b", "x.py", "y.py", "z.log"]
FILES = [f"{one}{two}{name}" for one in ("", "a/", "b/") for two in ("", "a/", "b/") for name in NAMES[2:]]
PATTERN = st.builds(
    lambda no, top, name, end: f"{no}{top}{name}{end}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/", "**/", "a/"]),
    st.sampled_from(
        ["a", "b", "*.py", "x.*", "*", "?.log", "[^xz].*", "[!y]*", "a/b", "a/*", "a/**", "a/**/x.py", r"\b", "***"]
    ),
    st.sampled_from(["", "", "/"]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(PATTERN, max_size=4), st.lists(PATTERN, max_size=2), st.lists(PATTERN, max_size=2))
def test_without_git_the_list_is_gits(tmp_path: Path, top: list[str], inner: list[str], exclude: list[str]) -> None:
    root = tmp_path / "root"
    if not root.exists():
        tree(root, *FILES)
        git(root, "init", "-q")
    (root / ".gitignore").write_text("\n".join(top) + "\n")
    (root / "a" / ".gitignore").write_text("\n".join(inner) + "\n")
    (root / ".git" / "info" / "exclude").write_text("\n".join(exclude) + "\n")
    assert discover(root, use_git=False) == discover(root)


def test_hostile_ignore_files(tmp_path: Path) -> None:
    tree(
        tmp_path,
        f"{'a' * 200}.py",
        "b.py",
        **{".gitignore": "*a" * 100 + "b\n" + "**/a/" * 100 + "\n!\n[\nb.py\n\xff\n"},
    )
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / ".gitignore").symlink_to("/dev/zero")
    assert pythons(discover(tmp_path, use_git=False)) == [f"{'a' * 200}.py"]


def test_root_is_the_argument_that_looks_like_a_project(tmp_path: Path) -> None:
    tree(tmp_path, "setup.py", "packages/one/pyproject.toml", "packages/one/src/a.py", "packages/two/b.py")
    one, two = tmp_path / "packages" / "one", tmp_path / "packages" / "two"
    assert find_root([one], None, Path("/")) == one
    assert find_root([one / "src"], None, Path("/")) == one
    assert find_root([one / "src" / "a.py"], None, Path("/")) == one
    assert find_root([two], None, Path("/")) == tmp_path
    assert find_root([one, two / "b.py"], None, Path("/")) == tmp_path
    assert find_root([Path("src")], None, one) == one
    assert find_root([], None, one / "src") == one
    assert find_root([], None, two) == tmp_path
    assert find_root([two], two, Path("/")) == two


@pytest.mark.parametrize(
    "marker", ["requirements.txt", "requirements-dev.txt", "environment.yml", "mldebt.toml", ".git/HEAD"]
)
def test_markers_of_a_root(tmp_path: Path, marker: str) -> None:
    tree(tmp_path, f"top/{marker}", "top/src/requirements_table.py")
    assert find_root([tmp_path / "top" / "src"], None, tmp_path) == tmp_path / "top"


def test_without_a_marker_the_directory_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tree(tmp_path / "home", "requirements.txt", "work/project/a.py")
    monkeypatch.setenv("HOME", str(home))
    assert find_root([home / "work" / "project" / "a.py"], None, tmp_path) == home / "work" / "project"
    assert find_root([home], None, tmp_path) == home  # asked for by name


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.py", "out/b.py")
    with pytest.raises(UsageError, match="no such file"):
        find_root([Path("missing")], None, tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        find_root([], Path("missing"), tmp_path)
    with pytest.raises(UsageError, match="not a directory"):
        find_root([], Path("in/a.py"), tmp_path)
    with pytest.raises(UsageError, match="outside the root"):
        find_root([Path("out/b.py")], Path("in"), tmp_path)
