"""Which models the programs that run a file train: such as take numbers at their value, or trees."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module

LINEAR, TREES = "linear", "trees"
# Estimators whose result depends on how large a number is: sums, distances, gradients.
LINEAR_MODELS = frozenset(
    """LogisticRegression LogisticRegressionCV LinearRegression Ridge RidgeCV RidgeClassifier Lasso LassoCV ElasticNet
    ElasticNetCV BayesianRidge HuberRegressor SGDClassifier SGDRegressor Perceptron SVC SVR LinearSVC LinearSVR
    KNeighborsClassifier KNeighborsRegressor NearestNeighbors KMeans MiniBatchKMeans DBSCAN GaussianMixture
    MLPClassifier MLPRegressor GaussianNB LinearDiscriminantAnalysis PCA Dense LinearLR Lars OLS Logit PoissonRegressor
    GLM TabularModel tabular_learner GaussianProcessRegressor LassoLarsCV KernelRidge""".split()
)
TREE_MODELS = frozenset(
    """DecisionTreeClassifier DecisionTreeRegressor RandomForestClassifier RandomForestRegressor ExtraTreesClassifier
    ExtraTreesRegressor GradientBoostingClassifier GradientBoostingRegressor HistGradientBoostingClassifier
    HistGradientBoostingRegressor LGBMClassifier LGBMRegressor LGBMRanker XGBClassifier XGBRegressor XGBRanker
    CatBoostClassifier CatBoostRegressor CatBoost IsolationForest xgboost lightgbm catboost AdaBoostClassifier
    AdaBoostRegressor""".split()
)
_FITTING = frozenset({"fit", "fit_transform", "train", "fit_predict", "backward"})


class Modelling(Analysis):
    """Answers which kinds of models are trained in the programs that run a file."""

    def of(self, module: Module) -> frozenset[str]:
        """The kinds that the file itself, what it imports, or who imports it trains; empty: none is seen."""
        imports = self.project.imports
        paths = {path for path in self._trainers if path == module.path}
        paths |= {path for path in self._trainers if imports.reaches(path, module)}
        paths |= {path for path in self._trainers if imports.reaches(module, path)}
        return frozenset(kind for path in paths for kind in self._trainers[path])

    @cached_property
    def _trainers(self) -> dict[str, frozenset[str]]:
        """Files that name an estimator and fit something, with the kinds they name."""
        found: dict[str, frozenset[str]] = {}
        for module in self.project.callers.mentioning(LINEAR_MODELS | TREE_MODELS | {"nn"}):
            mentions = module.mentions
            if module.is_test or module.role != "project" or not mentions & _FITTING:
                continue
            kinds = {TREES} if mentions & TREE_MODELS else set()
            if mentions & LINEAR_MODELS or ({"nn", "Linear"} <= mentions and "torch" in mentions):
                kinds.add(LINEAR)
            if kinds:
                found[module.path] = frozenset(kinds)
        return found
