"""MLD102 scattered-vendor-api."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from mldebt.facts.schema import FUNCTION
from mldebt.finding import Confidence, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .vendor_calls import VendorCall, VendorCalls

_HALF = 0.5
_MOST = 0.75
_PLACELESS = frozenset({"google", "core", "ai"})
# Packages that stand between a project and what draws, tracks, stores or answers for it.
_LAYER = re.compile(
    r"_?(?:plot(?:s|ting|ters?)?|viz|vis|visuali[sz](?:ation|er|e)s?|charts?|figures?|drawing|track(?:ing|ers?)|loggers?"
    r"|adapters?|backends?|providers?|clients?|connectors?|wrappers?|integrations?|storages?|vendors?|gateways?|llms?)",
    re.IGNORECASE,
)
_THIN = 12  # lines of a function that wraps one call
_SHOWN = 60
_DESCRIPTIONS = {("project", "description"), ("tool", "poetry", "description"), ("metadata", "description")}
_WORD = re.compile(r"[a-z0-9]+")

_STEP = """
    import wandb


    def run(metrics, figure):
        wandb.log({"loss": metrics["loss"]})
        wandb.log({"figure": wandb.Image(figure)})
        wandb.summary.update(metrics)
    """
_FOLDERS = ("data", "data/text", "models", "training", "evaluation", "serving")
_SCATTERED = {f"{folder}/step_{number}.py": _STEP for number, folder in enumerate(_FOLDERS)}
_ASK = """
    from clients import client


    def ask(text):
        first = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
        second = client.embeddings.create(model="text-embedding-3-small", input=text)
        third = client.moderations.create(input=text)
        fourth = client.files.list()
        return first, second, third, fourth
    """


@dataclass(frozen=True)
class ScatteredVendorApi(ProjectRule):
    """A library that changes often is called directly from all over the project, and no module of it stands in between.

    Trackers, clouds, language models, vector stores, orchestration, plotting: calls by name, and calls of the clients
    they hand out (`client.chat.completions.create`), from several modules in several folders.

    ## Why it is debt

    The next major version, the next price list or the next vendor has to be dealt with in every one of these places.
    The project is frozen to the peculiarities of one library where it needs three or four things of it.

    ## How to pay it back

    Give the project a module of its own with those three or four functions (`tracking.log_metrics(loss=l)`) and call
    the vendor only there. `mldebt why` shows what is called how often: half of that interface.

    ## When to leave it

    The library is what the project is about (its name or description says so), one module takes half of the calls or
    more, three quarters of the calls lie in one package that is there for it (`plots/`, `tracking/`, the library's own
    name), or the project's own thin functions are called more often than the library itself: silent. The common tongues
    (NumPy, pandas, torch, scikit-learn, matplotlib) are never meant; more libraries can be added as rows of
    `knowledge.volatile`.

    ## Options

    - `modules`: how many modules must call the library (6).
    - `packages`: in how many folders (3).
    - `calls`: how many calls there must be (20).

    ## References

    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1: "wrap black-box packages into
      common API's"
    - Gesi et al., Code Smells in Machine Learning Systems, 2022: scattered use of ML library
    """

    modules: int = 6
    packages: int = 3
    calls: int = 20

    code: ClassVar[str] = "MLD102"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 60
    examples = (
        Bad(_SCATTERED, anchors=("data/step_0.py:5",)),
        Bad(
            {
                "clients.py": "from openai import OpenAI\n\nclient = OpenAI()\n",
                **{f"{folder}/ask_{number}.py": _ASK for number, folder in enumerate(_FOLDERS)},
            },
        ),
        Bad(
            {
                "stores.py": """
                import boto3


                class Store:
                    def __init__(self):
                        self.s3 = boto3.client("s3")

                    def all(self):
                        return self.s3.list_buckets()


                def connect():
                    return boto3.client("s3")
                """,
                **{
                    f"{folder}/move_{number}.py": """
                    from stores import connect


                    def move(bucket, key):
                        s3 = connect()
                        s3.head_object(Bucket=bucket, Key=key)
                        s3.copy_object(Bucket=bucket, Key=key, CopySource=key)
                        s3.delete_object(Bucket=bucket, Key=key)
                    """
                    for number, folder in enumerate((*_FOLDERS, "tools"))
                },
            },
        ),
        Good({"pyproject.toml": '[project]\nname = "wandb-reports"\n', **_SCATTERED}),
        Good(
            {
                "pyproject.toml": '[project]\nname = "runs"\ndescription = "Reports of runs in wandb"\n',
                **_SCATTERED,
            }
        ),
        Good(
            {
                "tracking.py": """
                import wandb


                def log_metrics(**metrics):
                    wandb.log(metrics)


                def log_image(name, figure):
                    wandb.log({name: wandb.Image(figure)})
                """,
                **{
                    f"{folder}/step_{number}.py": """
                    from tracking import log_image, log_metrics


                    def run(metrics, figure):
                        log_metrics(**metrics)
                        log_metrics(loss=metrics["loss"])
                        log_image("figure", figure)
                        log_image("again", figure)
                    """
                    for number, folder in enumerate(_FOLDERS)
                },
            }
        ),
        Good({f"train/step_{number}.py": _STEP for number in range(8)}),
        Good({f"app/tracking/{path}": text for path, text in _SCATTERED.items()}),
        Good({path: text for path, text in _SCATTERED.items() if "data" not in path}),
        Good({path.replace("step", "test"): text for path, text in _SCATTERED.items()} | {"app.py": _STEP}),
        Good(
            {
                path: text.replace("wandb.summary.update(metrics)", "print(metrics)").replace(
                    'wandb.log({"figure": wandb.Image(figure)})', "print(figure)"
                )
                for path, text in _SCATTERED.items()
            }
        ),
        Good(
            {
                path: text.replace("wandb.log", "plt.plot")
                .replace("wandb.", "plt.")
                .replace("import wandb", "import matplotlib.pyplot as plt")
                for path, text in _SCATTERED.items()
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for library, calls in sorted(project[VendorCalls].by_library.items()):
            modules = {call.module.path: call.module for call in calls}
            folders = {PurePosixPath(path).parent for path in modules}
            if len(calls) < self.calls or len(modules) < self.modules or len(folders) < self.packages:
                continue
            counts = Counter(call.module.path for call in calls)
            if max(counts.values()) >= _HALF * len(calls) or _is_product(library, project):
                continue
            if _in_a_layer(library, counts):
                continue
            through = _through_wrappers(calls, project)
            if through < _HALF * (through + len(calls)):
                yield _problem(library, calls, len(modules), len(folders), through)


def _in_a_layer(library: str, counts: Counter[str]) -> bool:
    """Whether most calls lie in a package that is there for the library: its own name, or ``plots``."""
    words = set(_WORD.findall(library.lower())) - _PLACELESS
    inside: Counter[str] = Counter()
    for path, count in counts.items():
        for folder in PurePosixPath(path).parents:
            if _LAYER.fullmatch(folder.name) or words & set(_WORD.findall(folder.name.lower())):
                inside[str(folder)] += count
    return max(inside.values(), default=0) >= _MOST * counts.total()


def _is_product(library: str, project: Project) -> bool:
    """Whether the project's name or description says that it is about the library."""
    words = set(_WORD.findall(library.lower()))
    said = [project.repository.name or ""]
    for config in project.repository.configs:
        if "/" not in config.path:
            said += [str(leaf.value) for leaf in config.leaves if leaf.keys in _DESCRIPTIONS]
            said += [str(leaf.value) for leaf in config.leaves if leaf.keys[:2] == ("project", "keywords")]
    found = set(_WORD.findall(" ".join(said).lower()))
    return bool(words - _PLACELESS) and words - _PLACELESS <= found


