"""What Python program a command runs: wrappers and launchers peeled off, their options told from the program's."""

from __future__ import annotations

import re

from msgspec import Struct

from mldebt.sources.artefacts import Command
from mldebt.sources.options import LAUNCHERS, MODULE_LAUNCHERS, PYTHON, RUNNERS, WRAPPERS, Options

_PYTHON_NAME = re.compile(r"(?:python|pypy|pythonw)[\d.]*(?:-dbg|t)?(?:\.exe)?|py(?:\.exe)?", re.IGNORECASE)
_PYTHON_VARIABLE = re.compile(
    r"\$[({]?\w*PY(?:THON)?\d*(?:_?(?:BIN|EXE|EXEC|EXECUTABLE|CMD)|_PATH)?(?::?[-=][^}]*)?[)}]?"
    r"|\{(?:env)?python\d?\}|\{\{ ?python\d? ?\}\}",
    re.IGNORECASE,
)
# Not a file of any repository: unknown to us, or left to the reader to fill in.
_NOT_LITERAL = re.compile(r"[$`*{}<>]|\[.*\]|\.\.\.|(?:^|/)(?:path/to|path_to|(?:my|your)[-_])|/path/")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_ENVIRONMENT = re.compile(r"[A-Za-z_]\w*=")
_PYTHON_SHORT = re.compile(r"-[bBdEhiIOPqRsStuvVx3]*([cmWX?])?(.*)")
_MAX_LAYERS = 8


class Invocation(Struct, frozen=True):
    """A Python program that a command runs.

    ``script`` is the path as written, ``module`` the name after ``-m``; exactly one of them is set. ``launcher`` is
    what starts Python: ``python``, ``torchrun``, ``torch.distributed.launch``, ``accelerate launch``, ``deepspeed``,
    ``uv run``; ``""`` for ``./train.py``. ``wrappers`` stand before it (``srun``, ``nohup``, ``poetry run``),
    outermost first. ``certain`` is false when a launcher's option is not known, or the script or module is no literal.
    """

    script: str | None
    module: str | None
    arguments: tuple[str, ...]
    launcher: str
    certain: bool
    wrappers: tuple[str, ...] = ()


class _Split(Struct, frozen=True):
    """What follows a program's own options, and what they say of it."""

    rest: tuple[str, ...]
    module: bool = False
    program: bool = False
    certain: bool = True


def python_invocation(command: Command) -> Invocation | None:
    """Return the Python program ``command`` runs; ``None`` when it runs none, or code given on the command line."""
    words, wrappers, certain = command.words, list[str](), True
    for _ in range(_MAX_LAYERS):
        words = _without_environment(words)
        if not words:
            return None
        name, size = _program(words)
        if name == "python":
            return _python(words[1:], tuple(wrappers), certain)
        options = LAUNCHERS.get(name) or WRAPPERS.get(name)
        if options is None:
            return _direct(words, tuple(wrappers), certain)
        split = _take_options(words[size:], options)
        certain = certain and split.certain
        runs_script = bool(split.rest) and name in RUNNERS and _is_script(split.rest[0])
        if not split.program and (name in LAUNCHERS or split.module or runs_script):
            return _invocation(split, name, tuple(wrappers), certain)
        words = split.rest
        wrappers.append(name)
    return None


def _without_environment(words: tuple[str, ...]) -> tuple[str, ...]:
    skip = 0
    while skip < len(words) and _ENVIRONMENT.match(words[skip]):
        skip += 1
    return words[skip:]


def _program(words: tuple[str, ...]) -> tuple[str, int]:
    """The name of the program by its table, and how many words it is: ``uv run`` is two."""
    name = words[0].rpartition("/")[2].rpartition("\\")[2]
    if _PYTHON_NAME.fullmatch(name) or _PYTHON_VARIABLE.fullmatch(words[0]):
        return "python", 1
    name = name.removesuffix(".exe")
    if len(words) > 1 and ((pair := f"{name} {words[1]}") in WRAPPERS or pair in LAUNCHERS):
        return pair, 2
    return name, 1


