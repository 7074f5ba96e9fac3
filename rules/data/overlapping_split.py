"""MLD602."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .overlaps import Overlap, Overlaps


class OverlappingSplit(ProjectRule):
    """Rows are copied (oversampling, augmentation, overlapping windows, two samples of one frame) before they are
    split, so that the same row, or a near copy of it, stands in the training and in the test part.

    ## Why it is debt

    The model is tested on rows it has seen. A memorising model scores best, the figure is useless for
    telling models apart, and nothing in the code fails. Yang et al. (2022) call it *overlap leakage*.

    ## How to pay it back

    Split first; resample, augment and cut windows in the training part only. With cross-validation, put the sampler
    into `imblearn.pipeline.Pipeline`, which leaves test folds alone. Cut windows of a series on each side of a point
    in time. After `train = frame.sample(...)`, take `frame.drop(train.index)` as the rest.

    ## When to leave it

    Silent: under-sampling, concatenating distinct files, resampling the training part, windows that are split in their
    order (`shuffle=False`), folds by group, and copies that are dropped again before the split.

    ## References

    - Yang, Brower-Sinning, Lewis, Kästner, "Data Leakage in Notebooks: Static Detection and Better Processes", ASE
      2022, https://doi.org/10.1145/3551349.3556918
    - imbalanced-learn, Common pitfalls: https://imbalanced-learn.org/stable/common_pitfalls.html
    """

    code = "MLD602"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 15
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from imblearn.over_sampling import SMOTE
            from sklearn.model_selection import train_test_split
            from sklearn.tree import DecisionTreeClassifier

            frame = pd.read_csv("claims.csv")
            x, y = SMOTE(random_state=0).fit_resample(frame.drop(columns=["fraud"]), frame["fraud"])
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            print(DecisionTreeClassifier(random_state=0).fit(x_train, y_train).score(x_test, y_test))
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "balance.py": """
                    import pandas as pd
                    from sklearn.utils import resample


                    def balanced(frame):
                        rare, common = frame[frame["fraud"] == 1], frame[frame["fraud"] == 0]
                        rare = resample(rare, replace=True, n_samples=len(common), random_state=0)
                        return pd.concat([common, rare])
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import cross_val_score

                    from balance import balanced

                    frame = balanced(pd.read_csv("claims.csv"))
                    print(cross_val_score(LogisticRegression(), frame[["amount"]], frame["fraud"], cv=5))
                    """,
            },
            anchors=("balance.py:7",),
        ),
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split


            def windows(series, size):
                x, y = [], []
                for start in range(len(series) - size):
                    x.append(series[start : start + size])
                    y.append(series[start + size])
                return np.array(x), np.array(y)


            series = np.load("load.npy")
            x, y = windows(series, 24)
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            print(Ridge().fit(x_train, y_train).score(x_test, y_test))
            """,
        ),
        Bad(
            """
            import pandas as pd

            frame = pd.read_csv("claims.csv")
            train = frame.sample(frac=0.8, random_state=0)
            test = frame.sample(frac=0.2, random_state=1)
            """,
            anchors=("example.py:5",),
        ),
        Good(
            """
            import pandas as pd
            from imblearn.over_sampling import SMOTE
            from imblearn.under_sampling import RandomUnderSampler
            from sklearn.model_selection import train_test_split
            from sklearn.tree import DecisionTreeClassifier

            frame = pd.read_csv("claims.csv")
            x, y = RandomUnderSampler(random_state=0).fit_resample(frame.drop(columns=["fraud"]), frame["fraud"])
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            x_train, y_train = SMOTE(random_state=0).fit_resample(x_train, y_train)
            print(DecisionTreeClassifier(random_state=0).fit(x_train, y_train).score(x_test, y_test))
            """
        ),
        Good(
            """
            from glob import glob

            import pandas as pd
            from sklearn.model_selection import train_test_split

            frames = []
            for path in sorted(glob("claims/*.csv")):
                frame = pd.read_csv(path)
                frames.append(frame)
            claims = pd.concat(frames)
            fraud, fair = claims[claims["fraud"] == 1], claims[claims["fraud"] == 0]
            train, test = train_test_split(pd.concat([fraud, fair]), random_state=0)
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split


            def windows(series, size):
                return np.array([series[start : start + size] for start in range(0, len(series) - size)])


            x = windows(np.load("load.npy"), 24)
            train, test = train_test_split(x, shuffle=False)
            model = Ridge().fit(train[:, :-1], train[:, -1])
            """
        ),
        Good(
            """
            import pandas as pd
            from imblearn.over_sampling import SMOTE
            from imblearn.pipeline import make_pipeline
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score

            frame = pd.read_csv("claims.csv")
            model = make_pipeline(SMOTE(random_state=0), LogisticRegression())
            print(cross_val_score(model, frame[["amount"]], frame["fraud"], cv=5))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            frame = pd.read_csv("claims.csv")
            frame = pd.concat([frame, pd.get_dummies(frame["city"])], axis=1)
            train = frame.sample(frac=0.8, random_state=0)
            test = frame.drop(train.index)
            valid = test.sample(frac=0.5, random_state=0)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for overlap in project[Overlaps].all:
            yield _problem(overlap)


def _problem(overlap: Overlap) -> Problem:
    place = overlap.site.place
    where = "" if overlap.place.path == place.path else f" in {overlap.place.path}"
    return Problem(
        place,
        f"{overlap.what} before {overlap.split}{where} cuts the rows: copies of a row fall on both sides",
        related=(
            Related(overlap.place, "these rows are split here", "effect"),
            *[Related(one.place, "copies rows as well") for one in overlap.others],
        ),
        evidence=("the split rows come from the copied ones, and no part was held back before",),
        symbol=overlap.what,
    )
