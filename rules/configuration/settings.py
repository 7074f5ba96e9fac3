"""Where the values one tunes are bound: declared in a configuration, or loose in the code (catalogue F8 and A.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import CLASS, Annotate, Assign, Call, Const, Ref, Unary
from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from .options import Options
from .parsers import Parsers

if TYPE_CHECKING:
    from mldebt.facts.schema import Expr
    from mldebt.module import Module
    from mldebt.project.project import Project

# Names of tuning parameters and of the model's interface.
_NAMES = frozenset(
    """lr learning_rate batch_size epochs num_epochs n_epochs max_epochs steps max_steps max_iters weight_decay momentum
    betas dropout hidden_size hidden_dim embed_dim embedding_dim d_model num_layers n_layers num_heads n_heads n_head
    n_layer n_embd warmup warmup_steps warmup_epochs patience grad_clip clip_grad label_smoothing n_estimators max_depth
    alpha gamma temperature top_k top_p num_workers seed image_size img_size input_size crop_size max_len max_length
    max_seq_length seq_len block_size context_length vocab_size num_classes n_classes sample_rate n_fft hop_length
    win_length n_mels threshold test_size val_size optimizer scheduler depth width latent_dim""".split()
)
# Calls that take such values, and the arguments that do.
_SLOTS = frozenset(
    """torch.optim.Adam torch.optim.AdamW torch.optim.SGD torch.optim.RMSprop torch.optim.Adagrad
    torch.utils.data.DataLoader sklearn.model_selection.train_test_split sklearn.ensemble.RandomForestClassifier
    sklearn.ensemble.RandomForestRegressor sklearn.ensemble.GradientBoostingClassifier xgboost.XGBClassifier
    xgboost.XGBRegressor lightgbm.LGBMClassifier lightgbm.LGBMRegressor tensorflow.keras.optimizers.Adam
    keras.optimizers.Adam""".split()
)
_CLASS = re.compile(r"(?:Config|Configuration|Cfg|Args|Arguments|Options|Settings|HParams|Hyperparameters|Params)$")
_NO_SETTINGS = re.compile(
    r"(?:^|/)(?:\.|docs?/|tests?/)|(?:^|/)(?:pyproject\.toml|setup\.cfg|tox\.ini|package\.json|mkdocs\.ya?ml|environment\.ya?ml"
    r"|docker-compose[^/]*|mypy\.ini|pytest\.ini|ruff\.toml)$"
)
_READERS = frozenset(
    {"yaml", "omegaconf", "hydra", "toml", "tomllib", "tomli", "json", "configparser", "jsonargparse", "gin"}
)


@dataclass(frozen=True, slots=True)
class Binding:
    """A setting given a value. ``structured``: in a parser, a configuration class or a configuration file."""

    name: str
    place: Place
    structured: bool


class Settings(Analysis):
    """Answers where a project's settings are bound."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    @cached_property
    def bindings(self) -> tuple[Binding, ...]:
        """Every binding outside tests and examples, in the order of places."""
        found = [*self._files(), *self._fallbacks()]
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test and not module.is_example:
                found += self._declared(module)
                found += _fields(module)
                found += _constants(module)
                found += _slots(module)
        return tuple(sorted(set(found), key=lambda one: (one.place, one.name)))

    def _declared(self, module: Module) -> Iterator[Binding]:
        for one in self.project[Parsers].declared(module):
            if one.flags and one.dest.lower() in _NAMES:
                yield Binding(one.dest, module.place(one.call), True)
        if "click" not in module.facts.mentions:
            return
        for _, site in module.calls_of(_CLICK):
            for arg in site.call.args:
                name = str(arg.value).lstrip("-").replace("-", "_") if isinstance(arg, Const) else ""
                if name.lower() in _NAMES:
                    yield Binding(name, module.place(site), True)

    def _files(self) -> Iterator[Binding]:
        """Leaves of configuration files, if the project reads such files."""
        modules = self.project.modules.values()
        if not any(one.module.partition(".")[0] in _READERS for module in modules for one in module.facts.imports):
            return
        for config in self.project.repository.configs:
            if _NO_SETTINGS.search(config.path):
                continue
            for leaf in config.leaves:
                if leaf.keys and leaf.keys[-1].lower() in _NAMES:
                    yield Binding(leaf.keys[-1], Place(config.path, Span(leaf.line)), True)

    def _fallbacks(self) -> Iterator[Binding]:
        for key, reads in self.project[Options].fallbacks.items():
            if key.lower() in _NAMES:
                for read in reads:
                    if not read.module.is_example and self.project[Options].owners(read):
                        yield Binding(key, read.module.place(read.statement), False)


_CLICK = frozenset({"click.option"})


def _is_value(expr: Expr | None) -> bool:
    if isinstance(expr, Unary):
        expr = expr.operand
    return isinstance(expr, Const) and expr.value is not None and not isinstance(expr.value, bool)


def _fields(module: Module) -> Iterator[Binding]:
    """Fields with defaults of classes that are called configuration."""
    for index, scope in enumerate(module.facts.scopes):
        if scope.kind == CLASS and _CLASS.search(scope.name) and not _NAMES.isdisjoint(scope.bindings):
            for stmt in module.body(index):
                if isinstance(stmt, Annotate) and isinstance(stmt.target, Ref) and stmt.target.name in _NAMES:
                    yield Binding(stmt.target.name, module.place(stmt), True)


def _constants(module: Module) -> Iterator[Binding]:
    """``BATCH_SIZE = 64`` at the top of a module; in a module of nothing but constants it has found its home."""
    if not any(name.lower() in _NAMES for name in module.facts.scopes[0].bindings):
        return
    home = len(module.facts.scopes) == 1 and all(isinstance(stmt, (Assign, Annotate)) for stmt in module.body(0))
    for stmt in module.body(0):
        targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
        for target in targets:
            if isinstance(target, Ref) and target.name.lower() in _NAMES and _is_value(getattr(stmt, "value", None)):
                yield Binding(target.name, module.place(stmt), home)


def _slots(module: Module) -> Iterator[Binding]:
    """``AdamW(params, lr=3e-4)``."""
    for _, site in module.calls_of(_SLOTS):
        call: Call = site.call
        for keyword in call.keywords:
            if keyword.name in _NAMES and _is_value(keyword.value):
                yield Binding(keyword.name, module.place(site), False)
