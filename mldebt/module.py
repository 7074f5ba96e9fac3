"""One Python file as rules and analyses see it: facts first, concrete syntax where a rule asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mldebt import cst
from mldebt.facts import schema as ir
from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.extract import decode_body
from mldebt.facts.uses import Uses
from mldebt.facts.walk import calls_in, expressions, position, statements
from mldebt.finding import Edit, Place, Span
from mldebt.sources.roles import EXAMPLES, TESTS
from mldebt.sources.text import Source, codepoint_column, lines
from mldebt.tree import Fragment, dotted, open_file, open_statement

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_LEAVES = frozenset({ir.Ref, ir.Const})


class CallSite(NamedTuple):
    """A call, the statement that makes it and the scope it is evaluated in."""

    call: ir.Call
    statement: ir.Stmt
    scope: int


class Module:
    """A file of the project. Positions in facts are byte columns; everything handed out as ``Span`` is code points."""

    def __init__(self, path: str, facts: ir.ModuleFacts, project: Project, load: Callable[[str], Source]) -> None:
        self.path, self.facts, self.project, self.role = path, facts, project, facts.role
        self.is_test, self.is_example = TESTS.search(path) is not None, EXAMPLES.search(path) is not None
        self._load = load
        self._bodies: dict[int, ir.Body] = {}
        self._definitions: dict[int, Definition] = {}
        self._segments: dict[int, frozenset[str]] = {}
        self._sites: dict[int, tuple[CallSite, ...]] = {}
        self._fragments: dict[tuple[int, int], Fragment | None] = {}
        self._fragment_of: dict[cst.CSTNode, Fragment] = {}

    def __repr__(self) -> str:
        return f"Module({self.path!r})"

    @cached_property
    def name(self) -> str:
        """The import name: ``pkg.mod`` for ``src/pkg/mod.py``."""
        return self.project.import_name(self.path)

    @cached_property
    def source(self) -> Source:
        """The source, read again from disk: a scan from cached facts reads only files with findings."""
        return self._load(self.path)

    @cached_property
    def text_lines(self) -> list[str]:
        """The lines of the source's text, without line ends."""
        return lines(self.source.text)

    def scope(self, index: int) -> ir.Scope:
        return self.facts.scopes[index]

    def definition(self, index: int) -> Definition:
        definition = self._definitions.get(index)
        if definition is None:
            definition = self._definitions[index] = self.project.definition_at(self, index)
        return definition

    def body(self, index: int) -> ir.Body:
        """The flow of one function, class or (0) the module."""
        body = self._bodies.get(index)
        if body is None:
            body = self._bodies[index] = decode_body(self.facts.bodies[index])
        return body

    def call_sites(self, index: int) -> tuple[CallSite, ...]:
        """The calls evaluated in a scope, in evaluation order; bodies of nested functions are not among them."""
        sites = self._sites.get(index)
        if sites is None:
            scopes = self.facts.scopes
            found: list[CallSite] = []
            for stmt in statements(self.body(index)):
                for expr in expressions(stmt, scopes):
                    if type(expr) not in _LEAVES:
                        found += [CallSite(call, stmt, index) for call in calls_in(expr)]
            sites = self._sites[index] = tuple(found)
        return sites

    def segments(self, index: int) -> frozenset[str]:
        """The last segments of the chains a scope reads: a cheap test before its body is looked at."""
        found = self._segments.get(index)
        if found is None:
            uses = self.facts.scopes[index].uses
            found = self._segments[index] = frozenset([chain[chain.rfind(".") + 1 :] for chain in uses])
        return found

    @cached_property
    def _uses(self) -> Uses:
        return Uses(self.facts.scopes)

    @cached_property
    def mentions(self) -> frozenset[str]:
        """Every identifier in the file."""
        return frozenset(self.facts.mentions)

    def scopes_using(self, segments: Collection[str]) -> list[int]:
        """The scopes that read a chain ending in one of these identifiers, in order."""
        here = self.mentions.intersection(segments)
        # Decorators, defaults and bases are read in the enclosing scope, whose uses hold them.
        return self._uses.of(here) if here else []

    def calls_of(self, names: Collection[str]) -> Iterator[tuple[str, CallSite]]:
        """Every call in the file whose linked name is one of ``names``, with that name."""
        spellings = self.project.spellings(names)
        for index in self.scopes_using(spellings):
            for site in self.call_sites(index):
                function = site.call.function
                if isinstance(function, (ir.Ref, ir.Attribute)) and function.name.rpartition(".")[2] in spellings:
                    name = next((name for name in self.names(index, function) if name in names), None)
                    if name is not None:
                        yield name, site

    def names(self, scope: int, what: ir.Expr | str) -> tuple[str, ...]:
        """The linked names an expression may stand for; () when unknown."""
        if isinstance(what, str):
            return self.project.resolve(self, scope, what)
        if isinstance(what, ir.Ref):
            found = self.project.resolve(self, scope, what.name)
            if found:
                return found
            head, _, attribute = what.name.rpartition(".")
            if head:
                return self.project.types.members(self, scope, ir.Ref(head, what.line, what.column), attribute)
            return self.project.types.assigned_names(self, scope, what)
        if isinstance(what, ir.Attribute):
            return self.project.types.members(self, scope, what.value, what.name)
        return ()

    def constant(self, scope: int, expr: ir.Expr) -> Any | Unknown:
        """The expression's constant value (F7), or ``UNKNOWN``."""
        return self.project.constants.value(self, scope, expr)

    def span(self, fact: Any) -> Span:
        """The code-point span of anything with a position: calls, attributes, references, statements, comments."""
        line, column = fact.line, fact.column
        if isinstance(fact, ir.Ref):
            end_line, end_column = line, column + len(fact.name.encode())
        elif isinstance(fact, ir.Comment):
            end_line, end_column = line, column + len(fact.text.encode())
        else:
            end_line, end_column = fact.end_line, getattr(fact, "end_column", None)
            if end_column is None:
                end_column = len(self._line(end_line).rstrip().encode())
        return Span(line, self._column(line, column), end_line, self._column(end_line, end_column))

    def _line(self, line: int) -> str:
        return self.text_lines[line - 1] if 0 < line <= len(self.text_lines) else ""

    def _column(self, line: int, byte_column: int) -> int:
        return codepoint_column(self._line(line), byte_column) + 1

    def place(self, what: Any) -> Place:
        """The place of a fact, a span, a call site, an expression or a libcst node handed to a rule."""
        if isinstance(what, Span):
            return Place(self.path, what)
        if self._fragment_of and isinstance(what, cst.CSTNode):  # without a fragment there are no nodes to ask for
            return Place(self.path, self._fragment_of[what].spans[what])
        if isinstance(what, CallSite):
            what = what.call
        if not hasattr(what, "line"):
            at = position(what)
            line, column = at if at else (1, 0)
            return Place(self.path, Span(line, self._column(line, column)))
        return Place(self.path, self.span(what))

    @cached_property
    def _statement_index(self) -> dict[int, tuple[ir.Stmt, int]]:
        """Line to the innermost statement covering it and its scope. Later, inner statements overwrite outer ones."""
        index: dict[int, tuple[ir.Stmt, int]] = {}
        for scope in range(len(self.facts.scopes)):
            for stmt in statements(self.body(scope)):
                first = self.facts.scopes[stmt.scope].first_line if isinstance(stmt, ir.Define) else stmt.line
                for line in range(first, stmt.end_line + 1):
                    held = index.get(line)
                    if held is None or held[0].end_line - held[0].line >= stmt.end_line - stmt.line:
                        index[line] = (stmt, scope)
        return index

    def statement_at(self, line: int) -> tuple[ir.Stmt, int] | None:
        """The innermost statement covering a line and the scope it runs in."""
        return self._statement_index.get(line)

    def scope_at(self, line: int) -> int:
        """The innermost scope whose lines cover this one."""
        covering = [
            (scope.first_line, index)
            for index, scope in enumerate(self.facts.scopes)
            if scope.first_line <= line <= scope.end_line
        ]
        return max(covering, default=(0, 0))[1]

    @cached_property
    def code_line_numbers(self) -> frozenset[int]:
        """The lines that hold code: not blank, not a comment alone, not a docstring."""
        comments = {comment.line for comment in self.facts.comments if comment.alone}
        docs = {
            line for index, scope in enumerate(self.facts.scopes) if scope.documented for line in self._docstring(index)
        }
        rows = enumerate(self.text_lines, start=1)
        return frozenset(n for n, row in rows if row.strip() and n not in comments and n not in docs)

    def _docstring(self, index: int) -> range:
        """The lines from a scope's docstring to its first statement."""
        first = self.facts.scopes[index].body_line
        rows = self.text_lines
        if index == 0:
            first = next((n for n, row in enumerate(rows, 1) if row.strip() and not row.lstrip().startswith("#")), 1)
        text = self._line(first).lstrip().lstrip("rRuUbB")
        quote = next((mark for mark in ('"""', "'''") if text.startswith(mark)), None)
        if quote is None or text.find(quote, 3) >= 0:
            return range(first, first + 1)
        last = next((n for n in range(first + 1, len(rows) + 1) if quote in self._line(n)), first)
        return range(first, last + 1)

    # Concrete syntax.

    @cached_property
    def tree(self) -> Fragment | None:
        """The whole file in libcst: dear; for rules that cannot say what they look for."""
        return self._kept(open_file(self.source.text))

    def open(self, stmt: ir.Stmt, scope: int) -> Fragment | None:
        """The statement in libcst; the whole file where the statement's lines do not stand alone."""
        key = (stmt.line, stmt.column)
        if key not in self._fragments:
            fragment = open_statement(self.text_lines, stmt, self.facts.scopes, scope)
            self._fragments[key] = self._kept(fragment) if fragment else self.tree
        return self._fragments[key]

    def _kept(self, fragment: Fragment | None) -> Fragment | None:
        if fragment is not None:
            self._fragment_of.update(dict.fromkeys(fragment.spans, fragment))
        return fragment

    def scope_of(self, node: cst.CSTNode) -> int:
        """The facts scope a node handed to a rule stands in."""
        fragment = self._fragment_of[node]
        return fragment.scope if fragment is not self.__dict__.get("tree") else self.scope_at(fragment.spans[node].line)

    def name_of(self, node: cst.CSTNode) -> str | None:
        """The one linked name of a libcst expression, from the facts; None when there is none or several."""
        chain = dotted(node)
        if chain is None:
            return None
        span = self._fragment_of[node].spans[node]
        ref = ir.Ref(chain, span.line, len(self._line(span.line)[: span.column - 1].encode()))
        names = self.names(self.scope_of(node), ref)
        return names[0] if len(names) == 1 else None

    @staticmethod
    def argument(call: cst.Call, name: str, position: int | None = None) -> cst.Arg | Unknown | None:
        """The argument of a libcst call that fills a parameter, as ``mldebt.facts.arguments.argument``."""
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value == name:
                return arg
        for index, arg in enumerate(call.args):
            if position is None or index > position or arg.keyword is not None:
                break
            if arg.star:
                return UNKNOWN
            if index == position:
                return arg
        return UNKNOWN if any(arg.star == "**" for arg in call.args) else None

    def replace(self, node: cst.CSTNode, text: str) -> Edit:
        """The edit that puts ``text`` where a node stands."""
        return Edit(self.place(node), text)

    def code(self, node: cst.CSTNode) -> str:
        """A node's source text."""
        return self._fragment_of[node].root.code_for_node(node)
