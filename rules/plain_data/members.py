"""Attributes and elements: ``self.criterion``, ``losses["seg"]``, ``logits, features = model(x)``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import Assign, Attribute, Augment, Build, Call, Const, Delete, Expr, Ref, Starred, Subscript
from mldebt.facts.walk import statements
from mldebt.project.annotations import is_class_like
from mldebt.project.attributes import Binding, self_name

from .mentions import Mentions
from .values import (
    UNKNOWN,
    Constant,
    Context,
    Display,
    Frame,
    Instance,
    Member,
    Method,
    Named,
    Super,
    Tensor,
    Value,
    Values,
    Where,
)

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

    from .evaluation import Evaluation

_PROPERTIES = frozenset({"property", "cached_property"})
_MOST_FILES = 200  # of an attribute named in more nobody can say what it holds
_ADD_ARGUMENT = frozenset({"add_argument"})
_CONTAINERS = frozenset({"torch.nn.ModuleDict", "torch.nn.ModuleList", "torch.nn.Sequential", "builtins.dict"})


class Members:
    """Looks up attributes and elements for one ``Evaluation``."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._project = evaluation.project
        self._contexts: dict[tuple[int, int], tuple[Instance, Context, Context]] = {}
        self._foreign: dict[str, list[tuple[str, ...]]] = {}
        self._targets: dict[tuple[str, int], tuple[Ref, ...]] = {}

    # Attributes.

    def of_all(self, values: Iterable[Value], dotted: str, depth: int) -> Values:
        """A chain of attributes of each alternative."""
        found = tuple(values)
        for name in dotted.split("."):
            if depth <= 0:
                return UNKNOWN
            found = tuple(one for value in found for one in self._of(value, name, depth - 1))
        return found

    def _of(self, value: Value, name: str, depth: int) -> Values:
        if isinstance(value, Named):
            if ":" not in value.name:
                return (Named(f"{value.name}.{name}"),)
            return self._of_named(value.name, name, depth)
        if isinstance(value, Instance):
            if ":" in value.name:
                return self._of_instance(value, name, self._project.mro(value.name), depth)
            if value.name == "argparse.Namespace" and value.where is not None:
                return self._option(value.where, name, depth)
            return (value,) if name == "module" else (Member(value, name),)
        if isinstance(value, Super):
            mro = self._project.mro(value.instance.name)
            after = mro[mro.index(value.owner) + 1 :] if value.owner in mro else ()
            for base in after:
                definition = self._project.definition(f"{base}.{name}") if ":" in base else None
                if definition is not None:
                    return (Method(value.instance, definition),)
        if self._evaluation.measuring:
            return self._evaluation.measures.attribute(value, name) or (Member(value, name),)
        return (Member(value, name),)

    def _of_named(self, owner: str, name: str, depth: int) -> Values:
        definition = self._project.definition(owner)
        if definition is None or not definition.is_class:
            member = f"{owner}{'' if owner.endswith(':') else '.'}{name}"
            return (
                self._evaluation.linked((member,), depth)
                if definition is not None and definition.is_module
                else UNKNOWN
            )
        for base in self._project.mro(owner):
            if ":" not in base or (cls := self._project.definition(base)) is None:
                break
            if self._project.definition(f"{base}.{name}") is not None:
                return (Named(f"{base}.{name}"),)
            bindings = self._evaluation.attributes.bindings(cls).get(name, ())
            own = [one for one in bindings if one.scope == cls.index and one.value is not None]
            if own:
                where = Where(cls.module, cls.index, self._evaluation.nowhere)
                return tuple(
                    v for one in own if one.value is not None for v in self._evaluation.of(where, one.value, depth)
                )
        return (Member(Named(owner), name),)

    def _of_instance(self, instance: Instance, name: str, mro: tuple[str, ...], depth: int) -> Values:
        for base in mro:
            cls = self._project.definition(base) if ":" in base else None
            if cls is None:
                continue
            member = self._project.definition(f"{base}.{name}")
            if member is not None and member.is_function:
                if any(
                    isinstance(one, Ref) and one.name.rpartition(".")[2] in _PROPERTIES
                    for one in member.scope.decorators
                ):
                    context = self.within(instance, self._home(instance))
                    return self._evaluation.returned(member, None, context, depth)
                return (Method(instance, member),)
            found = self._bound(instance, cls, name, depth)
            if found:
                useful = any(value is not None for value in found)
                return (*found, None) if useful and self._assigned_elsewhere(name, mro) else found
        return self._given(instance, name, depth) or (Member(instance, name),)

    def _bound(self, instance: Instance, cls: Definition, name: str, depth: int) -> Values:
        bindings = self._evaluation.attributes.bindings(cls).get(name, ())
        values: list[Value] = []
        for binding in bindings:
            if binding.scope == cls.index and (given := self._given(instance, name, depth)):
                return given  # a dataclass field, set where the instance is made
            if binding.value is None:
                if binding.scope != cls.index:
                    values.append(None)
                continue
            if len(bindings) > 1 and isinstance(binding.value, Const) and binding.value.value is None:
                continue  # declared empty, filled elsewhere
            context = self.within(instance, self._home(instance))
            found = self._evaluation.of(Where(cls.module, binding.scope, context), binding.value, depth)
            values += [_placed(one, cls.module, binding) for one in found]
        return tuple(values)

    def _home(self, instance: Instance) -> Context:
        return instance.where.context if instance.where is not None else self._evaluation.current

    def _given(self, instance: Instance, name: str, depth: int) -> Values:
        """A keyword of that name where the instance was made, if its class has no constructor of its own."""
        if instance.call is None or instance.where is None:
            return ()
        if ":" in instance.name and self._project.method(instance.name, "__init__") is not None:
            return ()
        found = argument(instance.call, name)
        if found is NOT_KNOWN:
            return UNKNOWN
        return () if found is None else self._evaluation.of(instance.where, found, depth)

    def within(self, instance: Instance, context: Context) -> Context:
        """The context of an instance's methods: who ``self`` is, and with which arguments it was made."""
        key = (id(instance), id(context))
        known = self._contexts.get(key)
        if known is not None:
            return known[2]
        mro = [base for base in self._project.mro(instance.name) if ":" in base]
        frames = dict(context.frames)
        frame = None
        if instance.call is not None and instance.where is not None:
            where = instance.where
            frame = Frame(instance.call, where.module, where.scope, where.context, 1)
        result = Context(frames, {**context.selves, **dict.fromkeys(mro, instance)}, context.base)
        for base in mro:
            definition = self._project.definition(f"{base}.__init__")
            if definition is None:
                continue
            if frame is not None:
                frames[definition.name] = frame
            frame = _super_init(definition, result)
        self._contexts[key] = (instance, context, result)
        return result

    def _assigned_elsewhere(self, name: str, mro: tuple[str, ...]) -> bool:
        """Whether somebody else assigns to the attribute, or to an element of it: ``model.head = nn.Identity()``."""
        if name not in self._foreign:
            common = len(self._project[Mentions].modules((name,))) > _MOST_FILES
            self._foreign[name] = [()] if common else list(self._stores(name))
        return any(not owners or not set(owners).isdisjoint(mro) for owners in self._foreign[name])

    def _stores(self, name: str) -> Iterable[tuple[str, ...]]:
        """The classes of ``x`` in each ``x.name = ...`` outside the methods of its own class; () for an unknown one."""
        ending = f".{name}"
        for module, index in self._project[Mentions].scopes(frozenset({name})):
            if not any(chain.endswith(ending) for chain in module.facts.scopes[index].uses):
                continue
            receiver = self_name(module.definition(index)) if index else None
            for target in self._targets_in(module, index):
                head, _, last = target.name.rpartition(".")
                if last == name and head != receiver:
                    yield self._project.types.of(module, index, Ref(head, target.line, target.column))

    def _targets_in(self, module: Module, index: int) -> tuple[Ref, ...]:
        """The attributes a scope assigns to, or to elements of."""
        key = (module.path, index)
        if key not in self._targets:
            self._targets[key] = tuple(one for stmt in statements(module.body(index)) for one in _stored(stmt))
        return self._targets[key]

    def _option(self, where: Where, name: str, depth: int) -> Values:
        """The default of the only command-line option of that name the parsing file can see; others are unknown."""
        if self._assigned_elsewhere(name, ("argparse.Namespace",)):
            return UNKNOWN
        found = [
            (Where(module, index, where.context), site.call)
            for module, index in self._project[Mentions].scopes(_ADD_ARGUMENT)
            if module is where.module or self._project.imports.reaches(where.module, module)
            for site in module.call_sites(index)
            if _declares(site.call, name)
        ]
        if len(found) != 1:
            return UNKNOWN
        home, call = found[0]
        default = argument(call, "default")
        if default is None or default is NOT_KNOWN:
            return UNKNOWN
        values = self._evaluation.of(home, default, depth)
        return tuple(
            Constant(one.value, one.place or home.module.place(call)) if isinstance(one, Constant) else one
            for one in values
        )

    # Elements.

    def item(self, where: Where, expr: Subscript, depth: int) -> Values:
        """``value[index]``: an element of what is written out; a part of a tensor is of the same quantity."""
        bases = self._evaluation.of(where, expr.value, depth)
        keys = self._evaluation.of(where, expr.index, depth) if any(_has_elements(one) for one in bases) else ()
        key = keys[0] if len(keys) == 1 and isinstance(keys[0], Constant) else None
        found: list[Value] = []
        for base in bases:
            if isinstance(base, Tensor):
                found.append(None if isinstance(expr.index, Const) and isinstance(expr.index.value, str) else base)
            elif key is not None and isinstance(key.value, (int, str)):
                found += self.element((base,), key.value, depth)
            else:
                found.append(None)
        return tuple(found)

    def element(self, values: Iterable[Value], step: int | str, depth: int) -> Values:
        """One element of each alternative, by position or key."""
        found: list[Value] = []
        for value in values:
            if isinstance(value, Display):
                found += self._displayed(value, step, depth)
            elif isinstance(value, Instance) and value.name in _CONTAINERS and value.call and value.where:
                found += self._contained(value.call, value.where, step, depth)
            else:
                found.append(None)
        return tuple(found)

    def _contained(self, call: Call, where: Where, step: int | str, depth: int) -> Values:
        if isinstance(step, str):
            for keyword in call.keywords:
                if keyword.name == step:
                    return self._evaluation.of(where, keyword.value, depth)
        if len(call.args) == 1:
            return self.element(self._evaluation.of(where, call.args[0], depth), step, depth)
        if isinstance(step, int) and -len(call.args) <= step < len(call.args):
            return self._evaluation.of(where, call.args[step], depth)
        return UNKNOWN

    def _displayed(self, display: Display, step: int | str, depth: int) -> Values:
        build = display.build
        found = _element(build, step)
        return UNKNOWN if found is None else self._evaluation.of(display.where, found, depth)

    def looked_up(self, where: Where, call: Call, display: Display, depth: int) -> Values:
        """``LOSSES.get("ce")``."""
        keys = self._evaluation.of(where, call.args[0], depth) if call.args else ()
        if len(keys) == 1 and isinstance(keys[0], Constant) and isinstance(keys[0].value, str):
            return self._displayed(display, keys[0].value, depth)
        return UNKNOWN


