"""P17: the tunable and configurable values of the pipeline are in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Place
from mldebt.rule import Assessment, Practice, State

from ..configuration.configuration_table import (  # noqa: TID252 - installed under another name
    Bound,
    ConfigurationTable,
)

if TYPE_CHECKING:
    from mldebt.project.project import Project

_ENOUGH = 4  # fewer settings than this need no home
_HELD = 0.7  # the share of settings a structured configuration has to hold
_SCATTERED = 0.75
_SHOWN = 3


class P17SettingsFromOneLocation(Practice):
    """Settings come from one location: a parser, a schema or a configuration file, not from all over the code.

    Wired when at least seven settings in ten are declared in a structured configuration (an argparse or click
    interface, a configuration dataclass or pydantic model, configuration files) and these lie together: the chance that
    two of them are in different files is below three in four. Present when there is such a configuration and it holds
    less, or is scattered. A setting is a hyperparameter or a value of the model's interface that is given a constant.
    """

    id = "P17"
    title = "Settings are read from one location"

    def assess(self, project: Project, /) -> Assessment:
        bindings = list(_settings(project))
        if len(bindings) < _ENOUGH:
            return Assessment(State.NOT_VISIBLE)
        held = [one for one in bindings if one.structured]
        loose = [one for one in bindings if not one.structured]
        evidence = tuple(_homes(held or loose))
        if not held:
            return Assessment(State.MISSING, evidence, _advice(loose))
        if len(held) >= _HELD * len(bindings) and _dispersion(held) < _SCATTERED:
            return Assessment(State.WIRED, evidence)
        return Assessment(State.PRESENT, evidence, _advice(loose))


def _settings(project: Project) -> Iterator[Bound]:
    """The hyperparameters outside of tests and examples; what functions keep in variables of their own is left out."""
    table = project[ConfigurationTable]
    yield from (one for one in (*table.declared, *table.told()) if _counts(project, one))
    for module in project.modules.values():
        if module.role == "project" and not module.is_test and not module.is_example:
            yield from (one for part in table.settled(module) for one in part if table.kind(one.knob))


def _counts(project: Project, one: Bound) -> bool:
    module = project.modules.get(one.place.path)
    return bool(project[ConfigurationTable].kind(one.knob)) and (module is None or not module.is_example)


def _dispersion(bindings: list[Bound]) -> float:
    """The Gini-Simpson index over files: 0 when all are in one, near 1 when each is in its own."""
    counts = Counter(one.place.path for one in bindings)
    return 1 - sum((count / len(bindings)) ** 2 for count in counts.values())


def _homes(bindings: list[Bound]) -> Iterator[Place]:
    """The first binding of each of the files that hold most of them."""
    first: dict[str, Place] = {}
    for one in sorted(bindings, key=lambda one: one.place):
        first.setdefault(one.place.path, one.place)
    counts = Counter(one.place.path for one in bindings)
    for path in sorted(counts, key=lambda path: (-counts[path], path))[:_SHOWN]:
        yield first[path]


def _advice(loose: list[Bound]) -> str:
    files = sorted({one.place.path for one in loose})
    names = ", ".join(sorted({one.name for one in loose})[:_SHOWN])
    if not loose:
        return "bring the configuration's files together"
    where = f"{len(files)} file{'s' * (len(files) > 1)}"
    return f"move {len(loose)} settings ({names}, ...) out of {where} into the configuration"
