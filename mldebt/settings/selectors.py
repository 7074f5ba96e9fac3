"""What users may call a rule by: its code, a prefix of codes, its name, its family's name, or ``ALL``."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType, SimpleNamespace
from typing import Any, Protocol

from mldebt.errors import UsageError

ALL = "ALL"

# What the scan itself reports (DESIGN 5): no rule class stands behind these, but they can be selected and ignored.
META = MappingProxyType(
    {
        "MLD001": ("unreadable", "A file of the repository cannot be read as what it claims to be."),
        "MLD002": ("unused-waiver", "A waiver silences nothing."),
        "MLD003": ("waiver-without-reason", "A waiver does not say why."),
        "MLD004": ("unknown-code-in-waiver", "A waiver names a rule that does not exist."),
        "MLD005": ("rule-crashed", "A rule raised an exception; what it would have found is unknown."),
    }
)

# A broken file or a broken rule is never hidden by selecting other rules: only naming it in an ignore does that.
ALWAYS = frozenset({"MLD001", "MLD005"})

_PREFIX = re.compile(r"[A-Z]{1,3}(\d{0,2})")  # rule packs may have letters of their own


class RuleClass(Protocol):
    """What selection needs of a rule: its class, or what its file says (``mldebt.announced``)."""

    @property
    def code(self) -> str: ...

    @property
    def preview(self) -> bool: ...

    def name(self) -> str: ...

    def family(self) -> str: ...

    def module(self) -> str: ...

    def load(self) -> Any: ...


def nearest(word: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or nothing when no choice is near."""
    names = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.5)
    return f"; did you mean {names[found[0]]!r}?" if found else ""


@dataclass(frozen=True)
class Vocabulary:
    """The rules at hand, by every name a user may write."""

    rules: tuple[RuleClass, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[RuleClass]) -> Vocabulary:
        return cls(tuple(sorted(rules, key=lambda rule: rule.code)))

    @cached_property
    def by_code(self) -> Mapping[str, RuleClass]:
        return {rule.code: rule for rule in self.rules}

    @cached_property
    def codes(self) -> frozenset[str]:
        return frozenset(self.by_code) | frozenset(META)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Rule names to codes."""
        return {rule.name(): rule.code for rule in self.rules} | {name: code for code, (name, _) in META.items()}

    @cached_property
    def families(self) -> Mapping[str, frozenset[str]]:
        """Family names to the codes of their rules."""
        found: dict[str, set[str]] = {}
        for rule in self.rules:
            found.setdefault(rule.family(), set()).add(rule.code)
        return {family: frozenset(codes) for family, codes in found.items()}

    def expand(self, selector: str) -> frozenset[str]:
        """The codes a selector stands for.

        Raises:
            UsageError: Nothing is called that; the message names what is nearest.
        """
        upper, lower = selector.upper(), selector.lower().replace("_", "-")
        if upper == ALL:
            return self.codes
        if upper in self.codes:
            return frozenset({upper})
        if lower in self.names:
            return frozenset({self.names[lower]})
        if lower in self.families:
            return self.families[lower]
        if _PREFIX.fullmatch(upper):
            codes = frozenset(code for code in self.codes if code.startswith(upper))
            if codes:
                return codes
        raise UsageError(self.unknown(selector))

    def specificity(self, selector: str) -> int:
        """How narrow a selector is: ``ALL`` 0, ``MLD`` 1, a family or ``MLD4`` 2, ``MLD40`` 3, one rule 4."""
        upper, lower = selector.upper(), selector.lower().replace("_", "-")
        if upper == ALL:
            return 0
        if lower in self.names:
            return 4
        if lower in self.families:
            return 2
        prefix = _PREFIX.fullmatch(upper)
        return 1 + len(prefix[1]) if prefix else 4

    def one(self, word: str) -> str:
        """The code of the one rule called ``word``, by code or name."""
        codes = {word.upper()} & self.codes or {self.names.get(word.lower().replace("_", "-"), "")}
        (code,) = codes
        if not code:
            raise UsageError(self.unknown(word, [*self.codes, *self.names]))
        return code

    def unknown(self, word: str, choices: Iterable[str] | None = None) -> str:
        known = [*self.codes, *self.names, *self.families, ALL] if choices is None else choices
        return f"unknown rule {word!r}{nearest(word, known) or '; `mldebt rules` lists them all'}"

    def options(self, code: str) -> Mapping[str, Any]:
        """The options of a rule: field names to their types."""
        rule = self.by_code.get(code)
        return {} if rule is None else _field_types(rule.load())


def _field_types(rule: Any) -> dict[str, Any]:
    """Types of a rule's own dataclass fields only: other annotations may name what is imported for type checkers."""
    found: dict[str, Any] = {}
    for field in fields(rule):
        owner = next(cls for cls in rule.__mro__ if field.name in inspect.get_annotations(cls))
        holder = SimpleNamespace(__annotations__={field.name: field.type})
        found |= typing.get_type_hints(holder, globalns=vars(sys.modules[owner.__module__]))
    return found


def choose(
    before: frozenset[str],
    vocabulary: Vocabulary,
    select: Iterable[str] | None,
    extend: Iterable[str],
    ignore: Iterable[str],
) -> frozenset[str]:
    """The codes that are on after one layer of settings; of a selecting and an ignoring word the narrower one wins.

    Args:
        before: What is on without this layer; a ``select`` starts afresh.
        vocabulary: What the selectors mean.
        select: The rules to run, or None to keep what is on.
        extend: Rules to run on top.
        ignore: Rules to leave out.
    """
    chosen = set(before if select is None else ())
    wanted = [(vocabulary.specificity(word), True, word) for word in [*(select or ()), *extend]]
    refused = [(vocabulary.specificity(word), False, word) for word in ignore]
    for _, on, word in sorted(wanted + refused, key=lambda entry: (entry[0], not entry[1])):
        chosen = chosen | vocabulary.expand(word) if on else chosen - vocabulary.expand(word)
    return frozenset(chosen)
