"""MLD603."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .test_reuse import Choice, TestReuse


class TestSetReuse(ProjectRule):
    """A model, a setting or an epoch is chosen by its score on the test part.

    ## Why it is debt

    The best of many noisy scores is too high. Once the test part has chosen, it measures nothing that is new: what is
    reported is the luck of the choice as well. Yang et al. (2022) call it *multi-test leakage*.

    ## How to pay it back

    Choose by cross-validation on the training part (`GridSearchCV`) or by a validation part, and score the test part
    once, at the end.

    ## When to leave it

    Silent where scores are only printed or stored, and where a validation part exists as well: a part called `test`
    beside it is then taken for what it says.

    ## References

    - Yang, Brower-Sinning, Lewis, Kästner, "Data Leakage in Notebooks: Static Detection and Better Processes", ASE
      2022, https://doi.org/10.1145/3551349.3556918
    - scikit-learn, Cross-validation: "there is still a risk of overfitting on the test set":
      https://scikit-learn.org/stable/modules/cross_validation.html
    """

    __test__ = False  # no test class

    code = "MLD603"
    severity = Severity.MAJOR
    confidence = Confidence.MEDIUM
    minutes = 20
    alone = Alone.REPORT
    sensitive_to = frozenset({"locals-renamed"})  # in torch loops the test part is known by its name
    examples = (
        Bad(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split
            from sklearn.svm import SVC

            x, y = np.load("x.npy"), np.load("y.npy")
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            grid = [0.1, 1, 10]
            best = max(grid, key=lambda c: SVC(C=c).fit(x_train, y_train).score(x_test, y_test))
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            {
                "tune.py": """
                    from sklearn.metrics import f1_score
                    from sklearn.svm import SVC


                    def search(x_train, y_train, x_test, y_test):
                        best, chosen = 0.0, None
                        for c in (0.1, 1, 10):
                            model = SVC(C=c).fit(x_train, y_train)
                            score = f1_score(y_test, model.predict(x_test))
                            if score > best:
                                best, chosen = score, model
                        return chosen
                    """,
                "train.py": """
                    import numpy as np
                    from sklearn.model_selection import train_test_split

                    from tune import search

                    x, y = np.load("x.npy"), np.load("y.npy")
                    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
                    print(search(x_train, y_train, x_test, y_test))
                    """,
            },
            anchors=("tune.py:10",),
        ),
        Bad(
            """
            import torch


            def train(model, epochs, train_loader, test_loader):
                best_accuracy = 0
                for epoch in range(epochs):
                    run_epoch(model, train_loader)
                    accuracy = evaluate(model, test_loader)
                    if accuracy > best_accuracy:
                        best_accuracy = accuracy
                        torch.save(model.state_dict(), "best.pt")
            """,
            anchors=("example.py:9",),
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import train_test_split
            from sklearn.svm import SVC

            x, y = np.load("x.npy"), np.load("y.npy")
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            for model in (SVC(), LogisticRegression()):
                print(model, model.fit(x_train, y_train).score(x_test, y_test))
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import GridSearchCV, train_test_split
            from sklearn.svm import SVC

            x, y = np.load("x.npy"), np.load("y.npy")
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            search = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}).fit(x_train, y_train)
            print(search.score(x_test, y_test))
            """
        ),
        Good(
            """
            import torch


            def train(model, epochs, train_loader, val_loader, test_loader):
                best_accuracy = 0
                for epoch in range(epochs):
                    run_epoch(model, train_loader)
                    accuracy = evaluate(model, val_loader)
                    if accuracy > best_accuracy:
                        best_accuracy = accuracy
                        torch.save(model.state_dict(), "best.pt")
                print(evaluate(model, test_loader))
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split
            from sklearn.svm import SVC

            x, y = np.load("x.npy"), np.load("y.npy")
            x_rest, x_test, y_rest, y_test = train_test_split(x, y, random_state=0)
            x_train, x_valid, y_train, y_valid = train_test_split(x_rest, y_rest, random_state=0)
            scores = {c: SVC(C=c).fit(x_train, y_train).score(x_valid, y_valid) for c in (0.1, 1, 10)}
            chosen = max(scores, key=scores.get)
            print(SVC(C=chosen).fit(x_rest, y_rest).score(x_test, y_test))
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import train_test_split
            from sklearn.svm import SVC

            x, y = np.load("x.npy"), np.load("y.npy")
            x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
            model = SVC().fit(x_train, y_train)
            if model.score(x_test, y_test) < 0.8:
                raise SystemExit("too weak to publish")
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        groups: dict[str, list[Choice]] = {}
        for choice in project[TestReuse].all:
            groups.setdefault(choice.place.path, []).append(choice)
        for choices in groups.values():
            first = choices[0]
            yield Problem(
                first.place,
                f"{first.how} is decided by {first.by}: the test part chooses the model it is to judge",
                related=tuple(Related(one.place, f"{one.how} as well") for one in choices[1:]),
                evidence=("no validation part and no cross-validation is in sight",),
                symbol=first.how,
            )
