"""Abstract values: what an expression may stand for, as far as the text shows it; ``evaluation`` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mldebt.facts.schema import Build, Call
from mldebt.finding import Place

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

API, ANNOTATION, RANGE, NAME = 4, 3, 2, 1  # how much an evidence weighs


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quantity (prob, logprob, logit, other), who says so (``torch.softmax``), where, and how much that weighs."""

    quantity: str
    by: str
    place: Place
    weight: int = API


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The call that gives a function its arguments. ``where`` None: read it in the root context."""

    call: Call
    module: Module
    scope: int
    context: Context | None
    skip: int


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Whose call runs which function, and which instance ``self`` is in which class.

    Frames of callers are found by forking the root; those of callees are pushed while their returns are read.
    """

    frames: Mapping[str, Frame] = field(default_factory=dict)
    selves: Mapping[str, Instance] = field(default_factory=dict)
    root: Context | None = None

    @property
    def base(self) -> Context:
        return self.root or self


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """A scope in a context: where an expression is read."""

    module: Module
    scope: int
    context: Context


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal's value; ``place`` is the statement or call that wrote it."""

    value: object
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A library's or the project's function, class or module itself."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """An instance of a class; ``call`` built it in ``where``, when that is seen."""

    name: str
    call: Call | None = None
    where: Where | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Display:
    """A tuple, list, set or dict that is written out."""

    build: Build
    where: Where


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A project's method, bound to an instance."""

    instance: Instance
    definition: Definition


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """An attribute nobody in the project defines, of any value: ``x.softmax``."""

    value: Value
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Super:
    """``super()`` in a class, for an instance."""

    instance: Instance
    owner: str


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """``functools.partial(function, ...)``."""

    function: Value
    call: Call


@dataclass(frozen=True, slots=True)
class Tensor:
    """Numbers whose quantity is known."""

    evidence: Evidence


Value = Constant | Named | Instance | Display | Method | Member | Super | Partial | Tensor | None
Values = tuple["Value", ...]

UNKNOWN: Values = (None,)
