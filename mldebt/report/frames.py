"""One finding on a terminal: what it is, what happens, the code, and every other place that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from mldebt.finding import Finding, Related, Severity
from mldebt.report.result import Report
from mldebt.report.snippet import one_line, printable, shown

QUOTED = 4  # lines of a long statement
PLACES = 10  # related places; of more, the first and the last
ROLES = {"cause": "cause", "path": "path", "effect": "effect", "counterpart": "against"}
LABEL = max(map(len, ROLES.values()))


def severity_style(severity: Severity) -> str:
    return ("blue", "cyan", "yellow", "bold red")[severity]


def duration(minutes: int) -> str:
    """``45 min``, ``2 h``, ``13 h 30``."""
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours:,} h {rest:02}" if rest else f"{hours:,} h"


def justified(left: Text, right: Text, width: int) -> Text:
    """``right`` at the right margin, two spaces away at least."""
    left = left.copy()
    left.truncate(max(1, width - right.cell_len - 2), overflow="ellipsis")
    return Text.assemble(left, " " * max(2, width - left.cell_len - right.cell_len), right)


def wrapped(text: str, indent: int, width: int, style: str = "") -> Iterator[Text]:
    """Words over as many lines as they need; a word longer than a line is cut in two."""
    room = max(20, width - indent)
    line = ""
    for given in printable(text).split():
        word = given
        while cell_len(word) > room:
            if line:
                yield Text(" " * indent + line, style)
                line = ""
            head = word[: max(1, room // 2)] if cell_len(word[:room]) > room else word[:room]
            yield Text(" " * indent + head, style)
            word = word[len(head) :]
        if line and cell_len(line) + 1 + cell_len(word) > room:
            yield Text(" " * indent + line, style)
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield Text(" " * indent + line, style)


def title(finding: Finding, width: int) -> Text:
    """``major MLD401 unseeded-entry-path`` with the cost at the right."""
    left = Text.assemble(
        (finding.severity.label, severity_style(finding.severity)),
        " ",
        (finding.code, "bold"),
        " ",
        printable(finding.name),
        (" (preview)" if finding.preview else "", "dim"),
    )
    return justified(left, Text(duration(finding.minutes) if finding.minutes else "", "dim"), width)


@dataclass(frozen=True, slots=True)
class Frame:
    """Lays a finding out for a width; ``gutter`` is as wide as the largest line number quoted."""

    report: Report
    finding: Finding
    width: int

    def lines(self) -> Iterator[Text]:
        """All there is to say; the title is the caller's."""
        yield from self.message()
        yield self.place()
        yield from self.code_and_places()

    def message(self) -> Iterator[Text]:
        yield from wrapped(self.finding.message, self.gutter + 1, self.width)

    def place(self) -> Text:
        finding, gutter = self.finding, self.gutter
        scope = self.report.in_file(finding.place) + (f" in {printable(finding.scope)}" if finding.scope else "")
        place = Text.assemble(
            " " * gutter, ("--> ", "blue"), printable(self.report.where(finding.place)), (scope, "dim")
        )
        place.truncate(self.width, overflow="ellipsis")
        return place

    def code_and_places(self) -> Iterator[Text]:
        """The quoted lines, the related places with theirs, and the fix."""
        finding = self.finding
        code = list(self._code())
        if code:
            yield self._bar()
            yield from code
        if finding.related:
            yield self._bar()
            yield from self._related()
        if finding.fix:
            if not finding.related:
                yield self._bar()
            yield from self._noted("fix", f"{finding.fix.message} ({_how(finding.fix.applicability.value)})")

    @property
    def gutter(self) -> int:
        numbers = [number for number, _ in self._quoted()]
        return max(2, len(str(max(numbers, default=0))))

    def _quoted(self) -> list[tuple[int, str]]:
        return self.report.quoted(self.finding.place.path, self.finding.place.span, QUOTED)

    def _bar(self, text: str = "") -> Text:
        return Text.assemble(" " * self.gutter, (" |", "blue"), text)

    def _code(self) -> Iterator[Text]:
        span, room = self.finding.place.span, self.width - self.gutter - 3
        for number, line in self._quoted():
            # Whole lines need no underlining: there is nothing else to see on them.
            single = span.line == span.end_line
            part = shown(line, span.column - 1 if single else 0, span.end_column - 1 if single else 0, room)
            yield Text.assemble((f"{number:>{self.gutter}} | ", "blue"), part.text)
            if part.length:
                mark = " " * part.start + "^" * part.length
                yield Text.assemble(self._bar(" "), (mark, severity_style(self.finding.severity)))
        more = span.end_line - span.line + 1 - QUOTED
        if more > 0:
            lines = "line" if more == 1 else "lines"
            yield Text.assemble(self._bar(" "), (f"... {more} more {lines}", "dim"))

    def _noted(self, label: str, words: str) -> Iterator[Text]:
        indent = self.gutter + 4 + LABEL
        for index, line in enumerate(wrapped(words, 0, self.width - indent)):
            head = f"{label:<{LABEL}}" if index == 0 else " " * LABEL
            sign = " = " if index == 0 else " | "
            yield Text.assemble(" " * self.gutter, (sign, "blue"), (head, "bold"), " ", line)

    def _related(self) -> Iterator[Text]:
        rows = [self._row(related) for related in _shortened(self.finding.related)]
        places = max(cell_len(row.place) for row in rows)
        indent = self.gutter + 4 + LABEL
        beside = places <= (self.width - indent) * 2 // 5
        room = self.width - indent - (places + 2 if beside else 2)
        code = max(cell_len(row.code) for row in rows)
        words = max(cell_len(row.message) for row in rows)
        label = ""
        for row in rows:
            head = "" if row.label == label else row.label
            label = row.label
            lead = Text.assemble(" " * self.gutter, (" = " if head else " | ", "blue"), (f"{head:<{LABEL}} ", "bold"))
            rest = list(row.lines(room, code if code + 2 + words <= room else None))
            if beside:
                place = Text(row.place + " " * (places + 2 - cell_len(row.place)), "dim")
            else:
                place = Text(row.place, "dim")
                place.truncate(self.width - indent, overflow="ellipsis")
                rest.insert(0, Text(""))
            hanging = Text.assemble(" " * self.gutter, (" | ", "blue"), " " * (self.width - room - self.gutter - 3))
            yield Text.assemble(lead, place, rest[0] if rest else "")
            yield from (Text.assemble(hanging, line) for line in rest[1:])

    def _row(self, related: Related | int) -> _Row:
        if isinstance(related, int):
            return _Row("", "...", "", f"{related} more")
        quoted = self.report.quoted(related.place.path, related.place.span, 1)
        code = one_line(quoted[0][1], 400) if quoted else ""
        place = printable(self.report.where(related.place, column=False))
        return _Row(ROLES.get(related.role, related.role), place, code, printable(related.message))


@dataclass(frozen=True, slots=True)
class _Row:
    """A related place: label, place, its code, what it has to do with the finding."""

    label: str
    place: str
    code: str
    message: str

    def lines(self, room: int, beside: int | None) -> Iterator[Text]:
        """Code and message, side by side when there are ``beside`` cells for the code, else one under the other."""
        if not self.code:
            yield from wrapped(self.message, 0, room, "dim")
        elif beside is not None:
            gap = " " * (beside + 2 - cell_len(self.code)) if self.message else ""
            yield Text.assemble(self.code, gap, (self.message, "dim"))
        else:
            yield Text(one_line(self.code, room))
            yield from wrapped(self.message, 0, room, "dim")


def _shortened(related: Sequence[Related]) -> Iterable[Related | int]:
    if len(related) <= PLACES:
        return related
    head, tail = related[: PLACES - 4], related[-3:]
    return (*head, len(related) - len(head) - len(tail), *tail)


def _how(applicability: str) -> str:
    return "--fix" if applicability == "safe" else "--unsafe-fixes"
