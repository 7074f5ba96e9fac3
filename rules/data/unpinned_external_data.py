"""MLD604."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .downloads import Download, Downloads
from .external import Fetch, Fetches

_EXAMPLE = re.compile(r"(^|_)(example|demo|tutorial)s?(_|\.)", re.IGNORECASE)
_WHY = {
    "hub": "names no revision: it fetches what the branch holds that day",
    "repository": "names no tag: it fetches and runs what the branch holds that day",
    "openml": "names no version: it fetches the one that is active that day",
    "tfds": "names no version: it fetches the newest one installed",
    "url": "reads from a branch or a 'latest' that moves",
    "drive": "has no checksum: whoever owns it may put another one there",
    "kaggle": "names no version: it fetches the newest one",
    "timm": "names no revision ('@' and a commit after it): it fetches what the branch holds that day",
    "registry": "takes the 'latest' one: it is another one after the next run",
    "model": "is an alias: the provider changes the model behind it",
}


class UnpinnedExternalData(ProjectRule):
    """Data, weights or a language model are fetched from elsewhere by a name that stands for something else tomorrow.

    ## Why it is debt

    Two runs of one commit get other data or other weights, and nothing in the repository tells which. A dataset on a
    hub is corrected, a branch is rewritten, an alias such as `gpt-4o` moves to the next snapshot: scores change, and
    no diff explains it.

    ## How to pay it back

    Name what was used: `revision="<commit>"` for the Hugging Face hub (the suggested fix puts a placeholder),
    `torch.hub.load("org/repo:v1.0", ...)`, `fetch_openml(name, version=1)` or `data_id=`, `tfds.load("mnist:3.0.1")`, a
    commit in place of `main` in an address, a checksum beside a download, a dated model snapshot.

    ## When to leave it

    `info` in examples, demos and notebooks, which show something and feed nothing, unless they run fetched code
    (`torch.hub.load`), and for downloads of a whole address that no program here reads. Silent: local directories
    and files, addresses of files that this repository holds, hub models that it offers itself, names that are
    options without a default, tests and what tests share, addresses with a tag, a commit, a version or a date,
    addresses in a file that compares checksums, and calls that take unknown `**options`.

    ## References

    - https://huggingface.co/docs/datasets/package_reference/loading_methods: `revision`
    - https://docs.pytorch.org/docs/stable/hub.html: "If the tag/branch is not specified, the default branch is main"
    - https://bandit.readthedocs.io/en/latest/plugins/b615_huggingface_unsafe_download.html (the security side)
    """

    code = "MLD604"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 10
    preview = True  # its second reader called most findings in books and demos noise
    alone = Alone.REPORT
    examples = (
        Bad(
            """
            from datasets import load_dataset
            from transformers import AutoModel

            reviews = load_dataset("stanfordnlp/imdb")
            encoder = AutoModel.from_pretrained("google/bert_uncased_L-2")
            """,
            fixed="""
            from datasets import load_dataset
            from transformers import AutoModel

            reviews = load_dataset("stanfordnlp/imdb", revision="<sha>")
            encoder = AutoModel.from_pretrained("google/bert_uncased_L-2", revision="<sha>")
            """,
            findings=2,
        ),
        Bad(
            {
                "names.py": """
                    DATA = "https://raw.githubusercontent.com/acme/flats/main/flats.csv"
                    CHAT = "gpt-4o"
                    """,
                "train.py": """
                    import pandas as pd
                    from openai import OpenAI

                    from names import CHAT, DATA


                    def main():
                        flats = pd.read_csv(DATA)
                        return OpenAI().chat.completions.create(model=CHAT, messages=[str(flats)])


                    if __name__ == "__main__":
                        main()
                    """,
            },
            findings=2,
            anchors=("train.py:8", "train.py:9"),
        ),
        Bad(
            """
            import torch
            from sklearn.datasets import fetch_openml


            def load():
                x, y = fetch_openml("mnist_784", return_X_y=True)
                model = torch.hub.load("pytorch/vision", "resnet18")
                return x, y, model
            """,
            findings=2,
        ),
        Bad(
            {
                "config.py": """
                    from dataclasses import dataclass


                    @dataclass
                    class Config:
                        backbone: str = "google/vit-base-patch16-224"
                        judge: str = "gpt-4o"
                        labels: int = 3
                    """,
                "net.py": """
                    from openai import OpenAI
                    from transformers import AutoModel

                    from config import Config


                    def build(config: Config):
                        return AutoModel.from_pretrained(config.backbone)


                    class Judge:
                        def __init__(self, config: Config, client=None):
                            self.model = config.judge
                            self.client = client or OpenAI()

                        def ask(self, text):
                            return self.client.chat.completions.create(model=self.model, messages=[text])
                    """,
                "train.py": """
                    from config import Config
                    from net import Judge, build

                    build(Config())
                    Judge(Config()).ask("fair?")
                    """,
            },
            findings=2,
            anchors=("net.py:8", "net.py:17"),
        ),
        Bad(
            {
                "scripts/data.sh": """
                    mkdir -p data
                    wget -q -O data/flats.csv https://raw.githubusercontent.com/acme/houses/main/flats.csv
                    curl -LO https://houses.example.org/towns.csv
                    kaggle datasets download -d acme/houses
                    """,
                "train.py": """
                    import pandas as pd

                    flats, towns = pd.read_csv("data/flats.csv"), pd.read_csv("towns.csv")
                    """,
            },
            findings=3,
            anchors=("scripts/data.sh:2", "scripts/data.sh:3", "scripts/data.sh:4"),
        ),
        Bad(
            """
            import kagglehub
            import mlflow
            import wandb

            flats = kagglehub.dataset_download("acme/flats")
            towns = wandb.init().use_artifact("acme/towns:latest").download()
            model = mlflow.pyfunc.load_model("models:/price/latest")
            """,
            findings=3,
        ),
        Good(
            {
                "scripts/data.sh": """
                    wget https://github.com/acme/houses/releases/download/v1.3/flats.tar.gz
                    kaggle competitions download -c titanic
                    hf download acme/houses --revision 86b5e0934494bd15
                    """,
                "scripts/towns.sh": """
                    wget https://houses.example.org/towns.csv
                    sha256sum -c towns.sha256
                    """,
                "train.py": """
                    import kagglehub
                    import mlflow
                    import pandas as pd
                    import wandb

                    flats, towns = pd.read_csv("flats.csv"), pd.read_csv("towns.csv")
                    other = kagglehub.dataset_download("acme/flats/versions/4")
                    more = wandb.init().use_artifact("acme/towns:v3").download()
                    model = mlflow.pyfunc.load_model("models:/price/7")
                    """,
            }
        ),
        Good(
            {
                "config.yaml": "model:\n  name: google/vit-base-patch16-224\n  revision: 3f49326eb077187d\n",
                "train.py": """
                    import os

                    import yaml
                    from transformers import AutoModel

                    with open("config.yaml") as file:
                        config = yaml.safe_load(file)
                    model = AutoModel.from_pretrained(config["model"]["name"], revision=config["model"]["revision"])
                    kept = AutoModel.from_pretrained(os.path.join("second_try", "model"))
                    """,
            }
        ),
        Good(
            """
            import torch
            from datasets import load_dataset
            from sklearn.datasets import fetch_openml
            from transformers import AutoModel

            reviews = load_dataset("stanfordnlp/imdb", revision="e6281661ce1c48d9")
            encoder = AutoModel.from_pretrained("bert-base-uncased", revision="86b5e0934494bd15")
            x, y = fetch_openml("mnist_784", version=1, return_X_y=True)
            z = fetch_openml(data_id=554)
            model = torch.hub.load("pytorch/vision:v0.10.0", "resnet18")
            """
        ),
        Good(
            """
            from datasets import load_dataset
            from transformers import AutoModel

            rows = load_dataset("csv", data_files="reviews.csv")
            encoder = AutoModel.from_pretrained("./checkpoints/best")
            other = AutoModel.from_pretrained("outputs/final")
            """
        ),
        Good(
            """
            import argparse

            from datasets import load_dataset
            from transformers import AutoModel

            parser = argparse.ArgumentParser()
            parser.add_argument("--model", required=True)
            parser.add_argument("--revision", required=True)
            args = parser.parse_args()
            encoder = AutoModel.from_pretrained(args.model, revision=args.revision)
            rows = load_dataset(args.data)
            """
        ),
        Good(  # its own file, which changes with a diff
            {
                "data/flats.csv": "area,price\n80,200000\n",
                "train.py": """
                    import pandas as pd

                    flats = pd.read_csv("https://raw.githubusercontent.com/acme/flats/main/data/flats.csv")
                    """,
            }
        ),
        Good(
            {
                "tests/test_load.py": """
                    from datasets import load_dataset


                    def test_load():
                        assert load_dataset("stanfordnlp/imdb")
                    """
            }
        ),
        Good(
            """
            import hashlib
            from urllib.request import urlretrieve

            from openai import OpenAI

            path, _ = urlretrieve("https://raw.githubusercontent.com/acme/flats/main/flats.csv", "flats.csv")
            assert hashlib.sha256(open(path, "rb").read()).hexdigest() == "9f86d081884c7d65"
            answer = OpenAI().chat.completions.create(model="gpt-4o-2024-08-06", messages=[])
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        groups: dict[tuple[str, str], list[Fetch]] = {}
        for fetch in project[Fetches].all:
            groups.setdefault((fetch.module.path, fetch.what), []).append(fetch)
        for fetches in groups.values():
            problem = _problem(fetches)
            # Code that is fetched and run may break or harm whoever runs it; of data, a notebook is no consumer.
            shows = problem.symbol != "repository" and _shows(project, problem.place.path)
            yield replace(problem, severity=Severity.INFO) if shows else problem
        settled: dict[str, list[Download]] = {}  # of each file, what nothing here reads
        for download in project[Downloads].all:
            if not download.moves and download.feeds is None:
                settled.setdefault(download.place.path, []).append(download)
            else:
                problem = _downloaded(download)
                shows = _shows(project, problem.place.path)
                yield replace(problem, severity=Severity.INFO) if shows else problem
        for first, *others in settled.values():
            more = tuple(Related(one.place, f"{one.what!r} as well") for one in others)
            yield replace(_downloaded(first), severity=Severity.INFO, related=more)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        if problem.symbol != "hub":
            return None
        places = [problem.place, *(one.place for one in problem.related)]
        edits = []
        for place in places:
            span = place.span
            line = project.modules[place.path].text_lines[span.end_line - 1]
            if "revision" in line:
                return None  # it names a branch
            before = line[: span.end_column - 2].rstrip()
            if not before or before.endswith((",", "(")):
                return None  # the last argument has a line, or a comma, of its own
            at = Span(span.end_line, span.end_column - 1, span.end_line, span.end_column - 1)
            edits.append(Edit(Place(place.path, at), ', revision="<sha>"'))
        return Fix(Applicability.SUGGEST, "name a revision", tuple(edits))


def _shows(project: Project, path: str) -> bool:
    """Whether a file is a notebook, the script exported beside one, or called an example: nothing takes its result."""
    if _EXAMPLE.search(path.rpartition("/")[2]):
        return True
    notebook = f"{path.removesuffix('.py')}.ipynb" if path.endswith(".py") else path
    return notebook in project.modules and notebook.endswith(".ipynb")


def _problem(fetches: list[Fetch]) -> Problem:
    first = fetches[0]
    return Problem(
        first.module.place(first.site.call),
        f"{first.how} of {first.what!r} {_WHY[first.kind]}",
        related=tuple(Related(one.module.place(one.site.call), "fetched here as well") for one in fetches[1:]),
        evidence=("the name is a constant", "no argument pins it, and it is no path of the project"),
        symbol=first.kind,
    )


def _downloaded(download: Download) -> Problem:
    why = "what moves, and nothing checks it" if download.moves else "no version, and nothing checks what comes"
    return Problem(
        download.place,
        f"{download.how} of {download.what!r} names {why}",
        related=(Related(download.feeds, "read here", "effect"),) if download.feeds is not None else (),
        evidence=("no checksum is compared in this file", "the address holds no tag, commit, version or date"),
        symbol="download",
    )
