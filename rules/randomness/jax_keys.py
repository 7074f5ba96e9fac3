"""JAX keys as linear values: which calls consume one, function by function, and where one is consumed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.graph import targets
from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import (
    FUNCTION,
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

from .jax_callables import Run, ran

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
# Libraries whose objects draw from the key they are given.
_TAKERS = frozenset({"equinox", "distrax", "tensorflow_probability"})
_MADE = frozenset({"jax.random.PRNGKey", "jax.random.key"})
_PARAMETERS = frozenset({"key", "rng", "seed", "prng_key", "rng_key"})
_ROUNDS = 6

State = dict[str, "Consumption"]


class Consumption(NamedTuple):
    """A call that consumes a key."""

    module: Module
    scope: int
    call: Call
    key: str
    runs: str = ""  # the function that consumes it
    derived: bool = False  # its derivative does


class Reuse(NamedTuple):
    """A key that is consumed again; the same call twice: in each pass of a loop."""

    first: Consumption
    again: Consumption


class JaxKeys(Analysis):
    """``project[JaxKeys].reuses``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._spent: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._running: set[str] = set()

    def reuses(self) -> Iterator[Reuse]:
        """Every reuse, in the order of files, scopes and lines."""
        imported = (fact.module for module in self.project.modules.values() for fact in module.facts.imports)
        if not any(name == "jax" or name.startswith("jax.") for name in imported):
            return
        wanted: dict[tuple[str, int], Definition] = {}
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for _, site in module.calls_of(_ALL | _MADE):
                    wanted[(module.path, site.scope)] = module.definition(site.scope)
                for index in _taking(module):
                    wanted[(module.path, index)] = module.definition(index)
        pending = list(wanted.values())
        for definition in pending:
            if not definition.is_function or not (self.spent(definition) or self.outer(definition)):
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
        return self._summary(definition)[0]

    def outer(self, definition: Definition) -> frozenset[str]:
        """The keys of a function around it, of its file or of its object that a function consumes and never binds."""
        return self._summary(definition)[1]

    def _summary(self, definition: Definition) -> tuple[frozenset[str], frozenset[str]]:
        name = definition.name
        known = self._spent.get(name)
        if known is None:
            if name in self._running or len(self._running) > _ROUNDS:
                return frozenset(), frozenset()
            self._running.add(name)
            body = Body(self, definition)
            body.reuses()
            known = self._spent[name] = frozenset(body.spent), frozenset(body.outer)
            self._running.discard(name)
        return known


