"""Abstract values: what an expression may stand for, as far as the text shows it; ``evaluation`` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from mldebt.facts.schema import Build, Call
from mldebt.finding import Place

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

API, ANNOTATION, RANGE, NAME = 4, 3, 2, 1  # how much an evidence weighs


class Evidence(msgspec.Struct, frozen=True):
    """A quantity (prob, logprob, logit, other), who says so (``torch.softmax``), where, and how much that weighs."""

    quantity: str
    by: str
    place: Place
    weight: int = API


class Frame(msgspec.Struct, frozen=True, eq=False):
    """The call that gives a function its arguments. ``where`` None: read it in the root context."""

    call: Call
    module: Module
    scope: int
    context: Context | None
    skip: int


class Context(msgspec.Struct, frozen=True, eq=False):
    """Whose call runs which function, and which instance ``self`` is in which class.

    Frames of callers are found by forking the root; those of callees are pushed while their returns are read.
    """

    frames: Mapping[str, Frame] = msgspec.field(default_factory=dict)
    selves: Mapping[str, Instance] = msgspec.field(default_factory=dict)
    root: Context | None = None
    forked: Context | None = None  # the same but for the frame of ``by``
    by: str = ""

    @property
    def base(self) -> Context:
        return self.root or self

    def fork(self, name: str, frame: Frame) -> Context:
        """This context, with a call that runs one more function."""
        return Context({**self.frames, name: frame}, self.selves, None, self, name)


class Where(msgspec.Struct, frozen=True, eq=False):
    """A scope in a context: where an expression is read."""

    module: Module
    scope: int
    context: Context


class Constant(msgspec.Struct, frozen=True):
    """A literal's value; ``place`` is the statement or call that wrote it."""

    value: object
    place: Place | None = None


class Named(msgspec.Struct, frozen=True):
    """A library's or the project's function, class or module itself."""

    name: str


class Instance(msgspec.Struct, frozen=True, eq=False):
    """An instance of a class; ``call`` built it in ``where``, when that is seen."""

    name: str
    call: Call | None = None
    where: Where | None = None


class Display(msgspec.Struct, frozen=True, eq=False):
    """A tuple, list, set or dict that is written out."""

    build: Build
    where: Where


class Method(msgspec.Struct, frozen=True, eq=False):
    """A project's method, bound to an instance."""

    instance: Instance
    definition: Definition


class Member(msgspec.Struct, frozen=True, eq=False):
    """An attribute nobody in the project defines, of any value: ``x.softmax``."""

    value: Value
    name: str


class Super(msgspec.Struct, frozen=True, eq=False):
    """``super()`` in a class, for an instance."""

    instance: Instance
    owner: str


class Partial(msgspec.Struct, frozen=True, eq=False):
    """``functools.partial(function, ...)``."""

    function: Value
    call: Call


class Tensor(msgspec.Struct, frozen=True):
    """Numbers whose quantity is known."""

    evidence: Evidence


Value = Constant | Named | Instance | Display | Method | Member | Super | Partial | Tensor | None
Values = tuple["Value", ...]

UNKNOWN: Values = (None,)
