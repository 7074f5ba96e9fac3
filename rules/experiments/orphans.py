"""Modules no entry, test, scan, launch, configuration or document reaches."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import PurePosixPath

from mldebt.facts.schema import Augment, Define, Do, For, Ref, While, With
from mldebt.module import Module
from mldebt.rule import Analysis

from .areas import Areas

_FEWEST_LINES = 4
_MOST_BYTES = 1 << 18
_FEW = 3
_MOST_PART = 0.3  # of the modules; more orphans than this mean that we do not see how they are run
_FRAMEWORK = re.compile(
    r"(?:^|/)(?:__init__|__main__|setup|conftest|conf|noxfile|fabfile|tasks|manage|wsgi|asgi|hubconf|sitecustomize|settings"
    r"|admin|apps|urls|models|gunicorn[\w.]*|_version|version|versioneer|dodo|locustfile|streamlit_app|handler|score)\.py$"
    r"|(?:^|/)(?:migrations|versions|alembic|dags|plugins?|management|hooks|handlers|pages|routes|lambdas?|docs?"
    r"|configs?|conf|configurations?)/"
)
_LOADS = frozenset({"import_module", "__import__", "getattr", "exec", "eval", "globals", "find_spec", "load_module"})
_KNOWN = (
    *("dataclass", "functools", "staticmethod", "lru_cache", "cache", "torch", "tf", "numba", "jit", "njit"),
    "contextlib",
    "contextmanager",
)
_TEXT = frozenset(
    (
        ".md .rst .txt .yaml .yml .json .toml .cfg .ini .sh .bash .mk .cu .pyx .cmake .html .tf .j2 .bat .ps1"
        " .sbatch .slurm"
    ).split()
)


class Orphans(Analysis):
    """Answers which modules are dead, as far as the repository tells."""

    @cached_property
    def all(self) -> tuple[tuple[Module, ...], ...]:
        """Dead modules in groups: one nothing imports, then those only it and other dead ones import."""
        project = self.project
        candidates = self._candidates()
        words = self._words if candidates else frozenset()
        named = {path for path in candidates if PurePosixPath(path).stem in words}
        dead = candidates - named - {one for path in named for one in project.imports.closure(path)}
        groups: list[tuple[Module, ...]] = []
        grouped: set[str] = set()
        heads = [path for path in sorted(dead) if not project.imports.importers(path) & dead - {path}]
        for path in (*heads, *sorted(dead)):
            if path not in grouped:
                members = sorted((project.imports.closure(path) & dead) - grouped - {path})
                grouped.update((path, *members))
                groups.append(tuple(project.modules[one] for one in (path, *members)))
        return tuple(groups)

    def _candidates(self) -> set[str]:
        project = self.project
        areas = project[Areas]
        live = set(self._reached)
        for path, module in project.modules.items():
            if path not in live and (not _may_be(module) or areas.of(path) or self._is_imported(module)):
                live |= project.imports.closure(path)
        found = project.modules.keys() - live
        # More than that means that we do not see how the modules are run.
        return set() if len(found) > max(_FEW, _MOST_PART * len(project.modules)) else set(found)

    @cached_property
    def _reached(self) -> frozenset[str]:
        project = self.project
        roots = {entry.definition.module.path for entry in project.entries} | set(project.imports.scanned)
        for path, module in project.modules.items():
            if module.is_test or module.is_example or module.role != "project" or _runs(module):
                roots.add(path)
        reached: set[str] = set()
        for path in sorted(roots & project.modules.keys()):
            if path not in reached:
                reached |= project.imports.closure(path)
        return frozenset(reached)

    def _is_imported(self, module: Module) -> bool:
        """Whether an import that leads nowhere known may mean this module: by its last name."""
        stem = PurePosixPath(module.path).stem
        known = {module.path, *self.project.imports.importers(module.path)}
        return not known.issuperset(self._imports.get(stem, ()))

    @cached_property
    def _imports(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for path, module in self.project.modules.items():
            for fact in module.facts.imports:
                for name in (*fact.module.split("."), fact.attribute or ""):
                    found.setdefault(name, set()).add(path)
        return found

    @cached_property
    def _words(self) -> frozenset[str]:
        """Every word of the files that are no Python, and of Python that loads modules by name."""
        project = self.project
        words: set[str] = set()
        for path in sorted(project.every):
            place = PurePosixPath(path)
            broken = place.suffix == ".py" and path not in project.modules
            if broken or place.suffix.lower() in _TEXT or (not place.suffix and place.name[:1].isupper()):
                words.update(re.findall(r"\w+", project.content(path, _MOST_BYTES).decode("utf-8", "replace")))
        for module in project.modules.values():
            words.update(word for text in module.facts.strings for word in re.findall(r"\w+", text))
            if not _LOADS.isdisjoint(module.mentions) or module.path.endswith(".ipynb") or module.facts.problems:
                words.update(re.findall(r"\w+", module.source.text))
        return frozenset(words)


def _may_be(module: Module) -> bool:
    """Whether a module is code for other modules, and nothing here finds it but an import."""
    if module.role != "project" or module.is_test or module.is_example or not module.path.endswith(".py"):
        return False
    if module.facts.code_lines < _FEWEST_LINES or _FRAMEWORK.search(module.path):
        return False
    return not _registers(module) and any(isinstance(stmt, Define) for stmt in module.body(0))


def _registers(module: Module) -> bool:
    """Whether decorators or base classes may make the module known to somebody."""
    for scope in module.facts.scopes[1:]:
        if scope.parent != 0:
            continue
        for decorator in scope.decorators:
            function = getattr(decorator, "function", decorator)
            name = function.name if isinstance(function, Ref) else ""
            if not name.startswith(_KNOWN):
                return True
    return False


def _runs(module: Module) -> bool:
    """Whether running the file does something: a script."""
    return any(isinstance(stmt, (Do, For, While, With, Augment)) for stmt in module.body(0))
