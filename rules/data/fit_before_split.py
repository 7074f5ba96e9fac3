"""MLD601."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .leaks import Leak, Leaks


class FitBeforeSplit(ProjectRule):
    """A scaler, imputer, encoder, projection, selector or vectoriser, or a mean or maximum, learns from rows that are
    held out as test rows later.

    ## Why it is debt

    The held-out rows have shaped the features the model is trained on, so the test score is measured on rows that are
    not new to it: it is too high, by an amount nobody knows, and the mistake shows only in production. Feature
    selection and target encoding before the split can make noise look like a model. Yang et al. (2022) found such
    *preprocessing leakage* in a large share of more than 100,000 public notebooks; the fit and the split often stand in
    two functions or files, each of which is right on its own.

    ## How to pay it back

    Split first, then fit on the training part only and apply to both. Or put the transformer into a
    `sklearn.pipeline.Pipeline` (`make_pipeline(StandardScaler(), LogisticRegression())`) and fit that on the training
    part: `cross_val_score` and `GridSearchCV` then fit it anew in every fold.

    ## When to leave it

    Silent: transformers that look at one row at a time or learn nothing but class names (`Normalizer`,
    `HashingVectorizer`, `CountVectorizer(vocabulary=...)`, `LabelEncoder`), figures that are only printed, fits on the
    training part, a final fit on all rows after the evaluation, and what a pipeline fits inside cross-validation. A
    further split of the training part, for validation, is left alone as well, unless the labels are looked at, and so
    are functions of a script that it never names, and programs that are kept as data. `minor` where the
    figures only fill missing values, and where only the names of categories are learned.

    ## References

    - Yang, Brower-Sinning, Lewis, Kästner, "Data Leakage in Notebooks: Static Detection and Better Processes", ASE
      2022, https://doi.org/10.1145/3551349.3556918
    - scikit-learn, Common pitfalls, Data leakage: https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    """

    code = "MLD601"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 15
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            frame = pd.read_csv("patients.csv")
            x = StandardScaler().fit_transform(frame.drop(columns=["ill"]))
            x_train, x_test, y_train, y_test = train_test_split(x, frame["ill"], random_state=0)
            model = LogisticRegression().fit(x_train, y_train)
            print(model.score(x_test, y_test))
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "preparing.py": """
                    from sklearn.impute import SimpleImputer


                    class Preparation:
                        def __init__(self):
                            self.imputer = SimpleImputer(strategy="median")

                        def apply(self, frame):
                            columns = ["age", "weight"]
                            frame[columns] = self.imputer.fit_transform(frame[columns])
                            return frame
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.ensemble import RandomForestClassifier
                    from sklearn.model_selection import train_test_split

                    from preparing import Preparation


                    def main():
                        frame = pd.read_csv("patients.csv")
                        frame = Preparation().apply(frame)
                        train, test = train_test_split(frame, test_size=0.2, random_state=0)
                        model = RandomForestClassifier(random_state=0).fit(train[["age", "weight"]], train["ill"])
                        return model.score(test[["age", "weight"]], test["ill"])


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("preparing.py:10",),
        ),
        Bad(
            """
            import numpy as np


            def load(path, cut):
                x, y = np.load(path), np.load(path.replace("x", "y"))
                x = (x - x.mean(axis=0)) / x.std(axis=0)
                x_train, x_test = x[:cut], x[cut:]
                y_train, y_test = y[:cut], y[cut:]
                return x_train, y_train, x_test, y_test


            def evaluate(model, path):
                x_train, y_train, x_test, y_test = load(path, 800)
                model.fit(x_train, y_train)
                return model.score(x_test, y_test)
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import cross_val_score

            flats = pd.read_csv("flats.csv")
            flats["district_price"] = flats["district"].map(flats.groupby("district")["price"].mean())
            flats["area"] = flats["area"].fillna(flats["area"].median())
            print(cross_val_score(Ridge(), flats[["district_price", "area"]], flats["price"], cv=5))
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.feature_extraction.text import TfidfVectorizer
            from sklearn.model_selection import StratifiedKFold
            from sklearn.svm import LinearSVC

            reviews = pd.read_csv("reviews.csv")
            vectoriser = TfidfVectorizer(min_df=3)
            vectoriser.fit(reviews["text"])
            scores = []
            for train, test in StratifiedKFold(5).split(reviews, reviews["stars"]):
                x_train = vectoriser.transform(reviews["text"].iloc[train])
                x_test = vectoriser.transform(reviews["text"].iloc[test])
                model = LinearSVC().fit(x_train, reviews["stars"].iloc[train])
                scores.append(model.score(x_test, reviews["stars"].iloc[test]))
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            {
                "preprocess.py": """
                    import pandas as pd
                    from sklearn.preprocessing import StandardScaler


                    def main():
                        frame = pd.read_csv("data/patients.csv")
                        columns = ["age", "weight"]
                        frame[columns] = StandardScaler().fit_transform(frame[columns])
                        frame.to_parquet("data/scaled.parquet")


                    if __name__ == "__main__":
                        main()
                    """,
                "learn.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import train_test_split

                    frame = pd.read_parquet("data/scaled.parquet")
                    train, test = train_test_split(frame, random_state=0)
                    model = LogisticRegression().fit(train[["age", "weight"]], train["ill"])
                    print(model.score(test[["age", "weight"]], test["ill"]))
                    """,
            },
            anchors=("preprocess.py:8",),
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            frame = pd.read_csv("patients.csv")
            print(frame["age"].mean(), frame["age"].max())
            x, y = frame.drop(columns=["ill"]), frame["ill"]
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            scaler = StandardScaler()
            x_train = scaler.fit_transform(x_train)
            x_test = scaler.transform(x_test)
            model = LogisticRegression().fit(x_train, y_train)
            print(model.score(x_test, y_test))
            final = LogisticRegression().fit(StandardScaler().fit_transform(x), y)
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.compose import ColumnTransformer
            from sklearn.impute import SimpleImputer
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_score, train_test_split
            from sklearn.pipeline import Pipeline, make_pipeline
            from sklearn.preprocessing import OneHotEncoder, StandardScaler

            frame = pd.read_csv("patients.csv")
            x, y = frame.drop(columns=["ill"]), frame["ill"]
            numbers = make_pipeline(SimpleImputer(), StandardScaler())
            prepared = ColumnTransformer([("n", numbers, ["age"]), ("c", OneHotEncoder(), ["city"])])
            model = Pipeline([("prepare", prepared), ("model", LogisticRegression())])
            print(cross_val_score(model, x, y, cv=5))
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            print(model.fit(x_train, y_train).score(x_test, y_test))
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
            from sklearn.linear_model import SGDClassifier
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import LabelEncoder, Normalizer

            WORDS = ["good", "bad", "fine"]
            reviews = pd.read_csv("reviews.csv")
            y = LabelEncoder().fit_transform(reviews["stars"])
            counts = CountVectorizer(vocabulary=WORDS).fit_transform(reviews["text"])
            hashed = Normalizer().fit_transform(HashingVectorizer().fit_transform(reviews["text"]))
            for x in (counts, hashed):
                x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
                print(SGDClassifier(random_state=0).fit(x_train, y_train).score(x_test, y_test))
            """
        ),
        Good(
            {
                "preparing.py": """
                    def clean(frame):
                        frame = frame.dropna(subset=["ill"])
                        frame["bmi"] = frame["weight"] / frame["height"] ** 2
                        frame["city"] = frame["city"].fillna("unknown")
                        return frame


                    def scale(train, test):
                        middle, width = train.mean(), train.std()
                        return (train - middle) / width, (test - middle) / width
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import train_test_split

                    from preparing import clean, scale

                    frame = clean(pd.read_csv("patients.csv"))
                    x_train, x_test, y_train, y_test = train_test_split(frame[["bmi"]], frame["ill"], random_state=0)
                    x_train, x_test = scale(x_train, x_test)
                    print(LogisticRegression().fit(x_train, y_train).score(x_test, y_test))
                    """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sklearn.cluster import KMeans
            from sklearn.decomposition import PCA
            from sklearn.model_selection import KFold
            from sklearn.preprocessing import StandardScaler

            frame = pd.read_csv("customers.csv")
            flat = PCA(2).fit_transform(StandardScaler().fit_transform(frame))
            groups = KMeans(4, random_state=0).fit_predict(flat)


            def folds(x, y, model):
                for train, test in KFold(5).split(x):
                    scaler = StandardScaler().fit(x[train])
                    model.fit(scaler.transform(x[train]), y[train])
                    yield model.score(scaler.transform(x[test]), y[test])
            """
        ),
        Good(  # the ages that are known teach those that are missing: nothing is scored
            """
            import pandas as pd
            from sklearn.linear_model import LinearRegression
            from sklearn.preprocessing import StandardScaler

            frame = pd.read_csv("passengers.csv")
            frame[["fare"]] = StandardScaler().fit_transform(frame[["fare"]])
            age_train = frame[frame["age"].notnull()]
            age_test = frame[frame["age"].isnull()]
            model = LinearRegression().fit(age_train[["fare"]], age_train["age"])
            frame.loc[frame["age"].isnull(), "age"] = model.predict(age_test[["fare"]])
            """
        ),
        Good(  # pasted, and nobody calls it
            """
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.preprocessing import MinMaxScaler


            def prepare(values, held_out):
                scaled = MinMaxScaler().fit_transform(values)
                train, test = scaled[:-held_out], scaled[-held_out:]
                return train, test


            if __name__ == "__main__":
                x_train, y_train = np.load("x_train.npy"), np.load("y_train.npy")
                x_test, y_test = np.load("x_test.npy"), np.load("y_test.npy")
                model = Ridge().fit(x_train, y_train)
                print(model.score(x_test, y_test))
            """
        ),
        Good(  # the test part lies in another file, and the scaler learns nothing of it
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split
            from sklearn.preprocessing import StandardScaler

            training = pd.read_csv("train.csv")
            testing = pd.read_csv("test.csv")
            scaler = StandardScaler()
            training[["age"]] = scaler.fit_transform(training[["age"]])
            testing[["age"]] = scaler.transform(testing[["age"]])
            x_fit, x_valid, y_fit, y_valid = train_test_split(training[["age"]], training["ill"], random_state=0)
            model = LogisticRegression().fit(x_fit, y_fit)
            print(model.score(x_valid, y_valid), model.score(testing[["age"]], testing["ill"]))
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for leak in project[Leaks].all:
            problem = _problem(leak)
            yield replace(problem, severity=Severity.MINOR) if leak.mild else problem


def _problem(leak: Leak) -> Problem:
    first = leak.marks[0]
    what = "is fitted on" if first.label[:1].isupper() else "is taken over"
    where = "" if leak.place.path == first.site.place.path else f" in {leak.place.path}"
    message = f"{first.label} {what} rows that {leak.split}{where} holds out"
    related = [Related(leak.place, "these rows are split here", "effect")]
    related += [Related(one.site.place, f"{one.label} as well") for one in leak.marks[1:]]
    return Problem(
        first.site.place,
        message,
        related=tuple(related),
        evidence=(
            "every row of the later test part is among the rows it learns from",
            "no pipeline fits it inside the folds",
        ),
        symbol=first.label,
    )
