"""The text a statement becomes when one of its tests is known: the dead arm goes, all other comments stay."""

from __future__ import annotations

from collections.abc import Sequence

from mldebt import cst
from mldebt.facts.graph import targets
from mldebt.facts.schema import Conditional, If, Stmt, Wait, While
from mldebt.facts.walk import expressions, position, statements, walk
from mldebt.finding import Edit, Place, Span
from mldebt.module import Module

from .removal import block_of, is_documented, whole_lines


def resolved(module: Module, scope: int, stmt: If | While, outcome: bool) -> Edit | None:
    """The edit that leaves of an ``if`` or ``while`` what its test lets run; None when other code stands there."""
    top = _top(module, scope, stmt)
    rows = module.text_lines
    first, last = top.line, _last(rows, top)
    if last - first > 400:  # lines: every branch of a ladder opens the whole of it
        return None
    head = rows[first - 1][: len(rows[first - 1]) - len(rows[first - 1].lstrip())]
    shift = 0 if not head else 1
    text = "\n".join(["if 1:"] * shift + list(rows[first - 1 : last]) + [""])
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    block: Sequence[cst.BaseStatement] = tree.body
    if shift:
        outer = tree.body[0]
        assert isinstance(outer, cst.If)
        inner = outer.body
        block = inner.body  # type: ignore[assignment]
        if isinstance(inner, cst.IndentedBlock):
            head = inner.indent or tree.default_indent
    if len(block) != 1 or not isinstance(block[0], (cst.If, cst.While)):
        return None
    kept = _kept(block[0], _depth(top, stmt), outcome)
    if not kept and _is_alone(module, scope, top):
        kept = [cst.SimpleStatementLine([cst.Pass()])]
    new = tree.with_changes(body=kept, header=(), footer=()).code if not shift else _indented(tree, kept, head)
    place = Place(module.path, whole_lines(rows, first, last))
    if place.span.end_line == last:  # the file's last line
        new = new.removesuffix("\n")
        if not new and first > 1:
            place = Place(module.path, Span(first - 1, len(rows[first - 2]) + 1, last, len(rows[last - 1]) + 1))
    return Edit(place, new)


def _last(rows: Sequence[str], top: Stmt) -> int:
    """The last line of a statement, with the comments at the end of its last block."""
    last, depth = top.end_line, len(rows[top.line - 1]) - len(rows[top.line - 1].lstrip())
    for number in range(last + 1, len(rows) + 1):
        row = rows[number - 1]
        text = row.lstrip()
        if text and (not text.startswith("#") or len(row) - len(text) <= depth):
            break
        last = number if text else last
    return last


def _top(module: Module, scope: int, stmt: If | While) -> Stmt:
    """The ``if`` an ``elif`` belongs to."""
    top: Stmt = stmt
    rows = module.text_lines
    while rows[top.line - 1].lstrip().startswith("elif"):
        above = [
            one
            for one in statements(module.body(scope))
            if isinstance(one, If) and len(one.orelse) == 1 and one.orelse[0] is top
        ]
        if not above:
            break
        top = above[0]
    return top


def _depth(top: Stmt, stmt: Stmt) -> int:
    depth = 0
    while top is not stmt and isinstance(top, If):
        depth, top = depth + 1, top.orelse[0]
    return depth


def _kept(node: cst.If | cst.While, depth: int, outcome: bool) -> list[cst.BaseStatement]:
    if depth and isinstance(node, cst.If):
        return [node.with_changes(orelse=_without(node.orelse, depth - 1, outcome))]
    if outcome:
        return _body(node.body, node.leading_lines)
    orelse = node.orelse
    if orelse is None:
        return _comments(node.leading_lines)
    if isinstance(orelse, cst.If):
        return [orelse.with_changes(leading_lines=(*node.leading_lines, *orelse.leading_lines))]
    return _body(orelse.body, (*node.leading_lines, *orelse.leading_lines))


def _without(node: cst.If | cst.Else | None, depth: int, outcome: bool) -> cst.If | cst.Else | None:
    if not isinstance(node, cst.If):
        return node
    if depth:
        return node.with_changes(orelse=_without(node.orelse, depth - 1, outcome))
    if outcome:
        return cst.Else(body=node.body, leading_lines=node.leading_lines)
    return node.orelse


