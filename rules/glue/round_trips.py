"""Values that are converted and converted back with nothing done in between."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.flow import Flow
from mldebt.facts.schema import Annotate, Assign, Attribute, Build, Call, Const, Expr, For, Ref, Starred, Stmt, With
from mldebt.facts.walk import expressions, statements, walk
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .conversions import NOT_BACK, Conversion, Conversions
from .evidence import Evidence, last_name, owner, receiver
from .spoken import Spoken

_FARTHEST = 4  # variables a value is followed through
_LONGEST = 20  # methods in a chain
_DEVICE_WORDS = ("device", "dev", "gpu", "rank")
_MOVED = frozenset({"to"})
_HOST = b"cpu"  # one of two moves between devices names it


class Step(Struct, frozen=True):
    """A conversion as written. ``whole`` is the call or attribute, ``value`` what it converts."""

    row: Conversion
    whole: Call | Attribute | Ref
    value: Expr


class RoundTrip(Struct, frozen=True):
    """A value that is converted and converted back with nothing done in between.

    Args:
        there: The first conversion.
        back: The second.
        between: Methods both representations have, in order.
        through: Variables the value passes.
        statement: That ``call`` stands in.
        scope: It stands in.
    """

    there: Step
    back: Step
    between: tuple[str, ...]
    through: tuple[str, ...]
    statement: Stmt
    scope: int

    @property
    def call(self) -> Call:
        """The conversion back where it is a call, else the one there."""
        whole = self.back.whole if isinstance(self.back.whole, Call) else self.there.whole
        assert isinstance(whole, Call)
        return whole


class RoundTrips(Analysis):
    """Finds round trips, module by module, from facts alone."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._trips: dict[str, tuple[RoundTrip, ...]] = {}

    def of(self, module: Module) -> tuple[RoundTrip, ...]:
        """The round trips in a module, scope by scope."""
        known = self._trips.get(module.path)
        if known is None:
            known = self._trips[module.path] = tuple(self._found(module))
        return known

    def _found(self, module: Module) -> Iterator[RoundTrip]:
        known = self.project[Conversions]
        mentions = module.mentions
        pairs = [pair for pair in known.pairs if pair[0] & mentions and pair[1] & mentions]
        if not pairs:
            return
        for index in module.scopes_using(frozenset[str]().union(*(back for _, back in pairs))):
            used = {chain.rpartition(".")[2] for chain in module.scope(index).uses}
            words = frozenset(word for there, back in pairs if there & used for word in back & used)
            if words and (words != _MOVED or _HOST in bytes(module.facts.bodies[index])):
                yield from _Reader(known, module, index, words).trips()


