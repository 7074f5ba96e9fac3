from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from mldebt import cst
from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Const, Expr, Stmt
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.rule import Alone, Bad, Good, Problem, Rule

from .given_seeds import GivenSeeds
from .late_random_state import LateRandomState
from .seed_names import repetition, seed_name
from .seeded_paths import SeededPaths
from .sklearn_objects import OWNER, SPLITTER, Configured, SklearnCalls, SklearnRow

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

_ADVICE = {
    SPLITTER: 'scikit-learn: "Passing integers to CV splitters is usually the safest option"',
    "estimator": 'scikit-learn: "pass RandomState instances when creating estimators"',
}
_RESULTS = 'scikit-learn: for reproducible results "remove all uses of random_state=None"'


class UnseededSklearnObject(Rule["cst.Call"]):
    """A split, an estimator or a sampler of scikit-learn or imbalanced-learn draws at random with no `random_state`.

    It is about calls that do draw in the configuration they are given: `KFold()` does not, `KFold(shuffle=True)`
    does. A `random_state` that is handed through functions, attributes and variables counts as missing only when it is
    None whoever calls.

    ## Why it is debt

    With `random_state=None` every call takes numbers from NumPy's global generator. A split then holds other rows out
    at every run: scores of two runs cannot be compared, and a model that is trained today and evaluated tomorrow is
    evaluated on rows it was trained on. A forest, k-means or a randomised decomposition gives another model at
    every run. scikit-learn's own advice is to remove all uses of `random_state=None` where results have to be the same
    across executions, and to pass integers to splitters.

    ## How to pay it back

    Pass `random_state`: to splitters an integer kept in the configuration, so that every script cuts the same rows; to
    estimators that integer, or one `RandomState` instance made at the top of the program. The suggested fix
    passes a seed that is in scope, else 0.

    ## When to leave it

    Severity is major for splitters, minor for everything else, and info where every known way to the call seeds NumPy's
    global generator, which makes None repeatable as long as nobody draws in between.
    Silent: a `random_state` that is not known (`**params`, an option, a caller outside), or may be set later by
    `set_params`, an attribute or a parameter grid; a part of a bagging or boosting ensemble, which seeds its parts;
    configurations that do not draw; functions of your own that share a name with scikit-learn's.
    Studies of the variance over splits or initialisations want different draws: pass a seed per repetition.

    ## References

    - scikit-learn, Controlling randomness: https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
    - scikit-learn, Glossary, random_state: https://scikit-learn.org/stable/glossary.html#term-random_state
    - imbalanced-learn, API reference: https://imbalanced-learn.org/stable/references/index.html
    """

    code = "MLD404"
    severity = Severity.MINOR
    confidence = Confidence.HIGH
    minutes = 5
    alone = Alone.REPORT
    calls = SklearnCalls.table

    examples = (
        Bad(
            """
            import pandas as pd
            from sklearn.model_selection import train_test_split

            SEED = 7

            frame = pd.read_csv("train.csv")
            train, test = train_test_split(frame, test_size=0.2)
            """,
            fixed="""
            import pandas as pd
            from sklearn.model_selection import train_test_split

            SEED = 7

            frame = pd.read_csv("train.csv")
            train, test = train_test_split(frame, test_size=0.2, random_state=SEED)
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            {
                "splits.py": """
                    from sklearn.model_selection import train_test_split


                    def make_split(x, y, test_size=0.2, random_state=None):
                        return train_test_split(x, y, test_size=test_size, random_state=random_state)
                    """,
                "train.py": """
                    import numpy as np

                    from splits import make_split


                    def main():
                        x, y = np.load("x.npy"), np.load("y.npy")
                        return make_split(x, y, test_size=0.1)


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("splits.py:5",),
        ),
        Bad(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import StratifiedKFold, cross_val_score
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler


            def evaluate(x, y):
                model = make_pipeline(
                    StandardScaler(),
                    RandomForestClassifier(
                        n_estimators=500,
                        random_state=None,
                    ),
                )
                folds = StratifiedKFold(
                    n_splits=5,
                    shuffle=True,
                )
                return cross_val_score(model, x, y, cv=folds)
            """,
            fixed="""
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import StratifiedKFold, cross_val_score
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler


            def evaluate(x, y):
                model = make_pipeline(
                    StandardScaler(),
                    RandomForestClassifier(
                        n_estimators=500,
                        random_state=0,
                    ),
                )
                folds = StratifiedKFold(
                    n_splits=5,
                    shuffle=True,
                    random_state=0,
                )
                return cross_val_score(model, x, y, cv=folds)
            """,
            findings=2,
        ),
        Bad(
            """
            from sklearn.cluster import KMeans
            from sklearn.linear_model import LogisticRegression


            class Router:
                def __init__(self, clusters, random_state=None):
                    self.random_state = random_state
                    self.groups = KMeans(n_clusters=clusters, random_state=self.random_state)
                    self.model = LogisticRegression(solver="saga", random_state=self.random_state)

                def fit(self, x, y):
                    self.model.fit(self.groups.fit_transform(x), y)
                    return self


            def main(x, y):
                return Router(8).fit(x, y)
            """,
            findings=2,
        ),
        Bad(
            """
            from functools import partial

            from imblearn.over_sampling import SMOTE
            from sklearn.model_selection import train_test_split

            holdout = partial(train_test_split, test_size=0.2)


            def prepare(x, y):
                x_train, x_test, y_train, y_test = holdout(x, y)
                x_train, y_train = SMOTE(k_neighbors=3).fit_resample(x_train, y_train)
                return x_train, x_test, y_train, y_test
            """,
            findings=2,
        ),
        Good(
            """
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import train_test_split


            def fit(x, y, seed):
                x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=seed)
                model = RandomForestClassifier(random_state=seed).fit(x_train, y_train)
                return model.score(x_test, y_test)
            """
        ),
        Good(
            """
            from sklearn.decomposition import PCA
            from sklearn.linear_model import LogisticRegression, Ridge
            from sklearn.model_selection import KFold, TimeSeriesSplit, train_test_split
            from sklearn.svm import SVC


            def deterministic(x, y):
                past, future = train_test_split(x, shuffle=False)
                folds = [KFold(n_splits=5), KFold(5, shuffle=False), TimeSeriesSplit()]
                models = [LogisticRegression(), Ridge(), SVC(), PCA(2)]
                return past, future, folds, models
            """
        ),
        Good(
            {
                "models.py": """
                    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier


                    def build(name, params):
                        if name == "forest":
                            return RandomForestClassifier(**params)
                        return GradientBoostingClassifier(max_depth=3)
                    """,
                "train.py": """
                    from models import build


                    def main(x, y, seed):
                        model = build("boosting", {})
                        model.set_params(random_state=seed)
                        return model.fit(x, y)
                    """,
            }
        ),
        Good(
            {
                "splits.py": """
                    from sklearn.model_selection import train_test_split


                    def make_split(x, random_state=None):
                        return train_test_split(x, random_state=random_state)
                    """,
                "train.py": """
                    from splits import make_split


                    def main(x):
                        return make_split(x, random_state=13)


                    def compare(x):
                        return make_split(x)
                    """,
            }
        ),
        Good(
            """
            from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
            from sklearn.model_selection import GridSearchCV
            from sklearn.tree import DecisionTreeClassifier


            class SeededForest(RandomForestClassifier):
                def __init__(self, n_estimators=100, random_state=42):
                    super().__init__(n_estimators=n_estimators, random_state=random_state)


            def search(x, y):
                bagged = BaggingClassifier(DecisionTreeClassifier(max_depth=4), random_state=0).fit(x, y)
                grid = GridSearchCV(RandomForestClassifier(), {"random_state": [0, 1, 2], "max_depth": [3, 5]})
                return bagged, grid.fit(x, y), SeededForest().fit(x, y)
            """
        ),
        Good(
            {
                "data.py": """
                    def train_test_split(rows, share):
                        cut = int(len(rows) * share)
                        return rows[:cut], rows[cut:]
                    """,
                "train.py": """
                    import time
                    from functools import partial

                    from sklearn.ensemble import ExtraTreesClassifier

                    from data import train_test_split

                    make_model = partial(ExtraTreesClassifier, n_estimators=50)


                    def main(rows):
                        train, test = train_test_split(rows, 0.8)
                        return train, test, [make_model(random_state=seed) for seed in range(5)], time.time()
                    """,
            }
        ),
    )

    def statements(self, module: Module) -> list[tuple[Stmt, int]]:
        return [(one.site.statement, one.site.scope) for one in module.project[SklearnCalls].of(module)]

    def check(self, node: cst.Call, module: Module) -> Iterator[Problem]:
        found = module.project[SklearnCalls].at(module, module.place(node).span)
        if found is None:
            return
        given = found.owner
        if given is UNKNOWN or (given is not None and not _is_nothing(found, given)) or not found.draws():
            return
        project, row = module.project, found.row
        if (
            found.is_only_asked()
            or found.is_other_way()
            or found.is_never_read()
            or found.is_part(project[SklearnCalls].rows)
            or (found.partial and found.is_given_later())
        ):
            return
        if row.is_class and project[LateRandomState].may_reach(module):
            return
        seeds = _seeds(found)
        severity = Severity.INFO if seeds else Severity.MAJOR if row.kind == SPLITTER else Severity.MINOR
        yield Problem(
            module.place(node),
            _message(row, module, given, seeds),
            related=tuple(_related(found, given)),
            severity=severity,
            evidence=tuple(_evidence(found, given, seeds)),
            symbol=row.short,
        )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """Give ``random_state``; None where it comes through a parameter, whose default is the owner's choice."""
        module = project.modules[problem.place.path]
        found = project[SklearnCalls].at(module, problem.place.span)
        if found is None or found.table is not None:  # not every class of a table takes it
            return None
        given = found.owner
        seed = _seed(found)
        if seed is None:
            return None
        if given is None:
            edit = _added(module, found.site, seed)
        else:
            edit = _replaced(module, found.site, seed) if isinstance(given, Const) else None
        return None if edit is None else Fix(Applicability.SUGGEST, f"pass {OWNER}={seed}", (edit,))


def _is_nothing(found: Configured, given: Expr) -> bool:
    return found.module.project[GivenSeeds].is_nothing(found.module, found.site.scope, given)


def _seed(found: Configured) -> str | None:
    """What to pass: a split that is repeated takes the number of the repetition, and others a seed in scope, else 0."""
    module, site = found.module, found.site
    if found.row.kind == SPLITTER and not found.row.is_class:
        repeated, counter = repetition(module, site.scope, site.call.line)
        if repeated:
            return counter
    return seed_name(module, site.scope, site.statement.line) or "0"


def _seeds(found: Configured) -> str | None:
    """What seeds NumPy before the object is made: for a factory in a table, before each of its calls."""
    seeded = found.module.project[SeededPaths]
    made = [(one.module, one.site) for one in found.made()] or [(found.module, found.site)]
    answers = [seeded.of(module, site) for module, site in made]
    return answers[0] if all(answers) else None


def _related(found: Configured, given: Expr | None) -> Iterator[Related]:
    for made in islice(found.made(), 3):
        yield Related(made.module.place(made.site.call), f"builds it and gives no {OWNER}", "path")
    if found.table is not None:
        yield Related(found.table, f"the table holds {found.row.short}", "cause")
    if given is None:
        return
    sites = found.module.project[GivenSeeds].asked(found.module, found.site.scope, given)
    for site in islice(sites, 3):
        yield Related(site.module.place(site.call), f"gives no {OWNER}", "path")


def _message(row: SklearnRow, module: Module, given: Expr | None, seeds: str | None) -> str:
    how = f"no {OWNER}"
    if given is not None:
        how = f"{OWNER}=None" if isinstance(given, Const) else f"a {OWNER} that is None whoever calls"
    if seeds:
        return f"{row.short}() {row.draws} with {how}: only NumPy's global seed makes it repeatable ({seeds})"
    change = "other rows are held out at every run" if row.kind == SPLITTER else "no two runs agree"
    return f"{row.short}() {row.draws} with {how}, so {change} ({_ADVICE.get(row.kind, _RESULTS)})"


def _evidence(found: Configured, given: Expr | None, seeds: str | None) -> Iterator[str]:
    row, module = found.row, found.module
    if found.table is not None:
        yield f"the callable is looked up in a table that holds {row.short}"
    yield f"{row.name} {row.draws} in this configuration ({row.source})"
    if given is None:
        yield f"the call does not give {OWNER}, and it is None by default"
    elif not isinstance(given, Const):
        yield f"followed {OWNER} through variables, attributes and every caller: each gives None"
    if row.is_class:
        yield f"no set_params, attribute or parameter grid sets {OWNER} in {module.path} or files around it"
    yield f"NumPy: {seeds}" if seeds else "no seed of NumPy's global generator on every known way to this call"


def _replaced(module: Module, site: CallSite, seed: str) -> Edit | None:
    """``random_state=None`` becomes ``random_state=SEED``."""
    node = _node(module, site)
    if node is None:
        return None
    arg = next((arg for arg in node.args if arg.keyword is not None and arg.keyword.value == OWNER), None)
    return None if arg is None else module.replace(arg.value, seed)


def _added(module: Module, site: CallSite, seed: str) -> Edit | None:
    """After the last argument, on a line of its own if that has one."""
    node = _node(module, site)
    if node is None:
        return None
    text = f"{OWNER}={seed}"
    end = module.span(site.call)
    if not node.args:
        at = Span(end.end_line, end.end_column - 1, end.end_line, end.end_column - 1)
        return Edit(Place(module.path, at), text)
    last = module.place(node.args[-1]).span
    line = module.text_lines[last.line - 1]
    indent = line[: last.column - 1]
    own_line = last.line > end.line and not indent.strip()
    at = Span(last.end_line, last.end_column, last.end_line, last.end_column)
    return Edit(Place(module.path, at), f",\n{indent}{text}" if own_line else f", {text}")


def _node(module: Module, site: CallSite) -> cst.Call | None:
    fragment = module.open(site.statement, site.scope)
    return fragment.find(module.span(site.call), cst.Call) if fragment is not None else None
