"""MLD404 beyond its examples: severities, what a configuration draws, and seeds that come by a long way."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping

import pytest
from mldebt_rules.randomness.sklearn_objects import PARTIAL, SklearnCalls, SklearnRow
from mldebt_rules.randomness.unseeded_sklearn_object import UnseededSklearnObject

from mldebt.finding import Finding, Severity
from mldebt.pipeline import Outcome

Scanned = Callable[..., Outcome]


@pytest.fixture
def found(scanned: Scanned) -> Callable[[str | Mapping[str, str]], tuple[Finding, ...]]:
    """The findings of MLD404 in one file or several."""

    def call(code: str | Mapping[str, str]) -> tuple[Finding, ...]:
        files = {"train.py": code} if isinstance(code, str) else code
        report = scanned(files, UnseededSklearnObject).report
        assert report.errors == ()
        return report.findings

    return call


Found = Callable[[str | Mapping[str, str]], tuple[Finding, ...]]


def test_splitters_are_major_and_estimators_minor(found: Found) -> None:
    split, fit = found(
        """
        from sklearn.cluster import KMeans
        from sklearn.model_selection import train_test_split

        train, test = train_test_split(range(9))
        KMeans(3).fit(train)
        """
    )

    assert (split.severity, fit.severity) == (Severity.MAJOR, Severity.MINOR)
    assert "Passing integers to CV splitters is usually the safest option" in split.message


def test_a_global_seed_on_the_way_makes_it_info(found: Found) -> None:
    (finding,) = found(
        {
            "data.py": """
                from sklearn.model_selection import train_test_split


                def load(rows):
                    return train_test_split(rows)
                """,
            "train.py": """
                import numpy as np

                from data import load


                def main():
                    np.random.seed(1)
                    return load(range(9))


                if __name__ == "__main__":
                    main()
                """,
        }
    )

    assert finding.severity is Severity.INFO
    assert "train.py seeds it" in finding.message


def test_a_global_seed_that_comes_too_late_does_not(found: Found) -> None:
    (finding,) = found(
        """
        import numpy as np
        from sklearn.model_selection import train_test_split

        train, test = train_test_split(range(9))
        np.random.seed(0)
        """
    )

    assert finding.severity is Severity.MAJOR


def test_one_seeded_entry_does_not_excuse_another(found: Found) -> None:
    library = """
        from sklearn.model_selection import train_test_split


        def load(rows):
            return train_test_split(rows)
        """
    seeded = "import numpy as np\nfrom data import load\n\nnp.random.seed(0)\nload([1, 2])\n"
    bare = "from data import load\n\nload([1, 2])\n"

    (finding,) = found({"data.py": library, "train.py": seeded, "evaluate.py": bare})

    assert finding.severity is Severity.MAJOR


@pytest.mark.parametrize(
    "call",
    [
        "LogisticRegression(solver='liblinear', dual=True)",
        "LogisticRegression(solver='saga')",
        "Ridge(solver='sag')",
        "Lasso(selection='random')",
        "SVC(probability=True)",
        "LinearSVC(dual=True)",
        "PCA(3, svd_solver='randomized')",
        "TruncatedSVD(5)",
        "SGDClassifier(shuffle=False, early_stopping=True)",
        "KMeans(init='random')",
        "BaggingClassifier()",
        "AdaBoostClassifier(DecisionTreeClassifier(max_depth=1))",
        "GroupShuffleSplit(n_splits=3)",
        "RepeatedStratifiedKFold()",
        "KFold(5, True)",
        "Perceptron(random_state=None)",
        "RandomizedSearchCV(LogisticRegression(), {})",
        "resample([1, 2, 3])",
        "SMOTE()",
        "RandomForestClassifier(random_state=None if True else None)",
    ],
)
def test_configurations_that_draw(call: str, found: Found) -> None:
    findings = found(f"{_IMPORTS}\n\n\ndef build():\n    return {call}\n")

    assert len(findings) == 1


@pytest.mark.parametrize(
    "call",
    [
        "LogisticRegression()",
        "LogisticRegression(solver='liblinear')",
        "LogisticRegression(solver='liblinear', dual=unknown)",
        "LogisticRegression(solver=SOLVER)",
        "Ridge(solver='cholesky')",
        "Lasso()",
        "SVC(probability=False)",
        "LinearSVC()",
        "PCA()",
        "PCA(svd_solver='full')",
        "SGDClassifier(shuffle=False)",
        "KMeans(init=centres, n_init=1)",
        "KFold(5)",
        "KFold(5, False)",
        "KFold(5, shuffle=shuffled)",
        "Perceptron()",
        "BaggingClassifier(DecisionTreeClassifier(), random_state=0)",
        "AdaBoostClassifier(estimator=unknown)",
        "RandomForestClassifier(**options)",
        "RandomForestClassifier(*options)",
        "RandomForestClassifier(random_state=options['seed'])",
        "RandomForestClassifier(random_state=np.random.RandomState(0))",
        "RandomForestClassifier().get_params()",
        "train_test_split(*arrays, shuffle=False)",
        "SMOTEENN(smote=SMOTE(random_state=1))",
        "isinstance(unknown, RandomForestClassifier)",
    ],
)
def test_configurations_that_do_not_draw_or_are_not_known(call: str, found: Found) -> None:
    parameters = "centres, shuffled, unknown, options, arrays, SOLVER"

    assert found(f"{_IMPORTS}\n\n\ndef build({parameters}):\n    return {call}\n") == ()


ZOO = """
from functools import partial

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

