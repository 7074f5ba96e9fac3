"""SQL texts: what the code says they are, which tables they read and write, and which of their columns."""

from __future__ import annotations

import re

from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Binary, Call, Const, Expr, Format, Ref
from mldebt.module import Module
from mldebt.project.attributes import self_name

_NAME = r"[\"`\[]?[\w.$]+[\"`\]]?"
_INSERT = re.compile(rf"\binsert\s+(?:or\s+\w+\s+)?(?:overwrite\s+)?into\s+({_NAME})\s*(?:\(([^)]*)\))?", re.IGNORECASE)
_UPDATE = re.compile(rf"\bupdate\s+({_NAME})\s+set\s+(.*?)(?:\bwhere\b(.*))?$", re.IGNORECASE | re.DOTALL)
_SELECT = re.compile(rf"\bselect\s+(.*?)\s+from\s+({_NAME})", re.IGNORECASE | re.DOTALL)
_TABLES = re.compile(rf"\b(?:from|join)\s+({_NAME})", re.IGNORECASE)
_SET = re.compile(r"([\w.]+)\s*=\s*(\?|%s|%\(\w+\)s|:\w+|\$\d+)")
_WORD = re.compile(r"[A-Za-z_]\w*")


HOLE = "?snapshot?"  # what fills a hole may well be one
_LONGEST = 20_000


def text_of(module: Module, scope: int, given: Expr | None, depth: int = 5) -> str:
    """A query's text, holes as ``HOLE``; "" when it is not known."""
    if given is None or depth <= 0:
        return ""
    value = module.constant(scope, given)
    if isinstance(value, str):
        return value
    if isinstance(given, Format):
        return "".join(
            str(part.value) if isinstance(part, Const) else text_of(module, scope, part, depth - 1) or HOLE
            for part in given.parts
        )
    if isinstance(given, Binary) and given.op in ("+", "%"):
        left = text_of(module, scope, given.left, depth - 1)
        more = HOLE if given.op == "%" else text_of(module, scope, given.right, depth - 1) or HOLE
        return left + more if left else ""
    if isinstance(given, Ref):
        return _named(module, scope, given, depth)
    if isinstance(given, Call):
        return _called(module, scope, given, depth)
    return ""


def _named(module: Module, scope: int, ref: Ref, depth: int) -> str:
    """The only text a variable or a class's constant stands for."""
    definition = module.definition(scope)
    head, _, attribute = ref.name.partition(".")
    if attribute and head == self_name(definition) and definition.parent is not None:
        for there, binding in module.project.types.bindings(definition.parent.name, attribute):
            if binding.value is not None:
                return text_of(there, binding.scope, binding.value, depth - 1)
        return ""
    origins = module.project.flow(definition).origins(ref)
    if len(origins) == 1 and origins[0].kind == "assign" and not origins[0].path and origins[0].name == ref.name:
        return text_of(module, scope, origins[0].value, depth - 1)
    return ""


def _called(module: Module, scope: int, call: Call, depth: int) -> str:
    """``sqlalchemy.text(query)``, ``query.format(...)``, ``Path("train.sql").read_text()``."""
    function = call.function
    last = last_segment(function)
    if last == "text" and call.args:
        return text_of(module, scope, call.args[0], depth - 1)
    if last == "format" and isinstance(function, Ref) and "." in function.name:
        held = Ref(function.name.rpartition(".")[0], function.line, function.column)
        found = text_of(module, scope, held, depth - 1)
        return re.sub(r"\{[^{}]*\}", HOLE, found)
    if last == "read_text" and isinstance(function, Attribute) and isinstance(function.value, Call):
        name = module.constant(scope, function.value.args[0]) if function.value.args else None
        if isinstance(name, str) and name.endswith(".sql"):
            return module.project.content(name, _LONGEST).decode("utf-8", "replace")
    return ""


class Written(Struct, frozen=True):
    """``columns`` in the order of the values given; () when the text does not say."""

    table: str
    columns: tuple[str, ...]


def written(text: str) -> Written | None:
    """What an INSERT or UPDATE writes."""
    match = _INSERT.search(text)
    if match is not None:
        return Written(bare(match[1]), tuple(_WORD.findall(match[2] or "")))
    match = _UPDATE.search(text)
    if match is not None:
        return Written(bare(match[1]), tuple(name.rpartition(".")[2] for name, _ in _SET.findall(match[2])))
    return None


def read(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tables a SELECT reads, and its columns in order; () for ``*``."""
    match = _SELECT.search(text)
    if match is None:
        return (), ()
    tables = tuple(dict.fromkeys(bare(name) for name in _TABLES.findall(text)))
    if "*" in match[1]:
        return tables, ()
    columns = [part.split()[-1].rpartition(".")[2].strip('"`[]') for part in _split(match[1]) if part.split()]
    return tables, tuple(columns)


def source(text: str, column: str) -> str:
    """The column a SELECT gives this name to: ``predicted`` of ``SELECT predicted AS label``."""
    match = _SELECT.search(text)
    for part in _split(match[1]) if match is not None else ():
        words = part.split()
        if words and words[-1].rpartition(".")[2].strip('"`[]') == column:
            return words[0].rpartition(".")[2].strip('"`[]') if len(words) > 1 and _WORD.match(words[0]) else column
    return column


def condition(text: str) -> str:
    """What stands after the first WHERE."""
    found = re.search(r"\bwhere\b(.*)$", text, re.IGNORECASE | re.DOTALL)
    return found[1] if found is not None else ""


def bare(name: str) -> str:
    return name.strip('"`[]').lower()


def _split(columns: str) -> list[str]:
    """At commas outside of parentheses."""
    found, depth, last = [], 0, 0
    for at, letter in enumerate(columns):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append(columns[last:at])
            last = at + 1
    return [*found, columns[last:]]
