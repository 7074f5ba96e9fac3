"""The abstract values of the row flow: which rows a value holds, and what went into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Union

from msgspec import Struct, field
from msgspec.structs import replace

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module

    from .knowledge import Fitter, Splitter
    from .picking import Picks

TRAIN, TEST, VALIDATION = "train", "test", "validation"
MISSING = "missing"  # the part of a subset: the rows that have a value, or those that lack it


class Site(Struct, frozen=True, eq=False, gc=False):
    """Where something happens: a fact of a module with a position, and the scope it is evaluated in."""

    module: Module
    scope: int
    fact: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Site) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def place(self) -> Place:
        return self.module.place(self.fact)

    @property
    def key(self) -> tuple[str, int, int]:
        return self.module.path, self.fact.line, self.fact.column  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return f"{self.module.path}:{self.fact.line}"  # type: ignore[attr-defined]


class Rows(Struct, frozen=True, eq=False):
    """A set of rows. ``how`` they come from ``parents``: source, subset, split, copy or join; ``part`` of a split."""

    how: str
    site: Site
    parents: tuple[Rows, ...] = ()
    part: str = ""
    random: bool = False

    def ancestry(self) -> Iterator[tuple[Rows, Rows | None]]:
        """Itself and every set it comes from, each with the nearest split between."""
        waiting: list[tuple[Rows, Rows | None]] = [(self, None)]
        seen: set[int] = set()
        while waiting:
            rows, split = waiting.pop()
            if id(rows) in seen:
                continue
            seen.add(id(rows))
            yield rows, split
            below = rows if rows.how == "split" else split
            waiting += [(parent, below) for parent in rows.parents]

    def is_part(self) -> bool:
        """Whether a split lies behind it."""
        return any(rows.how == "split" for rows, _ in self.ancestry())


Sets = frozenset[Rows]


class Mark(Struct, frozen=True):
    """Something that was done to values. ``kind``: fit, copies, windows, time, future, lost or join.

    Args:
        kind: What was done.
        rows: The rows it was done with.
        site: Where.
        label: How it is called: ``StandardScaler``, ``mean``.
        column: The column it is about, where one is named.
        grouped: Computed by group.
        origin: Of a prediction: where the model was fitted.
        mixed: Of a prediction: other values stand beside it.
        mild: It only fills missing values of its column, or learns the names of categories.
    """

    kind: str
    rows: Sets
    site: Site
    label: str
    column: str | None = None
    grouped: bool = False
    origin: Site | None = None
    mixed: bool = False
    mild: bool = False


Marks = frozenset[Mark]


class Columns(Struct, frozen=True):
    """Which columns a value has.

    Args:
        frame: The frame they come from.
        series: One column, or what is computed of columns; ``names`` are those it was computed of.
        whole: Every column of the frame but ``names``; otherwise ``names`` alone.
        names: See above.
        derived: Columns computed of others: (name, names).
        moved: A shift or a window over time lies between.
        own: The name of the column a series is.
        span: Of all columns those from one position to before another.
        classes: A series that cuts another one into classes; ``classed``: the columns that do.
    """

    frame: int
    whole: bool = True
    names: frozenset[str] = frozenset()
    series: bool = False
    derived: frozenset[tuple[str, frozenset[str]]] = frozenset()
    moved: bool = False
    own: str | None = None
    span: tuple[int | None, int | None] | None = None
    classes: bool = False
    classed: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Whether a column is certainly among them: one with a name, or ``column 3``, ``column -1``."""
        at = name.removeprefix("column ")
        if self.whole and at != name and at.removeprefix("-").isdigit():
            return not self.series and not self.names and (self.span is None or _is_within(int(at), *self.span))
        return not self.series and self.span is None and ((name in self.names) != self.whole)


def _is_within(at: int, lower: int | None, upper: int | None) -> bool:
    """Whether a position certainly lies in a slice, whatever the length."""
    if at >= 0:
        return 0 <= (lower or 0) <= at and (upper is None or at < upper)
    if lower is not None and lower < 0 and at < lower:
        return False
    return upper is None or (upper < 0 and at < upper)


class Data(Struct, frozen=True):
    """A frame, an array, a series or a list of rows."""

    rows: Sets
    marks: Marks = frozenset()
    columns: Columns | None = None
    site: Site | None = None
    window: bool = False
    element: bool = False  # one row of many, in a loop over them

    def marked(self, marks: Iterable[Mark]) -> Data:
        found = self.marks.union(marks)
        return self if len(found) == len(self.marks) else replace(self, marks=found)

    def kinds(self, kind: str) -> list[Mark]:
        return sorted((mark for mark in self.marks if mark.kind == kind), key=lambda mark: mark.site.key)


