"""Who runs several entries one after the other: scripts, Make targets, CI jobs, and the project's own programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import Const, Expr
from mldebt.facts.walk import children, expressions, statements
from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from .reach import Reach

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project
    from mldebt.sources.artefacts import Command, Recipe

# Frameworks whose programs are declared pipelines: their entries state steps and order.
ORCHESTRATED = frozenset(
    {"airflow", "prefect", "dagster", "zenml", "kedro", "metaflow", "luigi", "kfp", "flyte", "ploomber", "argo"}
)
_IMPORTS = frozenset(
    """airflow prefect dagster zenml kedro metaflow luigi kfp flytekit ploomber hera clearml.automation apache_beam
    ray.workflow azure.ai.ml sagemaker.workflow hamilton sayn d6tflow mage_ai bonobo""".split()
)
# A script, a Make target, a CI job or a container says the order; a README only tells it to a reader.
_ORDERING = frozenset({"shell", "make", "ci", "docker", "dvc", "mlproject"})
_RUNNERS = frozenset(
    """subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen os.system os.popen
    runpy.run_path runpy.run_module papermill.execute_notebook papermill.execute.execute_notebook
    subprocess.getoutput subprocess.getstatusoutput importlib.import_module builtins.exec""".split()
)


class Orderings(Analysis):
    """Answers what already says that one entry runs before another."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._reach = project[Reach]

    def is_orchestrated(self, entry: Entry) -> bool:
        """Whether an entry is a step or a flow of a pipeline framework."""
        return entry.kind in ORCHESTRATED

    def orchestrators(self, *definitions: Definition) -> Iterator[Entry]:
        """Entries of pipeline frameworks, or programs that use one, that reach all these definitions."""
        for entry in self.project.entries:
            if (entry.kind in ORCHESTRATED or self.uses_framework(entry.definition.module)) and not entry.is_test:
                reached = self._reach.of(entry)
                if all(one.name in reached for one in definitions):
                    yield entry

    def uses_framework(self, module: Module) -> bool:
        """Whether a file imports a pipeline framework."""
        return any(
            fact.module in _IMPORTS or fact.module.partition(".")[0] in _IMPORTS
            for fact in module.facts.imports
            if not fact.level
        )

    def is_declared(self, first: Entry, second: Entry) -> bool:
        """Whether a pipeline framework's program, or a pipeline in YAML, names both files."""
        one, other = first.definition.module.path, second.definition.module.path
        if one == other:
            return False
        for path, started in self._programs.items():
            if one in started and other in started and self.uses_framework(self.project.modules[path]):
                return True
        return any({one, other} <= named for named in self._workflows)

    @cached_property
    def _workflows(self) -> tuple[frozenset[str], ...]:
        """The files that each YAML file names in commands, CI and what ``repository.commands`` reads apart."""
        found = []
        known = {command.path for command in self.project.repository.commands}
        for config in self.project.repository.configs:
            if config.format == "yaml" and config.path not in known:
                names = {
                    path
                    for leaf in config.leaves
                    if (isinstance(leaf.value, str) and leaf.value.endswith((".py", ".ipynb")))
                    or ".py " in str(leaf.value)
                    for word in str(leaf.value).split()
                    for path in self._by_name.get(word.rpartition("/")[2], ())
                }
                if len(names) > 1:
                    found.append(frozenset(names))
        return tuple(found)

    def in_order(self, first: Entry, second: Entry) -> Place | None:
        """Where a script, a target or a program runs both, the first one before the second."""
        one, other = first.definition.module.path, second.definition.module.path
        for path, runs in self._scripts.items():
            found = self._ordered(path, runs, one, other) if one != other else None
            if found is not None:
                return found
        for path, lines in self._programs.items():
            if one in lines and other in lines and lines[one] < lines[other] and path not in (one, other):
                return Place(path, Span(lines[one][1]))
        return None

    def documented(self, first: Entry, second: Entry) -> Place | None:
        """Where a README or another document gives the commands of both, the first one before the second."""
        one, other = first.definition.module.path, second.definition.module.path
        for path, runs in self._documents.items():
            lines = [line for line, ran in runs if ran == one]
            if one != other and lines and any(ran == other and line > lines[0] for line, ran in runs):
                return Place(path, Span(lines[0]))
        return None

    @cached_property
    def _documents(self) -> dict[str, list[tuple[int, str]]]:
        """The files each document's commands run, by line."""
        documents = set(self.project.repository.documents)
        found: dict[str, list[tuple[int, str]]] = {}
        for command in self.project.repository.commands:
            if command.path in documents:
                for path in self._launched(command):
                    found.setdefault(command.path, []).append((command.line, path))
        return found

    @cached_property
    def runners(self) -> tuple[frozenset[str], ...]:
        """The files that each script, Makefile, CI file and program runs."""
        return tuple(frozenset(path for _, path in runs) for runs in self._scripts.values()) + tuple(
            frozenset(started) for started in self._programs.values()
        )

    @cached_property
    def _scripts(self) -> dict[str, list[tuple[int, str]]]:
        """The files each script, Makefile or CI file runs, by line."""
        found: dict[str, list[tuple[int, str]]] = {}
        for command in self.project.repository.commands:
            if command.kind in _ORDERING:
                for path in self._launched(command):
                    found.setdefault(command.path, []).append((command.line, path))
        return found

    def _launched(self, command: Command) -> tuple[str, ...]:
        """The Python files a command runs; notebooks by their name among its words."""
        notebooks = tuple(word for word in command.words if word.endswith(".ipynb"))
        named = [path for path in self.project.modules if notebooks and path.endswith(tuple(notebooks))]
        return (*self.project.scans.launched(command), *named)

    def _ordered(self, path: str, runs: list[tuple[int, str]], one: str, other: str) -> Place | None:
        before = [turn for turn, (_, ran) in enumerate(runs) if ran == one]
        after = [turn for turn, (_, ran) in enumerate(runs) if ran == other]
        recipes = self._recipes.get(path, [])
        for first in before:
            for second in after:
                lines = runs[first][0], runs[second][0]
                if self._runs_after(recipes, *lines) if recipes else first < second:
                    return Place(path, Span(lines[0]))
        return None

    @cached_property
    def _recipes(self) -> dict[str, list[Recipe]]:
        found: dict[str, list[Recipe]] = {}
        for recipe in self.project.repository.recipes:
            if recipe.kind == "make":
                found.setdefault(recipe.path, []).append(recipe)
        return found

    @staticmethod
    def _runs_after(recipes: list[Recipe], first: int, second: int) -> bool:
        """Whether one target runs both lines in that order: itself, or through what it depends on."""
        one, other = _around(recipes, first), _around(recipes, second)
        if one is None or other is None or one is other:
            return first <= second
        by_name = {output: recipe for recipe in recipes for output in recipe.outputs}
        if _depends(by_name, other, one):
            return True
        return any(_order(by_name, recipe, one, other) for recipe in recipes)

    @cached_property
    def _programs(self) -> Mapping[str, Mapping[str, tuple[int, int]]]:
        """The files that programs of the project start: which place in turn, and the line of the first time."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            if self.uses_framework(module) or any(True for _ in module.calls_of(_RUNNERS)):
                for turn, (line, path) in enumerate(self._started(module)):
                    found.setdefault(module.path, {}).setdefault(path, (turn, line))
        return found

    def _started(self, module: Module) -> Iterator[tuple[int, str]]:
        """Files of the project named in a program's texts: arguments of calls, and tables that loops go over."""
        for index in range(len(module.facts.scopes)):
            for stmt in statements(module.body(index)):
                for expr in expressions(stmt, module.facts.scopes):
                    for line, text in ((stmt.line, word) for word in _file_names(expr)):
                        for path in self._by_name.get(text.rpartition("/")[2], ()):
                            if "/" not in text or path == text or path.endswith(f"/{text.lstrip('./')}"):
                                yield line, path

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.project.modules:
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return found


