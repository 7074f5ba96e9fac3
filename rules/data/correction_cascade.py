"""MLD609."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .cascades import Cascade, Cascades


class CorrectionCascade(ProjectRule):
    """What one fitted model says is a feature of a model that is fitted elsewhere, and nothing ties the two together;
    or a projection that cannot be applied to new rows, such as t-SNE, feeds a model.

    ## Why it is debt

    The second model learns the first one's mistakes. Whoever retrains or improves the first one changes the input of
    the second, which gets worse although nothing about it was touched; after a few layers no single model can be
    improved any more. t-SNE places the rows it is given and has no `transform`: the features of a new row do not
    exist.

    ## How to pay it back

    Make one thing of both: `StackingClassifier([("first", a)], final_estimator=b)` or a `Pipeline`, so that they are
    fitted and versioned together and the second sees out-of-fold predictions. Or declare the order, as stages of a
    pipeline (`dvc.yaml`, Airflow, Snakemake) that reruns the second when the first changes. In place of t-SNE take PCA
    or a projection with `transform`.

    ## When to leave it

    Silent: both fitted in one function, stacking and calibration (a model of the other's scores alone), steps of a
    pipeline framework, programs that a script or `dvc.yaml` runs together, predictions that are the target or are
    dropped again, pretrained encoders from a hub, and projections that are only plotted. `info` where a document gives
    the order of both programs.

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NIPS 2015, section 2, correction cascades.
    - https://scikit-learn.org/stable/modules/generated/sklearn.manifold.TSNE.html: no `transform`
    - https://scikit-learn.org/stable/modules/generated/sklearn.ensemble.StackingClassifier.html
    """

    code = "MLD609"
    severity = Severity.MAJOR
    confidence = Confidence.MEDIUM
    minutes = 45
    alone = Alone.REPORT
    examples = (
        Bad(
            {
                "risk.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression


                    def main():
                        loans = pd.read_csv("loans.csv")
                        model = LogisticRegression().fit(loans[["age", "income"]], loans["late"])
                        joblib.dump(model, "models/risk.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
                "price.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.ensemble import GradientBoostingRegressor


                    def main():
                        loans = pd.read_csv("loans.csv")
                        risk = joblib.load("models/risk.joblib")
                        features = loans[["age", "income", "sum"]].copy()
                        features["risk"] = risk.predict_proba(loans[["age", "income"]])[:, 1]
                        model = GradientBoostingRegressor(random_state=0).fit(features, loans["rate"])
                        joblib.dump(model, "models/price.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("price.py:11",),
        ),
        Bad(
            {
                "first.py": """
                    from sklearn.linear_model import Ridge


                    def demand(x, y):
                        model = Ridge()
                        model.fit(x, y)
                        return model
                    """,
                "second.py": """
                    import numpy as np
                    from sklearn.ensemble import RandomForestRegressor

                    from first import demand


                    def stock(x, sold, kept):
                        base = demand(x, sold)
                        wide = np.c_[x, base.predict(x)]
                        return RandomForestRegressor(random_state=0).fit(wide, kept)


                    def run():
                        table = np.load("shop.npy")
                        return stock(table[:, 2:], table[:, 0], table[:, 1])


                    if __name__ == "__main__":
                        run()
                    """,
            },
            anchors=("second.py:10",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.manifold import TSNE

            cells = pd.read_csv("cells.csv")
            flat = TSNE(2, random_state=0).fit_transform(cells.drop(columns=["kind"]))
            model = RandomForestClassifier(random_state=0).fit(flat, cells["kind"])
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "score.py": """
                    import pandas as pd
                    from xgboost import XGBClassifier

                    people = pd.read_csv("people.csv")
                    model = XGBClassifier().fit(people[["age", "visits"]], people["bought"])
                    people["interest"] = model.predict_proba(people[["age", "visits"]])[:, 1]
                    people.to_csv("out/scored.csv")
                    """,
                "churn.py": """
                    import pandas as pd
                    from lightgbm import LGBMClassifier

                    people = pd.read_csv("out/scored.csv")
                    LGBMClassifier().fit(people[["age", "interest"]], people["left"])
                    """,
            },
            anchors=("churn.py:5",),
        ),
        Bad(
            {
                "embed.py": """
                    import umap.umap_ as um


                    def embedded(rows):
                        reducer = um.UMAP(n_components=3, random_state=0)
                        return reducer.fit_transform(rows)
                    """,
                "train.py": """
                    import numpy as np
                    from sklearn.preprocessing import StandardScaler
                    from sklearn.svm import SVC

                    from embed import embedded

                    rows, kinds = np.load("cells.npy"), np.load("kinds.npy")
                    scaler = StandardScaler().fit(rows)
                    SVC().fit(embedded(scaler.transform(rows)), kinds)
                    """,
            },
            anchors=("train.py:9",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.manifold import TSNE
            from xgboost import XGBClassifier

            cells = pd.read_csv("cells.csv")
            cells[["x", "y"]] = TSNE(2, random_state=0).fit_transform(cells[["a", "b", "c"]])
            XGBClassifier().fit(cells[["a", "x", "y"]], cells["kind"])
            """,
            anchors=("example.py:7",),
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import numpy as np
                    import umap
                    from sklearn.svm import SVC

                    rows, kinds = np.load("cells.npy"), np.load("kinds.npy")
                    reducer = umap.UMAP(n_components=3, random_state=0)
                    model = SVC().fit(reducer.fit_transform(rows), kinds)
                    joblib.dump(reducer, "reducer.joblib")
                    joblib.dump(model, "model.joblib")
                    """,
                "serve.py": """
                    import joblib

                    reducer, model = joblib.load("reducer.joblib"), joblib.load("model.joblib")


                    def predict(rows):
                        return model.predict(reducer.transform(rows))
                    """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier, StackingClassifier
            from sklearn.linear_model import LogisticRegression

            loans = pd.read_csv("loans.csv")
            first, last = RandomForestClassifier(random_state=0), LogisticRegression()
            model = StackingClassifier([("first", first)], final_estimator=last, passthrough=True)
            model.fit(loans[["age", "income"]], loans["late"])
            """
        ),
        Good(
            {
                "dvc.yaml": """
                    stages:
                      score:
                        cmd: python score.py
                        deps: [people.csv]
                        outs: [out/scored.csv]
                      churn:
                        cmd: python churn.py
                        deps: [out/scored.csv]
                    """,
                "score.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression

                    people = pd.read_csv("people.csv")
                    model = LogisticRegression().fit(people[["age", "visits"]], people["bought"])
                    people["interest"] = model.predict_proba(people[["age", "visits"]])[:, 1]
                    people.to_csv("out/scored.csv")
                    """,
                "churn.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression

                    people = pd.read_csv("out/scored.csv")
                    LogisticRegression().fit(people[["age", "interest"]], people["left"])
                    """,
            }
        ),
        Good(
            {
                "model.py": """
                    from sklearn.ensemble import RandomForestClassifier


                    def fitted(x, y):
                        return RandomForestClassifier(random_state=0).fit(x, y)
                    """,
                "calibrate.py": """
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import train_test_split

                    from model import fitted

                    table = pd.read_csv("loans.csv")
                    train, held = train_test_split(table, random_state=0)
                    forest = fitted(train[["age", "income"]], train["late"])
                    scores = forest.predict_proba(held[["age", "income"]])[:, 1]
                    platt = LogisticRegression().fit(scores.reshape(-1, 1), held["late"])
                    """,
            }
        ),
        Good(
            {
                "first.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression

                    people = pd.read_csv("people.csv")
                    joblib.dump(LogisticRegression().fit(people[["age"]], people["bought"]), "first.joblib")
                    """,
                "second.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression

                    people = pd.read_csv("people.csv")
                    first = joblib.load("first.joblib")
                    people["old"] = first.predict(people[["age"]])
                    people = people[people["old"] != people["bought"]]
                    model = LogisticRegression().fit(people[["age", "visits"]], people["bought"])
                    print((model.predict(people[["age", "visits"]]) == people["old"]).mean())
                    """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sentence_transformers import SentenceTransformer
            from sklearn.linear_model import LogisticRegression
            from sklearn.manifold import TSNE

            reviews = pd.read_csv("reviews.csv")
            encoder = SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2", revision="c9745ed1d9f2")
            vectors = encoder.encode(reviews["text"].tolist())
            flat = TSNE(2, random_state=0).fit_transform(vectors)
            reviews["x"], reviews["y"] = flat[:, 0], flat[:, 1]
            reviews.plot.scatter("x", "y")
            LogisticRegression().fit(vectors, reviews["stars"])
            LogisticRegression().fit(reviews[["length"]], reviews["stars"])
            """
        ),
        Good(
            """
            import numpy as np
            import pandas as pd
            from prefect import flow, task
            from sklearn.linear_model import LogisticRegression, Ridge


            @task
            def risk(loans):
                return LogisticRegression().fit(loans[["age"]], loans["late"])


            @task
            def price(loans, model):
                wide = np.column_stack([loans[["age"]], model.predict(loans[["age"]])])
                return Ridge().fit(wide, loans["rate"])


            @flow
            def train():
                loans = pd.read_csv("loans.csv")
                return price(loans, risk(loans))
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for cascade in project[Cascades].all:
            yield _projected(cascade) if cascade.is_projection else _chained(cascade)


def _chained(cascade: Cascade) -> Problem:
    related = [
        Related(cascade.said, f"what {cascade.source} predicts", "cause"),
        Related(cascade.origin, f"{cascade.source} is fitted here", "cause"),
    ]
    where = "" if cascade.origin.path == cascade.place.path else f" in {cascade.origin.path}"
    evidence = ["both are fitted apart", "no stacking, pipeline or stage order ties them together"]
    if cascade.documented is not None:
        evidence.append(f"{cascade.documented.path}:{cascade.documented.span.line} gives the order of both programs")
    return Problem(
        cascade.place,
        f"{cascade.model} is fitted on what {cascade.source}, which is fitted{where or ' elsewhere'}, predicts",
        related=tuple(one for one in related if one.place != cascade.place),
        severity=Severity.INFO if cascade.documented is not None else None,
        evidence=tuple(evidence),
        symbol=cascade.source,
    )


def _projected(cascade: Cascade) -> Problem:
    reason = "is not applied to other rows anywhere" if cascade.source == "UMAP" else "has no transform for new rows"
    return Problem(
        cascade.place,
        f"{cascade.model} is fitted on the output of {cascade.source}, which {reason}",
        related=(Related(cascade.said, f"{cascade.source} places these rows", "cause"),),
        confidence=Confidence.HIGH,
        evidence=("the projection's columns are among the features",),
        symbol=cascade.source,
    )
