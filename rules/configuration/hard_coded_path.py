"""MLD310 hard-coded-path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .literal_places import text_place
from .machine_paths import MachinePath
from .path_reach import PathLiteral, PathReach

_CONTAINER = re.compile(
    r"(?:^|/|[-_.])(?:dockerfile|containerfile|docker-compose|compose)[^/]*$|\.dockerfile$",
    re.IGNORECASE,
)
_POSIX = frozenset({"data", "mount", "home"})


class HardCodedPath(ProjectRule):
    """The code opens a path that exists on one machine, in one account or on one platform only.

    `/home/ana/...`, `/Users/...`, `C:\\...`, Colab's and Kaggle's mounts, `/mnt/...`, `/data/...`, `s3://bucket/...`
    as a literal that reaches a call which reads or writes files, directly or through names, joins and parameters.

    ## Why it is debt

    The program runs for whoever wrote it and stops with FileNotFoundError for everybody else: 12.6 % of failing
    notebooks fail on a missing file, absolute paths being a named cause. Where the data lies is configuration: with the
    path in the code, moving the data is a change of code, in each file that repeats the path.

    ## How to pay it back

    Take the path from a configuration field or a command line option; the literal may stay as the option's default.
    Paths inside the repository are found relative to the file: `Path(__file__).parent / "data"`.

    ## When to leave it

    Silent for defaults of options, configuration classes and modules, fallbacks of environment variables, temporary
    and system directories, tests, text that is compared or printed, and posix paths in programs that a Dockerfile
    runs: there the image defines the path.

    ## References

    * J. F. Pimentel et al., "A Large-scale Study about Quality and Reproducibility of Jupyter Notebooks", MSR 2019.
    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    """

    code: ClassVar[str] = "MLD310"
    collects = (PathReach,)
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 5
    alone: ClassVar[Alone] = Alone.REPORT
    examples = (
        Bad(
            """
            import pandas as pd

            df = pd.read_csv("/home/ana/proj/data/train.csv")
            test = pd.read_csv("/home/ana/proj/data/test.csv")
            """,
            anchors=("example.py:3",),
        ),
        Bad(
            {
                "train.py": """
                import os

                import torch

                from loading import load

                DATA_DIR = "/data/imagenet"
                WEIGHTS = r"D:\\models\\resnet.pt"


                def main():
                    images = load(os.path.join(DATA_DIR, "train"))
                    state = torch.load(WEIGHTS)
                    return images, state


                if __name__ == "__main__":
                    main()
                """,
                "loading.py": """
                from torchvision.datasets import ImageFolder


                def load(folder):
                    return ImageFolder(folder)
                """,
            },
            findings=2,
            anchors=("train.py:7", "train.py:8"),
        ),
        Bad(
            """
            import json
            from pathlib import Path


            class Corpus:
                def __init__(self):
                    self.root = Path("/mnt/nas/corpus")

                def read(self, name):
                    return json.loads((self.root / name).read_text())


            def predictions(frame, day):
                frame.to_parquet(f"s3://acme-predictions/{day}.parquet")
            """,
            findings=2,
            anchors=("example.py:7", "example.py:14"),
        ),
        Bad(
            """
            from google.colab import drive
            import numpy as np

            drive.mount("/content/drive")
            BASE = "/content/drive/MyDrive/thesis/"
            x = np.load(BASE + "x.npy")
            """,
        ),
        Good(
            """
            import argparse
            import os

            import pandas as pd

            parser = argparse.ArgumentParser()
            parser.add_argument("--data", default="/home/ana/proj/data/train.csv", help="such as /data/x.csv")
            args = parser.parse_args()
            df = pd.read_csv(args.data)
            extra = pd.read_csv(os.environ.get("EXTRA", "/mnt/extra/x.csv"))
            """
        ),
        Good(
            """
            import re

            from flask import Flask

            app = Flask(__name__)


            @app.route("/data/upload")
            def upload():
                print("/home/ana/uploads is full")
                return {"next": "/data/items"}


            def is_local(path):
                return path.startswith("/home/ana") or re.match("/mnt/disk1/.*", path)
            """
        ),
        Good(
            {
                "config.py": """
                from dataclasses import dataclass

                CACHE = "/mnt/cache/features"


                @dataclass
                class DataConfig:
                    root: str = "/data/imagenet"
                """,
                "train.py": """
                from torchvision.datasets import ImageFolder

                from config import CACHE, DataConfig

                images = ImageFolder(DataConfig().root)
                cached = open(CACHE)
                """,
            }
        ),
        Good(
            """
            import json

            with open("/proc/meminfo") as file:
                memory = file.read()
            with open("/tmp/state.json") as file:
                state = json.load(file)
            null = open("/dev/null", "w")
            data = open("data/train.csv")
            """
        ),
        Good(
            {
                "serve.py": """
                import torch

                MODEL = "/data/model/model.pt"


                def main():
                    return torch.load(MODEL)


                if __name__ == "__main__":
                    main()
                """,
                "Dockerfile": """
                FROM python:3.11-slim
                COPY serve.py /app/serve.py
                WORKDIR /app
                CMD ["python", "serve.py"]
                """,
            }
        ),
        Good(
            {
                "tests/test_load.py": """
                import pandas as pd


                def test_read():
                    assert len(pd.read_csv("/data/fixtures/x.csv"))
                """,
                "load.py": """
                import os

                import pandas as pd

                ROOT = "/kaggle/input/titanic" if os.path.exists("/kaggle/input") else "data"
                frame = pd.read_csv(os.path.join(ROOT, "train.csv"))
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        reach = project[PathReach]
        containers: _Containers | None = None
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            groups: dict[tuple[str, str], list[PathLiteral]] = {}
            for literal in reach.of(module):
                containers = containers or _Containers(project)
                if containers.define(module, literal.path):
                    continue
                groups.setdefault((literal.path.kind, literal.path.root), []).append(literal)
            for group in groups.values():
                yield _problem(module, group)


