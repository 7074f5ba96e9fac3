"""Which classes an expression's value may be an instance of, as far as the text shows it.

Every answer is a function of the question and the steps left for it, and is remembered under both: cycles end by
themselves, and no answer depends on what was asked before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.names import binding_scope, last_segment, unique
from mldebt.facts.schema import (
    CLASS,
    FUNCTION,
    KWARGS,
    PARAMETER,
    VARARGS,
    Annotate,
    Attribute,
    Bind,
    Boolean,
    Call,
    Conditional,
    Const,
    Expr,
    Ref,
    Return,
    Starred,
    Wait,
)
from mldebt.facts.walk import statements
from mldebt.project.annotations import class_chains, is_class_like
from mldebt.project.attributes import Attributes, Binding
from mldebt.project.library import KNOWLEDGE, built_by, library_bases, literal_class
from mldebt.project.receivers import Receivers, is_super

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

Names = tuple[str, ...]

_DEEPEST = 6
# Bases that give their subclasses no methods worth a name.
_TRANSPARENT = frozenset(
    {"builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Protocol"}
)
_SELF = frozenset({"typing.Self", "typing_extensions.Self"})
_NOTHING = frozenset({"typing.Any", "builtins.object", "typing.NoReturn", "typing.Never", "builtins.None"})


class Types:
    """Answers which classes values are instances of, and which names attributes of values stand for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._attributes = Attributes(project)
        self._receivers_of = Receivers()
        self._values: dict[tuple[object, ...], Names] = {}
        self._results: dict[tuple[str, int], Names] = {}

    def of(self, module: Module, scope: int, expr: Expr) -> Names:
        """Class names of the value of ``expr`` as read in ``scope``: all alternatives known, () when none is."""
        return self._of(module, scope, expr, _DEEPEST)

    def returns(self, definition: Definition) -> Names:
        """Class names of what a function returns: its annotation, else what all its returns agree to know."""
        return self._returned(definition, _DEEPEST)

    def attribute(self, classes: Names, name: str) -> Names:
        """Class names of an attribute of instances of ``classes``; ``name`` may be dotted."""
        return self._attribute(classes, name, _DEEPEST)

    def annotated(self, module: Module, scope: int, annotation: Expr | None) -> Names:
        """Class names an annotation in ``scope`` stands for."""
        found: list[str] = []
        for chain in class_chains(annotation):
            for name in self._project.resolve(module, scope, chain):
                if name in _SELF:
                    owner = self._receivers_of.owner(module, scope)
                    found += [owner] if owner else []
                elif name not in _NOTHING and self._is_class(name):
                    found.append(name)
        return unique(found)

    def names(self, module: Module, scope: int, expr: Expr) -> Names:
        """The linked names a Ref or Attribute may stand for, through types where scopes do not tell."""
        return self._names(module, scope, expr, _DEEPEST)

    def members(self, module: Module, scope: int, expr: Expr, attribute: str) -> Names:
        """The linked names of ``expr.attribute`` by the classes ``expr`` may be an instance of."""
        return self._members(module, scope, expr, attribute, _DEEPEST)

    def assigned_names(self, module: Module, scope: int, ref: Ref) -> Names:
        """The linked names of a variable that can only hold named things where it is read: ``draw = random.random``."""
        return self._assigned(module, scope, ref, _DEEPEST)

    def owner_of(self, module: Module, scope: int, name: str) -> str | None:
        """The class around a scope, when ``name`` is the ``self`` or ``cls`` of the method the scope is in."""
        receiver = self._receivers_of.of(module, scope)
        return receiver.owner if receiver is not None and receiver.name == name else None

    def bindings(self, name: str, attribute: str) -> list[tuple[Module, Binding]]:
        """Assignments to an attribute in the first class of the MRO that has any, each with its file."""
        for base in self._project.mro(name):
            definition = self._project.definition(base) if ":" in base else None
            found = self._attributes.bindings(definition).get(attribute) if definition is not None else None
            if found and definition is not None:
                return [(definition.module, binding) for binding in found]
        return []

    def is_a(self, name: str, base: str) -> bool:
        """Whether a class is ``base`` or derived from it, as far as can be seen."""
        return any(one == base or base in library_bases(one) for one in self._project.mro(name) or (name,))

    def _is_class(self, name: str) -> bool:
        if ":" not in name:
            return True
        definition = self._project.definition(name)
        return definition is not None and definition.is_class

    # Values.

    def _of(self, module: Module, scope: int, expr: Expr, depth: int) -> Names:
        if depth <= 0:
            return ()
        if isinstance(expr, Ref):
            key: tuple[object, ...] = (module.path, scope, expr.name, expr.line, expr.column, depth)
        elif isinstance(expr, Call):
            key = (module.path, scope, expr.line, expr.column, expr.end_line, expr.end_column, depth)
        else:
            return self._other(module, scope, expr, depth)
        known = self._values.get(key)
        if known is None:
            found = self._variable(module, scope, expr, depth) if isinstance(expr, Ref) else None
            known = self._values[key] = self._call(module, scope, expr, depth) if found is None else found  # type: ignore[arg-type]
        return known

    def _other(self, module: Module, scope: int, expr: Expr, depth: int) -> Names:
        if isinstance(expr, Attribute):
            return self._attribute(self._of(module, scope, expr.value, depth - 1), expr.name, depth - 1)
        if isinstance(expr, Conditional):
            parts: tuple[Expr, ...] = (expr.then, expr.orelse)
        elif isinstance(expr, Boolean):
            parts = tuple(expr.values)
        elif isinstance(expr, (Bind, Wait)):
            parts = (expr.value,) if expr.value is not None else ()
        else:
            return literal_class(expr)
        return unique(name for part in parts for name in self._of(module, scope, part, depth - 1))

    def _variable(self, module: Module, scope: int, ref: Ref, depth: int) -> Names:
        project = self._project
        head, _, rest = ref.name.partition(".")
        bound = binding_scope(module.facts, scope, head)
        local = head in module.facts.scopes[scope].inner
        if bound is None and not local:
            return self._linked_value(project.resolve(module, scope, ref.name), depth)
        where = scope if local or bound is None else bound
        if not rest and not local and module.facts.scopes[where].bindings.get(head) == PARAMETER:
            return self._parameter(module, where, head)
        flow = project.flow(module.definition(where))
        if where == scope:
            origins = flow.origins(ref)
        else:
            origins = (*(flow.definitions(ref.name) if rest else ()), *flow.definitions(head))
        found: list[str] = []
        for origin in origins:
            if origin.kind in ("import", "definition"):
                found += self._linked_value(project.resolve(module, scope, ref.name), depth)
                continue
            classes = self._origin(module, where, origin, depth)
            remainder = ref.name[len(origin.name) + 1 :]
            found += self._attribute(classes, remainder, depth - 1) if remainder else classes
        return unique(found)

    def _linked_value(self, names: Names, depth: int) -> Names:
        """The value of a variable of some module, or of a class attribute, by linked name."""
        found: list[str] = []
        for name in names:
            path, colon, qualname = name.partition(":")
            module = self._project.modules.get(path)
            if not colon or module is None or not qualname or self._project.definition(name) is not None:
                continue
            head, _, rest = qualname.partition(".")
            while rest and self._project.definition(f"{path}:{head}") is not None:
                more, _, rest = rest.partition(".")
                head = f"{head}.{more}"
            owner, dot, variable = head.rpartition(".")
            if dot:
                classes = self._attribute((f"{path}:{owner}",), variable, depth - 1)
            else:
                flow = self._project.flow(module.definition(0))
                classes = unique(
                    one for origin in flow.definitions(variable) for one in self._origin(module, 0, origin, depth - 1)
                )
            found += self._attribute(classes, rest, depth - 1) if rest else classes
        return unique(found)

    def _origin(self, module: Module, scope: int, origin: Origin, depth: int) -> Names:
        if depth <= 0:
            return ()
        if origin.kind == "parameter":
            return self._parameter(module, scope, origin.name)
        if origin.kind == "assign" and isinstance(origin.statement, Annotate) and not origin.path:
            found = self.annotated(module, scope, origin.statement.annotation)
            if found:
                return found
        if origin.value is None:
            return ()
        if origin.path:
            return self._element(module, scope, origin, depth)
        if origin.kind == "context":
            return self._entered(self._of(module, scope, origin.value, depth - 1), depth)
        return self._of(module, scope, origin.value, depth - 1) if origin.kind == "assign" else ()

    def _element(self, module: Module, scope: int, origin: Origin, depth: int) -> Names:
        """``model, optimizer = accelerator.prepare(model, optimizer)``: each comes back as itself."""
        call, step = origin.value, origin.path[0]
        if origin.kind != "assign" or not isinstance(call, Call) or not isinstance(step, int) or len(origin.path) > 1:
            return ()
        if not 0 <= step < len(call.args) or any(isinstance(arg, Starred) for arg in call.args):
            return ()
        names = self._names(module, scope, call.function, depth - 1)
        if any(KNOWLEDGE.returns.get(name) == "argument" for name in names):
            return self._of(module, scope, call.args[step], depth - 1)
        return ()

    def _parameter(self, module: Module, scope: int, name: str) -> Names:
        facts = module.facts.scopes[scope]
        parameter = next((one for one in facts.parameters if one.name == name), None)
        if parameter is None:
            return ()
        if parameter.kind in (VARARGS, KWARGS):
            return ("builtins.tuple",) if parameter.kind == VARARGS else ("builtins.dict",)
        receiver = self._receivers_of.of(module, scope)
        if receiver is not None and name == receiver.name and module.facts.scopes[facts.parent].kind == CLASS:
            return () if receiver.bound else (receiver.owner,)
        return self.annotated(module, facts.parent, parameter.annotation) if parameter.annotation is not None else ()

    def _entered(self, classes: Names, depth: int) -> Names:
        """What ``with value as x`` gives: what ``__enter__`` returns; a library's returns itself."""
        found: list[str] = []
        for name in classes:
            method = self._project.method(name, "__enter__") if ":" in name else None
            found += self._returned(method, depth - 1) if method is not None else (name,)
        return unique(found)

    # Calls.

    def _call(self, module: Module, scope: int, call: Call, depth: int) -> Names:
        function = call.function
        receivers = self._receivers(module, scope, function, depth)
        method = last_segment(function)
        chained = tuple(one for one in receivers if self._gives_itself(one, method))
        if chained:
            return chained
        built = self._alternative_constructor(module, scope, function, method)
        if built:
            return built
        names = self._names(module, scope, function, depth - 1)
        if not names:
            called = self._of(module, scope, function, depth - 1)
            return unique(one for name in called for one in self._called(name, depth))
        return unique(one for name in names for one in self._result(module, scope, call, name, receivers, depth))

    def _receivers(self, module: Module, scope: int, function: Expr, depth: int) -> Names:
        if isinstance(function, Attribute):
            value, _, _ = function.name.rpartition(".")
            classes = self._of(module, scope, function.value, depth - 1)
            return self._attribute(classes, value, depth - 1) if value else classes
        if isinstance(function, Ref) and "." in function.name:
            return self._of(module, scope, _prefix(function), depth - 1)
        return ()

    def _gives_itself(self, name: str, method: str) -> bool:
        for base, methods in KNOWLEDGE.chaining.items():
            if method in methods and self.is_a(name, base):
                return ":" not in name or self._project.method(name, method) is None
        return False

    def _alternative_constructor(self, module: Module, scope: int, function: Expr, method: str) -> Names:
        """``Net.from_pretrained(...)``, ``Model.load_from_checkpoint(...)`` of a library base: the class itself."""
        if not (method.startswith("from_") or method == "load_from_checkpoint"):
            return ()
        if not isinstance(function, Ref) or "." not in function.name:
            return ()
        found: list[str] = []
        for name in self._project.resolve(module, scope, function.name.rpartition(".")[0]):
            if ":" in name:
                if self._is_class(name) and self._project.method(name, method) is None:
                    found.append(name)
            else:
                built = built_by(name, method)
                found += [built] if built is not None else []
        return tuple(found)

    def _result(self, module: Module, scope: int, call: Call, name: str, receivers: Names, depth: int) -> Names:
        if ":" not in name:
            return self._library_result(module, scope, call, name, depth)
        definition = self._project.definition(name)
        if definition is None:
            return unique(one for value in self._linked_value((name,), depth) for one in self._called(value, depth))
        if definition.is_class:
            return (name,)
        found = self._returned(definition, depth - 1)
        owner = definition.parent
        if owner is not None and owner.is_class and owner.name in found:
            own = tuple(one for one in receivers if owner.name in self._project.mro(one))
            found = unique(one for name in found for one in (own if own and name == owner.name else (name,)))
        return found

    def _library_result(self, module: Module, scope: int, call: Call, name: str, depth: int) -> Names:
        result = KNOWLEDGE.returns.get(name)
        if result == "argument":
            return self._of(module, scope, call.args[0], depth - 1) if call.args else ()
        if result is not None:
            return (result,)
        if not is_class_like(name):
            return ()
        if name in KNOWLEDGE.wrappers.names and call.args:
            return unique((name, *self._of(module, scope, call.args[0], depth - 1)))
        return (name,)

    def _called(self, name: str, depth: int) -> Names:
        """What calling an instance of a project class returns."""
        if ":" not in name:
            return ()
        method = self._project.method(name, self.call_method(name))
        return self._returned(method, depth - 1) if method is not None else ()

    def call_method(self, name: str) -> str:
        """The method that calling an instance of a class ends in."""
        if self.is_a(name, "torch.nn.Module"):
            return "forward"
        for base in self._project.mro(name):
            head = base.partition(".")[0]
            if head in ("keras", "tensorflow") and ".keras." in f".{base}":
                return "call"
            if base.startswith(("flax.", "haiku.")) and base.endswith(".Module"):
                return "__call__"
        return "__call__"

    def _returned(self, definition: Definition, depth: int) -> Names:
        if depth <= 0:
            return ()
        key = (definition.name, depth)
        known = self._results.get(key)
        if known is None:
            known = self._results[key] = self._returns(definition, depth)
        return known

    def _returns(self, definition: Definition, depth: int) -> Names:
        scope = definition.scope
        found = self.annotated(definition.module, scope.parent, scope.returns)
        if found or scope.generator or scope.kind != FUNCTION:
            return () if scope.generator else found
        classes: list[str] = []
        for stmt in statements(definition.body):
            if not isinstance(stmt, Return) or stmt.value is None:
                continue
            if isinstance(stmt.value, Const) and stmt.value.value is None:
                continue
            one = self._of(definition.module, definition.index, stmt.value, depth - 1)
            if not one:
                return ()
            classes += one
        return unique(classes)

    # Attributes and names.

    def _attribute(self, classes: Names, name: str, depth: int) -> Names:
        for part in name.split("."):
            if depth <= 0:
                return ()
            classes = unique(one for cls in classes for one in self._one_attribute(cls, part, depth))
        return classes

    def _one_attribute(self, name: str, attribute: str, depth: int) -> Names:
        for base in self._project.mro(name):
            definition = self._project.definition(base) if ":" in base else None
            if definition is None:
                continue
            member = self._project.definition(f"{base}.{attribute}")
            if member is not None:
                return self._returned(member, depth - 1) if _is_property(member) else ()
            bindings = self._attributes.bindings(definition).get(attribute)
            if bindings:
                return self._bound(definition.module, bindings, depth)
        # ``wrapped.module`` is the model itself; the wrapper and the model are alternatives of one value.
        wraps = attribute == "module" and name not in KNOWLEDGE.wrappers.names
        return (name,) if wraps and self.is_a(name, "torch.nn.Module") else ()

    def _bound(self, module: Module, bindings: list[Binding], depth: int) -> Names:
        for binding in bindings:
            found = self.annotated(module, binding.scope, binding.annotation)
            if found:
                return found
        return unique(
            one
            for binding in bindings
            if binding.value is not None
            for one in self._of(module, binding.scope, binding.value, depth - 1)
        )

    def _names(self, module: Module, scope: int, expr: Expr, depth: int) -> Names:
        if depth <= 0:
            return ()
        if isinstance(expr, Attribute):
            return self._members(module, scope, expr.value, expr.name, depth)
        if not isinstance(expr, Ref):
            return ()
        found = self._project.resolve(module, scope, expr.name)
        if "." not in expr.name:
            return found or self._assigned(module, scope, expr, depth)
        if found and all(":" not in name or self._project.definition(name) is not None for name in found):
            return found
        prefix = _prefix(expr)
        return self._members(module, scope, prefix, expr.name[len(prefix.name) + 1 :], depth) or found

    def _members(self, module: Module, scope: int, value: Expr, attribute: str, depth: int) -> Names:
        if depth <= 0:
            return ()
        owner = self._receivers_of.class_value(module, scope, value)
        if owner is not None:
            mro = self._project.mro(owner)
            return self._member(mro[1:] if is_super(value) else mro, attribute, depth)
        first, _, rest = attribute.partition(".")
        classes = self._of(module, scope, value, depth - 1)
        while rest:
            classes = self._attribute(classes, first, depth - 1)
            first, _, rest = rest.partition(".")
        orders = [self._project.mro(name) or (name,) for name in classes]
        return unique(one for order in orders for one in self._member(order, first, depth))

    def _member(self, mro: Iterable[str], attribute: str, depth: int) -> Names:
        """The linked names of an attribute looked up along an MRO."""
        for base in mro:
            if base == "?":
                return ()
            if ":" not in base:
                if base not in _TRANSPARENT:
                    return (f"{base}.{attribute}",)
                continue
            definition = self._project.definition(base)
            if definition is None:
                continue
            if self._project.definition(f"{base}.{attribute}") is not None:
                return (f"{base}.{attribute}",)
            bindings = self._attributes.bindings(definition).get(attribute)
            if bindings:
                return unique(
                    name
                    for binding in bindings
                    if binding.value is not None
                    for name in self._names(definition.module, binding.scope, binding.value, depth - 1)
                )
        return ()

    def _assigned(self, module: Module, scope: int, ref: Ref, depth: int) -> Names:
        head = ref.name.partition(".")[0]
        bound = binding_scope(module.facts, scope, head)
        if depth <= 0 or head != ref.name or (bound is None and head not in module.facts.scopes[scope].inner):
            return ()
        where = scope if bound is None else bound
        flow = self._project.flow(module.definition(where))
        found: list[str] = []
        for origin in flow.origins(ref) if where == scope else flow.definitions(head):
            if origin.kind != "assign" or origin.path or not isinstance(origin.value, (Ref, Attribute, Conditional)):
                return ()
            value = origin.value
            for part in (value.then, value.orelse) if isinstance(value, Conditional) else (value,):
                names = self._names(module, where, part, depth - 1)
                if not names:
                    return ()
                found += names
        return unique(found)


def _prefix(ref: Ref) -> Ref:
    """``a.b`` of ``a.b.c``."""
    return Ref(ref.name.rpartition(".")[0], ref.line, ref.column)


def _is_property(definition: Definition) -> bool:
    last = [one.name.rpartition(".")[2] for one in definition.scope.decorators if isinstance(one, Ref)]
    return any(name in ("property", "cached_property", "lazy_property") for name in last)
