"""Options whose name says percentage or fraction, and the numbers that files, launchers and defaults give them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.schema import Attribute, Const, Ref
from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from .mentions import Mentions
from .units import Units

if TYPE_CHECKING:
    from mldebt.module import Module

Numbers = list[tuple[float, Place]]
_ADD_ARGUMENT = frozenset({"add_argument", "add_option", "option"})
_OURS = frozenset({"shell", "make", "docker", "ci", "dvc", "mlproject"})
_MOST_FILES = 400


class ShareOptions(Analysis):
    """Finds them in configuration files, commands and command-line parsers."""

    def mixed(self) -> Iterator[tuple[str, Numbers]]:
        """The options that get numbers both below and above 1."""
        found: dict[str, Numbers] = {}
        for name, value, place in (*self._files(), *self._commands(), *self._defaults()):
            if self.project[Units].dimension(self.project[Units].named(name) or "") == "share" and 0 < value <= 100:
                found.setdefault(name, []).append((value, place))
        for name, numbers in sorted(found.items()):
            if any(value < 1 for value, _ in numbers) and any(value > 1 for value, _ in numbers):
                yield name, sorted(numbers, key=lambda one: one[1])

    def readers(self, name: str) -> Iterator[Module]:
        """The files that read an option of that name."""
        modules = [one for one in self.project.modules.values() if one.role == "project" and not one.is_test]
        for module in modules[:_MOST_FILES]:
            if name in module.mentions or any(name in line for line in module.text_lines):
                yield module

    def _files(self) -> Iterator[tuple[str, float, Place]]:
        for config in self.project.repository.configs:
            for leaf in config.leaves:
                if leaf.keys and isinstance(leaf.value, (int, float)) and not isinstance(leaf.value, bool):
                    yield leaf.keys[-1], leaf.value, Place(config.path, Span(leaf.line))

    def _commands(self) -> Iterator[tuple[str, float, Place]]:
        for command in self.project.repository.commands:
            words = command.words if command.kind in _OURS else ()
            for word, following in zip(words, (*words[1:], ""), strict=False):
                name, equals, value = word.lstrip("-").partition("=")
                number = _number(value if equals else following if word.startswith("--") else "")
                if number is not None:
                    key = name.rpartition(".")[2].replace("-", "_")
                    yield key, number, Place(command.path, Span(command.line))

    def _defaults(self) -> Iterator[tuple[str, float, Place]]:
        for module, index in self.project[Mentions].scopes(_ADD_ARGUMENT):
            for site in module.call_sites(index):
                function = site.call.function
                if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in _ADD_ARGUMENT:
                    continue
                texts = [one.value for one in site.call.args if isinstance(one, Const) and isinstance(one.value, str)]
                default = argument(site.call, "default")
                if not texts or default is None or default is NOT_KNOWN:
                    continue
                value = module.constant(index, default)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    long = next((text for text in texts if text.startswith("--")), texts[0])
                    yield long.lstrip("-").replace("-", "_"), value, module.place(site.call)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
