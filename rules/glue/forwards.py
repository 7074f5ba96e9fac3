"""Functions and classes that do nothing but hand their arguments on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from msgspec import Struct

from mldebt.facts.schema import (
    CLASS,
    FUNCTION,
    KEYWORD_ONLY,
    KWARGS,
    VARARGS,
    Assign,
    Call,
    Define,
    Do,
    Expr,
    Parameter,
    Ref,
    Return,
    Scope,
    Starred,
    Stmt,
    Wait,
)
from mldebt.facts.walk import calls_in, expressions, statements, walk
from mldebt.module import CallSite, Module
from mldebt.project.definitions import Definition
from mldebt.rule import Analysis

_MOST_LINES = 12  # of a function that only forwards, docstring included
_OLD = ("deprecat", "backward", "compat", "alias", "legacy", "override", "subclass", "hook", "public")


class Forward(Struct, frozen=True):
    """A function that only calls ``call`` with its own parameters. ``names`` are the callee's."""

    definition: Definition
    call: Call
    names: tuple[str, ...]
    returns: bool

    @property
    def callee(self) -> str:
        assert isinstance(self.call.function, Ref)
        return self.call.function.name


class Use(Struct, frozen=True):
    """A place that reads a function's name; ``site`` where it calls it."""

    module: Module
    scope: int
    site: CallSite | None
    line: int

    @property
    def package(self) -> str:
        return str(PurePosixPath(self.module.path).parent)


class Forwards(Analysis):
    """Finds what only forwards, and who uses it."""

    @cached_property
    def all(self) -> dict[str, Forward]:
        """Forwarding functions by name, in the order of paths and lines."""
        found = {}
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for index, scope in enumerate(module.facts.scopes):
                    if _may_forward(scope):
                        forward = _forward(module, index)
                        if forward is not None:
                            found[forward.definition.name] = forward
        return found

    def uses(self, definition: Definition) -> list[Use]:
        """Every read of a function's name in the project but imports; of a method's, of any attribute so named."""
        method = definition.parent is not None and definition.parent.is_class
        name = definition.scope.name
        spellings = frozenset({name}) if method else self.project.spellings((definition.name,))
        return [
            use
            for module in self.project.modules.values()
            for scope in module.scopes_using(spellings)
            for use in _uses(module, scope, definition.name, spellings, method)
        ]

    def is_named_in_text(self, name: str) -> bool:
        """Whether a string of some module may mean the function: a registry, a patch in a test, an entry point."""
        return name in self._named

    @cached_property
    def _named(self) -> frozenset[str]:
        texts = (text for module in self.project.modules.values() for text in module.facts.strings)
        points = (point.target for point in self.project.repository.entry_points)
        leaves = (
            leaf.value
            for config in self.project.repository.configs
            for leaf in config.leaves
            if isinstance(leaf.value, str) and "." in leaf.value
        )
        exported = (name for module in self.project.modules.values() for name in module.facts.exports or ())
        found = {text.replace(":", ".").rpartition(".")[2] for text in (*texts, *points, *leaves)}
        return frozenset(found.union(exported))


def _may_forward(scope: Scope) -> bool:
    """Whether what a function reads is its parameters and one name more: told without its body."""
    if scope.kind != FUNCTION or scope.generator or scope.returns is not None or not _is_bare(scope):
        return False
    if scope.end_line - scope.body_line > _MOST_LINES or scope.name.startswith("__") or not scope.parameters:
        return False
    names = {parameter.name for parameter in scope.parameters}
    if any(parameter.default is not None or parameter.annotation is not None for parameter in scope.parameters):
        return False
    others = [chain for chain in scope.uses if chain not in names]
    own = scope.bindings.keys() - names  # ``result = load(path)`` and ``return result`` is one call as well
    return len([chain for chain in others if chain not in own]) == 1 and not scope.inner and len(own) <= 1


def _is_bare(scope: Scope) -> bool:
    """Whether nothing is put around a function; a static method is still one."""
    return all(isinstance(one, Ref) and one.name == "staticmethod" for one in scope.decorators)


