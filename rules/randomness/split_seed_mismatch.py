from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.finding import Confidence, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .events import EVERY
from .seeding import Seeding
from .splits import RANDOM_SPLIT, Settings, Split, Splits, is_test

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_MAKES = frozenset({"train", "tune"})
_MEASURES = frozenset({"eval", "predict", "serve"})


class SplitSeedMismatch(ProjectRule):
    """Two programs cut the same data into train and test anew, and not in the same way, so one tests on training rows.

    The program that trains and the one that evaluates, tunes or serves each call a splitter on the same file or data
    set, with another seed, none at all, another `shuffle` or `stratify`, or a larger test part.

    ## Why it is debt

    With two random cuts at 20 %, four of five rows of the evaluation's test set are in the training set. The score is
    that of a model on data it has seen, and looks better than any honest one: nothing fails, and the number goes into
    the report.

    ## How to pay it back

    Split once, write the parts or their indices to a file, and read that file in both programs. At least make the split
    in one function with one seed that both import.

    ## When to leave it

    Not reported: splits of different files, a split of a part that an earlier split made, folds of a cross-validation
    inside training, and splits whose seed or data mldebt cannot tell. Another size with the same seed is harmless where
    the evaluation's part is the smaller one, as that is then inside the other.

    ## References

    - scikit-learn, Common pitfalls, Data leakage: https://scikit-learn.org/stable/common_pitfalls.html#data-leakage
    - Kapoor and Narayanan, Leakage and the reproducibility crisis in machine-learning-based science, Patterns 2023
    """

    code = "MLD413"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 15

    examples = (
        Bad(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import LogisticRegression
                    from sklearn.model_selection import train_test_split


                    def main():
                        frame = pd.read_csv("data/rows.csv")
                        x, y = frame.drop(columns=["y"]), frame["y"]
                        x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
                        model = LogisticRegression().fit(x_train, y_train)
                        joblib.dump(model, "model.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
                "evaluate.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.metrics import accuracy_score
                    from sklearn.model_selection import train_test_split


                    def main():
                        frame = pd.read_csv("data/rows.csv")
                        x, y = frame.drop(columns=["y"]), frame["y"]
                        _, x_test, _, y_test = train_test_split(x, y, test_size=0.2, random_state=0)
                        model = joblib.load("model.joblib")
                        print(accuracy_score(y_test, model.predict(x_test)))


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("evaluate.py:10",),
        ),
        Bad(
            {
                "data.py": """
                    import pandas as pd
                    from sklearn.model_selection import train_test_split

                    PATH = "rows.parquet"


                    def load():
                        return pd.read_parquet(PATH)


                    def parts(seed=None):
                        return train_test_split(load(), test_size=0.25, random_state=seed)
                    """,
                "train.py": """
                    import joblib
                    from sklearn.ensemble import RandomForestClassifier

                    from data import parts


                    def main():
                        train, _ = parts(seed=13)
                        model = RandomForestClassifier(random_state=0).fit(train.drop(columns="y"), train["y"])
                        joblib.dump(model, "model.joblib")


                    if __name__ == "__main__":
                        main()
                    """,
                "evaluate.py": """
                    import joblib
                    from sklearn.metrics import f1_score

                    from data import parts


                    def main():
                        _, test = parts()
                        model = joblib.load("model.joblib")
                        print(f1_score(test["y"], model.predict(test.drop(columns="y"))))


                    if __name__ == "__main__":
                        main()
                    """,
            },
        ),
        Bad(
            {
                "train.py": """
                    import torch
                    from torch.utils.data import DataLoader, random_split
                    from torchvision.datasets import CIFAR10

                    if __name__ == "__main__":
                        data = CIFAR10("data", train=True)
                        train, val = random_split(data, [45000, 5000], generator=torch.Generator().manual_seed(1))
                        model = torch.nn.Linear(3072, 10)
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in DataLoader(train, batch_size=64):
                            loss = torch.nn.functional.cross_entropy(model(x), y)
                            loss.backward()
                            optimizer.step()
                        torch.save(model.state_dict(), "model.pt")
                    """,
                "evaluate.py": """
                    import torch
                    from sklearn.metrics import accuracy_score
                    from torch.utils.data import DataLoader, random_split
                    from torchvision.datasets import CIFAR10

                    if __name__ == "__main__":
                        data = CIFAR10("data", train=True)
                        _, val = random_split(data, [45000, 5000], generator=torch.Generator().manual_seed(2))
                        model = torch.nn.Linear(3072, 10)
                        model.load_state_dict(torch.load("model.pt"))
                        model.eval()
                        for x, y in DataLoader(val, batch_size=64):
                            print(accuracy_score(y, model(x).argmax(1)))
                    """,
            },
        ),
        Good(
            {
                "data.py": """
                    import pandas as pd
                    from sklearn.model_selection import train_test_split


                    def parts():
                        return train_test_split(pd.read_csv("rows.csv"), test_size=0.25, random_state=13)
                    """,
                "train.py": """
                    import joblib
                    from sklearn.linear_model import Ridge

                    from data import parts

                    if __name__ == "__main__":
                        train, _ = parts()
                        joblib.dump(Ridge().fit(train[["a"]], train["y"]), "model.joblib")
                    """,
                "evaluate.py": """
                    import joblib
                    from sklearn.metrics import r2_score

                    from data import parts

                    if __name__ == "__main__":
                        _, test = parts()
                        print(r2_score(test["y"], joblib.load("model.joblib").predict(test[["a"]])))
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from sklearn.model_selection import train_test_split

                    if __name__ == "__main__":
                        train, _ = train_test_split(pd.read_csv("train.csv"), random_state=1)
                        joblib.dump(Ridge().fit(train[["a"]], train["y"]), "model.joblib")
                    """,
                "evaluate.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.metrics import r2_score
                    from sklearn.model_selection import train_test_split

                    if __name__ == "__main__":
                        small, _ = train_test_split(pd.read_csv("test.csv"), random_state=2)
                        print(r2_score(small["y"], joblib.load("model.joblib").predict(small[["a"]])))
                    """,
            }
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import Ridge
            from sklearn.model_selection import train_test_split


            def main():
                frame = pd.read_csv("rows.csv")
                rest, test = train_test_split(frame, test_size=0.2, random_state=1)
                train, val = train_test_split(rest, test_size=0.1, random_state=2)
                model = Ridge().fit(train[["a"]], train["y"])
                print(model.score(val[["a"]], val["y"]), model.score(test[["a"]], test["y"]))


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            {
                "train.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from sklearn.model_selection import train_test_split

                    if __name__ == "__main__":
                        train, _ = train_test_split(pd.read_csv("rows.csv"), test_size=0.3, random_state=1)
                        joblib.dump(Ridge().fit(train[["a"]], train["y"]), "model.joblib")
                    """,
                "evaluate.py": """
                    import joblib
                    import pandas as pd
                    from sklearn.metrics import r2_score
                    from sklearn.model_selection import train_test_split

                    if __name__ == "__main__":
                        _, test = train_test_split(pd.read_csv("rows.csv"), test_size=0.1, random_state=1)
                        print(r2_score(test["y"], joblib.load("model.joblib").predict(test[["a"]])))
                    """,
            }
        ),
        Good(
            {
                "forest.py": """
                    import pandas as pd
                    from sklearn.ensemble import RandomForestRegressor
                    from sklearn.model_selection import train_test_split

                    if __name__ == "__main__":
                        train, test = train_test_split(pd.read_csv("rows.csv"), random_state=1)
                        model = RandomForestRegressor(random_state=0).fit(train[["a"]], train["y"])
                        print(model.score(test[["a"]], test["y"]))
                    """,
                "ridge.py": """
                    import pandas as pd
                    from sklearn.linear_model import Ridge
                    from sklearn.model_selection import train_test_split

                    if __name__ == "__main__":
                        train, test = train_test_split(pd.read_csv("rows.csv"), random_state=2)
                        print(Ridge().fit(train[["a"]], train["y"]).score(test[["a"]], test["y"]))
                    """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        splits = project[Splits]
        groups: dict[tuple[str, str], list[Split]] = {}
        if len(splits.all) > 1:
            for split in splits.all:
                data = splits.data(split)
                if data is not None:
                    groups.setdefault((split.api, data), []).append(split)
        for (_, data), group in sorted(groups.items()):
            if len(group) > 1:
                yield from _mismatches(project, data, group)


def _mismatches(project: Project, data: str, group: list[Split]) -> Iterator[Problem]:
    splits = project[Splits]
    entries = [entry for entry in project.entries if entry.kind != "test" and not is_test(entry.definition.module)]
    makers: list[tuple[Split, Entry]] = []
    judges: list[tuple[Split, Entry]] = []
    for split, entry in product(group, entries):
        roles = project.roles(entry)
        if not roles & (_MAKES | _MEASURES) or not splits.on(split, entry):
            continue
        if "train" in roles:
            makers.append((split, entry))
        if (roles & _MEASURES and not roles & _MAKES) or "tune" in roles:
            judges.append((split, entry))
    seen: set[int] = set()
    for (one, maker), (other, judge) in product(makers, judges):
        if maker.definition.module is judge.definition.module or id(other.top.call) in seen:
            continue
        if one.top.call is other.top.call or not _are_related(project, data, maker, judge):
            continue
        why = _difference(project, (one, maker), (other, judge))
        if why is not None:
            seen.add(id(other.top.call))
            yield _problem(data, (one, maker), (other, judge), why)


def _are_related(project: Project, data: str, maker: Entry, judge: Entry) -> bool:
    """Whether two programs may be of one piece of work; notebooks stand alone, and toy data is everybody's."""
    paths = [one.definition.module.path for one in (maker, judge)]
    notebooks = sum(path.endswith(".ipynb") for path in paths)
    if len({path.rpartition("/")[0] for path in paths}) == 1:
        return notebooks < len(paths)
    toy = data.startswith(("sklearn.datasets.", "keras.", "tensorflow.", "seaborn."))
    return not toy and not notebooks and "tune" not in project.roles(judge)


def _problem(data: str, one: tuple[Split, Entry], other: tuple[Split, Entry], why: str) -> Problem:
    (trained, maker), (judged, judge) = one, other
    path = maker.definition.module.path
    shown = data.rpartition(":")[2]
    there = judged.top.module.place(judged.top.call), "the split that is measured on"
    here = trained.top.module.place(trained.top.call), "the split that is trained on"
    if judged.top.module.is_test:  # nothing is reported in what is named as a test
        here, there = there, here
    return Problem(
        there[0],
        f"{judge.definition.module.path} splits {shown} anew and not as {path} does: {why}",
        (
            Related(*here),
            *(
                Related(each.module.place(each.call), "is split here", "path")
                for each in (judged,)
                if each.call is not each.top.call
            ),
        ),
        evidence=(
            f"both split {data}",
            f"{path} trains, {judge.definition.module.path} measures or serves",
            "neither reads the parts of the other",
        ),
    )


def _difference(project: Project, one: tuple[Split, Entry], other: tuple[Split, Entry]) -> str | None:
    """What differs between the split that is trained on and the one that is measured, in words."""
    splits = project[Splits]
    first, second = splits.settings(one[0]), splits.settings(other[0])
    if UNKNOWN in (first.shuffle, second.shuffle):
        return None
    if bool(first.shuffle) != bool(second.shuffle):
        return "one shuffles, the other does not"
    if first.shuffle:
        if UNKNOWN in (first.seed, second.seed):
            return None
        for split, entry, settings in ((*one, first), (*other, second)):
            if settings.seed is None:
                seeded = _is_seeded(project, split, entry)
                return None if seeded else f"{entry.definition.module.path} gives no seed"
        if first.seed != second.seed:
            return f"the seed is {second.seed}, not {first.seed}"
    return _other_difference(first, second)


def _other_difference(first: Settings, second: Settings) -> str | None:
    if first.stratify != second.stratify:
        return "one is stratified, the other is not"
    sizes = first.size, second.size
    known = all(isinstance(size, (int, float)) for size in sizes) and type(sizes[0]) is type(sizes[1])
    if known and sizes[1] > sizes[0]:  # type: ignore[operator]
        return f"the test part is {sizes[1]}, not {sizes[0]}"
    return None


def _is_seeded(project: Project, split: Split, entry: Entry) -> bool:
    """Whether the library's own generator is seeded in an entry."""
    library = "torch" if split.api == RANDOM_SPLIT else "numpy"
    return not {library, EVERY}.isdisjoint(project[Seeding].of(entry).seeds)
