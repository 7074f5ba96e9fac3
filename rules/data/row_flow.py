"""What happens to rows between reading and fitting: which are fitted on, copied, dropped and held out (F2, F11).

Ask ``project[RowFlow].runs``: one per program, and one per function nobody here calls. Each holds the events in the
order they happen. Frames are followed through assignments, columns, calls of the project's functions in other files,
attributes of objects, methods, and the cells of notebooks in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.rule import Analysis

from .collected import Collected
from .knowledge import RowKnowledge
from .rows import TRAIN, Data, Event, Known, Mark, Rows, Stored, Value
from .running import Run

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_INTERESTING = frozenset(
    "fit fit_transform fit_resample train_test_split random_split cross_val_score split sample".split()
)
_ORDINARY = frozenset({"split", "sample"})  # strings are split and lists are sampled as well
_TABULAR = ("pandas", "sklearn", "numpy", "imblearn")
_MOST_ROOTS = 400
_MOST_STEPS = 1_500_000


class RowFlow(Analysis):
    """The runs of a project."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.knowledge = project[RowKnowledge]

    @cached_property
    def stored(self) -> Stored:
        """What the runs leave in files: complete when ``runs`` is."""
        return Stored()

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        modules = [module for module in self.project.modules.values() if self.is_about_rows(module)]
        files = self.stored
        found: dict[Definition, Run] = {}
        visited: set[str] = set()
        steps = 0
        for definition in self.roots(modules, visited):
            if len(found) > _MOST_ROOTS or steps > _MOST_STEPS:
                break
            run = found[definition] = Run(self.project, self.knowledge, files)
            run.start(definition)
            visited |= run.visited
            steps += run.steps
        for definition, run in found.items():
            if run.reads & (
                files.rows.keys() | files.models.keys()
            ):  # what a program reads may be written by one that comes later
                found[definition] = Run(self.project, self.knowledge, files)
                found[definition].start(definition)
        return tuple(run for run in found.values() if run.events)

    def is_about_rows(self, module: Module) -> bool:
        if module.role != "project" or module.is_test:
            return False
        if not module.mentions & _INTERESTING:
            heads = {one.module.partition(".")[0] for one in module.facts.imports}
            return boosts(module) or ("backward" in module.mentions and "pandas" in heads)
        if self.project[Collected].holds(module):
            return False
        heads = {one.module.partition(".")[0] for one in module.facts.imports}
        if module.mentions.isdisjoint(_INTERESTING - _ORDINARY):
            splits = not module.mentions.isdisjoint(self._splitters)
            return (("sample" in module.mentions or splits) and "pandas" in heads) or splits
        return any(one in heads for one in _TABULAR)

    @cached_property
    def _splitters(self) -> frozenset[str]:
        return frozenset(name.rpartition(".")[2] for name in self.knowledge.splitters)

    def roots(self, modules: list[Module], visited: set[str]) -> Iterator[Definition]:
        """Programs first, then functions that none of them ran. ``visited`` grows as the caller runs them."""
        programs = {module.path: module for module in modules}
        for module in modules:
            for path in sorted(self.project.imports.importers(module))[:20]:
                one = self.project.modules.get(path)
                if one is not None and one.role == "project" and not one.is_test:
                    programs.setdefault(path, one)
        imported = {path for path in programs if self.project.imports.importers(programs[path])}
        for path in sorted(programs, key=lambda path: (path in imported, path)):
            if path not in imported or programs[path].facts.main or f"{path}:" not in visited:
                yield programs[path].definition(0)
        for module in modules:
            for index in module.scopes_using(_INTERESTING):
                definition = module.definition(index)
                if definition.is_function and definition.name not in visited:
                    root = self.outermost(definition, visited)
                    if not self.is_left_over(root):
                        yield root

    def outermost(self, definition: Definition, visited: set[str]) -> Definition:
        """The caller nobody calls, as far as callers are known."""
        seen = {definition.name}
        while len(seen) < 5:
            sites = self.project.callers.of(definition) or ()
            callers = [site.module.definition(site.scope) for site in sites if not site.module.is_test]
            callers = [one for one in callers if one.is_function and one.name not in seen | visited]
            if not callers:
                break
            definition = callers[0]
            seen.add(definition.name)
        return definition

    def is_left_over(self, definition: Definition) -> bool:
        """A function of a script that the script, which nothing imports, does not name: it never runs."""
        module = definition.module
        if not (module.facts.main or module.path.endswith(".ipynb") or self.does_the_work(module)):
            return False
        top = definition
        while top.parent is not None and not top.parent.is_module:
            top = top.parent
        if top.scope.decorators or top.scope.bases or self.project.imports.importers(module):
            return False
        name = top.scope.name
        scopes = enumerate(module.facts.scopes)
        uses = (use for index, scope in scopes if index != top.index for use in scope.uses)
        if name in (module.facts.exports or ()) or any(use.partition(".")[0] == name for use in uses):
            return False
        return all(entry.definition is not top for entry in self.project.entries)

    @staticmethod
    def does_the_work(module: Module) -> bool:
        """Whether the body of a module fits, splits or calls what the module defines."""
        own = {scope.name for scope in module.facts.scopes if scope.parent == 0}
        return not module.segments(0).isdisjoint(_INTERESTING - _ORDINARY | own)

    # What rules ask of a run.

    @staticmethod
    def splits(run: Run) -> list[Event]:
        """Splits, and selections that are one: both a training and a held-out part are cut from the same rows."""
        parts: dict[int, list[Event]] = {}
        for event in run.events:
            if event.kind == "cut" and isinstance(event.data[0], Data):
                for rows in event.data[0].rows:
                    parts.setdefault(id(rows), []).append(event)
        found = []
        for event in run.events:
            if event.kind == "split":
                found.append(event)
            elif event.kind == "cut" and isinstance(whole := event.data[0], Data):
                found += [event] * any(_parted(run, parts[id(rows)]) for rows in whole.rows)
        return found

    @staticmethod
    def targets(run: Run) -> frozenset[str]:
        """Columns that are learned."""
        found: set[str] = set()
        for event in run.events:
            if event.kind in ("fit", "split") and len(event.data) > 1:
                y = event.data[1]
                if isinstance(y, Data) and y.columns is not None and y.columns.series:
                    found |= y.columns.names
        return frozenset(found)


