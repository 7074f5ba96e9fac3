"""The concrete-syntax door: libcst opens the smallest enclosing statement of a hit, not the file (DESIGN 1).

A statement's source lines, prefixed by ``if 1:``, parse alone: columns are the file's own, lines shift by a constant.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mldebt import cst
from mldebt.facts.schema import Define, For, If, Match, Scope, Stmt, Try, While, With
from mldebt.finding import Span

NodeT = TypeVar("NodeT", bound="cst.CSTNode")
_COMPOUND = (If, For, While, With)
_DEEPEST = 200  # libcst's native parser crashes on deeper input (DESIGN 1)


@dataclass(frozen=True, eq=False)
class Fragment:
    """A piece of a file as libcst sees it: every node's place in the file, and the facts scope it stands in."""

    root: cst.Module
    spans: Mapping[cst.CSTNode, Span]
    scope: int

    def find(self, span: Span, kind: type[NodeT]) -> NodeT | None:
        """The node of exactly this kind at exactly this span."""
        return next((node for node, at in self.spans.items() if at == span and isinstance(node, kind)), None)

    def nodes(self, kinds: tuple[type[NodeT], ...]) -> Iterator[NodeT]:
        """The nodes of these kinds in source order."""
        found = [node for node in self.spans if isinstance(node, kinds)]
        yield from sorted(found, key=lambda node: self.spans[node])


def open_statement(lines: Sequence[str], stmt: Stmt, scopes: Sequence[Scope], scope: int) -> Fragment | None:
    """The statement's own syntax: header only for a compound one. None when its lines do not stand alone."""
    first, last, header = _extent(stmt, scopes)
    text = list(lines[first - 1 : last])
    if not text:
        return None
    indented = text[0][:1] in " \t\f"
    if isinstance(stmt, If) and text[0].lstrip().startswith("elif"):
        text[0] = text[0].replace("elif", "  if", 1)
        indented = True
    if header:
        text.append(text[0][: len(text[0]) - len(text[0].lstrip())] + "    pass")
    return _parse("\n".join(["if 1:" if indented else "", *text, ""]), first - 2, scope)


def open_file(text: str) -> Fragment | None:
    """The whole file, for the rules that need it. None when libcst refuses it."""
    return _parse(text, 0, 0)


def _extent(stmt: Stmt, scopes: Sequence[Scope]) -> tuple[int, int, bool]:
    """First line, last line, and whether that is a header that lacks its body."""
    if isinstance(stmt, Define):
        scope = scopes[stmt.scope]
        if scope.body_line > scope.line:
            return scope.first_line, _header_end(scope.body_line), True
        return scope.first_line, scope.end_line, False
    if isinstance(stmt, _COMPOUND) and stmt.body:
        body = stmt.body[0]
        starts = scopes[body.scope].first_line if isinstance(body, Define) else body.line
        if starts > stmt.line:
            return stmt.line, starts - 1, True
    if isinstance(stmt, (Try, Match)):
        return stmt.line, stmt.end_line, False
    return stmt.line, stmt.end_line, False


def _header_end(body_line: int) -> int:
    return body_line - 1


def _parse(text: str, shift: int, scope: int) -> Fragment | None:
    if deepest(text) > _DEEPEST:
        return None
    # Imported here, as all of libcst is with the first node (mldebt.cst).
    from libcst.metadata import MetadataWrapper, PositionProvider

    try:
        wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        places = wrapper.resolve(PositionProvider)
    except (cst.ParserSyntaxError, RecursionError):
        return None
    spans = {
        node: Span(at.start.line + shift, at.start.column + 1, at.end.line + shift, at.end.column + 1)
        for node, at in places.items()
    }
    return Fragment(wrapper.module, spans, scope)


def deepest(text: str) -> int:
    """How deep the syntax nests, measured without recursion. ``ast`` accepted the file, so it accepts the fragment."""
    try:
        level: list[ast.AST] = [ast.parse(text)]
    except (SyntaxError, RecursionError, MemoryError):
        return _DEEPEST + 1
    depth = 0
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def dotted(node: cst.CSTNode) -> str | None:
    """``a.b.c`` for a chain of names, None for anything else."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return None
    return ".".join([node.value, *reversed(parts)])
