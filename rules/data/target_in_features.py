"""MLD615."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.facts.schema import Assign, Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .row_flow import RowFlow
from .rows import Columns, Data, Event, Site


class TargetInFeatures(ProjectRule):
    """The column a model learns to predict, or one computed from it, is among its features.

    ## Why it is debt

    The model reads the answer off. Its score is near perfect, and in use the column is not there.

    ## How to pay it back

    Take it out where the features are chosen: `x = frame.drop(columns=["churn"])`. The suggested fix does. List
    features by name rather than taking all there are.

    ## When to leave it

    Silent: lags of the target (`shift`), pipelines that choose columns themselves (`ColumnTransformer`), and columns
    that are not known. Target encoding over all rows is MLD601.

    ## References

    - Kaufman, Rosset, Perlich, Stitelman, "Leakage in Data Mining", ACM TKDD 6(4), 2012.
    - https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.drop.html
    """

    code = "MLD615"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 5
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier

            frame = pd.read_csv("customers.csv")
            y = frame["churn"]
            x = frame.select_dtypes("number")
            model = RandomForestClassifier(random_state=0).fit(x, y)
            """,
            fixed="""
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier

            frame = pd.read_csv("customers.csv")
            y = frame["churn"]
            x = frame.select_dtypes("number").drop(columns=["churn"])
            model = RandomForestClassifier(random_state=0).fit(x, y)
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            {
                "columns.py": """
                    FEATURES = ["age", "visits", "churn"]
                    TARGET = "churn"
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import train_test_split

                    from columns import FEATURES, TARGET


                    def main():
                        frame = pd.read_csv("customers.csv")
                        x, y = frame[FEATURES], frame[TARGET]
                        x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
                        return LogisticRegression().fit(x_train, y_train).score(x_test, y_test)


                    if __name__ == "__main__":
                        main()
                    """,
            },
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LinearRegression

            flats = pd.read_csv("flats.csv")
            flats["price_per_area"] = flats["price"] / flats["area"]
            x = flats.drop(columns=["price"])
            model = LinearRegression().fit(x, flats["price"])
            """,
            anchors=("example.py:6",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier

            frame = pd.read_csv("customers.csv")
            y = frame.pop("churn")
            model = RandomForestClassifier(random_state=0).fit(frame, y)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            load = pd.read_csv("load.csv")
            load["yesterday"] = load["load"].shift(1)
            load = load.dropna()
            x = load.drop("load", axis=1)
            model = Ridge().fit(x, load["load"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split

            frame = pd.read_csv("customers.csv")
            train, test = train_test_split(frame, stratify=frame["churn"], random_state=0)
            features = [column for column in frame.columns if column not in ("churn", "id")]
            model = LogisticRegression().fit(train[features], train["churn"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.compose import ColumnTransformer
            from sklearn.linear_model import LogisticRegression
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler

            frame = pd.read_csv("customers.csv")
            prepared = ColumnTransformer([("numbers", StandardScaler(), ["age", "visits"])])
            model = make_pipeline(prepared, LogisticRegression()).fit(frame, frame["churn"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("customers.csv")
            y = frame["churn"].map({"yes": 1, "no": 0})
            frame.drop(["churn", "id"], axis=1, inplace=True)
            model = LogisticRegression().fit(frame, y)
            kept = pd.read_csv("other.csv")
            del kept["churn"]
            second = LogisticRegression().fit(kept, pd.read_csv("other.csv")["churn"])
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        told: set[Site] = set()
        for run in project[RowFlow].runs:
            for event in run.events:
                if event.kind == "fit" and event.part == "model":
                    for site, problem in _problems(event):
                        if site not in told:
                            told.add(site)
                            yield problem

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        target = problem.symbol
        module = project.modules[problem.place.path]
        held = module.statement_at(problem.place.span.line)
        stmt = held[0] if held is not None else None
        if not isinstance(stmt, Assign) or len(stmt.targets) > 1 or not isinstance(stmt.targets[0], Ref):
            return None
        if not problem.message.startswith(f"{target} is predicted"):
            return None
        span = module.place(stmt).span
        end = Span(span.end_line, span.end_column, span.end_line, span.end_column)
        edit = Edit(Place(problem.place.path, end), f'.drop(columns=["{target}"])')
        text = module.text_lines[span.end_line - 1][: span.end_column - 1]
        plain = text.endswith((")", "]")) or text.split("=")[-1].strip().isidentifier()
        return Fix(Applicability.SUGGEST, f"drop {target}", (edit,)) if plain else None


def _problems(event: Event) -> Iterator[tuple[Site, Problem]]:
    x, y = event.data[0], event.data[1]
    if not isinstance(x, Data) or not isinstance(y, Data) or x.columns is None or y.columns is None:
        return
    if y.columns.frame != x.columns.frame or not y.columns.series or x.columns.series or len(y.columns.names) != 1:
        return
    (target,) = y.columns.names
    how = _how(x.columns, target)
    if how and not y.columns.moved:
        site = x.site or event.site
        yield (
            site,
            Problem(
                site.place,
                how,
                related=(Related(event.site.place, f"{event.label} is fitted here", "effect"),),
                evidence=("features and target come from one frame", "nothing drops the column on the way"),
                symbol=target,
            ),
        )


def _how(columns: Columns, target: str) -> str:
    if columns.has(target):
        return f"{target} is predicted, and is among the features"
    for name, sources in sorted(columns.derived):
        if columns.has(name) and target in sources:
            return f"{name} is among the features, and is computed from {target}, which is predicted"
        if name == target and len(sources) == 1:
            (source,) = sources
            if columns.has(source) and set(source.lower().split("_")) & set(target.lower().split("_")):
                return f"{source} is among the features, and {target}, which is predicted, is computed from it"
    return ""