class _Reader:
    """Reads the conversions of one scope."""

    def __init__(self, known: Conversions, module: Module, scope: int, words: frozenset[str]) -> None:
        self._known, self._module, self._scope, self._words = known, module, scope, words

    @cached_property
    def _flow(self) -> Flow:
        return self._module.project.flow(self._module.definition(self._scope))

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence(self._known, self._module, self._scope)

    def trips(self) -> Iterator[RoundTrip]:
        module = self._module
        for said in module.project[Spoken].of(module, self._scope):
            for node in said.nodes:
                if self._spells(node):
                    steps = (back for back in self._steps(node) if back.row.to not in NOT_BACK)
                    yield from islice(filter(None, (self._trip(back, said.statement) for back in steps)), 1)

    def _spells(self, node: Expr) -> bool:
        """Whether an expression is written like a conversion back."""
        kind = type(node)
        if kind is Call:
            node = node.function  # type: ignore[union-attr]
            kind = type(node)
        if kind is Ref or kind is Attribute:
            return node.name.rpartition(".")[2] in self._words  # type: ignore[union-attr]
        return False

    def _trip(self, back: Step, stmt: Stmt) -> RoundTrip | None:
        between: list[str] = []
        through: list[tuple[str, Stmt]] = []
        node = back.value
        for _ in range(_LONGEST):
            followed = self._followed(node, through)
            if followed is not None:
                node = followed
                continue
            for there in self._steps(node):
                if back.row.to in there.row.of and there.row.to in back.row.of and self._certain(there, back):
                    if not self._same_element(there, back):
                        return None
                    at = stmt if isinstance(back.whole, Call) or not through else through[-1][1]
                    names = tuple(name for name, _ in through)
                    return RoundTrip(there, back, tuple(reversed(between)), names, at, self._scope)
            on = receiver(node)
            if on is None or on[1] not in self._neutral(back.row):
                return None
            between.append(on[1])
            node = on[0]
        return None

    def _neutral(self, row: Conversion) -> set[str]:
        """Methods of what is converted back that change nothing the other representation could not change itself."""
        return {name for kind in row.of for name in self._known.kind(kind).alike}

    def _followed(self, node: Expr, through: list[tuple[str, Stmt]]) -> Expr | None:
        """The one expression a variable stands for that is read nowhere else."""
        if not isinstance(node, Ref) or "." in node.name or len(through) >= _FARTHEST:
            return None
        origins = self._flow.origins(node)
        if len(origins) != 1 or origins[0].kind != "assign" or origins[0].path or origins[0].value is None:
            return None
        if origins[0].statement is None or self._readers(node.name, origins[0].statement) != 1:
            return None
        through.append((node.name, origins[0].statement))
        return origins[0].value

    def _readers(self, name: str, definition: Stmt) -> int:
        """How often what one statement defines is read: elsewhere the other type may be needed, or changed."""
        scopes = self._module.facts.scopes
        inner = [one for index, one in enumerate(scopes) if index != self._scope and self._scope in (one.parent, 0)]
        if any(chain.partition(".")[0] == name for one in inner for chain in one.uses):
            return 2  # a nested function reads it, who knows when
        reads = self._reads.get(name, ())
        return sum(any(each.statement is definition for each in self._flow.origins(ref)) for ref in reads)

    @cached_property
    def _reads(self) -> dict[str, list[Ref]]:
        """The references of this body by the name they begin with; targets of assignments are none."""
        found: dict[str, list[Ref]] = {}
        for stmt in statements(self._module.body(self._scope)):
            bound = {id(ref) for ref in _bound(stmt)}
            for expr in expressions(stmt, self._module.facts.scopes):
                for node in walk(expr):
                    if isinstance(node, Ref) and id(node) not in bound:
                        found.setdefault(node.name.partition(".")[0], []).append(node)
        return found

    def _steps(self, node: Expr) -> Iterator[Step]:
        """The conversions an expression may be."""
        if isinstance(node, Call):
            if isinstance(node.function, (Ref, Attribute)):
                yield from self._calls(node, node.function)
        elif isinstance(node, (Ref, Attribute)):
            before = owner(node)
            for row in self._known.methods(node.name.rpartition(".")[2]) if before is not None else ():
                if row.attribute and before is not None:
                    yield Step(row, node, before)

    def _calls(self, node: Call, function: Ref | Attribute) -> Iterator[Step]:
        before, method = owner(function), function.name.rpartition(".")[2]
        for row in self._known.methods(method) if before is not None else ():
            if before is not None and not row.attribute and self._means(row, method, node):
                yield Step(row, node, before)
        names = self._linked(function)
        row_of = self._known.function(names[0]) if len(names) == 1 else None
        value = argument(node, row_of.argument, row_of.position) if row_of is not None else None
        if row_of is not None and value is not None and value is not UNKNOWN and self._plain(row_of, node):
            yield Step(row_of, node, value)

    def _linked(self, function: Ref | Attribute) -> tuple[str, ...]:
        """The names of a function; methods of values are read by their own names."""
        if isinstance(function, Attribute) or function.name.rpartition(".")[2] not in self._known.spelled:
            return ()
        if "." in function.name:
            return self._module.project.resolve(self._module, self._scope, function.name)
        return self._module.names(self._scope, function)

    def _means(self, row: Conversion, method: str, call: Call) -> bool:
        """``.to`` means what its argument says: to the host, or certainly to a device."""
        if method not in ("to", "cuda", "cpu"):
            words = [*call.args, *(keyword.value for keyword in call.keywords)]
            return len(words) <= 1 and all(isinstance(one, Const) and one.value in row.takes for one in words)
        if method != "to":
            return True
        if len(call.args) + len(call.keywords) != 1 or (call.keywords and call.keywords[0].name != "device"):
            return False
        target = call.args[0] if call.args else call.keywords[0].value
        if row.to == "host":
            return isinstance(target, Const) and target.value == "cpu"
        if isinstance(target, Const):
            return isinstance(target.value, str) and target.value.startswith(("cuda", "mps", "xpu", "npu"))
        if isinstance(target, Call):
            names = self._module.names(self._scope, target.function)
            return names == ("torch.device",) and not any(
                isinstance(arg, Const) and arg.value == "cpu" for arg in target.args
            )
        return isinstance(target, (Ref, Attribute)) and target.name.rpartition(".")[2].endswith(_DEVICE_WORDS)

    def _plain(self, row: Conversion, call: Call) -> bool:
        """Whether nothing is done beside converting that would be lost: labels of a frame are, a dtype is work."""
        allowed = {"copy", "columns", "index", "name", *(("dtype",) if row.to == "numpy" else ())}
        return row.to in ("torch", "tensorflow") or (
            len(call.args) <= 1 and all(word.name in allowed for word in call.keywords)
        )

    def _same_element(self, there: Step, back: Step) -> bool:
        """Whether a dtype NumPy is given on the way back is the one the array had."""
        if back.row.to != "numpy" or not isinstance(back.whole, Call) or not back.row.argument:
            return True
        given = argument(back.whole, "dtype")
        if given is None or given is UNKNOWN:
            return given is None
        return self._evidence.element(there.value) == last_name(given)

    def _certain(self, there: Step, back: Step) -> bool:
        """Whether what is converted is certainly what comes back."""
        kind = back.row.to
        if there.row.argument and isinstance(there.whole, Call) and argument(there.whole, "dtype") is not None:
            return False
        if there.row.tells or {there.row.to, kind} == {"host", "device"}:
            return True
        if kind == "numpy" and there.row.name in ("torch.from_numpy", "PIL.Image.fromarray"):
            return True  # they take nothing else
        if self._evidence.has_kind(kind, there.value):
            return (kind, there.row.to) != ("numpy", "list") or self._evidence.holds_numbers(there.value)
        return there.row.name.endswith(".Tensor.numpy") and self._evidence.only_library(kind, there.value)


def _bound(stmt: Stmt) -> Iterator[Ref]:
    """The plain names a statement binds."""
    if isinstance(stmt, Assign):
        waiting = list(stmt.targets)
    elif isinstance(stmt, (For, Annotate)):
        waiting = [stmt.target]
    elif isinstance(stmt, With):
        waiting = [item.target for item in stmt.items if item.target is not None]
    else:
        return
    while waiting:
        target = waiting.pop()
        if isinstance(target, Ref) and "." not in target.name:
            yield target
        elif isinstance(target, Build):
            waiting += target.items
        elif isinstance(target, Starred):
            waiting.append(target.value)
