"""What a click program accepts: a command's decorators, and the commands of its group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import FUNCTION, Call, Expr, Ref

from .command_line import ANY, Interface, Option

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_COMMANDS = frozenset({"click.command", "click.group", "click.decorators.command", "click.decorators.group"})
# Decorators of click's own that add an option, and those that add none.
_ADDING = {"version_option": "--version", "confirmation_option": "--yes", "password_option": "--password"}
# Settings of a context that say how help looks and is asked for.
_LOOKS = frozenset({"show_default", "help_option_names", "max_content_width", "terminal_width", "color"})
_NEUTRAL = frozenset({"pass_context", "pass_obj", "help_option", "command", "group", "callback", "result_callback"})


class ClickPrograms:
    """Builds interfaces of click commands as one running module sees them."""

    def __init__(self, project: Project, paths: Iterable[str]) -> None:
        self._project = project
        self._modules = [project.modules[path] for path in sorted(paths) if path in project.modules]

    def is_command(self, definition: Definition) -> bool:
        """Whether a function is turned into a click command."""
        return any(not _COMMANDS.isdisjoint(self._names(definition, one)) for one in definition.scope.decorators)

    def interface(self, definition: Definition) -> Interface | None:
        """What a command accepts; None when some decorator is not click's."""
        options: list[Option] = []
        helped: Sequence[str] = ("--help",)
        positionals: list[Option] = []
        group = False
        for decorator in definition.scope.decorators:
            function = decorator.function if isinstance(decorator, Call) else decorator
            if not isinstance(function, Ref):
                return None
            last = function.name.rpartition(".")[2]
            names = self._names(definition, decorator)
            own = any(name.startswith("click.") for name in names)
            group = group or (last == "group")
            settings = _settings(definition, decorator)
            if settings is None:
                return None
            helped = settings.get("help_option_names", helped)
            if own and last in ("option", "argument") and isinstance(decorator, Call):
                found = _declared(definition.module, max(definition.scope.parent, 0), decorator, last == "argument")
                if found is None:
                    return None
                (positionals if last == "argument" else options).append(found)
            elif own and last in _ADDING:
                options.append(Option((_ADDING[last],), last, 0, leaves=last == "version_option"))
            elif last not in _NEUTRAL:
                return None
        commands = dict(self._commands(definition)) if group else {}
        if any(one is None for one in commands.values()):
            return None
        taken = {flag for option in options for flag in option.flags}
        free = tuple(flag for flag in helped if flag not in taken)
        return Interface(
            (Option(free, "help", 0, leaves=True), *options),
            tuple(positionals),
            {name: one for name, one in commands.items() if one is not None},
            has_commands=group,
            abbreviations=False,
        )

    def _names(self, definition: Definition, decorator: Expr) -> tuple[str, ...]:
        function = decorator.function if isinstance(decorator, Call) else decorator
        return definition.module.names(max(definition.scope.parent, 0), function)

    def _commands(self, group: Definition) -> Iterator[tuple[str, Interface | None]]:
        """The functions that ``@group.command()`` and ``group.add_command(f)`` put below a group."""
        for module in self._modules:
            for index, scope in enumerate(module.facts.scopes):
                if scope.kind != FUNCTION:
                    continue
                for decorator in scope.decorators:
                    if self._is_below(module, max(scope.parent, 0), decorator, group):
                        yield _name(decorator, scope.name), self.interface(module.definition(index))
            for index in module.scopes_using(frozenset({"add_command"})):
                for site in module.call_sites(index):
                    if last_segment(site.call.function) == "add_command" and site.call.args:
                        yield from self._added(module, index, site.call)

    def _is_below(self, module: Module, scope: int, decorator: Expr, group: Definition) -> bool:
        function = decorator.function if isinstance(decorator, Call) else decorator
        if not isinstance(function, Ref):
            return False
        head, _, last = function.name.rpartition(".")
        if last not in ("command", "group") or not head:
            return False
        return group.name in self._project.resolve(module, scope, head)

    def _added(self, module: Module, scope: int, call: Call) -> Iterator[tuple[str, Interface | None]]:
        names = module.names(scope, call.args[0])
        for name in names or ("",):
            definition = self._project.definition(name) if ":" in name else None
            if definition is None or not self.is_command(definition):
                yield "?", None
                continue
            given = module.constant(scope, call.args[1]) if len(call.args) > 1 else None
            own = next((one for one in definition.scope.decorators if isinstance(one, Call)), None)
            yield given if isinstance(given, str) else _name(own, definition.scope.name), self.interface(definition)


