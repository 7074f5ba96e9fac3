"""Variables that carry a mode as plain text: who compares them, what they are given, and what nobody gives them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from mldebt.facts.schema import CLASS, Const, Ref
from mldebt.finding import Place, Span
from mldebt.project.callers import given
from mldebt.rule import Analysis

from .mode_links import ModeLinks
from .mode_tests import (
    CLOSED,
    OPTION,
    PARAMETERS,
    Comparison,
    WordTypes,
    closed_words,
    comparisons,
    held_words,
    is_typed,
    option_name,
)
from .mode_texts import ModeTexts
from .slips import is_slip, nearest, shortened

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_MOST_FILES = 60  # that test one name: more is no single variable
_SMALL = 400  # files: of so many, callers are asked for single words
# Words of the language, of platforms, and names whose values come from outside: nobody can list them.
_OPEN = re.compile(
    r"""__\w+__|\w|os|sys|platform|system|machine|version|python_version|name|names|key|keys|k|value|values|val|word|words
    |tok|token|tokens|text|line|char|chr|ch|cmd|command|cmdline|arg|answer|reply|response|input|user_input|inp|choice
    |ext|extension|suffix|prefix|file|filename|fname|path|url|host|user|username|email|column|col|columns|field|attr|tag
    |label|labels|target|class_name|cls_name|category|title|label_name|lang|language|locale|country|city|currency
    |dtype|torch_dtype|device|device_type|backend|kind|mimetype|content_type|method_name|func_name|fn_name|event
    |reduction|padding_mode|interpolation|interpolation_mode|return_tensors|status|state|environ|encoding|charset
    |node_type|role|sender|speaker|question|op|operator|symbol|unit|section|letter""".replace("\n    ", ""),
    re.IGNORECASE,
)
_COLOURS = frozenset({"RGB", "RGBA", "L", "P", "CMYK", "I", "F", "LA"})  # PIL's image.mode


class Mode(NamedTuple):
    """A variable that files of one program compare with literals.

    Args:
        name: What it is called everywhere.
        sites: The comparisons, in the order of places.
        literals: What it is compared with, in the order of how often.
        produced: A place that gives it one of these, and which.
        declared: The option or setting that declares it, when there is just one.
    """

    name: str
    sites: tuple[Comparison, ...]
    literals: tuple[str, ...]
    produced: tuple[Place, str]
    declared: Place | None


class Dead(NamedTuple):
    """A comparison with a literal that nobody gives; ``nearest`` is one that somebody does.

    Args:
        typo: Whether it is close enough to be a slip of the keyboard.
        how: What is known of the values that are given.
    """

    site: Comparison
    literal: str
    nearest: str
    known: Place
    typo: bool
    how: str


class Modes(Analysis):
    """``project[Modes].scattered`` and ``project[Modes].dead``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._texts = project[ModeTexts]

    @cached_property
    def scattered(self) -> tuple[Mode, ...]:
        """Variables compared in three files or more of one program."""
        found = []
        for name, files in self._texts.tested.items():
            if 3 <= len(files) <= _MOST_FILES and not _OPEN.fullmatch(name):
                mode = self._mode(name, files.keys())
                if mode is not None:
                    found.append(mode)
        return tuple(sorted(found, key=lambda one: one.name))

    def _sites(self, name: str, paths: Collection[str]) -> list[Comparison]:
        tested = self._texts.tested[name]
        return [
            one
            for path in sorted(paths)
            for one in comparisons(self.project.modules[path], name, {text.line for text in tested[path]})
        ]

    def _mode(self, name: str, paths: Collection[str]) -> Mode | None:
        words = {path: {text.literal for text in self._texts.tested[name][path]} for path in paths}
        every = {word for one in words.values() for word in one}
        if len(every) < 2 or every <= _COLOURS or not self._may_be_given(name, every):
            return None
        declared = self._declared(name)
        # Parameters of a library are its interface, not a program's mode.
        if declared is None and (self.project.library or not self._may_be_handed(name, paths)):
            return None
        groups = self.project[ModeLinks].groups(self._sites(name, sorted(paths)), declared is not None)
        sites = max(groups, key=len, default=())
        literals = Counter(literal for site in sites for literal in site.literals)
        produced = self._produced(name, literals)
        if len({site.module for site in sites}) < 3 or produced is None:
            return None
        if len({*literals, *self._vocabulary(name)}) < 2:
            return None
        if self.project[WordTypes].covers(literals) or any(is_typed(site.module, name) for site in sites):
            return None
        ordered = tuple(word for word, _ in sorted(literals.items(), key=lambda one: (-one[1], one[0])))
        return Mode(name, tuple(sites), ordered, produced, declared)

    def _may_be_given(self, name: str, words: Collection[str]) -> bool:
        sources = (*self._texts.given.get(name, ()), *self._texts.leaves.get(name, ()))
        return any(text.literal in words for _, text in sources)

    def _produced(self, name: str, literals: Collection[str]) -> tuple[Place, str] | None:
        """A place that gives the name one of the literals."""
        for path, text in (*self._texts.given.get(name, ()), *self._texts.leaves.get(name, ())):
            if text.literal in literals:
                return _at(path, text.line), text.literal
        return None

    def _may_be_handed(self, name: str, paths: Collection[str]) -> bool:
        """Whether three of the files have a function with a parameter of this name."""
        modules = self.project.modules
        return (
            sum(
                any(one.name == name for scope in modules[path].facts.scopes for one in scope.parameters)
                for path in paths
            )
            >= 3
        )

    def _declared(self, name: str) -> Place | None:
        """The only option, field of a class, or key of configuration files that has this name."""
        found = [_at(path, option.line) for path, option in self._texts.options.get(name, ())]
        if len(found) > 1:
            return None
        found += [
            _at(module.path, scope.line)
            for module in self.project.callers.mentioning((name,))
            if module.role == "project" and not module.is_test
            for scope in module.facts.scopes
            if scope.kind == CLASS and name in scope.bindings
        ]
        if not found:
            leaves = self._texts.leaves.get(name, ())
            return _at(leaves[0][0], leaves[0][1].line) if leaves else None
        return found[0] if len(found) == 1 else None

    @cached_property
    def dead(self) -> tuple[Dead, ...]:
        """Comparisons with words that nobody gives."""
        found = []
        for name, files in self._texts.tested.items():
            for path, tests in files.items():
                wanted = [test for test in tests if self._is_suspect(name, test.literal)]
                if wanted:
                    sites = comparisons(self.project.modules[path], name, {test.line for test in wanted})
                    words = {test.literal for test in wanted}
                    found += [one for site in sites for one in self._judged(site, words)]
        return tuple(sorted(found, key=lambda one: (one.site.module.path, one.site.node.line, one.literal)))

    def _is_suspect(self, name: str, literal: str) -> bool:
        """Whether the word is given to nothing, and something like it is given to this name."""
        if literal in self._words or self._counts[literal] != 1:
            return False
        return (
            any(option.closed for _, option in self._texts.options.get(name, ()))
            or any(is_slip(literal, word) for word in self._vocabulary(name))
            or (len(self.project.modules) < _SMALL and any(is_slip(literal, word) for word in self._near(literal)))
        )

    def _near(self, literal: str) -> set[str]:
        """The words that are one letter away, or may be."""
        return {word for part in shortened(literal) for word in self._by_part.get(part, ())}

    @cached_property
    def _by_part(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        often = (word for word, count in self._counts.items() if count > 1)
        for word in {*self._words, *often}:
            for part in shortened(word):
                found.setdefault(part, []).append(word)
        return found

    @cached_property
    def _counts(self) -> Counter[str]:
        """How often a word is compared with anything."""
        tested = self._texts.tested.values()
        return Counter(test.literal for files in tested for tests in files.values() for test in tests)

    @cached_property
    def _words(self) -> frozenset[str]:
        """Every word that is given to any name."""
        sources = (self._texts.given, self._texts.leaves)
        return frozenset(text.literal for one in sources for found in one.values() for _, text in found)

    def _vocabulary(self, name: str) -> dict[str, Place]:
        """The words the name is given anywhere, and where first."""
        found: dict[str, Place] = {}
        for path, text in (*self._texts.given.get(name, ()), *self._texts.leaves.get(name, ())):
            found.setdefault(text.literal, _at(path, text.line))
        return found

    def _judged(self, site: Comparison, words: Collection[str]) -> Iterator[Dead]:
        for literal in site.literals:
            if literal in words and not any(is_slip(literal, other) for other in site.aliases):
                dead = self._closed(site, literal)
                if dead is None and self._is_alone(site.module, site.name, literal):
                    dead = self._slipped(site, literal)
                if dead is not None:
                    yield dead

    def _closed(self, site: Comparison, literal: str) -> Dead | None:
        """A word outside of what the statement's own function, or the only declaration, lists."""
        if site.how == CLOSED:
            known = closed_words(site)
            if literal not in known:
                near = nearest(literal, known)
                return Dead(site, literal, near, site.module.place(site.stmt), bool(near), "all values are in sight")
            return None
        options = self._texts.options.get(site.name, ())
        if site.how != OPTION or len(options) != 1 or not options[0][1].closed:
            return None
        path, option = options[0]
        if any(site.name in module.facts.stored for module in self.project.modules.values()):
            return None
        words = {*option.literals, *self._vocabulary(site.name)}
        if literal in words or not self._parses(site.module, path):
            return None
        near = nearest(literal, option.literals)
        return Dead(site, literal, near, _at(path, option.line), bool(near), "the option's choices are listed")

    def _parses(self, module: Module, path: str) -> bool:
        """Whether the file and the one that declares the option belong to one program."""
        imports = self.project.imports
        return module.path == path or imports.reaches(module, path) or imports.reaches(path, module)

    def _slipped(self, site: Comparison, literal: str) -> Dead | None:
        known = self._passed(site)
        if not _OPEN.fullmatch(site.name):
            known = {**known, **self._vocabulary(site.name)}
        options = self._texts.options.get(site.name, ())
        listed = options[0][1].literals if len(options) == 1 and options[0][1].closed else ()
        close = [
            word for word in known if is_slip(literal, word) or (word in listed and word.lower() == literal.lower())
        ]
        if len(close) != 1:
            return None
        return Dead(site, literal, close[0], known[close[0]], True, "this word is given nowhere, the other one is")

    def _passed(self, site: Comparison) -> dict[str, Place]:
        """The words that callers give a parameter, themselves or by an option they hand on."""
        if site.how != PARAMETERS or len(self.project.modules) >= _SMALL:
            return {}
        definition = site.module.definition(site.scope)
        spellings = self.project.callers.spellings(definition)
        found: dict[str, Place] = {}
        for call in self.project.callers.of(definition) or ():
            value = given(call, definition, site.name, spellings)
            if isinstance(value, Const) and isinstance(value.value, str):
                found.setdefault(value.value, call.module.place(call.call))
            elif isinstance(value, Ref) and "." not in value.name and (words := held_words(call, value)):
                found = {**dict.fromkeys(words, call.module.place(call.call)), **found}
            elif value and (option := option_name(value)) and not _OPEN.fullmatch(option):
                found = {**self._vocabulary(option), **found}
        return found

    def _is_alone(self, module: Module, name: str, literal: str) -> bool:
        """Whether the word is written nowhere else in the files that know the name, nor in configuration."""
        near = self.project.callers.mentioning((name,))
        if len(near) > _MOST_FILES:
            return False
        quoted = re.compile(rf"""["']{re.escape(literal)}["']""")
        written = sum(len(quoted.findall(one.source.text)) for one in {module, *near})
        return written == 1


def _at(path: str, line: int) -> Place:
    return Place(path, Span(line, 1, line, 1))
