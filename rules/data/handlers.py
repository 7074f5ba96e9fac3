"""Functions that answer requests without being a program's own: a service calls them by name, class or callback."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.facts.schema import Ref
from mldebt.module import Module
from mldebt.project.definitions import Definition
from mldebt.project.entries import Entry
from mldebt.project.project import Project

_NAMES = frozenset({"lambda_handler", "predict_fn", "input_fn", "model_fn", "transform_fn"})
_PAIRED = {"handler": ("event", "context")}  # names that say it only with their parameters
# Classes whose methods a server calls, by the end of their bases' names.
_SERVERS = ("PythonModel", "BaseHandler", "BasePredictor", "BaseModelHandler", "kserve.Model", "Predictor", "LitAPI")
_SERVER_METHODS = frozenset(
    "predict preprocess inference handle load_context setup decode_request predict_raw execute".split()
)
# Of a script: who calls back what it is given.
_CALLBACKS = frozenset(
    "Interface ChatInterface TabbedInterface click submit change launch add_url_rule add_api_route Button button "
    "add_handler add_route on_click".split()
)


def handlers(project: Project) -> Iterator[Entry]:
    """Files with such functions; those that train, or are known to answer, left out."""
    entries = {entry.definition.module.path: entry for entry in project.entries}
    for module in project.modules.values():
        if module.role != "project" or module.is_test:
            continue
        entry = entries.get(module.path)
        if entry is not None and project.roles(entry) & {"train", "serve", "predict"}:
            continue
        found = list(_by_name(module)) if entry is None else []
        found += [*_methods(project, module), *_callbacks(project, module)]
        if found:
            yield Entry(module.definition(0), "serve", module.path, (), 1, tuple(found))


def _by_name(module: Module) -> Iterator[Definition]:
    for index, scope in enumerate(module.facts.scopes):
        wanted = _PAIRED.get(scope.name)
        if scope.name in _NAMES or (wanted and tuple(one.name for one in scope.parameters) == wanted):
            yield module.definition(index)


def _methods(project: Project, module: Module) -> Iterator[Definition]:
    for index, scope in enumerate(module.facts.scopes):
        if not scope.bases or scope.name.startswith("_"):
            continue
        definition = module.definition(index)
        bases = [name for base in scope.bases for name in module.names(0, base)]
        if definition.is_class and any(":" not in name and name.endswith(_SERVERS) for name in bases):
            for name in sorted(_SERVER_METHODS):
                method = project.method(definition.name, name)
                if method is not None:
                    yield method


def _callbacks(project: Project, module: Module) -> Iterator[Definition]:
    if module.mentions.isdisjoint(_CALLBACKS):
        return
    for scope in module.scopes_using(_CALLBACKS):
        for site in module.call_sites(scope):
            name = getattr(site.call.function, "name", "").rpartition(".")[2]
            given = [*site.call.args, *[one.value for one in site.call.keywords]] if name in _CALLBACKS else []
            for expr in given:
                linked = module.names(scope, expr) if isinstance(expr, Ref) else ()
                definition = project.definition(linked[0]) if len(linked) == 1 and ":" in linked[0] else None
                if definition is not None and definition.is_function:
                    yield definition
