"""Text edits that take a statement out of a file and keep the comments around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import Body, Stmt
from mldebt.facts.walk import blocks, statements
from mldebt.finding import Edit, Place, Span

if TYPE_CHECKING:
    from mldebt.module import Module


def without(module: Module, stmt: Stmt, span: Span, scope: int) -> Edit:
    """The edit that deletes a simple statement at ``span``; ``pass`` takes its place where its block has nothing else.

    Facts know where a statement begins and on which line it ends, so the caller says which text it is.
    """
    rows = module.text_lines
    before, after = rows[span.line - 1][: span.column - 1], rows[span.end_line - 1][span.end_column - 1 :]
    block = block_of(module.body(scope), stmt)
    if not any(_is_outside(one, span) for one in block) and not is_documented(module, stmt, scope):
        return Edit(Place(module.path, span), "pass")
    if not before.strip() and after.lstrip().startswith(";"):  # ``breakpoint(); x = 1``
        rest = after.lstrip()[1:].lstrip()
        end = len(rows[span.end_line - 1]) - len(rest) + 1
        if rest and not rest.startswith("#"):
            return Edit(Place(module.path, Span(span.line, span.column, span.end_line, end)), "")
    if before.rstrip().endswith(";"):  # ``x = 1; breakpoint()``
        start = len(before.rstrip()[:-1].rstrip()) + 1
        return Edit(Place(module.path, Span(span.line, start, span.end_line, span.end_column)), "")
    if before.strip():
        return Edit(Place(module.path, span), "pass")
    if after.lstrip().startswith("#"):  # a comment behind it stays, on its own line
        end = len(rows[span.end_line - 1]) - len(after.lstrip()) + 1
        return Edit(Place(module.path, Span(span.line, span.column, span.end_line, end)), "")
    return Edit(Place(module.path, whole_lines(rows, span.line, span.end_line)), "")


def _is_outside(stmt: Stmt, span: Span) -> bool:
    within = span.line <= stmt.line <= span.end_line
    return not within or (stmt.line == span.line and stmt.column + 1 < span.column)


def whole_lines(rows: Sequence[str], first: int, last: int) -> Span:
    """The lines with their ends."""
    if last < len(rows):
        return Span(first, 1, last + 1, 1)
    return Span(first, 1, last, len(rows[last - 1]) + 1)


def block_of(body: Body, stmt: Stmt) -> Sequence[Stmt]:
    """The block a statement stands in."""
    for block in (body, *(arm for one in statements(body) for arm in blocks(one))):
        if any(one is stmt for one in block):
            return block
    return ()


def is_documented(module: Module, stmt: Stmt, scope: int) -> bool:
    """Whether the statement stands directly in a definition that has a docstring: that alone is body enough."""
    return module.scope(scope).documented and block_of(module.body(scope), stmt) is module.body(scope)
