"""One argparse parser as an ``Interface``: its declarations, parents, subcommands, and whether anything is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import FUNCTION, Build, Call, Expr, For, If, Lambda, Ref, Stmt, Try, While
from mldebt.facts.walk import blocks

from .command_line import ANY, REST, Interface, Option
from .dataclass_options import HF_PARSERS, dataclass_options
from .owners import receiver_of
from .parsers import ARGPARSE, Declared, Parser, Parsers, Place

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

# Who is handed a parser and adds nothing to it.
_HARMLESS = frozenset(
    """print autocomplete isinstance type id repr str info debug pprint add_parser ArgumentParser append
    parse_args setattr""".split()
)
_FLAGS = frozenset({"store_true", "store_false", "store_const", "append_const", "count", "help", "version"})
_TAKES_ALL = frozenset({"argparse.REMAINDER", "argparse.PARSER"})
_LEAVING = frozenset({"help", "version"})
_OVERRIDABLE = ("add_argument", "parse_args", "parse_known_args", "convert_arg_line_to_args", "add_argument_group")
_DEEPEST = 6
# What makes a list of a table's keys, and how many of them stand around one another: list(sorted(TABLE.keys())).
_COPIES = frozenset({"builtins.sorted", "builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset"})
_WRAPPED = 4


class InterfaceBuilder:
    """Builds interfaces as one running module sees them: only what it imports can add to its parsers."""

    def __init__(self, project: Project, running: Module) -> None:
        self._project, self._parsers, self._running = project, project[Parsers], running
        self._closure = {running.path, *project.imports.closure(running.path)}

    def build(self, parser: Parser) -> Interface | None:
        """None when something about the parser cannot be told."""
        return self._build(parser, _DEEPEST)

    @cached_property
    def _modules(self) -> list[Module]:
        return [module for path, module in self._project.modules.items() if path in self._closure]

    @cached_property
    def _declared(self) -> list[Declared]:
        return [one for module in self._modules for one in self._parsers.declared(module)]

    def _build(self, parser: Parser, depth: int) -> Interface | None:
        keywords = {keyword.name: keyword.value for keyword in parser.call.keywords}
        by_fields = parser.name in HF_PARSERS
        if not depth or None in keywords or not (parser.is_command or by_fields or self._is_plain(parser.name)):
            return None
        module = self._project.modules[parser.path]
        fields = dataclass_options(self._project, module, parser.scope, parser.call) if by_fields else ()
        if fields is None:
            return None
        prefix = self._constant(module, parser.scope, keywords.get("prefix_chars"), "-")
        file_prefix = self._constant(module, parser.scope, keywords.get("fromfile_prefix_chars"), "")
        abbreviations = self._constant(module, parser.scope, keywords.get("allow_abbrev"), True)
        helped = self._constant(module, parser.scope, keywords.get("add_help"), True)
        own = [one for one in self._declared if self._belongs(one, parser)]
        if prefix != "-" or UNKNOWN in (file_prefix, abbreviations, helped):
            return None
        if any(one.flags is None for one in own) or self._escapes(parser):
            return None
        found = Interface(
            options=(
                *fields,
                *(_option(one, self._certain(one, parser)) for one in own if not one.is_positional),
            ),
            positionals=tuple(_option(one, self._certain(one, parser)) for one in own if one.is_positional),
            abbreviations=bool(abbreviations),
            file_prefix=str(file_prefix or ""),
        )
        if helped:
            found = replace(found, options=(*found.options, Option(("-h", "--help"), "help", 0, leaves=True)))
        return self._with_commands(
            self._with_parents(found, module, parser, keywords.get("parents"), depth), parser, depth
        )

    def _constant(self, module: Module, scope: int, expr: Expr | None, default: Any) -> Any:
        return default if expr is None else module.constant(scope, expr)

    def _is_plain(self, name: str) -> bool:
        """Whether a class is argparse's own, or one of the project's that changes nothing about parsing."""
        if name == ARGPARSE:
            return True
        mro = self._project.mro(name)
        if ":" not in name or ARGPARSE not in mro or "?" in mro:
            return False
        return all(self._project.method(name, method) is None for method in _OVERRIDABLE)

    def _belongs(self, declared: Declared, parser: Parser) -> bool:
        origins = self._parsers.owners(declared)
        if parser.key in origins.parsers:
            return True
        mro = self._project.mro(parser.name) if ":" in parser.name else ()
        return not origins.classes.isdisjoint(mro)

    def _certain(self, declared: Declared, parser: Parser) -> bool:
        origins = self._parsers.owners(declared)
        only = len(origins.parsers) <= 1 and not origins.unknown
        return only and not _in_branch(declared.module.body(declared.scope), declared.statement)

    # What is hidden.

    def _escapes(self, parser: Parser) -> bool:
        """Whether somebody we cannot see may add to the parser: an unknown call is handed it."""
        names = self._names_of(parser)
        words = {name.rpartition(".")[2] for name in names}
        for module in self._modules:
            for index in module.scopes_using(words):
                if names.isdisjoint(module.scope(index).uses):
                    continue
                for site in module.call_sites(index):
                    values = [*site.call.args, *(keyword.value for keyword in site.call.keywords)]
                    handed = [value for value in values if isinstance(value, Ref) and value.name in names]
                    if (
                        handed
                        and self._hides(module, index, site.call)
                        and any(self._may_be(module, index, value, parser) for value in handed)
                    ):
                        return True
        return any(self._is_ours_unknown(one, names) for one in self._declared)

    def _names_of(self, parser: Parser) -> frozenset[str]:
        """The variables a parser may be held in, in what the running module imports."""
        found = {"parser", "subparser", "arg_parser", "ap"}
        for one in self._declared:
            if isinstance(one.receiver, Ref):
                found.add(one.receiver.name)
        return frozenset(found)

    def _hides(self, module: Module, scope: int, call: Call) -> bool:
        if last_segment(call.function) in _HARMLESS:
            return False
        edges = self._project.calls.targets(module, scope, call)
        return not edges or any(edge.confidence == "cha" for edge in edges)

    def _may_be(self, module: Module, scope: int, value: Expr, parser: Parser) -> bool:
        origins = self._parsers.of(module, scope, value)
        return parser.key in origins.parsers or (origins.unknown and not origins.parsers)

    def _is_ours_unknown(self, declared: Declared, names: frozenset[str]) -> bool:
        """A declaration on a receiver nobody can tell, in a function something may call."""
        origins = self._parsers.owners(declared)
        if not origins.unknown or origins.parsers:
            return False
        definition = declared.module.definition(declared.scope)
        if definition.scope.kind != FUNCTION:
            return True
        sites = self._parsers.callers_of(definition)
        return sites is None or bool(sites) or self._is_registered(declared.module, definition.scope.name)

    def _is_registered(self, module: Module, name: str) -> bool:
        """Whether some call by this method name is not resolved: ``TASKS[args.task].add_args(parser)``."""
        for other in self._modules:
            for index in other.scopes_using(frozenset({name})):
                for site in other.call_sites(index):
                    if last_segment(site.call.function) == name and self._hides(other, index, site.call):
                        return True
        return False

    # Parents and subcommands.

    def _with_parents(
        self, found: Interface, module: Module, parser: Parser, parents: Expr | None, depth: int
    ) -> Interface | None:
        if parents is None:
            return found
        if not isinstance(parents, Build):
            return None
        for item in parents.items:
            origins = self._parsers.of(module, parser.scope, item)
            if origins.unknown or len(origins.parsers) != 1:
                return None
            inherited = self._build(next(iter(origins.parsers.values())), depth - 1)
            if inherited is None or inherited.has_commands:
                return None
            found = replace(
                found,
                options=(*found.options, *inherited.options),
                positionals=(*inherited.positionals, *found.positionals),
            )
        return found

    def _with_commands(self, found: Interface | None, parser: Parser, depth: int) -> Interface | None:
        if found is None:
            return None
        makers = list(self._adds_commands(parser))
        if not makers:
            return found
        commands: dict[str, Interface] = {}
        complete = True
        for module, scope, call in self._commands(makers):
            names = list(_command_names(module, scope, call))
            inner = self._build(Parser(module.path, scope, call, "add_parser", True), depth - 1)
            if inner is None or not names:
                inner, complete = Interface(complete=False), bool(names) and complete
            commands.update(dict.fromkeys(names, inner))
        if not complete:
            return None
        return replace(found, commands=commands, has_commands=True)

    def _adds_commands(self, parser: Parser) -> Iterator[Place]:
        """The ``add_subparsers`` calls of a parser."""
        for module in self._modules:
            for index in module.scopes_using(frozenset({"add_subparsers"})):
                for site in module.call_sites(index):
                    receiver = receiver_of(site.call) if last_segment(site.call.function) == "add_subparsers" else None
                    if receiver is not None and parser.key in self._parsers.of(module, index, receiver).parsers:
                        yield (module.path, site.call.line, site.call.column)

    def _commands(self, makers: list[Place]) -> Iterator[tuple[Module, int, Call]]:
        """The ``add_parser`` calls on what those calls made; on anything untold too, which makes it incomplete."""
        for module in self._modules:
            for index in module.scopes_using(frozenset({"add_parser"})):
                for site in module.call_sites(index):
                    receiver = receiver_of(site.call) if last_segment(site.call.function) == "add_parser" else None
                    if receiver is not None and self._parsers.made_by(module, index, receiver, makers):
                        yield module, index, site.call


def _command_names(module: Module, scope: int, call: Call) -> Iterator[str]:
    value = call.args[0] if call.args else next((k.value for k in call.keywords if k.name == "name"), None)
    name = module.constant(scope, value) if value is not None else UNKNOWN
    if not isinstance(name, str):
        return
    yield name
    for keyword in call.keywords:
        if keyword.name == "aliases":
            aliases = module.constant(scope, keyword.value)
            yield from aliases if isinstance(aliases, (list, tuple)) else ()


def _in_branch(body: list[Stmt], wanted: Stmt) -> bool:
    """Whether a statement runs only under a condition, or once for each of something."""
    for stmt in body:
        if stmt is wanted:
            return False
        for arm in blocks(stmt):
            if any(one is wanted for one in arm) or any(inner.line <= wanted.line <= inner.end_line for inner in arm):
                return isinstance(stmt, (If, Try, For, While)) or _in_branch(list(arm), wanted)
    return False


def _option(declared: Declared, certain: bool) -> Option:
    flags = declared.flags or ()
    required = declared.constant("required") is True and certain
    action = declared.constant("action")
    if declared.is_positional:
        return Option((), flags[0], _nargs(declared), *_checks(declared), required=certain)
    action_names = declared.names("action")
    if action is UNKNOWN and any(name.endswith("BooleanOptionalAction") for name in action_names):
        negated = tuple(f"--no-{flag[2:]}" for flag in flags if flag.startswith("--"))
        return Option((*flags, *negated), declared.dest, 0, required=required)
    if action is UNKNOWN:
        return Option(flags, declared.dest, ANY, required=required)
    if action in _FLAGS:
        return Option(flags, declared.dest, 0, required=required, leaves=action in _LEAVING)
    return Option(flags, declared.dest, _nargs(declared), *_checks(declared), required=required)


def _nargs(declared: Declared) -> int | str | tuple[str, int]:
    nargs = declared.constant("nargs")
    if nargs is None:
        return 1
    if isinstance(nargs, int) and not isinstance(nargs, bool):
        return ("n", nargs)
    if nargs in ("?", "*", "+"):
        return str(nargs)
    if nargs in ("...", "A...") or not _TAKES_ALL.isdisjoint(declared.names("nargs")):
        return REST
    # A positional whose count is not told may be a launcher's, which takes the flags of another program too.
    return REST if declared.is_positional else ANY


def _choices(declared: Declared) -> Any:
    """The legal values; ``sorted(TABLE)`` and ``list(TABLE.keys())`` of a constant table are what is in it."""
    expr = declared.keyword("choices")
    for _ in range(_WRAPPED):
        if not isinstance(expr, Call) or expr.keywords:
            break
        receiver = receiver_of(expr) if last_segment(expr.function) == "keys" and not expr.args else None
        copies = len(expr.args) == 1 and not _COPIES.isdisjoint(declared.module.names(declared.scope, expr.function))
        if receiver is None and not copies:
            break
        expr = receiver if receiver is not None else expr.args[0]
    if expr is declared.keyword("choices") or expr is None:
        return declared.constant("choices")
    return declared.module.constant(declared.scope, expr)


def _checks(declared: Declared) -> tuple[str, tuple[str, ...] | None]:
    """The kind of values an option takes and the legal ones, as far as they are constant."""
    value = declared.keyword("type")
    names = declared.names("type")
    kind = "int" if names == ("builtins.int",) else "float" if names == ("builtins.float",) else ""
    plain = value is None and not declared.hidden
    choices = _choices(declared)
    if not (plain or kind or names == ("builtins.str",)) or isinstance(value, Lambda) or not choices:
        return kind, None
    if not isinstance(choices, (list, tuple, frozenset, dict)):
        return kind, None
    texts = [
        str(choice) for choice in choices if isinstance(choice, (str, int, float)) and not isinstance(choice, bool)
    ]
    return (kind, tuple(texts)) if len(texts) == len(choices) else (kind, None)
