"""MLD302 contract-parameter-conflict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from mldebt.facts.arguments import UNKNOWN
from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .contract_links import ContractLinks, Link
from .contract_values import ContractValues, Given

_CRITICAL = frozenset(
    """image_mean image_std class_names feature_columns sample_rate n_fft hop_length win_length n_mels n_mfcc""".split()
)
_MAJOR = frozenset({"image_size", "max_length", "vocab_size", "num_classes"})
_NOUNS = {
    "image_mean": "the mean",
    "image_std": "the standard deviation",
    "class_names": "the order of labels",
    "feature_columns": "the list of features",
    "sample_rate": "the sample rate",
    "image_size": "the final image size",
    "max_length": "the length of the input",
}
_OVERLAP = 0.5
_TRAINED = "T.Resize(224), T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.2, 0.2, 0.2))"
_TRAIN = """
        import torch
        import torchvision.transforms as T
        from torchvision.datasets import ImageFolder

        from net import Net


        def main():
            data = ImageFolder("data", transform=T.Compose([STEPS]))
            model = Net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for x, y in torch.utils.data.DataLoader(data):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            torch.save(model.state_dict(), "net.pt")


        if __name__ == "__main__":
            main()
        """
_SERVE = """
        import torch
        import torchvision.transforms as T
        from fastapi import FastAPI
        from PIL import Image

        from net import Net

        app = FastAPI()
        model = Net()
        model.load_state_dict(torch.load("net.pt"))
        prepare = T.Compose([STEPS])


        @app.post("/predict")
        def predict(path: str):
            with torch.no_grad():
                return model(prepare(Image.open(path))[None]).argmax().item()
        """
_NET = """
        import torch


        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = torch.nn.LazyLinear(10)

            def forward(self, x):
                return self.fc(x.flatten(1))
        """


def _vision(serve: str, train: str = _TRAINED) -> dict[str, str]:
    return {"train.py": _TRAIN.replace("STEPS", train), "serve.py": _SERVE.replace("STEPS", serve), "net.py": _NET}


def _table(train: str, predict: str) -> dict[str, str]:
    return {
        "train.py": f"""
        import joblib
        import pandas as pd
        from sklearn.linear_model import LogisticRegression

        FEATURES = {train}


        def main():
            frame = pd.read_csv("train.csv")
            model = LogisticRegression().fit(frame[FEATURES], frame["churn"])
            joblib.dump(model, "model.joblib")


        if __name__ == "__main__":
            main()
        """,
        "predict.py": f"""
        import joblib
        import pandas as pd


        def main():
            model = joblib.load("model.joblib")
            frame = pd.read_csv("new.csv")
            features = frame[{predict}]
            print(model.predict(features))


        if __name__ == "__main__":
            main()
        """,
    }


class ContractParameterConflict(ProjectRule):
    """A parameter the model depends on has one value where the model is trained and another where it is used.

    Normalisation (mean and standard deviation), the order of labels, the list of features, the sample rate and the
    spectrogram's settings (critical), the final image size and the input length (major), of a program that trains and
    one that evaluates, predicts, serves or exports the same model: it reads the file the other writes, or, when no
    file is known, builds the same class.

    ## Why it is debt

    The model gets other data than it has learned. Nothing fails: predictions are just worse, or, with labels or columns
    in another order, wrong. The two programs are rarely read side by side.

    ## How to pay it back

    Define the parameter once and import it in both, or save it with the weights and read it from there.

    ## When to leave it

    Silent when a value is not certain (it comes with the checkpoint, from an option somebody passes), when the programs
    share the definition, for training augmentation (`Resize(256)` and `CenterCrop(224)` is 224), for crops and sliding
    windows of the test, and for programs no model connects: equal names say nothing.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, sections 2 and 6.
    * E. Breck et al., "The ML Test Score", IEEE Big Data 2017, Monitor 3: training and serving compute the same values.
    """

    code: ClassVar[str] = "MLD302"
    severity: ClassVar[Severity] = Severity.CRITICAL
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 15
    examples = (
        Bad(
            _vision("T.Resize(256), T.ToTensor(), T.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))"),
            findings=2,
            anchors=("serve.py:11", "serve.py:11"),
        ),
        Bad(
            _table('["age", "plan", "spend"]', '["plan", "age", "spend"]'),
            anchors=("predict.py:8",),
        ),
        Bad(
            {
                "train.py": """
                import argparse

                import torch

                from audio import load
                from net import Net


                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--rate", type=int, default=16000)
                    args = parser.parse_args()
                    model = Net()
                    optimizer = torch.optim.Adam(model.parameters())
                    optimizer.zero_grad()
                    model(load("a.wav", args.rate)).sum().backward()
                    optimizer.step()
                    torch.save(model.state_dict(), "net.pt")


                if __name__ == "__main__":
                    main()
                """,
                "audio.py": """
                import librosa


                def load(path, rate=22050):
                    samples, _ = librosa.load(path, sr=rate)
                    return samples
                """,
                "net.py": "import torch\n\n\nclass Net(torch.nn.Module):\n    pass\n",
                "predict.py": """
                import torch

                from audio import load
                from net import Net


                def main():
                    model = Net()
                    model.load_state_dict(torch.load("net.pt"))
                    with torch.no_grad():
                        print(model(load("b.wav")))


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("audio.py:4",),
        ),
        Good(
            _vision(
                "T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.2, 0.2, 0.2))",
                "T.RandomResizedCrop(224), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.2, 0.2, 0.2])",
            )
        ),
        Good(_table('["age", "plan", "spend"]', '["age", "plan", "spend"]')),
        Good(
            {
                path: text.replace("net.pt", "other.pt") if path == "serve.py" else text
                for path, text in _vision("T.Resize(256), T.ToTensor(), T.Normalize((0.5,), (0.5,))").items()
            }
        ),
        Good(
            {
                **_vision("T.Resize(256)"),
                "train.py": _vision("")["train.py"].replace('"net.pt"', "sys.argv[1]").replace("Net", "OtherNet"),
                "other.py": "import torch\n\n\nclass OtherNet(torch.nn.Module):\n    pass\n",
            }
        ),
        Good(
            {
                **_table('["age", "plan", "spend"]', 'joblib.load("columns.joblib")'),
            }
        ),
        Good(_vision("T.Resize(cfg.size)", "T.Resize(224)")),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        links = project[ContractLinks].links
        if not links:
            return
        values = project[ContractValues]
        found: dict[tuple[Place, str], list[tuple[Link, Given, Given]]] = {}
        for link in links:
            trained, used = values.of(link.trainer), values.of(link.user)
            for what in sorted(trained.keys() & used.keys()):
                pair = _conflict(trained[what], used[what])
                if pair is not None:
                    found.setdefault((pair[1].place, what), []).append((link, *pair))
        by_place: dict[tuple[Place, Place], list[list[tuple[Link, Given, Given]]]] = {}
        for group in found.values():
            by_place.setdefault((group[0][2].place, group[0][1].place), []).append(group)
        for groups in by_place.values():
            yield from _problems(groups)