def _body(block: cst.BaseSuite, leading: Sequence[cst.EmptyLine]) -> list[cst.BaseStatement]:
    """A block's statements one level up, with the comments before them, and behind them, kept."""
    if isinstance(block, cst.SimpleStatementSuite):
        line = cst.SimpleStatementLine(block.body, leading_lines=leading, trailing_whitespace=block.trailing_whitespace)
        return [line]
    assert isinstance(block, cst.IndentedBlock)
    header = [cst.EmptyLine(comment=block.header.comment)] if block.header.comment else []
    first, *others = block.body
    before = (*leading, *header, *_lines_of(first))
    found: list[cst.BaseStatement] = [first.with_changes(leading_lines=before), *others]
    if block.footer and any(line.comment for line in block.footer):
        found += _comments(block.footer)
    return found


def _lines_of(node: cst.CSTNode) -> Sequence[cst.EmptyLine]:
    return getattr(node, "leading_lines", ())


def _comments(lines: Sequence[cst.EmptyLine]) -> list[cst.BaseStatement]:
    """Nothing but comment lines: a statement of no parts."""
    kept = [line for line in lines if line.comment]
    return [cst.EmptyLine(indent=True, comment=line.comment) for line in kept]  # type: ignore[misc]


def _indented(tree: cst.Module, kept: Sequence[cst.BaseStatement], indent: str) -> str:
    """The statements' code, at their own depth."""
    holder = cst.If(cst.Integer("1"), cst.IndentedBlock(kept or [cst.SimpleStatementLine([cst.Pass()])], indent=indent))
    code = tree.with_changes(body=[holder], header=(), footer=()).code
    rest = code.partition("\n")[2]
    return rest if kept else ""


def _is_alone(module: Module, scope: int, stmt: Stmt) -> bool:
    return len(block_of(module.body(scope), stmt)) < 2 and not is_documented(module, stmt, scope) and scope > 0


def loses_binding(module: Module, scope: int, dead: Sequence[Stmt]) -> bool:
    """Whether names or a ``yield`` stand in dead code only: without it the function's scope would change."""
    if scope == 0:
        return False
    return any(_yields(stmt) for stmt in statements(dead)) or bool(_names(dead) - _outside(module, scope, dead))


def _yields(stmt: Stmt) -> bool:
    return any(isinstance(node, Wait) for expr in expressions(stmt) for node in walk(expr))


def _names(body: Sequence[Stmt]) -> set[str]:
    found: set[str] = set()
    for stmt in statements(body):
        for target in [*getattr(stmt, "targets", ()), *([stmt.target] if hasattr(stmt, "target") else ())]:
            found.update(name for name, _ in targets(target))
        if type(stmt).__name__ in ("Define", "Imports", "Try", "With", "Match", "Delete"):
            found.add("?")
    return found


def _outside(module: Module, scope: int, dead: Sequence[Stmt]) -> set[str]:
    inside = {id(stmt) for stmt in statements(dead)}
    others = [stmt for stmt in statements(module.body(scope)) if id(stmt) not in inside]
    simple = [stmt for stmt in others if not hasattr(stmt, "body")]
    return _names(simple) | {one.name for one in module.scope(scope).parameters}


def chosen(module: Module, stmt: Stmt, conditional: Conditional, outcome: bool, scope: int) -> Edit | None:
    """The edit that leaves the live value of a conditional expression."""
    fragment = module.open(stmt, scope)
    if fragment is None:
        return None
    for node in fragment.nodes((cst.IfExp,)):
        span = fragment.spans[node]
        if _same(module, node, conditional, span):
            live = node.body if outcome else node.orelse
            text = fragment.root.code_for_node(live)
            parens = isinstance(live, (cst.IfExp, cst.Lambda)) and not live.lpar
            whole = Place(module.path, span)
            return Edit(whole, f"({text})" if parens else text)
    return None


def _same(module: Module, node: cst.IfExp, conditional: Conditional, span: Span) -> bool:
    at = position(conditional.test)
    if at is None:
        return isinstance(node.test, (cst.Name, cst.Integer, cst.SimpleString))
    return span.line <= at[0] <= span.end_line
