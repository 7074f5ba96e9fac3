"""Data loaders of PyTorch: what they load, and whether they do it in worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN, Unknown, argument
from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import (
    CLASS,
    FUNCTION,
    Annotate,
    Attribute,
    Build,
    Call,
    Conditional,
    Const,
    Expr,
    Ref,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.project.attributes import Attributes
from mldebt.project.callers import given
from mldebt.rule import Analysis

from .loader_options import LoaderOptions
from .loader_programs import Programs

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

WORKERS = "num_workers"
_LOADERS = frozenset(
    {
        "torch.utils.data.DataLoader",
        "torch.utils.data.dataloader.DataLoader",
        "torchdata.stateful_dataloader.StatefulDataLoader",
        "torch_geometric.loader.DataLoader",
        "torch_geometric.data.DataLoader",
    }
)
_CONSTRUCTORS = frozenset(f"{name}.__init__" for name in _LOADERS)
_TRAINERS = frozenset({"transformers.Trainer", "transformers.Seq2SeqTrainer", "transformers.trainer.Trainer"})
_POSITIONS = {"dataset": 0, WORKERS: 5, "collate_fn": 6, "worker_init_fn": 10}
_DEEPEST = 5


class Workers(Struct, frozen=True):
    """How many worker processes; ``numbers`` are the values known, ``open`` if there may be others."""

    numbers: frozenset[int] = frozenset()
    open: bool = False

    @property
    def none(self) -> bool:
        """Whether there certainly are none."""
        return not self.open and self.numbers <= {0}

    @property
    def most(self) -> int:
        """The largest number known; 0 if that may be any."""
        return 0 if self.open else max(self.numbers, default=0)

    @property
    def text(self) -> str:
        some = sorted(number for number in self.numbers if number)
        return f"{WORKERS}={some[0]}" if len(some) == 1 else WORKERS


class Loader(Struct, frozen=True, eq=False):
    """One call that makes a loader.

    Args:
        module: The file of the call.
        scope: Its scope there.
        call: The call.
        asked: What it says of its workers, and the call that says it.
        loads: Expressions whose objects work in its worker processes.
        worker_init: What each worker runs first.
        persistent: Whether its workers may live on from epoch to epoch.
        kept: Whether ``persistent_workers=True`` is written there.
        workers: How many it has, once counted.
    """

    module: Module
    scope: int
    call: Call
    asked: tuple[Expr | Unknown | None, Call]
    loads: tuple[Expr, ...]
    worker_init: Expr | None
    persistent: bool
    kept: bool = False
    workers: Workers = Workers()

    @property
    def is_alone(self) -> bool:
        """Whether one worker draws all numbers, for as long as the loader lives."""
        return self.kept and not self.workers.open and self.workers.numbers <= {0, 1}


class Loaders(Analysis):
    """``project[Loaders].all``: all loaders, in the order of paths and lines; ``.counted(loader)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._programs = Programs(project)
        self.counts = Counts(project, self._programs)

    @cached_property
    def all(self) -> tuple[Loader, ...]:
        return tuple(self._find())

    def _find(self) -> Iterator[Loader]:
        names = _LOADERS | _TRAINERS | self._own
        words = self.project.spellings(_LOADERS)
        for module in self.project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            # super().__init__() stands everywhere: looked at only where a class may be a loader.
            built = _CONSTRUCTORS if not words.isdisjoint(module.facts.mentions) else frozenset[str]()
            for name, site in (*module.calls_of(names), *module.calls_of(built)):
                loader = self._trainer(module, site) if name in _TRAINERS else self._loader(module, site)
                if loader is not None:
                    yield loader

    def counted(self, loader: Loader) -> Loader | None:
        """The loader with its workers; None if it has none, or only one, or nothing runs the code around it."""
        value, call = loader.asked
        workers = self.counts.of(loader.module, loader.scope, value, call, nested=call is loader.call)
        found = replace(loader, workers=workers)
        if workers.none or found.is_alone or self._programs.is_unused(loader.module, loader.scope):
            return None
        return found

    @cached_property
    def _own(self) -> frozenset[str]:
        """Subclasses of loaders that leave ``__init__`` to their base."""
        found = set()
        for module in self.project.modules.values():
            if "DataLoader" not in module.facts.mentions:
                continue
            for index, scope in enumerate(module.facts.scopes):
                if scope.kind == CLASS and scope.bases:
                    name = module.definition(index).name
                    if _LOADERS.intersection(self.project.mro(name)) and self.project.method(name, "__init__") is None:
                        found.add(name)
        return frozenset(found)

    def _loader(self, module: Module, site: CallSite) -> Loader | None:
        call = site.call
        values = {name: argument(call, name, position) for name, position in _POSITIONS.items()}
        dataset = _known(values["dataset"])
        if dataset is None:
            return None
        loads = tuple(one for one in (dataset, _known(values["collate_fn"])) if one is not None)
        keeps = argument(call, "persistent_workers")
        persistent = keeps not in (None, Const(False))
        init = values["worker_init_fn"]
        nothing = isinstance(init, Const) and init.value is None
        return Loader(
            module,
            site.scope,
            call,
            (values[WORKERS], call),
            loads,
            None if nothing else _known(init),
            persistent,
            keeps == Const(True),
        )

    def _trainer(self, module: Module, site: CallSite) -> Loader | None:
        """A Hugging Face trainer makes the loaders itself, from ``dataloader_num_workers`` of its arguments."""
        arguments = _known(argument(site.call, "args", 1))
        built = _origin_call(module, site.scope, arguments)
        if built is None:
            return None
        asked = argument(built, "dataloader_num_workers"), built
        wanted = ("train_dataset", "eval_dataset", "data_collator")
        loads = tuple(one for name in wanted if (one := _known(argument(site.call, name))) is not None)
        return Loader(module, site.scope, site.call, asked, loads, None, persistent=False)


