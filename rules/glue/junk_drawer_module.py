"""MLD105 junk-drawer-module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .cohesion import Cohesion, Member

_ONE_VOCABULARY = 0.2  # utility modules measure 0.03 to 0.15, losses, outputs and validators 0.2 to 0.7
_ONE_THEME = 0.4
_ONE_LIBRARY = 0.8
_ONE_OWNER = 0.7
_SHOWN = 6

_Component = tuple[Member, ...]

_DRAWER = """
    import json
    import re

    import numpy as np
    import requests
    import yaml

    BLANKS = re.compile("[ ]+")


    def squeeze_blanks(text):
        return BLANKS.sub(" ", text.strip())


    def sentence_lengths(document):
        return [len(piece.split()) for piece in document.split(".")]


    def hash_tokens(tokens, buckets):
        return np.bincount([hash(token) % buckets for token in tokens], minlength=buckets)


    def cosine_decay(step, total, peak):
        return peak * 0.5 * (1 + np.cos(np.pi * step / total))


    def flatten_gradients(parameters):
        return np.concatenate([p.grad.ravel() for p in parameters])


    def newest_checkpoint(folder):
        return max(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)


    def read_recipe(path):
        with open(path) as file:
            return yaml.safe_load(file)


    def notify_slack(url, message):
        requests.post(url, json={"text": message}, timeout=5)


    def bearer_header(secret):
        return {"Authorization": f"Bearer {secret}"}


    def clamp_percentage(value):
        return min(100.0, max(0.0, value))


    def to_geojson(points):
        return json.dumps({"type": "MultiPoint", "coordinates": points})


    def retry_after(response):
        return int(response.headers.get("Retry-After", 1))
    """
_FEATURES = """
    from common.utils import hash_tokens, sentence_lengths, squeeze_blanks


    def features(document):
        return hash_tokens(squeeze_blanks(document).split(), 256), sentence_lengths(document)
    """
_TRAINING = """
    from common.utils import cosine_decay, flatten_gradients, newest_checkpoint, read_recipe


    def fit(model, folder):
        recipe = read_recipe(folder / "recipe.yaml")
        model.load(newest_checkpoint(folder))
        for step in range(recipe["steps"]):
            model.step(flatten_gradients(model.parameters()), cosine_decay(step, recipe["steps"], 0.1))
    """
_SERVING = """
    from common import utils


    def answer(url, secret, points, response):
        utils.notify_slack(url, str(utils.clamp_percentage(len(points))))
        return utils.to_geojson(points), utils.bearer_header(secret), utils.retry_after(response)
    """
_PACKAGES = {
    "common/__init__.py": "",
    "features/__init__.py": "",
    "training/__init__.py": "",
    "serving/__init__.py": "",
    "features/text.py": _FEATURES,
    "training/loop.py": _TRAINING,
    "serving/app.py": _SERVING,
}
_LOSSES = "import torch\nimport numpy as np\n\n\n" + "\n\n".join(
    f"def {name}_loss(logits, targets):\n    return {call}(logits, targets).mean()\n"
    for name, call in (
        *((name, f"torch.nn.functional.{name}") for name in "mse_loss l1_loss huber_loss nll_loss kl_div".split()),
        *((name, f"np.{name}") for name in "subtract divide hypot maximum minimum power".split()),
    )
)
_LOSS_USERS = {
    f"{folder}/use.py": f"from losses import {', '.join(names)}\n\n\ndef run(x, y):\n    return "
    + " + ".join(f"{name}(x, y)" for name in names)
    + "\n"
    for folder, names in {
        "vision": ("mse_loss_loss", "l1_loss_loss", "huber_loss_loss"),
        "speech": ("nll_loss_loss", "kl_div_loss", "subtract_loss"),
    }.items()
}


@dataclass(frozen=True)
class JunkDrawerModule(ProjectRule):
    """A module whose functions have nothing to do with each other, and serve packages that have nothing in common.

    Its definitions fall apart into components: no definition of one uses another, and they share no variable. Different
    components are called from different packages, they use several third-party libraries, and their identifiers do not
    speak of one thing.

    ## Why it is debt

    Everything imports such a module, so everything depends on everything it imports: a batch job needs the web
    framework, a change for one caller retests all. It is where glue code collects, and whoever needs something first
    looks elsewhere, so it holds the third copy of each helper.

    ## How to pay it back

    Split it along its callers: move each component to the package that alone uses it (the finding lists them), and
    what several packages use into modules named after what they are about. No interface changes.

    ## When to leave it

    Toolboxes of one domain (`losses.py`, `metrics.py`, `box_utils.py`) fall apart into components too, but have one
    vocabulary, one library or one word in all their names: the rule is silent on them, and on modules that one package
    alone uses.

    ## Options

    * `definitions` (10): how many functions and classes there must be.
    * `components` (8): how many components they must fall into.
    * `scatter` (0.6): components per definition.
    * `overlap` (0.2): how alike the sets of components that two packages use may be, as a mean Jaccard index.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.1 (glue code).
    * J. Gesi et al., "Code Smells in Machine Learning Systems", 2022 (deep god file, scattered use of ML library).
    * M. McAteer, "Nitpicking Machine Learning Technical Debt", 2020: most of what is shoved into utils.py is glue code.
    """

    definitions: int = 10
    components: int = 8
    scatter: float = 0.6
    overlap: float = 0.2

    code: ClassVar[str] = "MLD105"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 60
    examples = (
        Bad({**_PACKAGES, "common/utils.py": _DRAWER}, anchors=("common/utils.py:1",)),
        Bad(
            {
                **_PACKAGES,
                "common/utils.py": "from common.everything import *\n",
                "common/everything.py": _DRAWER,
            },
            anchors=("common/everything.py:1",),
        ),
        Bad(
            {
                **_PACKAGES,
                "serving/app.py": _SERVING.replace("utils.", "tools.").replace(
                    "from common import utils", "import common.utils as tools"
                ),
                "common/utils.py": _DRAWER,
                "tests/test_utils.py": "from common.utils import *\n\nassert clamp_percentage(101) == 100\n",
            },
        ),
        Good({"losses.py": _LOSSES, **_LOSS_USERS}),
        Good({"train.py": _TRAINING, "app.py": _SERVING, "text.py": _FEATURES, "common/utils.py": _DRAWER}),
        Good({**_PACKAGES, "serving/app.py": _TRAINING, "features/text.py": _TRAINING, "common/utils.py": _DRAWER}),
        Good(
            {**_PACKAGES, "common/utils.py": _DRAWER.replace("numpy as np", "math as np").replace("requests", "urllib")}
        ),
        Good({**_PACKAGES, "common/utils.py": _DRAWER.partition("    def newest_checkpoint")[0]}),
        Good({"common/utils.py": _DRAWER, "tests/a/test_x.py": _FEATURES, "tests/b/test_y.py": _TRAINING}),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        cohesion = project[Cohesion]
        for module in project.modules.values():
            if module.role != "project" or module.is_test or not self._is_large(module):
                continue
            components = cohesion.components(module.path)
            members = sum(map(len, components))
            if members < self.definitions or len(components) < max(self.components, self.scatter * members):
                continue
            libraries = cohesion.libraries(module.path)
            if len(libraries) < 2 or max(libraries.values()) >= _ONE_LIBRARY * members:
                continue
            parts = _parts(components, cohesion.callers(module.path), _home(module))
            overlap = _overlap(parts)
            if overlap is None or overlap > self.overlap or not _serves_several(components, parts):
                continue
            likeness = cohesion.likeness(module.path)
            if likeness < _ONE_VOCABULARY and cohesion.theme(module.path) < _ONE_THEME:
                yield _problem(module, components, parts, sorted(libraries), likeness, overlap)

    def _is_large(self, module: Module) -> bool:
        return sum(scope.parent == 0 for scope in module.facts.scopes) >= self.definitions


def _home(module: Module) -> str:
    """The folder whose subfolders are one package with it; "" in a top-level package, whose parts are packages."""
    return str(PurePosixPath(module.path).parent) if module.name.count(".") > 1 else ""


def _parts(
    components: Sequence[_Component], callers: Mapping[str, frozenset[str]], home: str
) -> dict[str, tuple[_Component, ...]]:
    """Packages to the components they use."""
    found: dict[str, list[_Component]] = {}
    for component in components:
        folders = {folder for member in component for folder in callers.get(member.name, ())}
        for folder in {home if home and folder.startswith(f"{home}/") else folder for folder in folders}:
            found.setdefault(folder, []).append(component)
    return {folder: tuple(found[folder]) for folder in sorted(found)}


def _overlap(parts: Mapping[str, Sequence[_Component]]) -> float | None:
    """How alike what two packages use is, in the mean; None with fewer than two packages that use several things."""
    used = [{component[0].name for component in components} for components in parts.values() if len(components) > 1]
    pairs = [len(one & other) / len(one | other) for one, other in combinations(used, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def _serves_several(components: Sequence[_Component], parts: Mapping[str, Sequence[_Component]]) -> bool:
    """Whether several packages have parts of the module to themselves, and none has nearly all of it."""
    split = _split(components, parts)
    alone = [sum(map(len, group)) for folder, group in split.items() if folder]
    used = sum(len(component) for group in split.values() for component in group)
    return len(alone) > 1 and max(alone) <= _ONE_OWNER * used


def _problem(
    module: Module,
    components: Sequence[_Component],
    parts: Mapping[str, Sequence[_Component]],
    libraries: Sequence[str],
    likeness: float,
    overlap: float,
) -> Problem:
    members = sum(map(len, components))
    split = _split(components, parts)
    moves = [(folder, group) for folder, group in split.items() if folder]
    named = ", ".join(f"{_folder(folder)} ({sum(map(len, group))})" for folder, group in moves[:_SHOWN])
    more = f" and {len(moves) - _SHOWN} more" if len(moves) > _SHOWN else ""
    message = (
        f"{members} definitions in {len(components)} unconnected components, called from {len(parts)} packages; "
        f"{sum(len(c) for _, group in moves for c in group)} of them have one calling package alone: {named}{more}"
    )
    plan = [f"only {_folder(folder)} uses {_list(group)}" for folder, group in moves]
    shared = split.get("", ())
    if shared:
        plan.append(f"several packages use {_list(shared)}")
    related = tuple(
        Related(Place(module.path, Span(group[0][0].line)), text) for (_, group), text in zip(moves, plan, strict=False)
    )
    return Problem(
        Place(module.path, Span(1)),
        message if moves else message.rpartition(";")[0],
        related,
        evidence=(
            f"third-party libraries: {', '.join(libraries)}",
            f"what two packages use is {overlap:.2f} alike in the mean (Jaccard); identifiers are {likeness:.2f} alike",
            *(f"proposed: {text}" for text in plan),
        ),
        carries=tuple((module.path, line) for line in sorted(module.code_line_numbers)),
    )


def _split(components: Sequence[_Component], parts: Mapping[str, Sequence[_Component]]) -> dict[str, list[_Component]]:
    """Components by the one package that uses them, largest first; under "" those that several use."""
    users: dict[str, list[str]] = {}
    for folder, used in parts.items():
        for component in used:
            users.setdefault(component[0].name, []).append(folder)
    found: dict[str, list[_Component]] = {}
    for component in components:
        folders = users.get(component[0].name, [])
        if folders:
            found.setdefault(folders[0] if len(folders) == 1 else "", []).append(component)
    return dict(sorted(found.items(), key=lambda item: (-sum(map(len, item[1])), item[0])))


def _folder(path: str) -> str:
    return "the root" if path == "." else f"{PurePosixPath(path)}/"


def _list(group: Sequence[_Component]) -> str:
    names = [member.name for component in group for member in component]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
