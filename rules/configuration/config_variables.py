"""Which variables, attributes and functions hold configuration objects, and who has to look again when one does."""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mldebt.facts.names import binding_scope
from mldebt.facts.schema import CLASS, FUNCTION, Ref
from mldebt.project.attributes import self_name

from .config_objects import NOTHING, Hold, Holds

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project


_MOST_HOLDS = 12  # objects one variable may hold: a function called with more says nothing about any
_MOST_SCOPES = 2500  # places that read an attribute of one name

Work = tuple[str, int]
Reader = tuple[str, int, frozenset[str] | None]  # a scope, and the classes of what it reads


class Variables:
    """Everything that holds a configuration object, and the queue of scopes to look at."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._callers = project.callers
        self._held: dict[Work, dict[str, set[Hold]]] = {}
        self._attributes: dict[str, dict[str, set[Hold]]] = {}
        self._returned: dict[Work, set[Hold]] = {}
        self._returning: set[str] = set()
        self._readers: dict[str, list[Reader]] = {}
        self._holders: dict[tuple[str, tuple[str, ...], int], list[tuple[str, bool]]] = {}
        self._guessed: dict[Hold, Hold] = {}
        self._relations: dict[tuple[str, str], bool] = {}
        self._heads: dict[str, dict[str, list[int]]] = {}
        self.lost: set[Hold] = set()  # what nobody follows any more
        self._queue: deque[Work] = deque()
        self._changed: dict[Work, set[str]] = {}

    # The queue.

    def push(self, path: str, scope: int, *words: str) -> None:
        """What these mean in a scope has changed: its statements that read one have to be looked at again.

        ``args`` is the variable of that name, ``.args`` the attribute of anything.
        """
        changed = self._changed.get((path, scope))
        if changed is None:
            changed = self._changed[(path, scope)] = set()
            self._queue.append((path, scope))
        changed.update(words)

    def push_call(self, path: str, scope: int, spelling: str) -> None:
        """The same for what is called, as a name or as a method."""
        self.push(path, scope, spelling, f".{spelling}")

    def pop(self) -> tuple[str, int, set[str]] | None:
        if not self._queue:
            return None
        work = self._queue.popleft()
        return (*work, self._changed.pop(work))

    # Variables.

    def bind(self, module: Module, scope: int, name: str, holds: Iterable[Hold]) -> None:
        """A variable, as named in ``scope``, may hold these."""
        head = name.partition(".")[0]
        where = self._bound(module, scope, head)
        names = self._held.setdefault((module.path, where), {})
        new = self._added(names.setdefault(name, set()), holds)
        if not new:
            return
        for index in self._scopes_of(module, head):
            if index == where or self._bound(module, index, head) == where:
                self.push(module.path, index, head)
        if where == 0 and "." not in name:
            self._export(module, name, new)

    def _bound(self, module: Module, scope: int, head: str) -> int:
        found = binding_scope(module.facts, scope, head)
        if found is not None:
            return found
        return scope if head in module.facts.scopes[scope].bindings else 0

    def _added(self, held: set[Hold], holds: Iterable[Hold]) -> set[Hold]:
        new = {hold for hold in holds if hold not in held}
        if len(held) + len(new) > _MOST_HOLDS:
            self.lost |= new
            return set()
        held |= new
        return new

    def _scopes_of(self, module: Module, head: str) -> list[int]:
        heads = self._heads.get(module.path)
        if heads is None:
            heads = self._heads[module.path] = {}
            for index, scope in enumerate(module.facts.scopes):
                for one in {chain.partition(".")[0] for chain in scope.uses}:
                    heads.setdefault(one, []).append(index)
        return heads.get(head, [])

    def _export(self, module: Module, name: str, holds: Iterable[Hold]) -> None:
        """Other files that import a module's variable, by itself or through the module."""
        wanted = f"{module.path}:{name}"
        stem = posixpath.basename(module.path.removesuffix("/__init__.py")).removesuffix(".py")
        reaches = self._project.imports.reaches
        for other in self._callers.mentioning((name,)):
            if other is module or not reaches(other, module):
                continue
            through = False
            for one in other.facts.imports:
                through = through or stem == (one.attribute or one.module.rpartition(".")[2])
                if one.attribute in (name, "*"):
                    bound = name if one.bound == "*" else one.bound
                    if wanted in self._project.resolve(other, one.scope, bound):
                        self.bind(other, one.scope, bound, holds)
            for chain, index in self._through_modules(other, name) if through else ():
                if wanted in self._project.resolve(other, index, chain):
                    self.bind(other, index, chain, holds)

    def _through_modules(self, module: Module, name: str) -> Iterator[tuple[str, int]]:
        bound = {one.bound for one in module.facts.imports}
        for index, scope in enumerate(module.facts.scopes):
            found = set()
            for chain in scope.uses:
                before, dot, _ = f"{chain}.".partition(f".{name}.")
                if dot and before.partition(".")[0] in bound:
                    found.add(f"{before}.{name}")
            yield from ((chain, index) for chain in sorted(found))

    def held(self, module: Module, scope: int, chain: str) -> tuple[Holds, str]:
        """What the longest held beginning of a chain holds, and the rest of the chain."""
        head = chain.partition(".")[0]
        names = self._held.get((module.path, self._bound(module, scope, head)))
        if names is not None:
            prefix = chain
            while prefix:
                if prefix in names:
                    return frozenset(names[prefix]), chain[len(prefix) + 1 :]
                prefix = prefix.rpartition(".")[0]
        return NOTHING, ""

    # Attributes.

    def bind_attribute(self, owner: Definition | None, attribute: str, holds: Iterable[Hold]) -> None:
        """Instances of a class, or of one that is not known, hold these in an attribute."""
        by_class = self._attributes.setdefault(attribute, {})
        name = owner.name if owner is not None else ""
        if self._added(by_class.setdefault(name, set()), holds):
            readers = self._readers_of(attribute)
            if len(readers) > _MOST_SCOPES:
                self.lost.update(holds)
                return
            word = f".{attribute}"
            for path, scope, owners in readers:
                if name and owners is not None and not any(self._related(name, one) for one in owners):
                    self.push(path, scope)  # keeps its place in the queue: what comes first decides what is too much
                else:
                    self.push(path, scope, word)

    def _readers_of(self, attribute: str) -> list[Reader]:
        known = self._readers.get(attribute)
        if known is None:
            marked = f".{attribute}."
            known = self._readers[attribute] = [
                (path, index, self._owners(module, index, chains, marked))
                for path, module in self._project.modules.items()
                if attribute in module.mentions
                for index, scope in enumerate(module.facts.scopes)
                if (chains := [chain for chain in scope.uses if marked in f"{chain}."])
            ]
        return known

    def _owners(self, module: Module, scope: int, chains: list[str], marked: str) -> frozenset[str] | None:
        """The classes whose instances a scope reads an attribute of; None where not all receivers are ``self``."""
        found = set()
        for chain in chains:
            receiver, _, rest = f"{chain}.".partition(marked)
            owner = None if marked in f".{rest}" else enclosing_class(module, scope, receiver)
            if owner is None:
                return None
            found.add(owner.name)
        return frozenset(found)

    def through_attributes(self, module: Module, scope: int, ref: Ref) -> Iterator[tuple[Hold, str]]:
        """What a chain reads of instances that hold something: ``self.args.lr``, ``trainer.cfg.model``."""
        parts = ref.name.split(".")
        for at in range(1, len(parts)):
            by_class = self._attributes.get(parts[at])
            if by_class is None:
                continue
            owners = self._classes(module, scope, Ref(".".join(parts[:at]), ref.line, ref.column))
            rest = ".".join(parts[at + 1 :])
            for name, related in self._having(parts[at], by_class, owners):
                for hold in by_class[name]:
                    yield hold if related or not hold.sure else self._guess(hold), rest

    def _having(
        self, attribute: str, by_class: dict[str, set[Hold]], owners: tuple[str, ...]
    ) -> list[tuple[str, bool]]:
        """The classes whose instances hold something in an attribute that one of ``owners`` may be; whether it is."""
        key = (attribute, owners, len(by_class))  # classes are added, never taken away
        found = self._holders.get(key)
        if found is None:
            marked = [(name, bool(name) and any(self._related(name, one) for one in owners)) for name in by_class]
            found = self._holders[key] = [
                (name, related) for name, related in marked if related or not owners or not name
            ]
        return found

    def of_attribute(self, attribute: str) -> Iterator[Hold]:
        """What instances nobody can tell hold in an attribute: ``build().args``."""
        for holds in self._attributes.get(attribute, {}).values():
            yield from map(self._guess, holds)

    def _guess(self, hold: Hold) -> Hold:
        known = self._guessed.get(hold)
        if known is None:
            known = self._guessed[hold] = hold._replace(sure=False)
        return known

    def _classes(self, module: Module, scope: int, receiver: Ref) -> tuple[str, ...]:
        owner = enclosing_class(module, scope, receiver.name)
        return (owner.name,) if owner is not None else self._project.types.of(module, scope, receiver)

    def _related(self, one: str, other: str) -> bool:
        known = self._relations.get((one, other))
        if known is None:
            mro = self._project.mro
            known = self._relations[(one, other)] = one == other or one in mro(other) or other in mro(one)
        return known

    # Functions.

    def returns(self, definition: Definition, holds: Iterable[Hold]) -> None:
        """A function gives these to whoever calls it."""
        key = (definition.module.path, definition.index)
        if not self._added(self._returned.setdefault(key, set()), holds):
            return
        spellings = self._callers.spellings(definition)
        self._returning |= spellings
        sites = self._callers.of(definition)
        if sites is None:
            self.lost.update(holds)
        for site in sites or ():
            for spelling in spellings:
                self.push_call(site.module.path, site.scope, spelling)

    def may_return(self, spelling: str) -> bool:
        return spelling in self._returning

    def returned(self, definition: Definition) -> Iterable[Hold]:
        return self._returned.get((definition.module.path, definition.index), ())


def enclosing_class(module: Module, scope: int, name: str) -> Definition | None:
    """The class whose instance ``name`` is in a method, or in a function inside one."""
    scopes = module.facts.scopes
    index = scope
    while index > 0:
        if scopes[index].kind == FUNCTION:
            definition = module.definition(index)
            if name in scopes[index].bindings:
                parent = scopes[index].parent
                is_self = self_name(definition) == name and parent > 0 and scopes[parent].kind == CLASS
                return module.definition(parent) if is_self else None
        index = scopes[index].parent
    return None
