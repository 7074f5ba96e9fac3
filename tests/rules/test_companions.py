"""Which files count as one program, for rules that compare literals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mldebt_rules.randomness.companions import Companions

from mldebt.project.project import Project

Build = Callable[..., Project]

READS = "import pandas as pd\n\nrows = pd.read_csv('{}')\nprint(rows)\n"
FUNCTION = "def one():\n    return 1\n"
SCRIPT = "import numpy as np\n\nprint(np.zeros(3))\n"

TOGETHER = {
    "one imports the other": {"a.py": "import b\n\nprint(b.one())\n", "b.py": FUNCTION},
    "a third imports both": {"a.py": SCRIPT, "b.py": SCRIPT, "main.py": "import a\nimport b\n\nprint(a, b)\n"},
    "both import code that computes": {
        "a.py": "import shared\n\nprint(shared.x)\n",
        "b.py": "import shared\n\nprint(shared.x)\n",
        "shared.py": "import numpy as np\n\nx = np.zeros(3)\n",
    },
    "both read one file": {"a.py": READS.format("rows.csv"), "b.py": READS.format("./rows.csv")},
    "both are a library's": {"lib/a.py": FUNCTION, "lib/b.py": FUNCTION},
}
APART = {
    "two scripts": {"a.py": SCRIPT, "b.py": SCRIPT},
    "data that lies beside the project": {
        "a.py": READS.format("../input/t.csv"),
        "b.py": READS.format("../input/t.csv"),
    },
    "data at a place of one machine": {"a.py": READS.format("C:/data/t.csv"), "b.py": READS.format("C:/data/t.csv")},
    "a download": {"a.py": READS.format("https://host/t.csv"), "b.py": READS.format("https://host/t.csv")},
    "a check of the environment": {
        "a.py": "from check import check\n\nprint(check())\n",
        "b.py": "from check import check\n\nprint(check())\n",
        "check.py": "import sys\n\n\ndef check():\n    return sys.version\n",
    },
}


def groups(project: Project) -> list[list[str]]:
    paths = [path for path in project.modules if path.rpartition("/")[2] in ("a.py", "b.py")]
    return [sorted(group) for group in project[Companions].groups(paths)]


@pytest.mark.parametrize("files", TOGETHER.values(), ids=TOGETHER.keys())
def test_files_with_evidence_are_together(project: Build, files: dict[str, str]) -> None:
    assert len(groups(project(files))) == 1


@pytest.mark.parametrize("files", APART.values(), ids=APART.keys())
def test_files_without_evidence_are_apart(project: Build, files: dict[str, str]) -> None:
    assert len(groups(project(files))) == 2
