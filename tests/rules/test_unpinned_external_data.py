"""MLD604: how grave it is that something is fetched unpinned, by who consumes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mldebt_rules.data.unpinned_external_data import UnpinnedExternalData

from mldebt.finding import Severity
from mldebt.project.project import Project

Build = Callable[..., Project]

DATA = "from datasets import load_dataset\nrows = load_dataset('stanfordnlp/imdb')\n"
CODE = "import torch\nmodel = torch.hub.load('ultralytics/yolov5', 'yolov5s')\n"


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"train.py": DATA}, None),
        ({"lesson.ipynb": DATA}, Severity.INFO),
        ({"lesson.py": DATA, "lesson.ipynb": "print()\n"}, Severity.INFO),
        ({"lesson.ipynb": CODE}, None),
        ({"online_data_example.py": DATA}, Severity.INFO),
    ],
)
def test_a_notebook_shows_data_but_runs_code(project: Build, files: dict[str, str], severity: Severity | None) -> None:
    problems = list(UnpinnedExternalData().check(project(files)))
    assert [problem.severity for problem in problems] == [severity]


@pytest.mark.parametrize(
    "files",
    [
        {"pkg/test_utils/training.py": DATA},
        {"hubconf.py": "def yolov5s():\n    return build()\n", "serve.py": CODE},
    ],
)
def test_what_tests_share_and_what_the_repository_offers_itself_is_left_alone(
    project: Build, files: dict[str, str]
) -> None:
    assert not list(UnpinnedExternalData().check(project(files)))
