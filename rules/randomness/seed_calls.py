"""Calls that seed a global generator, with the value they seed it with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import For, Stmt, While
from mldebt.facts.walk import blocks
from mldebt.rule import Analysis

from .events import Seeds
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.facts.schema import Expr
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

_VALUES = ("seed", "a", "value", "new_seed", "s", "random_seed")


class SeedCall(NamedTuple):
    """A call that seeds libraries; ``value`` None: it is given none."""

    module: Module
    site: CallSite
    libraries: tuple[str, ...]
    value: Expr | None


class SeedCalls(Analysis):
    """``project[SeedCalls].all``: in files of the project, not in tests, in order."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.all: tuple[SeedCall, ...] = tuple(self._find())

    def _find(self) -> Iterator[SeedCall]:
        calls = self.project[Seeding].summaries.calls
        names = frozenset(calls.events.seeds)
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for _, site in module.calls_of(names):
                event = calls.event(module, site.scope, site.call)
                if isinstance(event, Seeds):
                    yield SeedCall(module, site, event.libraries, seed_of(site))


def seed_of(site: CallSite) -> Expr | None:
    """What a seeding call is given as its seed."""
    for name in _VALUES:
        found = argument(site.call, name)
        if found is not None and found is not UNKNOWN:
            return found
    return site.call.args[0] if site.call.args else None


def around(module: Module, scope: int, wanted: Stmt) -> tuple[Stmt, ...] | None:
    """The compound statements around a statement in its body, outermost first."""
    pending: list[tuple[tuple[Stmt, ...], Stmt]] = [((), stmt) for stmt in module.body(scope)]
    while pending:
        outer, stmt = pending.pop()
        if stmt is wanted:
            return outer
        if stmt.line <= wanted.line <= stmt.end_line:
            pending += [((*outer, stmt), inner) for block in blocks(stmt) for inner in block]
    return None


def loops(outer: tuple[Stmt, ...]) -> list[For | While]:
    """The loops among compound statements."""
    return [stmt for stmt in outer if isinstance(stmt, (For, While))]
