"""Finds what plugs in: packages under the entry point group ``mldebt.rules``, and local rule files the user trusts."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, get_origin

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from mldebt.announced import Deferred, PackageFiles
from mldebt.errors import PluginError
from mldebt.rule import Analysis, AnyRule, Practice, Table
from mldebt.settings.selectors import RuleClass
from mldebt.view import View

GROUP = "mldebt.rules"
_CODE = re.compile(r"[A-Z]{1,3}[0-9]{3,}")  # flake8 takes no more letters
LOCAL = "mldebt_local"  # the package that local rule files are imported into
T = TypeVar("T")
R = TypeVar("R", bound=RuleClass)


class Registry(Struct, frozen=True):
    """Everything that plugs in, in the order of codes, names and ids; ``tables`` are those users may add rows to.

    ``announced`` are the rules as a selection needs them: those of our own package are imported when they are loaded.
    """

    rules: Sequence[type[AnyRule]] = ()
    analyses: Sequence[type[Analysis]] = ()
    practices: Sequence[type[Practice]] = ()
    tables: Sequence[Table[Any]] = ()
    views: Sequence[type[View]] = ()
    announced: Sequence[RuleClass] = ()

    def __post_init__(self) -> None:
        if not self.announced:
            force_setattr(self, "announced", self.rules)

    def only(self, *rules: type[AnyRule]) -> Registry:
        """The same with these rules alone."""
        return replace(self, rules=rules, announced=rules)

    def view(self, command: str) -> type[View] | None:
        return next((view for view in self.views if view.command == command), None)

    def rule(self, code_or_name: str) -> type[AnyRule] | None:
        wanted = code_or_name.lower()
        found = next((rule for rule in self.announced if wanted in (rule.code.lower(), rule.name())), None)
        return None if found is None else found.load()


@cache
def installed() -> Registry:
    """What installed packages bring. Raises PluginError naming the package that cannot be imported."""
    registry = Registry()
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        registry = _together(registry, _from_package(point))
    return registry


def with_files(paths: Iterable[Path]) -> Registry:
    """The installed registry plus local rule files or folders. They are code: load only what the user trusts."""
    for name in [name for name in sys.modules if name.startswith(f"{LOCAL}.")]:
        del sys.modules[name]  # another scan of this process had other files
    importlib.invalidate_caches()
    _folder(LOCAL)
    modules = [module for number, path in enumerate(paths) for module in _from_files(path, f"{LOCAL}.at{number}")]
    return _together(installed(), _collected(modules))


def _together(first: Registry, second: Registry) -> Registry:
    return Registry(
        Deferred(lambda: _unique((*first.rules, *second.rules))),
        Deferred(lambda: (*first.analyses, *second.analyses)),
        Deferred(lambda: sorted((*first.practices, *second.practices), key=lambda practice: practice.id)),
        Deferred(lambda: (*first.tables, *second.tables)),
        Deferred(lambda: (*first.views, *second.views)),
        _unique((*first.announced, *second.announced)),
    )


def _from_package(point: EntryPoint) -> Registry:
    try:
        package = point.load()
        return _announcing(package) if getattr(package, "ANNOUNCES", False) else _collected(_modules(package))
    except (Exception, SystemExit) as error:
        raise PluginError(f"rule package {point.value!r} cannot be loaded: {error}") from error


def _announcing(package: ModuleType) -> Registry:
    """A package that says ``ANNOUNCES = True``: its files are read, and imported when their rules are asked for.

    Importing the 350 files of our own takes a quarter of a second, and a scan for a few rules needs a few of them.
    Each file of such a package writes ``code = "ABC123"`` and ``preview = True`` as they stand here, one rule a file;
    practices inherit from ``Practice`` itself.
    """
    files = PackageFiles.of(package.__name__, Path(package.__path__[0]))
    whole = cache(lambda: _collected(_modules(package)))
    return Registry(
        Deferred(lambda: whole().rules),
        Deferred(lambda: whole().analyses),
        Deferred(lambda: _collected(map(importlib.import_module, files.practices)).practices),
        Deferred(lambda: whole().tables),
        Deferred(lambda: whole().views),
        files.rules,
    )


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        yield importlib.import_module(info.name)


def _from_files(path: Path, above: str) -> list[ModuleType]:
    """The rules of one file, or of a folder, whose files may import each other: ``from .coins import Tosses``."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise PluginError(f"no rule files at {path}")
    folder = path if path.is_dir() else path.parent
    package = f"{above}.{folder.name.replace('.', '_')}"
    _folder(above)
    _folder(package, folder.absolute())
    return [
        _from_file(file, ".".join([package, *file.relative_to(folder).with_suffix("").parts]))
        for file in files
        if file.name != "__init__.py"
    ]


