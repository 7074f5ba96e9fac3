"""Whether NumPy's global generator, which ``random_state=None`` draws from, is seeded on the way to a call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

from .events import EVERY, Seeds
from .programs import Key
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_NUMPY = "numpy"
_DEEPEST = 6  # calls up
_SEEDS = frozenset({"numpy.random.seed"})


class SeededPaths(Analysis):
    """``project[SeededPaths].of(module, site)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._reached: dict[str, frozenset[str]] = {}
        self._seeded_above: dict[tuple[str, int, int], bool] = {}
        self._seeds_of: dict[tuple[str, int], tuple[int, ...]] = {}
        self._callers = project.callers

    def of(self, module: Module, site: CallSite) -> str | None:
        """What seeds NumPy before the call on all ways known to it, in words; None when something does not."""
        # At module level the order of statements decides: the entries below know it.
        if site.scope and self._on_import(module):
            return f"importing {module.path} seeds it"
        entries = [entry for entry in self.project.entries if self._may_reach(entry, module)]
        around = [one.name for one in self._around(module, site.scope)]
        reaching = [entry for entry in entries if not self.reached(entry).isdisjoint(around)]
        if not reaching and self.project.library:
            found = self._offered(module)
            if found is not None:
                return found
        reaching = reaching or entries
        if reaching and all(self._seeds(entry, module, site) for entry in reaching):
            return ", ".join(dict.fromkeys(entry.definition.module.path for entry in reaching[:3])) + " seeds it"
        if site.scope and self._above(module, site.scope, site.call.line, _DEEPEST):
            return "whoever calls this seeds it first"
        return None

    def _above(self, module: Module, scope: int, line: int, depth: int) -> bool:
        """Whether the function itself seeds NumPy before a line, or every caller does before it calls."""
        key = (module.path, scope, line)
        if key not in self._seeded_above:
            self._seeded_above[key] = False  # what recursion hands to itself decides nothing
            self._seeded_above[key] = any(one < line for one in self._seeds_in(module, scope)) or (
                depth > 0 and self._callers_seed(module, scope, depth)
            )
        return self._seeded_above[key]

    def _callers_seed(self, module: Module, scope: int, depth: int) -> bool:
        definition = module.definition(scope)
        if not definition.is_function:
            return False
        sites = [site for site in self._callers.of(definition) or () if not site.module.is_test]
        return bool(sites) and all(self._above(one.module, one.scope, one.call.line, depth - 1) for one in sites)

    def _seeds_in(self, module: Module, scope: int) -> tuple[int, ...]:
        """The lines of one body that seed NumPy."""
        key = (module.path, scope)
        known = self._seeds_of.get(key)
        if known is None:
            calls = self.project[Seeding].summaries.calls
            found = ((site, calls.event(module, scope, site.call)) for site in module.call_sites(scope))
            known = self._seeds_of[key] = tuple(
                site.call.line for site, event in found if isinstance(event, Seeds) and _NUMPY in event.libraries
            )
        return known

    def _offered(self, module: Module) -> str | None:
        """What in a library seeds NumPy for its users: its own ``set_seed``, or code that runs before the call."""
        for function in self._seeders:
            name = function.scope.name
            offers = "seed" in name and not name.startswith("_")
            runs = function.module is not module and self.project.imports.reaches(function.module, module)
            if (offers or runs) and self._does_seed(function):
                return f"the library's own {name}() seeds it" if offers else f"{function.module.path} seeds it"
        return None

    def _does_seed(self, function: Definition) -> bool:
        """Whether a function seeds NumPy: one called after seeds certainly, any other somewhere."""
        if "seed" not in function.scope.name:
            return True
        return _NUMPY in (self.project[Seeding].summaries.of(Key(function.module.path, function.index)).gen or ())

    @cached_property
    def _seeders(self) -> tuple[Definition, ...]:
        """Functions with a call that seeds NumPy."""
        found = {}
        for module in self.project.modules.values():
            if module.is_test or module.is_example or "numpy" not in module.mentions:
                continue
            for _, site in module.calls_of(_SEEDS):
                function = module.definition(site.scope)
                if function.is_function:
                    found[function.name] = function
        return tuple(found.values())

    def _on_import(self, module: Module) -> bool:
        gen = self.project[Seeding].summaries.of(Key(module.path, 0)).gen
        return not {_NUMPY, EVERY}.isdisjoint(gen or ())

    def reached(self, entry: Entry) -> frozenset[str]:
        """The names of all functions and modules that run when an entry does."""
        known = self._reached.get(entry.name)
        if known is None:
            modules = self.project.modules
            order = self.project.imports.order(entry.definition.module)
            pending = [*entry.starts, *(modules[path].definition(0) for path in order)]
            seen = {definition.name for definition in pending}
            for definition in pending:
                for edge in self.project.calls.edges(definition):
                    if edge.target.name not in seen:
                        seen.add(edge.target.name)
                        pending.append(edge.target)
            known = self._reached[entry.name] = frozenset(seen)
        return known

    def may_run(self, entry: Entry, module: Module) -> bool:
        """A cheap test: whether an entry's file is, or imports at any distance, a file."""
        own = entry.definition.module
        return own is module or self.project.imports.reaches(own, module)

    def _may_reach(self, entry: Entry, module: Module) -> bool:
        if entry.is_test or entry.is_example or entry.definition.module.role != "project":
            return False
        return self.may_run(entry, module)

    def _around(self, module: Module, scope: int) -> Iterator[Definition]:
        """The functions around a scope, or the module."""
        definition: Definition | None = module.definition(scope)
        while definition is not None and not definition.is_module:
            if definition.is_function:
                yield definition
            definition = definition.parent
        if not module.facts.scopes[scope].parent >= 0:
            yield module.definition(0)

    def _seeds(self, entry: Entry, module: Module, site: CallSite) -> bool:
        found = self.project[Seeding].of(entry)
        if not {_NUMPY, EVERY}.intersection(found.seeds):
            return False
        late = found.late.get(_NUMPY)
        if late is None:
            return True
        seed = late.seed.site
        before = (
            seed.module is module and module.scope_at(seed.fact.line) == site.scope and site.call.line < seed.fact.line
        )
        return late.draw.site.fact is not site.call and not before
