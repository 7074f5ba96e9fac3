"""What calls mean for quantities: the rows of ``quantities.toml``, asked by any of the names a library goes by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from mldebt.rule import Row, RowT, Table

if TYPE_CHECKING:
    from mldebt.project.project import Project

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_KERAS = ("tensorflow.keras.", "tf_keras.", "keras.src.", "tensorflow.python.keras.", "tensorflow.compat.v1.keras.")
_TENSORFLOW = ("tensorflow.compat.v1.", "tensorflow.compat.v2.")
_KERAS_PLACES = frozenset({"layers", "losses", "optimizers", "activations", "models", "metrics"})


class FunctionRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A function or method that ``gives`` a quantity, ``converts`` its argument's, or ``keeps`` it."""

    gives: str = ""
    converts: dict[str, str] = msgspec.field(default_factory=dict)
    keeps: bool = False
    argument: str = "input"
    position: int = 0


class LayerRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A layer class; ``activation`` is the position of the argument applied last (-1: keyword only)."""

    gives: str = ""
    keeps: bool = False
    activation: int | None = None


class LossRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A loss: what its ``input`` has to be, and the argument that makes it expect logits instead."""

    expects: str
    link: str
    input: str
    position: int
    switch: str = ""
    switch_position: int | None = None
    text: str = ""


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An argument with a range; see the head of the table."""

    argument: str
    quantity: str
    position: int | None = None
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    counts: bool = False
    elements: bool = False
    trains: bool = False
    compiled: bool = False
    unclipped: bool = False

    def admits(self, value: float) -> bool:
        """Whether a number is in the range, or may be a count."""
        if self.counts and isinstance(value, int) and value >= 1:
            return True
        low = self.low is None or (value > self.low if self.open_low else value >= self.low)
        high = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return low and high

    @property
    def range(self) -> str:
        """The range in words: ``between 0 and 1``."""
        if self.low is None or self.high is None:
            return f"at least {self.low:g}" if self.low is not None else f"at most {self.high:g}"
        return f"in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


class SlotRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A callable with arguments that have ranges."""

    slots: tuple[Slot, ...]


class NameRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A quantity and the tokens that speak of it in names."""

    tokens: tuple[str, ...]


def canonical(name: str) -> str:
    """The one name rows use for a library's callable: its public path, whatever module it was imported from."""
    for prefix in _KERAS:
        if name.startswith(prefix):
            name = f"keras.{name[len(prefix) :]}"
            break
    else:
        for prefix in _TENSORFLOW:
            if name.startswith(prefix):
                name = f"tensorflow.{name[len(prefix) :]}"
    if name.startswith("keras."):
        parts = name.split(".")
        if len(parts) > 3 and parts[1] in _KERAS_PLACES and parts[2].islower():
            return ".".join((parts[0], parts[1], parts[-1]))
        if parts[1] == "models" and len(parts) > 2:
            return ".".join(("keras", *parts[2:]))
    if name.startswith("torch.nn.modules."):
        return f"torch.nn.{name.rpartition('.')[2]}"
    return name


class Named(frozenset[str]):
    """The names a row's callable may be written by, as linked names: keras by any of its packages."""

    @classmethod
    def of(cls, names: Iterable[str]) -> Named:
        found: set[str] = set()
        for name in names:
            found.add(name)
            if name.startswith("keras."):
                found.update(prefix + name[len("keras.") :] for prefix in _KERAS)
                if name.count(".") == 1 or name.startswith(("keras.Model.", "keras.Sequential.")):
                    found.update(f"{prefix}models.{name[len('keras.') :]}" for prefix in ("keras.", *_KERAS))
            elif name.startswith("tensorflow."):
                found.update(prefix + name[len("tensorflow.") :] for prefix in _TENSORFLOW)
        return cls(found)


class Knowledge:
    """The tables, with the user's rows on top."""

    functions: ClassVar[Table[FunctionRow]] = Table("quantities.toml", "functions", FunctionRow)
    methods: ClassVar[Table[FunctionRow]] = Table("quantities.toml", "methods", FunctionRow)
    layers: ClassVar[Table[LayerRow]] = Table("quantities.toml", "layers", LayerRow)
    losses: ClassVar[Table[LossRow]] = Table("quantities.toml", "losses", LossRow)
    slots: ClassVar[Table[SlotRow]] = Table("quantities.toml", "slots", SlotRow)
    names: ClassVar[Table[NameRow]] = Table("quantities.toml", "names", NameRow)

    def __init__(self, project: Project) -> None:
        self._project = project

    def rows(self, table: Table[RowT]) -> Mapping[str, RowT]:
        return self._project.rows(table)

    def row(self, table: Table[RowT], name: str) -> RowT | None:
        """The row of a linked name."""
        return self._project.rows(table).get(canonical(name))

    def named(self, name: str) -> str | None:
        """The quantity a name speaks of by its last words: ``log_probs`` is logprob, ``class_probs`` prob."""
        words = [word.lower() for word in _WORD.findall(name)]
        tails = {"_".join(words[-count:]) for count in (1, 2) if len(words) >= count}
        rows = self.rows(self.names)
        found = [quantity for quantity, row in rows.items() if not tails.isdisjoint(row.tokens)]
        longest = [q for q in found if any("_" in token and token in tails for token in rows[q].tokens)] or found
        return longest[0] if longest else None