def _called(body: Sequence[Stmt]) -> Expr | None:
    """The one expression a function evaluates, waited for or kept in a variable on its way out."""
    value = body[0].value if body and isinstance(body[0], (Return, Do, Assign)) else None
    if len(body) == 2 and isinstance(body[0], Assign) and isinstance(body[1], Return):
        kept, given = body[0].targets, body[1].value
        same = len(kept) == 1 and isinstance(kept[0], Ref) and isinstance(given, Ref) and kept[0].name == given.name
        value = value if same else None
    elif len(body) != 1 or isinstance(body[0], Assign):
        return None
    return value.value if isinstance(value, Wait) and value.kind == "await" else value


def _forward(module: Module, index: int) -> Forward | None:
    body = module.body(index)
    scope = module.scope(index)
    call = _called(body)
    if not isinstance(call, Call):
        return None
    parameters: Sequence[Parameter] = scope.parameters
    if module.scope(scope.parent).kind == CLASS and not scope.decorators:
        if parameters[0].kind in (VARARGS, KWARGS):
            return None
        parameters = parameters[1:]
    if not parameters or not isinstance(call.function, Ref) or not _hands_on(call, parameters):
        return None
    names = module.names(index, call.function)
    definition = module.definition(index)
    if not names or definition.name in names or _builds(module, names):
        return None
    return Forward(definition, call, names, isinstance(body[0], Return) and not scope.asynchronous)


def _builds(module: Module, names: Sequence[str]) -> bool:
    """Whether a class is called: a function that makes things is a factory."""
    definitions = [module.project.definition(name) for name in names if ":" in name]
    return any(one is None or one.is_class for one in definitions) or any(
        ":" not in name and name.rpartition(".")[2][:1].isupper() for name in names
    )


def _hands_on(call: Call, parameters: Sequence[Parameter]) -> bool:
    """Whether a call gives exactly these parameters, in their order or by their names."""
    given: list[tuple[str, str]] = []
    for arg in call.args:
        inner = arg.value if isinstance(arg, Starred) else arg
        if not isinstance(inner, Ref):
            return False
        given.append(("*" if isinstance(arg, Starred) else "", inner.name))
    for keyword in call.keywords:
        if not isinstance(keyword.value, Ref) or keyword.name not in (None, keyword.value.name):
            return False
        given.append(("**" if keyword.name is None else "=", keyword.value.name))
    marks = {VARARGS: "*", KWARGS: "**"}
    wanted = [(marks.get(one.kind, "="), one.name) for one in parameters]
    exact = [(mark or "=", name) for mark, name in given]
    forced = all(one.kind != KEYWORD_ONLY or ("=", one.name) in given for one in parameters)
    return forced and exact == wanted


def _uses(module: Module, scope: int, name: str, spellings: frozenset[str], method: bool) -> Iterator[Use]:
    for stmt in statements(module.body(scope)):
        for expr in expressions(stmt, module.facts.scopes):
            called = {id(call.function): call for call in calls_in(expr)}
            for node in walk(expr):
                if _means(module, scope, node, name, spellings, method):
                    call = called.get(id(node))
                    site = CallSite(call, stmt, scope) if call is not None else None
                    yield Use(module, scope, site, getattr(node, "line", stmt.line))


def _means(module: Module, scope: int, node: Expr, name: str, spellings: frozenset[str], method: bool) -> bool:
    written = getattr(node, "name", None)
    if written is None or written.rpartition(".")[2] not in spellings:
        return False
    if method:
        # A bare name is a function of the module, also in the body of the method that is called like it.
        bare = isinstance(node, Ref) and "." not in written
        if bare:
            return module.scope(scope).kind == CLASS
        names = module.project.resolve(module, scope, written) if isinstance(node, Ref) else ()
        return not names or name in names
    return isinstance(node, Ref) and name in module.project.resolve(module, scope, node.name)


