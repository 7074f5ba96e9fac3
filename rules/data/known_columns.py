"""The columns a reading call gives, where the code or the file says them all."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cached_property

from mldebt_rules.glue.artefacts import Access, Artefacts
from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.schema import Attribute, Binary, Build, Call, Expr, Ref, Starred
from mldebt.facts.walk import given_values
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .mutations import Mutations

FEWEST = 10  # columns that must be known
_LONGEST = 60_000
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


class Known(Struct, frozen=True, eq=False):
    """``columns`` as the file or code gives them.

    Args:
        how: What says them: usecols, columns, names, dtype or header.
        displays: The lists that say them, which are no use of a column.
        index: Columns that become the index.
    """

    columns: tuple[str, ...]
    how: str
    displays: frozenset[int]
    index: frozenset[str]


def known_columns(project: Project, module: Module, scope: int, call: Call) -> Known | None:
    """The columns of what a call reads; None when they are not all known."""
    if any(keyword.name is None for keyword in call.keywords):
        return None
    found = _columns(project, module, scope, call)
    if found is None:
        return None
    index = frozenset(_names(module, scope, argument(call, "index_col")))
    values = given_values(call)
    displays = (one for value in values for one in _displays(project, module, scope, _listed(value)))
    return Known(found[1], found[0], frozenset(id(one) for one in displays), index)


def _columns(project: Project, module: Module, scope: int, call: Call) -> tuple[str, tuple[str, ...]] | None:
    """What says the columns, and the columns."""
    for how in ("usecols", "columns", "names", "dtype"):
        given = argument(call, how)
        if given is None or given is UNKNOWN:
            continue
        given = _listed(given)
        shown = list(_displays(project, module, scope, given))
        if shown and all(_is_short(one) for one in shown):
            return None
        found = _names(module, scope, given) or _keys(project, module, scope, given)
        if found:
            return how, tuple(found)
        if how != "dtype":
            return None
    columns = _header(project, module, call) if argument(call, "header") is None else ()
    return ("header", columns) if columns else None


def _is_short(display: Build) -> bool:
    """Whether a display is written out and too short to matter; spares the constants of the whole project."""
    return len(display.items) < FEWEST and not any(isinstance(one, Starred) for one in display.items)


def _listed(expr: Expr) -> Expr:
    """``TYPES`` of ``list(TYPES)`` and ``TYPES.keys()``."""
    if isinstance(expr, Call) and isinstance(expr.function, Ref):
        if expr.function.name in ("list", "tuple", "sorted") and len(expr.args) == 1:
            return _listed(expr.args[0])
        if expr.function.name.endswith(".keys"):
            head = expr.function.name.removesuffix(".keys")
            return Ref(head, expr.function.line, expr.function.column)
    return expr


def _displays(project: Project, module: Module, scope: int, expr: Expr, depth: int = 3) -> Iterator[Build]:
    """The displays an argument is written as, here or where its name is bound."""
    if isinstance(expr, Build):
        yield expr
    elif isinstance(expr, Ref) and depth:
        origins = project.flow(module.definition(scope)).origins(expr)
        for origin in origins or (project.flow(module.definition(0)).definitions(expr.name) if scope else ()):
            if origin.value is not None:
                yield from _displays(project, module, scope, origin.value, depth - 1)
        if origins:
            return
        for name in project.resolve(module, scope, expr.name):
            path, _, variable = name.partition(":")
            other = project.modules.get(path)
            if other is not None and other is not module:
                for one in project.flow(other.definition(0)).definitions(variable):
                    if isinstance(one.value, Build):
                        yield one.value


def _names(module: Module, scope: int, given: Expr | Unknown | None) -> list[str]:
    if given is None or given is UNKNOWN:
        return []
    value = module.constant(scope, given)
    return [value] if isinstance(value, str) else texts_of(module, scope, given) or []


def _keys(project: Project, module: Module, scope: int, given: Expr) -> list[str]:
    """The keys of ``dtype={"age": "int32", ...}``."""
    for display in _displays(project, module, scope, given):
        if display.kind != "dict":
            return []
        found = [module.constant(scope, key) if key is not None else UNKNOWN for key in display.keys]
        return [one for one in found if isinstance(one, str)] if all(isinstance(one, str) for one in found) else []
    return []


def _header(project: Project, module: Module, call: Call) -> tuple[str, ...]:
    """The first line of a file the repository keeps."""
    access = project[KeptTables].read_by(call)
    if access is None:
        return ()
    suffix = access.node[access.node.rfind(".") :]
    return _first_line(project, access.node, module, access.bound.scope, call, _SEPARATORS[suffix])


class KeptTables(Analysis):
    """Text tables of the repository, by the calls that read them."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    def read_by(self, call: Call) -> Access | None:
        return self._reads.get(id(call))

    @cached_property
    def _reads(self) -> dict[int, Access]:
        return {
            id(access.bound.call): access
            for node in self.project[Artefacts].run.values()
            if node.pattern.endswith(tuple(_SEPARATORS)) and node.pattern in self.project.every
            for access in node.reads
            if access.via is None and access.api in ("pandas.read_csv", "pandas.read_table", "polars.read_csv")
        }


def _first_line(project: Project, path: str, module: Module, scope: int, call: Call, separator: str) -> tuple[str, ...]:
    given = argument(call, "sep")
    if given is not None and given is not UNKNOWN:
        value = module.constant(scope, given)
        if not isinstance(value, str) or len(value) != 1:
            return ()
        separator = value
    text = project.content(path, _LONGEST).decode("utf-8", "replace").lstrip("\ufeff")
    lines = text.splitlines()
    if len(lines) < 2 or text.startswith("version https://git-lfs"):
        return ()
    columns = next(csv.reader([lines[0]], delimiter=separator), [])
    plain = all(one and not one.replace(".", "").replace("-", "").isdigit() for one in columns)
    return tuple(columns) if plain and len(set(columns)) == len(columns) else ()


def texts_of(module: Module, scope: int, index: Expr, depth: int = 4) -> list[str] | None:
    """``NUMERIC + ["age"]``, ``[TARGET, *FEATURES]``."""
    value = module.constant(scope, index)
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        return [one for one in value if isinstance(one, str)]
    if depth <= 0:
        return None
    if isinstance(index, Binary) and index.op == "+":
        left, right = (texts_of(module, scope, one, depth - 1) for one in (index.left, index.right))
        return left + right if left is not None and right is not None else None
    if isinstance(index, Call) and isinstance(index.function, Attribute) and index.function.name == "split":
        text = module.constant(scope, index.function.value) if not index.args and not index.keywords else None
        return text.split() if isinstance(text, str) else None
    if isinstance(index, Ref):
        origins = module.project.flow(module.definition(scope)).origins(index)
        if len(origins) != 1 or origins[0].kind != "assign" or module.project[Mutations].of(module, scope, index.name):
            return None
        made = origins[0].value if not origins[0].path else None
        return texts_of(module, scope, made, depth - 1) if made is not None else None
    if not isinstance(index, Build) or index.kind not in ("list", "tuple"):
        return None
    found: list[str] = []
    for item in index.items:
        text = module.constant(scope, item)
        more = texts_of(module, scope, item.value, depth - 1) if isinstance(item, Starred) else None
        if isinstance(text, str):
            found.append(text)
        elif more is not None:
            found += more
        else:
            return None
    return found
