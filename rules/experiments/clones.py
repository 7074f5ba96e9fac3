"""How much of two files is the same text: token n-grams both ways, and the lines and leaves that differ (F15).

Files are read and cut into tokens only when a rule asks for a pair; which pairs are worth it is the rule's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from msgspec import Struct

from mldebt.project.project import Project
from mldebt.rule import Analysis

SHINGLE = 8  # tokens; the thresholds of catalogue 4.3 were measured with this length
_EXACT_LINES = 4000  # beyond, difflib skips frequent lines: quadratic otherwise
_SHARED_LINES = 8  # distinct lines two copies have in common at least
_SHARED_PART = 0.25  # of the smaller file's; half of the 8-grams are hardly ever spread over fewer
_SHORT_LINE = 8  # characters; ``return x`` and brackets are in every file
_LONGEST = 1 << 20  # characters; a larger file is data

_TOKEN = re.compile(
    r"(?P<skip>\#[^\n]*|[ \t\f]+|\\\n)"
    r"|(?P<newline>\n)"
    r"|(?P<text>[rRbBuUfFtT]{0,2}(?:"
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'))"
    r"|(?P<number>0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?[jJ]?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>\*\*=?|//=?|>>=?|<<=?|[-+*/%&|^@=!<>:]=|->|.)",
    re.DOTALL,
)


class Token(NamedTuple):
    """``plain`` is the token with its literal value taken out: ``"text"`` and ``1e-3`` become the kind of literal."""

    line: int
    raw: str
    plain: str


class Overlap(Struct, frozen=True):
    """The shingles of two files: how many distinct ones each has, and how many are in both."""

    first: int
    second: int
    shared: int

    @property
    def contained(self) -> float:
        """The share of the first file's shingles that the second has."""
        return self.shared / self.first if self.first else 0.0

    @property
    def containing(self) -> float:
        """The share of the second file's shingles that the first has."""
        return self.shared / self.second if self.second else 0.0

    @property
    def containment(self) -> float:
        """The share of the smaller file that is in the other."""
        return max(self.contained, self.containing)

    @property
    def jaccard(self) -> float:
        """The share of all shingles that both have."""
        union = self.first + self.second - self.shared
        return self.shared / union if union else 0.0

    @property
    def smaller(self) -> int:
        return min(self.first, self.second)


class Similarity(Struct, frozen=True):
    """What two files have in common. ``named``: identifiers kept, literals normalised; ``raw``: as written."""

    first: str
    second: str
    named: Overlap
    raw: Overlap


