"""Functions and files that are one text but for literals: aligned token by token on top of the clone index (F15)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from mldebt.facts.schema import CLASS, FUNCTION, Scope
from mldebt.module import Module
from mldebt.rule import Analysis

from .clones import Clones, Token, cut, rows
from .philosophy import Philosophy, is_kept_equal, on_purpose
from .skeletons import kinds, outline, skeleton

Candidate = tuple[Module, int]

_FEWEST_LINES = 25
_FEWEST_STATEMENTS = 6
_MOST_LITERALS = 12
_MOST_OTHERS = 2
_MOST_IN_A_GROUP = 100
_CONSTANTS = frozenset({"True", "False", "None"})
_KEYWORDS = frozenset(
    """and as assert async await break class continue def del elif else except finally for from global if import in is
    lambda nonlocal not or pass raise return try while with yield self cls match case""".split()
)


class Unit(Struct, frozen=True):
    """A function (``scope`` above 0) or a file (0), and its tokens without docstrings."""

    module: Module
    scope: int
    tokens: tuple[Token, ...]

    @property
    def lines(self) -> int:
        return len({token.line for token in self.tokens})

    @property
    def name(self) -> str:
        return self.module.scope(self.scope).qualname if self.scope else self.module.path


class Slot(Struct, frozen=True):
    """One literal that differs: what it is called, and its value in each copy."""

    name: str
    values: tuple[str, ...]


class Fork(Struct, frozen=True):
    """Copies of one unit, in the order of files, and the table of what they differ in."""

    units: tuple[Unit, ...]
    slots: tuple[Slot, ...]
    others: tuple[tuple[str, str], ...]


class Forks(Analysis):
    """Answers which functions and files are a configuration written out as copies."""

    @cached_property
    def all(self) -> tuple[Fork, ...]:
        """Forked files first, then forked functions of files that are not forked themselves."""
        if self.project.options.single_file_implementations:
            return ()
        modules = [module for module in self.project.modules.values() if _is_eligible(module)]
        files = self._groups([(module, 0) for module in modules if len(module.facts.scopes) > 0])
        whole = {unit.module.path for fork in files for unit in fork.units}
        functions = self._groups(
            [
                (module, index)
                for module in modules
                if module.path not in whole
                for index, scope in enumerate(module.facts.scopes)
                if _is_function(module, scope)
            ]
        )
        philosophy = Philosophy(self.project)
        found = [
            fork
            for fork in (*files, *functions)
            if not any(on_purpose(unit.module) for unit in fork.units)
            and not philosophy.covers([unit.module.path for unit in fork.units])
        ]
        return tuple(found)

    def _groups(self, candidates: Sequence[tuple[Module, int]]) -> list[Fork]:
        """Forks among units: alike by their facts, then equal but for names and literals, then compared."""
        shapes: dict[tuple[str, ...], list[Unit]] = defaultdict(list)
        for members in _alike(candidates):
            for module, index in members:
                unit = self._unit(module, index)
                if unit.lines >= _FEWEST_LINES:
                    shapes[_shape(unit.tokens)].append(unit)
        found = []
        for left in shapes.values():
            units = left
            while len(units) > 1:
                first, *others = units
                copies = [unit for unit in others if _compare(first, unit) is not None]
                if copies and (fork := _fork((first, *copies))) is not None:
                    found.append(fork)
                units = [unit for unit in others if unit not in copies]
        return sorted(found, key=lambda fork: (fork.units[0].module.path, fork.units[0].scope))

    def _unit(self, module: Module, index: int) -> Unit:
        if index:
            scope = module.scope(index)
            text = "\n".join(module.text_lines[scope.line - 1 : scope.end_line])
            tokens = tuple(cut(text, scope.line))
        else:
            tokens = self.project[Clones].tokens(module.path)
        kept = [row for row in rows(tokens) if not (len(row) == 1 and row[0].plain == "''")]
        return Unit(module, index, tuple(token for row in kept for token in row))


def _is_eligible(module: Module) -> bool:
    return (
        module.role == "project"
        and not module.is_test
        and not module.is_example
        and module.facts.code_lines >= _FEWEST_LINES
        and not module.path.endswith(("__init__.py", "setup.py", ".pyi"))
        and len(module.body(0)) > 0
    )


def _is_function(module: Module, scope: Scope) -> bool:
    parent = module.facts.scopes[scope.parent] if scope.parent >= 0 else None
    is_outer = parent is not None and (scope.parent == 0 or (parent.kind == CLASS and parent.parent == 0))
    long = scope.end_line - scope.line + 1 >= _FEWEST_LINES
    return scope.kind == FUNCTION and is_outer and long


def _alike(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """The candidates that may be copies, as far as facts tell: ever closer looks at ever fewer of them."""
    sizes = _grouped(candidates, outline)
    same = (one for members in sizes for one in members[:_MOST_IN_A_GROUP])
    built: dict[tuple[type, ...], list[Candidate]] = defaultdict(list)
    for module, index in same:
        statements = kinds(module, index)
        # A function of few statements only builds a value: that is where literals belong.
        if not index or len(statements) >= _FEWEST_STATEMENTS:
            built[statements].append((module, index))
    near = [members for members in built.values() if _may_fork(members)]
    return [members for group in near for members in _grouped(group, skeleton) if _may_fork(members)]


def _grouped(candidates: Iterable[Candidate], key: Callable[[Module, int], Hashable]) -> list[list[Candidate]]:
    groups: dict[Hashable, list[Candidate]] = defaultdict(list)
    for module, index in candidates:
        groups[key(module, index)].append((module, index))
    return [members for members in groups.values() if len(members) > 1]


def _may_fork(members: Sequence[Candidate]) -> bool:
    """Whether two of them are no copies that a script keeps equal: one of those in a group excuses all of it."""
    return sum(not is_kept_equal(module) for module, _ in members) > 1


def _shape(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The tokens without names and values."""
    return tuple(_kind(token) for token in tokens)


