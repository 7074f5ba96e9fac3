"""MLD611."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .counting import Counting
from .marked_fits import marked_fits


class SilentJoin(ProjectRule):
    """Two tables are joined with neither the key nor the kind of join nor their relation stated, and a model is fitted
    on the result without a look at the number of rows.

    ## Why it is debt

    `a.merge(b)` joins on every column name the tables happen to share, and drops what has no partner. A new column of
    the same name in one file changes the key; a key that is not unique multiplies rows. Nothing fails.

    ## How to pay it back

    `a.merge(b, how="left", on="patient_id", validate="m:1")`. The suggested fix adds `validate`.

    ## When to leave it

    Silent: `join`, whose key is the index somebody chose; joins that state a key, `how` or `validate`, joins of tables
    made of the same rows, and those after which the length or shape is printed, logged or asserted.

    ## References

    - https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.merge.html: `validate`
    - Zhang, Cruz, van Deursen, "Code Smells for Machine Learning Applications", CAIN 2022, smell 6.
    """

    code = "MLD611"
    severity = Severity.MINOR
    confidence = Confidence.HIGH
    minutes = 5
    preview = True  # no finding on real code has been read
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            visits, patients = pd.read_csv("visits.csv"), pd.read_csv("patients.csv")
            frame = visits.merge(patients)
            Ridge().fit(frame[["age"]], frame["cost"])
            """,
            fixed="""
            import pandas as pd
            from sklearn.linear_model import Ridge

            visits, patients = pd.read_csv("visits.csv"), pd.read_csv("patients.csv")
            frame = visits.merge(patients, validate="m:1")
            Ridge().fit(frame[["age"]], frame["cost"])
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            {
                "tables.py": """
                    import pandas as pd


                    def joined():
                        return pd.merge(pd.read_csv("visits.csv"), pd.read_csv("patients.csv"))
                    """,
                "train.py": """
                    from sklearn.linear_model import Ridge

                    from tables import joined


                    def main():
                        frame = joined()
                        Ridge().fit(frame[["age"]], frame["cost"])


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("tables.py:5",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge


            def train(visits_path, patients_path):
                visits = pd.read_csv(visits_path)
                visits = visits.merge(pd.read_csv(patients_path))
                return Ridge().fit(visits[["age"]], visits["cost"])
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            """
            from functools import reduce
            from pathlib import Path

            import pandas as pd
            from sklearn.linear_model import Ridge


            def load(root):
                frames = [pd.read_csv(path) for path in sorted(Path(root).glob("*.csv"))]
                return reduce(lambda left, right: pd.merge(left, right), frames)


            frame = load("data")
            Ridge().fit(frame[["age"]], frame["cost"])
            """,
            anchors=("example.py:10",),
        ),
        Bad(
            """
            import pandas as pd
            import xgboost as xgb


            def with_patients(visits, patients):
                return visits.merge(patients)


            tables = {name: pd.read_csv(f"{name}.csv") for name in ("visits", "patients", "cities")}
            frame = tables["visits"].pipe(with_patients, pd.read_csv("more.csv"))
            frame = frame.dropna().pipe(pd.merge, right=pd.read_csv("cities.csv"))
            xgb.train({}, xgb.DMatrix(frame[["age"]], label=frame["cost"]))
            """,
            findings=2,
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            tables = [pd.read_csv(f"{name}.csv") for name in ("visits", "patients", "cities")]
            frame = tables[0]
            for table in tables[1:]:
                frame = frame.merge(table)
            Ridge().fit(frame[["age"]], frame["cost"])
            """,
            anchors=("example.py:7",),
        ),
        Good(
            """
            from functools import partial, reduce

            import pandas as pd
            from sklearn.linear_model import Ridge

            frames = [pd.read_csv(path) for path in ("visits.csv", "patients.csv")]
            frame = reduce(partial(pd.merge, on="patient", how="left"), frames)
            means = [frame.groupby("city", as_index=False)[name].mean() for name in ("age", "cost")]
            frame = frame.merge(reduce(lambda left, right: left.merge(right), means), on="city")
            Ridge().fit(frame[["age"]], frame["cost"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            visits, patients = pd.read_csv("visits.csv"), pd.read_csv("patients.csv")
            frame = visits.merge(patients, how="left", on="patient", validate="m:1")
            frame = frame.merge(pd.read_csv("cities.csv"), on="city")
            Ridge().fit(frame[["age"]], frame["cost"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            visits, patients = pd.read_csv("visits.csv"), pd.read_csv("patients.csv")
            frame = visits.merge(patients)
            assert len(frame) == len(visits)
            Ridge().fit(frame[["age"]], frame["cost"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            visits = pd.read_csv("visits.csv")
            frame = visits.join(pd.get_dummies(visits["city"]))
            frame = frame.join(pd.read_csv("cities.csv", index_col="city"))
            Ridge().fit(frame[["age"]], frame["cost"])
            """
        ),
        Good(
            """
            import pandas as pd

            frame = pd.read_csv("visits.csv").merge(pd.read_csv("patients.csv"))
            frame.to_csv("report.csv")
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            OPTIONS = load_options()
            frame = pd.read_csv("visits.csv").merge(pd.read_csv("patients.csv"), **OPTIONS)
            print("-".join(["a", "b"]))
            Ridge().fit(frame[["age"]], frame["cost"])
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for mark, fit in marked_fits(project, "join"):
            if project[Counting].near((mark.site, fit.site)):
                continue
            yield Problem(
                mark.site.place,
                f"{mark.label} leaves key, kind and relation to chance; {fit.label} is fitted on the result",
                related=(Related(fit.site.place, "fitted here", "effect"),),
                evidence=("neither on, how nor validate is given", "no length or shape is looked at after it"),
                symbol=mark.label,
            )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        span = problem.place.span
        line = project.modules[problem.place.path].text_lines[span.end_line - 1]
        text = line[span.column - 1 :]
        handed = ".pipe(" in text or "reduce(" in text  # the call of what joins, not the join
        if problem.symbol != "merge" or handed or span.line != span.end_line or line[span.end_column - 3] in "(,":
            return None
        at = Span(span.end_line, span.end_column - 1, span.end_line, span.end_column - 1)
        edit = Edit(Place(problem.place.path, at), ', validate="m:1"')
        return Fix(Applicability.SUGGEST, "state the relation", (edit,))
