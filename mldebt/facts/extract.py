"""From one source to its facts: a single walk over ``ast`` that keeps names, bindings and the flow of every body."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from mldebt.errors import UnreadableError
from mldebt.facts import schema as ir
from mldebt.facts.comments import comments
from mldebt.facts.expressions import Expressions
from mldebt.facts.syntax import parse
from mldebt.sources.text import Source

_RECURSION_LIMIT = 6000  # ast accepts about 3,000 levels; each costs the walk one or two frames
if sys.version_info >= (3, 11):
    _TRY = (ast.Try, ast.TryStar)
else:
    _TRY = (ast.Try,)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ir.ModuleFacts)
_body_decoder = msgspec.msgpack.Decoder(ir.Body)


def encode(facts: ir.ModuleFacts) -> bytes:
    return _encoder.encode(facts)


def decode(data: bytes) -> ir.ModuleFacts:
    """The facts ``extract`` encoded. Raises msgspec.DecodeError or ValidationError when the bytes are damaged."""
    return _decoder.decode(data)


def decode_body(raw: msgspec.Raw) -> ir.Body:
    return _body_decoder.decode(raw)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Room for the deepest nesting ``ast`` accepts, in the walk, the encoder and whoever follows a body."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def extract(
    source: Source, role: str = "project", tree: ast.Module | None = None
) -> tuple[ir.ModuleFacts, list[ir.Body]]:
    """The facts of one source and its bodies, decoded. A source that does not parse gives a problem and no code.

    ``tree`` is what ``ast`` made of the same text, where somebody has parsed it already; it is only read.
    """
    text = source.text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in source.text else source.text
    with deep_recursion():
        try:
            parsed = tree or parse(text, source.path, top_level_await=bool(source.cells))
            return _extracted(source, text, role, parsed, ())
        except UnreadableError as error:
            problem = (error.line, error.message)
        except RecursionError:
            problem = (1, "nested too deeply to be analysed")
    return _extracted(source, text, role, ast.Module(body=[], type_ignores=[]), (problem,))


def _extracted(
    source: Source, text: str, role: str, tree: ast.Module, problems: Sequence[tuple[int, str]]
) -> tuple[ir.ModuleFacts, list[ir.Body]]:
    extractor = Extractor(tree)
    lines = text.split("\n")
    found = list(comments(text))
    facts = ir.ModuleFacts(
        imports=extractor.imports,
        scopes=extractor.finished(len(lines)),
        aliases=extractor.aliases,
        exports=extractor.exports,
        comments=found,
        mentions=extractor.mentions(),
        stored=sorted(extractor.stored),
        strings=sorted(extractor.strings),
        magics=[(magic.line, magic.text) for magic in source.magics],
        main=extractor.main,
        lines=len(lines),
        code_lines=_code_lines(lines, found, extractor.docstrings) if tree.body else 0,
        role=role,
        problems=[*source.problems, *problems],
        texts=extractor.texts,
        bodies=[msgspec.Raw(_encoder.encode(body)) for body in extractor.bodies],
    )
    return facts, extractor.bodies


def _code_lines(lines: Sequence[str], found: Sequence[ir.Comment], docstrings: Sequence[tuple[int, int]]) -> int:
    blank = len(lines) - sum(map(bool, map(str.strip, lines)))
    alone = sum(comment.alone for comment in found)
    documented = sum(1 for first, last in docstrings for line in lines[first - 1 : last] if line and not line.isspace())
    return max(0, len(lines) - blank - alone - documented)


class Extractor(Expressions):
    """The statement half of the walk. ``scopes`` and ``bodies`` are parallel lists; index 0 is the module."""

    def __init__(self, tree: ast.Module) -> None:
        super().__init__()
        self.imports: list[ir.Import] = []
        self.scopes: list[ir.Scope | None] = [None]
        self.bodies: list[ir.Body] = [[]]
        self.aliases: list[ir.Alias] = []
        self.exports: list[str] | None = None
        self.docstrings: list[tuple[int, int]] = []
        self.texts: list[tuple[int, int]] = []
        self.main: tuple[int, int] | None = None
        self._scope = 0
        self._kind = ir.MODULE
        self._qualname = ""
        self._guard = 0
        self._generator = False
        self.tree = tree
        self._docstring(tree.body)
        self.bodies[0] = self.block(tree.body)

    def finished(self, lines: int) -> list[ir.Scope]:
        """The scopes, the module's own first."""
        documented = bool(self.docstrings) and self.docstrings[0][0] == getattr(self._first(), "lineno", 0)
        module = ir.Scope(
            ir.MODULE, "", "", -1, 1, 1, 0, lines, 0, 1, [], [], [], [], None, self.bindings, sorted(self.inner),
            sorted(self.uses), False, False, documented,
        )  # fmt: skip
        return [module, *(scope for scope in self.scopes[1:] if scope)]

    def _first(self) -> ast.stmt | None:
        return self.tree.body[0] if self.tree.body else None

    def mentions(self) -> list[str]:
        words = self.words
        words.update(self.bindings)
        words.update(".".join(self.chains | self.uses).split("."))
        words.discard("")
        return sorted(words)

    def block(self, body: Sequence[ast.stmt]) -> ir.Body:
        out: ir.Body = []
        for node in body:
            handler = _HANDLERS.get(node.__class__)
            if handler is not None:
                statement = handler(self, node)
                if statement is not None:
                    out.append(statement)
            elif node.__class__.__name__ == "TypeAlias":  # 3.12: ``type X = ...`` binds a name and evaluates nothing
                self.bind(node.name.id, ir.ASSIGNED)  # type: ignore[attr-defined]
        return out

    def _expr(self, node: ast.Expr) -> ir.Stmt | None:
        if node.value.__class__ is ast.Constant:
            lines = (node.lineno, node.end_lineno or node.lineno)
            # A body's docstring is recorded right before its statements are walked.
            if lines[1] - lines[0] >= 2 and lines not in self.docstrings[-1:]:
                self.texts.append(lines)
            return None
        return ir.Do(node.lineno, node.col_offset, node.end_lineno or 0, self.expr(node.value))

    def _assign(self, node: ast.Assign) -> ir.Stmt:
        value = self.expr(node.value)
        targets = [self.target(target) for target in node.targets]
        if self._kind != ir.FUNCTION and len(targets) == 1 and isinstance(targets[0], ir.Ref):
            self._name_assigned(targets[0].name, value, node.lineno)
        return ir.Assign(node.lineno, node.col_offset, node.end_lineno or 0, targets, value)

    def _name_assigned(self, name: str, value: ir.Expr, line: int) -> None:
        if isinstance(value, ir.Ref) and "." not in name:
            self.aliases.append(ir.Alias(self._scope, name, value.name, line))
        elif name == "__all__" and self._scope == 0:
            self.exports = _strings(value)

    def _augment(self, node: ast.AugAssign) -> ir.Stmt:
        value = self.expr(node.value)
        target = self.target(node.target)
        if self.exports is not None and isinstance(target, ir.Ref) and target.name == "__all__":
            more = _strings(value)
            self.exports = None if more is None else [*self.exports, *more]
        return ir.Augment(node.lineno, node.col_offset, node.end_lineno or 0, self.operator(node.op), target, value)

    def _annotate(self, node: ast.AnnAssign) -> ir.Stmt:
        value = self.expr(node.value) if node.value else None
        annotation = self.expr(node.annotation)
        target = self.target(node.target)
        if value is not None and self._kind != ir.FUNCTION and isinstance(target, ir.Ref):
            self._name_assigned(target.name, value, node.lineno)
        return ir.Annotate(node.lineno, node.col_offset, node.end_lineno or 0, target, annotation, value)

    def _return(self, node: ast.Return) -> ir.Stmt:
        value = self.expr(node.value) if node.value else None
        return ir.Return(node.lineno, node.col_offset, node.end_lineno or 0, value)

    def _raise(self, node: ast.Raise) -> ir.Stmt:
        value = self.expr(node.exc) if node.exc else None
        if node.cause:
            self.expr(node.cause)
        return ir.Raise(node.lineno, node.col_offset, node.end_lineno or 0, value)

    def _if(self, node: ast.If) -> ir.Stmt:
        # An elif chain is as deep as it is long: walk down iteratively, build up from the end.
        chain: list[tuple[ast.If, ir.Expr, ir.Body]] = []
        arm, guard = node, self._guard
        while True:
            test = self.expr(arm.test)
            if self._scope == 0 and _is_main(arm.test):
                self.main = (arm.lineno, arm.end_lineno or arm.lineno)
            if isinstance(test, ir.Ref) and test.name.rpartition(".")[2] == "TYPE_CHECKING":
                self._guard |= ir.TYPE_CHECKING
            chain.append((arm, test, self.block(arm.body)))
            self._guard = guard
            if len(arm.orelse) == 1 and isinstance(arm.orelse[0], ast.If):
                arm = arm.orelse[0]
                continue
            orelse = self.block(arm.orelse)
            break
        for arm, test, body in reversed(chain):
            orelse = [ir.If(arm.lineno, arm.col_offset, arm.end_lineno or 0, test, body, orelse)]
        return orelse[0]

    def _for(self, node: ast.For | ast.AsyncFor) -> ir.Stmt:
        iterable = self.expr(node.iter)
        target = self.target(node.target)
        return ir.For(
            node.lineno, node.col_offset, node.end_lineno or 0, target, iterable, self.block(node.body),
            self.block(node.orelse),
        )  # fmt: skip

    def _while(self, node: ast.While) -> ir.Stmt:
        test = self.expr(node.test)
        return ir.While(
            node.lineno, node.col_offset, node.end_lineno or 0, test, self.block(node.body), self.block(node.orelse)
        )

    def _with(self, node: ast.With | ast.AsyncWith) -> ir.Stmt:
        items = [
            ir.WithItem(self.expr(item.context_expr), self.target(item.optional_vars) if item.optional_vars else None)
            for item in node.items
        ]
        return ir.With(node.lineno, node.col_offset, node.end_lineno or 0, items, self.block(node.body))

    def _try(self, node: ast.Try) -> ir.Stmt:
        guard = self._guard
        self._guard = guard | ir.IN_TRY
        body = self.block(node.body)
        self._guard = guard | ir.IN_HANDLER
        handlers = []
        for handler in node.handlers:
            kind = self.expr(handler.type) if handler.type else None
            if handler.name:
                self.bind(handler.name, ir.ASSIGNED)
            handlers.append(ir.Handler(kind, handler.name, self.block(handler.body)))
        self._guard = guard
        return ir.Try(
            node.lineno, node.col_offset, node.end_lineno or 0, body, handlers, self.block(node.orelse),
            self.block(node.finalbody),
        )  # fmt: skip

    def _import(self, node: ast.Import) -> ir.Stmt:
        first = len(self.imports)
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self.bind(bound, ir.IMPORTED)
            self._imported(ir.Import(
                self._scope, bound, alias.name, None, 0, self._guard, node.lineno, node.col_offset,
                alias.asname is not None,
            ))  # fmt: skip
        return ir.Imports(node.lineno, node.col_offset, node.end_lineno or 0, first, len(node.names))

    def _import_from(self, node: ast.ImportFrom) -> ir.Stmt:
        first = len(self.imports)
        for alias in node.names:
            bound = alias.asname or alias.name
            if bound != "*":
                self.bind(bound, ir.IMPORTED)
            self._imported(ir.Import(
                self._scope, bound, node.module or "", alias.name, node.level, self._guard, node.lineno,
                node.col_offset, alias.asname is not None,
            ))  # fmt: skip
        return ir.Imports(node.lineno, node.col_offset, node.end_lineno or 0, first, len(node.names))

    def _imported(self, fact: ir.Import) -> None:
        self.imports.append(fact)
        self.words.update(fact.module.split("."))
        if fact.attribute:
            self.words.add(fact.attribute)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ir.Stmt:
        decorators = [self.expr(decorator) for decorator in node.decorator_list]
        parameters = self.parameters(node.args)
        returns = self.expr(node.returns) if node.returns else None
        return self._define(node, ir.FUNCTION, decorators, parameters, [], [], returns)

    def _class(self, node: ast.ClassDef) -> ir.Stmt:
        decorators = [self.expr(decorator) for decorator in node.decorator_list]
        bases = [self.expr(base) for base in node.bases]
        keywords = [ir.Keyword(keyword.arg, self.expr(keyword.value)) for keyword in node.keywords]
        return self._define(node, ir.CLASS, decorators, [], bases, keywords, None)

    def _define(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
        kind: int,
        decorators: list[ir.Expr],
        parameters: list[ir.Parameter],
        bases: list[ir.Expr],
        keywords: list[ir.Keyword],
        returns: ir.Expr | None,
    ) -> ir.Stmt:
        self.bind(node.name, ir.DEFINED)
        index, outer_words = len(self.scopes), self.words
        self.scopes.append(None)
        self.bodies.append([])
        outer = (
            self._scope,
            self._kind,
            self._qualname,
            self._guard,
            self._generator,
            self.bindings,
            self.inner,
            self.uses,
        )
        qualname = f"{self._qualname}.{node.name}" if self._qualname else node.name
        self._scope, self._kind, self._qualname, self._guard, self._generator = index, kind, qualname, 0, False
        self.bindings = {parameter.name: ir.PARAMETER for parameter in parameters}
        self.inner, self.uses = set(), set()
        documented = self._docstring(node.body)
        self.bodies[index] = self.block(node.body)
        first_line = min(node.lineno, node.decorator_list[0].lineno) if node.decorator_list else node.lineno
        scope = ir.Scope(
            kind, node.name, qualname, outer[0], first_line, node.lineno, node.col_offset, node.end_lineno or 0,
            node.end_col_offset or 0, node.body[0].lineno, decorators, parameters, bases, keywords, returns,
            self.bindings, sorted(self.inner), sorted(self.uses), node.__class__ is ast.AsyncFunctionDef,
            self.yields.pop(index, False), documented,
        )  # fmt: skip
        self.scopes[index] = scope
        outer_words.update(self.bindings)
        self.chains |= self.uses
        self._scope, self._kind, self._qualname, self._guard, self._generator, self.bindings, self.inner, self.uses = (
            outer
        )
        return ir.Define(node.lineno, node.col_offset, node.end_lineno or 0, index)

    def _docstring(self, body: Sequence[ast.stmt]) -> bool:
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            self.docstrings.append((first.lineno, first.end_lineno or first.lineno))
            return True
        return False

    def _assert(self, node: ast.Assert) -> ir.Stmt:
        test = self.expr(node.test)
        if node.msg:
            self.expr(node.msg)
        return ir.Assert(node.lineno, node.col_offset, node.end_lineno or 0, test)

    def _delete(self, node: ast.Delete) -> ir.Stmt:
        targets = [self.expr(target) for target in node.targets]
        return ir.Delete(node.lineno, node.col_offset, node.end_lineno or 0, targets)

    def _jump(self, node: ast.Break | ast.Continue) -> ir.Stmt:
        kind = "break" if node.__class__ is ast.Break else "continue"
        return ir.Jump(node.lineno, node.col_offset, node.end_lineno or 0, kind)

    def _global(self, node: ast.Global | ast.Nonlocal) -> None:
        bit = ir.GLOBAL if node.__class__ is ast.Global else ir.NONLOCAL
        for name in node.names:
            self.bind(name, bit)

    def _match(self, node: ast.Match) -> ir.Stmt:
        subject = self.expr(node.subject)
        cases = []
        for case in node.cases:
            names, values = [], []
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    names.append(name)
                    self.bind(name, ir.ASSIGNED)
                if isinstance(part, (ast.MatchValue, ast.MatchClass)):
                    values.append(self.expr(part.value if isinstance(part, ast.MatchValue) else part.cls))
            guard = self.expr(case.guard) if case.guard else None
            cases.append(ir.Case(names, values, guard, self.block(case.body)))
        return ir.Match(node.lineno, node.col_offset, node.end_lineno or 0, subject, cases)


