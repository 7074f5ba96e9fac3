"""MLD112 unordered-script-chain."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .dvc_stages import Stages, yaml_text
from .script_chains import Chain, ScriptChains, entries_of

_SHOWN = 4
_STEPS = {  # three steps that hand files on, in several examples
    "01_clean.py": """
    import pandas as pd

    pd.read_csv("data/raw.csv").to_csv("data/clean.csv")
    """,
    "02_features.py": """
    import pandas as pd

    pd.read_csv("data/clean.csv").to_csv("data/features.csv")
    """,
    "03_train.py": """
    import pandas as pd

    print(pd.read_csv("data/features.csv").mean())
    """,
}


class UnorderedScriptChain(ProjectRule):
    """Numbered scripts or notebooks hand files to each other, and nothing but their names says in which order to run.

    At least three programs of one directory are numbered (`01_clean.ipynb`, `2_features.py`, `step3_train.py`), an
    earlier one writes what a later one reads, and no Makefile, script, CI job or pipeline framework runs them.

    ## Why it is debt

    A number in a file name runs nothing. Whoever changes step 2 has to know that 3 and 5 depend on it and 4 does not;
    one step left out gives results from yesterday's files. It is the jungle of intermediate files that Sculley and
    others describe, with signposts.

    ## How to pay it back

    Write the order down where a machine reads it: stages in `dvc.yaml`, rules in a Makefile or Snakefile, or one
    `main()` that calls the steps. `mldebt artefacts --output-format dvc` prints stages to begin with.

    ## When to leave it

    Chapters of courses and books, independent experiments and numbered examples are read in order, not run: without a
    hand-off from an earlier to a later one, and in what says it is a course, the rule is silent.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.2.
    * Cookiecutter Data Science, "Data analysis is a DAG", https://cookiecutter-data-science.drivendata.org/opinions/
    """

    code: ClassVar[str] = "MLD112"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 30
    examples = (
        Bad(
            {
                "01_clean.py": """
                import pandas as pd

                pd.read_csv("data/raw.csv").dropna().to_csv("data/clean.csv")
                """,
                "02_features.py": """
                import numpy as np
                import pandas as pd

                df = pd.read_csv("data/clean.csv")
                np.save("data/features.npy", df.to_numpy())
                """,
                "03_train.py": """
                import joblib
                import numpy as np
                from sklearn.svm import SVC

                x = np.load("data/features.npy")
                joblib.dump(SVC().fit(x[:, 1:], x[:, 0]), "model.joblib")
                """,
                "README.md": """
                Run them in order:

                    python 01_clean.py
                    python 02_features.py
                    python 03_train.py
                """,
            },
            anchors=("01_clean.py:3",),
        ),
        Bad(
            {
                "paths.py": """
                from pathlib import Path

                WORK = Path("work")
                TOKENS = WORK / "tokens.pkl"
                """,
                "step1_tokenize.py": """
                import pickle

                from paths import TOKENS


                def main():
                    with open(TOKENS, "wb") as file:
                        pickle.dump([line.split() for line in open("corpus.txt")], file)


                if __name__ == "__main__":
                    main()
                """,
                "step2_embed.py": """
                import pickle

                from gensim.models import Word2Vec
                from paths import TOKENS


                def main():
                    with open(TOKENS, "rb") as file:
                        Word2Vec(pickle.load(file)).wv.save_word2vec_format("work/vectors.txt")


                if __name__ == "__main__":
                    main()
                """,
                "step3_search.py": """
                from gensim.models import KeyedVectors

                print(KeyedVectors.load_word2vec_format("work/vectors.txt").most_similar("data"))
                """,
            },
            anchors=("step1_tokenize.py:7",),
        ),
        Bad(
            {
                "src/1_download.py": """
                import pandas as pd

                pd.read_csv("https://example.org/a.csv").to_parquet("data/raw.parquet")
                """,
                "src/2_split.py": """
                import pandas as pd

                df = pd.read_parquet("data/raw.parquet")
                for part in ["train", "test"]:
                    df.sample(frac=0.5, random_state=1).to_parquet(f"data/{part}.parquet")
                """,
                "src/3_fit.py": """
                import pandas as pd
                from sklearn.linear_model import Ridge

                df = pd.read_parquet("data/train.parquet")
                Ridge().fit(df[["a"]], df["b"])
                """,
                "Makefile": "lint:\n\truff check .\n",
            },
        ),
        Good(
            {
                **_STEPS,
                "run_all.sh": "set -e\npython 01_clean.py\npython 02_features.py\npython 03_train.py\n",
            }
        ),
        Good(
            {
                **_STEPS,
                "Makefile": """
                data/clean.csv: 01_clean.py data/raw.csv
                \tpython 01_clean.py

                data/features.csv: 02_features.py data/clean.csv
                \tpython 02_features.py
                """,
            }
        ),
        Good(
            {
                "01_numbers.py": """
                import numpy as np

                np.save("numbers.npy", np.arange(3))
                """,
                "02_arrays.py": """
                import numpy as np

                print(np.load("numbers.npy") * 2)
                """,
                "03_frames.py": """
                import pandas as pd

                print(pd.DataFrame({"a": [1]}))
                """,
                "README.md": "# Python for scientists: a course\n\nOne lesson a week.\n",
            }
        ),
        Good(
            {
                "01_baseline.py": """
                import pandas as pd

                pd.read_csv("data/train.csv").mean().to_csv("submissions/baseline.csv")
                """,
                "02_ridge.py": """
                import pandas as pd

                pd.read_csv("data/train.csv").median().to_csv("submissions/ridge.csv")
                """,
                "03_trees.py": """
                import pandas as pd

                pd.read_csv("data/train.csv").max().to_csv("submissions/trees.csv")
                """,
            }
        ),
        Good(
            {
                **_STEPS,
                "main.py": """
                import subprocess
                import sys

                for step in ["01_clean.py", "02_features.py", "03_train.py"]:
                    subprocess.run([sys.executable, step], check=True)
                """,
            }
        ),
        Good(
            {
                "01_clean.py": """
                import pandas as pd

                pd.read_csv("data/raw.csv").to_csv("data/clean.csv")
                """,
                "02_train.py": """
                import pandas as pd

                print(pd.read_csv("data/clean.csv").mean())
                """,
                "other.py": """
                print("not a step")
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for chain in project[ScriptChains].unordered:
            yield _problem(project, chain)


