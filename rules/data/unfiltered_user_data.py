"""MLD616 unfiltered-user-data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .user_data import UserData


class UnfilteredUserData(ProjectRule):
    """A model is trained on what users upload or write, and nothing on the way chooses, checks or deduplicates it.

    Information only: code cannot say whom to trust. The data of every fit are followed back to the files, tables and
    pages they are read from, and on to the endpoint that stores what a request brings.

    ## Why it is debt

    Whoever may write the training data may change the model: by spam, by copies that outweigh everything else, or on
    purpose. Poisoning a small part of the data is enough to plant a chosen behaviour.

    ## How to pay it back

    Put a step between: take reviewed rows only, drop duplicates, limit the rows of one user, reject outliers, and
    compare each new batch with the last one before it is used.

    ## When to leave it

    A mask, a condition in the query, a deduplication, a validation or a function whose name says that it filters or
    reviews is such a step, wherever it stands between the source and the fit; then the rule is silent. It is also
    silent where neither the source's name nor the code that fills it says that users write it.

    ## References

    * N. Carlini et al., "Poisoning Web-Scale Training Datasets is Practical", IEEE S&P 2024.
    * E. Breck et al., "The ML Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction", 2017.
    """

    code: ClassVar[str] = "MLD616"
    severity: ClassVar[Severity] = Severity.INFO
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 30
    examples = (
        Bad(
            {
                "uploads.py": """
                import json
                from pathlib import Path

                FOLDER = Path("data/user_uploads")


                def load_uploads():
                    return [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
                """,
                "train.py": """
                import pandas as pd
                from sklearn.linear_model import LogisticRegression
                from uploads import load_uploads


                def main():
                    rows = pd.DataFrame(load_uploads())
                    LogisticRegression().fit(rows[["length"]], rows["label"])


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("uploads.py:8",),
        ),
        Bad(
            {
                "app.py": """
                import csv

                from flask import Flask, request

                app = Flask(__name__)


                @app.route("/report", methods=["POST"])
                def report():
                    with open("data/reports.csv", "a") as file:
                        csv.writer(file).writerow([request.json["text"], request.json["label"]])
                    return "thanks"
                """,
                "train.py": """
                import pandas as pd
                from sklearn.feature_extraction.text import CountVectorizer
                from sklearn.naive_bayes import MultinomialNB
                from sklearn.pipeline import make_pipeline

                reports = pd.read_csv("data/reports.csv", names=["text", "label"])
                make_pipeline(CountVectorizer(), MultinomialNB()).fit(reports["text"], reports["label"])
                """,
            },
            anchors=("train.py:6",),
        ),
        Bad(
            """
            import os

            import pandas as pd
            from sklearn.linear_model import Ridge
            from sqlalchemy import create_engine

            engine = create_engine(os.environ["DATABASE_URL"])
            rows = pd.read_sql("SELECT stars, length FROM feedback", engine)
            Ridge().fit(rows[["length"]], rows["stars"])
            """,
            anchors=("example.py:8",),
        ),
        Good(
            """
            import os

            import pandas as pd
            from sklearn.linear_model import Ridge
            from sqlalchemy import create_engine

            engine = create_engine(os.environ["DATABASE_URL"])
            rows = pd.read_sql("SELECT stars, length FROM feedback WHERE reviewed", engine)
            Ridge().fit(rows[["length"]], rows["stars"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            rows = pd.read_csv("data/user_uploads.csv").drop_duplicates()
            Ridge().fit(rows[["length"]], rows["stars"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            rows = pd.read_csv("data/measurements.csv")
            Ridge().fit(rows[["length"]], rows["weight"])
            """
        ),
        Good(
            {
                "review.py": """
                def reviewed(rows):
                    return rows[rows["status"] == "approved"]
                """,
                "train.py": """
                import pandas as pd
                from review import reviewed
                from sklearn.linear_model import Ridge

                rows = reviewed(pd.read_csv("data/submissions.csv"))
                Ridge().fit(rows[["length"]], rows["stars"])
                """,
            }
        ),
        Good(
            """
            import pandas as pd

            rows = pd.read_csv("data/user_uploads.csv")
            print(rows.groupby("user").size())
            """
        ),
        Good(
            """
            import json

            import pandas as pd
            from sklearn.linear_model import Ridge

            rows = []
            with open("data/comments.jsonl") as file:
                for line in file:
                    row = json.loads(line)
                    if row["score"] > 3 and is_trusted(row["user"]):
                        rows.append(row)
            frame = pd.DataFrame(rows)
            Ridge().fit(frame[["length"]], frame["stars"])
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for found in project[UserData].all:
            fit = found.learning.module.place(found.learning.call)
            related = [Related(fit, "the model is fitted here", "effect")]
            if found.put is not None:
                related.insert(0, Related(found.put.place, "what users write is stored here", "cause"))
            yield Problem(
                found.start.module.place(found.start.call),
                f"{fit.path}:{fit.span.line} trains on {found.what}, which users write, as it is",
                related=tuple(related),
                evidence=("no mask, condition, deduplication, validation or review was found between it and the fit",),
                symbol=found.what,
            )
