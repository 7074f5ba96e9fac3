"""Finds what plugs in: packages under the entry point group ``mldebt.rules``, and local rule files the user trusts."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from mldebt.errors import PluginError
from mldebt.rule import Analysis, AnyRule, Practice

GROUP = "mldebt.rules"
T = TypeVar("T")


@dataclass(frozen=True)
class Registry:
    """Everything that plugs in, in the order of codes, names and ids."""

    rules: tuple[type[AnyRule], ...] = ()
    analyses: tuple[type[Analysis], ...] = ()
    practices: tuple[type[Practice], ...] = ()

    def rule(self, code_or_name: str) -> type[AnyRule] | None:
        wanted = code_or_name.lower()
        return next((rule for rule in self.rules if wanted in (rule.code.lower(), rule.name())), None)


@cache
def installed() -> Registry:
    """What installed packages bring. Raises PluginError naming the package that cannot be imported."""
    modules: list[ModuleType] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            package = point.load()
            modules += _modules(package)
        except Exception as error:
            raise PluginError(f"rule package {point.value!r} cannot be loaded: {error}") from error
    return _collected(modules)


def with_files(paths: Iterable[Path]) -> Registry:
    """The installed registry plus local rule files or folders. They are code: load only what the user trusts."""
    modules: list[ModuleType] = []
    for path in paths:
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise PluginError(f"no rule files at {path}")
        modules += [_from_file(file) for file in files if file.name != "__init__.py"]
    local, base = _collected(modules), installed()
    return Registry(
        _unique((*base.rules, *local.rules)),
        (*base.analyses, *local.analyses),
        tuple(sorted((*base.practices, *local.practices), key=lambda practice: practice.id)),
    )


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        yield importlib.import_module(info.name)


def _from_file(path: Path) -> ModuleType:
    name = f"mldebt_local.{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"rule file {path} cannot be loaded: {error}") from error
    return module


def _collected(modules: Iterable[ModuleType]) -> Registry:
    modules = list(modules)
    return Registry(
        _unique(_defined(modules, AnyRule)),
        tuple(sorted(_defined(modules, Analysis), key=lambda cls: f"{cls.__module__}.{cls.__name__}")),
        tuple(sorted(_defined(modules, Practice), key=lambda cls: cls.id)),  # type: ignore[type-abstract]
    )


def _defined(modules: Iterable[ModuleType], base: type[T]) -> list[type[T]]:
    return [
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and value.__module__ == module.__name__
    ]


def _unique(rules: Iterable[type[AnyRule]]) -> tuple[type[AnyRule], ...]:
    by_code: dict[str, type[AnyRule]] = {}
    for rule in rules:
        held = by_code.setdefault(rule.code, rule)
        if held is not rule:
            raise PluginError(f"{rule.code} is claimed by both {held.__module__} and {rule.__module__}")
    return tuple(by_code[code] for code in sorted(by_code))
