"""The values of the must-analysis: what is certainly seeded, and paths to draws and seeds.

Seeded libraries carry a condition, in a chain from weak to strong: a parameter's name (seeded if the caller gives it),
``"?"`` (an option of the program decides: opt-in), ``""`` (certain).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from .events import EVERY, Draws
from .guards import ANY
from .programs import Site

CERTAIN = ""
NOTHING = "-"  # the caller gives nothing
WANTED = "+"  # before a parameter: a draw that happens only if the caller gives something true for it
Conditions = Mapping[str, str]
Drawn = tuple[str, str]  # library, kind


def wanted(flag: str, owner: str) -> str:
    """The key of a draw that happens if a flag is given and its owner is not; either may be "": it does not matter."""
    return f"{WANTED}{flag} {owner}".rstrip() if flag else owner


def asked(key: str) -> tuple[str, str]:
    """The flag and the owner of such a key."""
    if not key.startswith(WANTED):
        return "", key
    flag, _, owner = key.removeprefix(WANTED).partition(" ")
    return flag, owner


def weaker(one: str, other: str) -> str:
    return min(one, other, key=_strength)


def stronger(one: str, other: str) -> str:
    return max(one, other, key=_strength)


def _strength(condition: str) -> tuple[int, str]:
    return (2 if condition == CERTAIN else 1 if condition == ANY else 0), condition


class Path(Struct, frozen=True):
    """The way from a body to an event: the calls, outermost first, and the event's own place.

    ``given`` is the parameter of the body without which a seed does not happen; NOTHING: nobody gives it.
    """

    event: Draws | str
    site: Site
    hops: tuple[Site, ...] = ()
    given: str = CERTAIN

    @property
    def order(self) -> tuple[object, ...]:
        """Certain first, nearest first; then by place, so that nothing depends on who was looked at first."""
        hops = tuple(hop.position for hop in self.hops)
        return self.given not in (CERTAIN, ANY), len(self.hops), self.site.position, hops, str(self.event), self.given


class Pending(Struct, frozen=True):
    """Initial parameters drawn unseeded and neither trained nor replaced yet; ``seed``: what seeded after the draw."""

    draw: Path
    seed: Path | None = None

    @property
    def order(self) -> tuple[object, ...]:
        return self.seed is not None, self.draw.order, self.seed.order if self.seed is not None else ()


class State(Struct, frozen=True):
    """What holds at one point of a body on every way there.

    Args:
        seeded: Libraries seeded in this body so far, with their conditions.
        held: (condition text, library): seeded whenever that plain condition held.
        drawn: What some way here drew unseeded, with the nearest draw.
        pending: Initial parameters that wait for a checkpoint or for training.
        given: Parameters that are not None on any way here.
    """

    seeded: Conditions = field(default_factory=dict)
    held: frozenset[tuple[str, str]] = frozenset()
    drawn: Mapping[Drawn, Path] = field(default_factory=dict)
    pending: Mapping[Drawn, Pending] = field(default_factory=dict)
    given: frozenset[str] = frozenset()

    def condition(self, library: str) -> str | None:
        """On what condition a library is seeded here; None: it is not."""
        found = [self.seeded[one] for one in (library, EVERY) if one in self.seeded]
        return max(found, key=_strength, default=None)

    def seed(self, library: str, condition: str = CERTAIN) -> State:
        held = self.seeded.get(library)
        if held is not None and weaker(held, condition) == condition:
            return self
        return replace(self, seeded={**self.seeded, library: condition})

    def without(self, libraries: Iterable[str]) -> State:
        gone = frozenset(libraries)
        return replace(self, seeded={library: one for library, one in self.seeded.items() if library not in gone})

    def wait(self, drawn: Drawn, one: Pending) -> State:
        return replace(self, pending=waiting(self.pending, {drawn: one}))

    def draw(self, drawn: Drawn, path: Path) -> State:
        return replace(self, drawn=nearer(self.drawn, {drawn: path}))

    def under(self, text: str) -> State:
        """The state inside an arm whose condition was met before."""
        state = self
        for held, library in sorted(self.held):
            if held == text:
                state = state.seed(library)
        return state


def meet(states: Iterable[State | None]) -> State | None:
    """What holds whichever way control came; None (nothing gets here) is neutral."""
    result: State | None = None
    for state in states:
        if state is None or result is None:
            result = result if state is None else state
            continue
        both = result.seeded.keys() & state.seeded.keys()
        result = State(
            {library: weaker(result.seeded[library], state.seeded[library]) for library in sorted(both)},
            result.held & state.held,
            nearer(result.drawn, state.drawn),
            waiting(result.pending, state.pending),
            result.given & state.given,
        )
    return result


def waiting(one: Mapping[Drawn, Pending], other: Mapping[Drawn, Pending]) -> dict[Drawn, Pending]:
    both = dict(one)
    for drawn, pending in other.items():
        both[drawn] = min(both[drawn], pending, key=lambda each: each.order) if drawn in both else pending
    return both


def join(one: State, other: State) -> State:
    """What holds on either way: for conditions that do not count as a choice."""
    seeded = dict(one.seeded)
    for library, condition in other.seeded.items():
        seeded[library] = stronger(seeded[library], condition) if library in seeded else condition
    drawn, pending = nearer(one.drawn, other.drawn), waiting(one.pending, other.pending)
    return State(seeded, one.held | other.held, drawn, pending, one.given & other.given)


def left(exits: Sequence[tuple[State, str]]) -> Conditions | None:
    """What is seeded on all normal exits; an exit taken only without the option weakens, it does not undo."""
    state = meet(state for state, condition in exits if condition == CERTAIN)
    if state is None:
        state = meet(state for state, _ in exits)
        return None if state is None else state.seeded
    seeded = dict(state.seeded)
    for early, condition in exits:
        for library in seeded if condition != CERTAIN else ():
            if library not in early.seeded:
                seeded[library] = weaker(seeded[library], condition)
    return seeded


def nearest(paths: Iterable[Path]) -> Path:
    return min(paths, key=lambda path: path.order)


def nearer(one: Mapping[Drawn, Path], other: Mapping[Drawn, Path]) -> Mapping[Drawn, Path]:
    """The nearest draws of both."""
    if not other or one is other:
        return one
    both = dict(one)
    for drawn, path in other.items():
        both[drawn] = nearest([path, both[drawn]]) if drawn in both else path
    return both


class Summary(Struct):
    """What one body does, whatever the caller's state.

    Args:
        gen: Seeded on every normal exit, with conditions; None: it has no normal exit.
        yields: The same where it first yields, for context managers.
        exposed: Nearest draw by library and kind that nothing in here dominates.
        params: The same, owned by a parameter: exposed where the caller gives None; behind WANTED the other way round.
        drawn: Of these, what is drawn on some way to a normal end.
        aside: What only a mode draws that trains nothing and then leaves the program: a self-test, a listing.
        pending: Initial parameters that wait at some normal end.
        late: Draws that a seed of their library follows, with that seed.
        may: Nearest seed of each library on any way.
        restores: Libraries whose state it puts back.
        covered: Places of initial parameters that are drawn under a seed, on this way at least.
    """

    gen: Conditions | None = None
    yields: Conditions | None = None
    exposed: dict[Drawn, Path] = field(default_factory=dict)
    params: dict[str, dict[Drawn, Path]] = field(default_factory=dict)
    drawn: Mapping[Drawn, Path] = field(default_factory=dict)
    aside: dict[Drawn, Path] = field(default_factory=dict)
    pending: dict[Drawn, Pending] = field(default_factory=dict)
    late: dict[Drawn, tuple[Path, Path]] = field(default_factory=dict)
    may: dict[str, Path] = field(default_factory=dict)
    restores: frozenset[str] = frozenset()
    covered: frozenset[tuple[str, int, int]] = frozenset()
