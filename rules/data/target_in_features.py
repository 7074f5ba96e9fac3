"""MLD615."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Assign, Attribute, Call, Expr, Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .row_flow import RowFlow
from .rows import Columns, Data, Event, Site
from .tables import fits

_ARRAYS = frozenset("to_numpy values array asarray tensor from_numpy as_tensor fit_transform transform".split())


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
        Bad(
            """
            import pandas as pd
            import xgboost as xgb

            df = pd.read_csv("a.csv").drop(columns=["id"])
            y = df["target"].values
            X = df.to_numpy(dtype="float32")
            xgb.train({}, xgb.DMatrix(X, label=y), 100)
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import pandas as pd
            from catboost import CatBoostClassifier, Pool

            df = pd.read_csv("a.csv")
            m = CatBoostClassifier().fit(Pool(df.drop(columns=["id"]), df["target"]))
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            data = pd.read_csv("a.csv").values
            X = data[:, 0:9]
            y = data[:, 8]
            Ridge().fit(X, y)
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.compose import ColumnTransformer
            from sklearn.linear_model import Ridge
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import OneHotEncoder, StandardScaler

            NUM = ["area", "rooms", "price"]
            df = pd.read_csv("a.csv")
            y = df["price"]
            prep = ColumnTransformer([("n", StandardScaler(), NUM), ("c", OneHotEncoder(), ["town"])])
            pipe = make_pipeline(prep, Ridge())
            pipe.fit(df, y)
            """,
            anchors=("example.py:12",),
        ),
        Bad(
            {
                "prep.py": """
                    import pandas as pd


                    class Data:
                        TARGET = "churn"
                        FEATURES = ["age", "visits", "churn"]

                        def load(self, path):
                            df = pd.read_csv(path)
                            return df[self.FEATURES], df[self.TARGET]
                    """,
                "train.py": """
                    from sklearn.linear_model import LogisticRegression

                    from prep import Data

                    X, y = Data().load("a.csv")
                    LogisticRegression().fit(X, y)
                    """,
            },
            anchors=("prep.py:10",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression


            class Trainer:
                def __init__(self, path):
                    self.df = pd.read_csv(path)
                    self.target = "churn"

                def fit(self):
                    X = self.df.drop(columns=["id"])
                    y = self.df[self.target]
                    return LogisticRegression().fit(X, y)


            if __name__ == "__main__":
                Trainer("a.csv").fit()
            """,
            anchors=("example.py:11",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            df = pd.read_csv("a.csv")
            df["label"] = (df["days_late"] > 30).astype(int)
            y = df["label"]
            X = df.drop(columns=["label"])
            LogisticRegression().fit(X, y)
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("a.csv")
            Y = df[["a", "b"]]
            X = df.drop(columns=["a"])
            Ridge().fit(X, Y)
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import pandas as pd
            import torch
            from torch.utils.data import TensorDataset, DataLoader

            df = pd.read_csv("a.csv")
            y = torch.tensor(df["churn"].values)
            X = torch.tensor(df.values)
            net = torch.nn.Linear(8, 1)
            opt = torch.optim.SGD(net.parameters(), 0.1)
            for a, b in DataLoader(TensorDataset(X, y), 8):
                loss = torch.nn.functional.mse_loss(net(a), b)
                loss.backward()
                opt.step()
            """,
            anchors=("example.py:7",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            data = pd.read_csv("a.csv").values
            Ridge().fit(data[:, :-1], data[:, -1])
            Ridge().fit(data[:, 0:8], data[:, 8])
            Ridge().fit(data[:, 1:], data[:, 0])
            df = pd.read_csv("a.csv")
            Ridge().fit(df.iloc[:, :-1], df.iloc[:, -1])
            Ridge().fit(df.iloc[:, 0:8].values, df.iloc[:, 8].values)
            Ridge().fit(df.iloc[:, [1, 2, 3]], df.iloc[:, 4])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("a.csv")
            feats = list(df.columns)
            for c in ["id", "t"]:
                feats.remove(c)
            Ridge().fit(df[feats], df["t"])
            g = df.columns.tolist()
            g.pop(g.index("t"))
            Ridge().fit(df[g], df["t"])
            h = list(df)
            del h[-1]
            Ridge().fit(df[h], df["t"])
            i = list(df.columns)[:-1]
            Ridge().fit(df[i], df["t"])
            j = df.columns.drop("t")
            Ridge().fit(df[j], df["t"])
            k = set(df.columns) - {"t", "id"}
            Ridge().fit(df[list(k)], df["t"])
            l = [c for c in df.columns if c not in {"t"} and not c.startswith("x")]
            Ridge().fit(df[l], df["t"])
            m = df.loc[:, ~df.columns.isin(["t"])]
            Ridge().fit(m, df["t"])
            n = df.filter(regex="^f")
            Ridge().fit(n, df["t"])
            o = df[df.columns[df.columns != "t"]]
            Ridge().fit(o, df["t"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.compose import ColumnTransformer
            from sklearn.linear_model import Ridge
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import OneHotEncoder, StandardScaler

            df = pd.read_csv("a.csv")
            y = df["price"]
            prep = ColumnTransformer([("n", StandardScaler(), ["area", "rooms"]), ("c", OneHotEncoder(), ["town"])])
            make_pipeline(prep, Ridge()).fit(df, y)
            prep = ColumnTransformer([("n", StandardScaler(), ["area", "rooms"])], remainder="passthrough")
            make_pipeline(prep, Ridge()).fit(df.drop(columns="price"), y)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.neural_network import MLPRegressor

            df = pd.read_csv("a.csv")
            X = df.values
            MLPRegressor().fit(X, X)
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.DataFrame({"x": np.linspace(0, 1, 100)})
            df["y"] = np.sin(df["x"])
            Ridge().fit(df[["x"]], df["y"])
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            from sklearn.linear_model import Ridge

            frame = pd.read_csv("a.csv")
            features = np.setdiff1d(list(frame.columns), ["price", "id"])
            y = frame.price.ravel()
            frame = np.array(frame[features])
            Ridge().fit(frame, y)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        told: set[Site] = set()
        for run in project[RowFlow].runs:
            for event in fits(run):
                if event.part == "model" and len(event.data) > 1:
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
        if not problem.message.startswith(f"{target} is predicted") or target.startswith("column "):
            return None
        if isinstance(stmt.value, (Call, Attribute, Ref)) and last_segment(_made_by(stmt.value)) in _ARRAYS:
            return None  # an array has no names
        if any(one.place == problem.place or one.place.span.line == problem.place.span.line for one in problem.related):
            return None  # features are chosen, and learned from, in one statement
        span = module.place(stmt).span
        end = Span(span.end_line, span.end_column, span.end_line, span.end_column)
        edit = Edit(Place(problem.place.path, end), f'.drop(columns=["{target}"])')
        text = module.text_lines[span.end_line - 1][: span.end_column - 1]
        plain = text.endswith((")", "]")) or text.split("=")[-1].strip().isidentifier()
        return Fix(Applicability.SUGGEST, f"drop {target}", (edit,)) if plain else None


def _made_by(value: Expr) -> Expr:
    return value.function if isinstance(value, Call) else value


def _problems(event: Event) -> Iterator[tuple[Site, Problem]]:
    x, y = event.data[0], event.data[1]
    if not isinstance(x, Data) or not isinstance(y, Data) or x.columns is None or y.columns is None:
        return
    if y.columns.frame != x.columns.frame or x.columns.series or y.columns.moved:
        return
    how, target = next(((how, one) for one in _targets(x, y) if (how := _how(x.columns, y.columns, one))), ("", ""))
    if how:
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


def _targets(x: Data, y: Data) -> list[str]:
    """The columns that are predicted: one as a series, or some as a frame; not those of an autoencoder."""
    columns = y.columns
    if columns is None or columns.whole or (columns.series and len(columns.names) != 1):
        return []
    if not columns.series and x.columns is not None and x.columns.names == columns.names and not x.columns.whole:
        return []
    counted = any(one.startswith("column ") for one in columns.names)
    return [] if counted and x.rows != y.rows else sorted(columns.names)


def _how(columns: Columns, labels: Columns, target: str) -> str:
    if columns.has(target):
        return f"{target} is predicted, and is among the features"
    for name, sources in sorted(columns.derived | labels.derived, key=lambda one: (one[0], sorted(one[1]))):
        if columns.has(name) and target in sources:
            return f"{name} is among the features, and is computed from {target}, which is predicted"
        if name == target and len(sources) == 1:
            (source,) = sources
            akin = set(source.lower().split("_")) & set(target.lower().split("_"))
            if columns.has(source) and (akin or target in labels.classed):
                return f"{source} is among the features, and {target}, which is predicted, is computed from it"
    return ""
