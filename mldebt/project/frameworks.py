"""What libraries call back: hooks of modules and data sets handed to trainers and loaders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import tomli

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Call, Expr, Ref, Starred
from mldebt.project.annotations import is_class_like

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DATASET = ("__getitem__", "__getitems__", "__iter__", "__len__")
_TRAINERS = ("transformers.", "trl.", "sentence_transformers.", "setfit.", "adapters.", "peft.")
_PROTOCOL = {f"builtins.{name}": f"__{name}__" for name in ("len", "iter", "next", "str")}


class _Common(msgspec.Struct, frozen=True):
    methods: frozenset[str]


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``runners.toml``: who calls what it is given."""

    runners: dict[str, frozenset[int | str]]
    lightning: dict[str, tuple[str, ...]]
    transformers: dict[str, tuple[str, ...]]
    keras: dict[str, tuple[str, ...]]
    common: _Common


KNOWLEDGE = msgspec.convert(tomli.loads((Path(__file__).parent / "runners.toml").read_text("utf-8")), Knowledge)

# The last segments of what is known to call the project's code, but for data loaders, and of what is the model itself.
PASSED_ON = frozenset(
    {*KNOWLEDGE.runners, *KNOWLEDGE.lightning, *KNOWLEDGE.transformers, *KNOWLEDGE.keras, "LightningCLI", "module"}
)


def is_loader(name: str) -> bool:
    return name.endswith("DataLoader")


def calls_back(name: str) -> bool:
    """Whether a library's callable may run what it is given: a quick look, before its arguments are."""
    last = name.rpartition(".")[2]
    return last in PASSED_ON or is_loader(last) or name in _PROTOCOL


class Frameworks:
    """Finds the project's methods a library runs because of one call."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def callbacks(self, module: Module, scope: int, call: Call, name: str) -> Iterator[Definition]:
        """What of the project a call of the library's ``name`` ends in, in the order it is likely to run."""
        owner, _, last = name.rpartition(".")
        if name in _PROTOCOL:
            yield from self._on(module, scope, call.args[0] if call.args else None, (_PROTOCOL[name],))
        elif is_loader(last) and is_class_like(name):
            yield from self._on(module, scope, _given(call, "dataset", 0), _DATASET)
            for keyword in ("sampler", "batch_sampler"):
                yield from self._on(module, scope, _given(call, keyword), ("__iter__", "__len__"))
        elif last == "LightningCLI":
            yield from self._cli(module, scope, call)
        elif owner.endswith("Trainer") and last in KNOWLEDGE.lightning and name.startswith(("lightning.", "pytorch_l")):
            yield from self._lightning(module, scope, call, last)
        elif "Trainer" in owner and last in KNOWLEDGE.transformers and name.startswith(_TRAINERS):
            yield from self._transformers(module, scope, call, last)
        elif last in KNOWLEDGE.keras and owner.endswith(("keras.Model", "keras.models.Model", "keras.Sequential")):
            yield from self._on(module, scope, _receiver(call), KNOWLEDGE.keras[last])

    def _on(self, module: Module, scope: int, value: Expr | None, methods: tuple[str, ...]) -> Iterator[Definition]:
        """The methods of these names that the project's classes of a value define."""
        if value is None:
            return
        for name in self._project.types.of(module, scope, value):
            yield from self.methods(name, methods)

    def methods(self, name: str, methods: tuple[str, ...]) -> Iterator[Definition]:
        if ":" not in name:
            return
        for method in methods:
            definition = self._project.method(name, method)
            if definition is not None:
                yield definition

    def _lightning(self, module: Module, scope: int, call: Call, phase: str) -> Iterator[Definition]:
        hooks = KNOWLEDGE.lightning[phase]
        values = [_given(call, "datamodule", 3), *call.args[1:], _given(call, "model", 0)]
        values += [_given(call, key) for key in ("train_dataloaders", "val_dataloaders", "dataloaders")]
        found = dict.fromkeys(
            name for value in values if value is not None for name in self._project.types.of(module, scope, value)
        )
        yield from dict.fromkeys(method for name in found for method in self.methods(name, hooks))

    def _cli(self, module: Module, scope: int, call: Call) -> Iterator[Definition]:
        for value in (_given(call, "datamodule_class", 1), _given(call, "model_class", 0)):
            if isinstance(value, (Ref, Attribute)):
                for name in self._project.types.names(module, scope, value):
                    yield from self.methods(name, ("__init__", *KNOWLEDGE.lightning["fit"]))

    def _transformers(self, module: Module, scope: int, call: Call, phase: str) -> Iterator[Definition]:
        receiver = _receiver(call)
        yield from self._on(module, scope, receiver, KNOWLEDGE.transformers[phase])
        for where, place, built in self._built(module, scope, receiver):
            model = _given(built, "model", 0)
            yield from self._on(where, place, model, ("forward",))
            for keyword in ("train_dataset", "eval_dataset") if phase == "train" else ("eval_dataset",):
                yield from self._on(where, place, _given(built, keyword), _DATASET)

    def _built(self, module: Module, scope: int, value: Expr | None) -> Iterator[tuple[Module, int, Call]]:
        """The calls that built a value, where the function or the class it is kept in shows them."""
        if isinstance(value, Call):
            yield module, scope, value
        elif isinstance(value, Ref):
            for origin in self._project.flow(module.definition(scope)).origins(value):
                if origin.kind == "assign" and isinstance(origin.value, Call) and origin.name == value.name:
                    yield module, scope, origin.value


def _given(call: Call, name: str, position: int | None = None) -> Expr | None:
    found = argument(call, name, position)
    return None if found is UNKNOWN or isinstance(found, Starred) else found


def _receiver(call: Call) -> Expr | None:
    function = call.function
    if isinstance(function, Ref) and "." in function.name:
        return Ref(function.name.rpartition(".")[0], function.line, function.column)
    if isinstance(function, Attribute) and "." not in function.name:
        return function.value
    return None
