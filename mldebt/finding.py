"""What a scan finds: findings, their places, and fixes. Values only; no I/O."""

from __future__ import annotations

from enum import Enum, IntEnum

from msgspec import Struct
from msgspec.structs import force_setattr


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


class Span(Struct, frozen=True, order=True):
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
            force_setattr(self, "end_line", self.line)
        if not self.end_column:
            force_setattr(self, "end_column", self.column if self.end_line == self.line else 1)


class Place(Struct, frozen=True, order=True):
    """A span in a file. ``path`` is relative to the root, with forward slashes."""

    path: str
    span: Span


class Related(Struct, frozen=True):
    """Another place a finding is about.

    ``role`` says which: ``cause`` (a waiver here silences the finding), ``path`` (a step from entry to anchor,
    in order), ``effect``, or ``counterpart`` (the other side of a contradiction).
    """

    place: Place
    message: str
    role: str = "cause"


class Edit(Struct, frozen=True):
    """Replace the text of ``place`` by ``text``."""

    place: Place
    text: str


class Fix(Struct, frozen=True):
    """Edits that pay a finding back; applied whole or not at all."""

    applicability: Applicability
    message: str
    edits: tuple[Edit, ...]


class Cell(Struct, frozen=True):
    """Where a notebook finding is: 1-based index over all cells, the cell's id, 1-based line in the cell."""

    index: int
    id: str | None
    line: int


class Finding(Struct, frozen=True):
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
    carries: tuple[tuple[str, int], ...] = ()

    @property
    def family(self) -> str:
        """The family digit: ``"4"`` for MLD401."""
        return self.code[3]


class Waived(Struct, frozen=True):
    """A finding somebody chose to live with: visible, and counted apart."""

    finding: Finding
    kind: str  # "inline" or "baseline"
    reason: str
    line: int


class ScanError(Struct, frozen=True):
    """A file or rule the scan could not deal with: MLD001 and MLD005 in the report's ``errors``."""

    code: str
    path: str
    line: int
    message: str
