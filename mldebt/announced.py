"""What a rule file says of its rule before it is imported: code, name, family, and whether it is a preview."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar, overload

from msgspec import Struct

if TYPE_CHECKING:
    from typing_extensions import Self

    from mldebt.rule import AnyRule

_CODE = re.compile(rb'\n    code(?:: ClassVar\[str\])? = "([A-Z]+[0-9]+)"\r?\n')
_PREVIEW = re.compile(rb"\n    preview(?:: ClassVar\[bool\])? = True\b")
_PRACTICE = re.compile(rb"\nclass \w+\(Practice\):")
T = TypeVar("T")


class Deferred(Sequence[T]):
    """A sequence that is made when it is first looked into."""

    def __init__(self, make: Callable[[], Sequence[T]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Sequence[T]:
        return self._make()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._made[index]

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[T]:
        return iter(self._made)


def _name(module: str) -> str:
    return module.rpartition(".")[2].replace("_", "-")


def _family(module: str) -> str:
    return module.rpartition(".")[0].rpartition(".")[2].replace("_", "-")


class Identity:
    """What a rule's class says of itself, as ``Announced`` does for one that is not imported; and that it is frozen.

    Frozen dataclasses freeze what inherits from them only where it is a dataclass too: a rule without options is none.
    """

    @classmethod
    def module(cls) -> str:
        return cls.__module__

    @classmethod
    def name(cls) -> str:
        """The rule's name is its file's: ``unseeded_sklearn_object.py`` is ``unseeded-sklearn-object``."""
        return _name(cls.__module__)

    @classmethod
    def family(cls) -> str:
        """The rule's family is its folder's name: ``randomness``."""
        return _family(cls.__module__)

    @classmethod
    def load(cls) -> type[Self]:
        return cls

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a rule remembers nothing: {name} cannot be set")


class Announced(Struct, frozen=True):
    """A rule whose file has been read and not imported."""

    code: str
    preview: bool
    file: str

    def module(self) -> str:
        return self.file

    def name(self) -> str:
        return _name(self.file)

    def family(self) -> str:
        return _family(self.file)

    def load(self) -> type[AnyRule]:
        """The rule itself. Raises ImportError when the file does not hold what it says."""
        for value in vars(importlib.import_module(self.file)).values():
            if isinstance(value, type) and value.__module__ == self.file and vars(value).get("code") == self.code:
                return value
        raise ImportError(f"{self.file} holds no rule {self.code}")


class PackageFiles(Struct, frozen=True):
    """What the files of a package of rules say, none imported: its rules, and the modules that hold practices."""

    rules: tuple[Announced, ...]
    practices: tuple[str, ...]

    @classmethod
    def of(cls, package: str, folder: Path) -> PackageFiles:
        rules: list[Announced] = []
        practices: list[str] = []
        for path in sorted(folder.rglob("*.py")):
            text = path.read_bytes()
            codes, practised = _CODE.findall(text), _PRACTICE.search(text)
            if not codes and not practised:
                continue  # most of them
            module = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
            rules += [Announced(code.decode(), _PREVIEW.search(text) is not None, module) for code in codes]
            if practised:
                practices.append(module)
        return cls(tuple(rules), tuple(practices))
