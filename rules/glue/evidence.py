"""Whether a value certainly has a representation: by its class, by what made it, by a method only it has."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cached_property

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Call, Const, Expr, Ref
from mldebt.module import Module

from .conversions import Conversions, Representation

_FARTHEST = 4  # variables a value is followed through
_TENSOR_LIBRARIES = frozenset({"tensorflow", "torch", "paddle", "mindspore", "oneflow", "tinygrad"})
_NUMBERS = ("float", "int", "uint", "double", "single", "half", "f4", "f8")
# Libraries whose values have ``tolist`` too.
_LISTS = _TENSOR_LIBRARIES.union("numpy pandas polars jax scipy sklearn cupy pyarrow array datasets".split())
_ASKS = frozenset({"isinstance", "is_tensor", "hasattr"})
_FRAMES = frozenset({"set_output", "set_config"})
_NETWORKS = ("model", "net", "network", "module", "encoder", "decoder", "backbone", "head", "classifier")


class Evidence:
    """Answers for the expressions of one scope. Unknown is no."""

    def __init__(self, known: Conversions, module: Module, scope: int) -> None:
        self._known, self._module, self._scope = known, module, scope

    def has_kind(self, kind: str, node: Expr, depth: int = _FARTHEST) -> bool:
        about = self._known.kind(kind)
        if isinstance(node, Ref) and node.name in self._doubted:
            return False
        classes = self._module.project.types.of(self._module, self._scope, node)
        if classes:
            return all(name in about.classes for name in classes)
        if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
            names = self._module.names(self._scope, node.function)
            if names:
                return all(_makes(about, name) or self._gives(about, name) for name in names)
            if kind == "torch" and self._is_network(node.function):
                return True
        on = receiver(node)
        if on is not None:
            return on[1] in about.own or (on[1] in about.alike and self.has_kind(kind, on[0], depth))
        values = self._values(node) if depth > 0 else []
        return bool(values) and all(self.has_kind(kind, value, depth - 1) for value in values)

    def _gives(self, about: Representation, name: str) -> bool:
        """Whether a method gives it, where the file does not ask scikit-learn for frames."""
        if _FRAMES & self._module.mentions:
            return False
        return any(fnmatchcase(name, pattern) for pattern in about.patterns)

    def _is_network(self, function: Ref | Attribute) -> bool:
        """Whether a call runs a torch module: by its class, or by its name where no other library's value can come."""
        types = self._module.project.types
        classes = types.of(self._module, self._scope, function)
        if classes:
            return all(types.is_a(name, "torch.nn.Module") for name in classes)
        roots = {fact.module.partition(".")[0] for fact in self._module.facts.imports} & _LISTS
        return roots == {"torch"} and function.name.rpartition(".")[2].lower().endswith(_NETWORKS)

    def only_library(self, library: str, value: Expr) -> bool:
        """Whether ``value.numpy()`` can come from one library only: the file imports no other that has such tensors."""
        roots = {fact.module.partition(".")[0] for fact in self._module.facts.imports} & _TENSOR_LIBRARIES
        return roots == {library} and not self._module.project.types.of(self._module, self._scope, value)

    def holds_numbers(self, node: Expr, depth: int = _FARTHEST) -> bool:
        """Whether an array certainly holds numbers: a list of objects comes back as something else."""
        if not isinstance(node, Call):
            values = self._values(node) if depth > 0 else []
            return bool(values) and all(self.holds_numbers(value, depth - 1) for value in values)
        on = receiver(node)
        if on is not None and on[1] == "astype":
            return bool(node.args) and _is_number(node.args[0])
        dtype = argument(node, "dtype")
        if dtype is not None and dtype is not UNKNOWN:
            return _is_number(dtype)
        names = self._module.names(self._scope, node.function)
        return bool(names) and all(name in self._known.kind("numpy").numbers for name in names)

    def element(self, node: Expr, depth: int = _FARTHEST) -> str | None:
        """The type of an array's elements, by its last name, where the code gives one."""
        if not isinstance(node, Call):
            values = self._values(node) if depth > 0 else []
            return self.element(values[0], depth - 1) if len(values) == 1 else None
        on = receiver(node)
        given = node.args[0] if on is not None and on[1] == "astype" and node.args else argument(node, "dtype")
        return None if given is None or given is UNKNOWN else last_name(given)

    @cached_property
    def _doubted(self) -> frozenset[str]:
        """Names whose class the code itself asks for: annotations do not hold where the answer is no."""
        asked = (site.call for site in self._module.call_sites(self._scope) if site.call.args)
        return frozenset(
            call.args[0].name
            for call in asked
            if isinstance(call.function, Ref)
            and call.function.name.rpartition(".")[2] in _ASKS
            and isinstance(call.args[0], Ref)
        )

    def _values(self, node: Expr) -> list[Expr]:
        """The expressions a variable may stand for; none when one of them is unknown."""
        if not isinstance(node, Ref) or "." in node.name:
            return []
        origins = self._module.project.flow(self._module.definition(self._scope)).origins(node)
        values = [origin.value for origin in origins if origin.kind == "assign" and not origin.path]
        known = [value for value in values if value is not None]
        return known if len(known) == len(origins) else []


def _makes(about: Representation, name: str) -> bool:
    prefix, _, last = name.rpartition(".")
    if prefix in about.classes:
        return last not in about.ends and not last.startswith("is_")
    if name in about.makers:
        return True
    return f"{prefix}." in about.makers and last.islower() and name not in about.not_of and not last.startswith("is_")


def last_name(dtype: Expr) -> str:
    """``float32`` of ``np.float32``, ``\"float32\"`` and ``float32``."""
    text = dtype.value if isinstance(dtype, Const) else getattr(dtype, "name", "").rpartition(".")[2]
    return text if isinstance(text, str) else ""


def _is_number(dtype: Expr) -> bool:
    return last_name(dtype).startswith(_NUMBERS)


def owner(node: Ref | Attribute) -> Expr | None:
    """What stands before the last dot."""
    head, _, _ = node.name.rpartition(".")
    if isinstance(node, Ref):
        return Ref(head, node.line, node.column) if head else None
    return _renamed(node, head) if head else node.value


def _renamed(node: Attribute, name: str) -> Attribute:
    return Attribute(node.value, name, node.line, node.column, node.end_line, node.end_column)


def receiver(node: Expr) -> tuple[Expr, str] | None:
    """What a method call or the attribute ``T`` is on, and its name."""
    if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
        before = owner(node.function)
        return (before, node.function.name.rpartition(".")[2]) if before is not None else None
    return None
