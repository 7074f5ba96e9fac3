"""Seeding (F9): what each entry seeds and draws, in which order, and through which calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import Imports
from mldebt.project.entries import Entry
from mldebt.rule import Analysis

from .events import EVERY, LOADED
from .guards import ANY
from .knowledge import CONSTRUCTOR, DRAW, HEAD, INIT, LAYER, LAZY
from .modes import is_other_mode
from .programs import Callee, CallOp, ImportOp, Key, Op, Program, Site
from .states import CERTAIN, Conditions, Drawn, Path, Summary, nearer
from .summaries import Summaries
from .throwaway import is_thrown_away

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

JUDGED = frozenset({"train", "tune", "split", "eval", "preprocess"})  # roles whose draws need control
MAKING = frozenset({"train", "tune", "split"})  # roles that need it in a program that can serve as well
LIBRARIES = ("python", "numpy", "torch", "tensorflow")
_RANKS = {DRAW: 0, CONSTRUCTOR: 1, LAZY: 2, INIT: 3, LAYER: 4, HEAD: 5}


class Late(Struct, frozen=True):
    """A draw and the seed of its library that comes after it."""

    draw: Path
    seed: Path


class EntrySeeding(Struct, frozen=True):
    """One entry's randomness.

    Args:
        seeded: Libraries seeded whenever the entry ends normally: "" certainly, "?" if an option asks for it.
        seeds: Nearest seed of each library on any way through the entry.
        exposed: Unseeded draws of each library that is not seeded too late either (MLD401, MLD403): the nearest of each
            kind, the nearest of all first.
        late: Nearest draw of each library that is seeded afterwards (MLD402).
    """

    seeded: Conditions
    seeds: Mapping[str, Path]
    exposed: Mapping[str, tuple[Path, ...]]
    late: Mapping[str, Late]


class Seeding(Analysis):
    """``project[Seeding].of(entry)``; see DESIGN 8. ``summaries`` answers for single functions."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.summaries = Summaries(project)
        self._known: dict[str, EntrySeeding] = {}
        self._limited = False

    def entries(self, seeding: bool = False) -> Iterator[Entry]:
        """The entries whose draws are judged: no tests, not those that only serve, and a role that makes results.

        With ``seeding`` also those of no known role that seed something themselves: they want to be repeatable.
        """
        for entry in self._candidates():
            roles = self.project.roles(entry)
            judged = roles & (MAKING if "serve" in roles else JUDGED)
            if judged or (seeding and not roles and self._may_seed(entry) and self.of(entry).seeds):
                yield entry

    def _candidates(self) -> Iterator[Entry]:
        """Entries of the project's own; what a command starts past a main block that does more is one of them."""
        for entry in self.project.entries:
            if entry.is_test or entry.definition.module.role != "project":
                continue
            yield entry
            for script in entry.scripts:
                yield Entry(script, "script", script.name, entry.launchers, script.scope.line)

    def of(self, entry: Entry) -> EntrySeeding:
        key = entry.definition.name
        known = self._known.get(key)
        if known is None:
            self._limit()
            summary = self.summaries.run(self._program(entry))
            known = self._known[key] = self._judged(entry, summary)
        return known

    def exposed(self, entry: Entry) -> Mapping[str, tuple[Path, ...]]:
        return self.of(entry).exposed

    def late(self, entry: Entry) -> Mapping[str, Late]:
        return self.of(entry).late

    def describe_entry(self, entry: Entry) -> Sequence[tuple[str, str]]:
        """What ``mldebt entries`` shows of an entry: libraries it seeds, and libraries it draws from."""
        found = self.of(entry)
        seeds = [
            library
            if found.seeded.get(library) == CERTAIN
            else f"{library} ({'opt-in' if library in found.seeded else 'sometimes'})"
            for library in LIBRARIES
            if library in found.seeds
        ]
        if EVERY in found.seeds:
            seeds.append("what an outside function seeds")
        drawn = frozenset(self._drawn(entry))
        draws = [library for library in LIBRARIES if library in drawn]
        return [(label, ", ".join(values)) for label, values in (("seeds", seeds), ("draws", draws)) if values]

    def _limit(self) -> None:
        """Find what matters for all judged entries together, before the first of them is run."""
        if self._limited:
            return
        self._limited = True
        modules, imports = self.project.modules, self.project.imports
        roots: dict[str, Definition] = {}
        for entry in self._candidates():
            bodies = [modules[path].definition(0) for path in imports.order(entry.definition.module.path)]
            roots.update((definition.name, definition) for definition in (*entry.starts, *bodies))
        self.summaries.calls.relevant.limit(roots.values())

    def _may_seed(self, entry: Entry) -> bool:
        """A cheap test: whether a call that may seed can be reached."""
        self._limit()
        relevant = self.summaries.calls.relevant
        if any(map(relevant.may_seed, entry.starts)):
            return True
        own = entry.definition.module.path
        return any(
            path == own
            or self.project.imports.reaches(own, path)
            or (path.endswith("__init__.py") and own.startswith(path.removesuffix("__init__.py")))
            for path in self._seeding_bodies
        )

    @cached_property
    def _seeding_bodies(self) -> tuple[str, ...]:
        """The files that may seed when they are imported; those imported inside functions were not looked at."""
        calls = self.summaries.calls
        found = []
        for path, module in self.project.modules.items():
            body = module.definition(0)
            known = calls.relevant.is_known(body)
            if calls.relevant.may_seed(body) if known else calls.relevant.may_mention_seed(module.mentions):
                found.append(path)
        return tuple(found)

    # An entry as a program.

    def _program(self, entry: Entry) -> Program:
        module = entry.definition.module
        main = entry.definition.is_module
        body = self.summaries.program(Key(module.path, 0, main=main))
        ops: list[Op] = [*self._packages(module), *body.block]
        # What the main block hands to a runner runs there. Services draw what they like.
        run = {(key.path, key.index) for key in body.runs()} if main else set()
        handlers = () if "serve" in self.project.roles(entry) else entry.handlers
        for definition in (entry.definition, *handlers):
            if not definition.is_module and (definition.module.path, definition.index) not in run:
                parent = definition.parent
                owner = parent.name if parent is not None and parent.is_class else ""
                ops.append(_start(module, definition, Key(module.path, definition.index, owner)))
        return Program(Key(module.path, -1, entry.name, main), tuple(ops))

    def _packages(self, module: Module) -> Iterator[Op]:
        """The packages a module is in: importing or running it with ``-m`` runs their bodies first."""
        folders = module.path.split("/")[:-1]
        for count in range(1, len(folders) + 1):
            path = "/".join([*folders[:count], "__init__.py"])
            if path in self.project.modules and path != module.path:
                yield ImportOp(Site(module, Imports(1, 0, 1, 0, 0), f"import of {'.'.join(folders[:count])}"), (path,))

    # From a summary to what the rules ask.

    def _judged(self, entry: Entry, summary: Summary) -> EntrySeeding:
        trains = "train" in self.project.roles(entry)
        for drawn, one in summary.pending.items():  # trained by something mldebt does not see
            if one.seed is None:
                summary.exposed.setdefault(drawn, one.draw)
        for drawn, path in summary.aside.items():
            if drawn[0] not in summary.may:
                summary.exposed.update(nearer(summary.exposed, {drawn: path}))
        serves = "serve" in self.project.roles(entry)
        counts = _Counts(trains, summary, summary.exposed.get((LOADED, DRAW)) if serves else None)
        if serves and counts.training is None:
            summary = Summary(gen=summary.gen, may=summary.may)  # which of its modes trains is not seen
        module = entry.definition.module if entry.definition.is_module else None
        followed = self._late(summary, counts)
        exposed: dict[str, tuple[Path, ...]] = {}
        for library in LIBRARIES:
            found = {
                drawn: path
                for drawn, path in summary.exposed.items()
                if drawn[0] == library and counts.exposed(drawn) and counts.is_near(path)
            }
            if found and (library not in followed or all(drawn[1] == CONSTRUCTOR for drawn in found)):
                exposed[library] = tuple(_from_entry(path) for _, path in sorted(found.items(), key=_preferred))
        gen = {
            library: condition if condition == CERTAIN else ANY for library, condition in (summary.gen or {}).items()
        }
        seeds = {library: _from_entry(path) for library, path in summary.may.items() if library != LOADED}
        late = followed if module is None else self._late(summary, counts, module)
        return EntrySeeding(gen, seeds, exposed, late)

    def _late(self, summary: Summary, counts: _Counts, module: Module | None = None) -> dict[str, Late]:
        found: dict[str, Late] = {}
        for library in LIBRARIES:
            # A model that is built again after the seed was only looked at before it.
            pairs = {
                drawn: pair
                for drawn, pair in summary.late.items()
                if drawn[0] == library
                and counts.late(drawn)
                and counts.is_near(pair[0])
                and pair[0].site.position not in summary.covered
                and (module is None or not is_thrown_away(module, pair[0]))
            }
            if pairs:
                draw, seed = min(pairs.items(), key=lambda item: _preferred((item[0], item[1][0])))[1]
                found[library] = Late(_from_entry(draw), _from_entry(seed))
        return found

    def _drawn(self, entry: Entry) -> Iterator[str]:
        """Libraries drawn from anywhere below an entry, seeded or not."""
        program = self._program(entry)
        yield from program.libraries()
        pending = list(program.callees())
        seen = set(pending)
        while pending:
            program = self.summaries.program(pending.pop())
            yield from program.libraries()
            fresh = [key for key in program.callees() if key not in seen]
            seen.update(fresh)
            pending += fresh