def _kind(token: Token) -> str:
    if _is_literal(token):
        return "0"
    if token.raw in _KEYWORDS or not token.raw.isidentifier():
        return token.raw
    return "x"


def _is_literal(token: Token) -> bool:
    return token.plain in ("0", "''") or token.raw in _CONSTANTS


def _compare(first: Unit, second: Unit) -> tuple[list[int], tuple[tuple[str, str], ...]] | None:
    """Where literals differ, and which other names do; None when that is nothing or too much."""
    literals: list[int] = []
    others: set[tuple[str, str]] = set()
    for number, (ours, theirs) in enumerate(zip(first.tokens, second.tokens, strict=True)):
        if ours.raw == theirs.raw or (ours.plain == theirs.plain == "''" and _text(ours.raw) == _text(theirs.raw)):
            continue
        if _is_literal(ours) and _is_literal(theirs) and _holes(ours.raw) == _holes(theirs.raw):
            literals.append(number)
        else:
            others.add((ours.raw, theirs.raw))
    rest = {pair for pair in others if not _renamed(pair, others, first, second)}
    distinct = {(first.tokens[at].raw, second.tokens[at].raw) for at in literals}
    if len(rest) > _MOST_OTHERS or not 1 <= len(distinct) <= _MOST_LITERALS:
        return None
    return literals, tuple(sorted(rest))


def _text(raw: str) -> str:
    """A string without its quotes, which say nothing."""
    return raw.replace('"', "'").replace("'''", "'")


def _holes(text: str) -> list[str]:
    """The expressions in an f-string; their text is code, not a value."""
    if text[:2].lower() not in ("f'", 'f"', "rf", "fr"):
        return []
    return [part.partition("}")[0] for part in text.replace("{{", "").split("{")[1:]]


def _renamed(pair: tuple[str, str], others: set[tuple[str, str]], first: Unit, second: Unit) -> bool:
    """Whether a name of the unit itself is called otherwise in the copy, always."""
    ours, theirs = pair
    if sum(one == ours for one, _ in others) > 1 or sum(one == theirs for _, one in others) > 1:
        return False
    return ours in _own(first) and theirs in _own(second)


def _own(unit: Unit) -> set[str]:
    scopes = unit.module.facts.scopes
    scope = scopes[unit.scope]
    inside = [one for one in scopes if scope.line <= one.line <= scope.end_line] if unit.scope else scopes
    return {scope.name} | {name for one in inside for name in one.bindings}


def _fork(units: tuple[Unit, ...]) -> Fork | None:
    first, *others = units
    differing = set[int]()
    names = set[tuple[str, str]]()
    for other in others:
        compared = _compare(first, other)
        assert compared is not None
        differing.update(compared[0])
        names.update(compared[1])
    slots = dict.fromkeys(_slots(units, sorted(differing)))
    return Fork(units, tuple(slots), tuple(sorted(names))) if len(slots) <= _MOST_LITERALS else None


def _slots(units: Sequence[Unit], differing: Sequence[int]) -> Iterator[Slot]:
    seen: set[tuple[str, ...]] = set()
    for at in differing:
        values = tuple(unit.tokens[at].raw for unit in units)
        if values not in seen:
            seen.add(values)
            yield Slot(_slot_name(units[0].tokens, at), values)


def _slot_name(tokens: Sequence[Token], at: int) -> str:
    """The keyword or variable a literal is given to, or the call it stands in; else its line."""
    depth = 0
    for number in range(at - 1, max(at - 40, 0), -1):
        raw = tokens[number].raw
        if raw in ")]}":
            depth += 1
        elif raw in "([{":
            depth -= 1
            if depth < 0 and raw == "(" and tokens[number - 1].raw.isidentifier():
                return f"{tokens[number - 1].raw}(...)"
        elif raw == "=" and depth <= 0 and tokens[number - 1].raw.isidentifier():
            return tokens[number - 1].raw
        if tokens[number].line < tokens[at].line - 2:
            break
    return f"line {tokens[at].line}"
