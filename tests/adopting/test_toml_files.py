from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.adopting.draft import Draft
from mldebt.adopting.seen import Seen
from mldebt.adopting.toml_files import add_ruff_external, add_settings, settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

APPLICATION = Seen(False, (), ())


def drafted(root: Path, files: dict[str, str]) -> Draft:
    for name, text in files.items():
        (root / name).write_bytes(text.encode())
    draft = Draft(root)
    add_ruff_external(draft)
    add_settings(draft, APPLICATION)
    return draft


def after(draft: Draft) -> dict[str, str]:
    return {change.path: change.after for change in draft.changes()}


def test_settings_say_what_was_seen() -> None:
    assert settings(Seen(True, ("exp", "src/sandbox"), ("Makefile", "run.sh"))) == (
        "# A library: what it exports is used elsewhere. Started by Makefile, run.sh.\n"
        "library = true\n"
        'experiment-dirs = ["exp", "src/sandbox"]\n'
    )


@given(st.lists(st.text(min_size=1), max_size=6))
def test_settings_are_toml_whatever_files_are_called(names: list[str]) -> None:
    """Names come from a repository anybody may have written."""
    text = settings(Seen(False, tuple(names), tuple(names)))
    try:
        said = tomllib.loads(text)
    except UnicodeEncodeError:  # pragma: no cover - lone surrogates are no file names here
        return
    assert said.get("experiment-dirs", []) == names
    assert set(said) <= {"library", "experiment-dirs"}


def test_a_table_is_added_and_nothing_else_changes(tmp_path: Path) -> None:
    text = '# mine\n[project]\nname = "x"   # spaced\n\n\n[tool.black]\nline-length=99'
    draft = drafted(tmp_path, {"pyproject.toml": text})
    assert after(draft) == {
        "pyproject.toml": f"{text}\n\n[tool.mldebt]\n# An application: it is run here.\nlibrary = false\n"
    }
    assert draft.notes == []


def test_without_pyproject_it_is_a_file_of_our_own(tmp_path: Path) -> None:
    assert after(drafted(tmp_path, {})) == {"mldebt.toml": "# An application: it is run here.\nlibrary = false\n"}


@pytest.mark.parametrize(
    "files",
    [
        {"mldebt.toml": ""},
        {"pyproject.toml": "[tool.mldebt]\n"},
        {"pyproject.toml": "[tool.mldebt.rules.x]\ny = 1\n"},
        {"pyproject.toml": "[project]\n", "mldebt.toml": 'severity = "info"\n'},
    ],
)
def test_settings_there_are_stay(tmp_path: Path, files: dict[str, str]) -> None:
    assert drafted(tmp_path, files).changes() == []


@pytest.mark.parametrize("text", ["[project\n", "tool = { black = {} }\n", "x = 1\r\ny = 2\n", "\ufeffx = 1\n"])
def test_what_cannot_be_added_to_safely_is_left_to_the_user(tmp_path: Path, text: str) -> None:
    draft = drafted(tmp_path, {"pyproject.toml": text})
    assert draft.changes() == []
    assert "pyproject.toml is left as it is: write [tool.mldebt] yourself" in draft.notes[0]


def test_line_ends_stay(tmp_path: Path) -> None:
    (text,) = after(drafted(tmp_path, {"pyproject.toml": "[project]\r\nname = 'x'\r\n"})).values()
    assert "\n" not in text.replace("\r\n", "")


RUFF = """\
[tool.ruff]
line-length = 120 # wide

[tool.ruff.lint]
# chosen with care
select = [
    "E",  # errors
    "F",
]

[tool.mypy]
strict = true
"""


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("pyproject.toml", RUFF, RUFF.replace("]\n\n[tool.mypy", ']\nexternal = ["MLD"]\n\n[tool.mypy')),
        ("ruff.toml", "[lint]\nexternal = ['V'] # vulture\n", "[lint]\nexternal = ['V', \"MLD\"] # vulture\n"),
        ("ruff.toml", 'external = ["V"]\n', 'external = ["V", "MLD"]\n'),
        (".ruff.toml", "line-length = 99\n", 'line-length = 99\n[lint]\nexternal = ["MLD"]\n'),
    ],
)
def test_ruff_learns_our_codes(tmp_path: Path, name: str, text: str, wanted: str) -> None:
    (tmp_path / "mldebt.toml").write_text("")
    draft = drafted(tmp_path, {name: text})
    assert after(draft)[name].replace("\n\n[lint]", "\n[lint]") == wanted
    assert draft.notes == []


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[tool.black]\n"},
        {"ruff.toml": '[lint]\nexternal = ["MLD"]\n'},
        {"pyproject.toml": RUFF, "ruff.toml": '[lint]\nexternal = ["MLD"]\n'},
    ],
)
def test_ruff_is_left_alone_where_it_knows_or_is_not_used(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "mldebt.toml").write_text("")
    assert drafted(tmp_path, files).changes() == []


@pytest.mark.parametrize("text", ['[tool.ruff]\nlint = { select = ["E"] }\n', "[tool]\nruff.line-length = 99\n"])
def test_other_ways_to_write_it_are_edited_or_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "mldebt.toml").write_text("")
    draft = drafted(tmp_path, {"pyproject.toml": text})
    if draft.changes():
        said = tomllib.loads(draft.changes()[0].after)
        assert said["tool"]["ruff"]["lint"]["external"] == ["MLD"]
    else:
        assert 'add external = ["MLD"] to [tool.ruff.lint]' in draft.notes[0]


def test_a_link_out_of_the_repository_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.toml").write_text("[tool.ruff]\n")
    (root / "pyproject.toml").symlink_to(tmp_path / "outside.toml")
    draft = drafted(root, {})
    assert draft.changes() == []
    assert "pyproject.toml is left alone: it leads out of the repository" in draft.notes
