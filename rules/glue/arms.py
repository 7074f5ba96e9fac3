"""Edits that leave one arm of an ``if`` or a ``try`` standing."""

from __future__ import annotations

from collections.abc import Sequence

from mldebt.facts.schema import Define, If, Stmt, Try
from mldebt.finding import Edit, Place, Span
from mldebt.module import Module

Lines = tuple[int, int]  # first and last


def kept_arm(module: Module, scope: int, stmt: Stmt, first: bool) -> Edit | None:
    """The statement replaced by its first arm, or by the other one; None where text does not show how."""
    if isinstance(stmt, Try):
        if stmt.orelse or stmt.final or len(stmt.handlers) != 1:
            return None
        return _replaced(module, scope, stmt, _lines(module, stmt, stmt.body if first else stmt.handlers[0].body))
    if not isinstance(stmt, If):
        return None
    row = module.text_lines[stmt.line - 1]
    if row.lstrip().startswith("elif") or _begins_elif(module, stmt.orelse):
        return None
    arm = stmt.body if first else stmt.orelse
    return _replaced(module, scope, stmt, _lines(module, stmt, arm) if arm else (0, -1))


def _begins_elif(module: Module, orelse: Sequence[Stmt]) -> bool:
    return bool(orelse) and module.text_lines[orelse[0].line - 1].lstrip().startswith("elif")


def _lines(module: Module, stmt: Stmt, arm: Sequence[Stmt]) -> Lines | None:
    """The lines of an arm, comments above it included; None for one on its header's own line."""
    first = module.scope(arm[0].scope).first_line if isinstance(arm[0], Define) else arm[0].line
    rows = module.text_lines
    if not rows[first - 1][: _column(module, arm[0])].isspace() or first == stmt.line:
        return None
    while first - 1 > stmt.line and (not rows[first - 2].strip() or rows[first - 2].lstrip().startswith("#")):
        first -= 1
    while not rows[first - 1].strip():
        first += 1
    last = arm[-1].end_line
    return first, last


def _column(module: Module, stmt: Stmt) -> int:
    return max(1, module.span(stmt).column - 1)


def _replaced(module: Module, scope: int, stmt: Stmt, lines: Lines | None) -> Edit | None:
    if lines is None:
        return None
    rows = module.text_lines
    header = rows[stmt.line - 1]
    indent = header[: len(header) - len(header.lstrip())]
    kept = rows[lines[0] - 1 : lines[1]]
    if any('"""' in row or "'''" in row or row.endswith("\\") for row in kept):
        return None
    end = rows[stmt.end_line - 1]
    span = Span(stmt.line, len(indent) + 1, stmt.end_line, len(end) + 1)
    if not kept:
        return Edit(Place(module.path, span), "pass")
    inner = kept[0][: len(kept[0]) - len(kept[0].lstrip())]
    if not inner.startswith(indent) or any(row.strip() and not row.startswith(inner) for row in kept):
        return None
    text = "\n".join(indent + row[len(inner) :] if row.strip() else "" for row in kept)
    return Edit(Place(module.path, span), text[len(indent) :])
