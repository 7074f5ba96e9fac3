"""Functions that hand a library's object on as it is, and how far their callers reach into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar

import msgspec
from msgspec import Struct

from mldebt.facts.schema import (
    FUNCTION,
    IMPORTED,
    PARAMETER,
    Assign,
    Attribute,
    Bind,
    Boolean,
    Call,
    Conditional,
    Const,
    Expr,
    Ref,
    Return,
    Stmt,
    Subscript,
    Wait,
)
from mldebt.facts.walk import children, expressions, statements
from mldebt.module import CallSite, Module
from mldebt.project.definitions import Definition
from mldebt.project.project import Project
from mldebt.rule import Analysis, Table

from .evidence import owner
from .vendor_calls import ClientReader, Volatile
from .vendors import others, vendor_among

# What gives a client, a session or a connection: callers are to call methods of these.
_MAKES = tuple(
    """client resource session init connect engine login logger pretrained api database db collection tool agent chain
    llm openai model pipeline load index container builder""".split()
)
_NEAR = 20
_WORTH = 2  # callers looked at for each function that need not be understood then
# What can be an object of a library, as the types of expressions are told.
_GIVES = frozenset({Ref, Call, Attribute, Conditional, Boolean, Bind, Wait})
_SUBSCRIPT = msgspec.msgpack.encode(Subscript(Const(0), Const(0), 0, 0, 0, 0))[:2]  # how one begins, encoded
_NOTHING = frozenset({"__init__", "__post_init__"})  # they return None
_ARRAYS = frozenset({"numpy", "torch", "pandas", "polars", "jax", "tensorflow", "scipy", "pyarrow"})


class Leak(Struct, frozen=True):
    """A function that returns an object of ``library``. ``returned``: the statement that does."""

    definition: Definition
    library: str
    returned: Stmt


class Reach(Struct, frozen=True):
    """A place that reaches into what a function returned: ``choices.message.content``."""

    module: Module
    line_of: Expr
    hops: tuple[str, ...]


class VendorObjects(Analysis):
    """Answers which functions leak objects of a library, and who reaches into these."""

    volatile: ClassVar[Table[Volatile]] = Table("volatile.toml", "volatile", Volatile)
    returned: ClassVar[Table[Volatile]] = Table("volatile.toml", "returned", Volatile)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._deep: dict[tuple[str, int], bool] = {}

    @cached_property
    def libraries(self) -> frozenset[str]:
        return others((*self.project.rows(self.volatile), *self.project.rows(self.returned)), self.project)

    def library(self, names: Sequence[str]) -> str | None:
        """The library of interest that linked names belong to."""
        return vendor_among(names, self.libraries, self.project)

    def leaks(self, modules: int, hops: int) -> Iterator[Leak]:
        """The functions that return an object of a library, in the order of paths.

        Left out are tests and functions that less than ``modules`` other modules can reach into ``hops`` deep.
        """
        found: list[tuple[Module, int]] = []
        near: dict[str, frozenset[str]] = {}
        for module, index in self._functions(modules):
            scope = module.scope(index)
            if scope.name not in near:
                near[scope.name] = self._near(scope.name, modules, hops)
            if len(near[scope.name] - {module.path}) < modules:
                continue
            written = self.project.types.annotated(module, scope.parent, scope.returns) if scope.returns else ()
            if written and self.library(written) is None:
                continue  # most functions that say what they return: their bodies need not be read
            returns = _returned(module, index)
            if returns and (written or any(type(stmt.value) in _GIVES for stmt in returns)):
                found.append((module, index))
        counts = Counter(module.scope(index).name for module, index in found)
        reached: dict[str, frozenset[str] | None] = {}
        for module, index in found:
            name = module.scope(index).name
            if name not in reached:
                reached[name] = self._reached(name, counts[name], hops)
            paths = reached[name]
            if paths is None or len(paths - {module.path}) >= modules:
                leak = self._leak(module, index)
                if leak is not None:
                    yield leak

    def _functions(self, modules: int) -> Iterator[tuple[Module, int]]:
        """The functions near a library of interest whose name as many modules say."""
        near = [path for path in self.project.modules if self._roots(path)]
        importers = [self.project.imports.importers(path) for path in near]
        # What half of the project imports is no module of clients.
        paths = {*near, *(path for found in importers if len(found) <= _NEAR for path in found)}
        found = [self.project.modules[path] for path in sorted(paths)]
        found = [module for module in found if module.role == "project" and not module.is_test]
        names = {scope.name for module in found for scope in module.facts.scopes if scope.kind == FUNCTION} - _NOTHING
        said = {name for name in names if len(self.project.callers.mentioning((name,))) >= modules}
        for module in found:
            for index, scope in enumerate(module.facts.scopes):
                if scope.kind == FUNCTION and not scope.generator and scope.name in said:
                    yield module, index

    def _near(self, name: str, modules: int, hops: int) -> frozenset[str]:
        """Modules that may reach into what functions of a name return, one more than asked for at the most."""
        found: set[str] = set()
        spellings = self.project.spellings((name,))
        for module in self.project.callers.mentioning(spellings):
            if not module.is_test and any(
                self._may_reach(module, index, hops) for index in module.scopes_using(spellings)
            ):
                found.add(module.path)
                if len(found) > modules:
                    break
        return frozenset(found)

    def _may_reach(self, module: Module, index: int, hops: int) -> bool:
        """Whether a scope reads so deep in anything it calls or assigns: told without decoding its body."""
        key = (module.path, index)
        known = self._deep.get(key)
        if known is None:
            scope = module.scope(index)
            known = self._deep[key] = _SUBSCRIPT in bytes(module.facts.bodies[index]) or any(
                chain.count(".") >= hops
                and (chain[0] == "." or scope.bindings.get(chain.partition(".")[0], 0) & ~(IMPORTED | PARAMETER))
                for chain in scope.uses
            )
        return known

    def _reached(self, name: str, functions: int, hops: int) -> frozenset[str] | None:
        """The modules that by their looks reach into what functions of a name return; None where looking is dear."""
        spellings = self.project.spellings((name,))
        readers: list[tuple[Module, int]] = []
        for module in self.project.callers.mentioning(spellings):
            if not module.is_test:
                readers += [(module, index) for index in module.scopes_using(spellings)]
                if len(readers) > _WORTH * functions:
                    return None
        return frozenset(
            module.path
            for module, index in readers
            if self._may_reach(module, index, hops) and _reaches_into(module, index, spellings, hops)
        )

    def _roots(self, path: str) -> bool:
        module = self.project.modules.get(path)
        heads = (
            f"{fact.module}.{fact.attribute or ''}".split(".")
            for fact in (module.facts.imports if module is not None else ())
            if not fact.level
        )
        return any(head[0] in self.libraries or ".".join(head[:2]) in self.libraries for head in heads)

    def _leak(self, module: Module, index: int) -> Leak | None:
        definition, returns = module.definition(index), _returned(module, index)
        classes = self.project.types.returns(definition)
        if classes:
            library = self.library(classes) if len(classes) == 1 and not _makes(classes[0]) else None
            return Leak(definition, library, returns[-1]) if library is not None else None
        reader = ClientReader(self, module, index)
        for stmt in returns:
            library = self._object(reader, module, index, stmt.value) if stmt.value is not None else None
            if library is not None:
                return Leak(definition, library, stmt)
        return None

    def _object(self, reader: ClientReader, module: Module, index: int, value: Expr, depth: int = 4) -> str | None:
        """The library an expression is an object of, clients left out."""
        if isinstance(value, Wait) and value.value is not None:
            value = value.value
        if isinstance(value, Ref) and "." not in value.name and depth:
            origins = self.project.flow(module.definition(index)).origins(value)
            values = [origin.value for origin in origins if origin.kind == "assign" and not origin.path]
            if len(values) != len(origins) or not values:
                return None
            found = {self._object(reader, module, index, one, depth - 1) for one in values if one is not None}
            return found.pop() if len(found) == 1 else None
        if not isinstance(value, Call):
            return None
        named = reader.called(value)
        if named is not None:
            return None if _makes(named[1]) else named[0]
        if not isinstance(value.function, (Ref, Attribute)):
            return None
        last = value.function.name.rpartition(".")[2]
        before = owner(value.function)
        library = reader.client(before, 5) if before is not None and not _makes(last) else None
        if library is None and self.library(self.project.types.of(module, index, value.function)) == "transformers":
            return "transformers"  # a model that is called gives its output
        return None if library == "transformers" else library

    # Who reaches into it.

    def reaches(self, leak: Leak) -> list[Reach]:
        """The places in other modules that read attributes of attributes of what the function returns."""
        name = leak.definition.scope.name
        spellings = self.project.spellings((leak.definition.name,)) | {name}
        found: list[Reach] = []
        for module in self.project.modules.values():
            if module is leak.definition.module or module.is_test or spellings.isdisjoint(module.mentions):
                continue
            for index in module.scopes_using(spellings):
                found += self._reaches(module, index, leak.definition, spellings)
        return found

    def _reaches(self, module: Module, index: int, target: Definition, spellings: frozenset[str]) -> Iterator[Reach]:
        results = {
            id(site.call): site
            for site in module.call_sites(index)
            if getattr(site.call.function, "name", "").rpartition(".")[2] in spellings
            and any(edge.target.name == target.name for edge in self.project.calls.targets(module, index, site.call))
        }
        if not results:
            return
        variables = {name for site in results.values() for name in _assigned(site)}
        flow = self.project.flow(module.definition(index))
        for stmt in statements(module.body(index)):
            for expr in expressions(stmt, module.facts.scopes):
                for root, hops, node in chains(expr):
                    if isinstance(root, Call) and id(root) in results:
                        yield Reach(module, node, hops)
                    elif isinstance(root, Ref) and root.name in variables:
                        origins = flow.origins(root)
                        if any(origin.value is not None and _of(origin.value) in results for origin in origins):
                            yield Reach(module, node, hops)


def _returned(module: Module, index: int) -> list[Return]:
    """The statements of a function that return something."""
    return [stmt for stmt in statements(module.body(index)) if isinstance(stmt, Return) and stmt.value is not None]


def _reaches_into(module: Module, index: int, spellings: frozenset[str], hops: int) -> bool:
    """Whether a scope reads so deep in what a call of one of these names returns, whatever is called."""
    sites = [
        site
        for site in module.call_sites(index)
        if getattr(site.call.function, "name", "").rpartition(".")[2] in spellings
    ]
    if not sites:
        return False
    calls = {id(site.call) for site in sites}
    variables = {name for site in sites for name in _assigned(site)}
    return any(
        len(way) >= hops and (root.name in variables if isinstance(root, Ref) else id(root) in calls)
        for stmt in statements(module.body(index))
        for expr in expressions(stmt, module.facts.scopes)
        for root, way, _ in chains(expr)
    )


def _makes(name: str) -> bool:
    return name.rpartition(".")[2].lower().endswith(_MAKES) or name.partition(".")[0] in _ARRAYS


def _of(value: Expr) -> int:
    return id(value.value if isinstance(value, Wait) and value.value is not None else value)


def _assigned(site: CallSite) -> Iterator[str]:
    stmt = site.statement
    if isinstance(stmt, Assign) and _of(stmt.value) == id(site.call):
        for target in stmt.targets:
            if isinstance(target, Ref):
                yield target.name


def chains(expr: Expr) -> Iterator[tuple[Expr, tuple[str, ...], Expr]]:
    """The longest chains of attributes and keys in an expression: what they begin at, the hops, the whole.

    Positions count for no hop; of a method call the method's own name counts for none.
    """
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, called = stack.pop()
        hops: list[str] = []
        at = node
        while isinstance(at, (Attribute, Subscript)):
            if isinstance(at, Attribute):
                hops += reversed(at.name.split("."))
            else:
                stack.append((at.index, False))
                if isinstance(at.index, Const) and isinstance(at.index.value, str):
                    hops.append(at.index.value)
            at = at.value
            if isinstance(at, Wait) and at.value is not None:
                at = at.value
        if isinstance(at, Ref):
            head, _, rest = at.name.partition(".")
            hops += reversed(rest.split(".")) if rest else ()
            at = Ref(head, at.line, at.column)
        if hops:
            yield at, tuple(reversed(hops[1:] if called and not isinstance(node, Subscript) else hops)), node
        if isinstance(at, Call):
            stack.append((at.function, True))
            stack += [(arg, False) for arg in at.args]
            stack += [(keyword.value, False) for keyword in at.keywords]
        elif not isinstance(at, Ref):
            stack += [(part, False) for part in children(at)]
