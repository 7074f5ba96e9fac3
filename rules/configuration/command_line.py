"""What argparse would say to a command line: unknown flags, values of the wrong type, what is missing or too much.

Follows https://docs.python.org/3/library/argparse.html as CPython 3.12 implements it. Words that are not literal
(variables, placeholders) may be anything, also nothing or several words: after one, nothing is said to be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct, field

ANY = "any"  # how many values an option takes is not known
REST = "rest"  # argparse.REMAINDER

_UNKNOWN = re.compile(r"[$`<>{}*?\[\]]|\.\.\.|…|%|path/to|\bxxx\b", re.IGNORECASE)
_NUMBER = re.compile(r"^-\d+$|^-\d*\.\d+$")
_INT = re.compile(r"\s*[+-]?\d+(?:_\d+)*\s*")
_BOOLEANS = frozenset({"yes", "true", "t", "y", "1", "no", "false", "f", "n", "0"})  # what HfArgumentParser reads
_WORD = re.compile(r"[A-Za-z_][\w-]*")


class Option(Struct, frozen=True):
    """One option or, without flags, one positional.

    Args:
        flags: All its spellings.
        nargs: 1 (a plain value), 0, a count given as such (``("n", 2)``), "?", "*", "+", REST or ANY.
        kind: int, float, bool, or "" when any text will do or the type is not known.
        choices: The legal values as texts; None when everything is, or they are not known.
        required: Certainly needed on every command line.
        leaves: Ends the program as soon as it is read, whatever else is missing: ``--help``, ``--version``.
    """

    flags: tuple[str, ...]
    name: str
    nargs: int | str | tuple[str, int] = 1
    kind: str = ""
    choices: tuple[str, ...] | None = None
    required: bool = False
    leaves: bool = False


class Interface(Struct, frozen=True):
    """What a program accepts. ``complete``: nothing of it is hidden, so what is not here is refused."""

    options: tuple[Option, ...] = ()
    positionals: tuple[Option, ...] = ()
    commands: Mapping[str, Interface] = field(default_factory=dict)
    has_commands: bool = False
    abbreviations: bool = True
    complete: bool = True
    file_prefix: str = ""


class Complaint(Struct, frozen=True):
    """``kind`` is flag, value, missing or extra; ``subject`` the flag or name; ``word`` the word's index, or -1."""

    kind: str
    subject: str
    message: str
    word: int = -1
    nearest: str = ""


class _State(Struct):
    seen: set[str] = field(default_factory=set)
    positionals: list[int] = field(default_factory=list)
    loose: bool = False
    left: bool = False
    found: list[Complaint] = field(default_factory=list)


def check(interface: Interface, words: Sequence[str], *, documented: bool = False) -> list[Complaint]:
    """The complaints about ``words``, in their order. ``documented``: capital words are placeholders (``--lr LR``)."""
    return _Checker(interface, words, documented).run(0)


def is_literal(word: str) -> bool:
    """Whether a word stands for itself: no variable, pattern or placeholder."""
    return _UNKNOWN.search(word) is None


