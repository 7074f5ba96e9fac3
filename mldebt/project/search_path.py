"""Directories a module adds to ``sys.path``, and other paths its expressions give, read off the facts."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from mldebt.facts.extract import decode_body
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Binary,
    Build,
    Call,
    Conditional,
    Const,
    Expr,
    For,
    Format,
    ModuleFacts,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import calls, statements

_DEEPEST = 20
_SAME = frozenset({"abspath", "realpath", "normpath", "expanduser", "str", "Path", "PurePath", "fspath", "resolve"})
_SELF = frozenset({"resolve", "absolute", "as_posix", "expanduser"})
_ADDERS = ("sys.path.append", "sys.path.insert", "sys.path.extend", "site.addsitedir")


class PathReader:
    """Evaluates path expressions of one module: ``os.path.join(os.path.dirname(__file__), "..")`` and pathlib's.

    Values are relative to the scanned root; what leaves it or is absolute is None. A relative constant is taken from
    the module's own directory where that exists, else from the root.
    """

    def __init__(self, path: str, facts: ModuleFacts, directories: frozenset[str]) -> None:
        self.path, self.facts, self._directories = path, facts, directories
        self._values = _assigned_once(decode_body(facts.bodies[0]))

    def value(self, expr: Expr, depth: int = 0) -> str | None:
        """A path relative to the root, or None. ``__file__`` is the module itself."""
        if depth > _DEEPEST:
            return None
        if isinstance(expr, Ref):
            return self._named(expr.name, depth)
        if isinstance(expr, Const):
            return self._constant(expr.value) if isinstance(expr.value, str) else None
        if isinstance(expr, Binary) and expr.op in ("/", "+"):
            return self._joined(expr.left, [expr.right], depth)
        if isinstance(expr, Format) and len(expr.parts) > 1:
            return self._joined(expr.parts[0], expr.parts[1:], depth)
        if isinstance(expr, Conditional):
            return self.value(expr.then, depth + 1)
        if isinstance(expr, Subscript):
            return self._parents(expr, depth)
        if isinstance(expr, Attribute):
            return self._up(self.value(expr.value, depth + 1), expr.name)
        return self._call(expr, depth) if isinstance(expr, Call) else None

    def directory(self, expr: Expr) -> str | None:
        """The directory an expression gives, if the project has it; ``""`` is the root."""
        value = self.value(expr)
        return value if value is not None and (not value or value in self._directories) else None

    def _constant(self, text: str) -> str | None:
        if text.startswith(("/", "~", "$")) or "\0" in text:
            return None
        here = _inside(posixpath.join(posixpath.dirname(self.path), text))
        return here if here is not None and (not here or here in self._directories) else _inside(text)

    def _named(self, name: str, depth: int) -> str | None:
        head, _, rest = name.partition(".")
        if head == "__file__":
            value: str | None = self.path
        elif name in ("os.curdir", "os.pardir"):
            return self._constant("." if name == "os.curdir" else "..")
        elif head in self._values:
            value = self.value(self._values[head], depth + 1)
        else:
            return None
        return self._up(value, rest)

    def _up(self, value: str | None, attributes: str) -> str | None:
        for attribute in attributes.split(".") if attributes else ():
            if attribute != "parent":
                return None
            value = _above(value)
        return value

    def _parents(self, expr: Subscript, depth: int) -> str | None:
        owner, index = expr.value, expr.index
        if not isinstance(index, Const) or type(index.value) is not int or not 0 <= index.value < _DEEPEST:
            return None
        if isinstance(owner, Attribute) and owner.name == "parents":
            value = self.value(owner.value, depth + 1)
        elif isinstance(owner, Ref) and owner.name.endswith(".parents"):
            value = self._named(owner.name.removesuffix(".parents"), depth)
        elif isinstance(owner, Call) and last_segment(owner.function) in ("split", "splitext") and owner.args:
            return _above(self.value(owner.args[0], depth + 1)) if index.value == 0 else None
        else:
            return None
        for _ in range(index.value + 1):
            value = _above(value)
        return value

    def _call(self, call: Call, depth: int) -> str | None:
        name = last_segment(call.function)
        receiver, before = (
            (call.function.value, call.function.name) if isinstance(call.function, Attribute) else (None, "")
        )
        if name in ("getcwd", "cwd"):
            return ""
        if receiver is not None and name in _SELF:
            return self._up(self.value(receiver, depth + 1), before.rpartition(".")[0])
        if isinstance(call.function, Ref) and name in _SELF and not call.args:
            return self._named(call.function.name.rpartition(".")[0], depth)
        if receiver is not None and name == "joinpath":
            return self._joined(receiver, call.args, depth)
        if not call.args:
            return None
        if name == "join" or (name == "Path" and len(call.args) > 1):
            return self._joined(call.args[0], call.args[1:], depth)
        if name == "dirname":
            return _above(self.value(call.args[0], depth + 1))
        return self.value(call.args[0], depth + 1) if name in _SAME else None

    def _joined(self, first: Expr, rest: Sequence[Expr], depth: int) -> str | None:
        value = self.value(first, depth + 1)
        for part in rest:
            text = part.value if isinstance(part, Const) else {"os.pardir": "..", "os.curdir": "."}.get(_name(part))
            if value is None or not isinstance(text, str) or "\0" in text:
                return None
            value = _inside(f"{value}/{text.lstrip('/')}" if value else text.lstrip("/"))
        return value


def added_directories(path: str, facts: ModuleFacts, directories: frozenset[str]) -> tuple[str, ...]:
    """Directories of the project that a module puts on ``sys.path``, also through a function of its own that does."""
    if "sys" not in facts.mentions and "site" not in facts.mentions:
        return ()
    scopes = [index for index, scope in enumerate(facts.scopes) if any(adder in scope.uses for adder in _ADDERS)]
    if not scopes:
        return ()
    reader = PathReader(path, facts, directories)
    adders: set[str] = set()
    found: list[str | None] = []
    for index in scopes:
        for value in _values_added(decode_body(facts.bodies[index])):
            if isinstance(value, Ref) and any(value.name == one.name for one in facts.scopes[index].parameters):
                adders.add(facts.scopes[index].name)
            else:
                found.append(reader.directory(value))
    if adders:
        made = (call for stmt in statements(decode_body(facts.bodies[0])) for call in calls(stmt))
        found += [reader.directory(call.args[0]) for call in made if call.args and _name(call.function) in adders]
    return tuple(dict.fromkeys(directory for directory in found if directory is not None))


def _values_added(body: Sequence[Stmt]) -> Iterator[Expr]:
    loops = {}
    for stmt in statements(body):
        if isinstance(stmt, For) and isinstance(stmt.target, Ref) and isinstance(stmt.iterable, Build):
            loops[stmt.target.name] = stmt.iterable.items
        for call in calls(stmt):
            if _name(call.function) in _ADDERS and call.args:
                value = call.args[-1]
                for part in value.items if isinstance(value, Build) else [value]:
                    yield from loops.get(_name(part), [part])


def _assigned_once(body: Sequence[Stmt]) -> dict[str, Expr]:
    found: dict[str, Expr] = {}
    again: set[str] = set()
    for stmt in statements(body):
        if isinstance(stmt, Assign) and len(stmt.targets) == 1 and isinstance(stmt.targets[0], Ref):
            name = stmt.targets[0].name
            if name in found:
                again.add(name)
            found[name] = stmt.value
    return {name: value for name, value in found.items() if name not in again}


def _name(expr: Expr) -> str:
    return expr.name if isinstance(expr, Ref) else ""


def _above(value: str | None) -> str | None:
    """The directory above; None above the root."""
    return posixpath.dirname(value) if value else None


def _inside(path: str) -> str | None:
    """A normalised path, ``""`` for the root; None for what leaves it."""
    normal = posixpath.normpath(path)
    if normal == "..":
        return None
    return None if normal.startswith(("../", "/")) else "" if normal == "." else normal
