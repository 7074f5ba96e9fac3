"""Whether a value handed on as ``random_state`` is None for sure: through variables, attributes and all callers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    FUNCTION,
    KWARGS,
    PARAMETER,
    VARARGS,
    Attribute,
    Boolean,
    Call,
    Conditional,
    Const,
    Expr,
    Ref,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.project.attributes import Attributes
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DEEPEST = 6
# Decorators that leave the arguments to the caller; any other (click, hydra, prefect ...) may fill them.
_PLAIN = frozenset(
    "staticmethod classmethod property cached_property contextmanager lru_cache cache wraps overload abstractmethod "
    "dataclass no_grad inference_mode override final njit jit timer timeit".split()
)


class GivenSeeds(Analysis):
    """``project[GivenSeeds].is_nothing(module, scope, value)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.callers = project.callers
        self._attributes = Attributes(project)
        self._parameters: dict[tuple[str, int, str], bool] = {}

    def is_nothing(self, module: Module, scope: int, value: Expr, depth: int = _DEEPEST) -> bool:
        """Whether ``value``, read in ``scope``, is None whoever runs it; False when that cannot be told."""
        if isinstance(value, Const):
            return value.value is None
        if depth <= 0:
            return False
        if isinstance(value, Conditional):
            return all(self.is_nothing(module, scope, one, depth - 1) for one in (value.then, value.orelse))
        if isinstance(value, Boolean):
            return value.op == "or" and all(self.is_nothing(module, scope, one, depth - 1) for one in value.values)
        if not isinstance(value, Ref):
            return False
        constant = module.constant(scope, value)
        if constant is not UNKNOWN:
            return constant is None
        return self._is_nothing_named(module, scope, value, depth)

    def callers_of(self, definition: Definition) -> Iterator[Site]:
        """The calls outside tests that run a function."""
        for site in self.callers.of(definition) or ():
            if not site.module.is_test:
                yield site

    def asked(self, module: Module, scope: int, value: Expr) -> Iterator[Site]:
        """The calls that leave a parameter None which ``value`` hands on."""
        if isinstance(value, Ref) and "." not in value.name:
            bound = binding_scope(module.facts, scope, value.name)
            if bound is not None and module.facts.scopes[bound].bindings.get(value.name, 0) & PARAMETER:
                yield from self.callers_of(module.definition(bound))

    def _is_nothing_named(self, module: Module, scope: int, ref: Ref, depth: int) -> bool:
        head, dot, attribute = ref.name.partition(".")
        if dot:
            owner = self.project.types.owner_of(module, scope, head)
            return owner is not None and "." not in attribute and self._is_nothing_kept(owner, attribute, depth)
        bound = binding_scope(module.facts, scope, head)
        if bound is None or module.facts.scopes[bound].kind != FUNCTION or head in module.facts.scopes[scope].inner:
            return False
        definition = module.definition(bound)
        flow = self.project.flow(definition)
        origins = flow.origins(ref) if bound == scope else flow.definitions(head)
        for origin in origins:
            if origin.kind == "parameter":
                if not self._is_nothing_passed(definition, head, depth):
                    return False
                continue
            value = origin.value if origin.kind == "assign" and not origin.path else None
            if value is None or not self.is_nothing(module, bound, value, depth - 1):
                return False
        return bool(origins)

    def _is_nothing_kept(self, owner: str, attribute: str, depth: int) -> bool:
        """An attribute of ``self``: all that the first class in the MRO binds it to."""
        for base in self.project.mro(owner):
            definition = self.project.definition(base) if ":" in base else None
            if definition is None:
                return False
            bindings = self._attributes.bindings(definition).get(attribute, ())
            if bindings:
                return all(
                    one.value is not None and self.is_nothing(definition.module, one.scope, one.value, depth - 1)
                    for one in bindings
                )
        return False

    def _is_nothing_passed(self, definition: Definition, name: str, depth: int) -> bool:
        """A parameter: None by default, and given by none of the callers, all of whom are known."""
        key = (definition.module.path, definition.index, name)
        if key not in self._parameters:
            self._parameters[key] = False  # what recursion hands to itself decides nothing
            self._parameters[key] = self._no_caller_gives(definition, name, depth)
        return self._parameters[key]

    def _no_caller_gives(self, definition: Definition, name: str, depth: int) -> bool:
        scope = definition.scope
        declared = next(one for one in scope.parameters if one.name == name)
        if declared.kind in (VARARGS, KWARGS) or not _is_plain(definition) or self._is_open(definition):
            return False
        default = declared.default
        if default is not None and not self.is_nothing(definition.module, scope.parent, default, depth - 1):
            return False
        spellings = self.callers.spellings(definition)
        sites = list(self.callers_of(definition))
        for site in sites:
            value = given(site, definition, name, spellings)
            if value is UNKNOWN or (value is None and default is None):
                return False
            if value is not None and not self.is_nothing(site.module, site.scope, value, depth - 1):
                return False
        return bool(sites) and not self._escapes(definition, spellings)

    def _is_open(self, definition: Definition) -> bool:
        """Whether somebody not shown here may call it: it is a library's public function, or found by a scan."""
        path = definition.module.path
        if path in self.project.imports.scanned:
            return True
        if not self.project.library or any(
            part.startswith("_") for part in definition.qualname.split(".") if part != "__init__"
        ):
            return False
        return any(not directory or path.startswith(f"{directory}/") for directory in self.project.repository.packages)

    def _escapes(self, definition: Definition, spellings: frozenset[str]) -> bool:
        """Whether the function is handed to somebody who may call it with anything."""
        parent = definition.parent
        names = {definition.name} | ({parent.name} if parent is not None and parent.is_class else set())
        if definition.scope.name != "__init__" and parent is not None and parent.is_class:
            names = {definition.name}
        for module in self.project.modules.values():
            for index in module.scopes_using(spellings) if not module.is_test else ():
                for stmt in statements(module.body(index)):
                    called: set[int] = set()
                    for expr in expressions(stmt, module.facts.scopes):
                        nodes = walk(expr)
                        called.update(id(node.function) for node in nodes if isinstance(node, Call))
                        for node in nodes:
                            if isinstance(node, (Ref, Attribute)) and id(node) not in called:
                                last = node.name.rpartition(".")[2]
                                if last in spellings and names.intersection(module.names(index, node)):
                                    return True
        return False


def _is_plain(definition: Definition) -> bool:
    names = [one.function if isinstance(one, Call) else one for one in definition.scope.decorators]
    return all(isinstance(name, Ref) and name.name.rpartition(".")[2] in _PLAIN for name in names)
