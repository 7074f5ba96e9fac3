"""The configuration table (F8): every value a setting is given anywhere, under one name, with who reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import ASSIGNED, FUNCTION, Annotate, Assign, Build, Const, Expr, Ref, Stmt, Unary
from mldebt.facts.walk import expressions, statements, walk
from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from .config_classes import Field
from .config_objects import BUILT, FILE, HYDRA, PROBE, Event
from .declarations import COMMAND, Declaration, Declarations
from .encoded_bodies import may_assign_literal
from .namespaces import Namespaces
from .options import Options
from .owners import ENVIRONMENT
from .slots import Slots

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project
    from mldebt.sources.artefacts import ConfigFile

# Kinds of bindings beside those of declarations (cli, command, flag, field) and the formats of files.
CONSTANT, LOCAL, PARAMETER, ARGUMENT, FALLBACK, VARIABLE, DEFAULTS = (
    "constant", "local", "parameter", "argument", "fallback", "environment", "set_defaults",
)  # fmt: skip

# Files that set up tools and platforms rather than the program.
_TOOLS = re.compile(
    r"(?:^|/)(?:\.|docs?/|tests?/)|(?:^|/)(?:pyproject\.toml|setup\.cfg|tox\.ini|package(?:-lock)?\.json|mkdocs\.ya?ml"
    r"|environment[^/]*\.ya?ml|(?:docker-)?compose[^/]*|mypy\.ini|pytest\.ini|ruff\.toml|dvc\.ya?ml|_config\.yml"
    r"|codecov\.yml|readthedocs\.yml|conda[^/]*\.ya?ml|meta\.ya?ml|pixi\.toml|tsconfig[^/]*|[^/]*\.ipynb|Pipfile)$"
)
_CONFIG_MODULE = re.compile(
    r"(?:^|[/_])(?:conf(?:ig)?s?|settings|options|opts|params|hparams|hyperparam\w*|constants|defaults)(?:[/_.]|$)"
)
_MANY = 5  # hyperparameters among a file's variables that make all its constants settings


class Bound(Struct, frozen=True):
    """One value a setting is given.

    Args:
        name: As it is called there.
        knob: The name it has in the table: a hyperparameter's canonical one, else its own.
        kind: cli, command, flag, set_defaults, field, yaml, json, toml, ini, constant, parameter, argument, fallback or
            environment.
        value: What it is worth; UNKNOWN when that is not constant or nothing is given.
        place, owner: Where, and whose it is.
    """

    name: str
    knob: str
    kind: str
    value: Any | Unknown
    place: Place
    owner: str

    @property
    def structured(self) -> bool:
        """Whether it stands in a parser, a configuration class or a file."""
        return self.kind not in (CONSTANT, LOCAL, PARAMETER, ARGUMENT, FALLBACK, VARIABLE)


class ConfigurationTable(Analysis):
    """Answers which settings there are, where they get their values, and who reads them."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._slots = project[Slots]
        self._loose: dict[str, tuple[Bound, ...]] = {}
        self._settled: dict[str, tuple[tuple[Bound, ...], tuple[Bound, ...]]] = {}

    def knob(self, name: str) -> str:
        """The name a setting has in the table."""
        known = self._slots.knob(name)
        return known.name if known is not None else name.lower().lstrip("-").replace("-", "_")

    def kind(self, knob: str) -> str:
        """contract, tuning, performance or seed; "" for a setting that is no known hyperparameter."""
        known = self._slots.knob(knob)
        return known.kind if known is not None else ""

    @cached_property
    def bindings(self) -> tuple[Bound, ...]:
        """Every binding of the project itself, tests left out, in the order of places."""
        found = [*self.declared, *self.files, *self._fallbacks()]
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                found += [*self.loose(module), *self._set(module)]
                found += [one for _, one in self.parameters(module)]
        commands = {(one.name, one.place.path, one.place.span.line) for one in found if one.kind == COMMAND}
        return tuple(
            one
            for one in sorted(set(found), key=lambda one: (one.place, one.knob, one.kind, repr(one.value)))
            if one.kind != PARAMETER or (one.name, one.place.path, one.place.span.line) not in commands
        )

    @cached_property
    def declared(self) -> tuple[Bound, ...]:
        """The options of command lines and configuration classes."""
        return tuple(self._declared(one) for one in self.project[Declarations].all)

    @cached_property
    def files(self) -> tuple[Bound, ...]:
        """The leaves of configuration files."""
        return tuple(self._files())

    def loose(self, module: Module) -> tuple[Bound, ...]:
        """What a file binds outside of declarations: constants, variables of functions, literals given to calls."""
        known = self._loose.get(module.path)
        if known is None:
            constants, arguments = self.settled(module)
            known = self._loose[module.path] = (*constants, *self._locals(module), *arguments)
        return known

    def settled(self, module: Module) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
        """Of these the constants at the top of the file, and the literals given to calls."""
        known = self._settled.get(module.path)
        if known is None:
            known = self._settled[module.path] = (tuple(self._constants(module)), tuple(self._arguments(module)))
        return known

    @cached_property
    def by_knob(self) -> dict[str, list[Bound]]:
        found: dict[str, list[Bound]] = {}
        for one in self.bindings:
            found.setdefault(one.knob, []).append(one)
        return found

    def readers(self, knob: str) -> list[tuple[Module, int]]:
        """The files and lines that read a setting: as an option, as a constant, or as a parameter."""
        found = {(one.module, one.order[1]) for one in self._options_read.get(knob, ()) if one.how != PROBE}
        for bound in self.by_knob.get(knob, ()):
            module = self.project.modules.get(bound.place.path)
            if module is None:
                found |= self._built(bound)
            elif bound.kind in (FALLBACK, VARIABLE):
                found.add((module, bound.place.span.line))
            elif bound.kind in (CONSTANT, PARAMETER, COMMAND):
                scope = 0 if bound.kind == CONSTANT else self._function(module, bound)
                found |= {(module, line) for line in _uses(module, scope, bound.name)}
        return sorted(found, key=lambda one: (one[0].path, one[1]))

    @cached_property
    def _options_read(self) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.project[Namespaces].reads:
            found.setdefault(self.knob(event.names[-1]), []).append(event)
        return found

    def _built(self, bound: Bound) -> set[tuple[Module, int]]:
        """Who builds the section of a file that a setting stands in: ``instantiate(cfg.model)``."""
        return {
            (one.module, one.order[1])
            for one in self.project[Namespaces].escapes
            if one.how == BUILT and one.root.kind in (FILE, HYDRA)
            for config, prefixes in self.project[Namespaces].schemas.files(one.root)
            if config.path == bound.place.path
            and any((*prefix, *bound.owner.split("."))[: len(one.names)] == one.names for prefix in prefixes)
        }

    def _function(self, module: Module, bound: Bound) -> int:
        scopes = module.facts.scopes
        return next(
            (index for index, one in enumerate(scopes) if one.line == bound.place.span.line and index), 0
        ) or next((index for index, one in enumerate(scopes) if one.qualname == bound.owner and index), 0)

    # Where values come from.

    def _bound(self, name: str, kind: str, value: Any, place: Place, owner: str) -> Bound:
        return Bound(name, self.knob(name), kind, _frozen(value), place, owner)

    def _declared(self, one: Declaration) -> Bound:
        owner = one.what.owner.qualname if isinstance(one.what, Field) else one.owner
        return self._bound(one.name, one.kind, one.default, one.place, owner)

    def _set(self, module: Module) -> Iterator[Bound]:
        """``parser.set_defaults(lr=0.1)``."""
        for index in module.scopes_using(_SETTERS):
            for site in module.call_sites(index):
                for keyword in site.call.keywords if last_segment(site.call.function) == "set_defaults" else ():
                    value = module.constant(index, keyword.value)
                    if keyword.name is not None and value is not UNKNOWN:
                        yield self._bound(keyword.name, DEFAULTS, value, module.place(site), f"parser of {module.path}")

    def _files(self) -> Iterator[Bound]:
        """Leaves of configuration files the program reads, or that look as if it did."""
        known = {one.path for root in self.project[Namespaces].roots if root.kind in (FILE, HYDRA)
                 for one, _ in self.project[Namespaces].schemas.files(root)}  # fmt: skip
        for config in self.project.repository.configs:
            if config.path in known or self._is_of_settings(config):
                yield from self._leaves(config)

    def told(self) -> Iterator[Bound]:
        """The leaves of the files that look like settings, whoever reads them: asks nothing of the program."""
        for config in self.project.repository.configs:
            if self._is_of_settings(config):
                yield from self._leaves(config)

    def _is_of_settings(self, config: ConfigFile) -> bool:
        return not _TOOLS.search(config.path) and self._is_settings(config)

    def _leaves(self, config: ConfigFile) -> Iterator[Bound]:
        for leaf in config.leaves:
            keys = [key for key in leaf.keys if not key.isdigit()]
            if keys and not leaf.keys[-1].isdigit() and keys[-1] not in ("_target_", "_convert_", "_partial_"):
                section = ".".join(keys[:-1])
                place = Place(config.path, Span(leaf.line))
                yield self._bound(keys[-1], config.format, leaf.value, place, section)

    def _is_settings(self, config: ConfigFile) -> bool:
        """Whether a file holds hyperparameters, or is called configuration and is no more than that."""
        names = {key for leaf in config.leaves for key in leaf.keys[-1:]}
        hyper = sum(self._slots.knob(name) is not None for name in names)
        return hyper >= 2 or (hyper > 0 and _CONFIG_MODULE.search(config.path) is not None)

    def _fallbacks(self) -> Iterator[Bound]:
        options = self.project[Options]
        for key, reads in options.fallbacks.items():
            for read in reads:
                owners = options.owners(read)
                if owners:
                    kind = VARIABLE if ENVIRONMENT in owners else FALLBACK
                    owner = (
                        "environment"
                        if kind == VARIABLE
                        else f"read in {read.module.scope(read.scope).qualname or read.module.path}"
                    )
                    yield self._bound(key, kind, read.value, read.module.place(read.statement), owner)

    def _constants(self, module: Module) -> Iterator[Bound]:
        """``BATCH_SIZE = 64``: of a hyperparameter anywhere at the top of a file, of anything in a file of settings."""
        scope = module.facts.scopes[0]
        known = sum(len(name) > 1 and self._slots.knob(name) is not None for name in scope.bindings)
        called = _CONFIG_MODULE.search(module.path) is not None and len(module.facts.scopes) <= 1 + len(
            _classes(module)
        )
        home = called or (known >= _MANY and not module.path.endswith(".ipynb"))  # a script with its settings on top
        if not home and not known:
            return
        for stmt in module.body(0):
            targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
            value = getattr(stmt, "value", None)
            for target in targets:
                if not isinstance(target, Ref) or "." in target.name or not _is_value(value):
                    continue
                if (len(target.name) > 1 and self._slots.knob(target.name) is not None) or (
                    home and not target.name.startswith("_")
                ):
                    constant = module.constant(0, value) if value is not None else UNKNOWN
                    yield self._bound(target.name, CONSTANT, constant, module.place(stmt), "")

    def parameters(self, module: Module) -> Iterator[tuple[int, Bound]]:
        """Defaults of parameters that are hyperparameters, with the scopes of their functions."""
        hyper = self._slots.spoken
        for index, scope in enumerate(module.facts.scopes):
            if scope.kind != FUNCTION:
                continue
            for parameter in scope.parameters:
                if parameter.name in hyper and _is_value(parameter.default):
                    value = module.constant(max(scope.parent, 0), parameter.default) if parameter.default else UNKNOWN
                    place = Place(module.path, Span(scope.line))
                    yield index, self._bound(parameter.name, PARAMETER, value, place, scope.qualname)

    def _locals(self, module: Module) -> Iterator[Bound]:
        """``lr = 3e-4`` in a function that assigns it once."""
        hyper = self._slots.spoken
        for index, scope in enumerate(module.facts.scopes):
            if scope.kind != FUNCTION:
                continue
            names = {name for name in hyper.intersection(scope.bindings) if scope.bindings[name] == ASSIGNED}
            if not names or not may_assign_literal(module, index, names):
                continue
            found: dict[str, list[Stmt]] = {}
            for stmt in statements(module.body(index)):
                for target in stmt.targets if isinstance(stmt, Assign) else [getattr(stmt, "target", None)]:
                    if isinstance(target, Ref) and target.name in names:
                        found.setdefault(target.name, []).append(stmt)
            for name, stmts in found.items():
                value = stmts[0].value if len(stmts) == 1 and isinstance(stmts[0], Assign) else None
                constant = module.constant(index, value) if value is not None and _is_value(value) else 0
                if constant not in (0, "", UNKNOWN):
                    yield self._bound(name, LOCAL, constant, module.place(stmts[0]), scope.qualname)

    def _arguments(self, module: Module) -> Iterator[Bound]:
        """Literals given to library calls: ``AdamW(params, lr=3e-4)``."""
        for one in self._slots.of(module):
            if _is_value(one.value):
                owner = f"{one.api}({one.parameter}=)"
                yield Bound(one.parameter, one.name, ARGUMENT, _frozen(one.constant), one.place, owner)


