"""Where a configuration object comes from: the calls and parameters that create it, through functions and files.

The answer to one question is all that is reachable backwards from an expression, so it depends on nothing asked
before. What cannot be followed is an ``unknown`` creation, never a guess.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    GLOBAL,
    Attribute,
    Bind,
    Boolean,
    Build,
    Call,
    Conditional,
    Const,
    Expr,
    Ref,
    Starred,
    Subscript,
    Wait,
)
from mldebt.facts.walk import returned_values
from mldebt.project.attributes import Attributes, Binding, self_name
from mldebt.project.callers import given
from mldebt.rule import Analysis

from .option_defaults import default_text

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

CALL, PARAMETER, INSTANCE, NAMED, SELF, VALUE, UNTOLD = (
    "call", "parameter", "instance", "named", "self", "value", "unknown",
)  # fmt: skip

_MOST = 250  # expressions one question may visit
_MOST_CLASSES = 20  # derived classes that are asked for an attribute nobody above them binds
# Library calls that give back what they are given, or a copy that reads the same.
_TRANSPARENT = frozenset(
    """builtins.vars builtins.dict copy.copy copy.deepcopy argparse.Namespace types.SimpleNamespace dataclasses.asdict
    dataclasses.replace omegaconf.OmegaConf.create omegaconf.OmegaConf.to_container omegaconf.OmegaConf.to_object
    easydict.EasyDict munch.Munch munch.munchify addict.Dict box.Box ml_collections.ConfigDict attrdict.AttrDict
    typing.cast types.MappingProxyType""".split()
)
_TRANSPARENT_METHODS = frozenset({"copy", "to_dict", "_asdict", "model_dump", "dict", "asdict", "clone"})
_TRANSPARENT_BASES = frozenset({"builtins.dict", "argparse.Namespace", "types.SimpleNamespace", "collections.UserDict"})
_SECTION_METHODS = frozenset({"get", "pop", "setdefault"})


@dataclass(frozen=True, slots=True)
class Creation:
    """Something a value may be.

    Args:
        kind: CALL (of a library function), PARAMETER (nobody seen calls the function), INSTANCE (of a class), NAMED (a
            library's variable), SELF (the object of a method), VALUE (a display or literal) or UNTOLD.
        name: The linked name of the function, class or variable; for a parameter its own.
        path, scope, line, column: Where it is written.
        section: Keys and attributes taken of it, outside in.
        given: Constant texts handed to the project's own function that makes the call, such as a file's name.
        expr: The creating call.
    """

    kind: str
    name: str
    path: str
    scope: int
    line: int
    column: int
    section: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    expr: Expr | None = field(default=None, compare=False)


class _Step(Struct, frozen=True):
    """An expression to follow. ``taken``: elements still to be unpacked from it, ``section``: keys to be read of it."""

    module: Module
    scope: int
    expr: Expr
    taken: tuple[int | str, ...] = ()
    section: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        expr = self.expr
        at: tuple[object, ...] = (expr.name, expr.line, expr.column) if isinstance(expr, Ref) else (id(expr),)
        return (self.module.path, self.scope, at, self.taken, self.section, self.given)


class Lineage(Analysis):
    """Answers what created the value of an expression."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.callers = project.callers
        self._attributes = Attributes(project)
        self._known: dict[tuple[object, ...], frozenset[Creation]] = {}

    def of(self, module: Module, scope: int, expr: Expr) -> frozenset[Creation]:
        """Everything the value of ``expr``, read in ``scope``, may have been created by."""
        first = _Step(module, scope, expr)
        key = first.key if isinstance(expr, Ref) else ("", *first.key, expr)
        try:
            known = self._known.get(key)
        except TypeError:  # expressions that hold lists have no hash: their question is not remembered
            return self._search(first)
        if known is None:
            known = self._known[key] = self._search(first)
        return known

    def _search(self, first: _Step) -> frozenset[Creation]:
        found: set[Creation] = set()
        seen: dict[tuple[object, ...], _Step] = {first.key: first}
        pending = [first]
        while pending:
            step = pending.pop()
            for one in self._follow(step):
                if isinstance(one, Creation):
                    found.add(one)
                elif one.key not in seen:
                    seen[one.key] = one
                    pending.append(one)
            if len(seen) > _MOST:
                found.add(_creation(step, UNTOLD, "too far"))
                break
        return frozenset(found)

    def _follow(self, step: _Step) -> Iterator[_Step | Creation]:
        expr = step.expr
        if isinstance(expr, Ref):
            yield from self._ref(step, expr)
        elif isinstance(expr, Call):
            yield from self._call(step, expr)
        elif isinstance(expr, Attribute):
            yield replace(step, expr=expr.value, section=(*_sections(expr.name), *step.section))
        elif isinstance(expr, Subscript):
            yield self._subscript(step, expr)
        elif isinstance(expr, Conditional):
            yield from (replace(step, expr=part) for part in (expr.then, expr.orelse))
        elif isinstance(expr, Boolean):
            yield from (replace(step, expr=part) for part in expr.values)
        elif isinstance(expr, (Bind, Wait)) and expr.value is not None:
            yield replace(step, expr=expr.value)
        elif isinstance(expr, Build):
            yield from self._build(step, expr)
        elif isinstance(expr, Const) and expr.value is None:
            return  # "x = None" first, the object later
        else:
            yield _creation(step, VALUE, type(expr).__name__)

    def _subscript(self, step: _Step, expr: Subscript) -> _Step | Creation:
        key = self.project.constants.value(step.module, step.scope, expr.index)
        if isinstance(key, str):
            return replace(step, expr=expr.value, section=(key, *step.section))
        if isinstance(key, int) and not step.section:
            return replace(step, expr=expr.value, taken=(key, *step.taken))
        return _creation(step, UNTOLD, "element")

    def _build(self, step: _Step, expr: Build) -> Iterator[_Step | Creation]:
        if step.taken and expr.kind in ("tuple", "list"):
            index = step.taken[0]
            if isinstance(index, int) and -len(expr.items) <= index < len(expr.items):
                item = expr.items[index]
                if not any(isinstance(one, Starred) for one in expr.items):
                    yield replace(step, expr=item, taken=step.taken[1:])
                    return
        if expr.kind == "dict" and len(expr.items) == 1 and expr.keys[0] is None:
            yield replace(step, expr=expr.items[0])
            return
        yield _creation(step, VALUE, expr.kind)

    # Names.

    def _ref(self, step: _Step, ref: Ref) -> Iterator[_Step | Creation]:
        module, scope = step.module, step.scope
        head, _, rest = ref.name.partition(".")
        bound = binding_scope(module.facts, scope, head)
        local = head in module.facts.scopes[scope].inner
        if bound is None and not local:
            yield from self._linked(step, ref)
            return
        where = scope if local or bound is None else bound
        definition = module.definition(where)
        flow = self.project.flow(definition)
        origins = list(flow.origins(ref)) if where == scope else []
        if where != scope:
            origins = [*(flow.definitions(ref.name) if rest else ()), *flow.definitions(head)]
        if not origins:
            yield _creation(step, UNTOLD, head)
        for origin in origins:
            if origin.kind in ("import", "definition"):
                yield from self._linked(step, ref)
            else:
                yield from self._origin(step, ref, where, origin)
        if bound == 0:
            yield from self._from_global(step, ref, head, rest)

    def _from_global(self, step: _Step, ref: Ref, head: str, rest: str) -> Iterator[_Step | Creation]:
        """What functions assign to a module's variable by ``global``."""
        for index, scope in enumerate(step.module.facts.scopes):
            if index != step.scope and scope.bindings.get(head, 0) & GLOBAL:
                flow = self.project.flow(step.module.definition(index))
                for origin in flow.definitions(head):
                    yield from self._origin(step, ref, index, origin)

    def _origin(self, step: _Step, ref: Ref, where: int, origin: Origin) -> Iterator[_Step | Creation]:
        remainder = ref.name[len(origin.name) + 1 :]
        section = (*_sections(remainder), *step.section)
        if origin.kind == "parameter":
            yield from self._parameter(step, where, origin.name, remainder, section)
        elif origin.kind == "assign" and origin.value is not None:
            taken = (*origin.path, *step.taken)
            yield replace(step, scope=where, expr=origin.value, taken=taken, section=section)
        elif origin.kind == "loop" and isinstance(origin.value, Build) and not origin.path:
            yield from (replace(step, scope=where, expr=item, section=section) for item in origin.value.items)
        elif origin.kind == "context" and isinstance(origin.value, Call) and not origin.path:
            yield replace(step, scope=where, expr=origin.value, section=section)
        else:
            yield _creation(step, UNTOLD, origin.kind)

    def _linked(self, step: _Step, ref: Ref) -> Iterator[_Step | Creation]:
        names = self.project.resolve(step.module, step.scope, ref.name)
        if not names:
            yield _creation(step, UNTOLD, ref.name)
        for name in names:
            path, colon, qualname = name.partition(":")
            module = self.project.modules.get(path)
            if not colon:
                yield _creation(step, NAMED, name)
            elif module is None or self.project.definition(name) is not None:
                yield _creation(step, VALUE, name)
            else:
                yield from self._variable(step, module, qualname)

    def _variable(self, step: _Step, module: Module, qualname: str) -> Iterator[_Step | Creation]:
        head, _, rest = qualname.partition(".")
        owner = self.project.definition(f"{module.path}:{head}")
        if owner is not None and owner.is_class:
            yield from self._attribute(step, owner, rest, step.section)
            return
        flow = self.project.flow(module.definition(0))
        at = Ref(qualname, 0, 0)
        inner = replace(step, module=module, scope=0)
        origins = flow.at_end(head)
        for origin in origins:
            yield from self._origin(inner, at, 0, origin)
        yield from self._from_global(inner, at, head, rest)
        if not origins and not module.facts.scopes[0].bindings.get(head, 0):
            yield _creation(step, UNTOLD, qualname)

    # Parameters and attributes.

    def _parameter(
        self, step: _Step, where: int, name: str, remainder: str, section: tuple[str, ...]
    ) -> Iterator[_Step | Creation]:
        definition = step.module.definition(where)
        if name == self_name(definition):
            yield from self._of_self(step, definition, remainder, section)
            return
        here = Creation(
            PARAMETER,
            name,
            step.module.path,
            where,
            definition.scope.line,
            definition.scope.column,
            section,
            step.given,
        )
        if step.taken:
            yield dataclasses.replace(here, kind=UNTOLD)
            return
        yield here
        sites = self.callers.of(definition)
        if sites is None:
            return
        spellings = self.callers.spellings(definition)
        for site in sites:
            value = given(site, definition, name, spellings)
            if value is UNKNOWN:
                yield dataclasses.replace(here, kind=UNTOLD)
            elif value is not None:
                yield _Step(site.module, site.scope, value, (), section, step.given)
            else:
                default = next(one.default for one in definition.scope.parameters if one.name == name)
                if default is not None:
                    yield _Step(step.module, max(definition.scope.parent, 0), default, (), section, step.given)

    def _of_self(
        self, step: _Step, method: Definition, remainder: str, section: tuple[str, ...]
    ) -> Iterator[_Step | Creation]:
        owner = method.parent
        if owner is None or not remainder:
            name = owner.name if owner is not None else ""
            yield Creation(SELF, name, step.module.path, method.index, method.scope.line, 0, section)
            return
        tail = section[len(_sections(remainder)) :]
        yield from self._attribute(step, owner, remainder, tail)

    def _attribute(
        self, step: _Step, owner: Definition, chain: str, tail: tuple[str, ...]
    ) -> Iterator[_Step | Creation]:
        """What the class, its bases and its subclasses bind to an attribute of their instances."""
        first, _, rest = chain.partition(".")
        section = (*_sections(rest), *tail)
        bound = self._bindings([name for name in self.project.mro(owner.name) if ":" in name], first)
        if not bound:
            derived = self.project.subclasses(owner.name)
            bound = self._bindings([one.name for one in derived[:_MOST_CLASSES]], first)
        found = bool(bound)
        for module, binding in bound:
            if binding.value is not None:
                yield replace(step, module=module, scope=binding.scope, expr=binding.value, section=section)
        yield Creation(
            SELF if found else UNTOLD,
            owner.name,
            owner.module.path,
            owner.index,
            owner.scope.line,
            0,
            (first, *section),
        )

    def _bindings(self, classes: Sequence[str], attribute: str) -> list[tuple[Module, Binding]]:
        definitions = (self.project.definition(name) for name in classes)
        return [
            (definition.module, binding)
            for definition in definitions
            if definition is not None
            for binding in self._attributes.bindings(definition).get(attribute, ())
        ]

    def attribute(self, owner: str, name: str) -> list[tuple[Module, int, Expr]]:
        """What a project class, its bases or subclasses bind to an attribute: module, scope and value of each."""
        definition = self.project.definition(owner) if ":" in owner else None
        if definition is None or not definition.is_class:
            return []
        bound = self._bindings([one for one in self.project.mro(owner) if ":" in one], name)
        return [(module, one.scope, one.value) for module, one in bound if one.value is not None]

    # Calls.

    def _call(self, step: _Step, call: Call) -> Iterator[_Step | Creation]:
        inner = self._transparent(step, call)
        if inner is not None:
            yield inner
            return
        edges = self.project.calls.targets(step.module, step.scope, call)
        targets = [edge.target for edge in edges if edge.confidence != "cha" and edge.target.scope.name != "__init__"]
        names = step.module.names(step.scope, call.function)
        classes = [name for name in names if self._is_class(name)]
        for name in classes:
            yield _creation(step, INSTANCE, name)
            if call.args and not _TRANSPARENT_BASES.isdisjoint(self.project.mro(name)):
                yield replace(step, expr=_unstarred(call.args[0]))
        if classes:
            return
        returning = [target for target in targets if _returns(target)]
        if returning:
            texts = (*step.given, *self._texts(step, call))
            for target in returning:
                for value in returned_values(target.body):
                    yield replace(step, module=target.module, scope=target.index, expr=value, given=texts)
            return
        for name in names or ("",):
            yield _creation(step, CALL, name)

    def _texts(self, step: _Step, call: Call) -> Iterator[str]:
        """The constant texts a call is given, in order: they tell which file a loading function reads."""
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            text = self.project.constants.value(step.module, step.scope, value)
            if isinstance(text, str):
                yield text
            elif isinstance(value, Ref) and (default := default_text(step.module, value)):
                yield default

    def _is_class(self, name: str) -> bool:
        definition = self.project.definition(name) if ":" in name else None
        return definition is not None and definition.is_class

    def _transparent(self, step: _Step, call: Call) -> _Step | None:
        """The step a call is no more than: ``vars(args)``, ``cfg.get("model", {})``, ``getattr(args, "model")``."""
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return None
        head, _, method = function.name.rpartition(".")
        owner: Expr | None = None
        if isinstance(function, Attribute):
            owner = Attribute(function.value, head, 0, 0, 0, 0) if head else function.value
        elif head:
            owner = Ref(head, function.line, function.column)
        first = call.args[0] if call.args else None
        if (
            owner is not None
            and method in _SECTION_METHODS
            and isinstance(first, Const)
            and isinstance(first.value, str)
        ):
            return replace(step, expr=owner, section=(first.value, *step.section))
        if owner is not None and method in _TRANSPARENT_METHODS and not call.args:
            return replace(step, expr=owner)
        if method == "getattr" and owner is None and len(call.args) > 1:
            name = call.args[1]
            if isinstance(name, Const) and isinstance(name.value, str):
                return replace(step, expr=call.args[0], section=(name.value, *step.section))
        value = first if first is not None else next((k.value for k in call.keywords if k.name is None), None)
        if value is None or not _TRANSPARENT.intersection(step.module.names(step.scope, function)):
            return None
        if method == "cast" and len(call.args) > 1:
            value = call.args[1]
        return replace(step, expr=_unstarred(value))


def _sections(chain: str) -> tuple[str, ...]:
    return tuple(part for part in chain.split(".") if part and part != "__dict__")


def _unstarred(expr: Expr) -> Expr:
    return expr.value if isinstance(expr, Starred) else expr


def _creation(step: _Step, kind: str, name: str) -> Creation:
    expr = step.expr
    line, column = getattr(expr, "line", 0), getattr(expr, "column", 0)
    section = step.section if not step.taken else (*(f"[{one}]" for one in step.taken), *step.section)
    call = expr if isinstance(expr, Call) else None
    return Creation(kind, name, step.module.path, step.scope, line, column, section, step.given, call)


def _returns(definition: Definition) -> bool:
    return not definition.scope.generator and bool(returned_values(definition.body))
