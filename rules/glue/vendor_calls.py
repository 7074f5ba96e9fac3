"""Calls of libraries that a project had better keep behind one module, through their clients as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Protocol

from msgspec import Struct

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import CLASS, FUNCTION, Annotate, Assign, Attribute, Call, Expr, Ref, Return, Stmt, Wait
from mldebt.facts.walk import statements
from mldebt.module import CallSite, Module
from mldebt.project.definitions import Definition
from mldebt.project.project import Project
from mldebt.rule import Analysis, Row, Table

from .evidence import owner
from .vendors import others, vendor_among

_FARTHEST = 5


class Volatile(Row, frozen=True, kw_only=True):
    """See the head of ``volatile.toml``."""

    kind: str


class VendorCall(Struct, frozen=True):
    """A call of a library: ``what`` is called, without the library's name where a client of it is called."""

    module: Module
    site: CallSite
    library: str
    what: str

    @property
    def shape(self) -> str:
        """The call without its values: ``wandb.log(_, step)``."""
        call = self.site.call
        words = [keyword.name or "**" for keyword in call.keywords]
        return f"{self.what}({', '.join(['_'] * len(call.args) + words)})"


class VendorCalls(Analysis):
    """Answers which calls of the project end in a volatile library."""

    volatile: ClassVar[Table[Volatile]] = Table("volatile.toml", "volatile", Volatile)

    @cached_property
    def by_library(self) -> dict[str, list[VendorCall]]:
        """Calls outside tests, examples and notebooks, by library, in the order of paths."""
        found: dict[str, list[VendorCall]] = {}
        for module in self._modules():
            if not self._knows(module):
                continue
            for scope in range(len(module.facts.scopes)):
                reader = ClientReader(self, module, scope)
                for site in module.call_sites(scope):
                    call = reader.call(site)
                    if call is not None:
                        found.setdefault(call.library, []).append(call)
        return found

    @cached_property
    def libraries(self) -> frozenset[str]:
        return others(self.project.rows(self.volatile), self.project)

    def library(self, names: Sequence[str]) -> str | None:
        """The volatile library that linked names belong to."""
        return vendor_among(names, self.libraries, self.project)

    def _modules(self) -> Iterator[Module]:
        for module in self.project.modules.values():
            other = module.is_test or module.is_example or module.path.endswith(".ipynb")
            if module.role == "project" and not other:
                yield module

    def _imports(self, module: Module) -> bool:
        heads = {(fact.module, fact.attribute or "") for fact in module.facts.imports if not fact.level}
        return any(
            head.partition(".")[0] in self.libraries or ".".join(f"{head}.{attribute}".split(".")[:2]) in self.libraries
            for head, attribute in heads
        )

    def _knows(self, module: Module) -> bool:
        """Whether a file can call one of them: it imports one, or something that may hand out a client."""
        return self._imports(module) or not self._holders.isdisjoint(module.mentions)

    @cached_property
    def _holders(self) -> frozenset[str]:
        """Names of variables that hold clients and of functions and classes that make them."""
        found: set[str] = set()
        for module in filter(self._imports, self._modules()):
            scopes = module.facts.scopes
            for index, scope in enumerate(scopes):
                reader = ClientReader(self, module, index)
                for stmt in statements(module.body(index)):
                    value = getattr(stmt, "value", None)
                    if value is None or not reader.makes(value):
                        continue
                    if index == 0 and isinstance(stmt, (Assign, Annotate)):
                        found.update(_targets(stmt))
                    elif index and scopes[scope.parent].kind == CLASS:
                        found.add(scopes[scope.parent].name)
                    elif index:
                        found.add(scope.name)
        return frozenset(found)


class Libraries(Protocol):
    """Who knows which linked names are of interest."""

    def library(self, names: Sequence[str]) -> str | None: ...


