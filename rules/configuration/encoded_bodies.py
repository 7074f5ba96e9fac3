"""Which bodies of a file are worth decoding: a look at them as they are encoded.

Decoding and walking a body costs a hundred times what a search through its bytes does. A hit says "look", no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from mldebt.facts.schema import Boolean, Build, Call, Compare, Conditional, Const, Keyword, Ref, Subscript, Unary

if TYPE_CHECKING:
    from mldebt.module import Module


def _start(kind: str) -> bytes:
    """How a display of this kind begins, up to the number of its elements."""
    encoded = msgspec.msgpack.encode(Build(kind, [Const(True)], []))
    return encoded[: encoded.index(kind.encode()) + len(kind)]


def _any(*texts: bytes) -> bytes:
    return rb"(?:" + b"|".join(map(re.escape, texts)) + rb")"


_CONST = msgspec.msgpack.encode(Const(True))[:-1]
_COUNT = rb"(?:[\x93-\x9f]|\xdc..|\xdd....)"  # three elements and more
_TEXT_OR_FLOAT = rb"[\xa0-\xbf\xd9\xda\xcb]"
_KINDS = rb"(?:" + b"|".join(re.escape(_start(kind)) for kind in ("list", "tuple")) + rb")"
DISPLAYS = re.compile(
    _KINDS + _COUNT + rb"(?:" + re.escape(_CONST) + _TEXT_OR_FLOAT + rb"|" + _KINDS + rb")", re.DOTALL
)
"""A list or tuple of at least three elements, the first of them a text, a float or a row."""


_SUBSCRIPTED = msgspec.msgpack.encode(Subscript(Ref("a", 1, 1), Const(1), 1, 1, 1, 1)).partition(b"\xa1a")[0]
_SHORT = 0xA0  # plus its length is how a text of up to 31 bytes begins
_NAMES = re.compile(re.escape(_SUBSCRIPTED) + rb"(?:([\xa1-\xbf])|\xd9(.))", re.DOTALL)


# ``get("k", 3)``, ``getattr(cfg, "k", 3)``: a name, the two or four numbers of its place, two arguments and more.
_NUMBER = rb"(?:[\x00-\x7f]|\xcc.|\xcd..|\xce....)"
_MANY = _NUMBER + rb"{2,4}(?:[\x92-\x9f]|\xdc..)"
_NAME = msgspec.msgpack.encode(Ref("a", 1, 1)).partition(b"\xa1a")[0]
_KEY = _any(_CONST, _NAME)
# ``lr = 3e-4``, ``lr = -1``, ``betas = (0.9, 0.99)`` and ``lr = rate = 3e-4``: the place of the name, then the value.
_VALUES = (Const(True), Unary("-", Const(True)), Build("list", [], []))
_LITERAL = re.compile(
    _NUMBER
    + rb"{2}(?:"
    + _any(*(msgspec.msgpack.encode(one)[:2] for one in _VALUES))
    + b"|("
    + re.escape(_NAME)
    + b"))",
    re.DOTALL,
)
_ALONE = b"\x91" + _NAME  # the list of the one target, up to the target's name
_GIVEN = msgspec.msgpack.encode(Keyword("a", Const(True))).partition(b"\xa1a")[0]
_CALL = msgspec.msgpack.encode(Call(Ref("a", 1, 1), [], [], 1, 1, 1, 1)).partition(_NAME)[0]
_EITHER = msgspec.msgpack.encode(Boolean("or", [Const(True), Const(True)])).partition(_CONST)[0] + _CALL
_TEST = msgspec.msgpack.encode(Conditional(Const(True), Const(True), Const(True))).partition(_CONST)[0]
_COMPARED = msgspec.msgpack.encode(Compare(Const(True), [], [], 1, 1, 1, 1)).partition(_CONST)[0] + _CONST
_HAS = _CALL + _NAME + b"\xa7hasattr"
# One pattern for each: a search for a text all its matches begin with is much faster than one for any of several.
_BRINGING = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        b"get(?:env)?" + _MANY + _KEY,
        b"pop" + _MANY + _KEY,
        b"config" + _MANY + _KEY,
        b"select" + _MANY,
        b"\xa7getattr" + _NUMBER + b"{2}\x93",
        re.escape(_GIVEN) + b"\xa7default",
        re.escape(_GIVEN) + b"\xa8fallback",
    )
)
_AROUND = tuple(
    re.compile(pattern, re.DOTALL) for pattern in (re.escape(_EITHER), re.escape(_TEST) + _any(_COMPARED, _HAS))
)


def may_bring_default(module: Module, index: int) -> bool:
    """Whether a scope may read something with a default: an argument, ``or``, or a test whether there is one."""
    body = module.facts.bodies[index]
    return any(pattern.search(body) is not None for pattern in (*_BRINGING, *_AROUND))


def may_default_around(module: Module, index: int) -> bool:
    """Whether the default may stand around the read: after ``or``, or in a test whether there is something."""
    body = module.facts.bodies[index]
    return any(pattern.search(body) is not None for pattern in _AROUND)


def may_assign_literal(module: Module, index: int, names: Iterable[str]) -> bool:
    """Whether a scope may assign a literal to a variable of one of these names."""
    body = bytes(module.facts.bodies[index])
    for name in map(str.encode, names):
        for found in re.finditer(name, body):
            value = _LITERAL.match(body, found.end())
            # Of a target that stands alone, what comes next is the value: a name is no literal.
            if value and (value[1] is None or body[found.start() - len(_ALONE) - 1 : found.start() - 1] != _ALONE):
                return True
    return False


def subscripted(module: Module, index: int) -> Iterator[str]:
    """The chains a scope reads or stores elements of: ``cfg.model`` of ``cfg.model["depth"]``."""
    body = bytes(module.facts.bodies[index])
    for match in _NAMES.finditer(body):
        at, short = match.end(), match.group(1)
        size = short[0] - _SHORT if short is not None else match.group(2)[0]
        yield body[at : at + size].decode("utf-8", "replace")


def scopes_holding(module: Module, wanted: re.Pattern[bytes]) -> Iterator[int]:
    """The scopes whose encoded body has a match, in order."""
    for index, body in enumerate(module.facts.bodies):
        if wanted.search(body) is not None:
            yield index