@dataclass
class Body:
    """One reading of one body. A state holds the keys that are consumed on every way to a point."""

    keys: JaxKeys
    definition: Definition
    found: dict[int, Reuse] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    rebound: set[str] = field(default_factory=set)

    def reuses(self) -> list[Reuse]:
        if not self.found and not self.spent:
            state: State = {}
            self._run(self.definition.body, state)
            parameters = {one.name for one in self.definition.scope.parameters}
            ended = {name.removeprefix("!") for name in state if "=" not in name}
            self.spent = ended & parameters
            self.outer = {name for name in ended - self.rebound if self._is_outer(name)}
        return list(self.found.values())

    def _is_outer(self, name: str) -> bool:
        """Whether a key outlives the call: a variable from around the function, an attribute set once."""
        head, dot, attribute = name.partition(".")
        module, scope = self.definition.module, self.definition.scope
        if "[" in name or "." in attribute or not self.definition.is_function:
            return False
        if not dot:
            return head not in scope.bindings and head not in {one.name for one in scope.parameters}
        owner = module.project.types.owner_of(module, self.definition.index, head)
        bound = module.project.types.bindings(owner, attribute) if owner is not None else []
        return bool(bound) and all(
            there.scope(one.scope).name == "__init__" and scope.name != "__init__" for there, one in bound
        )

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
            module, scope = self.definition.module, self.definition.index
            for key, tag in self._consumed(expr):
                if key.partition("[")[0].partition(".")[0] not in bound and not _indexed(key, bound):
                    self._consume(Consumption(module, scope, expr, key, self._named(expr.function)), tag, state)
            for run in ran(self.definition, expr):
                for key in self._by_run(run, bound):
                    for _ in range(run.times):
                        self._consume(Consumption(module, scope, expr, key, run.name, run.derived), "", state)

    def _by_run(self, run: Run, bound: frozenset[str]) -> Iterator[str]:
        """The keys that a function consumes which a call of JAX, or of a variable, runs."""
        if isinstance(run.function, Lambda):
            inner: State = {}
            self._read(run.function.body, inner, bound)
            parameters = run.function.parameters
            for key in [key for key in inner if key[0] != "!" and "=" not in key]:
                if key not in parameters:
                    if key.partition("[")[0].partition(".")[0] not in parameters:
                        yield key
                elif parameters.index(key) < len(run.call.args):
                    yield from (one for one, _ in self._given(run.call.args[parameters.index(key)]))
            return
        target, module = run.function, self.definition.module
        yield from self._outer_of(target, run.call)
        site, spellings = Site(module, self.definition.index, run.call), module.project.callers.spellings(target)
        for name in sorted(self.keys.spent(target)):
            yield from (key for key, _ in self._given(given(site, target, name, spellings)))

    def _outer_of(self, target: Definition, call: Call) -> Iterator[str]:
        """The keys a function consumes that it is not given, as they are called here."""
        definition = self.definition
        for name in sorted(self.keys.outer(target)):
            head, dot, attribute = name.partition(".")
            if dot:
                receiver = call.function.name.rpartition(".")[0] if isinstance(call.function, Ref) else ""
                if receiver:
                    yield f"{receiver}.{attribute}"
            elif target.module is definition.module:
                facts = target.module.facts
                theirs = binding_scope(facts, target.index, head)
                if theirs is not None and theirs == binding_scope(facts, definition.index, head):
                    yield name

    def _named(self, function: Expr) -> str:
        names = self.definition.module.names(self.definition.index, function)
        return names[0] if len(names) == 1 and ":" in names[0] else ""

    def _consume(self, one: Consumption, tag: str, state: State) -> None:
        call, key = one.call, one.key
        first = state.get(key + tag)
        alike = first is not None and first.call is not call and first.runs == one.runs != ""
        if alike and first is not None and (first.derived or one.derived):
            return  # a function and its derivative are to see the same numbers
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
        if self._is_foreign(names, last):
            for keyword in call.keywords:
                if keyword.name in ("key", "seed", "rng") and (names or self._is_key(keyword.value)):
                    yield from self._given(keyword.value)
            return
        yield from self._by_callee(call)

    def _is_foreign(self, names: tuple[str, ...], last: str) -> bool:
        """Whether a library's object draws from the key it is given: ``nn.Linear(2, 3, key=key)``."""
        if any(name.partition(".")[0] in _TAKERS for name in names):
            return "filter" not in last
        return not names and last in ("sample", "sample_and_log_prob") and self._knows(_TAKERS)

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
        for edge in project.calls.targets(module, scope, call):
            target = edge.target
            if edge.confidence not in ("exact", "method") or not target.is_function or target.module.is_test:
                continue
            spellings = project.callers.spellings(target)
            if last_segment(call.function) in spellings:
                yield from ((key, "") for key in self._outer_of(target, call))
            for name in sorted(self.keys.spent(target)):
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


def _taking(module: Module) -> Iterator[int]:
    """The functions of a file that takes such libraries' objects which are given a key."""
    if any(fact.module.partition(".")[0] in _TAKERS for fact in module.facts.imports):
        for index, scope in enumerate(module.facts.scopes):
            if scope.kind == FUNCTION and any(one.name in _PARAMETERS for one in scope.parameters):
                yield index


def _is_of(key: str, name: str) -> bool:
    """Whether binding a name makes a key another one."""
    plain = key.partition("=")[0]
    return plain == name or plain.startswith((f"{name}.", f"{name}[")) or f"[{name}]" in plain


def _indexed(key: str, bound: frozenset[str]) -> bool:
    return any(f"[{name}]" in key for name in bound)
