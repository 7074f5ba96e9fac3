"""Where values come from, what goes into stores, and what a program does with a frame it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.data import queries
from mldebt_rules.data.frame_uses import FrameUses
from mldebt_rules.data.learning import Learnings
from mldebt_rules.data.owners import Owners
from mldebt_rules.data.provenance import Provenance
from mldebt_rules.data.together import together

from mldebt.config import Config, Request
from mldebt.facts.schema import Call
from mldebt.module import Module
from mldebt.pipeline import scan
from mldebt.project.project import Project
from mldebt.registry import Registry
from mldebt.settings.selectors import Vocabulary
from mldebt.testing import write

Build = Callable[[Mapping[str, str]], Project]


@pytest.fixture(name="project")
def project_on_disk(tmp_path: Path) -> Build:
    def build(files: Mapping[str, str]) -> Project:
        root = write({name: dedent(text) for name, text in files.items()}, tmp_path / "repository")
        config = Config(root, active=frozenset(), isolated=True, vocabulary=Vocabulary.of(()))
        return scan(Request(root, config=config, use_cache=False, jobs=1), Registry(())).project

    return build


def is_source(module: Module, scope: int, call: Call) -> str:
    """A call of a function that is named ``source``, ``other`` or ``read_csv`` is where values start."""
    name = getattr(call.function, "name", "").rpartition(".")[2]
    return name if name in ("source", "other", "read_csv") else ""


def starts(project: Project) -> list[tuple[str, tuple[object, ...]]]:
    """What the labels of the only fit start from: the call's name, and what is taken of its result."""
    (learning,) = project[Learnings].all
    assert learning.label is not None
    found = project[Provenance].of(learning.module, learning.scope, learning.label, is_source, learning.keys)
    return sorted((start.kind, start.keys) for start in found)


FIT = "\nfrom sklearn.svm import SVC\nSVC().fit(x, y)\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = source()\ny = source()['label']", [("source", ("label",))]),
        ("x = df = source()\ny = df.label.astype(int)", [("source", ("label",))]),
        ("x = df = source()\ndf['y'] = other()\ny = df['y']", [("other", ())]),
        ("x = df = source()\ndf['z'] = other()\ny = df['y']", [("source", ("y",))]),
        ("x = df = source().rename(columns={'a': 'b'})\ny = df['b']", [("source", ("a",))]),
        ("x = df = source().drop(columns=['y'])\ny = df['y']", []),
        ("x = df = source().assign(y=other())\ny = df['y']", [("other", ())]),
        ("x, y = source()", [("source", (1,))]),
        ("x, y = [], []\nfor row in source():\n    y.append(row['label'])", [("source", ("label",))]),
        ("x = 1\ny = [row['label'] for row in source() if row['ok']]", [("source", ("label",))]),
        ("x = 1\ny = {'a': source(), 'b': other()}['b']", [("other", ())]),
        ("x = 1\n_, y = list(zip(source(), other()))", [("other", ())]),
        ("x = df = source()\ny = df['a'].apply(lambda value: value > 1)", [("source", ("a",))]),
        ("from sklearn.model_selection import train_test_split\nx, _, y, _ = train_test_split(source(), other())",
         [("other", ())]),
    ],
)  # fmt: skip
def test_labels_are_followed_to_their_source(
    project: Build, code: str, expected: list[tuple[str, tuple[object, ...]]]
) -> None:
    assert starts(project({"train.py": code + FIT})) == expected


def test_values_are_followed_through_files_classes_and_parameters(project: Build) -> None:
    files = {
        "store.py": """
            class Store:
                def __init__(self, path):
                    self.rows = source(path)

                def labels(self):
                    return [row["label"] for row in self.rows]
            """,
        "work.py": """
            def fit(model, x, y):
                return model.fit(x, y)
            """,
        "train.py": """
            from sklearn.svm import SVC
            from store import Store
            from work import fit

            fit(SVC(), [[1]], Store("a").labels())
            """,
    }
    assert starts(project(files)) == [("source", ("label",))]


def test_a_call_decides_which_argument_comes_back(project: Build) -> None:
    code = """
        def same(value):
            return value

        x = same(other())
        y = same(source())
        """
    assert starts(project({"train.py": dedent(code) + FIT})) == [("source", ())]


