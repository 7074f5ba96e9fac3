"""MLD111 pipeline-jungle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .orderings import Orderings
from .preparation import JOIN, READ, REASSIGN, RESULT, SAMPLE, SHORT, WRITE, Preparation, Step, counted
from .reach import Reach

_ROLES = frozenset({"train", "tune", "split", "preprocess"})
_NOUNS = {
    READ: ("read", "reads"),
    JOIN: ("join", "joins"),
    SAMPLE: ("sampling", "samplings"),
    WRITE: ("intermediate write", "intermediate writes"),
    REASSIGN: ("re-assignment", "re-assignments"),
}
_KINDS_NEEDED = 3
_LISTED = 40  # steps that evidence and related places list
# Measured on 254 preparation files of 16 repositories: the median and the 95th percentile of their steps.
_MEDIAN, _USUAL = 4, 16


@dataclass(frozen=True)
class PipelineJungle(ProjectRule):
    """Data preparation has grown into one long run of reads, joins, samplings, writes and re-assigned frames.

    Counted are the steps of the functions of one file that belong together (or of one notebook): files and tables
    read, frames joined, sampled, written on the way, and assigned again to their own name. There are many, of at least
    three of the first four kinds, and few of them stand in short functions with a name.

    ## Why it is debt

    "The resulting system for preparing data in an ML-friendly format may become a jungle of scrapes, joins, and
    sampling steps, often with intermediate files output" (Sculley and others). No step can be tested, reordered or
    reused alone; each new source adds to the end; an error shows as a worse model.

    ## How to pay it back

    Think of the data as a whole and write the preparation anew: sources, then named and tested steps, each from frame
    to frame, then one place that runs them. There is no fix for one line.

    ## When to leave it

    `df.pipe(step)` chains, calls of the project's own functions and short functions are named steps; SQL and pipeline
    frameworks declare theirs. Exploration that neither fits nor writes anything is no pipeline. These are left alone.
    Predictions, submissions and results that are written are what a program is for and not counted, and a join counts
    once, also where its frame is assigned again.

    ## Options

    * `steps`: how many make a jungle. Of 254 files with data preparation in 16 repositories half have at most 4,
      95 % at most 16, 99 % at most 30.
    * `named_share`: the share of named steps from which on it is none. Named: in a function of at most 40 lines and ten
      steps, a call of an own function, a pipe.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.2.
    """

    code: ClassVar[str] = "MLD111"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 120
    steps: int = 25
    named_share: float = 0.30
    examples = (
        Bad(
            {
                "train.py": """
                import pandas as pd
                from sklearn.linear_model import LogisticRegression
                from sklearn.model_selection import train_test_split

                df = pd.read_csv("data/visits.csv")
                labs = pd.read_parquet("data/labs.parquet")
                drugs = pd.read_json("data/drugs.json")
                wards = pd.read_csv("data/wards.csv")
                df = df[df["age"] > 17]
                df = df.drop_duplicates("visit")
                df = df.merge(labs, on="visit", how="left")
                df = df[df["lab_code"].notna()]
                df = df.rename(columns={"val": "value"})
                df = df.merge(drugs, on="patient", how="left")
                df = df.fillna({"dose": 0})
                df = df.sample(50_000, random_state=1)
                df.to_csv("tmp1.csv")
                df = pd.read_csv("tmp1.csv")
                df = df.merge(wards, on="ward")
                df = df.sort_values("admitted")
                df = df[df["admitted"] > "2019"]
                old = pd.read_csv("data/archive.csv")
                old = old[old["age"] > 17]
                old = old.rename(columns={"v": "value"})
                df = pd.concat([df, old])
                df = df.drop(columns=["name"])
                df.to_parquet("tmp2.parquet")
                df = pd.get_dummies(df)
                train, test = train_test_split(df, random_state=0)
                LogisticRegression().fit(train.drop(columns="dead"), train["dead"])
                """,
            },
            anchors=("train.py:5",),
        ),
        Bad(
            {
                "prepare.py": """
                import pandas as pd
                from sklearn.ensemble import RandomForestClassifier


                def main():
                    data = pd.read_csv("data/a.csv")
                    data = data.dropna(subset=["id"])
                    more = pd.read_csv("data/b.csv")
                    more = more[more["x"] > 0]
                    data = data.merge(more, on="id")
                    data = data.query("x < 9")
                    third = pd.read_excel("data/c.xlsx")
                    third.dropna(inplace=True)
                    third = third.rename(columns={"k": "id"})
                    data = data.merge(third, on="id", how="left")
                    data = data.sample(frac=0.5, random_state=3)
                    data = data.reset_index()
                    data.to_csv("data/step1.csv")
                    fourth = pd.read_sql("SELECT id, w FROM weights", "sqlite:///w.db")
                    fourth = fourth.groupby("id").mean()
                    data = data.join(fourth, on="id")
                    data = data.fillna(0)
                    data.to_csv("data/step2.csv")
                    fifth = pd.read_csv("data/e.csv")
                    fifth = fifth.drop_duplicates()
                    fifth = fifth[fifth["ok"] == 1]
                    data = pd.concat([data, fifth])
                    data = data.sort_values("id")
                    data = data.drop(columns=["index"])
                    data = data.astype("float32")
                    RandomForestClassifier(random_state=0).fit(data.drop(columns="y"), data["y"])


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("prepare.py:6",),
        ),
        Bad(
            """
            import polars as pl
            from xgboost import XGBClassifier

            t = pl.read_csv("a.csv")
            u = pl.read_csv("b.csv")
            t = t.join(u, on="id")
            t = t.sample(1000, seed=1)
            t = t.drop("x")
            t = t.unique()
            t.write_csv("t.csv")
            t = t.drop_nulls()
            t = t.sort("id")
            t = t.rename({"k": "key"})
            t = t.head(500)
            t = t.fill_null(0)
            XGBClassifier().fit(t.drop("y").to_numpy(), t["y"].to_numpy())
            """,
            options={"steps": 12},
        ),
        Good(
            {
                "train.py": """
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                from steps import with_drugs, with_labs, with_wards

                visits = pd.read_csv("data/visits.csv")
                df = visits.merge(pd.read_csv("data/ages.csv"), on="visit").sample(500, random_state=1)
                df = df.pipe(with_labs)
                df = with_drugs(df)
                df = with_wards(df)
                df = with_labs(df, "value")
                df.to_csv("data/all.csv")
                LogisticRegression().fit(df[["age"]], df["dead"])
                """,
                "steps.py": """
                import pandas as pd


                def with_labs(df, column=None):
                    df = df.merge(pd.read_csv("data/labs.csv"), on="visit")
                    df = df.dropna()
                    return df


                def with_drugs(df):
                    df = df.merge(pd.read_csv("data/drugs.csv"), on="patient")
                    df = df.fillna(0)
                    return df


                def with_wards(df):
                    df = df.merge(pd.read_csv("data/wards.csv"), on="ward")
                    df = df.drop_duplicates()
                    return df
                """,
            },
            options={"steps": 7},
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            df = pd.read_csv("data/visits.csv")
            df = df[df["age"] > 17]
            df = df.rename(columns={"val": "value"})
            df = df.fillna({"dose": 0})
            df = df.sort_values("admitted")
            df = df[df["admitted"] > "2019"]
            df = df.drop(columns=["name"])
            df = df.astype("float32")
            LogisticRegression().fit(df[["age"]], df["dead"])
            """,
            options={"steps": 8},
        ),
        Good(
            """
            import pandas as pd

            df = pd.read_csv("data/visits.csv")
            labs = pd.read_csv("data/labs.csv")
            df = df.merge(labs)
            df = df.merge(pd.read_csv("data/drugs.csv"))
            df = df.sample(100)
            df = df[df["age"] > 17]
            df = df.fillna(0)
            df = df.sort_values("admitted")
            print(df.describe())
            """,
            options={"steps": 8},
        ),
        Good(
            {
                "dag.py": """
                import pandas as pd
                from prefect import flow, task


                @task
                def prepare():
                    df = pd.read_csv("data/a.csv")
                    df = df.merge(pd.read_csv("data/b.csv"))
                    df = df.merge(pd.read_csv("data/c.csv"))
                    df = df.sample(100)
                    df = df.fillna(0)
                    df = df.drop(columns="x")
                    df.to_csv("data/d.csv")


                @flow
                def main():
                    prepare()


                if __name__ == "__main__":
                    main()
                """,
            },
            options={"steps": 8},
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression


            def visits():
                df = pd.read_csv("data/visits.csv")
                df = df[df["age"] > 17]
                return df.sample(100, random_state=1)


            def labs():
                df = pd.read_csv("data/labs.csv")
                df = df.dropna()
                return df


            def table():
                df = visits().merge(labs())
                df = df.fillna(0)
                df.to_csv("data/table.csv")
                return df


            df = table()
            LogisticRegression().fit(df[["age"]], df["dead"])
            """,
            options={"steps": 8},
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            df = pd.read_csv("data/visits.csv")
            df = df.merge(pd.read_csv("data/labs.csv"))
            df = df.merge(pd.read_csv("data/drugs.csv"))
            df = df.fillna(0)
            model = LogisticRegression().fit(df[["age"]], df["dead"])
            submission = df.assign(dead=model.predict(df[["age"]]))
            submission.to_csv("submission.csv")
            df.to_csv("data/oof_predictions.csv")
            """,
            options={"steps": 7},
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        preparation = project[Preparation]
        for module in project.modules.values():
            if module.role != "project" or module.is_test or len(preparation.steps(module)) < self.steps:
                continue
            for found in preparation.components(module):
                steps = [step for step in found if step.kind != RESULT]
                if self._is_jungle(steps, len(steps) < len(found)) and _leads_somewhere(project, module, steps):
                    yield _problem(module, steps)

    def _is_jungle(self, steps: Sequence[Step], has_result: bool) -> bool:
        counts = counted(steps)
        kinds = sum(1 for kind in (READ, JOIN, SAMPLE) if counts[kind]) + (has_result or counts[WRITE] > 0)
        named = sum(step.named for step in steps) / len(steps) if steps else 0.0
        return len(steps) >= self.steps and kinds >= _KINDS_NEEDED and counts[READ] > 0 and named < self.named_share


def _leads_somewhere(project: Project, module: Module, steps: Sequence[Step]) -> bool:
    """Whether a program that fits, splits or prepares data runs the steps, and no pipeline framework does."""
    first = steps[0]
    entries = project[Reach].entries(module, first.scope, first.statement)
    orders = project[Orderings]
    if orders.uses_framework(module) or any(orders.is_orchestrated(entry) for entry in entries):
        return False
    return any(_ROLES & project.roles(entry) for entry in entries)


def _problem(module: Module, steps: Sequence[Step]) -> Problem:
    counts = counted(steps)
    parts = [f"{counts[kind]} {_NOUNS[kind][counts[kind] != 1]}" for kind in _NOUNS if counts[kind]]
    named = round(100 * sum(step.named for step in steps) / len(steps))
    places = [(step, module.place(step.call if step.call is not None else step.statement)) for step in steps]
    first = places[0][1]
    related = [Related(place, f"step {n}: {step.kind}", "path") for n, (step, place) in enumerate(places, 1)]
    return Problem(
        first,
        f"{len(steps)} steps of data preparation in one go ({', '.join(parts)}), {named} % of them in named functions; "
        f"half of such files have at most {_MEDIAN} steps, 95 % at most {_USUAL}",
        tuple(one for one in related if one.place != first)[:_LISTED],
        evidence=(
            *(f"line {place.span.line}: {step.kind}" for step, place in places[:_LISTED]),
            f"named: in a function of at most {SHORT} lines and ten steps, a call of an own function, a pipe",
        ),
        carries=tuple(sorted({(module.path, step.statement.line) for step in steps})),
    )
