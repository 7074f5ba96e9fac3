"""Path expressions folded: what is constant stays, parameters become slots, what is unknown becomes ``*``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import (
    ASSIGNED,
    FUNCTION,
    Attribute,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Conditional,
    Const,
    Expr,
    Format,
    Ref,
    Return,
    Subscript,
)
from mldebt.facts.walk import statements
from mldebt.rule import Analysis

from .configured import Configured
from .path_calls import PathCalls
from .patterns import (
    ROOT,
    UNKNOWN_TEXT,
    Slot,
    Text,
    combined,
    concatenated,
    distinct,
    joined,
    last_part,
    parent,
    stem,
    text,
)

if TYPE_CHECKING:
    from mldebt.facts.graph import Origin
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

DEEPEST = 14
_MOST_RETURNS = 4
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+ #0-9.]*([a-zA-Z%])")
_ATTRIBUTES = frozenset({"parent", "name", "stem", "parents"})
_NAMESPACES = frozenset(
    {"types.SimpleNamespace", "argparse.Namespace", "easydict.EasyDict", "munch.Munch", "box.Box", "addict.Dict"}
)
Texts = tuple[Text, ...]
_UNKNOWN: Texts = (UNKNOWN_TEXT,)


class Paths(Analysis):
    """Answers what text an expression is, as far as the project tells."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._calls = PathCalls(self)
        self._configured = project[Configured]
        self._variables: dict[tuple[str, str], Texts] = {}

    def texts(self, module: Module, scope: int, expr: Expr, depth: int = DEEPEST) -> Texts:
        """The alternatives for the value of ``expr`` read in ``scope``; never empty."""
        if depth <= 0:
            return _UNKNOWN
        if isinstance(expr, Const):
            return _UNKNOWN if expr.value is None else (text(str(expr.value)),)
        if isinstance(expr, Ref):
            return self._ref(module, scope, expr, depth)
        if isinstance(expr, Call):
            return self._calls.texts(module, scope, expr, depth) or self._option(module, scope, expr)
        return self._other(module, scope, expr, depth)

    def _other(self, module: Module, scope: int, expr: Expr, depth: int) -> Texts:
        if isinstance(expr, Format):
            return combined(concatenated, [self.texts(module, scope, part, depth - 1) for part in expr.parts])
        if isinstance(expr, Binary):
            return self._binary(module, scope, expr, depth)
        if isinstance(expr, Conditional):
            return self._any(module, scope, (expr.then, expr.orelse), depth)
        if isinstance(expr, Boolean):
            return self._any(module, scope, expr.values, depth)
        if isinstance(expr, Bind):
            return self.texts(module, scope, expr.value, depth - 1)
        if isinstance(expr, Attribute):
            return self._attributes(module, scope, expr, depth)
        if isinstance(expr, Subscript):
            return self._subscript(module, scope, expr, depth)
        return _UNKNOWN

    def _any(self, module: Module, scope: int, parts: Iterable[Expr], depth: int) -> Texts:
        """Alternatives; an unknown one beside a known one says nothing against it."""
        found = distinct(one for part in parts for one in self.texts(module, scope, part, depth - 1))
        known = tuple(one for one in found if one != UNKNOWN_TEXT)
        return known or _UNKNOWN

    def _binary(self, module: Module, scope: int, expr: Binary, depth: int) -> Texts:
        if expr.op not in ("+", "/", "%"):
            return _UNKNOWN
        left = self.texts(module, scope, expr.left, depth - 1)
        if expr.op == "%":
            return self._percent(module, scope, left, expr.right, depth)
        right = self.texts(module, scope, expr.right, depth - 1)
        return combined(_slash if expr.op == "/" else concatenated, [left, right])

    def _percent(self, module: Module, scope: int, left: Texts, right: Expr, depth: int) -> Texts:
        values = right.items if isinstance(right, Build) and right.kind == "tuple" else [right]
        if len(left) != 1 or len(left[0]) != 1 or not isinstance(left[0][0], str):
            return _UNKNOWN
        given = [self.texts(module, scope, value, depth - 1) for value in values]
        pieces: list[Texts] = []
        at, count = 0, 0
        for match in _PERCENT.finditer(left[0][0]):
            pieces.append(((left[0][0][at : match.start()],),))
            at = match.end()
            if match[2] == "%":
                pieces.append((("%",),))
            else:
                plain = match[0] in ("%s", "%d") and not match[1] and count < len(given)
                pieces.append(given[count] if plain else _UNKNOWN)
                count += 1
        pieces.append(((left[0][0][at:],),))
        return combined(concatenated, pieces)

    def _attributes(self, module: Module, scope: int, expr: Attribute, depth: int) -> Texts:
        """``Path(__file__).resolve().parent.parent``, ``p.stem``."""
        names = expr.name.split(".")
        if not _ATTRIBUTES.issuperset(names):
            return self._option(module, scope, expr)
        return _taken(self.texts(module, scope, expr.value, depth - 1), names)

    def _subscript(self, module: Module, scope: int, expr: Subscript, depth: int) -> Texts:
        key = module.constant(scope, expr.index)
        value, name = expr.value, getattr(expr.value, "name", "")
        if isinstance(key, int) and name.rpartition(".")[2] == "parents":
            head = name.rpartition(".")[0]
            of: Expr = value.value if isinstance(value, Attribute) else value
            if isinstance(value, Ref):
                of = Ref(head, value.line, value.column)
            paths = self.texts(module, scope, of, depth - 1)
            return distinct(parent(path, key + 1) for path in paths) if 0 <= key < DEEPEST else _UNKNOWN
        if isinstance(value, Call) and isinstance(key, int):
            return self._calls.split(module, scope, value, key, depth)
        if isinstance(key, (str, int)):
            for where, index, display in self._displays(module, scope, value, depth):
                item = _item(display, key)
                if item is not None:
                    return self.texts(where, index, item, depth - 1)
        elif (found := self._any_item(module, scope, value, depth)) is not None:
            return found
        return self._option(module, scope, expr) if isinstance(key, str) else _UNKNOWN

    def _any_item(self, module: Module, scope: int, value: Expr, depth: int) -> Texts | None:
        """``PATHS[split]``: one of the values of a small table."""
        for where, index, display in self._displays(module, scope, value, depth):
            if display.kind == "dict" and 0 < len(display.items) <= 3:
                return self._any(where, index, display.items, depth)
        return None

    def _displays(self, module: Module, scope: int, expr: Expr, depth: int) -> Iterator[tuple[Module, int, Build]]:
        """The dict, list or tuple display an expression is, where that is certain."""
        if isinstance(expr, Build):
            yield module, scope, expr
        elif isinstance(expr, Call):
            if "builtins.dict" in module.names(scope, expr.function) and expr.keywords and not expr.args:
                keys: list[Expr | None] = [Const(one.name) if one.name else None for one in expr.keywords]
                yield module, scope, Build("dict", [one.value for one in expr.keywords], keys)
        elif isinstance(expr, Subscript) and depth > 0:
            key = module.constant(scope, expr.index)
            for where, index, display in self._displays(module, scope, expr.value, depth - 1):
                item = _item(display, key) if isinstance(key, (str, int)) else None
                if item is not None:
                    yield from self._displays(where, index, item, depth - 1)
        elif isinstance(expr, Ref) and depth > 0:
            for where, index, value in self.values(module, scope, expr):
                yield from self._displays(where, index, value, depth - 1)

    def values(self, module: Module, scope: int, ref: Ref) -> list[tuple[Module, int, Expr]]:
        """The expressions a variable may stand for; none when one of them is not an assignment."""
        head = ref.name.partition(".")[0]
        bound = binding_scope(module.facts, scope, head)
        if bound is not None and head == ref.name and module.scope(bound).bindings.get(head, 0) & ASSIGNED:
            flow = self.project.flow(module.definition(bound))
            origins = flow.origins(ref) if bound == scope else flow.definitions(head)
            return [(module, bound, one.value) for one in origins if one.kind == "assign" and one.value is not None]
        names = self.project.resolve(module, scope, ref.name)
        return [found for name in names for found in self._named(name)] if len(names) == 1 else []

    def _named(self, name: str) -> Iterator[tuple[Module, int, Expr]]:
        """What a module's or class's variable is assigned: ``settings.py:DATA``, ``settings.py:Paths.RAW``."""
        path, colon, qualname = name.partition(":")
        module = self.project.modules.get(path)
        owner, _, last = qualname.rpartition(".")
        if module is None or not colon or not last:
            return
        definition = self.project.definition(f"{path}:{owner}") if owner else module.definition(0)
        if definition is None or definition.is_function:
            return
        for origin in self.project.flow(definition).at_end(last):
            if origin.kind == "assign" and origin.value is not None and not origin.path:
                yield module, definition.index, origin.value

    # Names.

    def _ref(self, module: Module, scope: int, ref: Ref, depth: int) -> Texts:
        head, _, rest = ref.name.partition(".")
        if head == "__file__":
            return _taken(((f"{ROOT}/{module.path}",),), rest.split(".")) if rest else ((f"{ROOT}/{module.path}",),)
        local = head in module.facts.scopes[scope].inner
        bound = scope if local else binding_scope(module.facts, scope, head)
        if bound is not None and not rest:
            origins = self._origins(module, scope, bound, ref)
            if not origins and bound == 0:
                origins = self.project.flow(module.definition(0)).definitions(head)
            known = [one for one in origins if one.kind not in ("import", "definition")]
            if known:
                return self._of_origins(module, bound, known, depth)
        if rest:
            found = self._chain(module, scope, ref, rest, depth)
            if found is not None:
                return found
        return self._linked(module, scope, ref, depth) or self._option(module, scope, ref)

    def _origins(self, module: Module, scope: int, bound: int, ref: Ref) -> Sequence[Origin]:
        flow = self.project.flow(module.definition(bound))
        if bound == scope:
            return flow.origins(ref)
        if module.scope(bound).kind == FUNCTION:
            return flow.definitions(ref.name)
        return flow.at_end(ref.name) or flow.definitions(ref.name)

    def _of_origins(self, module: Module, scope: int, origins: Sequence[Origin], depth: int) -> Texts:
        found = [one for origin in origins for one in self._origin(module, scope, origin, depth)]
        known = [one for one in found if one != UNKNOWN_TEXT]
        return distinct(known) if known else _UNKNOWN

    def _origin(self, module: Module, scope: int, origin: Origin, depth: int) -> Texts:
        value = origin.value
        if origin.kind == "parameter":
            if module.scope(scope).kind != FUNCTION or origin.statement is not None:
                return _UNKNOWN
            return ((Slot(module.path, scope, origin.name),),)
        if value is None:
            return _UNKNOWN
        if origin.kind == "assign":
            if not origin.path:
                return self.texts(module, scope, value, depth - 1)
            step = origin.path[0]
            if isinstance(value, Call) and isinstance(step, int) and len(origin.path) == 1:
                return self._calls.split(module, scope, value, step, depth)
            return _UNKNOWN
        if origin.kind == "context" and not origin.path:
            return self._calls.entered(module, scope, value)
        if origin.kind == "loop":
            return self.looped(module, scope, value, origin.path, depth)
        if origin.kind == "augment":
            return _UNKNOWN
        return _UNKNOWN

    def looped(self, module: Module, scope: int, iterable: Expr, path: Sequence[int | str], depth: int) -> Texts:
        """What a loop over a constant display, or over the files of a directory, gives."""
        for where, index, display in self._displays(module, scope, iterable, depth):
            if display.kind == "dict":
                items: list[Expr] = [key for key in display.keys if key is not None]
            else:
                items = display.items
            if path and isinstance(path[0], int) and display.kind != "dict":
                rows = [_item(item, path[0]) for item in items if isinstance(item, Build)]
                items = [row for row in rows if row is not None] if len(path) == 1 else []
            elif path:
                items = []
            return self._any(where, index, items, depth) if items else _UNKNOWN
        if isinstance(iterable, Call):
            return self._calls.listed(module, scope, iterable, path, depth)
        return _UNKNOWN

    def _chain(self, module: Module, scope: int, ref: Ref, rest: str, depth: int) -> Texts | None:
        """``p.parent`` and ``self.path``; None when it is neither."""
        before, _, last = ref.name.rpartition(".")
        owner = self.project.types.owner_of(module, scope, ref.name.partition(".")[0])
        if owner is not None and "." not in rest:
            return self._of_class(owner, rest, depth)
        if last in _ATTRIBUTES and not self.project.resolve(module, scope, ref.name):
            found = self.texts(module, scope, Ref(before, ref.line, ref.column), depth - 1)
            return _taken(found, [last]) if found != _UNKNOWN else None
        flow = self.project.flow(module.definition(scope))
        origins = [one for one in flow.origins(ref) if one.name == ref.name]
        if origins:
            return self._of_origins(module, scope, origins, depth)
        given = self._constructed(module, scope, Ref(before, ref.line, ref.column), last)
        if given is not None:
            return self.texts(*given, depth - 1)
        classes = self.project.types.of(module, scope, Ref(before, ref.line, ref.column))
        own = [name for name in classes if ":" in name]
        return self._of_class(own[0], last, depth) if len(own) == 1 and len(classes) == 1 else None

    def _constructed(self, module: Module, scope: int, ref: Ref, name: str) -> tuple[Module, int, Expr] | None:
        """What an object's only construction gives a keyword: ``SimpleNamespace(out="x")``, ``Config(out="x")``."""
        values = self.values(module, scope, ref) if "." not in ref.name else []
        if len(values) != 1 or not isinstance(values[0][2], Call):
            return None
        where, index, call = values[0]
        assert isinstance(call, Call)
        given = next((one.value for one in call.keywords if one.name == name), None)
        if given is None or not isinstance(call.function, (Ref, Attribute)):
            return None
        names = where.names(index, call.function)
        own = (self.project.definition(one) for one in names if ":" in one)
        is_class = any(one is not None and one.is_class for one in own)
        return (where, index, given) if is_class or _NAMESPACES.intersection(names) else None

    def _of_class(self, owner: str, attribute: str, depth: int) -> Texts | None:
        """What a class binds to an attribute of its instances."""
        found: list[Text] = []
        for name in self.project.mro(owner):
            definition = self.project.definition(name) if ":" in name else None
            if definition is None:
                continue
            for module, binding in self.project.types.bindings(name, attribute):
                if binding.value is not None:
                    found += self.texts(module, binding.scope, binding.value, depth - 1)
            if not found:
                found += self._property(definition, attribute, depth)
            if found:
                known = [one for one in found if one != UNKNOWN_TEXT]
                return distinct(known) if known else _UNKNOWN
        return None

    def _property(self, owner: Definition, attribute: str, depth: int) -> Texts:
        method = self.project.definition(f"{owner.name}.{attribute}")
        if method is None or not method.is_function or not method.scope.decorators:
            return ()
        return self.returned(method, depth)

    def _linked(self, module: Module, scope: int, ref: Ref, depth: int) -> Texts | None:
        names = self.project.resolve(module, scope, ref.name)
        if len(names) != 1 or ":" not in names[0]:
            return None
        found = [
            one for where, index, value in self._named(names[0]) for one in self.texts(where, index, value, depth - 1)
        ]
        if not found:
            return None
        known = [one for one in found if one != UNKNOWN_TEXT]
        return distinct(known) if known else _UNKNOWN

    def returned(self, definition: Definition, depth: int) -> Texts:
        """The texts a function returns, its parameters as slots."""
        values = [one.value for one in statements(definition.body) if isinstance(one, Return) and one.value is not None]
        if not values or len(values) > _MOST_RETURNS:
            return _UNKNOWN
        return self._any(definition.module, definition.index, values, depth)

    def _option(self, module: Module, scope: int, expr: Expr) -> Texts:
        """What a parser, a configuration file or a dataclass gives an option; one value only."""
        found = self._configured.value(module, scope, expr)
        if found is None:
            return _UNKNOWN
        if isinstance(found, str):
            return (text(found),)
        where, index, value = found
        return self.texts(where, index, value, DEEPEST // 2)


def _slash(pair: Sequence[Text]) -> Text:
    return joined(pair[0], pair[1])


def _stem_of(path: Text) -> Text:
    return stem(last_part(path))


_TAKEN: dict[str, Callable[[Text], Text]] = {"parent": parent, "name": last_part, "stem": _stem_of}


def _taken(paths: Texts, names: Sequence[str]) -> Texts:
    found = paths
    for name in names:
        how = _TAKEN.get(name)
        if how is None:
            return _UNKNOWN
        found = distinct(how(path) for path in found)
    return found


def _item(display: Build, key: object) -> Expr | None:
    """The element of a display under a constant key or index."""
    if display.kind == "dict":
        for name, value in zip(display.keys, display.items, strict=True):
            if isinstance(name, Const) and name.value == key:
                return value
        return None
    if isinstance(key, int) and -len(display.items) <= key < len(display.items):
        return display.items[key]
    return None