class Counts:
    """Tells how many workers an expression means."""

    def __init__(self, project: Project, programs: Programs) -> None:
        self._project = project
        self._callers = project.callers
        self._attributes = Attributes(project)
        self._spread = LoaderOptions(project)
        self._programs = programs
        self._options: dict[tuple[frozenset[str], str], Workers] = {}
        self._found_in: dict[tuple[str, str], tuple[Workers, ...]] = {}
        self._program: frozenset[str] = frozenset()  # of the loader in question

    def of(self, module: Module, scope: int, value: Expr | Unknown | None, call: Call, nested: bool = True) -> Workers:
        """The workers a call asks for; those of ``**options`` as far as they can be seen."""
        self._program = self._programs.around(module)
        if value is UNKNOWN:
            spread = self._spread.of(module, scope, call, WORKERS) if nested else ()
            return _all(self._value(one.module, one.scope, one.expr, _DEEPEST - 1) for one in spread)
        return Workers(frozenset({0})) if value is None else self._value(module, scope, value, _DEEPEST)

    def _value(self, module: Module, scope: int, value: Expr, depth: int) -> Workers:
        constant = module.constant(scope, value)
        if constant is not UNKNOWN:
            return _number(constant)
        if depth <= 0:
            return Workers(open=True)
        if isinstance(value, Conditional):
            return _all(self._value(module, scope, one, depth - 1) for one in (value.then, value.orelse))
        if isinstance(value, Subscript) and isinstance(value.index, Const) and isinstance(value.index.value, str):
            return self._option(value.index.value)
        if isinstance(value, Call):
            return self._got(module, scope, value, depth)
        if isinstance(value, Ref):
            return self._named(module, scope, value, depth)
        return self._option(value.name.rpartition(".")[2]) if isinstance(value, Attribute) else Workers(open=True)

    def _got(self, module: Module, scope: int, call: Call, depth: int) -> Workers:
        """``cfg.get("num_workers", 4)``, ``int(x)``, ``min(8, x)``; ``os.cpu_count()`` is some."""
        last = last_segment(call.function)
        if last in ("get", "getattr") and call.args:
            keys = [arg.value for arg in call.args if isinstance(arg, Const) and isinstance(arg.value, str)]
            given_default = len(call.args) > 1 + (last == "getattr")
            rest = [self._value(module, scope, call.args[-1], depth - 1)] if given_default else []
            return _all([*(self._option(key, missing=given_default) for key in keys[:1]), *rest])
        if last in ("int", "min", "max") and call.args:
            return _all(self._value(module, scope, one, depth - 1) for one in call.args)
        return Workers(open=True)

    def _named(self, module: Module, scope: int, ref: Ref, depth: int) -> Workers:
        head, dot, rest = ref.name.partition(".")
        if dot:
            owner = self._project.types.owner_of(module, scope, head)
            return self._kept(owner, rest, depth) if owner is not None else self._option(ref.name.rpartition(".")[2])
        bound = binding_scope(module.facts, scope, head)
        if bound is None or module.facts.scopes[bound].kind != FUNCTION:
            return self._option(head)
        definition = module.definition(bound)
        flow = self._project.flow(definition)
        found = []
        for origin in flow.origins(ref) if bound == scope else flow.definitions(head):
            if origin.kind == "parameter":
                found.append(self._parameter(definition, head, depth))
            elif origin.kind == "assign" and origin.value is not None and not origin.path:
                found.append(self._value(module, bound, origin.value, depth - 1))
            else:
                found.append(Workers(open=True))
        return _all(found) if found else Workers(open=True)

    def _kept(self, owner: str, attribute: str, depth: int) -> Workers:
        """``self.num_workers``; ``self.hparams.num_workers`` is a parameter of ``__init__``."""
        first, _, last = attribute.rpartition(".")
        for base in self._project.mro(owner):
            definition = self._project.definition(base) if ":" in base else None
            if definition is None:
                continue
            bindings = self._attributes.bindings(definition).get(attribute, ())
            if bindings:
                return _all(
                    Workers(open=True)
                    if one.value is None
                    else self._value(definition.module, one.scope, one.value, depth - 1)
                    for one in bindings
                )
            init = self._project.definition(f"{base}.__init__")
            if first in ("hparams", "_hparams") and init is not None:
                return self._parameter(init, last, depth)
        return self._option(last)

    def _parameter(self, definition: Definition, name: str, depth: int) -> Workers:
        declared = next((one for one in definition.scope.parameters if one.name == name), None)
        if declared is None:
            return self._option(name)
        found = []
        spellings = self._callers.spellings(definition)
        sites = [site for site in self._callers.of(definition) or () if not site.module.is_test]
        for site in sites:
            value = given(site, definition, name, spellings)
            if value is not None and value is not UNKNOWN:
                found.append(self._value(site.module, site.scope, value, depth - 1))
            elif value is UNKNOWN:
                found.append(self._option(name, missing=True))
        if declared.default is not None:
            found.append(self._value(definition.module, definition.scope.parent, declared.default, depth - 1))
        if not sites:
            found.append(self._option(name, missing=True))  # a configuration may build it: _target_, LightningCLI
        together = _all(found)
        return together if together.numbers else Workers(open=True)

    def _option(self, name: str, missing: bool = False) -> Workers:
        """What the command line, a configuration class and the configuration files say of an option."""
        key = (self._program, name)
        known = self._options.get(key)
        if known is None:
            known = _all(self._declared(name, self._program))
            if not known.numbers and not known.open and self._program:
                known = _all(self._declared(name, frozenset(self._project.modules)))  # it may be run from there
            self._options[key] = known
        return known if known.numbers or known.open or missing else Workers(open=True)

    def _declared(self, name: str, program: frozenset[str]) -> Iterator[Workers]:
        for config in self._project.repository.configs:
            values = [leaf.value for leaf in config.leaves if leaf.keys and leaf.keys[-1] == name]
            if values and self._programs.may_use(program, config.path):
                yield from (_number(value) for value in values if isinstance(value, int))
        for command in self._project.repository.commands:
            for word, following in zip(command.words, (*command.words[1:], ""), strict=True):
                flag, _, text = word.lstrip("-").partition("=")
                text = text or following
                if flag.rpartition(".")[2].replace("-", "_") != name or not text.isdigit():
                    continue
                if self._programs.may_use(program, command.path, command.line):
                    yield _number(int(text))
        for path in sorted(program):
            module = self._project.modules[path]
            if not module.is_test and not {name, "add_argument", "option"}.isdisjoint(module.mentions):
                key = (path, name)
                if key not in self._found_in:
                    self._found_in[key] = tuple(self._declared_in(module, name))
                yield from self._found_in[key]

    def _declared_in(self, module: Module, name: str) -> Iterator[Workers]:
        for index, scope in enumerate(module.facts.scopes):
            for stmt in statements(module.body(index)):
                field = stmt.value if isinstance(stmt, Annotate) and scope.kind == CLASS else None
                if field is not None and isinstance(stmt, Annotate) and getattr(stmt.target, "name", "") == name:
                    yield self._default(module, index, field)
                for expr in expressions(stmt, module.facts.scopes):
                    for node in walk(expr):
                        if isinstance(node, Call) and _declares(node, name):
                            default = _known(argument(node, "default"))
                            yield Workers() if default is None else self._default(module, index, default)
                        elif isinstance(node, Build) and node.kind == "dict":
                            for key, value in zip(node.keys, node.items, strict=True):
                                if isinstance(key, Const) and key.value == name:
                                    yield self._default(module, index, value)

    def _default(self, module: Module, scope: int, value: Expr) -> Workers:
        if isinstance(value, Call):
            inner = argument(value, "default", 0)
            value = value if inner is None or inner is UNKNOWN else inner
        constant = module.constant(scope, value)
        return Workers(open=True) if constant is UNKNOWN else _number(constant)


def _declares(call: Call, name: str) -> bool:
    last = last_segment(call.function)
    if last not in ("add_argument", "option", "add_option"):
        return False
    dest = _known(argument(call, "dest"))
    if isinstance(dest, Const):
        return dest.value == name
    words = [arg.value for arg in call.args if isinstance(arg, Const) and isinstance(arg.value, str)]
    return any(word.startswith("--") and word.lstrip("-").replace("-", "_") == name for word in words)


def _number(value: object) -> Workers:
    return Workers(frozenset({value})) if type(value) is int else Workers(open=value is not None)


def _all(found: Iterable[Workers]) -> Workers:
    found = list(found)
    return Workers(frozenset().union(*(one.numbers for one in found)), any(one.open for one in found))


def _known(value: Expr | Unknown | None) -> Expr | None:
    return None if value is UNKNOWN else value


def _origin_call(module: Module, scope: int, value: Expr | None) -> Call | None:
    if isinstance(value, Ref) and "." not in value.name:
        origins = module.project.flow(module.definition(scope)).origins(value)
        value = origins[0].value if len(origins) == 1 and not origins[0].path else None
    return value if isinstance(value, Call) else None
