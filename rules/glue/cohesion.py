"""What holds a module together: which of its definitions use each other, and who uses which of them."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import combinations
from pathlib import PurePosixPath

from msgspec import Struct

from mldebt.facts.schema import ASSIGNED, DEFINED, GLOBAL, IMPORTED, MODULE, Assign, Call, Expr, Ref, Scope
from mldebt.facts.walk import walk
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHORTEST_WORD = 3
# Variables every function of a module may use though they have nothing to do with each other.
_NEUTRAL = frozenset({"logging.getLogger", "typing.TypeVar", "typing.ParamSpec", "structlog.get_logger"})
_NEUTRAL_CALLS = frozenset(name.rpartition(".")[2] for name in _NEUTRAL)
# Words that say what is done, not to what.
_VERBS = frozenset(
    """add apply build calc calculate check compute convert count create default draw eval find from get has init load
    log make new parse plot print process read register remove run save set setup show test to update use with write
    safe helper util base func function fn""".split()
)
# Words in a module's name that say nothing of its subject.
_ANYTHING = frozenset(
    """base common core data extra extras func functions general generic helper helpers lib misc model models module ops
    operations other shared stuff tool toolbox tools util utilities utils""".split()
)


class Member(Struct, frozen=True):
    """A function or class at the top of a module.

    Args:
        name: As defined.
        line: Of its ``def`` or ``class``.
        lines: First and last, decorators included.
        needs: Definitions and variables of the module it uses.
        scopes: Its scope and all scopes in it.
    """

    name: str
    line: int
    lines: tuple[int, int]
    needs: frozenset[str]
    scopes: tuple[int, ...]


class Cohesion(Analysis):
    """Answers what the definitions of a module have in common. Each question costs the one module."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._members: dict[str, tuple[Member, ...]] = {}

    def members(self, path: str) -> tuple[Member, ...]:
        """The functions and classes a module defines, each name once."""
        known = self._members.get(path)
        if known is None:
            known = self._members[path] = tuple(_members(self.project.modules[path]))
        return known

    def components(self, path: str) -> tuple[tuple[Member, ...], ...]:
        """Definitions that use each other or a variable of the module in common, together; in source order."""
        members = self.members(path)
        parent = {member.name: member.name for member in members}

        def root(name: str) -> str:
            while parent[name] != name:
                name = parent[name]
            return name

        users: dict[str, str] = {}
        for member in members:
            for need in member.needs:
                other = need if need in parent else users.setdefault(need, member.name)
                parent[root(member.name)] = root(other)
        groups: dict[str, list[Member]] = {}
        for member in members:
            groups.setdefault(root(member.name), []).append(member)
        return tuple(map(tuple, groups.values()))

    def libraries(self, path: str) -> Counter[str]:
        """Third-party libraries the definitions of a module use, with the number of definitions that do."""
        module = self.project.modules[path]
        return Counter(name for member in self.members(path) for name in _libraries(module, member))

    def words(self, path: str) -> list[Counter[str]]:
        """The words the identifiers in each definition of a module are made of."""
        scopes = self.project.modules[path].facts.scopes
        return [
            Counter(word for index in member.scopes for name in _names(scopes[index]) for word in split(name))
            for member in self.members(path)
        ]

    def callers(self, path: str) -> dict[str, frozenset[str]]:
        """Definitions of a module to the folders of the modules that use them; tests and examples do not count."""
        names = {member.name for member in self.members(path)}
        found: dict[str, set[str]] = {}
        for module in self.project.callers.mentioning(names):
            if module.path == path or module.is_test or module.is_example or module.role != "project":
                continue
            folder = str(PurePosixPath(module.path).parent)
            for name in _used(module, path, names):
                found.setdefault(name, set()).add(folder)
        return {name: frozenset(folders) for name, folders in found.items()}

    def theme(self, path: str) -> float:
        """The largest share of a module's definitions that speak of one thing.

        That is a word in their own names (``*_loss`` throughout), or one in the module's name that they use
        (``graph_operations.py``, whose functions all have a graph).
        """
        members = self.members(path)
        shares = Counter(word for member in members for word in set(split(member.name)) - _VERBS)
        subject = set(split(PurePosixPath(path).stem)) - _VERBS - _ANYTHING
        about = sum(not subject.isdisjoint(words) for words in self.words(path))
        return max([about, *shares.values()]) / len(members) if members else 0.0

    def likeness(self, path: str) -> float:
        """How alike the words of a module's definitions are: mean cosine of all pairs, rare words weighing more."""
        vectors = [self._weighed(words) for words in self.words(path)]
        vectors = [vector for vector in vectors if vector]
        pairs = list(combinations(vectors, 2))
        return sum(_dot(one, other) for one, other in pairs) / len(pairs) if pairs else 1.0

    def _weighed(self, words: Mapping[str, int]) -> dict[str, float]:
        weights = {word: count * self._rarity.get(word, 1.0) for word, count in words.items()}
        norm = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / norm for word, weight in weights.items()} if norm else {}

    @cached_property
    def _rarity(self) -> dict[str, float]:
        """Inverse document frequency of words over the project's modules."""
        splits: dict[str, tuple[str, ...]] = {}
        seen: Counter[str] = Counter()
        for module in self.project.modules.values():
            words: set[str] = set()
            for name in module.facts.mentions:
                if name not in splits:
                    splits[name] = tuple(split(name))
                words.update(splits[name])
            seen.update(words)
        total = len(self.project.modules)
        return {word: math.log((1 + total) / (1 + count)) + 1.0 for word, count in seen.items()}


