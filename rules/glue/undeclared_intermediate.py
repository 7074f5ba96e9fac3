"""MLD110 undeclared-intermediate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.entries import Entry
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .artefacts import Flow
from .dvc_stages import Stages, yaml_text
from .handoffs import Handoffs
from .orderings import Orderings
from .teaching import Teaching

_SHOWN = 3
_FITS = frozenset({"train", "tune", "split", "preprocess"})
# Programs that use a model, by their name: what they measure may be taken for a split of their own.
_USES = re.compile(
    r"(?:^|[/_.-])(?:eval(?:uate|uation)?|test|predict(?:ion|or)?|infer(?:ence)?|sample|generate|serve[r]?|demo|deploy"
    r"|export|api|app)(?=[_.-])[^/]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class UndeclaredIntermediate(ProjectRule):
    """One program writes a file that another one reads, and no pipeline file says so.

    Paths are followed through variables, constants, configuration, option defaults and the project's own functions.
    `mldebt artefacts` lists them, and `mldebt artefacts --output-format dvc` prints the `dvc.yaml` they come to;
    `mldebt why` prints the stages of one finding.

    ## Why it is debt

    The order of the programs, and what has to be run again after a change, are in somebody's head. A stale
    intermediate file gives results that no checkout can reproduce, and nobody sees that it was stale. Sculley and
    others call what grows out of such files a pipeline jungle: "scrapes, joins, and sampling steps, often with
    intermediate files output".

    ## How to pay it back

    Declare who makes what: stages with `deps` and `outs` in `dvc.yaml`, rules in a Makefile or Snakefile, a Kedro
    catalog, or the tasks of an orchestrator. Or call one step from the other, and drop the file.

    ## When to leave it

    Caches (the reader writes the file itself when it is missing), logs, figures and result tables, temporary files,
    checkpoints that only their own program reads, files the repository keeps itself, an output directory that two
    programs merely call by the same default name, and everything a pipeline file names, are left alone. Where a script,
    a Make target, a README's commands or a program run both in order, and in courses, the finding is only information;
    so is a model that goes to a program which only predicts, measures or serves: it is the product. Paths that are not
    known, or known only by a name in an unknown directory, are silent.

    ## Options

    * `kinds`: what counts, of `data` and `model`.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.2.
    * DVC documentation, "Defining pipelines", https://dvc.org/doc/user-guide/pipelines/defining-pipelines
    """

    code: ClassVar[str] = "MLD110"
    severity: ClassVar[Severity] = Severity.MAJOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 30
    kinds: tuple[str, ...] = ("data", "model")
    examples = (
        Bad(
            {
                "clean.py": """
                import pandas as pd

                df = pd.read_csv("data/raw.csv").dropna()
                df.to_parquet("data/clean.parquet")
                """,
                "train.py": """
                import pandas as pd
                from sklearn.linear_model import LogisticRegression

                df = pd.read_parquet("data/clean.parquet")
                LogisticRegression().fit(df[["age"]], df["y"])
                """,
                "README.md": "Run clean.py, then train.py.\n",
            },
            anchors=("clean.py:4",),
        ),
        Bad(
            {
                "settings.py": """
                from pathlib import Path

                DATA = Path(__file__).resolve().parent / "data"
                FEATURES = DATA / "features.npy"
                """,
                "storage.py": """
                import pickle


                def save(value, path):
                    with open(path, "wb") as file:
                        pickle.dump(value, file)


                def load(path):
                    with open(path, "rb") as file:
                        return pickle.load(file)
                """,
                "featurize.py": """
                import numpy as np

                import settings
                from storage import save


                def main():
                    values = np.loadtxt(settings.DATA / "raw.txt")
                    np.save(settings.FEATURES, values)
                    save(values.mean(0), f"data/{'mean'}.pkl")


                if __name__ == "__main__":
                    main()
                """,
                "train.py": """
                import joblib
                import numpy as np
                from settings import FEATURES
                from sklearn.svm import SVC
                from storage import load


                def main():
                    x = np.load(FEATURES) - load("data/mean.pkl")
                    joblib.dump(SVC().fit(x[:, 1:], x[:, 0]), "models/svc.joblib")


                if __name__ == "__main__":
                    main()
                """,
                "predict.py": """
                import os

                import joblib

                model = joblib.load(os.path.join("models", "svc.joblib"))
                print(model.predict([[1.0, 2.0]]))
                """,
            },
            findings=2,
            anchors=("featurize.py:9", "train.py:10"),
        ),
        Bad(
            {
                "config.yaml": "paths:\n  tokens: data/tokens.jsonl\n",
                "dvc.yaml": "stages:\n  download:\n    cmd: python download.py\n    outs: [data/raw.txt]\n",
                "tokenize_text.py": """
                import json

                import yaml

                with open("config.yaml") as file:
                    config = yaml.safe_load(file)


                def main():
                    with open("data/raw.txt") as source, open(config["paths"]["tokens"], "w") as target:
                        for line in source:
                            target.write(json.dumps(line.split()) + "\\n")


                if __name__ == "__main__":
                    main()
                """,
                "train.py": """
                import argparse
                import json

                from gensim.models import Word2Vec


                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--tokens", default="data/tokens.jsonl")
                    args = parser.parse_args()
                    rows = [json.loads(line) for line in open(args.tokens)]
                    Word2Vec(rows)


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("tokenize_text.py:10",),
        ),
        Good(
            {
                "clean.py": """
                import pandas as pd

                pd.read_csv("data/raw.csv").to_parquet("data/clean.parquet")
                """,
                "train.py": """
                import pandas as pd

                print(pd.read_parquet("data/clean.parquet").mean())
                """,
                "dvc.yaml": """
                stages:
                  clean:
                    cmd: python clean.py
                    deps: [clean.py, data/raw.csv]
                    outs: [data/clean.parquet]
                  train:
                    cmd: python train.py
                    deps: [train.py, data/clean.parquet]
                """,
            }
        ),
        Good(
            {
                "src/clean.py": """
                import pandas as pd

                pd.read_csv("data/raw.csv").to_parquet("data/parts/clean.parquet")
                """,
                "src/train.py": """
                import pandas as pd

                print(pd.read_parquet("data/parts/clean.parquet").mean())
                """,
                "Makefile": """
                PARTS = data/parts

                $(PARTS)/clean.parquet: src/clean.py data/raw.csv
                \tpython src/clean.py

                train: $(PARTS)/clean.parquet
                \tpython src/train.py
                """,
            }
        ),
        Good(
            {
                "clean.py": """
                import pandas as pd


                def main(city):
                    pd.read_csv("data/raw.csv").to_csv(f"data/clean_{city}.csv")


                if __name__ == "__main__":
                    main("bern")
                """,
                "train.py": """
                import pandas as pd

                print(pd.read_csv("data/clean_bern.csv").mean())
                """,
                "Snakefile": """
                rule clean:
                    input: "data/raw.csv"
                    output:
                        "data/clean_{city}.csv"
                    shell: "python clean.py"
                """,
            }
        ),
        Good(
            {
                "features.py": """
                import os

                import pandas as pd

                CACHE = "data/features.parquet"


                def features():
                    if os.path.exists(CACHE):
                        return pd.read_parquet(CACHE)
                    df = pd.read_csv("data/raw.csv")
                    df.to_parquet(CACHE)
                    return df
                """,
                "train.py": """
                from features import features
                from sklearn.cluster import KMeans

                KMeans().fit(features())
                """,
                "explore.py": """
                from features import features

                print(features().describe())
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import json
                import os

                import torch
                from torch import nn


                def main():
                    model = nn.Linear(3, 1)
                    if os.path.exists("checkpoints/last.pt"):
                        model.load_state_dict(torch.load("checkpoints/last.pt"))
                    torch.save(model.state_dict(), "checkpoints/last.pt")
                    with open("logs/history.json", "w") as file:
                        json.dump([1.0, 0.5], file)


                if __name__ == "__main__":
                    main()
                """,
                "plot.py": """
                import json

                import matplotlib.pyplot as plt

                plt.plot(json.load(open("logs/history.json")))
                plt.savefig("figures/loss.png")
                """,
            }
        ),
        Good(
            {
                "pipeline.py": """
                import pandas as pd
                from prefect import flow, task


                @task
                def clean():
                    pd.read_csv("data/raw.csv").to_parquet("data/clean.parquet")


                @task
                def train():
                    return pd.read_parquet("data/clean.parquet").mean()


                @flow
                def main():
                    clean()
                    train()


                if __name__ == "__main__":
                    main()
                """,
            }
        ),
        Good(
            {
                "one/train.py": """
                import joblib
                from sklearn.svm import SVC

                joblib.dump(SVC().fit([[0], [1]], [0, 1]), "model.joblib")
                """,
                "two/serve.py": """
                import sys

                import joblib

                model = joblib.load("model.joblib")
                other = joblib.load(sys.argv[1])
                """,
                "two/export.py": """
                import tempfile

                import numpy as np

                with tempfile.TemporaryDirectory() as folder:
                    np.save(f"{folder}/x.npy", np.zeros(3))
                """,
                "two/show.py": """
                import numpy as np

                print(np.load("x.npy"))
                """,
            }
        ),
        Good(
            {
                "convert.py": """
                import argparse

                import numpy as np

                parser = argparse.ArgumentParser()
                parser.add_argument("--to", default="synthetic_dataset")
                args = parser.parse_args()
                np.save(f"{args.to}/features.npy", np.loadtxt("raw.txt"))
                """,
                "benchmark.py": """
                import argparse

                import numpy as np

                parser = argparse.ArgumentParser()
                parser.add_argument("--data", default="synthetic_dataset")
                args = parser.parse_args()
                print(np.load(f"{args.data}/features.npy").shape)
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        found = [flow for flow in project[Handoffs].undeclared if {flow.write.kind, flow.read.kind} <= set(self.kinds)]
        for flows in _grouped(found):
            yield _problem(project, flows)


def _is_use(project: Project, flow: Flow) -> bool:
    """Whether a model goes to a program that only uses it: the product of a pipeline rather than its middle."""
    if not flow.write.kind == flow.read.kind == "model":
        return False
    return not _FITS & project.roles(flow.reader) or _USES.search(flow.reader.definition.module.path) is not None


def _grouped(flows: Sequence[Flow]) -> list[list[Flow]]:
    """The hand-offs of one writer together: one stage is missing, whatever it makes and whoever reads it."""
    by_place: dict[Place, set[str]] = {}
    for flow in flows:
        by_place.setdefault(flow.write.place, set()).add(flow.writer.name)
    groups: dict[tuple[str, ...], list[Flow]] = {}
    for flow in flows:
        groups.setdefault(tuple(sorted(by_place[flow.write.place])), []).append(flow)
    return [sorted(group, key=lambda one: (one.write.place, one.node.pattern)) for _, group in sorted(groups.items())]


def _problem(project: Project, flows: Sequence[Flow]) -> Problem:
    orders = project[Orderings]
    ways = {
        (one.writer.name, one.reader.name): orders.in_order(one.writer, one.reader)
        or orders.documented(one.writer, one.reader)
        for one in flows
    }
    handoffs = project[Handoffs]
    first = flows[0]
    teaching, module = project[Teaching], first.writer.definition.module
    eased = (
        teaching.is_exercise(module)
        or teaching.is_course(module)
        or any(orders.documented(one.writer, one.reader) for one in flows)
        or all(
            ways[one.writer.name, one.reader.name] or handoffs.together(one) or _is_use(project, one) for one in flows
        )
    )
    nodes = list(dict.fromkeys(one.node.pattern for one in flows))
    writers = list(dict.fromkeys(one.writer for one in flows))
    readers = [one for one in dict.fromkeys(one.reader for one in flows) if one not in writers] or [first.reader]
    verb = "reads" if len(readers) == 1 else "read"
    made = "writes" if len(writers) == 1 else "write"
    said = f"{_names(writers)} {made} {_listed(nodes)}, which {_names(readers)} {verb}; no pipeline file names "
    unique = tuple(_places(flows))
    sure = all(one.confidence is Confidence.HIGH for one in flows)
    return Problem(
        first.write.place,
        said + ("it" if len(nodes) == 1 else "them"),
        unique,
        severity=Severity.INFO if eased else None,
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
        evidence=_evidence(project, flows, [place for place in ways.values() if place], [*writers, *readers]),
    )


def _places(flows: Sequence[Flow]) -> Iterator[Related]:
    """Every other place that writes, then those that read, each once, with what and for whom."""
    written: dict[Place, list[str]] = {}
    read: dict[Place, tuple[list[str], list[str]]] = {}
    for flow in flows:
        written.setdefault(flow.write.place, []).append(flow.node.pattern)
        patterns, readers = read.setdefault(flow.read.place, ([], []))
        patterns.append(flow.node.pattern)
        readers.append(flow.reader.name)
    for place, patterns in list(written.items())[1:]:
        yield Related(place, f"{_listed(list(dict.fromkeys(patterns)))} is written here", "cause")
    for place, (patterns, readers) in read.items():
        if place not in written:
            who, what = _listed(list(dict.fromkeys(readers))), _listed(list(dict.fromkeys(patterns)))
            yield Related(place, f"{what} is read here, by {who}", "effect")


def _evidence(
    project: Project, flows: Sequence[Flow], ordered: Sequence[Place], entries: Sequence[Entry]
) -> tuple[str, ...]:
    tools = project[Handoffs].tools
    lines = [f"{one.node.pattern}: {one.writer.name} writes it, {one.reader.name} reads it" for one in flows[:_SHOWN]]
    lines.append(f"searched, and not named there: {', '.join(tools)}" if tools else "there is no pipeline file")
    lines += [f"{place.path}:{place.span.line} runs both in order" for place in dict.fromkeys(ordered)]
    stages = project[Stages].of(list(dict.fromkeys(entries)))
    return (*lines, "as stages of a dvc.yaml:", *yaml_text(stages).rstrip("\n").split("\n"))


def _names(entries: Sequence[Entry]) -> str:
    return _listed([entry.name for entry in entries])


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _SHOWN:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[: _SHOWN - 1])} and {len(names) - _SHOWN + 1} more"
