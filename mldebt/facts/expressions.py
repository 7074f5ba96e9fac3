"""The expression half of the facts walk: ``ast`` expressions in, ``schema.Expr`` out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from mldebt.facts import schema as ir
from mldebt.facts.operators import OPERATORS

# Bare globals for the two hottest functions: an attribute of a module costs twice as much, a million times over.
Name, Attribute, Constant, Call = ast.Name, ast.Attribute, ast.Constant, ast.Call
Ref, Const, Keyword = ir.Ref, ir.Const, ir.Keyword

_LONGEST_STRING = 400  # longer literals are data or prose; no rule compares them
_LARGEST_INT = 1 << 62  # msgpack holds 64-bit integers
_PATH_LIKE = re.compile(r"[\w.\-/:@]{3,120}")

_TYPES = {type(None), bool, float}


class Expressions:
    """Converts expressions and records what the current scope binds and uses."""

    def __init__(self) -> None:
        self.bindings: dict[str, int] = {}
        self.inner: set[str] = set()
        self.uses: set[str] = set()
        self.words: set[str] = set()
        self.chains: set[str] = set()
        self.stored: set[str] = set()
        self.strings: set[str] = set()
        self.yields: dict[int, bool] = {}
        self._scope = 0

    def bind(self, name: str, bit: int) -> None:
        self.bindings[name] = self.bindings.get(name, 0) | bit

    @staticmethod
    def operator(node: ast.AST) -> str:
        return OPERATORS[node.__class__]

    def expr(self, node: ast.expr) -> ir.Expr:
        """The hottest function of a scan: names, attributes, constants and calls inline, the rest by table."""
        kind = node.__class__
        if kind is Name:
            name = node.id  # type: ignore[attr-defined]
            self.uses.add(name)
            return Ref(name, node.lineno, node.col_offset)
        if kind is Attribute:
            value = node.value  # type: ignore[attr-defined]
            if value.__class__ is Name:
                name = f"{value.id}.{node.attr}"  # type: ignore[attr-defined]
                self.uses.add(name)
                return Ref(name, value.lineno, value.col_offset)
            return self._attribute(node)  # type: ignore[arg-type]
        if kind is Constant:
            return self._constant(node.value)  # type: ignore[attr-defined]
        if kind is Call:
            expr = self.expr
            function = expr(node.func)  # type: ignore[attr-defined]
            args = [expr(arg) for arg in node.args]  # type: ignore[attr-defined]
            keywords = []
            for keyword in node.keywords:  # type: ignore[attr-defined]
                name = keyword.arg
                if name:
                    self.words.add(name)
                keywords.append(Keyword(name, expr(keyword.value)))
            return ir.Call(
                function, args, keywords, node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0
            )
        converter = _CONVERTERS.get(kind)
        if converter is None:
            return self._other(node)
        return converter(self, node)

    def target(self, node: ast.expr) -> ir.Expr:
        """An assignment target: names are bound, not used."""
        kind = node.__class__
        if kind is Name:
            name = node.id  # type: ignore[attr-defined]
            self.bindings[name] = self.bindings.get(name, 0) | ir.ASSIGNED
            return Ref(name, node.lineno, node.col_offset)
        if kind is ast.Tuple or kind is ast.List:
            items = [self.target(item) for item in node.elts]  # type: ignore[attr-defined]
            return ir.Build("tuple" if kind is ast.Tuple else "list", items, [])
        if kind is Attribute:
            self.stored.add(node.attr)  # type: ignore[attr-defined]
            return self.expr(node)
        if kind is ast.Starred:
            return ir.Starred(self.target(node.value))  # type: ignore[attr-defined]
        return self.expr(node)

    def parameters(self, args: ast.arguments) -> list[ir.Parameter]:
        """A signature's parameters in order; defaults and annotations belong to the enclosing scope."""
        before = len(args.posonlyargs)
        positional = args.posonlyargs + args.args if before else args.args
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
        defaults += args.defaults
        rows: list[tuple[ast.arg, int, ast.expr | None]] = [
            (arg, ir.POSITIONAL if index >= before else ir.POSITIONAL_ONLY, defaults[index])
            for index, arg in enumerate(positional)
        ]
        if args.vararg:
            rows.append((args.vararg, ir.VARARGS, None))
        if args.kwonlyargs:
            keyword_only = zip(args.kwonlyargs, args.kw_defaults, strict=True)
            rows += [(arg, ir.KEYWORD_ONLY, default) for arg, default in keyword_only]
        if args.kwarg:
            rows.append((args.kwarg, ir.KWARGS, None))
        return [
            ir.Parameter(
                arg.arg,
                kind,
                self.expr(default) if default else None,
                self.expr(arg.annotation) if arg.annotation else None,
            )
            for arg, kind, default in rows
        ]

    def _attribute(self, node: ast.Attribute) -> ir.Expr:
        parts = [node.attr]
        value = node.value
        while value.__class__ is Attribute:
            parts.append(value.attr)
            value = value.value
        if value.__class__ is Name:
            parts.append(value.id)
            parts.reverse()
            name = ".".join(parts)
            self.uses.add(name)
            return Ref(name, value.lineno, value.col_offset)
        parts.reverse()
        name = ".".join(parts)
        self.uses.add("." + name)
        return ir.Attribute(
            self.expr(value), name, node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0
        )

    def _constant(self, value: object) -> ir.Expr:
        kind = value.__class__
        if kind is str:
            assert isinstance(value, str)
            if len(value) > _LONGEST_STRING or (not value.isascii() and not _encodable(value)):
                return ir.Opaque("str")
            if ("." in value or "/" in value) and _PATH_LIKE.fullmatch(value):
                self.strings.add(value)
            return Const(value)
        if kind in _TYPES or (kind is int and -_LARGEST_INT < value < _LARGEST_INT):  # type: ignore[operator]
            return ir.Const(value)  # type: ignore[arg-type]
        return ir.Opaque(kind.__name__)

    def _subscript(self, node: ast.Subscript) -> ir.Expr:
        return ir.Subscript(
            self.expr(node.value), self.expr(node.slice), node.lineno, node.col_offset, node.end_lineno or 0,
            node.end_col_offset or 0,
        )  # fmt: skip

    def _binary(self, node: ast.BinOp) -> ir.Expr:
        # A sum of many terms is as deep on the left as it is long: go down iteratively.
        spine = [node]
        while spine[-1].left.__class__ is ast.BinOp:
            spine.append(spine[-1].left)
        left = self.expr(spine[-1].left)
        for part in reversed(spine):
            left = ir.Binary(
                OPERATORS[part.op.__class__], left, self.expr(part.right), part.lineno, part.col_offset,
                part.end_lineno or 0, part.end_col_offset or 0,
            )  # fmt: skip
        return left

    def _boolean(self, node: ast.BoolOp) -> ir.Expr:
        return ir.Boolean(OPERATORS[node.op.__class__], [self.expr(value) for value in node.values])

    def _compare(self, node: ast.Compare) -> ir.Expr:
        return ir.Compare(
            self.expr(node.left), [OPERATORS[op.__class__] for op in node.ops],
            [self.expr(comparator) for comparator in node.comparators], node.lineno, node.col_offset,
            node.end_lineno or 0, node.end_col_offset or 0,
        )  # fmt: skip

    def _tuple(self, node: ast.Tuple) -> ir.Expr:
        return ir.Build("tuple", [self.expr(item) for item in node.elts], [])

    def _list(self, node: ast.List) -> ir.Expr:
        return ir.Build("list", [self.expr(item) for item in node.elts], [])

    def _set(self, node: ast.Set) -> ir.Expr:
        return ir.Build("set", [self.expr(item) for item in node.elts], [])

    def _dict(self, node: ast.Dict) -> ir.Expr:
        keys = [self.expr(key) if key else None for key in node.keys]
        return ir.Build("dict", [self.expr(value) for value in node.values], keys)

    def _conditional(self, node: ast.IfExp) -> ir.Expr:
        return ir.Conditional(self.expr(node.test), self.expr(node.body), self.expr(node.orelse))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> ir.Expr:
        generators = []
        for generator in node.generators:
            iterable = self.expr(generator.iter)
            target = self._inner_target(generator.target)
            generators.append(ir.Generator(target, iterable, [self.expr(test) for test in generator.ifs]))
        if isinstance(node, ast.DictComp):
            return ir.Comprehension("dict", self.expr(node.value), self.expr(node.key), generators)
        kind = {ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "generator"}[node.__class__]
        return ir.Comprehension(kind, self.expr(node.elt), None, generators)

    def _inner_target(self, node: ast.expr) -> ir.Expr:
        outer, self.bindings = self.bindings, {}
        target = self.target(node)
        self.inner.update(self.bindings)
        self.bindings = outer
        return target

    def _lambda(self, node: ast.Lambda) -> ir.Expr:
        names = [parameter.name for parameter in self.parameters(node.args)]
        self.inner.update(names)
        return ir.Lambda(names, self.expr(node.body))

    def _starred(self, node: ast.Starred) -> ir.Expr:
        return ir.Starred(self.expr(node.value))

    def _unary(self, node: ast.UnaryOp) -> ir.Expr:
        operand = self.expr(node.operand)
        if isinstance(operand, ir.Const) and node.op.__class__ is ast.USub and type(operand.value) in (int, float):
            return ir.Const(-operand.value)  # type: ignore[operator]
        return ir.Unary(OPERATORS[node.op.__class__], operand)

    def _walrus(self, node: ast.NamedExpr) -> ir.Expr:
        value = self.expr(node.value)
        name = node.target.id
        self.bind(name, ir.ASSIGNED | ir.WALRUS)
        return ir.Bind(name, value)

    def _wait(self, node: ast.Await | ast.Yield | ast.YieldFrom) -> ir.Expr:
        kind = {ast.Await: "await", ast.Yield: "yield", ast.YieldFrom: "yield from"}[node.__class__]
        if kind != "await":
            self.yields[self._scope] = True
        return ir.Wait(kind, self.expr(node.value) if node.value else None)

    def _format(self, node: ast.JoinedStr) -> ir.Expr:
        return ir.Format([self.expr(value) for value in node.values])

    def _hole(self, node: ast.FormattedValue) -> ir.Expr:
        return self.expr(node.value)

    def _slice(self, node: ast.Slice) -> ir.Expr:
        parts = [self.expr(part) if part else None for part in (node.lower, node.upper, node.step)]
        return ir.Slice(*parts)

    def _other(self, node: ast.expr) -> ir.Expr:
        """Expressions newer than this walk (t-strings): their parts are evaluated, the value is unknown."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expr(child)
        return ir.Opaque(node.__class__.__name__)


# As in extract.py: a table of plain functions, so that no cycle keeps a syntax tree alive.
_CONVERTERS: dict[type[ast.AST], Callable[[Expressions, Any], ir.Expr]] = {
    ast.Subscript: Expressions._subscript,
    ast.BinOp: Expressions._binary,
    ast.BoolOp: Expressions._boolean,
    ast.Compare: Expressions._compare,
    ast.Tuple: Expressions._tuple,
    ast.List: Expressions._list,
    ast.Set: Expressions._set,
    ast.Dict: Expressions._dict,
    ast.IfExp: Expressions._conditional,
    ast.ListComp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.DictComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension,
    ast.Lambda: Expressions._lambda,
    ast.Starred: Expressions._starred,
    ast.UnaryOp: Expressions._unary,
    ast.NamedExpr: Expressions._walrus,
    ast.Await: Expressions._wait,
    ast.Yield: Expressions._wait,
    ast.YieldFrom: Expressions._wait,
    ast.JoinedStr: Expressions._format,
    ast.FormattedValue: Expressions._hole,
    ast.Slice: Expressions._slice,
}


def _encodable(text: str) -> bool:
    """False for lone surrogates, which UTF-8 cannot hold."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
