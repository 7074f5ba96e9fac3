"""Tests whose outcome never changes: literals, and names that are assigned one constant and nothing else (F7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import (
    ASSIGNED,
    CLASS,
    FUNCTION,
    GLOBAL,
    NONLOCAL,
    Boolean,
    Call,
    Compare,
    Conditional,
    Const,
    Expr,
    If,
    Ref,
    Stmt,
    Unary,
    Wait,
    While,
)
from mldebt.facts.walk import calls, expressions, statements, walk
from mldebt.finding import Place
from mldebt.module import Module
from mldebt.rule import Analysis, FileParts

# Each begins with a word, or with ``=``: ``re`` then leaps from one to the next, ten times as fast as line by line.
_CONSTANT = r"""(?:True|False|None|-?\d+|"[^"\n]*"|'[^'\n]*')"""
_LITERALS = tuple(
    re.compile(rf"""{word}[ \t(]+(?:not[ \t]+)?(?:True|False|None|\d+|""|'')[ \t)]*(?::|and\b|or\b|else\b)""")
    for word in ("if", "while")
)
_TESTED = tuple(
    re.compile(rf"{word}{lone}[ \t(]+(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)")
    for word, lone in (("if", ""), *((word, rf"(?<!\w{word})") for word in ("while", "not", "and", "or")))
)
_ASSIGNED = re.compile(rf"=[ \t]*{_CONSTANT}[ \t]*(?:#|$)", re.MULTILINE)
_BOUND = re.compile(r"[ \t]*([A-Za-z_]\w*)[ \t]*(?::[^=\n]+)?")
_CHECKED = frozenset({"TYPE_CHECKING", "MYPY", "MYPY_CHECK_RUNNING"})
_PATCHES = frozenset({"setattr", "patch", "object"})


class Tests(msgspec.Struct, frozen=True):
    """What one file offers: lines of literal tests, names given a simple constant, and names tested."""

    literals: list[int]
    constants: list[str]
    tested: list[str]


class Branch(NamedTuple):
    """A test with one outcome. ``name`` is the constant it stands on, ``path:NAME``; "" when it is a literal."""

    module: Module
    scope: int
    stmt: Stmt
    test: Expr
    outcome: bool
    name: str
    conditional: Conditional | None


class ConstantTests(Analysis):
    """Answers which branches can never, or only ever, be taken."""

    version = 2
    collected = Tests

    @classmethod
    def collect(cls, file: FileParts) -> Tests | None:
        text = file.source.text
        tested = {name for pattern in _TESTED for name in pattern.findall(text)}
        simple = set[str]()
        for match in _ASSIGNED.finditer(text):
            start = match.start()
            bound = _BOUND.fullmatch(text, text.rfind("\n", 0, start) + 1, start)
            if bound and (bound[1] in tested or not bound.start(1) - bound.start()):
                simple.add(bound[1])
        starts = sorted(match.start() for pattern in _LITERALS for match in pattern.finditer(text))
        literals = [text.count("\n", 0, start) + 1 for start in starts]
        constants = sorted(simple)
        outside = {fact.bound for fact in file.facts.imports} | {name for name in tested if name.isupper()}
        names = sorted(tested & (outside | simple))
        return Tests(literals, constants, names) if literals or constants or names else None

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """Every branch, in the order of files and lines; tests of types and of tests are left out."""
        collected = self.project.collected(ConstantTests)
        constants = frozenset(name for tests in collected.values() for name in tests.constants) - _CHECKED
        found: list[Branch] = []
        for path, tests in collected.items():
            module = self.project.modules[path]
            if module.role != "project" or module.is_test:
                continue
            bound = {fact.bound for fact in module.facts.imports if fact.attribute in constants}
            names = constants.union(bound).intersection(tests.tested)
            scopes = set(module.scopes_using(names)) | {module.scope_at(line) for line in tests.literals}
            for index in sorted(scopes):
                found += self._in(module, index, frozenset(names))
        found.sort(key=lambda one: (one.module.path, one.stmt.line, one.stmt.column))
        return tuple(_reached(found))

    @cached_property
    def at(self) -> Mapping[Place, Sequence[Branch]]:
        """The branches by the place of their statements."""
        found: dict[Place, list[Branch]] = {}
        for branch in self.branches:
            found.setdefault(branch.module.place(branch.stmt), []).append(branch)
        return found

    def _in(self, module: Module, index: int, names: frozenset[str]) -> Iterator[Branch]:
        for stmt in statements(module.body(index)):
            if isinstance(stmt, (If, While)):
                yield from self._branch(module, index, stmt, stmt.test, None, names)
            for expr in expressions(stmt, module.facts.scopes):
                for node in walk(expr):
                    if type(node) is Conditional:
                        yield from self._branch(module, index, stmt, node.test, node, names)

    def _branch(
        self, module: Module, scope: int, stmt: Stmt, test: Expr, conditional: Conditional | None, names: frozenset[str]
    ) -> Iterator[Branch]:
        if not _may_be(test, names):
            return
        outcome = self._outcome(module, scope, test)
        if outcome is None or (isinstance(stmt, While) and conditional is None and outcome):
            return
        refs = [node for node in walk(test) if isinstance(node, Ref)]
        name = ""
        for ref in refs:
            if module.constant(scope, ref) is not UNKNOWN:
                name = self._constant_name(module, scope, ref)
                if not name:
                    return
                break
        literal = not refs
        if module.path.endswith(".ipynb") and not literal:
            return  # constants of a notebook are its options
        if conditional is None and _is_idiom(stmt, outcome):
            return
        yield Branch(module, scope, stmt, test, outcome, name, conditional)

    def _outcome(self, module: Module, scope: int, test: Expr) -> bool | None:
        """What a test always gives; None when that is not sure."""
        if isinstance(test, Unary) and test.op == "not":
            inner = self._outcome(module, scope, test.operand)
            return None if inner is None else not inner
        if isinstance(test, Boolean):
            outcomes = [self._outcome(module, scope, part) for part in test.values]
            deciding = test.op == "or"
            if deciding in outcomes:
                return deciding
            return None if None in outcomes else not deciding
        value = module.constant(scope, test)
        if value is UNKNOWN or isinstance(value, (list, dict, tuple, frozenset, float)):
            return None
        return bool(value)

    def _constant_name(self, module: Module, scope: int, ref: Ref) -> str:
        """``path:NAME`` of a constant nobody sets at run time; "" for any other."""
        head, _, last = ref.name.rpartition(".")
        if last in _CHECKED or (last.startswith("__") and last.endswith("__")):
            return ""
        facts = module.facts
        if not head:
            at = scope
            while at >= 0 and (facts.scopes[at].kind == CLASS or last not in facts.scopes[at].bindings):
                at = facts.scopes[at].parent
            if any(scope.bindings.get(last, 0) & (GLOBAL | NONLOCAL) for scope in facts.scopes):
                return ""
            if at > 0 and facts.scopes[at].kind == FUNCTION and facts.scopes[at].bindings[last] == ASSIGNED:
                return f"{module.path}:{facts.scopes[at].qualname}.{last}"
            if at == 0 and facts.scopes[0].bindings[last] == ASSIGNED:
                return "" if self._is_patched(last) else f"{module.path}:{last}"
        names = self.project.resolve(module, scope, ref.name)
        return names[0] if len(names) == 1 and not self._is_patched(names[0].rpartition(":")[2]) else ""

    def _is_patched(self, name: str) -> bool:
        """Whether somewhere a string of this name is given to ``setattr`` or a patch."""
        for module in self.project.modules.values():
            if name not in module.mentions and not module.is_test:
                continue
            for index in module.scopes_using(_PATCHES):
                for stmt in statements(module.body(index)):
                    for call in calls(stmt):
                        if _gives(call, name):
                            return True
        return False


def _reached(branches: Iterable[Branch]) -> Iterator[Branch]:
    """Branches in order, without those in an arm that is known to be dead: it goes with them inside."""
    path, dead = "", list[range]()
    for branch in branches:
        stmt = branch.stmt
        if branch.module.path != path:
            path, dead = branch.module.path, []
        if any(stmt.line in arm for arm in dead):
            continue
        yield branch
        if (
            branch.conditional is None
            and isinstance(stmt, (If, While))
            and (arm := stmt.orelse if branch.outcome else stmt.body)
        ):
            dead.append(range(arm[0].line, arm[-1].end_line + 1))


def _gives(call: Call, name: str) -> bool:
    return any(isinstance(arg, Const) and isinstance(arg.value, str) and arg.value.endswith(name) for arg in call.args)


def _may_be(test: Expr, names: frozenset[str]) -> bool:
    """Whether a test has a shape we judge: a literal, a name, its comparison with a literal, and joins of these."""
    if isinstance(test, Const):
        return True
    if isinstance(test, Ref):
        return test.name.rpartition(".")[2] in names
    if isinstance(test, Unary) and test.op == "not":
        return _may_be(test.operand, names)
    if isinstance(test, Boolean):
        return any(_may_be(part, names) for part in test.values)
    if isinstance(test, Compare) and len(test.ops) == 1 and test.ops[0] in ("==", "!=", "is", "is not", "in"):
        literal = isinstance(test.comparators[0], Const)
        return literal and isinstance(test.left, Ref) and _may_be(test.left, names)
    return False


def _is_idiom(stmt: Stmt, outcome: bool) -> bool:
    """``if False: yield`` makes a generator; imports nobody runs are for type checkers and packagers."""
    body = getattr(stmt, "body", ())
    if outcome or not body:
        return False
    return all(type(one).__name__ == "Imports" or isinstance(getattr(one, "value", None), Wait) for one in body)
