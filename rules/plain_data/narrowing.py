"""Casts to float32 and below of what must stay exact: identifiers, timestamps, money, long counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Annotate, Assign, Attribute, Build, Call, Const, Expr, Ref, Stmt, Subscript
from mldebt.facts.walk import statements, walk

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module

ID, TIME, MONEY, COUNT = "identifier", "timestamp", "amount of money", "count"

NARROW = frozenset({"float32", "float16", "bfloat16", "half", "single", "f4", "<f4", "f2", "Float32", "HalfTensor"})
_METHODS = frozenset({"float", "half", "bfloat16"})
_EMPTY = frozenset({"zeros", "empty", "full", "ones"})
_MAKERS = frozenset({"tensor", "array", "asarray", "as_tensor", "Series"}) | _EMPTY
_FRAMES = frozenset({"pandas", "polars", "dask", "modin", "cudf", "pyspark", "geopandas"})
_COLUMNS = frozenset({"col", "column"})
_NARROW_MAKERS = frozenset({"FloatTensor", "HalfTensor", "BFloat16Tensor", "float32", "float16"})
_READERS = frozenset({"read_csv", "read_table", "read_json", "read_excel"})
CASTS = frozenset({"astype", "cast", "to_numeric"}) | _METHODS | _MAKERS | _NARROW_MAKERS | _READERS
_TIMES = frozenset({"time", "to_datetime", "timestamp", "time_ns", "utcnow", "now"})
_WORDS = {
    ID: frozenset("id ids uid uids guid guids isbn ean upc imei accountno".split()),
    TIME: frozenset("ts timestamp timestamps unixtime epochtime".split()),
    MONEY: frozenset(
        "amount amounts balance balances revenue payment payments payout payouts fee fees invoice salary price prices "
        "cost costs usd eur gbp refund refunds".split()
    ),
    COUNT: frozenset("seen tokens_seen samples_seen impressions clicks".split()),
}
# Ids of small vocabularies: a few thousand tokens, positions or classes are exact in any float.
_SMALL = frozenset(
    "input position pos token type class label segment batch vocab expert cluster group attention decoder encoder "
    "source image target rank gpu device head bucket lang category cat frame box track grid word char sentence "
    "seq mask".split()
)
_TOKEN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")


class Cast(Struct, frozen=True):
    """A cast to a narrow float. ``column`` of the frame ``holder``, or ``holder`` itself; "" and a whole frame."""

    module: Module
    scope: int
    statement: Stmt
    call: Call
    to: str
    kind: str
    holder: str
    column: str = ""
    whole: bool = False
    by_api: bool = False  # a call says it is a time, not a name


def kind_of(name: str) -> str | None:
    """What a name says must stay exact; None when nothing."""
    words = [word.lower() for word in _TOKEN.findall(name)]
    if not words:
        return None
    for kind, tokens in _WORDS.items():
        if words[-1] in tokens:
            return None if kind == ID and not _SMALL.isdisjoint(words) else kind
    return None


def casts(module: Module, scope: int, site: CallSite) -> Iterator[Cast]:
    """The narrowing casts a call makes."""
    call, function = site.call, site.call.function
    if not isinstance(function, (Ref, Attribute)):
        return
    last = _called(module, scope, function)
    target, column = _target(site.statement)
    if last in _READERS:
        dtype = argument(call, "dtype")
        if isinstance(dtype, Build) and dtype.kind == "dict" and target:
            yield from _columns(module, site, dtype, target)
        return
    method = last in ("astype", "cast") or last in _METHODS
    subject = _receiver(function) if method else call.args[0] if call.args else None
    if subject is None:
        return
    if last in ("astype", "cast"):
        dtype = argument(call, "dtype", 0)
        if isinstance(dtype, Build) and dtype.kind == "dict":
            yield from _columns(module, site, dtype, target or last_segment(subject))
            return
        to = _narrow(module, scope, dtype) or (_spark(module, dtype) if last == "cast" else None)
    elif last in _METHODS:
        to = "float32" if last == "float" and not call.args else last if not call.args else None
    elif last in _NARROW_MAKERS:
        to = last
    elif last == "to_numeric":
        down = argument(call, "downcast")
        to = "float32" if isinstance(down, Const) and down.value == "float" else None
    else:
        to = _narrow(
            module, scope, argument(call, "dtype", 1 if last in ("array", "tensor", "zeros", "empty") else None)
        )
        if last in _EMPTY:
            subject = Ref(column or target, call.line, call.column)
    if to is None:
        return
    yield from _of_subject(module, site, subject, to, target, column)


def _of_subject(module: Module, site: CallSite, subject: Expr, to: str, target: str, column: str) -> Iterator[Cast]:
    name, by_api = _named(subject), False
    kind = kind_of(name) if name else None
    if kind is None and isinstance(subject, Call):
        name = column or target.rpartition(".")[2]
        kind = kind_of(name)
    if kind is None and any(isinstance(n, Call) and _is_time(module, site.scope, n) for n in walk(subject)):
        kind, by_api = TIME, True
    place = (module, site.scope, site.statement, site.call, to)
    if kind is not None:
        held = target or (_holder(subject) if not column else target)
        yield Cast(*place, kind, held, column or (name if held == _holder(subject) else ""), by_api=by_api)
    elif isinstance(subject, (Ref, Call)) and target and not column:
        filled = isinstance(subject, Ref) and subject.name == target and not _is_method(site.call, "astype")
        if filled and _stores_times(module, target):
            yield Cast(*place, TIME, target, by_api=True)
        elif not filled and _is_method(site.call, "astype") and _is_frame(module, site.scope, subject):
            yield Cast(*place, "", target, whole=True)


def _is_method(call: Call, name: str) -> bool:
    return last_segment(call.function) == name


def _is_frame(module: Module, scope: int, subject: Expr) -> bool:
    """Whether a frame is cast whole: one that is read, or that the project's own function gives, not one just made."""
    if not any(one.module.partition(".")[0] in _FRAMES for one in module.facts.imports):
        return False
    if not isinstance(subject, Call):
        return True
    function = subject.function
    if not isinstance(function, (Ref, Attribute)):
        return False
    return last_segment(function).startswith("read_") or any(":" in name for name in module.names(scope, function))


