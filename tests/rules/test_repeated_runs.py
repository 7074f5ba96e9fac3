"""What counts as running an experiment with several seeds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mldebt_rules.randomness.repeated_runs import RepeatedRuns

from mldebt.project.project import Project
from mldebt.sources.artefacts import Command, ConfigFile, Leaf, Repository

Build = Callable[..., Project]

RUN = "def run(seed):\n    return seed\n\n\n"

REPEATED = {
    "a comprehension over seeds": RUN + "found = [run(seed=s) for s in range(5)]",
    "a loop, by position": RUN + "for i in range(5):\n    print(run(i))",
    "a loop over a list of seeds": RUN + "for s in args.seeds:\n    print(run(s))",
    "repeated validation": "from sklearn.model_selection import RepeatedKFold\nfolds = RepeatedKFold()",
    "the spread of scores": "import numpy as np\nprint(np.std(scores))",
}
SINGLE = {
    "one call": RUN + "print(run(seed=0))",
    "a loop over batches": RUN + "x = run(0)\nfor batch in range(5):\n    print(batch)",
    "the spread of pixels": "import numpy as np\nimages = images / np.std(images)",
}


@pytest.mark.parametrize("text", REPEATED.values(), ids=REPEATED.keys())
def test_code_repeats(project: Build, text: str) -> None:
    assert project({"train.py": text + "\n"})[RepeatedRuns].there


@pytest.mark.parametrize("text", SINGLE.values(), ids=SINGLE.keys())
def test_code_runs_once(project: Build, text: str) -> None:
    assert not project({"train.py": text + "\n"})[RepeatedRuns].there


@pytest.mark.parametrize(
    ("keys", "value", "there"),
    [
        (("seed",), 1, False),
        (("hydra", "sweeper", "params", "seed"), "1,2,3", True),
        (("parameters", "seed", "values", "0"), 1, True),
        (("parameters", "trainer.seed", "max"), 9, True),
        (("lr", "values", "0"), 1, False),
    ],
)
def test_configurations_sweep(project: Build, keys: tuple[str, ...], value: int | str, there: bool) -> None:
    config = ConfigFile("sweep.yaml", "yaml", (Leaf(keys, value, 1),))
    built = project({"train.py": "import torch\n"}, repository=Repository(configs=(config,)))
    assert built[RepeatedRuns].there is there


@pytest.mark.parametrize(
    ("lines", "there"),
    [
        (["python train.py --seed 1"], False),
        (["python train.py --seed 1", "python train.py --seed 2"], True),
        (["python train.py --multirun seed=1,2,3"], True),
        (["python train.py --seed $seed"], True),
        (["python train.py --lr 1,2"], False),
    ],
)
def test_commands_sweep(project: Build, lines: list[str], there: bool) -> None:
    commands = tuple(Command(tuple(line.split()), "run.sh", at, "shell") for at, line in enumerate(lines, 1))
    built = project({"train.py": "import torch\n"}, repository=Repository(commands=commands))
    assert built[RepeatedRuns].there is there
