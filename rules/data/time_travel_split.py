"""MLD617."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .row_flow import RowFlow
from .rows import TRAIN, Cutter, Data, Event, Mark, Site


class TimeTravelSplit(ProjectRule):
    """Rows that are ordered in time are split at random, or are filled from later rows before they are split in time.

    ## Why it is debt

    The model is trained on rows from after those it is tested on, and features such as `shift`, `rolling` or `diff` of
    a training row hold values of the test rows beside it. In use it never sees the future, so the score is too high.

    ## How to pay it back

    Split at a point in time: `train_test_split(..., shuffle=False)` on sorted rows, `frame[frame["date"] < cutoff]`, or
    `TimeSeriesSplit`. Fill gaps forward, not backward, and do not centre rolling windows.

    ## When to leave it

    Silent: a time column that is only shown, rows in no order, splits without shuffling, folds by group, and frames of
    which one row per object is kept.

    ## References

    - scikit-learn, Cross validation of time series data:
      https://scikit-learn.org/stable/modules/cross_validation.html#cross-validation-of-time-series-data
    - Kaufman, Rosset, Perlich, Stitelman, "Leakage in Data Mining", ACM TKDD 6(4), 2012.
    """

    code = "MLD617"
    severity = Severity.MAJOR
    confidence = Confidence.MEDIUM
    minutes = 20
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            load = pd.read_csv("load.csv").sort_values("date")
            x_train, x_test, y_train, y_test = train_test_split(load[["wind", "sun"]], load["load"], random_state=0)
            print(Ridge().fit(x_train, y_train).score(x_test, y_test))
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            {
                "features.py": """
                    def lagged(frame):
                        frame["yesterday"] = frame["load"].shift(1)
                        frame["week"] = frame["load"].rolling(7).mean()
                        return frame.dropna()
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from sklearn.model_selection import KFold, cross_val_score

                    from features import lagged

                    frame = lagged(pd.read_csv("load.csv"))
                    folds = KFold(5, shuffle=True, random_state=0)
                    print(cross_val_score(Ridge(), frame[["yesterday", "week"]], frame["load"], cv=folds))
                    """,
            },
            anchors=("train.py:9",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import TimeSeriesSplit

            frame = pd.read_csv("load.csv").set_index("timestamp").sort_index()
            frame["wind"] = frame["wind"].bfill()
            for train, test in TimeSeriesSplit(5).split(frame):
                print(frame.iloc[train].mean(), frame.iloc[test].mean())
            """,
            anchors=("example.py:5",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import TimeSeriesSplit, cross_val_score, train_test_split

            load = pd.read_csv("load.csv").sort_values("date")
            load["wind"] = load["wind"].ffill()
            load["yesterday"] = load["load"].shift(1)
            train, test = train_test_split(load.dropna(), shuffle=False)
            print(cross_val_score(Ridge(), train[["yesterday"]], train["load"], cv=TimeSeriesSplit(5)))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            claims = pd.read_csv("claims.csv")
            claims.sort_values("date").plot(x="date", y="amount")
            newest = claims.sort_values("date").head(10)
            print(newest)
            train, test = train_test_split(claims, random_state=0)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            visits = pd.read_csv("visits.csv").sort_values("date")
            patients = visits.drop_duplicates("patient", keep="last")
            train, test = train_test_split(patients, random_state=0)
            """
        ),
        Good(
            """
            import pandas as pd

            load = pd.read_csv("load.csv").sort_values("date")
            load["week"] = load["load"].rolling(7).mean()
            train, test = load[load["date"] < "2020-01-01"], load[load["date"] >= "2020-01-01"]
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import KFold, train_test_split

            flowers = pd.read_csv("flowers.csv").sort_values("petal_length")
            train, test = train_test_split(flowers, random_state=0)
            folds = KFold(5, shuffle=True, random_state=0).split(train)
            """
        ),
        Bad(
            {
                "clean.py": """
                    def clean(df):
                        df = df.set_index("time").sort_index()
                        df["level"] = df["level"].bfill()
                        df["smooth"] = df["level"].rolling(9, center=True, min_periods=1).mean()
                        return df
                    """,
                "fit.py": """
                    import numpy as np
                    import pandas as pd
                    import torch

                    from clean import clean

                    df = clean(pd.read_csv("g.csv", parse_dates=["time"]))
                    cut = int(len(df) * 0.8)
                    train, test = df.iloc[:cut], df.iloc[cut:]
                    net = torch.nn.LSTM(1, 32)
                    x = torch.from_numpy(train["smooth"].to_numpy(np.float32))
                    loss = net(x).mean()
                    loss.backward()
                    """,
            },
            anchors=("clean.py:3",),
        ),
        Bad(
            """
            import pandas as pd
            from scipy.signal import savgol_filter
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import TimeSeriesSplit

            df = pd.read_csv("g.csv", parse_dates=["ts"]).sort_values("ts")
            df["x"] = savgol_filter(df["x"], 11, 2)
            for tr, te in TimeSeriesSplit(5).split(df):
                Ridge().fit(df.iloc[tr][["x"]], df.iloc[tr]["y"])
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("g.csv").sort_values("date")
            df["lag"] = df["y"].shift(1)
            train = df.sample(frac=0.8, random_state=0)
            test = df.drop(train.index)
            Ridge().fit(train[["lag"]], train["y"]).score(test[["lag"]], test["y"])
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import GridSearchCV, KFold

            df = pd.read_csv("g.csv").sort_values("date")
            X, y = df[["a"]], df["y"]
            cv = KFold(5, shuffle=True, random_state=0)
            search = GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=cv)
            search.fit(X, y)
            """,
            anchors=("example.py:9",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            df = pd.read_csv("g.csv", index_col=0, parse_dates=True)
            X, y = df[["Open"]], df["Close"]
            a, b, c, d = train_test_split(X, y, test_size=0.2)
            Ridge().fit(a, c).score(b, d)
            """,
            anchors=("example.py:7",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import TimeSeriesSplit, cross_val_score

            df = pd.read_csv("g.csv").sort_values("date")
            smooth = df["y"].rolling(9, center=True).mean()
            smooth.plot()
            cross_val_score(Ridge(), df[["x"]], df["y"], cv=TimeSeriesSplit(5))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("g.csv")
            df["x"] = df["x"].interpolate()
            cut = int(len(df) * 0.8)
            train, test = df[:cut], df[cut:]
            Ridge().fit(train[["x"]], train["y"]).score(test[["x"]], test["y"])
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        told: set[Site] = set()
        for run in project[RowFlow].runs:
            searches = [event for event in run.events if event.kind == "folds"]
            for event in (*RowFlow.splits(run), *searches):
                for site, problem in (*_shuffled(event), *_filled(event)):
                    if site not in told:
                        told.add(site)
                        yield problem


def _shuffled(event: Event) -> Iterator[tuple[Site, Problem]]:
    if not event.random or event.part == "grouped":
        return
    marks = _marks(event, "time")
    if event.kind == "cut" and event.part != TRAIN:
        return  # the other part of one draw
    if marks:
        first = marks[0]
        cutters = [Related(one.site.place, "shuffles", "path") for one in event.data if isinstance(one, Cutter)]
        yield (
            event.site,
            Problem(
                event.site.place,
                f"{event.label} draws test rows at random from rows ordered in time ({first.label})",
                related=(
                    *cutters,
                    *[Related(one.site.place, f"{one.label}: the rows have an order in time") for one in marks[:3]],
                ),
                evidence=("the rows are shuffled before they are split", "no group keeps neighbours together"),
                symbol=event.label,
            ),
        )


def _filled(event: Event) -> Iterator[tuple[Site, Problem]]:
    if event.random or not _marks(event, "time"):
        return
    for mark in _marks(event, "future"):
        yield (
            mark.site,
            Problem(
                mark.site.place,
                f"{mark.label} fills rows from later ones before they are split in time",
                related=(Related(event.site.place, "the split in time", "effect"),),
                evidence=("the rows are ordered in time", "both parts are filled at once"),
                symbol=mark.label,
            ),
        )


def _marks(event: Event, kind: str) -> list[Mark]:
    return [mark for data in event.data[:2] if isinstance(data, Data) for mark in data.kinds(kind)]
