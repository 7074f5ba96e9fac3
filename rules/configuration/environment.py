"""Where a project reads and sets variables of the environment, and what has already run where it sets them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from mldebt.facts.schema import (
    Assign,
    Attribute,
    Call,
    Compare,
    Const,
    Expr,
    Import,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import blocks, expressions, statements, walk
from mldebt.rule import Analysis, Row, Table

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

_READERS = frozenset({"os.getenv", "os.environ.get", "os.environ.pop", "os.getenvb"})
_SETTERS = frozenset({"os.environ.setdefault", "os.putenv"})
_CALLS = _READERS | _SETTERS
_WORDS = frozenset({"environ", "getenv", "putenv"})
_DEEPEST = 3  # calls between a statement and the use of a GPU it leads to

# What makes the CUDA driver read its variables. Importing a library, or naming a device, does not.
_TOUCHES = frozenset(
    """torch.cuda.is_available torch.cuda.set_device torch.cuda.current_device torch.cuda.init
    torch.cuda.get_device_name torch.cuda.get_device_properties torch.cuda.get_device_capability torch.cuda.mem_get_info
    torch.cuda.memory_allocated torch.cuda.synchronize torch.cuda.empty_cache torch.cuda.is_bf16_supported
    torch.cuda.current_stream torch.cuda.Stream torch.cuda.get_rng_state torch.Tensor.cuda torch.nn.Module.cuda
    tensorflow.config.list_physical_devices tensorflow.config.experimental.list_physical_devices
    tensorflow.test.is_gpu_available tensorflow.config.list_logical_devices tensorflow.Session
    tensorflow.compat.v1.Session jax.devices jax.device_count jax.local_devices jax.local_device_count""".split()
)


class Variable(Row, frozen=True, kw_only=True):
    """When a variable is read: import (of one of ``libraries``), cuda (first use of a GPU) or start."""

    read: str
    libraries: tuple[str, ...] = ()


class Access(Struct, frozen=True, eq=False):
    """One read or setting of the variable ``name``."""

    name: str
    module: Module
    scope: int
    statement: Stmt


class Before(Struct, frozen=True, eq=False):
    """What has run before a statement: an import of a library, or a call that uses a GPU."""

    module: Module
    what: str
    where: Import | Call


class Environment(Analysis):
    """Answers which variables are read and set where, and what comes before."""

    variables: ClassVar[Table[Variable]] = Table("environment.toml", "variables", Variable)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._touching: dict[tuple[str, int, int], CallSite | None] = {}
        self._known: dict[str, tuple[tuple[str, Access], ...]] = {}

    def reads(self, module: Module) -> tuple[Access, ...]:
        """The reads of a file whose variable is told by a constant."""
        return tuple(access for kind, access in self._accesses(module) if kind == "read")

    def settings(self, module: Module) -> tuple[Access, ...]:
        return tuple(access for kind, access in self._accesses(module) if kind == "set")

    def _accesses(self, module: Module) -> tuple[tuple[str, Access], ...]:
        known = self._known.get(module.path)
        if known is None:
            known = self._known[module.path] = tuple(self._find(module))
        return known

    def _find(self, module: Module) -> Iterator[tuple[str, Access]]:
        words = (self.project.spellings(_CALLS) - {"get", "pop", "setdefault"}) | _WORDS
        if module.mentions.isdisjoint(words):
            return
        words |= {"get", "pop", "setdefault"}
        for index in module.scopes_using(words):
            for stmt in statements(module.body(index)):
                for root in expressions(stmt, module.facts.scopes):
                    for node in walk(root):
                        if type(node) in _ACCESSES:
                            for kind, name in self._access(module, index, stmt, node, words):
                                yield kind, Access(name, module, index, stmt)

    def _access(
        self, module: Module, scope: int, stmt: Stmt, node: Expr, words: frozenset[str]
    ) -> Iterator[tuple[str, str]]:
        if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)) and node.args:
            _, dot, last = node.function.name.rpartition(".")
            if last not in words and (dot or isinstance(node.function, Attribute) or last == "print"):
                return  # only a variable may hold such a function under a name of its own
            names = module.names(scope, node.function)
            if not _CALLS.isdisjoint(names) and (name := self._text(module, scope, node.args[0])):
                yield ("set" if not _SETTERS.isdisjoint(names) else "read"), name
        elif isinstance(node, Subscript) and self._is_environ(module, scope, node.value):
            name = self._text(module, scope, node.index)
            if name:
                yield ("set" if isinstance(stmt, Assign) and any(node is one for one in stmt.targets) else "read"), name
        elif isinstance(node, Compare) and node.ops in (["in"], ["not in"]):
            name = self._text(module, scope, node.left) if self._is_environ(module, scope, node.comparators[0]) else ""
            if name:
                yield "read", name

    @staticmethod
    def _text(module: Module, scope: int, expr: Expr) -> str:
        value = expr.value if isinstance(expr, Const) else module.constant(scope, expr)
        return value if isinstance(value, str) else ""

    @staticmethod
    def _is_environ(module: Module, scope: int, expr: Expr) -> bool:
        return isinstance(expr, Ref) and "os.environ" in module.project.resolve(module, scope, expr.name)

    def imported(self, access: Access, libraries: tuple[str, ...]) -> Before | None:
        """The import of one of some libraries that has certainly run before a statement does."""
        module = access.module
        for fact in module.facts.imports:
            if fact.scope or fact.guard or (access.scope == 0 and fact.line >= access.statement.line):
                continue
            head = fact.module.partition(".")[0]
            if not fact.level and head in libraries:
                return Before(module, head, fact)
            for path in self.project.imports.targets(module.path, fact):
                for inner in (*self.project.imports.order(path),):
                    found = _imports_itself(self.project.modules[inner], libraries)
                    if found is not None:
                        return found
        return None

    def touched(self, access: Access) -> Before | None:
        """A use of a GPU that can run before a statement does."""
        module, scope = access.module, access.scope
        found = self._touch_above(module, scope, access.statement.line)
        if found is None:
            found = self._touch_at_import(access)
        if found is None and scope:
            found = self._touch_in_callers(access)
        return found

    def _touch_above(self, module: Module, scope: int, line: int) -> Before | None:
        """In the same body, before a line; not in the arm of a branch that does not lead there."""
        for stmt in _leading(module.body(scope), line):
            for site in (one for one in module.call_sites(scope) if one.statement is stmt):
                touch = self._touch_of(module, site, _DEEPEST)
                if touch is not None:
                    return touch
        return None

    def _touch_at_import(self, access: Access) -> Before | None:
        """In the body of a module that is imported before."""
        module = access.module
        for fact in module.facts.imports:
            if fact.scope or (access.scope == 0 and fact.line >= access.statement.line):
                continue
            for path in self.project.imports.targets(module.path, fact):
                for inner in self.project.imports.order(path):
                    found = self._body_touch(self.project.modules[inner])
                    if found is not None:
                        return found
        return self._body_touch(module) if access.scope else None

    def _body_touch(self, module: Module) -> Before | None:
        if module.mentions.isdisjoint(_TOUCH_WORDS):
            return None
        main = module.facts.main
        for site in module.call_sites(0):
            if main is None or not main[0] <= site.statement.line <= main[1]:
                touch = self._touch_of(module, site, 1)
                if touch is not None:
                    return touch
        return None

    def _touch_in_callers(self, access: Access) -> Before | None:
        """In what a program does before it calls the function."""
        name = access.module.definition(access.scope).name
        for path in sorted({access.module.path, *self.project.imports.importers(access.module.path)}):
            module = self.project.modules[path]
            for index in module.scopes_using({access.module.scope(access.scope).name}):
                for site in module.call_sites(index):
                    edges = self.project.calls.targets(module, index, site.call)
                    if any(edge.target.name == name and edge.confidence != "cha" for edge in edges):
                        found = self._touch_above(module, index, site.statement.line)
                        if found is not None:
                            return found
        return None

    def _touch_of(self, module: Module, site: CallSite, depth: int) -> Before | None:
        """The use of a GPU in a call, or in what it certainly calls."""
        call = site.call
        if not isinstance(call.function, (Ref, Attribute)):
            return None
        last = call.function.name.rpartition(".")[2]
        if last in _TOUCH_WORDS or last == "to":
            names = module.names(site.scope, call.function)
            if not _TOUCHES.isdisjoint(names) or (last == "to" and _to_cuda(call)):
                return Before(module, names[0] if names else f"{last}()", call)
            if last == "cuda" and not call.args and not names:
                return Before(module, ".cuda()", call)
        if depth:
            for edge in self.project.calls.targets(module, site.scope, call):
                if edge.confidence in ("exact", "method") and edge.target.is_function:
                    target = edge.target
                    if target.module.mentions.isdisjoint(_TOUCH_WORDS):
                        continue
                    for inner in target.module.call_sites(target.index):
                        found = self._touch_of(target.module, inner, depth - 1)
                        if found is not None:
                            return found
        return None


_ACCESSES = frozenset({Call, Subscript, Compare})
_TOUCH_WORDS = frozenset(name.rpartition(".")[2] for name in _TOUCHES)


def _to_cuda(call: Call) -> bool:
    """``x.to("cuda:0")``."""
    values = [*call.args, *(one.value for one in call.keywords if one.name == "device")]
    return any(isinstance(one, Const) and isinstance(one.value, str) and one.value.startswith("cuda") for one in values)


def _imports_itself(module: Module, libraries: tuple[str, ...]) -> Before | None:
    for fact in module.facts.imports:
        head = fact.module.partition(".")[0]
        if not fact.scope and not fact.guard and not fact.level and head in libraries:
            return Before(module, head, fact)
    return None


def _leading(body: list[Stmt], line: int) -> Iterator[Stmt]:
    """The statements of a body that may have run before one at ``line``: those above it, not in another arm."""
    for stmt in body:
        if stmt.line >= line:
            return
        yield stmt
        inner = blocks(stmt)
        holding = [block for block in inner if block and block[0].line <= line <= block[-1].end_line]
        for block in holding or inner:
            yield from _leading(list(block), line)