class _Counts(Struct, frozen=True):
    """Which draws of an entry count."""

    trains: bool
    summary: Summary
    training: Path | None = None  # where a program trains that can do something else as well

    def is_near(self, path: Path) -> bool:
        """Whether a draw is in the mode that trains, where the program has several."""
        return self.training is None or not is_other_mode(path, self.training)

    def exposed(self, drawn: Drawn) -> bool:
        library, kind = drawn
        if EVERY in self.summary.may or (kind in (LAZY, LAYER) and library in self.summary.may):
            return False
        return kind != HEAD and self._matters(kind)

    def late(self, drawn: Drawn) -> bool:
        return self._matters(drawn[1])

    def _matters(self, kind: str) -> bool:
        """Initial parameters matter where they are trained."""
        return self.trains or kind not in (INIT, LAYER, HEAD)


def _start(module: Module, definition: Definition, key: Key) -> CallOp:
    line = definition.scope.line
    return CallOp(Site(module, Imports(line, 0, line, 0, 0), ""), 0, ((Callee(key, definition, None),),))


def _preferred(item: tuple[Drawn, Path]) -> tuple[object, ...]:
    (_, kind), path = item
    return (_RANKS[kind] >= _RANKS[LAYER], len(path.hops), _RANKS[kind], path.order)


def _from_entry(path: Path) -> Path:
    """Without the step into the entry itself."""
    first = path.hops[0] if path.hops else None
    own = first is not None and isinstance(first.fact, Imports) and not first.name.startswith("import")
    return Path(path.event, path.site, path.hops[1:]) if own else path
