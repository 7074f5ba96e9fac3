"""Wrappers followed to their users: the slots of a path, filled in at the calls of the functions they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Call, Stmt
from mldebt.project.attributes import self_name
from mldebt.project.callers import given

from .accesses import RawAccess
from .configured import Configured
from .paths import Paths
from .patterns import MOST, UNKNOWN_TEXT, Slot, Text, filled, slots

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.callers import Site
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_FARTHEST = 4  # wrappers around wrappers
_MOST_SITES = 30


class Holder(Struct, frozen=True, eq=False):
    """A function that has to run, too, for an access to happen."""

    module: Module
    scope: int


class Bound(Struct, frozen=True, eq=False):
    """An access as one of its users makes it.

    Args:
        module, scope, call, statement: Where the path is complete.
        text: The path, holes for what nobody tells.
        holders: Other functions on the way that must run.
        steps: Calls between there and the access itself.
        sure: Whether the path is the only one.
    """

    module: Module
    scope: int
    call: Call
    statement: Stmt | None
    text: Text
    holders: tuple[Holder, ...]
    steps: int
    sure: bool


class Binder:
    """Follows accesses to the places that give their paths."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._callers = project.callers
        self._paths = project[Paths]
        self._configured = project[Configured]

    def bound(self, access: RawAccess) -> Iterator[Bound]:
        """The access once for each user that gives it a path."""
        first = Bound(
            access.module, access.scope, access.call, access.statement, access.text, (), 0, access.sure
        )  # fmt: skip
        pending, count = [first], 0
        while pending:
            one = pending.pop()
            slot = next(slots(one.text), None)
            if slot is None:
                yield one
                continue
            count += 1
            if one.steps >= _FARTHEST or count > _MOST_SITES:
                continue
            pending += reversed(list(self._at_callers(one, slot)))

    def _at_callers(self, one: Bound, slot: Slot) -> Iterator[Bound]:
        module = self._project.modules[slot.path]
        definition = module.definition(slot.scope)
        if slot.name == self_name(definition):
            return
        sites = self._callers.of(definition)
        sites = tuple(site for site in sites if not site.module.is_test) if sites is not None else None
        if sites is None or len(sites) > _MOST_SITES:
            return
        if not sites:
            yield replace(one, text=filled(one.text, lambda each: self._alone(definition, slot, each)))
            return
        spellings = self._callers.spellings(definition)
        for site in sites:
            yield from self._at(one, definition, slot, site, spellings)

    def _alone(self, definition: Definition, slot: Slot, each: Slot) -> Text | None:
        """A parameter of a function that nobody calls: its default."""
        if (each.path, each.scope) != (slot.path, slot.scope):
            return None
        value = self._configured.parameter(definition, each.name)
        found = self._paths.texts(*value) if value is not None else ()
        return found[0] if len(found) == 1 and not any(slots(found[0])) else UNKNOWN_TEXT

    def _at(
        self, one: Bound, definition: Definition, slot: Slot, site: Site, spellings: frozenset[str]
    ) -> Iterator[Bound]:
        """What one call makes of the text: all slots of the called function are filled together."""
        own = {each.name for each in slots(one.text) if (each.path, each.scope) == (slot.path, slot.scope)}
        values = {name: self._given(site, definition, name, spellings) for name in sorted(own)}
        several = [name for name, found in values.items() if len(found) > 1]
        rounds = values[several[0]] if len(several) == 1 else (None,)
        holder = Holder(one.module, one.scope)
        here = site.module.scope_at(site.call.line) if site.scope < 0 else site.scope
        for chosen in rounds[:MOST]:

            def fill(each: Slot, chosen: Text | None = chosen) -> Text | None:
                if (each.path, each.scope) != (slot.path, slot.scope):
                    return None
                found = values[each.name]
                if len(found) == 1:
                    return found[0]
                return chosen if chosen is not None else UNKNOWN_TEXT

            statement = next((s.statement for s in site.module.call_sites(here) if s.call is site.call), None)
            yield Bound(
                site.module, here, site.call, statement, filled(one.text, fill), (*one.holders, holder),
                one.steps + 1, one.sure and not several,
            )  # fmt: skip

    def _given(self, site: Site, definition: Definition, name: str, spellings: frozenset[str]) -> tuple[Text, ...]:
        value = given(site, definition, name, spellings)
        if value is UNKNOWN:
            return (UNKNOWN_TEXT,)
        if value is not None:
            return self._paths.texts(site.module, site.scope, value)
        default = self._configured.parameter(definition, name)
        return self._paths.texts(*default) if default is not None else (UNKNOWN_TEXT,)
