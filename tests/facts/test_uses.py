"""Finding the scopes that read a name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mldebt.facts.schema import Scope
from mldebt.facts.uses import Uses

_SCOPE = Scope(0, "", "", -1, 1, 1, 0, 1, 0, 1, [], [], [], [], None, {}, [], [], False, False, False)
_NAMES = st.text("ab", min_size=1, max_size=3)
_CHAINS = st.lists(st.one_of(_NAMES, st.lists(_NAMES, min_size=2, max_size=3).map(".".join), _NAMES.map(".{}".format)))


def _scopes(*uses: list[str]) -> list[Scope]:
    return [replace(_SCOPE, uses=chains) for chains in uses]


def test_a_scope_reads_the_last_name_of_a_chain() -> None:
    uses = Uses(_scopes(["np.random.seed", "x"], [], ["seed_all"], ["seed"], [".seed"]))
    assert uses.of({"seed"}) == [0, 3, 4]
    assert uses.of({"random", "all"}) == []
    assert uses.of({"x", "seed_all"}) == [0, 2]


@given(st.lists(_CHAINS), st.sets(_NAMES))
def test_the_text_answers_what_every_chain_by_itself_does(scopes: list[list[str]], names: set[str]) -> None:
    expected = [i for i, chains in enumerate(scopes) if any(one.rpartition(".")[2] in names for one in chains)]
    assert Uses(_scopes(*scopes)).of(names) == expected