def _conflict(trained: Sequence[Given], used: Sequence[Given]) -> tuple[Given, Given] | None:
    """The two sides of a disagreement; None when a value is unknown, or when the programs have one in common."""
    name = trained[0].name
    if name not in _CRITICAL | _MAJOR or any(one.value is UNKNOWN for one in (*trained, *used)):
        return None
    if {_key(one.value) for one in trained} & {_key(one.value) for one in used}:
        return None
    for one in trained:
        for other in used:
            if name not in ("class_names", "feature_columns") or _related(one.value, other.value):
                return one, other
    return None


def _key(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) else value


def _related(one: Any, other: Any) -> bool:
    """Whether two lists are about the same things: labels of one task, columns of one table."""
    return len(set(one) & set(other)) >= _OVERLAP * min(len(set(one)), len(set(other)))


def _problems(groups: list[list[tuple[Link, Given, Given]]]) -> Iterator[Problem]:
    """What stands in the same two calls is one finding, if it is equally bad."""
    by_severity: dict[Severity, list[list[tuple[Link, Given, Given]]]] = {}
    for group in groups:
        severity = Severity.CRITICAL if group[0][1].name in _CRITICAL else Severity.MAJOR
        by_severity.setdefault(severity, []).append(group)
    for severity, alike in by_severity.items():
        yield _problem(severity, alike)


def _problem(severity: Severity, groups: list[list[tuple[Link, Given, Given]]]) -> Problem:
    link, _, used = groups[0][0]
    told = [f"{_noun(one)} is {_shown(two)} here, but {_shown(one)}" for _, one, two in (group[0] for group in groups)]
    program, other = link.user.name, link.trainer.name
    here = used.told or used.place
    places = {one.told or one.place: f"{one.how} when training" for group in groups for _, one, _ in group}
    reached = {two.place: f"{two.how} takes it" for group in groups for _, _, two in group if two.told}
    return Problem(
        here,
        f"{' and '.join(told)} where {other} trains the model that {program} uses",
        (
            *(Related(place, how, "counterpart") for place, how in places.items() if place != here),
            *(Related(place, how) for place, how in reached.items() if place not in (here, *places)),
        ),
        severity=severity,
        evidence=(
            f"{program} and {other} are linked by {link.by}",
            *(
                f"{two.how}: {_shown(two)}; when training {one.how}: {_shown(one)}"
                for _, one, two in (g[0] for g in groups)
            ),
            "every value of it in both programs is known, and they have none in common",
        ),
        symbol=" ".join(sorted(group[0][1].what for group in groups)),
    )


def _noun(one: Given) -> str:
    return _NOUNS.get(one.name, one.name)


def _shown(one: Given) -> str:
    text = repr(list(one.value) if isinstance(one.value, tuple) else one.value)
    return text if len(text) <= 60 else f"{text[:57]}..."
