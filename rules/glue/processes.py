"""Processes that Python code starts: the project's own programs, and shell tools that move data."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Attribute, Call, Const, Expr, For, If, Ref, Starred, While
from mldebt.facts.walk import statements, walk
from mldebt.finding import Place, Span
from mldebt.project.callers import given
from mldebt.rule import Analysis
from mldebt.sources.artefacts import Command
from mldebt.sources.launchers import python_invocation

from .paths import Paths
from .shell_texts import command_words, split

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_WAITING = frozenset(
    """subprocess.run subprocess.call subprocess.check_call subprocess.check_output os.system os.popen
    subprocess.getoutput subprocess.getstatusoutput os.spawnl os.spawnlp commands.getoutput
    commands.getstatusoutput""".split()
)
_RAISING = frozenset({"subprocess.check_call", "subprocess.check_output"})
_POPEN = "subprocess.Popen"
_FETCHES = frozenset({"wget", "curl"})
_EXISTS = frozenset({"exists", "isfile", "isdir", "is_file", "is_dir", "lexists", "listdir", "glob"})
_NAMES = _WAITING | {_POPEN}
_TOOLS = frozenset("cp mv wget curl unzip tar gunzip gzip bunzip2".split())
_DATA = re.compile(
    r"\.(?:csv|tsv|parquet|feather|npy|npz|pkl|pickle|h5|hdf5|json|jsonl|txt|zip|tar|t?gz|tgz|bz2|xz|7z|rar|mat|xlsx?|db|sqlite"
    r"|tfrecords?|arrow|pth?|ckpt|safetensors|onnx|jpe?g|png|wav|mp3|mp4)\b|(?:^|[/_.-])(?:data|datasets?|raw|processed|features"
    r"|corpus|corpora|images|weights|checkpoints?)(?=[/_.-]|$)",
    re.IGNORECASE,
)
# What a file says whose job is to start processes on several devices or machines.
_MANAGES = re.compile(
    r"\bsbatch\b|\bsrun\b|\bqsub\b|\bbsub\b|SLURM_|LOCAL_RANK|WORLD_SIZE|MASTER_(?:PORT|ADDR)|CUDA_VISIBLE_DEVICES|\bmpirun\b"
    r"|\btorchrun\b|torch\.distributed|nvidia-smi|\bkubectl\b|\bdocker\b"
)
_PARALLEL = frozenset(
    {"concurrent.futures", "multiprocessing", "joblib", "asyncio", "ray", "torch.multiprocessing", "threading"}
)
# Notebooks that show how the programs are used.
_SHOWS = re.compile(
    r"tutorial|demo|example|colab|quick_?start|getting_?started|how_?to|readme|introduction", re.IGNORECASE
)
_WORKS = frozenset(
    {
        "pandas",
        "numpy",
        "sklearn",
        "polars",
        "torch",
        "tensorflow",
        "keras",
        "xgboost",
        "lightgbm",
        "datasets",
        "joblib",
    }
)
# Files whose name says that they start runs of other programs.
_LAUNCHES = re.compile(
    r"(?:^|[_-])(?:launch(?:er)?|submit|jobs?|sweeps?|grid|schedul\w*|spawn|cluster|slurm|distributed)(?=[_.-])",
    re.IGNORECASE,
)
_NO_PART = frozenset({"setup.py", "manage.py", "conftest.py", "noxfile.py"})
_PASSED_ON = frozenset({"parse_known_args", "REMAINDER"})
_MOST_STEPS = 20
_NOWHERE = Place("", Span(1))
_OWN_PYTHON = re.compile(r"(?:python[\d.]*|\*|py)(?:\.exe)?")


class Started(Struct, frozen=True):
    """A process that Python code starts and waits for.

    Args:
        target: The project's file it runs; "" for a shell tool.
        tool: ``cp``, ``unzip``; "" for a program of the project.
        subject: What a tool works on.
        api: What starts it: ``os.system``, ``!python``.
        place: The call.
        raises: Whether a failure is raised rather than returned.
        shown: Whether it is more of a demonstration than of a step: a download where there is no file yet, and in a
            notebook a program whose command line a document shows.
    """

    module: Module
    target: str
    tool: str
    subject: str
    api: str
    place: Place
    raises: bool = False
    shown: bool = False


class _User(Struct, frozen=True):
    """The call whose argument is the command."""

    module: Module
    scope: int
    call: Call
    command: Expr


class Processes(Analysis):
    """Finds the processes the project starts."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._paths = project[Paths]

    @cached_property
    def all(self) -> tuple[Started, ...]:
        """Every one, in the order of files and places; launchers, tests and what passes arguments on are left out."""
        found = [one for module in self.project.modules.values() for one in self._of(module)]
        return tuple(sorted(found, key=lambda one: one.place))

    def _of(self, module: Module) -> Iterator[Started]:
        if module.role != "project" or module.is_test:
            return
        yield from self._magics(module)
        for name, site in module.calls_of(_NAMES):
            command = site.call.args[0] if site.call.args else None
            if command is None:
                command = next(
                    (one.value for one in site.call.keywords if one.name in ("args", "command", "cmd")), None
                )
            if command is None or isinstance(command, Starred):
                continue
            for user in self._users(module, site, command):
                words = command_words(self._paths, user.module, user.scope, user.command)
                raises = _raises(name, site.call)
                fetched = _fetches(words) and _is_guarded(user)
                if fetched and raises and not _hides_a_failure(words):
                    continue  # an archive that is fetched once, and no further step when that fails
                for part in _commands(words):
                    found = self._program(user.module, part) or self._tool(user.module, part)
                    if found is not None and not self._is_exempt(module, name, site, user, found):
                        shown = fetched and not _hides_a_failure(words) and bool(found.tool)
                        yield replace(found, api=name, place=user.module.place(user.call), raises=raises, shown=shown)

    def _users(self, module: Module, site: CallSite, command: Expr) -> Iterator[_User]:
        """Who says what the command is: the call itself, or the callers of a function that is given it."""
        definition = module.definition(site.scope)
        name = _parameter(definition, command)
        if name is None:
            yield _User(module, site.scope, site.call, command)
            return
        callers = self.project.callers
        for caller in callers.of(definition) or ():
            value = given(caller, definition, name, callers.spellings(definition))
            if value is not None and value is not UNKNOWN and not caller.module.is_test:
                yield _User(caller.module, caller.scope, caller.call, value)

    def _magics(self, module: Module) -> Iterator[Started]:
        """``!python preprocess.py`` of a notebook that works on data itself."""
        imported = {fact.module.partition(".")[0] for fact in module.facts.imports}
        if not module.facts.magics or _SHOWS.search(module.path) or not _WORKS & imported:
            return
        for line, text in module.facts.magics:
            if text.startswith("!"):
                for part in _commands(split(text.lstrip("!"))):
                    found = self._target(module, part)
                    if found is not None and not _MANAGES.search(text):
                        place = Place(module.path, Span(line))
                        yield Started(module, found, "", "", "!python", place, shown=found in self._documented)

    @cached_property
    def _documented(self) -> frozenset[str]:
        """The programs whose command line a README or another document shows."""
        documents = set(self.project.repository.documents)
        commands = (one for one in self.project.repository.commands if one.path in documents)
        return frozenset(path for command in commands for path in self.project.scans.launched(command))

    def _program(self, module: Module, words: tuple[str, ...]) -> Started | None:
        target = self._target(module, words)
        return Started(module, target, "", "", "", _NOWHERE) if target is not None else None

    def _target(self, module: Module, words: tuple[str, ...]) -> str | None:
        """The project's own program that a command runs, with the interpreter that runs this one."""
        while words and "=" in words[0] and not words[0].startswith("-"):
            words = words[1:]
        if not words or (not words[0].endswith(".py") and not _OWN_PYTHON.fullmatch(words[0])):
            return None
        if words[0] == "*":
            words = ("python", *words[1:])
        command = Command(words, module.path, 1, "shell", posixpath.dirname(module.path))
        invocation = python_invocation(command)
        if invocation is None or invocation.launcher not in ("python", "") or invocation.wrappers:
            return None
        if "*" in (invocation.script or invocation.module or ""):
            return None
        found = self.project.scans.launched(replace(command, directory="")) or self.project.scans.launched(command)
        if not found:
            return None
        target = self.project.modules[found[0]]
        name = posixpath.basename(target.path)
        apart = target.is_test or target.role != "project" or target is module
        # A tool run over this very file, as notebooks end with, works on code and not on data.
        tool = name.startswith(".") or any(
            posixpath.basename(word) == posixpath.basename(module.path) for word in words
        )
        return None if apart or tool or name in _NO_PART else target.path

    @staticmethod
    def _tool(module: Module, words: tuple[str, ...]) -> Started | None:
        name = posixpath.basename(words[0]) if words else ""
        if name not in _TOOLS:
            return None
        subject = next((word for word in words[1:] if not word.startswith("-") and _DATA.search(word)), "")
        return Started(module, "", name, subject, "", _NOWHERE) if subject else None

    def _is_exempt(self, module: Module, name: str, site: CallSite, user: _User, found: Started) -> bool:
        if name == _POPEN and (_in_loop(module, site) or not _waited(module, site.scope)):
            return True  # a process that runs beside this one is managed, not called
        if found.tool:
            return False
        if any(keyword.name in ("env", "preexec_fn", "user") for keyword in site.call.keywords):
            return True  # it is the other environment that a process is wanted for
        if _LAUNCHES.search(posixpath.basename(user.module.path)):
            return True
        for where in {module.path: module, user.module.path: user.module}.values():
            imported = {fact.module for fact in where.facts.imports}
            if imported & _PARALLEL or any(name.partition(".")[0] == "ray" for name in imported):
                return True
            if _PASSED_ON & where.mentions or _MANAGES.search("\n".join(where.text_lines)):
                return True
        return _passes_arguments(self._paths, user.module, user.scope, user.command)