def split(name: str) -> Iterator[str]:
    """The words of an identifier, in lower case; very short ones say nothing."""
    for word in _WORDS.findall(name):
        if len(word) >= _SHORTEST_WORD:
            yield word.lower()


def _dot(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(weight * other[word] for word, weight in one.items() if word in other)


def _members(module: Module) -> Iterator[Member]:
    scopes = module.facts.scopes
    shared = {name for name, bits in scopes[0].bindings.items() if bits & (ASSIGNED | DEFINED)} - _neutral(module)
    done: set[str] = set()
    for index, scope in enumerate(scopes):
        if scope.kind == MODULE or scope.parent != 0 or scope.name in done:
            continue
        done.add(scope.name)
        inside = tuple(_inside(scopes, index))
        heads = [(one, {chain.partition(".")[0] for chain in scopes[one].uses}) for one in inside]
        heads.append((0, {ref.partition(".")[0] for ref in _header(scope)}))
        needs = {head for one, used in heads for head in used & shared if not _is_local(scopes, one, head)}
        needs |= {name for one in inside for name, bits in scopes[one].bindings.items() if bits & GLOBAL}
        yield Member(
            scope.name, scope.line, (scope.first_line, scope.end_line), frozenset(needs - {scope.name}), inside
        )


def _neutral(module: Module) -> set[str]:
    """Module variables that connect nothing: loggers, type variables, dunder names."""
    found = {name for name in module.facts.scopes[0].bindings if name.startswith("__")}
    for stmt in module.body(0):
        if not isinstance(stmt, Assign) or not isinstance(stmt.value, Call):
            continue
        target, function = stmt.targets[0], stmt.value.function
        if not isinstance(function, Ref) or function.name.rpartition(".")[2] not in _NEUTRAL_CALLS:
            continue
        if isinstance(target, Ref) and not _NEUTRAL.isdisjoint(module.project.resolve(module, 0, function.name)):
            found.add(target.name)
    return found


def _inside(scopes: Sequence[Scope], index: int) -> Iterator[int]:
    """A scope and all scopes in it: they are numbered outside in."""
    yield index
    for later in range(index + 1, len(scopes)):
        if scopes[later].parent < index:
            break
        yield later


def _header(scope: Scope) -> Iterator[str]:
    exprs: list[Expr] = [*scope.decorators, *scope.bases, *(keyword.value for keyword in scope.keywords)]
    exprs += [parameter.default for parameter in scope.parameters if parameter.default is not None]
    exprs += [parameter.annotation for parameter in scope.parameters if parameter.annotation is not None]
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Ref):
                yield node.name


def _is_local(scopes: Sequence[Scope], index: int, name: str) -> bool:
    """Whether a name read in a scope is bound on the way out to the module."""
    while index > 0:
        bits = scopes[index].bindings.get(name, 0)
        if bits and not bits & GLOBAL:
            return True
        index = scopes[index].parent
    return False


def _libraries(module: Module, member: Member) -> set[str]:
    """The third-party libraries a definition uses."""
    scopes = module.facts.scopes
    heads = {(index, chain.partition(".")[0]) for index in member.scopes for chain in scopes[index].uses}
    heads |= {(0, ref.partition(".")[0]) for ref in _header(scopes[member.scopes[0]])}
    imported = [
        (scope, head)
        for scope, head in heads
        if (scopes[scope].bindings.get(head, 0) or scopes[0].bindings.get(head, 0)) & IMPORTED
    ]
    names = {
        name for scope, head in imported for name in module.project.resolve(module, scope, head) if ":" not in name
    }
    return {root for root in (name.partition(".")[0] for name in names) if _is_third_party(root, module.project)}


def _is_third_party(root: str, project: Project) -> bool:
    """Neither built in, nor private, nor this project's own (compiled) package."""
    if root in sys.stdlib_module_names or root.startswith("_") or root in ("builtins", "typing_extensions"):
        return False
    return project.module_named(root) is None


def _names(scope: Scope) -> Iterator[str]:
    yield scope.name
    yield from scope.bindings
    for chain in scope.uses:
        yield from chain.split(".")


def _used(module: Module, path: str, names: Set[str]) -> set[str]:
    """Which of these definitions of another module a module uses; importing alone is no use."""
    found: set[str] = set()
    start = f"{path}:"
    renamed = {fact.bound for fact in module.facts.imports if fact.renamed}
    for index, scope in enumerate(module.facts.scopes):
        for chain in scope.uses:
            parts = chain.split(".")
            if parts[0] not in renamed and names.isdisjoint(parts):
                continue
            for name in module.project.resolve(module, index, chain):
                if name.startswith(start):
                    found.add(name[len(start) :].partition(".")[0])
    return found & names
