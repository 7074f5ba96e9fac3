"""MLD510 anonymous-prediction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from mldebt.facts.schema import CLASS
from mldebt.facts.walk import expressions, statements
from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .prediction_flow import Leak, PredictionFlow, identified
from .prediction_sinks import FOLDER, IDENTITY, REMOTE, STUDY, SUBMISSION, words

_SOURCES = frozenset(
    """predict predict_proba decision_function generate predict_log_proba model net predict_on_batch inplace_predict
    forecast recommend transcribe pipe classifier summarizer InferenceSession transform""".split()
)
# Files that train or measure keep predictions to look at them, beside the run that made them.
_MEASURES = frozenset(
    """accuracy_score f1_score roc_auc_score mean_squared_error mean_absolute_error r2_score log_loss
    confusion_matrix classification_report precision_score recall_score backward cross_val_score cross_val_predict
    train_test_split fit compute_metrics Trainer train_dataset eval_dataset zero_grad optimizer allclose logloss
    log_artifact log_artifacts start_run cosine_similarity bleu_score sacrebleu rmse KFold StratifiedKFold
    fit_transform""".split()
)
_VECTORS = re.compile(r"(?i)embed|encoded|vectors?(?:$|_)|latents?(?:$|_)|hidden_state")


class AnonymousPrediction(ProjectRule):
    """Predictions leave the process, to a file, a table, a queue or a caller, and nothing written with them says which
    model made them, or when.

    ## Why it is debt

    After the next deployment nobody can tell old predictions from new ones: a wrong decision cannot be traced to its
    model, two versions cannot be compared on what they really answered, and consumers cannot notice a switch. Sculley
    et al. (2015): a prediction should know various pieces of information about the model that produced it and how it
    should be consumed.

    ## How to pay it back

    Write the identity beside the value: `df.assign(pred=..., model_version=MODEL_ID)`, a field of the response's
    schema, a header, or the version in the file's name.

    ## When to leave it

    Tests, examples, notebooks, submissions to a competition, predictions that only feed a metric, and files written by
    what trains or measures the model itself are not reported; nor is what carries a version, run, hash, threshold,
    checkpoint or time in a key, a column, a header or the file's name. Medium confidence: who writes to a path that is
    handed in may have put the identity there.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", 2015, section 5.5 (plain-old-data type).
    * https://developers.google.com/machine-learning/guides/rules-of-ml (rule 29: log what was used at serving time)
    """

    code: ClassVar[str] = "MLD510"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 20
    examples = (
        Bad(
            """
            import joblib
            import pandas as pd


            def score(source, out):
                df = pd.read_parquet(source)
                m = joblib.load("model.joblib")
                df["pred"] = m.predict(df[["age", "income"]])
                df.to_parquet(out)
            """,
            anchors=("example.py:9",),
        ),
        Bad(
            {
                "scoring.py": """
                    import joblib

                    MODEL = joblib.load("churn.joblib")


                    def churn(features):
                        return float(MODEL.predict_proba([features])[0, 1])
                    """,
                "app.py": """
                    from fastapi import FastAPI

                    from scoring import churn

                    app = FastAPI()


                    @app.post("/churn")
                    def answer(features: list[float]):
                        return {"churn": churn(features)}
                    """,
            },
            anchors=("app.py:10",),
        ),
        Bad(
            {
                "sink.py": """
                    def publish_all(producer, rows):
                        for row in rows:
                            producer.produce("scores", row)
                    """,
                "batch.py": """
                    import joblib
                    import pandas as pd

                    from sink import publish_all


                    def main(producer):
                        model = joblib.load("model.joblib")
                        frame = pd.read_parquet("features.parquet")
                        rows = [{"id": i, "score": float(s)} for i, s in zip(frame["id"], model.predict(frame))]
                        publish_all(producer, rows)
                    """,
            },
            anchors=("sink.py:3",),
        ),
        Bad(
            {
                "scorer.py": """
                    import joblib
                    import pandas as pd


                    class Scorer:
                        def __init__(self, path):
                            self.clf = joblib.load(path)

                        def table(self, rows):
                            return pd.DataFrame({"id": rows["id"], "score": self.clf.predict_proba(rows)[:, 1]})

                        def write(self, rows, out):
                            table = self.table(rows)
                            table.sort_values("score", ascending=False).to_parquet(out)
                    """,
                "nightly.py": """
                    import pandas as pd

                    from scorer import Scorer

                    if __name__ == "__main__":
                        Scorer("churn.joblib").write(pd.read_parquet("rows.parquet"), "warehouse/latest.parquet")
                    """,
            },
            anchors=("scorer.py:14",),
        ),
        Bad(
            {
                "engine.py": """
                    from transformers import AutoModelForImageClassification


                    class Engine:
                        def __init__(self, path):
                            self.net = AutoModelForImageClassification.from_pretrained(path)

                        def __call__(self, pixels):
                            scores = self.net(pixels=pixels).logits[0].softmax(-1)
                            return int(scores.argmax()), scores.max().item()
                    """,
                "api.py": """
                    from fastapi import FastAPI

                    from engine import Engine

                    app = FastAPI()
                    engine = Engine("weights.pt")


                    @app.post("/label")
                    async def label(pixels: list[float]):
                        found, score = engine(pixels)
                        return {"label": found, "score": score}
                    """,
            },
            anchors=("api.py:12",),
        ),
        Bad(
            """
            import joblib
            from django.http import JsonResponse

            model = joblib.load("model.joblib")


            def score(request):
                value = model.predict([request.POST["features"]])
                return JsonResponse({"score": float(value[0])})
            """,
        ),
        Bad(
            """
            from pyspark.ml import PipelineModel


            def run(spark, day):
                model = PipelineModel.load("models/churn")
                rows = spark.read.parquet(day)
                scored = model.transform(rows).select("customer", "prediction")
                scored.write.mode("overwrite").saveAsTable("scores")
            """,
        ),
        Bad(
            """
            import json

            import joblib

            model = joblib.load("model.joblib")


            def handler(event, context):
                score = model.predict_proba([event["features"]])[0, 1]
                return {"statusCode": 200, "body": json.dumps({"score": float(score)})}
            """,
        ),
        Good(
            """
            import json

            import joblib
            import pandas as pd


            def score(rows, out, digest):
                frame = pd.read_parquet(rows)
                frame["pred"] = joblib.load("model.joblib").predict(frame[["age"]])
                frame.to_parquet(out)
                with open("scores.meta.json", "w") as file:
                    json.dump({"model_sha": digest, "rows": len(frame)}, file)
            """
        ),
        Good(
            """
            import joblib
            from fastapi import FastAPI
            from pydantic import BaseModel

            app = FastAPI()
            model = joblib.load("model.joblib")


            class Answer(BaseModel):
                score: float
                model_version: str = "churn-7"


            @app.post("/score", response_model=Answer)
            def score(features: list[float]):
                return {"score": float(model.predict([features])[0])}


            @app.post("/other")
            def other(features: list[float]):
                return Answer(score=float(model.predict([features])[0]))
            """
        ),
        Good(
            """
            import joblib
            from fastapi import FastAPI

            app = FastAPI()
            model = joblib.load("model.joblib")


            @app.middleware("http")
            async def name_the_model(request, call_next):
                response = await call_next(request)
                response.headers["X-Model-Version"] = "7"
                return response


            @app.post("/score")
            def score(features: list[float]):
                return {"score": float(model.predict([features])[0])}
            """
        ),
        Good(
            """
            import joblib
            import pandas as pd

            MODEL_ID = "churn-7"


            def score(source, out):
                df = pd.read_parquet(source)
                m = joblib.load("model.joblib")
                df.assign(pred=m.predict(df[["age", "income"]]), model_version=MODEL_ID).to_parquet(out)
            """
        ),
        Good(
            """
            import joblib
            import pandas as pd


            def score(source, version):
                df = pd.read_parquet(source)
                df["pred"] = joblib.load(f"model-{version}.joblib").predict(df[["age", "income"]])
                df.to_csv(f"scores-{version}.csv")
            """
        ),
        Good(
            """
            import joblib
            import pandas as pd


            def main():
                test = pd.read_csv("test.csv")
                frame = pd.DataFrame({"id": test["id"], "target": joblib.load("m.joblib").predict(test)})
                frame.to_csv("submission.csv", index=False)
            """
        ),
        Good(
            """
            import json

            import joblib
            import pandas as pd
            from sklearn.metrics import accuracy_score


            def main():
                test = pd.read_csv("test.csv")
                predictions = joblib.load("m.joblib").predict(test[["age"]])
                with open("metrics.json", "w") as file:
                    json.dump({"accuracy": accuracy_score(test["y"], predictions)}, file)
            """
        ),
        Good(
            """
            import joblib
            from fastapi import FastAPI, Response

            app = FastAPI()
            model = joblib.load("model.joblib")


            @app.post("/score")
            def score(features: list[float], response: Response):
                response.headers["X-Model-Version"] = "7"
                return {"score": float(model.predict([features])[0])}


            @app.post("/other")
            def other(features: list[float]):
                return {"model": "churn", "score": float(model.predict([features])[0])}
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        remote = project.callers.mentioning(REMOTE)
        starts = [
            module.definition(index)
            for module in project.callers.mentioning(_SOURCES)
            if _is_ours(module) and (_may_serve(module, remote) or not (project.library or module.mentions & _MEASURES))
            for index in module.scopes_using(_sources(module))
            if module.scope(index).kind != CLASS
        ]
        found: dict[Place, Leak] = {}
        for leak in project[PredictionFlow].leaks(starts):
            found.setdefault(leak.place, leak)
        for place in sorted(found):
            leak = found[place]
            if not _is_ours(leak.module) or identified(leak) or self._is_study(leak):
                continue
            if not (leak.how == "the response" and _sets_headers(project)):
                yield _problem(leak)

    def _is_study(self, leak: Leak) -> bool:
        """A competition's submission, or a file beside a training or an evaluation."""
        if SUBMISSION.search(leak.place.path) or any(SUBMISSION.search(word) for word in leak.said):
            return True
        home = leak.module.project.modules[leak.source.path]
        if leak.remote:
            return False
        if any(_VECTORS.search(word) for word in (*leak.said, leak.place.path)):
            return True  # an index of vectors, made anew with its model
        if STUDY.search(leak.place.path) or any(FOLDER.search(word) for word in leak.said):
            return True  # the folder of a run
        if home.project.library:
            return True  # whoever calls the library knows the model
        return bool((leak.module.mentions | home.mentions) & _MEASURES)


