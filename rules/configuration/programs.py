"""What command line a script accepts: the parser its entry really runs, with everything that is added to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Assign, Build, Call, Const, Delete, Expr, Ref, Slice, Subscript
from mldebt.facts.walk import children, expressions, statements
from mldebt.finding import Place
from mldebt.rule import Analysis

from .click_programs import ClickPrograms
from .command_line import Interface, Option
from .dataclass_options import HF_PARSERS
from .interfaces import InterfaceBuilder
from .owners import PARSE_METHODS, receiver_of
from .parsers import Parser, Parsers

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_STRICT = frozenset({"parse_args", "parse_intermixed_args"})


class Program(Struct, frozen=True):
    """A script's interface and where it is declared."""

    interface: Interface
    place: Place


class Programs(Analysis):
    """Answers what a module accepts on its command line when it is run; None when that cannot be told."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._parsers = project[Parsers]
        self._known: dict[str, Program | None] = {}

    def of(self, path: str) -> Program | None:
        """The program of a module by path."""
        if path not in self._known:
            self._known[path] = self._find(self.project.modules[path])
        return self._known[path]

    def _find(self, module: Module) -> Program | None:
        parser: Parser | None = None
        reached = self._reached(module)
        for definition in reached:
            for call in _parses(definition, module):
                reads = _reads_command_line(definition, call)
                if reads is False:
                    continue
                receiver = receiver_of(call)
                if reads is None or not _is_strict(call) or receiver is None:
                    return None
                origins = self._parsers.of(definition.module, definition.index, receiver)
                if origins.unknown or origins.classes or len(origins.parsers) != 1:
                    return None
                (found,) = origins.parsers.values()
                if parser is not None and parser.key != found.key:
                    return None
                parser = found
        if parser is None and not any(_open(one) for one in reached):
            return self._by_click(module)
        by_fields = parser is not None and parser.name in HF_PARSERS
        if parser is None or any(_touches_argv(definition, elements=by_fields) for definition in reached):
            return None
        interface = InterfaceBuilder(self.project, module).build(parser)
        if interface is not None and by_fields:
            interface = self._or_from_file(interface, module, reached)
        made = self.project.modules[parser.path].place(parser.call)
        return Program(interface, made) if interface is not None else None

    def _or_from_file(self, interface: Interface, module: Module, reached: list[Definition]) -> Interface:
        """The interface of a program that may find its options in a file: ``train.args``, or the JSON it is given."""
        beside = f"{module.path.removesuffix('.py')}.args" in self.project.every
        if not beside and not any("sys.argv" in definition.scope.uses for definition in reached):
            return interface
        options = tuple(replace(option, required=False) for option in interface.options)
        return replace(interface, options=options, positionals=(*interface.positionals, Option((), "file", "*")))

    def _by_click(self, module: Module) -> Program | None:
        """The click command a module runs itself, when there is exactly one."""
        if "click" not in module.facts.mentions:
            return None
        programs = ClickPrograms(self.project, {module.path, *self.project.imports.closure(module.path)})
        edges = self.project.calls.edges(module.definition(0))
        run = {edge.target.name: edge.target for edge in edges if edge.call is not None and not edge.call.args}
        commands = [one for one in run.values() if programs.is_command(one)]
        interface = programs.interface(commands[0]) if len(commands) == 1 else None
        return Program(interface, commands[0].module.place(commands[0].scope)) if interface is not None else None

    def _reached(self, module: Module) -> list[Definition]:
        """What runs when the module is run: its own body, those of the modules it imports, and what they call."""
        order = (*self.project.imports.order(module.path), module.path)
        bodies = [
            self.project.modules[path].definition(0) for path in dict.fromkeys(order) if path in self.project.modules
        ]
        seen = {(one.module.path, one.index) for one in bodies}
        pending, found = deque(bodies), []
        while pending:
            definition = pending.popleft()
            found.append(definition)
            main = definition.module.facts.main if definition.is_module and definition.module is not module else None
            for edge in self.project.calls.edges(definition):
                if main is not None and edge.call is not None and main[0] <= edge.call.line <= main[1]:
                    continue  # the main block of a module that is only imported
                key = (edge.target.module.path, edge.target.index)
                if edge.confidence != "cha" and key not in seen:
                    seen.add(key)
                    pending.append(edge.target)
        return found


def _is_strict(call: Call) -> bool:
    """Whether a parsing call refuses what the parser does not know."""
    if last_segment(call.function) in _STRICT:
        return True
    return (
        last_segment(call.function) == "parse_args_into_dataclasses"
        and len(call.args) < 2
        and ({keyword.name for keyword in call.keywords} <= {"args", "look_for_args_file"})
    )


def _open(definition: Definition) -> bool:
    """Whether a body parses a command line in some way of its own."""
    read = definition.module.segments(definition.index)
    return not PARSE_METHODS.isdisjoint(read) or ("argv" in read and "sys.argv" in definition.scope.uses)


def _parses(definition: Definition, running: Module) -> Iterator[Call]:
    """Calls of a parser's parsing methods that a body makes when ``running`` is the main module."""
    module, index = definition.module, definition.index
    if PARSE_METHODS.isdisjoint(module.segments(index)):
        return
    main = module.facts.main if index == 0 and module is not running else None
    for site in module.call_sites(index):
        if last_segment(site.call.function) not in PARSE_METHODS or (main and main[0] <= site.call.line <= main[1]):
            continue
        # `args = parse_args()` calls the project's own function, whose body is looked at by itself
        if not any(":" in name for name in module.names(index, site.call.function)):
            yield site.call


def _reads_command_line(definition: Definition, call: Call) -> bool | None:
    """Whether a parse call reads ``sys.argv``: False when it is given a list of its own, None when unknown."""
    value = call.args[0] if call.args else next((k.value for k in call.keywords if k.name == "args"), None)
    if value is None or (isinstance(value, Const) and value.value is None) or _is_argv(value):
        return True
    if isinstance(value, Build):
        return False
    for parameter in definition.scope.parameters:
        if isinstance(value, Ref) and parameter.name == value.name:
            default = parameter.default
            return True if isinstance(default, Const) and default.value is None else None
    return None


def _is_argv(expr: Expr) -> bool:
    """``sys.argv[1:]``."""
    return (
        isinstance(expr, Subscript)
        and isinstance(expr.value, Ref)
        and expr.value.name == "sys.argv"
        and isinstance(expr.index, Slice)
    )


def _touches_argv(definition: Definition, *, elements: bool) -> bool:
    """Whether a body reads or changes ``sys.argv`` beside its name and handing it to a parser.

    ``elements``: looking at single words of it is no matter, as in ``if sys.argv[1].endswith(".json")``.
    """
    if "sys.argv" not in definition.scope.uses:
        return False
    for stmt in statements(definition.body):
        changed = stmt.targets if isinstance(stmt, (Assign, Delete)) else ()
        if any(isinstance(one, Subscript) and getattr(one.value, "name", "") == "sys.argv" for one in changed):
            return True
    stack: list[Expr] = [
        root for stmt in statements(definition.body) for root in expressions(stmt, definition.module.facts.scopes)
    ]
    while stack:
        node = stack.pop()
        if isinstance(node, Ref) and node.name == "sys.argv":
            return True
        if isinstance(node, Call) and last_segment(node.function) in _STRICT and all(map(_is_argv, node.args)):
            continue
        if isinstance(node, Call) and last_segment(node.function) == "len":
            continue
        if isinstance(node, Subscript) and isinstance(node.index, Const) and (node.index.value == 0 or elements):
            continue
        stack.extend(children(node))
    return False
