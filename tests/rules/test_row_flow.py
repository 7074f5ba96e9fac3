"""The row flow behind MLD6xx: which rows a value holds, what was done to them, and what a program leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mldebt_rules.data.row_flow import RowFlow
from mldebt_rules.data.rows import Data, Event, Fit
from mldebt_rules.data.running import Run

from mldebt.project.project import Project

Build = Callable[..., Project]

HEAD = """
import joblib, numpy as np, pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, train_test_split
from sklearn.preprocessing import StandardScaler
"""


def run_of(project: Build, code: str, **others: str) -> Run:
    """The run of ``train.py``."""
    files = {f"{name}.py": dedent(text) for name, text in others.items()}
    found = project({"train.py": HEAD + dedent(code), **files})[RowFlow].runs
    return next(run for run in found if any(event.site.module.path == "train.py" for event in run.events))


def events(run: Run, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def features(event: Event) -> Data:
    data = event.data[0]
    assert isinstance(data, Data)
    return data


def done(run: Run) -> set[tuple[str, str]]:
    """Kinds and labels of what was done to the features of the last fit."""
    return {(mark.kind, mark.label) for mark in features(events(run, "fit")[-1]).marks}


def parts(run: Run) -> set[str]:
    """The parts of a split that the last fit learns from."""
    data = features(events(run, "fit")[-1])
    return {rows.part for one in data.rows for rows, _ in one.ancestry() if rows.how == "split"}


LEARNED_FROM = {
    "the part for training": "tr, te = train_test_split(frame)\nRidge().fit(tr[['a']], tr['y'])",
    "its features": "a, b, c, d = train_test_split(frame[['a']], frame['y'])\nRidge().fit(a, c)",
    "a slice": "tr, te = frame[:80], frame[80:]\nRidge().fit(tr[['a']], tr['y'])",
    "a fold": "for i, j in KFold(5).split(frame):\n    Ridge().fit(frame.iloc[i][['a']], frame.iloc[i]['y'])",
    "a sample": "train = frame.sample(frac=0.8)\ntest = frame.drop(train.index)\nRidge().fit(train[['a']], train['y'])",
    "a mask": "train = frame[frame['year'] < 2020]\nRidge().fit(train[['a']], train['y'])",
}


@pytest.mark.parametrize("how", LEARNED_FROM)
def test_a_model_learns_from_the_training_part(project: Build, how: str) -> None:
    assert parts(run_of(project, "frame = pd.read_csv('a.csv')\n" + LEARNED_FROM[how])) == {"train"}


def test_a_model_learns_from_all_rows(project: Build) -> None:
    run = run_of(project, "frame = pd.read_csv('a.csv')\nRidge().fit(frame[['a']], frame['y'])")
    assert parts(run) == set()


CHANGES = {
    "x = StandardScaler().fit_transform(frame[['a']])": ("fit", "StandardScaler"),
    "x = frame[['a']] / frame[['a']].max()": ("fit", "max"),
    "x = frame[['a']].fillna(frame[['a']].median())": ("fit", "median"),
    "frame = frame.dropna()\nx = frame[['a']]": ("lost", "dropna"),
    "frame = frame[frame['a'] < frame['a'].quantile(0.9)]\nx = frame[['a']]": ("lost", "the filter on quantile"),
    "frame = pd.concat([frame, frame.sample(frac=0.5)])\nx = frame[['a']]": ("copies", "concatenation with a copy"),
    "frame = frame.sort_values('date')\nx = frame[['a']]": ("time", "sort_values"),
    "frame['b'] = frame['a'].shift(1)\nx = frame[['b']]": ("time", "shift"),
    "frame = frame.merge(pd.read_csv('b.csv'))\nx = frame[['a']]": ("join", "merge"),
    "frame['p'] = Ridge().fit(frame[['a']], frame['y']).predict(frame[['a']])\nx = frame": ("predicted", "Ridge"),
    "x = np.c_[frame, StandardScaler().fit_transform(frame[['a']])]": ("fit", "StandardScaler"),
}


@pytest.mark.parametrize("code", CHANGES)
def test_what_was_done_to_rows_stays_with_them(project: Build, code: str) -> None:
    run = run_of(project, f"frame = pd.read_csv('a.csv')\n{code}\nRidge().fit(x, frame['y'])")
    assert CHANGES[code] in done(run)


@pytest.mark.parametrize(
    "code",
    [
        "frame[['a']].describe()",
        "print(frame['a'].mean())",
        "frame = frame.dropna(axis=1)",
        "frame = frame[frame['country'] == 'NO']",
        "frame = frame.rename(columns={'b': 'c'})",
    ],
)
def test_what_changes_no_row_leaves_no_mark(project: Build, code: str) -> None:
    run = run_of(project, f"frame = pd.read_csv('a.csv')\n{code}\nRidge().fit(frame[['a']], frame['y'])")
    assert not {kind for kind, _ in done(run)} & {"fit", "lost", "copies", "join", "predicted"}


WRAPPED = {
    "a function": ("def work(f):\n    return StandardScaler().fit_transform(f)", "work(frame[['a']])"),
    "a method": (
        "class Work:\n    def of(self, f):\n        self.s = StandardScaler()\n        return self.s.fit_transform(f)",
        "Work().of(frame[['a']])",
    ),
    "a keyword": ("def work(*, f):\n    return StandardScaler().fit_transform(f)", "work(f=frame[['a']])"),
    "a pair": ("def work(f):\n    s = StandardScaler().fit(f)\n    return s.transform(f), s", "work(frame[['a']])[0]"),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_rows_are_followed_into_other_files(project: Build, how: str) -> None:
    body, call = WRAPPED[how]
    name = call.partition("(")[0]
    code = f"from work import {name}\nframe = pd.read_csv('a.csv')\nRidge().fit({call}, frame['y'])"
    assert ("fit", "StandardScaler") in done(run_of(project, code, work=HEAD + body))


def test_a_call_that_is_made_twice_gives_the_same_rows(project: Build) -> None:
    code = """
        def load():
            return pd.read_csv("a.csv").dropna()

        Ridge().fit(load()[["a"]], load()["y"])
        Ridge().fit(load()[["b"]], load()["y"])
    """
    first, second = events(run_of(project, code), "fit")
    assert features(first).rows == features(second).rows


def test_a_function_that_makes_an_object_makes_another_one_each_time(project: Build) -> None:
    code = """
        def make():
            return StandardScaler()

        frame, other = pd.read_csv("a.csv"), pd.read_csv("b.csv")
        one, two = make(), make()
        one.fit(frame)
        two.fit(other)
        Ridge().fit(one.transform(frame), frame["y"])
    """
    run = run_of(project, code)
    (mark,) = features(events(run, "fit")[-1]).kinds("fit")
    assert mark.rows == features(events(run, "fit")[0]).rows


def test_a_call_sees_what_changed_since_the_last_one(project: Build) -> None:
    code = """
        frame = pd.read_csv("a.csv")

        def table():
            return frame

        before = table()
        frame = frame.dropna()
        Ridge().fit(table()[["a"]], frame["y"])
    """
    assert ("lost", "dropna") in done(run_of(project, code))


def test_what_one_program_writes_another_one_reads(project: Build) -> None:
    prepare = HEAD + "frame = pd.read_csv('a.csv')\nx = StandardScaler().fit_transform(frame)\nnp.save('x.npy', x)\n"
    run = run_of(project, "x = np.load('x.npy')\nRidge().fit(x, x)", prepare=prepare)
    assert ("fit", "StandardScaler") in done(run)


@pytest.mark.parametrize(
    "keep",
    ["joblib.dump(model, 'out/m.joblib')", "import pickle\npickle.dump(model, open('out/m.joblib', 'wb'))"],
)
def test_a_model_in_a_file_is_known_by_the_file(project: Build, keep: str) -> None:
    first = HEAD + f"frame = pd.read_csv('a.csv')\nmodel = Ridge().fit(frame[['a']], frame['y'])\n{keep}\n"
    code = "model = joblib.load('out/m.joblib')\nframe = pd.read_csv('b.csv')\nframe['p'] = model.predict(frame)\n"
    run = run_of(project, code + "Ridge().fit(frame, frame['y'])", first=first)
    (mark,) = features(events(run, "fit")[-1]).kinds("predicted")
    assert mark.column == "p"
    assert mark.origin is not None
    assert mark.origin.module.path == "first.py"


def test_an_unknown_pickle_is_nothing(project: Build) -> None:
    run = run_of(
        project, "model = joblib.load('m.joblib')\nframe = model.predict(pd.read_csv('b.csv'))\nRidge().fit(frame)"
    )
    assert not isinstance(events(run, "fit")[-1].data[0], (Data, Fit))


def test_missing_values_that_are_filled_in_are_no_feature(project: Build) -> None:
    code = """
        frame = pd.read_csv("a.csv")
        ages = Ridge().fit(frame[["a"]], frame["age"]).predict(frame[["a"]])
        frame.loc[frame["age"].isnull(), "age"] = ages
        Ridge().fit(frame[["age"]], frame["y"])
    """
    assert "predicted" not in {kind for kind, _ in done(run_of(project, code))}


def test_files_that_only_split_text_are_not_run(project: Build) -> None:
    code = "import numpy as np\nwords = np.array(open('a.txt').read().split())\nprint(words)\n"
    assert project({"words.py": code})[RowFlow].runs == ()


STATEMENTS = (
    "frame = frame.dropna()",
    "frame['a'] = frame['a'] / frame['a'].max()",
    "train, test = train_test_split(frame)",
    "frame = pd.concat([frame, frame])",
    "for part in [frame]:\n    frame = part.head(5)",
    "if frame.empty:\n    frame = pd.read_csv('b.csv')",
    "frame = (lambda f: f)(frame)",
    "x = StandardScaler().fit_transform(frame)",
    "Ridge().fit(frame[['a']], frame['y'])",
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=8))
def test_any_order_of_steps_is_run_the_same_twice(project: Build, steps: list[str]) -> None:
    files = {"train.py": HEAD + "frame = pd.read_csv('a.csv')\n" + "\n".join(steps) + "\nRidge().fit(frame, frame)\n"}
    runs = [project(files)[RowFlow].runs for _ in range(2)]
    first, second = ([(one.kind, one.site.key, one.label) for run in found for one in run.events] for found in runs)
    assert first == second
    assert first[-1][0] == "fit"


LEAK = HEAD + dedent(
    """
    frame = pd.read_csv("patients.csv")
    frame[["a"]] = StandardScaler().fit_transform(frame[["a"]])
    x_train, x_test, y_train, y_test = train_test_split(frame[["a"]], frame["ill"])
    print(Ridge().fit(x_train, y_train).score(x_test, y_test))
    """
)


@pytest.mark.parametrize(
    ("directory", "count", "followed"), [("data", 40, False), ("lessons", 40, True), ("data", 5, True)]
)
def test_programs_that_are_kept_as_data_are_not_followed(
    project: Build, directory: str, count: int, followed: bool
) -> None:
    found = project({f"{directory}/script{number}.py": LEAK for number in range(count)})
    assert bool(found[RowFlow].runs) is followed


def test_programs_that_another_one_imports_are_no_data(project: Build) -> None:
    files = {f"data/script{number}.py": LEAK for number in range(40)}
    found = project({**files, "train.py": "from data.script3 import x_train\n"})
    assert len(found[RowFlow].runs) >= 40


@pytest.mark.parametrize(
    ("body", "mild"),
    [
        ("frame['a'] = frame['a'].fillna(frame['a'].median())", True),
        ("frame.loc[frame['a'].isna(), 'a'] = frame['a'].mean()", True),
        ("frame[['a']] = SimpleImputer().fit_transform(frame[['a']])", True),
        ("frame['a'] = frame['a'].replace(0, frame['a'].mean())", True),
        ("frame['a'] = frame['a'] - frame['a'].mean()", False),
        ("m = frame['a'].mean()\nframe['a'] = frame['a'].fillna(m) - m", False),
    ],
)
def test_a_figure_that_fills_missing_values_is_told_from_one_that_scales(project: Build, body: str, mild: bool) -> None:
    run = run_of(
        project,
        "from sklearn.impute import SimpleImputer\n"
        f"frame = pd.read_csv('p.csv')\n{body}\nx_train, x_test = train_test_split(frame[['a']])\n",
    )
    marks = features(events(run, "split")[0]).kinds("fit")
    assert all(mark.mild for mark in marks) is mild
    assert marks


@pytest.mark.parametrize(
    ("body", "split"),
    [
        ("a, b = frame[:n], frame[n:]", True),
        ("a, b = frame[: int(0.8 * len(frame))], frame[int(0.8 * len(frame)) :]", True),
        ("a, b = frame[:n], frame[m:]", False),
        ("train, b = frame[:n], frame[m:]", True),
        ("x_train = frame[: n - 50]\nx_test = frame[n:]", True),
        ("a = frame[:n]\nb = frame[:m]", False),
    ],
)
def test_two_slices_are_a_split_at_one_bound_or_by_their_names(project: Build, body: str, split: bool) -> None:
    run = run_of(project, f"frame, n, m = pd.read_csv('p.csv'), 80, 90\nRidge().fit(frame, frame['y'])\n{body}\n")
    assert bool(RowFlow.splits(run)) is split


def test_values_that_are_rare_by_their_counts_are_no_figure(project: Build) -> None:
    run = run_of(
        project,
        """
        frame = pd.read_csv("wines.csv")
        counts = frame["variety"].value_counts()
        rare = counts[counts < 500].index
        frame.replace(rare, np.nan, inplace=True)
        x_train, x_test = train_test_split(frame[["variety"]])
        """,
    )
    assert not features(events(run, "split")[0]).kinds("fit")


def test_parts_that_a_callee_names_were_cut_by_its_caller(project: Build) -> None:
    run = run_of(
        project,
        """
        from fitting import fit

        rows = np.load("rows.npy")
        order = np.load("order.npy")
        keep_rows, rest_rows = order[order > 3], order[order <= 3]
        fit(rows[keep_rows], rows[rest_rows])
        """,
        fitting="def fit(a, b):\n    train, test = list(a), list(b)\n",
    )
    assert {event.site.module.path for event in events(run, "cut")} == {"train.py"}


USED = "def load(frame):\n    frame['a'] = frame['a'] - frame['a'].mean()\n    return train_test_split(frame)\n"


@pytest.mark.parametrize(
    ("rest", "followed"),
    [
        ("", True),
        ("Ridge().fit(*joblib.load('rows.pkl'))\n", False),
        ("Ridge().fit(*joblib.load('rows.pkl'))\nSTEPS = [load]\n", True),
        ("Ridge().fit(*joblib.load('rows.pkl'))\n__all__ = ['load']\n", True),
        ("if __name__ == '__main__':\n    print('ready')\n", False),
    ],
)
def test_a_function_that_its_script_never_names_is_not_followed(project: Build, rest: str, followed: bool) -> None:
    runs = project({"train.py": HEAD + USED + rest})[RowFlow].runs
    assert any(event.kind == "split" for run in runs for event in run.events) is followed
