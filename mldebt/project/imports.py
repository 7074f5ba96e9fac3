"""The import graph: what runs, and in which order, when a module runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING

from mldebt.facts import schema
from mldebt.facts.schema import CLASS, IMPORTED, Import
from mldebt.project.components import components
from mldebt.project.packages import parent
from mldebt.project.resolution import Resolver

if TYPE_CHECKING:
    from mldebt.module import Module


class ImportGraph:
    """Imports between the project's modules.

    Args:
        resolver: Links names of all modules.
        dynamic: Modules each module imports by a constant string at run time.
        scanned: Modules reached without an import statement: directory scans, configuration, launch commands.
    """

    def __init__(self, resolver: Resolver, dynamic: Mapping[str, frozenset[str]], scanned: frozenset[str]) -> None:
        self._resolver = resolver
        self._dynamic = dynamic
        self.scanned = scanned
        self._steps: dict[str, list[tuple[str, int, bool]]] = {}
        self._orders: dict[str, tuple[str, ...]] = {}
        self._closures: dict[int, frozenset[str]] = {}

    def targets(self, path: str, fact: Import) -> tuple[str, ...]:
        """Modules an import statement runs, in order: packages first."""
        packages = self._resolver.packages
        target = self._resolver.target(path, fact)
        if target is None:
            return ()
        found = packages.chain(target, fact.module)
        if fact.attribute is not None and target.endswith(("/", "/__init__.py", "/__init__.pyi")):
            directory = target[:-1] if target.endswith("/") else parent(target)
            bound = {} if target.endswith("/") else self._resolver.facts[target].scopes[0].bindings
            exports = (None if target.endswith("/") else self._resolver.facts[target].exports) or ()
            names = exports if fact.attribute == "*" else (fact.attribute,)
            # What the package defines itself hides a submodule; what it imports under that name runs it all the same.
            inner = [name for name in names if not bound.get(name, 0) & ~IMPORTED]
            found += tuple(one for name in inner if (one := packages.at(directory, (name,))))
        return tuple(one for one in found if not one.endswith("/"))

    def order(self, module: Module | str) -> tuple[str, ...]:
        """Modules in the order their bodies first run to their end when ``module`` runs, itself last."""
        path = _path(module)
        if path not in self._orders:
            self._orders[path] = self._run(path)
        return self._orders[path]

    def _run(self, start: str) -> tuple[str, ...]:
        done: dict[str, None] = {}
        begun: set[str] = set()
        for first in (*self._packages_of(start), start):
            if first in begun:
                continue
            begun.add(first)
            stack = [(first, self._imported_by(first, first == start))]
            while stack:
                path, pending = stack[-1]
                following = next((one for one in pending if one not in begun), None)
                if following is None:
                    done[path] = None
                    stack.pop()
                else:
                    begun.add(following)
                    stack.append((following, self._imported_by(following, False)))
        done.pop(start, None)
        return (*done, start)

    def _packages_of(self, path: str) -> list[str]:
        packages = self._resolver.packages
        found: list[str] = []
        directory = parent(path)
        while directory in packages.packages:
            init = packages.package(directory)
            if init is not None and init != path:
                found.append(init)
            directory = parent(directory)
        return found[::-1]

    def _imported_by(self, path: str, as_main: bool) -> Iterator[str]:
        facts = self._resolver.facts[path]
        for target, line, runs in self._steps_of(path):
            if runs and (as_main or facts.main is None or not facts.main[0] <= line <= facts.main[1]):
                yield target

    def _steps_of(self, path: str) -> list[tuple[str, int, bool]]:
        """What a module imports: target, line, and whether merely running the module imports it."""
        steps = self._steps.get(path)
        if steps is None:
            facts = self._resolver.facts[path]
            steps = self._steps[path] = []
            packages = self._resolver.packages
            for fact in facts.imports:
                if not fact.level and not packages.may_hold(fact.module):
                    continue  # most of them
                scope = fact.scope
                while scope > 0 and facts.scopes[scope].kind == CLASS:
                    scope = facts.scopes[scope].parent
                runs = scope == 0 and not fact.guard & schema.TYPE_CHECKING
                steps += [(target, fact.line, runs) for target in self.targets(path, fact)]
        return steps

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(self._resolver.facts)

    @cached_property
    def _edges(self) -> dict[str, list[str]]:
        return {
            path: list(
                dict.fromkeys(
                    [
                        *[target for target, _, _ in self._steps_of(path) if target != path],
                        *sorted(self._dynamic.get(path, ())),
                    ]
                )
            )
            for path in self._paths
        }

    @cached_property
    def _importers(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for path, targets in self._edges.items():
            for target in targets:
                found.setdefault(target, set()).add(path)
        return found

    def imported(self, module: Module | str) -> Sequence[str]:
        """Modules a module imports itself, anywhere in it."""
        return self._edges[_path(module)]

    def importers(self, module: Module | str) -> frozenset[str]:
        """Modules that import this one, anywhere in them."""
        return frozenset(self._importers.get(_path(module), ()))

    @cached_property
    def _reach(self) -> dict[str, int]:
        """Modules reached from each, as bits by the modules' place in ``_paths``."""
        bit = {path: 1 << index for index, path in enumerate(self._paths)}
        reach: dict[str, int] = {}
        for component in components(self._edges, self._edges.__getitem__):
            bits = 0
            for path in component:
                bits |= bit[path]
                for target in self._edges[path]:
                    bits |= reach.get(target, 0)
            for path in component:
                reach[path] = bits
        return reach

    def reaches(self, module: Module | str, other: Module | str) -> bool:
        """Whether ``other`` is in the closure of ``module``, without building it."""
        index = self._index.get(_path(other))
        return index is not None and bool(self._reach[_path(module)] >> index & 1)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {path: index for index, path in enumerate(self._paths)}

    def closure(self, module: Module | str) -> frozenset[str]:
        """The module and all it imports, at any distance and anywhere in a file."""
        bits = self._reach[_path(module)]
        if bits not in self._closures:
            self._closures[bits] = frozenset(compress(self._paths, map("1".__eq__, reversed(f"{bits:b}"))))
        return self._closures[bits]


def _path(module: Module | str) -> str:
    return module if isinstance(module, str) else module.path