class Difference(Struct, frozen=True):
    """One stretch in which two aligned files differ.

    Args:
        first: Lines of the first file; empty when the second adds.
        second: Lines of the second file; empty when the second leaves out.
        leaves: The tokens that differ, ``(first, second)``, where the stretches are otherwise equal.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    leaves: tuple[tuple[str, str], ...] = ()


class Differences(Struct, frozen=True):
    """Two files aligned line by line, comments and blank lines left out. ``same`` counts lines equal in both."""

    same: int
    stretches: tuple[Difference, ...]

    @property
    def lines(self) -> int:
        """How many lines differ: of each stretch, those of its longer side."""
        return sum(max(len(each.first), len(each.second)) for each in self.stretches)

    @property
    def leaves(self) -> tuple[tuple[str, str], ...]:
        """The distinct tokens that differ where nothing else does, in order."""
        return tuple(dict.fromkeys(leaf for each in self.stretches for leaf in each.leaves))


class Clones(Analysis):
    """Answers how similar two files are. Files that cannot be a pair are never read."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._tokens: dict[str, tuple[Token, ...]] = {}
        self._rows: dict[str, frozenset[str]] = {}
        self._shingles: dict[str, tuple[frozenset[int], frozenset[int]]] = {}
        self._pairs: dict[tuple[str, str], Similarity] = {}

    def pair(self, first: str, second: str) -> Similarity:
        """How much of two modules or notebooks, by path, is the same."""
        known = self._pairs.get((first, second))
        if known is None:
            ours, theirs = self._cut(first), self._cut(second)
            named, raw = (Overlap(len(a), len(b), len(a & b)) for a, b in zip(ours, theirs, strict=True))
            known = self._pairs[first, second] = Similarity(first, second, named, raw)
        return known

    def may_share(self, first: str, second: str, share: float) -> bool:
        """Whether two files can be copies at all: by identifiers, known without reading, then by equal lines."""
        ours, theirs = (frozenset(self.project.modules[path].facts.mentions) for path in (first, second))
        smaller = min(len(ours), len(theirs))
        if not smaller or len(ours & theirs) < share * smaller:
            return False
        ours, theirs = self._lines(first), self._lines(second)
        return len(ours & theirs) >= max(_SHARED_LINES, _SHARED_PART * min(len(ours), len(theirs)))

    def _lines(self, path: str) -> frozenset[str]:
        """The distinct lines of a file that say something."""
        known = self._rows.get(path)
        if known is None:
            rows = (row.strip() for row in self.project.modules[path].text_lines)
            known = self._rows[path] = frozenset(row for row in rows if len(row) > _SHORT_LINE and row[0] != "#")
        return known

    def differences(self, first: str, second: str) -> Differences:
        """The anti-unified difference of two files, line by line."""
        ours, theirs = rows(self.tokens(first)), rows(self.tokens(second))
        keys = [[" ".join(token.raw for token in row) for row in side] for side in (ours, theirs)]
        matcher = SequenceMatcher(None, keys[0], keys[1], autojunk=max(map(len, keys)) > _EXACT_LINES)
        same, stretches = 0, []
        for kind, start, end, other, other_end in matcher.get_opcodes():
            if kind == "equal":
                same += end - start
            else:
                stretches.append(_difference(ours[start:end], theirs[other:other_end]))
        return Differences(same, tuple(stretches))

    def tokens(self, path: str) -> tuple[Token, ...]:
        """The tokens of a file; none when it is too large to be code."""
        known = self._tokens.get(path)
        if known is None:
            text = self.project.modules[path].source.text
            known = self._tokens[path] = tuple(cut(text)) if len(text) <= _LONGEST else ()
        return known

    def _cut(self, path: str) -> tuple[frozenset[int], frozenset[int]]:
        known = self._shingles.get(path)
        if known is None:
            tokens = self.tokens(path)
            named, raw = shingles([token.plain for token in tokens]), shingles([token.raw for token in tokens])
            known = self._shingles[path] = (named, raw)
        return known


def cut(text: str, line: int = 1) -> Iterator[Token]:
    """The tokens of Python source that begins at a line, without comments, blanks and line ends."""
    for match in _TOKEN.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        kind, raw = match.lastgroup, match.group()
        if kind == "newline":
            line += 1
        elif kind == "skip":
            line += raw.count("\n")
        else:
            plain = raw if kind in ("name", "sign") else "''" if kind == "text" else "0"
            yield Token(line, raw, plain)
            if kind == "text":
                line += raw.count("\n")


def shingles(tokens: Sequence[str]) -> frozenset[int]:
    """Hashes of all runs of ``SHINGLE`` tokens."""
    return frozenset(map(hash, zip(*(tokens[start:] for start in range(SHINGLE)), strict=False)))


def rows(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens of each line that has any."""
    found: list[list[Token]] = []
    for token in tokens:
        if found and found[-1][0].line == token.line:
            found[-1].append(token)
        else:
            found.append([token])
    return found


def _difference(ours: Sequence[Sequence[Token]], theirs: Sequence[Sequence[Token]]) -> Difference:
    leaves: list[tuple[str, str]] = []
    if len(ours) == len(theirs) and all(len(a) == len(b) for a, b in zip(ours, theirs, strict=True)):
        pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a, b, strict=True)]
        leaves = [(a.raw, b.raw) for a, b in pairs if a.raw != b.raw]
    lines = [tuple(row[0].line for row in side) for side in (ours, theirs)]
    return Difference(lines[0], lines[1], tuple(leaves))
