"""Between which libraries the conversions of a module go, by where values come from and what they become."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from mldebt.facts.schema import Attribute, Binary, Call, Expr, Ref, Subscript, Wait
from mldebt.module import Module

from .conversions import PLAIN, Operation, Operations
from .evidence import owner
from .spoken import Spoken
from .statements import StatementReader, is_value
from .vendors import vendor_of

_FARTHEST = 6
# One family of values under several import names.
_FAMILY = {
    "torchvision": "torch",
    "torchaudio": "torch",
    "cv2": "numpy",
    "sklearn": "numpy",
    "PIL": "image",
    "pyarrow": "arrow",
    "keras": "tensorflow",
}
# Libraries that have values of their own: what others give is anybody's.
_HOLDERS = frozenset(
    """arrow cudf cupy dask datasets dgl image jax lightgbm mxnet numpy paddle pandas polars pyspark scipy tensorflow
    torch torch_geometric xgboost catboost""".split()
)
# Methods only tensors of torch have: they tell what their receiver is.
_TORCH_ONLY = frozenset({"detach", "cpu", "cuda", "unsqueeze", "permute", "contiguous"})
_TAKES = {"torch.from_numpy": "numpy", "PIL.Image.fromarray": "numpy", "polars.from_pandas": "pandas"}
# Methods that tell the library of what they are called on, as far as a file imports one such library only.
TELLS = {
    "to_numpy": ("pandas", "polars"),
    "numpy": ("torch", "tensorflow"),
    "toPandas": ("pyspark",),
    "to_pandas": ("polars", "arrow"),
    "to_arrow": ("polars",),
}
_ROOTS = {"pyarrow": "arrow", "keras": "tensorflow"}
# Methods whose results are plain values: what they are called on tells nothing about those.
_ENDS = frozenset({"item", "tolist", "size", "dim", "shape", "keys", "items", "to_dict", "numel", "head"})


def converted(row: Operation, call: Call) -> Expr | None:
    """What a conversion converts: what it is called on, or its first argument."""
    if row.method and not row.argument:
        return owner(call.function) if isinstance(call.function, (Ref, Attribute)) else None
    return call.args[0] if call.args else None


def _before_lists(value: Expr) -> Expr:
    """What a list was made of: ``DataFrame(array.tolist())`` is made of an array."""
    while isinstance(value, Call) and isinstance(value.function, (Ref, Attribute)):
        before = owner(value.function) if value.function.name.rpartition(".")[2] == "tolist" else None
        if before is None or value.args:
            break
        value = before
    return value


class Crossing(Struct, frozen=True):
    """A conversion from one library's values to another's."""

    call: Call | Attribute | Ref
    source: str
    target: str


class Crossings:
    """Answers for one module."""

    def __init__(self, known: Operations, module: Module) -> None:
        self._known, self._module, self._project = known, module, module.project
        self._reader = StatementReader(known, module)

    def all(self, least: int) -> list[Crossing]:
        """The module's conversions whose two sides are certainly of different libraries, in the order of scopes.

        A list shorter than ``least`` need not be complete: what is spelled like no conversion is never looked at.
        """
        spoken = self._project[Spoken]
        words = self._known.between_words | {"values"}
        scopes = self._module.scopes_using(words)
        here = words & self._module.mentions
        if not spoken.is_said(self._module, scopes, here, least):
            return []
        spelled = [
            (scope, node)
            for scope in scopes
            if spoken.is_said(self._module, (scope,), here, 1)  # annotations say most of them
            for said in spoken.of(self._module, scope)
            if is_value(said.statement, said.root)
            for node in said.nodes
            if self._spells(node)
        ]
        found: list[Crossing] = []
        for left, (scope, node) in zip(range(len(spelled), 0, -1), spelled, strict=True):
            if len(found) + left < least:
                break
            sides = self._sides(scope, node)
            if sides is not None and sides[0] != sides[1] and sides[0] not in PLAIN:
                found.append(Crossing(node, *sides))  # type: ignore[arg-type]
        return found

    def _spells(self, node: Expr) -> bool:
        """Whether an expression is written like a conversion from one library to another."""
        if isinstance(node, Call):
            named = node.function
            return isinstance(named, (Ref, Attribute)) and named.name.rpartition(".")[2] in self._known.between_words
        return isinstance(node, (Ref, Attribute)) and node.name.endswith(".values")

    def _sides(self, scope: int, node: Expr) -> tuple[str, str] | None:
        if isinstance(node, Call):
            row = self._reader.operation(scope, node)
            if row is None or not row.crosses or row.to in PLAIN:
                return None
            value = converted(row, node)
            value = _before_lists(value) if value is not None else None
            source = self.library(scope, value) or self.told(row.name) if value is not None else None
            return None if source is None else (source, row.to)
        if isinstance(node, (Ref, Attribute)) and node.name.endswith(".values"):
            before = owner(node)
            source = self.library(scope, before) if before is not None else None
            return (source, "numpy") if source == "pandas" else None
        return None

    def told(self, name: str) -> str | None:
        """The library of what a conversion of this name converts, where the name tells in this file."""
        if name in _TAKES:
            return _TAKES[name]
        candidates = [one for one in TELLS.get(name, ()) if one in self.imported]
        return candidates[0] if len(candidates) == 1 else None

    @cached_property
    def imported(self) -> frozenset[str]:
        """The libraries the file imports, as families of values."""
        roots = {fact.module.partition(".")[0] for fact in self._module.facts.imports if not fact.level}
        return frozenset(_ROOTS.get(root, root) for root in roots)

    def library(self, scope: int, expr: Expr, depth: int = _FARTHEST) -> str | None:
        """The library an expression's value belongs to, by what made it; None when that is not seen."""
        if depth <= 0:
            return None
        if isinstance(expr, Wait) and expr.value is not None:
            return self.library(scope, expr.value, depth)
        if isinstance(expr, Call):
            return self._made(scope, expr, depth)
        if isinstance(expr, Subscript):
            return self.library(scope, expr.value, depth - 1)
        if isinstance(expr, Binary):
            return self.library(scope, expr.left, depth - 1) or self.library(scope, expr.right, depth - 1)
        if isinstance(expr, (Ref, Attribute)):
            return self._read(scope, expr, depth)
        return None

    def _made(self, scope: int, call: Call, depth: int) -> str | None:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return None
        names = self._project.resolve(self._module, scope, function.name) if isinstance(function, Ref) else ()
        if names:
            row = self._known.functions.get(names[0])
            if row is not None:
                return self._given(scope, row, call, depth)
            found = self._family(names[0])
            if found is not None:
                return found
        last = function.name.rpartition(".")[2]
        before = owner(function)
        method = self._known.methods.get(last) if not names else None
        if method is not None and method.crosses and method.to:
            return method.to
        if last in _ENDS:
            return None
        classes = self._project.types.of(self._module, scope, call)
        if classes:
            return self._family(classes[0])
        if last in _TORCH_ONLY and not names:
            return "torch"
        return self.library(scope, before, depth - 1) if before is not None and not names else None

    def _given(self, scope: int, row: Operation, call: Call, depth: int) -> str | None:
        return row.to or (self.library(scope, call.args[0], depth - 1) if call.args else None)

    def _read(self, scope: int, expr: Ref | Attribute, depth: int) -> str | None:
        last, before = expr.name.rpartition(".")[2], owner(expr)
        if before is not None:
            classes = self._project.types.of(self._module, scope, expr)
            if classes:
                return self._family(classes[0])
            if last in _ENDS or (isinstance(expr, Ref) and self._project.resolve(self._module, scope, expr.name)):
                return None
            holder = self.library(scope, before, depth - 1)
            return "numpy" if last == "values" and holder == "pandas" else holder
        assert isinstance(expr, Ref)
        classes = self._project.types.of(self._module, scope, expr)
        if classes:
            return self._family(classes[0])
        origins = self._project.flow(self._module.definition(scope)).origins(expr)
        found = {
            self.library(scope, origin.value, depth - 1) if origin.value is not None else None for origin in origins
        }
        return found.pop() if len(found) == 1 else None

    def _family(self, name: str) -> str | None:
        vendor = vendor_of(name, self._project)
        if vendor is None:
            return None
        family = _FAMILY.get(vendor, vendor)
        return family if family in _HOLDERS else None
