"""The facts of one Python file, as small typed values.

Two parts. The *link part* (everything but ``bodies``) says which names the file binds, imports and mentions; it is
always decoded. ``bodies[i]`` is the encoded flow of ``scopes[i]`` and is decoded on the first question
(``Module.body``). Positions are 1-based lines and 0-based UTF-8 byte columns, as ``ast`` gives them; ``Module.span``
turns them into code points. ``gc=False``: the values are trees, never cycles.
"""

from __future__ import annotations

import msgspec

MODULE, FUNCTION, CLASS = 0, 1, 2

# How a scope binds a name (bits of ``Scope.bindings`` values).
IMPORTED, DEFINED, ASSIGNED, PARAMETER, GLOBAL, NONLOCAL = 1, 2, 4, 8, 16, 32
WALRUS = 64  # ASSIGNED, and inside an expression

# Where an import stands (bits of ``Import.guard``).
IN_TRY, IN_HANDLER, TYPE_CHECKING = 1, 2, 4

POSITIONAL_ONLY, POSITIONAL, VARARGS, KEYWORD_ONLY, KWARGS = 0, 1, 2, 3, 4

Literal = bool | int | float | str | None


class _Expr(msgspec.Struct, array_like=True, gc=False, frozen=True):
    pass


class Ref(_Expr, frozen=True, tag=1):
    """A dotted chain of names, ``a`` or ``a.b.c``, as written."""

    name: str
    line: int
    column: int


class Const(_Expr, frozen=True, tag=2):
    """A literal (also a negative number). Bytes, complex, ``...``, huge ints and long strings are ``Opaque``."""

    value: Literal


class Attribute(_Expr, frozen=True, tag=3):
    """``value.name`` where ``value`` is not itself a chain of names; ``name`` may be dotted: ``f().a.b``."""

    value: Expr
    name: str
    line: int
    column: int
    end_line: int
    end_column: int


