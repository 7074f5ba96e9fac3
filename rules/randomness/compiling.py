"""From the body IR of a function to its program: only what seeds, draws, calls the project, or decides what runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts import schema as ir
from mldebt.facts.walk import expressions, statements, walk
from mldebt.project.attributes import self_name

from .calling import Calls
from .cosmetic import is_cosmetic
from .events import Draws, Event, Restores, Seeds
from .generators import fallback, is_used
from .guards import CONSTANT, MAIN, PLAIN, Guard, guard
from .knowledge import CONSTRUCTOR, DRAW, HEAD, INIT, LAZY
from .programs import (
    BREAK,
    CONTINUE,
    ENDLESS,
    FOR,
    RETURN,
    STOP,
    WHILE,
    Block,
    BranchOp,
    CallOp,
    ChoiceOp,
    DrawOp,
    ExitOp,
    ImportOp,
    Key,
    LoopOp,
    Op,
    Program,
    RestoreOp,
    SeedOp,
    Site,
    TryOp,
    WithOp,
    YieldOp,
)

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

_STOPS = frozenset(
    {"sys.exit", "builtins.exit", "builtins.quit", "os._exit", "os.abort", "argparse.ArgumentParser.error"}
)
_STOPPING = frozenset({"exit", "quit", "_exit", "abort", "error"})
# What a handler of these stands for does not happen on the way to a finding: a library that is not there draws nothing.
_ASIDE = frozenset(
    {"ImportError", "ModuleNotFoundError", "AttributeError", "NameError", "KeyboardInterrupt", "SystemExit"}
)
_RUN = frozenset({ir.Call, ir.Wait})  # expressions without one do nothing that matters here
_PLAIN = frozenset({ir.Assign, ir.Annotate, ir.Augment, ir.Assert, ir.Delete})  # statements that only evaluate
_DEEPEST = 50  # blocks nested deeper than this are not looked into
_LONGEST = 30  # an ``elif`` chain longer than this is read as one choice
_MANAGERS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})
_BUILDERS = (
    "__init__",
    "reset_parameters",
    "init_weights",
    "_init_weights",
    "initialize_weights",
    "_initialize_weights",
    "build",
)
_FILLS = re.compile(r"(^|_)(re)?(init|initiali[sz]e|initiali[sz]ation|reset_parameters)(_|$)", re.IGNORECASE)
_MODELS = frozenset({"torch.nn.Module", "torch.nn.modules.module.Module", "torch.nn.modules.Module"})


class Compiler:
    """Compiles one body."""

    def __init__(self, calls: Calls, key: Key, definition: Definition) -> None:
        self._calls, self._key, self._definition = calls, key, definition
        self._module: Module = definition.module
        self._scopes = definition.module.facts.scopes
        self._depth = 0
        self._live: dict[int, frozenset[int]] = {}
        self._given = frozenset(one.name for one in definition.scope.parameters)
        self._parameters = frozenset(
            name for name, bits in definition.scope.bindings.items() if bits == ir.PARAMETER and definition.is_function
        )

    def program(self) -> Program:
        module, scope = self._module, self._definition.scope
        names = [
            name for decorator in scope.decorators for name in self._calls.decorator(module, scope.parent, decorator)
        ]
        wrappers = tuple(key for name in names for key in self._calls.wrappers(name))
        manager = any(name in _MANAGERS for name in names)
        if self._definition.is_module and not self._key.main and not (self._calls.may_act(module) and self._does_act()):
            imports = [stmt for stmt in statements(self._definition.body) if isinstance(stmt, ir.Imports)]
            return Program(self._key, tuple(op for stmt in imports for op in self._imports(stmt, 0)))
        return Program(self._key, self._block(self._definition.body, self._definition.index), wrappers, manager)

    def _does_act(self) -> bool:
        """Whether the body of a module, or of a class in it, has a call that may act, or a decorator."""
        scopes = self._scopes
        bodies = [0, *(index for index, one in enumerate(scopes) if one.kind == ir.CLASS and self._is_run(index))]
        return any(map(self._acting, bodies))

    def _is_run(self, scope: int) -> bool:
        """Whether a class body runs with the module's."""
        while scope > 0 and self._scopes[scope].kind == ir.CLASS:
            scope = self._scopes[scope].parent
        return scope == 0

    def _block(self, body: Sequence[ir.Stmt], scope: int) -> Block:
        if self._depth >= _DEEPEST:
            return ()
        self._depth += 1
        ops: list[Op] = []
        live = self._acting(scope)
        for stmt in body:
            if type(stmt) in _PLAIN and id(stmt) not in live and not self._scopes[scope].generator:
                continue
            ops += self._statement(stmt, scope)
            if ops and isinstance(ops[-1], ExitOp):
                break
        self._depth -= 1
        return tuple(ops)

    def _statement(self, stmt: ir.Stmt, scope: int) -> Iterator[Op]:
        if isinstance(stmt, ir.Imports):
            yield from self._imports(stmt, scope)
            return
        if isinstance(stmt, ir.With):
            yield from self._with(stmt, scope)
            return
        yield from self._evaluated(stmt, scope)
        if isinstance(stmt, ir.If):
            yield from self._if(stmt, scope)
        elif isinstance(stmt, (ir.For, ir.While)):
            yield from self._loop(stmt, scope)
        elif isinstance(stmt, ir.Try):
            yield from self._try(stmt, scope)
        elif isinstance(stmt, ir.Match):
            arms = tuple(self._block(case.body, scope) for case in stmt.cases)
            last = stmt.cases[-1] if stmt.cases else None
            falls = last is None or bool(last.values) or last.guard is not None
            if any(arms):
                yield ChoiceOp(arms, falls)
        elif isinstance(stmt, ir.Define):
            if self._scopes[stmt.scope].kind == ir.CLASS:
                yield from self._block(self._module.body(stmt.scope), stmt.scope)
        elif isinstance(stmt, ir.Return):
            yield from self._handed_back(stmt, scope)
            yield ExitOp(RETURN)
        elif isinstance(stmt, ir.Raise) or self._stops(stmt, scope):
            yield ExitOp(STOP)
        elif isinstance(stmt, ir.Jump):
            yield ExitOp(BREAK if stmt.kind == "break" else CONTINUE)

    def _handed_back(self, stmt: ir.Return, scope: int) -> Iterator[Op]:
        """An inner function that is called on the other ways, and given back on this one for the caller to call."""
        value = stmt.value
        if not isinstance(value, ir.Ref) or value.name not in self._scopes[scope].bindings:
            return
        for site in self._module.call_sites(scope):
            if isinstance(site.call.function, ir.Ref) and site.call.function.name == value.name:
                yield from self._calls.into(self._module, scope, site.call, self._key, False)
                return

    def _imports(self, stmt: ir.Imports, scope: int) -> Iterator[Op]:
        """Imports of a module's body stay imports, for they run once an entry; a function's are calls of the bodies."""
        if self._definition.is_function:
            yield from self._calls.imported(self._module, scope, stmt)
            return
        for fact, targets in self._calls.imports(self._module, stmt):
            if targets:
                yield ImportOp(Site(self._module, stmt, f"import of {fact.module or fact.bound}"), targets)

    def _stops(self, stmt: ir.Stmt, scope: int) -> bool:
        if not isinstance(stmt, ir.Do) or not isinstance(stmt.value, ir.Call):
            return False
        function = stmt.value.function
        if not isinstance(function, (ir.Ref, ir.Attribute)) or function.name.rpartition(".")[2] not in _STOPPING:
            return False
        if any(name in _STOPS for name in self._module.names(scope, function)):
            return True
        return isinstance(function, ir.Ref) and function.name.endswith("parser.error")

    # Compound statements.

    def _if(self, stmt: ir.If, scope: int) -> Iterator[Op]:
        arms = list(_arms(stmt))
        if len(arms) > _LONGEST:
            blocks = tuple(self._block(body, scope) for body in arms)
            if any(blocks):
                yield ChoiceOp(blocks, falls=False)
            return
        found = self._of_class(stmt.test, scope) or guard(stmt.test, self._parameters)
        then, orelse = self._block(stmt.body, scope), self._block(stmt.orelse, scope)
        if found.kind == MAIN:
            yield from then if self._key.main is found.positive else orelse
        elif found.kind == CONSTANT:
            yield from then if found.positive else orelse
        elif then or orelse:
            yield BranchOp(found, then, orelse)

    def _of_class(self, test: ir.Expr, scope: int) -> Guard | None:
        """``self.__class__ is Base``, decided by the class of the object; None if that is not the condition."""
        if not isinstance(test, ir.Compare) or len(test.ops) != 1 or test.ops[0] not in ("is", "==", "is not", "!="):
            return None
        own, left = self_name(self._definition), test.left
        if isinstance(left, ir.Call) and isinstance(left.function, ir.Ref) and left.function.name == "type":
            asks = len(left.args) == 1 and isinstance(left.args[0], ir.Ref) and left.args[0].name == own
        else:
            asks = isinstance(left, ir.Ref) and left.name == f"{own}.__class__"
        other = test.comparators[0]
        if not own or not asks or not self._key.owner or not isinstance(other, (ir.Ref, ir.Attribute)):
            return None
        names = self._module.names(scope, other)
        if len(names) != 1:
            return None
        return Guard(CONSTANT, "", (names[0] == self._key.owner) is (test.ops[0] in ("is", "==")), "")

    def _loop(self, stmt: ir.For | ir.While, scope: int) -> Iterator[Op]:
        body, orelse = self._block(stmt.body, scope), self._block(stmt.orelse, scope)
        kind = FOR if isinstance(stmt, ir.For) else WHILE
        if isinstance(stmt, ir.While) and isinstance(stmt.test, ir.Const) and stmt.test.value:
            kind = ENDLESS
        if body or orelse or kind == ENDLESS:
            yield LoopOp(kind, body, orelse)

    def _try(self, stmt: ir.Try, scope: int) -> Iterator[Op]:
        handlers = tuple((self._block(handler.body, scope), _is_aside(handler.kind)) for handler in stmt.handlers)
        op = TryOp(
            self._block(stmt.body, scope), handlers, self._block(stmt.orelse, scope), self._block(stmt.final, scope)
        )
        if op.body or op.orelse or op.final or any(block for block, _ in handlers):
            yield op

    def _with(self, stmt: ir.With, scope: int) -> Iterator[Op]:
        managers: list[CallOp] = []
        scoped: list[str] = []
        exits: list[Key] = []
        for item in stmt.items:
            for op in self._expression(stmt, scope, item.context):
                if isinstance(op, CallOp) and op.site.fact is item.context:
                    managers.append(op)
                else:
                    yield op
            if isinstance(item.context, ir.Call):
                names = self._calls.names(self._module, scope, item.context)
                scoped += [one for name in names for one in self._calls.scoped(name)]
                for name in names:
                    entering, leaving = self._calls.managed(name, Site(self._module, item.context, name), scope)
                    managers += entering
                    exits += leaving
        body = self._block(stmt.body, scope)
        if managers or body:
            yield WithOp(tuple(managers), tuple(scoped), tuple(exits), body)

    # Expressions.

    def _evaluated(self, stmt: ir.Stmt, scope: int) -> Iterator[Op]:
        if id(stmt) not in self._acting(scope) and not self._scopes[scope].generator:
            return
        for expr in expressions(stmt, self._scopes):
            yield from self._expression(stmt, scope, expr)

    def _acting(self, scope: int) -> frozenset[int]:
        """The statements of a body with a call that may act."""
        live = self._live.get(scope)
        if live is None:
            module, calls, key = self._module, self._calls, self._key
            sites = module.call_sites(scope)
            live = frozenset(
                id(site.statement) for site in sites if not calls.is_nothing(module, scope, site.call, key)
            )
            self._live[scope] = live
        return live

    def _expression(self, stmt: ir.Stmt, scope: int, expr: ir.Expr) -> Iterator[Op]:
        if type(expr) is ir.Ref or type(expr) is ir.Const:
            return
        nodes = walk(expr)
        kinds = set(map(type, nodes))
        if kinds.isdisjoint(_RUN):
            return
        kept: frozenset[int] = frozenset()
        if ir.Lambda in kinds:
            kept = frozenset(id(inner) for node in nodes if isinstance(node, ir.Lambda) for inner in walk(node.body))
        arms = self._arms_of(nodes) if ir.Conditional in kinds else {}
        for node in nodes:
            if type(node) is ir.Call:
                ops = self._call(stmt, scope, node, id(node) in kept)
                arm = arms.get(id(node))
                if arm is None:
                    yield from ops
                elif inner := tuple(ops):
                    yield BranchOp(arm[0], inner, ()) if arm[1] else BranchOp(arm[0], (), inner)
            elif type(node) is ir.Wait and node.kind != "await":
                yield YieldOp()

    def _arms_of(self, nodes: Sequence[ir.Expr]) -> dict[int, tuple[Guard, bool]]:
        """The calls that run only if a parameter is (not) true, with that condition: ``f(x) if shuffle else x``."""
        found: dict[int, tuple[Guard, bool]] = {}
        for node in nodes:
            if type(node) is ir.Conditional:
                test = guard(node.test, self._parameters)
                if test.kind == PLAIN and test.subject:
                    for arm, first in ((node.then, True), (node.orelse, False)):
                        found.update((id(inner), (test, first)) for inner in walk(arm))
        return found

    def _call(self, stmt: ir.Stmt, scope: int, call: ir.Call, kept: bool) -> Iterator[Op]:
        event = self._calls.event(self._module, scope, call)
        if event is not None:
            yield from self._event(stmt, scope, call, event, kept)
            if isinstance(event, Seeds):
                return
        yield from self._calls.into(self._module, scope, call, self._key, kept)

    def _event(self, stmt: ir.Stmt, scope: int, call: ir.Call, event: Event, kept: bool) -> Iterator[Op]:
        function = call.function
        site = Site(self._module, call, function.name if isinstance(function, (ir.Ref, ir.Attribute)) else "")
        if isinstance(event, Seeds):
            if not kept:
                yield SeedOp(event.libraries, site, self._seed_of(call))
        elif isinstance(event, Restores):
            if not event.scope and not kept:
                yield from self._restore(event, scope, site)
        else:
            yield from self._draw(stmt, scope, call, event, site, kept)

    def _seed_of(self, call: ir.Call) -> str:
        """The parameter that a call seeds with."""
        given = [*call.args[:1], *[keyword.value for keyword in call.keywords if keyword.name == "seed"]]
        value = given[0] if len(given) == 1 else None
        return value.name if isinstance(value, ir.Ref) and value.name in self._parameters else ""

    def _restore(self, event: Restores, scope: int, site: Site) -> Iterator[Op]:
        getter = event.getter.rpartition(".")[2]
        saved = any(chain.rpartition(".")[2] == getter for chain in self._scopes[scope].uses)
        in_class = self._scopes[self._scopes[scope].parent].kind == ir.CLASS if scope else False
        yield RestoreOp(event.libraries) if saved or in_class else SeedOp(event.libraries, site)

    def _draw(self, stmt: ir.Stmt, scope: int, call: ir.Call, draw: Draws, site: Site, kept: bool) -> Iterator[Op]:
        if draw.kind in (DRAW, CONSTRUCTOR) and is_cosmetic(self._module, scope, stmt, call):
            return
        owner = draw.owner.name if draw.owner is not None else ""
        if owner and owner not in self._parameters:
            return
        if draw.kind == CONSTRUCTOR:
            # As a default, or in a module that others import: who draws from it, and where, is not seen from here.
            if isinstance(stmt, ir.Define) or (self._definition.is_module and not self._key.main):
                return
            found = fallback(stmt, call, self._given)
            if found is None or not is_used(self._module, scope, stmt, call):
                return
            owner = owner or found
        kind = draw.kind
        if kind == DRAW and (
            self._builds_model(scope) or (draw.library == "torch" and _FILLS.search(self._scopes[scope].name))
        ):
            kind = INIT
        if kept and kind == DRAW:
            kind = LAZY
        yield DrawOp(Draws(draw.library, kind, draw.name), site, owner, kept and kind in (INIT, HEAD))

    def _builds_model(self, scope: int) -> bool:
        """Whether a scope makes the parameters of a torch module: its draws are the model's initialisation."""
        while scope > 0:
            facts = self._scopes[scope]
            if facts.name in _BUILDERS and self._scopes[facts.parent].kind == ir.CLASS:
                owner = f"{self._module.path}:{self._scopes[facts.parent].qualname}"
                return any(
                    base in _MODELS or base.endswith("LightningModule") or ".PreTrainedModel" in base
                    for base in self._module.project.mro(owner)
                )
            scope = facts.parent
        return False


def _arms(stmt: ir.If) -> Iterator[Sequence[ir.Stmt]]:
    """The arms of an ``if`` with its ``elif`` chain, the last ``else`` (or its absence) included."""
    while True:
        yield stmt.body
        if len(stmt.orelse) != 1 or not isinstance(stmt.orelse[0], ir.If):
            yield stmt.orelse
            return
        stmt = stmt.orelse[0]


def _is_aside(kind: ir.Expr | None) -> bool:
    parts = kind.items if isinstance(kind, ir.Build) else [kind]
    return bool(parts) and all(isinstance(part, ir.Ref) and part.name.rpartition(".")[2] in _ASIDE for part in parts)