class _Checker:
    def __init__(self, interface: Interface, words: Sequence[str], documented: bool) -> None:
        self.interface, self.words, self.documented = interface, words, documented
        self.flags = {flag: option for option in interface.options for flag in option.flags}
        self.negative = any(_NUMBER.match(flag) for flag in self.flags)
        self.before_rest = _before_rest(interface)
        self.state = _State()

    def run(self, at: int) -> list[Complaint]:
        state, words = self.state, self.words
        while at < len(words):
            word = words[at]
            if not word.strip():
                at += 1  # what a backslash before trailing blanks leaves
            elif word == "--":
                state.positionals += range(at + 1, len(words))
                at = len(words)
            elif self._is_flag(word):
                at = self._option(at)
                if state.left:
                    return []
            elif self._is_hidden(word):
                state.loose, at = True, at + 1 if self.before_rest is None else len(words)
            elif self.interface.has_commands and len(state.positionals) == len(self.interface.positionals):
                return self._command(at)
            else:
                state.positionals.append(at)
                full = self.before_rest is not None and len(state.positionals) >= self.before_rest
                at = len(words) if full else at + 1
        self._positionals()
        return state.found + self._missing()

    def _is_flag(self, word: str) -> bool:
        if not word.startswith("-") or word == "-" or (" " in word and word not in self.flags):
            return False
        return bool(self.negative) or not _NUMBER.match(word)

    def _is_hidden(self, word: str) -> bool:
        if self.interface.file_prefix and word[:1] in self.interface.file_prefix:
            return True
        return not is_literal(word) or (self.documented and self._is_placeholder(word))

    def _is_placeholder(self, word: str) -> bool:
        return bool(_WORD.fullmatch(word)) and word.upper() == word

    # Options.

    def _option(self, at: int) -> int:
        word = self.words[at]
        name, equals, attached = word.partition("=")
        if not is_literal(name):
            self.state.loose = True
            return at + 1
        option, glued = self._find(word, name, bool(equals))
        if option is None:
            if glued != "ambiguous":
                self._unknown(at, name)
            self.state.loose = True  # nobody knows whether the next word is its value
            return at + 1
        self.state.seen.add(option.name)
        self.state.left = option.leaves
        if equals or glued:
            self._value(option, attached if equals else glued, at)
            return at + 1
        return self._values(option, at)

    def _find(self, word: str, name: str, equals: bool) -> tuple[Option | None, str]:
        """The option of a flag, and a value glued to it."""
        if word in self.flags:
            return self.flags[word], ""
        if equals and name in self.flags:
            return self.flags[name], ""
        if self.interface.abbreviations and (name.startswith("--") or len(name) > 2):
            longer = {id(option): option for flag, option in self.flags.items() if flag.startswith(name)}
            if len(longer) == 1:
                return next(iter(longer.values())), ""
            if longer:
                return None, "ambiguous"
        if not name.startswith("--") and name[:2] in self.flags:
            option = self.flags[name[:2]]
            if option.nargs != 0:
                return option, word[2:]
            rest = [f"-{letter}" for letter in name[2:]]
            return (option, "") if all(flag in self.flags for flag in rest) else (None, "")
        return None, ""

    def _unknown(self, at: int, flag: str) -> None:
        if not self.interface.complete:
            return
        nearest = nearest_flag(flag, self.flags)
        self.state.found.append(Complaint("flag", flag, f"has no option {flag}", at, nearest))

    def _values(self, option: Option, at: int) -> int:
        """Take the option's values from the words after it; returns the index of the first word left."""
        following = at + 1
        limit = (
            {0: 0, 1: 1, "?": 1}.get(option.nargs, len(self.words))
            if not isinstance(option.nargs, tuple)
            else option.nargs[1]
        )
        if option.nargs in (REST, ANY):
            self.state.loose = True
            return len(self.words) if option.nargs == REST else following
        taken = 0
        while following < len(self.words) and taken < limit:
            word = self.words[following]
            if self._is_flag(word) or word == "--":
                break
            if self._is_hidden(word) and limit != 1:
                self.state.loose = True
            self._value(option, word, following)
            following, taken = following + 1, taken + 1
        least = 1 if option.nargs in (1, "+") else option.nargs[1] if isinstance(option.nargs, tuple) else 0
        broken = self.documented and following == len(self.words)  # a document's line may just be wrapped
        if taken < least and not self.state.loose and not broken and self.interface.complete:
            self.state.found.append(
                Complaint("value", self.words[at], f"is given {self.words[at]} without a value", at)
            )
        return following

    def _value(self, option: Option, word: str, at: int) -> None:
        if self._is_hidden(word) or not word:
            return
        if option.nargs == 0:
            flag = self.words[at].partition("=")[0]
            self.state.found.append(Complaint("value", flag, f"is given a value for {flag}, which takes none", at))
            return
        problem = _refused(option, word, self.documented)
        if problem:
            flag = option.flags[-1] if option.flags else option.name
            self.state.found.append(Complaint("value", flag, f"is given {flag} {word}, {problem}", at))

    # Positionals and what is missing.

    def _command(self, at: int) -> list[Complaint]:
        """What the group says, and then the command; nothing when the command only shows its help."""
        name, commands = self.words[at], self.interface.commands
        own = self.state.found + self._missing()
        if name in commands:
            inner = _Checker(commands[name], self.words, self.documented)
            theirs = inner.run(at + 1)
            self.state.left = inner.state.left
            return [] if self.state.left else own + theirs
        if not self.interface.complete or not commands:
            return own
        nearest = next(iter(get_close_matches(name, commands, 1, 0.6)), "")
        known = ", ".join(sorted(commands))
        return [*own, Complaint("extra", name, f"has no subcommand {name} (it has {known})", at, nearest)]

    def _positionals(self) -> None:
        state, wanted = self.state, self.interface.positionals
        if self.interface.has_commands:
            return
        fixed = all(option.nargs == 1 for option in wanted)
        given = state.positionals
        for option, at in zip(wanted, given, strict=False) if fixed and not state.loose else ():
            self._value(option, self.words[at], at)
        if not self.interface.complete or state.loose or not all(is_literal(self.words[at]) for at in given):
            return
        if fixed and len(given) > len(wanted):
            at = given[len(wanted)]
            self.state.found.append(Complaint("extra", self.words[at], f"takes no argument {self.words[at]!r}", at))
        elif fixed and len(given) < len(wanted):
            name = wanted[len(given)].name
            self.state.found.append(Complaint("missing", name, f"is run without its argument {name}"))

    def _missing(self) -> list[Complaint]:
        if self.state.loose or self.state.found or not self.interface.complete:
            return []
        return [
            Complaint("missing", option.flags[-1], f"is run without {option.flags[-1]}, which it requires")
            for option in self.interface.options
            if option.required and option.name not in self.state.seen
        ]


