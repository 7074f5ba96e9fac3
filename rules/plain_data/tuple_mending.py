"""The NamedTuple for a function that returns a bare tuple."""

from __future__ import annotations

import re
from keyword import iskeyword

from mldebt.facts.schema import Build, Ref, Return
from mldebt.finding import Applicability, Edit, Fix, Place, Span
from mldebt.module import Module

from .returned_tuples import Tuples

_RETURN = re.compile(r"return\s*")
_TAKEN = frozenset({"count", "index"})  # methods of every tuple


def named(tuples: Tuples) -> Fix | None:
    """A NamedTuple before the function, built by its return; callers go on unpacking.

    None unless the function stands at the top of its file, is not annotated, and has one return, of names that can be
    fields.
    """
    definition = tuples.definition
    module, scope = definition.module, definition.scope
    if scope.parent != 0 or scope.column or scope.returns is not None or len(tuples.returns) != 1:
        return None
    stmt = tuples.returns[0]
    fields = [one.name for one in tuples.rows[0] if isinstance(one, Ref) and _is_field(one.name)]
    name = "".join(part.capitalize() for part in scope.name.split("_") if part) + "Result"
    if len(set(fields)) != len(tuples.rows[0]) or name in module.facts.scopes[0].bindings:
        return None
    built = _built(module, stmt, name)
    imported = _import(module)
    if built is None or imported is None:
        return None
    rows = "".join(f"    {field}: Any\n" for field in fields)
    declared = _insert(module, scope.first_line, f"class {name}(NamedTuple):\n{rows}\n\n")
    return Fix(Applicability.SUGGEST, f"return a NamedTuple, {name}", (*imported, declared, *built))


def _is_field(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and not iskeyword(name) and name not in _TAKEN


def _built(module: Module, stmt: Return, name: str) -> tuple[Edit, ...] | None:
    """The tuple's parentheses become the call's; without any, the call's are put around it."""
    span = module.place(stmt).span
    row = module.text_lines[span.line - 1]
    head = _RETURN.match(row, span.column - 1)
    if head is None or not isinstance(stmt.value, Build):
        return None
    start = head.end()
    if row[start : start + 1] == "(" and _closes_last(module, span, start):
        return (_insert(module, span.line, name, start + 1),)
    if span.line != span.end_line or ";" in row:
        return None
    comment = next((one for one in module.facts.comments if one.line == span.line), None)
    code = row if comment is None else row.encode()[: comment.column].decode()
    column = len(code.rstrip()) + 1
    end = Place(module.path, Span(span.line, column, span.line, column))
    return (_insert(module, span.line, f"{name}(", start + 1), Edit(end, ")"))


def _closes_last(module: Module, span: Span, start: int) -> bool:
    """Whether the parenthesis at the start is the one that closes at the end."""
    rows = module.text_lines[span.line - 1 : span.end_line]
    numbers = range(span.line, span.end_line + 1)
    if any(one.line in numbers for one in module.facts.comments):
        return False  # a comment may hold parentheses
    text = "\n".join([rows[0][start:], *rows[1:]]).rstrip()
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            return at == len(text) - 1
    return False


def _import(module: Module) -> tuple[Edit, ...] | None:
    bindings = module.facts.scopes[0].bindings
    missing = [name for name in ("Any", "NamedTuple") if name not in bindings]
    if not missing:
        return ()
    lines = [fact.line for fact in module.facts.imports if not fact.scope and fact.module != "__future__"]
    firsts = [stmt.line for stmt in module.body(0)]
    at = min(lines, default=None) or min(firsts, default=None)
    if at is None or not module.text_lines[at - 1][:1].strip():
        return None
    blank = "\n" if lines else "\n\n"
    return (_insert(module, at, f"from typing import {', '.join(missing)}\n{blank}"),)


def _insert(module: Module, line: int, text: str, column: int = 1) -> Edit:
    return Edit(Place(module.path, Span(line, column, line, column)), text)
