"""The artefact graph (F10): files, URIs and tables, who writes and reads them, and which pipeline files name them.

Ask ``project[Artefacts]``:

* ``nodes``: every artefact by its pattern, ``data/clean.parquet`` or ``data/*.csv``; each with its accesses.
* ``flows``: what one entry writes and another one reads, with both accesses; ``between(a, b)`` for two entries.
* ``written_by(entry)``, ``read_by(entry)``: the accesses an entry makes.
* ``entries(access)``: the entries that make an access.
* ``declared(node)``: the places in pipeline files that name a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.finding import Confidence, Place
from mldebt.rule import Analysis

from .access_binding import Binder, Bound
from .accesses import DIRECTORY, READ, TABLE, WRITE, Accesses, RawAccess
from .declarations import Declaration, Declarations
from .patterns import hub_name, is_uri, matches, normal, plain
from .reach import Reach
from .workplaces import Workplaces

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_MOST_PAIRS = 250_000
_A_WALK = 20  # files whose accesses are read in the time it takes to follow a program
_HUB_LOADER = "from_pretrained"


class Access(Struct, frozen=True, eq=False):
    """One reading or writing of an artefact.

    Args:
        node: The artefact's pattern.
        direction: ``read`` or ``write``.
        kind: data, model, figure, log or config.
        form: file, directory, table or glob.
        api: What is called: ``pandas.read_csv``, ``to_parquet``.
        definition: The function or module in which the path is known: the caller of a wrapper, not the wrapper.
        place: The call there.
        via: The call that touches the file, where that stands in a wrapper.
        confidence: HIGH when the whole path is constant and the only one.
        bound: How it was found.
    """

    node: str
    direction: str
    kind: str
    form: str
    api: str
    definition: Definition
    place: Place
    via: Place | None
    confidence: Confidence
    bound: Bound

    @property
    def order(self) -> tuple[Place, str]:
        return self.place, self.direction


class Node(Struct, frozen=True):
    """An artefact: ``kind`` is file, uri or table; accesses in the order of places."""

    pattern: str
    kind: str
    accesses: tuple[Access, ...]

    @property
    def reads(self) -> tuple[Access, ...]:
        return tuple(one for one in self.accesses if one.direction == READ)

    @property
    def writes(self) -> tuple[Access, ...]:
        return tuple(one for one in self.accesses if one.direction == WRITE)


class Flow(Struct, frozen=True):
    """``writer`` writes what ``reader``, another entry, reads. ``node`` is the written one, as in ``Artefacts.run``.

    ``confidence`` is HIGH when both name one constant path.
    """

    node: Node
    writer: Entry
    reader: Entry
    write: Access
    read: Access
    confidence: Confidence


class Artefacts(Analysis):
    """The graph; built when first asked for."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._reach = project[Reach]
        self._entries: dict[int, tuple[Entry, ...]] = {}

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """The artefacts by pattern, in the order of patterns."""
        return self._nodes(self.project[Accesses].all)

    @cached_property
    def run(self) -> Mapping[str, Node]:
        """The same, in large projects with those accesses alone that can run with an entry: the others flow nowhere."""
        accesses = self.project[Accesses]
        programs = sum(not entry.is_test for entry in self.project.entries)
        if accesses.files <= _A_WALK * programs:
            return self.nodes
        return self._nodes(accesses.within(self._reach.all))

    def _nodes(self, raws: Iterable[RawAccess]) -> Mapping[str, Node]:
        found: dict[tuple[str, str], list[Access]] = {}
        for access in self._named(list(self._accesses(raws))):
            kind = TABLE if access.form == TABLE else "uri" if is_uri(access.node) else "file"
            found.setdefault((access.node, kind), []).append(access)
        return {
            pattern: Node(pattern, kind, tuple(sorted(found[pattern, kind], key=lambda one: one.order)))
            for pattern, kind in sorted(found)
        }

    def _accesses(self, raws: Iterable[RawAccess]) -> Iterator[Access]:
        binder = Binder(self.project)
        places = self.project[Workplaces]
        seen: set[tuple[str, str, Place]] = set()
        for raw in raws:
            for bound in binder.bound(raw):
                shown = plain(bound.text)
                if raw.form == TABLE:
                    node: str | None = shown.lower() if "*" not in shown and shown else None
                else:
                    module = bound.module
                    node = normal(shown, lambda pattern, module=module: places.base(module, pattern))  # type: ignore[misc]
                if node is None:
                    continue
                place = bound.module.place(bound.call)
                key = (node, raw.direction, place)
                if key in seen:
                    continue
                seen.add(key)
                via = raw.module.place(raw.call) if bound.steps else None
                sure = bound.sure and "*" not in node
                yield Access(
                    node, raw.direction, raw.kind, raw.form, raw.api, bound.module.definition(bound.scope), place, via,
                    Confidence.HIGH if sure else Confidence.MEDIUM, bound,
                )  # fmt: skip

    def _named(self, accesses: Sequence[Access]) -> Iterator[Access]:
        """The accesses, models of the hub by their URI: `owner/model` that is neither a directory nor written here."""
        places = self.project[Workplaces]
        written = sorted({access.node for access in accesses if access.direction == WRITE})
        for access in accesses:
            name = plain(access.bound.text) if access.api == _HUB_LOADER else ""
            owner = hub_name(name) if access.direction == READ else None
            local = owner is not None and (
                places.has(access.bound.module, owner)
                or any(matches(one, access.node) or access.node.startswith(f"{one}/") for one in written)
            )
            yield access if owner is None or local else replace(access, node=f"hf://{name}")

    def entries(self, access: Access) -> tuple[Entry, ...]:
        """The entries that make an access, tests left out."""
        known = self._entries.get(id(access))
        if known is None:
            bound = access.bound
            found = self._reach.entries(bound.module, bound.scope, bound.statement)
            others = [(one.module.definition(one.scope).name) for one in bound.holders]
            known = tuple(one for one in found if all(name in self._reach.of(one) for name in others))
            self._entries[id(access)] = known
        return known

    def written_by(self, entry: Entry) -> tuple[Access, ...]:
        """What an entry writes, in the order of nodes."""
        return self._of(entry, WRITE)

    def read_by(self, entry: Entry) -> tuple[Access, ...]:
        """What an entry reads, in the order of nodes."""
        return self._of(entry, READ)

    def _of(self, entry: Entry, direction: str) -> tuple[Access, ...]:
        return tuple(
            access
            for node in self.run.values()
            for access in node.accesses
            if access.direction == direction and entry in self.entries(access)
        )

    def declared(self, node: Node | str) -> tuple[Declaration, ...]:
        """Where pipeline files name an artefact, or a directory around it."""
        return self.project[Declarations].of(node if isinstance(node, str) else node.pattern)

    @cached_property
    def links(self) -> tuple[tuple[Access, Access, Confidence], ...]:
        """Writes and reads, of those that can run, of what is or may well be the same artefact."""
        found = []
        for written, read, same in self._pairs():
            for write in written.writes:
                for one in read.reads:
                    sure = same and write.confidence is one.confidence is Confidence.HIGH
                    found.append((write, one, Confidence.HIGH if sure else Confidence.MEDIUM))
        return tuple(found)

    def _pairs(self) -> Iterator[tuple[Node, Node, bool]]:
        written = [node for node in self.run.values() if node.writes]
        read = [node for node in self.run.values() if node.reads]
        # Two patterns meet where one has holes and the other has none, or where one is a directory around the other.
        loose = [node for node in read if "*" in node.pattern]
        exact = [node for node in read if "*" not in node.pattern]
        folders = {node.pattern for node in read if any(access.form == DIRECTORY for access in node.reads)}
        few = len(written) * len(read) <= _MOST_PAIRS
        for one in written:
            same = self.run[one.pattern]
            if same.reads:
                yield one, same, True
            if not few:
                continue
            holding = any(access.form == DIRECTORY for access in one.writes)
            near = read if holding else exact if "*" in one.pattern else loose
            around = [] if holding else [folder for folder in _folders(one.pattern) if folder in folders]
            if around:
                near = [self.run[pattern] for pattern in sorted({*around, *(node.pattern for node in near)})]
            for other in near:
                if other is not same and one.kind == other.kind != TABLE and _overlap(one, other):
                    yield one, other, False

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Artefacts that pass from one entry to another, in the order of nodes and places."""
        found: dict[tuple[str, str, str], Flow] = {}
        for write, read, confidence in self.links:
            for writer in self.entries(write):
                for reader in self.entries(read):
                    if writer.definition.name != reader.definition.name:
                        key = (write.node, writer.name, reader.name)
                        found.setdefault(key, Flow(self.run[write.node], writer, reader, write, read, confidence))
        return tuple(found[key] for key in sorted(found))

    def between(self, writer: Entry, reader: Entry) -> tuple[Flow, ...]:
        """What ``writer`` writes and ``reader`` reads."""
        ends = (writer.definition.name, reader.definition.name)
        return tuple(one for one in self.flows if (one.writer.definition.name, one.reader.definition.name) == ends)


def _folders(pattern: str) -> Iterator[str]:
    """The directories around a path."""
    at = pattern.rfind("/")
    while at >= 0:
        yield pattern[:at]
        at = pattern.rfind("/", 0, at)


def _overlap(written: Node, read: Node) -> bool:
    if matches(written.pattern, read.pattern):
        return True
    if any(one.form == DIRECTORY for one in written.writes) and read.pattern.startswith(f"{written.pattern}/"):
        return True
    return any(one.form == DIRECTORY for one in read.reads) and written.pattern.startswith(f"{read.pattern}/")
