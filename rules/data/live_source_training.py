"""MLD605 live-source-training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .live_training import LiveFit, LiveTraining


class LiveSourceTraining(ProjectRule):
    """A model is trained on what a running database, a service or a stream gives at the moment, and no copy is kept.

    The data of every fit are followed backwards to where they are read: through frames, functions and files of the
    project.

    ## Why it is debt

    The next training reads other rows: nobody can repeat this one, compare two models fairly, or find out which rows
    made a model worse. Sculley and others call it an unstable data dependency, and name the remedy: a versioned
    copy of the input.

    ## How to pay it back

    Write a snapshot first (a Parquet file that DVC tracks, a Delta or lakeFS version, a dated table), train on the
    snapshot, and store its name with the model. Or bound the query: `WHERE created_at < '2024-06-01'`, `AS OF`.

    ## When to leave it

    A query that is bounded in time by a value or a parameter, names a snapshot, a version or a partition, a table
    whose name says that it is one, and a training that writes what it reads or logs it to a tracker are silent. So are
    files, SQLite and DuckDB databases, queries whose text is not known, and files fetched from a URL, which
    `unpinned-external-data` looks at.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 3, unstable data
      dependencies.
    * Delta Lake documentation, "Query an older snapshot of a table (time travel)",
      https://docs.delta.io/latest/delta-batch.html
    """

    code: ClassVar[str] = "MLD605"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 30
    examples = (
        Bad(
            {
                "database.py": """
                import os

                import pandas as pd
                from sqlalchemy import create_engine


                def load_events():
                    engine = create_engine(os.environ["DATABASE_URL"])
                    return pd.read_sql("SELECT * FROM events", engine)
                """,
                "train.py": """
                import joblib
                from database import load_events
                from sklearn.ensemble import GradientBoostingClassifier


                def main():
                    events = load_events().dropna()
                    model = GradientBoostingClassifier(random_state=0)
                    model.fit(events[["age", "visits"]], events["bought"])
                    joblib.dump(model, "model.joblib")


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("database.py:9",),
        ),
        Bad(
            """
            import pandas as pd
            import psycopg2
            from sklearn.linear_model import LogisticRegression

            QUERY = '''
                SELECT amount, country, fraud
                FROM payments
                WHERE created_at > now() - interval '90 days'
            '''

            with psycopg2.connect(host="db.internal") as connection:
                cursor = connection.cursor()
                cursor.execute(QUERY)
                rows = pd.DataFrame(cursor.fetchall(), columns=["amount", "country", "fraud"])
            LogisticRegression().fit(rows[["amount"]], rows["fraud"])
            """,
            anchors=("example.py:13",),
        ),
        Bad(
            {
                "fetch.py": """
                import requests


                def prices():
                    answer = requests.get("https://api.market.example/v1/prices", timeout=30)
                    answer.raise_for_status()
                    return answer.json()
                """,
                "train.py": """
                import pandas as pd
                from fetch import prices
                from xgboost import XGBRegressor

                frame = pd.DataFrame(prices())
                XGBRegressor(seed=0).fit(frame.drop(columns=["close"]), frame["close"])
                """,
            },
            anchors=("fetch.py:5",),
        ),
        Good(
            """
            import os

            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sqlalchemy import create_engine

            engine = create_engine(os.environ["DATABASE_URL"])
            events = pd.read_sql("SELECT * FROM events", engine)
            events.to_parquet("data/snapshots/events_2024_06_01.parquet")
            LogisticRegression().fit(events[["age"]], events["bought"])
            """
        ),
        Good(
            {
                "export.py": """
                import os

                import pandas as pd
                from sqlalchemy import create_engine

                engine = create_engine(os.environ["DATABASE_URL"])
                pd.read_sql("SELECT * FROM events", engine).to_parquet("data/events.parquet")
                """,
                "train.py": """
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                events = pd.read_parquet("data/events.parquet")
                LogisticRegression().fit(events[["age"]], events["bought"])
                """,
            }
        ),
        Good(
            """
            import os

            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sqlalchemy import create_engine, text

            UNTIL = "2024-06-01"
            engine = create_engine(os.environ["DATABASE_URL"])
            query = text("SELECT age, bought FROM events WHERE created_at < :until")
            events = pd.read_sql(query, engine, params={"until": UNTIL})
            LogisticRegression().fit(events[["age"]], events["bought"])
            """
        ),
        Good(
            """
            import os

            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sqlalchemy import create_engine

            FIRST, LAST = "2024-01-01", "2024-06-30"
            engine = create_engine(os.environ["DATABASE_URL"])
            events = pd.read_sql(f"SELECT age, bought FROM events WHERE ts BETWEEN '{FIRST}' AND '{LAST}'", engine)
            LogisticRegression().fit(events[["age"]], events["bought"])
            """
        ),
        Good(
            """
            import pandas as pd
            from google.cloud import bigquery
            from sklearn.linear_model import LogisticRegression


            def rows(day):
                client = bigquery.Client()
                query = f"SELECT age, bought FROM shop.events FOR SYSTEM_TIME AS OF TIMESTAMP('{day}')"
                return client.query(query).to_dataframe()


            events = rows("2024-06-01")
            frozen = bigquery.Client().query("SELECT age, bought FROM shop.events_snapshot_20240601").to_dataframe()
            LogisticRegression().fit(pd.concat([events, frozen])[["age"]], pd.concat([events, frozen])["bought"])
            """
        ),
        Good(
            """
            import sqlite3

            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            base = sqlite3.connect("data/titanic.db")
            people = pd.read_sql_query("SELECT * FROM people", base)
            LogisticRegression().fit(people[["age"]], people["survived"])
            """
        ),
        Good(
            """
            import os

            import pandas as pd
            from sqlalchemy import create_engine

            engine = create_engine(os.environ["DATABASE_URL"])
            events = pd.read_sql("SELECT * FROM events", engine)
            print(events.groupby("country").size())
            """
        ),
        Good(
            """
            import os

            import mlflow
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sqlalchemy import create_engine

            engine = create_engine(os.environ["DATABASE_URL"])
            events = pd.read_sql("SELECT * FROM events", engine)
            mlflow.log_input(mlflow.data.from_pandas(events), context="training")
            LogisticRegression().fit(events[["age"]], events["bought"])
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for found in project[LiveTraining].all:
            yield _problem(found)


def _problem(found: LiveFit) -> Problem:
    start, fit = found.start, found.learning
    where = fit.module.place(fit.call)
    steps = [Related(one.module.place(one.call), "what is read comes back here", "path") for one in start.stack[::-1]]
    return Problem(
        start.module.place(start.call),
        f"{where.path}:{where.span.line} trains on {found.source.what} as it is at that moment",
        related=(*steps, Related(where, "the model is fitted here", "effect")),
        evidence=(
            found.source.why,
            "no program of this training writes what is read to a file or table, and no tracker logs it",
        ),
        symbol=found.source.what,
    )