PARTIALS = {
    "line": partial(LogisticRegression, max_iter=500),
    "forest": partial(RandomForestClassifier, n_estimators=50, random_state=7),
    "net": partial(MLPClassifier, max_iter=300),
}
CLASSES = {"line": LogisticRegression, "net": MLPClassifier}
"""

LOOKED_UP = {
    "called at once": ("def build(name):\n    return PARTIALS[name]()", ["zoo.py"]),
    "kept in a variable": ("def build(name):\n    make = PARTIALS.get(name)\n    return make()", ["zoo.py"]),
    "all in turn": ("models = [make() for key, make in sorted(PARTIALS.items())]", ["zoo.py"]),
    "values": ("for make in PARTIALS.values():\n    print(make(), len(PARTIALS), 'net' in PARTIALS)", ["zoo.py"]),
    "classes": ("def build(name):\n    return CLASSES[name]()", ["train.py"]),
    "classes in turn": ("for key, cls in CLASSES.items():\n    print(key, cls(max_iter=9))", ["train.py"]),
    "a list written in place": (
        "from sklearn.cluster import KMeans\nfor name, cls in [('k', KMeans)]:\n    print(name, cls())",
        ["train.py"],
    ),
}


@pytest.mark.parametrize("case", LOOKED_UP)
def test_what_a_table_holds_is_built_without_a_seed(case: str, found: Found) -> None:
    code, places = LOOKED_UP[case]

    findings = found({"zoo.py": ZOO, "train.py": f"from zoo import CLASSES, PARTIALS\n\n{code}\n"})

    assert [one.place.path for one in findings] == places


@pytest.mark.parametrize(
    "code",
    [
        "def build(name):\n    return PARTIALS[name](random_state=3), CLASSES[name](random_state=3)",
        "def build(name, **options):\n    return PARTIALS[name](**options), CLASSES[name](**options)",
        "def build():\n    return PARTIALS['line'](), PARTIALS['forest'](), CLASSES['line']()",
        "def build(name, run):\n    run(PARTIALS)\n    return PARTIALS[name]()",
        "def build(name):\n    return PARTIALS[name]",
        "def build(name):\n    model = CLASSES[name]()\n    model.set_params(random_state=1)\n    return model",
        "import numpy as np\n\nnp.random.seed(0)\nmodel = CLASSES['net']\nmodel(random_state=0)",
        "for name in PARTIALS:\n    print(name)",
    ],
)
def test_what_a_table_holds_may_be_seeded_or_never_built(code: str, found: Found) -> None:
    assert found({"zoo.py": ZOO, "train.py": f"from zoo import CLASSES, PARTIALS\n\n{code}\n"}) == ()


def test_a_seed_before_the_call_of_a_factory_makes_it_info(found: Found) -> None:
    train = "import numpy as np\n\nfrom zoo import PARTIALS\n\nnp.random.seed(0)\nmodel = PARTIALS['net']()\n"
    train += "model.fit([[0]], [0])\n"

    (finding,) = found({"zoo.py": ZOO, "train.py": train})

    assert finding.severity is Severity.INFO


_IMPORTS = """\
import numpy as np
from imblearn.combine import SMOTEENN
from imblearn.over_sampling import SMOTE
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import Lasso, LogisticRegression, Perceptron, Ridge, SGDClassifier
from sklearn.model_selection import (
    GroupShuffleSplit, KFold, RandomizedSearchCV, RepeatedStratifiedKFold, train_test_split
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import resample"""


@pytest.mark.parametrize(
    "caller",
    [
        "build(rows, 7)",
        "build(rows, seed=7)",
        "build(rows, **options)",
        "build(rows, options.seed)",
        "Process(target=build, args=(rows, options.seed))",
        "register(build)",
        "[build(rows, seed=seed) for seed in range(3)]",
        "partial(build, seed=3)(rows)",
    ],
)
def test_a_seed_some_caller_may_give_is_not_reported(caller: str, found: Found) -> None:
    findings = found(
        f"""
        from functools import partial
        from multiprocessing import Process

        from sklearn.model_selection import train_test_split


        def build(rows, seed=None):
            return train_test_split(rows, random_state=seed)


        def main(rows, options, register):
            build(rows)
            return {caller}
        """
    )

    assert findings == ()


@pytest.mark.parametrize(
    "caller", ["build(rows)", "build(rows, None)", "build(rows, seed=SEED)", "build(rows, seed=again)"]
)
def test_a_seed_no_caller_gives_is_reported_with_the_callers(caller: str, found: Found) -> None:
    (finding,) = found(
        f"""
        from sklearn.model_selection import train_test_split

        SEED = None


        def build(rows, seed=None):
            state = seed
            return train_test_split(rows, random_state=state)


        def main(rows):
            again = None
            return {caller}
        """
    )

    assert finding.place.span.line == 8
    assert finding.severity is Severity.MAJOR


def test_a_public_function_of_a_library_may_be_called_by_anybody(found: Found) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "acme"\nversion = "1"\n[tool.setuptools]\npackages = ["acme"]\n',
        "acme/__init__.py": "from acme.splits import split, summary\n",
        "acme/splits.py": """
            from sklearn.model_selection import train_test_split


            def split(rows, seed=None):
                return train_test_split(rows, random_state=seed)


            def summary(rows):
                return split(rows)
            """,
    }

    assert found(files) == ()


def test_a_click_option_fills_the_parameter(found: Found) -> None:
    code = """
        import click
        from sklearn.model_selection import train_test_split


        @click.command()
        @click.option("--seed", type=int, default=None)
        def main(seed=None):
            train_test_split([1, 2], random_state=seed)


        if __name__ == "__main__":
            main()
        """

    assert found(code) == ()


def test_rows_name_arguments_their_callables_have() -> None:
    pytest.importorskip("sklearn")
    for row in SklearnCalls.table.rows.values():
        function = _installed(row)
        if function is None or row.kind == PARTIAL:
            continue
        names = list(inspect.signature(function).parameters)
        used = {*row.defaults, *row.unless, *(name for condition in row.when for name in condition)} - {
            "base_estimator"
        }
        assert used <= set(names), row.name
        assert "random_state" in names, row.name


def _installed(row: SklearnRow) -> Callable[..., object] | None:
    module, _, name = row.name.rpartition(".")
    try:
        found: Callable[..., object] | None = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found


def test_every_caller_seeds_first(found: Found) -> None:
    code = """
        import numpy as np
        from sklearn.datasets import make_classification


        def build(size):
            return make_classification(size)


        def small():
            np.random.seed(1)
            return build(9)


        def large():
            {first}
            return build(99)
        """

    assert [one.severity for one in found(code.replace("{first}", "np.random.seed(2)"))] == [Severity.INFO]
    assert [one.severity for one in found(code.replace("{first}", "print()"))] == [Severity.MINOR]


def test_a_repeated_split_is_seeded_by_its_round(scanned: Scanned) -> None:
    code = """
        from sklearn.model_selection import train_test_split

        for turn in range(9):
            train, test = train_test_split([1, 2, 3])
        """

    outcome = scanned({"train.py": code}, UnseededSklearnObject, fix=True, unsafe=True)

    (_, text) = outcome.changes["train.py"]
    assert "train_test_split([1, 2, 3], random_state=turn)" in text


def test_an_estimator_nobody_reads_is_never_fitted(found: Found) -> None:
    assert found("from sklearn.cluster import KMeans\n\nmodel = KMeans(3)\n") == ()
    assert len(found("from sklearn.cluster import KMeans\n\nmodel = KMeans(3)\nmodel.fit([[1]])\n")) == 1
