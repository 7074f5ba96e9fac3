"""Chains of conversions, however they are spread over nested calls, methods and variables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from mldebt.facts.arguments import argument
from mldebt.facts.flow import Flow
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, Lambda, Ref, Stmt
from mldebt.module import Module
from mldebt.rule import Analysis

from .conversions import Operation, Operations
from .evidence import owner
from .spoken import ATTRIBUTES, Spoken

_FARTHEST = 6  # variables a chain is followed through
_LONGEST = 24
SHORTEST = 3  # conversions: fewer are no chain
_SPOKEN = 2  # words of conversions a function with a chain says, if one of them twice
_CLASSES = frozenset(
    f"torchvision.transforms.{name}"
    for name in ("ToTensor", "PILToTensor", "ToPILImage", "Normalize", "Resize", "CenterCrop")
)
_SAME = {
    "ToTensor": "to_tensor",
    "Resize": "resize",
    "Normalize": "normalize",
    "CenterCrop": "center_crop",
    "ToPILImage": "to_pil_image",
    "concatenate": "cat",
}
# Python's own: `list(map(str, x))` is no conversion between libraries.
_PLAIN = ("builtins.", "json.", "pickle.", "os.", "copy.")


class Link(Struct, frozen=True):
    """One conversion as written: the call or attribute, its name without the library, and what it converts.

    ``to_tensor`` and ``ToTensor`` have one name.
    """

    name: str
    row: Operation
    whole: Call | Attribute | Ref
    value: Expr


class Chain(Struct, frozen=True):
    """Conversions of one value in one function, in the order they happen."""

    module: Module
    scope: int
    statement: Stmt
    links: tuple[Link, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(link.name for link in self.links)


class Chains(Analysis):
    """Finds the longest chains of ``SHORTEST`` conversions and more in every function."""

    @cached_property
    def all(self) -> tuple[Chain, ...]:
        """The chains that cross from one library, device or container to another, in the order of paths."""
        known, spoken = self.project[Operations], self.project[Spoken]
        return tuple(
            chain
            for module in self.project.modules.values()
            if module.role == "project" and not module.is_test and len(known.words & module.mentions) >= _SPOKEN
            for scope in module.scopes_using(known.crossing_words)
            if len(words := module.segments(scope) & known.words) >= _SPOKEN
            if spoken.is_said(module, (scope,), words, SHORTEST)
            for chain in self._in(module, scope)
        )

    def _in(self, module: Module, scope: int) -> Iterator[Chain]:
        known = self.project[Operations]
        spelled = self._spelled(known, module, scope)
        if len(spelled) < SHORTEST or not any(last in known.crossing_words for _, _, last in spelled):
            return
        reader = ChainReader(known, module, scope)
        inner: set[int] = set()
        found: list[tuple[Stmt, list[Link]]] = []
        for stmt, node, _ in spelled:
            links = reader.chain(node) if id(node) not in inner else []
            inner.update(id(link.whole) for link in links)
            if links:
                found.append((stmt, links))
        # A variable's definition stands before it: only now is it known that a longer chain takes it up.
        taken = {id(link.whole) for _, links in found for link in links[1:]}
        for stmt, links in found:
            long = len(links) >= SHORTEST and id(links[0].whole) not in taken
            if long and any(link.row.crosses for link in links):
                yield Chain(module, scope, stmt, tuple(reversed(links)))

    def _spelled(self, known: Operations, module: Module, scope: int) -> list[tuple[Stmt, Expr, str]]:
        """What is written like a conversion, by the name it is written with.

        Outside in: what is part of a longer chain begins none of its own.
        """
        found: list[tuple[Stmt, Expr, str]] = []
        for said in self.project[Spoken].of(module, scope):
            for node in reversed(said.nodes):
                calls = isinstance(node, Call)
                named = node.function if isinstance(node, Call) else node
                last = last_segment(named.function if isinstance(named, Call) else named)
                if last in (known.words if calls else ATTRIBUTES):
                    found.append((said.statement, node, last))
        return found


class ChainReader:
    """Reads the conversions of one scope."""

    def __init__(self, known: Operations, module: Module, scope: int) -> None:
        self._known, self._module, self._scope = known, module, scope

    @cached_property
    def _flow(self) -> Flow:
        return self._module.project.flow(self._module.definition(self._scope))

    def chain(self, node: Expr) -> list[Link]:
        """The conversions a value went through, last first."""
        found: list[Link] = []
        far = 0
        while len(found) < _LONGEST:
            link = self.link(node)
            if link is not None:
                found.append(link)
                node = link.value
                continue
            before = self._definition(node) if found and far < _FARTHEST else None
            if before is None:
                return found
            far += 1
            node = before
        return found

    def link(self, node: Expr) -> Link | None:
        """The conversion an expression is; None when it is none."""
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, (Ref, Attribute)):
            before, name = owner(node), node.name.rpartition(".")[2]
            row = self._known.methods.get(name) if name in ATTRIBUTES else None
            if row is not None and before is not None and not self._is_module(before):
                return Link(name, row, node, before)
        return None

    def _call(self, node: Call) -> Link | None:
        function = node.function
        if isinstance(function, Call):  # ``ToTensor()(image)``
            row = self._function(function.function)
            return Link(_last(row), row, node, node.args[0]) if row is not None and len(node.args) == 1 else None
        if not isinstance(function, (Ref, Attribute)):
            return None
        row = self._function(function)
        if row is not None:
            if not node.args or row.name.startswith(_PLAIN) or row.name in _CLASSES:
                return None
            return Link(_last(row), row, node, node.args[0])
        before, name = owner(function), function.name.rpartition(".")[2]
        row = self._known.methods.get(name)
        if row is None or before is None or self._is_module(before) or name in ATTRIBUTES:
            return None
        if name == "to":
            row, name = self._moved(row, node)
        return Link(name, row, node, before)

    def _moved(self, row: Operation, call: Call) -> tuple[Operation, str]:
        """``.to("cpu")`` is ``.cpu()``."""
        target = argument(call, "device", 0)
        cpu = isinstance(target, Const) and target.value == "cpu"
        return (self._known.methods["cpu"], "cpu") if cpu else (row, "to")

    def _function(self, function: Expr) -> Operation | None:
        if not isinstance(function, Ref):
            return None
        names = self._module.project.resolve(self._module, self._scope, function.name)
        return self._known.functions.get(names[0]) if len(names) == 1 else None

    def _is_module(self, before: Expr) -> bool:
        """Whether what stands before the dot is a module or class: its functions are no methods of values."""
        return isinstance(before, Ref) and bool(self._module.project.resolve(self._module, self._scope, before.name))

    def _definition(self, node: Expr) -> Expr | None:
        """The one expression a variable stands for."""
        if not isinstance(node, Ref) or "." in node.name:
            return None
        origins = self._flow.origins(node)
        if len(origins) != 1 or origins[0].kind != "assign" or origins[0].path:
            return None
        value = origins[0].value
        return value if not isinstance(value, (Const, Lambda)) else None


def _last(row: Operation | None) -> str:
    last = row.name.rpartition(".")[2] if row is not None else ""
    return _SAME.get(last, last)
