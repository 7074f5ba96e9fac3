"""Casts to float32 and below of what must stay exact: identifiers, timestamps, money, long counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Attribute,
    Build,
    Call,
    Comprehension,
    Const,
    Expr,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import walk

from .exactness import MONEY, TIME, kind_of
from .narrowed import (
    MAKERS,
    filled_frame,
    holder,
    is_time_call,
    linked,
    named,
    numbers_of,
    receiver,
    stores_times,
    target_of,
    texts_of,
    written,
)

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module

NARROW = frozenset({"float32", "float16", "bfloat16", "half", "single", "f4", "<f4", "f2", "Float32", "HalfTensor"})
_METHODS = frozenset({"float", "half", "bfloat16"})
_EMPTY = frozenset({"zeros", "empty", "full", "ones"})
_MAKERS = (MAKERS - {"from_numpy"}) | _EMPTY
_NARROW_MAKERS = frozenset({"FloatTensor", "HalfTensor", "BFloat16Tensor", "float32", "float16"})
_READERS = frozenset(
    "read_csv read_table read_json read_excel read_fwf read_sql read_sql_query scan_csv DataFrame".split()
)
_SCHEMAS = ("dtype", "dtypes", "schema_overrides", "schema")
_TO_TYPE = frozenset({"astype", "cast", "to", "type", "to_numpy"})
CASTS = frozenset({"astype", "cast", "to_numeric"}) | _METHODS | _MAKERS | _NARROW_MAKERS | _READERS
# Called everywhere: looked at only where a file names a narrow type.
COMMON_CASTS = frozenset({"to", "type", "to_numpy"})
_EVERY = frozenset({"all", "numeric", "integer"})  # polars.all(), polars.selectors.numeric()
_LOCAL_ONLY = "a binary float"


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


def casts(module: Module, scope: int, site: CallSite) -> Iterator[Cast]:
    """The narrowing casts a call makes."""
    call, function = site.call, site.call.function
    if not isinstance(function, (Ref, Attribute)):
        return
    last = linked(module, scope, function)
    target, column = target_of(site.statement)
    if last in _READERS:
        if target:
            yield from _of_schema(module, site, _schema(call), target)
        return
    subject = _subject(function, call, last)
    if subject is None:
        return
    if last in ("astype", "cast"):
        dtype = written(module, scope, argument(call, "dtype", 0))
        if not isinstance(dtype, (Ref, Attribute, Const)) and len(call.args) < 2:
            frame = target or (subject.name if isinstance(subject, Ref) else "")
            yield from _of_schema(module, site, dtype, frame, written_over=bool(target))
            return
    to = _to(module, scope, call, last)
    if last in _EMPTY:
        subject = Ref(column or target, call.line, call.column)
    if to is not None:
        yield from _of_subject(module, site, subject, to, target, column)


def _subject(function: Ref | Attribute, call: Call, last: str) -> Expr | None:
    """What is cast: the receiver of a method, the first argument of a function."""
    as_function = last == "cast" and len(call.args) > 1  # tf.cast(x, tf.float32)
    if (last in _TO_TYPE or last in _METHODS) and not as_function and (last != "float" or not call.args):
        return receiver(function)
    return call.args[0] if call.args else None


def _to(module: Module, scope: int, call: Call, last: str) -> str | None:
    """The narrow type a call casts to."""
    if last == "float" and len(call.args) == 1:
        keeps_cents = isinstance(call.function, Ref) and call.function.name == last and "Decimal" in module.mentions
        return _LOCAL_ONLY if keeps_cents else None
    if last in _METHODS:
        return ("float32" if last == "float" else last) if not call.args else None
    if last in _NARROW_MAKERS:
        return last
    if last == "to_numeric":
        down = argument(call, "downcast")
        return "float32" if isinstance(down, Const) and down.value == "float" else None
    if last in _TO_TYPE:
        given = [*call.args, *[one.value for one in call.keywords if one.name == "dtype"]]
        found = next((to for one in given if (to := _narrow(module, scope, one))), None)
        return found or (_spark(module, given[0]) if last == "cast" and given else None)
    return _narrow(module, scope, argument(call, "dtype", 1 if last in ("array", "tensor", "zeros", "empty") else None))


def _of_subject(module: Module, site: CallSite, subject: Expr, to: str, target: str, column: str) -> Iterator[Cast]:
    name, by_api = named(module, site.scope, subject), False
    kind = kind_of(name) if name else None
    if kind is None and isinstance(subject, Call) and name is not None:
        name = column or target.rpartition(".")[2]
        kind = kind_of(name)
    if kind is None and any(isinstance(n, Call) and is_time_call(module, site.scope, n) for n in walk(subject)):
        kind, by_api = TIME, True
    if to == _LOCAL_ONLY and kind != MONEY:
        return
    place = (module, site.scope, site.statement, site.call, to)
    if kind is not None:
        held = target or (holder(subject) if not column else target)
        yield Cast(*place, kind, held, column or (name or "" if held == holder(subject) else ""), by_api=by_api)
    elif isinstance(subject, (Ref, Call)) and target and not column:
        cast_whole = last_segment(site.call.function) in ("astype", "cast")
        filled = isinstance(subject, Ref) and subject.name == target and not cast_whole
        if filled and stores_times(module, target):
            yield Cast(*place, TIME, target, by_api=True)
        elif not filled and cast_whole and _is_frame(module, site.scope, subject):
            yield Cast(*place, "", target, whole=True)
    elif isinstance(subject, Subscript) and name == "" and holder(subject) == filled_frame(site.statement):
        yield from _of_columns(module, site, subject, to)


def _of_columns(module: Module, site: CallSite, subject: Subscript, to: str) -> Iterator[Cast]:
    """``df[COLS] = df[COLS].astype(...)``, ``df[c] = df[c].astype(...)`` for every ``c``."""
    place, frame = (module, site.scope, site.statement, site.call, to), holder(subject)
    texts = texts_of(module, site.scope, subject.index)
    for text in texts:
        kind = kind_of(text)
        if kind is not None:
            yield Cast(*place, kind, frame, text)
    if not texts and numbers_of(module, site.scope, subject.index):
        yield Cast(*place, "", frame, whole=True)


def _is_frame(module: Module, scope: int, subject: Expr) -> bool:
    """Whether a frame may be cast whole: one by a name, read, or given by the project's own function, not just made.

    That it is a frame its exact use says, which names a column.
    """
    if not isinstance(subject, Call):
        return True
    function = subject.function
    if not isinstance(function, (Ref, Attribute)):
        return False
    last = linked(module, scope, function)
    if last in _EVERY:
        return True  # frame.with_columns(pl.all().cast(...))
    return last.startswith("read_") or any(":" in name for name in module.names(scope, function))


def _schema(call: Call) -> object:
    """The types a reader is told; the second argument of no reader."""
    return next((one.value for one in call.keywords if one.name in _SCHEMAS), None)


def _of_schema(
    module: Module, site: CallSite, dtype: object, frame: str, *, written_over: bool = True
) -> Iterator[Cast]:
    """The columns a dict of types narrows; every column, where all have one narrow type."""
    dtype = written(module, site.scope, dtype)
    place = (module, site.scope, site.statement, site.call)
    pairs: list[tuple[str, str | None]] = []
    if isinstance(dtype, Build) and dtype.kind == "dict":
        for key, item in zip(dtype.keys, dtype.items, strict=True):
            if isinstance(key, Const) and isinstance(key.value, str):
                pairs.append((key.value, _narrow(module, site.scope, item)))
    elif isinstance(dtype, Comprehension) and dtype.kind == "dict" and len(dtype.generators) == 1:
        one, to = dtype.generators[0], _narrow(module, site.scope, dtype.element)
        if not one.conditions:
            pairs = [(text, to) for text in texts_of(module, site.scope, one.iterable)]
            if to and frame and written_over and not pairs and numbers_of(module, site.scope, one.iterable):
                yield Cast(*place, to, "", frame, whole=True)
    elif isinstance(dtype, Call) and last_segment(dtype.function) == "fromkeys" and len(dtype.args) == 2:
        to = _narrow(module, site.scope, dtype.args[1])
        pairs = [(text, to) for text in texts_of(module, site.scope, dtype.args[0])]
    elif isinstance(dtype, (Ref, Attribute, Const)) and (to := _narrow(module, site.scope, dtype)):
        yield Cast(*place, to, "", frame, whole=True)
    for text, to in pairs:
        kind = kind_of(text)
        if to is not None and kind is not None:
            yield Cast(*place, to, kind, frame, text)


def _spark(module: Module, dtype: object) -> str | None:
    """Spark's ``float`` is a float32."""
    said = isinstance(dtype, Const) and dtype.value == "float"
    made = isinstance(dtype, Call) and last_segment(dtype.function) == "FloatType"
    return "float" if (said or made) and any(one.module.startswith("pyspark") for one in module.facts.imports) else None


def _narrow(module: Module, scope: int, dtype: object) -> str | None:
    """The narrow float a dtype argument names."""
    if dtype is None or dtype is NOT_KNOWN:
        return None
    if isinstance(dtype, Const) and isinstance(dtype.value, str):
        return dtype.value if dtype.value in NARROW else None
    if isinstance(dtype, (Ref, Attribute)):
        last = linked(module, scope, dtype)
        if last in NARROW:
            return last
        named_type = written(module, scope, dtype)  # DTYPE = np.float32
        if isinstance(named_type, (Ref, Const)) and named_type is not dtype:
            return _narrow(module, scope, named_type)
    return None
