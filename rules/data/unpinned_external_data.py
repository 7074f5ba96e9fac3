"""MLD604."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .external import Fetch, Fetches

_WHY = {
    "hub": "names no revision: it fetches what the branch holds that day",
    "repository": "names no tag: it fetches and runs what the branch holds that day",
    "openml": "names no version: it fetches the one that is active that day",
    "tfds": "names no version: it fetches the newest one installed",
    "url": "reads from a branch or a 'latest' that moves",
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

    `info` in examples, and in the notebooks of a library, which show how to use it. Silent: local directories and
    files, names that are options or come from a configuration file, tests, addresses in a file that compares
    checksums, and calls that take unknown `**options`.

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
            # A library's notebooks show how to use it, as its examples do.
            shown = project.library and problem.place.path.endswith(".ipynb")
            yield replace(problem, severity=Severity.INFO) if shown else problem

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        if problem.symbol != "hub":
            return None
        places = [problem.place, *(one.place for one in problem.related)]
        edits = []
        for place in places:
            span = place.span
            line = project.modules[place.path].text_lines[span.end_line - 1]
            before = line[: span.end_column - 2].rstrip()
            if not before or before.endswith((",", "(")):
                return None  # the last argument has a line, or a comma, of its own
            at = Span(span.end_line, span.end_column - 1, span.end_line, span.end_column - 1)
            edits.append(Edit(Place(place.path, at), ', revision="<sha>"'))
        return Fix(Applicability.SUGGEST, "name a revision", tuple(edits))


def _problem(fetches: list[Fetch]) -> Problem:
    first = fetches[0]
    return Problem(
        first.module.place(first.site.call),
        f"{first.how} of {first.what!r} {_WHY[first.kind]}",
        related=tuple(Related(one.module.place(one.site.call), "fetched here as well") for one in fetches[1:]),
        evidence=("the name is a constant", "no argument pins it, and it is no path of the project"),
        symbol=first.kind,
    )