def boosts(module: Module) -> bool:
    """Whether a file fits boosters by ``xgboost.train`` or ``lightgbm.train``."""
    return "train" in module.mentions and not module.mentions.isdisjoint(("xgboost", "lightgbm"))


def _parted(run: Run, cuts: list[Event]) -> bool:
    """Whether a training part and another one are cut: at the same bound, or one is called what it is."""
    ours, others = ([cut for cut in cuts if (cut.part == TRAIN) is first] for first in (True, False))
    if not ours or not others:
        return False
    return any(_is_called(run, cut) for cut in cuts) or not _bounds(ours).isdisjoint(_bounds(others))


def _is_called(run: Run, cut: Event) -> bool:
    part = cut.data[-1]
    return bool(cut.label) or (isinstance(part, Data) and not part.rows.isdisjoint(run.called))


def _bounds(cuts: list[Event]) -> set[object]:
    return {one.value for cut in cuts for one in cut.data if isinstance(one, Known) and one.value}


def covers(mark: Mark, data: Data) -> bool:
    """Whether the rows something was done with hold all of ``data``'s, with no split between."""
    return any(outer in mark.rows and split is None for rows in data.rows for outer, split in rows.ancestry())


def held(value: Value) -> Iterator[Rows]:
    """The rows of a value and every set they come from."""
    if isinstance(value, Data):
        for rows in value.rows:
            for outer, _ in rows.ancestry():
                yield outer
