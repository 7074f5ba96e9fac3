"""MLD613."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.facts.schema import Assign, Call, Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .counting import Counting
from .marked_fits import marked_fits
from .rows import Mark


class SilentRowLoss(ProjectRule):
    """Rows are dropped because values are missing, invalid or far out, nobody counts how many, and a model is fitted on
    the rest.

    ## Why it is debt

    The day a source sends a column half empty, half of the training rows vanish and every step still succeeds. What is
    dropped is seldom random, so the model learns another population than the one it meets.

    ## How to pay it back

    Count before and after, and log or assert the difference:
    `n = len(df); df = df.dropna(); log.info("dropna: %d -> %d", n, len(df))`. The suggested fix prints it.

    ## When to leave it

    Silent where only the column that is learned is looked at (`dropna(subset=["price"])`: a row without it teaches
    nothing), where the function, its file or a caller prints, logs, asserts, returns or keeps a length or a shape,
    where no model is fitted on the rows, for left joins and checked ones, and for ordinary selections of rows
    (`df[df["country"] == "NO"]`).

    ## References

    - Foidl, Felderer, Ramler, "Data Smells: Categories, Causes and Consequences", CAIN 2022.
    - https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.dropna.html
    """

    code = "MLD613"
    severity = Severity.MINOR
    confidence = Confidence.HIGH
    minutes = 10
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("patients.csv")
            frame = frame.dropna()
            model = LogisticRegression().fit(frame[["age"]], frame["ill"])
            """,
            fixed="""
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("patients.csv")
            rows_before = len(frame)
            frame = frame.dropna()
            print(f"dropna: {rows_before} -> {len(frame)} rows")
            model = LogisticRegression().fit(frame[["age"]], frame["ill"])
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            {
                "clean.py": """
                    def without_outliers(frame):
                        limit = frame["income"].quantile(0.99)
                        return frame[frame["income"] < limit]
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge

                    from clean import without_outliers

                    frame = without_outliers(pd.read_csv("income.csv"))
                    Ridge().fit(frame[["age"]], frame["income"])
                    """,
            },
            anchors=("clean.py:3",),
        ),
        Bad(
            """
            import json

            from sklearn.feature_extraction.text import HashingVectorizer
            from sklearn.linear_model import SGDClassifier


            def load(path):
                texts, labels = [], []
                for line in open(path):
                    try:
                        record = json.loads(line)
                        texts.append(record["text"])
                        labels.append(record["label"])
                    except ValueError:
                        continue
                return texts, labels


            def main():
                texts, labels = load("reviews.jsonl")
                SGDClassifier(random_state=0).fit(HashingVectorizer().fit_transform(texts), labels)


            if __name__ == "__main__":
                main()
            """,
            anchors=("example.py:15",),
        ),
        Good(
            """
            import logging

            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("patients.csv")
            n = len(frame)
            frame = frame.dropna(subset=["age"])
            logging.info("dropna: %d -> %d", n, len(frame))
            model = LogisticRegression().fit(frame[["age"]], frame["ill"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            frame = pd.read_csv("patients.csv")
            frame = frame[frame["country"] == "NO"]
            frame = frame.dropna(axis=1)
            model = LogisticRegression().fit(frame[["age"]], frame["ill"])
            """
        ),
        Good(
            """
            import pandas as pd

            frame = pd.read_csv("patients.csv").dropna()
            frame.plot(x="age", y="weight")
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression


            def clean(frame):
                kept = frame.dropna()
                if len(kept) < 0.9 * len(frame):
                    raise ValueError("too many rows are incomplete")
                return kept


            frame = clean(pd.read_csv("patients.csv"))
            model = LogisticRegression().fit(frame[["age"]], frame["ill"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split

            flats = pd.read_csv("flats.csv")
            flats = flats.dropna(subset=["price"])
            x_train, x_test, y_train, y_test = train_test_split(flats[["area"]], flats["price"], random_state=0)
            model = Ridge().fit(x_train, y_train)

            rents = pd.read_csv("rents.csv")
            rents.dropna(axis=0, subset=["rent"], inplace=True)
            rents = rents[rents["rent"].notnull()]
            Ridge().fit(rents.drop(columns=["rent"]), rents.rent)
            """
        ),
        Good(
            """
            import json

            from sklearn.feature_extraction.text import HashingVectorizer
            from sklearn.linear_model import SGDClassifier

            texts, bad = [], 0
            for line in open("reviews.jsonl"):
                try:
                    texts.append(json.loads(line)["text"])
                except ValueError:
                    bad += 1
                    continue
            SGDClassifier(random_state=0).fit(HashingVectorizer().fit_transform(texts), [0, 1])
            """
        ),
        Bad(
            {
                "f.py": """
                    import numpy as np


                    def trim(df, cols, k=3.0):
                        z = np.abs((df[cols] - df[cols].mean()) / df[cols].std())
                        return df[(z < k).all(axis=1)]
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from f import trim
                    df = pd.read_csv("a.csv").pipe(trim, ["a", "b"])
                    Ridge().fit(df[["a", "b"]], df["y"])
                    """,
            },
            anchors=("f.py:6",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import IsolationForest
            from sklearn.linear_model import Ridge

            df = pd.read_csv("a.csv")
            keep = IsolationForest(random_state=0).fit_predict(df[["a", "b"]])
            df = df[keep == 1]
            Ridge().fit(df[["a", "b"]], df["y"])
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            a, b = pd.read_csv("a.csv"), pd.read_csv("b.csv")
            df = a.merge(b, on="id", how="inner")
            Ridge().fit(df[["a", "b"]], df["y"])
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            """
            import pandas as pd
            import torch

            df = pd.read_csv("a.csv")
            df = df.dropna()
            x = torch.tensor(df[["a"]].values)
            y = torch.tensor(df["y"].values)
            net = torch.nn.Linear(1, 1)
            opt = torch.optim.SGD(net.parameters(), 0.1)
            loss = torch.nn.functional.mse_loss(net(x), y)
            loss.backward()
            opt.step()
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            """
            import glob
            import numpy as np
            from PIL import Image
            from sklearn.svm import SVC


            def load():
                xs, ys = [], []
                for p in glob.glob("img/*.png"):
                    try:
                        im = Image.open(p)
                    except OSError:
                        continue
                    xs.append(np.asarray(im).ravel())
                    ys.append(p[0])
                return np.array(xs), np.array(ys)


            x, y = load()
            SVC().fit(x, y)
            """,
            anchors=("example.py:13",),
        ),
        Bad(
            {
                "records.py": """
                    import json


                    def rows(path):
                        for line in open(path):
                            try:
                                yield json.loads(line)
                            except ValueError:
                                continue
                    """,
                "train.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from records import rows
                    df = pd.DataFrame(rows("a.jsonl"))
                    Ridge().fit(df[["a"]], df["y"])
                    """,
            },
            anchors=("records.py:9",),
        ),
        Good(
            {
                "clean.py": """
                    def clean(df):
                        return df.dropna()
                    """,
                "model.py": """
                    from sklearn.linear_model import Ridge


                    def train(df):
                        return Ridge().fit(df[["a"]], df["y"])
                    """,
                "train.py": """
                    import pandas as pd
                    from clean import clean
                    from model import train


                    def main():
                        raw = pd.read_csv("a.csv")
                        df = clean(raw)
                        print(f"{len(raw)} -> {len(df)}")
                        train(df)


                    main()
                    """,
            }
        ),
        Good(
            {
                "clean.py": """
                    def clean(df):
                        kept = df.dropna()
                        return kept, {"rows_in": len(df), "rows_out": len(kept)}
                    """,
                "train.py": """
                    import json
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from clean import clean
                    df, counts = clean(pd.read_csv("a.csv"))
                    json.dump(counts, open("counts.json", "w"))
                    Ridge().fit(df[["a"]], df["y"])
                    """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            a, b = pd.read_csv("a.csv"), pd.read_csv("b.csv")
            df = a.merge(b, on="id", how="left")
            df = df.join(pd.read_csv("c.csv"), on="id")
            df = df.merge(pd.read_csv("d.csv"), on="id", validate="1:1")
            Ridge().fit(df[["a", "b"]], df["y"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("a.csv")
            df["a"] = (df["a"] - df["a"].mean()) / df["a"].std()
            df = df[df["a"] > 0]
            df = df[df["b"].between(1, 5)]
            df = df.query("c == 'x'")
            Ridge().fit(df[["a"]], df["y"])
            """
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge

            df = pd.read_csv("a.csv")
            lo, hi = df["a"].quantile([0.01, 0.99])
            df["a"] = df["a"].clip(lo, hi)
            df["b"] = df["b"].fillna(df["b"].median())
            df["c"] = pd.to_numeric(df["c"], errors="coerce").fillna(0)
            df["rich"] = df["a"] > df["a"].quantile(0.9)
            Ridge().fit(df[["a", "rich"]], df["y"])
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        before: Mark | None = None
        for mark, fit in marked_fits(project, "lost"):
            if project[Counting].near((mark.site, fit.site)):
                continue
            if before is not None and _is_twin(before, mark):
                continue
            before = mark
            yield Problem(
                mark.site.place,
                f"{mark.label} drops rows and nobody counts how many; {fit.label} is fitted on the rest",
                related=(Related(fit.site.place, "fitted here", "effect"),),
                evidence=("no length or shape is printed, logged, asserted or kept in its function or file",),
                symbol=mark.label,
            )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        module = project.modules[problem.place.path]
        held = module.statement_at(problem.place.span.line)
        stmt = held[0] if held is not None else None
        if not isinstance(stmt, Assign) or not isinstance(stmt.value, Call) or len(stmt.targets) > 1:
            return None
        target, function = stmt.targets[0], stmt.value.function
        if not isinstance(target, Ref) or not isinstance(function, Ref) or "\\" in module.text_lines[stmt.line - 1]:
            return None
        owner, _, method = function.name.rpartition(".")
        span = module.place(stmt).span
        line = module.text_lines[span.line - 1]
        indent = line[: span.column - 1]
        if not owner or indent.strip() or ";" in module.text_lines[span.end_line - 1]:
            return None
        start = Span(span.line, span.column, span.line, span.column)
        end = Span(span.end_line, span.end_column, span.end_line, span.end_column)
        edits = (
            Edit(Place(module.path, start), f"rows_before = len({owner})\n{indent}"),
            Edit(
                Place(module.path, end),
                f'\n{indent}print(f"{method}: {{rows_before}} -> {{len({target.name})}} rows")',
            ),
        )
        return Fix(Applicability.SUGGEST, "print how many rows are dropped", edits)


def _is_twin(one: Mark, other: Mark) -> bool:
    """Whether features and labels are filtered in one go: the same filter in the line above or below."""
    (path, line, _), (near, after, _) = one.site.key, other.site.key
    return one.label == other.label and path == near and abs(line - after) == 1 and one.label.startswith("the filter")
