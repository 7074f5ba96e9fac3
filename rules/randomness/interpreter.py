"""Runs a program over the lattice once, with the callees' summaries at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from .binding import Binder
from .events import LOADED, Draws
from .guards import ANY, NEUTRAL, OPTION, Guard
from .knowledge import DRAW, HEAD, INIT, LAYER, LAZY
from .programs import (
    BREAK,
    CONTINUE,
    ENDLESS,
    FOR,
    NOW,
    RETURN,
    STOP,
    WORKER,
    Block,
    BranchOp,
    Callee,
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
from .recording import Recorder
from .states import (
    CERTAIN,
    NOTHING,
    Conditions,
    Drawn,
    Path,
    Pending,
    State,
    Summary,
    asked,
    join,
    left,
    meet,
    stronger,
    waiting,
    wanted,
    weaker,
)

_WORKER_OWNED = frozenset({"python", "numpy"})


class Interpreter:
    """One pass over one program."""

    def __init__(
        self,
        program: Program,
        summary_of: Callable[[Key], Summary],
        binder: Binder,
        body_of: Callable[[str], Block] | None = None,
    ) -> None:
        """``body_of`` gives the bodies of imported modules, where this program is an entry's and runs them."""
        self._program, self._summary_of, self._binder = program, summary_of, binder
        self._body_of = body_of
        self._begun = {program.key.path}
        self._notes = Recorder()
        self._exits: list[tuple[State, str]] = []  # with the condition under which they are taken: "" always possible
        self._yields: list[tuple[State, str]] = []
        self._breaks: list[list[State]] = []
        self._continues: list[list[State]] = []
        self._neutral = 0  # arms around that only tell machines or ranks apart, and leave

    def summary(self) -> Summary:
        start = State()
        result = self._notes.result
        for key in self._program.wrappers:
            summary = self._summary_of(key)
            for gen in (summary.gen, summary.yields):
                for library, condition in (gen or {}).items():
                    start = start.seed(library, CERTAIN if condition == CERTAIN else ANY)
                    result.may.update(summary.may)
        end = self._block(self._program.block, start)
        if end is not None:
            self._exits.append((end, CERTAIN))
        result.gen = left(self._exits)
        for state, _ in self._exits:
            self._notes.ends(state)
        result.yields = left(self._yields)
        return result

    def _block(self, block: Block, state: State | None) -> State | None:
        for op in block:
            if state is None:
                return None
            state = self._op(op, state)
        return state

    def _op(self, op: Op, state: State) -> State | None:
        if isinstance(op, SeedOp):
            return self._notes.seeds(op, state)
        if isinstance(op, DrawOp):
            return self._notes.draws(op, state)
        if isinstance(op, CallOp):
            return self._call(op, state)
        if isinstance(op, ImportOp):
            return self._import(op, state)
        if isinstance(op, BranchOp):
            return self._branch(op, state)
        if isinstance(op, ChoiceOp):
            arms = [self._arm(arm, state) for arm in op.arms]
            return meet([*arms, state] if op.falls else arms)
        if isinstance(op, LoopOp):
            return self._loop(op, state)
        if isinstance(op, TryOp):
            return self._try(op, state)
        if isinstance(op, WithOp):
            return self._with(op, state)
        if isinstance(op, RestoreOp):
            self._notes.result.restores |= frozenset(op.libraries)
            return state.without(op.libraries)
        if isinstance(op, YieldOp):
            self._yields.append((state, self._leaving()))
            return state
        self._leave(op, state)
        return None

    def _leaving(self) -> str:
        """The condition under which control leaves here: "" on any run."""
        return self._notes.absent[-1] if self._notes.absent else ANY if self._neutral else CERTAIN

    def _leave(self, op: ExitOp, state: State) -> None:
        if op.kind == RETURN:
            self._exits.append((state, self._leaving()))
        elif op.kind == BREAK and self._breaks:
            self._breaks[-1].append(state)
        elif op.kind == CONTINUE and self._continues:
            self._continues[-1].append(state)

    def _import(self, op: ImportOp, state: State) -> State | None:
        after: State | None = state
        for path in op.targets if self._body_of is not None else ():
            if path not in self._begun and after is not None and self._body_of is not None:
                self._begun.add(path)
                outer, self._notes.prefix = self._notes.prefix, self._notes.prefix or (op.site,)
                after = self._block(self._body_of(path), after)
                self._notes.prefix = outer
        return after

    # Calls.

    def _call(self, op: CallOp, state: State) -> State | None:
        ends: list[State | None] = []
        for group in op.alternatives:
            end: State | None = state
            for callee in group:
                end = None if end is None else self._enter(op, callee, end)
            ends.append(end)
        if op.when != NOW:
            return state
        if op.sure:
            return meet(ends)
        known = [end for end in ends if end is not None]
        result = known[0] if known else None
        for end in known[1:]:
            result = join(result, end) if result is not None else end
        return result

    def _enter(self, op: CallOp, callee: Callee, state: State) -> State | None:
        summary, notes = self._summary_of(callee.key), self._notes
        site = Site(op.site.module, op.site.fact, callee.definition.qualname or op.site.name)
        now = op.when == NOW
        state = before = self._built(callee, state)
        notes.result.covered |= summary.covered
        if now and (LOADED, DRAW) in summary.exposed:
            state = notes.use(state)
        for library, path in sorted(summary.may.items()) if op.when != WORKER else ():
            through = notes.through(path, site, self._condition(op, callee, path.given))
            if not now:
                notes.result.may.setdefault(library, through)
                continue
            state = notes.note_seed(state, library, through)
            condition = (summary.gen or {}).get(library)
            bound = NOTHING if condition is None else self._condition(op, callee, condition)
            if bound != NOTHING:
                state = state.seed(library, bound)
        if now and (summary.gen or {}).get(LOADED) == CERTAIN:
            state = replace(state.seed(LOADED), pending={})
        for drawn, (draw, seed) in summary.late.items():
            given = self._condition(op, callee, seed.given)
            if now and given != NOTHING and before.condition(drawn[0]) not in (CERTAIN, ANY):
                notes.note_late(drawn, notes.through(draw, site), notes.through(seed, site, given))
        state = self._exposures(op, callee, summary, before, state, site)
        return None if summary.gen is None and now else state

    def _built(self, callee: Callee, state: State) -> State:
        """What the constructor of a method's object may have seeded before the method can run."""
        for key in callee.built:
            for library, condition in (self._summary_of(key).gen or {}).items():
                state = state.seed(library, CERTAIN if condition == CERTAIN and len(callee.built) == 1 else ANY)
        return state

    def _condition(self, op: CallOp, callee: Callee, condition: str) -> str:
        return condition if condition in (CERTAIN, ANY, NOTHING) else self._binder.bind(op, callee, condition)

    def _exposures(
        self, op: CallOp, callee: Callee, summary: Summary, before: State, after: State, site: Site
    ) -> State:
        """What the callee draws, against the state before the call; and what waits when it ends."""
        for drawn, path in summary.aside.items():
            self._notes.put_aside(before, drawn, self._notes.through(path, site))
        found = [(drawn, path, "") for drawn, path in sorted(summary.exposed.items(), key=_by_kind)]
        for parameter, draws in sorted(summary.params.items()):
            flag, owner = (self._binder.bind(op, callee, one) if one else one for one in asked(parameter))
            if flag != NOTHING and (owner not in (CERTAIN, ANY) or not asked(parameter)[1]):
                owner = wanted(flag.strip(ANY), owner.strip(NOTHING))
                found += [(drawn, path, owner) for drawn, path in sorted(draws.items(), key=_by_kind)]
        for kind, inner, owner in found:
            drawn, path = kind, self._notes.through(inner, site)
            if op.when != NOW:
                drawn, path = _later(drawn, path, op.when)
            if drawn[0] == LOADED:
                self._notes.trains(replace(before, pending={}), drawn, path)
            elif owner:
                self._notes.owned(before, owner, drawn, path)
            elif drawn[1] == INIT and kind in summary.exposed:
                after = self._drawn(after, summary, kind, site) if self._used(before, drawn, path) else after
            else:
                state = self._notes.draw(replace(before, drawn={}, pending={}), drawn, path)
                after = replace(after, pending=waiting(after.pending, state.pending))
                if drawn in state.drawn and kind in summary.exposed:
                    after = self._drawn(after, summary, kind, site)
                elif drawn in state.drawn:
                    after = after.draw(drawn, path)
        for kind, one in sorted(summary.pending.items(), key=_by_kind):
            given = self._condition(op, callee, one.seed.given) if one.seed is not None else NOTHING
            seed = self._notes.through(one.seed, site, given) if one.seed is not None and given != NOTHING else None
            drawn, path = kind, self._notes.through(one.draw, site)
            if op.when != NOW:
                drawn, path = _later(drawn, path, op.when)
            state = self._notes.draw(replace(before, pending={}), drawn, path)
            if drawn in state.pending:
                after = after.wait(drawn, Pending(path, seed))
        return after

    def _used(self, before: State, drawn: Drawn, path: Path) -> bool:
        """Initial parameters the callee itself trains; whether they were drawn unseeded."""
        state = self._notes.draw(replace(before, drawn={}, pending={}), drawn, path)
        return drawn in self._notes.use(state).drawn

    def _drawn(self, after: State, summary: Summary, drawn: Drawn, site: Site) -> State:
        """A draw of a callee counts after the call if the callee can come back from it."""
        path = summary.drawn.get(drawn)
        return after if path is None else after.draw(drawn, self._notes.through(path, site))

    # Compound statements.

    def _branch(self, op: BranchOp, state: State) -> State | None:
        guard = op.guard
        if guard.kind == OPTION:
            return self._option(op, guard, state)
        if guard.kind == NEUTRAL:
            leaving = _leaves(op.then) or _leaves(op.orelse)
            self._neutral += leaving
            then, orelse = self._block(op.then, state), self._block(op.orelse, state)
            self._neutral -= leaving
            return join(then, orelse) if then is not None and orelse is not None else then or orelse
        given, other = (guard.text, f"not {guard.text}") if guard.positive else (f"not {guard.text}", guard.text)
        then = self._arm(op.then, state.under(given), guard.subject if guard.positive else "")
        orelse = self._arm(op.orelse, state.under(other), "" if guard.positive else guard.subject)
        result = meet([then, orelse])
        if result is None or then is None or orelse is None:
            return result
        gained = {(given, library) for library in then.seeded if library not in result.seeded}
        gained |= {(other, library) for library in orelse.seeded if library not in result.seeded}
        return replace(result, held=result.held | gained)

    def _arm(self, block: Block, state: State, flag: str = "") -> State | None:
        """An arm of a choice; one with a ``flag`` runs only if that parameter is true."""
        if not block:
            return state
        end: State | None = None

        def run() -> bool:
            nonlocal end
            before = self._left()
            end = self._block(block, state)
            return end is None and self._left() == before

        self._notes.flags += [flag] if flag else []
        self._notes.in_mode(run)
        del self._notes.flags[len(self._notes.flags) - bool(flag) :]
        return end

    def _left(self) -> int:
        """How often control left so far, other than with the program."""
        return len(self._exits) + sum(len(states) for states in (*self._breaks, *self._continues))

    def _option(self, op: BranchOp, guard: Guard, state: State) -> State | None:
        """An arm for a seed that was given, and one for none: what the first seeds is seeded where it is given."""
        blocks = (op.then, op.orelse) if guard.positive else (op.orelse, op.then)
        given = self._block(blocks[0], replace(state, given=state.given | {guard.subject}))
        self._notes.absent.append(guard.subject)
        absent = self._block(blocks[1], state)
        self._notes.absent.pop()
        if given is None or absent is None:
            return given or absent
        seeded = dict(state.seeded)
        for library in sorted(given.seeded.keys() | absent.seeded.keys()):
            if library in given.seeded and library in absent.seeded:
                seeded[library] = weaker(given.seeded[library], absent.seeded[library])
                continue
            condition = guard.subject if library in given.seeded else ANY
            held = (given.seeded if library in given.seeded else absent.seeded)[library]
            seeded[library] = stronger(weaker(held, condition), state.seeded.get(library, condition))
        return replace(join(given, absent), seeded=seeded, held=given.held & absent.held)

    def _loop(self, op: LoopOp, state: State) -> State | None:
        self._breaks.append([])
        self._continues.append([])
        end = self._block(op.body, state)
        again = meet([end, *self._continues.pop()])
        breaks = self._breaks.pop()
        if op.kind == ENDLESS:
            return meet(breaks)
        if op.kind == FOR and again is not None:
            # A loop over nothing is no run anybody looks at: what one iteration seeds is seeded.
            after: State | None = join(state, again)
        else:
            after = meet([state, again])
        return meet([None if after is None else self._block(op.orelse, after), *breaks])

    def _try(self, op: TryOp, state: State) -> State | None:
        outer = self._exits
        self._exits = []
        body = self._block(op.body, state)
        end = None if body is None else self._block(op.orelse, body)
        ends = [end]
        for block, aside in op.handlers:
            self._neutral += aside
            handled = self._block(block, state)
            self._neutral -= aside
            if not aside or end is None:
                ends.append(handled)
        result = meet(ends)
        inner, self._exits = self._exits, outer
        if op.final:
            left = [(self._block(op.final, exit_state), condition) for exit_state, condition in inner]
            inner = [(exit_state, condition) for exit_state, condition in left if exit_state is not None]
            if result is None and not inner:
                self._block(op.final, state)  # reached by exceptions only
            result = None if result is None else self._block(op.final, result)
        self._exits += inner
        return result

    def _with(self, op: WithOp, state: State) -> State | None:
        inside: State | None = state
        restored = set(op.scoped).union(*[self._summary_of(key).restores for key in op.exits])
        for manager in op.managers:
            if inside is None:
                return None
            entered = self._call(manager, inside)
            for group in manager.alternatives:
                for callee in group:
                    summary = self._summary_of(callee.key)
                    restored |= summary.restores
                    if summary.yields is not None:
                        entered = inside if entered is None else entered
                        for library, condition in summary.yields.items():
                            bound = self._condition(manager, callee, condition)
                            if bound != NOTHING:
                                entered = entered.seed(library, bound)
            inside = entered
        end = None if inside is None else self._block(op.body, inside)
        if end is None or not restored:
            return end
        return replace(end.without(restored), seeded={**end.without(restored).seeded, **_only(state.seeded, restored)})


def _by_kind(item: tuple[Drawn, object]) -> Drawn:
    return item[0]


def _only(seeded: Conditions, libraries: Iterable[str]) -> dict[str, str]:
    wanted = frozenset(libraries)
    return {library: condition for library, condition in seeded.items() if library in wanted}


def _leaves(block: Block) -> bool:
    """Whether a block ends by leaving the function."""
    return bool(block) and isinstance(block[-1], ExitOp) and block[-1].kind in (RETURN, STOP)


def _later(drawn: Drawn, path: Path, when: str) -> tuple[Drawn, Path]:
    """A draw of something called back later; in loader workers torch owns those of Python and NumPy."""
    library, kind = drawn
    if when == WORKER and library in _WORKER_OWNED and isinstance(path.event, Draws):
        library = "torch"
        path = replace(path, event=Draws(library, LAZY, path.event.name))
    return (library, LAZY if kind == DRAW else LAYER if kind in (INIT, HEAD) else kind), path