def uses(project: Project) -> FrameUses:
    """What is done with what the only ``read_csv`` gives."""
    for module in project.modules.values():
        for scope in range(len(module.facts.scopes)):
            for site in module.call_sites(scope):
                if is_source(module, scope, site.call) == "read_csv":
                    return FrameUses(project, module, scope, site.call).follow()
    raise AssertionError("no read_csv")


HEAD = "import pandas as pd\ndf = pd.read_csv('x.csv')\n"


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("print(df['a'].mean(), df.b.max())", {"a", "b"}),
        ("x = df[['a', 'b']]", {"a", "b"}),
        ("rest = df.dropna()[df['a'] > 0].reset_index()\nx = rest['b']", {"a", "b"}),
        ("x = df.loc[df['a'] > 0, ['b']]", {"a", "b"}),
        ("for _, row in df.iterrows():\n    print(row['a'])", set()),
        ("def f(frame):\n    return frame['a']\nf(df)", {"a"}),
        ("def f(frame):\n    return frame.dropna()\nx = f(df)['b']", {"b"}),
    ],
)
def test_frames_are_followed_while_columns_are_named(project: Build, code: str, named: set[str]) -> None:
    found = uses(project({"train.py": HEAD + code}))
    assert not found.escapes
    assert found.named == named


@pytest.mark.parametrize(
    "code",
    [
        "model.fit(df)",
        "x = df.values",
        "df.to_csv('y.csv')",
        "x = df.select_dtypes('number')",
        "x = df[columns()]",
        "x = [df]",
        "for row in df.iterrows():\n    use(row)",
        "x = df.groupby('a').mean()",
        "def f(frame):\n    return frame\nsave(f(df))",
    ],
)
def test_a_frame_that_is_used_as_a_whole_escapes(project: Build, code: str) -> None:
    assert uses(project({"train.py": HEAD + code})).escapes


@pytest.mark.parametrize(
    ("text", "tables", "columns"),
    [
        ("SELECT a, b AS c FROM t WHERE d = 1", ("t",), ("a", "c")),
        ("select * from `shop.raw.t` join u on t.a = u.a", ("shop.raw.t", "u"), ()),
        ("SELECT coalesce(a, b) AS c, t.d FROM t", ("t",), ("c", "d")),
        ("UPDATE t SET a = 1", (), ()),
    ],
)
def test_queries_say_what_they_read(text: str, tables: tuple[str, ...], columns: tuple[str, ...]) -> None:
    assert queries.read(text) == (tables, columns)


def test_queries_say_what_they_write() -> None:
    assert queries.written("INSERT INTO t (a, b) VALUES (?, ?)") == queries.Written("t", ("a", "b"))
    assert queries.written("UPDATE t SET a = ?, b = now() WHERE c = ?") == queries.Written("t", ("a",))
    assert queries.written("SELECT a FROM t") is None


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading_of_queries(text: str) -> None:
    queries.read(text)
    queries.written(text)
    queries.condition(text)
    queries.source(text, "a")


def test_owners_are_those_of_the_last_line_that_fits(project: Build) -> None:
    files = {"CODEOWNERS": "* @all\n/risk/ @risk  # money\n", "risk/score.py": "a = 1\n", "ads/match.py": "a = 1\n"}
    linked = project(files)
    owners = {path: linked[Owners].of(path) for path in linked.modules}
    assert owners == {"risk/score.py": "@risk", "ads/match.py": "@all"}


def test_without_codeowners_a_top_level_package_is_an_owner(project: Build) -> None:
    files = {
        "src/risk/__init__.py": "",
        "src/risk/a.py": "a = 1\n",
        "scripts/__init__.py": "",
        "scripts/b.py": "a = 1\n",
        "loose/c.py": "a = 1\n",
        "d.py": "a = 1\n",
    }
    linked = project(files)
    owners = {path: linked[Owners].of(path) for path in linked.modules if not path.endswith("__init__.py")}
    assert owners == {"src/risk/a.py": "src/risk", "scripts/b.py": None, "loose/c.py": None, "d.py": None}


def test_files_run_together_where_one_imports_both(project: Build) -> None:
    linked = project({"a.py": "import b\nimport c\n", "b.py": "x = 1\n", "c.py": "y = 1\n", "d.py": "z = 1\n"})
    assert together(linked, ["b.py"]) == {"a.py", "b.py", "c.py"}
