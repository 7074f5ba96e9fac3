"""JAX keys as linear values: which calls consume one, function by function, and where one is consumed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.graph import targets
from mldebt.facts.schema import (
    Annotate,
    Assign,
    Attribute,
    Augment,
    Bind,
    Build,
    Call,
    Comprehension,
    Conditional,
    Const,
    Define,
    Expr,
    For,
    If,
    Jump,
    Lambda,
    Match,
    Raise,
    Ref,
    Return,
    Stmt,
    Subscript,
    Try,
    While,
    With,
)
from mldebt.facts.walk import children, expressions
from mldebt.project.callers import Site, given
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_DRAWS = (
    "ball bernoulli beta binomial bits categorical cauchy chisquare choice dirichlet double_sided_maxwell exponential "
    "f gamma generalized_normal geometric gumbel laplace loggamma logistic lognormal maxwell multinomial "
    "multivariate_normal normal orthogonal pareto permutation poisson rademacher randint rayleigh shuffle split t "
    "triangular truncated_normal uniform wald weibull_min"
)
CONSUMERS = frozenset(f"jax.random.{name}" for name in _DRAWS.split())
FOLD = "jax.random.fold_in"
_ALL = CONSUMERS | {FOLD}
_FLAX = frozenset({"flax", "haiku", "equinox"})
_ROUNDS = 6

State = dict[str, "Consumption"]


class Consumption(NamedTuple):
    """A call that consumes a key."""

    module: Module
    scope: int
    call: Call
    key: str


class Reuse(NamedTuple):
    """A key that is consumed again; the same call twice: in each pass of a loop."""

    first: Consumption
    again: Consumption


class JaxKeys(Analysis):
    """``project[JaxKeys].reuses``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._spent: dict[str, frozenset[str]] = {}
        self._running: set[str] = set()

    def reuses(self) -> Iterator[Reuse]:
        """Every reuse, in the order of files, scopes and lines."""
        imported = (fact.module for module in self.project.modules.values() for fact in module.facts.imports)
        if not any(name == "jax" or name.startswith("jax.") for name in imported):
            return
        wanted: dict[tuple[str, int], Definition] = {}
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for _, site in module.calls_of(_ALL):
                    wanted[(module.path, site.scope)] = module.definition(site.scope)
        pending = list(wanted.values())
        for definition in pending:
            if not definition.is_function or not self.spent(definition):
                continue
            for caller in self.project.callers.of(definition) or ():
                key = (caller.module.path, caller.scope)
                if key not in wanted and not caller.module.is_test and caller.module.role == "project":
                    wanted[key] = caller.module.definition(caller.scope)
                    pending.append(wanted[key])
        for _, definition in sorted(wanted.items()):
            yield from Body(self, definition).reuses()

    def spent(self, definition: Definition) -> frozenset[str]:
        """The parameters of a function that are keys it consumes."""
        name = definition.name
        known = self._spent.get(name)
        if known is None:
            if name in self._running or len(self._running) > _ROUNDS:
                return frozenset()
            self._running.add(name)
            body = Body(self, definition)
            body.reuses()
            known = self._spent[name] = frozenset(body.spent)
            self._running.discard(name)
        return known