def _take_options(words: tuple[str, ...], options: Options) -> _Split:
    at, module, program, certain, positional = 0, False, False, True, options.positional
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if not word.startswith("-") or word == "-":
            if positional and at < len(words):
                positional -= 1
                at += 1
                continue
            if _ENVIRONMENT.match(word) and at + 1 < len(words):
                at += 1
                continue
            break
        name, equals, _ = word.lstrip("-").replace("_", "-").partition("=")
        name = _full_name(name, options) if word.startswith("--") else name
        at += 1
        if name in options.stop:
            return _Split(())
        module, program = module or name in options.module, program or name in options.program
        if equals or name in options.flags | options.module | options.program:
            continue
        if name in options.pairs:
            at += 2
        elif name in options.values:
            at += 1
        elif not word.startswith("--") and name[:1] in options.values:
            continue  # a value that is attached: -n4
        elif options.unknown != "flag":
            certain = certain and options.unknown == "value"
            at += at < len(words) and not words[at].startswith("-") and not _is_script(words[at])
    return _Split(words[at:], module, program, certain)


def _full_name(name: str, options: Options) -> str:
    known = options.values | options.flags | options.module | options.program
    if not options.abbreviations or name in known or len(name) < 3:
        return name
    longer = [other for other in known if other.startswith(name)]
    return longer[0] if len(longer) == 1 else name


def _python(words: tuple[str, ...], wrappers: tuple[str, ...], certain: bool) -> Invocation | None:
    """Read the words after ``python``: options may be joined (``-um pkg``) or carry their value (``-Wignore``)."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word = words[at]
        if word.startswith("--"):
            name = word[2:].partition("=")[0]
            if name in PYTHON.stop:
                return None
            at += 1 + (name in PYTHON.values and "=" not in word)
            continue
        match = _PYTHON_SHORT.fullmatch(word)
        letter, attached = (match[1], match[2]) if match else (None, "")
        if "V" in word.partition(letter or "\n")[0] or letter in {"c", "?"}:
            return None
        if letter == "m":
            name = attached or "".join(words[at + 1 : at + 2])
            return _module(name, words[at + (1 if attached else 2) :], wrappers, certain)
        certain = certain and (letter is not None or not attached)
        at += 1 + (letter is not None and not attached)
    if at >= len(words) or words[at] == "-":
        return None
    return _invocation(_Split(words[at:]), "python", wrappers, certain)


def _module(name: str, words: tuple[str, ...], wrappers: tuple[str, ...], certain: bool) -> Invocation | None:
    """The program behind ``python -m name``: the module, or what it launches in its turn."""
    if not name:
        return None
    if name not in MODULE_LAUNCHERS:
        return _invocation(_Split((name, *words), module=True), "python", wrappers, certain)
    subcommand, launcher, options = MODULE_LAUNCHERS[name]
    if subcommand and words[:1] != (subcommand,):
        return _invocation(_Split((name, *words), module=True), "python", wrappers, certain)
    split = _take_options(words[1:] if subcommand else words, options)
    if split.program:
        inner = python_invocation(Command(split.rest, "", 0, ""))
        return inner and Invocation(
            inner.script, inner.module, inner.arguments, inner.launcher, inner.certain and split.certain,
            (*wrappers, launcher, *inner.wrappers),
        )  # fmt: skip
    return _invocation(split, launcher, wrappers, certain and split.certain)


def _direct(words: tuple[str, ...], wrappers: tuple[str, ...], certain: bool) -> Invocation | None:
    """A script that is run by its own name; without a directory it would be looked for on PATH."""
    if not words[0].endswith(".py"):
        return None
    certain = certain and "/" in words[0] and not _NOT_LITERAL.search(words[0])
    return Invocation(words[0], None, words[1:], "", certain, wrappers)


def _invocation(split: _Split, launcher: str, wrappers: tuple[str, ...], certain: bool) -> Invocation | None:
    if not split.rest:
        return None
    target, *arguments = split.rest
    if split.module:
        known = certain and _MODULE.fullmatch(target) is not None
        return Invocation(None, target, tuple(arguments), launcher, known, wrappers)
    known = certain and target.endswith(".py") and not _NOT_LITERAL.search(target)
    return Invocation(target, None, tuple(arguments), launcher, known, wrappers)


def _is_script(word: str) -> bool:
    return word.endswith(".py")