def _through_wrappers(calls: Sequence[VendorCall], project: Project) -> int:
    """How often other modules call the thin functions of the project in which the library is called."""
    thin: dict[str, Module] = {}
    for call in calls:
        scope = call.module.scope(call.site.scope)
        if scope.kind == FUNCTION and scope.end_line - scope.body_line < _THIN:
            thin[call.module.definition(call.site.scope).name] = call.module
    last = {name.rpartition(":")[2].rpartition(".")[2] for name in thin}
    found = 0
    for module in project.modules.values():
        if module.is_test or last.isdisjoint(module.mentions):
            continue
        for index in module.scopes_using(last):
            for site in module.call_sites(index):
                written = getattr(site.call.function, "name", "").rpartition(".")[2]
                if written in last:
                    edges = project.calls.targets(module, index, site.call)
                    found += any(thin.get(edge.target.name) not in (None, module) for edge in edges)
    return found


def _problem(library: str, calls: Sequence[VendorCall], modules: int, folders: int, through: int) -> Problem:
    shapes = Counter(call.what.removeprefix(f"{library}.") for call in calls)
    often = ", ".join(f"{name} x{count}" for name, count in shapes.most_common(4))
    histogram = Counter(call.shape for call in calls)
    first, others = calls[0], calls[1:]
    return Problem(
        first.module.place(first.site.call),
        f"{library} is called {len(calls)} times from {modules} modules in {folders} folders ({often}); "
        "no module of the project stands in between",
        tuple(
            Related(call.module.place(call.site.call), f"calls {call.what.removeprefix(f'{library}.')}")
            for call in others[:_SHOWN]
        ),
        evidence=(
            f"calls through thin functions of the project: {through}",
            "neither the project's name nor its description names the library",
            *(f"{count} x {shape}" for shape, count in histogram.most_common(12)),
        ),
        symbol=library,
    )
