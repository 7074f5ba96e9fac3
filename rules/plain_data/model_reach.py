"""Which fits the data a statement writes gets to: followed forward, into functions and out to who calls them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import (
    CLASS,
    FUNCTION,
    Annotate,
    Assign,
    Attribute,
    Augment,
    Call,
    Expr,
    For,
    Ref,
    Return,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import calls_in, expressions, given_values, statements, walk
from mldebt.project.callers import given
from mldebt.rule import Analysis

from .modelling import LINEAR, LINEAR_MODELS, TREE_MODELS, TREES

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.callers import Site
    from mldebt.project.project import Project

_FITS = frozenset({"fit", "fit_transform", "fit_predict", "partial_fit", "train"})
_SCORES = frozenset({"cross_val_score", "cross_val_predict", "cross_validate"})  # the estimator comes first
_BOOSTERS = frozenset({"xgb", "lgb", "xgboost", "lightgbm", "catboost"})
_NETWORKS = frozenset({"Sequential", "Model"})
_VECTORISERS = frozenset({"TfidfVectorizer", "CountVectorizer", "HashingVectorizer"})
_ROOTED = (Ref, Subscript, Attribute, Call)
_DEPTH = 3  # functions one after the other, and variables


class Fit(NamedTuple):
    """A call that fits a model to the data; ``kind`` is that of the model."""

    module: Module
    line: int
    model: str
    kind: str


class ModelReach(Analysis):
    """``project[ModelReach].fits(...)``."""

    def fits(self, module: Module, scope: int, stmt: Stmt, made: Call, names: Iterable[str]) -> tuple[Fit, ...]:
        """The fits that get what ``made`` gives, in ``stmt`` itself or by what these variables hold behind it."""
        following = _Following(self.project)
        following.within(module, scope, stmt, made)
        following.onward(module, scope, stmt, frozenset(names), _DEPTH)
        return tuple(following.fits)


class _Following:
    """Follows what variables hold through statements. Branches are not told apart."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._seen: set[tuple[str, int, int, frozenset[str]]] = set()
        self.fits: list[Fit] = []

    def onward(self, module: Module, scope: int, start: Stmt, names: frozenset[str], depth: int) -> None:
        """Behind a statement, and where the function around it is called, if it gives back what the names hold."""
        returned = self._through(module, scope, start, start.line, names, depth) or isinstance(start, Return)
        definition = module.definition(scope)
        if depth == 0 or definition.scope.kind != FUNCTION:
            return
        handed = names & {one.name for one in definition.scope.parameters}
        if returned or handed:
            spellings = self._project.callers.spellings(definition)
            for site in self._project.callers.of(definition) or ():
                values = [given(site, definition, name, spellings) for name in handed]
                self._behind(site, returned, {root_of(one) for one in values if isinstance(one, _ROOTED)}, depth)

    def within(self, module: Module, scope: int, stmt: Stmt, made: Call) -> None:
        """Notes a fit that is handed what a call gives in the same statement."""
        for root in expressions(stmt, module.facts.scopes):
            for call in calls_in(root):
                if any(
                    part is made for arg in (*call.args, *(one.value for one in call.keywords)) for part in walk(arg)
                ):
                    self._fitted(module, scope, call)

    def _behind(self, site: Site, returned: bool, names: set[str], depth: int) -> None:
        found = site.module.statement_at(site.call.line)
        if found is None:
            return
        if returned:
            names = {*names, *written_by(found[0])}
            self.within(site.module, site.scope, found[0], site.call)
        if names := names - {""}:
            self.onward(site.module, site.scope, found[0], frozenset(names), depth - 1)

    def _through(
        self, module: Module, scope: int, start: Stmt | None, line: int, names: frozenset[str], depth: int
    ) -> bool:
        """Whether the statements behind a line return what the variables hold."""
        key = (module.path, scope, line, names)
        if key in self._seen:
            return False
        self._seen.add(key)
        held, returned = set(names), False
        for stmt in statements(module.body(scope)):
            if stmt.line < line or stmt is start:
                continue
            for root in expressions(stmt, module.facts.scopes):
                for call in calls_in(root):
                    self._called(module, scope, call, held, depth)
            returned |= isinstance(stmt, Return) and stmt.value is not None and _holds(stmt.value, held)
            _pass_on(stmt, held, _makes_text(module, scope, stmt))
        return returned

    def _called(self, module: Module, scope: int, call: Call, held: set[str], depth: int) -> None:
        """Notes a fit to what the variables hold, and looks into functions of the project that are given it."""
        values = given_values(call)
        if not any(_holds(value, held) for value in values):
            return
        self._fitted(module, scope, call)
        if depth == 0 or not isinstance(call.function, Ref):
            return
        for linked in module.names(scope, call.function):
            definition = self._project.definition(linked)
            if definition is not None and definition.scope.kind == FUNCTION:
                parameters = [one.name for one in definition.scope.parameters]
                if parameters[:1] in (["self"], ["cls"]):
                    del parameters[0]
                given_to = dict(zip(parameters, call.args, strict=False))
                given_to |= {one.name: one.value for one in call.keywords if one.name in parameters}
                names = frozenset(name for name, value in given_to.items() if _holds(value, held))
                if names:
                    self._through(definition.module, definition.index, None, 0, names, depth - 1)

    def _fitted(self, module: Module, scope: int, call: Call) -> None:
        name = _segments(call.function)[-1:]
        if not name or name[0] not in _FITS | _SCORES:
            return
        model = call.args[0] if name[0] in _SCORES and call.args else call.function
        for found in _models(self._project, module, scope, model, call.line, _DEPTH):
            kind = LINEAR if found in LINEAR_MODELS else TREES
            self.fits.append(Fit(module, call.line, found, kind))