def _folder(package: str, *path: Path) -> None:
    """Give a folder a package name of ours. It brings no code: its ``__init__.py`` is not run."""
    module = sys.modules[package] = ModuleType(package)
    module.__path__ = [str(each) for each in path]


def _from_file(path: Path, name: str) -> ModuleType:
    if path.suffix != ".py":
        raise PluginError(f"{path} is no Python file")
    was, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a scan leaves nothing behind in the repository
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise PluginError(f"rule file {path} cannot be loaded: {error}") from error
    finally:
        sys.dont_write_bytecode = was


def _collected(modules: Iterable[ModuleType]) -> Registry:
    classes = [cls for module in modules for cls in _defined(module)]
    rules = _concrete(classes, AnyRule)
    for rule in rules:
        _check(rule)
    return Registry(
        _unique(rules),
        tuple(sorted(_concrete(classes, Analysis), key=lambda cls: f"{cls.__module__}.{cls.__name__}")),
        tuple(sorted(_concrete(classes, Practice), key=lambda cls: cls.id)),  # type: ignore[type-abstract]
        tuple(value for cls in classes for value in vars(cls).values() if isinstance(value, Table)),
        tuple(sorted(_concrete(classes, View), key=lambda cls: cls.command)),  # type: ignore[type-abstract]
    )


def _defined(module: ModuleType) -> Iterator[type]:
    """The classes a module defines, without those it imports."""
    for value in vars(module).values():
        # Python 3.10 calls `list[int]` a class
        if inspect.isclass(value) and value.__module__ == module.__name__ and get_origin(value) is None:
            yield value


def _concrete(classes: Iterable[type], base: type[T]) -> list[type[T]]:
    """Those that inherit from ``base`` and leave nothing open. ``issubclass`` would ask every subclass of a base."""
    return [cls for cls in classes if base in cls.__mro__ and not inspect.isabstract(cls)]


def _unique(rules: Iterable[R]) -> tuple[R, ...]:
    """The rules by code; every code stands for one rule."""
    by_code: dict[str, R] = {}
    for rule in rules:
        held = by_code.setdefault(rule.code, rule)
        if held is not rule:
            raise PluginError(f"{rule.code} is claimed by both {_origin(held)} and {_origin(rule)}")
    return tuple(by_code[code] for code in sorted(by_code))


def _check(rule: type[AnyRule]) -> None:
    for attribute in ("code", "severity", "confidence", "minutes", "examples"):
        if not hasattr(rule, attribute):
            raise PluginError(f"{_origin(rule)}: {rule.__name__} does not say its {attribute}")
    if _CODE.fullmatch(str(rule.code)) is None:
        raise PluginError(f"{_origin(rule)}: code {rule.code!r} is not up to three capitals and three digits")
    options = {name for name, kind in inspect.get_annotations(rule).items() if "ClassVar" not in str(kind)}
    if options and "__dataclass_params__" not in vars(rule):
        raise PluginError(f"{_origin(rule)}: {rule.__name__} has options, so it must be a frozen dataclass")


def _origin(rule: RuleClass) -> str:
    """Where a rule comes from, as its author knows it."""
    module = rule.module()
    file = getattr(sys.modules.get(module), "__file__", None)
    return str(file) if file and module.startswith(f"{LOCAL}.") else module
