"""Preprocessing that training and serving do differently (MLD614)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.schema import Attribute, Ref
from mldebt.finding import Place
from mldebt.project.entries import Entry
from mldebt.rule import Analysis

from ..configuration.contract_links import ContractLinks  # noqa: TID252 - installed under another name
from ..glue.artefacts import Artefacts  # noqa: TID252 - installed under another name
from ..glue.reach import Reach  # noqa: TID252 - installed under another name
from .formulas import CALL, FEATURE, OPERATION, Computed, Formula, computed, difference
from .handlers import handlers
from .normalising import normalised
from .row_flow import RowFlow

if TYPE_CHECKING:
    from mldebt.facts.schema import Stmt
    from mldebt.project.definitions import Definition

_USES = frozenset({"serve", "predict"})
_PREPARES = re.compile(
    r"pre_?proc|normali[sz]|standardi[sz]|transform|featur|encod|tokeni[sz]|clean|prepar|scale|vectori[sz]|resize"
    r"|to_tensor|impute|bucket|discreti[sz]|extract|convert|adjust|engineer|derive|augment",
    re.IGNORECASE,
)
_SIDES = frozenset(
    """train training serve serving inference infer predict prediction request online offline for test val eval input
    inputs data df row rows record records batch single text image img the one my payload api""".split()
)
_PIXELS = (1 / 255, 1 / 127.5, 1 / 128, 1 / 256)
_PARAMETERS = frozenset("mean_ scale_ var_ center_ data_min_ data_max_ min_ std scaler mu sigma means stds".split())
_ASKS = frozenset({"predict", "predict_proba", "decision_function"})


class Skew(Struct, frozen=True):
    """``kind``: formula, order, missing or refit.

    Args:
        what: The feature, the function, or the transformer.
        served: Where the serving side stands; trained: where the training side does.
        here: What serving does, there: what training does.
        by: How both are known to belong to one model.
        others: What else differs there.
    """

    kind: str
    what: str
    served: Place
    trained: Place
    here: str
    there: str
    by: str
    others: tuple[str, ...] = ()


class _Formula(Struct, frozen=True):
    formula: Formula
    definition: Definition
    stmt: Stmt
    is_column: bool = False
    values: Computed | None = None

    @property
    def place(self) -> Place:
        return self.definition.module.place(self.stmt)


class Skews(Analysis):
    """All of a project, each function on the serving side once."""

    @cached_property
    def all(self) -> tuple[Skew, ...]:
        found: dict[tuple[str, int, str], Skew] = {}
        for trainer, user, by in self._pairs():
            for skew in self._of(trainer, user, by):
                scope = self.project.modules[skew.served.path].scope_at(skew.served.span.line)
                key = skew.served.path, scope, skew.kind
                held = found.setdefault(key, skew)
                if skew.what not in (held.what, *held.others):
                    found[key] = replace(held, others=(*held.others, skew.what))
        return tuple(found.values())

    def _pairs(self) -> Iterator[tuple[Entry, Entry, str]]:
        """Programs that train and programs that use one model; without a sign of that, the only one that trains."""
        project = self.project
        every = [entry for entry in project.entries if not entry.is_test]
        programs = [entry for entry in every if not entry.is_example]
        users = [*(one for one in every if project.roles(one) & _USES), *handlers(project)]
        trainers = [one for one in programs if "train" in project.roles(one)] if users else []
        links = project[ContractLinks].links if trainers else ()
        linked = {(link.trainer.name, link.user.name): link.by for link in links}
        for user in users:
            known = [one for one in trainers if (one.name, user.name) in linked or self._shares(one, user)]
            for trainer in known:
                yield trainer, user, str(linked.get((trainer.name, user.name), "one model file"))
            if user.is_example:  # a demonstration: of this model, if it says so
                continue
            if not known and len(trainers) == 1 and trainers[0] is not user and not self._is_other(trainers[0], user):
                yield trainers[0], user, "the only training program"

    def _shares(self, trainer: Entry, user: Entry) -> bool:
        """Whether a program reads, or a service names, a model file of the name the training program writes."""
        names = self._models(user, written=False)
        if user not in self.project.entries:
            names |= {text.rpartition("/")[2] for text in user.definition.module.facts.strings}
        return not names.isdisjoint(self._models(trainer, written=True))

    def _models(self, entry: Entry, written: bool) -> frozenset[str]:
        artefacts = self.project[Artefacts]
        accesses = artefacts.written_by(entry) if written else artefacts.read_by(entry)
        return frozenset(one.node.rpartition("/")[2] for one in accesses if one.kind != "data" and "*" not in one.node)

    def _is_other(self, trainer: Entry, user: Entry) -> bool:
        """Whether the model files of both are known, and none is the same."""
        return bool(self._models(trainer, written=True)) and bool(self._models(user, written=False))

    def _of(self, trainer: Entry, user: Entry, by: str) -> Iterator[Skew]:
        reach = self.project[Reach]
        trains, serves = reach.of(trainer), reach.of(user)
        here = self._own(serves - trains)
        if _prepares(here):
            there = self._own(trains - serves)
            yield from _features(there, here, by)
            yield from _functions(there, here, by)
            yield from _pixels(there, here, by)
            yield from _orders(there, here, by)
        yield from self._normalised(trains - serves, serves - trains, by)
        yield from self._transformers(trainer, user, by)

    def _normalised(self, trains: frozenset[str], serves: frozenset[str], by: str) -> Iterator[Skew]:
        """Images that the two sides normalise with other figures."""
        definitions = (
            [one for name in sorted(side) if (one := self.project.definition(name))] for side in (trains, serves)
        )
        there, here = map(normalised, definitions)
        if there is not None and here is not None and there[0] != here[0]:
            for (ours, theirs), name in zip(zip(here[0], there[0], strict=True), ("mean", "std"), strict=True):
                if ours != theirs:
                    yield Skew("formula", f"Normalize({name})", here[1], there[1], _listed(ours), _listed(theirs), by)
                    return

    def _own(self, names: frozenset[str]) -> list[tuple[Definition, Computed]]:
        found = []
        for name in sorted(names):
            definition = self.project.definition(name)
            if definition is None or definition.is_class or definition.module.is_test:
                continue
            if definition.module.role == "project":
                found.append((definition, self._computed(definition)))
        return found

    def _computed(self, definition: Definition) -> Computed:
        known = self._known.get(definition.name)
        if known is None:
            known = self._known[definition.name] = computed(definition.module, definition.index)
        return known

    @cached_property
    def _known(self) -> dict[str, Computed]:
        return {}

    # Transformers.

    def _transformers(self, trainer: Entry, user: Entry, by: str) -> Iterator[Skew]:
        """A model that was fitted on transformed rows, and a program that asks it without transforming any."""
        flows = self.project[Artefacts].between(trainer, user)
        if not flows or not self.project[RowFlow].runs:
            return
        models = self.project[RowFlow].stored.models
        for flow in flows:
            held = models.get(flow.node.pattern.rpartition("/")[2])
            if held is None or held.kind != "model" or held.inner or not held.seen:
                continue
            first = held.seen[0]
            definitions = [
                one for name in sorted(self.project[Reach].of(user)) if (one := self.project.definition(name))
            ]
            words = {word for one in definitions for word in one.module.segments(one.index)}
            refit = self._call(definitions, frozenset({"fit_transform"}))
            if refit is not None:
                yield Skew("refit", first.label, refit, first.site.place, "fits it anew", "", flow.node.pattern)
            elif "transform" not in words and words.isdisjoint(_PARAMETERS):
                asked = self._call(definitions, _ASKS)
                if asked is not None:
                    yield Skew("missing", first.label, asked, first.site.place, "", "", flow.node.pattern)

    @staticmethod
    def _call(definitions: list[Definition], names: frozenset[str]) -> Place | None:
        for one in definitions:
            if one.index in one.module.scopes_using(names):
                for site in one.module.call_sites(one.index):
                    function = site.call.function
                    if isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in names:
                        return one.module.place(site)
        return None


Side = list[tuple["Definition", Computed]]


def _listed(figures: tuple[float, ...]) -> str:
    return ", ".join(f"{one:g}" for one in figures)


def _prepares(side: Side) -> bool:
    """Whether a side computes anything the other one may compute in another way."""
    for definition, values in side:
        if definition.is_function and _PREPARES.search(definition.scope.name):
            return True
        formulas = [one for group in (values.features, values.variables) for known in group.values() for one in known]
        if any(one.kind == OPERATION or (one.features and one.kind in (FEATURE, CALL)) for one, _ in formulas):
            return True
    return _pixel_scale(side) is not None or any(True for _ in _lists(side))


def _features(there: Side, here: Side, by: str) -> Iterator[Skew]:
    """Columns of one name that both sides compute."""
    trained, served = _by_name(there), _by_name(here)
    for name in sorted(trained.keys() & served.keys()):
        one, other = trained[name], served[name]
        if one is None or other is None or not (one.formula.is_telling or other.formula.is_telling):
            continue
        operations = one.formula.kind == other.formula.kind == OPERATION
        alike = operations and not one.formula.features.isdisjoint(other.formula.features)
        if not one.is_column and not other.is_column and not alike:
            continue  # two variables that happen to have one name
        differs = difference(one.formula, other.formula)
        if differs is not None:
            yield Skew("formula", name, other.place, one.place, differs[1], differs[0], by)


def _by_name(side: Side) -> dict[str, _Formula | None]:
    """The one formula of each feature; a variable counts where no feature has its name. None: there are several."""
    found: dict[str, _Formula | None] = {}
    for kind in ("features", "variables"):
        own: dict[str, list[_Formula]] = {}
        for definition, values in side:
            for name, formulas in getattr(values, kind).items():
                column = kind == "features"
                made = [_Formula(formula, definition, stmt, column) for formula, stmt in formulas]
                own.setdefault(name, []).extend(made)
        for name, formulas in own.items():
            telling = [one for one in formulas if one.formula.is_telling] or formulas
            if name not in found:
                found[name] = telling[0] if len({one.formula for one in telling}) == 1 else None
    return found


def _functions(there: Side, here: Side, by: str) -> Iterator[Skew]:
    """Functions that prepare values and are called the same but for the side they stand on."""
    trained: dict[frozenset[str], _Formula] = {}
    for definition, values in there:
        found, words = _returned(definition, values), _words(definition)
        if found is not None and words:
            trained[words] = found
    for definition, values in here:
        other = _returned(definition, values)
        one = trained.get(_words(definition))
        if one is None or other is None:
            continue
        what = f"{definition.scope.name}()"
        inside = _inside(what, one, other, by)
        differs = difference(one.formula, other.formula) if inside is None else None
        if inside is not None:
            yield inside
        elif differs is not None:
            yield Skew("formula", what, other.place, one.place, differs[1], differs[0], by)


def _inside(what: str, one: _Formula, other: _Formula, by: str) -> Skew | None:
    """The first variable of both functions that they compute in two ways."""
    if one.values is None or other.values is None:
        return None
    ours = {name: held[0] for name, held in other.values.variables.items() if len(held) == 1}
    theirs = {name: held[0] for name, held in one.values.variables.items() if len(held) == 1}
    for name in sorted(ours.keys() & theirs.keys(), key=lambda name: ours[name][1].line):
        differs = difference(theirs[name][0], ours[name][0])
        if differs is not None:
            places = [side.definition.module.place(held[name][1]) for side, held in ((other, ours), (one, theirs))]
            return Skew("formula", what, places[0], places[1], differs[1], differs[0], by)
    return None


def _returned(definition: Definition, values: Computed) -> _Formula | None:
    if not definition.is_function or not _PREPARES.search(definition.scope.name) or len(values.returned) != 1:
        return None
    formula, stmt = values.returned[0]
    return _Formula(formula, definition, stmt, values=values)


def _words(definition: Definition) -> frozenset[str]:
    return frozenset(definition.scope.name.lower().strip("_").split("_")) - _SIDES


def _pixels(there: Side, here: Side, by: str) -> Iterator[Skew]:
    """The one way each side scales pixels."""
    one, other = _pixel_scale(there), _pixel_scale(here)
    if one is not None and other is not None:
        differs = difference(one.formula, other.formula)
        if differs is not None:
            yield Skew("formula", "pixels", other.place, one.place, differs[1], differs[0], by)


def _pixel_scale(side: Side) -> _Formula | None:
    found: list[_Formula] = []
    for definition, values in side:
        every = [*values.handed, *values.returned]
        every += [one for group in (values.features, values.variables) for known in group.values() for one in known]
        for formula, stmt in every:
            scale = formula.scale
            if scale is not None and any(abs(scale.factor - one) < 1e-9 for one in _PIXELS):
                found.append(_Formula(Formula("?", steps=(scale,)), definition, stmt))
    return found[0] if found and len({one.formula for one in found}) == 1 else None


def _orders(there: Side, here: Side, by: str) -> Iterator[Skew]:
    """Lists of the same columns in another order."""
    trained = {frozenset(names): (names, one) for names, one in _lists(there)}
    for names, other in _lists(here):
        known = trained.get(frozenset(names))
        if known is not None and known[0] != names:
            place = known[1].place
            yield Skew("order", ", ".join(names[:3]), other.place, place, ", ".join(names), ", ".join(known[0]), by)


def _lists(side: Side) -> Iterator[tuple[tuple[str, ...], _Formula]]:
    for definition, values in side:
        for names, stmt in values.columns:
            yield names, _Formula(Formula("?"), definition, stmt)
