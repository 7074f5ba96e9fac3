"""Switches of a project: options of two or few values that choose which code runs, each with who declares it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import Call, Const, Subscript
from mldebt.facts.walk import calls, expressions, statements, walk
from mldebt.finding import Place, Span
from mldebt.module import Module
from mldebt.rule import Analysis

from ..configuration.config_objects import FILE, HYDRA  # noqa: TID252 - installed under another name
from ..configuration.declarations import CLI, COMMAND, FIELD, FLAG, Declaration, Declarations  # noqa: TID252
from ..configuration.environment import Access, Environment  # noqa: TID252 - installed under another name
from ..configuration.namespaces import Namespaces  # noqa: TID252 - installed under another name
from ..configuration.options import CONFIGURATION_NAMES  # noqa: TID252 - installed under another name
from ..configuration.parsers import Declared  # noqa: TID252 - installed under another name

LEAF, VARIABLE = "leaf", "variable"

# How one runs a program, which differs from run to run; and words that say so in a longer name.
_OPERATION = frozenset(
    """help version force overwrite cpu cuda gpu gpus device tpu mps xla ipu hpu distributed ddp multi_gpu local_rank
    multiprocessing_distributed dist parallel data_parallel save save_model save_images log logging wandb tensorboard
    mlflow tb tracking plot plots show display render print list push upload download export cache host port amp fp16
    bf16 fp32 half mixed_precision compile deterministic checkpoint ckpt interactive yes predict prediction infer
    inference sweep tune ci smoke train do_train do_predict do_eval all progress progress_bar pbar tqdm nohup daemon
    reload ssl public share silent color colour no_color json csv stdout stdin pin_memory synthetic continue
    continue_training start_over restart clean clear delete remove backup dump live
    simulate simulation""".split()
)
_OPERATES = frozenset(
    """only debug debugging verbose verbosity quiet test testing eval evaluate evaluation validate validation
    resume dry dryrun profile profiling profiler seed viz vis visualize visualise visualization video demo
    help deprecated""".split()
)
# What an option does that writes something more; what a variable holds that is no switch.
_SHOWS = frozenset("save dump print show log list report write store export submit submission".split())
_PLACES = frozenset(
    """id ids url uri path paths dir dirs key keys token host port name file files home secret user password endpoint
    region addr address version level email account bucket project""".split()
)
# Variables that launchers, schedulers, systems and libraries set.
_SYSTEM = re.compile(
    r"(?:LOCAL_|NODE_|GROUP_)?RANK|(?:LOCAL_)?WORLD_SIZE|(?:MASTER|SLURM|CUDA|NCCL|OMPI|PMI|HF|TRANSFORMERS|GITHUB|GITLAB"
    r"|KAGGLE|COLAB|JAX|XLA|TPU|TF|TORCH|PYTORCH|OMP|MKL|AWS|AZURE|GOOGLE|GCP|SM|WANDB|MLFLOW|XDG|LC|READTHEDOCS|PYTEST"
    r"|CONDA|VIRTUAL|DISPLAY|SSH|PBS|LSB|SGE)(?:_.*)?|PYTHON.*|CI|HOME|USER|PATH|TERM|LANG|SHELL|HOSTNAME|TMPDIR|NO_COLOR"
)
_OFF = frozenset({None, "", "0", "false", "False", "FALSE", "no", "off", "1", "true", "True", "TRUE", "yes", "on"})
# Files that set up tools and not the program.
_TOOLS = re.compile(
    r"(?:^|/)(?:\.|docs?/|tests?/)|(?:^|/)(?:pyproject\.toml|setup\.cfg|tox\.ini|package(?:-lock)?\.json|mkdocs\.ya?ml"
    r"|environment[^/]*\.ya?ml|(?:docker-)?compose[^/]*|[^/]*\.ipynb|dvc\.ya?ml|_config\.yml|conda[^/]*\.ya?ml)$"
)
_PREFIX = re.compile(r"^(?:(?:use|enable|disable|no|not|with|without|is|run|only|should|do)_)+")


class Flag(Struct, frozen=True, eq=False):
    """A switch.

    Args:
        name: What readers call it.
        kind: CLI, COMMAND, FLAG, FIELD, LEAF or VARIABLE (of the environment).
        spelling: As people give it, for messages.
        spellings: All the ways to give it on a command line.
        default: What it is when nobody says; of several defaults of a choice the first.
        values: All of them.
        places: Every declaration of that name; the first is where it is reported.
        declarations: What declares it, where that is Python.
        choices: The values it may have; () when they are not told.
    """

    name: str
    kind: str
    spelling: str
    spellings: tuple[str, ...]
    default: Any
    values: frozenset[Any]
    places: tuple[Place, ...]
    declarations: tuple[Declaration, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def is_boolean(self) -> bool:
        return isinstance(self.default, bool)


class Flags(Analysis):
    """Answers which switches a project has."""

    @cached_property
    def all(self) -> tuple[Flag, ...]:
        """Switches by name, those that only say how a program is run left out, in the order of places."""
        found: dict[str, list[Flag]] = {}
        for flag in (*self._declared(), *self._leaves(), *self._variables()):
            if not _is_operation(flag.name):
                found.setdefault(flag.name, []).append(flag)
        merged = [one for flags in found.values() if (one := _merged(flags)) is not None]
        return tuple(sorted(merged, key=lambda flag: flag.places[0]))

    def _declared(self) -> Iterator[Flag]:
        for one in self.project[Declarations].all:
            module = self.project.modules.get(one.place.path)
            if one.name.startswith("_") or module is None or module.role != "project" or module.is_example:
                continue
            default: Any = one.default
            choices: tuple[str, ...] = ()
            if isinstance(one.what, Declared):
                default, choices = _of_argument(one.what, default)
            if isinstance(default, (bool, str)):
                long = next((each for each in one.spellings if each.startswith("--")), one.spellings[0])
                spelling = f"{one.owner}.{one.name}" if one.kind == FIELD else long
                given = one.spellings if one.kind in (CLI, COMMAND, FLAG) else ()
                yield Flag(
                    one.name, one.kind, spelling, given, default, frozenset({default}), (one.place,), (one,), choices
                )

    def _leaves(self) -> Iterator[Flag]:
        """Keys of files that code takes from what it loads; the files of a library's users are not here."""
        if self.project.library:
            return
        configs = [one for one in self.project.repository.configs if not _TOOLS.search(one.path)]
        reads = self.project[Namespaces].reads if configs else ()
        read = {event.names[-1] for event in reads if event.root.kind in (FILE, HYDRA)}
        read |= self.project[Subscripts].all.keys() if configs else set()
        for config in configs:
            for leaf in config.leaves:
                if isinstance(leaf.value, (bool, str)) and leaf.keys[-1] in read:
                    place = Place(config.path, Span(leaf.line))
                    values = frozenset({leaf.value})
                    yield Flag(leaf.keys[-1], LEAF, ".".join(leaf.keys), (), leaf.value, values, (place,))

    def _variables(self) -> Iterator[Flag]:
        """Variables of the environment that are read with a constant to fall back on."""
        for name, accesses in self.project[EnvironmentReads].all.items():
            for access in accesses if not _SYSTEM.fullmatch(name) else ():
                read = _fallback(access)
                if read is not None and access.module.role == "project" and not access.module.is_test:
                    call, default = read
                    place = access.module.place(call)
                    yield Flag(access.name, VARIABLE, access.name, (), default, frozenset({default}), (place,))