def _raises(name: str, call: Call) -> bool:
    """Whether a program that fails raises an exception here."""
    check = next((one.value for one in call.keywords if one.name == "check"), None)
    return name in _RAISING or (isinstance(check, Const) and check.value is True)


def _fetches(words: tuple[str, ...]) -> bool:
    return any(part and posixpath.basename(part[0]) in _FETCHES for part in _commands(words))


def _hides_a_failure(words: tuple[str, ...]) -> bool:
    """Whether only the last command of several has a say: ``wget x; unzip x; rm x``."""
    return any(word.endswith(";") for word in words)


def _is_guarded(user: _User) -> bool:
    """Whether a call stands under an ``if`` that asks for a file or directory."""
    line = user.call.line
    return any(
        isinstance(stmt, If) and stmt.line <= line <= stmt.end_line and _asks_for_file(user, stmt.test)
        for stmt in statements(user.module.body(user.scope))
    )


def _asks_for_file(user: _User, test: Expr) -> bool:
    for node in walk(test):
        if isinstance(node, Call) and isinstance(node.function, (Ref, Attribute)):
            names = (node.function.name, *user.module.names(user.scope, node.function))
            if any(name.rpartition(".")[2] in _EXISTS for name in names):
                return True
    return False


def _commands(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The commands of a shell line: ``cd x && python y.py``."""
    current: list[str] = []
    for word in words:
        if word in ("&&", "||", ";", "|", "&"):
            yield tuple(current)
            current = []
        elif word.endswith(";"):
            yield (*current, word[:-1])
            current = []
        else:
            current.append(word)
    if current:
        yield tuple(current)


def _parameter(definition: Definition, command: Expr) -> str | None:
    """The parameter a command is, as it is or split into words."""
    node = command
    if isinstance(node, Call):
        if len(node.args) == 1 and isinstance(node.function, Ref) and node.function.name.endswith("split"):
            node = node.args[0]
        elif not node.args and isinstance(node.function, Ref) and node.function.name.endswith(".split"):
            node = Ref(node.function.name.rpartition(".")[0], node.function.line, node.function.column)
    if not isinstance(node, Ref) or not definition.is_function:
        return None
    origins = definition.module.project.flow(definition).origins(node)
    return node.name if len(origins) == 1 and origins[0].kind == "parameter" else None


def _in_loop(module: Module, site: CallSite) -> bool:
    line = site.statement.line
    return any(
        isinstance(stmt, (For, While)) and stmt.line <= line <= stmt.end_line
        for stmt in statements(module.body(site.scope))
    )


def _waited(module: Module, scope: int) -> bool:
    return any(use.rpartition(".")[2] in ("wait", "communicate") for use in module.scope(scope).uses)


def _passes_arguments(paths: Paths, module: Module, scope: int, given: Expr) -> bool:
    """Whether the program's own arguments are handed on: ``[sys.executable, "x.py", *sys.argv[1:]]``."""
    pending, seen = [(module, scope, given)], 0
    while pending and seen < _MOST_STEPS:
        seen += 1
        where, index, expr = pending.pop()
        for node in walk(expr):
            if isinstance(node, Ref):
                if "sys.argv" in where.names(index, node.name) or node.name == "argv":
                    return True
                pending += paths.values(where, index, node)
    return False
