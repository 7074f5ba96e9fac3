"""What plugs in (Rule, ProjectRule, Analysis, Practice) and what their authors give: problems, examples, tables."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar, get_args, get_origin

import msgspec
import tomli

from mldebt import cst
from mldebt.announced import Identity
from mldebt.facts.extract import decode_body
from mldebt.finding import Confidence, Fix, Place, Related, Severity

if TYPE_CHECKING:
    from mldebt.facts.schema import Body, ModuleFacts, Stmt
    from mldebt.module import Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project
    from mldebt.sources.text import Source

NodeT = TypeVar("NodeT", bound="cst.CSTNode")
RowT = TypeVar("RowT", bound="Row")


class Alone(Enum):
    """What a rule does with a single file and no project around it (flake8, standard input)."""

    REPORT = "report"
    SILENT = "silent"


def _files(code: str | Mapping[str, str]) -> dict[str, str]:
    files = {"example.py": code} if isinstance(code, str) else dict(code)
    return {path: dedent(text).lstrip("\n") for path, text in files.items()}


class Bad(msgspec.Struct, frozen=True):
    """A repository the rule must report ``findings`` times, and what its fix makes of it.

    Args:
        code: One file's text, or file names to texts.
        fixed: The same after all fixes (``code``'s shape), if the rule mends.
        findings: How many findings the rule has to give.
        anchors: ``path:line`` of each finding, when the example pins them.
    """

    code: str | Mapping[str, str]
    fixed: str | Mapping[str, str] | None = None
    findings: int = 1
    anchors: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = None

    @property
    def files(self) -> dict[str, str]:
        return _files(self.code)

    @property
    def fixed_files(self) -> dict[str, str] | None:
        return None if self.fixed is None else _files(self.fixed)


class Good(msgspec.Struct, frozen=True):
    """A repository the rule must be silent on."""

    code: str | Mapping[str, str]
    options: Mapping[str, Any] | None = None

    @property
    def files(self) -> dict[str, str]:
        return _files(self.code)


class Problem(msgspec.Struct, frozen=True):
    """What a rule yields. What it leaves None is the rule's own default.

    Args:
        place: The anchor.
        message: What happens, in one sentence.
        related: Other places of the same cause, in reading order.
        evidence: Facts the finding stands on, and counter-evidence searched, for ``mldebt why``.
        carries: The (path, line) pairs a unit-level finding carries; empty means the anchor's statement.
        symbol: What tells this finding from others at the same code, e.g. the library for MLD401.
    """

    place: Place
    message: str
    related: tuple[Related, ...] = ()
    severity: Severity | None = None
    confidence: Confidence | None = None
    minutes: int | None = None
    evidence: tuple[str, ...] = ()
    carries: tuple[tuple[str, int], ...] = ()
    symbol: str = ""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What mldebt knows of one qualified name, and where that is documented; ``since``, ``until``: library versions."""

    name: str
    source: str = ""
    since: str = ""
    until: str = ""


@cache
def _document(path: Path) -> dict[str, Any]:
    """A knowledge file: several tables stand in one, and parsing it takes longer than making their rows."""
    return tomli.loads(path.read_text(encoding="utf-8"))


class Table(Generic[RowT]):
    """Knowledge as data: rows of one array in a TOML file beside the rule, ``Table("events.toml", "sklearn", Draw)``.

    ``key`` names the array, and the table in the user's ``[tool.mldebt.knowledge]``; users' rows come on top
    (``project.rows(table)``). Set it as a class attribute, so that it knows which folder it stands in.
    """

    def __init__(self, file: str, key: str, row: type[RowT]) -> None:
        self.file, self.key, self.row = file, key, row
        self._folder: Path | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self._folder = Path(sys.modules[owner.__module__].__file__ or "").parent

    @cached_property
    def rows(self) -> dict[str, RowT]:
        """The built-in rows by qualified name."""
        if self._folder is None:
            raise TypeError(f"table {self.key} is not a class attribute")
        return {row.name: row for row in self.parse(_document(self._folder / self.file)[self.key])}

    def parse(self, rows: Sequence[Mapping[str, Any]]) -> list[RowT]:
        """Rows from plain values. Raises msgspec.ValidationError naming the field that does not fit."""
        return msgspec.convert(rows, list[self.row])  # type: ignore[name-defined]


def page_of(cls: type) -> str:
    return cleandoc(cls.__doc__ or "")


@dataclass(frozen=True)
class AnyRule(Identity, ABC):
    """What every rule says of itself. A rule is frozen: its fields are its options, and it remembers nothing.

    A rule with options is a frozen dataclass; one without needs no decorator.

    The docstring is the rule's page: what it is in one paragraph, then the headings ``## Why it is debt``,
    ``## How to pay it back``, ``## When to leave it``, ``## References``.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity]
    confidence: ClassVar[Confidence]
    minutes: ClassVar[int]
    examples: ClassVar[Sequence[Bad | Good]]
    alone: ClassVar[Alone] = Alone.SILENT
    preview: ClassVar[bool] = False
    sensitive_to: ClassVar[frozenset[str]] = frozenset()  # rewrites (mldebt.variants) that do change its verdict
    collects: ClassVar[tuple[type[Analysis], ...]] = ()  # analyses worth collecting beside the facts for it
    in_tests: ClassVar[bool] = False  # tests are read as callers and evidence; few rules report in them

    @classmethod
    def page(cls) -> str:
        return page_of(cls)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """The fix of one problem, or None. Called only when a fix is asked for."""
        return None


@dataclass(frozen=True)
class Rule(AnyRule, Generic[NodeT]):
    """Debt one statement shows: ``class UnseededSklearnObject(Rule["cst.Call"])`` is handed calls, as libcst nodes.

    Quotes, and ``from mldebt import cst``, spare scans that open nothing the import of libcst; both may be left out.

    ``calls`` are the qualified names (a set, or a Table's rows) of the calls it is about; ``mentions`` are
    identifiers, for node types other than calls: only statements that mention one are opened. A rule with neither is
    handed every node of its type, and opens whole files: ``--profile`` names it.
    """

    _wanted: ClassVar[tuple[Any, ...]] = ()
    calls: ClassVar[Table[Any] | frozenset[str] | None] = None
    mentions: ClassVar[frozenset[str]] = frozenset()
    local: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Rule:
                (wanted,) = get_args(base)
                cls._wanted = get_args(wanted) or (wanted,)

    @classmethod
    def node_types(cls) -> tuple[type[cst.CSTNode], ...]:
        """The classes of the nodes it is handed."""
        return tuple(kind for wanted in cls._wanted for kind in cst.classes(wanted))

    def statements(self, module: Module, /) -> Iterable[tuple[Stmt, int]] | None:
        """The statements to open, with their scopes, for a rule whose hits the facts tell better than names do.

        None: those with ``calls`` or ``mentions``.
        """
        return None

    @abstractmethod
    def check(self, node: NodeT, module: Module, /) -> Iterator[Problem]: ...


@dataclass(frozen=True)
class ProjectRule(AnyRule):
    """Debt that spans files: asks the project and its analyses, never walks trees."""

    @abstractmethod
    def check(self, project: Project, /) -> Iterator[Problem]: ...


class FileParts(NamedTuple):
    """What ``Analysis.collect`` sees of one file: its facts with bodies decoded, and its source."""

    facts: ModuleFacts
    bodies: list[Body]
    source: Source


class Analysis:
    """A cross-file fact family other rules stand on, built on the first ``project[TheAnalysis]``.

    ``project.collected(TheAnalysis)`` gives by path what ``collect`` makes of each file, where a subclass sets
    ``collected`` to its msgspec type. For a selected rule that names the analysis in ``collects`` it runs beside the
    facts, in the worker, and is cached with them under ``version``; for all others when it is asked for.
    """

    version: ClassVar[int] = 1
    collected: ClassVar[Any] = None

    def __init__(self, project: Project) -> None:
        self.project = project

    @classmethod
    def collect(cls, file: FileParts) -> Any:
        """A small msgspec value for one file of the project's own; None when there is nothing."""
        return None

    @classmethod
    def collect_late(cls, module: Module) -> Any:
        """``collect`` of a file that was read without it: read again, its bodies decoded again."""
        bodies = [decode_body(raw) for raw in module.facts.bodies]
        return cls.collect(FileParts(module.facts, bodies, module.source))

    def describe_entry(self, entry: Entry, /) -> Sequence[tuple[str, str]]:
        """What ``mldebt entries`` says of an entry beside its roles: (label, text) pairs, e.g. seeds and draws."""
        return ()


class State(Enum):
    """How far a practice is visible in the repository (catalogue 5.1)."""

    WIRED = "wired"  # imported and reached from an entry, or run in CI: 1 point
    PRESENT = "present"  # a dependency, a file or a document only: half a point
    MISSING = "missing"
    NOT_VISIBLE = "not-visible"  # cannot be told from code: not counted


class Assessment(msgspec.Struct, frozen=True):
    """What a practice's evidence comes to."""

    state: State
    evidence: tuple[Place, ...] = ()
    next: str = ""  # the next step, when not wired


class Practice(ABC):
    """One practice of the checklist, P01-P25 and X1-X8. The docstring is its page."""

    id: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def assess(self, project: Project, /) -> Assessment: ...
