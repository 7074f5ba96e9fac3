"""Linked names: what a dotted chain in one file stands for, followed through imports, aliases and re-exports."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import TypeVar

from mldebt.facts.names import binding_scope, unique
from mldebt.facts.schema import (
    ASSIGNED,
    CLASS,
    DEFINED,
    FUNCTION,
    IN_TRY,
    PARAMETER,
    Const,
    Import,
    ModuleFacts,
    Ref,
)
from mldebt.project.classes import Classes
from mldebt.project.links import Links
from mldebt.project.packages import Packages, parent

Names = tuple[str, ...]
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

# Also those newer than the interpreter mldebt runs on.
_NEWER = frozenset({"ExceptionGroup", "BaseExceptionGroup", "PythonFinalizationError"})
_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("__")) | _NEWER | {"__import__"}
_DEEPEST = 60  # re-exports of re-exports; a longer chain is no one's code
_NONE: Names = ()
_BARE_BASES = frozenset({"builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol"})  # bring no members along


class Resolver:
    """Resolves names over all files. Results never depend on the order of questions.

    Args:
        facts: The facts of every readable source, by path.
        packages: Where import names lead.
    """

    def __init__(self, facts: Mapping[str, ModuleFacts], packages: Packages) -> None:
        self.facts, self.packages = facts, packages
        self.classes = Classes(self)
        self._links: dict[str, Links] = {}
        self._definitions: dict[str, tuple[str, int] | None] = {}
        self._resolved: dict[tuple[str, int, str], Names] = {}
        self._linked: dict[tuple[str, int, str], Names] = {}
        self._bound: dict[tuple[str, int, str], Names] = {}
        self._members: dict[tuple[str, str], Names | None] = {}
        self._active: dict[tuple[str, object, str], int] = {}
        self._cut = _DEEPEST  # depth of the outermost question in progress that an answer was cut short for

    @property
    def answering(self) -> bool:
        """Whether a question is in progress, so that what is found may be cut short."""
        return bool(self._active)

    def links(self, path: str) -> Links:
        links = self._links.get(path)
        if links is None:
            links = self._links[path] = Links(self.facts[path])
        return links

    def resolve(self, path: str, scope: int, dotted: str) -> Names:
        """The names a chain read in a scope may stand for: one, several alternatives, or none when unknown."""
        key = (path, scope, dotted)
        names = self._resolved.get(key)
        if names is None:
            names = self._resolve(path, scope, dotted)
            if not self._active:
                self._resolved[key] = names
        return names

    def _resolve(self, path: str, scope: int, dotted: str) -> Names:
        head, _, rest = dotted.partition(".")
        if not head:
            return _NONE
        facts = self.facts[path]
        bound = binding_scope(facts, scope, head)
        if bound is None:
            if head in facts.scopes[scope].inner:
                return _NONE
            bound = -1
        else:
            owner = facts.scopes[bound]
            bits = owner.bindings.get(head, 0)
            if bits & PARAMETER or (bits == ASSIGNED and owner.kind == FUNCTION):  # most names; nothing to link
                return _NONE
        key = (path, bound, dotted)
        names = self._linked.get(key)
        if names is None:
            base = self._free(path, head) if bound < 0 else self.bound(path, bound, head)
            names = tuple(name for name in self.attribute(base, rest) if not name.endswith("/:"))
            if not self._active:
                self._linked[key] = names
        return names

    def definition(self, name: str) -> tuple[str, int] | None:
        """Path and scope index of a project function, class or module."""
        if name in self._definitions:
            return self._definitions[name]
        path, colon, qualname = name.partition(":")
        index = self.links(path).definitions.get(qualname) if colon and path in self.facts else None
        found = self._definitions[name] = None if index is None else (path, index)
        return found

    def attribute(self, names: Names, attributes: str) -> Names:
        """The names of ``name.attributes`` for each alternative."""
        if not attributes:
            return names
        if len(names) == 1 and ":" not in names[0]:
            return (f"{names[0]}.{attributes}",)
        for attribute in attributes.split("."):
            names = unique(found for name in names for found in self._attribute(name, attribute))
        return names

    def _attribute(self, name: str, attribute: str) -> Names:
        path, colon, qualname = name.partition(":")
        if not colon:
            return (f"{name}.{attribute}",)
        if path.endswith("/"):
            target = self.packages.at(path[:-1], (attribute,))
            return (f"{target}:",) if target else _NONE
        if not qualname:
            names = self.member(path, attribute)
            return (f"{path}:{attribute}",) if names is None else names
        found = self.definition(name)
        if found is None:
            return (f"{name}.{attribute}",)
        scope = self.facts[path].scopes[found[1]]
        return self._class_member(name, attribute) if scope.kind == CLASS else _NONE

    def member(self, path: str, name: str) -> Names | None:
        """What a module's attribute stands for; None when the module has none of that name as far as can be seen."""
        key = (path, name)
        if key in self._members:
            return self._members[key]
        return self._guarded(self._members, (path, "member", name), key, lambda: self._member(path, name), None)

    def _member(self, path: str, name: str) -> Names | None:
        links = self.links(path)
        if name in links.facts.scopes[0].bindings or name in links.global_bits:
            return self.bound(path, 0, name) or (f"{path}:{name}",)
        outside = []
        for fact in links.stars:
            target, dotted = self._target(path, fact)
            if target is None:
                outside.append(dotted)
            elif not target.endswith("/") and self.links(target).public(name):
                names = self.member(target, name)
                if names is not None:
                    return names
        if path.endswith(("/__init__.py", "/__init__.pyi")):
            submodule = self.packages.at(parent(path), (name,))
            if submodule:
                return (f"{submodule}:",)
        if len(set(outside)) == 1 and not name.startswith("_") and name not in _BUILTINS:
            return (f"{outside[0]}.{name}",)
        return None

    def _free(self, path: str, head: str) -> Names:
        """A name the file binds nowhere: from a star import, or a builtin."""
        links = self.links(path)
        if head in links.global_bits:
            return self.bound(path, 0, head)
        if links.stars:
            names = self.member(path, head)
            if names is not None:
                return names
        return (f"builtins.{head}",) if head in _BUILTINS else _NONE

    def bound(self, path: str, scope: int, name: str) -> Names:
        """What a name bound in a scope stands for; () for plain variables and parameters."""
        key = (path, scope, name)
        names = self._bound.get(key)
        if names is None:
            names = self._guarded(self._bound, key, key, lambda: self._bindings(path, scope, name), _NONE)
        return names

    def _bindings(self, path: str, scope: int, name: str) -> Names:
        links = self.links(path)
        bits = links.facts.scopes[scope].bindings.get(name, 0)
        if not scope:
            bits |= links.global_bits.get(name, 0)
        if bits & PARAMETER:
            return _NONE
        imports = links.imports.get((scope, name), ())
        aliases: Names = _NONE
        if bits & ASSIGNED:
            guarded = any(fact.guard & IN_TRY for fact in imports)
            known = self._aliases(path, scope, name, guarded or bool(bits & DEFINED))
            if known is None:
                return _NONE
            aliases = known
        found = [target for fact in imports for target in self._imported(path, fact)]
        if bits & DEFINED:
            qualname = links.facts.scopes[scope].qualname
            found.append(f"{path}:{qualname}.{name}" if qualname else f"{path}:{name}")
        return unique([*found, *aliases])

    def _aliases(self, path: str, scope: int, name: str, lenient: bool) -> Names | None:
        """The chains a name is assigned from; None when it is also assigned something else.

        ``None`` and ``False`` are the mark of a missing import and no alternative. ``lenient``: nor is any other
        value, because the name is imported in a ``try`` or is a function wrapped once more.
        """
        links = self.links(path)
        if not lenient and (scope, name) not in links.aliases and (scope, name) not in links.imports:
            return None
        if not scope and links.global_bits.get(name, 0) & ASSIGNED and not lenient:
            return None
        found: list[str] = []
        for value in links.assigned(scope).get(name, (None,)):
            if isinstance(value, Ref) and value.name.partition(".")[0] != name:
                found += self.resolve(path, scope, value.name) or ([] if lenient else [""])
            elif not lenient and not (isinstance(value, Const) and (value.value is None or value.value is False)):
                return None
        return None if "" in found else tuple(found)

    def _imported(self, path: str, fact: Import) -> Names:
        """What one import binds its name to."""
        target, dotted = self._target(path, fact)
        if fact.attribute is None:
            if fact.renamed or "." not in fact.module:
                return (f"{target}:",) if target else (dotted,)
            head = fact.module.partition(".")[0]
            if target:
                return (f"{self.packages.chain(target, fact.module)[0]}:",)
            top = self.packages.find(path, head)
            return (f"{top}:",) if top else (head,)
        if target is None:
            return (f"{dotted}.{fact.attribute}",) if dotted else _NONE
        if target.endswith("/"):
            inner = self.packages.at(target[:-1], (fact.attribute,))
            return (f"{inner}:",) if inner else (f"{dotted}.{fact.attribute}",)
        own = self.packages.at(parent(path), (fact.attribute,)) if target == path else None
        if own is not None:  # ``from . import sub`` in the package itself
            return (f"{own}:",)
        names = self.member(target, fact.attribute)
        if names is None and not fact.level and self.packages.is_third_party(dotted.partition(".")[0]):
            # The project's file of that name is not what is meant: it has no such thing, and a library may.
            return (f"{dotted}.{fact.attribute}",)
        return (f"{target}:{fact.attribute}",) if names is None else names

    def _target(self, path: str, fact: Import) -> tuple[str | None, str]:
        """The module an import names: its target in the project if it has one, and its absolute name."""
        if fact.level:
            target = self.packages.relative(path, fact.level, fact.module)
            return target, self.packages.absolute_name(path, fact.level, fact.module)
        return self.packages.find(path, fact.module), fact.module

    def target(self, path: str, fact: Import) -> str | None:
        if fact.level:
            return self.packages.relative(path, fact.level, fact.module)
        return self.packages.find(path, fact.module)

    def _class_member(self, name: str, attribute: str) -> Names:
        outside = []
        for base in self.classes.mro(name):
            found = self.definition(base)
            if found is None:
                if base not in _BARE_BASES:
                    outside.append(base)
            elif attribute in self.facts[found[0]].scopes[found[1]].bindings:
                return self.bound(*found, attribute) or (f"{base}.{attribute}",)
        return (f"{outside[0]}.{attribute}",) if len(outside) == 1 and outside != ["?"] else _NONE

    def _guarded(
        self,
        cache: dict[KeyT, ValueT],
        active: tuple[str, object, str],
        key: KeyT,
        answer: Callable[[], ValueT],
        cut: ValueT,
    ) -> ValueT:
        """Answer a question that may come back to itself: a repeated question adds nothing to its own answer.

        An answer cut short because an outer question is in progress is not remembered, or it would depend on who
        asked first.
        """
        depth = self._active.get(active, _DEEPEST if len(self._active) < _DEEPEST else 0)
        if depth < _DEEPEST:
            self._cut = min(self._cut, depth)
            return cut
        outer, self._cut = self._cut, _DEEPEST
        depth = self._active[active] = len(self._active)
        try:
            found = answer()
        finally:
            del self._active[active]
            mine, self._cut = self._cut, min(outer, self._cut) if self._cut < depth else outer
        if mine >= depth:
            cache[key] = found
        return found