def _models(project: Project, module: Module, scope: int, expr: Expr, line: int, depth: int) -> Iterator[str]:
    """The estimators an expression names, or those its variables stand for on a line."""
    parts = walk(expr)
    if _is_own(project, module, scope, parts):
        return
    names = dict.fromkeys(name for part in parts for name in _segments(part))
    known = [name for name in names if name in LINEAR_MODELS or name in TREE_MODELS or name in _BOOSTERS]
    if known or depth == 0:
        yield from known
        return
    if names.keys() & _NETWORKS and "Dense" in module.mentions:
        yield "Dense"
        return
    for part in parts:
        if isinstance(part, Ref):
            for linked in module.names(scope, part):
                definition = project.definition(linked)
                if definition is not None and definition.scope.kind == FUNCTION:
                    used = definition.module.segments(definition.index)
                    yield from sorted(used & LINEAR_MODELS) or sorted(used & TREE_MODELS)
            for index, value in _given(module, scope, root_of(part), line):
                yield from _models(project, module, index, value, line, depth - 1)


def _is_own(project: Project, module: Module, scope: int, parts: Iterable[Expr]) -> bool:
    """Whether a class of the project is built: what that does with the models it is handed is its own affair."""
    for part in parts:
        if isinstance(part, Call) and isinstance(part.function, Ref):
            definitions = map(project.definition, module.names(scope, part.function))
            if any(one is not None and one.scope.kind == CLASS for one in definitions):
                return True
    return False


def _given(module: Module, scope: int, name: str, line: int) -> list[tuple[int, Expr]]:
    """What a variable was last given before a line, here or by the file's own statements."""
    for index in dict.fromkeys((scope, 0)):
        found: Expr | None = None
        for stmt in statements(module.body(index)):
            if stmt.line > line and index == scope:
                break
            if isinstance(stmt, Assign) and any(isinstance(one, Ref) and root_of(one) == name for one in stmt.targets):
                found = stmt.value
            elif isinstance(stmt, For) and any(isinstance(one, Ref) and one.name == name for one in walk(stmt.target)):
                found = stmt.iterable
        if found is not None:
            return [(index, found)]
    return []


def _segments(part: Expr) -> list[str]:
    if isinstance(part, Ref):
        return part.name.split(".")
    return [part.name] if isinstance(part, Attribute) else []


def root_of(expr: Expr) -> str:
    """``frame`` of ``frame["age"]``, ``frame.loc[...]`` and ``frame.drop(...).age``; "" of anything else."""
    while isinstance(expr, (Subscript, Attribute, Call)):
        expr = expr.function if isinstance(expr, Call) else expr.value
    if not isinstance(expr, Ref):
        return ""
    head, _, rest = expr.name.partition(".")
    return f"self.{rest.partition('.')[0]}" if head == "self" and rest else head


def written_by(stmt: Stmt) -> list[str]:
    """The variables a statement writes, also by an element or a column."""
    if isinstance(stmt, Assign):
        targets = [part for target in stmt.targets for part in getattr(target, "items", [target])]
    else:
        targets = [stmt.target] if isinstance(stmt, (Augment, Annotate)) else []
    return [name for name in map(root_of, targets) if name]


def _holds(expr: Expr, held: set[str]) -> bool:
    return any(isinstance(part, Ref) and root_of(part) in held for part in walk(expr))


def _makes_text(module: Module, scope: int, stmt: Stmt) -> bool:
    """Whether a statement assigns what a vectoriser of texts makes of a frame: its numbers are not in that."""
    value = stmt.value if isinstance(stmt, Assign) else None
    if not isinstance(value, Call) or _segments(value.function)[-1:] not in (["transform"], ["fit_transform"]):
        return False
    given_by = [one for _, one in _given(module, scope, root_of(value.function), stmt.line)]
    return any(name in _VECTORISERS for one in given_by for part in walk(one) for name in _segments(part))


def _pass_on(stmt: Stmt, held: set[str], cut: bool) -> None:
    """A variable holds what is made of one that holds it, and nothing of it when it is given something else."""
    if isinstance(stmt, For) and _holds(stmt.iterable, held):
        held.update(one.name for one in walk(stmt.target) if isinstance(one, Ref))
    if not isinstance(stmt, (Assign, Augment, Annotate)) or stmt.value is None:
        return
    if not cut and _holds(stmt.value, held):
        held.update(written_by(stmt))
    elif isinstance(stmt, Assign):
        held.difference_update(one.name for one in stmt.targets if isinstance(one, Ref))
