"""Literals where they stand: expressions with what is around them, and the places of texts the facts keep none for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import Const, Define, Expr, Stmt
from mldebt.facts.walk import children, expressions
from mldebt.finding import Place, Span

if TYPE_CHECKING:
    from mldebt.module import Module

Around = tuple[Expr, ...]  # what an expression stands in, inside out
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:0[xob][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?)(?![\w.])"
)


def nested(expr: Expr) -> Iterator[tuple[Expr, Around]]:
    """An expression's parts, each with the expressions it stands in."""
    stack: list[tuple[Expr, Around]] = [(expr, ())]
    while stack:
        node, around = stack.pop()
        yield node, around
        stack += [(child, (node, *around)) for child in reversed(children(node))]


def parts(module: Module, stmt: Stmt) -> Iterator[tuple[Expr, Around]]:
    """The parts of all expressions a statement evaluates itself."""
    for expr in expressions(stmt, module.facts.scopes):
        yield from nested(expr)


def text_place(module: Module, stmt: Stmt, text: str) -> Place:
    """Where a string literal that starts with ``text`` stands in a statement; the statement when it is not found."""
    first = module.scope(stmt.scope).first_line if isinstance(stmt, Define) else stmt.line
    spellings = (text, text.replace("\\", "\\\\"))
    for line in range(first, stmt.end_line + 1):
        row = module.text_lines[line - 1] if line <= len(module.text_lines) else ""
        for spelling in spellings:
            for quote in "\"'":
                at = row.find(f"{quote}{spelling}")
                if at >= 0:
                    end = row.find(quote, at + 1 + len(spelling))
                    end = end + 1 if end >= 0 else at + 1 + len(spelling)
                    return Place(module.path, Span(line, at + 1, line, end + 1))
    return module.place(stmt)


def number_place(module: Module, stmt: Stmt, value: Const, first: int, last: int) -> Place | None:
    """Where a number stands between two lines of a statement, if it stands there once."""
    found: list[Span] = []
    for line in range(first, last + 1):
        row = module.text_lines[line - 1] if line <= len(module.text_lines) else ""
        found += [
            Span(line, match.start() + 1, line, match.end() + 1)
            for match in _NUMBER.finditer(row)
            if _worth(match.group()) == value.value
        ]
    return Place(module.path, found[0]) if len(found) == 1 else None


def _worth(text: str) -> int | float | None:
    try:
        return int(text, 0)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None
