"""Sets of alternatives a program chooses from by name: tables, registries, ladders of tests, groups of config files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import (
    Assign,
    Attribute,
    Build,
    Call,
    Const,
    Define,
    Expr,
    Ref,
    Scope,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from .flagged_code import DeadArm, FlaggedCode
from .flags import Flags
from .freed import Mentions, freed
from .outcomes import Arm
from .selections import Selections
from .whole_tables import tables_of, takes_all

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.sources.artefacts import ConfigFile

_REGISTERS = re.compile(r"(?:^|[._])(?:register|registry|add_to|plugin)|register", re.IGNORECASE)
_LISTS_FOLDER = re.compile(r"listdir|iterdir|\bglob\b|scandir|\bwalk\b")
_FEWEST = 2
_GROUPS = 2  # files that make a folder beside a primary configuration a group


class Alternative(NamedTuple):
    """One entry of a set: its key, where it stands, and how many lines only it needs."""

    key: str
    place: Place
    lines: int


class Choice(NamedTuple):
    """A set of alternatives: what it is called, how many entries it has, and those nobody chooses."""

    name: str
    size: int
    unselected: tuple[Alternative, ...]


class _Entry(NamedTuple):
    key: str
    place: Place
    arm: DeadArm


class Alternatives(Analysis):
    """Answers which alternatives nobody chooses."""

    @cached_property
    def all(self) -> tuple[Choice, ...]:
        found = [*self._tables(), *self._registries(), *self._ladders(), *self._groups()]
        return tuple(sorted((one for one in found if one.unselected), key=lambda one: one.unselected[0].place))

    def _choice(self, name: str, entries: Sequence[_Entry]) -> Choice:
        own = {(entry.place.path, line) for entry in entries for line in _lines(entry.place)}
        selections = self.project[Selections]
        left = [entry for entry in entries if not selections.is_said(entry.key, own)]
        return Choice(name, len(entries), tuple(self._alternative(entry) for entry in left))

    def _alternative(self, entry: _Entry) -> Alternative:
        gone = freed(self.project, (entry.arm,))
        own = sum(stmt.end_line - stmt.line + 1 for stmt in entry.arm.arm.stmts)
        return Alternative(entry.key, entry.place, gone.lines + own)

    # Tables: MODELS = {"unet": UNet}, read as MODELS[name].

    def _tables(self) -> Iterator[Choice]:
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for index, scope in enumerate(module.facts.scopes):
                if index and scope.kind != 1:
                    continue
                for stmt in statements(module.body(index)):
                    if isinstance(stmt, Assign) and isinstance(stmt.value, Build) and stmt.value.kind == "dict":
                        target = stmt.targets[0]
                        entries = self._entries(module, index, stmt, stmt.value)
                        if (
                            len(entries) >= _FEWEST
                            and isinstance(target, Ref)
                            and self._is_looked_up(target.name)
                            and not takes_all(self.project, target.name)
                        ):
                            yield self._choice(target.name, entries)

    def _entries(self, module: Module, scope: int, stmt: Stmt, table: Build) -> list[_Entry]:
        """The entries of a dict whose values are code of the project."""
        found = []
        for key, value in zip(table.keys, table.items, strict=False):
            if not isinstance(key, Const) or not isinstance(key.value, str) or not self._is_code(module, scope, value):
                return []
            place = module.place(value)
            found.append(_Entry(key.value, place, DeadArm(module, scope, Arm(stmt, (), value))))
        return found

    def _is_code(self, module: Module, scope: int, value: Expr) -> bool:
        return any(
            ":" in name and self.project.definition(name) is not None
            for node in walk(value)
            if isinstance(node, Ref)
            for name in module.names(scope, node)
        )

    def _is_looked_up(self, name: str) -> bool:
        """Whether somebody takes an entry whose name is not written down."""
        last = name.rpartition(".")[2]
        for module in self.project.callers.mentioning({last}):
            for index in module.scopes_using({last, "get"}):
                for stmt in statements(module.body(index)):
                    for expr in expressions(stmt, module.facts.scopes):
                        if any(_looks_up(node, last) for node in walk(expr)):
                            return True
        return False

    # Registries: @register("unet").

    def _registries(self) -> Iterator[Choice]:
        groups: dict[str, list[_Entry]] = {}
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for stmt, scope in _definitions(module):
                for decorator in module.scope(stmt.scope).decorators:
                    key = self._registered(module, scope, decorator)
                    if key is not None:
                        name, text = key
                        entry = _Entry(text, module.place(decorator), DeadArm(module, scope, Arm(stmt, (stmt,), None)))
                        if not self._is_used(module, stmt):
                            groups.setdefault(name, []).append(entry)
                        else:
                            groups.setdefault(name, [])
        for name, entries in groups.items():
            tables = tables_of(self.project, name.rpartition(".")[2])
            if len(entries) >= _FEWEST and not any(takes_all(self.project, table) for table in tables):
                yield self._choice(f"@{name}", entries)

    def _registered(self, module: Module, scope: int, decorator: Expr) -> tuple[str, str] | None:
        """The registry and the key of ``@register("unet")``, if the registry is the project's."""
        if not isinstance(decorator, Call) or not isinstance(decorator.function, Ref):
            return None
        name = decorator.function.name
        values = [*decorator.args[:1], *(one.value for one in decorator.keywords if one.name in ("name", "key"))]
        texts = [one.value for one in values if isinstance(one, Const) and isinstance(one.value, str)]
        if not texts or not _REGISTERS.search(name):
            return None
        head = name.partition(".")[0]
        own = any(":" in one for one in module.names(scope, Ref(head, decorator.line, decorator.column)))
        return (name, texts[0]) if own else None

    def _is_used(self, module: Module, stmt: Define) -> bool:
        """Whether code uses what is registered by its own name."""
        scope = module.scope(stmt.scope)
        return any(
            not one.imported and not (one.path == module.path and scope.first_line <= one.line <= scope.end_line)
            for one in self.project[Mentions].of(scope.name)
        )

    # Ladders: if args.model == "unet": ... elif args.model == "tcn": ...

    def _ladders(self) -> Iterator[Choice]:
        code = self.project[FlaggedCode]
        for flag in self.project[Flags].all:
            unchosen = code.unchosen(flag) if isinstance(flag.default, str) else ()
            if not unchosen:
                continue
            found: list[Alternative] = []
            arms = code.of(flag)
            for value in unchosen:
                own = tuple(arm for arm in arms if _waits_for(arm, value))
                if own:
                    gone = freed(self.project, own).lines
                    gone += sum(stmt.end_line - stmt.line + 1 for arm in own for stmt in arm.arm.stmts)
                    found.append(Alternative(value, own[0].module.place(own[0].arm.guard), gone))
            size = len({*flag.choices, *flag.values, *unchosen})
            yield Choice(flag.spelling, size, tuple(found))

    # Groups of configuration files: conf/model/*.yaml.

    def _groups(self) -> Iterator[Choice]:
        groups: dict[str, list[ConfigFile]] = {}
        primary = {PurePosixPath(one.path).parent for one in self.project.repository.configs if _has_defaults(one)}
        for config in self.project.repository.configs:
            folder = PurePosixPath(config.path).parent
            if config.format == "yaml" and folder not in primary and any(one in primary for one in folder.parents):
                groups.setdefault(str(folder), []).append(config)
        selections = self.project[Selections]
        for group, configs in groups.items():
            if len(configs) < _GROUPS or self._are_all_taken(PurePosixPath(group)):
                continue
            found = []
            for config in configs:
                stem = PurePosixPath(config.path).stem
                own = {(config.path, leaf.line) for leaf in config.leaves}
                if not selections.is_said(stem, own):
                    place = Place(config.path, Span(1))
                    found.append(Alternative(stem, place, len(own) + self._behind(config)))
            yield Choice(f"{group}/", len(configs), tuple(found))

    def _are_all_taken(self, group: PurePosixPath) -> bool:
        """Whether something runs over the folder: ``model=glob(*)``, ``for f in conf/model/*.yaml``, ``listdir``."""
        every = (f"{group.name}=glob(", f"{group.name}/*", f"{group.name}: glob(")
        mentions = self.project[Selections].mentions
        if any(True for _ in mentions(every)):
            return True
        return any(line.is_python and _LISTS_FOLDER.search(line.text) for line in mentions((str(group),)))

    def _behind(self, config: ConfigFile) -> int:
        """The lines of the classes only this file builds."""
        total = 0
        for leaf in config.leaves:
            if leaf.keys[-1:] == ("_target_",) and isinstance(leaf.value, str):
                said = {(config.path, leaf.line)}
                for name in self.project.linked(leaf.value) if not self._is_target(leaf.value, said) else ():
                    definition = self.project.definition(name)
                    if definition is not None and not definition.is_module:
                        total += self._lines_with(definition)
        return total

    def _lines_with(self, definition: Definition) -> int:
        """The lines of a definition and of those in its file that nothing else uses."""
        module = definition.module
        taken = [definition.scope]
        left = [scope for scope in module.facts.scopes[1:] if "." not in scope.qualname and scope is not taken[0]]
        for one in taken:  # grows while it is read
            names = module.facts.scopes
            inner = [scope for scope in names if one.first_line <= scope.first_line <= one.end_line]
            heads = {use.partition(".")[0] for scope in inner for use in scope.uses}
            for other in [scope for scope in left if scope.name in heads or scope.name in _bases(one)]:
                if self._is_only_for(module, other, taken):
                    taken.append(other)
                    left.remove(other)
        return sum(scope.end_line - scope.first_line + 1 for scope in taken)

    def _is_only_for(self, module: Module, scope: Scope, users: Sequence[Scope]) -> bool:
        places = [(module.path, range(one.first_line, one.end_line + 1)) for one in (*users, scope)]
        return all(
            one.imported or any(one.path == path and one.line in lines for path, lines in places)
            for one in self.project[Mentions].of(scope.name)
        )

    def _is_target(self, target: str, but: set[tuple[str, int]]) -> bool:
        """Whether another file builds it, or code uses it."""
        name = target.rpartition(".")[2]
        lines = self.project[Selections].mentions((target,))
        if any((line.path, line.number) not in but and not line.is_document for line in lines):
            return True
        return any(
            not one.imported and not _is_definition(self.project.modules[one.path], one.line, name)
            for one in self.project[Mentions].of(name)
        )


