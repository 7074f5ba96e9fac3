"""MLD509 tuple-soup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import Expr, Ref
from mldebt.finding import Confidence, Fix, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .returned_tuples import ReturnedTuples, Tuples, name_of, of_library_class
from .tuple_mending import named
from .tuple_texts import TupleTexts
from .unpackings import Mistake, mistake

_SAME = 3  # values of one type


@dataclass(frozen=True)
class TupleSoup(ProjectRule):
    """A function returns a bare tuple of many values, which several files take apart by position; or a call takes
    them apart in another order, or another number of them, than they are returned in.

    ## Why it is debt

    Positions carry no meaning: whoever adds, drops or reorders a value must find and change every call, and no tool
    helps. A mean and a standard deviation that change places are both numbers; nothing fails, and every result is
    wrong.

    ## How to pay it back

    Return a `typing.NamedTuple` or a frozen dataclass. A NamedTuple still unpacks, so that callers can move one by one
    from `x, y, m, s = load()` to `data = load(); data.mean`. The suggested fix writes one.

    ## When to leave it

    Conventions of libraries are left alone: `forward` and `step` of models and environments, methods of classes derived
    from a library's, `(loss, logits)`. Dictionaries are not looked at. Names decide what is out of order: what has
    other names, or goes into the call swapped as well, is not reported.

    ## Options

    * `values`: a tuple of so many values is reported when `files` unpack it (4); of one type, three are enough.
    * `files`: so many other files have to unpack it (2).

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", 2015, section 5.5 (plain-old-data type).
    * https://docs.python.org/3/library/typing.html#typing.NamedTuple
    """

    values: int = 4
    files: int = 2

    code: ClassVar[str] = "MLD509"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 15
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"locals-renamed"})  # names tell the order
    collects = (TupleTexts,)
    examples = (
        Bad(
            {
                "data.py": """
                    import numpy as np


                    def load(path):
                        x, y = np.load(path)
                        m, s = x.mean(), x.std()
                        return x, y, m, s
                    """,
                "train.py": """
                    from data import load

                    x, y, s, m = load("digits.npy")
                    print((x - m) / s, y)
                    """,
            },
            anchors=("train.py:3",),
        ),
        Bad(
            {
                "data.py": """
                    import numpy as np


                    # Images and their statistics.
                    def load(path):
                        x, y = np.load(path)
                        mean, std = x.mean(), x.std()
                        return x, y, mean, std  # in this order
                    """,
                "train.py": """
                    from data import load

                    x, y, mean, std = load("train.npy")
                    print((x - mean) / std, y)
                    """,
                "test.py": """
                    from data import load

                    images, labels, mean, std = load("test.npy")
                    print((images - mean) / std, labels)
                    """,
            },
            fixed={
                "data.py": """
                    from typing import Any, NamedTuple

                    import numpy as np


                    # Images and their statistics.
                    class LoadResult(NamedTuple):
                        x: Any
                        y: Any
                        mean: Any
                        std: Any


                    def load(path):
                        x, y = np.load(path)
                        mean, std = x.mean(), x.std()
                        return LoadResult(x, y, mean, std)  # in this order
                    """,
                "train.py": """
                    from data import load

                    x, y, mean, std = load("train.npy")
                    print((x - mean) / std, y)
                    """,
                "test.py": """
                    from data import load

                    images, labels, mean, std = load("test.npy")
                    print((images - mean) / std, labels)
                    """,
            },
            anchors=("data.py:8",),
        ),
        Bad(
            {
                "metrics.py": """
                    def measure(hits, misses, alarms, rest):
                        precision = hits / (hits + alarms)
                        recall = hits / (hits + misses)
                        accuracy = (hits + rest) / (hits + misses + alarms + rest)
                        f1 = 2 * precision * recall / (precision + recall)
                        return precision, recall, accuracy, f1
                    """,
                "select.py": """
                    from metrics import measure

                    _, _, _, f1 = measure(1, 2, 3, 4)
                    """,
            },
            anchors=("metrics.py:6",),
        ),
        Bad(
            {
                "boxes.py": """
                    def shape(image):
                        height, width = image.shape[:2]
                        return height, width
                    """,
                "crop.py": """
                    from boxes import shape


                    def crop(image):
                        width, height = shape(image)
                        return image[: height // 2, : width // 2]


                    def count(image):
                        height, width, channels = shape(image)
                        return height * width * channels
                    """,
            },
            findings=2,
            anchors=("crop.py:5", "crop.py:10"),
        ),
        Good(
            {
                "env.py": """
                    class Walk:
                        def reset(self):
                            return [0.0, 0.0]

                        def step(self, action):
                            return [0.0, 1.0], 1.0, False, {}
                    """,
                "one.py": """
                    from env import Walk

                    observation, reward, done, info = Walk().step(0)
                    """,
                "two.py": """
                    from env import Walk

                    state, gain, over, _ = Walk().step(1)
                    """,
            },
        ),
        Good(
            {
                "data.py": """
                    from typing import NamedTuple


                    class Digits(NamedTuple):
                        x: list
                        y: list
                        mean: float
                        std: float


                    def load(path):
                        return Digits([path], [1], 0.0, 1.0)
                    """,
                "train.py": """
                    from data import load

                    x, y, mean, std = load("train.npy")
                    """,
                "test.py": """
                    from data import load

                    x, y, mean, std = load("test.npy")
                    """,
            },
        ),
        Good(
            {
                "model.py": """
                    import torch


                    class Net(torch.nn.Module):
                        def forward(self, x, y=None):
                            logits = x * 2
                            loss = logits.sum()
                            return loss, logits

                        def score(self, x):
                            return x, x, x, x
                    """,
                "train.py": """
                    from model import Net

                    loss, logits = Net()(1)
                    a, b, c, d = Net().score(1)
                    """,
                "test.py": """
                    from model import Net

                    loss, logits = Net()(2)
                    a, b, c, d = Net().score(1)
                    """,
            },
        ),
        Good(
            {
                "pair.py": """
                    def ordered(low, high):
                        return low, high


                    def either(fast):
                        if fast:
                            return 1, 2, 3
                        return 1, 2
                    """,
                "use.py": """
                    from pair import either, ordered


                    def swapped(low, high):
                        high, low = ordered(high, low)
                        first, second, third = either(True)
                        first, second = either(False)
                        return high, low, first, second, third
                    """,
            },
        ),
        Good(
            {
                "data.py": """
                    def load():
                        return [1], [2], 0.0, 1.0
                    """,
                "one.py": """
                    from data import load

                    x, y, mean, std = load()
                    everything = load()
                    x, *rest = load()
                    """,
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for tuples in project[ReturnedTuples].all:
            mistakes = [found for one in tuples.unpackings if (found := mistake(tuples, one)) is not None]
            for found in mistakes:
                yield _mismatch(tuples, found)
            if not mistakes and not of_library_class(tuples.definition):
                yield from self._soup(tuples)

    def _soup(self, tuples: Tuples) -> Iterator[Problem]:
        length = tuples.length
        home = tuples.definition.module
        others = [one for one in tuples.unpackings if one.module is not home and not one.module.is_example]
        files = {one.module.path for one in others}
        if length is None or home.is_example:
            return
        many = length >= self.values or (length >= _SAME and _of_one_type(tuples))
        thrown = [one for one in others if length >= self.values and _throws_away(one.targets)]
        if not many or (len(files) < self.files and not thrown):
            return
        shown = ", ".join(name_of(one) or "..." for one in tuples.rows[0])
        places = [*dict.fromkeys(one.module.place(one.stmt) for one in others)]
        who = f"{len(files)} other files take apart" if len(files) > 1 else f"{others[0].module.path} takes apart"
        yield Problem(
            home.place(tuples.returns[0]),
            f"{tuples.definition.scope.name}() returns {length} values by position ({shown}), which {who}",
            (
                Related(home.place(tuples.definition.scope), "the function"),
                *[Related(place, "unpacks them", "effect") for place in places],
            ),
            evidence=(f"every return of {tuples.definition.name} is a bare tuple of {length}",),
            symbol=tuples.definition.name,
        )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        found = next((one for one in project[ReturnedTuples].all if one.definition.name == problem.symbol), None)
        return named(found) if found is not None else None


def _mismatch(tuples: Tuples, found: Mistake) -> Problem:
    unpacking, home = found.unpacking, tuples.definition.module
    name = tuples.definition.scope.name
    place = unpacking.module.place(unpacking.stmt)
    if found.swapped:
        taken, given = (", ".join(one) for one in zip(*found.swapped, strict=True))
        text = f"{name}() returns {given} where this takes {taken}: the values change places"
    else:
        counts = " or ".join(str(one) for one in sorted({len(row) for row in tuples.rows}))
        text = f"{name}() returns {counts} values, and this takes {len(unpacking.targets)}: a ValueError when it runs"
    returns = tuple(Related(home.place(stmt), "returned in this order", "counterpart") for stmt in tuples.returns)
    evidence = ("the call runs this one function", "every return is a bare tuple", "names tell the order")
    return Problem(place, text, returns, Severity.CRITICAL, evidence=evidence, symbol=f"order of {name}")


def _throws_away(targets: tuple[Expr, ...]) -> bool:
    names = [one.name for one in targets if isinstance(one, Ref)]
    return sum(name.startswith("_") for name in names) >= 2


def _of_one_type(tuples: Tuples) -> bool:
    """Whether all values of every return are known to be of one class."""
    module, index = tuples.definition.module, tuples.definition.index
    classes = {
        module.project.types.of(module, index, value) for row in tuples.rows for value in row
    }  # fmt: skip
    return len(classes) == 1 and () not in classes