class Subscripts(Analysis):
    """Answers where constant keys are taken from anything in a scope that mentions configuration."""

    @cached_property
    def all(self) -> dict[str, list[tuple[Module, int]]]:
        """Files and scopes by the key."""
        found: dict[str, list[tuple[Module, int]]] = {}
        for module in self.project.modules.values():
            if module.role != "project" or module.mentions.isdisjoint(CONFIGURATION_NAMES):
                continue
            for index in module.scopes_using(CONFIGURATION_NAMES):
                for key in sorted(_keys(module, index)):
                    found.setdefault(key, []).append((module, index))
        return found


def _keys(module: Module, scope: int) -> set[str]:
    roots = (expr for stmt in statements(module.body(scope)) for expr in expressions(stmt, module.facts.scopes))
    return {
        node.index.value
        for expr in roots
        for node in walk(expr)
        if isinstance(node, Subscript) and isinstance(node.index, Const) and isinstance(node.index.value, str)
    }


class EnvironmentReads(Analysis):
    """Answers who reads a variable of the environment."""

    @cached_property
    def all(self) -> dict[str, list[Access]]:
        """The reads by the variable's name."""
        found: dict[str, list[Access]] = {}
        environment = self.project[Environment]
        for module in self.project.modules.values():
            for access in environment.reads(module):
                found.setdefault(access.name, []).append(access)
        return found

    def of(self, name: str) -> Sequence[Access]:
        return self.all.get(name, ())