def _file_names(expr: Expr) -> Iterator[str]:
    """Names of Python files and notebooks in the constant texts of an expression, as written."""
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, Const):
            if isinstance(node.value, str):
                yield from (word for word in node.value.split() if word.endswith((".py", ".ipynb")))
        else:
            stack.extend(reversed(children(node)))


def _around(recipes: list[Recipe], line: int) -> Recipe | None:
    return max((one for one in recipes if one.line <= line), key=lambda one: one.line, default=None)


def _depends(by_name: Mapping[str, Recipe], recipe: Recipe, wanted: Recipe) -> bool:
    """Whether making ``recipe`` makes ``wanted`` before."""
    seen: set[int] = set()
    pending = [recipe]
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for name in one.inputs:
            needed = by_name.get(name)
            if needed is wanted:
                return True
            if needed is not None:
                pending.append(needed)
    return False


def _order(by_name: Mapping[str, Recipe], recipe: Recipe, one: Recipe, other: Recipe) -> bool:
    """Whether a target's prerequisites bring ``one`` before ``other``."""
    first = second = None
    for at, name in enumerate(recipe.inputs):
        needed = by_name.get(name)
        if needed is None:
            continue
        if first is None and (needed is one or _depends(by_name, needed, one)):
            first = at
        if needed is other or _depends(by_name, needed, other):
            second = at
    return first is not None and second is not None and first < second
