"""Values whose order is undefined, and the places where their order becomes meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Binary,
    Build,
    Call,
    Comprehension,
    Expr,
    For,
    Ref,
    Starred,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis, FileParts

from .following import Following, Use
from .kinds import INT, TEXT, Kinds
from .order_sinks import FIRST, Sink, is_settled, sink_of, taken_in_loop

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

SETS = frozenset({"builtins.set", "builtins.frozenset"})
LISTINGS = frozenset(
    "os.listdir os.scandir glob.glob glob.iglob pathlib.Path.glob pathlib.Path.rglob pathlib.Path.iterdir".split()
)
_ALL = SETS | LISTINGS
_METHODS = frozenset({"iterdir", "rglob"})
_SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_KEEPS = frozenset(
    "builtins.list builtins.tuple builtins.iter builtins.enumerate builtins.map builtins.filter builtins.reversed "
    "builtins.zip builtins.dict builtins.dict.fromkeys tqdm.tqdm tqdm.auto.tqdm numpy.array numpy.asarray copy.copy "
    "itertools.chain random.sample numpy.random.permutation collections.OrderedDict".split()
)
# A comprehension that makes a set, and a set of texts written out.
_DISPLAY = re.compile(r"\{[^{}:\n]*(?:\n[^{}:\n]*){0,4}\sfor\s|\{\s*['\"][^{}:]{0,400}['\"],?\s*\}")
_NUMBERS = re.compile(
    r"(^|_)(ids?|idxs?|idx|inds|indices|index|indexes|years?|months?|days?|nums?|numbers?|sizes?|lengths?|lens?|counts?|"
    r"steps?|levels?|epochs?|ports?|dims?|axes|axis|ranks?|seeds?|lines?|positions?|offsets?|masks?|shapes?|range|int|ints)($|_)",
    re.IGNORECASE,
)
_SAVES = frozenset("dump save savez safe_dump save_pickle to_json write_json save_json dumps".split())
_MOST = 120


class Unordered(NamedTuple):
    """One flow from a value without order to a place that takes its order.

    Args:
        use: Where the value is made.
        listing: Whether the file system decides the order, and not the hash seed.
        texts: Whether it is known to hold texts.
        sink: What is made of the order.
        saved: Whether that is written to a file.
    """

    use: Use
    listing: bool
    texts: bool
    sink: Sink
    saved: bool


class SetDisplays(Analysis):
    """The lines of a file that may write out a set without calling ``set``: the facts keep no list of them."""

    collected: ClassVar[Any] = list[int]

    @classmethod
    def collect(cls, file: FileParts) -> list[int] | None:
        text = file.source.text
        if "{" not in text:
            return None
        return [text.count("\n", 0, found.start()) + 1 for found in _DISPLAY.finditer(text)] or None


class UnorderedFlows(Analysis):
    """``project[UnorderedFlows].all``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._following = project[Following]
        self._kinds = project[Kinds]
        self.all: tuple[Unordered, ...] = tuple(self._find())

    def _find(self) -> Iterator[Unordered]:
        displays = self.project.collected(SetDisplays)
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            seen: set[int] = set()
            sunk: set[int] = set()
            for use, listing in (*self._called(module), *self._displayed(module, displays.get(module.path, ()))):
                if id(use.value) not in seen:
                    seen.add(id(use.value))
                    found = self._flow(use, listing)
                    key = (
                        id(found.sink.use.around[0] if found.sink.use.around else found.sink.use.value) if found else 0
                    )
                    if found is not None and key not in sunk:
                        sunk.add(key)
                        yield found

    # Sources.

    def _called(self, module: Module) -> Iterator[tuple[Use, bool]]:
        for name, site in module.calls_of(_ALL):
            use = self._following.start(module, site.scope, site.statement, site.call)
            if use is not None and (
                name in LISTINGS or site.call.args or isinstance(site.statement, (Assign, Annotate))
            ):
                yield use, name in LISTINGS
        for index in module.scopes_using(_METHODS):
            for site in module.call_sites(index):
                if last_segment(site.call.function) in _METHODS and not module.names(index, site.call.function):
                    use = self._following.start(module, index, site.statement, site.call)
                    if use is not None:
                        yield use, True

    def _displayed(self, module: Module, lines: list[int] | tuple[()]) -> Iterator[tuple[Use, bool]]:
        for scope in sorted({module.scope_at(line) for line in lines}):
            for stmt in statements(module.body(scope)):
                for root in expressions(stmt, module.facts.scopes):
                    for node in walk(root):
                        if isinstance(node, (Comprehension, Build)) and node.kind == "set":
                            use = self._following.start(module, scope, stmt, node)
                            if use is not None:
                                yield use, False

    def _holds(self, use: Use) -> str:
        """What a set holds: TEXT, INT or ""."""
        value = use.value
        if isinstance(value, Call) and not value.args:
            return self._added(use)
        held = value.args[0] if isinstance(value, Call) else value
        kind = self._kinds.held(use.module, use.scope, held)
        if kind in (TEXT, INT):
            return kind
        if isinstance(held, Comprehension):
            held = held.element
        names = [node.name for node in walk(held) if isinstance(node, (Ref, Attribute))]
        # ``[... for ...]`` in the argument was unpacked by walk; a column is named by a text.
        return INT if any(_NUMBERS.search(name.rpartition(".")[2]) for name in names) else ""

    def _added(self, use: Use) -> str:
        """What is added to a set that starts empty."""
        kinds = set()
        for one in self._following.uses(use, lambda _: False):
            name = one.value.name if isinstance(one.value, Ref) else ""
            call = one.around[0] if one.around else None
            if name.endswith((".add", ".update")) and isinstance(call, Call) and call.args:
                arg = call.args[0]
                whole = name.endswith(".update")
                kind = self._kinds.held if whole else self._kinds.of
                found = kind(one.module, one.scope, arg)
                numbered = isinstance(arg, Ref) and _NUMBERS.search(arg.name.rpartition(".")[2])
                kinds.add(found or (INT if numbered else ""))
        return INT if INT in kinds or not kinds else TEXT if kinds == {TEXT} else ""

    # The way to a sink.

    def _flow(self, start: Use, listing: bool) -> Unordered | None:
        # One element of a set is mostly any, and mostly the only one; ``list(set(x))[0]`` is taken for the first.
        any_will_do = not listing and not (start.around and _last_of(start.around[0]) == "list")
        uses: list[Use] = []
        for use in self._following.uses(start, _keeps):
            uses.append(use)
            if len(uses) > _MOST or is_settled(use):
                return None
        grown = [more for use in uses for more in self._grown(use)]
        if any(is_settled(use) for use in grown):
            return None
        found = [
            sink
            for use, apart in [*((use, False) for use in uses), *((use, True) for use in grown)]
            if (sink := sink_of(use, listing, apart)) is not None and not (any_will_do and sink.rank == FIRST)
        ]
        held = TEXT if listing or not found else self._holds(start)  # asked last: it goes back through callers
        if not found or held == INT:
            return None
        sink = min(found, key=lambda one: one.rank)
        return Unordered(start, listing, held == TEXT, sink, self._is_saved(sink))

    def _grown(self, use: Use) -> Iterator[Use]:
        """Lists that a loop over the value appends to, where they are read after it."""
        stmt = use.statement
        if not isinstance(stmt, For) or use.around:
            return
        for name in taken_in_loop(stmt):
            for read in self._following.variable(use.module, use.scope, name):
                if read.statement.line > stmt.end_line:
                    yield read
                    if read.around and _keeps(read):
                        yield read._replace(value=read.around[0], around=read.around[1:])

    def _is_saved(self, sink: Sink) -> bool:
        """Whether a mapping goes into a file."""
        if sink.made is None:
            return False
        for use in self._following.uses(sink.made, lambda one: isinstance(one.around[0], (Build, Starred))):
            call = use.around[0] if use.around else None
            if (
                isinstance(call, Call)
                and isinstance(call.function, (Ref, Attribute))
                and use.value is not call.function
            ):
                last = call.function.name.rpartition(".")[2]
                if last in ("dump", "save", "savez", "safe_dump", "save_pickle", "to_json", "write_json", "save_json"):
                    return True
        return False


def _last_of(expr: Expr) -> str:
    return last_segment(expr.function) if isinstance(expr, Call) else ""


def _keeps(use: Use) -> bool:
    """Whether the order of a value is the order of what is made of it."""
    parent = use.around[0]
    if isinstance(parent, Call):
        if use.value is parent.function:
            name = last_segment(use.value)
            return name in _SET_METHODS or name in ("keys", "items", "values", "tolist")
        function = parent.function
        names = use.module.names(use.scope, function) if isinstance(function, (Ref, Attribute)) else ()
        return not _KEEPS.isdisjoint(names) or (isinstance(function, Ref) and function.name == "dict.fromkeys")
    if isinstance(parent, Comprehension):
        return use.value is parent.generators[0].iterable
    if isinstance(parent, Binary):
        return parent.op in ("+", "-", "|", "&", "^")
    if isinstance(parent, Build):
        return isinstance(use.value, Starred)
    if isinstance(parent, Attribute):
        return parent.name in (*_SET_METHODS, "keys", "items", "values", "tolist")
    return isinstance(parent, Starred)
