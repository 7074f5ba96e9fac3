"""What deleting dead code frees: definitions, files and libraries that nothing else in the repository mentions."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import CLASS, Annotate, Attribute, Define, Expr, Import, Imports, Ref, Scope, Stmt
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .flagged_code import DeadArm
from .selections import Selections

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MOST = 300  # definitions one dead arm is followed through
_HOOKS = re.compile(
    r"__\w+__|forward|backward|call|build|setup|teardown|run|main|step|reset|fit|predict|transform|on_\w+"
    r"|\w+_step|\w+_dataloader|configure_\w+|\w+_epoch_(?:start|end)|collate_fn|compute_loss"
)
_PLAIN = re.compile(
    r"(?:functools\.)?(?:lru_cache|cache|wraps|partial)|staticmethod|classmethod|property|(?:dataclasses\.)?dataclass"
    r"|torch\.(?:no_grad|inference_mode|jit\.script)|tf\.function|(?:numba\.)?n?jit|contextmanager|(?:typing\.)?\w*final"
)
_LOOKS_UP = frozenset({"globals", "__subclasses__", "__dict__"})


class Mention(NamedTuple):
    """An identifier in code; ``imported``: by an import statement."""

    path: str
    line: int
    column: int
    imported: bool


class Freed(NamedTuple):
    """What would go: definitions of files that stay, whole files, libraries, and how many lines that is."""

    definitions: tuple[Definition, ...]
    files: tuple[str, ...]
    libraries: tuple[str, ...]
    lines: int


class Mentions(Analysis):
    """Answers where an identifier is used."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[tuple[str, str], tuple[Mention, ...]] = {}

    def of(self, name: str) -> Iterator[Mention]:
        """Every use and import of an identifier in the project, attributes of anything among them."""
        for module in self.project.callers.mentioning({name}):
            for word in sorted({name, *_renamed(module, name)}):
                yield from self.within(module, word)

    def within(self, module: Module, name: str) -> tuple[Mention, ...]:
        """Those of one file."""
        key = (module.path, name)
        if key not in self._known:
            self._known[key] = tuple(_mentions(module, name))
        return self._known[key]


def _renamed(module: Module, name: str) -> set[str]:
    """What an import calls it in a file: ``from x import name as other``."""
    return {fact.bound for fact in module.facts.imports if fact.attribute == name and fact.renamed}


def _mentions(module: Module, name: str) -> Iterator[Mention]:
    for fact in module.facts.imports:
        if name in (fact.attribute, fact.bound) or name in fact.module.split("."):
            yield Mention(module.path, fact.line, fact.column, True)
    everywhere = name in module.facts.stored
    for index, scope in enumerate(module.facts.scopes):
        read = everywhere or any(name in chain for chain in scope.uses)
        for root in _roots(module, index, scope, read=read):
            for node in walk(root):
                if isinstance(node, (Ref, Attribute)) and name in node.name.split("."):
                    yield Mention(module.path, node.line, node.column, False)


def _roots(module: Module, index: int, scope: Scope, *, read: bool) -> Iterator[Expr]:
    """Every expression of a scope, annotations too; without ``read`` those of its body are left out."""
    for parameter in scope.parameters:
        if parameter.annotation is not None:
            yield parameter.annotation
    if scope.returns is not None:
        yield scope.returns
    for stmt in statements(module.body(index)) if read else ():
        yield from expressions(stmt, module.facts.scopes)
        if isinstance(stmt, Annotate):
            yield stmt.annotation


class Dead:
    """Which places go."""

    def __init__(self, arms: Iterable[DeadArm]) -> None:
        self._ranges: dict[str, list[tuple[int, int]]] = {}
        self._refs: set[tuple[str, int, int]] = set()
        for module, _, arm in arms:
            for stmt in arm.stmts:
                first = module.scope(stmt.scope).first_line if isinstance(stmt, Define) else stmt.line
                self.add(module.path, first, stmt.end_line)
            for node in walk(arm.expr) if arm.expr is not None else ():
                if isinstance(node, (Ref, Attribute)):
                    self._refs.add((module.path, node.line, node.column))

    def add(self, path: str, first: int, last: int) -> None:
        ranges = self._ranges.setdefault(path, [])
        ranges.insert(bisect_right(ranges, (first, last)), (first, last))

    @property
    def ranges(self) -> list[tuple[str, int, int]]:
        return [(path, first, last) for path, ranges in self._ranges.items() for first, last in ranges]

    def holds(self, path: str, line: int, column: int) -> bool:
        inside = any(first <= line <= last for first, last in self._ranges.get(path, ()))
        return inside or (path, line, column) in self._refs