def _uses(module: Module, scope: int, name: str) -> set[int]:
    """The lines that read a variable of a scope, in it or in functions inside it."""
    found: set[int] = set()
    for index, one in enumerate(module.facts.scopes):
        reads = any(chain == name or chain.startswith(f"{name}.") for chain in one.uses)
        if not reads or binding_scope(module.facts, index, name) != scope:
            continue
        for stmt in statements(module.body(index)):
            for root in expressions(stmt, module.facts.scopes):
                for node in walk(root):
                    if isinstance(node, Ref) and node.name.partition(".")[0] == name and not _is_target(stmt, node):
                        found.add(node.line)
    return found


def _is_target(stmt: Stmt, node: Ref) -> bool:
    targets = stmt.targets if isinstance(stmt, Assign) else [stmt.target] if isinstance(stmt, Annotate) else []
    return any(target is node for target in targets) and node.name.count(".") == 0


_SETTERS = frozenset({"set_defaults"})


def _classes(module: Module) -> list[int]:
    return [index for index, scope in enumerate(module.facts.scopes) if scope.kind == 2]


def _is_value(expr: Expr | None) -> bool:
    if isinstance(expr, Unary):
        expr = expr.operand
    if isinstance(expr, Build) and expr.kind in ("tuple", "list"):
        return bool(expr.items) and all(_is_value(item) for item in expr.items)
    return isinstance(expr, Const) and expr.value is not None


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that bindings can be compared."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(one) for one in value)
    if isinstance(value, (dict, set, frozenset)):
        return repr(value)
    return value
