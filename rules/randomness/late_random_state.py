"""Where an estimator's ``random_state`` may be set after it is built: ``set_params``, attributes, parameter grids."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import Assign, Attribute, Build, Call, Const, Expr, Ref
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .sklearn_objects import OWNER

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_NESTED = f"__{OWNER}"
_SEARCHES = frozenset(
    "GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV BayesSearchCV TuneSearchCV "
    "TuneGridSearchCV OptunaSearchCV ParameterGrid ParameterSampler validation_curve".split()
)
_SETTERS = frozenset({"set_params", "setattr", "set_random_state", "_set_random_states"})
_WORDS = _SEARCHES | _SETTERS | {OWNER}


class LateRandomState(Analysis):
    """``project[LateRandomState].may_reach(module)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._sets: dict[tuple[str, bool], bool] = {}
        self._near: dict[str, bool] = {}

    def may_reach(self, module: Module) -> bool:
        """Whether a file, or one that may get hold of its objects, sets the random_state of estimators."""
        path = module.path
        if path not in self._near:
            self._near[path] = (
                self._in_configuration
                or self._sets_in(path, own=True)
                or any(self._sets_in(one, own=False) for one in sorted(self._around(path)))
            )
        return self._near[path]

    def _around(self, path: str) -> set[str]:
        """The files that import it, and all that these or the file itself import: its objects may be handed there."""
        imports = self.project.imports
        found: set[str] = set()
        for one in (path, *imports.importers(path)):
            found |= imports.closure(one)
        return {one for one in found if one in self.project.modules}

    @cached_property
    def _in_configuration(self) -> bool:
        """A grid in a configuration file: ``clf__random_state: [0, 1]``."""
        configs = self.project.repository.configs
        return any(key.endswith(_NESTED) for config in configs for leaf in config.leaves for key in leaf.keys)

    def _sets_in(self, path: str, *, own: bool) -> bool:
        key = (path, own)
        if key not in self._sets:
            module = self.project.modules[path]
            words = _WORDS.intersection(module.facts.mentions)
            self._sets[key] = bool(words) and not module.is_test and _sets(module, own, words)
        return self._sets[key]


def _sets(module: Module, own: bool, words: frozenset[str]) -> bool:
    """``own``: the estimators are built here, so parameters that are not spelled out may be theirs."""
    nodes = list(_expressions(module)) if words & (_SEARCHES | _SETTERS) else []
    spelled = own or any(isinstance(one, Const) and isinstance(one.value, str) and OWNER in one.value for one in nodes)
    return (
        any(_by_call(node, spelled) for node in nodes)
        or (bool(words & _SEARCHES) and any(_in_grid(node) for node in nodes))
        or (OWNER in words and any(_stores(module, index) for index in module.scopes_using({OWNER})))
    )


def _by_call(node: Expr, spelled: bool) -> bool:
    if not isinstance(node, Call) or not isinstance(node.function, (Ref, Attribute)):
        return False
    last = node.function.name.rpartition(".")[2]
    if last == "set_params":
        names = [keyword.name for keyword in node.keywords]
        return any((spelled if name is None else name == OWNER or name.endswith(_NESTED)) for name in names)
    if last == "setattr":
        key = node.args[1] if len(node.args) > 1 else None
        return key.value == OWNER if isinstance(key, Const) else spelled and not _is_self(node.args[0])
    return last in _SETTERS


def _is_self(expr: Expr) -> bool:
    return isinstance(expr, Ref) and expr.name == "self"


def _in_grid(node: Expr) -> bool:
    """A grid gives lists of values; ``{"random_state": 0}`` is handed to something with ``**``."""
    if not isinstance(node, Build) or node.kind != "dict":
        return False
    return any(
        isinstance(key, Const)
        and isinstance(key.value, str)
        and (key.value.endswith(_NESTED) or (key.value == OWNER and not isinstance(value, Const)))
        for key, value in zip(node.keys, node.items, strict=True)
    )


def _expressions(module: Module) -> Iterator[Expr]:
    for index in range(len(module.facts.scopes)):
        for stmt in statements(module.body(index)):
            for expr in expressions(stmt, module.facts.scopes):
                yield from walk(expr)


def _stores(module: Module, index: int) -> bool:
    """``model.random_state = seed``; what a class keeps for itself is another matter."""
    for stmt in statements(module.body(index)):
        for target in stmt.targets if isinstance(stmt, Assign) else ():
            if isinstance(target, Ref) and target.name.endswith(f".{OWNER}"):
                head, _, rest = target.name.partition(".")
                if rest != OWNER or module.project.types.owner_of(module, index, head) is None:
                    return True
    return False
