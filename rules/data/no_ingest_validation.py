"""MLD612."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .ingests import Ingest, Ingests


class NoIngestValidation(ProjectRule):
    """A program reads a table that comes from outside the repository and fits or predicts on it, and nothing on the
    way looks at columns, ranges or missing values.

    ## Why it is debt

    The source changes without asking: a column is renamed and filled with zeros, a unit changes, half of the rows are
    empty. The program goes on, and the model is trained on, or answers for, something else. It shows weeks later, in a
    figure far away from the cause.

    ## How to pay it back

    Check at the door, once: a `pandera` schema (`Events.validate(frame)`), `great_expectations`, TensorFlow Data
    Validation, a `pydantic` model for each row, or three lines: which columns there must be, what may be missing, which
    range the target has, and `raise` otherwise.

    ## When to leave it

    Silent: toy data sets, fixed local files, files that are committed, what the project itself writes, programs
    with an `assert` or a guarded `raise` about the data anywhere on the way, those that call something named like a
    check, and services that turn some requests away. Notebooks are reported only where they ask a database or an
    address that is no file of a repository, outside of lessons and libraries, and show neither what is missing nor
    the ranges.

    ## References

    - Breck et al., "The ML Test Score", 2017, Data 1 and Monitor 2.
    - Breck et al., "Data Validation for Machine Learning", MLSys 2019.
    - https://pandera.readthedocs.io/en/stable/
    """

    code = "MLD612"
    severity = Severity.MINOR
    confidence = Confidence.MEDIUM
    minutes = 45
    examples = (
        Bad(
            """
            import sys

            import pandas as pd
            from sklearn.linear_model import Ridge


            def main():
                flats = pd.read_csv(sys.argv[1])
                Ridge().fit(flats[["area"]], flats["price"])


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            {
                "tables.py": """
                    import pandas as pd


                    def load(connection):
                        return pd.read_sql("SELECT area, price FROM flats", connection)
                    """,
                "train.py": """
                    import sqlite3

                    from sklearn.linear_model import Ridge

                    from tables import load


                    def main():
                        flats = load(sqlite3.connect("flats.db"))
                        Ridge().fit(flats[["area"]], flats["price"])


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("tables.py:5",),
        ),
        Bad(
            """
            import joblib
            import pandas as pd

            model = joblib.load("model.joblib")
            flats = pd.read_csv("https://flats.example.org/today.csv")
            flats["price"] = model.predict(flats[["area"]])
            flats.to_csv("prices.csv")
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            """
            import joblib
            import pandas as pd
            from flask import Flask, jsonify, request

            app = Flask(__name__)
            model = joblib.load("model.joblib")


            @app.route("/price", methods=["POST"])
            def price():
                flats = pd.DataFrame(request.get_json())
                return jsonify(model.predict(flats[["area"]]).tolist())
            """,
            anchors=("example.py:11",),
        ),
        Good(
            """
            import joblib
            import pandas as pd
            from flask import Flask, jsonify, request

            app = Flask(__name__)
            model = joblib.load("model.joblib")


            @app.route("/price", methods=["POST"])
            def price():
                row = request.get_json()
                if "area" not in row:
                    return jsonify(error="no area"), 400
                return jsonify(model.predict(pd.DataFrame([row])[["area"]]).tolist())
            """
        ),
        Good(
            """
            import sys

            import pandas as pd
            import pandera as pa
            from sklearn.linear_model import Ridge

            SCHEMA = pa.DataFrameSchema({"area": pa.Column(float), "price": pa.Column(float, pa.Check.gt(0))})


            def main():
                flats = SCHEMA.validate(pd.read_csv(sys.argv[1]))
                Ridge().fit(flats[["area"]], flats["price"])


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            {
                "tables.py": """
                    import pandas as pd


                    def load(path):
                        flats = pd.read_csv(path)
                        missing = {"area", "price"} - set(flats.columns)
                        if missing:
                            raise ValueError(f"{path} lacks {missing}")
                        return flats
                    """,
                "train.py": """
                    import sys

                    from sklearn.linear_model import Ridge

                    from tables import load


                    def main():
                        flats = load(sys.argv[1])
                        Ridge().fit(flats[["area"]], flats["price"])


                    if __name__ == "__main__":
                        main()
                    """,
            }
        ),
        Good(
            {
                "clean.py": """
                    import sys

                    import pandas as pd

                    flats = pd.read_csv(sys.argv[1])
                    assert flats["price"].gt(0).all()
                    flats.to_parquet("work/flats.parquet")
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge

                    flats = pd.read_parquet("work/flats.parquet")
                    Ridge().fit(flats[["area"]], flats["price"])
                    """,
            }
        ),
        Good(
            {
                "data/flats.csv": "area,price\\n60,100\\n",
                "train.py": """
                    import pandas as pd
                    from sklearn.datasets import load_iris
                    from sklearn.linear_model import Ridge

                    flats = pd.read_csv("data/flats.csv")
                    iris = pd.read_csv("https://example.org/iris.csv")
                    Ridge().fit(flats[["area"]], flats["price"])
                    Ridge().fit(*load_iris(return_X_y=True))
                    """,
            }
        ),
        Good(
            """
            import sys

            import pandas as pd

            pd.read_csv(sys.argv[1]).plot(x="area", y="price")
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for ingest in project[Ingests].all:
            yield _problem(ingest, project)


def _problem(ingest: Ingest, project: Project) -> Problem:
    first, *others = ingest.entries
    what = ingest.read.name.rpartition(".")[2]
    does = "fits" if project.roles(first) & {"train", "tune"} else "predicts"
    more = f" (and {len(others)} more programs)" if others else ""
    place = ingest.read.place
    related = [
        Related(one.definition.module.place(one.definition.scope), f"{one.name} runs it") for one in ingest.entries
    ]
    return Problem(
        place,
        f"{first.name}{more} {does} on what {what} gives, and nothing checks it on the way",
        related=tuple(one for one in related if one.place.path != place.path),
        evidence=(
            "no validation library, no assert, no guarded raise and nothing named like a check on any path",
            "the table is neither committed nor written by the project",
        ),
        symbol=first.name,
    )
