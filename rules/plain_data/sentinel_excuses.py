"""What makes a number put in place of missing values no debt: an indicator, a category, trees that are told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mldebt.facts.schema import Assign, Call, Compare, Const, Keyword, Ref, Subscript
from mldebt.facts.walk import expressions, statements, walk

if TYPE_CHECKING:
    from mldebt.module import Module

    from .sentinels import Sentinel

_MISSING = frozenset({"isna", "isnull", "notna", "notnull", "MissingIndicator", "add_indicator"})
_DOCUMENTED = re.compile(r"(?i)\b(?:trees?|xgb\w*|lgb\w*|lightgbm|catboost|forest|boosting|sentinel|missing)\b")
_ENCODE = frozenset({"get_dummies", "OneHotEncoder"})
_NEAR = 3  # lines above


def has_indicator(module: Module, scope: int) -> bool:
    """Whether the scope keeps what was missing: assigns ``isna()`` of something to a column, or asks an imputer to."""
    if not module.segments(scope) & _MISSING and "add_indicator" not in module.mentions:
        return False
    for stmt in statements(module.body(scope)):
        for root in expressions(stmt, module.facts.scopes):
            parts = walk(root)
            names = {part.name.rpartition(".")[2] for part in parts if hasattr(part, "name")}
            if isinstance(stmt, Assign) and isinstance(stmt.targets[0], Subscript) and names & _MISSING:
                return True
            if "assign" in names and names & _MISSING:
                return True
            if any(isinstance(part, Call) and _asks_indicator(part.keywords) for part in parts):
                return True
    return False


def _asks_indicator(keywords: list[Keyword]) -> bool:
    return any(keyword.name == "add_indicator" for keyword in keywords)


def is_marked(one: Sentinel) -> bool:
    """Whether a column is made of a comparison with the number: ``frame["unknown"] = frame["age"] == -1``."""
    return any(
        isinstance(stmt, Assign)
        and isinstance(stmt.targets[0], Subscript)
        and stmt.line > one.stmt.line
        and any(isinstance(part, Compare) and _is_number(part, one.value) for part in walk(stmt.value))
        and not any(isinstance(part, Ref) and part.name.endswith("where") for part in walk(stmt.value))
        for stmt in statements(one.module.body(one.scope))
    )


def _is_number(compare: Compare, value: object) -> bool:
    number = compare.comparators[0]
    return compare.ops == ["=="] and isinstance(number, Const) and number.value == value and value != 0


def is_category(one: Sentinel) -> bool:
    """``fillna(-1).astype("category")``, or dummy columns of it: the number is one more category."""
    for site in one.module.call_sites(one.scope) if one.column else ():
        named = any(isinstance(part, Const) and part.value == one.column for part in walk(site.call))
        if named and any(
            name.rpartition(".")[2] in _ENCODE for name in one.module.names(one.scope, site.call.function)
        ):
            return True
    for root in expressions(one.stmt, one.module.facts.scopes):
        for part in walk(root):
            if isinstance(part, Call) and getattr(part.function, "name", "").rpartition(".")[2] == "astype":
                given = [getattr(arg, "value", getattr(arg, "name", "")) for arg in part.args]
                if given and str(given[0]) in ("category", "str", "object"):
                    return True
    return False


def is_documented(one: Sentinel) -> bool:
    """Whether a comment beside it says that trees take it, or a model is told ``missing=``."""
    module, line = one.module, one.stmt.line
    if any(line - _NEAR <= comment.line <= one.stmt.end_line and _DOCUMENTED.search(comment.text)
           for comment in module.facts.comments):  # fmt: skip
        return True
    return any(
        keyword.name == "missing"
        for index in range(len(module.facts.scopes))
        for site in module.call_sites(index)
        for keyword in site.call.keywords
    )
