"""MLD606 unused-data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .unread_files import UnreadFiles
from .unused_columns import Unused, UnusedColumns

_SHOWN = 4
_WHERE = {
    "usecols": "usecols names",
    "columns": "columns names",
    "names": "names gives",
    "dtype": "dtype gives",
    "header": "the file has",
}


class UnusedData(ProjectRule):
    """Columns that are read and never used, features that are computed and never selected, data files nobody reads.

    The frame is followed through variables, functions of other files and methods that keep its columns. Only where
    every use of it names its columns, and ten of them or more are known (from `usecols`, `names`, `dtype` or the header
    of a file in the repository), can a column be called unused.

    ## Why it is debt

    Data that nothing needs is still loaded, kept, documented, paid for and waited for, and it may break the program
    when it changes. Sculley and others call such inputs underutilised data dependencies: "mostly unneeded", and yet
    they make the system vulnerable.

    ## How to pay it back

    Read what is used: `usecols=[...]`, or `columns=[...]` for Parquet. Delete features nobody selects, and files nobody
    reads; git keeps them.

    ## When to leave it

    A frame that goes anywhere as a whole (to a fit, a file, a library's function, a selection by `select_dtypes` or by
    names that are not constant) uses all its columns. So does a column that any text or configuration file near
    the frame names, as `drop(columns=...)` does. Where only the header of a file or `names` tells the columns, and
    nobody chose them, the finding is information. A data file counts as unread only where the path of every reading
    is known, no directory is searched for files, and its neighbours are read.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 3,
      underutilized data dependencies.
    * M. H. Namaki et al., "Vamsa: Automated Provenance Tracking in Data Science Scripts", KDD 2020.
    """

    code: ClassVar[str] = "MLD606"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 10
    examples = (
        Bad(
            {
                "columns.py": """
                USED = ["age", "income", "debt"]
                READ = ["id", "age", "income", "debt", "city", "street", "phone", "email", "gender", "married", "label"]
                """,
                "train.py": """
                import pandas as pd
                from columns import READ, USED
                from sklearn.linear_model import LogisticRegression


                def main():
                    people = pd.read_csv("people.csv", usecols=READ)
                    people = people.dropna().reset_index(drop=True)
                    people["ratio"] = people["debt"] / people["income"]
                    LogisticRegression().fit(people[USED + ["ratio"]], people["label"])


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("train.py:7",),
        ),
        Bad(
            {
                "load.py": """
                import pandas as pd

                TYPES = {
                    "lat": float, "lon": float, "rooms": int, "beds": int, "baths": int, "year": int, "garage": int,
                    "pool": int, "price": float, "agent": str, "note": str,
                }


                def load(path):
                    return pd.read_csv(path, dtype=TYPES)
                """,
                "features.py": """
                def build(frame):
                    return frame[["lat", "lon", "rooms", "beds", "baths"]].to_numpy()
                """,
                "train.py": """
                from features import build
                from load import load
                from xgboost import XGBRegressor

                houses = load("houses.csv")
                XGBRegressor(seed=0).fit(build(houses), houses["price"])
                """,
            },
            anchors=("load.py:10",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            FEATURES = ["rooms", "area", "pool", "lat", "lon", "beds", "baths", "garage"]

            houses = pd.read_parquet("houses.parquet", columns=[*FEATURES, "year", "price"])
            houses["density"] = houses["rooms"] / houses["area"]
            houses["age"] = 2024 - houses["year"]
            Ridge().fit(houses[FEATURES + ["age"]], houses["price"])
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "data/events.csv": "a,b\n1,2\n",
                "data/events_old.csv": "a,b\n1,2\n",
                "train.py": """
                import pandas as pd
                from sklearn.linear_model import Ridge

                events = pd.read_csv("data/events.csv")
                Ridge().fit(events[["a"]], events["b"])
                """,
            },
            anchors=("data/events_old.csv:1",),
        ),
        Bad(
            {
                "config.yaml": "features:\n  - a\n  - bmi\n",
                "train.py": """
                import pandas as pd
                import yaml
                from sklearn.linear_model import Ridge


                def main():
                    with open("config.yaml") as file:
                        config = yaml.safe_load(file)
                    frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "y"])
                    frame["k"] = frame["b"] + frame["c"] + frame["d"] + frame["e"] + frame["f"] + frame["g"]
                    frame["k"] += frame["h"] * frame["i"]
                    Ridge().fit(frame[config["features"]], frame["y"])
                    print(frame["k"].mean())


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("config.yaml:3",),
        ),
        Bad(
            {
                "config.yaml": "features:\n  - a\n  - bmi\n",
                "train.py": """
                import pandas as pd
                import yaml
                from sklearn.linear_model import Ridge

                with open("config.yaml") as file:
                    config = yaml.safe_load(file)
                frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "y"])
                there = [name for name in config["features"] if name in frame.columns]
                train, test = frame[frame["b"] < 3], frame[frame["b"] >= 3]
                model = Ridge().fit(train[there], train["y"])
                print(model.score(test[there], test["y"]))
                """,
            },
            anchors=("config.yaml:3",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "y"])
            Ridge().fit(frame.filter(items=["a", "b"]), frame["y"])
            """,
            anchors=("example.py:4",),
        ),
        Good(
            {
                "config.yaml": "features: [a, c_log]\n",
                "train.py": """
                import numpy as np
                import pandas as pd
                import yaml
                from sklearn.linear_model import Ridge

                config = yaml.safe_load(open("config.yaml"))
                frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "y"])
                for name in ["b", "c"]:
                    frame[f"{name}_log"] = np.log(frame[name])
                Ridge().fit(frame[[name for name in config["features"] if name in frame.columns]], frame["y"])
                """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            COLUMNS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "label"]
            frame = pd.read_csv("people.csv", usecols=COLUMNS)
            LogisticRegression().fit(frame.drop(columns=["label"]), frame["label"])
            """
        ),
        Good(
            {
                "config.yaml": "features: [a, b, c]\n",
                "train.py": """
                import pandas as pd
                import yaml
                from sklearn.linear_model import LogisticRegression

                config = yaml.safe_load(open("config.yaml"))
                frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "label"])
                LogisticRegression().fit(frame[config["features"]], frame["label"])
                """,
            }
        ),
        Good(
            """
            import pandas as pd

            frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "label"])
            numbers = frame.select_dtypes("number")
            print(numbers["a"].mean(), frame["label"].mean())
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            frame = pd.read_csv("x.csv", usecols=["a", "b", "label"])
            Ridge().fit(frame[["a"]], frame["label"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "label"])
            frame = frame.query("d > 0 and e == 1").sort_values("f").drop_duplicates(subset=["g"])
            frame["k"] = frame.h + frame["i"]
            Ridge().fit(frame[["a", "b", "c", "k"]], frame["label"])
            frame.groupby("j")["label"].mean()
            """
        ),
        Good(
            """
            import sys

            import pandas as pd
            from sklearn.linear_model import Ridge

            frame = pd.read_csv("x.csv", usecols=["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "label"])
            frame = frame.sort_values(by=sys.argv[1])
            Ridge().fit(frame[["a", "b"]], frame["label"])
            """
        ),
        Good(
            {
                "data/one.csv": "a,b\n1,2\n",
                "data/two.csv": "a,b\n1,2\n",
                "train.py": """
                import glob

                import pandas as pd

                frames = [pd.read_csv(path) for path in glob.glob("data/*.csv")]
                print(pd.read_csv("data/one.csv").mean(), len(frames))
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for one in project[UnusedColumns].all:
            yield _computed(one) if one.how == "computed" else _absent(one) if one.how == "absent" else _read(one)
        for place, path, read in project[UnreadFiles].all:
            yield Problem(
                Place(path, Span(1)),
                f"nothing reads this file, though {read} beside it is read",
                related=(Related(place, f"{read} is read here", "counterpart"),),
                evidence=("the path of every reading of data is known, and none is this", "no directory is searched"),
                symbol=path,
            )


def _read(one: Unused) -> Problem:
    return Problem(
        one.place,
        f"{len(one.columns)} of {one.known} columns are read and never used: {_listed(one.columns)}",
        severity=Severity.INFO if one.how in ("header", "names") else None,
        evidence=(
            f"{_WHERE[one.how]} {one.known} columns",
            "every use of the frame names its columns; no text or configuration file near it names these",
        ),
    )


def _computed(one: Unused) -> Problem:
    return Problem(
        one.place,
        f"{_listed(one.columns)} {'is' if len(one.columns) == 1 else 'are'} computed, and nothing selects "
        f"{'it' if len(one.columns) == 1 else 'them'}",
        related=(
            *(Related(place, "so is this", "cause") for place in one.others),
            Related(one.read, "the frame is read here", "path"),
        ),
        evidence=("every use of the frame names its columns, and no text near it names this one",),
        symbol=one.columns[0],
    )


def _absent(one: Unused) -> Problem:
    return Problem(
        one.place,
        f"{one.columns[0]} is selected, and is no column of what is read",
        related=(Related(one.read, f"these {one.known} columns are read here", "counterpart"),),
        evidence=("nothing computes, renames or joins a column of this name",),
        symbol=one.columns[0],
    )


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: _SHOWN - 1])} and {len(names) - _SHOWN + 1} more"
