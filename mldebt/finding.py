"""What a scan finds: findings, their places, and fixes. Values only; no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum


class Severity(IntEnum):
    """What happens if nobody pays the debt back (catalogue, section 1)."""

    INFO = 0
    MINOR = 1
    MAJOR = 2
    CRITICAL = 3

    @property
    def label(self) -> str:
        return self.name.lower()


class Confidence(IntEnum):
    """How sure the finding is. ``LOW`` is never reported."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class Applicability(Enum):
    """``SAFE`` keeps the meaning for every input; ``SUGGEST`` is shown, and applied with --unsafe-fixes."""

    SAFE = "safe"
    SUGGEST = "suggest"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A piece of one file's text: 1-based lines and columns in code points, end exclusive.

    Lines are those of the file as Python reads it; for a notebook, of its joined code cells (``Source.text``).
    The report maps them to the physical lines of the .ipynb.
    """

    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0

    def __post_init__(self) -> None:
        if not self.end_line:
            object.__setattr__(self, "end_line", self.line)
        if not self.end_column:
            object.__setattr__(self, "end_column", self.column if self.end_line == self.line else 1)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A span in a file. ``path`` is relative to the root, with forward slashes."""

    path: str
    span: Span


@dataclass(frozen=True, slots=True)
class Related:
    """Another place a finding is about.

    ``role`` says which: ``cause`` (a waiver here silences the finding), ``path`` (a step from entry to anchor,
    in order), ``effect``, or ``counterpart`` (the other side of a contradiction).
    """

    place: Place
    message: str
    role: str = "cause"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of ``place`` by ``text``."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that pay a finding back; applied whole or not at all."""

    applicability: Applicability
    message: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a notebook finding is: 1-based index over all cells, the cell's id, 1-based line in the cell."""

    index: int
    id: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause of debt, with its anchor and every other place that belongs to it.

    ``lines`` are the (path, line) code lines the finding carries for the score's size (DESIGN 6): its anchor
    statement, or for a unit-level finding the unit's code lines. ``scope`` is the dotted class/function path at
    the anchor, and ``anchor`` the normalised code there: fingerprints stand on them.
    """

    code: str
    name: str
    message: str
    place: Place
    severity: Severity
    confidence: Confidence
    minutes: int
    preview: bool = False
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    cell: Cell | None = None
    scope: str = ""
    anchor: str = ""
    fingerprint: str = ""
    evidence: tuple[str, ...] = ()
    carries: tuple[tuple[str, int], ...] = field(default=(), repr=False)

    @property
    def family(self) -> str:
        """The family digit: ``"4"`` for MLD401."""
        return self.code[3]


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding somebody chose to live with: visible, and counted apart."""

    finding: Finding
    kind: str  # "inline" or "baseline"
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class ScanError:
    """A file or rule the scan could not deal with: MLD001 and MLD005 in the report's ``errors``."""

    code: str
    path: str
    line: int
    message: str
