"""Hyperparameters written as literals into the calls of programs that train, tune or serve."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.graph import targets
from mldebt.facts.schema import CLASS, Assign, Build, Const, Define, Expr, Unary
from mldebt.rule import Analysis

from .slots import TUNING, Filled, Slots

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_ROLES = frozenset({"train", "tune", "serve"})
# Sizes and shapes belong to the architecture: turning them is designing, not tuning.
_ARCHITECTURE = frozenset({"hidden_size", "num_layers", "num_heads", "depth", "width"})
_USUAL = frozenset({("penalty", "l2")})
_MINOR = frozenset({"max_iter", "cv", "n_splits"})
_LOOKS = re.compile(r"(?:^|_)(?:val|valid|validation|test|eval|sample|samples|infer|predict|demo)", re.IGNORECASE)
_OWN_CONFIG = re.compile(r"(?:Arguments|Config|Args|Params|Options|Settings|HParams)$")
_CONFIGURATION = re.compile(
    r"(?:^|/)(?:[\w-]*_)?(?:config|configs|configuration|conf|cfg|cfgs|settings|constants|consts|hparams|hyperparams"
    r"|hyperparameters|params|options|opts|defaults|arguments|args|presets?|recipes?)(?:_[\w-]*)?(?:/.*)?\.py$"
)
_NETWORKS = frozenset(
    """torch.nn.Module torch.nn.modules.module.Module keras.Model keras.layers.Layer tensorflow.keras.Model
    tensorflow.keras.layers.Layer flax.linen.Module torch.nn.Sequential""".split()
)
_OPTIMIZER = re.compile(
    r"^(?:torch\.optim|keras\.optimizers|tensorflow\.keras\.optimizers|optax|bitsandbytes\.optim|timm\.optim"
    r"|transformers\.(?:optimization\.)?(?:AdamW|Adafactor)|tensorflow\.train)\b"
)
_FIELDS = re.compile(r"(?:^|\.)(?:dataclass|dataclasses|define|frozen|mutable|attrs|s)$")


class Magic(Struct, frozen=True, eq=False):
    """One slot filled by a literal; ``text`` is the value as one reads it."""

    filled: Filled
    text: str


class MagicValues(Analysis):
    """Answers which hyperparameters of a file are literals although a program trains, tunes or serves with them."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._slots = project[Slots]

    def of(self, module: Module) -> tuple[Magic, ...]:
        """In source order. Empty for configuration, architecture definitions and what no such program reaches."""
        if module.role != "project" or module.is_test or _CONFIGURATION.search(module.path):
            return ()
        found = [one for one in self._slots.of(module) if self._is_magic(one)]
        if not found or not self._is_reached(module.path):
            return ()
        if not any(_OPTIMIZER.search(one.api) for one in self._slots.of(module)) and self._compiles_nothing(module):
            found = [one for one in found if not self._in_network(module, one.scope)]
        if all(_is_minor(one) or self._is_of_a_layer(module, one) for one in found):
            return ()
        found.sort(key=lambda one: (one.call.line, one.call.column))
        return tuple(Magic(one, _text(one.value)) for one in found)

    def _is_reached(self, path: str) -> bool:
        """Whether a module is part of a program that trains, tunes or serves; only such programs are asked for that."""
        reaches = self.project.imports.reaches
        return any(
            reaches(entry.definition.module, path) and not _ROLES.isdisjoint(self.project.roles(entry))
            for entry in self.project.entries
            if not entry.is_test
        )

    def _is_magic(self, one: Filled) -> bool:
        if one.kind != TUNING or one.name in _ARCHITECTURE or not _is_literal(one.value):
            return False
        if isinstance(one.statement, Define) or _OWN_CONFIG.search(one.api.rpartition(".")[2]):
            return False  # a default of a parameter; the framework's own configuration object
        value = one.module.constant(one.scope, one.value)
        if value is UNKNOWN or value is None or isinstance(value, bool) or _same(value, one.default):
            return False
        if value == 0 or (one.parameter, value) in _USUAL:
            return False  # switched off; the default of the versions before
        return not self._has_fields(one.module, one.scope)

    @staticmethod
    def _has_fields(module: Module, scope: int) -> bool:
        """Whether a call stands in the body of a class of options."""
        facts = module.scope(scope)
        if facts.kind != CLASS:
            return False
        named = [getattr(one, "function", one) for one in facts.decorators]
        return _OWN_CONFIG.search(facts.name) is not None or any(
            _FIELDS.search(getattr(one, "name", "")) for one in named
        )

    @staticmethod
    def _compiles_nothing(module: Module) -> bool:
        return not any(chain.endswith(".compile") for scope in module.facts.scopes for chain in scope.uses)

    def _is_of_a_layer(self, module: Module, one: Filled) -> bool:
        """A rate of dropout in a class of layers: part of the block it reproduces, and no finding of its own."""
        return one.name == "dropout" and self._in_network(module, one.scope)

    def _in_network(self, module: Module, scope: int) -> bool:
        """Whether a scope is part of a class of layers, or builds one: the architecture's definition."""
        index = scope
        while index > 0:
            facts = module.scope(index)
            if facts.kind == CLASS:
                bases = self.project.mro(module.definition(index).name)
                return not _NETWORKS.isdisjoint(bases) or bases[-1:] == ("?",)
            index = facts.parent
        return any(
            one.kind == CLASS and not _NETWORKS.isdisjoint(self.project.mro(module.definition(number).name))
            for number, one in enumerate(module.facts.scopes)
        )


def _is_minor(one: Filled) -> bool:
    """What is worth a line in a list, but no finding of its own: caps, folds, the batches of a look at the results."""
    if one.parameter in _MINOR:
        return True
    bound = one.statement.targets if isinstance(one.statement, Assign) else []
    names = [name for target in bound for name, _ in targets(target)]
    return one.parameter == "batch_size" and bool(names) and all(_LOOKS.search(name) for name in names)


def _is_literal(value: Expr) -> bool:
    if isinstance(value, Unary):
        value = value.operand
    if isinstance(value, Const):
        return value.value is not None and not isinstance(value.value, bool)
    if isinstance(value, Build) and value.kind in ("tuple", "list") and value.items:
        return all(isinstance(item, Const) and isinstance(item.value, (int, float)) for item in value.items)
    return False


def _same(value: object, default: object) -> bool:
    """Whether a value is the API's default; a list equals a tuple."""
    if isinstance(value, (list, tuple)) and isinstance(default, (list, tuple)):
        return list(value) == list(default)
    return default is not UNKNOWN and value == default


def _text(value: Expr) -> str:
    if isinstance(value, Unary):
        return f"{value.op}{_text(value.operand)}"
    if isinstance(value, Const):
        return repr(value.value)
    if isinstance(value, Build):
        inner = ", ".join(_text(item) for item in value.items)
        return f"({inner})" if value.kind == "tuple" else f"[{inner}]"
    return "..."