def _fallback(access: Access) -> tuple[Call, Any] | None:
    """The call that reads a variable in a statement, and the constant it falls back on."""
    module, scope = access.module, access.scope
    for call in calls(access.statement):
        if call.args and module.constant(scope, call.args[0]) == access.name:
            fallback = call.args[1] if len(call.args) > 1 else None
            value = None if fallback is None else module.constant(scope, fallback)
            return (call, value) if isinstance(value, (str, type(None))) and value in _OFF else None
    return None


def _of_argument(declared: Declared, default: Any) -> tuple[Any, tuple[str, ...]]:
    """The default and the choices of an ``add_argument``."""
    choices = declared.constant("choices")
    known = tuple(one for one in choices if isinstance(one, str)) if isinstance(choices, (list, tuple)) else ()
    action = declared.constant("action")
    if action == "store_false" and declared.keyword("default") is None:
        return True, known
    if action not in (None, "store", "store_true", "store_false"):
        boolean = any(name.endswith("BooleanOptionalAction") for name in declared.names("action"))
        return (default if boolean else UNKNOWN), known
    if declared.is_positional or declared.hidden:
        return UNKNOWN, known
    return default, known


def _is_operation(name: str) -> bool:
    plain = name.lower().replace("-", "_")
    words = _PREFIX.sub("", plain).split("_")
    if words[0] in _SHOWS or (name.isupper() and not _PLACES.isdisjoint(words)):
        return True
    return _PREFIX.sub("", plain) in _OPERATION or not _OPERATES.isdisjoint(plain.split("_")) or "plot" in plain


def _merged(flags: list[Flag]) -> Flag | None:
    """Declarations of one name as one switch; None when they do not agree on what it is by default."""
    values = frozenset(flag.default for flag in flags)
    if len({type(value) for value in values}) > 1 or (len(values) > 1 and not isinstance(flags[0].default, str)):
        return None
    rank = {CLI: 0, COMMAND: 0, FLAG: 0, FIELD: 1, LEAF: 2, VARIABLE: 3}
    flags = sorted(flags, key=lambda flag: (rank[flag.kind], flag.places[0]))
    first = flags[0]
    return Flag(
        first.name,
        first.kind,
        first.spelling,
        tuple(dict.fromkeys(one for flag in flags for one in flag.spellings)),
        first.default,
        values,
        tuple(dict.fromkeys(place for flag in flags for place in flag.places)),
        tuple(one for flag in flags for one in flag.declarations),
        tuple(dict.fromkeys(one for flag in flags for one in flag.choices)),
    )


def lines_of(place: Place) -> range:
    """The lines a declaration stands on."""
    span: Span = place.span
    return range(span.line, (span.end_line or span.line) + 1)
