"""What the must-analysis sees of one function: its events and calls, in the order and under the conditions they run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from mldebt.facts.schema import Call, Imports

from .events import Draws
from .guards import Guard

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

RETURN, STOP, BREAK, CONTINUE = "return", "stop", "break", "continue"
FOR, WHILE, ENDLESS = "for", "while", "endless"
NOW, LATER, WORKER = "now", "later", "worker"


class Key(msgspec.Struct, frozen=True, order=True):
    """One body to analyse: scope ``index`` of ``path``; for methods the class of the object, as far as it is known.

    ``main``: a module run as a script; imported, its ``if __name__ == "__main__":`` does not run.
    """

    path: str
    index: int
    owner: str = ""
    main: bool = False


class Site(msgspec.Struct, frozen=True):
    """Where something happens."""

    module: Module
    fact: Call | Imports
    name: str

    @property
    def position(self) -> tuple[str, int, int]:
        return self.module.path, self.fact.line, self.fact.column


class SeedOp(msgspec.Struct, frozen=True):
    """A call that seeds; ``owner``: a parameter of this function that is the seed."""

    libraries: tuple[str, ...]
    site: Site
    owner: str = ""


class RestoreOp(msgspec.Struct, frozen=True):
    """The state from before is back: what this function seeded so far is gone."""

    libraries: tuple[str, ...]


class DrawOp(msgspec.Struct, frozen=True):
    """``owner``: a parameter of this function that owns the draw unless it is None; ``kept``: it is in a factory."""

    draw: Draws
    site: Site
    owner: str = ""
    kept: bool = False


class Callee(msgspec.Struct, frozen=True):
    """A body that a call runs.

    Args:
        key: The body.
        definition: Its function, class or module.
        offset: How many parameters the receiver fills; None when the arguments are not this call's.
        built: Constructors of which one has run already, somewhere out of sight: the receiver is of an unknown class.
    """

    key: Key
    definition: Definition
    offset: int | None
    built: tuple[Key, ...] = ()


class CallOp(msgspec.Struct, frozen=True):
    """A call into the project.

    Args:
        site: The call.
        scope: The scope it is evaluated in, for its arguments.
        alternatives: Groups of callees of which one runs; the callees of a group run in turn.
        sure: Whether one of the alternatives certainly runs; if not, more overrides may exist.
        when: NOW, LATER (somebody keeps the function) or WORKER (worker processes of a data loader run it).
    """

    site: Site
    scope: int
    alternatives: tuple[tuple[Callee, ...], ...]
    sure: bool = True
    when: str = NOW


class ImportOp(msgspec.Struct, frozen=True):
    """A module body imports others: of those that did not run yet, the bodies run here."""

    site: Site
    targets: tuple[str, ...]


class BranchOp(msgspec.Struct, frozen=True):
    """``if``."""

    guard: Guard
    then: Block
    orelse: Block


class ChoiceOp(msgspec.Struct, frozen=True):
    """Arms of which one runs; ``falls``: or none."""

    arms: tuple[Block, ...]
    falls: bool


class LoopOp(msgspec.Struct, frozen=True):
    """FOR, WHILE or ENDLESS (``while True``)."""

    kind: str
    body: Block
    orelse: Block


class TryOp(msgspec.Struct, frozen=True):
    """Each handler with whether it only stands for what cannot be imported here, or for the user's interrupt."""

    body: Block
    handlers: tuple[tuple[Block, bool], ...]
    orelse: Block
    final: Block


class WithOp(msgspec.Struct, frozen=True):
    """``managers``: the project's context managers; ``scoped``: libraries whose state is put back at the end.

    ``exits``: methods that run at the end.
    """

    managers: tuple[CallOp, ...]
    scoped: tuple[str, ...]
    exits: tuple[Key, ...]
    body: Block


class ExitOp(msgspec.Struct, frozen=True):
    """RETURN, STOP (an exception, the end of the process), BREAK or CONTINUE."""

    kind: str


class YieldOp(msgspec.Struct, frozen=True):
    """The body hands over a value, or control to a ``with`` block."""


Op = SeedOp | RestoreOp | DrawOp | CallOp | ImportOp | BranchOp | ChoiceOp | LoopOp | TryOp | WithOp | ExitOp | YieldOp
Block = tuple[Op, ...]


class Program(msgspec.Struct, frozen=True):
    """One body. ``wrappers``: what its decorators run around it; ``manager``: a generator made a context manager."""

    key: Key
    block: Block
    wrappers: tuple[Key, ...] = ()
    manager: bool = False

    def callees(self) -> Iterator[Key]:
        """Every body this one may run, in order; the same one again wherever it is called again."""
        yield from self.wrappers
        for op in _ops(self.block):
            if isinstance(op, CallOp):
                for group in op.alternatives:
                    for callee in group:
                        yield callee.key
                        yield from callee.built
            elif isinstance(op, WithOp):
                yield from op.exits

    def runs(self) -> Iterator[Key]:
        """The bodies its own calls run at once."""
        for op in _ops(self.block):
            if isinstance(op, CallOp) and op.when == NOW:
                yield from (callee.key for group in op.alternatives for callee in group)

    def imports(self) -> Iterator[str]:
        """Paths of the modules the body imports."""
        return (path for op in _ops(self.block) if isinstance(op, ImportOp) for path in op.targets)

    def acts(self) -> bool:
        """Whether the body does more than to import, on some condition or other."""
        return not all(isinstance(op, (ImportOp, BranchOp, ChoiceOp, TryOp)) for op in _ops(self.block))

    def libraries(self) -> Iterator[str]:
        """Libraries the body itself draws from."""
        return (op.draw.library for op in _ops(self.block) if isinstance(op, DrawOp))


def blocks(op: Op) -> tuple[Block, ...]:
    """The blocks inside an operation."""
    if isinstance(op, BranchOp):
        return (op.then, op.orelse)
    if isinstance(op, ChoiceOp):
        return op.arms
    if isinstance(op, LoopOp):
        return (op.body, op.orelse)
    if isinstance(op, TryOp):
        return (op.body, *[block for block, _ in op.handlers], op.orelse, op.final)
    if isinstance(op, WithOp):
        return (tuple(op.managers), op.body)
    return ()


def _ops(block: Sequence[Op]) -> Iterator[Op]:
    """Every operation of a block and of the blocks in it."""
    stack = [iter(block)]
    while stack:
        for op in stack[-1]:
            yield op
            inner = blocks(op)
            if inner:
                stack.extend(iter(one) for one in reversed(inner))
                break
        else:
            stack.pop()
