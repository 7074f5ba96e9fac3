"""Tables of alternatives that something takes whole: a loop over them, a search that draws from their keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Build,
    Call,
    Comprehension,
    Const,
    Expr,
    For,
    Ref,
    Starred,
    Subscript,
)
from mldebt.facts.walk import expressions, given_values, statements, walk

if TYPE_CHECKING:
    from mldebt.project.project import Project

_COPIES = frozenset({"list", "sorted", "tuple", "set", "keys", "values", "items", "copy", "dict", "enumerate", "iter"})
# Searches, sweeps, grids and parametrised tests: each entry is drawn or run.
_DRAWS = frozenset(
    """suggest_categorical choice choices sample shuffle grid_search Choice parametrize product ParameterGrid quniform
    categorical Categorical CategoricalHyperparameter values CategoricalDistribution permutations combinations map
    starmap cycle chain""".split()
)
_SPACES = frozenset({"values", "grid", "space", "search_space", "model", "models", "params", "param_grid"})


def takes_all(project: Project, table: str) -> bool:
    """Whether some file takes every entry of a table; listing its keys as what may be given does not."""
    name = table.rpartition(".")[2]
    for module in project.callers.mentioning({name}):
        tables = {name, *(fact.bound for fact in module.facts.imports if fact.attribute == name)}
        for index in module.scopes_using({*tables, *_COPIES}):
            for stmt in statements(module.body(index)):
                value = stmt.value if isinstance(stmt, Assign) else None
                if value is not None and not isinstance(value, Ref) and _is_whole(value, tables):
                    tables |= {last_segment(target) for target in getattr(stmt, "targets", ())} - {""}
                if isinstance(stmt, For) and _is_whole(stmt.iterable, tables):
                    return True
                for expr in expressions(stmt, module.facts.scopes):
                    if any(_takes(node, tables) for node in walk(expr)):
                        return True
    return False


def _takes(node: Expr, tables: set[str]) -> bool:
    if isinstance(node, Comprehension):
        draws = any(_is_whole(one.iterable, tables) for one in node.generators)
        return draws and any(isinstance(part, (Call, Subscript)) for part in walk(node.element))
    if isinstance(node, Call) and last_segment(node.function) in _DRAWS:
        return any(_is_whole(value, tables) for value in given_values(node))
    if isinstance(node, Build) and node.kind == "dict":
        return any(
            isinstance(key, Const) and key.value in _SPACES and _is_whole(item, tables)
            for key, item in zip(node.keys, node.items, strict=True)
            if not isinstance(item, Ref)
        )
    return False


def _is_whole(expr: Expr, tables: set[str]) -> bool:
    """The table, its keys, or a list of them."""
    while True:
        if isinstance(expr, Starred):
            expr = expr.value
        elif isinstance(expr, Build) and expr.kind != "dict" and len(expr.items) == 1:
            expr = expr.items[0]
        elif isinstance(expr, Call) and last_segment(expr.function) in _COPIES:
            function = expr.function
            if expr.args:
                expr = expr.args[0]
            elif isinstance(function, Ref) and "." in function.name:
                return function.name.rpartition(".")[0].rpartition(".")[2] in tables
            else:
                return False
        else:
            return isinstance(expr, (Ref, Attribute)) and last_segment(expr) in tables


def tables_of(project: Project, register: str) -> Iterator[str]:
    """The tables a registering function fills: ``TABLE[name] = cls``."""
    for module in project.callers.mentioning({register}):
        for index, scope in enumerate(module.facts.scopes):
            if scope.name != register and not scope.qualname.startswith(f"{register}."):
                continue
            for stmt in statements(module.body(index)):
                for target in stmt.targets if isinstance(stmt, Assign) else ():
                    if isinstance(target, Subscript) and (name := last_segment(target.value)):
                        yield name
