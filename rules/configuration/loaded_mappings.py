"""Configuration files read into plain mappings: where their keys are read, and whether anything checks them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.graph import targets
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    KWARGS,
    PARAMETER,
    Assert,
    Assign,
    Attribute,
    Augment,
    Binary,
    Call,
    Compare,
    Comprehension,
    Const,
    Delete,
    Expr,
    For,
    If,
    Raise,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

from .encoded_bodies import subscripted
from .lineage import CALL, Creation, Lineage

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

LOADERS = frozenset(
    """yaml.safe_load yaml.load yaml.full_load yaml.unsafe_load json.load json.loads orjson.loads ujson.load
    ujson.loads toml.load toml.loads tomllib.load
    tomllib.loads tomli.load tomli.loads configparser.ConfigParser configparser.RawConfigParser
    configparser.SafeConfigParser ruamel.yaml.YAML.load ruamel.yaml.load ruamel.yaml.safe_load rtoml.load
    pytoml.load oyaml.safe_load oyaml.load commentjson.load json5.load hjson.load""".split()
)
_DATA = frozenset({"json", "orjson", "ujson"})  # formats that hold anything: what they load must be called so
_LARGE = 800  # files
_CONFIGURING = re.compile(r"conf|cfg|setting|param|option|opts", re.IGNORECASE)
_LOADING = frozenset(name.rpartition(".")[2] for name in LOADERS)
_NAMED = frozenset(
    """cfg cfgs conf config configs configuration param params parameters opt opts option options setting settings
    hparams hyperparams hyperparameters hps hp yaml yml toml ini experiment""".split()
)
_READ_METHODS = frozenset({"get", "pop", "getint", "getfloat", "getboolean"})
_SCHEMA_CALL = re.compile(
    r"(?:^|[._])(?:validat\w*|schema|schemas|structured|from_dict|parse_obj|model_validate|structure|convert|TypeAdapter|Validator"
    r"|parse_dict|check_\w*|verify\w*|ensure_\w*|fromdict|load_schema|parse_raw|from_mapping|dacite|cattrs|check)$",
    re.IGNORECASE,
)
_SCHEMA_LIBRARIES = frozenset(
    """pydantic pydantic_settings cerberus jsonschema voluptuous marshmallow schema dacite msgspec cattrs cattr attrs
    attr omegaconf fastjsonschema strictyaml pykwalify yamale confuse dynaconf jsonargparse typeguard beartype trafaret
    desert mashumaro serde pandera transformers hydra ml_collections""".split()
)


class KeyRead(Struct, frozen=True):
    """One read of a key of a loaded mapping."""

    module: Module
    scope: int
    statement: Stmt
    key: str
    node: Expr


class Loaded(Struct, frozen=True):
    """A mapping by the call that loads it; ``reads`` in the order of files and lines."""

    creation: Creation
    reads: tuple[KeyRead, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(read.module.path for read in self.reads))

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(read.key for read in self.reads))


class LoadedMappings(Analysis):
    """Answers which loaded mappings are read by key, and which of them nothing checks."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._lineage = project[Lineage]
        self._seen: set[str] = set()
        self._named: set[str] = set()  # chains that have a configuration's name in them, or are the load itself
        self._told: set[str] = set()  # identifiers that were looked at
        self._names: set[str] = set()  # of these, those that are a configuration's, or load one
        self._gets: set[str] = set()  # chains that read one: ``cfg.get``, or the load, after which any name may be one

    def unchecked(self, sites: int, files: int) -> tuple[Loaded, ...]:
        """Mappings read by key at so many places and files that no schema and no check of keys is seen for.

        What is dear comes last: where mappings come from is asked when there are enough reads at all, and checks are
        looked for when one mapping has enough.
        """
        if not self._loads:
            return ()
        candidates = [one for module, index in self._scopes() for one in _reads(module, index)]
        if len(candidates) < sites or len({read.module.path for read, _ in candidates}) < files:
            return ()
        reads: dict[Creation, list[KeyRead]] = {}
        for read, owner in candidates:
            for creation in self._loaded(read.module, read.scope, owner):
                reads.setdefault(_plain(creation), []).append(read)
        loaded = [Loaded(one, tuple(sorted(found, key=_order))) for one, found in reads.items()]
        loaded = [one for one in loaded if len(one.reads) >= sites and len(one.paths) >= files]
        checked = self._checked() if loaded else frozenset()
        open_ones = (one for one in loaded if (one.creation.path, one.creation.line) not in checked)
        return tuple(sorted(open_ones, key=lambda one: (one.creation.path, one.creation.line, one.creation.column)))

    def _scopes(self, reading: bool = True) -> Iterator[tuple[Module, int]]:
        """The scopes that may hold a loaded mapping, or read a key of one, of files linked to one that loads."""
        for path in sorted(self._linked):
            module = self.project.modules[path]
            if module.role != "project" or module.is_test:
                continue
            imported = self._imported(module)
            named = self._names_in(module)
            if not imported and not named:
                continue
            chains = frozenset[str]().union(*[scope.uses for scope in module.facts.scopes])
            self._sort(chains, named)
            given = {chain for chain in chains if chain.partition(".")[0] in imported} if imported else set()
            if not given and self._named.isdisjoint(chains):
                continue
            for index, scope in enumerate(module.facts.scopes):
                own = given.intersection(scope.uses) if given else ()
                if (not own and self._named.isdisjoint(scope.uses)) or not (
                    not reading
                    or not self._gets.isdisjoint(scope.uses)
                    or any(chain.rpartition(".")[2] in _READ_METHODS and "." in chain for chain in own)
                    or any(self._may_be_one(chain, imported) for chain in subscripted(module, index))
                ):
                    continue
                yield module, index

    def _names_in(self, module: Module) -> frozenset[str]:
        """The identifiers of a file that are a configuration's, or load one."""
        fresh = module.mentions - self._told
        self._told |= fresh
        self._names.update([name for name in fresh if name in _LOADING or _is_named(name)])
        return module.mentions & self._names

    def _sort(self, chains: Iterable[str], named: frozenset[str]) -> None:
        """Each chain is looked at once: a project reads the same ones in most of its functions."""
        fresh = set(chains) - self._seen
        self._seen |= fresh
        for chain in fresh:
            if named.isdisjoint(chain.split(".")):
                continue
            owner, _, last = chain.rpartition(".")
            loads = last in _LOADING
            held = any(map(_is_named, owner.split(".")))
            if loads or held or _is_named(last):
                self._named.add(chain)
            # ``json.load.get`` reads what is loaded at once.
            if loads or (last in _READ_METHODS and (held or owner.rpartition(".")[2] in _LOADING)):
                self._gets.add(chain)

    def _may_be_one(self, chain: str, renamed: frozenset[str]) -> bool:
        self._sort((chain,), frozenset(chain.split(".")))
        return chain in self._named or chain.partition(".")[0] in renamed

    def _checked(self) -> frozenset[tuple[str, int]]:
        """The loads, by file and line, whose mapping something checks."""
        return frozenset(
            (one.path, one.line)
            for module, index in self._scopes(reading=False)
            for stmt in statements(module.body(index))
            for one in self._checks(module, index, stmt)
        )

    @cached_property
    def _calls(self) -> frozenset[tuple[str, int]]:
        """The loads, by file and line, of JSON only where a name or the file's says that it is configuration."""
        return frozenset(
            (path, site.call.line)
            for path, module in self.project.modules.items()
            if module.role == "project" and not module.is_test
            for name, site in module.calls_of(LOADERS)
            if name.rpartition(".")[0] not in _DATA
            or (_is_about_configuration(module, site) and (name.endswith(".load") or _is_of_file(site.call)))
        )

    @cached_property
    def _loads(self) -> frozenset[str]:
        """Files that load a mapping."""
        return frozenset(path for path, _ in self._calls)

    def _imported(self, module: Module) -> frozenset[str]:
        """Names a file imports from one that loads."""
        if module.path not in self._importing:
            return frozenset()
        target = self.project.resolver.target
        return frozenset(one.bound for one in module.facts.imports if target(module.path, one) in self._loads)

    @cached_property
    def _importing(self) -> frozenset[str]:
        """Files that import one that loads."""
        return frozenset[str]().union(*[self.project.imports.importers(path) for path in self._loads])

    @cached_property
    def _linked(self) -> frozenset[str]:
        """Files a loaded mapping may come to: those that load, those that import them, and what these import.

        In a large project only what they import themselves: all of it imports each other there.
        """
        imports = self.project.imports
        found = set(self._loads | self._importing)
        if len(self.project.modules) > _LARGE:
            return frozenset(found.union(*(imports.imported(path) for path in found)))
        found = {
            path for path in self.project.modules if any(imports.reaches(path, one) for one in self._loads)
        } | found
        return frozenset(found.union(*(imports.closure(path) for path in found)))

    def _loaded(self, module: Module, scope: int, owner: Expr) -> list[Creation]:
        base = owner
        while isinstance(base, Subscript):
            base = base.value
        if not isinstance(base, Ref) or _is_collected(module, scope, base):
            return []
        creations = self._lineage.of(module, scope, base)
        found = [one for one in creations if one.kind == CALL and one.name in LOADERS]
        return [one for one in found if not one.name.endswith(".loads") or (one.path, one.line) in self._calls]

    def _checks(self, module: Module, scope: int, stmt: Stmt) -> Iterator[Creation]:
        """The mappings a statement checks: hands to a schema, unpacks into a class, or compares the keys of."""
        inner = list(statements(stmt.body)) if isinstance(stmt, (For, If)) else []
        guards = isinstance(stmt, Assert) or any(isinstance(one, Raise) for one in inner)
        roots = list(expressions(stmt, module.facts.scopes))
        if guards and isinstance(stmt, For):
            roots += [root for one in inner for root in expressions(one)]
            yield from self._loaded(module, scope, _without_keys(stmt.iterable))
        for node in (part for root in roots for part in walk(root)):
            for given in self._checked_by(module, scope, node, guards):
                yield from self._loaded(module, scope, _without_keys(given))

    def _checked_by(self, module: Module, scope: int, node: Expr, guards: bool) -> Sequence[Expr]:
        if isinstance(node, Call):
            return self._handed(module, scope, node)
        if isinstance(node, Compare) and guards and ("in" in node.ops or "not in" in node.ops):
            return node.comparators
        if isinstance(node, Binary) and node.op in ("-", "^"):
            return [one for one in (node.left, node.right) if isinstance(one, Call)]  # a mapping has no minus: its keys
        if isinstance(node, Comprehension):
            tests = [one for generator in node.generators for one in generator.conditions]
            return [one.comparators[0] for one in tests if isinstance(one, Compare) and "not in" in one.ops]
        return ()

    def _handed(self, module: Module, scope: int, call: Call) -> list[Expr]:
        """What a call checks: ``Config(**d)``, ``jsonschema.validate(d, schema)``, ``check_config(d)``."""
        starred = [one.value for one in call.keywords if one.name is None]
        given = [*call.args, *(one.value for one in call.keywords if one.name is not None)]
        if not isinstance(call.function, (Ref, Attribute)):
            return starred
        last = call.function.name.rpartition(".")[2]
        if last == "format":
            return []
        names = module.names(scope, call.function) if starred or given else ()
        if _SCHEMA_CALL.search(last) or any(name.partition(".")[0] in _SCHEMA_LIBRARIES for name in names):
            return [*starred, *given]
        return starred


