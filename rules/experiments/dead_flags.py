"""Flags that only ever stand one way, with the code that keeps from running: options and constants."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from mldebt.facts.schema import Annotate, Assign, Const, If, Match, Ref
from mldebt.facts.walk import statements
from mldebt.finding import Place
from mldebt.rule import Analysis

from .constant_tests import Branch, ConstantTests
from .flagged_code import DeadArm, FlaggedCode, stands
from .flags import Flags
from .outcomes import Arm


class DeadFlag(NamedTuple):
    """A switch that never moves: how it is called and how it stands, where, and what it keeps from running.

    ``name`` is "" for a literal test.
    ``proved``: nobody can move it without an edit of the source.
    """

    name: str
    state: str
    place: Place
    arms: tuple[DeadArm, ...]
    proved: bool


class DeadFlags(Analysis):
    """Answers which switches never move."""

    @cached_property
    def all(self) -> tuple[DeadFlag, ...]:
        found = [*self._options(), *self._constants()]
        # What hangs on one switch inside the dead code of another goes with that one.
        outer = [one for one in found if not any(_is_within(one, other) for other in found if other is not one)]
        return tuple(sorted(outer, key=lambda one: one.place))

    def _options(self) -> Iterator[DeadFlag]:
        for flag in self.project[Flags].all:
            arms = self.project[FlaggedCode].of(flag)
            if arms:
                yield DeadFlag(flag.spelling, stands(self.project, flag), flag.places[0], arms, False)

    def _constants(self) -> Iterator[DeadFlag]:
        groups: dict[str, list[Branch]] = {}
        for branch in self.project[ConstantTests].branches:
            key = branch.name or f"{branch.module.path}:{branch.stmt.line}:{branch.stmt.column}"
            groups.setdefault(key, []).append(branch)
        for branches in groups.values():
            first = branches[0]
            arms = tuple(arm for branch in branches if (arm := _arm(branch)) is not None)
            place, state = self._defined(first)
            if arms:
                name = first.name.rpartition(":")[2].rpartition(".")[2]
                yield DeadFlag(name, state, place, arms, True)

    def _defined(self, branch: Branch) -> tuple[Place, str]:
        """Where a constant is assigned, and what; a literal test's own place."""
        path, _, qualname = branch.name.partition(":")
        owner, _, name = qualname.rpartition(".")
        module = self.project.modules.get(path)
        definition = self.project.definition(f"{path}:{owner}") if module is not None else None
        for stmt in statements(definition.body) if definition is not None else ():
            if isinstance(stmt, (Assign, Annotate)) and name in _targets(stmt) and module is not None:
                value = stmt.value.value if isinstance(stmt.value, Const) else branch.outcome
                return module.place(stmt), repr(value)
        return branch.module.place(branch.stmt), "always true" if branch.outcome else "never true"


def _is_within(inner: DeadFlag, outer: DeadFlag) -> bool:
    ranges = [(arm.module.path, stmt.line, stmt.end_line) for arm in outer.arms for stmt in arm.arm.stmts]
    return all(
        any(
            path == module.path and first <= arm.guard.line and arm.guard.end_line <= last
            for path, first, last in ranges
        )
        for module, _, arm in inner.arms
    )


def _targets(stmt: Assign | Annotate) -> list[str]:
    targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target]
    return [target.name for target in targets if isinstance(target, Ref)]


def _arm(branch: Branch) -> DeadArm | None:
    """The code a constant test keeps from running."""
    if branch.conditional is not None:
        expr = branch.conditional.orelse if branch.outcome else branch.conditional.then
        return DeadArm(branch.module, branch.scope, Arm(branch.stmt, (), expr))
    stmt = branch.stmt
    if isinstance(stmt, Match) or not hasattr(stmt, "body"):
        return None
    dead = getattr(stmt, "orelse", ()) if branch.outcome and isinstance(stmt, If) else stmt.body
    return DeadArm(branch.module, branch.scope, Arm(stmt, tuple(dead), None)) if dead else None
