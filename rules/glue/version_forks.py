"""Places where the code takes one way with old versions of a library and another with new ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import ClassVar

from msgspec import Struct
from packaging.version import Version

from mldebt.facts.graph import targets
from mldebt.facts.schema import (
    IN_HANDLER,
    IN_TRY,
    Assert,
    Assign,
    Boolean,
    Call,
    Compare,
    Conditional,
    Const,
    Do,
    Expr,
    If,
    Import,
    Imports,
    Raise,
    Ref,
    Return,
    Stmt,
    Try,
    Unary,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.module import Module
from mldebt.rule import Analysis, Row, Table

from .version_ranges import Declared, Range, Requirements
from .version_tests import SPELLINGS, VersionReader, VersionTest

_SURE = SPELLINGS - {"version", "distribution"}
_METADATA = ("importlib.metadata", "importlib_metadata", "pkg_resources")
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})
_SPEAKS = frozenset("warn warning warn_once info debug error print exit critical log fail".split())
# Modules that offer one thing in several builds of the same version: which is there is no question of the version.
_BUILDS = frozenset({"tqdm", "yaml", "lxml", "orjson", "ujson", "simplejson", "IPython"})


class Moved(Row, frozen=True, kw_only=True):
    """See the head of ``moved_names.toml``."""

    library: str


class Fork(Struct, frozen=True):
    """One place that forks on a version.

    Args:
        module: It stands in.
        scope: It stands in.
        statement: The statement that asks, or the ``try``.
        at: The expression that asks, or the import that is tried.
        library: The import name.
        key: What it asks, the same for the same question elsewhere.
        shown: The question, for messages.
        outcome: Whether the first arm is always (True) or never (False) taken; None when that depends.
        whole: The same for the test of the whole statement.
        declared: The requirement ``outcome`` stands on.
    """

    module: Module
    scope: int
    statement: Stmt
    at: Expr | Stmt
    library: str
    key: tuple[str, ...]
    shown: str
    outcome: bool | None
    whole: bool | None
    declared: Declared | None


class VersionForks(Analysis):
    """Finds the version forks of the project, file by file."""

    moved: ClassVar[Table[Moved]] = Table("moved_names.toml", "moved", Moved)

    @cached_property
    def all(self) -> tuple[Fork, ...]:
        """Every fork outside tests, in the order of paths and lines."""
        found = [fork for module in self._modules() for fork in self._in(module)]
        return tuple(sorted(found, key=lambda fork: (fork.module.path, fork.statement.line, fork.key)))

    def _modules(self) -> Iterator[Module]:
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                yield module

    def _in(self, module: Module) -> Iterator[Fork]:
        guards = {fact.guard & (IN_TRY | IN_HANDLER) for fact in module.facts.imports}
        if any(guard & IN_TRY for guard in guards) and any(guard & IN_HANDLER for guard in guards):
            for scope in {fact.scope for fact in module.facts.imports if fact.guard & IN_HANDLER}:
                for stmt in statements(module.body(scope)):
                    if isinstance(stmt, Try):
                        yield from self._imports(module, scope, stmt)
        if _spells(module) or not self._carriers.isdisjoint(module.mentions):
            for scope in self._scopes(module):
                yield from self._tests(module, scope)

    def _scopes(self, module: Module) -> Iterator[int]:
        """The scopes that name a version or what carries one, and those inside functions that do."""
        found: set[int] = set()
        words = ((SPELLINGS | self._carriers) & module.mentions) | _renamed(module)
        for index, scope in enumerate(module.facts.scopes):  # numbered outside in
            if scope.parent in found or not all(words.isdisjoint(chain.split(".")) for chain in scope.uses):
                yield index
                if index:
                    found.add(index)

    # Versions that are compared.

    @cached_property
    def _carriers(self) -> frozenset[str]:
        """Names of module variables that hold a version, and of functions that compare one."""
        found: set[str] = set()
        for module in filter(_spells, self._modules()):
            reader = VersionReader(module, 0)
            for stmt in statements(module.body(0)):
                if isinstance(stmt, Assign) and reader.subject(stmt.value):
                    found.update(name for target in stmt.targets for name, _ in targets(target))
            for index, scope in enumerate(module.facts.scopes):
                if index and 0 < len(scope.parameters) <= 2 and _compares(module.body(index)):
                    found.add(scope.name)
        imports = (fact for module in self._modules() for fact in module.facts.imports)
        return frozenset(found).union(fact.bound for fact in imports if fact.renamed and fact.attribute in found)

    def _tests(self, module: Module, scope: int) -> Iterator[Fork]:
        reader = VersionReader(module, scope)
        helper = 0 < len(module.scope(scope).parameters) <= 2 and _compares(module.body(scope))
        for stmt in () if helper else statements(module.body(scope)):
            if isinstance(stmt, (Assert, Raise)) or (isinstance(stmt, If) and _only_speaks(stmt)):
                continue
            for expr in expressions(stmt, module.facts.scopes):
                for node in walk(expr):
                    test = reader.test(node) if isinstance(node, (Compare, Call)) else None
                    if test is not None and not _is_own(module, test.library):
                        yield self._tested(module, scope, stmt, expr, node, test)

    def _tested(self, module: Module, scope: int, stmt: Stmt, expr: Expr, node: Expr, test: VersionTest) -> Fork:
        declared = self.project[Requirements].declared(module.path, test.library)
        outcome = test.holds(declared.range) if declared is not None and declared.required else None
        if outcome and test.partial:
            outcome = None
        whole = _value(expr, node, outcome) if isinstance(stmt, If) else None
        written = isinstance(node, Compare) or test.op == "startswith"
        bound = f"{test.bound.major}" if test.form == "major" else str(test.bound)
        key = (test.library, bound) if written else (test.library, bound, "asked")
        return Fork(module, scope, stmt, node, test.library, key, test.shown, outcome, whole, declared)

    # Imports that fall back on others.

    def _imports(self, module: Module, scope: int, stmt: Try) -> Iterator[Fork]:
        if len(stmt.handlers) != 1 or not _catches(stmt.handlers[0].kind):
            return
        new, old = _imported(module, stmt.body), _imported(module, stmt.handlers[0].body)
        if not new or new.keys() != old.keys():
            return
        pairs = [(new[name], old[name]) for name in new if new[name] != old[name]]
        if not pairs or not all(self._is_version(*pair) for pair in pairs):
            return
        rows = [self._rows(*pair) for pair in pairs]
        library = next((row.library for pair in rows for row in pair if row), pairs[0][0].partition(".")[0])
        declared = self.project[Requirements].declared(module.path, library)
        usable = declared is not None and declared.required
        outcomes = {_taken(*pair, declared.range) if usable and declared else None for pair in rows}
        outcome = outcomes.pop() if len(outcomes) == 1 else None
        first, second = pairs[0]
        key = tuple(sorted({name for pair in pairs for name in pair}))
        shown = f"{first}, or {second} where that is not there"
        yield Fork(module, scope, stmt, stmt.body[0], library, key, shown, outcome, outcome, declared)

    def _is_version(self, new: str, old: str) -> bool:
        """Whether one of two names is there in some versions of a library and the other in the others."""
        first, second = new.partition(".")[0], old.partition(".")[0]
        for root in (first, second):
            if root in sys.stdlib_module_names or root.startswith("_") or self.project.module_named(root) is not None:
                return False
        if any(self._rows(new, old)):
            return True
        attribute, other = new.rpartition(".")[2], old.rpartition(".")[2]
        return first == second and first not in _BUILDS and attribute != f"C{other}" and other != f"C{attribute}"

    def _rows(self, new: str, old: str) -> tuple[Moved | None, Moved | None]:
        """What is known of the two names; of the second only where both are names of one library."""
        first = self._row(new)
        second = self._row(old)
        if second is not None and second.library != new.partition(".")[0]:
            second = None
        return first, second

    def _row(self, name: str) -> Moved | None:
        rows = self.project.rows(self.moved)
        parts = name.split(".")
        names = (".".join(parts[:count]) for count in range(len(parts), 1, -1))
        return next((rows[one] for one in names if one in rows), None)


def dead_arm(fork: Fork) -> Stmt | None:
    """The first statement of the arm that is never taken, where there is one."""
    stmt = fork.statement
    if fork.whole is None or not isinstance(stmt, (If, Try)):
        return None
    other = stmt.orelse if isinstance(stmt, If) else stmt.handlers[0].body
    arm = other if fork.whole else stmt.body
    return arm[0] if arm else None


def _spells(module: Module) -> bool:
    if not _SURE.isdisjoint(module.mentions):
        return True
    return "version" in module.mentions and any(
        fact.module in _METADATA or _target(fact) in _METADATA for fact in module.facts.imports
    )


def _renamed(module: Module) -> set[str]:
    """What a file calls the version functions and texts it imports by other names."""
    return {fact.bound for fact in module.facts.imports if fact.renamed and fact.attribute in SPELLINGS}


def _is_own(module: Module, library: str) -> bool:
    return library in sys.stdlib_module_names or module.project.module_named(library) is not None


def _compares(body: Sequence[Stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], Return) and isinstance(body[0].value, Compare)


def _only_speaks(stmt: If) -> bool:
    """Whether all a test decides is whether something is said or raised, and given up: a check, not a fork."""
    arms = (*stmt.body, *stmt.orelse)
    return any(map(_speaks, arms)) and all(_speaks(inner) or _gives_up(inner) for inner in arms)


def _gives_up(stmt: Stmt) -> bool:
    value = stmt.value if isinstance(stmt, (Return, Assign)) else stmt
    return value is None or isinstance(value, Const)


def _speaks(stmt: Stmt) -> bool:
    if isinstance(stmt, If):
        return _only_speaks(stmt)
    if isinstance(stmt, Do) and isinstance(stmt.value, Call):
        function = stmt.value.function
        return getattr(function, "name", "").rpartition(".")[2] in _SPEAKS
    return isinstance(stmt, (Raise, Assert))


def _value(expr: Expr, node: Expr, outcome: bool | None) -> bool | None:
    """What an expression is worth when one part of it is known."""
    if expr is node or outcome is None:
        return outcome
    if isinstance(expr, Unary) and expr.op == "not":
        inner = _value(expr.operand, node, outcome) if _holds(expr.operand, node) else None
        return None if inner is None else not inner
    if isinstance(expr, Boolean):
        part = next((one for one in expr.values if _holds(one, node)), None)
        inner = None if part is None else _value(part, node, outcome)
        return inner if inner is (expr.op == "or") else None
    return None


def _holds(expr: Expr, node: Expr) -> bool:
    return not isinstance(expr, Conditional) and any(one is node for one in walk(expr))


def _catches(kind: Expr | None) -> bool:
    if kind is None:
        return True
    names = {node.name.rpartition(".")[2] for node in walk(kind) if isinstance(node, Ref)}
    return bool(names) and names <= _IMPORT_ERRORS | {"AttributeError"} and not names.isdisjoint(_IMPORT_ERRORS)


def _imported(module: Module, body: Sequence[Stmt]) -> dict[str, str]:
    """Names an arm of nothing but imports binds, with what they stand for; {} for any other arm."""
    found: dict[str, str] = {}
    for stmt in body:
        if not isinstance(stmt, Imports):
            return {}
        for fact in module.facts.imports[stmt.first : stmt.first + stmt.count]:
            if fact.level or fact.bound == "*":
                return {}
            found[fact.bound] = _target(fact)
    return found


def _target(fact: Import) -> str:
    return fact.module if fact.attribute is None else f"{fact.module}.{fact.attribute}"


def _taken(new: Moved | None, old: Moved | None, there: Range) -> bool | None:
    """Whether the first import always works (True), never does (False), or that depends."""
    if new is not None and there.low is not None:
        if new.until and there.low >= Version(new.until):
            return False
        if new.since and there.low >= Version(new.since) and not new.until:
            return True
    return None


def home(module: Module) -> str:
    """The nearest folder above a file that declares requirements: files of several such do not share code."""
    folders = {str(PurePosixPath(one.path).parent) for one in module.project.repository.dependencies}
    return next((str(folder) for folder in PurePosixPath(module.path).parents if str(folder) in folders), ".")
