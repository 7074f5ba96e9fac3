"""Fixes of MLD401 and MLD402, always as suggestions: they change the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts import schema as ir
from mldebt.facts.graph import targets
from mldebt.facts.walk import blocks, expressions, statements, walk
from mldebt.finding import Applicability, Edit, Fix, Place, Span

from .reporting import NAMES, SEEDS

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project
    from mldebt.rule import Problem


def seed_first(project: Project, problem: Problem) -> Fix | None:
    """Seed a library as the first statement of the function or script a finding points at.

    None for draws that happen while modules are imported: no statement of the entry comes before them.
    """
    place, library = problem.place, problem.symbol
    if any(one.role == "path" and one.message.startswith("import") for one in problem.related):
        return None
    module = project.modules[place.path]
    line, parameters = _first_line(module, place.span.line)
    if line is None:
        return None
    name, _, function = SEEDS[library].rpartition(".")
    head, _, rest = name.partition(".")
    bound = _bound(module, head)
    edits = []
    if bound is None:
        at = min(
            (fact.line for fact in module.facts.imports if not fact.scope and fact.module != "__future__"), default=None
        )
        if at is None or at >= line:
            return None
        edits.append(_insert(module, at, f"import {head}\n"))
        bound = head
    value = next((one for one in parameters if one in ("seed", "random_seed", "random_state")), "0")
    text = module.text_lines[line - 1]
    indent = text[: len(text) - len(text.lstrip())]
    called = ".".join(part for part in (bound, rest, function) if part)
    edits.append(_insert(module, line, f"{indent}{called}({value})\n"))
    return Fix(Applicability.SUGGEST, f"seed {NAMES[library]} before anything draws from it", tuple(edits))


def _first_line(module: Module, line: int) -> tuple[int | None, Sequence[str]]:
    """The line of the first statement to run at an anchor: of the function, the main block, or the statement itself."""
    for index, scope in enumerate(module.facts.scopes):
        if scope.kind == ir.FUNCTION and scope.line == line:
            return _start(module, module.body(index), line), [one.name for one in scope.parameters]
    for stmt in module.body(0):
        if stmt.line <= line <= stmt.end_line:
            if module.facts.main is not None and stmt.line == module.facts.main[0] and isinstance(stmt, ir.If):
                return _start(module, stmt.body, line), ()
            return (stmt.line, ()) if stmt.column == 0 else (None, ())
    return None, ()


def _start(module: Module, body: Sequence[ir.Stmt], header: int) -> int | None:
    if not body:
        return None
    first = body[0]
    line = module.facts.scopes[first.scope].first_line if isinstance(first, ir.Define) else first.line
    return line if line > header else None


def _bound(module: Module, library: str) -> str | None:
    """The name a module is imported under at the top of a file."""
    for fact in module.facts.imports:
        if not fact.scope and not fact.guard and fact.module == library and fact.attribute is None:
            return fact.bound
    return None


def _insert(module: Module, line: int, text: str) -> Edit:
    return Edit(Place(module.path, Span(line, 1, line, 1)), text)


def seed_before(project: Project, problem: Problem) -> Fix | None:
    """Move a seed call before the draw it comes too late for.

    None unless both are in one block, the call has its lines to itself, and nothing it reads is bound in between.
    """
    seed = problem.related[-1].place
    module = project.modules[seed.path]
    lines = [one.place.span.line for one in problem.related[:-1] if one.place.path == seed.path]
    if problem.place.path == seed.path:
        lines.append(problem.place.span.line)
    for block in _blocks(module):
        at = next((i for i, stmt in enumerate(block) if stmt.line == seed.span.line and isinstance(stmt, ir.Do)), None)
        if at is None:
            continue
        first = next(
            (i for i, stmt in enumerate(block[:at]) if any(stmt.line <= line <= stmt.end_line for line in lines)), None
        )
        if first is None or not _may_move(module, block, first, at):
            return None
        call, before = block[at], block[first]
        text = "".join(f"{line}\n" for line in module.text_lines[call.line - 1 : call.end_line])
        gone = Edit(Place(module.path, Span(call.line, 1, call.end_line + 1, 1)), "")
        return Fix(Applicability.SUGGEST, "seed before the first draw", (_insert(module, before.line, text), gone))
    return None


def _blocks(module: Module) -> Iterator[Sequence[ir.Stmt]]:
    for index in range(len(module.facts.scopes)):
        body = module.body(index)
        yield body
        for stmt in statements(body):
            yield from blocks(stmt)


def _may_move(module: Module, block: Sequence[ir.Stmt], first: int, at: int) -> bool:
    call = block[at]
    neighbours = [
        stmt for stmt in (*block[:at], *block[at + 1 :]) if stmt.line <= call.end_line and stmt.end_line >= call.line
    ]
    if neighbours or call.end_line >= len(module.text_lines) + 1 or isinstance(block[first], ir.Define):
        return False
    reads = {
        node.name.partition(".")[0] for expr in expressions(call) for node in walk(expr) if isinstance(node, ir.Ref)
    }
    return reads.isdisjoint(_binds(module, block[first:at]))


def _binds(module: Module, body: Sequence[ir.Stmt]) -> Iterator[str]:
    """The heads of all names some statements bind."""
    for stmt in statements(body):
        if isinstance(stmt, ir.Imports):
            for fact in module.facts.imports[stmt.first : stmt.first + stmt.count]:
                yield fact.bound
        elif isinstance(stmt, ir.Define):
            yield module.facts.scopes[stmt.scope].name
        bound: list[ir.Expr | None] = []
        if isinstance(stmt, (ir.Assign, ir.Delete)):
            bound += stmt.targets
        elif isinstance(stmt, (ir.Augment, ir.Annotate, ir.For)):
            bound.append(stmt.target)
        elif isinstance(stmt, ir.With):
            bound += [item.target for item in stmt.items]
        for target in bound:
            if target is not None:
                yield from (name.partition(".")[0] for name, _ in targets(target))


def seed_beside(project: Project, problem: Problem) -> Fix | None:
    """Seed more libraries with the value that the call at a finding is given; None unless it is a statement alone."""
    module = project.modules[problem.place.path]
    found = module.statement_at(problem.place.span.line)
    if found is None or not isinstance(found[0], ir.Do) or not isinstance(found[0].value, ir.Call):
        return None
    stmt, call = found[0], found[0].value
    value = call.args[0] if call.args else None
    if module.place(call) != problem.place or not isinstance(value, (ir.Ref, ir.Const)) or stmt.line != stmt.end_line:
        return None
    text = module.text_lines[stmt.line - 1]
    if text[: stmt.column].strip() or not text.rstrip().endswith(")"):
        return None
    shown = value.name if isinstance(value, ir.Ref) else repr(value.value)
    edits, lines = [], []
    at = min(
        (fact.line for fact in module.facts.imports if not fact.scope and fact.module != "__future__"), default=None
    )
    for library in problem.symbol.split():
        head, _, rest = SEEDS[library].partition(".")
        bound = _bound(module, head)
        if bound is None and (at is None or at >= stmt.line):
            return None
        if bound is None and at is not None:
            edits.append(_insert(module, at, f"import {head}\n"))
        lines.append(f"{text[: stmt.column]}{bound or head}.{rest}({shown})\n")
    edits.append(_insert(module, stmt.line + 1, "".join(lines)))
    return Fix(Applicability.SUGGEST, "seed the other libraries too", tuple(edits))