# A table of plain functions: bound methods in an attribute would make a cycle that keeps every syntax tree alive.
_HANDLERS: dict[type[ast.AST], Callable[[Extractor, Any], ir.Stmt | None]] = {
    ast.Expr: Extractor._expr,
    ast.Assign: Extractor._assign,
    ast.AugAssign: Extractor._augment,
    ast.AnnAssign: Extractor._annotate,
    ast.Return: Extractor._return,
    ast.If: Extractor._if,
    ast.For: Extractor._for,
    ast.AsyncFor: Extractor._for,
    ast.While: Extractor._while,
    ast.With: Extractor._with,
    ast.AsyncWith: Extractor._with,
    ast.Raise: Extractor._raise,
    ast.Import: Extractor._import,
    ast.ImportFrom: Extractor._import_from,
    ast.FunctionDef: Extractor._function,
    ast.AsyncFunctionDef: Extractor._function,
    ast.ClassDef: Extractor._class,
    ast.Assert: Extractor._assert,
    ast.Delete: Extractor._delete,
    ast.Break: Extractor._jump,
    ast.Continue: Extractor._jump,
    ast.Global: Extractor._global,
    ast.Nonlocal: Extractor._global,
    ast.Match: Extractor._match,
    **dict.fromkeys(_TRY, Extractor._try),
}


def _strings(value: ir.Expr) -> list[str] | None:
    """The strings of a constant list or tuple; None for anything else."""
    if not isinstance(value, ir.Build):
        return None
    items = [item.value for item in value.items if isinstance(item, ir.Const)]
    texts = [item for item in items if isinstance(item, str)]
    return texts if len(texts) == len(value.items) else None


def _is_main(test: ast.expr) -> bool:
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = (test.left, test.comparators[0])
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )
