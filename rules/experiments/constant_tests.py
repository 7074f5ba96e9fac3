"""Tests whose outcome never changes: literals, and names that are assigned one constant and nothing else (F7)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import (
    ASSIGNED,
    CLASS,
    FUNCTION,
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
from mldebt.module import Module
from mldebt.rule import Analysis, FileParts

_LITERAL = re.compile(
    r"""(?:^[ \t]*(?:if|elif|while)|\bif)[ \t(]+(?:not[ \t]+)?(?:True|False|None|\d+|""|'')"""
    r"""[ \t)]*(?::|and\b|or\b|else\b)""",
    re.MULTILINE,
)
_BOUND = re.compile(
    r"^[ \t]*([A-Za-z_]\w*)[ \t]*(?:[-+*/%&|^@]|//|\*\*|<<|>>)?(?::[^=\n]+)?=(?!=)[ \t]*([^\n#]*)", re.MULTILINE
)
_SIMPLE = re.compile(r"""(?:True|False|None|-?\d+|"[^"\n]*"|'[^'\n]*')[ \t]*""")
_TESTED = re.compile(r"\b(?:if|elif|while|not|and|or)\b[ \t(]*(?:not\b[ \t(]*)*((?:[A-Za-z_]\w*\.)*)([A-Za-z_]\w*)")
_CHECKED = frozenset({"TYPE_CHECKING", "MYPY", "MYPY_CHECK_RUNNING"})
_PATCHES = frozenset({"setattr", "patch", "object"})


class Tests(msgspec.Struct, frozen=True):
    """What one file offers: lines of literal tests, names assigned one simple constant, and names tested."""

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

    collected = Tests

    @classmethod
    def collect(cls, file: FileParts) -> Tests | None:
        text = file.source.text
        counts = Counter[str]()
        simple = set[str]()
        tested = {match[2] for match in _TESTED.finditer(text)}
        for match in _BOUND.finditer(text):
            counts[match[1]] += 1
            at_top = match[0][0] not in " \t"
            if (at_top or match[1] in tested) and _SIMPLE.fullmatch(match[2]):
                simple.add(match[1])
        literals = [text.count("\n", 0, match.start()) + 1 for match in _LITERAL.finditer(text)]
        constants = sorted(name for name in simple if counts[name] == 1)
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
        return tuple(sorted(found, key=lambda one: (one.module.path, one.stmt.line, one.stmt.column)))

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
            if at > 0 and facts.scopes[at].kind == FUNCTION and facts.scopes[at].bindings[last] & ASSIGNED:
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