@dataclass
class Body:
    """One reading of one body. A state holds the keys that are consumed on every way to a point."""

    keys: JaxKeys
    definition: Definition
    found: dict[int, Reuse] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    rebound: set[str] = field(default_factory=set)

    def reuses(self) -> list[Reuse]:
        if not self.found and not self.spent:
            state: State = {}
            self._run(self.definition.body, state)
            parameters = {one.name for one in self.definition.scope.parameters}
            self.spent = {name.removeprefix("!") for name in state if name.removeprefix("!") in parameters}
        return list(self.found.values())

    # Statements. Each changes the state in place; False: nothing comes after it.

    def _run(self, body: Sequence[Stmt], state: State) -> bool:
        return all(self._statement(stmt, state) for stmt in body)

    def _statement(self, stmt: Stmt, state: State) -> bool:
        if isinstance(stmt, Define):
            return True
        if not isinstance(stmt, (For, While)):
            for expr in expressions(stmt):
                self._read(expr, state, frozenset())
        if isinstance(stmt, (Return, Raise, Jump)):
            return False
        if isinstance(stmt, (Assign, Annotate, Augment)):
            self._assign(stmt, state)
        elif isinstance(stmt, If):
            return self._branch([stmt.body, stmt.orelse], state)
        elif isinstance(stmt, Match):
            return self._branch([*(case.body for case in stmt.cases), ()], state)
        elif isinstance(stmt, (For, While)):
            self._loop(stmt, state)
        elif isinstance(stmt, With):
            return self._run(stmt.body, state)
        elif isinstance(stmt, Try):
            ways = [[*stmt.body, *stmt.orelse], *(handler.body for handler in stmt.handlers)]
            return self._branch(ways, state) and self._run(stmt.final, state)
        return True

    def _branch(self, ways: Sequence[Sequence[Stmt]], state: State) -> bool:
        ends = []
        for way in ways:
            end = dict(state)
            if self._run(way, end):
                ends.append(end)
        merged = {key: one for key, one in ends[0].items() if all(key in end for end in ends)} if ends else {}
        # What a way that leaves has consumed counts for callers.
        state_spent = {key: one for key, one in state.items() if key.startswith("!")}
        state.clear()
        state.update({**state_spent, **merged})
        return bool(ends)

    def _loop(self, stmt: For | While, state: State) -> None:
        for expr in expressions(stmt)[:1]:
            self._read(expr, state, frozenset())
        for _ in range(2):
            if isinstance(stmt, For):
                self._forget([name for name, _ in targets(stmt.target)], state)
            if not self._run(stmt.body, state):
                break
        self._run(stmt.orelse, state)

    def _assign(self, stmt: Assign | Annotate | Augment, state: State) -> None:
        bound = stmt.targets if isinstance(stmt, Assign) else [stmt.target]
        names = [name for target in bound for name, _ in targets(target)]
        names += [
            target.value.name for target in bound if isinstance(target, Subscript) and isinstance(target.value, Ref)
        ]
        self._forget(names, state)
        if isinstance(stmt, Assign) and len(names) == 1 and isinstance(stmt.value, (Ref, Subscript)):
            key = self._key(stmt.value)
            if key is not None and key != names[0]:
                self.aliases[names[0]] = key

    def _forget(self, names: Sequence[str], state: State) -> None:
        for name in names:
            self.aliases.pop(name, None)
            self.rebound.add(name)
            for key in [key for key in state if _is_of(key, name)]:
                del state[key]
            for alias in [alias for alias, key in self.aliases.items() if _is_of(key, name)]:
                del self.aliases[alias]

    # Expressions, arguments first.

    def _read(self, expr: Expr, state: State, bound: frozenset[str]) -> None:
        if isinstance(expr, Lambda):
            return
        if isinstance(expr, Conditional):
            self._read(expr.test, state, bound)
            ends = [dict(state), dict(state)]
            self._read(expr.then, ends[0], bound)
            self._read(expr.orelse, ends[1], bound)
            state.update({key: one for key, one in ends[0].items() if key in ends[1]})
            return
        if isinstance(expr, Comprehension):
            inner = {name for one in expr.generators for name, _ in targets(one.target)}
            self._read(expr.generators[0].iterable, state, bound)
            parts = [expr.element] if expr.key is None else [expr.key, expr.element]
            for part in (*parts, *parts):  # each part runs more than once
                self._read(part, state, bound | inner)
            return
        for part in children(expr):
            self._read(part, state, bound)
        if isinstance(expr, Bind):
            self._forget([expr.name], state)
        if isinstance(expr, Call):
            for key, tag in self._consumed(expr):
                if key.partition("[")[0].partition(".")[0] not in bound and not _indexed(key, bound):
                    self._consume(expr, key, tag, state)

    def _consume(self, call: Call, key: str, tag: str, state: State) -> None:
        one = Consumption(self.definition.module, self.definition.index, call, key)
        first = state.get(key + tag)
        if first is not None:
            self.found.setdefault(id(call), Reuse(first, one))
        else:
            state[key + tag] = one
        if not tag and key not in self.rebound:
            state.setdefault(f"!{key}", one)

    def _consumed(self, call: Call) -> Iterator[tuple[str, str]]:
        """The keys a call consumes; with ``=data`` behind it one that is only folded with a constant."""
        module, scope, function = self.definition.module, self.definition.index, call.function
        if not isinstance(function, (Ref, Attribute)):
            return
        names = module.names(scope, function)
        if not CONSUMERS.isdisjoint(names):
            yield from self._given(argument(call, "key", 0))
            return
        if FOLD in names:
            data = argument(call, "data", 1)
            if isinstance(data, Const):
                yield from ((key, f"={data.value}") for key, _ in self._given(argument(call, "key", 0)))
            return
        last = function.name.rpartition(".")[2]
        if last in ("init", "apply") and not any(":" in name for name in names) and self._knows(_FLAX):
            yield from self._rngs(call, last)
            return
        yield from self._by_callee(call)

    def _rngs(self, call: Call, last: str) -> Iterator[tuple[str, str]]:
        """``model.init(key, x)``, ``model.apply(variables, x, rngs={"dropout": key})``."""
        value = argument(call, "rngs", 0 if last == "init" else None)
        values = value.items if isinstance(value, Build) else [value]
        keys = dict.fromkeys(key for one in values for key, _ in self._given(one) if self._is_key(one))
        yield from ((key, "") for key in keys)

    def _is_key(self, value: object) -> bool:
        """Whether a variable was made by ``jax.random``."""
        node = value.value if isinstance(value, Subscript) else value
        if not isinstance(node, Ref):
            return False
        module, scope = self.definition.module, self.definition.index
        origins = module.project.flow(self.definition).origins(node)
        return bool(origins) and all(
            isinstance(one.value, Call)
            and isinstance(one.value.function, (Ref, Attribute))
            and any(name.startswith("jax.random.") for name in module.names(scope, one.value.function))
            for one in origins
        )

    def _by_callee(self, call: Call) -> Iterator[tuple[str, str]]:
        module, scope, project = self.definition.module, self.definition.index, self.definition.module.project
        if not any(isinstance(one, (Ref, Subscript)) for one in (*call.args, *(k.value for k in call.keywords))):
            return
        for edge in project.calls.targets(module, scope, call):
            target = edge.target
            if edge.confidence not in ("exact", "method") or not target.is_function or target.module.is_test:
                continue
            for name in sorted(self.keys.spent(target)):
                spellings = project.callers.spellings(target)
                yield from self._given(given(Site(module, scope, call), target, name, spellings))

    def _given(self, value: object) -> Iterator[tuple[str, str]]:
        key = self._key(value) if value is not None and value is not UNKNOWN else None
        if key is not None:
            yield key, ""

    def _key(self, value: object) -> str | None:
        """What a key is called: ``key``, ``self.key``, ``keys[0]``, ``keys[i]``."""
        if isinstance(value, Ref):
            return self.aliases.get(value.name, value.name)
        if isinstance(value, Subscript) and isinstance(value.value, Ref):
            base = self.aliases.get(value.value.name, value.value.name)
            if isinstance(value.index, Const) and isinstance(value.index.value, (int, str)):
                return f"{base}[{value.index.value!r}]"
            if isinstance(value.index, Ref):
                return f"{base}[{value.index.name}]"
        return None

    def _knows(self, libraries: frozenset[str]) -> bool:
        return any(fact.module.partition(".")[0] in libraries for fact in self.definition.module.facts.imports)


def _is_of(key: str, name: str) -> bool:
    """Whether binding a name makes a key another one."""
    plain = key.partition("=")[0]
    return plain == name or plain.startswith((f"{name}.", f"{name}[")) or f"[{name}]" in plain


def _indexed(key: str, bound: frozenset[str]) -> bool:
    return any(f"[{name}]" in key for name in bound)