def _placed(value: Value, module: Module, binding: Binding) -> Value:
    """A constant remembers the statement that binds it on the class or instance."""
    if not isinstance(value, Constant) or value.place is not None:
        return value
    for stmt in statements(module.body(binding.scope)):
        if getattr(stmt, "value", None) is binding.value:
            return Constant(value.value, module.place(stmt))
    return value


def _declares(call: Call, name: str) -> bool:
    """Whether ``add_argument`` declares the option that ends up as ``args.name``."""
    function = call.function
    if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] != "add_argument":
        return False
    dest = argument(call, "dest")
    if isinstance(dest, Const):
        return dest.value == name
    texts = [arg.value for arg in call.args if isinstance(arg, Const) and isinstance(arg.value, str)]
    long = [text for text in texts if text.startswith("--")] or texts
    return bool(long) and long[0].lstrip("-").replace("-", "_") == name


def _element(build: Build, step: int | str) -> Expr | None:
    if build.kind == "dict":
        for key, item in zip(reversed(build.keys), reversed(build.items), strict=True):
            if key is None:
                return None
            if isinstance(key, Const) and key.value == step and type(key.value) is type(step):
                return item
        return None
    if not isinstance(step, int) or any(isinstance(item, Starred) for item in build.items):
        return None
    return build.items[step] if -len(build.items) <= step < len(build.items) else None