def _problem(module: Module, group: list[PathLiteral]) -> Problem:
    placed = sorted(
        {text_place(module, one.statement, one.path.text): one for one in group}.items(),
        key=_first,
    )
    place, first = placed[0]
    others = tuple(Related(where, f"also {one.path.text}") for where, one in placed[1:])
    more = f", and {len(others)} more paths there" if len(others) > 1 else ", and one more path there" if others else ""
    kind = first.path.kind
    where = {
        "home": f"a home directory ({first.path.root})",
        "drive": f"a drive of one machine ({first.path.root})",
        "Colab": f"Colab's {first.path.root}",
        "Kaggle": f"Kaggle's {first.path.root}",
        "mount": f"a mount of one machine ({first.path.root})",
        "data": f"a directory of one machine ({first.path.root})",
        "bucket": f"one bucket ({first.path.root})",
    }[kind]
    return Problem(
        place,
        f"{_short(first.path.text)!r} is in {where}, written into the code{more}",
        others,
        severity=Severity.MAJOR if first.path.is_major else Severity.MINOR,
        minutes=5 + len(others),
        evidence=(
            *(f"{_short(one.path.text)!r} reaches {one.reached}" for _, one in placed),
            "no option, configuration class or environment variable has it as its default",
        ),
        symbol=first.path.root,
    )


def _first(placed: tuple[Place, PathLiteral]) -> Place:
    return placed[0]


def _short(text: str) -> str:
    return text if len(text) <= 70 else f"{text[:67]}..."


class _Containers:
    """Which modules run in a container the repository builds: its Dockerfile says what lies where."""

    def __init__(self, project: Project) -> None:
        self._launched: set[str] = set()
        for entry in project.entries:
            if any(_CONTAINER.search(place.path) for place in entry.launchers):
                self._launched |= project.imports.closure(entry.definition.module)
        # A project below the root that has an image of its own.
        images = [path for path in project.every if "/" in path and _CONTAINER.search(path)]
        self._folders = tuple(f"{path.rpartition('/')[0]}/" for path in images)

    def define(self, module: Module, path: MachinePath) -> bool:
        """Whether the image, not somebody's machine, is what has the path."""
        if path.kind not in _POSIX or not path.text.startswith("/"):
            return False
        anybody = path.kind != "home" or path.root == "/root"
        return module.path in self._launched or (anybody and module.path.startswith(self._folders or ("\0",)))
