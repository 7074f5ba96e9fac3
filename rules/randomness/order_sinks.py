"""Places where the order of a value becomes meaning: an index, a pairing, a split, the first element."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    FUNCTION,
    Assign,
    Attribute,
    Augment,
    Build,
    Call,
    Compare,
    Comprehension,
    Const,
    Do,
    Expr,
    For,
    Ref,
    Slice,
    Subscript,
    Unary,
)
from mldebt.facts.walk import statements, walk

from .following import Following, Use

INDEX, PAIRS, COLUMNS, SPLIT, SAMPLES, FIRST = range(6)
_SPLITS = re.compile(r"(^|\.)(train_test_split|random_split|KFold|StratifiedKFold)$|\.split$")
_SHOWS = frozenset("print pprint info debug warning display imshow show log write choice join remove".split())
_COLUMN_CALLS = frozenset({"OneHotEncoder", "OrdinalEncoder", "Categorical", "CategoricalDtype"})
_CONVERSIONS = frozenset({"values", "to_numpy", "copy", "astype", "fillna"})
_SHOWN = re.compile(r"plot|(^|[/_])viz|visuali|colou?r|draw|display", re.IGNORECASE)
_SPLIT_NAMES = re.compile(r"train|test|val|dev|holdout|split|fold", re.IGNORECASE)


class Sink(NamedTuple):
    """What is made of the order.

    Args:
        rank: The clearest first: INDEX, PAIRS, COLUMNS, SPLIT, SAMPLES, FIRST.
        what: In words.
        use: Where.
        made: The mapping that is made, where it is one.
    """

    rank: int
    what: str
    use: Use
    made: Use | None = None


def sink_of(use: Use, listing: bool, apart: bool) -> Sink | None:
    """What a use makes of the order; ``apart``: the value is a list that a loop over it has filled."""
    if not apart:
        if _SHOWN.search(use.module.path) or _SHOWN.search(use.module.facts.scopes[use.scope].name):
            return None
        for found in (_loop(use), _mapping(use), _columns(use, listing), _pairs(use), _first(use, listing)):
            if found is not None:
                return found
    return _split(use)


def is_settled(use: Use) -> bool:
    """Whether the value is sorted in place, or is said to have one element."""
    parent = use.around[0] if use.around else None
    name = last_segment(use.value)
    if isinstance(parent, Call) and use.value is parent.function and name == "sort":
        return True
    if isinstance(parent, Call) and use.value is not parent.function and len(use.around) > 1:
        function = parent.function.name if isinstance(parent.function, Ref) else ""
        test = use.around[1]
        if function == "len" and isinstance(test, Compare):
            return any(isinstance(one, Const) and one.value in (1, 2) for one in (test.left, *test.comparators))
    return False


def taken_in_loop(loop: For) -> Iterator[str]:
    """The lists a loop appends what it makes of each element to."""
    for stmt in statements(loop.body):
        call = stmt.value if isinstance(stmt, Do) else None
        if isinstance(call, Call) and isinstance(call.function, Ref):
            head, _, method = call.function.name.rpartition(".")
            if method == "append" and head and "." not in head and call.args:
                yield head


def _loop(use: Use) -> Sink | None:
    """``for i, w in enumerate(words): index[w] = i``, also with a counter or the size so far."""
    loop = use.statement
    if not isinstance(loop, For) or use.around or use.value is not loop.iterable:
        return None
    counted = _is(use, loop.iterable, "enumerate")
    targets = loop.target.items if counted and isinstance(loop.target, Build) else [loop.target]
    names = {one.name for one in targets if isinstance(one, Ref)}
    counters = {
        stmt.target.name for stmt in statements(loop.body) if isinstance(stmt, Augment) and isinstance(stmt.target, Ref)
    }
    for stmt in statements(loop.body):
        if not isinstance(stmt, Assign):
            continue
        for target in stmt.targets:
            if not isinstance(target, Subscript) or not isinstance(target.value, Ref):
                continue
            key, value = target.index, stmt.value
            if not isinstance(key, Ref) or key.name not in names | counters:
                continue
            numbered = counted and isinstance(value, Ref) and value.name in names
            sized = isinstance(value, Call) and isinstance(value.function, Ref) and value.function.name == "len"
            counts = isinstance(value, Ref) and value.name in counters
            if key.name in names and (numbered or counts or (sized and _mentions(value, target.value.name))):
                made = Use(use.module, use.scope, stmt, target.value, ())
                return Sink(INDEX, "numbers its elements", made)
            if key.name in counters and isinstance(value, Ref) and value.name in names:
                return Sink(INDEX, "numbers its elements", use)
    return None


def _mapping(use: Use) -> Sink | None:
    """``{c: i for i, c in enumerate(classes)}``, ``dict(zip(classes, range(n)))``, ``classes.index(c)``."""
    parent = use.around[0] if use.around else None
    if isinstance(parent, Comprehension) and parent.kind == "dict" and use.value is parent.generators[0].iterable:
        if isinstance(use.value, Call) and _is(use, use.value, "enumerate"):
            return Sink(INDEX, "numbers its elements", use, _outward(use, 1))
        zipped = isinstance(use.value, Call) and _is(use, use.value, "zip")
        if zipped and isinstance(use.value, Call) and any(_is_range(use, one) for one in use.value.args):
            return Sink(INDEX, "numbers its elements", use, _outward(use, 1))
    if isinstance(parent, Call) and use.value is not parent.function and _is(use, parent, "dict"):
        inner = use.value
        if isinstance(inner, Call) and _is(use, inner, "enumerate"):
            return Sink(INDEX, "numbers its elements", use, _outward(use, 1))
        if isinstance(inner, Call) and _is(use, inner, "zip") and any(_is_range(use, one) for one in inner.args):
            return Sink(INDEX, "numbers its elements", use, _outward(use, 1))
    asked = isinstance(parent, Call) and use.value is parent.function and len(parent.args) == 1
    if asked and isinstance(use.value, Ref) and use.value.name.endswith(".index"):
        return Sink(INDEX, "numbers its elements by .index()", use)
    return None


def _columns(use: Use, listing: bool) -> Sink | None:
    """``OneHotEncoder(categories=[...])``, ``X = frame[features]``."""
    for outer in use.around[:2]:
        if isinstance(outer, Call) and isinstance(outer.function, (Ref, Attribute)):
            name = outer.function.name.rpartition(".")[2]
            for keyword in outer.keywords:
                given = keyword.value
                inside = given is use.value or (isinstance(given, Build) and use.value in given.items)
                if inside and keyword.name == "categories" and name in _COLUMN_CALLS:
                    return Sink(COLUMNS, "fixes the order of the categories", use)
    parent = use.around[0] if use.around else None
    if listing or not isinstance(parent, Subscript) or use.value is not parent.index:
        return None
    if not isinstance(use.value, (Ref, Call)) or not _is_frame(use):
        return None
    value: Expr = parent
    rest = use.around[1:]
    while rest and _converts(rest[0], value):
        value, rest = rest[0], rest[1:]
    called = last_segment(rest[0].function) if rest and isinstance(rest[0], Call) else ""
    fits = called.startswith(("fit", "train_test_split"))
    kept = isinstance(use.statement, Assign) and use.statement.value is value
    return Sink(COLUMNS, "fixes the order of the columns", use) if fits or kept else None


def _converts(outer: Expr, value: Expr) -> bool:
    """``frame[...].values``, ``frame[...].to_numpy()``."""
    if isinstance(outer, Attribute):
        return outer.name in _CONVERSIONS
    return isinstance(outer, Call) and outer.function is value


def _is_frame(use: Use) -> bool:
    """Whether a file that knows data frames takes columns here, and not one element by its key."""
    heads = {fact.module.partition(".")[0] for fact in use.module.facts.imports}
    if not heads & {"pandas", "polars", "dask"}:
        return False
    if isinstance(use.value, Call):
        return _is(use, use.value, "list")
    flow = use.module.project.flow(use.module.definition(use.scope))
    origins = flow.origins(use.value) if isinstance(use.value, Ref) else ()
    return bool(origins) and all(one.kind == "assign" and not one.path for one in origins)


def _pairs(use: Use) -> Sink | None:
    """``zip(os.listdir(images), os.listdir(masks))``."""
    parent = use.around[0] if use.around else None
    if not isinstance(parent, Call) or use.value is parent.function or not _is(use, parent, "zip"):
        return None
    if len(use.around) > 1 and _is(use, use.around[1], "sorted"):
        return None
    own = _heads(use.value)
    others = [one for one in parent.args if one is not use.value]
    derived = [one for one in others if _is_range(use, one) or not _heads(one).isdisjoint(own) or not _heads(one)]
    flow = use.module.project.flow(use.module.definition(use.scope))
    for one in others:
        if isinstance(one, Ref):  # ``vectors = [embed(w) for w in words]``
            values = [origin.value for origin in flow.origins(one) if origin.value is not None]
            known = bool(values) and all(_heads(value).isdisjoint(own) for value in values)
            derived += [] if known else [one]  # where it comes from is not seen here
        elif isinstance(one, Attribute):
            derived.append(one)
    made = [o.value for one in [use.value] if isinstance(one, Ref) for o in flow.origins(one) if o.value is not None]
    derived += [one for one in others if any(not _heads(value).isdisjoint(_heads(one)) for value in made)]
    if not others or len(derived) >= len(others):
        return None
    return Sink(PAIRS, "is paired with another sequence", use)


def _first(use: Use, listing: bool) -> Sink | None:
    """``glob(...)[-1]``, ``list(names)[0]``; in ``__getitem__`` the list of samples.

    The first of a listing is mostly the only one.
    """
    parent = use.around[0] if use.around else None
    if isinstance(parent, Subscript) and use.value is parent.value and not isinstance(parent.index, Slice):
        scope = use.module.facts.scopes[use.scope]
        if isinstance(use.statement, (Assign, Augment)) and parent in getattr(use.statement, "targets", ()):
            return None
        if scope.name == "__getitem__" and scope.kind == FUNCTION and isinstance(use.value, Ref):
            first = scope.parameters[1].name if len(scope.parameters) > 1 else ""
            if isinstance(parent.index, Ref) and parent.index.name == first:
                return Sink(SAMPLES, "numbers the samples of a data set", use)
        last = isinstance(parent.index, Unary) or (isinstance(parent.index, Const) and parent.index.value == -1)
        if _is_number(parent.index) and (last or not listing) and not _is_shown(use):
            return Sink(FIRST, "picks one element by its place", use)
    return None


def _split(use: Use) -> Sink | None:
    """``train = files[:n]``, ``train_test_split(files)``."""
    parent = use.around[0] if use.around else None
    if isinstance(parent, Call) and use.value is not parent.function:
        function = parent.function
        names = use.module.names(use.scope, function) if isinstance(function, (Ref, Attribute)) else ()
        raw = function.name if isinstance(function, (Ref, Attribute)) else ""
        if any(_SPLITS.search(name) for name in names or (raw,)) and not raw.endswith(("str.split", "re.split")):
            return Sink(SPLIT, "is split into parts", use) if use.value in parent.args else None
    if not isinstance(parent, Subscript) or use.value is not parent.value or not isinstance(parent.index, Slice):
        return None
    bounds = parent.index
    if (bounds.lower is None) == (bounds.upper is None) or bounds.step is not None or _is_shown(use):
        return None
    targets = use.statement.targets if isinstance(use.statement, Assign) else []
    names_ = [node.name for one in targets for node in walk(one) if isinstance(node, (Ref, Attribute))]
    splits = any(_SPLIT_NAMES.search(name) for name in names_) or _is_cut_in_two(use, bounds)
    return Sink(SPLIT, "is cut into parts", use) if splits else None


def _is_cut_in_two(use: Use, bounds: Slice) -> bool:
    """Whether ``files[:n]`` has its ``files[n:]``."""
    bound = bounds.lower or bounds.upper
    if not isinstance(bound, Ref) or not isinstance(use.value, Ref):
        return False
    for other in use.module.project[Following].variable(use.module, use.scope, use.value.name):
        outer = other.around[0] if other.around else None
        if isinstance(outer, Subscript) and isinstance(outer.index, Slice):
            there = outer.index.upper if bounds.lower is not None else outer.index.lower
            if isinstance(there, Ref) and there.name == bound.name:
                return True
    return False


def _is_shown(use: Use) -> bool:
    return any(isinstance(one, Call) and last_segment(one.function) in _SHOWS for one in use.around)


def _is_number(index: Expr) -> bool:
    inner = index.operand if isinstance(index, Unary) else index
    return isinstance(inner, Const) and isinstance(inner.value, int) and not isinstance(inner.value, bool)


def _is(use: Use, call: Expr, name: str) -> bool:
    if not isinstance(call, Call) or not isinstance(call.function, Ref):
        return False
    return f"builtins.{name}" in use.module.names(use.scope, call.function)


def _is_range(use: Use, expr: Expr) -> bool:
    if not isinstance(expr, Call) or not isinstance(expr.function, (Ref, Attribute)):
        return False
    return expr.function.name.rpartition(".")[2] in ("range", "arange", "count")


def _heads(expr: Expr) -> set[str]:
    """The variables an expression reads, functions left out."""
    nodes = walk(expr)
    called = {id(node.function) for node in nodes if isinstance(node, Call)}
    return {node.name.partition(".")[0] for node in nodes if isinstance(node, Ref) and id(node) not in called}


def _mentions(expr: Expr, name: str) -> bool:
    return any(isinstance(node, Ref) and node.name == name for node in walk(expr))


def _outward(use: Use, count: int) -> Use:
    """The use of an expression around a value."""
    return use._replace(value=use.around[count - 1], around=use.around[count:])