class Keyword(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """``name=value`` in a call; ``name`` is None for ``**value``."""

    name: str | None
    value: Expr


class Call(_Expr, frozen=True, tag=4):
    """A call. Positions span the whole call expression."""

    function: Expr
    args: list[Expr]
    keywords: list[Keyword]
    line: int
    column: int
    end_line: int
    end_column: int


class Subscript(_Expr, frozen=True, tag=5):
    value: Expr
    index: Expr
    line: int
    column: int
    end_line: int
    end_column: int


class Binary(_Expr, frozen=True, tag=6):
    """``left op right``; ``op`` is the operator's text: ``+``, ``**``, ``@``."""

    op: str
    left: Expr
    right: Expr
    line: int
    column: int
    end_line: int
    end_column: int


class Boolean(_Expr, frozen=True, tag=7):
    """``and`` / ``or`` over two or more values."""

    op: str
    values: list[Expr]


class Compare(_Expr, frozen=True, tag=8):
    """``left op right [op right ...]``; ops as text: ``==``, ``not in``, ``is``."""

    left: Expr
    ops: list[str]
    comparators: list[Expr]
    line: int
    column: int
    end_line: int
    end_column: int


class Build(_Expr, frozen=True, tag=9):
    """A display: ``kind`` is tuple, list, set or dict. Dicts: ``keys[i]`` of ``items[i]`` (None: ``**item``)."""

    kind: str
    items: list[Expr]
    keys: list[Expr | None]


class Conditional(_Expr, frozen=True, tag=10):
    """``then if test else orelse``."""

    test: Expr
    then: Expr
    orelse: Expr


class Generator(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """``for target in iterable if conditions`` of a comprehension."""

    target: Expr
    iterable: Expr
    conditions: list[Expr]


class Comprehension(_Expr, frozen=True, tag=11):
    """``kind`` is list, set, dict or generator. ``key`` only for a dict."""

    kind: str
    element: Expr
    key: Expr | None
    generators: list[Generator]


class Lambda(_Expr, frozen=True, tag=12):
    parameters: list[str]
    body: Expr


class Starred(_Expr, frozen=True, tag=13):
    value: Expr


class Unary(_Expr, frozen=True, tag=14):
    """``op`` is ``-``, ``+``, ``~`` or ``not``."""

    op: str
    operand: Expr


class Bind(_Expr, frozen=True, tag=15):
    """``name := value``."""

    name: str
    value: Expr


class Wait(_Expr, frozen=True, tag=16):
    """``kind`` is await, yield or yield from."""

    kind: str
    value: Expr | None


class Format(_Expr, frozen=True, tag=17):
    """An f-string: constant parts as ``Const``, holes as their expressions."""

    parts: list[Expr]


class Slice(_Expr, frozen=True, tag=18):
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


class Opaque(_Expr, frozen=True, tag=19):
    """A value the facts do not keep: ``kind`` is its type's name (bytes, str, int, ellipsis ...)."""

    kind: str


Expr = (
    Ref | Const | Attribute | Call | Subscript | Binary | Boolean | Compare | Build | Conditional | Comprehension |
    Lambda | Starred | Unary | Bind | Wait | Format | Slice | Opaque
)  # fmt: skip


class _Stmt(msgspec.Struct, array_like=True, gc=False, frozen=True):
    line: int
    column: int
    end_line: int


class Do(_Stmt, frozen=True, tag=1):
    """An expression evaluated for its effect. Docstrings and bare literals are left out."""

    value: Expr


class Assign(_Stmt, frozen=True, tag=2):
    """``targets[0] = targets[1] = value``."""

    targets: list[Expr]
    value: Expr


class Augment(_Stmt, frozen=True, tag=3):
    op: str
    target: Expr
    value: Expr


class Annotate(_Stmt, frozen=True, tag=4):
    target: Expr
    annotation: Expr
    value: Expr | None


class Return(_Stmt, frozen=True, tag=5):
    value: Expr | None


class Raise(_Stmt, frozen=True, tag=6):
    value: Expr | None


class If(_Stmt, frozen=True, tag=7):
    """``elif`` is an ``If`` alone in ``orelse``."""

    test: Expr
    body: list[Stmt]
    orelse: list[Stmt]


class For(_Stmt, frozen=True, tag=8):
    target: Expr
    iterable: Expr
    body: list[Stmt]
    orelse: list[Stmt]


class While(_Stmt, frozen=True, tag=9):
    test: Expr
    body: list[Stmt]
    orelse: list[Stmt]


class WithItem(msgspec.Struct, array_like=True, gc=False, frozen=True):
    context: Expr
    target: Expr | None


class With(_Stmt, frozen=True, tag=10):
    items: list[WithItem]
    body: list[Stmt]


class Handler(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """``except kind as name``; ``kind`` is None for a bare ``except``."""

    kind: Expr | None
    name: str | None
    body: list[Stmt]


class Try(_Stmt, frozen=True, tag=11):
    body: list[Stmt]
    handlers: list[Handler]
    orelse: list[Stmt]
    final: list[Stmt]


class Imports(_Stmt, frozen=True, tag=12):
    """``imports[first : first + count]`` of the module are executed here."""

    first: int
    count: int


class Define(_Stmt, frozen=True, tag=13):
    """``scopes[scope]``, a function or class, is bound here. Its decorators and defaults are evaluated here."""

    scope: int


class Assert(_Stmt, frozen=True, tag=14):
    test: Expr


class Delete(_Stmt, frozen=True, tag=15):
    targets: list[Expr]


class Jump(_Stmt, frozen=True, tag=16):
    """``kind`` is break or continue."""

    kind: str


class Case(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """``names`` are captured by the pattern, ``values`` are the expressions it compares with."""

    names: list[str]
    values: list[Expr]
    guard: Expr | None
    body: list[Stmt]


class Match(_Stmt, frozen=True, tag=17):
    subject: Expr
    cases: list[Case]


Stmt = (
    Do | Assign | Augment | Annotate | Return | Raise | If | For | While | With | Try | Imports | Define | Assert |
    Delete | Jump | Match
)  # fmt: skip


class Import(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One imported name.

    ``import a.b`` binds ``a`` (module ``a.b``, attribute None, bound ``a``); ``import a.b as c`` binds ``c``;
    ``from .m import x as y`` has module ``m``, level 1, attribute ``x``, bound ``y``; a star import has attribute and
    bound ``*``.
    """

    scope: int
    bound: str
    module: str
    attribute: str | None
    level: int
    guard: int
    line: int
    column: int
    renamed: bool  # has an ``as``


class Parameter(msgspec.Struct, array_like=True, gc=False, frozen=True):
    name: str
    kind: int
    default: Expr | None
    annotation: Expr | None


class Scope(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """The module (index 0), a function or a class. ``parent`` is an index into ``ModuleFacts.scopes`` (-1: none).

    ``bindings`` maps each name the scope binds to its bits. ``uses`` are the dotted chains read in this scope itself
    (not in nested functions), and ``.name`` for an attribute of anything else. ``inner`` are names bound only by
    comprehensions and lambdas in it. ``line`` is that of ``def``/``class``, ``first_line`` of its first decorator.
    """

    kind: int
    name: str
    qualname: str
    parent: int
    first_line: int
    line: int
    column: int
    end_line: int
    end_column: int
    body_line: int  # first line of the first body statement, docstring included
    decorators: list[Expr]
    parameters: list[Parameter]
    bases: list[Expr]
    keywords: list[Keyword]
    returns: Expr | None
    bindings: dict[str, int]
    inner: list[str]
    uses: list[str]
    asynchronous: bool
    generator: bool
    documented: bool


class Alias(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """``name = target`` at module or class level, ``target`` a dotted chain; ``line`` is the statement's."""

    scope: int
    name: str
    target: str
    line: int


class Comment(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """``text`` includes the ``#``. ``alone``: nothing but white space before it on its line."""

    line: int
    column: int
    text: str
    alone: bool


class ModuleFacts(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """Everything the scan keeps of one Python file. See the module docstring."""

    imports: list[Import]
    scopes: list[Scope]
    aliases: list[Alias]
    exports: list[str] | None  # ``__all__`` when it is a constant
    comments: list[Comment]
    mentions: list[str]  # every identifier in the file, sorted
    stored: list[str]  # every attribute that is assigned to, sorted: ``b`` of ``a.b = 1``
    strings: list[str]  # short string literals that look like module paths or file names
    magics: list[tuple[int, str]]  # notebook magics: text line, text
    main: tuple[int, int] | None  # first and last line of ``if __name__ == "__main__":``
    lines: int
    code_lines: int  # lines that hold code: not blank, comment-only or docstring
    role: str  # project, vendored, generated or minified
    problems: list[tuple[int, str]]  # what could not be read: text line, message
    texts: list[
        tuple[int, int]
    ]  # string statements of three lines and more that are no docstrings: first and last line
    bodies: list[msgspec.Raw]


Body = list[Stmt]
