"""Whether an expression's value comes from the command line, a configuration file or the environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Attribute,
    Binary,
    Boolean,
    Build,
    Call,
    Comprehension,
    Conditional,
    Const,
    Expr,
    Format,
    Ref,
    Subscript,
)
from mldebt.facts.walk import given_values
from mldebt.rule import Analysis

from .lineage import CALL, NAMED, Lineage

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_DEEPEST = 8
_OBJECTS = frozenset(
    "args cfg config conf opt opts options hparams flags settings FLAGS hps cli_args parsed_args".split()
)
_ENVIRONMENT = frozenset({"os.environ", "sys.argv", "os.getenv", "os.environ.get"})
_LOADERS = re.compile(
    r"(?:\.parse_args|\.parse_known_args|\.parse_args_into_dataclasses|\.parse_intermixed_args)$"
    r"|^(?:yaml|ruamel|toml|tomllib|tomli|omegaconf|hydra|configparser|absl\.flags|sys\.argv|os\.environ|jsonargparse|docopt)\b"
)
_OPTION = re.compile(r"(?:^|\.)(?:option|argument)$")
_TEXT_METHODS = frozenset("format strip lower replace split get items values read join pop copy".split())


class OptionValues(Analysis):
    """Answers where a value was configured, for rules about what is done with it."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._lineage = project[Lineage]

    def source(self, module: Module, scope: int, expr: Expr) -> str:
        """How the option is written that a value comes from, "" when it is not seen to come from one."""
        return self._source(module, scope, expr, _DEEPEST)

    def _source(self, module: Module, scope: int, expr: Expr, depth: int) -> str:
        if not depth:
            return ""
        parts: list[Expr] = []
        if isinstance(expr, Ref):
            return self._ref(module, scope, expr, depth)
        if isinstance(expr, Call):
            return self._call(module, scope, expr, depth)
        if isinstance(expr, Subscript):
            key = module.constant(scope, expr.index)
            owner = self._object(module, scope, expr.value)
            if owner and isinstance(key, (str, int)):
                return f"{owner}[{key!r}]"
            parts = [expr.value]
        elif isinstance(expr, Attribute):
            parts = [expr.value]
        elif isinstance(expr, Format):
            parts = [one for one in expr.parts if not isinstance(one, Const)]
        elif isinstance(expr, Binary) and expr.op in ("+", "%"):
            parts = [expr.left, expr.right]
        elif isinstance(expr, Boolean):
            parts = list(expr.values)
        elif isinstance(expr, Conditional):
            parts = [expr.then, expr.orelse]
        elif isinstance(expr, Build):
            parts = list(expr.items)
        elif isinstance(expr, Comprehension):
            parts = [one.iterable for one in expr.generators]
        return next((found for one in parts if (found := self._source(module, scope, one, depth - 1))), "")

    def _object(self, module: Module, scope: int, expr: Expr) -> str:
        """The name of a configuration object: by its own name, or by what made it."""
        if isinstance(expr, Ref):
            if expr.name.rpartition(".")[2] in _OBJECTS:
                return expr.name
            names = module.names(scope, expr)
            if not _ENVIRONMENT.isdisjoint(names):
                return expr.name
            return expr.name if self._loaded(module, scope, expr) else ""
        if isinstance(expr, Subscript):
            return self._object(module, scope, expr.value)
        return ""

    def _loaded(self, module: Module, scope: int, expr: Ref) -> bool:
        creations = self._lineage.of(module, scope, expr)
        return any(one.kind in (CALL, NAMED) and _LOADERS.search(one.name) for one in creations)

    def _ref(self, module: Module, scope: int, ref: Ref, depth: int) -> str:
        *heads, _ = ref.name.split(".")
        if heads and not _OBJECTS.isdisjoint(heads):
            return ref.name
        names = module.project.resolve(module, scope, ref.name)
        if not _ENVIRONMENT.isdisjoint(names):
            return ref.name
        if heads:
            return ref.name if self._object(module, scope, Ref(".".join(heads), ref.line, ref.column)) else ""
        option = _declared(module, scope, ref.name)
        if option:
            return option
        for origin in module.project.flow(module.definition(scope)).origins(ref):
            if origin.kind in ("assign", "loop", "augment") and origin.value is not None:
                found = self._source(module, scope, origin.value, depth - 1)
                if found:
                    return found
        return ref.name if self._loaded(module, scope, ref) else ""

    def _call(self, module: Module, scope: int, call: Call, depth: int) -> str:
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return ""
        head, _, last = function.name.rpartition(".")
        if last == "getattr" and call.args:
            owner = self._object(module, scope, call.args[0])
            key = call.args[1] if len(call.args) > 1 else None
            return f"{owner}.{key.value}" if owner and isinstance(key, Const) else owner
        names = module.names(scope, function)
        if not _ENVIRONMENT.isdisjoint(names) or any(_LOADERS.search(name) for name in names):
            return f"{function.name}()"
        if names and names[0] in ("builtins.vars", "builtins.dict", "builtins.str", "ast.literal_eval") and call.args:
            return self._source(module, scope, call.args[0], depth - 1) or self._object(module, scope, call.args[0])
        if last in _TEXT_METHODS:
            owner_expr = (
                function.value if isinstance(function, Attribute) else Ref(head, function.line, function.column)
            )
            if head or isinstance(function, Attribute):
                owner = self._object(module, scope, owner_expr)
                if owner:
                    key = call.args[0] if last in ("get", "pop") and call.args else None
                    return f"{owner}[{key.value!r}]" if isinstance(key, Const) else owner
                found = self._source(module, scope, owner_expr, depth - 1)
                if found:
                    return found
            parts = given_values(call) if last in ("format", "join") else []
            return next((found for one in parts if (found := self._source(module, scope, one, depth - 1))), "")
        return ""


def _declared(module: Module, scope: int, name: str) -> str:
    """The click or typer option a function's parameter takes."""
    facts = module.facts.scopes[scope]
    parameter = next((one for one in facts.parameters if one.name == name), None)
    if parameter is None:
        return ""
    default = parameter.default
    if isinstance(default, Call) and isinstance(default.function, Ref) and default.function.name.startswith("typer."):
        return f"--{name}"
    for decorator in facts.decorators:
        if (
            isinstance(decorator, Call)
            and isinstance(decorator.function, Ref)
            and _OPTION.search(decorator.function.name)
        ):
            for arg in decorator.args:
                if isinstance(arg, Const) and str(arg.value).lstrip("-").replace("-", "_") == name:
                    return str(arg.value)
    return ""
