"""What is known of conversions between representations of the same data (``conversions.toml``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mldebt.project.project import Project
from mldebt.rule import Analysis, Row, Table

# Nobody is told to have data on the host before it went to a device, and ``np.array(x).tolist()`` makes plain numbers.
NOT_BACK = frozenset({"host", "list"})
# What becomes a plain value belongs to no library any more.
PLAIN = frozenset({"python", ""})


class Conversion(Row, frozen=True, kw_only=True):
    """See the head of ``conversions.toml``."""

    of: tuple[str, ...]
    to: str
    argument: str = ""
    position: int = 0
    copies: bool = False
    attribute: bool = False
    tells: bool = False
    takes: tuple[str, ...] = ()


class Operation(Row, frozen=True, kw_only=True):
    """See ``operations`` in ``conversions.toml``."""

    to: str = ""
    crosses: bool = False
    method: bool = False
    argument: bool = False


class Representation(Row, frozen=True, kw_only=True):
    """See ``representations`` in ``conversions.toml``."""

    noun: str
    classes: tuple[str, ...]
    makers: tuple[str, ...]
    alike: tuple[str, ...]
    own: tuple[str, ...]
    not_of: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class Conversions(Analysis):
    """The table of conversions, as questions."""

    table: ClassVar[Table[Conversion]] = Table("conversions.toml", "conversions", Conversion)
    kinds: ClassVar[Table[Representation]] = Table("conversions.toml", "representations", Representation)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        rows = project.rows(self.table)
        self._kinds = project.rows(self.kinds)
        self._functions = {name: row for name, row in rows.items() if row.argument}
        self._methods: dict[str, list[Conversion]] = {}
        for row in rows.values():
            if not row.argument:
                self._methods.setdefault(row.name.rpartition(".")[2], []).append(row)
        # ``.to`` is any of the moves between devices, by its argument.
        self._methods["to"] = [row for row in rows.values() if {row.to, *row.of} == {"host", "device"}]
        spelled = {name: project.spellings((name,)) for name in self._functions}
        self.spelled = frozenset().union(*spelled.values())
        self.pairs = tuple(
            (_spelled(there, spelled), _spelled(back, spelled))
            for there in rows.values()
            for back in rows.values()
            if back.to in there.of and there.to in back.of and back.to not in NOT_BACK
        )

    def function(self, name: str) -> Conversion | None:
        """The conversion a function of this linked name is."""
        return self._functions.get(name)

    def methods(self, name: str) -> list[Conversion]:
        """The conversions a method or attribute of this name may be."""
        return self._methods.get(name, [])

    def kind(self, name: str) -> Representation:
        return self._kinds[name]


def _spelled(row: Conversion, spelled: dict[str, frozenset[str]]) -> frozenset[str]:
    """The identifiers a conversion may be written with."""
    if row.argument:
        return spelled[row.name]
    last = row.name.rpartition(".")[2]
    return frozenset({last, "to"} if row.to in ("host", "device") else {last})


class Operations(Analysis):
    """The wide table of conversions: functions by linked name, methods and attributes by bare name."""

    table: ClassVar[Table[Operation]] = Table("conversions.toml", "operations", Operation)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        rows = project.rows(self.table)
        self.functions = {name: row for name, row in rows.items() if not row.method}
        self.methods = {name: row for name, row in rows.items() if row.method}
        crossing = [row for row in rows.values() if row.crosses]
        self.crossing_words = _words(project, crossing)  # one of them is in every conversion between libraries
        self.between_words = _words(project, [row for row in crossing if row.to not in PLAIN])
        self.words = project.spellings(frozenset(self.functions)).union(self.methods)


def _words(project: Project, rows: Sequence[Operation]) -> frozenset[str]:
    """The identifiers operations may be written with."""
    functions = frozenset(row.name for row in rows if not row.method)
    return project.spellings(functions).union(row.name for row in rows if row.method)
