from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .companions import Companions
from .literal_seeds import DRAW, GLOBAL, MODEL, SEARCH, SPLIT, START, LiteralSeed, literal_seeds
from .split_seed_mismatch import SplitSeedMismatch

if TYPE_CHECKING:
    from mldebt.project.project import Project

_FEW, _FILES = 3, 2
_EVERYWHERE = "*"
_MANIFESTS = frozenset("requirements.txt setup.py pyproject.toml environment.yml Pipfile Dockerfile".split())
_COLLECTIONS = re.compile(r"compet|project|kaggle|experiment|notebook|chapter|baselines|exercises", re.IGNORECASE)
_SIZE = {
    SPLIT: "splits",
    MODEL: "models",
    START: "model initialisation",
    SEARCH: "searches",
    DRAW: "drawn rows and numbers",
    GLOBAL: "global generators",
}


class SeedLiteralScatter(ProjectRule):
    """The seed of one purpose is written out as a number in three calls or more, over several files.

    Or the files disagree: two of them split, or initialise models, with different literals.

    ## Why it is debt

    To repeat an experiment with another seed, every one of these places has to be found and changed. One that is
    forgotten keeps a split or a model at the old seed, and the variance that is measured is too small. Where the
    numbers differ, nobody can say whether that is meant.

    ## How to pay it back

    Give the seed a name in one place, `SEED = 42` in a module that all import, better an option of the
    configuration, and pass it on.

    ## When to leave it

    Programs that have nothing to do with each other: only files that are imported or launched together, share code or
    a data file count as one work. Tests, examples and notebooks are left out, as are calls that are given a name, the
    second split of a nested one, lists of seeds that a program goes through, and splits that MLD413 reports as
    contradicting each other.

    ## References

    - scikit-learn, Controlling randomness: https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, 2015 (configuration debt)
    """

    code = "MLD415"
    severity = Severity.MINOR
    confidence = Confidence.HIGH
    minutes = 5

    examples = (
        Bad(
            {
                "forest.py": """
                    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier


                    def models():
                        return RandomForestClassifier(random_state=42), ExtraTreesClassifier(random_state=42)
                    """,
                "boosting.py": """
                    from sklearn.ensemble import GradientBoostingClassifier


                    def model():
                        return GradientBoostingClassifier(random_state=42)
                    """,
            },
            anchors=("boosting.py:5",),
        ),
        Bad(
            {
                "a.py": """
                    from sklearn.model_selection import train_test_split


                    def parts(x):
                        return train_test_split(x, random_state=42)
                    """,
                "b.py": """
                    from sklearn.model_selection import KFold


                    def folds(x):
                        return KFold(5, shuffle=True, random_state=7).split(x)
                    """,
            }
        ),
        Bad(
            {
                "train.py": """
                    import numpy as np
                    from sklearn.ensemble import RandomForestClassifier

                    if __name__ == "__main__":
                        np.random.seed(1)
                        print(RandomForestClassifier(random_state=1).fit(np.load("x.npy"), np.load("y.npy")))
                    """,
                "evaluate.py": """
                    import numpy as np

                    if __name__ == "__main__":
                        np.random.seed(1)
                        print(np.random.permutation(np.load("x.npy"))[:10])
                    """,
            }
        ),
        Bad(
            {
                "train_price.py": """
                    import torch

                    from network import fit, make

                    if __name__ == "__main__":
                        torch.manual_seed(0)
                        model = make(30, 1)
                        fit(model, torch.load("price.pt"), torch.optim.Adam(model.parameters()))
                    """,
                "train_demand.py": """
                    import torch

                    from network import fit, make

                    if __name__ == "__main__":
                        torch.manual_seed(7)
                        model = make(45, 1)
                        fit(model, torch.load("demand.pt"), torch.optim.Adam(model.parameters()))
                    """,
                "network.py": """
                    from torch import nn


                    def make(inputs, outputs):
                        return nn.Linear(inputs, outputs)


                    def fit(model, rows, optimizer):
                        for x, y in rows:
                            nn.functional.mse_loss(model(x), y).backward()
                            optimizer.step()
                    """,
            },
            anchors=("train_demand.py:6",),
        ),
        Bad(
            {
                "stages/__init__.py": "",
                "stages/cut.py": """
                    import pandas as pd
                    from sklearn.model_selection import train_test_split


                    def run():
                        train, test = train_test_split(pd.read_parquet("trips.parquet"), random_state=31337)
                        train.to_parquet("work/train.parquet")
                        test.to_parquet("work/test.parquet")
                    """,
                "stages/tune.py": """
                    import optuna
                    from xgboost import XGBRegressor


                    def run(objective):
                        model = XGBRegressor(random_state=31337)
                        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=31337))
                        study.optimize(lambda trial: objective(trial, model), n_trials=30)
                    """,
                "all.py": """
                    from stages import cut, tune

                    if __name__ == "__main__":
                        for stage in (cut, tune):
                            stage.run()
                    """,
            },
            anchors=("stages/cut.py:6",),
        ),
        Good(
            {
                "balance.py": """
                    def balance(rows):
                        few, many = rows[rows.y == 1], rows[rows.y == 0]
                        return few.sample(100, random_state=1), many.sample(100, random_state=1)
                    """,
                "features.py": """
                    from sklearn.model_selection import train_test_split


                    def pairs(rows):
                        return train_test_split(rows, random_state=1)
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import torch

                    from network import make

                    if __name__ == "__main__":
                        torch.manual_seed(0)
                        model = make(30, 1)
                        model(torch.load("rows.pt")).sum().backward()
                    """,
                "sample.py": """
                    import torch

                    from network import make

                    if __name__ == "__main__":
                        torch.manual_seed(7)
                        print(make(30, 1)(torch.randn(2, 30)))
                    """,
                "network.py": """
                    from torch import nn


                    def make(inputs, outputs):
                        return nn.Linear(inputs, outputs)
                    """,
            }
        ),
        Good(
            {
                "settings.py": """
                    SEED = 42
                    """,
                "forest.py": """
                    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

                    from settings import SEED


                    def models():
                        return RandomForestClassifier(random_state=SEED), ExtraTreesClassifier(random_state=SEED)
                    """,
                "boosting.py": """
                    from sklearn.ensemble import GradientBoostingClassifier

                    from settings import SEED


                    def model():
                        return GradientBoostingClassifier(random_state=SEED)
                    """,
            }
        ),
        Good(
            """
            from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
            from sklearn.linear_model import SGDClassifier


            def models():
                forest, trees = RandomForestClassifier(random_state=42), ExtraTreesClassifier(random_state=42)
                return forest, trees, SGDClassifier(random_state=42)
            """
        ),
        Good(
            {
                "train.py": """
                    from sklearn.model_selection import train_test_split


                    def parts(x):
                        rest, test = train_test_split(x, random_state=1)
                        train, val = train_test_split(rest, random_state=2)
                        return train, val, test
                    """,
                "fit.py": """
                    from sklearn.ensemble import RandomForestClassifier


                    def repeat(x, y):
                        return [RandomForestClassifier(random_state=seed).fit(x, y) for seed in [1, 2, 3]]
                    """,
            }
        ),
        Good(
            {
                "tests/test_a.py": """
                    from sklearn.ensemble import RandomForestClassifier


                    def test_a():
                        assert RandomForestClassifier(random_state=0), RandomForestClassifier(random_state=0)
                    """,
                "tests/test_b.py": """
                    from sklearn.ensemble import RandomForestClassifier


                    def test_b():
                        assert RandomForestClassifier(random_state=0)
                    """,
            }
        ),
        Good(
            {
                "a.py": """
                    from sklearn.model_selection import train_test_split


                    def parts(x):
                        return train_test_split(x, random_state=42)
                    """,
                "b.py": """
                    from sklearn.ensemble import RandomForestClassifier


                    def model():
                        return RandomForestClassifier(random_state=7)
                    """,
            }
        ),
        Good(
            {
                "kernels/001.forest.py": """
                    import pandas as pd
                    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

                    rows = pd.read_csv("../input/train.csv")
                    print(RandomForestRegressor(random_state=42).fit(rows[["a"]], rows["y"]))
                    print(ExtraTreesRegressor(random_state=42).fit(rows[["a"]], rows["y"]))
                    """,
                "kernels/002.reference.py": """
                    import pandas as pd
                    from sklearn.linear_model import SGDRegressor

                    rows = pd.read_csv("../input/train.csv")
                    print(SGDRegressor(random_state=42).fit(rows[["b"]], rows["y"]))
                    """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        same: dict[tuple[str, int], list[LiteralSeed]] = {}
        purposes: dict[tuple[str, str], list[LiteralSeed]] = {}
        homes = {path.rpartition("/")[0] for path in project.every if path.rpartition("/")[2] in _MANIFESTS}
        for seed in literal_seeds(project):
            folders = seed.place.path.split("/")[:-1]
            if seed.purpose != START:
                same.setdefault((_work(folders), seed.value), []).append(seed)
            if seed.purpose != GLOBAL and not _is_collection(folders):
                same.setdefault((_EVERYWHERE + _home(folders, homes), seed.value), []).append(seed)
            if seed.purpose in (SPLIT, MODEL, START):
                purposes.setdefault(("/".join(folders), seed.purpose), []).append(seed)
        if not any(map(_is_scattered, (*same.values(), *purposes.values()))):
            return
        problems = list(SplitSeedMismatch().check(project))
        seen = {one.place for one in problems} | {more.place for one in problems for more in one.related}
        for _, group in (*sorted(same.items()), *sorted(purposes.items())):
            for together in _together(project, group):
                left = [seed for seed in together if seed.place not in seen]
                if _is_scattered(left):
                    seen |= {seed.place for seed in left}
                    yield _problem(left)


def _work(folders: list[str]) -> str:
    """The folder of one piece of work: a competition's, a project's, else the one at the root."""
    return "/".join(folders[: 2 if _is_collection(folders) else 1])


def _home(folders: list[str], homes: set[str]) -> str:
    """The innermost folder around a file that declares what it needs: a project of its own."""
    around = ("/".join(folders[:depth]) for depth in range(len(folders), 0, -1))
    return next((folder for folder in around if folder in homes), "")


def _is_collection(folders: list[str]) -> bool:
    return bool(folders) and _COLLECTIONS.search(folders[0]) is not None


def _together(project: Project, group: list[LiteralSeed]) -> Iterator[list[LiteralSeed]]:
    """A group, parted by what is one program: two that only like the same number have nothing to agree on."""
    if _is_scattered(group):
        for paths in project[Companions].groups({seed.place.path for seed in group}):
            yield [seed for seed in group if seed.place.path in paths]


def _is_scattered(group: list[LiteralSeed]) -> bool:
    """One number in three calls, or several numbers for one purpose; that programs seed themselves alike is none."""
    counted = [seed for seed in group if seed.purpose != DRAW]
    files = {seed.place.path for seed in counted}
    if len(files) < _FILES or all(seed.purpose == GLOBAL for seed in group):
        return False
    if len({seed.value for seed in group}) > 1:
        return True
    return len(files if all(seed.purpose == START for seed in group) else counted) >= _FEW


def _problem(group: list[LiteralSeed]) -> Problem:
    first, *others = sorted(group, key=lambda seed: seed.place)
    purposes = [name for key, name in _SIZE.items() if any(seed.purpose == key for seed in group)]
    files = len({seed.place.path for seed in group})
    values = sorted({seed.value for seed in group})
    shown = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
    return Problem(
        first.place,
        f"the seed of {' and '.join(purposes)} is written out in {len(group)} calls of {files} files: {shown}",
        tuple(Related(seed.place, f"here it is {seed.value}") for seed in others),
        minutes=5 + 2 * len(group),
        evidence=("none of these calls is given a name", "the files run together, or share code or a data file"),
        symbol=" ".join([*purposes, *map(str, values)]),
    )
