"""Where models learn: the calls that fit one, and what they are given as features and as labels."""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import cached_property

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Call, Const, Expr, Ref, Starred
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .mutations import owner

_FITS = frozenset({"fit", "partial_fit", "train_on_batch", "fit_resample"})
# Tables of features and labels, and where the labels stand.
_TABLES = frozenset({"DMatrix", "QuantileDMatrix", "Pool", "Dataset"})
_TABLE_LIBRARIES = frozenset({"xgboost", "lightgbm", "catboost"})
_LOSSES = frozenset(
    """cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss
    huber_loss""".split()
)
_LOSS_NAMES = frozenset({"criterion", "loss_fn", "loss_func", "loss_function", "loss_fct"})
_TRAINERS = frozenset({"Trainer", "Seq2SeqTrainer", "SFTTrainer", "SentenceTransformerTrainer", "SetFitTrainer"})
_WORDS = _FITS | _TABLES | _LOSSES | _LOSS_NAMES | _TRAINERS
# Fits that learn nothing of labels.
_LIGHTNING = ("lightning.", "pytorch_lightning.")
_PREPARES = (
    "sklearn.preprocessing.", "sklearn.impute.", "sklearn.feature_extraction.", "sklearn.decomposition.",
    "sklearn.compose.", "sklearn.feature_selection.", "umap.", "sklearn.manifold.",
)  # fmt: skip


class Learning(Struct, frozen=True, eq=False):
    """A call that fits a model.

    Args:
        features: What it learns from; None when the call does not give it.
        label: What it learns to predict, with the keys taken of it: ``fit(*load())`` takes element 1.
        keys: See ``label``.
    """

    module: Module
    scope: int
    call: Call
    features: Expr | None
    label: Expr | None
    keys: tuple[str | int, ...] = ()


class Learnings(Analysis):
    """Finds them, tests and examples of others' code left out."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[str, tuple[Learning, ...]] = {}

    @cached_property
    def all(self) -> tuple[Learning, ...]:
        return self.within(self.project.modules.keys())

    def within(self, paths: Set[str]) -> tuple[Learning, ...]:
        """Those in some files, in the order of paths."""
        return tuple(one for path in self.project.modules if path in paths for one in self._in(path))

    def _in(self, path: str) -> tuple[Learning, ...]:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = tuple(self._find(self.project.modules[path]))
        return known

    def _find(self, module: Module) -> Iterator[Learning]:
        if module.role != "project" or module.is_test or module.mentions.isdisjoint(_WORDS):
            return
        trains = "backward" in module.mentions
        for scope in module.scopes_using(_WORDS):
            for site in module.call_sites(scope):
                last = last_segment(site.call.function)
                if last in _WORDS:
                    yield from self._of(module, scope, site.call, last, trains)

    def _of(self, module: Module, scope: int, call: Call, last: str, trains: bool) -> Iterator[Learning]:
        if last in _FITS:
            yield from self._fit(module, scope, call)
        elif last in _TABLES:
            names = module.names(scope, call.function)
            if any(name.partition(".")[0] in _TABLE_LIBRARIES for name in names):
                data, label = _argument(call, "data", 0), _argument(call, "label", 1)
                if label is not None:
                    yield Learning(module, scope, call, data, label)
        elif last in _LOSSES or last in _LOSS_NAMES:
            if trains and len(call.args) == 2:
                yield Learning(module, scope, call, call.args[0], call.args[1])
        elif any(name.startswith(("transformers.", "trl.")) for name in module.names(scope, call.function)):
            data = _argument(call, "train_dataset")
            for key in ("label", "labels") if data is not None else ():
                yield Learning(module, scope, call, data, data, (key,))

    def _fit(self, module: Module, scope: int, call: Call) -> Iterator[Learning]:
        held = owner(call.function)
        names = module.names(scope, call.function)
        if held is None or any(name.startswith(_PREPARES) for name in names):
            return
        if any(name.startswith(_LIGHTNING) for name in names):
            data = (
                _argument(call, "datamodule") or _argument(call, "train_dataloaders", 1) or _argument(call, "model", 0)
            )
            if data is not None:
                yield Learning(module, scope, call, data, data, (1,))
            return
        targets = self.project.calls.targets(module, scope, call)
        if any(edge.confidence in ("exact", "method") for edge in targets):
            return  # a method of the project: what it does inside is a fit of its own
        if call.args and isinstance(call.args[0], Starred):
            inner = call.args[0].value
            yield Learning(module, scope, call, inner, inner, (1,))
            return
        features = _argument(call, "X", 0) or _argument(call, "x", 0)
        label = _argument(call, "y", 1)
        if isinstance(label, Const) or (features is None and label is None):
            label = None
        if label is None:
            key = self._named_label(module, scope, held)
            if key and features is not None:
                yield Learning(module, scope, call, features, features, (key,))
                return
        yield Learning(module, scope, call, features, label)

    def _named_label(self, module: Module, scope: int, held: Expr) -> str:
        """``TabularPredictor(label="y").fit(frame)``, ``LogisticRegression(labelCol="y").fit(frame)``."""
        made: Expr | None = held
        if isinstance(held, Ref):
            origins = self.project.flow(module.definition(scope)).origins(held)
            made = origins[0].value if len(origins) == 1 else None
        if not isinstance(made, Call):
            return ""
        for name in ("label", "labelCol", "target"):
            given = _argument(made, name)
            value = module.constant(scope, given) if given is not None else None
            if isinstance(value, str):
                return value
        return ""


def _argument(call: Call, name: str, position: int | None = None) -> Expr | None:
    found = argument(call, name, position)
    return None if found is None or found is UNKNOWN else found
