"""Columns that are read or computed and that nothing uses, and data files that nothing reads (MLD606)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from mldebt.facts.schema import Attribute, Build, Call, Const, Expr, Ref, Stmt, Subscript
from mldebt.facts.walk import children, expressions, statements
from mldebt.finding import Place
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .frame_uses import FrameUses
from .known_columns import FEWEST, Known, known_columns

_READS = frozenset(
    f"{library}.{name}"
    for library in ("pandas", "polars")
    for name in ("read_csv", "read_parquet", "read_table", "read_excel", "read_feather", "read_json")
)
_MOST_FILES = 120
_LONGEST_TEXT = 5000
_WORD = re.compile(r"\w+")


class Unused(Struct, frozen=True, eq=False):
    """``columns`` of what ``place`` reads, or of what it computes, that are not used; ``how`` they are known.

    ``how`` is ``absent`` for a column that is selected and does not exist.
    """

    place: Place
    columns: tuple[str, ...]
    known: int
    how: str
    read: Place
    others: tuple[Place, ...] = ()


class UnusedColumns(Analysis):
    """Finds them, frame by frame."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    @cached_property
    def all(self) -> tuple[Unused, ...]:
        found: dict[tuple[Place, tuple[str, ...]], Unused] = {}
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for _, site in module.calls_of(_READS):
                    for one in self._of(module, site.scope, site.call):
                        found.setdefault(
                            (one.place, one.columns), one
                        )  # two frames that are put together share columns
        return tuple(found.values())

    def _of(self, module: Module, scope: int, call: Call) -> Iterator[Unused]:
        known = known_columns(self.project, module, scope, call)
        if known is None or len(known.columns) < FEWEST:
            return
        uses = FrameUses(self.project, module, scope, call).follow()
        if uses.escapes or not uses.named:
            return
        read = module.place(call)
        yield from self._columns(known, uses, call, read)
        computed = [
            column for column in uses.created if column not in uses.named and not self._is_mentioned(column, uses)
        ]
        if computed and not uses.listed and not uses.shown:
            places = tuple(where.place(stmt) for where, stmt in (uses.created[column] for column in computed))
            yield Unused(places[0], tuple(computed), 0, "computed", read, places[1:])

    def _columns(self, known: Known, uses: FrameUses, call: Call, read: Place) -> Iterator[Unused]:
        words = self._words(uses.modules, call, known)
        said = set(words)
        unused = [
            column
            for column in known.columns
            if column not in uses.named
            and column not in known.index
            and not {column} & (said | self._configured.keys())
        ]
        if _is_many(unused, known) and not uses.listed:  # a configuration may choose others the next time
            yield Unused(read, tuple(unused), len(known.columns), known.how, read)
        if uses.widened or known.how == "dtype":
            return
        there = {*known.columns, *known.index, *uses.created, *uses.assigned}
        for column in sorted(uses.selected - there):
            listed = uses.listed.get(column)
            if words[column] <= (listed is None):  # at most in the list that selects it
                yield Unused(listed or read, (column,), len(known.columns), "absent", read)

    # Mentions.

    def _near(self, modules: Iterable[str]) -> list[Module]:
        """Files that may name a column: those the frame goes through, what they import and who imports them."""
        found: set[str] = set(modules)
        for path in list(found):
            found |= self.project.imports.closure(path)
            found |= self.project.imports.importers(path)
        return [self.project.modules[path] for path in sorted(found) if path in self.project.modules][:_MOST_FILES]

    def _words(self, modules: Iterable[str], call: Call, known: Known) -> Counter[str]:
        """Every text, and every word and attribute, that the code near a frame has outside of the reading call."""
        found: Counter[str] = Counter()
        for module in self._near(modules):
            for index in range(len(module.facts.scopes)):
                for stmt in statements(module.body(index)):
                    for expr in expressions(stmt, module.facts.scopes):
                        found.update(_words_of(expr, call, known.displays))
        return found

    @cached_property
    def _configured(self) -> Mapping[str, int]:
        """Texts in configuration files, and how often they stand there."""
        files = self.project.repository.configs
        found = Counter(str(leaf.value) for file in files for leaf in file.leaves if isinstance(leaf.value, str))
        found.update(key for file in files for leaf in file.leaves for key in leaf.keys)
        return found

    def _is_mentioned(self, column: str, uses: FrameUses) -> bool:
        """Whether a computed column is named anywhere but where it is stored."""
        if column in self._configured:
            return True
        for module in self._near(uses.modules):
            for index in range(len(module.facts.scopes)):
                for stmt in statements(module.body(index)):
                    for expr in _read_expressions(stmt, module):
                        if column in _words_of(expr, None, frozenset()):
                            return True
        return False


def _is_many(unused: list[str], known: Known) -> bool:
    """Whether as many are unused as make a finding: of an explicit choice any, of all a file has the larger part."""
    if known.how in ("usecols", "columns"):
        return bool(unused)
    if known.how in ("names", "dtype"):
        return len(unused) >= 2
    return len(unused) * 2 >= len(known.columns)


def _read_expressions(stmt: Stmt, module: Module) -> Iterator[Expr]:
    """What a statement reads: the targets it stores in are left out, but for their own parts."""
    targets = list(getattr(stmt, "targets", ()))
    for expr in expressions(stmt, module.facts.scopes):
        if any(expr is target for target in targets) and isinstance(expr, Subscript) and isinstance(expr.index, Const):
            yield expr.value
        else:
            yield expr


def _words_of(expr: Expr, call: Call | None, skipped: frozenset[int]) -> Iterator[str]:
    """The texts, their words, attributes and keywords in an expression."""
    stack = [expr]
    while stack:
        node = stack.pop()
        if node is call or (isinstance(node, Build) and id(node) in skipped):
            continue
        if isinstance(node, Const):
            if isinstance(node.value, str):
                yield node.value
                words = _WORD.findall(node.value) if len(node.value) < _LONGEST_TEXT else ()
                yield from (word for word in words if word != node.value)
        elif isinstance(node, (Ref, Attribute)):
            yield from node.name.split(".")[isinstance(node, Ref) :]
        elif isinstance(node, Call):
            yield from (one.name for one in node.keywords if one.name)
        stack.extend(children(node))
