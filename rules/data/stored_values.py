"""Which values a call that writes an artefact puts into it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Assign, Attribute, Call, Const, Expr, Ref, Stmt, Subscript, With
from mldebt.facts.walk import calls_in, expressions, given_values, statements, walk
from mldebt.module import Module

from .mutations import called, owner

# Functions whose first argument is what they write; those with a path first write the others.
_HANDLES = frozenset(
    """open GFile Open File connect shelve DictWriter writer ExcelWriter ParquetWriter TFRecordWriter Writer HDFStore
    getLogger""".split()
)
_ROWS = frozenset({"writerow", "writerows"})


class Stored(Struct, frozen=True, eq=False):
    """``value`` is written; ``columns``: the names of its elements, in order, where the code says them."""

    value: Expr
    columns: tuple[str, ...] = ()


def stored(module: Module, scope: int, call: Call, path_argument: Expr | None) -> Iterator[Stored]:
    """What a writing call writes.

    Args:
        call: The call that opens or writes the artefact.
        path_argument: The argument that names the artefact.
    """
    function = call.function
    last = called(module, scope, function)
    if last in _HANDLES:
        yield from _through_handles(module, scope, call)
        return
    held = owner(function)
    if held is not None and last.startswith(("to_", "write_", "save", "sink_", "insertInto", "parquet", "csv", "json")):
        if last in ("write_text", "write_bytes"):
            yield from (Stored(value) for value in call.args)
            return
        names = module.names(scope, function)
        if not any(":" not in name and name.count(".") == 1 for name in names):  # np.save is no method
            yield Stored(_staged(held))
            return
    for value in given_values(call):
        if value is not path_argument and not isinstance(value, Const):
            yield Stored(value)


def _staged(held: Expr) -> Expr:
    """``frame`` of ``frame.write.mode("append")``."""
    while True:
        if isinstance(held, Call):
            inner = owner(held.function)
            if inner is None or not isinstance(held.function, (Ref, Attribute)):
                return held
            if held.function.name.rpartition(".")[2] not in ("mode", "format", "option", "options", "partitionBy"):
                return held
            held = inner
        elif isinstance(held, (Ref, Attribute)) and held.name.rpartition(".")[2] == "write":
            return owner(held) or held
        else:
            return held


def _through_handles(module: Module, scope: int, call: Call) -> Iterator[Stored]:
    """What is written by way of an open file: ``json.dump(value, file)``, ``writer.writerow(row)``."""
    handles = _handles(module, scope, call)
    for stmt in statements(module.body(scope)):
        if isinstance(stmt, Assign):
            for target in stmt.targets:
                if isinstance(target, Subscript) and _is_handle(target.value, handles):
                    yield Stored(stmt.value)
        for expr in expressions(stmt, module.facts.scopes):
            for one in calls_in(expr):
                if one is call:
                    continue
                held = owner(one.function)
                on = held is not None and any(_is_handle(part, handles) or part is call for part in walk(held))
                given = [arg for arg in (*one.args, *(key.value for key in one.keywords)) if _is_handle(arg, handles)]
                if not on and not given:
                    continue
                columns = _columns(module, scope, one, handles) if on else ()
                for value in (*one.args, *(key.value for key in one.keywords if key.name == "obj")):
                    if not _is_handle(value, handles) and not isinstance(value, Const):
                        yield Stored(value, columns)


def _handles(module: Module, scope: int, call: Call) -> frozenset[str]:
    """The names that stand for an open file, and for writers made of it."""
    found: set[str] = set()
    for _ in range(2):
        for stmt in statements(module.body(scope)):
            for value, target in _bindings(stmt):
                inside = calls_in(value)
                made = call in inside or any(
                    isinstance(arg, Ref) and arg.name in found and _makes_writer(one)
                    for one in inside
                    for arg in one.args
                )
                if made and isinstance(target, Ref):
                    found.add(target.name)
    return frozenset(found)


def _makes_writer(call: Call) -> bool:
    function = call.function
    return isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in _HANDLES


def _bindings(stmt: Stmt) -> Iterator[tuple[Expr, Expr]]:
    if isinstance(stmt, With):
        yield from ((item.context, item.target) for item in stmt.items if item.target is not None)
    elif isinstance(stmt, Assign):
        yield from ((stmt.value, target) for target in stmt.targets)


def _is_handle(expr: Expr, handles: frozenset[str]) -> bool:
    return isinstance(expr, Ref) and expr.name in handles


def _columns(module: Module, scope: int, call: Call, handles: frozenset[str]) -> tuple[str, ...]:
    """The header of a csv file: a row of constants written by the same writer."""
    if not isinstance(call.function, (Ref, Attribute)) or call.function.name.rpartition(".")[2] not in _ROWS:
        return ()
    for site in module.call_sites(scope):
        function = site.call.function
        if isinstance(function, Ref) and function.name.endswith(".writerow") and site.call.args:
            value = module.constant(scope, site.call.args[0])
            if value is not UNKNOWN and isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
                return tuple(value)
    return ()
