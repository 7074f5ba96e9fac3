"""MLD608 feedback-cycle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .feedback import Cycle, Feedback


class FeedbackCycle(ProjectRule):
    """What a model predicts is stored, and the model's next training reads it as the truth.

    The labels of every fit are followed backwards: through columns, functions and files, tables or collections, to the
    place where they were stored, and on to what was stored there. The finding is at the place that stores the
    prediction.

    ## Why it is debt

    A model that learns from its own output confirms itself: its errors become labels, its confidence grows, the
    scores stay good, for they are measured with the same labels, and what it never predicts disappears from the data.
    Sculley and others call it a direct feedback loop and count it to the debt that is hardest to see, because every
    program of the circle looks right by itself.

    ## How to pay it back

    Learn from what happened or from what people said, and store the prediction in a column of its own:
    join the log with outcomes before training. Where both stand in one table, store who gave the label and
    train on the rows of people only.

    ## When to leave it

    Labels that come from elsewhere (a join with outcomes, another column), predictions that are only features or are
    only measured, labels made by another model, and a circle in memory are silent. Self-training, pseudo-labels,
    distillation and active learning that say so, and a selection that seems to take people's labels only, make the
    finding information: log the share of labels the model gave itself. Circles through people or through systems
    outside of the repository cannot be seen.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 4, direct feedback
      loops.
    * L. Bottou et al., "Counterfactual Reasoning and Learning Systems", JMLR 14, 2013.
    """

    code: ClassVar[str] = "MLD608"
    severity: ClassVar[Severity] = Severity.CRITICAL
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 60
    examples = (
        Bad(
            {
                "serve.py": """
                import csv

                import joblib
                from fastapi import FastAPI

                app = FastAPI()
                model = joblib.load("models/ticket.joblib")


                @app.post("/route")
                def route(text: str):
                    queue = model.predict([text])[0]
                    with open("data/tickets.csv", "a") as file:
                        csv.DictWriter(file, ["text", "queue"]).writerow({"text": text, "queue": queue})
                    return {"queue": queue}
                """,
                "train.py": """
                import joblib
                import pandas as pd
                from sklearn.feature_extraction.text import TfidfVectorizer
                from sklearn.linear_model import LogisticRegression
                from sklearn.pipeline import make_pipeline


                def main():
                    tickets = pd.read_csv("data/tickets.csv").dropna()
                    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
                    model.fit(tickets["text"], tickets["queue"])
                    joblib.dump(model, "models/ticket.joblib")


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("serve.py:13",),
        ),
        Bad(
            {
                "scoring.py": """
                import joblib
                import pandas as pd
                from storage import save

                FEATURES = ["amount", "age"]


                def main():
                    model = joblib.load("models/risk.joblib")
                    frame = pd.read_parquet("data/incoming.parquet")
                    frame["risk"] = (model.predict_proba(frame[FEATURES])[:, 1] > 0.5).astype(int)
                    save(frame, "data/scored.parquet")


                if __name__ == "__main__":
                    main()
                """,
                "storage.py": """
                def save(frame, path):
                    frame.to_parquet(path)
                """,
                "collect.py": """
                import pandas as pd


                def main():
                    old = pd.read_parquet("data/scored.parquet")
                    old = old.rename(columns={"risk": "label"})[["amount", "age", "label"]]
                    old.to_parquet("data/training.parquet")


                if __name__ == "__main__":
                    main()
                """,
                "train.py": """
                import joblib
                import pandas as pd
                from scoring import FEATURES
                from sklearn.ensemble import RandomForestClassifier
                from sklearn.model_selection import train_test_split


                def load():
                    frame = pd.read_parquet("data/training.parquet")
                    return frame[FEATURES], frame["label"]


                def main():
                    x, y = load()
                    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
                    forest = RandomForestClassifier(random_state=0).fit(x_train, y_train)
                    print(forest.score(x_test, y_test))
                    joblib.dump(forest, "models/risk.joblib")


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("storage.py:2",),
        ),
        Bad(
            {
                "store.py": """
                import json

                LOG = "data/log.jsonl"


                class EventLog:
                    def append(self, features, label):
                        with open(LOG, "a") as file:
                            file.write(json.dumps({"features": features, "label": label}) + "\\n")

                    def read(self):
                        xs, ys = [], []
                        with open(LOG) as file:
                            for line in file:
                                event = json.loads(line)
                                xs.append(event["features"])
                                ys.append(event["label"])
                        return xs, ys
                """,
                "online.py": """
                import pickle

                from sklearn.linear_model import SGDClassifier
                from store import EventLog

                log = EventLog()


                def answer(features):
                    with open("model.pkl", "rb") as file:
                        model = pickle.load(file)
                    label = int(model.predict([features])[0])
                    log.append(features, label)
                    return label


                def retrain():
                    model = SGDClassifier()
                    model.fit(*log.read())
                    with open("model.pkl", "wb") as file:
                        pickle.dump(model, file)


                if __name__ == "__main__":
                    print(answer([1.0, 2.0]))
                    retrain()
                """,
            },
            anchors=("store.py:8",),
        ),
        Bad(
            {
                "app.py": """
                import sqlite3

                import joblib
                from flask import Flask, request

                app = Flask(__name__)
                model = joblib.load("spam.joblib")


                @app.route("/check", methods=["POST"])
                def check():
                    words = request.json["words"]
                    spam = int(model.predict([[words]])[0])
                    with sqlite3.connect("mail.db") as base:
                        base.execute("INSERT INTO mails (words, spam) VALUES (?, ?)", (words, spam))
                    return {"spam": spam}
                """,
                "retrain.py": """
                import sqlite3

                import joblib
                import pandas as pd
                from sklearn.naive_bayes import MultinomialNB

                base = sqlite3.connect("mail.db")
                mails = pd.read_sql("SELECT words, spam FROM mails", base)
                model = MultinomialNB().fit(mails[["words"]], mails["spam"])
                joblib.dump(model, "spam.joblib")
                """,
            },
            anchors=("app.py:15",),
        ),
        Bad(
            {
                "rate.py": """
                import joblib
                import pandas as pd

                if __name__ == "__main__":
                    offers = pd.read_feather("offers.feather")
                    offers.insert(0, "won", joblib.load("offers.joblib").predict(offers[["price", "days"]]))
                    offers.to_feather("rated.feather")
                """,
                "merge.py": """
                import pandas as pd

                if __name__ == "__main__":
                    parts = [pd.read_feather(name) for name in ("first.feather", "rated.feather")]
                    pd.concat(parts, ignore_index=True).to_feather("all.feather")
                """,
                "learn.py": """
                import joblib
                import pandas as pd
                from sklearn.naive_bayes import GaussianNB

                if __name__ == "__main__":
                    table = pd.read_feather("all.feather")
                    joblib.dump(GaussianNB().fit(table[["price", "days"]], table["won"]), "offers.joblib")
                """,
            },
            anchors=("rate.py:7",),
        ),
        Bad(
            {
                "pseudo_label.py": """
                import joblib
                import pandas as pd

                model = joblib.load("model.joblib")
                frame = pd.read_csv("data/unlabelled.csv")
                frame["label"] = model.predict(frame[["a"]])
                frame.to_csv("data/pseudo_labels.csv")
                """,
                "train.py": """
                import joblib
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                pseudo = pd.read_csv("data/pseudo_labels.csv")
                frame = pd.concat([pd.read_csv("data/train.csv"), pseudo])
                joblib.dump(LogisticRegression().fit(frame[["a"]], frame["label"]), "model.joblib")
                """,
            }
        ),
        Good(
            {
                "serve.py": """
                import json

                import joblib

                model = joblib.load("churn.joblib")


                def answer(user, features):
                    prediction = float(model.predict_proba([features])[0][1])
                    with open("data/log.jsonl", "a") as file:
                        file.write(json.dumps({"user": user, "features": features, "prediction": prediction}) + "\\n")
                    return prediction


                if __name__ == "__main__":
                    print(answer("u1", [1.0]))
                """,
                "train.py": """
                import joblib
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                log = pd.read_json("data/log.jsonl", lines=True)
                outcomes = pd.read_csv("data/outcomes.csv")
                frame = log.merge(outcomes, on="user", how="inner", validate="m:1")
                model = LogisticRegression().fit(frame["features"].tolist(), frame["churned"])
                joblib.dump(model, "churn.joblib")
                """,
            }
        ),
        Good(
            {
                "score.py": """
                import joblib
                import pandas as pd

                frame = pd.read_csv("data/new.csv")
                frame["score"] = joblib.load("first.joblib").predict(frame[["a", "b"]])
                frame.to_csv("data/scored.csv")
                """,
                "train.py": """
                import joblib
                import pandas as pd
                from sklearn.linear_model import LinearRegression

                frame = pd.read_csv("data/scored.csv")
                model = LinearRegression().fit(frame[["a", "b", "score"]], frame["sold"])
                joblib.dump(model, "first.joblib")
                """,
            }
        ),
        Good(
            {
                "label.py": """
                import joblib
                import pandas as pd

                big = joblib.load("big.joblib")
                frame = pd.read_csv("data/unlabelled.csv")
                frame["label"] = big.predict(frame[["a", "b"]])
                frame.to_csv("data/labelled.csv")
                """,
                "train_small.py": """
                import joblib
                import pandas as pd
                from sklearn.tree import DecisionTreeClassifier

                frame = pd.read_csv("data/labelled.csv")
                small = DecisionTreeClassifier(random_state=0).fit(frame[["a", "b"]], frame["label"])
                joblib.dump(small, "small.joblib")
                """,
                "train_big.py": """
                import joblib
                import pandas as pd
                from sklearn.ensemble import RandomForestClassifier

                frame = pd.read_csv("data/people.csv")
                joblib.dump(RandomForestClassifier(random_state=0).fit(frame[["a", "b"]], frame["label"]), "big.joblib")
                """,
            }
        ),
        Good(
            {
                "predict.py": """
                import joblib
                import pandas as pd

                model = joblib.load("model.joblib")
                test = pd.read_csv("data/test.csv")
                pd.DataFrame({"id": test["id"], "label": model.predict(test[["a"]])}).to_csv("submission.csv")
                """,
                "train.py": """
                import joblib
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                train = pd.read_csv("data/train.csv")
                joblib.dump(LogisticRegression().fit(train[["a"]], train["label"]), "model.joblib")
                """,
                "compare.py": """
                import pandas as pd

                guesses = pd.read_csv("submission.csv")
                print((guesses["label"] == pd.read_csv("data/truth.csv")["label"]).mean())
                """,
            }
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import LogisticRegression


            def grow(x, y, rest):
                model = LogisticRegression().fit(x, y)
                guess = model.predict(rest)
                return LogisticRegression().fit(np.r_[x, rest], np.r_[y, guess])
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        found: dict[Place, list[Cycle]] = {}
        for cycle in project[Feedback].all:
            found.setdefault(cycle.place, []).append(cycle)
        for _, cycles in sorted(found.items()):
            yield _problem(cycles)


def _problem(cycles: Sequence[Cycle]) -> Problem:
    eased = [cycle for cycle in cycles if cycle.meant or cycle.reviewed]
    cycle = next((one for one in cycles if one not in eased), cycles[0])
    put, fit = cycle.puts[-1], cycle.learning
    where = fit.module.place(fit.call)
    predicted = cycle.prediction.module.place(cycle.prediction.call)
    related = [Related(predicted, "this is predicted", "cause")]
    related += [Related(read.module.place(read.call), "it is read again here", "path") for read in cycle.reads[::-1]]
    related += [Related(more.place, f"it goes on to {more.store}", "path") for more in cycle.puts[-2::-1]]
    related.append(Related(where, "and it is what this fit learns to predict", "effect"))
    evidence = [
        f"the model that predicts in {predicted.path} is trained in {where.path}: {cycle.kinship}",
        "no join with other labels and no selection of people's labels was found on the way",
    ]
    if cycle.meant:
        evidence[1] = f"{cycle.meant} says that it is meant"
    elif cycle.reviewed:
        evidence[1] = f"a test of {cycle.reviewed} may keep the model's own labels out"
    return Problem(
        put.place,
        f"a prediction is stored in {put.store}, and {where.path}:{where.span.line} trains the same model on it as the "
        "label",
        related=tuple(related),
        severity=Severity.INFO if len(eased) == len(cycles) else None,
        evidence=tuple(evidence),
        symbol=put.store,
    )
