"""Which calls seed, draw, or restore a global random number generator (F9), from the knowledge in ``events.toml``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.schema import Assign, Attribute, Call, Compare, Conditional, Const, Expr, Ref, Unary
from mldebt.facts.walk import statements
from mldebt.rule import Table

from .knowledge import DRAW, HEAD, INIT, LAYER, DrawRow, RestoreRow, SeedRow

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

EVERY = "*"  # seeded by a function of an unknown library whose name says it seeds
LOADED = "#loaded"  # not a library: the model's parameters were replaced by those of a checkpoint


_SEED = frozenset({"seed", "seeds", "seeding", "reproducible", "reproducibility", "deterministic", "determinism"})
_SEEDISH = re.compile("seed|reproducib|determinis", re.IGNORECASE)
_SETS = frozenset(
    "all apply configure enable ensure everything everywhere fix fixed global init initialise initialize make random "
    "rng rngs set setup torch".split()
)
_ASKS = frozenset("draw gen generate get is new next sample sequence use with worker".split())
_KNOWN = ("numpy.", "torch.", "random.", "jax.", "tensorflow.", "gym.", "gymnasium.", "builtins.")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TENSOR_DRAWS = frozenset({"normal_", "uniform_", "trunc_normal_", "bernoulli_", "exponential_"})
_LOADS = frozenset({"load_state_dict", "load_weights", "load_from_checkpoint"})
_FINE_TUNED = re.compile(
    r"fine-?tuned|mnli|sst|squad|[-_/]ner\b|conll|sentiment|emotion|toxic|imdb|classif|rerank|cross-encoder|^[./~]",
    re.IGNORECASE,
)
# A class of a model library that is built, not loaded: ``BertModel(config)``, ``nets.UNet(...)``, ``smp.Unet(...)``.
_MODEL_CLASS = re.compile(r"^(?!Auto|TF|Flax|DataCollator)[A-Z]\w*$")
_NOT_THE_MODEL = re.compile(r"optim|sched|scaler|ema|sampler|loader|opt$|teacher|disc|history|amp", re.IGNORECASE)
_LABELS = frozenset({"num_labels", "id2label", "label2id"})
_INPUTS = frozenset({"input_shape", "input_dim", "batch_input_shape"})
_TRAINS = frozenset(
    "apply_gradients backward fine_tune fit fit_generator fit_one_cycle learn minimize train_on_batch".split()
)
_METHODS = _TENSOR_DRAWS | _LOADS | _TRAINS | {"sample", "shuffle", "train"}


class Seeds(Struct, frozen=True):
    """A call that seeds libraries."""

    libraries: tuple[str, ...]


class Draws(Struct, frozen=True):
    """A call that draws; ``owner``: the argument that would own the draw if it were not None."""

    library: str
    kind: str
    name: str
    owner: Ref | None = None


class Restores(Struct, frozen=True):
    """A call that puts back an earlier state; ``scope``: at the end of its ``with`` block."""

    libraries: tuple[str, ...]
    getter: str = ""
    scope: bool = False


Event = Seeds | Draws | Restores


@dataclass
class Events:
    """Classifies calls. One per scan."""

    project: Project
    _patterns: dict[str, list[tuple[str, DrawRow]]] = field(default_factory=dict)

    seed_table: ClassVar[Table[SeedRow]] = Table("events.toml", "seeds", SeedRow)
    draw_table: ClassVar[Table[DrawRow]] = Table("events.toml", "draws", DrawRow)
    restore_table: ClassVar[Table[RestoreRow]] = Table("events.toml", "restores", RestoreRow)

    def __post_init__(self) -> None:
        for name, row in self.draws.items():
            if "*" in name:
                self._patterns.setdefault(name.partition(".")[0], []).append((name, row))

    @cached_property
    def seeds(self) -> Mapping[str, SeedRow]:
        return self.project.rows(self.seed_table)

    @cached_property
    def draws(self) -> Mapping[str, DrawRow]:
        return self.project.rows(self.draw_table)

    @cached_property
    def restores(self) -> Mapping[str, RestoreRow]:
        return self.project.rows(self.restore_table)

    @cached_property
    def _spellings(self) -> frozenset[str]:
        names = [name for table in (self.seeds, self.draws, self.restores) for name in table if not name.endswith("*")]
        return self.project.spellings(tuple(names)) | _METHODS

    @cached_property
    def families(self) -> frozenset[str]:
        """Libraries that have an open family of names in the table: ``torchvision.models.*``."""
        return frozenset(name.partition(".")[0] for name in self.draws if "*" in name and "*." not in name)

    @cached_property
    def _seeding(self) -> frozenset[str]:
        """The last segments of what seeds, and of the project's classes whose bases do when they are built."""
        found = set(self.project.spellings((*self.seeds, *self.restores)))
        classes = [
            (scope.name, {base.name.rpartition(".")[2] for base in scope.bases if isinstance(base, (Ref, Attribute))})
            for module in self.project.modules.values()
            for scope in module.facts.scopes
            if scope.bases
        ]
        while fresh := {name for name, bases in classes if name not in found and not bases.isdisjoint(found)}:
            found |= self.project.spellings(tuple(fresh))
        return frozenset(found)

    def may_seed(self, last: str) -> bool:
        """Whether a callable of this last segment may seed, or put back a state."""
        return last in self._seeding or says_seed(last)

    def mentioned(self, last: str) -> bool:
        """Whether a callable of this last segment may be an event by name; a cheap test before names are linked."""
        return last in self._spellings or says_seed(last)

    def of(self, module: Module, scope: int, call: Call, names: Collection[str]) -> Event | None:
        """The event of a call whose function has these linked names; None for an ordinary call."""
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return None
        for name in names:
            event = self._named(module, scope, call, name)
            if event is not None:
                return event
        last = function.name.rpartition(".")[2]
        if says_seed(last) and not any(":" in name or name.startswith(_KNOWN) for name in names):
            return Seeds((EVERY,))
        return self._by_method(module, scope, call, last, names)

    def constructs(self, name: str) -> Seeds | None:
        """What building an instance of a project class seeds, because a library's base class does."""
        for base in self.project.mro(name)[1:]:
            row = self.seeds.get(base)
            if row is not None and not row.requires:
                return Seeds(row.seeds)
        return None

    def _named(self, module: Module, scope: int, call: Call, name: str) -> Event | None:
        seed = self.seeds.get(name)
        if seed is not None:
            if seed.requires and not _may_be_given(self._value(module, scope, call, seed.requires, seed.positions)):
                return None
            off = any(
                self._constant(module, scope, call, key, seed.positions) in values for key, values in seed.off.items()
            )
            return None if off else Seeds(seed.seeds)
        draw = self.draws.get(name) or self._pattern(name)
        if draw is not None:
            return self._draw(module, scope, call, name, draw)
        restore = self.restores.get(name)
        return None if restore is None else Restores(restore.libraries, restore.getter, restore.scope)

    def _pattern(self, name: str) -> DrawRow | None:
        for pattern, row in self._patterns.get(name.partition(".")[0], ()):
            head, _, tail = pattern.partition("*")
            last = name[len(head) :]
            if name.startswith(head) and name.endswith(tail) and (tail[:1] == "." or _builds_model(head, last)):
                return row
        return None

    def _draw(self, module: Module, scope: int, call: Call, name: str, row: DrawRow) -> Draws | None:
        for key, wanted in row.needs.items():
            value = argument(call, key, row.positions.get(key))
            if value is None or value is UNKNOWN or not self._may_be(module, scope, value, wanted):
                return None
        for key, values in row.off.items():
            value = self._constant(module, scope, call, key, row.positions, absent=None)
            if value is UNKNOWN or any(value is one or (value == one and type(value) is type(one)) for one in values):
                return None
        owner: Ref | None = None
        for key in row.owners:
            given = argument(call, key, row.positions.get(key))
            if given is UNKNOWN:
                return None
            if given is None or self._is_nothing(module, scope, given):
                continue
            if not isinstance(given, Ref) or "." in given.name:
                return None
            owner = given
        if row.kind == HEAD and not self._has_new_head(module, scope, call):
            return None
        if row.draws == "tensorflow" and row.kind == INIT:
            if any(
                keyword.name and keyword.name.endswith("initializer") and not isinstance(keyword.value, Const)
                for keyword in call.keywords
            ):
                return None
            return Draws(row.draws, INIT if _is_built(module, scope, call) else LAYER, name, owner)
        return Draws(row.draws, row.kind, name, owner)

    def _has_new_head(self, module: Module, scope: int, call: Call) -> bool:
        """Whether a pretrained model surely gets a fresh head: labels are given, or it is a bare base model."""
        if call.args and (name := module.constant(scope, call.args[0])) is not UNKNOWN:
            return isinstance(name, str) and not _FINE_TUNED.search(name)
        if any(keyword.name in _LABELS for keyword in call.keywords):
            return True
        config = argument(call, "config")
        return isinstance(config, (Ref, Call)) and self._has_labels(module, scope, config)

    def _has_labels(self, module: Module, scope: int, config: Ref | Call) -> bool:
        """Whether a configuration was given labels: where it was loaded, or by an assignment since."""
        if isinstance(config, Call):
            return any(keyword.name in _LABELS for keyword in config.keywords)
        assigned = {f"{config.name}.{label}" for label in _LABELS}
        for stmt in statements(module.body(scope)):
            if isinstance(stmt, Assign) and any(isinstance(one, Ref) and one.name in assigned for one in stmt.targets):
                return True
        origins = module.project.flow(module.definition(scope)).origins(config)
        loaded = [origin.value for origin in origins if isinstance(origin.value, Call) and not origin.path]
        return bool(loaded) and all(self._has_labels(module, scope, value) for value in loaded)

    def _by_method(self, module: Module, scope: int, call: Call, last: str, names: Iterable[str]) -> Event | None:
        """Methods that say by themselves what they are, on receivers nobody knows."""
        function = call.function
        if last in _LOADS:
            receiver = function.name.rpartition(".")[0] if isinstance(function, Ref) else ""
            return None if _NOT_THE_MODEL.search(receiver) else Seeds((LOADED,))
        if last in _TRAINS and not any(":" in name or name.startswith("sklearn.") for name in names):
            return Draws(LOADED, DRAW, last)
        if last == "train" and any(name.endswith("Trainer.train") and ":" not in name for name in names):
            return Draws(LOADED, DRAW, last)
        if any(":" in name for name in names):
            return None
        libraries = {fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level}
        if last in _TENSOR_DRAWS and "torch" in libraries and argument(call, "generator") is None:
            return Draws("torch", INIT, f"torch.Tensor.{last}")
        if last == "sample" and libraries & {"pandas", "geopandas"} and not names:
            row = self.draws["pandas.DataFrame.sample"]
            if argument(call, "frac") not in (None, UNKNOWN):
                return self._draw(module, scope, call, row.name, row)
        if last == "shuffle" and "tensorflow" in libraries and not names and _is_tf_data(call, module, scope):
            return self._draw(
                module, scope, call, "tensorflow.data.Dataset.shuffle", self.draws["tensorflow.data.*.shuffle"]
            )
        return None

    def _value(
        self, module: Module, scope: int, call: Call, name: str, positions: Mapping[str, int]
    ) -> Expr | Unknown | None:
        value = argument(call, name, positions.get(name))
        return None if isinstance(value, Const) and value.value is None else value

    def _constant(
        self, module: Module, scope: int, call: Call, name: str, positions: Mapping[str, int], absent: Any = UNKNOWN
    ) -> Any:
        value = argument(call, name, positions.get(name))
        if value is None:
            return absent
        return UNKNOWN if value is UNKNOWN else module.constant(scope, value)

    def _may_be(self, module: Module, scope: int, value: Expr, wanted: Sequence[Any]) -> bool:
        """Whether some way gives an argument one of these values.

        A comparison gives True on some way; so does a name that is True in one arm, or by a parameter's default.
        """
        if isinstance(value, (Compare, Unary)) and True in wanted:
            return True
        if isinstance(value, Conditional):
            return any(self._may_be(module, scope, arm, wanted) for arm in (value.then, value.orelse))
        if module.constant(scope, value) in wanted:
            return True
        if not isinstance(value, Ref) or "." in value.name:
            return False
        definition = module.definition(scope)
        for origin in module.project.flow(definition).origins(value):
            if origin.kind == "parameter" and any(
                one.name == value.name and isinstance(one.default, Const) and one.default.value in wanted
                for one in definition.scope.parameters
            ):
                return True
            if origin.kind == "assign" and not origin.path:
                given = origin.value
                if isinstance(given, Compare) or (isinstance(given, Const) and given.value in wanted):
                    return True
        return False

    def _is_nothing(self, module: Module, scope: int, value: Expr) -> bool:
        constant = value.value if isinstance(value, Const) else module.constant(scope, value)
        return constant is None or constant is False


