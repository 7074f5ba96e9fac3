"""Names for findings that survive moves: the same debt keeps its name when code is moved, reformatted or commented."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

from msgspec.structs import replace

from mldebt.finding import Finding, Place

# Strings are kept as they are (a "#" in one is no comment). Two passes: one pattern that looks past comments for the
# bracket after a trailing comma takes exponential time on "# # # #".
_STRING = (
    r"""(?P<string>'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\r\n]|\\.)*'|"(?:[^"\\\r\n]|\\.)*")"""
)
_BLANKS = re.compile(_STRING + r"|\#[^\r\n]*|\\?\s+", re.DOTALL)
_TRAILING_COMMAS = re.compile(_STRING + r"|,(?=[)\]}])", re.DOTALL)


HEAD = 120  # characters of normalised code: a count of lines would change whenever a formatter wraps them


def normalise(code: str) -> str:
    """Code without white space, comments, trailing commas and choice of quotes: what a formatter may change is gone."""
    dense = _BLANKS.sub(_quoted, code)
    return _TRAILING_COMMAS.sub(lambda match: match["string"] or "", dense)


def _quoted(match: re.Match[str]) -> str:
    text: str = match["string"] or ""
    if not text.startswith("'") or '"' in text or "\\" in text:
        return text
    return text.replace("'''", '"""') if text.startswith("'''") else f'"{text[1:-1]}"'


def head(anchor: str, symbol: str = "", path: str = "") -> str:
    """A finding's normalised anchor: all of its problem's ``symbol``, which stands first, and the head of the code.

    ``path`` is the finding's file: where a symbol names files beside it, their folder says nothing.
    """
    code = normalise(anchor.removeprefix(f"{symbol}\n") if symbol else anchor)[:HEAD]
    folder = path.rpartition("/")[0]
    named = symbol.replace(f"{folder}/", "") if folder else symbol
    return f"{normalise(named)}\n{code}" if symbol else code


def fingerprint(code: str, scope: str, anchor: str, symbol: str = "", ordinal: int = 0) -> str:
    """16 hexadecimal digits for the ``ordinal``-th finding of a rule about ``symbol`` at equal code in equal scope."""
    text = "\0".join((code, scope, anchor, symbol, str(ordinal)))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def stamp(findings: Iterable[tuple[Finding, str]]) -> list[Finding]:
    """Findings with their fingerprints, in the given order; each comes with its problem's ``symbol``.

    ``anchor`` has to be normalised already. Neither path nor line takes part, but they order equals: the set of
    fingerprints is the same for any order of the input, and when whole files move.
    """
    given = list(findings)
    seen: dict[tuple[str, str, str, str], int] = {}
    stamped = [finding for finding, _ in given]
    for index in sorted(range(len(given)), key=lambda index: _reading_order(given[index][0])):
        finding, symbol = given[index]
        key = (finding.code, finding.scope, finding.anchor, symbol)
        ordinal = seen.get(key, 0)
        seen[key] = ordinal + 1
        stamped[index] = replace(finding, fingerprint=fingerprint(*key, ordinal))
    return stamped


def _reading_order(finding: Finding) -> tuple[Place, str, int]:
    return (finding.place, finding.message, finding.minutes)