def _settings(definition: Definition, decorator: Expr) -> Mapping[str, Any] | None:
    """The ``context_settings`` of a command; None when they may change what it accepts."""
    given = decorator.keywords if isinstance(decorator, Call) else ()
    value = next((keyword.value for keyword in given if keyword.name == "context_settings"), None)
    if value is None:
        return {}
    module, scope = definition.module, max(definition.scope.parent, 0)
    if isinstance(value, Ref) and "." not in value.name:
        origins = [one.value for one in module.project.flow(module.definition(0)).at_end(value.name)]
        value = origins[0] if len(origins) == 1 and origins[0] is not None else value
    settings = module.constant(scope, value)
    if isinstance(value, Call) and module.names(scope, value.function) == ("builtins.dict",) and not value.args:
        settings = {str(one.name): module.constant(scope, one.value) for one in value.keywords}
    if not isinstance(settings, dict) or UNKNOWN in settings.values() or not _LOOKS.issuperset(settings):
        return None
    return settings


def _name(decorator: Expr | None, function: str) -> str:
    """A command's name: what its decorator says, else the function's, as click 8 spells it."""
    if isinstance(decorator, Call):
        value = decorator.args[0] if decorator.args else None
        text = getattr(value, "value", None)
        if isinstance(text, str):
            return text
    name = function.lower().replace("_", "-")
    return name.removesuffix("-command").removesuffix("-cmd") if name.endswith(("-command", "-cmd")) else name


def _declared(module: Module, scope: int, call: Call, positional: bool) -> Option | None:
    values = [module.constant(scope, arg) for arg in call.args]
    texts = [value for value in values if isinstance(value, str)]
    if not texts or len(texts) < len(values) or any(keyword.name is None for keyword in call.keywords):
        return None
    given = {keyword.name: module.constant(scope, keyword.value) for keyword in call.keywords}
    kind, choices = _checks(module, scope, call, given.get("default"))
    if positional:
        nargs: int | str | tuple[str, int] = "*" if given.get("nargs") == -1 else 1
        if given.get("required") is False or given.get("nargs", 1) not in (1, -1) or "default" in given:
            nargs = ANY
        return Option((), texts[0], nargs, kind, choices, required=True)
    flags = [flag.strip() for text in texts if text.startswith("-") for flag in text.split("/")]
    switch = any("/" in text for text in texts) or given.get("is_flag") is True or given.get("count") is True
    several = given.get("nargs", 1)
    takes: int | str | tuple[str, int] = 0 if switch else 1
    if isinstance(several, int) and several > 1:
        takes = ("n", several)
    if "flag_value" in given or UNKNOWN in (given.get("is_flag"), several):
        takes = ANY
    if isinstance(given.get("default"), bool) and not switch and "type" not in given:
        takes = ANY  # older versions make a flag of it
    required = given.get("required") is True and "envvar" not in given and "prompt" not in given
    return Option(tuple(flags), flags[0] if flags else texts[0], takes, kind, choices, required)


def _checks(module: Module, scope: int, call: Call, default: Any) -> tuple[str, tuple[str, ...] | None]:
    value = next((keyword.value for keyword in call.keywords if keyword.name == "type"), None)
    if value is None:
        plain = isinstance(default, (int, float)) and not isinstance(default, bool)
        return (type(default).__name__ if plain else ""), None
    if isinstance(value, Call) and "click.Choice" in module.names(scope, value.function) and len(value.args) == 1:
        choices = module.constant(scope, value.args[0])
        if isinstance(choices, (list, tuple)) and not value.keywords and all(isinstance(one, str) for one in choices):
            return "", tuple(choices)
    names = module.names(scope, value)
    kinds = {"builtins.int": "int", "builtins.float": "float", "click.INT": "int", "click.FLOAT": "float"}
    return next((kinds[name] for name in names if name in kinds), ""), None
