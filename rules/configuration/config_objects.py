"""What is known of a configuration object while it travels: which one it is, which part of it, and what wraps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from mldebt.facts.schema import Call, Expr, Stmt

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module

PARSER, CLASS, FILE, HYDRA = "parser", "class", "file", "hydra"

# How an option is read; what becomes of a whole object; how one is written.
ATTRIBUTE, SUBSCRIPT, GETATTR, GET, PROBE, SPREAD = "attribute", "subscript", "getattr", "get", "probe", "spread"
UNSEEN, DYNAMIC, ITERATED, SHOWN, BUILT = "unseen", "dynamic", "iterated", "shown", "built"

Names = tuple[str, ...]


class Root(NamedTuple):
    """Where a configuration object comes into being.

    Args:
        kind: PARSER (a namespace), CLASS (an instance), FILE (what is loaded) or HYDRA (what a main function is given).
        key: What tells it from others: the class's or file's name, or the place of the creating call.
        path, line, column: That place; a class's own for CLASS.
    """

    kind: str
    key: str
    path: str
    line: int
    column: int


class Hold(NamedTuple):
    """What a value is: ``root``'s part ``section``, to be reached through ``path`` if something wraps it.

    ``copied``: a copy, whose changes do not show in the original. ``sure``: no guess led here.
    """

    root: Root
    section: Names = ()
    path: tuple[int | str, ...] = ()
    copied: bool = False
    sure: bool = True


Holds = frozenset[Hold]
NOTHING: Holds = frozenset()


class Event(Struct, frozen=True, eq=False):
    """Something done to the part ``names`` of ``root``; ``how`` is one of the words above."""

    root: Root
    names: Names
    how: str
    module: Module
    scope: int
    statement: Stmt
    node: Expr
    who: str = ""
    sure: bool = True

    @property
    def place(self) -> Place:
        return self.module.place(self.node if hasattr(self.node, "line") else self.statement)

    @property
    def order(self) -> tuple[str, int, int]:
        node = self.node if hasattr(self.node, "line") else self.statement
        return (self.module.path, node.line, node.column)  # type: ignore[union-attr]  # both have positions


Book = dict[tuple[object, ...], Event]


class Given(Struct, frozen=True, eq=False):
    """An option handed to a call as one of its arguments: ``train(lr=args.lr)``."""

    root: Root
    names: Names
    module: Module
    scope: int
    call: Call
    value: Expr


class Journal(Struct):
    """All that was seen of configuration objects.

    ``reads``: options read; ``writes``: options assigned; ``escapes``: whole objects or sections that leave;
    ``opened``: objects that got options of names not known; ``given``: options handed to calls.
    """

    reads: Book = field(default_factory=dict)
    writes: Book = field(default_factory=dict)
    escapes: Book = field(default_factory=dict)
    opened: Book = field(default_factory=dict)
    given: dict[tuple[object, ...], Given] = field(default_factory=dict)

    def note(self, book: Book, event: Event) -> None:
        key = (event.root, event.names, event.how, *event.order)
        held = book.get(key)
        if held is None or (event.sure and not held.sure):
            book[key] = event

    def hand(self, given: Given) -> None:
        key = (given.root, given.names, given.module.path, given.call.line, given.call.column, id(given.value))
        self.given.setdefault(key, given)


def wrapped(holds: Iterable[Hold], step: int | str) -> Iterator[Hold]:
    """The holds as they are inside a tuple, a list or a dict."""
    for hold in holds:
        if len(hold.path) < _DEEPEST:
            yield hold._replace(path=(step, *hold.path))


def unwrapped(holds: Iterable[Hold], step: int | str) -> Iterator[Hold]:
    """What is inside, for those that have something at that place."""
    for hold in holds:
        if hold.path and (hold.path[0] == step or hold.path[0] == "*"):
            yield hold._replace(path=hold.path[1:])


_DEEPEST = 3