def _is_named(name: str) -> bool:
    """Whether an identifier ends in a configuration's name: ``train_cfg``, ``opt2``."""
    last = name[name.rfind("_") + 1 :].lower()
    return last in _NAMED or (last[-1:].isdecimal() and last[:-1] in _NAMED)


def _is_collected(module: Module, scope: int, ref: Ref) -> bool:
    """Whether a name is only ever ``**kwargs``: what a function's callers spell out, and nobody loads."""
    facts, head = module.scope(scope), ref.name.partition(".")[0]
    return facts.bindings.get(head) == PARAMETER and any(
        one.name == head and one.kind == KWARGS for one in facts.parameters
    )


def _is_about_configuration(module: Module, site: CallSite) -> bool:
    """Whether what a statement loads is called configuration: by its target, its function or the file it names."""
    scope = module.scope(site.scope)
    names = [*(scope.bindings if site.scope else ()), scope.name]
    if isinstance(site.statement, Assign):
        names += [name for target in site.statement.targets for name, _ in targets(target)]
    if any(_CONFIGURING.search(name) for name in names):
        return True
    return any(_CONFIGURING.search(text) for text in module.facts.strings if text.endswith(".json"))


def _is_of_file(call: Call) -> bool:
    """``json.loads(Path("settings.json").read_text())``: no answer of a service, no line of a log."""
    made = [node for arg in call.args for node in walk(arg) if isinstance(node, Call)]
    return any(last_segment(one.function) in ("read", "read_text", "read_bytes") for one in made)


