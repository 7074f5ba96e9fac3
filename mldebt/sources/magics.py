"""IPython cells to plain Python, line for line: magics, shell escapes and help requests are masked.

What IPython accepts: https://ipython.readthedocs.io/en/stable/interactive/magics.html and
``IPython.core.inputtransformer2``. Only cells that do not parse as they are need this.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from msgspec import Struct

# Cell magics that run their body as Python in the notebook's own namespace or a like one (ruff keeps the same).
_KEEPS_BODY = frozenset(("capture", "debug", "ipytest", "memit", "prun", "pypy", "python", "python3", "time", "timeit"))
_CELL = re.compile(r"%%([\w.]*)")
_ASSIGNED = re.compile(r"(?P<head>(?:[^=\[\]'\"(#]|\[[^\]]*\])*?=\s*)(?P<mark>!|%(?P<name>\w+)\s)(?P<rest>.*)$")
_TIMED = re.compile(
    r"\s*%(?P<name>time|timeit|memit|prun)(?P<options>(?:\s+-(?:-[\w-]+|[nrp]\s*\d+|[tcqov]+))*)\s+(?P<code>[^-\s].*)$"
)
_HELP = re.compile(r"\s*(?:\?{1,2}\s*[\w.*%]+|%{0,2}[\w.*\[\]'\"]+\s*\?{1,2})\s*;?\s*(?:#.*)?$")
# Commands IPython runs without a percent sign; only when no operator follows, so that a variable of that name stays.
_AUTOMAGIC = re.compile(
    r"""\s*(?:pip3?|conda|mamba|micromamba|uv|cd|ls|ll|cat|cp|mv|rm|mkdir|rmdir|man|run|time|timeit|matplotlib
    |load_ext|reload_ext|autoreload|env|set_env|precision|pylab|writefile)
    \ +(?![=(\[,:+*/%&|^<>!@]|-[ =]|(?:in|is|and|or|if|not|for)\b)\S""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\s*(?:%|!|[,;/]\w)")
_LEXEME = re.compile(r"""("{3}|'{3}|"|')|(\#)|([\[({])|([\])}])""")
_CLOSE = {quote: re.compile(rf"(?:\\.|(?!{quote}).)*{quote}", re.DOTALL) for quote in ('"""', "'''", '"', "'")}


class Masked(Struct, frozen=True):
    """A cell after masking: as many lines as before, and its magics as (0-based line, text as written)."""

    lines: list[str]
    magics: list[tuple[int, str]]


def mask(rows: Sequence[str]) -> Masked:
    """Mask what is not Python in one cell, keeping the number of lines and the columns of the others.

    A magic line becomes ``pass`` at its indent; what an assignment takes from a magic becomes ``None``; a timed
    statement (``%time f(x)``) stays where it is behind ``pass;``. The body of ``%%time`` and the like stays; any other
    cell magic takes the whole cell.
    """
    masked, magics = list(rows), list[tuple[int, str]]()
    number = 0
    while number < len(rows):
        stripped = rows[number].strip()
        if found := _CELL.match(stripped):
            if found[1] and found[1] not in _KEEPS_BODY:
                magics.append((number, "\n".join(rows[number:])))
                return Masked(masked[:number] + [""] * (len(rows) - number), magics)
            magics.append((number, stripped))
            masked[number] = "pass"
        elif stripped and not stripped.startswith("#"):
            break
        number += 1
    _mask_lines(masked, magics, number)
    return Masked(masked, magics)


def _mask_lines(masked: list[str], magics: list[tuple[int, str]], number: int) -> None:
    scan = _Scan()
    while number < len(masked):
        row = masked[number]
        plain = _plain(row) if scan.at_statement() else None
        if plain is None:
            scan.feed(row)
            number += 1
            continue
        end = number + 1
        while end < len(masked) and masked[end - 1].endswith("\\"):
            end += 1
        magics.append((number, "\n".join(masked[number:end]).strip()))
        masked[number:end] = [plain] + [""] * (end - number - 1)
        number = end


def _plain(row: str) -> str | None:
    """Give the Python that stands for a magic line; None when the line is no magic."""
    indent = row[: len(row) - len(row.lstrip())]
    if found := _TIMED.match(row):
        kept = f"{indent}pass;".ljust(found.start("code")) + found["code"]
        # "pass; for x in y: ..." is no statement: a compound one is masked with its magic
        return kept if _parses(kept.lstrip()) else f"{indent}pass"
    if _ESCAPE.match(row) or ("?" in row and _HELP.match(row)) or _AUTOMAGIC.match(row):
        return f"{indent}pass"
    if ("!" in row or "%" in row) and (found := _ASSIGNED.match(row)):
        if found["name"] in ("time", "timeit"):
            kept = found["head"].ljust(found.start("rest")) + found["rest"]
            if _parses(kept.lstrip()):
                return kept
        return found["head"] + "None"
    return None


def _parses(statement: str) -> bool:
    try:
        compile(statement, "<magic>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class _Scan(Struct):
    """Knows whether the next line starts a statement: outside brackets, strings and continued lines."""

    depth: int = 0
    quote: str = ""
    continued: bool = False

    def at_statement(self) -> bool:
        return not (self.depth or self.quote or self.continued)

    def feed(self, row: str) -> None:
        at, comment = 0, False
        if self.quote:
            close = _CLOSE[self.quote].match(row)
            if close is None:
                return
            at, self.quote = close.end(), ""
        while found := _LEXEME.search(row, at):
            at = found.end()
            if quote := found[1]:
                close = _CLOSE[quote].match(row, at)
                if close is None:
                    self.quote = quote if len(quote) == 3 else ""
                    break
                at = close.end()
            elif found[2]:
                comment = True
                break
            else:
                self.depth = max(0, self.depth + (1 if found[3] else -1))
        self.continued = not comment and not self.quote and row.endswith("\\")
