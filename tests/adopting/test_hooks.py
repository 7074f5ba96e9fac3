from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mldebt.adopting.draft import Draft
from mldebt.adopting.hooks import CONFIG, add_hooks

OURS = {
    "repo": "https://github.com/mldebt/mldebt",
    "rev": "v1.2",
    "hooks": [{"id": "mldebt"}, {"id": "mldebt-project"}],
}


def drafted(root: Path, text: str | None) -> Draft:
    if text is not None:
        (root / CONFIG).write_bytes(text.encode())
    draft = Draft(root)
    add_hooks(draft, "1.2")
    return draft


def test_a_new_file(tmp_path: Path) -> None:
    (change,) = drafted(tmp_path, None).changes()
    assert yaml.safe_load(change.after) == {"repos": [OURS]}
    (tmp_path / CONFIG).write_text(change.after)
    assert drafted(tmp_path, None).changes() == []


BLACK = "- repo: https://github.com/psf/black\n  rev: 24.1.0 # pinned\n  hooks:\n  - id: black\n    args: [--quiet]\n"


@pytest.mark.parametrize(
    "text",
    [
        f"# ours\nrepos:\n{BLACK}",
        f"repos:\n{BLACK}".rstrip("\n"),
        f"default_stages: [commit]\nrepos:\n{BLACK}\n# the end\nci:\n  skip: [black]\n",
        "repos:\n" + "".join(f"  {row}\n" for row in BLACK.splitlines()),
        "repos:\n-   repo: https://github.com/psf/black\n    rev: 24.1.0\n    hooks:\n    -   id: black\n",
        f"repos:\n{BLACK}    files: |\n      (?x)^(\n        a.py\n      )$\n\n",
        f"repos:\n{BLACK}    exclude: [\n      a,\n      b\n    ]\n",
        f"repos:\n{BLACK}".replace("\n", "\r\n"),
        f"---\nrepos: # all of them\n{BLACK}  # the last one\n...\n",
    ],
)
def test_our_entry_is_put_in_and_no_other_line_touched(tmp_path: Path, text: str) -> None:
    draft = drafted(tmp_path, text)
    assert draft.notes == []
    (change,) = draft.changes()
    before, after = yaml.safe_load(text), yaml.safe_load(change.after)
    assert after == {**before, "repos": [*before["repos"], OURS]}
    rows = iter(change.after.splitlines())
    assert all(row in rows for row in text.splitlines())
    (tmp_path / CONFIG).write_text(change.after)
    assert drafted(tmp_path, None).changes() == []


@pytest.mark.parametrize(
    "text", ["repos: []\n", "repos: [\n", "hooks: 1\n", "- a\n", "", "[" * 5000, "repos: &x\n- *x\n", "repos:\n"]
)
def test_what_cannot_be_added_to_safely_is_left_to_the_user(tmp_path: Path, text: str) -> None:
    draft = drafted(tmp_path, text)
    assert draft.changes() == []
    assert "add the hooks mldebt and mldebt-project of https://github.com/mldebt/mldebt" in draft.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "repos:\n- repo: local\n  hooks:\n  - id: mldebt\n",
        "repos:\n- repo: git@github.com:mldebt/mldebt.git\n  rev: v0\n  hooks: []\n",
    ],
)
def test_hooks_of_ours_that_are_there_stay(tmp_path: Path, text: str) -> None:
    assert drafted(tmp_path, text).changes() == []


def test_a_billion_laughs_cost_nothing(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    draft = drafted(tmp_path, "\n".join(rows) + f"\nrepos:\n{BLACK}    files: *a29\n")
    assert len(draft.changes()) + len(draft.notes) == 1
