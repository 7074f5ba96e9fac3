"""Writes a body's summary while its program runs: what it draws, seeds, loads and trains, against the state there."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from .events import LOADED
from .guards import ANY
from .knowledge import CONSTRUCTOR, DRAW, HEAD, INIT, LAYER
from .programs import DrawOp, SeedOp, Site
from .states import CERTAIN, NOTHING, WANTED, Drawn, Path, Pending, State, Summary, asked, nearer, nearest, wanted

_EAGER = frozenset({DRAW, INIT, HEAD})


class Recorder:
    """The summary of one body in the making."""

    def __init__(self) -> None:
        self.result = Summary()
        self.prefix: tuple[Site, ...] = ()  # the import that runs the current statements
        self.absent: list[str] = []  # the options that were not given in the arms around
        self.flags: list[str] = []  # the parameters that are true in the arms around

    def through(self, path: Path, site: Site | None = None, given: str = CERTAIN) -> Path:
        return Path(path.event, path.site, (*self.prefix, *([site] if site else []), *path.hops), given)

    # Seeds and checkpoints.

    def seeds(self, op: SeedOp, state: State) -> State:
        for library in op.libraries:
            if library == LOADED:
                state = replace(state.seed(LOADED), pending={})
            else:
                path = self.through(Path("seed", op.site), given=op.owner or self.asked(state))
                state = self.note_seed(state, library, path).seed(library)
        return state

    def asked(self, state: State) -> str:
        """The parameter that asks for what happens here; "" if it happens anyway."""
        asking = sorted(state.given - {ANY}, key=lambda name: ("seed" not in name, name))
        return asking[0] if asking else self.flags[-1] if self.flags else CERTAIN

    def note_seed(self, state: State, library: str, path: Path) -> State:
        """A seed on this way: too late for what was drawn before it."""
        may = self.result.may
        may[library] = nearest([path, may[library]]) if library in may else path
        if path.given == NOTHING:
            return state
        for drawn, draw in sorted(state.drawn.items(), key=_by_kind):
            if drawn[0] == library:
                self.note_late(drawn, draw, path)
        pending = {
            drawn: Pending(one.draw, path) if drawn[0] == library and one.seed is None else one
            for drawn, one in state.pending.items()
        }
        return replace(state, pending=pending)

    def note_late(self, drawn: Drawn, draw: Path, seed: Path) -> None:
        held = self.result.late.get(drawn)
        if held is None or (draw.order, seed.order) < (held[0].order, held[1].order):
            self.result.late[drawn] = (draw, seed)

    # Draws.

    def draws(self, op: DrawOp, state: State) -> State:
        path = self.through(Path(op.draw, op.site))
        # Nobody knows when a factory that is kept runs: its layers may well be built after the seed.
        drawn = (op.draw.library, LAYER if op.kept else op.draw.kind)
        if op.draw.library == LOADED:
            return self.trains(state, drawn, path)
        return self.owned(state, self._unless(op.owner), drawn, path) if op.owner else self.draw(state, drawn, path)

    def trains(self, state: State, drawn: Drawn, path: Path) -> State:
        """Parameters are updated: those that were drawn and not replaced until now matter."""
        if not _is_seeded(state, drawn):
            self._expose(drawn, path)
        return self.use(state)

    def use(self, state: State) -> State:
        for drawn, one in sorted(state.pending.items(), key=lambda item: item[0]):
            self._expose(drawn, one.draw)
            if one.seed is not None:
                self.note_late(drawn, one.draw, one.seed)
        waited = {drawn: one.draw for drawn, one in state.pending.items()}
        return replace(state, pending={}, drawn=nearer(state.drawn, waited))

    def draw(self, state: State, drawn: Drawn, path: Path) -> State:
        if _is_seeded(state, drawn):
            if drawn[1] == INIT:
                self.result.covered |= {path.site.position}
            return state
        condition = None if drawn[1] == CONSTRUCTOR else state.condition(drawn[0])
        owner = condition or (self.absent[-1] if self.absent else "")
        if owner:
            return self.owned(state, self._unless(owner), drawn, path)
        if self.flags:
            return self.owned(state, f"{WANTED}{self.flags[-1]}", drawn, path)
        if drawn[1] == INIT:
            return state.wait(drawn, Pending(path))
        self._expose(drawn, path)
        return state.draw(drawn, path) if drawn[1] in _EAGER else state

    def _unless(self, owner: str) -> str:
        """The key of a draw that a parameter owns, and that happens only in the arms around."""
        return wanted(self.flags[-1], owner) if self.flags and owner != ANY else owner

    def owned(self, state: State, owner: str, drawn: Drawn, path: Path) -> State:
        """A draw that only happens unseeded if the caller gives nothing for ``owner``."""
        if owner != ANY and asked(owner)[1] not in state.given and not _is_seeded(state, drawn):
            held = self.result.params.setdefault(owner, {})
            held[drawn] = nearest([path, held[drawn]]) if drawn in held else path
        return state

    def _expose(self, drawn: Drawn, path: Path) -> None:
        exposed = self.result.exposed
        exposed[drawn] = nearest([path, exposed[drawn]]) if drawn in exposed else path

    def in_mode(self, run: Callable[[], bool]) -> None:
        """Run an arm; what it drew made no results if it trained nothing and then left the program."""
        before, self.result.exposed = self.result.exposed, {}
        gone = run()
        drawn = self.result.exposed
        if gone and (LOADED, DRAW) not in drawn:
            self.result.aside.update(nearer(self.result.aside, drawn))
            drawn = {}
        self.result.exposed = dict(nearer(before, drawn))

    def put_aside(self, state: State, drawn: Drawn, path: Path) -> None:
        """What a callee's mode draws."""
        if not _is_seeded(state, drawn):
            self.result.aside.update(nearer(self.result.aside, {drawn: path}))

    def ends(self, state: State) -> None:
        """A normal end: what was drawn here is drawn in the caller, what waits here waits there."""
        self.result.drawn = nearer(self.result.drawn, state.drawn)
        for drawn, one in state.pending.items():
            held = self.result.pending.get(drawn)
            self.result.pending[drawn] = one if held is None else min(held, one, key=lambda each: each.order)


def _by_kind(item: tuple[Drawn, object]) -> Drawn:
    return item[0]


def _is_seeded(state: State, drawn: Drawn) -> bool:
    """Whether nothing is wrong with a draw here. No global seed controls a generator object of its own."""
    return drawn[1] != CONSTRUCTOR and state.condition(drawn[0]) in (CERTAIN, ANY)