def _bases(scope: Scope) -> set[str]:
    return {base.name for base in scope.bases if isinstance(base, Ref)}


def _is_definition(module: Module, line: int, name: str) -> bool:
    return any(scope.name == name and scope.first_line <= line <= scope.end_line for scope in module.facts.scopes[1:])


def _has_defaults(config: ConfigFile) -> bool:
    return any(leaf.keys[:1] == ("defaults",) for leaf in config.leaves)


def _lines(place: Place) -> range:
    return range(place.span.line, place.span.end_line + 1)


def _definitions(module: Module) -> Iterator[tuple[Define, int]]:
    for index, scope in enumerate(module.facts.scopes):
        if index == 0 or scope.kind == 1:
            for stmt in statements(module.body(index)):
                if isinstance(stmt, Define) and module.scope(stmt.scope).decorators:
                    yield stmt, index


def _looks_up(node: Expr, name: str) -> bool:
    """``TABLE[key]`` and ``TABLE.get(key)`` where the key is no constant."""
    if isinstance(node, Subscript):
        table: Expr = node.value
        key: Expr | None = node.index
    elif isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)) and node.args:
        head, _, last = node.function.name.rpartition(".")
        table = Ref(head, 0, 0) if isinstance(node.function, Ref) else node.function.value
        key = node.args[0] if last in ("get", "pop") else None
    else:
        return False
    same = isinstance(table, (Ref, Attribute)) and table.name.rpartition(".")[2] == name
    return same and key is not None and not isinstance(key, Const)


def _waits_for(arm: DeadArm, value: str) -> bool:
    """Whether the test in front of an arm compares with a value."""
    test = getattr(arm.arm.guard, "test", None)
    if test is None:
        return False
    return any(isinstance(node, Const) and node.value == value for node in walk(test))