class SelfAttributes(Analysis):
    """Answers what the methods of a class assign to attributes of ``self``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._known: dict[Definition, dict[str, dict[int, list[Expr]]]] = {}

    def stored(self, definition: Definition, attribute: str) -> Iterable[tuple[int, list[Expr]]]:
        """The values by method, as scope indexes, in order."""
        known = self._known.get(definition)
        if known is None:
            known = self._known[definition] = self._read(definition)
        return known.get(attribute, {}).items()

    @staticmethod
    def _read(definition: Definition) -> dict[str, dict[int, list[Expr]]]:
        found: dict[str, dict[int, list[Expr]]] = {}
        module = definition.module
        for index, scope in enumerate(module.facts.scopes):
            if scope.parent != definition.index or scope.kind != FUNCTION:
                continue
            for stmt in statements(module.body(index)):
                if not isinstance(stmt, Assign):
                    continue
                for target in stmt.targets:
                    if isinstance(target, Ref) and target.name.startswith("self."):
                        values = found.setdefault(target.name[5:], {}).setdefault(index, [])
                        if not values or values[-1] is not stmt.value:
                            values.append(stmt.value)
        return found


class ClientReader:
    """Follows the clients of one scope."""

    def __init__(self, known: Libraries, module: Module, scope: int) -> None:
        self._known, self._module, self._scope = known, module, scope
        self._project = module.project

    def makes(self, value: Expr) -> bool:
        """Whether an expression is a call of a library itself."""
        value = value.value if isinstance(value, Wait) and value.value is not None else value
        return isinstance(value, Call) and self.called(value) is not None

    def call(self, site: CallSite) -> VendorCall | None:
        """The vendor call a call site is; None for all others."""
        function = site.call.function
        named = self.called(site.call)
        if named is not None:
            return VendorCall(self._module, site, *named)
        if not isinstance(function, (Ref, Attribute)):
            return None
        before = owner(function)
        library = self.client(before, _FARTHEST) if before is not None else None
        last = function.name if isinstance(function, Attribute) else _after_head(function.name)
        return VendorCall(self._module, site, library, f"client.{last}") if library is not None else None

    def called(self, call: Call) -> tuple[str, str] | None:
        """Library and name of a function that is called by name."""
        if not isinstance(call.function, Ref):
            return None
        names = self._project.resolve(self._module, self._scope, call.function.name)
        library = self._known.library(names)
        return None if library is None else (library, names[0])

    def client(self, expr: Expr, depth: int) -> str | None:
        """The library an object comes from."""
        if depth <= 0:
            return None
        if isinstance(expr, Wait) and expr.value is not None:
            return self.client(expr.value, depth - 1)
        if isinstance(expr, Call):
            named = self.called(expr)
            if named is not None:
                return named[0]
            found = self._returned(expr, depth)
            if found is not None:
                return found
            before = owner(expr.function) if isinstance(expr.function, (Ref, Attribute)) else None
            return self.client(before, depth - 1) if before is not None else None
        if isinstance(expr, Attribute):
            return self.client(expr.value, depth - 1)
        return self._variable(expr, depth) if isinstance(expr, Ref) else None

    def _returned(self, call: Call, depth: int) -> str | None:
        """``get_client()``: what a function of the project returns."""
        names = self._module.names(self._scope, call.function)
        definition = self._project.definition(names[0]) if len(names) == 1 and ":" in names[0] else None
        if definition is None or not definition.is_function:
            return None
        reader = ClientReader(self._known, definition.module, definition.index)
        for stmt in statements(definition.body):
            if isinstance(stmt, Return) and stmt.value is not None:
                found = reader.client(stmt.value, depth - 1)
                if found is not None:
                    return found
        return None

    def _variable(self, ref: Ref, depth: int) -> str | None:
        head, _, rest = ref.name.partition(".")
        types = self._project.types
        me = types.owner_of(self._module, self._scope, head)
        if me is not None and rest:
            return self._attribute(me, rest.partition(".")[0], depth)
        classes = types.of(self._module, self._scope, Ref(head, ref.line, ref.column))
        if classes:
            return self._known.library(classes)
        names = self._project.resolve(self._module, self._scope, ref.name)
        if names:
            return self._known.library(names) or self._elsewhere(names[0], depth)
        bound = binding_scope(self._module.facts, self._scope, head)
        if bound is None:
            return None
        flow = self._project.flow(self._module.definition(bound))
        origins = flow.origins(Ref(head, ref.line, ref.column)) if bound == self._scope else flow.definitions(head)
        reader = self if bound == self._scope else ClientReader(self._known, self._module, bound)
        return reader._first([origin.value for origin in origins if origin.kind in ("assign", "context")], depth)

    def _elsewhere(self, name: str, depth: int) -> str | None:
        """A variable of another module, by its linked name."""
        path, _, variable = name.partition(":")
        module = self._project.modules.get(path)
        if module is None or not variable:
            return None
        definitions = self._project.flow(module.definition(0)).definitions(variable.partition(".")[0])
        values = [origin.value for origin in definitions if origin.kind == "assign"]
        return ClientReader(self._known, module, 0)._first(values, depth)

    def _attribute(self, name: str, attribute: str, depth: int) -> str | None:
        """What ``self.attribute`` holds, by the assignments in the class and its bases."""
        for base in self._project.mro(name):
            definition = self._project.definition(base) if ":" in base else None
            module = definition.module if definition is not None else None
            if definition is None or module is None or attribute not in module.facts.stored:
                continue
            for index, values in self._project[SelfAttributes].stored(definition, attribute):
                found = ClientReader(self._known, module, index)._first(values, depth)
                if found is not None:
                    return found
        return None

    def _first(self, values: Sequence[Expr | None], depth: int) -> str | None:
        found = {self.client(value, depth - 1) for value in values if value is not None}
        return found.pop() if len(found) == 1 else None


def _targets(stmt: Stmt) -> Iterator[str]:
    targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
    for target in targets:
        if isinstance(target, Ref):
            yield target.name


def _after_head(name: str) -> str:
    """``chat.completions.create`` of ``client.chat.completions.create`` and ``self.client.chat.completions.create``."""
    parts = name.split(".")
    return ".".join(parts[2:] if parts[0] in ("self", "cls") and len(parts) > 2 else parts[1:])