class Stat(Struct, frozen=True):
    """A figure, or figures by column or group, computed over rows."""

    marks: Marks
    rows: Sets
    test: str = ""  # a score: the part of the data it was measured on


class Known(Struct, frozen=True):
    """A constant."""

    value: bool | int | float | str | None


class Names(Struct, frozen=True):
    """Column names of a frame, as a list or an index."""

    columns: Columns


class Items(Struct, frozen=True):
    """A tuple, list, set or dict; ``keys`` for a dict. Kind ``each``: an iterator that gives all values every time."""

    values: tuple[Value, ...]
    kind: str = "tuple"
    keys: tuple[object, ...] = ()
    depth: int = 0
    appended: tuple[int, ...] = ()  # depth of loops each value was appended at


class Index(Struct, frozen=True):
    """Row numbers of one part of a split."""

    rows: Sets
    part: str
    site: Site
    random: bool


class Folds(Struct, frozen=True):
    """What a splitter's ``split`` iterates over."""

    data: Data
    site: Site
    random: bool


class Fit(Struct, eq=False):
    """A transformer or model; ``fitted`` is what its last fit saw."""

    name: str
    site: Site
    row: Fitter | None = None
    fitted: Marks = frozenset()
    sure: bool = True
    inner: tuple[Fit, ...] = ()
    kind: str = ""
    trained: Sets = frozenset()
    stops: bool = False  # ``early_stopping_rounds`` is given when it is made
    picks: Picks | None = None
    folds: Cutter | None = None  # what a search cuts its rows with
    at: Site | None = None  # its last fit
    seen: tuple[Mark, ...] = ()  # what was fitted on the features before, and changed them


class Stored(Struct, eq=False):
    """What the programs of a project leave in files, by the files' names."""

    rows: dict[str, Marks] = field(default_factory=dict)
    models: dict[str, Fit] = field(default_factory=dict)


class Cutter(Struct, frozen=True):
    """A splitter object: ``KFold(5, shuffle=True)``."""

    row: Splitter
    random: bool
    site: Site


class Instance(Struct, eq=False):
    """An object of a project class."""

    name: str
    values: dict[str, Value] = field(default_factory=dict)


class Bound(Struct, frozen=True):
    """A function of the project, perhaps with its receiver."""

    name: str
    receiver: Instance | None = None


class Grouped(Struct, frozen=True):
    """``frame.groupby(...)``, perhaps with one column taken."""

    data: Data
    column: str | None = None


class View(Struct, frozen=True):
    """An accessor of a frame: ``loc``, ``iloc``, ``rolling(3)``, ``str``."""

    data: Data
    name: str


Value = Union[  # noqa: UP007 - forward references do not take |
    Data, Stat, Known, Names, Items, Index, Folds, Fit, Cutter, Instance, Bound, Grouped, View, None
]  # fmt: skip


class Event(Struct, frozen=True):
    """What happened. ``kind``: split, cut, fit, predict, score, leak, write, folds (of a search) or tensor.

    Args:
        kind: What.
        site: Where.
        data: The data it was done with, features first.
        random: Whether a split draws its rows at random.
        label: The name of what was called.
        part: Of a cut: which part it takes.
        mark: Of a leak: what saw the held-out rows.
    """

    kind: str
    site: Site
    data: tuple[Value, ...]
    random: bool = False
    label: str = ""
    part: str = ""
    mark: Mark | None = None
    decides: bool = False


@cache
def part_of(name: str) -> str:
    """Which part of a split a variable's name says it holds."""
    words = _words(name)
    if words & {"train", "trn", "tr", "training"} and not words & {"test", "val", "valid", "validation"}:
        return TRAIN
    if words & {"test", "tst", "te", "testing", "holdout"}:
        return TEST
    return VALIDATION if words & {"val", "valid", "validation", "dev", "cv", "eval"} else ""


def _words(name: str) -> set[str]:
    spaced = "".join(f"_{one.lower()}" if one.isupper() else one if one.isalpha() else "_" for one in name)
    whole = "".join(one.lower() if one.isalpha() else "_" for one in name)
    # X_train, xTrain, Xtr, ytest: one letter in front belongs to the name of what is split.
    found = set(spaced.split("_")) | set(whole.split("_"))
    return found | {word[1:] for word in found if word[:1] in ("x", "y") and len(word) > 2}
