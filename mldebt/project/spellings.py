"""By which identifiers a name may be called: its last segment, and what imports and aliases rename it to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from mldebt.facts.schema import ModuleFacts

_LAST = re.compile(r"[^.:]*$")


class Spellings:
    """Renamings of all files, so that a file can be passed over by the identifiers it mentions."""

    def __init__(self, facts: Iterable[ModuleFacts]) -> None:
        self._renamed: dict[str, set[str]] = {}
        for module in facts:
            for fact in module.imports:
                if fact.renamed:
                    self._rename(fact.attribute or fact.module, fact.bound)
            for alias in module.aliases:
                self._rename(alias.target, alias.name)

    def _rename(self, old: str, new: str) -> None:
        last = old.rpartition(".")[2]
        if last != new:
            self._renamed.setdefault(last, set()).add(new)

    def of(self, names: Collection[str]) -> frozenset[str]:
        """The last segments of the names and of everything they are renamed to, at any distance."""
        found = {match[0] for name in names if (match := _LAST.search(name))}
        pending = list(found)
        while pending:
            for new in self._renamed.get(pending.pop(), ()):
                if new not in found:
                    found.add(new)
                    pending.append(new)
        return frozenset(found)
