"""The configuration table (F8): where options are declared, where they are read, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import Ref
from mldebt.rule import Analysis

from .fallbacks import Fallback, fallbacks
from .lineage import PARAMETER, SELF, UNTOLD, Lineage
from .owners import ENVIRONMENT, Owner, Owners
from .parsers import Parsers

if TYPE_CHECKING:
    from mldebt.project.project import Project

CONFIGURATION_NAMES = frozenset("args cfg config conf opt opts options hparams flags settings params_cfg hps".split())
BY_NAME = frozenset({"called", "declared"})


class Options(Analysis):
    """Answers what options a project has, who declares them, who reads them with a default of their own."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._owned: dict[int, frozenset[Owner]] = {}

    @cached_property
    def fallbacks(self) -> dict[str, tuple[Fallback, ...]]:
        """Reads with a constant default by key, in the order of files; tests are left out."""
        found: dict[str, list[Fallback]] = {}
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for read in fallbacks(module):
                    found.setdefault(read.key, []).append(read)
        return {key: tuple(sorted(reads, key=lambda read: read.order)) for key, reads in found.items()}

    def owners(self, read: Fallback) -> frozenset[Owner]:
        """The configuration objects a fallback is read from, as far as they are proved."""
        known = self._owned.get(id(read))
        if known is None:
            known = frozenset({ENVIRONMENT})
            if read.owner is not None:
                known = self.project[Owners].of(read.module, read.scope, read.owner) or self._by_name(read)
            self._owned[id(read)] = known
        return known

    def _by_name(self, read: Fallback) -> frozenset[Owner]:
        """Owners that only names tell: an object called ``args`` or ``config`` that nobody is seen to create.

        The option is one if a single parser declares it, or if the object has one name throughout the file.
        """
        owner = read.owner
        if not isinstance(owner, Ref) or owner.name.rpartition(".")[2] not in CONFIGURATION_NAMES:
            return frozenset()
        creations = self.project[Lineage].of(read.module, read.scope, owner)
        told = any(one.kind not in (PARAMETER, SELF, UNTOLD) for one in creations)
        if told and ("." not in owner.name or owner.name.startswith("self.")):
            return frozenset()
        found: set[Owner] = {("called", read.module.path, owner.name.removeprefix("self."))}
        declared = self.project[Parsers].by_dest.get(read.key, ())
        if read.how == "getattr" and len(declared) == 1:
            found.add(("declared", f"{declared[0].module.path}:{declared[0].call.line}"))
        return frozenset(found)

    def shared(self, reads: tuple[Fallback, ...]) -> Iterator[tuple[tuple[Fallback, ...], frozenset[Owner]]]:
        """Reads of one key in groups that are linked by a configuration object they have in common."""
        groups: list[tuple[list[Fallback], set[Owner]]] = []
        for read in reads:
            owners = self.owners(read)
            if not owners:
                continue
            joined = [group for group in groups if group[1] & owners]
            merged = ([one for group in joined for one in group[0]] + [read], set(owners))
            for group in joined:
                merged[1].update(group[1])
            groups = [group for group in groups if group not in joined] + [merged]
        for members, owners_of in groups:
            yield tuple(sorted(members, key=lambda one: one.order)), frozenset(owners_of)
