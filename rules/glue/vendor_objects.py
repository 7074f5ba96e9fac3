"""Functions that hand a library's object on as it is, and how far their callers reach into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar

from msgspec import Struct

from mldebt.facts.schema import (
    FUNCTION,
    Attribute,
    Bind,
    Boolean,
    Build,
    Call,
    Comprehension,
    Conditional,
    Const,
    Do,
    Expr,
    Ref,
    Return,
    Stmt,
    Subscript,
    Wait,
)
from mldebt.facts.walk import statements
from mldebt.module import CallSite, Module
from mldebt.project.definitions import Definition
from mldebt.project.project import Project
from mldebt.rule import Analysis, Table

from .evidence import owner
from .object_reaches import Reach, Reaches, passed
from .vendor_calls import ClientReader, SelfAttributes, Volatile
from .vendors import others, vendor_among

# What gives a client, a session or a connection: callers are to call methods of these.
_MAKES = tuple(
    """client resource session init connect engine login logger pretrained api database db collection tool agent chain
    llm openai model pipeline load index container builder""".split()
)
_NEAR = 20
_FARTHEST = 5
_WORTH = 2  # callers looked at for each function that need not be understood then
# What can be an object of a library, as the types of expressions are told.
_GIVES = frozenset({Ref, Call, Attribute, Subscript, Conditional, Boolean, Bind, Wait, Build, Comprehension})
_NOTHING = frozenset({"__init__", "__post_init__"})  # they return None
_ARRAYS = frozenset({"numpy", "torch", "pandas", "polars", "jax", "tensorflow", "scipy", "pyarrow"})
# What an annotation may say without saying whose object it is.
_HOLDERS = frozenset(
    """builtins.dict builtins.list builtins.tuple typing.Dict typing.List typing.Tuple typing.Mapping typing.Sequence
    typing.Iterable typing.Iterator typing.Generator collections.abc.Mapping collections.abc.Sequence
    collections.abc.Iterable collections.abc.Iterator""".split()
)
# Libraries whose loaded models give their output when they are called.
_CALLED = frozenset({"transformers", "ultralytics"})
_TENSORS = frozenset({"transformers"})  # the elements of their objects are tensors, everybody's


class Leak(Struct, frozen=True):
    """A function that returns an object of ``library``.

    Args:
        returned: The statement that does.
        element: Which element of a returned tuple the object is; None: it is returned alone.
    """

    definition: Definition
    library: str
    returned: Stmt
    element: int | None = None


class VendorObjects(Analysis):
    """Answers which functions leak objects of a library, and who reaches into these."""

    volatile: ClassVar[Table[Volatile]] = Table("volatile.toml", "volatile", Volatile)
    returned: ClassVar[Table[Volatile]] = Table("volatile.toml", "returned", Volatile)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._leaks: dict[str, Leak | None] = {}

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
                near[scope.name] = self._near(scope.name, modules)
            asked = _is_property(module.definition(index))
            if not asked and len(near[scope.name] - {module.path}) < modules:
                continue
            written = self.project.types.annotated(module, scope.parent, scope.returns) if scope.returns else ()
            if written and self.library(written) is None and _HOLDERS.isdisjoint(written):
                continue  # most functions that say what they return: their bodies need not be read
            if any(type(value) in _GIVES for _, value in _returned(module, index)):
                found.append((module, index))
        counts = Counter(module.scope(index).name for module, index in found)
        reached: dict[str, frozenset[str] | None] = {}
        for module, index in found:
            name = module.scope(index).name
            if name not in reached:
                reached[name] = self._reached(name, counts[name], hops)
            paths = reached[name]
            if paths is None or _is_property(module.definition(index)) or len(paths - {module.path}) >= modules:
                leak = self.leak(module.definition(index))
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
                if scope.kind == FUNCTION and scope.name in said:
                    yield module, index

    def _near(self, name: str, modules: int) -> frozenset[str]:
        """Modules that may call functions of a name, one more than asked for at the most."""
        found: set[str] = set()
        spellings = self.project.spellings((name,))
        for module in self.project.callers.mentioning(spellings):
            if not module.is_test and module.scopes_using(spellings):
                found.add(module.path)
                if len(found) > modules:
                    break
        return frozenset(found)

    def _reached(self, name: str, functions: int, hops: int) -> frozenset[str] | None:
        """The modules that by their looks reach into what functions of a name return; None where looking is dear."""
        spellings = self.project.spellings((name,))
        calls: dict[str, dict[int, int | None]] = {}
        readers = 0
        for module in self.project.callers.mentioning(spellings):
            if not module.is_test:
                readers += len(module.scopes_using(spellings))
                if readers > _WORTH * functions:
                    return None
                calls[module.path] = {id(site.call): None for _, site in _spelled(module, spellings)}
        modules = self.project.modules
        return frozenset(
            path
            for path, results in calls.items()
            if results and any(len(reach.hops) >= hops for reach in Reaches(modules[path], results).all())
        )

    def _roots(self, path: str) -> bool:
        module = self.project.modules.get(path)
        heads = (
            f"{fact.module}.{fact.attribute or ''}".split(".")
            for fact in (module.facts.imports if module is not None else ())
            if not fact.level
        )
        return any(head[0] in self.libraries or ".".join(head[:2]) in self.libraries for head in heads)

    def leak(self, definition: Definition) -> Leak | None:
        """What a function of the project leaks."""
        known = self._leaks
        if definition.name not in known:
            known[definition.name] = None  # what calls itself is told by its other returns
            known[definition.name] = self._leak(definition.module, definition.index)
        return known[definition.name]

    def _leak(self, module: Module, index: int) -> Leak | None:
        definition, returns = module.definition(index), _returned(module, index)
        classes = self.project.types.returns(definition)
        if classes and _HOLDERS.isdisjoint(classes):
            library = self.library(classes) if len(classes) == 1 and not _makes(classes[0]) else None
            return Leak(definition, library, returns[-1][0]) if library is not None else None
        reader = ObjectReader(self, module, index)
        for stmt, value in returns:
            parts = value.items if isinstance(value, Build) and value.kind == "tuple" else [value]
            for number, part in enumerate(parts):
                library = reader.library(part)
                if library is not None:
                    return Leak(definition, library, stmt, number if part is not value else None)
        return None

    # Who reaches into it.

    def reaches(self, leak: Leak) -> list[Reach]:
        """The places in other modules that read attributes of attributes of what the function returns."""
        definition, calls = leak.definition, self.project.calls
        spellings = self.project.spellings((definition.name,)) | {definition.scope.name}
        asked = _is_property(definition)
        found: list[Reach] = []
        for module in self.project.modules.values():
            if module is definition.module or module.is_test or spellings.isdisjoint(module.mentions):
                continue
            results = {
                id(site.call): leak.element
                for index, site in _spelled(module, spellings)
                if any(edge.target.name == definition.name for edge in calls.targets(module, index, site.call))
            }
            if results or asked:
                found += Reaches(module, results, definition if asked else None).all()
        if leak.library in _TENSORS:
            return [reach for reach in found if not reach.hops[-1:] or not reach.hops[-1].endswith("()")]
        return found


def _is_property(definition: Definition) -> bool:
    return any(getattr(one, "name", "").endswith("property") for one in definition.scope.decorators)


def _returned(module: Module, index: int) -> list[tuple[Stmt, Expr]]:
    """What a function returns or yields, with the statements that do."""
    generates = module.scope(index).generator
    found: list[tuple[Stmt, Expr]] = []
    for stmt in statements(module.body(index)):
        value = stmt.value if isinstance(stmt, Return) else None
        if generates and isinstance(stmt, Do) and isinstance(stmt.value, Wait) and stmt.value.kind != "await":
            value = stmt.value.value
        if value is not None:
            found.append((stmt, value))
    return found


def _spelled(module: Module, spellings: frozenset[str]) -> Iterator[tuple[int, CallSite]]:
    """The calls of functions that are spelled so."""
    for index in module.scopes_using(spellings):
        for site in module.call_sites(index):
            if getattr(site.call.function, "name", "").rpartition(".")[2] in spellings:
                yield index, site


def _makes(name: str) -> bool:
    return name.rpartition(".")[2].lower().endswith(_MAKES) or name.partition(".")[0] in _ARRAYS


class ObjectReader:
    """Tells which library an expression of one scope is an object of, clients left out."""

    def __init__(self, known: VendorObjects, module: Module, scope: int) -> None:
        self._known, self._module, self._scope = known, module, scope
        self._project = module.project
        self._clients = ClientReader(known, module, scope)

    def library(self, value: Expr, depth: int = _FARTHEST) -> str | None:
        if not depth:
            return None
        if isinstance(value, (Wait, Bind)) and value.value is not None:
            return self.library(value.value, depth)
        if isinstance(value, Conditional):
            return self._one_of([value.then, value.orelse], depth)
        if isinstance(value, Boolean):
            return self.library(value.values[0], depth)
        if isinstance(value, Subscript):
            return self._part(value.value, depth)
        if isinstance(value, (Ref, Attribute)):
            return self._read(value, depth)
        inner = passed(value)
        if inner is not None:
            return self.library(inner, depth - 1)
        return self._called(value, depth) if isinstance(value, Call) else None

    def _part(self, whole: Expr, depth: int) -> str | None:
        """The library of an element or attribute of an object."""
        library = self.library(whole, depth - 1)
        return None if library in _TENSORS else library

    def _one_of(self, values: list[Expr], depth: int) -> str | None:
        """The library all values are objects of, ``None`` left out."""
        found = {
            self.library(value, depth - 1) for value in values if not (isinstance(value, Const) and value.value is None)
        }
        return found.pop() if len(found) == 1 else None

    def _read(self, value: Ref | Attribute, depth: int) -> str | None:
        head, _, rest = value.name.partition(".")
        if isinstance(value, Attribute):
            return self._part(value.value, depth)
        if not rest:
            return self._variable(value, depth)
        if self._project.types.owner_of(self._module, self._scope, head) is not None:
            name, dot, _ = rest.partition(".")
            return None if dot else self._stored(head, name, depth)
        return self._part(Ref(head, value.line, value.column), depth)

    def _variable(self, ref: Ref, depth: int) -> str | None:
        origins = self._project.flow(self._module.definition(self._scope)).origins(ref)
        if any(origin.kind not in ("assign", "loop", "context") for origin in origins):
            return None
        values = [origin.value for origin in origins if all(isinstance(step, int) for step in origin.path)]
        known = [value for value in values if value is not None]
        return self._one_of(known, depth) if known and len(known) == len(origins) else None

    def _stored(self, head: str, attribute: str, depth: int) -> str | None:
        """``self.last``, by what the methods of the class assign to it."""
        name = self._project.types.owner_of(self._module, self._scope, head)
        definition = self._project.definition(name) if name is not None else None
        if definition is None or definition.module is not self._module:
            return None
        found = {
            ObjectReader(self._known, self._module, index).library(value, depth - 1)
            for index, values in self._project[SelfAttributes].stored(definition, attribute)
            for value in values
            if not (isinstance(value, Const) and value.value is None)
        }
        return found.pop() if len(found) == 1 else None

    def _called(self, call: Call, depth: int) -> str | None:
        named = self._clients.called(call)
        if named is not None:
            return None if _makes(named[1]) else named[0]
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return None
        names = self._module.names(self._scope, function)
        if names and ":" in names[0]:
            return self._handed_on(names)
        before = owner(function)
        if before is not None and not _makes(function.name):
            library = self._clients.client(before, 5)
            if library is not None:
                return None if library == "transformers" else library
        library = self._known.library(self._project.types.of(self._module, self._scope, function))
        return library if library in _CALLED else None  # a model that is called gives its output

    def _handed_on(self, names: Sequence[str]) -> str | None:
        """What another function of the project leaks."""
        definition = self._project.definition(names[0]) if len(names) == 1 else None
        leak = self._known.leak(definition) if definition is not None and definition.is_function else None
        return leak.library if leak is not None and leak.element is None else None
