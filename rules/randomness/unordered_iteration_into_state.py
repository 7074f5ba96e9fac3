from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import Call, Comprehension, For, Ref
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .order_sinks import INDEX
from .unordered import SetDisplays, Unordered, UnorderedFlows

if TYPE_CHECKING:
    from mldebt.project.project import Project

_KEPT = re.compile(r"(^|/)(archived?|archives|attic|deprecated|legacy)/", re.IGNORECASE)  # code that nobody runs again


class UnorderedIterationIntoState(ProjectRule):
    """The order of a set or of a directory listing, which nothing defines, becomes meaning.

    It numbers labels or words, pairs two lists, orders the columns of a feature matrix, splits the data, or decides
    which element is the first.

    ## Why it is debt

    A set of texts has another order in every process, because Python salts their hashes; a directory listing has the
    order of the file system, which is another one on the next machine. A vocabulary that is numbered in such an order
    gives a saved embedding other words in the next run, and the same seed splits the same files differently. Shuffling
    with a seed afterwards does not help: it permutes an order that is not defined.

    ## How to pay it back

    Put `sorted(...)` around the set or the listing, before its order is used. The fix does.

    ## When to leave it

    Most sets and listings are harmless, and only reported where their order is used. Sets of integers have a stable
    order and are not reported; nor is what is sorted, counted, or put into a set again, nor a list that is said to have
    one element. Findings in archived directories that save nothing are hints.

    ## References

    - Python, `os.listdir` ("in arbitrary order"): https://docs.python.org/3/library/os.html#os.listdir
    - Python, `object.__hash__` (values are salted): https://docs.python.org/3/reference/datamodel.html#object.__hash__
    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, 2015
    """

    code = "MLD410"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 5
    collects = (SetDisplays,)

    examples = (
        Bad(
            """
            def encode(labels):
                classes = list(set(labels))
                index = {c: i for i, c in enumerate(classes)}
                return [index[label] for label in labels], classes
            """,
            fixed="""
            def encode(labels):
                classes = sorted(set(labels))
                index = {c: i for i, c in enumerate(classes)}
                return [index[label] for label in labels], classes
            """,
            anchors=("example.py:2",),
        ),
        Bad(
            {
                "vocabulary.py": """
                    def words_of(sentences):
                        return set(" ".join(sentences).split())
                    """,
                "train.py": """
                    import json

                    from vocabulary import words_of


                    def main(sentences):
                        index = {}
                        for word in words_of(sentences):
                            index[word] = len(index)
                        with open("vocabulary.json", "w") as file:
                            json.dump(index, file)
                        return index
                    """,
            },
            fixed={
                "vocabulary.py": """
                    def words_of(sentences):
                        return sorted(set(" ".join(sentences).split()))
                    """,
                "train.py": """
                    import json

                    from vocabulary import words_of


                    def main(sentences):
                        index = {}
                        for word in words_of(sentences):
                            index[word] = len(index)
                        with open("vocabulary.json", "w") as file:
                            json.dump(index, file)
                        return index
                    """,
            },
            anchors=("vocabulary.py:2",),
        ),
        Bad(
            """
            import os


            def pairs(images, masks):
                for image, mask in zip(os.listdir(images), sorted(os.listdir(masks))):
                    yield os.path.join(images, image), os.path.join(masks, mask)


            def split(folder):
                files = os.listdir(folder)
                cut = int(0.8 * len(files))
                train_files, test_files = files[:cut], files[cut:]
                return train_files, test_files
            """,
            fixed="""
            import os


            def pairs(images, masks):
                for image, mask in zip(sorted(os.listdir(images)), sorted(os.listdir(masks))):
                    yield os.path.join(images, image), os.path.join(masks, mask)


            def split(folder):
                files = sorted(os.listdir(folder))
                cut = int(0.8 * len(files))
                train_files, test_files = files[:cut], files[cut:]
                return train_files, test_files
            """,
            findings=2,
        ),
        Bad(
            """
            import random
            from pathlib import Path

            from sklearn.model_selection import train_test_split


            def load(folder, read):
                x, y = [], []
                for path in Path(folder).glob("*.png"):
                    x.append(read(path))
                    y.append(path.stem)
                return train_test_split(x, y, random_state=0)
            """
        ),
        Bad(
            """
            import pandas as pd


            def features(path, target):
                frame = pd.read_csv(path)
                columns = list(set(frame.columns) - {target})
                x = frame[columns]
                return x, frame[target]
            """
        ),
        Good(
            """
            def encode(labels):
                classes = sorted(set(labels))
                return {c: i for i, c in enumerate(classes)}
            """
        ),
        Good(
            """
            import os


            def clean(folder):
                for name in os.listdir(folder):
                    os.remove(os.path.join(folder, name))
                return len(os.listdir(folder)), "a.txt" in os.listdir(folder)


            def split(folder):
                files = os.listdir(folder)
                files.sort()
                return files[:100], files[100:]
            """
        ),
        Good(
            """
            def rank(sizes: list[int]):
                return {size: i for i, size in enumerate(set(sizes))}


            def rows(frame):
                wanted = set(range(10)) - {3}
                return [frame[i] for i in wanted], {k: i for i, k in enumerate(dict.fromkeys(frame))}
            """
        ),
        Good(
            """
            from collections import Counter


            def vocabulary(tokens):
                seen = set()
                kept = []
                for token in tokens:
                    if token not in seen:
                        seen.add(token)
                        kept.append(token)
                counts = Counter(set(tokens))
                return {token: i for i, token in enumerate(kept)}, max(len(t) for t in seen), counts
            """
        ),
        Good(
            """
            import glob


            def checkpoint(folder):
                found = glob.glob(f"{folder}/*.ckpt")
                if len(found) != 1:
                    raise FileNotFoundError(folder)
                return found[0]


            def newest(folder):
                return max(glob.glob(f"{folder}/*.ckpt"))
            """
        ),
        Good(
            """
            import os

            import numpy as np
            from natsort import natsorted


            def load(folder, labels):
                files = natsorted(os.listdir(folder))
                classes = np.unique(labels)
                return list(zip(files, labels)), {c: i for i, c in enumerate(classes)}
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for flow in project[UnorderedFlows].all:
            yield _problem(flow)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        for flow in project[UnorderedFlows].all:
            if flow.use.module.place(_anchor(flow)) == problem.place:
                return _sorted(flow)
        return None


def _anchor(flow: Unordered) -> object:
    value = flow.use.value
    return value if isinstance(value, Call) else flow.use.statement


def _problem(flow: Unordered) -> Problem:
    module, sink = flow.use.module, flow.sink
    what = "a directory listing" if flow.listing else "a set"
    why = "the file system decides on" if flow.listing else "changes from process to process"
    place = _place(flow)
    severity = Severity.CRITICAL if flow.saved else Severity.MAJOR
    return Problem(
        place,
        f"the order of {what}, which {why}, {sink.what}",
        (Related(sink.use.module.place(sink.use.value), sink.what),),
        severity=Severity.INFO if _KEPT.search(module.path) and not flow.saved else severity,
        evidence=(
            f"{what} is made at {module.path}:{place.span.line}",
            f"its order {sink.what} at {sink.use.module.path}:{sink.use.statement.line}",
            "nothing sorts it in between",
        ),
    )


def _place(flow: Unordered) -> Place:
    place = flow.use.module.place(_anchor(flow))
    if isinstance(flow.use.value, Comprehension) or isinstance(flow.use.statement, For):
        return Place(place.path, Span(place.span.line)) if not isinstance(flow.use.value, Call) else place
    return place


def _sorted(flow: Unordered) -> Fix | None:
    """``sorted(...)`` around the value, in place of ``list(...)`` where that is."""
    value, module = flow.use.value, flow.use.module
    if not isinstance(value, Call) or (not value.args and not flow.listing):
        return None
    if isinstance(value.function, Ref) and value.function.name.rpartition(".")[2] == "scandir":
        return None
    parent = flow.use.around[0] if flow.use.around else None
    applicability = (
        Applicability.SAFE if flow.listing or (flow.texts and flow.sink.rank == INDEX) else Applicability.SUGGEST
    )
    listed = isinstance(parent, Call) and isinstance(parent.function, Ref) and parent.args == [value]
    if listed and isinstance(parent, Call) and "builtins.list" in module.names(flow.use.scope, parent.function):
        return Fix(applicability, "sort it", (Edit(module.place(parent.function), "sorted"),))
    span = module.place(value).span
    before = Place(module.path, Span(span.line, span.column, span.line, span.column))
    after = Place(module.path, Span(span.end_line, span.end_column, span.end_line, span.end_column))
    return Fix(applicability, "sort it", (Edit(before, "sorted("), Edit(after, ")")))