@cache  # asked for every identifier of every function, and most are the same few
def says_seed(name: str) -> bool:
    """Whether a function's name says that it seeds: ``set_seed``, ``seed_everything``, ``make_deterministic``."""
    if not _SEEDISH.search(name):
        return False
    words = {word.lower() for word in _WORD.findall(name)}
    return not words.isdisjoint(_SEED) and not words.isdisjoint(_SETS) and words.isdisjoint(_ASKS)


def _may_be_given(value: Expr | Unknown | None) -> bool:
    return value is not None and not (isinstance(value, Const) and value.value is None)


def _builds_model(family: str, last: str) -> bool:
    """Whether a call in a family builds a model: torchvision.models' ``resnet18``, transformers' ``BertModel``."""
    if family == "torchvision.models.":
        name = last.rpartition(".")[2]
        return bool(name) and name.islower() and not name.startswith(("get_", "list_", "_")) and "weights" not in name
    return _MODEL_CLASS.search(last.rpartition(".")[2]) is not None


def _is_built(module: Module, scope: int, call: Call) -> bool:
    """Whether a Keras layer makes its weights here and not when it is first called."""
    if any(keyword.name in _INPUTS for keyword in call.keywords):
        return True
    uses = module.facts.scopes[scope].uses
    return any(chain.rpartition(".")[2] in ("Input", "InputLayer") for chain in uses)


def _is_tf_data(call: Call, module: Module, scope: int) -> bool:
    """Whether a chain of method calls starts at ``tf.data``."""
    function: Expr = call.function
    while isinstance(function, (Attribute, Call)):
        function = function.value if isinstance(function, Attribute) else function.function
    if not isinstance(function, Ref):
        return False
    return any(name.startswith("tensorflow.data.") for name in module.project.resolve(module, scope, function.name))
