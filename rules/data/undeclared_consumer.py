"""MLD607 undeclared-consumer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .consumers import Consumers, Handover
from .owners import Owners


class UndeclaredConsumer(ProjectRule):
    """Code of one owner reads what code of another owner writes, and nothing says what it holds or who relies on it.

    Owners are those of `CODEOWNERS`; without it, top-level packages. Where the artefact holds what a model predicts,
    the finding is critical.

    ## Why it is debt

    Whoever writes the artefact does not know its readers: a renamed column, another unit, a new threshold breaks what
    they do or, worse, quietly changes it. Sculley and others call it visibility debt; a prediction somebody uses as an
    input ties two models together, and no change of the first is safe any more.

    ## How to pay it back

    Write down the contract where both import it: a schema (pandera, pydantic, a dataclass, an Arrow schema) that the
    writer validates and the reader relies on. List the artefact in the catalog or in `dvc.yaml` with its readers, or
    call the owner's function rather than reading their file.

    ## When to leave it

    Scripts of one owner or of one package, scripts beside each other at the root, parts that import each other or
    import one schema, artefacts that a pipeline file, a catalog or a shared configuration names, logs, figures and
    temporary files are silent. Models count only between owners in `CODEOWNERS`. Readers outside of the repository
    cannot be seen.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 2, undeclared
      consumers.
    * J. D. Morgenthaler et al., "Searching for Build Debt: Experiences Managing Technical Debt at Google", MTD 2012.
    """

    code: ClassVar[str] = "MLD607"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 30
    examples = (
        Bad(
            {
                "risk/__init__.py": "",
                "risk/score.py": """
                import joblib
                import pandas as pd


                def main():
                    frame = pd.read_parquet("/warehouse/customers.parquet")
                    frame["score"] = joblib.load("/models/risk.joblib").predict_proba(frame[["age", "debt"]])[:, 1]
                    frame[["customer", "score"]].to_parquet("/shared/scores.parquet")


                if __name__ == "__main__":
                    main()
                """,
                "marketing/__init__.py": "",
                "marketing/campaign.py": """
                import pandas as pd


                def main():
                    scores = pd.read_parquet("/shared/scores.parquet")
                    print(scores[scores["score"] < 0.2]["customer"].tolist())


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("marketing/campaign.py:5",),
        ),
        Bad(
            {
                ".github/CODEOWNERS": "* @acme/ml\n/etl/ @acme/platform\n/ranking/ @acme/search\n",
                "etl/export.py": """
                import pandas as pd

                frame = pd.read_csv("data/raw.csv")
                frame.rename(columns={"q": "query"}).to_csv("data/queries.csv", index=False)
                """,
                "ranking/train.py": """
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                frame = pd.read_csv("data/queries.csv")
                LogisticRegression().fit(frame[["clicks"]], frame["relevant"])
                """,
            },
            anchors=("ranking/train.py:4",),
        ),
        Bad(
            {
                "paths.py": 'EMBEDDINGS = "/shared/embeddings.npy"\n',
                "search/__init__.py": "",
                "search/embed.py": """
                import numpy as np
                from paths import EMBEDDINGS


                def main():
                    np.save(EMBEDDINGS, np.loadtxt("vectors.txt"))


                if __name__ == "__main__":
                    main()
                """,
                "ads/__init__.py": "",
                "ads/match.py": """
                import numpy as np
                from paths import EMBEDDINGS


                def load():
                    return np.load(EMBEDDINGS)


                if __name__ == "__main__":
                    print(load().shape)
                """,
            },
            anchors=("ads/match.py:6",),
        ),
        Good(
            {
                "clean.py": """
                import pandas as pd

                pd.read_csv("raw.csv").to_parquet("clean.parquet")
                """,
                "train.py": """
                import pandas as pd

                print(pd.read_parquet("clean.parquet").mean())
                """,
            }
        ),
        Good(
            {
                "contracts/__init__.py": "",
                "contracts/scores.py": """
                import pandera as pa

                Scores = pa.DataFrameSchema({"customer": pa.Column(str), "score": pa.Column(float)})
                """,
                "risk/__init__.py": "",
                "risk/score.py": """
                import pandas as pd
                from contracts.scores import Scores

                Scores.validate(pd.read_csv("raw.csv")).to_parquet("/shared/scores.parquet")
                """,
                "marketing/__init__.py": "",
                "marketing/campaign.py": """
                import pandas as pd
                from contracts.scores import Scores

                print(Scores.validate(pd.read_parquet("/shared/scores.parquet")))
                """,
            }
        ),
        Good(
            {
                "CODEOWNERS": "* @acme/ml\n/docs/ @acme/writers\n",
                "risk/__init__.py": "",
                "risk/score.py": """
                import pandas as pd

                pd.read_csv("raw.csv").to_parquet("shared/scores.parquet")
                """,
                "marketing/__init__.py": "",
                "marketing/campaign.py": """
                import pandas as pd

                print(pd.read_parquet("shared/scores.parquet"))
                """,
            }
        ),
        Good(
            {
                "dvc.yaml": """
                stages:
                  score:
                    cmd: python -m risk.score
                    outs: [shared/scores.parquet]
                  campaign:
                    cmd: python -m marketing.campaign
                    deps: [shared/scores.parquet]
                """,
                "risk/__init__.py": "",
                "risk/score.py": """
                import pandas as pd

                pd.read_csv("raw.csv").to_parquet("shared/scores.parquet")
                """,
                "marketing/__init__.py": "",
                "marketing/campaign.py": """
                import pandas as pd

                print(pd.read_parquet("shared/scores.parquet"))
                """,
            }
        ),
        Good(
            {
                "risk/__init__.py": "",
                "risk/score.py": """
                import pandas as pd

                SCORES = "shared/scores.parquet"


                def main():
                    pd.read_csv("raw.csv").to_parquet(SCORES)


                if __name__ == "__main__":
                    main()
                """,
                "marketing/__init__.py": "",
                "marketing/campaign.py": """
                import pandas as pd
                from risk.score import SCORES

                print(pd.read_parquet(SCORES))
                """,
            }
        ),
        Good(
            {
                "acme/__init__.py": "",
                "acme/features/__init__.py": "",
                "acme/features/build.py": """
                import pandas as pd

                pd.read_csv("raw.csv").to_parquet("shared/features.parquet")
                """,
                "acme/training/__init__.py": "",
                "acme/training/fit.py": """
                import pandas as pd

                print(pd.read_parquet("shared/features.parquet"))
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for one in project[Consumers].undeclared:
            yield _problem(project, one)


def _problem(project: Project, found: Handover) -> Problem:
    write, read = found.write, found.read
    what = f"{write.node}, a model's predictions," if found.predicted else write.node
    related = [Related(write.place, f"{found.writer} writes it here", "counterpart")]
    related += [Related(end.via, "by way of this", "path") for end in (write, read) if end.via is not None]
    how = "CODEOWNERS says who owns what" if project[Owners].stated else "a top-level package counts as an owner"
    return Problem(
        read.place,
        f"{found.reader} reads {what} which {found.writer} writes, and neither a schema nor a catalog names it",
        related=tuple(related),
        severity=Severity.CRITICAL if found.predicted else None,
        evidence=(
            how,
            f"no file of {found.reader} imports one of {found.writer}, nor the other way round",
            "both import no schema or record class; no pipeline file, catalog or shared configuration names it",
        ),
        symbol=write.node,
    )
