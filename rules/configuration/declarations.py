"""Options as they are declared (command lines, configuration classes, files), each with what reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, Unknown
from mldebt.facts.names import last_segment
from mldebt.facts.schema import FUNCTION, Build, Call, Const, Ref
from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from .config_classes import Field
from .config_objects import CLASS, PARSER, Event, Names, Root
from .lineage import CALL, Lineage
from .namespaces import Namespaces
from .owners import receiver_of
from .parsers import Declared, Parsers
from .parsers import Place as At

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project
    from mldebt.sources.artefacts import ConfigFile, Leaf

CLI, COMMAND, FLAG, FIELD, LEAF = "cli", "command", "flag", "field", "leaf"

_CLICK = frozenset({"click.option", "click.argument", "rich_click.option", "rich_click.argument", "asyncclick.option"})
_KINDS = "string integer float bool boolean enum enum_class list multi_string multi_integer multi_float spaceseplist"
_MODULES = ("absl.flags", "tensorflow.app.flags", "tensorflow.flags", "tensorflow.compat.v1.flags",
            "tensorflow.compat.v1.app.flags")  # fmt: skip
_DEFINES = frozenset(f"{module}.DEFINE_{kind}" for module in _MODULES for kind in _KINDS.split())
_Carried = tuple[str, "frozenset[Any] | None"]
_TYPER = frozenset({"typer.Typer.command", "typer.Typer.callback", "typer.run", "fire.Fire"})


class Declaration(Struct, frozen=True, eq=False):
    """One option somebody declares.

    Args:
        name: What readers call it.
        kind: CLI (argparse), COMMAND (click, typer, fire: a function's parameter), FLAG (absl), FIELD or LEAF.
        spellings: As users give it: ``--lr``, ``-l``; of a leaf its full name.
        default: Its constant value when nobody says; UNKNOWN when that is not constant or there is none.
        place: Where.
        owner: Whose it is, for people to read.
        what: The declaring fact: ``Declared``, ``Field``, the leaf's names, or the command's function.
    """

    name: str
    kind: str
    spellings: tuple[str, ...]
    default: Any | Unknown
    place: Place
    owner: str
    what: Any


class Declarations(Analysis):
    """Answers which options there are, and what reads each."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.namespaces = project[Namespaces]
        self._parsers = project[Parsers]
        self._joined: dict[At, At] = {}
        self._related: dict[int | str, _Related] = {}
        self._held: dict[Root, frozenset[At] | None] = {}  # the families of the parsers that give an object
        self._read: dict[tuple[str, str, frozenset[Any] | None], tuple[Event, ...]] = {}
        self._roots: dict[_Carried, tuple[Root, ...]] = {}
        self._escaped: dict[_Carried, tuple[Event, ...]] = {}

    @cached_property
    def all(self) -> tuple[Declaration, ...]:
        """Every option of a command line or a configuration class, in the order of places; tests are left out."""
        found = [*self.arguments, *self.fields]
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                found += [*self._commands(module), *self._flags(module)]
        return tuple(sorted(found, key=lambda one: one.place))

    # Where they are declared.

    @cached_property
    def arguments(self) -> tuple[Declaration, ...]:
        """Those of argparse."""
        return tuple(self._argument(one) for one in self._parsers.all if one.flags)

    def _argument(self, one: Declared) -> Declaration:
        default = one.constant("default")
        if default is None and one.keyword("default") is None:
            action = one.constant("action")
            default = (
                {"store_true": False, "store_false": True}.get(action, UNKNOWN) if isinstance(action, str) else UNKNOWN
            )
        place = one.module.place(one.call)
        return Declaration(one.dest, CLI, one.flags or (), default, place, f"parser of {one.module.path}", one)

    @cached_property
    def fields(self) -> tuple[Declaration, ...]:
        """Those of configuration classes."""
        return tuple(
            Declaration(field.name, FIELD, (field.name,), field.default, field.place, definition.qualname, field)
            for name, definition in self.namespaces.schemas.classes.all.items()
            for field in self.namespaces.schemas.classes.own(name).values()
        )

    def _commands(self, module: Module) -> Iterator[Declaration]:
        """Parameters of click commands, and of functions typer or fire make commands of."""
        if "click" in module.mentions or "rich_click" in module.mentions:
            for index, scope in enumerate(module.facts.scopes):
                for decorator in scope.decorators if scope.kind == FUNCTION else ():
                    if isinstance(decorator, Call):
                        yield from self._clicked(module, index, decorator)
        if module.mentions.isdisjoint({"typer", "fire", "Fire"}):
            return
        for definition in self._run(module):
            for parameter in definition.scope.parameters:
                value = parameter.default
                if isinstance(value, Call):
                    value = value.args[0] if value.args else None
                default = UNKNOWN if value is None else module.constant(max(definition.scope.parent, 0), value)
                spelling = f"--{parameter.name.replace('_', '-')}"
                place = definition.place
                yield Declaration(parameter.name, COMMAND, (spelling,), default, place, definition.qualname, definition)

    def _clicked(self, module: Module, index: int, decorator: Call) -> Iterator[Declaration]:
        scope = module.scope(index)
        outer = max(scope.parent, 0)
        if last_segment(decorator.function) not in ("option", "argument") or _CLICK.isdisjoint(
            module.names(outer, decorator.function)
        ):
            return
        texts = [arg.value for arg in decorator.args if isinstance(arg, Const) and isinstance(arg.value, str)]
        if not texts:
            return
        plain = [text for text in texts if not text.startswith("-")]
        long = [text for text in texts if text.startswith("--")] or texts
        name = plain[0] if plain else long[0].partition("/")[0].lstrip("-").replace("-", "_").lower()
        value = next((k.value for k in decorator.keywords if k.name == "default"), None)
        default = UNKNOWN if value is None else module.constant(outer, value)
        yield Declaration(
            name, COMMAND, tuple(texts), default, module.place(decorator), scope.qualname, module.definition(index)
        )

    def _run(self, module: Module) -> Iterator[Definition]:
        for index, scope in enumerate(module.facts.scopes):
            outer = max(scope.parent, 0)
            for one in scope.decorators if scope.kind == FUNCTION else ():
                function = one.function if isinstance(one, Call) else one
                if last_segment(function) in ("command", "callback") and not _TYPER.isdisjoint(
                    module.names(outer, function)
                ):
                    yield module.definition(index)
        for _, site in module.calls_of(_TYPER):
            for arg in site.call.args[:1]:
                for name in module.names(site.scope, arg) if isinstance(arg, Ref) else ():
                    definition = self.project.definition(name) if ":" in name else None
                    if definition is not None and definition.is_function and definition.module is module:
                        yield definition

    def _flags(self, module: Module) -> Iterator[Declaration]:
        """``flags.DEFINE_float("lr", 0.1, "...")``."""
        if "flags" not in module.mentions:
            return
        for _, site in module.calls_of(_DEFINES):
            texts = [arg.value for arg in site.call.args[:1] if isinstance(arg, Const) and isinstance(arg.value, str)]
            if texts:
                value = site.call.args[1] if len(site.call.args) > 1 else None
                default = UNKNOWN if value is None else module.constant(site.scope, value)
                yield Declaration(texts[0], FLAG, (f"--{texts[0]}",), default, module.place(site), "absl flags", site)

    def leaves(self, root: Root) -> Iterator[tuple[ConfigFile, Leaf, tuple[Names, ...]]]:
        """The options of a file or a Hydra configuration, with the names they may be read by."""
        for config, prefixes in self.namespaces.schemas.files(root):
            for leaf in config.leaves:
                keys = leaf.keys
                while keys and keys[-1].isdigit():
                    keys = keys[:-1]
                yield config, leaf, tuple((*prefix, *keys) for prefix in prefixes)

    # Who reads them.

    @cached_property
    def _reads(self) -> dict[str, dict[Root, list[tuple[int, Event]]]]:
        """Reads of options outside sections, by name and object, numbered in the order of places."""
        found: dict[str, dict[Root, list[tuple[int, Event]]]] = {}
        for number, event in enumerate(self.namespaces.reads):
            if len(event.names) == 1:
                found.setdefault(event.names[0], {}).setdefault(event.root, []).append((number, event))
        return found

    def reads(self, one: Declaration) -> tuple[Event, ...]:
        """The reads that may be of this option, probes among them."""
        by_root = self._reads.get(one.name)
        if by_root is None:
            return ()
        related = self.related(one)
        key = (one.name, related.kind, related.wanted)
        known = self._read.get(key)
        if known is None:
            found = dict(pair for root, pairs in by_root.items() if related(root) for pair in pairs)
            known = self._read[key] = tuple(found[number] for number in sorted(found))
        return known

    def argument_names(self, root: Root) -> frozenset[str]:
        """The options of parsers that a namespace may carry."""
        return frozenset[str]().union(*(names for related, names in self._argument_names if related(root)))

    @cached_property
    def _argument_names(self) -> list[tuple[_Related, set[str]]]:
        """The arguments by the objects that may carry them."""
        found: dict[_Carried, tuple[_Related, set[str]]] = {}
        for one in self.arguments:
            related = self.related(one)
            found.setdefault((related.kind, related.wanted), (related, set()))[1].add(one.name)
        return list(found.values())

    def escapes(self, one: Declaration) -> tuple[Event, ...]:
        """What happens to whole objects that carry the option."""
        related = self.related(one)
        known = self._escaped.get((related.kind, related.wanted))
        if known is None:
            roots = frozenset(filter(related, self._escaping))
            known = self._escaped[(related.kind, related.wanted)] = tuple(
                event for event in self.namespaces.escapes if not event.names and event.root in roots
            )
        return known

    @cached_property
    def _escaping(self) -> frozenset[Root]:
        return frozenset(event.root for event in self.namespaces.escapes if not event.names)

    def related(self, one: Declaration) -> _Related:
        """Whether an object may carry an option."""
        key = self._key(one)
        known = self._related.get(key)
        if known is None:
            known = self._related[key] = self._relation(one)
        return known

    @staticmethod
    def _key(one: Declaration) -> int | str:
        """The same for options of one parser or class: of a call, which the project keeps, or of a class."""
        what = one.what
        return id(what.call) if isinstance(what, Declared) else what.owner.name if isinstance(what, Field) else ""

    def _relation(self, one: Declaration) -> _Related:
        if isinstance(one.what, Declared):
            origins = self._parsers.owners(one.what)
            unknown = origins.unknown or bool(origins.classes) or not origins.parsers
            return _Related(PARSER, None if unknown else self._families(origins.parsers), self)
        if isinstance(one.what, Field):
            name = one.what.owner.name
            names = {name, *self.project.mro(name), *(each.name for each in self.project.subclasses(name))}
            return _Related(CLASS, frozenset(names), self)
        return _Related("", frozenset(), self)

    def carries(self, kind: str, wanted: frozenset[Any] | None, root: Root) -> bool:
        if root.kind != kind:
            return False
        if kind == CLASS:
            return wanted is not None and root.key in wanted
        if root not in self._held:
            parsers = self.namespaces.parsers.get(root)
            self._held[root] = None if parsers is None else self._families(parsers)
        held = self._held[root]
        return held is None or wanted is None or not wanted.isdisjoint(held)

    def roots(self, one: Declaration) -> tuple[Root, ...]:
        """The objects that carry an option for certain or perhaps."""
        related = self.related(one)
        known = self._roots.get((related.kind, related.wanted))
        if known is None:
            found = tuple(sorted(filter(related, self.namespaces.roots)))
            known = self._roots[(related.kind, related.wanted)] = found
        return known

    # Parsers that share options: parents and subcommands.

    def _families(self, parsers: Iterable[At]) -> frozenset[At]:
        return frozenset(self._top(one) for one in parsers)

    def _top(self, at: At) -> At:
        joined = self._families_of
        while joined.get(at, at) != at:
            at = joined[at]
        return at

    @cached_property
    def _families_of(self) -> dict[At, At]:
        """Parsers by the one that stands for their family."""
        joined = self._joined
        for module in self.project.modules.values():
            if module.role != "project" or module.mentions.isdisjoint({"parents", "add_parser"}):
                continue
            for index in module.scopes_using(frozenset({"add_parser", "ArgumentParser"})):
                for site in module.call_sites(index):
                    for other in self._akin(module, index, site.call):
                        first, second = (
                            self._root_of(one) for one in ((module.path, site.call.line, site.call.column), other)
                        )
                        if first != second:
                            joined[max(first, second)] = min(first, second)
        return joined

    def _root_of(self, at: At) -> At:
        while self._joined.get(at, at) != at:
            at = self._joined[at]
        return at

    def _akin(self, module: Module, scope: int, call: Call) -> Iterator[At]:
        """The parsers whose options a parser takes, or which take its own."""
        for keyword in call.keywords:
            if keyword.name == "parents" and isinstance(keyword.value, Build):
                for item in keyword.value.items:
                    yield from self._parsers.of(module, scope, item).parsers
        receiver = receiver_of(call) if last_segment(call.function) == "add_parser" else None
        if receiver is None:
            return
        for creation in self.project[Lineage].of(module, scope, receiver):
            maker = creation.expr
            if creation.kind == CALL and isinstance(maker, Call) and last_segment(maker.function) == "add_subparsers":
                owner = receiver_of(maker)
                if owner is not None:
                    made_in = self.project.modules[creation.path]
                    yield from self._parsers.of(made_in, creation.scope, owner).parsers


class _Related(Struct, frozen=True):
    """Tells the objects that may carry an option. ``wanted`` None: any of its kind."""

    kind: str
    wanted: frozenset[Any] | None
    declarations: Declarations

    def __call__(self, root: Root) -> bool:
        return self.declarations.carries(self.kind, self.wanted, root)


def leaf_place(config: ConfigFile, leaf: Leaf) -> Place:
    return Place(config.path, Span(leaf.line))