def freed(project: Project, arms: Sequence[DeadArm]) -> Freed:
    """What nothing but these arms, and what they alone need, mentions."""
    return _Search(project, arms).result()


class _Search:
    def __init__(self, project: Project, arms: Sequence[DeadArm]) -> None:
        self._project, self._arms = project, arms
        self._mentions = project[Mentions]
        self._dead = Dead(arms)
        self._files: set[str] = set()

    def result(self) -> Freed:
        victims = self._victims(self._reached())
        for victim in victims:
            scope = victim.scope
            self._dead.add(victim.module.path, scope.first_line, scope.end_line)
        self._find_files(victims)
        left = [one for one in victims if one.module.path not in self._files]
        outer = [one for one in left if not any(_encloses(other, one) for other in left)]
        lines = sum(one.scope.end_line - one.scope.first_line + 1 for one in outer)
        lines += sum(self._project.modules[path].facts.code_lines for path in self._files)
        ordered = sorted(outer, key=lambda one: (one.module.path, one.scope.line))
        return Freed(tuple(ordered), tuple(sorted(self._files)), self._libraries(), lines)

    # Definitions.

    def _reached(self) -> dict[str, Definition]:
        """Definitions the dead arms use, and what these use."""
        found: dict[str, Definition] = {}
        pending: list[Definition] = []
        for module, scope, arm in self._arms:
            inner = [stmt for one in arm.stmts for stmt in statements([one])]
            pending += self._used_by(module, scope, inner, [arm.expr] if arm.expr is not None else [])
        while pending and len(found) < _MOST:
            one = pending.pop()
            if one.name not in found and self._may_go(one):
                found[one.name] = one
                pending += self._used_in(one)
        return found

    def _used_in(self, definition: Definition) -> Iterator[Definition]:
        module, scope = definition.module, definition.scope
        for index, inner in enumerate(module.facts.scopes):
            if index and scope.line <= inner.line and inner.end_line <= scope.end_line:
                yield from self._used_by(module, index, list(statements(module.body(index))), list(inner.bases))

    def _used_by(self, module: Module, scope: int, stmts: Sequence[Stmt], more: Sequence[Expr]) -> Iterator[Definition]:
        roots = [*more, *(expr for stmt in stmts for expr in expressions(stmt, module.facts.scopes))]
        for root in roots:
            for node in walk(root):
                if isinstance(node, (Ref, Attribute)):
                    for name in module.names(scope, node):
                        definition = self._project.definition(name) if ":" in name else None
                        if definition is not None and not definition.is_module:
                            yield definition
        for stmt in stmts:
            if isinstance(stmt, Define):
                index = stmt.scope
                yield from self._used_by(module, index, list(statements(module.body(index))), ())

    def _may_go(self, one: Definition) -> bool:
        """Whether it is a definition of the project that is found by its name only."""
        module, scope, parent = one.module, one.scope, one.parent
        if module.role != "project" or module.is_test or parent is None or parent.is_function:
            return False
        if parent.is_class and (_HOOKS.fullmatch(scope.name) or self._is_inherited(parent, scope.name)):
            return False
        decorators = [getattr(one, "function", one) for one in scope.decorators]
        if not all(isinstance(one, Ref) and _PLAIN.fullmatch(one.name) for one in decorators):
            return False  # it may be registered somewhere
        return module.mentions.isdisjoint(_LOOKS_UP) and scope.kind in (1, CLASS)

    def _is_inherited(self, owner: Definition, name: str) -> bool:
        """Whether a base or a subclass has a method of that name, so that a call of another may end in this one."""
        classes = [*self._project.mro(owner.name)[1:], *(one.name for one in self._project.subclasses(owner.name))]
        return any(
            ":" in each and self._project.definition(f"{each}.{name}") is not None for each in classes if each != "?"
        )

    def _victims(self, found: dict[str, Definition]) -> list[Definition]:
        """Of these the ones that nothing else mentions: what is left when all others are struck out."""
        left = dict(found)
        while True:
            extents = [(one.module.path, one.scope.first_line, one.scope.end_line) for one in left.values()]
            gone = [name for name, one in left.items() if not self._is_free(one, extents)]
            if not gone:
                break
            for name in gone:
                del left[name]
        return [one for one in left.values() if not self._is_named(one)]

    def _is_free(self, one: Definition, extents: Sequence[tuple[str, int, int]]) -> bool:
        name = one.scope.name
        if self._project.library and name in (one.module.facts.exports or ()):
            return False
        for mention in self._mentions.of(name):
            inside = any(path == mention.path and first <= mention.line <= last for path, first, last in extents)
            if inside or self._dead.holds(mention.path, mention.line, mention.column):
                continue
            if not mention.imported or self._is_public(mention.path):
                return False
        return True

    def _is_public(self, path: str) -> bool:
        """Whether an import there offers the name to users: in the packages of a library."""
        return self._project.library and path.endswith("__init__.py")

    def _is_named(self, one: Definition) -> bool:
        """Whether a string or a configuration file names it."""
        name = one.scope.name
        literal = rf"[\"'](?:[\w.:/]*[.:/])?{re.escape(name)}[\"']"
        quoted = re.compile(literal)
        compared = re.compile(rf"(?:[=!]=\s*|\bcase\s+){literal}|{literal}\s*(?::|[=!]=)")
        word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        for line in self._project[Selections].mentions((name,)):
            if line.is_document:
                continue
            if line.is_python:
                said = quoted.search(line.text) and not compared.search(line.text)
                if said and not self._dead.holds(line.path, line.number, 0):
                    return True
            elif word.search(line.text):
                return True
        return False

    # Files.

    def _find_files(self, victims: Sequence[Definition]) -> None:
        candidates = {one.module.path for one in victims} | self._imported_by_dead()
        while True:
            new = {path for path in candidates - self._files if self._is_free_file(path)}
            if not new:
                return
            self._files |= new
            for path in new:
                self._dead.add(path, 1, self._project.modules[path].facts.lines + 1)
            candidates |= {other for path in new for other in self._imports_of(path)}

    def _imported_by_dead(self) -> set[str]:
        """The files that dead arms import themselves."""
        found: set[str] = set()
        for module, _, arm in self._arms:
            for stmt in (inner for one in arm.stmts for inner in statements([one])):
                if isinstance(stmt, Imports):
                    for fact in module.facts.imports[stmt.first : stmt.first + stmt.count]:
                        found.update(self._project.imports.targets(module.path, fact))
        return found

    def _imports_of(self, path: str) -> set[str]:
        module = self._project.modules[path]
        return {target for fact in module.facts.imports for target in self._project.imports.targets(path, fact)}

    @cached_property
    def _kept(self) -> frozenset[str]:
        """Files that are run, scanned or tested."""
        project = self._project
        kept = {entry.definition.module.path for entry in project.entries} | set(project.imports.scanned)
        return frozenset(kept | {path for path, module in project.modules.items() if module.is_test})

    def _is_free_file(self, path: str) -> bool:
        module = self._project.modules[path]
        if path in self._kept or module.role != "project" or path.endswith(("__init__.py", "__main__.py")):
            return False
        importers = [one for one in self._project.imports.importers(path) if one != path]
        return bool(importers) and all(
            other in self._files or self._dropped(self._project.modules[other], path) for other in importers
        )

    def _dropped(self, importer: Module, path: str) -> bool:
        """Whether all that an importer takes from a file goes."""
        return all(
            self._is_dead_import(importer, fact)
            for fact in importer.facts.imports
            if path in self._project.imports.targets(importer.path, fact)
        )

    def _is_dead_import(self, module: Module, fact: Import) -> bool:
        if self._dead.holds(module.path, fact.line, fact.column):
            return True
        if fact.bound == "*" or self._is_public(module.path):
            return False
        uses = [one for one in self._mentions.within(module, fact.bound) if not one.imported]
        if module.path.endswith("__init__.py") and not uses:
            uses = [one for one in self._mentions.of(fact.bound) if not one.imported]
        return bool(uses) and all(self._dead.holds(one.path, one.line, one.column) for one in uses)

    # Libraries.

    def _libraries(self) -> tuple[str, ...]:
        """Libraries that only what goes imports."""
        places = {path for path, _, _ in self._dead.ranges} | {module.path for module, _, _ in self._arms}
        heads = {
            head
            for path in sorted(places)
            for fact in self._project.modules[path].facts.imports
            if (head := self._library(path, fact)) and self._is_dead_import(self._project.modules[path], fact)
        }
        return tuple(sorted(head for head in heads if self._is_dropped(head)))

    def _library(self, path: str, fact: Import) -> str:
        """The library an import is of; "" for the project's own and Python's."""
        head = fact.module.partition(".")[0]
        if fact.level or head in sys.stdlib_module_names or self._project.imports.targets(path, fact):
            return ""
        return head

    def _is_dropped(self, library: str) -> bool:
        return all(
            self._is_dead_import(module, fact)
            for path, module in self._project.modules.items()
            for fact in module.facts.imports
            if fact.module.partition(".")[0] == library and self._library(path, fact)
        )


def _encloses(outer: Definition, inner: Definition) -> bool:
    if outer is inner or outer.module is not inner.module:
        return False
    return outer.scope.first_line <= inner.scope.first_line and inner.scope.end_line <= outer.scope.end_line