def _stores_times(module: Module, array: str) -> bool:
    """Whether clock times are stored in the elements of an array: ``stamps[i] = time.time()``."""
    if module.mentions.isdisjoint(_TIMES):
        return False
    for index in module.scopes_using((array.rpartition(".")[2],)):
        for stmt in statements(module.body(index)):
            filled = isinstance(stmt, Assign) and any(_is_element(one, array) for one in stmt.targets)
            values = walk(stmt.value) if filled and isinstance(stmt, Assign) else []
            if any(isinstance(node, Call) and _is_time(module, index, node) for node in values):
                return True
    return False


def _is_element(target: Expr, array: str) -> bool:
    return isinstance(target, Subscript) and isinstance(target.value, Ref) and target.value.name == array


def _spark(module: Module, dtype: object) -> str | None:
    """Spark's ``float`` is a float32."""
    said = isinstance(dtype, Const) and dtype.value == "float"
    made = isinstance(dtype, Call) and last_segment(dtype.function) == "FloatType"
    return "float" if (said or made) and any(one.module.startswith("pyspark") for one in module.facts.imports) else None


def _is_time(module: Module, scope: int, call: Call) -> bool:
    function = call.function
    return isinstance(function, (Ref, Attribute)) and _called(module, scope, function) in _TIMES


def _columns(module: Module, site: CallSite, dtype: Build, frame: str) -> Iterator[Cast]:
    for key, item in zip(dtype.keys, dtype.items, strict=True):
        to = _narrow(module, site.scope, item)
        if to is not None and isinstance(key, Const) and isinstance(key.value, str):
            kind = kind_of(key.value)
            if kind is not None:
                yield Cast(module, site.scope, site.statement, site.call, to, kind, frame, key.value)


def _narrow(module: Module, scope: int, dtype: object) -> str | None:
    """The narrow float a dtype argument names."""
    if dtype is None or dtype is NOT_KNOWN:
        return None
    if isinstance(dtype, Const) and isinstance(dtype.value, str):
        return dtype.value if dtype.value in NARROW else None
    if isinstance(dtype, (Ref, Attribute)):
        last = _called(module, scope, dtype)
        return last if last in NARROW else None
    return None


def _called(module: Module, scope: int, expr: Ref | Attribute) -> str:
    """The last segment of what an expression is linked to, else of what is written."""
    names = module.names(scope, expr) if isinstance(expr, Ref) else ()
    return (names[0] if len(names) == 1 else expr.name).rpartition(".")[2]


def _target(stmt: Stmt) -> tuple[str, str]:
    """The variable a statement assigns, and the column of it."""
    if isinstance(stmt, Assign):
        target = stmt.targets[0]
    elif isinstance(stmt, Annotate):
        target = stmt.target
    else:
        return "", ""
    if isinstance(target, Ref):
        return target.name, ""
    if isinstance(target, Subscript) and isinstance(target.value, Ref):
        index = target.index
        if isinstance(index, Const) and isinstance(index.value, str):
            return target.value.name, index.value
    return "", ""


def _receiver(function: Ref | Attribute) -> Expr | None:
    if isinstance(function, Attribute):
        return function.value
    head = function.name.rpartition(".")[0]
    return Ref(head, function.line, function.column) if head else None


def _named(subject: Expr) -> str:
    """The column or variable a cast is of, through calls of its methods."""
    node = subject
    while isinstance(node, Call):
        if last_segment(node.function) in _COLUMNS and node.args and isinstance(node.args[0], Const):
            return str(node.args[0].value)
        inner = _receiver(node.function) if isinstance(node.function, (Ref, Attribute)) else None
        if inner is None:
            return ""
        node = inner
    if isinstance(node, Attribute) and node.name == "values":
        node = node.value
    if isinstance(node, Subscript):
        index = node.index
        return index.value if isinstance(index, Const) and isinstance(index.value, str) else ""
    return last_segment(node).removesuffix(".values")


def _holder(subject: Expr) -> str:
    node = subject
    while isinstance(node, (Subscript, Attribute)):
        node = node.value
    return node.name if isinstance(node, Ref) else ""