def _problem(project: Project, chain: Chain) -> Problem:
    names = [posixpath.basename(module.path) for module in chain.members]
    folder = posixpath.dirname(chain.members[0].path)
    shown = ", ".join(names) if len(names) <= _SHOWN else f"{names[0]}, {names[1]} ... {names[-1]}"
    first = chain.flows[0]
    count = len({flow.node.pattern for flow in chain.flows})
    files = f"{count} file{'s' if count > 1 else ''}"
    related = [
        Related(place, f"{flow.node.pattern} is {what} here", "path")
        for flow in chain.flows
        for place, what in ((flow.write.place, "written"), (flow.read.place, "read"))
        if place != first.write.place
    ]
    stages = project[Stages].of(entries_of(chain))
    return Problem(
        first.write.place,
        f"{len(names)} numbered programs{f' in {folder}' if folder else ''} ({shown}) hand {files} to each other "
        f"(first {first.node.pattern}), and nothing runs them in order",
        tuple(dict.fromkeys(related)),
        evidence=(
            *(f"{one.node.pattern}: from {one.writer.name} to {one.reader.name}" for one in chain.flows[:6]),
            "no script, Makefile, CI file or program runs two of them; no pipeline framework is used",
            "as stages of a dvc.yaml:",
            *yaml_text(stages).rstrip("\n").split("\n"),
        ),
    )  # fmt: skip
