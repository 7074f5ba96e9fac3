"""Configuration that is executed: text of files and options given to ``exec`` and ``eval``, names put into scopes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Call,
    Const,
    Do,
    Expr,
    For,
    Import,
    Imports,
    Ref,
    Stmt,
    Subscript,
    With,
)
from mldebt.facts.walk import statements, walk
from mldebt.rule import Analysis

from .option_values import OptionValues

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

FILE, OPTION, NAMES, STAR = "file", "option", "names", "star"

_RUNNERS = frozenset({"exec", "eval", "builtins.exec", "builtins.eval", "execfile"})
_SCOPES = frozenset({"globals", "locals", "vars"})
_READS = frozenset({"read", "read_text", "readlines", "get_data", "getsource"})
_CONFIG_FILE = re.compile(r"conf|cfg|settings|params|options|experiment|hparams|preset|override", re.IGNORECASE)
_VERSION_FILE = re.compile(r"version|about|__init__|metadata|release", re.IGNORECASE)
_INSTALLERS = re.compile(r"(?:^|/)(?:setup|conf|noxfile|versioneer|_version|conftest)\.py$")
_LEAST_CONSTANTS = 2


class Executed(Struct, frozen=True, eq=False):
    """One place that executes configuration. ``what`` is the file, option or module it comes from."""

    kind: str
    module: Module
    where: Call | Stmt | Import
    how: str
    what: str


class ExecutedText(Analysis):
    """Answers where a file configures itself by executing text."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._values = project[OptionValues]

    def of(self, module: Module) -> tuple[Executed, ...]:
        """In source order of each scope; star imports last."""
        return (*self._run(module), *self._star(module))

    def _run(self, module: Module) -> Iterator[Executed]:
        if _INSTALLERS.search(module.path):
            return
        mentions = module.mentions
        if mentions.isdisjoint(_RUNNERS) and mentions.isdisjoint(_SCOPES):
            return
        for index, scope in enumerate(module.facts.scopes):
            if not _RUNNERS.isdisjoint(scope.uses):
                for site in module.call_sites(index):
                    yield from self._executed(module, site)
            if not _SCOPES.isdisjoint(scope.uses):
                for stmt in statements(module.body(index)):
                    yield from self._put(module, index, stmt)

    def _executed(self, module: Module, site: CallSite) -> Iterator[Executed]:
        call = site.call
        if not isinstance(call.function, Ref) or call.function.name not in _RUNNERS or not call.args:
            return
        how = call.function.name.rpartition(".")[2]
        names = module.project.resolve(module, site.scope, call.function.name)
        if names and not all(name.startswith("builtins.") for name in names):
            return
        own = self._own_namespace(call)
        text = call.args[0]
        option = self._values.source(module, site.scope, text)
        if how == "eval":
            if option and not own:
                yield Executed(OPTION, module, call, how, option)
            return
        path = self._file(module, site.scope, text)
        if path is not None:
            name = module.constant(site.scope, path)
            shown = name if isinstance(name, str) else self._values.source(module, site.scope, path)
            if shown and _VERSION_FILE.search(shown):
                return
            configures = isinstance(name, str) and _CONFIG_FILE.search(name)
            if not own or configures or (shown and not isinstance(name, str)):
                what = shown if isinstance(name, str) else f"the file that {shown or 'a variable'} names"
                yield Executed(FILE, module, call, how, what)
        elif option and not own:
            yield Executed(OPTION, module, call, how, option)

    @staticmethod
    def _own_namespace(call: Call) -> bool:
        """Whether the text runs in a dictionary of its own, not among the caller's names."""
        given = argument(call, "globals", 1)
        if given is None or given is UNKNOWN or (isinstance(given, Const) and given.value is None):
            return False
        return not (isinstance(given, Call) and isinstance(given.function, Ref) and given.function.name in _SCOPES)

    def _file(self, module: Module, scope: int, text: Expr, depth: int = 3) -> Expr | None:
        """The path of the file whose text an expression is; None when it is not a file's."""
        for node in walk(text):
            if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
                head, _, last = node.function.name.rpartition(".")
                if last not in _READS:
                    continue
                function = node.function
                owner = function.value if isinstance(function, Attribute) else Ref(head, function.line, function.column)
                return self._opened(module, scope, owner)
        if isinstance(text, Ref) and depth:
            for origin in module.project.flow(module.definition(scope)).origins(text):
                if origin.kind == "assign" and origin.value is not None:
                    found = self._file(module, scope, origin.value, depth - 1)
                    if found is not None:
                        return found
        return None

    def _opened(self, module: Module, scope: int, owner: Expr) -> Expr | None:
        if isinstance(owner, Call):
            return owner.args[0] if owner.args else None
        if isinstance(owner, Ref):
            for origin in module.project.flow(module.definition(scope)).origins(owner):
                if origin.kind in ("assign", "context") and isinstance(origin.value, Call) and origin.value.args:
                    return origin.value.args[0]
            return owner
        return None

    def _put(self, module: Module, scope: int, stmt: Stmt) -> Iterator[Executed]:
        """``globals().update(config)``, ``globals()[key] = value``."""
        if isinstance(stmt, Do) and isinstance(stmt.value, Call):
            call = stmt.value
            function = call.function
            if isinstance(function, Attribute) and function.name == "update" and (how := _scope_call(function.value)):
                given = [*call.args, *(one.value for one in call.keywords if one.name is None)]
                if given and (what := self._values.source(module, scope, given[0]) or self._named(given[0])):
                    yield Executed(NAMES, module, call, f"{how}().update", what)
        elif isinstance(stmt, Assign):
            for target in stmt.targets:
                if isinstance(target, Subscript) and (how := _scope_call(target.value)):
                    if isinstance(target.index, Const):
                        continue
                    what = self._values.source(module, scope, stmt.value) or self._values.source(
                        module, scope, target.index
                    )
                    if what:
                        yield Executed(NAMES, module, stmt, f"{how}()[...] =", what)

    @staticmethod
    def _named(expr: Expr) -> str:
        """A whole configuration object by its name."""
        if isinstance(expr, Ref) and expr.name.rpartition(".")[2] in ("config", "cfg", "conf", "settings", "hparams"):
            return expr.name
        return ""

    def _star(self, module: Module) -> Iterator[Executed]:
        """``from config import *`` of a module of constants, where its names are used as if they were local."""
        stars = [fact for fact in module.facts.imports if fact.bound == "*"]
        if not stars or module.path.endswith("__init__.py") or _constants(module) is not None:
            return
        for fact in stars:
            target = module.project.resolver.target(module.path, fact)
            other = module.project.modules.get(target or "")
            constants = _constants(other) if other is not None and other.role == "project" else None
            if other is None or constants is None or len(constants) < _LEAST_CONSTANTS:
                continue
            if not constants.isdisjoint(module.mentions):
                yield Executed(STAR, module, fact, "import *", other.path)


def _scope_call(expr: Expr) -> str:
    """``globals`` of ``globals()``, without arguments."""
    if isinstance(expr, Call) and isinstance(expr.function, Ref) and not expr.args and expr.function.name in _SCOPES:
        return expr.function.name
    return ""


def _constants(module: Module) -> frozenset[str] | None:
    """The names of a module that is nothing but assignments of values; None for any other."""
    if len(module.facts.scopes) > 1 or module.path.endswith("__init__.py"):
        return None
    found: set[str] = set()
    plain = 0
    for stmt in module.body(0):
        if isinstance(stmt, Imports):
            continue
        if isinstance(stmt, (Assign, Annotate)) and stmt.value is not None:
            targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target]
            found.update(one.name for one in targets if isinstance(one, Ref) and "." not in one.name)
            plain += isinstance(stmt.value, Const) or not any(isinstance(one, Call) for one in walk(stmt.value))
        elif isinstance(stmt, (For, With, Do)):
            return None
    found = {name for name in found if not name.startswith("_")}
    return frozenset(found) if found and 2 * plain >= len(found) else None
