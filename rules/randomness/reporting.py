"""How MLD401 and its siblings show an entry's way to a draw: where they point, and the steps in between."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mldebt.facts.schema import FUNCTION, Call, Define, Imports
from mldebt.facts.walk import statements
from mldebt.finding import Place, Related, Severity, Span

from .events import Draws
from .knowledge import CONSTRUCTOR, HEAD, INIT, LAYER, LAZY
from .programs import Site
from .states import Path

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

NAMES = {"python": "random", "numpy": "NumPy", "torch": "PyTorch", "tensorflow": "TensorFlow"}
SEEDS = {
    "python": "random.seed",
    "numpy": "numpy.random.seed",
    "torch": "torch.manual_seed",
    "tensorflow": "tensorflow.random.set_seed",
}
_RUNNER = re.compile(
    r"(^|/)(main|run|train|fit|finetune|fine_tune|pretrain|experiment|cli|app|__main__)[^/]*\.py$|(^|[/_])(train|main)[^/]*\.py$"
)
_MODELS = (
    "torch.nn.Module",
    "tensorflow.keras.Model",
    "keras.Model",
    "tensorflow.keras.layers.Layer",
    "keras.layers.Layer",
)
_BUILT = "built"
_STEPPING = re.compile(r"drop|noise|random|rrelu|augment|mix", re.IGNORECASE)  # layers that draw when they are called
_KINDS = {
    LAZY: "{} is set up to draw from {}",
    INIT: "{} draws initial parameters from {}",
    LAYER: "{} draws from {} in every training step",
    _BUILT: "{} draws initial parameters from {} when it is built",
    HEAD: "{} draws the new head from {}",
    CONSTRUCTOR: "{} builds a {} generator without a seed",
}


def step(site: Site) -> Place:
    """The place of a call or an import."""
    if isinstance(site.fact, Imports):
        return Place(site.module.path, Span(site.fact.line))
    return site.module.place(site.fact)


def described(path: Path, library: str) -> str:
    """``random_split(...) draws from PyTorch``."""
    event = path.event
    kind = event.kind if isinstance(event, Draws) else ""
    if kind == LAYER and isinstance(event, Draws) and not _STEPPING.search(event.name.rpartition(".")[2]):
        kind = _BUILT
    name = path.site.name.rpartition(".")[2] if isinstance(path.site.fact, Call) else path.site.name
    return _KINDS.get(kind, "{} draws from {}").format(f"{name}(...)", NAMES[library])


def way(path: Path, text: str, role: str = "cause") -> tuple[Related, ...]:
    """The calls that lead to an event, in order, and the event."""
    steps = [Related(step(hop), _hop(hop), "path") for hop in path.hops]
    return (*steps, Related(step(path.site), text, role))


def more(paths: Sequence[Path], library: str) -> tuple[Related, ...]:
    """The other unseeded draws of a library, after the first."""
    shown = {paths[0].site.position}
    found: list[Related] = []
    for path in paths[1:]:
        if path.site.position not in shown:
            shown.add(path.site.position)
            found.append(Related(step(path.site), f"so does this: {described(path, library)}", "effect"))
    return tuple(found)


def _hop(site: Site) -> str:
    return site.name if site.name.startswith("import") else f"calls {site.name}"


def label(entry: Entry) -> str:
    """What to call an entry in a message."""
    if entry.definition.is_function:
        return f"{entry.definition.qualname}()"
    return entry.definition.module.path


def anchor(entry: Entry, path: Path) -> Place:
    """Where an entry's finding stands.

    The function the entry starts with, be it called from the main block; in scripts and notebooks without one, the
    first statement on the way to the draw.
    """
    module = entry.definition.module
    if entry.definition.is_function:
        return header(module, entry.definition.index)
    sites = [*path.hops, path.site]
    first = next((site for site in sites if site.module is module), path.site)
    main = module.facts.main
    if main is None or not main[0] <= first.fact.line <= main[1]:
        return step(first)
    called = started(entry, path)
    return header(module, called) if called is not None else Place(module.path, Span(main[0]))


def started(entry: Entry, path: Path) -> int | None:
    """The function of the entry's own file that its main block calls first on the way; None if there is none."""
    module = entry.definition.module
    main = module.facts.main
    if main is None or not path.hops or path.hops[0].module is not module:
        return None
    hop = path.hops[0]
    if not main[0] <= hop.fact.line <= main[1]:
        return None
    for index, scope in enumerate(module.facts.scopes):
        if scope.kind == FUNCTION and scope.qualname == hop.name and scope.parent == 0:
            return index
    return None


def header(module: Module, index: int) -> Place:
    """The ``def`` line of a function."""
    scope = module.facts.scopes[index]
    text = module.text_lines[scope.line - 1] if scope.line <= len(module.text_lines) else ""
    return Place(module.path, Span(scope.line, scope.column + 1, scope.line, max(len(text.rstrip()), scope.column) + 1))


def severity(project: Project, entry: Entry) -> Severity:
    """Major where results are made, minor where they are only measured, info for a model file's own demonstration."""
    module = entry.definition.module
    if _is_demonstration(project, module):
        return Severity.INFO
    return Severity.MAJOR if project.roles(entry) & {"train", "tune", "split"} else Severity.MINOR


def _is_demonstration(project: Project, module: Module) -> bool:
    if module.facts.main is None or _RUNNER.search(module.path):
        return False
    if not any(not project.modules[path].is_test for path in project.imports.importers(module.path)):
        return False
    return any(
        base in _MODELS or base.endswith("LightningModule")
        for stmt in statements(module.body(0))
        if isinstance(stmt, Define) and module.facts.scopes[stmt.scope].bases
        for base in project.mro(f"{module.path}:{module.facts.scopes[stmt.scope].qualname}")
    )
