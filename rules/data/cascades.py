"""Models that learn from what another model says (MLD609)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.arguments import argument
from mldebt.facts.schema import Attribute, Call, Ref, Subscript
from mldebt.finding import Place
from mldebt.rule import Analysis

from ..glue.orderings import Orderings  # noqa: TID252 - installed under another name
from .frames import EMBEDDINGS
from .row_flow import RowFlow
from .rows import Data, Event, Mark, Site
from .running import Run

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry

# Groups and outliers are found to describe rows: within a file they are features, not the answer to another question.
_DESCRIBES = frozenset(
    """KMeans MiniBatchKMeans DBSCAN GaussianMixture BayesianGaussianMixture Birch AgglomerativeClustering MeanShift
    SpectralClustering AffinityPropagation OPTICS HDBSCAN IsolationForest OneClassSVM LocalOutlierFactor
    EllipticEnvelope NearestNeighbors BisectingKMeans""".split()
)
_JOINT = frozenset(
    """IsotonicRegression CalibratedClassifierCV StackingClassifier StackingRegressor VotingClassifier VotingRegressor
    StackingCVClassifier StackingCVRegressor""".split()
)
_STEPS = frozenset({"task", "step", "op", "asset", "component", "node", "pipeline", "flow"})


class Cascade(Struct, frozen=True):
    """``model`` is fitted on what ``source`` says.

    Args:
        source: The name of the first model or projection.
        model: The name of the second one.
        place: Where the second one is fitted.
        said: Where the first one is asked.
        origin: Where the first one is fitted; for a projection where it is asked.
        documented: A document names the order of both programs, and nothing else does.
    """

    source: str
    model: str
    place: Place
    said: Place
    origin: Place
    documented: Place | None = None

    @property
    def is_projection(self) -> bool:
        return self.source in EMBEDDINGS


class Cascades(Analysis):
    """All of a project: each second model once for each first one."""

    @cached_property
    def all(self) -> tuple[Cascade, ...]:
        found: dict[tuple[Place, Place], Cascade] = {}
        for run in self.project[RowFlow].runs:
            for cascade in (*self._chained(run), *self._projected(run)):
                found.setdefault((cascade.place, cascade.origin), cascade)
        return tuple(found.values())

    def _chained(self, run: Run) -> Iterator[Cascade]:
        for event in _fits(run):
            for mark in _data(event).kinds("predicted"):
                origin = mark.origin
                if origin is None or not _is_feature(mark, event) or not _apart(origin, event.site, mark):
                    continue
                if not self._is_ordered(origin, event.site):
                    documented = self._documented(origin, event.site)
                    places = event.site.place, mark.site.place, origin.place
                    yield Cascade(mark.label, event.label, *places, documented)

    def _projected(self, run: Run) -> Iterator[Cascade]:
        """A projection that cannot be applied to new rows, before a model that is to be applied to them."""
        for event in _fits(run):
            if len(event.data) < 2 or event.data[1] is None:
                continue  # finds groups
            for mark in _data(event).kinds("fit"):
                if mark.label not in EMBEDDINGS or not _is_feature(mark, event):
                    continue
                if mark.label != "UMAP" or not self._is_applied(mark.site):
                    place = mark.site.place
                    yield Cascade(mark.label, event.label, event.site.place, place, place)

    def _is_applied(self, fitted: Site) -> bool:
        """Whether a projection may be applied to other rows: nobody can ask one that has no name, or ask it again."""
        call = fitted.fact
        function = call.function if isinstance(call, Call) else None
        if not isinstance(function, Ref):
            return not isinstance(function, Attribute) or not isinstance(function.value, Call)
        name = function.name.rpartition(".")[0]
        if "." not in name:
            uses = {use for scope in fitted.module.facts.scopes for use in scope.uses}
            return bool(uses & {name, f"{name}.transform"})
        asked = f"{name[name.rfind('.') :]}.transform"  # an attribute, which other files may read
        modules = (one for one in self.project.modules.values() if "transform" in one.mentions)
        return any(use.endswith(asked) for one in modules for scope in one.facts.scopes for use in scope.uses)

    def _is_ordered(self, origin: Site, fitted: Site) -> bool:
        """Whether a pipeline, a script or a program states that one runs before the other."""
        orderings = self.project[Orderings]
        one, other = (site.module.definition(site.scope) for site in (origin, fitted))
        if any(orderings.orchestrators(one, other)) or _is_step(one) or _is_step(other):
            return True
        if origin.module is fitted.module:
            return False
        paths = {origin.module.path, fitted.module.path}
        makes = any(recipe.kind == "snakemake" for recipe in self.project.repository.recipes)
        return (
            makes
            or any(paths <= started for started in orderings.runners)
            or any(orderings.is_declared(first, second) for first, second in self._programs(origin, fitted))
        )

    def _documented(self, origin: Site, fitted: Site) -> Place | None:
        orderings = self.project[Orderings]
        for first, second in self._programs(origin, fitted):
            place: Place | None = orderings.documented(first, second)
            if place is not None:
                return place
        return None

    def _programs(self, origin: Site, fitted: Site) -> Iterator[tuple[Entry, Entry]]:
        if origin.module is fitted.module:
            return
        for first in self.project.entries:
            if first.definition.module is origin.module:
                for second in self.project.entries:
                    if second.definition.module is fitted.module:
                        yield first, second


def _is_feature(mark: Mark, event: Event) -> bool:
    """Whether the second model sees the column; what stands alone is calibrated, or scored."""
    if mark.kind == "predicted" and not mark.mixed:
        return False
    columns = _data(event).columns
    if mark.column is None:
        return columns is None or columns.whole
    return columns.has(mark.column) if columns is not None else mark.column in _chosen(event.site)


def _chosen(site: Site) -> frozenset[str]:
    """The columns that the call of a fit, or the definition of what it is given, takes by name."""
    call = site.fact
    if not isinstance(call, Call):
        return frozenset()
    module = site.module
    given = argument(call, "X", 0)
    values: list[object] = [given]
    if isinstance(given, Ref):
        flow = module.project.flow(module.definition(site.scope))
        values = [one.value for one in flow.origins(given)]
    found: set[str] = set()
    for value in values:
        if isinstance(value, Subscript):
            names = module.constant(site.scope, value.index)
            if isinstance(names, (list, tuple)):
                found.update(name for name in names if isinstance(name, str))
    return frozenset(found)


def _fits(run: Run) -> Iterator[Event]:
    for event in run.events:
        learns = event.kind == "fit" and event.part == "model" and event.label not in _JOINT | _DESCRIBES | EMBEDDINGS
        if learns and event.data and isinstance(event.data[0], Data):
            yield event


def _data(event: Event) -> Data:
    data = event.data[0]
    assert isinstance(data, Data)
    return data


def _apart(origin: Site, fitted: Site, mark: Mark) -> bool:
    """Whether the models are fitted in two functions, or two files; groups of rows count between files alone."""
    if origin.module is not fitted.module:
        return True
    return origin.scope != fitted.scope and mark.label not in _DESCRIBES


def _is_step(definition: Definition) -> bool:
    """Whether a pipeline framework runs the function as a step."""
    called = [one.function if isinstance(one, Call) else one for one in definition.scope.decorators]
    names = {one.name.rpartition(".")[2] for one in called if isinstance(one, (Ref, Attribute))}
    return not names.isdisjoint(_STEPS)