def _has_elements(value: Value) -> bool:
    return isinstance(value, Display) or (isinstance(value, Instance) and value.name in _CONTAINERS)


def _stored(stmt: object) -> Iterable[Ref]:
    targets: list[Expr] = []
    if isinstance(stmt, Assign):
        targets = stmt.targets
    elif isinstance(stmt, Augment):
        targets = [stmt.target]
    elif isinstance(stmt, Delete):
        targets = stmt.targets
    for one in targets:
        target = one
        while isinstance(target, Subscript):
            target = target.value
        if isinstance(target, Ref) and "." in target.name:
            yield target
        elif isinstance(target, Build):
            yield from (item for item in target.items if isinstance(item, Ref) and "." in item.name)


def _super_init(definition: Definition, context: Context) -> Frame | None:
    """The call by which a constructor runs its base's."""
    for site in definition.module.call_sites(definition.index):
        function = site.call.function
        if isinstance(function, Attribute) and function.name == "__init__" and isinstance(function.value, Call):
            inner = function.value.function
            if isinstance(inner, Ref) and inner.name == "super":
                return Frame(site.call, definition.module, definition.index, context, 1)
        elif isinstance(function, Ref) and function.name.endswith(".__init__") and is_class_like(function.name[:-9]):
            return Frame(site.call, definition.module, definition.index, context, 0)
    return None