_VERBS = frozenset(
    """load read write save open get set do run make build create compute calc calculate draw show plot fit train
    predict call apply process handle start init fetch find send put perform execute log print parse convert step use
    update add delete remove check""".split()
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def names_a_concept(forward: Forward) -> bool:
    """Whether a function's name is a term of its own, as ``net_input`` is for a product, and not the callee's."""
    own = _words(forward.definition.scope.name)
    callee = {word for name in forward.names for word in _words(name.rpartition(":")[2].rpartition(".")[2])}
    return bool(own) and own[0] not in _VERBS and not any(_alike(one, other) for one in own for other in callee)


def _alike(one: str, other: str) -> bool:
    """Whether two words are the same, or one is the other cut short: ``concat`` and ``cat``."""
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) > 2 and (long.startswith(short) or long.endswith(short)))


def has_siblings(forward: Forward, forwards: Mapping[str, Forward]) -> bool:
    """Whether functions beside it are called alike: ``expand_numbers`` and ``expand_dates`` are one vocabulary.

    Functions it forwards to, and those that forward to it, are not.
    """
    definition = forward.definition
    own = _words(definition.scope.name)
    if len(own) < 2:
        return False
    for scope in definition.module.facts.scopes:
        other = _words(scope.name)
        if scope.kind != FUNCTION or scope.parent != definition.scope.parent or len(other) < 2 or other == own:
            continue
        if own[0] == other[0] or own[-1] == other[-1]:
            beside = f"{definition.name.removesuffix(definition.scope.name)}{scope.name}"
            turn = forwards.get(beside)
            related = beside in forward.names or (turn is not None and definition.name in turn.names)
            if not related:
                return True
    return False


def says_why(forward: Forward) -> bool:
    """Whether docstring or comments give the function a reason to be there."""
    scope = forward.definition.scope
    rows = forward.definition.module.text_lines[max(0, scope.first_line - 3) : scope.end_line]
    return any(word in row.lower() for row in rows for word in _OLD)


def middle_man(definition: Definition) -> tuple[str, list[str]] | None:
    """The attribute a class keeps, and its methods, all of which only forward to that by their own names."""
    scope, module = definition.scope, definition.module
    if scope.bases or scope.decorators or scope.keywords:
        return None
    methods: dict[str, int] = {}
    for stmt in definition.body:
        if not isinstance(stmt, Define) or module.scope(stmt.scope).kind != FUNCTION:
            return None
        methods[module.scope(stmt.scope).name] = stmt.scope
    kept = _kept(module, methods.pop("__init__", 0))
    targets = {name: _target(module, index) for name, index in methods.items()}
    if kept is None or len(targets) < 2 or any(target != (kept, name) for name, target in targets.items()):
        return None
    return kept, list(targets)


def _kept(module: Module, init: int) -> str | None:
    """The one attribute ``__init__`` sets, from its one parameter."""
    body: Sequence[Stmt] = module.body(init) if init else ()
    if len(body) != 1 or not isinstance(body[0], Assign) or len(module.scope(init).parameters) != 2:
        return None
    target, value = body[0].targets[0], body[0].value
    me, given = (parameter.name for parameter in module.scope(init).parameters)
    if not isinstance(target, Ref) or not isinstance(value, Ref) or value.name != given:
        return None
    owner, _, attribute = target.name.partition(".")
    return attribute if owner == me else None


def _target(module: Module, index: int) -> tuple[str, str] | None:
    """Attribute and method a method forwards to."""
    scope, body = module.scope(index), module.body(index)
    if scope.decorators or not scope.parameters or scope.asynchronous or len(body) != 1:
        return None
    if not isinstance(body[0], (Return, Do)) or not isinstance(body[0].value, Call):
        return None
    call = body[0].value
    if not isinstance(call.function, Ref) or not _hands_on(call, scope.parameters[1:]):
        return None
    if any(one.default is not None or one.annotation is not None for one in scope.parameters):
        return None
    parts = call.function.name.split(".")
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == scope.parameters[0].name else None
