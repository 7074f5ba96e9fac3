"""Modules reached without an import statement: directory scans, importlib, configuration, launches."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from mldebt.facts.extract import decode_body
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Binary, Build, Call, Const, Expr, Format, ModuleFacts, Ref
from mldebt.facts.walk import calls, statements
from mldebt.project.packages import Packages, parent
from mldebt.project.search_path import PathReader
from mldebt.sources.artefacts import Command, Repository
from mldebt.sources.launchers import python_invocation

_IMPORTERS = frozenset({"import_module", "__import__", "find_spec", "spec_from_file_location", "load_module"})
_LISTERS = frozenset({"iter_modules", "walk_packages", "listdir", "scandir", "glob", "iglob", "rglob", "iterdir"})
_DOTTED = re.compile(r"\.{0,3}[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[A-Za-z_][\w.]*)?")
_OWN_NAME = frozenset({"__name__", "__package__"})


class Scans:
    """Finds what is reached by name or by directory rather than by an import statement.

    Args:
        facts: Facts of every readable source.
        packages: Where import names lead.
        repository: Entry points, configuration leaves and commands.
    """

    def __init__(self, facts: Mapping[str, ModuleFacts], packages: Packages, repository: Repository) -> None:
        self._facts, self._packages, self._repository = facts, packages, repository
        self._parts: dict[tuple[str, str], str | None] = {}

    @cached_property
    def dynamic(self) -> dict[str, frozenset[str]]:
        """Modules each module imports through importlib: by a constant name, or all of a directory it lists."""
        found = {}
        for path, facts in self._facts.items():
            mentions = _IMPORTERS.intersection(facts.mentions)
            if mentions and (targets := frozenset(self._imported(path, facts)) - {path}):
                found[path] = targets
        return found

    @cached_property
    def scanned(self) -> frozenset[str]:
        """Every module reached this way from anywhere."""
        found: set[str] = set()
        for targets in self.dynamic.values():
            found |= targets
        for path, facts in self._facts.items():
            found.update(target for text in facts.strings if (target := self.named(path, text)) and target != path)
        for point in self._repository.entry_points:
            found.update(self._mentioned("", point.target))
        for config in self._repository.configs:
            for leaf in config.leaves:
                if isinstance(leaf.value, str) and ("." in leaf.value or leaf.tag):
                    found.update(self._mentioned(config.path, leaf.value))
        for command in self._repository.commands:
            found.update(self.launched(command))
        return frozenset(found)

    def launched(self, command: Command) -> tuple[str, ...]:
        """The project module a command runs; () when it runs none, or one that cannot be told."""
        invocation = python_invocation(command)
        if invocation is None:
            return ()
        if invocation.module:
            target = self._packages.find(posixpath.join(command.directory, "-"), invocation.module)
            if target is not None and target.endswith(("/", "/__init__.py")):
                target = f"{target.rpartition('/')[0]}/__main__.py"
            return (target,) if target is not None and target in self._facts else ()
        script = posixpath.normpath(posixpath.join(command.directory, invocation.script or "-"))
        if script in self._facts:
            return (script,)
        # Where the directory is not known, a script named by its last parts is the only one that ends so.
        tail = (invocation.script or "-").removeprefix("./")
        while tail.startswith("../"):
            tail = tail[3:]
        matches = [path for path in self._by_file.get(posixpath.basename(tail), ()) if f"/{path}".endswith(f"/{tail}")]
        return (matches[0],) if len(matches) == 1 else ()

    @cached_property
    def _by_file(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self._facts):
            found.setdefault(posixpath.basename(path), []).append(path)
        return found

    def named(self, importer: str, text: str) -> str | None:
        """The module a string names: ``pkg.mod``, ``pkg.mod.Class``, ``pkg.mod:func``, ``.mod``, ``tools/x.py``."""
        if text.endswith(".py"):
            return self._file(importer, text)
        if "/" in text or not _DOTTED.fullmatch(text):
            return None
        name = text.partition(":")[0]
        stripped = name.lstrip(".")
        if name != stripped:
            return self._longest(importer, stripped, len(name) - len(stripped))
        return self._longest(importer, name, 0) if "." in name else None

    def _mentioned(self, path: str, text: str) -> Iterator[str]:
        if _DOTTED.fullmatch(text):
            name = text.partition(":")[0]
            target = self._longest(posixpath.join(parent(path), "-"), name.lstrip("."), 0)
            if target:
                yield target
        elif text.endswith(".py") and (target := self._file(path, text)):
            yield target

    def _file(self, importer: str, text: str) -> str | None:
        for base in (parent(importer), ""):
            path = posixpath.normpath(posixpath.join(base, text))
            if path in self._facts:
                return path
        return None

    def _longest(self, importer: str, name: str, level: int) -> str | None:
        """The module that a dotted name, or all but its attribute, leads to."""
        key = (f"{parent(importer)}/{level}", name)
        if key not in self._parts:
            self._parts[key] = self._prefix(importer, name, level)
        return self._parts[key]

    def _prefix(self, importer: str, name: str, level: int) -> str | None:
        packages = self._packages
        head = name.partition(".")[0]
        if not level and packages.find(importer, head) is None and packages.find(importer, name) is None:
            return None
        attribute = ""
        while name:
            target = packages.relative(importer, level, name) if level else packages.find(importer, name)
            if target is not None and not target.endswith("/"):
                # "config.json" is no mention of config.py.
                return target if not attribute or attribute in self._facts[target].scopes[0].bindings else None
            name, _, attribute = name.rpartition(".")
        return None

    def _imported(self, path: str, facts: ModuleFacts) -> Iterator[str]:
        reader: PathReader | None = None
        for index, scope in enumerate(facts.scopes):
            words = {chain.rpartition(".")[2] for chain in scope.uses}
            if not words & (_IMPORTERS | _LISTERS):
                continue
            for stmt in statements(decode_body(facts.bodies[index])):
                for call in calls(stmt):
                    function = call.function
                    name = last_segment(function)
                    if name in _IMPORTERS and call.args:
                        yield from self._by_call(path, call)
                    elif name in _LISTERS:
                        reader = reader or PathReader(path, facts, self._packages.directories)
                        yield from self._listed(reader, call)

    def _by_call(self, path: str, call: Call) -> Iterator[str]:
        value = call.args[0]
        text, exact = _prefix_of(value)
        if exact and text:
            name = text.lstrip(".")
            level = len(text) - len(name)
            target = self._packages.relative(path, level, name) if level else self._packages.find(path, name)
            if target and not target.endswith("/"):
                yield target
        elif text.startswith("."):
            yield from self._below(posixpath.join(parent(path), text.strip(".").replace(".", "/")).rstrip("/"))
        elif text.endswith("."):
            target = self._packages.find(path, text[:-1])
            if target:
                yield from self._below(parent(target))
        elif isinstance(value, (Format, Binary)) and _starts_with_own_name(value):
            yield from self._below(parent(path))

    def _listed(self, reader: PathReader, call: Call) -> Iterator[str]:
        """Modules of the directory a listing call is given; its own package where that cannot be told."""
        where = call.args[0] if call.args else None
        directory = reader.directory(where) if where is not None else None
        if directory is None and where is not None and _names_own_path(where):
            directory = parent(reader.path)
        if directory is None and isinstance(where, (Call, Binary, Format, Const)):
            value = reader.value(where)
            directory = parent(value) if value is not None and "*" in value else None
        if directory is None:
            directory = parent(reader.path) if _IMPORTERS.intersection(reader.facts.mentions) else None
        if directory:
            yield from self._below(directory)

    def _below(self, directory: str) -> Iterator[str]:
        """All modules of a directory and of the packages in it."""
        if directory:
            yield from self._in_directory.get(directory, ())

    @cached_property
    def _in_directory(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in sorted(self._packages.files):
            directory = parent(path)
            found.setdefault(directory, []).append(path)
            while directory in self._packages.packages:
                directory = parent(directory)
                found.setdefault(directory, []).append(path)
        return found


def _prefix_of(expr: Expr) -> tuple[str, bool]:
    """The constant text an expression starts with, and whether that is all of it."""
    while isinstance(expr, Binary) and expr.op in ("+", "%"):
        text, _ = _prefix_of(expr.left)
        return (text if expr.op == "+" or "%" not in text else text.partition("%")[0]), False
    if isinstance(expr, Format):
        expr = expr.parts[0] if expr.parts else expr
        return (expr.value, False) if isinstance(expr, Const) and isinstance(expr.value, str) else ("", False)
    if isinstance(expr, Call) and isinstance(expr.function, Attribute) and expr.function.name == "format":
        text, _ = _prefix_of(expr.function.value)
        return text.partition("{")[0], False
    return (expr.value, True) if isinstance(expr, Const) and isinstance(expr.value, str) else ("", False)


def _starts_with_own_name(expr: Expr) -> bool:
    first = expr.parts[0] if isinstance(expr, Format) and expr.parts else expr
    while isinstance(first, Binary):
        first = first.left
    return isinstance(first, Ref) and first.name in _OWN_NAME


def _names_own_path(expr: Expr) -> bool:
    parts: Iterable[Expr] = expr.items if isinstance(expr, Build) else (expr,)
    return any(isinstance(part, Ref) and part.name.rpartition(".")[2] == "__path__" for part in parts)
