"""MLD512 sentinel-number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from mldebt.facts.schema import Call, Return
from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .model_reach import Fit, ModelReach, root_of, written_by
from .modelling import LINEAR, TREES, Modelling
from .sentinel_excuses import has_indicator, is_category, is_documented, is_marked
from .sentinels import COMPARED, FILLED, Sentinel, SentinelTexts, sentinels

# What frames of answers are called.
_ANSWERS = re.compile(r"(?i)(?:^|_)(?:sub|subm|submit|submission|output|results?|preds?|predictions?|scores?)(?:_|$)")


class SentinelNumber(ProjectRule):
    """A number stands for "missing": `fillna(-1)` on a feature before a fit, a comparison with -999, a new column that
    is 0 until some of its rows get a value.

    ## Why it is debt

    A model takes -999 for a measurement: it moves every mean, scale and coefficient, and a distance to it is the
    largest there is. Later readers cannot tell a missing value from a true one. Foidl et al. (2022) list such *dummy
    values* among the smells of data, Zhang et al. (2022) columns that start as zero or empty text.

    ## How to pay it back

    Keep NaN while loading (`na_values=[-999]`, `replace(-999, np.nan)`). Before a model that cannot take it, impute
    what the training part says (`SimpleImputer(add_indicator=True)`) and keep a column that says what was missing. Let
    new columns start as NaN.

    ## When to leave it

    An indicator column beside it, dummy columns, frames of answers, comparisons that count, trees alone, or where the
    data is not seen to get to any other model (shown as information, and not at all when a comment or `missing=-999`
    says so), codes and classes (`cluster == -1`, ids, padding, `ignore_index=-100`), a zero after a join, count or
    pivot, and sentinels that are turned into NaN are not reported, nor is `fillna` where no fit is in sight.

    ## References

    * H. Foidl, M. Felderer, R. Ramler, "Data Smells: Categories, Causes and Consequences", CAIN 2022, dummy values.
    * H. Zhang, L. Cruz, A. van Deursen, "Code Smells for Machine Learning Applications", CAIN 2022, smell 5.
    * https://scikit-learn.org/stable/modules/impute.html
    """

    code: ClassVar[str] = "MLD512"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 10
    alone: ClassVar[Alone] = Alone.REPORT
    collects = (SentinelTexts,)
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("claims.csv")
            frame["age"] = frame["age"].fillna(-1)
            LogisticRegression().fit(frame[["age"]], frame["fraud"])
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            {
                "clean.py": """
                    import pandas as pd


                    def clean(path):
                        frame = pd.read_csv(path)
                        frame = frame.fillna({"income": -999, "city_id": -1})
                        return frame[frame["tenure"] > 0]
                    """,
                "train.py": """
                    from sklearn.neighbors import KNeighborsClassifier

                    from clean import clean

                    frame = clean("customers.csv")
                    KNeighborsClassifier().fit(frame[["income", "tenure"]], frame["churn"])
                    """,
            },
            anchors=("clean.py:6",),
        ),
        Bad(
            """
            import numpy as np
            import pandas as pd

            frame = pd.read_csv("weather.csv")
            frame["wind"] = np.where(frame["wind"] == -999, 0, frame["wind"])
            late = frame[frame["temperature"] == 9999]
            """,
            findings=2,
            anchors=("example.py:5", "example.py:6"),
        ),
        Bad(
            """
            import pandas as pd


            def speeds(frame, tracks):
                frame["speed"] = 0
                for number, track in tracks.items():
                    frame.loc[frame["track"] == number, "speed"] = track.speed()
                return frame
            """,
            anchors=("example.py:5",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("claims.csv")
            frame["age_missing"] = frame["age"].isna()
            frame["age"] = frame["age"].fillna(-1)
            LogisticRegression().fit(frame[["age", "age_missing"]], frame["fraud"])
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            from sklearn.linear_model import LinearRegression

            frame = pd.read_csv("weather.csv", na_values=[-999])
            frame["wind"] = frame["wind"].replace(-999, np.nan)
            frame.loc[frame["rain"] == -999, "rain"] = np.nan
            frame["sun"] = np.where(frame["sun"] == -999, np.nan, frame["sun"])
            LinearRegression().fit(frame[["wind"]].fillna(frame["wind"].mean()), frame["rain"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import PoissonRegressor

            customers, orders = pd.read_csv("customers.csv"), pd.read_csv("orders.csv")
            counts = orders.groupby("customer").size().rename("orders")
            frame = customers.merge(counts, on="customer", how="left")
            frame["orders"] = frame["orders"].fillna(0)
            PoissonRegressor().fit(frame[["orders"]], frame["spent"])
            """
        ),
        Good(
            """
            import numpy as np
            import torch
            from sklearn.cluster import DBSCAN

            labels = DBSCAN().fit(np.zeros((10, 2))).labels_
            noise = labels == -1
            loss = torch.nn.CrossEntropyLoss(ignore_index=-100)
            padding = [token for token in [1, -1] if token == -1]
            """
        ),
        Good(
            """
            import pandas as pd
            from xgboost import XGBClassifier

            frame = pd.read_csv("claims.csv")
            # Trees split off -999: XGBoost is told that it is missing.
            frame["age"] = frame["age"].fillna(-999)
            XGBClassifier(missing=-999).fit(frame[["age"]], frame["fraud"])
            """
        ),
        Bad(
            {
                "features.py": """
                    def complete(frame):
                        frame["income"] = frame["income"].fillna(-1)
                        return frame
                    """,
                "compare.py": """
                    import pandas as pd
                    from sklearn.ensemble import RandomForestClassifier
                    from sklearn.neighbors import KNeighborsClassifier

                    from features import complete

                    frame = complete(pd.read_csv("customers.csv"))
                    forest, nearest = RandomForestClassifier(random_state=0), KNeighborsClassifier()
                    forest.fit(frame[["income"]], frame["churn"])
                    neighbours = KNeighborsClassifier()
                    neighbours.fit(frame[["income"]], frame["churn"])
                    """,
            },
            anchors=("features.py:2",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.metrics import mean_squared_error

            submission = pd.read_csv("sample_submission.csv").merge(pd.read_csv("found.csv"), how="left")
            submission = submission.fillna(-999)
            submission["shape"] = submission.apply(lambda row: row[0] if row[1] == -999 else row[1], axis=1)
            submission.to_csv("submission.csv", index=False)
            train = pd.read_csv("train.csv")
            Ridge().fit(train[["x"]], train["y"])
            """
        ),
        Good(
            """
            import pandas as pd

            prices = pd.read_csv("prices.csv")
            unknown = prices["price"] == -999
            prices["price_unknown"] = unknown.astype(int)
            print((prices["price"] == -999).sum())
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("claims.csv")
            frame["rooms"] = frame["rooms"].fillna(-1)
            features = pd.get_dummies(frame, columns=["rooms"])
            LogisticRegression().fit(features, frame["fraud"])
            """
        ),
        Good(
            """
            import pandas as pd


            def flags(frame, rows):
                frame["is_late"] = 0
                frame.loc[frame["delay"] > 15, "is_late"] = 1
                frame["total"] = 0
                for name in rows:
                    frame["total"] += frame[name]
                frame["city"] = frame["city"].fillna("unknown")
                return frame
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        lines = project.collected(SentinelTexts)
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            if module.path in lines or "fillna" in module.mentions:
                for group in _grouped(sentinels(module, lines.get(module.path, ()))):
                    yield from _judged(project, *group)


def _grouped(found: Iterator[Sentinel]) -> list[list[Sentinel]]:
    """The same done twice, to the training and the test part, is one thing."""
    groups: dict[tuple[object, ...], list[Sentinel]] = {}
    for one in found:
        key = (one.how, one.stmt.line if one.how == COMPARED else one.scope, one.column, one.value)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _judged(project: Project, one: Sentinel, *others: Sentinel) -> Iterator[Problem]:
    module, what = one.module, f'column "{one.column}"' if one.column else "the columns"
    severity = None
    if one.how == FILLED:
        kinds = project[Modelling].of(module)
        if not kinds or has_indicator(module, one.scope) or is_category(one) or is_marked(one):
            return
        names = _filled(one)
        fits = (
            project[ModelReach].fits(module, one.scope, one.stmt, one.node, names) if isinstance(one.node, Call) else ()
        )
        linear = [fit for fit in fits if fit.kind == LINEAR]
        if not linear and all(_ANSWERS.search(name) for name in names) and not isinstance(one.stmt, Return):
            return
        if not linear and (fits or kinds != {LINEAR}):
            if is_documented(one):
                return
            severity = Severity.INFO
        text = f"missing values of {what} become {one.value:g}, which a model takes for a measurement"
        evidence: tuple[str, ...] = (_reached(linear), "no column says which values were missing")
    elif one.how == COMPARED:
        subject = what if one.column else "a value"
        text = f"{subject} is compared with {one.value:g}, a number that stands for a missing value"
        evidence = ("nothing turns it into NaN here",)
    else:
        if project[Modelling].of(module) == {TREES}:
            severity = Severity.INFO
        shown = repr(one.value)
        text = f"{what} is {shown} until a part of its rows get a value: the rest look measured"
        evidence = ("a later line fills some rows by .loc or .at",)
    again = tuple(Related(module.place(other.node), "here as well") for other in others if other.stmt is not one.stmt)
    yield Problem(
        module.place(one.node), text, again, severity, evidence=evidence, symbol=f"{one.how} {one.column} {one.value}"
    )


def _filled(one: Sentinel) -> set[str]:
    """The variables that hold the filled values behind the statement."""
    if isinstance(one.node, Call) and any(keyword.name == "inplace" for keyword in one.node.keywords):
        return {root_of(one.node.function)}
    return set(written_by(one.stmt))


def _reached(linear: list[Fit]) -> str:
    if not linear:
        return "a fit is in reach of this file"
    fit = linear[0]
    return f"it gets to the fit of {fit.model} in {fit.module.path}, line {fit.line}"