def _reads(module: Module, scope: int) -> Iterator[tuple[KeyRead, Expr]]:
    """The reads of a scope by a constant key, each with the object that is read; sections of a read are part of it."""
    for stmt in statements(module.body(scope)):
        stored = list(stmt.targets) if isinstance(stmt, (Assign, Delete)) else []
        if isinstance(stmt, Augment):
            stored = [stmt.target]
        for root in expressions(stmt, module.facts.scopes):
            inner: set[int] = set()  # ``cfg["optim"]`` of ``cfg["optim"]["lr"]``
            for node in reversed(walk(root)):
                if isinstance(node, Subscript):
                    inner.add(id(node.value))
                if id(node) in inner or (isinstance(node, Subscript) and any(node is one for one in stored)):
                    continue
                found = _key_read(node)
                if found is not None:
                    yield KeyRead(module, scope, stmt, found[1], node), found[0]


def _key_read(node: Expr) -> tuple[Expr, str] | None:
    """The object and the key of ``cfg["k"]`` or ``cfg.get("k")``."""
    if isinstance(node, Subscript) and isinstance(node.index, Const) and isinstance(node.index.value, str):
        return node.value, node.index.value
    if isinstance(node, Call) and isinstance(node.function, Ref) and node.args:
        head, _, last = node.function.name.rpartition(".")
        key = node.args[-1] if last != "get" else node.args[0]
        if last in _READ_METHODS and head and isinstance(key, Const) and isinstance(key.value, str):
            return Ref(head, node.function.line, node.function.column), key.value
    return None


def _without_keys(expr: Expr) -> Expr:
    """``d`` of ``d.keys()``, ``set(d)`` and ``set(d.keys())``."""
    while isinstance(expr, Call):
        function = expr.function
        if isinstance(function, Ref) and function.name.endswith(".keys"):
            return Ref(function.name[: -len(".keys")], function.line, function.column)
        if isinstance(function, Ref) and function.name in ("set", "list", "sorted", "frozenset") and expr.args:
            expr = expr.args[0]
        else:
            return expr
    return expr


def _plain(creation: Creation) -> Creation:
    """The load itself, whatever section of it is at hand and whichever file it reads."""
    return Creation(creation.kind, creation.name, creation.path, creation.scope, creation.line, creation.column)


def _order(read: KeyRead) -> tuple[str, int]:
    return read.module.path, read.statement.line