def _before_rest(interface: Interface) -> int | None:
    """How many positionals come before the one that takes all the words left, flags too; None when there is none."""
    least = 0
    for option in interface.positionals:
        if option.nargs == REST:
            return least
        least += option.nargs[1] if isinstance(option.nargs, tuple) else option.nargs in (1, "+")
    return None


def _refused(option: Option, word: str, documented: bool) -> str:
    """Why a literal value is not accepted; "" when it is, or that cannot be told."""
    if option.kind and not (documented and _WORD.fullmatch(word)):
        if option.kind == "int" and not _INT.fullmatch(word):
            return "which is no int"
        if option.kind == "float" and not _is_float(word):
            return "which is no float"
        if option.kind == "bool" and word.lower() not in _BOOLEANS:
            return "which is no truth value"
    if option.choices is not None and word not in option.choices:
        if option.kind and _same_number(word, option.choices):
            return ""
        return f"which is not one of {', '.join(option.choices)}"
    return ""


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _same_number(word: str, choices: Sequence[str]) -> bool:
    return _is_float(word) and any(_is_float(choice) and float(choice) == float(word) for choice in choices)


def nearest_flag(flag: str, flags: Mapping[str, Any]) -> str:
    """The flag somebody probably meant: the same words, one inside the other, or nearly the same letters."""
    names = sorted(flag for flag in flags if flag.startswith("--"))
    bare = re.sub(r"[^a-z0-9]", "", flag.lower())
    for name in names:
        if re.sub(r"[^a-z0-9]", "", name.lower()) == bare:
            return name
    close = get_close_matches(flag.lstrip("-"), [name[2:] for name in names], 1, 0.7)
    if close:
        return f"--{close[0]}"
    words = [word for word in re.split(r"[-_]", flag.lstrip("-").lower()) if word]
    initials = "".join(word[0] for word in words)
    for name in names:
        other = [word for word in re.split(r"[-_]", name.lstrip("-").lower()) if word]
        if len(initials) > 1 and (
            other == [initials] or ("".join(word[0] for word in other) == bare and len(other) > 1)
        ):
            return name
    return ""
