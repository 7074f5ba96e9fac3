"""Options whose converter does not read text: ``type=bool``, ``type=list``; a text "false" that is tested for truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Assign, Attribute, Augment, Call, Const, Expr, Lambda, Ref, Stmt
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .owners import Owners
from .parsers import ARGPARSE, Declared, Parsers
from .uses import tests

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

BOOL, TEXT = "bool", "text"
_CONVERTERS = {f"builtins.{name}": name for name in ("bool", "list", "dict", "eval", "tuple", "set", "frozenset")}
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off"})
# Parsers of their own making, which understand bool.
_OWN_TYPES = ("jsonargparse", "lightning", "pytorch_lightning", "simple_parsing", "tap", "datargs", "typed_argparse")
_PARSER_NAME = re.compile(r"(?:^|[._])(?:\w*pars\w*|\w*group\w*|ap|sub\w*|arg\w*|p|g)$", re.IGNORECASE)


class Trap(Struct, frozen=True, eq=False):
    """One option. ``kind`` is bool, list, dict, eval, tuple, set, frozenset or text; ``tested`` where its truth is."""

    declared: Declared
    kind: str
    tested: tuple[tuple[Module, Expr], ...] = ()


class BooleanTraps(Analysis):
    """Answers which declared options are traps, by file."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._parsers, self._owners = project[Parsers], project[Owners]
        self._known: dict[str, tuple[Trap, ...]] = {}

    def of(self, module: Module) -> tuple[Trap, ...]:
        """The traps of one file in source order, one for a call."""
        known = self._known.get(module.path)
        if known is None:
            found: dict[int, Trap] = {}
            for declared in self._parsers.declared(module):
                trap = self._trap(declared)
                if trap is not None:
                    found.setdefault(id(declared.call), trap)
            known = self._known[module.path] = tuple(found.values())
        return known

    def _trap(self, declared: Declared) -> Trap | None:
        if declared.constant("action") is UNKNOWN:
            return None
        kind = _CONVERTERS.get(next(iter(declared.names("type")), "")) or _lambda_kind(declared)
        if kind:
            registered = kind == BOOL and self._registers_bool
            return Trap(declared, kind) if not registered and self._is_argparse(declared) else None
        if _is_boolean_text(declared) and declared.flags and self._is_argparse(declared):
            tested = tuple(self._tests(declared))
            return Trap(declared, TEXT, tested) if tested else None
        return None

    def _is_argparse(self, declared: Declared) -> bool:
        origins = self._parsers.owners(declared)
        for parser in origins.parsers.values():
            if parser.name.startswith(_OWN_TYPES) or not self._keeps_types(parser.name):
                return False
        if origins.parsers:
            return True
        if origins.classes:
            return all(self._keeps_types(name) for name in origins.classes)
        imported = {one.module.partition(".")[0] for one in declared.module.facts.imports}
        if imported.intersection(_OWN_TYPES) or not self._uses_argparse:
            return False
        receiver = declared.receiver
        return isinstance(receiver, (Ref, Attribute)) and _PARSER_NAME.search(receiver.name) is not None

    def _keeps_types(self, name: str) -> bool:
        """Whether a parser class converts values as argparse does."""
        if ":" not in name:
            return True
        overridden = ("add_argument", "_get_value", "_get_values", "parse_args", "parse_known_args", "register")
        return ARGPARSE in self.project.mro(name) and all(self.project.method(name, one) is None for one in overridden)

    @cached_property
    def _uses_argparse(self) -> bool:
        return any(one.module == "argparse" for module in self.project.modules.values() for one in module.facts.imports)

    @cached_property
    def _registers_bool(self) -> bool:
        """Whether ``parser.register("type", bool, convert)`` gives the name another meaning."""
        for module in self.project.modules.values():
            for index in module.scopes_using(frozenset({"register"})):
                for site in module.call_sites(index):
                    args = site.call.args
                    if (
                        last_segment(site.call.function) != "register"
                        or len(args) != 3
                        or not isinstance(args[0], Const)
                    ):
                        continue
                    if args[0].value == "type" and "builtins.bool" in module.names(index, args[1]):
                        return True
        return False

    # Texts tested for truth.

    def _tests(self, declared: Declared) -> Iterator[tuple[Module, Expr]]:
        dest, parsers = declared.dest, self._parsers.owners(declared).parsers
        wanted = {("parser", ":".join(map(str, key))) for key in parsers}
        found: list[tuple[Module, Expr]] = []
        for module in self.project.modules.values():
            for index in module.scopes_using(frozenset({dest})):
                for stmt in statements(module.body(index)):
                    if _stores(stmt, dest):
                        return
                    found += [(module, node) for node in self._tested(module, index, stmt, dest, wanted)]
        yield from found

    def _tested(
        self, module: Module, scope: int, stmt: Stmt, dest: str, wanted: set[tuple[str, str]]
    ) -> Iterator[Expr]:
        for root in expressions(stmt, module.facts.scopes):
            for node in walk(root):
                if not isinstance(node, Ref) or not node.name.endswith(f".{dest}"):
                    continue
                owner = Ref(node.name.rpartition(".")[0], node.line, node.column)
                if tests(module, scope, node, stmt) and wanted & self._owners.of(module, scope, owner):
                    yield node


def _lambda_kind(declared: Declared) -> str:
    """``type=lambda x: bool(x)`` is no better than ``type=bool``."""
    value = declared.keyword("type")
    if not isinstance(value, Lambda) or not isinstance(value.body, Call) or len(value.body.args) != 1:
        return ""
    arg, function = value.body.args[0], value.body.function
    plain = isinstance(arg, Ref) and [arg.name] == value.parameters
    if plain and isinstance(function, Ref) and "builtins.bool" in declared.module.names(declared.scope, function):
        return BOOL
    return ""


def _is_boolean_text(declared: Declared) -> bool:
    """Whether an option holds "true" or "false" as a text."""
    names = declared.names("type")
    if declared.keyword("type") is not None and names != ("builtins.str",):
        return False
    if declared.constant("action") not in (None, "store") or declared.constant("nargs") not in (None, "?"):
        return False
    default, choices = declared.constant("default"), declared.constant("choices")
    if isinstance(choices, (list, tuple, frozenset)) and choices:
        return all(isinstance(one, str) and one.lower() in _WORDS for one in choices)
    return isinstance(default, str) and default.lower() in _WORDS


def _stores(stmt: Stmt, dest: str) -> bool:
    """Whether a statement assigns to an attribute of this name: the text may be a boolean afterwards."""
    if isinstance(stmt, Assign):
        return any(isinstance(one, Ref) and one.name.endswith(f".{dest}") for one in stmt.targets)
    return isinstance(stmt, Augment) and isinstance(stmt.target, Ref) and stmt.target.name.endswith(f".{dest}")
