"""The selected rules, each with the options configured for the file it looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mldebt.config import Config
from mldebt.finding import Severity
from mldebt.registry import Registry
from mldebt.rule import AnyRule


class Rulebook:
    """Rules as the configuration wants them. Iterates over the selected ones, in the order of their codes."""

    def __init__(self, registry: Registry, config: Config) -> None:
        self._config = config
        self._classes = tuple(rule.load() for rule in registry.announced if config.selects(rule))
        self._instances: dict[tuple[str, str], AnyRule] = {}
        self.codes = frozenset(rule.code for rule in self._classes)
        self.collects = tuple(dict.fromkeys(analysis for rule in self._classes for analysis in rule.collects))
        self.known: Mapping[str, str] = {
            spelling: rule.code for rule in registry.announced for spelling in (rule.code, rule.name())
        }

    def __iter__(self) -> Iterator[AnyRule]:
        return (self.at(rule, "") for rule in self._classes)

    def at(self, rule: AnyRule | type[AnyRule], path: str) -> AnyRule:
        """The rule with the options that hold for a file; ``""`` is the repository as a whole."""
        cls = rule if isinstance(rule, type) else type(rule)
        options = self._config.options_for(cls, path)
        key = (cls.code, repr(sorted(options.items())))
        if key not in self._instances:
            self._instances[key] = cls(**options)
        return self._instances[key]

    def severity(self, rule: AnyRule, path: str) -> Severity | None:
        """The severity configured for a rule in a file, or None."""
        return self._config.severity_of(type(rule), path)