def _sources(module: Module) -> frozenset[str]:
    """The names of what may predict; ``transform`` only of Spark's models."""
    spark = any(one.module.startswith("pyspark.ml") for one in module.facts.imports)
    return _SOURCES if spark else _SOURCES - {"transform"}


def _sets_headers(project: Project) -> bool:
    """Whether every answer gets a header that names the model: from a middleware, after each request."""
    for module in project.callers.mentioning({"middleware", "after_request", "BaseHTTPMiddleware"}):
        for index in module.scopes_using({"headers"}):
            for stmt in statements(module.body(index)):
                said = {word for expr in expressions(stmt) for word in words(expr)}
                if "headers" in said and any(IDENTITY.search(word) for word in said):
                    return True
    return False


def _is_ours(module: Module) -> bool:
    notebook = module.path.endswith(".ipynb")
    return module.role == "project" and not (module.is_test or module.is_example or notebook)


def _may_serve(module: Module, remote: Sequence[Module]) -> bool:
    """Whether what a file that trains or measures predicts may leave by more than a file."""
    if module.project.library:
        return module in remote
    return any(one is module or module.project.imports.reaches(one, module) for one in remote)


def _problem(leak: Leak) -> Problem:
    way = "the response" if leak.how == "the response" else f"{leak.how}()"
    related = (Related(leak.source, "predicted here"),) if leak.source != leak.place else ()
    return Problem(
        leak.place,
        f"predictions leave by {way}, and nothing written with them says which model made them",
        related,
        evidence=(
            f"predicted at {leak.source.path}:{leak.source.span.line}",
            "no key, column, header or file name holds a model, version, run, hash, threshold or time",
        ),
        symbol=leak.how,
    )
