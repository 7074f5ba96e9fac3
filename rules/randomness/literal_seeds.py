"""Seeds that are written out as numbers: of splits, models, searches, drawn rows and generators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Call, Const, Expr, Ref
from mldebt.facts.walk import walk

from .seed_calls import SeedCalls, seed_of
from .sklearn_objects import SPLITTER, SklearnCalls

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

SPLIT, MODEL, SEARCH, DRAW, START, GLOBAL = "split", "model", "search", "draw", "start", "global generator"
_PURPOSES = {SPLITTER: SPLIT, "estimator": MODEL, "sampler": MODEL, "search": SEARCH}
_OWNERS = ("random_state", "seed", "random_seed")
# Models and searches of other libraries that take a seed by name.
_MODELS = frozenset(
    "xgboost.XGBClassifier xgboost.XGBRegressor xgboost.XGBRanker xgboost.XGBRFClassifier xgboost.XGBRFRegressor "
    "xgboost.sklearn.XGBClassifier xgboost.sklearn.XGBRegressor "
    "lightgbm.LGBMClassifier lightgbm.LGBMRegressor lightgbm.LGBMRanker lightgbm.sklearn.LGBMClassifier "
    "catboost.CatBoostClassifier catboost.CatBoostRegressor catboost.CatBoostRanker catboost.CatBoost "
    "tensorflow.keras.initializers.GlorotUniform "
    "tensorflow.keras.initializers.HeNormal keras.initializers.GlorotUniform".split()
)
_SEARCHES = frozenset(
    "optuna.samplers.TPESampler optuna.samplers.RandomSampler optuna.samplers.CmaEsSampler optuna.samplers.QMCSampler "
    "optuna.samplers.NSGAIISampler umap.UMAP".split()
)
_GENERATORS = frozenset(
    "numpy.random.default_rng numpy.random.RandomState random.Random torch.Generator.manual_seed".split()
)
_RANDOM_SPLITS = frozenset({"torch.utils.data.random_split", "torch.utils.data.dataset.random_split"})
_STARTS = frozenset({"torch", "tensorflow"})
# What a program that trains cannot do without, and programs that only use a model.
_TRAINS = frozenset("backward fit Adam AdamW SGD RMSprop optim optimizers Trainer GradientTape train_on_batch".split())
_USES = re.compile(r"eval|test|infer|predict|generat|sampl|demo|plot|visual|serve|bench|export", re.IGNORECASE)


class LiteralSeed(NamedTuple):
    """One literal seed: what it is for, its value, the place of the call, and the scope it is in."""

    purpose: str
    value: int
    place: Place
    scope: tuple[str, int]


def literal_seeds(project: Project) -> Iterator[LiteralSeed]:
    """The literal seeds of a project's own code; of several splits in one function the first."""
    cut: set[tuple[str, int]] = set()
    for module in project.modules.values():
        if module.role == "project" and not module.is_test and _counts(module):
            seen = set()
            for purpose, owner, site in (*_of_sklearn(project, module), *_of_others(module)):
                scope = (module.path, site.scope)
                if not _is_number(owner) or id(owner) in seen or (purpose == SPLIT and scope in cut):
                    continue
                seen.add(id(owner))
                cut |= {scope} if purpose == SPLIT else set()
                yield LiteralSeed(purpose, owner.value, module.place(site), scope)  # type: ignore[attr-defined]
    for seed in project[SeedCalls].all:
        module = seed.module
        if _is_number(seed.value) and _counts(module):
            scope = (module.path, seed.site.scope)
            one = LiteralSeed(GLOBAL, seed.value.value, module.place(seed.site), scope)  # type: ignore[union-attr, arg-type]
            yield one
            if not _STARTS.isdisjoint(seed.libraries) and _trains(module):
                yield one._replace(purpose=START)


def _counts(module: Module) -> bool:
    return not module.is_example and not module.path.endswith(".ipynb")


def _trains(module: Module) -> bool:
    return _USES.search(module.path) is None and not _TRAINS.isdisjoint(module.mentions)


def _of_sklearn(project: Project, module: Module) -> Iterator[tuple[str, object, CallSite]]:
    for one in project[SklearnCalls].of(module):
        if one.owner is not UNKNOWN:
            yield _PURPOSES.get(one.row.kind, DRAW), one.owner, one.site


def _of_others(module: Module) -> Iterator[tuple[str, object, CallSite]]:
    for _, site in module.calls_of(_MODELS):
        yield MODEL, _owner(site.call), site
    for _, site in module.calls_of(_SEARCHES):
        yield SEARCH, _owner(site.call), site
    for _, site in module.calls_of(_RANDOM_SPLITS):
        yield SPLIT, _generator(argument(site.call, "generator", 2)), site
    for _, site in module.calls_of(_GENERATORS):
        yield DRAW, seed_of(site), site
    for index in module.scopes_using({"sample"}):
        for site in module.call_sites(index):
            function = site.call.function
            if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] != "sample":
                continue
            if not any(":" in name for name in module.names(index, function)):
                apart = any(chain.endswith(".index") for chain in module.facts.scopes[index].uses)
                yield SPLIT if apart else DRAW, argument(site.call, "random_state"), site


def _owner(call: Call) -> object:
    return next((keyword.value for keyword in call.keywords if keyword.name in _OWNERS), None)


def _generator(value: object) -> Expr | None:
    """The seed in ``torch.Generator().manual_seed(7)``."""
    if isinstance(value, Call):
        for node in walk(value):
            function = node.function if isinstance(node, Call) and node.args else None
            if isinstance(node, Call) and isinstance(function, Attribute) and function.name == "manual_seed":
                return node.args[0]
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, Const) and type(value.value) is int
